"""Read the records of a JSON answer so that every fault is named by file, record and field."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from gridmargin.sources.source import Payload
from gridmargin.vocab import Cell, TableError

Json = Any
"""Whatever JSON may hold; numbers stay the text that stood there."""


def read_json(payload: Payload) -> Json:
    """Give what the payload holds, every number as the text that stood there.

    Raises
    ------
    TableError
        If it is cut short, empty, or no JSON.
    """
    if not payload.body.strip():
        raise TableError(f"{payload.name} is empty; fetch it again")
    if payload.body.lstrip()[:1] == b"<":
        raise TableError(
            f"{payload.name} is a web page, not JSON: the publisher answered with an error page; fetch it again"
        )
    try:
        return json.loads(payload.body, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise TableError(
            f"{payload.name} is no JSON or cut short{where} ({str(error).partition(':')[0]}); fetch it again"
        ) from None


def inside(payload: Payload, found: Json, path: Sequence[str]) -> Json:
    """Follow field names into an answer.

    Raises
    ------
    TableError
        If one is not there; names it and what is.
    """
    for name in path:
        if not isinstance(found, dict) or name not in found:
            have = ", ".join(list(found)[:12]) if isinstance(found, dict) and found else type(found).__name__
            raise TableError(f"{payload.name}: no field {name!r}; found {have}")
        found = found[name]
    return found


def read_records(payload: Payload, path: Sequence[str], needed: Sequence[str]) -> pl.DataFrame:
    """Read the list of records under `path`, every field as text, with each record's number plus one as `row`.

    A field within a field is named by both, as `Location.$`. One record that is not in a list counts as a list of one. A field that is null in a record is null here.

    Raises
    ------
    TableError
        If a record lacks a needed field.
    """
    records = _records(payload, path)
    if not records:
        raise TableError(f"{payload.name}: {'.'.join(path)} lists no record; fetch it again")
    columns: dict[str, list[str | None]] = {name: [] for name in needed}
    for number, record in enumerate(records, start=2):
        for name in needed:
            value = record
            for part in name.split("."):
                if not isinstance(value, dict) or part not in value:
                    have = ", ".join(list(value)[:12]) if isinstance(value, dict) else type(value).__name__
                    raise TableError(f"{payload.name}, row {number}: no column {name!r}; found {have}")
                value = value[part]
            columns[name].append(None if value is None else str(value))
    frame = pl.DataFrame(columns, schema=dict.fromkeys(needed, pl.String))
    return frame.with_row_index("row", offset=2).with_columns(pl.col("row").cast(pl.Int32))


def lists_nothing(payload: Payload, path: Sequence[str]) -> bool:
    """Say whether the list under `path` is there and empty, as some publishers say that there is nothing yet."""
    return bool(inside(payload, read_json(payload), path) == [])


def record_cell(payload: Payload, path: Sequence[str], cell: Cell) -> str:
    """Give the text of one field of one record."""
    records = _records(payload, path)
    if not 2 <= cell.row <= len(records) + 1:
        raise TableError(f"{payload.name} has no row {cell.row}")
    return str(inside(payload, records[cell.row - 2], [cell.column]))


def _records(payload: Payload, path: Sequence[str]) -> list[Json]:
    found = inside(payload, read_json(payload), path)
    return found if isinstance(found, list) else [found]
