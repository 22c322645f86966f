"""ISO New England: `genfuelmix` answers, generation by fuel with the operator's own marginal flag.

Load, flows and prices, which are fetched live, are read by `isone_tables`.
As the table of the web page, or as the web service's JSON: the fields are the same, and a record is a line. One line per snapshot and fuel category: `BeginDate` (with its offset), `GenMw`, `FuelCategoryRollup`, `FuelCategory`,
`MarginalFlag`. A snapshot states an instant and comes at no fixed step, every six minutes on average. It is laid on the 5-minute grid by the
interval that holds its instant; where several fall in one, the last stands for it and the others are left in the
payload; an interval that holds none has no state. Nothing is carried on or interpolated (C2). A category that a
snapshot does not list is not known there, neither its output nor its flag.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import polars as pl

from gridmargin.sources.delimited import delimited_cell, read_strings, text_of, to_numbers
from gridmargin.sources.folders import files_matching
from gridmargin.sources.isone_tables import INTERVAL_S, ZONE, kind_of, parse_table, table_text
from gridmargin.sources.json_rows import read_records, record_cell
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
    published_margin_column,
    sha256_hex,
)

FUELS = {
    "Coal": Fuel.COAL,
    "Hydro": Fuel.HYDRO,
    "Landfill Gas": Fuel.BIOGAS,
    "Natural Gas": Fuel.GAS,
    "Nuclear": Fuel.NUCLEAR,
    "Oil": Fuel.OIL,
    "Other": Fuel.OTHER,
    "Refuse": Fuel.WASTE,
    "Solar": Fuel.SOLAR,
    "Wind": Fuel.WIND,
    "Wood": Fuel.BIOMASS,
}
"""Their fuel categories and ours, one to one, so that every observation is one cell."""

FLAGS = {"Y": 1.0, "N": 0.0}
RECORDS = ("GenFuelMixes", "GenFuelMix")
"""Where the web service's answer lists its records."""

_COLUMNS = ("BeginDate", "GenMw", "FuelCategory", "MarginalFlag")
_QUANTITY_OF = {"GenMw": generation_column, "MarginalFlag": published_margin_column}


class IsoNe:
    """Reads tables whose name holds `genfuelmix`, packed or not."""

    name = "isone"
    states_margin = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths = files_matching(folder, r"(?i).*genfuelmix.*\.csv(\.gz)?")

    def zones(self) -> list[str]:
        """List `US-ISNE` where there are tables."""
        return [ZONE] if self._paths else []

    def interval_s(self, zone: str) -> int:
        """Give five minutes. [s]"""
        del zone
        return INTERVAL_S

    def span(self, zone: str) -> Interval:
        """Give the stretch from the first snapshot's interval to the last one's.

        A packed table in no order of time cannot be dated by its ends: its one column of times is read, once.
        """
        del zone
        if not self._paths:
            raise InputError(f"no table named genfuelmix.csv.gz under {self.folder}")
        spans = [_span(path, path.stat().st_mtime_ns) for path in self._paths]
        return Interval(min(span.start_utc for span in spans), max(span.end_utc for span in spans))

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the tables that touch `interval`, oldest first."""
        del zone
        spans = {path: _span(path, path.stat().st_mtime_ns) for path in self._paths}
        for path in sorted(self._paths, key=lambda path: spans[path].start_utc):
            if spans[path].overlap(interval):
                yield Payload(self.name, path.name, path.read_bytes())

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one table into observations; of the mix, of the snapshots that stand for intervals."""
        if kind_of(payload):
            return parse_table(payload, interval)
        table = _timed(payload)
        unknown = table.filter(~pl.col("FuelCategory").is_in(list(FUELS)))
        if unknown.height:
            raise TableError(
                f"{payload.name}, row {unknown['row'][0]}, column FuelCategory: {unknown['FuelCategory'][0]!r} is not"
                f" known; known: {', '.join(FUELS)}"
            )
        table = table.with_columns(
            pl.col("begin_utc").dt.truncate(f"{INTERVAL_S}s").alias("start_utc")
        ).filter(pl.col("start_utc").is_between(interval.start_utc, interval.end_utc, closed="left"))
        table = table.filter(pl.col("begin_utc") == pl.col("begin_utc").max().over("start_utc"))
        # The same answer fetched twice is one statement; two that differ are left in, and refused when assembled.
        table = table.unique(list(_COLUMNS), keep="last", maintain_order=True)
        flags = table.with_columns(pl.col("MarginalFlag").str.strip_chars().alias("flag"))
        bad = flags.filter(~pl.col("flag").is_in(list(FLAGS)))
        if bad.height:
            raise TableError(
                f"{payload.name}, row {bad['row'][0]}, column MarginalFlag: {bad['MarginalFlag'][0]!r} is neither Y nor N"
            )
        flags = flags.with_columns(pl.col("flag").replace_strict(FLAGS).alias("value"))
        keys = ["start_utc", "row", "FuelCategory"]
        power = to_numbers(
            table.select(*keys, pl.lit("GenMw").alias("column"), pl.col("GenMw").alias("text")), payload
        ).filter(pl.col("value").is_not_null())
        parts = [
            part.select(
                pl.lit(ZONE).alias("zone"),
                "start_utc",
                pl.lit(INTERVAL_S, dtype=pl.Int32).alias("interval_s"),
                pl.col("FuelCategory")
                .replace_strict({name: _QUANTITY_OF[column](fuel) for name, fuel in FUELS.items()})
                .alias("quantity"),
                "value",
                pl.lit(Status.REPORTED.value).alias("status"),
                pl.lit(sha256_hex(payload.body)).alias("payload_sha256"),
                "row",
                pl.lit(column).alias("column"),
            )
            for column, part in (("GenMw", power), ("MarginalFlag", flags))
        ]
        return Observations(pl.concat(parts).select(OBSERVATION_SCHEMA.keys()))

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell; a flag is `Y` or `N`."""
        if kind_of(payload):
            return table_text(payload, cell)
        if _is_json(payload):
            return record_cell(payload, RECORDS, cell)
        return delimited_cell(payload, cell, ",")


def _is_json(payload: Payload) -> bool:
    return payload.body[:1] == b"{"


def _timed(payload: Payload) -> pl.DataFrame:
    if _is_json(payload):
        table = read_records(payload, RECORDS, _COLUMNS)
    else:
        table = read_strings(payload, ",", _COLUMNS)
    text = pl.col("BeginDate").str.strip_chars()
    # One form at a time: with and without a fraction of the second.
    table = table.with_columns(
        pl.coalesce(
            text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
            for form in ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%:z")
        ).alias("begin_utc")
    )
    bad = table.filter(pl.col("begin_utc").is_null())
    if bad.height:
        raise TableError(
            f"{payload.name}, row {bad['row'][0]}, column BeginDate: {bad['BeginDate'][0]!r} is not a time with an"
            " offset, such as 2024-01-01T00:05:34.000-05:00"
        )
    return table


@lru_cache(maxsize=64)
def _span(path: Path, changed_ns: int) -> Interval:
    del changed_ns
    payload = Payload(IsoNe.name, path.name, path.read_bytes())
    text_of(payload)
    begins = _timed(payload)["begin_utc"]
    first, last = begins.min(), begins.max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return Interval(
        Interval.containing(first, INTERVAL_S).start_utc,
        Interval.containing(last, INTERVAL_S).start_utc + timedelta(seconds=INTERVAL_S),
    )
