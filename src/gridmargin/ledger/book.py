"""The book: append estimates, ask for what covers an interval, now or as known then (C9)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.ledger.entry import Entry, PayloadNote
from gridmargin.ledger.store import open_database
from gridmargin.marginal import AverageEstimate, Estimates, Fit, MarginalEstimate, MarginalSource
from gridmargin.vocab import (
    Basis,
    Boundary,
    Gases,
    Horizon,
    Interval,
    Kind,
    NotFoundError,
    Range,
    Status,
    TableError,
    View,
    canonical_json,
    require_utc,
    sha256_hex,
)


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


class Book:
    """The ledger of one data folder.

    Parameters
    ----------
    path : Path
        The SQLite file; made where absent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_database(path)

    def __enter__(self) -> Book:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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

        Parameters
        ----------
        estimates : Estimates
            Of one zone and estimator.
        fit : Fit
            The fit that gave them; kept too.
        recorded_utc : datetime
            The moment of writing; one that is not after the newest in the book is moved behind it, so that a clock
            set back changes no earlier as-of answer (C9).
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
        n = len(estimates)
        if n == 0:
            return 0
        if estimates.fit_id != fit.fit_id:
            raise TableError(f"estimates come from fit {estimates.fit_id}, not from {fit.fit_id}")
        kind = estimates.basis.kind
        frame = _rows(estimates, payload_sha256s or ["[]"] * n, conditions or ["{}"] * n, source)
        with self._transaction() as connection:
            recorded_us = max(_epoch_us(recorded_utc), self._newest_us(connection) + 1)
            self._put_fit(connection, fit, recorded_us)
            current = self._current(connection, estimates, source)
            known = pl.DataFrame(
                current,
                schema={"start_s": pl.Int64, "supersedes": pl.Int64, "known_sha256": pl.String},
                orient="row",
            )
            fresh = frame.join(known, on="start_s", how="left", maintain_order="left").filter(
                pl.col("known_sha256").is_null() | (pl.col("known_sha256") != pl.col("entry_sha256"))
            )
            columns = [*frame.columns, "supersedes"]
            sql = (
                f"INSERT INTO {kind.value}_entries ({', '.join(_stored_name(c, kind) for c in columns)}, recorded_us)"
                f" VALUES ({', '.join('?' * len(columns))}, {recorded_us})"
            )
            connection.executemany(sql, fresh.select(columns).iter_rows())
        return fresh.height

    def note_payload(self, note: PayloadNote, n_bytes: int) -> None:
        """Remember a payload; the first word stands."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO payloads SELECT ?, ?, ?, ?, ?"
                " WHERE NOT EXISTS (SELECT 1 FROM payloads WHERE sha256 = ? AND source = ?)",
                (
                    note.sha256,
                    note.source,
                    note.name,
                    n_bytes,
                    _epoch_us(note.recorded_utc),
                    note.sha256,
                    note.source,
                ),
            )

    # -- asking ----------------------------------------------------------------------------------------------------

    def covering(
        self,
        kind: Kind,
        zone: str,
        interval: Interval,
        estimator: str,
        interval_s: int | None = None,
        as_of_utc: datetime | None = None,
        source: str | None = None,
        horizon: Horizon = Horizon.SHORT_RUN,
    ) -> Factors:
        """Give the factors whose intervals touch `interval`, as known now or at `as_of_utc`.

        Parameters
        ----------
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
            f"start_s, {_LOW}, {_MID}, {_HIGH}, entry_id, status, interval_s, source, view",
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
        horizon: Horizon = Horizon.SHORT_RUN,
    ) -> int:
        """Count the intervals of this length that begin in `interval` and have an entry of this source and version."""
        row = self._connection.execute(
            _named(
                "SELECT count(DISTINCT start_s) FROM {kind}_entries WHERE zone = ? AND estimator = ?"
                " AND estimator_version = ? AND interval_s = ? AND source = ? AND horizon = ? AND start_s >= ? AND start_s < ?",
                kind,
            ),
            (zone, estimator, version, interval_s, source, horizon.value, interval.start_utc.timestamp(),
             interval.end_utc.timestamp()),
        ).fetchone()  # fmt: skip
        return int(row[0])

    def entries(
        self,
        kind: Kind,
        zone: str,
        interval: Interval,
        estimator: str,
        as_of_utc: datetime | None = None,
        source: str | None = None,
        horizon: Horizon = Horizon.SHORT_RUN,
    ) -> list[Entry]:
        """Give the full entries whose intervals touch `interval`, as known now or at `as_of_utc`, of any source or one."""
        return [
            _entry(kind, row)
            for row in self._latest(
                kind, zone, interval, estimator, as_of_utc, _ENTRY_COLUMNS, source, horizon
            )
        ]

    def digest(
        self, kind: Kind, zone: str, interval: Interval, estimator: str, interval_s: int, source: str
    ) -> str:
        """Hash what the book says now of a stretch: two books that say the same in the same words agree."""
        rows = self._latest(kind, zone, interval, estimator, None, "interval_s, entry_sha256", source)
        return sha256_hex("".join(digest for length, digest in rows if length == interval_s).encode())

    def entry(self, kind: Kind, entry_id: int) -> Entry:
        """Give one entry by its id.

        Raises
        ------
        NotFoundError
            If the book has no such entry.
        """
        row = self._connection.execute(
            _named(f"SELECT {_ENTRY_COLUMNS} FROM {{kind}}_entries WHERE entry_id = ?", kind), (entry_id,)
        ).fetchone()
        if row is None:
            raise NotFoundError(f"no {kind.value} entry {entry_id} in the ledger {self.path}")
        return _entry(kind, row)

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
            raise NotFoundError(f"no fit {fit_id} in the ledger {self.path}")
        body = json.loads(row[0])
        for moment in ("train_start_utc", "train_end_utc"):
            body[moment] = datetime.fromisoformat(body[moment])
        body["payload_sha256s"] = tuple(body["payload_sha256s"])
        return Fit(**body)

    def hashed_again(self, kind: Kind, entry_id: int) -> str:
        """Hash an entry anew from what stands in the book, to be compared with its `entry_sha256`.

        Raises
        ------
        NotFoundError
            If the book has no such entry.
        """
        columns = ", ".join(_named(_stored_name(column, kind), kind) for column in (*HASHED, "source"))
        row = self._connection.execute(
            _named(f"SELECT {columns} FROM {{kind}}_entries WHERE entry_id = ?", kind), (entry_id,)
        ).fetchone()
        if row is None:
            raise NotFoundError(f"no {kind.value} entry {entry_id} in the ledger {self.path}")
        return _hashes(pl.DataFrame([row], schema=[*HASHED, "source"], orient="row"))[0]

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
            raise NotFoundError(f"no payload {sha256} noted in the ledger {self.path}")
        return PayloadNote(row[0], row[1], row[2], _moment(row[3]))

    def zones(self) -> list[str]:
        """List the zones with entries."""
        return [
            row[0]
            for row in self._connection.execute("SELECT DISTINCT zone FROM marginal_entries ORDER BY zone")
        ]

    # -- inside ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _put_fit(self, connection: sqlite3.Connection, fit: Fit, recorded_us: int) -> None:
        body = asdict(fit)
        body["train_start_utc"] = fit.train_start_utc.isoformat()
        body["train_end_utc"] = fit.train_end_utc.isoformat()
        connection.execute(
            "INSERT INTO fits SELECT ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM fits WHERE fit_id = ?)",
            (fit.fit_id, fit.estimator, fit.zone, canonical_json(body), recorded_us, fit.fit_id),
        )

    @staticmethod
    def _newest_us(connection: sqlite3.Connection) -> int:
        newest = [
            connection.execute(
                f"SELECT recorded_us FROM {kind.value}_entries ORDER BY entry_id DESC LIMIT 1"
            ).fetchone()
            for kind in Kind
        ]
        return max((row[0] for row in newest if row is not None), default=-1)

    def _current(
        self, connection: sqlite3.Connection, estimates: Estimates, source: str
    ) -> list[tuple[Any, ...]]:
        basis = estimates.basis
        return connection.execute(
            _named(
                "SELECT start_s, entry_id, entry_sha256 FROM ("
                " SELECT start_s, entry_id, entry_sha256,"
                " ROW_NUMBER() OVER (PARTITION BY start_s ORDER BY recorded_us DESC, entry_id DESC) AS newest"
                " FROM {kind}_entries WHERE zone = ? AND estimator = ? AND interval_s = ? AND start_s BETWEEN ? AND ?"
                " AND horizon = ? AND gases = ? AND boundary = ? AND source = ?) WHERE newest = 1",
                basis.kind,
            ),
            (estimates.zone, estimates.estimator, estimates.interval_s, int(estimates.start_epoch_s[0]),
             int(estimates.start_epoch_s[-1]), basis.horizon.value, basis.gases.value, basis.boundary.value, source),
        ).fetchall()  # fmt: skip

    def _latest(
        self,
        kind: Kind,
        zone: str,
        interval: Interval,
        estimator: str,
        as_of_utc: datetime | None,
        columns: str,
        source: str | None = None,
        horizon: Horizon = Horizon.SHORT_RUN,
    ) -> list[tuple[Any, ...]]:
        known_us = _epoch_us(as_of_utc) if as_of_utc is not None else 2**62
        return self._connection.execute(
            _named(
                f"SELECT {columns} FROM (SELECT *,"
                " ROW_NUMBER() OVER (PARTITION BY start_s, interval_s, source ORDER BY recorded_us DESC, entry_id DESC) AS newest"
                " FROM {kind}_entries WHERE zone = ? AND estimator = ? AND start_s < ? AND start_s + interval_s > ?"
                " AND start_s > ? AND recorded_us <= ? AND horizon = ? AND (? IS NULL OR source = ?)) WHERE newest = 1 ORDER BY start_s, source",
                kind,
            ),
            (zone, estimator, interval.end_utc.timestamp(), interval.start_utc.timestamp(),
             interval.start_utc.timestamp() - 86_400, known_us, horizon.value, source, source),
        ).fetchall()  # fmt: skip


_LOW, _MID, _HIGH = ("{kind}_low_gco2_per_kwh", "{kind}_mid_gco2_per_kwh", "{kind}_high_gco2_per_kwh")
_ENTRY_COLUMNS = (
    "entry_id, zone, start_s, interval_s, estimator, estimator_version, horizon, gases, boundary, view, "
    f"{_LOW}, {_MID}, {_HIGH}, sources, conditions, regime, status, fit_id, payload_sha256s, entry_sha256, "
    "recorded_us, supersedes, source"
)


def _named(sql: str, kind: Kind) -> str:
    return sql.replace("{kind}", kind.value)


def _stored_name(column: str, kind: Kind) -> str:
    return f"{kind.value}_{column}" if column.endswith("_gco2_per_kwh") else column


def _epoch_us(moment: datetime) -> int:
    return int((require_utc(moment) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def _moment(epoch_us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=epoch_us)


def _rows(
    estimates: Estimates, payload_sha256s: Sequence[str], conditions: Sequence[str], source: str
) -> pl.DataFrame:
    k = len(estimates.source_names)
    parts: list[pl.Expr] = []
    table: dict[str, Any] = {"start_s": estimates.start_epoch_s}
    for j in range(k):
        table[f"p{j}"] = estimates.source_probability[:, j]
        table[f"f{j}"] = estimates.source_factor[:, j]
        parts += [pl.col(f"p{j}").cast(pl.String), pl.col(f"f{j}").cast(pl.String)]
    pattern = "[" + ",".join(f"[{json.dumps(name)},{{}},{{}}]" for name in estimates.source_names) + "]"
    basis = estimates.basis
    frame = pl.DataFrame(
        {
            **table,
            "low_gco2_per_kwh": estimates.low,
            "mid_gco2_per_kwh": estimates.mid,
            "high_gco2_per_kwh": estimates.high,
            "conditions": pl.Series(list(conditions), dtype=pl.String),
            "regime": estimates.regime.astype(str),
            "status": estimates.status.astype(str),
            "payload_sha256s": pl.Series(list(payload_sha256s), dtype=pl.String),
        }
    ).select(
        pl.lit(estimates.zone).alias("zone"),
        "start_s",
        pl.lit(estimates.interval_s).alias("interval_s"),
        pl.lit(estimates.estimator).alias("estimator"),
        pl.lit(estimates.estimator_version).alias("estimator_version"),
        pl.lit(basis.horizon.value).alias("horizon"),
        pl.lit(basis.gases.value).alias("gases"),
        pl.lit(basis.boundary.value).alias("boundary"),
        pl.lit(basis.view.value).alias("view"),
        "low_gco2_per_kwh",
        "mid_gco2_per_kwh",
        "high_gco2_per_kwh",
        pl.format(pattern, *parts).alias("sources"),
        "conditions",
        "regime",
        "status",
        pl.lit(estimates.fit_id).alias("fit_id"),
        "payload_sha256s",
        pl.lit(source).alias("source"),
    )
    return frame.with_columns(pl.Series("entry_sha256", _hashes(frame)))


HASHED = (
    "zone", "start_s", "interval_s", "estimator", "estimator_version", "horizon", "gases", "boundary", "view",
    "low_gco2_per_kwh", "mid_gco2_per_kwh", "high_gco2_per_kwh", "sources", "conditions", "regime", "status", "fit_id",
    "payload_sha256s",
)  # fmt: skip
"""What an entry's hash covers, in order; behind it the source, which entries from before schema 0002 lack."""


def _hashes(frame: pl.DataFrame) -> list[str]:
    said = pl.concat_str([pl.col(c).cast(pl.String).fill_null("") for c in HASHED], separator="\x1f")
    source = pl.when(pl.col("source") == "").then(pl.lit("")).otherwise("\x1f" + pl.col("source"))
    text = frame.select(said + source).to_series()
    return [sha256_hex(line.encode()) for line in text]


def _entry(kind: Kind, row: Sequence[Any]) -> Entry:
    (entry_id, zone, start_s, interval_s, estimator, version, horizon, gases, boundary, view, low, mid, high, sources,
     conditions, regime, status, fit_id, payloads, digest, recorded_us, supersedes, source) = row  # fmt: skip
    kinds: Mapping[Kind, type[MarginalEstimate] | type[AverageEstimate]] = {
        Kind.MARGINAL: MarginalEstimate,
        Kind.AVERAGE: AverageEstimate,
    }
    estimate = kinds[kind](
        zone=zone,
        interval=Interval.starting(datetime.fromtimestamp(start_s, UTC), interval_s),
        factor_gco2_per_kwh=Range(low, mid, high),
        sources=tuple(MarginalSource(*source) for source in json.loads(sources)),
        basis=Basis(kind, Horizon(horizon), Gases(gases), Boundary(boundary), View(view)),
        estimator=estimator,
        estimator_version=version,
        regime=regime,
        status=Status(status),
    )
    return Entry(
        entry_id=entry_id,
        estimate=estimate,
        conditions=json.loads(conditions),
        fit_id=fit_id,
        payload_sha256s=tuple(json.loads(payloads)),
        recorded_utc=_moment(recorded_us),
        supersedes=supersedes,
        entry_sha256=digest,
        source=source,
    )
