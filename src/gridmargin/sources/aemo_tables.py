"""AEMO's own table format: a `C` line, an `I` line with the columns, `D` lines, and a `C` line that counts them all.

Labels are market time (UTC+10 all year, no daylight saving) and name the end of the interval.
"""

from __future__ import annotations

import csv
import io
from datetime import timedelta, timezone

import polars as pl

from gridmargin.sources.delimited import text_of
from gridmargin.sources.source import Payload
from gridmargin.vocab import TableError

INTERVAL_S = 1800
MARKET_TIME = timezone(timedelta(hours=10))


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


def market_starts(
    payload: Payload, table: pl.DataFrame, column: str = "SETTLEMENTDATE", interval_s: int = INTERVAL_S
) -> pl.Series:
    """Turn labels in market time, ends of intervals, into starts in UTC.

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
    return ends.dt.offset_by("-10h").dt.offset_by(f"-{interval_s}s").dt.replace_time_zone("UTC")


def market_numbers(payload: Payload, table: pl.DataFrame, column: str) -> pl.Series:
    """Turn a column of text into numbers; an empty cell is null.

    Raises
    ------
    TableError
        Naming the first that is no number.
    """
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
