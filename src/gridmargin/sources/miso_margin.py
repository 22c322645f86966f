"""Midcontinent ISO: the fuels on the margin in real time, `YYYY_rt_fuel_on_margin.zip`, a year's spreadsheet in a zip.

A row says of how many units of a fuel, in a region, the price was made in five minutes. Times are EST (UTC-5) all year;
whether one names the start or the end is not said, and is told from `Hour Ending` beside it: the two part on the hour.
A fuel's share is its units over all units of the interval, each counted alike.
https://www.misoenergy.org/markets-and-operations/real-time--market-data/market-reports/
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import polars as pl

from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.folders import files_matching, refuse_repeats
from gridmargin.sources.mix_tables import quantities_of
from gridmargin.sources.observation import Observations
from gridmargin.sources.packed import unpack
from gridmargin.sources.source import Payload
from gridmargin.sources.spreadsheets import read_sheets
from gridmargin.sources.stated import stated
from gridmargin.vocab import Cell, Fuel, InputError, Interval, TableError, published_margin_column, sha256_hex

ZONE = "US-MISO"
INTERVAL_S = 300
EST = timedelta(hours=-5)

ENDING = "_rt_fuel_on_margin.zip"
WORDS = {
    "battery storage": Fuel.BATTERY,
    "coal": Fuel.COAL,
    "gas": Fuel.GAS,
    "hydro": Fuel.HYDRO,
    "natural gas": Fuel.GAS,
    "nuclear": Fuel.NUCLEAR,
    "other": Fuel.OTHER,
    "solar": Fuel.SOLAR,
    "storage": Fuel.BATTERY,
    "wind": Fuel.WIND,
}
"""Their words in whatever case, and our fuels; another word is refused. They are those that the publisher names where the
same table is described in its Data Exchange, and those of its mix. Pumped hydro has no word of its own."""

REGIONS = ("central", "north", "south", "no_region")
WHOLE = "miso"
"""A region that is all of them: read where no other stands beside it, for it may count their units again."""

_TIME, _REGION, _FUEL, _COUNT, _HOUR = (
    "Time Interval EST",
    "Region Name",
    "Fuel Type",
    "Unit Count",
    "Hour Ending",
)
_OF, _AND = " of ", " + "
_NAME = rf"(\d{{4}}){re.escape(ENDING)}"
_SHEET = (".xls", ".xlsx", ".xlsb", ".xlsm")


class MisoMargin:
    """Reads a folder of yearly zips."""

    name = "miso_margin"
    states_margin = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = files_matching(folder, _NAME)
        refuse_repeats(paths, lambda path: f"MISO's fuels on the margin of {path.name[:4]}")
        self._years = {int(path.name[:4]): path for path in paths}

    def zones(self) -> list[str]:
        """List `US-MISO` where there are tables."""
        return [ZONE] if self._years else []

    def interval_s(self, zone: str) -> int:
        """Give five minutes. [s]"""
        del zone
        return INTERVAL_S

    def span(self, zone: str) -> Interval:
        """Give the stretch from the first year's start to the last one's end, whether or not that is full."""
        del zone
        if not self._years:
            raise InputError(f"no files named YYYY{ENDING} under {self.folder}")
        return Interval(year_of(min(self._years)).start_utc, year_of(max(self._years)).end_utc)

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the years that touch `interval`, oldest first."""
        del zone
        for year, path in sorted(self._years.items()):
            if year_of(year).overlap(interval):
                yield Payload(self.name, path.name, path.read_bytes())

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn a year into the shares of its intervals."""
        return stated(margins(payload), payload, interval, INTERVAL_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give a fuel's part in the units of an interval."""
        return margin_text(payload, cell)


def year_of(year: int) -> Interval:
    """Give a year by the publisher's clock."""
    start, end = (datetime(one, 1, 1, tzinfo=UTC) - EST for one in (year, year + 1))
    return Interval(start, end)


def margins(payload: Payload) -> pl.DataFrame:
    """Give `zone, start_utc, quantity, value, row, column` of a whole year."""
    return _read(payload.source, payload.name, payload.body, sha256_hex(payload.body))


def margin_text(payload: Payload, cell: Cell) -> str:
    """Give a fuel's part in the units of an interval."""
    found = margins(payload).filter((pl.col("row") == cell.row) & (pl.col("column") == cell.column))
    if not found.height:
        raise TableError(f"{payload.name} has no row {cell.row} with {cell.column}")
    return repr(found["value"][0])


@lru_cache(maxsize=2)
def _read(source: str, name: str, body: bytes, digest: str) -> pl.DataFrame:
    del digest
    payload = Payload(source, name, body)
    table = _placed(_rows(payload), payload)
    table = to_numbers(_started(table, payload).with_columns(pl.lit(_COUNT).alias("column")), payload, _COUNT)
    _refuse(table, payload, _COUNT, (pl.col("value") < 0) | (pl.col("value") % 1 != 0), "a number of units")
    names = {word: published_margin_column(fuel) for word, fuel in WORDS.items()}
    table = quantities_of(table.with_columns(_word(_FUEL).alias(_FUEL)), payload, _FUEL, names)
    repeated = table.filter(pl.struct("start_utc", _REGION, _FUEL).is_first_distinct().not_())
    if repeated.height:
        row = repeated.row(0, named=True)
        raise TableError(
            f"{name}, row {row['row']}: states {row[_FUEL]} of {row[_REGION]} at {row[_TIME]} a second time; remove one"
        )
    return (
        table.group_by("start_utc", "quantity", maintain_order=True)
        .agg(
            pl.col("row").first(),
            pl.col(_FUEL).unique(maintain_order=True).str.join(_AND),
            _total(pl.col("value")),
        )
        .with_columns((pl.col("value") / _total(pl.col("value")).over("start_utc")).alias("value"))
        .filter(pl.col("value").is_finite())
        .select(
            pl.lit(ZONE).alias("zone"),
            "start_utc",
            "quantity",
            "value",
            "row",
            (pl.lit(f"{_COUNT}{_OF}") + pl.col(_FUEL)).alias("column"),
        )
        .sort("start_utc", "row")
    )


def _rows(payload: Payload) -> pl.DataFrame:
    """Give the lines of all sheets that fill more than one of the columns: notes stand above and below them."""
    needed = (_TIME, _REGION, _FUEL, _COUNT, _HOUR)
    parts, last_row = [], 0
    for name, body in unpack(payload).items():
        if not name.lower().endswith(_SHEET):
            continue
        part = read_sheets(Payload(payload.source, f"{payload.name}, {name}", body), needed, last_row)
        if part is not None:
            parts.append(part)
            last_row = int(part["row"][-1]) if part.height else last_row
    if not parts:
        raise TableError(
            f"{payload.name} holds no spreadsheet with the columns {', '.join(needed)}; fetch it again"
        )
    table = pl.concat(parts).filter(pl.sum_horizontal(_word(name).fill_null("") != "" for name in needed) > 1)
    if not table.height:
        raise TableError(f"{payload.name} has a header and no rows; fetch it again")
    return table


def _placed(table: pl.DataFrame, payload: Payload) -> pl.DataFrame:
    region = _word(_REGION).fill_null("")
    known = ", ".join((*REGIONS, WHOLE))
    _refuse(
        table, payload, _REGION, ~region.is_in((*REGIONS, WHOLE)), f"a region that is known; known: {known}"
    )
    table = table.with_columns(region.alias(_REGION))
    if table[_REGION].n_unique() > 1:
        _refuse(
            table,
            payload,
            _REGION,
            pl.col(_REGION) == WHOLE,
            f"read beside {', '.join(REGIONS)}, whose units it may hold again",
        )
    return table


def _started(table: pl.DataFrame, payload: Payload) -> pl.DataFrame:
    """Add `start_utc`; whether a time names the start or the end is told by the hour that it is counted to."""
    text = pl.col(_TIME).str.strip_chars()
    forms = ("%m/%d/%Y %I:%M:%S %p", "%Y-%m-%d %H:%M:%S%.f")
    table = table.with_columns(
        pl.coalesce(text.str.to_datetime(form, time_unit="us", strict=False) for form in forms)
        .dt.round("1s")
        .alias("label"),
        pl.col(_HOUR).str.strip_chars().cast(pl.Float64, strict=False).alias("hour"),
    )
    is_none = pl.col("label").is_null() | (pl.col("label").dt.truncate("5m") != pl.col("label"))
    _refuse(table, payload, _TIME, is_none, "a time such as 09/24/2026 02:05:00 PM, in steps of five minutes")
    _refuse(
        table,
        payload,
        _HOUR,
        ~pl.col("hour").is_between(1, 24).fill_null(value=False),
        "an hour from 1 to 24",
    )
    ends = (pl.col("label") - pl.duration(seconds=INTERVAL_S)).dt.hour() + 1
    by_start, by_end = (
        table.filter(hour.cast(pl.Float64) != pl.col("hour"))
        for hour in (pl.col("label").dt.hour() + 1, ends)
    )
    if by_start.height and by_end.height:
        row = by_start.row(0, named=True)
        raise TableError(
            f"{payload.name}, row {row['row']}, column {_HOUR}: {row[_HOUR]!r} is not the hour of {row[_TIME]}, nor are"
            f" they so throughout with times that name the end (row {by_end['row'][0]}); correct the table"
        )
    if not by_start.height and not by_end.height:
        raise TableError(
            f"{payload.name}: no time lies on the hour, so nothing says whether a time names the start of its five"
            " minutes or the end; give a longer table"
        )
    start = pl.col("label") if not by_start.height else pl.col("label") - pl.duration(seconds=INTERVAL_S)
    return table.with_columns((start - EST).dt.replace_time_zone("UTC").alias("start_utc"))


def _refuse(table: pl.DataFrame, payload: Payload, column: str, wrong: pl.Expr, want: str) -> None:
    bad = table.filter(wrong)
    if bad.height:
        raise TableError(
            f"{payload.name}, row {bad['row'][0]}, column {column}: {bad[column][0]!r} is not {want}"
        )


def _word(column: str) -> pl.Expr:
    return pl.col(column).str.strip_chars().str.to_lowercase()


def _total(value: pl.Expr) -> pl.Expr:
    """Add up; where one is not known neither is the sum (C2)."""
    return pl.when(value.null_count() == 0).then(value.sum())
