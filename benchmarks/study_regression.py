"""How local the regression is, and whose factors it takes: the tables behind docs/methods/regression.md.

    python benchmarks/study_regression.py [DATA_DIR]

First table: ERCOT's earliest local year alone. Held-out error of generation by fuel over six contiguous parts, by
bandwidths; then bias and r of the rate against EPA's 5 and 15 % of that same year (in sample: no later year is read).
Second: every AVERT region and pair of years up to the one before the newest: EPA's own split of the later year with
factors made of earlier ones. The newest year, on which the backtest reports, is not read. Not run by `make bench`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np

from gridmargin.evaluation.against_epa import epa_reference, facts_before, states_of
from gridmargin.grid import OZONE_MONTHS, avert_fleet
from gridmargin.marginal import epa_rate, local_level
from gridmargin.marginal.fleet_factors import factors_of_states, fleet_factors, fleet_parameters
from gridmargin.marginal.fleet_response import response_slope
from gridmargin.marginal.level_shares import DISPLACED_FRAC
from gridmargin.marginal.regimes import local_day_and_second
from gridmargin.marginal.regression_range import _shares_of_curve
from gridmargin.marginal.slopes import clipped_shares
from gridmargin.reference import zone_named
from gridmargin.sources import SOURCES, open_avert
from gridmargin.vocab import FOSSIL, Fuel

FOLDS = 6
RELATIVE = {Fuel.COAL: 1000.0, Fuel.GAS: 430.0, Fuel.OIL: 800.0}  # g/kWh; only proportions matter


def bandwidths(data: Path) -> None:
    zone = zone_named("US-ERCO")
    states = states_of(SOURCES.get("ercot")(data), zone.id)
    start_s = states.start_epoch_s()
    offset_s = round(open_avert(data).standard_utc_offset_h(zone.avert_region or "") * 3600)
    year = ((start_s + offset_s) * 1_000_000_000).view("datetime64[ns]").astype("datetime64[Y]").astype(
        int
    ) + 1970
    first = int(np.unique(year)[np.argmax(np.bincount(year - year.min()) > 30_000)])
    epa, facts = epa_reference(data, zone.avert_region or ""), facts_before(zone, data, first + 1)
    fuels = [f for f in states.fuels if f in FOSSIL and np.isfinite(states.generation_mw(f)).mean() > 0.5]
    generation = np.column_stack([states.generation_mw(f) for f in fuels])
    row, there = epa.at(start_s // 3600 * 3600)
    keep = np.isfinite(generation.sum(axis=1)) & (year == first) & there
    factor_table = fleet_parameters(states, facts, fuels)
    assert factor_table is not None
    by_family = factors_of_states(factor_table, states, keep)
    factor = by_family[:, factor_table["family_of"]]
    generation, row = generation[keep], row[keep]
    hour = local_day_and_second(start_s[keep], facts.timezone)[1] // 3600
    level = generation.sum(axis=1)
    fold = np.arange(len(level)) * FOLDS // len(level)
    print(
        f"ERCOT {first}: level bandwidth, hour bandwidth, held-out MW, then bias and r at 5 and 15 % by displaced part"
    )
    for width in (0.05, 0.1, 0.2, 0.4):
        for hours in (None, 6.0, 3.0, 1.5):
            with (
                patch.object(local_level, "LEVEL_BANDWIDTH_FRAC", width),
                patch.object(local_level, "HOUR_BANDWIDTH_H", hours or 3.0),
            ):
                grid = local_level.level_grid(level, hours is not None)
                cell = local_level.cell_of(grid, level, hour)
                one = np.ones(len(level))
                squared = 0.0
                for number in range(FOLDS):
                    rest, mine = fold != number, fold == number
                    total = local_level.sums(grid, cell[rest], level[rest], generation[rest], one[rest])
                    said = local_level.at(grid, local_level.curves(grid, total), level[mine], hour[mine])
                    squared += float(((said - generation[mine]) ** 2).sum())
                curve = local_level.curves(grid, local_level.sums(grid, cell, level, generation, one))
                figures = []
                for frac in (0.05, 0.1, 0.15):
                    shares, _ = clipped_shares(local_level.slopes(grid, curve, level, hour, frac))
                    mid = (shares * factor).sum(axis=1)
                    figures += [f"{100 * (mid.mean() / r.mean() - 1):+.1f} % {np.corrcoef(mid, r)[0, 1]:.2f}"
                                for r in (rate[row] for rate in epa.rate_gco2_per_kwh.values())]  # fmt: skip
            print(f"{width:5} {hours or 'all':>5} {np.sqrt(squared / len(level)):7.0f}  {'  '.join(figures)}")


def factors(data: Path) -> None:
    tables = open_avert(data)
    newest = max(year for region in tables.regions() for year in tables.years(region))
    scores: dict[tuple[str, float], list[tuple[float, float, float]]] = {}
    for region in tables.regions():
        for year in sorted(tables.years(region)):
            if year >= newest or year - 1 not in tables.years(region):
                continue
            load, now, past = (
                tables.fossil_load(region, year),
                tables.curve(region, year),
                avert_fleet(data, region, year - 1),
            )
            fleet = avert_fleet(data, region, year)
            assert past is not None
            assert fleet is not None
            mw, is_ozone = load.load_mw, np.isin(load.month, OZONE_MONTHS)
            whole = sum(part.sum() for part in fleet.fuel_generation_mw.values())
            chosen = [
                f
                for f in RELATIVE
                if f in fleet.fuel_generation_mw and fleet.fuel_generation_mw[f].sum() > 0.01 * whole
            ]
            relative = np.array([RELATIVE[f] for f in chosen])
            shares = _shares_of_curve(fleet, chosen, mw)
            own = [past, *(f for f in past.earlier if f.region == region)]
            at = [
                t.at(mw * (1 - DISPLACED_FRAC / 2), is_ozone)
                for f in own
                if (t := fleet_factors(f, chosen, relative))
            ]
            said = {
                "last year's slope": response_slope(past).rate(mw, is_ozone),
                "its factors": (shares * at[0]).sum(axis=1),
            }
            if len(at) > 1:
                said["factors, where 2 years"] = said["its factors"]
                said["mean of 2 years' factors"] = (shares * np.mean(at[:2], axis=0)).sum(axis=1)
            for share in (0.05, 0.15):
                reference = epa_rate(now, mw, is_ozone, share)
                for name, rate in said.items():
                    scores.setdefault((name, share), []).append(
                        (abs(rate.mean() / reference.mean() - 1), np.corrcoef(rate, reference)[0, 1],
                         np.abs(rate - reference).mean() / reference.mean())
                    )  # fmt: skip
    print("EPA's own split of the later year: mean size of the bias, r, error ÷ mean, region-years")
    for (name, share), parts in scores.items():
        bias, r, mae = np.mean(parts, axis=0)
        print(f"{name:26} {share:4.0%}  {100 * bias:.1f} %  {r:.2f}  {mae:.3f}  {len(parts)}")


def main() -> None:
    data = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("GRIDMARGIN_DATA", "../shared/data"))
    bandwidths(data)
    factors(data)


if __name__ == "__main__":
    main()
