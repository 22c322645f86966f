"""Tables of generation by fuel: a column a fuel turned into a row a value, and publishers' words into quantities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from gridmargin.sources.delimited import numbers
from gridmargin.sources.source import Payload
from gridmargin.vocab import Cell, TableError

AND = " + "
"""Between the columns of a value that is published in parts."""


def long_of_wide(
    table: pl.DataFrame, payload: Payload, columns_of: Mapping[str, Sequence[str]]
) -> pl.DataFrame:
    """Turn a table with a column a fuel into one with a row a value.

    Parameters
    ----------
    table : polars.DataFrame
        Texts, with `row` and `start_utc`.
    columns_of : mapping of str to sequence of str
        Per quantity the columns whose sum it is; where a part is empty the sum is absent (C2).
    """
    parts = []
    for quantity, columns in columns_of.items():
        value = numbers(table, payload, list(columns)).sum(axis=1)
        parts.append(
            table.select("start_utc", "row").with_columns(
                pl.lit(quantity).alias("quantity"),
                pl.Series("value", np.where(np.isfinite(value), value, np.nan), nan_to_null=True),
                pl.lit(AND.join(columns)).alias("column"),
            )
        )
    return pl.concat(parts)


def sum_of_cells(cell: Cell, text_of: Callable[[Cell], str]) -> str:
    """Give what stands in a cell; of a value published in parts, their sum."""
    names = cell.column.split(AND)
    if len(names) == 1:
        return text_of(cell)
    texts = [text_of(Cell(cell.payload_sha256, cell.row, name)) for name in names]
    return repr(sum(float(text.replace(",", "")) for text in texts))


def quantities_of(
    table: pl.DataFrame, payload: Payload, column: str, known: Mapping[str, str], left: Sequence[str] = ()
) -> pl.DataFrame:
    """Name what each row states in column `quantity`, by the publisher's own word for it; rows of `left` go.

    Raises
    ------
    TableError
        If a word is not known: a new kind of plant must be placed by somebody, not dropped.
    """
    table = table.filter(~pl.col(column).is_in(list(left)))
    unknown = table.filter(~pl.col(column).is_in(list(known)))
    if unknown.height:
        raise TableError(
            f"{payload.name}, row {unknown['row'][0]}, column {column}: {unknown[column][0]!r} is not known; known:"
            f" {', '.join([*known, *left])}"
        )
    return table.with_columns(pl.col(column).replace_strict(known, return_dtype=pl.String).alias("quantity"))
