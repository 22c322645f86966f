"""Print `reference/typical_days.csv`: mean generation by fuel per zone, season and UTC hour, to 3 significant digits.

Usage: python tools/typical_days.py --data DIR > src/gridmargin/reference/typical_days.csv

DIR is the data folder that holds `grid/`. Seasons are meteorological quarters of the calendar (djf, mam, jja, son), the
same months on both hemispheres. Australia is known for June only.
"""

import argparse
import csv
import sys
from pathlib import Path

import polars as pl

from gridmargin.grid import assemble
from gridmargin.sources import SOURCES, Observations
from gridmargin.vocab import GENERATION_COLUMNS, Fuel, generation_column

DE = {
    "Biomass": Fuel.BIOMASS, "Fossil Brown coal/Lignite": Fuel.LIGNITE, "Fossil Hard coal": Fuel.COAL, "Fossil Gas": Fuel.GAS,
    "Fossil Oil": Fuel.OIL, "Geothermal": Fuel.GEOTHERMAL, "Hydro Pumped Storage": Fuel.PUMPED,
    "Hydro Run-of-river and poundage": Fuel.HYDRO, "Hydro Water Reservoir": Fuel.HYDRO, "Nuclear": Fuel.NUCLEAR,
    "Other": Fuel.OTHER, "Other renewable": Fuel.OTHER, "Solar": Fuel.SOLAR, "Waste": Fuel.OTHER,
    "Wind Offshore": Fuel.WIND, "Wind Onshore": Fuel.WIND,
}  # fmt: skip
AU = {
    "Black coal": Fuel.COAL, "Brown coal": Fuel.LIGNITE, "Natural Gas (Pipeline)": Fuel.GAS, "Coal seam methane": Fuel.GAS,
    "Hydro": Fuel.HYDRO, "Wind": Fuel.WIND, "Solar": Fuel.SOLAR, "Kerosene - non aviation": Fuel.OIL, "Diesel oil": Fuel.OIL,
}  # fmt: skip
SEASONS = {
    12: "djf",
    1: "djf",
    2: "djf",
    3: "mam",
    4: "mam",
    5: "mam",
    6: "jja",
    7: "jja",
    8: "jja",
    9: "son",
    10: "son",
    11: "son",
}


def united_states(data: Path, zone: str) -> pl.DataFrame:
    """Hourly states of one balancing authority in 2022."""
    source = SOURCES.get("eia930")(data)
    span = source.span(zone)
    states = assemble(
        Observations.concat([source.parse(p, span) for p in source.fetch(zone, span)]), zone, 3600
    )
    keep = pl.col("start_utc").dt.year() == 2022
    return states.frame.filter(keep).drop("status", "completeness_frac")


def germany(data: Path) -> pl.DataFrame:
    """Quarter-hours of 2019, summed by our fuels."""
    import pandas as pd

    table = pd.read_parquet(data / "grid/de_fuelmix_price_2018_2019/2019_DE_gen.parquet")
    table.index = table.index.tz_convert("UTC")
    frame = pl.from_pandas(table.reset_index(names="start_utc"))
    return _by_fuel(frame, DE)


def new_south_wales(data: Path) -> pl.DataFrame:
    """Half-hours of June 2017; Australian Eastern Standard Time, labelled by their end."""
    folder = data / "grid/aemo_nem_2017_06"
    units = pl.read_csv(folder / "generators.csv").filter(pl.col("NEM_REGION") == "NSW1")
    dispatch = pl.read_csv(folder / "signals_dispatch.csv.gz")
    ends = pl.col("SETTLEMENTDATE").str.to_datetime("%Y-%m-%d %H:%M:%S").dt.replace_time_zone("UTC")
    kinds = {d: f for d, f in units.select("DUID", "FUEL_TYPE").iter_rows() if d in dispatch.columns}
    unknown = sorted({f for f in kinds.values() if f not in AU})
    if unknown:
        raise SystemExit(f"no fuel for {unknown}")
    sums = [
        pl.sum_horizontal([d for d, f in kinds.items() if AU[f] is fuel]).alias(generation_column(fuel))
        for fuel in dict.fromkeys(AU[f] for f in kinds.values())
    ]
    states = dispatch.select((ends - pl.duration(hours=10, minutes=30)).alias("start_utc"), *sums)
    return states.filter(pl.col("start_utc").dt.month() == 6)


def _by_fuel(frame: pl.DataFrame, names: dict[str, Fuel]) -> pl.DataFrame:
    fuels = dict.fromkeys(names[c] for c in frame.columns if c in names)
    return frame.select(
        "start_utc",
        *(
            pl.sum_horizontal([c for c in frame.columns if names.get(c) is fuel]).alias(
                generation_column(fuel)
            )
            for fuel in fuels
        ),
    )


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True)
    data = arguments.parse_args().data
    eia = "EIA-930 net generation by fuel 2022, mean by quarter and UTC hour (tools/typical_days.py)"
    parts = [
        (zone, united_states(data, zone), eia, "2022")
        for zone in ("US-CISO", "US-ERCO", "US-MISO", "US-NYIS", "US-PJM")
    ]
    parts.append(
        (
            "DE",
            germany(data),
            "ENTSO-E generation by type 2019, mean by quarter and UTC hour (tools/typical_days.py)",
            "2019",
        )
    )
    parts.append(
        (
            "AU-NSW",
            new_south_wales(data),
            "AEMO unit dispatch June 2017, mean by UTC hour (tools/typical_days.py)",
            "2017",
        )
    )
    writer = csv.writer(sys.stdout, lineterminator="\n")
    columns = [c for c in GENERATION_COLUMNS if any(c in frame.columns for _, frame, _, _ in parts)]
    writer.writerow(["zone", "season", "hour_utc", *columns, "source", "as_of"])
    for zone, frame, source, as_of in parts:
        mean = (
            frame.with_columns(
                pl.col("start_utc").dt.month().replace_strict(SEASONS).alias("season"),
                pl.col("start_utc").dt.hour().alias("hour_utc"),
            )
            .group_by("season", "hour_utc")
            .agg(pl.col([c for c in columns if c in frame.columns]).mean())
            .sort("season", "hour_utc")
        )
        for row in mean.iter_rows(named=True):
            figures = ["" if row.get(c) is None else f"{float(f'{row[c]:.3g}'):g}" for c in columns]
            writer.writerow([zone, row["season"], row["hour_utc"], *figures, source, as_of])


if __name__ == "__main__":
    main()
