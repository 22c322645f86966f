"""Corrections of the clock: word that records bear times which had not come yet, so that true times can go on (C9).

A clock that ran ahead gives the records of that while times that lie ahead. Nothing is written anew: a correction says at a
true moment which records stood by then. They were known at that moment, whatever later time they bear; what comes after it
bears true times again. The order of the book is that of its ids and leaves, which no clock can move.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gridmargin.ledger.rows import moment_of
from gridmargin.ledger.store import Connection
from gridmargin.vocab import InputError, Kind, format_utc

TOLERANCE = timedelta(minutes=5)
"""By so much two machines' clocks may differ without a word."""

CLOCKED = (
    ("marginal_entries", "entry_id", "marginal_id"), ("average_entries", "entry_id", "average_id"),
    ("declarations", "declaration_id", "declaration_id"), ("retirements", "retirement_id", "retirement_id"),
)  # fmt: skip
"""Tables whose times only grow: name, key, and where a correction keeps the newest id of then."""


@dataclass(frozen=True, slots=True)
class Correction:
    """Somebody's word that the clock ran ahead and is right again.

    Attributes
    ----------
    newest_utc : datetime
        The latest time that a record bore by then.
    recorded_utc : datetime
        The true moment at which this was written.
    note : str
        In the words of whoever corrected; never empty.
    """

    newest_utc: datetime
    recorded_utc: datetime
    note: str
    correction_id: int

    def __str__(self) -> str:
        return (
            f"clock correction {self.correction_id}: records from before it bear times up to {format_utc(self.newest_utc)}"
            f" and were written by {format_utc(self.recorded_utc)} ({self.note})"
        )


def known(kind: Kind, of: str = "") -> str:
    """Give the condition that an entry, of a table named `of`, was known at a moment; it takes the moment twice. [µs]"""
    # The plus signs keep SQLite from answering by the index of times, where one by interval is at hand.
    return f"(+{_name(of, 'recorded_us')} <= ? OR +{_name(of, 'entry_id')} <= {_corrected(kind)})"


def unknown(kind: Kind, of: str = "") -> str:
    """Give the condition that an entry was not known yet, in a form that an index of times serves; as `known`."""
    return f"({_name(of, 'recorded_us')} > ? AND {_name(of, 'entry_id')} > {_corrected(kind)})"


def _name(of: str, column: str) -> str:
    return f"{of}.{column}" if of else column


def _corrected(kind: Kind) -> str:
    """Give the newest entry that stood when the last correction up to a moment was made."""
    return f"(SELECT coalesce(max({kind.value}_id), 0) FROM clock_corrections WHERE recorded_us <= ?)"


def newest_us(connection: Connection) -> int | None:
    """Give the latest time that the last correction or a record since bears, or None where there is neither. [µs]"""
    last = connection.execute(
        "SELECT recorded_us, marginal_id, average_id, declaration_id, retirement_id FROM clock_corrections"
        " ORDER BY correction_id DESC LIMIT 1"
    ).fetchone() or (None, 0, 0, 0, 0)
    found = [last[0]]
    for (table, key, _), after in zip(CLOCKED, last[1:], strict=True):
        row = connection.execute(
            f"SELECT recorded_us FROM {table} WHERE {key} > ? ORDER BY {key} DESC LIMIT 1", (after,)
        ).fetchone()
        found.append(None if row is None else row[0])
    return max((int(us) for us in found if us is not None), default=None)


def put_correction(connection: Connection, recorded_us: int, note: str) -> int:
    """Write a correction down and give its id.

    Raises
    ------
    InputError
        If no record lies ahead of the moment, or the note is empty.
    """
    if not note.strip():
        raise InputError("a correction of the clock needs a note; say what happened to the clock")
    newest = newest_us(connection)
    if newest is None or newest <= recorded_us:
        raise InputError(
            f"no record lies ahead of {format_utc(moment_of(recorded_us))}, so there is nothing to correct; `gridmargin"
            " ledger clock` shows how the clock stands"
        )
    ids = [
        connection.execute(f"SELECT coalesce(max({key}), 0) FROM {table}").fetchone()[0]
        for table, key, _ in CLOCKED
    ]
    row = connection.execute(
        f"INSERT INTO clock_corrections (newest_us, {', '.join(name for *_, name in CLOCKED)}, note, recorded_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING correction_id",
        (newest, *ids, note, recorded_us),
    ).fetchall()[0]
    return int(row[0])


def corrections(connection: Connection) -> list[Correction]:
    """Give every correction, oldest first."""
    rows = connection.execute(
        "SELECT newest_us, recorded_us, note, correction_id FROM clock_corrections ORDER BY correction_id"
    )
    return [Correction(moment_of(row[0]), moment_of(row[1]), row[2], row[3]) for row in rows]
