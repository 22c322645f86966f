"""The book: append estimates, ask for what covers an interval, now or as known then (C9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Any

import polars as pl

from gridmargin.ledger import changes, corrections, retirements
from gridmargin.ledger.changes import Declaration, Recalibration
from gridmargin.ledger.entry import PayloadNote
from gridmargin.ledger.log import Log
from gridmargin.ledger.notes import Signer, TreeHead
from gridmargin.ledger.questions import Questions, fit_of
from gridmargin.ledger.records import Written, last_ids, records_after
from gridmargin.ledger.retirements import Retirement, Stretches
from gridmargin.ledger.rows import HASHED, epoch_us, hashed, hashes, moment_of, named, rows_of, stored_name
from gridmargin.ledger.store import Connection, Place, open_database, shown
from gridmargin.ledger.witness import witnessed_us
from gridmargin.marginal import Estimates, Fit
from gridmargin.vocab import InputError, Kind, TableError, View, canonical_json, format_utc

OLD_FIT_ID_DIGITS = 16
"""Fits from before schema 0008 are named by so many digits of their hash."""


@dataclass(frozen=True, slots=True)
class _Said:
    """Estimates on their way into the book, and what goes with them."""

    estimates: Estimates
    fit: Fit
    source: str
    payload_sha256s: Sequence[str] | None = None
    conditions: Sequence[str] | None = None

    def payloads(self) -> Sequence[str]:
        return self.payload_sha256s or ["[]"] * len(self.estimates)

    def conditions_json(self) -> Sequence[str]:
        return self.conditions or ["{}"] * len(self.estimates)


class Book(Questions):
    """One ledger.

    Parameters
    ----------
    place : Path or str
        A file, made where absent, or the URL of a PostgreSQL database.
    signer : Signer, optional
        Signs the log's head with everything that is written; without it the log grows unsigned.

    Attributes
    ----------
    name : str
        The place as people may see it, without a password.
    """

    def __init__(self, place: Place, signer: Signer | None = None) -> None:
        self.name = shown(place)
        self.signer = signer
        self._connection = open_database(place)
        self.log = Log(self._connection)

    def __enter__(self) -> Book:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def connection(self) -> Connection:
        """The database, for what reads the book's tables in this package."""
        return self._connection

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    # -- writing ---------------------------------------------------------------------------------------------------

    def append(
        self,
        estimates: Estimates,
        fit: Fit,
        recorded_utc: datetime,
        payload_sha256s: Sequence[str] | None = None,
        conditions: Sequence[str] | None = None,
        source: str = "",
    ) -> int:
        """Write estimates down; what the book already says in the same words is not said again.

        Forecasts supersede earlier issues and never an observed estimate, and the other way round (C3).

        Parameters
        ----------
        estimates : Estimates
            Of one zone and estimator.
        fit : Fit
            The fit that gave them; kept too.
        recorded_utc : datetime
            The moment of writing. Where the book holds a later one already (a clock was set back, or another process
            was faster), the entries are written one microsecond after that: an as-of answer that was given stays
            true (C9).
        payload_sha256s : sequence of str, optional
            Per interval, a JSON list of the payload hashes behind its state.
        conditions : sequence of str, optional
            Per interval, a JSON object of grid conditions.
        source : str
            Registered name of what the states came from; entries of different sources never supersede each other.

        Returns
        -------
        int
            How many entries are new.
        """
        if not len(estimates):
            return 0
        with self._transaction() as connection:
            recorded_us = self._moment_to_write(connection, recorded_utc)
            self._put_fit(connection, fit, recorded_us)
            said = _Said(estimates, fit, source, payload_sha256s, conditions)
            return self._put(connection, [said], recorded_us)

    def append_all(
        self, found: Sequence[tuple[Estimates, Fit]], recorded_utc: datetime, source: str = ""
    ) -> int:
        """Write the estimates of many zones down in one transaction, all or none; as `append`."""
        with self._transaction() as connection:
            recorded_us = self._moment_to_write(connection, recorded_utc)
            for _, fit in found:
                self._put_fit(connection, fit, recorded_us)
            return sum(
                self._put(
                    connection,
                    [_Said(e, fit, source) for e, fit in found if e.basis.kind is kind],
                    recorded_us,
                )
                for kind in Kind
            )

    def recalibrate(
        self,
        record: Recalibration,
        estimates: Estimates,
        fit: Fit,
        payload_sha256s: Sequence[str] | None = None,
        conditions: Sequence[str] | None = None,
        source: str = "",
    ) -> tuple[int, int]:
        """Write down a recalibration, its fit and the entries that supersede because of it: all of it or nothing.

        Returns
        -------
        int
            The id of the record, which every one of the entries names.
        int
            How many entries are new.
        """
        with self._transaction() as connection:
            recorded_us = self._moment_to_write(connection, record.recorded_utc)
            self._put_fit(connection, fit, recorded_us)
            recalibration_id = changes.put_recalibration(connection, record, recorded_us)
            said = _Said(estimates, fit, source, payload_sha256s, conditions)
            n_new = self._put(connection, [said], recorded_us, recalibration_id)
        return recalibration_id, n_new

    def declare(self, declaration: Declaration) -> int:
        """Write down that the grid changed and give the declaration's id; said again, it is the same one."""
        with self._transaction() as connection:
            recorded_us = self._moment_to_write(connection, declaration.recorded_utc)
            return changes.put_declaration(connection, declaration, recorded_us)

    def correct_clock(self, now_utc: datetime, note: str) -> int:
        """Write down that records bear times which had not come yet, and that this moment is true; give the id.

        From then on entries bear true times again. What stood by then was known at this moment (`corrections`).

        Raises
        ------
        InputError
            If no record lies ahead, the note is empty, or a witness's clock says that this one is behind: what was told
            meanwhile would count as known before it was.
        """
        with self._transaction() as connection:
            seen_us = witnessed_us(connection)
            if seen_us is not None and seen_us > epoch_us(now_utc):
                raise InputError(
                    f"a witness cosigned a head at {format_utc(moment_of(seen_us))}, and this clock says"
                    f" {format_utc(now_utc)}: it is behind, and a correction by it would antedate; set it first"
                )
            return corrections.put_correction(connection, epoch_us(now_utc), note)

    def retire(self, record: Retirement, still: Callable[[], Stretches]) -> Retirement:
        """Write a retirement down, seal it, and take the entries that it covers out of the book: all of it or nothing.

        Parameters
        ----------
        still : callable
            Gives, once nobody else can write, the leaves that the retirement must cover.

        Raises
        ------
        InputError
            If these are others than it says.
        """
        with self._connection.transaction():
            if list(still()) != list(record.leaves):
                raise InputError(
                    f"the ledger was written to while {record.file} was made; nothing was deleted: move it away and try again"
                )
            before = last_ids(self._connection)
            recorded_us = self._moment_to_write(self._connection, record.recorded_utc)
            retirement_id = retirements.put_retirement(self._connection, record, recorded_us)
            self._seal(
                records_after(self._connection, before)
            )  # only what is sealed lets anything be deleted
            n_gone = retirements.delete_retired(self._connection, retirement_id, record.leaves)
            if n_gone != record.n_rows:
                raise TableError(
                    f"{record.file} holds {record.n_rows} entries and the ledger has {n_gone} of them; nothing was"
                    " deleted: `gridmargin ledger verify` says what is wrong"
                )
        return replace(record, recorded_utc=moment_of(recorded_us), retirement_id=retirement_id)

    def restore(self, retirement_id: int, recorded_utc: datetime, put_back: Callable[[], None]) -> None:
        """Write down that the entries of a retirement are back and seal it, once `put_back` has put them in.

        Raises
        ------
        InputError
            If they are back already.
        """
        with self._connection.transaction():
            before = last_ids(self._connection)
            recorded_us = self._moment_to_write(self._connection, recorded_utc)
            retirements.put_restoration(self._connection, retirement_id, recorded_us)
            put_back()
            self._seal(records_after(self._connection, before, ("restoration",)))

    def note_payload(self, note: PayloadNote, n_bytes: int) -> None:
        """Remember a payload; the first word stands."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO payloads (sha256, source, name, n_bytes, recorded_us) SELECT ?, ?, ?, ?, ?"
                " WHERE NOT EXISTS (SELECT 1 FROM payloads WHERE sha256 = ? AND source = ?)",
                (
                    note.sha256,
                    note.source,
                    note.name,
                    n_bytes,
                    epoch_us(note.recorded_utc),
                    note.sha256,
                    note.source,
                ),
            )

    def head(self) -> str:
        """Give the signed head over everything in the book, signed now where nobody has yet.

        Raises
        ------
        InputError
            If the book was opened without a key to sign with.
        """
        if self.signer is None:
            raise InputError("this ledger was opened without a key; give a signer to have its head signed")
        with self._transaction():
            size = len(self.log)
            return self.log.head(size) or self._sign(self.signer, size)

    def damage(self) -> list[str]:
        """Ask the database whether its file is whole; give what it says is wrong, nothing where it is."""
        return [
            f"the database file is damaged: {what}; `gridmargin ledger export --salvage` takes out the rest"
            for what in self._connection.damage()
        ]

    def hashed_anew(self, kind: Kind) -> Iterator[tuple[list[int], list[str], list[str]]]:
        """Hash every entry of a kind anew from what stands in the book, some at a time.

        Yields
        ------
        list of int, list of str, list of str
            Entry ids, the hashes that stand beside them, and the new ones.
        """
        wanted = (*HASHED, "issued_us", "source")
        columns = ", ".join(stored_name(column, kind) for column in wanted)
        cursor = self._connection.execute(
            f"SELECT entry_id, entry_sha256, {columns} FROM {kind.value}_entries ORDER BY entry_id"
        )
        while rows := cursor.fetchmany(50_000):
            frame = pl.DataFrame(
                [row[2:] for row in rows], schema=list(wanted), orient="row", infer_schema_length=None
            )
            yield [row[0] for row in rows], [row[1] for row in rows], hashes(frame)

    def fit_faults(self) -> list[str]:
        """Hold every fit against its id, which is its hash and stands in the entries; give what is wrong."""
        faults = []
        for fit_id, body in self._connection.execute("SELECT fit_id, body FROM fits ORDER BY fit_id"):
            try:
                own = fit_of(body).fit_id
            except (ValueError, TypeError, KeyError):
                own = None
            if (
                own is None
                or own[: len(fit_id)] != fit_id
                or len(fit_id) not in (len(own), OLD_FIT_ID_DIGITS)
            ):
                faults.append(f"fit {fit_id} was altered: it does not have its own hash")
        for kind in Kind:
            gone = self._connection.execute(
                named(
                    "SELECT DISTINCT fit_id FROM {kind}_entries WHERE fit_id NOT IN (SELECT fit_id FROM fits)"
                    " ORDER BY fit_id",
                    kind,
                )
            )
            faults += [f"fit {fit_id} of {kind.value} entries is gone" for (fit_id,) in gone]
        return faults

    # -- inside ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._connection.transaction():
            before = last_ids(self._connection)
            yield self._connection
            self._seal(records_after(self._connection, before))

    def _seal(self, records: Sequence[Written]) -> None:
        """Give each new record its leaf, and sign the head over them."""
        if records:
            size = self.log.extend(records)
            if self.signer is not None:
                self._sign(self.signer, size)

    def _sign(self, signer: Signer, size: int) -> str:
        head = TreeHead(signer.public().name, size, self.log.root(size))
        note = signer.sign(head.text())
        self.log.keep_head(size, note)
        return note

    def _put_fit(self, connection: Connection, fit: Fit, recorded_us: int) -> None:
        body = asdict(fit)
        body["train_start_utc"] = fit.train_start_utc.isoformat()
        body["train_end_utc"] = fit.train_end_utc.isoformat()
        connection.execute(
            "INSERT INTO fits SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM fits WHERE fit_id = ?)",
            (fit.fit_id, fit.estimator, fit.zone, canonical_json(body), recorded_us, fit.fit_id),
        )

    @staticmethod
    def _moment_to_write(connection: Connection, recorded_utc: datetime) -> int:
        """Give the moment, moved past whatever the book holds where the clock stands behind it. [µs]"""
        newest = corrections.newest_us(connection)
        return max(epoch_us(recorded_utc), 0 if newest is None else newest + 1)

    def _put(
        self,
        connection: Connection,
        said: Sequence[_Said],
        recorded_us: int,
        recalibration_id: int | None = None,
    ) -> int:
        """Write estimates of one kind down where they are new; give how many were."""
        for one in said:
            if one.estimates.fit_id != one.fit.fit_id:
                raise TableError(f"estimates come from fit {one.estimates.fit_id}, not from {one.fit.fit_id}")
        told = [one for one in said if len(one.estimates)]
        if not told:
            return 0
        kind = told[0].estimates.basis.kind
        frame = hashed(
            pl.concat(
                rows_of(one.estimates, one.payloads(), one.conditions_json(), one.source).with_columns(
                    pl.lit(part).alias("part")
                )
                for part, one in enumerate(told)
            )
        )
        known = pl.DataFrame(
            [
                (part, *row)
                for part, one in enumerate(told)
                for row in self._current(connection, one.estimates, one.source)
            ],
            schema={"part": pl.Int32, "start_s": pl.Int64, "supersedes": pl.Int64, "known_sha256": pl.String},
            orient="row",
        )
        fresh = frame.join(known, on=["part", "start_s"], how="left", maintain_order="left").filter(
            pl.col("known_sha256").is_null() | (pl.col("known_sha256") != pl.col("entry_sha256"))
        )
        columns = [c for c in frame.columns if c != "part"] + ["supersedes"]
        connection.insert(
            f"{kind.value}_entries",
            [stored_name(column, kind) for column in columns],
            fresh.select(columns).iter_rows(),
            {"recalibration_id": recalibration_id, "recorded_us": recorded_us},
        )
        return fresh.height

    def _current(self, connection: Connection, estimates: Estimates, source: str) -> list[tuple[Any, ...]]:
        """Give what an append would supersede; of forecasts, the newest that was not issued after these."""
        basis, issued = estimates.basis, estimates.issued_utc
        return connection.execute(
            named(
                "SELECT start_s, entry_id, entry_sha256 FROM ("
                " SELECT start_s, entry_id, entry_sha256, ROW_NUMBER() OVER"
                " (PARTITION BY start_s ORDER BY issued_us DESC NULLS LAST, entry_id DESC) AS newest"
                " FROM {kind}_entries WHERE zone = ? AND estimator = ? AND interval_s = ? AND start_s BETWEEN ? AND ?"
                " AND horizon = ? AND gases = ? AND boundary = ? AND (view = 'forecast') = ?"
                " AND (issued_us IS NULL OR issued_us <= ?) AND source = ?) AS said WHERE newest = 1",
                basis.kind,
            ),
            (estimates.zone, estimates.estimator, estimates.interval_s, int(estimates.start_epoch_s[0]),
             int(estimates.start_epoch_s[-1]), basis.horizon.value, basis.gases.value, basis.boundary.value,
             basis.view is View.FORECAST, 0 if issued is None else epoch_us(issued), source),
        ).fetchall()  # fmt: skip
