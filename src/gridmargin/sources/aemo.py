"""AEMO: demand and net interchange of the regions of Australia's National Electricity Market, every half hour.

The monthly table `PUBLIC_DVD_TRADINGREGIONSUM_YYYYMMDDhhmm.CSV` in the operator's own format: a `C` line, an `I` line
with the columns, `D` lines, and a last `C` line that states how many lines the file has. Labels are market time
(UTC+10 all year, no daylight saving) and name the **end** of the interval.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl

from gridmargin.sources.delimited import text_of
from gridmargin.sources.folders import files_matching, refuse_repeats
from gridmargin.sources.observation import OBSERVATION_SCHEMA, Observations
from gridmargin.sources.source import Payload
from gridmargin.vocab import Cell, InputError, Interval, Status, TableError, sha256_hex

INTERVAL_S = 1800
MARKET_TIME = timezone(timedelta(hours=10))
REGIONS = {"AU-NSW": "NSW1", "AU-QLD": "QLD1", "AU-SA": "SA1", "AU-TAS": "TAS1", "AU-VIC": "VIC1"}
"""Our zones and the operator's regions."""

_MONTHLY = r"PUBLIC_DVD_TRADINGREGIONSUM_(\d{4})(\d{2})\d{6}\.CSV(\.gz)?"
QUANTITIES = {"TOTALDEMAND": ("demand_mw", 1.0), "NETINTERCHANGE": ("net_imports_mw", -1.0)}
"""Their column, our quantity, and the factor between: their net interchange counts what goes out."""


class Aemo:
    """AEMO's monthly region tables in a folder, packed or not."""

    name = "aemo"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = files_matching(folder, _MONTHLY)
        refuse_repeats(paths, lambda path: f"AEMO's regions of {_month_of(path):%B %Y}")
        self._months = {_month_of(path): path for path in paths}

    def zones(self) -> list[str]:
        """List the five regions where there are tables."""
        return sorted(REGIONS) if self._months else []

    def interval_s(self, zone: str) -> int:
        """Give half an hour. [s]"""
        del zone
        return INTERVAL_S

    def span(self, zone: str) -> Interval:
        """Give the stretch from the first month's start to the last one's end."""
        del zone
        if not self._months:
            raise InputError(f"no files named PUBLIC_DVD_TRADINGREGIONSUM_*.CSV under {self.folder}")
        return Interval(min(self._months).astimezone(UTC), _next(max(self._months)).astimezone(UTC))

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the monthly tables that touch `interval`."""
        del zone
        for month in sorted(self._months):
            if Interval(month.astimezone(UTC), _next(month).astimezone(UTC)).overlap(interval):
                path = self._months[month]
                yield Payload(self.name, path.name, path.read_bytes())

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one monthly table into observations of every region."""
        table = market_table(payload, "REGIONSUM", ("SETTLEMENTDATE", "REGIONID", *QUANTITIES))
        starts = market_starts(payload, table)
        zones = {region: zone for zone, region in REGIONS.items()}
        known = table.with_columns(
            starts.alias("start_utc"),
            pl.col("REGIONID").replace_strict(zones, default=None, return_dtype=pl.String).alias("zone"),
        ).filter(
            pl.col("zone").is_not_null()
            & pl.col("start_utc").is_between(interval.start_utc, interval.end_utc, closed="left")
        )
        parts = [
            known.select(
                "zone",
                "start_utc",
                pl.lit(INTERVAL_S, pl.Int32).alias("interval_s"),
                pl.lit(quantity).alias("quantity"),
                (_numbers(payload, known, column) * factor).alias("value"),
                pl.lit(Status.REPORTED.value).alias("status"),
                pl.lit(sha256_hex(payload.body)).alias("payload_sha256"),
                "row",
                pl.lit(column).alias("column"),
            )
            for column, (quantity, factor) in QUANTITIES.items()
        ]
        return Observations(
            pl.concat(parts).filter(pl.col("value").is_not_null()).select(OBSERVATION_SCHEMA.keys())
        )

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell."""
        columns: list[str] = []
        lines = io.StringIO(text_of(payload).decode("utf-8", "replace"))
        for number, record in enumerate(csv.reader(lines), start=1):
            if record[:1] == ["I"]:
                columns = record
            if number == cell.row:
                return record[columns.index(cell.column)]
        raise TableError(f"{payload.name} has no row {cell.row}")


def market_table(payload: Payload, name: str, needed: tuple[str, ...]) -> pl.DataFrame:
    """Read the `D` lines of one table of the operator's format as text, with the line of each as `row`.

    Raises
    ------
    TableError
        If the file has no such table or column, a line is broken, or it ends before it says that it does.
    """
    body = text_of(payload).decode("utf-8", "replace")
    try:
        lines = list(csv.reader(io.StringIO(body), strict=True))
    except csv.Error as error:
        raise TableError(f"{payload.name} is cut short or damaged ({error}); fetch it again") from None
    header = next((record for record in lines if record[:1] == ["I"] and name in record[:3]), None)
    if header is None:
        raise TableError(
            f"{payload.name}: no line I,…,{name}: this is no such table of AEMO's; fetch it again"
        )
    missing = [column for column in needed if column not in header]
    if missing:
        raise TableError(f"{payload.name}: no column {missing[0]!r}; found {', '.join(header[4:12])} …")
    last = lines[-1]
    if last[:2] != ["C", "END OF REPORT"] or not last[2:] or last[2] != str(len(lines)):
        raise TableError(
            f"{payload.name}, row {len(lines)}: no closing line with the count of lines; the table is cut short: fetch it again"
        )
    rows, numbers = [], []
    for number, record in enumerate(lines, start=1):
        if record[:1] != ["D"] or name not in record[:3]:
            continue
        if len(record) != len(header):
            raise TableError(
                f"{payload.name}, row {number}: {len(record)} cells, its header has {len(header)}; fetch it again"
            )
        rows.append([record[header.index(column)] for column in needed])
        numbers.append(number)
    if not rows:
        raise TableError(f"{payload.name} has a header and no rows; fetch it again")
    frame = pl.DataFrame(rows, schema=dict.fromkeys(needed, pl.String), orient="row")
    return frame.with_columns(pl.Series("row", numbers, dtype=pl.Int32))


def market_starts(payload: Payload, table: pl.DataFrame, column: str = "SETTLEMENTDATE") -> pl.Series:
    """Turn labels in market time, ends of half hours, into starts in UTC.

    Raises
    ------
    TableError
        Naming the first that is no such time.
    """
    text = table[column].str.replace_all("/", "-", literal=True)
    ends = text.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
    if ends.null_count():
        at = int(ends.is_null().arg_true()[0])
        raise TableError(
            f"{payload.name}, row {table['row'][at]}, column {column}: {table[column][at]!r} is not a time such as"
            " 2017/06/01 00:30:00"
        )
    return ends.dt.offset_by("-10h").dt.offset_by(f"-{INTERVAL_S}s").dt.replace_time_zone("UTC")


def _numbers(payload: Payload, table: pl.DataFrame, column: str) -> pl.Series:
    text = table[column].str.strip_chars()
    text = text.set(text == "", None)
    values = text.cast(pl.Float64, strict=False)
    wrong = text.is_not_null() & (values.is_null() | ~values.is_finite().fill_null(True))
    if wrong.any():
        at = int(wrong.arg_true()[0])
        raise TableError(
            f"{payload.name}, row {table['row'][at]}, column {column}: {table[column][at]!r} is not a number"
        )
    return values


def _month_of(path: Path) -> datetime:
    found = re.fullmatch(_MONTHLY, path.name)
    assert found is not None
    return datetime(int(found[1]), int(found[2]), 1, tzinfo=MARKET_TIME)


def _next(month: datetime) -> datetime:
    return (month + timedelta(days=31)).replace(day=1)
