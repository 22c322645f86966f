"""Take old entries out of the book: first into a signed file that passes its audit, then, and only then, out of the tables."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gridmargin.ledger.audit import audit_export
from gridmargin.ledger.book import Book
from gridmargin.ledger.export import Asked, export, manifest_of
from gridmargin.ledger.merkle import stretches
from gridmargin.ledger.retirements import Held, Retirement
from gridmargin.vocab import GridmarginError, InputError, Interval, Kind, TableError, format_utc

KEEP_DAYS = 35
"""Of the newest days nothing is retired: drift, restatements and the month's reports look back so far. [d]"""


def retire(
    book: Book,
    path: Path,
    before_utc: datetime,
    made_utc: datetime,
    zone: str | None = None,
    *,
    keep_days: int = KEEP_DAYS,
    progress: Callable[[int], None] | None = None,
) -> Retirement:
    """Retire the entries whose interval begins before a moment, with everything that they superseded.

    Parameters
    ----------
    path : Path
        File for the entries, a signed export; its manifest goes beside it.
    before_utc : datetime
        First interval that stays.
    made_utc : datetime
        Now.
    zone : str, optional
        Only entries of this zone.
    keep_days : int
        Days before `made_utc` of which nothing is retired. [d]
    progress : callable, optional
        Told how many leaves were read more.

    Raises
    ------
    InputError
        If the moment is too new, there is nothing before it, or the file cannot be written.
    TableError
        If the file does not hold what the log says.
    """
    newest = made_utc - timedelta(days=keep_days)
    if before_utc > newest:
        raise InputError(
            f"entries of the newest {keep_days} days are not retired; give `before={format_utc(newest)}` or earlier"
        )
    before_s = int(before_utc.timestamp())
    holds = _holds(book, before_s, zone)
    if not holds:
        raise InputError(
            f"nothing to retire: the ledger {book.name} has no entry{f' of {zone}' if zone else ''} before"
            f" {format_utc(before_utc)}; give a later `before`"
        )
    asked = Asked(zone, Interval(min(h.interval.start_utc for h in holds.values()), before_utc))
    manifest = export(book, path, asked, made_utc, progress=progress)
    try:
        for written in (path, manifest_of(path), path.parent):
            _settle(written)
        assert book.signer is not None
        found = audit_export(path, book.signer.public())
        if not found.holds:
            raise TableError(f"{path.name} does not pass its audit, nothing was deleted: {found.faults[0]}")
        record = Retirement(
            file=path.name, sha256=manifest["sha256"], n_rows=manifest["n_rows"], head=manifest["head"],
            leaves=[(lo, hi) for lo, hi in manifest["leaves"]], holds=holds,
            before_utc=datetime.fromtimestamp(before_s, UTC), zone=zone, recorded_utc=made_utc,
        )  # fmt: skip
        return book.retire(record, lambda: _leaves(book, before_s, zone))
    except GridmarginError:
        # Nothing was deleted, so no file must stand there as if something had been. After any other error, such as a
        # server gone while it committed, that is not known, and the file stays.
        path.unlink(missing_ok=True)
        manifest_of(path).unlink(missing_ok=True)
        raise


def _holds(book: Book, before_s: int, zone: str | None) -> dict[str, Held]:
    """Say what there is to retire, by zone."""
    parts: dict[str, list[tuple[int, int, int]]] = {}
    for kind in Kind:
        for name, *span in book.connection.execute(
            f"SELECT zone, min(start_s), max(start_s + interval_s), count(*) FROM {kind.value}_entries"
            " WHERE start_s < ? AND zone = coalesce(?, zone) GROUP BY zone ORDER BY zone",
            (before_s, zone),
        ):
            parts.setdefault(name, []).append((span[0], span[1], span[2]))
    return {
        name: Held(
            Interval(
                datetime.fromtimestamp(min(p[0] for p in spans), UTC),
                datetime.fromtimestamp(max(p[1] for p in spans), UTC),
            ),
            sum(p[2] for p in spans),
        )
        for name, spans in parts.items()
    }


def _leaves(book: Book, before_s: int, zone: str | None) -> list[tuple[int, int]]:
    """Give the leaves of what is to be retired."""
    found: list[int] = []
    for kind in Kind:
        found += [
            row[0]
            for row in book.connection.execute(
                f"SELECT l.leaf_index FROM {kind.value}_entries e JOIN log_leaves l ON l.kind = '{kind.value}'"
                " AND l.record_id = e.entry_id WHERE e.start_s < ? AND e.zone = coalesce(?, e.zone)",
                (before_s, zone),
            )
        ]
    return stretches(sorted(found))


def _settle(path: Path) -> None:
    """Wait until what was written survives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
