"""A quantity that is published as several rows of one moment, such as a load by area or a border by cable: their sum.

Its cell is the first of the rows, and its column names them all, so that the sum can be made again from the payload.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import polars as pl

from gridmargin.sources.source import Payload
from gridmargin.vocab import Cell, TableError

AND, OF = "+", " of "


def sums_of_rows(
    table: pl.DataFrame, column: str, names_of: Mapping[str, Sequence[str]], factor: float = 1.0
) -> pl.DataFrame:
    """Sum the rows of each moment.

    Parameters
    ----------
    table : polars.DataFrame
        `start_utc`, `row`, `name`, `value`; one row a moment and name.
    column : str
        What the publisher calls the values.
    names_of : mapping of str to sequence of str
        Per quantity the names whose sum it is. Those that the table lists nowhere are not there yet; where one that it
        lists is silent for a moment, the sum of that moment is absent (C2).
    factor : float
        What a sum is multiplied by. [1]
    """
    listed = set(table["name"].unique())
    parts = []
    for quantity, names in names_of.items():
        there = [name for name in names if name in listed]
        if not there:
            continue
        total = (
            table.filter(pl.col("name").is_in(there))
            .group_by("start_utc", maintain_order=True)
            .agg(pl.col("value").sum() * factor, pl.col("value").count().alias("n"), pl.col("row").min())
            .filter(pl.col("n") == len(there))
        )
        parts.append(
            total.select(
                "start_utc",
                "row",
                pl.lit(quantity).alias("quantity"),
                "value",
                pl.lit(f"{column}{OF}{AND.join(there)}").alias("column"),
            )
        )
    return pl.concat(parts)


def sum_text(table: pl.DataFrame, payload: Payload, cell: Cell) -> str:
    """Give the sum that a cell of `sums_of_rows` names, read again from the same table."""
    first = table.filter(pl.col("row") == cell.row)
    if not first.height:
        raise TableError(f"{payload.name} has no row {cell.row}")
    names = cell.column.partition(OF)[2].split(AND)
    mine = table.filter((pl.col("start_utc") == first["start_utc"][0]) & pl.col("name").is_in(names))
    return repr(math.fsum(mine["value"]))


def refuse_unplaced(
    table: pl.DataFrame, payload: Payload, column: str, known: Collection[str], what: str
) -> None:
    """Refuse a name that nobody placed.

    Raises
    ------
    TableError
        Naming the first: a sum without it would be too small and look whole.
    """
    unknown = table.filter(~pl.col("name").is_in(list(known)))
    if unknown.height:
        raise TableError(
            f"{payload.name}, row {unknown['row'][0]}, column {column}: {unknown['name'][0]!r} is no {what} that is known;"
            f" known: {', '.join(known)}"
        )
