"""Which archived payload covers which zone and stretch of time, when it was fetched, and how each publisher answers.

A table beside the archive's bytes. Rows of `fetched` are only added: an answer that revises an earlier one is another
row. `removed` names those whose payload has left the archive since: they stand as a record and answer nothing any more.
`health` keeps one row a source and zone: the last try, the last success, the last failure.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gridmargin.sources.source import Payload
from gridmargin.vocab import Interval, TableError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS fetched (
    fetch_id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, zone TEXT NOT NULL, name TEXT NOT NULL,
    sha256 TEXT NOT NULL, n_bytes INTEGER NOT NULL, start_us INTEGER, end_us INTEGER, retrieved_us INTEGER NOT NULL,
    etag TEXT, last_modified TEXT, fault TEXT, states_supply INTEGER NOT NULL DEFAULT 1, CHECK ((start_us IS NULL) = (end_us IS NULL)));
CREATE INDEX IF NOT EXISTS fetched_by_name ON fetched (source, zone, name, fetch_id);
CREATE INDEX IF NOT EXISTS fetched_by_start ON fetched (source, zone, start_us, end_us, name, states_supply);
CREATE INDEX IF NOT EXISTS fetched_by_end ON fetched (source, zone, end_us, start_us, name, states_supply);
CREATE TRIGGER IF NOT EXISTS fetched_no_update BEFORE UPDATE ON fetched
    BEGIN SELECT RAISE(ABORT, 'fetches are only added (C9)'); END;
CREATE TRIGGER IF NOT EXISTS fetched_no_delete BEFORE DELETE ON fetched
    BEGIN SELECT RAISE(ABORT, 'fetches are only added (C9)'); END;
CREATE TABLE IF NOT EXISTS removed (fetch_id INTEGER PRIMARY KEY REFERENCES fetched (fetch_id), removed_us INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS removed_no_update BEFORE UPDATE ON removed
    BEGIN SELECT RAISE(ABORT, 'removals are only added (C9)'); END;
CREATE TRIGGER IF NOT EXISTS removed_no_delete BEFORE DELETE ON removed
    BEGIN SELECT RAISE(ABORT, 'removals are only added (C9)'); END;
CREATE INDEX IF NOT EXISTS fetched_by_sha256 ON fetched (sha256);
CREATE VIEW IF NOT EXISTS present AS SELECT * FROM fetched
    WHERE NOT EXISTS (SELECT 1 FROM removed WHERE removed.fetch_id = fetched.fetch_id);
CREATE TABLE IF NOT EXISTS health (
    source TEXT NOT NULL, zone TEXT NOT NULL, tried_us INTEGER, succeeded_us INTEGER, failed_us INTEGER, fault TEXT,
    n_failed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (source, zone));
"""


@dataclass(frozen=True, slots=True)
class Fetch:
    """One answer of a publisher, archived.

    Attributes
    ----------
    source, zone, name : str
        Adapter, zone, and what the payload is called.
    sha256 : str
        Of the bytes in the archive.
    interval : Interval or None
        From the first value it states to the last; None where it could not be read, and `fault` says why.
    retrieved_utc : datetime
        When it came.
    etag, last_modified : str or None
        What the host said of it.
    fault : str or None
        Why it could not be read.
    states_supply : bool
        Whether it states generation or what is on the margin; demand alone is out hours before it at some publishers.
    """

    source: str
    zone: str
    name: str
    sha256: str
    interval: Interval | None
    retrieved_utc: datetime
    etag: str | None = None
    last_modified: str | None = None
    fault: str | None = None
    states_supply: bool = True


@dataclass(frozen=True, slots=True)
class Health:
    """How a publisher answers for a zone.

    Attributes
    ----------
    tried_utc, succeeded_utc, failed_utc : datetime or None
        Last try, success and failure.
    fault : str or None
        What went wrong the last time, None where it went well.
    n_failed : int
        Failures since the last success.
    """

    tried_utc: datetime | None = None
    succeeded_utc: datetime | None = None
    failed_utc: datetime | None = None
    fault: str | None = None
    n_failed: int = 0


class FetchIndex:
    """The index of one archive.

    Parameters
    ----------
    folder : Path
        The archive's; made on first use.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "fetched.sqlite"
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def add(self, fetch: Fetch, n_bytes: int) -> None:
        """Note one answer."""
        spans = (None, None) if fetch.interval is None else (fetch.interval.start_utc, fetch.interval.end_utc)
        self._write(
            "INSERT INTO fetched (source, zone, name, sha256, n_bytes, start_us, end_us, retrieved_us, etag, last_modified,"
            " fault, states_supply) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (fetch.source, fetch.zone, fetch.name, fetch.sha256, n_bytes, *(_us(moment) for moment in spans),
             _us(fetch.retrieved_utc), fetch.etag, fetch.last_modified, fetch.fault, fetch.states_supply),
        )  # fmt: skip

    def succeeded(self, source: str, zone: str, moment_utc: datetime) -> None:
        """Note that a publisher answered."""
        at = _us(moment_utc)
        self._write(
            "INSERT INTO health (source, zone, tried_us, succeeded_us) VALUES (?, ?, ?, ?) ON CONFLICT (source, zone)"
            " DO UPDATE SET tried_us = excluded.tried_us, succeeded_us = excluded.succeeded_us, fault = NULL, n_failed = 0",
            (source, zone, at, at),
        )

    def failed(self, source: str, zone: str, moment_utc: datetime, fault: str) -> None:
        """Note that a publisher did not answer, or not with what was due."""
        at = _us(moment_utc)
        self._write(
            "INSERT INTO health (source, zone, tried_us, failed_us, fault, n_failed) VALUES (?, ?, ?, ?, ?, 1)"
            " ON CONFLICT (source, zone) DO UPDATE SET tried_us = excluded.tried_us, failed_us = excluded.failed_us,"
            " fault = excluded.fault, n_failed = n_failed + 1",
            (source, zone, at, at, fault),
        )

    def health(self, source: str, zone: str) -> Health:
        """Say how a publisher answers for a zone."""
        rows = self._read(
            "SELECT tried_us, succeeded_us, failed_us, fault, n_failed FROM health WHERE source = ? AND zone = ?",
            (source, zone),
        )
        if not rows:
            return Health()
        tried, succeeded, failed, fault, n_failed = rows[0]
        return Health(_moment(tried), _moment(succeeded), _moment(failed), fault, n_failed)

    def newest(self, source: str, zone: str, name: str) -> Fetch | None:
        """Give the newest readable answer of that name, or None where its payload has left the archive."""
        found = self._fetches(
            "fetch_id = (SELECT MAX(fetch_id) FROM fetched WHERE source = ? AND zone = ? AND name = ?"
            " AND start_us IS NOT NULL)",
            (source, zone, name),
        )
        return found[0] if found else None

    def covering(self, source: str, zone: str, interval: Interval) -> list[Fetch]:
        """Give the newest readable answer of each name that covers any of `interval`, oldest fetch first.

        Where the newest answer has left the archive an older one does not stand in for it.
        """
        start_us, end_us = _us(interval.start_utc), _us(interval.end_utc)
        touching = "start_us < ? AND end_us > ?"
        return self._fetches(
            "fetch_id IN (SELECT (SELECT MAX(fetch_id) FROM fetched AS newest WHERE newest.source = named.source"
            " AND newest.zone = named.zone AND newest.name = named.name AND newest.start_us IS NOT NULL) FROM"
            f" (SELECT DISTINCT source, zone, name FROM present WHERE source = ? AND zone = ? AND {touching}) AS named)"
            f" AND {touching} ORDER BY fetch_id",
            (source, zone, end_us, start_us, end_us, start_us),
        )

    def every(self, source: str | None = None) -> list[Fetch]:
        """Give every readable answer whose payload is there, of one source or all, oldest first."""
        if source is None:
            return self._fetches("start_us IS NOT NULL ORDER BY fetch_id", ())
        return self._fetches("source = ? AND start_us IS NOT NULL ORDER BY fetch_id", (source,))

    def span(self, source: str, zone: str) -> Interval | None:
        """Give the stretch from the first generation stated in the archive to the last, or None where there is none."""
        rows = self._read(
            "SELECT (SELECT start_us FROM present WHERE source = ? AND zone = ? AND start_us IS NOT NULL AND states_supply"
            " ORDER BY start_us LIMIT 1), (SELECT end_us FROM present WHERE source = ? AND zone = ? AND states_supply"
            " ORDER BY end_us DESC LIMIT 1)",
            (source, zone, source, zone),
        )
        start, end = (_moment(value) for value in rows[0]) if rows else (None, None)
        return None if start is None or end is None else Interval(start, end)

    def retrieved_utc(self, source: str, zone: str) -> datetime | None:
        """Say when the answer with the newest interval came."""
        rows = self._read(
            "SELECT retrieved_us FROM present WHERE source = ? AND zone = ? AND states_supply"
            " AND end_us IS NOT NULL ORDER BY end_us DESC, fetch_id DESC LIMIT 1",
            (source, zone),
        )
        return _moment(rows[0][0]) if rows else None

    def zones(self, source: str) -> list[str]:
        """List the zones that a source has given something for."""
        rows = self._read(
            "SELECT DISTINCT zone FROM present WHERE source = ? AND start_us IS NOT NULL AND states_supply ORDER BY zone",
            (source,),
        )
        return [str(row[0]) for row in rows]

    def needed_from(self, moment_utc: datetime) -> set[str]:
        """Give the hashes of payloads that came at a moment or later, or state something of then or later."""
        at = _us(moment_utc)
        rows = self._read(
            "SELECT DISTINCT sha256 FROM present WHERE retrieved_us >= ? OR end_us > ?", (at, at)
        )
        return {str(row[0]) for row in rows}

    def note_removed(self, sha256s: Sequence[str], moment_utc: datetime) -> None:
        """Note that payloads leave the archive: whatever they answered so far, they answer no more."""
        if not self.path.exists():
            return
        rows = [(_us(moment_utc), sha256) for sha256 in sha256s]
        with self._lock:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(
                    "INSERT OR IGNORE INTO removed SELECT fetch_id, ? FROM fetched WHERE sha256 = ?", rows
                )
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def n_removed(self) -> int:
        """Count the answers whose payload has left the archive."""
        rows = self._read("SELECT count(*) FROM removed", ())
        return int(rows[0][0]) if rows else 0

    # -- inside ----------------------------------------------------------------------------------------------------

    def _fetches(self, where: str, values: tuple[object, ...]) -> list[Fetch]:
        rows = self._read(
            "SELECT source, zone, name, sha256, start_us, end_us, retrieved_us, etag, last_modified, fault, states_supply"
            " FROM present"
            f" WHERE {where}",
            values,
        )
        found = []
        for source, zone, name, sha256, start, end, retrieved, etag, modified, fault, supply in rows:
            first, last, came = _moment(start), _moment(end), _moment(retrieved)
            assert came is not None
            interval = Interval(first, last) if first is not None and last is not None else None
            found.append(
                Fetch(source, zone, name, sha256, interval, came, etag, modified, fault, bool(supply))
            )
        return found

    def _read(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        # Asking makes no folder: where nothing was ever fetched there is nothing to open.
        if self._opened is None and not self.path.exists():
            return []
        with self._lock:
            return self._connection().execute(sql, values).fetchall()

    def _write(self, sql: str, values: tuple[object, ...]) -> None:
        with self._lock:
            self._connection().execute(sql, values)

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            opened = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            try:
                opened.execute("PRAGMA journal_mode = WAL")
                opened.executescript(_SCHEMA)
            except sqlite3.DatabaseError as error:
                opened.close()
                if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                    raise
                raise TableError(
                    f"{self.path} is not an index of fetched payloads ({error}); move it away: the payloads stay, and are"
                    " fetched again where asked for"
                ) from None
            self._opened = opened
        return self._opened


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(since_1970_us: int | None) -> datetime | None:
    return None if since_1970_us is None else _EPOCH + timedelta(microseconds=since_1970_us)


def payload_of(fetch: Fetch, body: bytes) -> Payload:
    """Give an archived answer as the payload it was."""
    return Payload(fetch.source, fetch.name, body)
