"""How a balancing authority's own fossil load is best read on its AVERT region's curve of the year before.

    python benchmarks/study_fleet_level.py [DATA_DIR]

For EIA-930 2022 and the fleets of 2021: over the last 90 days before each block of 30 days, fit a way to turn the
published fossil generation (coal, gas, oil) into a load on the curve; score the load, and the rate read at it,
against AVERT's own hourly load of 2022. Not run by `make bench`: it judges a choice, not a speed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.grid import LOAD_QUANTILES, avert_fleet
from gridmargin.marginal.fleet_response import response_slope
from gridmargin.reference import zone_border
from gridmargin.sources import OZONE_MONTHS, AvertTables, open_avert

FloatArray = NDArray[np.float64]

# Region, and by how many hours the published label runs behind the hour's start (data README).
ZONES = {
    "ERCO": ("Texas", 1),
    "CISO": ("California", 1),
    "NYIS": ("New York", 1),
    "PJM": ("Mid-Atlantic", 0),
    "MISO": ("Midwest", 1),
    "SOCO": ("Southeast", 1),
    "BPAT": ("Northwest", 1),
}
WINDOW, BLOCK = 90 * 24, 30 * 24


def published(path: Path, label_h: int) -> tuple[NDArray[np.int64], FloatArray]:
    """Hour starts and fossil generation as EIA-930 has them."""
    frame = pl.read_csv(path, infer_schema_length=None)
    fossil = sum(
        frame[c].fill_null(0).cast(pl.Float64).to_numpy() for c in ("COL", "NG", "OIL") if c in frame.columns
    )
    start = frame["timestamp"].str.slice(0, 19).str.to_datetime("%Y-%m-%d %H:%M:%S").to_physical().to_numpy()
    return start // 1_000_000 - 3600 * label_h, np.asarray(fossil)


def ways(
    past: FloatArray, there: FloatArray, now: FloatArray, line: tuple[float, float] | None
) -> dict[str, FloatArray]:
    """The load to read, each way; `there` is the fleet year's load in the months of the past."""
    by_line = {} if line is None else {"line of July 2021": line[0] * now + line[1]}
    return by_line | {
        "as it is": now,
        "ratio of means": now * there.mean() / past.mean(),
        "mean and spread": there.mean() + (now - past.mean()) * there.std() / past.std(),
        "rank for rank": np.interp(
            now, np.quantile(past, LOAD_QUANTILES), np.quantile(there, LOAD_QUANTILES)
        ),
    }


def main() -> int:
    data = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("GRIDMARGIN_DATA", "../shared/data"))
    tables = open_avert(data)
    print(
        f"{'zone':5s} {'AVERT / own':>11s}   way: error of the load (rms, of its mean), of the rate (rms, mean; g/kWh)"
    )
    for zone, (region, label_h) in ZONES.items():
        fleet, then = avert_fleet(data, region, 2021), tables.fossil_load(region, 2022)
        assert fleet is not None
        assert fleet.load_quantiles_mw is not None
        start, own = published(data / "grid" / "eia930_fuelmix_2022" / f"{zone}.csv", label_h)
        _, here, there = np.intersect1d(start, then.start_epoch_s, return_indices=True)
        own, load, month = own[here], then.load_mw[there], then.month[there]
        border = zone_border(f"US-{zone}", fleet.year)
        line = None if border is None else border.load_line
        slope, errors = response_slope(fleet), {}
        for begin in range(WINDOW, len(own) - BLOCK + 1, BLOCK):
            back, block = slice(begin - WINDOW, begin), slice(begin, begin + BLOCK)
            past = own[back][own[back] > 0]
            known = fleet.load_quantiles_mw[month[back][own[back] > 0] - 1]
            ozone = np.isin(month[block], OZONE_MONTHS)
            right = slope.rate(load[block], ozone)
            for name, mw in ways(past, known.ravel(), own[block], line).items():
                errors.setdefault(name, []).append((mw - load[block], slope.rate(mw, ozone) - right))
        row = [f"{zone:5s} {load.mean() / own.mean():11.3f}"]
        for name, parts in errors.items():
            of_load, of_rate = (np.concatenate(part) for part in zip(*parts, strict=True))
            rms = np.sqrt((of_load**2).mean()) / load.mean()
            row.append(f"{name}: {rms:.3f}, {np.sqrt((of_rate**2).mean()):.0f} {of_rate.mean():+.0f}")
        print("  ".join(row))
    print_fortnights(tables)
    return 0


def print_fortnights(tables: AvertTables) -> None:
    """Print how a region's mean load of a fortnight compares with the same fortnight a year later."""
    ratios: dict[int, list[float]] = {}
    for region in tables.regions():
        years = {year: tables.fossil_load(region, year).load_mw[:8736] for year in tables.years(region)}
        for year in years.keys() & {year - 1 for year in years}:
            before, after = (years[y].reshape(-1, 336).mean(axis=1) for y in (year, year + 1))
            ratios.setdefault(year + 1, []).extend(np.exp(np.abs(np.log(after / before))).tolist())
    known: list[float] = []
    for year in sorted(ratios):
        known += ratios[year]
        print(
            f"known by {year}: {len(known)} region-fortnights a year apart, ratio at 50, 90, 99 %:",
            np.quantile(known, [0.5, 0.9, 0.99]),
        )


if __name__ == "__main__":
    raise SystemExit(main())
