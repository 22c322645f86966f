"""Retirements: entries whose bodies left the book for a signed file. Their leaves stay, and so does word of where they are."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gridmargin.ledger.merkle import without
from gridmargin.ledger.notes import TreeHead
from gridmargin.ledger.rows import moment_of
from gridmargin.ledger.store import Connection
from gridmargin.vocab import InputError, Interval, Kind, TableError, canonical_json, format_utc

Stretches = Sequence[tuple[int, int]]
"""Leaves, ascending and half-open."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a retired file holds of one zone.

    Attributes
    ----------
    interval : Interval
        From the start of the first interval to the end of the last.
    n_entries : int
        Of either kind.
    """

    interval: Interval
    n_entries: int


@dataclass(frozen=True, slots=True)
class Retirement:
    """Entries that were taken out of the book, and the file that holds them.

    Attributes
    ----------
    file, sha256 : str
        Name and hash of the signed export.
    n_rows : int
        Entries in it.
    head : str
        The signed head that the file proves itself under.
    leaves : sequence of (int, int)
        The log's leaves whose entries are in it.
    holds : mapping
        By zone.
    before_utc : datetime
        Intervals that begin before this moment.
    zone : str or None
        The one zone asked for; None for all.
    recorded_utc : datetime
        When it was done.
    """

    file: str
    sha256: str
    n_rows: int
    head: str
    leaves: Stretches
    holds: Mapping[str, Held]
    before_utc: datetime
    zone: str | None
    recorded_utc: datetime
    retirement_id: int | None = None

    def __str__(self) -> str:
        return f"retired at {format_utc(self.recorded_utc)} into {self.file} (SHA-256 {self.sha256})"


def put_retirement(connection: Connection, record: Retirement, recorded_us: int) -> int:
    """Write a retirement and the stretches it covers down, and give its id."""
    holds = {
        zone: [int(h.interval.start_utc.timestamp()), int(h.interval.end_utc.timestamp()), h.n_entries]
        for zone, h in record.holds.items()
    }
    row = connection.execute(
        f"INSERT INTO retirements ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING retirement_id",
        (record.file, record.sha256, record.n_rows, record.head, canonical_json([list(s) for s in record.leaves]),
         canonical_json(holds), int(record.before_utc.timestamp()), record.zone, recorded_us),
    ).fetchall()[0]  # fmt: skip
    # What was retired before and restored since lies in a stretch already.
    connection.insert(
        "retired_leaves",
        ("first_leaf", "end_leaf", "retirement_id"),
        [(lo, hi, int(row[0])) for lo, hi in without(record.leaves, _stretches(connection))],
    )
    return int(row[0])


def put_restoration(connection: Connection, retirement_id: int, recorded_us: int) -> None:
    """Write down that the entries of a retirement are back.

    Raises
    ------
    InputError
        If they are back already.
    """
    back = "SELECT 1 FROM restorations WHERE retirement_id = ?"
    if connection.execute(back, (retirement_id,)).fetchone() is not None:
        raise InputError(
            f"the entries of retirement {retirement_id} were restored already; nothing was put back"
        )
    connection.execute(
        "INSERT INTO restorations (retirement_id, recorded_us) VALUES (?, ?)", (retirement_id, recorded_us)
    )


def delete_retired(connection: Connection, retirement_id: int, leaves: Stretches) -> int:
    """Take the bodies that a retirement covers out of the book; give how many there were."""
    if _stretches(connection, "WHERE retirement_id = ?", (retirement_id,)) != list(leaves):
        return _delete_again(connection, leaves)
    n_gone = 0
    for kind in Kind:
        condition = (
            "entry_id IN (SELECT l.record_id FROM retired_leaves s JOIN log_leaves l ON l.leaf_index >= s.first_leaf"
            f" AND l.leaf_index < s.end_leaf WHERE s.retirement_id = ? AND l.kind = '{kind.value}')"
        )
        table, values = f"{kind.value}_entries", (retirement_id,)
        n_gone += connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}", values).fetchone()[0]
        connection.execute(f"DELETE FROM {table} WHERE {condition}", values)
    return n_gone


def _delete_again(connection: Connection, leaves: Stretches) -> int:
    """Take bodies out of which some were retired before, stretch by stretch."""
    n_gone = 0
    for lo, hi in reversed(leaves):  # newest first: an entry stands while one that superseded it does
        for kind in Kind:
            condition = (
                "entry_id IN (SELECT record_id FROM log_leaves WHERE leaf_index >= ? AND leaf_index < ?"
                f" AND kind = '{kind.value}')"
            )
            table, values = f"{kind.value}_entries", (lo, hi)
            n_gone += connection.execute(
                f"SELECT count(*) FROM {table} WHERE {condition}", values
            ).fetchone()[0]
            connection.execute(f"DELETE FROM {table} WHERE {condition}", values)
    return n_gone


def _stretches(
    connection: Connection, where: str = "", values: tuple[Any, ...] = ()
) -> list[tuple[int, int]]:
    rows = connection.execute(
        f"SELECT first_leaf, end_leaf FROM retired_leaves {where} ORDER BY first_leaf", values
    )
    return [(int(lo), int(hi)) for lo, hi in rows]


def retirements(connection: Connection, *, standing: bool = False) -> list[Retirement]:
    """Give every retirement, oldest first; `standing` leaves out those whose entries were restored."""
    return _found(
        connection,
        "retirement_id NOT IN (SELECT retirement_id FROM restorations)" if standing else "1 = 1",
        (),
    )


def retirement_of(connection: Connection, kind: Kind, entry_id: int) -> Retirement | None:
    """Give the retirement that took an entry out of the book, or None where none did."""
    found = _found(
        connection,
        "retirement_id IN (SELECT s.retirement_id FROM log_leaves l JOIN retired_leaves s"
        " ON s.first_leaf <= l.leaf_index AND s.end_leaf > l.leaf_index WHERE l.kind = ? AND l.record_id = ?)",
        (kind.value, entry_id),
    )
    return found[0] if found else None


def read_leaves(text: str) -> list[tuple[int, int]]:
    """Read stretches of leaves as a retirement's record holds them.

    Raises
    ------
    ValueError
        If they are none.
    """
    try:
        found = [(int(lo), int(hi)) for lo, hi in json.loads(text)]
    except TypeError as error:
        raise ValueError(str(error)) from None
    return found


def is_covered(leaf_index: int, stretches: Stretches) -> bool:
    """Say whether a leaf lies in one of the stretches."""
    at = bisect_right(stretches, leaf_index, key=lambda stretch: stretch[0]) - 1
    return at >= 0 and leaf_index < stretches[at][1]


def retirement_faults(connection: Connection, heads: Sequence[str]) -> list[str]:
    """Hold retirements against the stretches that allow deleting, and against the signed heads."""
    stood = connection.execute("SELECT first_leaf, end_leaf, retirement_id FROM retired_leaves").fetchall()
    faults, signed = [], set(heads)
    for one in retirements(connection):
        own = sorted((row[0], row[1]) for row in stood if row[2] == one.retirement_id)
        upto = sorted((row[0], row[1]) for row in stood if row[2] <= (one.retirement_id or 0))
        if (
            without(own, one.leaves)
            or without(one.leaves, upto)
            or sum(hi - lo for lo, hi in one.leaves) != one.n_rows
        ):
            faults.append(f"retirement {one.retirement_id} covers other leaves than it says")
        if one.head not in signed:
            faults.append(f"retirement {one.retirement_id} names a head that the ledger never signed")
        elif one.leaves[-1][1] > TreeHead.read(one.head).tree_size:
            faults.append(f"retirement {one.retirement_id} covers leaves that its file cannot hold")
    return faults


_COLUMNS = "file, sha256, n_rows, head, leaves, holds, before_s, zone, recorded_us"


def _found(connection: Connection, where: str, values: tuple[Any, ...]) -> list[Retirement]:
    rows = connection.execute(
        f"SELECT {_COLUMNS}, retirement_id FROM retirements WHERE {where} ORDER BY retirement_id", values
    ).fetchall()
    return [_retirement(row) for row in rows]


def _retirement(row: tuple[Any, ...]) -> Retirement:
    try:
        leaves, holds = read_leaves(row[4]), json.loads(row[5])
    except ValueError as error:
        raise TableError(
            f"retirement {row[9]} cannot be read ({error}); it was altered: restore it"
        ) from None
    return Retirement(
        file=row[0], sha256=row[1], n_rows=row[2], head=row[3], leaves=leaves,
        holds={
            zone: Held(Interval(datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)), n)
            for zone, (start, end, n) in holds.items()
        },
        before_utc=datetime.fromtimestamp(row[6], UTC), zone=row[7], recorded_utc=moment_of(row[8]),
        retirement_id=row[9],
    )  # fmt: skip
