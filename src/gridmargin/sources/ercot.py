"""ERCOT's 15-minute generation by fuel: the operator's own monthly settlement tables.

Energy per interval in MWh, one row a day and fuel, one column an interval. Columns are named by the interval's *end* in
Central prevailing time; `0:00` ends the day and so belongs to the next date's midnight. On the spring day the four
columns 2:15 to 3:00 are empty; on the autumn day the second pass of the hour stands in the `(DST)` columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from gridmargin.sources.delimited import delimited_cell, read_strings, to_numbers
from gridmargin.sources.folders import files_matching
from gridmargin.sources.observation import OBSERVATION_SCHEMA, Observations
from gridmargin.sources.source import Payload
from gridmargin.vocab import Cell, Fuel, InputError, Interval, Status, TableError, generation_column, sha256_hex

ZONE = "US-ERCO"
INTERVAL_S = 900
CENTRAL = "America/Chicago"

FUELS = {
    "Biomass": Fuel.BIOMASS,
    "Coal": Fuel.COAL,
    "Gas": Fuel.GAS_SIMPLE,  # the publisher's "Gas" is what is not combined cycle
    "Gas-CC": Fuel.GAS_CC,
    "Hydro": Fuel.HYDRO,
    "Nuclear": Fuel.NUCLEAR,
    "Other": Fuel.OTHER,
    "Solar": Fuel.SOLAR,
    "Wind": Fuel.WIND,
}

# FINAL is settled; INITIAL is published first and replaced by it. Both are what the operator reports.
SETTLEMENTS = {"FINAL": Status.REPORTED, "INITIAL": Status.ADJUSTED}

_MONTHLY = r"IntGenByFuel(\d{4})(\d{2})\.tsv(\.gz)?"
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})( \(DST\))?")


class Ercot:
    """Reads monthly tables named `IntGenByFuelYYYYMM.tsv`, gzipped or not."""

    name = "ercot"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._months = {_month_of(path): path for path in files_matching(folder, _MONTHLY)}

    def zones(self) -> list[str]:
        """List `US-ERCO` where there are tables."""
        return [ZONE] if self._months else []

    def interval_s(self, zone: str) -> int:
        """Give a quarter of an hour. [s]"""
        del zone
        return INTERVAL_S

    def span(self, zone: str) -> Interval:
        """Give the stretch from the first month's start to the last one's end."""
        del zone
        if not self._months:
            raise InputError(f"no files named IntGenByFuelYYYYMM.tsv.gz under {self.folder}")
        return Interval(_month_span(min(self._months)).start_utc, _month_span(max(self._months)).end_utc)

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the monthly tables that touch `interval`."""
        del zone
        for month in sorted(self._months):
            if _month_span(month).overlap(interval):
                path = self._months[month]
                yield Payload(self.name, path.name, path.read_bytes())

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one monthly table into observations of mean power."""
        wide = read_strings(payload, "\t", ("Date", "Fuel", "Settlement Type", "Total"))
        clocks = [name for name in wide.columns if _CLOCK.fullmatch(name)]
        if len(clocks) < 96:
            raise TableError(f"{payload.name}, row 1: {len(clocks)} interval columns, want the 96 from 0:15 to 0:00")
        _refuse_unknown(wide, payload)
        long = (
            wide.unpivot(clocks, index=["Date", "Fuel", "Settlement Type", "row"], variable_name="column", value_name="text")
            .join(_days(wide, payload), on="Date")
            .join(_ends(clocks), on="column")
        )
        start_s = pl.col("midnight_s") + _elapsed_s()
        out = (
            to_numbers(long, payload)
            .filter(pl.col("value").is_not_null())
            .with_columns(start_s.alias("start_s"))
            .filter(pl.col("start_s").is_not_null())
            .filter(pl.col("start_s").is_between(*_bounds(interval), closed="left"))
            .select(
                pl.lit(ZONE).alias("zone"),
                pl.from_epoch("start_s", time_unit="s").dt.cast_time_unit("us").dt.replace_time_zone("UTC").alias("start_utc"),
                pl.lit(INTERVAL_S, dtype=pl.Int32).alias("interval_s"),
                pl.col("Fuel").replace_strict({k: generation_column(v) for k, v in FUELS.items()}).alias("quantity"),
                (pl.col("value") * (3600 / INTERVAL_S)).alias("value"),  # MWh in a quarter-hour to mean MW
                pl.col("Settlement Type").replace_strict({k: v.value for k, v in SETTLEMENTS.items()}).alias("status"),
                pl.lit(sha256_hex(payload.body)).alias("payload_sha256"),
                "row",
                "column",
            )
        )
        return Observations(out.select(OBSERVATION_SCHEMA.keys()))

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell, thousands separators included."""
        return delimited_cell(payload, cell, "\t")


def _month_of(path: Path) -> tuple[int, int]:
    found = re.fullmatch(_MONTHLY, path.name)
    assert found is not None
    return int(found[1]), int(found[2])


def _month_span(month: tuple[int, int]) -> Interval:
    local = ZoneInfo(CENTRAL)
    turn = datetime(month[0] + month[1] // 12, month[1] % 12 + 1, 1, tzinfo=local)
    return Interval(datetime(*month, 1, tzinfo=local), turn)


def _refuse_unknown(wide: pl.DataFrame, payload: Payload) -> None:
    for column, known in (("Fuel", list(FUELS)), ("Settlement Type", list(SETTLEMENTS))):
        strange = wide.filter(~pl.col(column).is_in(known) | pl.col(column).is_null())
        if strange.height:
            row = strange.row(0, named=True)
            raise TableError(
                f"{payload.name}, row {row['row']}, column {column}: {row[column]!r} is not one of {', '.join(known)}"
            )
    twice = wide.filter(pl.struct("Date", "Fuel").is_duplicated())
    if twice.height:
        row = twice.row(1, named=True)
        raise TableError(f"{payload.name}, row {row['row']}: {row['Fuel']} on {row['Date']} stands there twice; remove one")


def _days(wide: pl.DataFrame, payload: Payload) -> pl.DataFrame:
    """Per date: UTC midnight and the length of the local day."""
    local = ZoneInfo(CENTRAL)
    rows = []
    for text, row in wide.group_by("Date", maintain_order=True).agg(pl.col("row").first()).iter_rows():
        try:
            day = datetime.strptime(text or "", "%m/%d/%Y").replace(tzinfo=local)
        except ValueError:
            raise TableError(f"{payload.name}, row {row}, column Date: {text!r} is not a date such as 07/15/2020") from None
        midnight = day.astimezone(UTC)
        after = (day + timedelta(days=1)).astimezone(UTC)
        rows.append((text, int(midnight.timestamp()), int((after - midnight).total_seconds())))
    return pl.DataFrame(
        rows, schema={"Date": pl.String, "midnight_s": pl.Int64, "day_s": pl.Int64}, orient="row"
    )


def _ends(clocks: list[str]) -> pl.DataFrame:
    """Per column: its end on the local clock, and whether it is the second pass of the autumn hour."""
    rows = []
    for name in clocks:
        found = _CLOCK.fullmatch(name)
        assert found is not None
        rows.append((name, (int(found[1]) * 3600 + int(found[2]) * 60) or 86_400, found[3] is not None))
    return pl.DataFrame(rows, schema={"column": pl.String, "end_s": pl.Int64, "second": pl.Boolean}, orient="row")


def _elapsed_s() -> pl.Expr:
    """Seconds from midnight to the interval's start as time really passed; null where the clock skipped it."""
    turn_s, hour_s = 2 * 3600, 3600
    start = pl.col("end_s") - INTERVAL_S
    short, long = pl.col("day_s") == 23 * hour_s, pl.col("day_s") == 25 * hour_s
    after = pl.col("end_s") > turn_s
    return (
        pl.when(short & after & (pl.col("end_s") <= turn_s + hour_s))
        .then(None)
        .when(pl.col("second") & ~long)
        .then(None)
        .when(short & after)
        .then(start - hour_s)
        .when(long & (after | pl.col("second")))
        .then(start + hour_s)
        .otherwise(start)
    )


def _bounds(interval: Interval) -> tuple[int, int]:
    return int(interval.start_utc.timestamp()), int(-(-interval.end_utc.timestamp() // 1))
