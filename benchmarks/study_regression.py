"""How local the regression is, and whose factors it takes: the tables behind docs/methods/regression.md.

    python benchmarks/study_regression.py [DATA_DIR]

First table: ERCOT's earliest local year alone. Held-out error of generation by fuel over six contiguous parts, by
bandwidths; then bias and r of the rate against EPA's 5 and 15 % of that same year (in sample: no later year is read).
Second: each of ERCOT's whole years, by the weight of hours off the curve. Then how much a fuel's part of a region's
generation grows in a year at most. Last: every AVERT region and pair of years up to the one before the newest: EPA's own split of the later year with
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
from gridmargin.marginal.fleet_factors import MIN_FRAC, factors_of_states, fleet_factors, fleet_parameters
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


def bisquare(grid, cell, level, hour, generation, weight):  # type: ignore[no-untyped-def]
    """Cleveland's weights, which fall with the distance from the curve."""
    robust = weight
    for _ in range(local_level.CUT_STEPS):
        curve = local_level.curves(grid, local_level.sums(grid, cell, level, generation, robust))
        off = np.linalg.norm(generation - local_level.at(grid, curve, level, hour), axis=1)
        robust = weight * np.maximum(1 - (off / (6.0 * np.median(off))) ** 2, 0.0) ** 2
    return robust


def weights(data: Path) -> None:
    """ERCOT's own years: how the weights of hours off the curve move what a whole year's split says."""
    zone = zone_named("US-ERCO")
    states = states_of(SOURCES.get("ercot")(data), zone.id)
    start_s = states.start_epoch_s()
    offset_h = open_avert(data).standard_utc_offset_h(zone.avert_region or "")
    local_s = start_s + round(offset_h * 3600)
    year = (local_s * 1_000_000_000).view("datetime64[ns]").astype("datetime64[Y]").astype(int) + 1970
    epa = epa_reference(data, zone.avert_region or "")
    fuels = [f for f in states.fuels if f in FOSSIL and np.isfinite(states.generation_mw(f)).mean() > 0.5]
    generation = np.column_stack([states.generation_mw(f) for f in fuels])
    row, there = epa.at(start_s // 3600 * 3600)
    print("ERCOT, factors of the same year: weights of hours off the curve, bias and r at 5 and 15 %")
    for one_year in np.unique(year[there]):
        keep = np.isfinite(generation.sum(axis=1)) & there & (year == one_year)
        if keep.mean() < 0.1:
            continue
        table = fleet_parameters(states, facts_before(zone, data, int(one_year) + 1), fuels)
        assert table is not None
        factor = factors_of_states(table, states, keep)[:, table["family_of"]]
        g = generation[keep]
        level, hour = g.sum(axis=1), np.zeros(keep.sum(), dtype=np.int64)
        grid = local_level.level_grid(level, by_hour=False)
        cell, one = local_level.cell_of(grid, level, hour), np.ones(len(level))
        for name, rule in (("bisquare", bisquare), ("cut at six medians", local_level.cut_weights)):
            weight = rule(grid, cell, level, hour, g, one)
            curve = local_level.curves(grid, local_level.sums(grid, cell, level, g, weight))
            shares, _ = clipped_shares(local_level.slopes(grid, curve, level, hour, DISPLACED_FRAC))
            mid = (shares * factor).sum(axis=1)
            figures = [f"{100 * (mid.mean() / r.mean() - 1):+.2f} % {np.corrcoef(mid, r)[0, 1]:.3f}"
                       for r in (rate[row[keep]] for rate in epa.rate_gco2_per_kwh.values())]  # fmt: skip
            print(f"{one_year}  {name:18}  {'  '.join(figures)}")


def grown(data: Path) -> None:
    """Print by how much a fuel's part of a region's generation grew at most from one year to the next."""
    tables = open_avert(data)
    newest = max(year for region in tables.regions() for year in tables.years(region))
    ratios = []
    for region in tables.regions():
        part = {}
        for year in tables.years(region):
            fleet = avert_fleet(data, region, year)
            assert fleet is not None
            seen, _ = fleet.loads_seen_mw()
            mw = {f: np.interp(seen, fleet.load_mw, g).sum() for f, g in fleet.fuel_generation_mw.items()}
            part[year] = {f: mw[f] / sum(mw.values()) for f in RELATIVE if f in mw}
        for year in set(part) & {y + 1 for y in part}:
            ratios += [(now / part[year - 1][f], region, year, f.value) for f, now in part[year].items()
                       if year < newest and now >= MIN_FRAC and part[year - 1].get(f, 0) > 0]  # fmt: skip
    print(
        "largest growth of a fuel of at least 1 % from one year to the next:",
        *sorted(ratios)[:-4:-1],
        sep="\n  ",
    )


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
            season = np.where(is_ozone, 1, 0)
            level = np.stack([at[0][is_ozone == s].mean(axis=0) for s in (False, True)])[season]
            lines = np.empty_like(at[0])
            for s in (False, True):
                x, y = mw[is_ozone == s], at[0][is_ozone == s]
                lines[is_ozone == s] = x[:, None] * (fit := np.polyfit(x, y, 1))[0] + fit[1]
            said["its factors, constant over load"] = (shares * level).sum(axis=1)
            said["its factors, half way to that"] = (shares * (at[0] + level) / 2).sum(axis=1)
            said["its factors, straight over load"] = (shares * lines).sum(axis=1)
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
        print(f"{name:32} {share:4.0%}  {100 * bias:.1f} %  {r:.2f}  {mae:.3f}  {len(parts)}")


def main() -> None:
    data = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("GRIDMARGIN_DATA", "../shared/data"))
    bandwidths(data)
    weights(data)
    grown(data)
    factors(data)


if __name__ == "__main__":
    main()
