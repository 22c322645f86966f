"""Load a reference table; refuse a row without its source.

A table is a CSV in this folder. Every row has `source` (document, edition, table or command) and `as_of`
(year or date); numeric columns carry their unit in the name.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files

from gridmargin.vocab import TableError

Row = dict[str, str]


@cache
def load_table(name: str) -> tuple[Row, ...]:
    """Read `NAME.csv` of this folder; a name may begin with a folder inside it.

    Raises
    ------
    TableError
        If a row lacks its source or date.
    """
    text = (files("gridmargin.reference") / f"{name}.csv").read_text(encoding="utf-8")
    rows = tuple(csv.DictReader(text.splitlines()))
    for number, row in enumerate(rows, start=2):
        if not row.get("source") or not row.get("as_of"):
            raise TableError(f"reference table {name}.csv, row {number}: a figure needs its source and as_of")
    return rows
