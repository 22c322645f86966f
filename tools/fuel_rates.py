"""Print reference/fuel_rates.csv from EPA's AVERT tables.

    python tools/fuel_rates.py DIR > rows.csv       # DIR: the AVERT folder, grid/ or the pack
    python tools/fuel_rates.py DIR --spread         # how far a rate moves between years and regions

For each region and year, by fuel and, for gas, by heat rate (combined-cycle-like or not):
marginal: Σ_h ΔCO2 ÷ Σ_h ΔG of the fuel's units when 5 % of each hour's fossil load goes (an hour weighs the same
whatever its load), over the year and over each fifth of its hours by load; average: Σ_h CO2 ÷ Σ_h G. Rows below 1 %
of the region's fossil generation are left out. In `gas` of a zone that ZONES_OF_GAS_ONLY names, every fossil unit
of the region counts for the marginal rate: what the zone's tables call gas is all that they show of the margin.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import polars as pl

from gridmargin.sources import OZONE_MONTHS, open_avert
from gridmargin.vocab import G_PER_SHORT_TON

COMBINED_CYCLE_BELOW_MMBTU_PER_MWH = 8.5
"""Of EPA's classes the nearest to what operators call combined cycle; see docs/methods/regression.md."""

DISPLACED_FRAC = 0.05
MIN_FRAC = 0.01
SOURCE = "US EPA AVERT regional data files, unit response curves; printed by tools/fuel_rates.py"
FIFTHS = ("q10", "q30", "q50", "q70", "q90")
"""Each fifth of the hours by load, named by its middle quantile."""

ZONES_OF_GAS_ONLY = {"US-CISO": "California"}
"""Zones whose tables show under 1 % coal where their AVERT region holds more: out-of-state coal that serves it."""

FIELDS = (
    "zone_or_region", "fuel", "year", "marginal_gco2_per_kwh",
    *(f"marginal_{fifth}_gco2_per_kwh" for fifth in FIFTHS),
    "average_gco2_per_kwh", "spread90_frac", "source", "as_of",
)  # fmt: skip

Rates = dict[tuple[str, str, int], list[float]]


def region_rates(folder: Path, region: str, year: int) -> dict[str, list[float]]:
    """Give each fuel's marginal rate, the same by fifth of the load, and its average rate. [g kWh⁻¹]"""
    tables = open_avert(folder)
    load = tables.fossil_load(region, year)
    unit_rows = pl.read_parquet(tables.folder / "units.parquet").filter(
        (pl.col("region") == region) & (pl.col("year") == year)
    )
    name = f"{region.replace(' ', '_').replace('-', '_')}_{year}.npz"
    with np.load(tables.folder / "unit_curves" / name) as arrays:
        bins, gen, ozone, other = (
            arrays[k].astype(np.float64) for k in ("load_bins", "gen", "co2_oz", "co2_not")
        )
    fuel = np.array([f.casefold() for f in unit_rows["fuel"]])
    heat_rate = unit_rows["heat_rate_mmbtu_per_mwh"].fill_null(np.inf).to_numpy()
    is_cc = heat_rate < COMBINED_CYCLE_BELOW_MMBTU_PER_MWH
    groups = {
        "coal": fuel == "coal",
        "gas": fuel == "gas",
        "gas_cc": (fuel == "gas") & is_cc,
        "gas_simple": (fuel == "gas") & ~is_cc,
        "oil": fuel == "oil",
    }
    is_ozone = np.isin(load.month, OZONE_MONTHS)
    high, low = load.load_mw, load.load_mw * (1 - DISPLACED_FRAC)
    everything = np.interp(high, bins, gen.sum(axis=0)).sum()
    fifth = np.searchsorted(np.quantile(high, (0.2, 0.4, 0.6, 0.8)), high)
    out = {}
    for name, units in groups.items():
        g = gen[units].sum(axis=0)
        c_ozone, c_other = (c[units].sum(axis=0) * G_PER_SHORT_TON / 1000 for c in (ozone, other))

        def co2(mw: np.ndarray, c_ozone: np.ndarray = c_ozone, c_other: np.ndarray = c_other) -> np.ndarray:
            ozone_rate, other_rate = np.interp(mw, bins, c_ozone), np.interp(mw, bins, c_other)
            return np.asarray(np.where(is_ozone, ozone_rate, other_rate))

        total = np.interp(high, bins, g).sum()
        if total < MIN_FRAC * everything:
            continue
        response = (np.interp(high, bins, g) - np.interp(low, bins, g)) / (high - low)
        answered = (co2(high) - co2(low)) / (high - low)
        average = float(co2(high).sum() / total)
        marginal = _ratio(answered, response, average)
        by_fifth = [_ratio(answered[fifth == k], response[fifth == k], marginal) for k in range(len(FIFTHS))]
        out[name] = [marginal, *by_fifth, average]
    for zone, whose in ZONES_OF_GAS_ONLY.items():
        if region == whose:
            everything_co2 = np.where(
                is_ozone,
                np.interp(high, bins, ozone.sum(axis=0)) - np.interp(low, bins, ozone.sum(axis=0)),
                np.interp(high, bins, other.sum(axis=0)) - np.interp(low, bins, other.sum(axis=0)),
            )
            answered = everything_co2 * G_PER_SHORT_TON / 1000 / (high - low)
            response = (np.interp(high, bins, gen.sum(axis=0)) - np.interp(low, bins, gen.sum(axis=0))) / (
                high - low
            )
            by_fifth = [_ratio(answered[fifth == k], response[fifth == k], 0.0) for k in range(len(FIFTHS))]
            out[f"gas@{zone}"] = [_ratio(answered, response, 0.0), *by_fifth, out["gas"][-1]]
    return out


def _ratio(answered: np.ndarray, response: np.ndarray, otherwise: float) -> float:
    """Divide the sums; a fuel that hardly answers has no response to weigh by, and `otherwise` stands in."""
    return float(answered.sum() / response.sum()) if response.sum() > MIN_FRAC * len(response) else otherwise


def all_rates(folder: Path) -> Rates:
    """Give every region's and year's rates."""
    tables = open_avert(folder)
    return {
        (region, fuel, year): pair
        for region in tables.regions()
        for year in tables.years(region)
        for fuel, pair in region_rates(folder, region, year).items()
    }


def year_to_year(rates: Rates, fuel: str) -> list[float]:
    """Relative change of a region's marginal rate from one year to the next."""
    return [
        abs(pair[0] / rates[region, f, year - 1][0] - 1)
        for (region, f, year), pair in rates.items()
        if f == fuel and (region, f, year - 1) in rates
    ]


def between_regions(rates: Rates, fuel: str) -> list[float]:
    """Relative distance of each region's marginal rate from the median of its year."""
    out = []
    for year in sorted({y for _, f, y in rates if f == fuel}):
        found = np.array([pair[0] for (_, f, y), pair in rates.items() if f == fuel and y == year])
        out += np.abs(found / np.median(found) - 1).tolist()
    return out


def rows(rates: Rates) -> list[dict[str, object]]:
    """Give the table's rows: each region and year, and the median region of each year as US."""
    out = []
    for fuel in ("coal", "gas", "gas_cc", "gas_simple", "oil"):
        spread = float(np.quantile(year_to_year(rates, fuel), 0.9))
        wide = max(float(np.quantile(between_regions(rates, fuel), 0.9)), spread)
        for (region, f, year), figures in sorted(rates.items()):
            if f == fuel:
                out.append((region, fuel, year, figures, spread, SOURCE))
            elif f.startswith(f"{fuel}@"):
                out.append(
                    (
                        f.partition("@")[2],
                        fuel,
                        year,
                        figures,
                        spread,
                        f"{SOURCE}; all fossil units of {region}",
                    )
                )
        for year in sorted({y for _, f, y in rates if f == fuel}):
            every = np.array([figures for (_, f, y), figures in rates.items() if f == fuel and y == year])
            out.append(
                (
                    "US",
                    fuel,
                    year,
                    np.median(every, axis=0).tolist(),
                    wide,
                    f"{SOURCE}; median of the regions",
                )
            )
    return [
        dict(
            zip(
                FIELDS,
                (place, fuel, year, *(round(x, 1) for x in figures), round(s, 3), text, year),
                strict=True,
            )
        )
        for place, fuel, year, figures, s, text in out
    ]


def main() -> None:
    """Print the table, or its spreads."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--spread", action="store_true")
    arguments = parser.parse_args()
    rates = all_rates(arguments.folder)
    if arguments.spread:
        for fuel in ("coal", "gas", "gas_cc", "gas_simple", "oil"):
            years, regions = year_to_year(rates, fuel), between_regions(rates, fuel)
            sys.stdout.write(
                f"{fuel}: 90 % of year-to-year changes within {np.quantile(years, 0.9):.3f} (n {len(years)}), "
                f"of regions within {np.quantile(regions, 0.9):.3f} of their median (n {len(regions)})\n"
            )
        return
    writer = csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(rates))


if __name__ == "__main__":
    main()
