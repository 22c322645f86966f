"""Why the book's answers changed: recalibrations that were made, and changes of the grid that were declared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from gridmargin.ledger.rows import epoch_us, moment_of
from gridmargin.ledger.store import Connection
from gridmargin.vocab import InputError, Interval, Kind, canonical_json


class GridChange(StrEnum):
    """What can be declared to have changed."""

    FLEET = "fleet"
    FUEL_PRICE = "fuel-price"
    MARKET_RULE = "market-rule"


@dataclass(frozen=True, slots=True)
class Declaration:
    """Somebody's word that the grid is another one from a moment on.

    Attributes
    ----------
    what : GridChange
        What changed.
    from_utc : datetime
        The first moment of the new grid.
    note : str
        In the declarer's words; never empty.
    recorded_utc : datetime
        When it entered the book.
    """

    zone: str
    what: GridChange
    from_utc: datetime
    note: str
    recorded_utc: datetime
    declaration_id: int | None = None

    def __post_init__(self) -> None:
        if not self.note.strip():
            raise InputError(
                "a declared change needs a note; say in `note` what happened and where it is written"
            )


@dataclass(frozen=True, slots=True)
class Recalibration:
    """One re-fit: what set it off, what it changed, which entries came of it.

    Attributes
    ----------
    reference : str
        What the estimates were held against; `none` where it was forced.
    event : mapping
        The drift event in full, JSON-able; empty where it was forced.
    cause : str
        The event's cause, or `forced`.
    reason : str
        For people; never empty.
    interval : Interval
        From the first entry that was superseded to the end of what the new fit saw.
    changes : mapping
        What of the fit's parameters changed, JSON-able.
    """

    kind: Kind
    zone: str
    estimator: str
    reference: str
    event: Mapping[str, Any]
    cause: str
    reason: str
    interval: Interval
    old_fit_id: str
    new_fit_id: str
    changes: Mapping[str, Any]
    recorded_utc: datetime
    recalibration_id: int | None = None

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise InputError("a recalibration needs a reason; say it in `reason`")


def put_declaration(connection: Connection, declaration: Declaration, recorded_us: int) -> int:
    """Write a declaration down and give its id; the same words twice are one declaration."""
    said = (declaration.zone, declaration.what.value, epoch_us(declaration.from_utc), declaration.note)
    connection.execute(
        "INSERT INTO declarations (zone, what, from_us, note, recorded_us) SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS"
        " (SELECT 1 FROM declarations WHERE zone = ? AND what = ? AND from_us = ? AND note = ?)",
        (*said, recorded_us, *said),
    )
    row = connection.execute(
        "SELECT declaration_id FROM declarations WHERE zone = ? AND what = ? AND from_us = ? AND note = ?",
        said,
    ).fetchone()
    return int(row[0])


def declarations(connection: Connection, zone: str) -> list[Declaration]:
    """Give the declared changes of a zone, by the moment from which they hold."""
    rows = connection.execute(
        "SELECT zone, what, from_us, note, recorded_us, declaration_id FROM declarations WHERE zone = ?"
        " ORDER BY from_us, declaration_id",
        (zone,),
    )
    return [Declaration(r[0], GridChange(r[1]), moment_of(r[2]), r[3], moment_of(r[4]), r[5]) for r in rows]


def put_recalibration(connection: Connection, record: Recalibration, recorded_us: int) -> int:
    """Write a recalibration down and give its id; both fits must stand in the book."""
    new = connection.execute(
        f"INSERT INTO recalibrations ({_COLUMNS}) VALUES ({', '.join('?' * 13)}) RETURNING recalibration_id",
        (record.kind.value, record.zone, record.estimator, record.reference, canonical_json(dict(record.event)),
         record.cause, record.reason, int(record.interval.start_utc.timestamp()),
         int(record.interval.end_utc.timestamp()), record.old_fit_id, record.new_fit_id,
         canonical_json(dict(record.changes)), recorded_us),
    ).fetchall()  # fmt: skip
    return int(new[0][0])


def recalibrations(connection: Connection, zone: str, estimator: str | None = None) -> list[Recalibration]:
    """Give the recalibrations of a zone, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS}, recalibration_id FROM recalibrations WHERE zone = ? AND (? IS NULL OR estimator = ?)"
        " ORDER BY recalibration_id",
        (zone, estimator, estimator),
    )
    return [_recalibration(row) for row in rows]


_COLUMNS = (
    "kind, zone, estimator, reference, event, cause, reason, start_s, end_s, old_fit_id, new_fit_id, changes,"
    " recorded_us"
)


def _recalibration(row: tuple[Any, ...]) -> Recalibration:
    return Recalibration(
        kind=Kind(row[0]), zone=row[1], estimator=row[2], reference=row[3], event=json.loads(row[4]), cause=row[5],
        reason=row[6],
        interval=Interval(datetime.fromtimestamp(row[7], UTC), datetime.fromtimestamp(row[8], UTC)),
        old_fit_id=row[9], new_fit_id=row[10], changes=json.loads(row[11]), recorded_utc=moment_of(row[12]),
        recalibration_id=row[13],
    )  # fmt: skip
