"""Read delimited text so that every fault is named by file, row and column."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.sources.source import Payload
from gridmargin.vocab import Cell, TableError


def text_of(payload: Payload) -> bytes:
    """Give the payload's text, unpacked where it is gzipped.

    Raises
    ------
    TableError
        If it is cut short, empty, or a web page.
    """
    body = payload.body
    if body[:2] == b"\x1f\x8b":
        try:
            body = gzip.decompress(body)
        except (EOFError, OSError, zlib.error) as error:
            raise TableError(f"{payload.name} is cut short or damaged ({error}); fetch it again") from None
    head = body[:512].lstrip().lower()
    if not head:
        raise TableError(f"{payload.name} is empty; fetch it again")
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise TableError(
            f"{payload.name} is a web page, not a table: the publisher answered with an error page; fetch it again"
        )
    return body


def read_strings(payload: Payload, separator: str, needed: Sequence[str]) -> pl.DataFrame:
    """Read every column as text, with the line of each record as `row` (the header is line 1).

    Raises
    ------
    TableError
        If a needed column is missing or a record is broken.
    """
    body = text_of(payload)
    first = body.partition(b"\n")[0].decode("utf-8", "replace").strip().lstrip("\ufeff")
    header = [name.strip('"') for name in first.split(separator)]
    missing = [name for name in needed if name not in header]
    if missing:
        raise TableError(
            f"{payload.name}, row 1: no column {missing[0]!r}; found {', '.join(header[:12])}{' …' if len(header) > 12 else ''}"
        )
    _refuse_ragged(payload, body, separator.encode())
    try:
        frame = pl.read_csv(
            body, separator=separator, infer_schema=False, quote_char=None if separator == "\t" else '"'
        )
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise TableError(f"{payload.name} cannot be read as a table: {str(error).splitlines()[0]}") from None
    if frame.height == 0:
        raise TableError(f"{payload.name} has a header and no rows; fetch it again")
    return frame.with_row_index("row", offset=2).with_columns(pl.col("row").cast(pl.Int32))


def _refuse_ragged(payload: Payload, body: bytes, separator: bytes) -> None:
    # Polars fills a short record with nulls, and a table that is cut short ends in one.
    if b'"' in body:
        return
    header, _, rest = body.rstrip(b"\r\n").partition(b"\n")
    n_separators = header.count(separator)
    n_records = rest.count(b"\n") + 1 if rest else 0
    if body.count(separator) == n_separators * (n_records + 1):
        return
    for number, line in enumerate(rest.split(b"\n"), start=2):
        if line.count(separator) != n_separators:
            raise TableError(
                f"{payload.name}, row {number}: {line.count(separator) + 1} cells, its header has {n_separators + 1};"
                " the table is cut short or damaged: fetch it again"
            )


def numbers(frame: pl.DataFrame, payload: Payload, columns: list[str]) -> NDArray[np.float64]:
    """Turn text columns into numbers, thousands separators allowed; an empty cell is NaN, not zero.

    Returns
    -------
    array, shape (rows, columns)

    Raises
    ------
    TableError
        If a cell is not a number; names its row and column.
    """
    texts = frame.select(columns).unpivot(columns)["value"].str.replace_all(",", "", literal=True)
    values = texts.cast(pl.Float64, strict=False)
    wrong = (values.is_null() | ~values.is_finite()) & texts.is_not_null()
    if wrong.any():
        texts = texts.str.strip_chars()
        values = texts.cast(pl.Float64, strict=False)
        wrong = (values.is_null() | ~values.is_finite()) & texts.is_not_null() & (texts != "")
    if wrong.any():
        column, at = divmod(int(wrong.arg_true()[0]), frame.height)
        raise TableError(
            f"{payload.name}, row {frame['row'][at]}, column {columns[column]}: {frame[columns[column]][at]!r} is not"
            " a number; correct the cell"
        )
    return values.fill_null(np.nan).to_numpy().reshape(len(columns), frame.height).T


def to_numbers(frame: pl.DataFrame, payload: Payload, text: str = "text") -> pl.DataFrame:
    """Turn column `text` (with `row` and `column` beside it) into Float64 `value`; an empty cell is null, not zero.

    Raises
    ------
    TableError
        If a cell is not a number; names its row and column.
    """
    cleaned = pl.col(text).str.strip_chars().str.replace_all(",", "", literal=True)
    out = frame.with_columns(
        pl.when(cleaned != "").then(cleaned).alias("_clean")
    ).with_columns(pl.col("_clean").cast(pl.Float64, strict=False).alias("value"))  # fmt: skip
    bad = out.filter(
        pl.col("_clean").is_not_null() & (pl.col("value").is_null() | ~pl.col("value").is_finite())
    )
    if bad.height:
        first = bad.sort("row").row(0, named=True)
        raise TableError(
            f"{payload.name}, row {first['row']}, column {first['column']}: {first[text]!r} is not a number; correct the cell"
        )
    return out.drop("_clean")


def delimited_cell(payload: Payload, cell: Cell, separator: str) -> str:
    """Give the text of one cell."""
    lines = io.StringIO(text_of(payload).decode("utf-8", "replace").lstrip("\ufeff"))
    reader = csv.reader(lines, delimiter=separator)
    header = next(reader)
    for number, record in enumerate(reader, start=2):
        if number == cell.row:
            return record[header.index(cell.column)]
    raise TableError(f"{payload.name} has no row {cell.row}")
