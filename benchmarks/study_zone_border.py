"""Where the eia930 backtest's errors come from, zone by zone: the tables behind docs/methods/backtest-ercot.md.

    python benchmarks/study_zone_border.py [DATA_DIR]

For each zone of the backtest, over its one year of states, fitted on all of it (a diagnosis, not a test), with rates,
curves and borders of the year before; bias and r against EPA's 5 and 15 %:

- what could be known: EPA's own curve of that very year, smoothed as ours are, at EPA's own load, over the same
  displaced part; and how far two halves of that curve's bins (every other one) agree with each other;
- whose error it is: the estimate with EPA's own split, with EPA's own factors, and at EPA's own load;
- what each step does: the estimate with one of them left out.

Not run by `make bench`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from study_regression import bisquare

from gridmargin.evaluation.against_epa import DISPLACED_FRACS, facts_before, states_of
from gridmargin.evaluation.eia930 import ZONES
from gridmargin.grid import OZONE_MONTHS, FleetResponse, GridStates, avert_fleet
from gridmargin.marginal import Estimates, Facts, Fit, epa_rate, fleet_factors, level_shares
from gridmargin.marginal.fleet_range import _subset
from gridmargin.marginal.fleet_response import response_slope
from gridmargin.marginal.level_shares import DISPLACED_FRAC
from gridmargin.marginal.regression import Regression
from gridmargin.marginal.regression_range import _shares_of_curve
from gridmargin.reference import Zone, zone_named
from gridmargin.sources import SOURCES, open_avert
from gridmargin.vocab import Fuel

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def against(said: FloatArray, references: list[FloatArray]) -> str:
    """Bias and r against each reference."""
    parts = [
        f"{100 * (said.mean() / r.mean() - 1):+5.1f} % r {np.corrcoef(said, r)[0, 1]:5.2f}"
        for r in references
    ]
    return "   ".join(parts)


def displaced(fleet: FleetResponse, mw: FloatArray, is_ozone: BoolArray, frac: float) -> FloatArray:
    """The smoothed slope's mean over the displaced part of each load."""
    slope = response_slope(fleet)
    return np.mean([slope.rate(mw * (1 - frac * k), is_ozone) for k in np.linspace(0, 1, 30)], axis=0)


def steps(facts: Facts) -> Iterator[tuple[str, Facts, AbstractContextManager[object]]]:
    """The estimate as it is, and with one step left out."""
    yield "as it is", facts, nullcontext()
    if facts.border is not None:
        no_line = replace(facts, border=replace(facts.border, load_line=None))
        yield "load read as it is", no_line, nullcontext()
        no_inside = replace(facts, border=replace(facts.border, inside_frac={}))
        yield "split of the whole region", no_inside, nullcontext()
    apart = patch.object(fleet_factors, "OTHER_UNITS_RATIO", np.inf)
    yield "oil always by itself", facts, apart
    yield "bisquare weights", facts, patch.object(level_shares, "cut_weights", bisquare)


def estimated(states: GridStates, facts: Facts) -> tuple[Fit, Estimates]:
    """Fit on a year and estimate it."""
    estimator = Regression()
    fit = estimator.fit(states, facts)
    return fit, estimator.estimate(states, fit)


def by_family(fit: Fit, estimates: Estimates) -> tuple[list[Fuel], FloatArray]:
    """Shares of the compared families."""
    p = fit.parameters["fleet"]
    chosen = [Fuel(name) for name in p["families"]]
    shares = np.zeros((len(estimates), len(chosen)))
    for column, where in enumerate(p["family_of"]):
        if where is not None:
            shares[:, where] += estimates.source_probability[:, column]
    return chosen, shares / shares.sum(axis=1, keepdims=True)


def study(data: Path, zone: Zone) -> None:
    """Print one zone's tables."""
    tables, region = open_avert(data), zone.avert_region or ""
    states = states_of(SOURCES.get("eia930")(data), zone.id)
    year = int(states.frame["start_utc"][len(states) // 2].year)
    load, fleet, facts = (
        tables.fossil_load(region, year),
        avert_fleet(data, region, year),
        facts_before(zone, data, year),
    )
    assert fleet is not None
    assert facts.fleet is not None
    fit, estimates = estimated(states, facts)
    _, mine, there = np.intersect1d(estimates.start_epoch_s, load.start_epoch_s, return_indices=True)
    mw, is_ozone = load.load_mw[there], np.isin(load.month[there], OZONE_MONTHS)
    references = [epa_rate(fleet, mw, is_ozone, frac) for frac in DISPLACED_FRACS]
    chosen, shares = by_family(fit, estimates)
    relative = fleet_factors.relative_rates(chosen, facts.average_fuel_rates or facts.fuel_rates)
    own = _shares_of_curve(fleet, chosen, mw)
    ours, true = fleet_factors.FleetFactors, fleet_factors.fleet_factors(fleet, chosen, relative)
    assert true is not None
    p = fit.parameters["fleet"]
    past = ours(np.array(p["load_mw"]), np.array(p["factor_gco2_per_kwh"]), p["roughness_gco2_per_kwh"])
    at_mw = mw * (1 - DISPLACED_FRAC / 2)
    whole = [fleet_factors.fleet_factors(f, chosen, relative) for f in (facts.fleet, *facts.fleet.earlier)
             if f.region == region and f.year in p["years"]]  # fmt: skip
    past_of_region = np.mean([f.at(at_mw, is_ozone) for f in whole if f is not None], axis=0)
    halves = [_subset(fleet, np.arange(len(fleet.load_mw)) % 2 == k) for k in (0, 1)]
    print(f"\n{zone.id}, {region} {year}: against {' and '.join(f'{frac:.0%}' for frac in DISPLACED_FRACS)}")
    agree = [
        np.corrcoef(*(epa_rate(h, mw, is_ozone, frac) for h in halves))[0, 1] for frac in DISPLACED_FRACS
    ]
    print(f"  {'two halves of the bins':34} " + "   ".join(f"        r {r:5.2f}" for r in agree))
    smooth = [against(displaced(fleet, mw, is_ozone, frac), [ref]) for frac, ref in zip(DISPLACED_FRACS, references, strict=True)]  # fmt: skip
    print(f"  {'EPA own curve, smoothed':34} {'   '.join(smooth)}")
    print(f"  {'EPA own split, our factors':34} {against((own * past_of_region).sum(axis=1), references)}")
    true_mid = (shares[mine] * true.at(at_mw, is_ozone)).sum(axis=1)
    print(f"  {'our split, EPA own factors':34} {against(true_mid, references)}")
    at_own_load = (shares[mine] * past.at(at_mw, is_ozone)).sum(axis=1)
    print(f"  {'our split and factors, EPA load':34} {against(at_own_load, references)}")
    for name, known, context in steps(facts):
        with context:
            _, said = estimated(states, known)
        print(f"  {name:34} {against(said.mid[mine], references)}")
    coal = ", ".join(f"{f} {a:.3f} (EPA {b:.3f})" for f, a, b in zip(chosen, shares[mine].mean(axis=0), own.mean(axis=0), strict=True))  # fmt: skip
    print(f"  mean split: {coal}")


def main() -> int:
    """Print every zone that the data hold."""
    data = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("GRIDMARGIN_DATA", "../shared/data"))
    held = SOURCES.get("eia930")(data).zones()
    for zone_id in ZONES:
        if zone_id in held:
            study(data, zone_named(zone_id))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
