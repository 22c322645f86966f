"""Which range of a fleet's rate covers a year it did not see, whole and by regime: the table behind docs/methods/ranges.md.

    python benchmarks/study_fleet_range.py [DATA_DIR]

Two estimates, as in fleet_curve (a year's smoothed slope) and regression (its factors at the other year's own split
between fuels), each of one year against EPA's 5 % displacement of another year of the region. Three tests of a rule:
2021 by what was known of 2019 and 2020; each region's next years up to 2021 by the other regions; and 2022 by what was
known before, which a choice must not see. Widths and the interval score (width plus 20 times the distance of a miss;
lower is better) are in parts of the mean rate and, like the spread of coverage, over regions. `make bench` leaves it out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import FleetResponse, avert_fleet
from gridmargin.marginal.fleet_factors import fleet_factors
from gridmargin.marginal.fleet_range import COVERAGE, grouped_level, regimes, terciles_mw
from gridmargin.marginal.fleet_response import SHARE_FRAC, epa_rate, response_slope
from gridmargin.marginal.level_shares import DISPLACED_FRAC
from gridmargin.marginal.regression_range import _shares_of_curve
from gridmargin.vocab import Fuel

FloatArray = NDArray[np.float64]
RELATIVE = {Fuel.COAL: 1000.0, Fuel.GAS: 430.0, Fuel.OIL: 800.0}  # g/kWh; only proportions matter
LAST_CHOSEN_ON = 2021
SLOPE_REGIMES = [
    f"{season}/{third}" for season in ("other", "ozone") for third in ("high", "low", "mid")
]  # sorted


@dataclass(frozen=True)
class Pair:
    """One year's estimate of another year's rate; arrays of one entry a load."""

    region: str
    known: int
    then: int
    mid: FloatArray
    reference: FloatArray
    regime: NDArray[np.int64]
    roughness: float


@dataclass(frozen=True)
class Rule:
    power: float  # of the roughness in the unit
    level: str  # "0.9 (1 + 1/n)", "0.9" or "left out": the rank among other regions that 0.9 stay within
    prior: float  # region-years that all regimes together count for beside one; inf: no regimes
    symmetric: bool

    def unit(self, pair: Pair) -> FloatArray:
        unit: FloatArray = pair.roughness**self.power * pair.mid ** (1 - self.power)
        return unit


RULES = {
    "square root, by side and regime (in use)": Rule(0.5, "0.9 (1 + 1/n)", 0, False),
    "square root, by side, leaning 10": Rule(0.5, "0.9 (1 + 1/n)", 10, False),
    "square root, symmetric, leaning 10": Rule(0.5, "0.9 (1 + 1/n)", 10, True),
    "power 1/4": Rule(0.25, "0.9 (1 + 1/n)", 0, False),
    "power 3/4": Rule(0.75, "0.9 (1 + 1/n)", 0, False),
    "power 1": Rule(1.0, "0.9 (1 + 1/n)", 0, False),
    "power 3/4, symmetric": Rule(0.75, "0.9 (1 + 1/n)", 0, True),
    "power 3/4, symmetric, no regimes": Rule(0.75, "0.9 (1 + 1/n)", np.inf, True),
    "power 3/4, symmetric, leaning 10": Rule(0.75, "0.9 (1 + 1/n)", 10, True),
    "the same at 0.9": Rule(0.75, "0.9", 10, True),
    "the same at the level of regions left out": Rule(0.75, "left out", 10, True),
}


def slope_pairs(known: list[FleetResponse]) -> Iterator[Pair]:
    slopes = {id(f): response_slope(f) for f in known}
    for a, b in permutations(known, 2):
        if a.region == b.region:
            load, is_ozone = b.loads_seen_mw()
            slope = slopes[id(a)]
            regime = np.searchsorted(SLOPE_REGIMES, regimes(load, is_ozone, terciles_mw(a)))
            yield Pair(a.region, a.year, b.year, slope.rate(load, is_ozone),
                       epa_rate(b, load, is_ozone, SHARE_FRAC), regime, slope.roughness_gco2_per_kwh)  # fmt: skip


def split_pairs(known: list[FleetResponse]) -> Iterator[Pair]:
    for a, b in permutations(known, 2):
        if a.region != b.region:
            continue
        whole = sum(part.sum() for part in a.fuel_generation_mw.values())
        chosen = [
            f for f in RELATIVE if f in a.fuel_generation_mw and a.fuel_generation_mw[f].sum() > 0.01 * whole
        ]
        factors = fleet_factors(a, chosen, np.array([RELATIVE[f] for f in chosen]))
        assert factors is not None
        load, is_ozone = b.loads_seen_mw()
        at = factors.at(load * (1 - DISPLACED_FRAC / 2), is_ozone)
        fifth = np.searchsorted(np.quantile(load, (0.2, 0.4, 0.6, 0.8)), load)
        yield Pair(a.region, a.year, b.year, (_shares_of_curve(b, chosen, load) * at).sum(axis=1),
                   epa_rate(b, load, is_ozone, SHARE_FRAC), fifth, factors.roughness_gco2_per_kwh)  # fmt: skip


def local_roughness(known: list[FleetResponse]) -> float:
    """Give r of how rough a curve is at some loads with how far another year strays there, both against their whole.

    Over eighths of the other year's loads and every ordered pair of years of one region up to `LAST_CHOSEN_ON`.
    """
    rough, strayed = [], []
    for a, b in permutations([f for f in known if f.year <= LAST_CHOSEN_ON], 2):
        if a.region != b.region:
            continue
        slope, load = response_slope(a), b.loads_seen_mw()[0]
        (own_load, own), (_, other) = (
            (at[0], np.abs(epa_rate(f, *at, SHARE_FRAC) - slope.rate(*at)))
            for f in (a, b)
            for at in (f.loads_seen_mw(),)
        )
        edges = np.quantile(load, np.arange(9) / 8)
        for low, high in pairwise(edges):
            here, there = (own_load >= low) & (own_load <= high), (load >= low) & (load <= high)
            if here.sum() >= 20:
                rough.append(np.log((own[here] ** 2).mean() / (own**2).mean()))
                strayed.append(np.log((other[there] ** 2).mean() / (other**2).mean()))
    return float(np.corrcoef(rough, strayed)[0, 1])


def offsets(rule: Rule, pairs: list[Pair]) -> FloatArray:
    """Give the offsets of each regime, in the rule's unit; shape (regimes, 2)."""
    score = np.concatenate([(p.reference - p.mid) / rule.unit(p) for p in pairs])
    regime = np.concatenate([p.regime for p in pairs])
    n = len({(p.region, p.then) for p in pairs})
    level = {"0.9": COVERAGE, "0.9 (1 + 1/n)": grouped_level(n)}.get(rule.level, 0.0)
    if not level:
        size = {r: np.sort(np.abs(score[_of(pairs, r)])) for r in {p.region for p in pairs}}
        ranks = []
        for region, own in size.items():
            others = np.sort(np.concatenate([sizes for name, sizes in size.items() if name != region]))
            ranks.append(np.searchsorted(others, own, side="right") / len(others))
        level = float(np.quantile(np.concatenate(ranks), COVERAGE))
    own = 0.0 if np.isinf(rule.prior) else n / (n + rule.prior)

    def ends(values: FloatArray) -> FloatArray:
        if rule.symmetric:
            half = np.quantile(np.abs(values), level)
            return np.array([-half, half])
        return np.quantile(values, [(1 - level) / 2, (1 + level) / 2])

    whole = ends(score)
    return np.array(
        [own * ends(score[regime == k]) + (1 - own) * whole for k in range(int(regime.max()) + 1)]
    )


def _of(pairs: list[Pair], region: str) -> NDArray[np.bool_]:
    return np.concatenate([np.full(len(p.mid), p.region == region) for p in pairs])


@dataclass(frozen=True)
class Scored:
    interval_score: float
    width: float
    inside: NDArray[np.bool_]
    needed: FloatArray  # times its width, for the range to hold the reference
    regime: NDArray[np.int64]


def scored(rule: Rule, table: FloatArray, pair: Pair) -> Scored:
    below, above = np.minimum(table[:, 0], 0)[pair.regime], np.maximum(table[:, 1], 0)[pair.regime]
    unit, mean = rule.unit(pair), pair.reference.mean()
    low, high = np.maximum(pair.mid + below * unit, 0), pair.mid + above * unit
    miss = np.maximum(low - pair.reference, 0) + np.maximum(pair.reference - high, 0)
    residual = pair.reference - pair.mid
    needed = residual / (np.where(residual < 0, below, above) * unit)
    width = high - low
    return Scored((width + 20 * miss).mean() / mean, width.mean() / mean, miss == 0, needed, pair.regime)


def forward(rule: Rule, pairs: list[Pair], year: int) -> list[Scored]:
    table = offsets(rule, [p for p in pairs if max(p.known, p.then) < year])
    return [scored(rule, table, p) for p in pairs if (p.known, p.then) == (year - 1, year)]


def left_out(rule: Rule, pairs: list[Pair]) -> list[Scored]:
    known = [p for p in pairs if max(p.known, p.then) <= LAST_CHOSEN_ON]
    out = []
    for region in sorted({p.region for p in known}):
        table = offsets(rule, [p for p in known if p.region != region])
        out += [scored(rule, table, p) for p in known if p.region == region and p.then == p.known + 1]
    return out


def line(parts: list[Scored]) -> str:
    inside, regime = np.concatenate([p.inside for p in parts]), np.concatenate([p.regime for p in parts])
    needed = np.concatenate([p.needed for p in parts])
    hindsight = needed <= np.quantile(needed, COVERAGE)
    names = range(int(regime.max()) + 1)
    by_regime, at_hindsight = (
        " ".join(f"{100 * held[regime == k].mean():3.0f}" for k in names) for held in (inside, hindsight)
    )
    cells = np.array([p.inside[p.regime == k].mean() for p in parts for k in names if (p.regime == k).any()])
    return (
        f"{np.mean([p.interval_score for p in parts]):.3f}  {np.mean([p.width for p in parts]):.3f}  "
        f"{100 * inside.mean():4.1f} {100 * np.std([p.inside.mean() for p in parts]):4.1f}  {by_regime:24s}"
        f"{100 * cells.std():4.1f}  {100 * np.mean(np.abs(cells - COVERAGE) <= 0.02):3.0f} %  {at_hindsight}"
    )


def main() -> int:
    named = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("GRIDMARGIN_DATA", "../shared/data")
    newest = avert_fleet(Path(named), "Texas", 2022)
    if newest is None:
        print(f"left out: no AVERT tables under {named}")
        return 0
    known = [*newest.earlier, newest]
    for title, pairs in (("slope", list(slope_pairs(known))), ("factors", list(split_pairs(known)))):
        print(f"\n{title}: interval score, width, coverage and its spread over regions, coverage by regime,")
        print("  spread over region-years' regimes, how many of those lie within 88 to 92 %, and coverage by")
        print("  regime had all widths been scaled in hindsight to 90 % over the whole")
        for name, rule in RULES.items():
            print(name)
            print(f"  2021 from 2020            {line(forward(rule, pairs, LAST_CHOSEN_ON))}")
            print(f"  regions left out, to 2021 {line(left_out(rule, pairs))}")
            print(f"  2022 from 2021, unseen    {line(forward(rule, pairs, LAST_CHOSEN_ON + 1))}")
    print(f"\nroughness at a load with how far another year strays there: r {local_roughness(known):.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
