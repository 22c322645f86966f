"""ENTSO-E: actual generation by production type every quarter of an hour, one Parquet file a country and year.

Files are named `YYYY_CC_gen.parquet`: mean MW, one column a production type, the start of the interval with its offset
in the index column. For Germany the hourly day-ahead price and the weekly carbon price beside it are read too, where
their tables are there (`german_tables`). A quantity that ENTSO-E publishes in parts (wind onshore and offshore) is their sum, and its cell
names both; where a part is empty the sum is absent (C2).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from gridmargin.reference import known_zones
from gridmargin.sources.folders import files_matching, refuse_repeats
from gridmargin.sources.german_tables import (
    CARBON,
    CARBON_COLUMN,
    CARBON_KNOWN_AFTER_S,
    PRICE,
    PRICE_COLUMN,
    Series,
    carbon_price,
    day_ahead_price,
    find_german,
)
from gridmargin.sources.observation import OBSERVATION_SCHEMA, Observations
from gridmargin.sources.source import Payload
from gridmargin.vocab import (
    Cell,
    Fuel,
    InputError,
    Interval,
    Status,
    TableError,
    generation_column,
    sha256_hex,
)

INTERVAL_S = 900
TYPES: dict[str, Fuel] = {
    "Biomass": Fuel.BIOMASS,
    "Fossil Brown coal/Lignite": Fuel.LIGNITE,
    "Fossil Coal-derived gas": Fuel.OTHER,
    "Fossil Gas": Fuel.GAS,
    "Fossil Hard coal": Fuel.COAL,
    "Fossil Oil": Fuel.OIL,
    "Geothermal": Fuel.GEOTHERMAL,
    "Hydro Pumped Storage": Fuel.PUMPED,
    "Hydro Run-of-river and poundage": Fuel.HYDRO,
    "Hydro Water Reservoir": Fuel.HYDRO,
    "Nuclear": Fuel.NUCLEAR,
    "Other": Fuel.OTHER,
    "Other renewable": Fuel.OTHER,
    "Solar": Fuel.SOLAR,
    "Waste": Fuel.OTHER,
    "Wind Offshore": Fuel.WIND,
    "Wind Onshore": Fuel.WIND,
}
"""Their production types and our fuels."""

_FILE = r"(\d{4})_([A-Z]{2})_gen(_entsoe)?\.parquet"
_AND = " + "

GERMANY = "DE"
HOUR_S = 3600


class Entsoe:
    """Yearly files of the countries that are a zone of ours."""

    name = "entsoe"
    states_margin = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = [path for path in files_matching(folder, _FILE) if _what(path)[1] in known_zones()]
        refuse_repeats(paths, lambda path: "ENTSO-E's generation of {1} in {0}".format(*_what(path)))
        self._files = {_what(path): path for path in paths}

    def zones(self) -> list[str]:
        """List the countries that have files and are a zone."""
        return sorted({zone for _, zone in self._files})

    def interval_s(self, zone: str) -> int:
        """Give a quarter of an hour. [s]"""
        del zone
        return INTERVAL_S

    def span(self, zone: str) -> Interval:
        """Give the stretch of the years there are files of, on the zone's own clock."""
        years = [year for year, of in self._files if of == zone]
        if not years:
            raise InputError(f"no files named YYYY_{zone}_gen.parquet under {self.folder}")
        return Interval(_new_year(min(years), zone), _new_year(max(years) + 1, zone))

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the yearly files that touch `interval`."""
        for (year, of), path in sorted(self._files.items()):
            whole = Interval(_new_year(year, zone), _new_year(year + 1, zone))
            if of == zone and whole.overlap(interval):
                yield Payload(self.name, path.name, path.read_bytes())
        if zone == GERMANY:
            for pattern in (PRICE, CARBON):
                prices = find_german(self.folder, pattern)
                if prices is not None:
                    yield prices

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one file into observations: mean power by fuel, or a price for every interval that it holds for."""
        if re.fullmatch(PRICE, payload.name):
            hours = day_ahead_price(payload)
            return _prices(payload, interval, hours, "price_eur_per_mwh", PRICE_COLUMN, 0, HOUR_S)
        if re.fullmatch(CARBON, payload.name):
            weeks = carbon_price(payload)
            return _prices(
                payload, interval, weeks, "carbon_price_eur_per_t", CARBON_COLUMN, CARBON_KNOWN_AFTER_S, None
            )
        frame, zone = _read(payload)
        inside = frame.filter(
            pl.col("start_utc").is_between(interval.start_utc, interval.end_utc, closed="left")
        )
        parts = []
        for fuel, columns in _by_fuel(frame).items():
            total = pl.sum_horizontal(columns, ignore_nulls=False)
            parts.append(
                inside.select(
                    pl.lit(zone).alias("zone"),
                    "start_utc",
                    pl.lit(INTERVAL_S, pl.Int32).alias("interval_s"),
                    pl.lit(generation_column(fuel)).alias("quantity"),
                    total.alias("value"),
                    pl.lit(Status.REPORTED.value).alias("status"),
                    pl.lit(sha256_hex(payload.body)).alias("payload_sha256"),
                    "row",
                    pl.lit(_AND.join(columns)).alias("column"),
                )
            )
        joined = pl.concat(parts).filter(pl.col("value").is_not_null())
        return Observations(joined.select(OBSERVATION_SCHEMA.keys()))

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell; of a quantity published in parts, their sum."""
        for pattern, read in ((PRICE, day_ahead_price), (CARBON, carbon_price)):
            if re.fullmatch(pattern, payload.name):
                found = read(payload)
                return repr(float(found.value[found.row == cell.row][0]))
        frame, _ = _read(payload)
        return repr(sum(float(frame[name][cell.row - 2]) for name in cell.column.split(_AND)))


def _prices(
    payload: Payload,
    interval: Interval,
    prices: Series,
    quantity: str,
    column: str,
    known_after_s: int,
    holds_s: int | None,
) -> Observations:
    """State a price for every quarter of an hour that it holds for.

    Parameters
    ----------
    known_after_s : int
        How long after its own time a price is known. [s]
    holds_s : int or None
        How long it holds; None until the next. [s]
    """
    first = Interval.containing(interval.start_utc, INTERVAL_S)
    begin = int((first.start_utc if first.start_utc >= interval.start_utc else first.end_utc).timestamp())
    start_s = np.arange(begin, int(np.ceil(interval.end_utc.timestamp())), INTERVAL_S, dtype=np.int64)
    at = prices.place_at(start_s - known_after_s)
    there = at >= 0
    if holds_s is not None:
        there &= start_s - prices.start_epoch_s[np.maximum(at, 0)] < holds_s
    start_s, at = start_s[there], at[there]
    known = np.isfinite(prices.value[at])
    start_s, at = start_s[known], at[known]
    frame = pl.DataFrame(
        {
            "zone": pl.repeat(GERMANY, len(at), eager=True),
            "start_utc": pl.from_epoch(pl.Series(start_s), time_unit="s")
            .cast(pl.Datetime("us"))
            .dt.replace_time_zone("UTC"),
            "interval_s": pl.repeat(INTERVAL_S, len(at), dtype=pl.Int32, eager=True),
            "quantity": pl.repeat(quantity, len(at), eager=True),
            "value": prices.value[at],
            "status": pl.repeat(Status.REPORTED.value, len(at), eager=True),
            "payload_sha256": pl.repeat(sha256_hex(payload.body), len(at), eager=True),
            "row": pl.Series(prices.row[at]).cast(pl.Int32),
            "column": pl.repeat(column, len(at), eager=True),
        }
    )
    return Observations(frame.select(OBSERVATION_SCHEMA.keys()))


def _what(path: Path) -> tuple[int, str]:
    found = re.fullmatch(_FILE, path.name)
    assert found is not None
    return int(found[1]), found[2]


def _new_year(year: int, zone: str) -> datetime:
    return datetime(year, 1, 1, tzinfo=ZoneInfo(known_zones()[zone].timezone)).astimezone(UTC)


def _by_fuel(frame: pl.DataFrame) -> dict[Fuel, list[str]]:
    groups: dict[Fuel, list[str]] = {}
    for column, fuel in TYPES.items():
        if column in frame.columns and frame[column].null_count() < frame.height:
            groups.setdefault(fuel, []).append(column)
    return groups


def _read(payload: Payload) -> tuple[pl.DataFrame, str]:
    found = re.fullmatch(_FILE, payload.name)
    if found is None:
        raise TableError(f"{payload.name} is no file named YYYY_CC_gen.parquet")
    try:
        frame = pl.read_parquet(io.BytesIO(payload.body))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise TableError(
            f"{payload.name} cannot be read as Parquet ({str(error).splitlines()[0]}); fetch it again"
        ) from None
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone]
    if len(times) != 1:
        raise TableError(f"{payload.name}: want one column of times with an offset (C1), found {len(times)}")
    unknown = sorted(set(frame.columns) - set(TYPES) - set(times))
    present = [name for name in frame.columns if name in TYPES]
    if unknown or not present:
        raise TableError(
            f"{payload.name}: {'unknown production type ' + unknown[0] if unknown else 'no production type'}"
        )
    values = frame.select(present).cast(pl.Float64)
    for name in present:
        wrong = values[name].is_nan() | values[name].is_infinite()
        if wrong.any():
            row = (wrong.arg_max() or 0) + 2
            raise TableError(
                f"{payload.name}, row {row}, column {name}: {values[name][row - 2]} is not a power"
            )
    start = frame[times[0]].dt.convert_time_zone("UTC").dt.cast_time_unit("us").alias("start_utc")
    if start.null_count() or start.is_duplicated().any():
        raise TableError(f"{payload.name}, column {times[0]}: a time is missing or stands twice; remove one")
    return values.with_columns(start).with_row_index("row", offset=2).cast({"row": pl.Int32}), found[2]
