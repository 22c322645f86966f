"""New York ISO: real-time fuel mix, `rtfuelmix`, as a day's table or as the month's zip of them.

Load, flows and prices, which are fetched live, are read by `nyiso_tables`.

`Time Stamp` is the prevailing local clock, `Time Zone` (`EST`, `EDT`) says which, and a stamp names the **end** of its
interval: a day's table begins at 00:05 and ends at 00:00 of the next. About one stamp in nine lies off the 5-minute
grid, because a dispatch ran late or extra; it belongs to the interval in which it falls, and where several fall in one
the last stands for it. Rows of a zip are counted through its tables in the order of their names, headers included.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from gridmargin.sources.delimited import delimited_cell, read_strings, to_numbers
from gridmargin.sources.folders import files_matching
from gridmargin.sources.nyiso_tables import INTERVAL_S, UTC_OFFSETS, ZONE, kind_of, parse_table, table_text
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

FUELS = {
    "Dual Fuel": Fuel.GAS_OIL,
    "Hydro": Fuel.HYDRO,
    "Natural Gas": Fuel.GAS,
    "Nuclear": Fuel.NUCLEAR,
    "Other Fossil Fuels": Fuel.OIL,
    "Other Renewables": Fuel.OTHER,
    "Wind": Fuel.WIND,
}
"""Their categories and ours. `Dual Fuel` burns gas or oil and says not which; `Other Fossil Fuels` is oil and kerosene
since the last coal plant closed in March 2020; `Other Renewables` mixes sun, refuse, methane, wood and stores."""

_COLUMNS = ("Time Stamp", "Time Zone", "Fuel Category", "Gen MW")


class NyIso:
    """Reads `YYYYMMDDrtfuelmix.csv` and `YYYYMMDDrtfuelmix_csv.zip`."""

    name = "nyiso"
    states_margin = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths = files_matching(folder, r"\d{8}rtfuelmix(\.csv|_csv\.zip)")

    def zones(self) -> list[str]:
        """List `US-NYIS` where there are tables."""
        return [ZONE] if self._paths else []

    def interval_s(self, zone: str) -> int:
        """Give five minutes. [s]"""
        del zone
        return INTERVAL_S

    def span(self, zone: str) -> Interval:
        """Give the stretch by the first and the last table, without reading the others."""
        del zone
        if not self._paths:
            raise InputError(f"no table named YYYYMMDDrtfuelmix.csv or its zip under {self.folder}")
        spans = [_span(path) for path in self._paths]
        return Interval(min(span.start_utc for span in spans), max(span.end_utc for span in spans))

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the tables and zips that touch `interval`, oldest first."""
        del zone
        for path in self._paths:
            if _span(path).overlap(interval):
                yield Payload(self.name, path.name, path.read_bytes())

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one table, or all of a zip, into observations."""
        if kind_of(payload):
            return parse_table(payload, _tables(payload), interval)
        table, last_row = [], 0
        for member in _tables(payload):
            part = read_strings(member, ",", _COLUMNS)
            table.append(_timed(part, member).with_columns(pl.col("row") + last_row))
            last_row += part.height + 1
        stamped = pl.concat(table)
        unknown = stamped.filter(~pl.col("Fuel Category").is_in(list(FUELS)))
        if unknown.height:
            raise TableError(
                f"{payload.name}, row {unknown['row'][0]}, column Fuel Category: {unknown['Fuel Category'][0]!r} is not"
                f" known; known: {', '.join(FUELS)}"
            )
        chosen = stamped.filter(
            pl.col("start_utc").is_between(interval.start_utc, interval.end_utc, closed="left")
        ).filter(pl.col("end_utc") == pl.col("end_utc").max().over("start_utc"))
        chosen = chosen.unique(["end_utc", "Fuel Category", "Gen MW"], keep="last", maintain_order=True)
        long = chosen.select(
            "start_utc",
            "row",
            "Fuel Category",
            pl.lit("Gen MW").alias("column"),
            pl.col("Gen MW").alias("text"),
        )
        out = to_numbers(long, payload).filter(pl.col("value").is_not_null())
        return Observations(
            out.select(
                pl.lit(ZONE).alias("zone"),
                "start_utc",
                pl.lit(INTERVAL_S, dtype=pl.Int32).alias("interval_s"),
                pl.col("Fuel Category")
                .replace_strict({name: generation_column(fuel) for name, fuel in FUELS.items()})
                .alias("quantity"),
                "value",
                pl.lit(Status.REPORTED.value).alias("status"),
                pl.lit(sha256_hex(payload.body)).alias("payload_sha256"),
                pl.col("row").cast(pl.Int32),
                "column",
            ).select(OBSERVATION_SCHEMA.keys())
        )

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell; of a load, a border or a price, what its cells come to."""
        if kind_of(payload):
            return table_text(payload, _tables(payload), cell)
        before = 0
        for member in _tables(payload):
            n_rows = len(member.body.rstrip(b"\r\n").splitlines())
            if cell.row <= before + n_rows:
                return delimited_cell(member, Cell(cell.payload_sha256, cell.row - before, cell.column), ",")
            before += n_rows
        raise TableError(f"{payload.name} has no row {cell.row}")


def _tables(payload: Payload) -> list[Payload]:
    """Give a zip's tables in the order of their names, or the one table itself."""
    if payload.body[:2] != b"PK":
        return [payload]
    try:
        with zipfile.ZipFile(io.BytesIO(payload.body)) as packed:
            names = sorted(name for name in packed.namelist() if name.endswith(".csv"))
            tables = [Payload(payload.source, f"{payload.name}/{name}", packed.read(name)) for name in names]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise TableError(f"{payload.name} is cut short or damaged ({error}); fetch it again") from None
    if not tables:
        raise TableError(f"{payload.name} holds no table; fetch it again")
    return tables


def _timed(table: pl.DataFrame, payload: Payload) -> pl.DataFrame:
    table = table.with_columns(
        (
            pl.col("Time Stamp").str.strip_chars()
            + pl.col("Time Zone").str.strip_chars().replace_strict(UTC_OFFSETS, default=None)
        )
        .str.to_datetime("%m/%d/%Y %H:%M:%S%:z", time_unit="us", time_zone="UTC", strict=False)
        .alias("end_utc")
    )
    bad = table.filter(pl.col("end_utc").is_null())
    if bad.height:
        row = bad.row(0, named=True)
        raise TableError(
            f"{payload.name}, row {row['row']}, column Time Stamp: {row['Time Stamp']!r} {row['Time Zone']!r} is not a time"
            f" such as 02/01/2025 00:05:00 with a zone of {', '.join(UTC_OFFSETS)}"
        )
    just_before = pl.col("end_utc") - pl.duration(microseconds=1)
    return table.with_columns(just_before.dt.truncate(f"{INTERVAL_S}s").alias("start_utc"))


def _span(path: Path) -> Interval:
    tables = _tables(Payload(NyIso.name, path.name, path.read_bytes()))
    first, last = (_timed(read_strings(t, ",", _COLUMNS), t)["start_utc"] for t in (tables[0], tables[-1]))
    start, end = first.min(), last.max()
    assert isinstance(start, datetime)
    assert isinstance(end, datetime)
    return Interval(start, end + timedelta(seconds=INTERVAL_S))
