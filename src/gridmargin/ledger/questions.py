"""What can be asked of a book: entries now or as known then (C9), forecasts by issue, fits, payloads, changes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.ledger import changes, retirements
from gridmargin.ledger.changes import Declaration, Recalibration
from gridmargin.ledger.corrections import Correction, corrections, known, newest_us
from gridmargin.ledger.entry import Entry, PayloadNote
from gridmargin.ledger.retirements import Retirement
from gridmargin.ledger.rows import (
    ENTRY_COLUMNS,
    HASHED,
    HIGH,
    LOW,
    MID,
    entry_of,
    epoch_us,
    hashes,
    moment_of,
    named,
    stored_name,
)
from gridmargin.ledger.store import Connection
from gridmargin.marginal import Fit
from gridmargin.vocab import Horizon, Interval, Kind, NotFoundError, RetiredError, TableError, sha256_hex


@dataclass(frozen=True, slots=True)
class Factors:
    """Entries of one zone and estimator as arrays of equal length n, ordered by start: what pricing needs.

    Attributes
    ----------
    kind : Kind
        Marginal or average; a table holds one of them.
    start_epoch_s : array, shape (n,)
        [s since 1970 UTC]
    low, mid, high : arrays, shape (n,)
        [g kWh⁻¹]
    entry_id : array of int64, shape (n,)
    status, view : array of str, shape (n,)
        `Status` of the inputs; `View` of the estimate.
    """

    zone: str
    kind: Kind
    estimator: str
    interval_s: int
    start_epoch_s: NDArray[np.int64]
    low: NDArray[np.float64]
    mid: NDArray[np.float64]
    high: NDArray[np.float64]
    entry_id: NDArray[np.int64]
    status: NDArray[np.str_]
    view: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.start_epoch_s)


class Questions:
    """The reading side of a book; `Book` adds the writing."""

    name: str
    _connection: Connection

    def covering(
        self,
        kind: Kind,
        zone: str,
        interval: Interval,
        estimator: str,
        interval_s: int | None = None,
        as_of_utc: datetime | None = None,
        *,
        source: str | None = None,
        horizon: Horizon = Horizon.SHORT_RUN,
        forecast: bool = False,
    ) -> Factors:
        """Give the factors whose intervals touch `interval`, as known now or at `as_of_utc`.

        Parameters
        ----------
        forecast : bool
            The newest issue of each forecast; without it what was observed, and never both.
        interval_s : int, optional
            Only intervals of this length. [s]
        source : str, optional
            Only entries from this source: a zone may be known from two publishers.
        horizon : Horizon
            Short-run moves work, long-run sites it; one answer holds one of them (C3).

        Raises
        ------
        TableError
            If the entries found do not share one interval length and one source.
        """
        rows = self._latest(
            kind,
            zone,
            interval,
            estimator,
            as_of_utc,
            f"start_s, {LOW}, {MID}, {HIGH}, entry_id, status, interval_s, source, view",
            forecast,
            source,
            horizon,
        )
        if interval_s is not None:
            rows = [row for row in rows if row[6] == interval_s]
        columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * 9
        lengths = set(columns[6])
        if len(lengths) > 1:
            raise TableError(
                f"{zone}: entries by {estimator} have intervals of {sorted(lengths)} s; price one at a time"
            )
        if len(set(columns[7])) > 1:
            raise TableError(
                f"{zone}: entries by {estimator} come from {', '.join(sorted(set(columns[7])))}; name one source"
            )
        return Factors(
            zone=zone, kind=kind, estimator=estimator, interval_s=int(next(iter(lengths), interval_s or 0)),
            start_epoch_s=np.array(columns[0], dtype=np.int64),
            low=np.array(columns[1], dtype=np.float64),
            mid=np.array(columns[2], dtype=np.float64),
            high=np.array(columns[3], dtype=np.float64),
            entry_id=np.array(columns[4], dtype=np.int64),
            status=np.array(columns[5], dtype=np.str_),
            view=np.array(columns[8], dtype=np.str_),
        )  # fmt: skip

    def count(
        self,
        kind: Kind,
        zone: str,
        interval: Interval,
        estimator: str,
        version: str,
        interval_s: int,
        source: str,
        recorded_from_utc: datetime | None = None,
        horizon: Horizon = Horizon.SHORT_RUN,
    ) -> int:
        """Count the intervals of this length that begin in `interval` and have such an entry that is no forecast.

        Parameters
        ----------
        version : str
            Of the estimator.
        recorded_from_utc : datetime, optional
            Only entries written down at this moment or later.
        """
        row = self._connection.execute(
            named(
                "SELECT count(DISTINCT start_s) FROM {kind}_entries WHERE zone = ? AND estimator = ?"
                " AND estimator_version = ? AND interval_s = ? AND source = ? AND horizon = ?"
                " AND start_s >= ? AND start_s < ? AND view <> 'forecast' AND recorded_us >= ?",
                kind,
            ),
            (zone, estimator, version, interval_s, source, horizon.value,
             interval.start_utc.timestamp(), interval.end_utc.timestamp(),
             0 if recorded_from_utc is None else epoch_us(recorded_from_utc)),
        ).fetchone()  # fmt: skip
        return int(row[0])

    def entries(
        self,
        kind: Kind,
        zone: str,
        interval: Interval,
        estimator: str,
        as_of_utc: datetime | None = None,
        *,
        source: str | None = None,
        horizon: Horizon = Horizon.SHORT_RUN,
        forecast: bool = False,
    ) -> list[Entry]:
        """Give the full entries whose intervals touch `interval`, as known now or at `as_of_utc`; as `covering`."""
        return [
            entry_of(kind, row)
            for row in self._latest(
                kind, zone, interval, estimator, as_of_utc, ENTRY_COLUMNS, forecast, source, horizon
            )
        ]

    def digest(
        self, kind: Kind, zone: str, interval: Interval, estimator: str, interval_s: int, source: str
    ) -> str:
        """Hash what the book says now of a stretch: two books that say the same in the same words agree."""
        rows = self._latest(
            kind,
            zone,
            interval,
            estimator,
            None,
            "interval_s, entry_sha256",
            False,
            source,
            Horizon.SHORT_RUN,
        )
        return sha256_hex("".join(digest for length, digest in rows if length == interval_s).encode())

    def forecasts(
        self,
        zone: str,
        interval: Interval | None = None,
        issued: Interval | None = None,
        estimator: str | None = None,
        as_of_utc: datetime | None = None,
        kind: Kind = Kind.MARGINAL,
        source: str | None = None,
    ) -> list[Entry]:
        """Give forecasts as they were issued, every issue of every interval, by issue time and then by interval.

        Parameters
        ----------
        interval : Interval, optional
            Only forecasts of intervals that touch it.
        issued : Interval, optional
            Only what was issued in it.
        as_of_utc : datetime, optional
            Only what was written down by then; an issue written down again is given as it stood then.
        """
        asked = interval or _ALWAYS
        issues = issued or _ALWAYS
        rows = self._connection.execute(
            named(
                f"SELECT {ENTRY_COLUMNS} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY estimator, source,"
                " start_s, interval_s, issued_us ORDER BY entry_id DESC) AS newest"
                " FROM {kind}_entries WHERE zone = ? AND issued_us >= ? AND issued_us < ? AND start_s < ?"
                f" AND start_s + interval_s > ? AND (? IS NULL OR estimator = ?) AND {known(kind)}"
                " AND (? IS NULL OR source = ?)) AS issues WHERE newest = 1"
                " ORDER BY issued_us, start_s, estimator, source",
                kind,
            ),
            (zone, epoch_us(issues.start_utc), epoch_us(issues.end_utc), asked.end_utc.timestamp(),
             asked.start_utc.timestamp(), estimator, estimator, *_known_us(as_of_utc), source, source),
        )  # fmt: skip
        return [entry_of(kind, row) for row in rows]

    def newest_issue(
        self,
        zone: str,
        issued: Interval | None = None,
        estimator: str | None = None,
        as_of_utc: datetime | None = None,
        source: str | None = None,
    ) -> list[Entry]:
        """Give the marginal forecasts of the newest issue, by one estimator and from one source, in order of time.

        Parameters
        ----------
        issued : Interval, optional
            Only what was issued in it.
        as_of_utc : datetime, optional
            Only what was written down by then.
        """
        issues = issued or _ALWAYS
        row = self._connection.execute(
            "SELECT issued_us, estimator, source FROM marginal_entries WHERE zone = ? AND issued_us >= ? AND issued_us < ?"
            " AND (? IS NULL OR estimator = ?) AND (? IS NULL OR source = ?)"
            f" AND {known(Kind.MARGINAL)} ORDER BY issued_us DESC, entry_id DESC LIMIT 1",
            (zone, epoch_us(issues.start_utc), epoch_us(issues.end_utc), estimator, estimator, source, source,
             *_known_us(as_of_utc)),
        ).fetchone()  # fmt: skip
        if row is None:
            return []
        moment = moment_of(row[0])
        return self.forecasts(
            zone,
            issued=Interval(moment, moment + timedelta(microseconds=1)),
            estimator=row[1],
            as_of_utc=as_of_utc,
            source=row[2],
        )

    def judged(
        self,
        kind: Kind,
        zone: str,
        interval: Interval,
        estimator: str,
        *,
        source: str | None = None,
        first: bool = False,
    ) -> pl.DataFrame:
        """Give the entries that begin in a stretch as a table to be held against a reference; no forecasts.

        Parameters
        ----------
        first : bool
            What was said first of each interval, and not what is said now.

        Returns
        -------
        polars.DataFrame
            `start_s`, `interval_s`, `low`, `mid`, `high` [g kWh⁻¹], `regime`, `status`, `view`, `entry_id`, `fit_id`,
            `recalibration_id`, `payload_sha256s`; ordered by start.
        """
        order = "ASC" if first else "DESC"
        rows = self._connection.execute(
            named(
                f"SELECT start_s, interval_s, {LOW}, {MID}, {HIGH}, regime, status, view, entry_id, fit_id,"
                " recalibration_id, payload_sha256s FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY start_s, interval_s"
                f" ORDER BY entry_id {order}) AS place FROM {{kind}}_entries WHERE zone = ?"
                " AND estimator = ? AND start_s >= ? AND start_s < ? AND view <> 'forecast' AND (? IS NULL OR source = ?)) AS said"
                " WHERE place = 1 ORDER BY start_s, interval_s",
                kind,
            ),
            (zone, estimator, interval.start_utc.timestamp(), interval.end_utc.timestamp(), source, source),
        ).fetchall()
        return pl.DataFrame(rows, schema=_JUDGED, orient="row")

    def extent(self, kind: Kind, zone: str, estimator: str, source: str | None = None) -> Interval | None:
        """Give the stretch from the first to the last entry that is no forecast, or None where there is none."""
        row = self._connection.execute(
            named(
                "SELECT min(start_s), max(start_s + interval_s) FROM {kind}_entries"
                " WHERE zone = ? AND estimator = ? AND view <> 'forecast' AND (? IS NULL OR source = ?)",
                kind,
            ),
            (zone, estimator, source, source),
        ).fetchone()
        if row[0] is None:
            return None
        return Interval(datetime.fromtimestamp(row[0], UTC), datetime.fromtimestamp(row[1], UTC))

    def entry(self, kind: Kind, entry_id: int) -> Entry:
        """Give one entry by its id.

        Raises
        ------
        NotFoundError
            If the book has no such entry.
        RetiredError
            If it was retired.
        """
        row = self._connection.execute(
            named(f"SELECT {ENTRY_COLUMNS} FROM {{kind}}_entries WHERE entry_id = ?", kind), (entry_id,)
        ).fetchone()
        if row is None:
            raise self._not_there(kind, entry_id)
        return entry_of(kind, row)

    def history(self, kind: Kind, entry_id: int) -> list[Entry]:
        """Give an entry and everything it superseded, newest first."""
        found = [self.entry(kind, entry_id)]
        while (older := found[-1].supersedes) is not None:
            found.append(self.entry(kind, older))
        return found

    def fit(self, fit_id: str) -> Fit:
        """Give a fit by its id.

        Raises
        ------
        NotFoundError
            If the book has no such fit.
        """
        row = self._connection.execute("SELECT body FROM fits WHERE fit_id = ?", (fit_id,)).fetchone()
        if row is None:
            raise NotFoundError(f"no fit {fit_id} in the ledger {self.name}")
        return fit_of(row[0])

    def hashed_again(self, kind: Kind, entry_id: int) -> str:
        """Hash an entry anew from what stands in the book, to be compared with its `entry_sha256`.

        Raises
        ------
        NotFoundError
            If the book has no such entry.
        """
        wanted = (*HASHED, "issued_us", "source")
        columns = ", ".join(named(stored_name(column, kind), kind) for column in wanted)
        row = self._connection.execute(
            named(f"SELECT {columns} FROM {{kind}}_entries WHERE entry_id = ?", kind), (entry_id,)
        ).fetchone()
        if row is None:
            raise self._not_there(kind, entry_id)
        return hashes(pl.DataFrame([row], schema=list(wanted), orient="row"))[0]

    def has_payload(self, sha256: str) -> bool:
        """Say whether a payload was ever noted."""
        found = self._connection.execute("SELECT 1 FROM payloads WHERE sha256 = ? LIMIT 1", (sha256,))
        return found.fetchone() is not None

    def payload(self, sha256: str) -> PayloadNote:
        """Give what is remembered of a payload.

        Raises
        ------
        NotFoundError
            If it was never noted.
        """
        row = self._connection.execute(
            "SELECT sha256, source, name, recorded_us FROM payloads WHERE sha256 = ?", (sha256,)
        ).fetchone()
        if row is None:
            raise NotFoundError(f"no payload {sha256} noted in the ledger {self.name}")
        return PayloadNote(row[0], row[1], row[2], moment_of(row[3]))

    def zones(self) -> list[str]:
        """List the zones with entries."""
        return [
            row[0]
            for row in self._connection.execute("SELECT DISTINCT zone FROM marginal_entries ORDER BY zone")
        ]

    def estimators(self, kind: Kind, zone: str) -> list[str]:
        """List whose entries of a kind a zone has."""
        rows = self._connection.execute(
            named("SELECT DISTINCT estimator FROM {kind}_entries WHERE zone = ? ORDER BY estimator", kind),
            (zone,),
        )
        return [row[0] for row in rows]

    def tellers(self, kind: Kind, zone: str, interval: Interval) -> list[tuple[str, str, int, str]]:
        """List who said something short-run, no forecasts, of intervals that begin in a stretch.

        Returns
        -------
        list of (str, str, int, str)
            Estimator, source, length of the intervals [s], gases.
        """
        rows = self._connection.execute(
            named(
                "SELECT DISTINCT estimator, source, interval_s, gases FROM {kind}_entries WHERE zone = ?"
                " AND start_s >= ? AND start_s < ? AND view <> 'forecast' AND horizon = 'short_run'"
                " ORDER BY estimator, source, interval_s, gases",
                kind,
            ),
            (zone, interval.start_utc.timestamp(), interval.end_utc.timestamp()),
        )
        return [(str(row[0]), str(row[1]), int(row[2]), str(row[3])) for row in rows]

    def declarations(self, zone: str) -> list[Declaration]:
        """Give the declared changes of a zone's grid, by the moment from which they hold."""
        return changes.declarations(self._connection, zone)

    def recalibrations(self, zone: str, estimator: str | None = None) -> list[Recalibration]:
        """Give the recalibrations of a zone, oldest first."""
        return changes.recalibrations(self._connection, zone, estimator)

    def corrections(self) -> list[Correction]:
        """Give every correction of the clock, oldest first."""
        return corrections(self._connection)

    def newest_utc(self) -> datetime | None:
        """Give the time that the next record must come after; None where nothing was written yet."""
        newest = newest_us(self._connection)
        return None if newest is None else moment_of(newest)

    def retirements(self, *, standing: bool = False) -> list[Retirement]:
        """Give every retirement, oldest first; `standing` leaves out those whose entries were restored."""
        return retirements.retirements(self._connection, standing=standing)

    def retired(self, zone: str | None = None, interval: Interval | None = None) -> list[Retirement]:
        """Give the retirements that took entries of a zone and stretch out of the book, oldest first."""
        asked = interval or _ALWAYS
        return [
            one
            for one in self.retirements(standing=True)
            if any(
                (zone is None or name == zone) and held.interval.overlap(asked)
                for name, held in one.holds.items()
            )
        ]

    def payloads_in_use(self) -> set[str]:
        """Give the hashes of all payloads that a standing entry names, or a fit that is in use.

        In use are the fits of standing entries, the newest fit of each zone and estimator, and the fits that these name.
        """
        needed: set[str] = set()
        used: set[str] = set()
        for kind in Kind:
            table = f"{kind.value}_entries"
            for (text,) in self._connection.execute(f"SELECT DISTINCT payload_sha256s FROM {table}"):
                needed.update(json.loads(text))
            used.update(row[0] for row in self._connection.execute(f"SELECT DISTINCT fit_id FROM {table}"))
        newest: dict[tuple[str, str], str] = {}
        named_in: dict[str, set[str]] = {}
        for fit_id, estimator, zone, body in self._connection.execute(
            "SELECT fit_id, estimator, zone, body FROM fits ORDER BY recorded_us, fit_id"
        ):
            newest[estimator, zone] = fit_id
            named_in[fit_id] = set(_HASH.findall(body))
        waiting = [*used, *newest.values()]
        seen: set[str] = set()
        while waiting:
            fit_id = waiting.pop()
            if fit_id not in seen:
                seen.add(fit_id)
                names = named_in.get(fit_id, set())
                needed |= names
                waiting += names & named_in.keys()
        return needed

    def _not_there(self, kind: Kind, entry_id: int) -> NotFoundError:
        into = retirements.retirement_of(self._connection, kind, entry_id)
        if into is None:
            return NotFoundError(f"no {kind.value} entry {entry_id} in the ledger {self.name}")
        return RetiredError(
            f"{kind.value} entry {entry_id} was {into}; it stands there, and"
            f" `gridmargin ledger prove {kind.value} {entry_id}` proves its place in the log"
        )

    def _latest(
        self,
        kind: Kind,
        zone: str,
        interval: Interval,
        estimator: str,
        as_of_utc: datetime | None,
        columns: str,
        forecast: bool,
        source: str | None,
        horizon: Horizon,
    ) -> list[tuple[Any, ...]]:
        return self._connection.execute(
            named(
                f"SELECT {columns} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY start_s, interval_s, source"
                " ORDER BY issued_us DESC NULLS LAST, entry_id DESC) AS newest"
                " FROM {kind}_entries WHERE zone = ? AND estimator = ? AND start_s < ? AND start_s + interval_s > ?"
                f" AND start_s > ? AND {known(kind)} AND (view = 'forecast') = ? AND horizon = ?"
                " AND (? IS NULL OR source = ?)) AS said WHERE newest = 1 ORDER BY start_s, source",
                kind,
            ),
            (zone, estimator, interval.end_utc.timestamp(), interval.start_utc.timestamp(),
             interval.start_utc.timestamp() - 86_400, *_known_us(as_of_utc), forecast, horizon.value, source, source),
        ).fetchall()  # fmt: skip


_ALWAYS = Interval(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
_HASH = re.compile(r"\b[0-9a-f]{16,64}\b")
_JUDGED = {
    "start_s": pl.Int64, "interval_s": pl.Int64, "low": pl.Float64, "mid": pl.Float64, "high": pl.Float64,
    "regime": pl.String, "status": pl.String, "view": pl.String, "entry_id": pl.Int64, "fit_id": pl.String,
    "recalibration_id": pl.Int64, "payload_sha256s": pl.String,
}  # fmt: skip


def _known_us(as_of_utc: datetime | None) -> tuple[int, int]:
    """Give the values of `known`."""
    moment_us = 2**62 if as_of_utc is None else epoch_us(as_of_utc)
    return moment_us, moment_us


def fit_of(text: str) -> Fit:
    """Read a fit from the JSON that the book keeps of it."""
    body = json.loads(text)
    for moment in ("train_start_utc", "train_end_utc"):
        body[moment] = datetime.fromisoformat(body[moment])
    body["payload_sha256s"] = tuple(body["payload_sha256s"])
    return Fit(**body)
