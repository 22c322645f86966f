"""Spreadsheets as publishers write them: every cell as text, every line counted."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from gridmargin.sources.source import Payload
from gridmargin.vocab import TableError

HEADER_WITHIN = 30
"""Lines above a header: a title, a date of publication, a note."""


def read_sheets(payload: Payload, needed: Sequence[str], last_row: int = 0) -> pl.DataFrame | None:
    """Read the sheets that have a header with all the names in `needed`, one below the other, as text.

    Parameters
    ----------
    last_row : int
        How many lines were counted before.

    Returns
    -------
    DataFrame or None
        The needed columns and `row`: lines are counted through all sheets from 1, whatever stands on them. None where
        no sheet has such a header.

    Raises
    ------
    TableError
        If it is no spreadsheet, or a damaged one, or if what reads spreadsheets is not installed.
    """
    try:
        from fastexcel import (
            FastExcelError,
            read_excel,
        )  # a reader of its own, for those who have such a table
    except ModuleNotFoundError:
        raise TableError(
            f"{payload.name} is a spreadsheet, and what reads those is not installed: pip install fastexcel, or set up anew"
        ) from None

    parts = []
    try:
        book = read_excel(payload.body)
        for name in book.sheet_names:
            cells = book.load_sheet(name, header_row=None, skip_rows=0, dtypes="string").to_polars()
            part = _below_header(cells, needed, last_row)
            last_row += cells.height
            if part is not None:
                parts.append(part)
    except FastExcelError as error:
        told = str(error).partition("\n")[0]
        raise TableError(
            f"{payload.name} is no spreadsheet that can be read ({told}); fetch it again"
        ) from None
    return pl.concat(parts) if parts else None


def _below_header(cells: pl.DataFrame, needed: Sequence[str], last_row: int) -> pl.DataFrame | None:
    for number, line in enumerate(cells.head(HEADER_WITHIN).rows(), start=1):
        names = [None if text is None else text.strip() for text in line]
        if all(name in names for name in needed):
            return cells.select(
                (pl.int_range(pl.len(), dtype=pl.Int32) + last_row + 1).alias("row"),
                *(pl.col(cells.columns[names.index(name)]).alias(name) for name in needed),
            ).slice(number)
    return None
