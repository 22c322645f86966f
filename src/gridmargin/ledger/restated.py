"""What the book says differently now from what it said at an earlier moment, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from gridmargin.ledger.book import Book
from gridmargin.ledger.corrections import known, unknown
from gridmargin.ledger.rows import HIGH, LOW, MID, epoch_us, named
from gridmargin.vocab import Kind

_SCHEMA: Mapping[str, type[pl.DataType]] = {
    "zone": pl.String, "estimator": pl.String, "source": pl.String, "start_s": pl.Int64, "interval_s": pl.Int64,
    "new_id": pl.Int64, "new_low": pl.Float64, "new_mid": pl.Float64, "new_high": pl.Float64,
    "new_version": pl.String, "new_fit_id": pl.String, "new_payloads": pl.String, "new_status": pl.String,
    "recalibration_id": pl.Int64, "recorded_us": pl.Int64,
    "old_id": pl.Int64, "old_low": pl.Float64, "old_mid": pl.Float64, "old_high": pl.Float64,
    "old_version": pl.String, "old_fit_id": pl.String, "old_payloads": pl.String, "old_status": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Restated:
    """Entries of one kind that replaced what was known at a moment.

    Attributes
    ----------
    kind : Kind
        Marginal or average; a table holds one of them (C3).
    frame : polars.DataFrame
        By zone, estimator and start: `new_*` and `old_*` factors [g kWh⁻¹], `change_mid` [g kWh⁻¹], entry ids, `why`.
    next_id : int or None
        Where a limit cut the answer short: the entry behind which it goes on.
    """

    kind: Kind
    frame: pl.DataFrame
    next_id: int | None = None


def restated(
    book: Book,
    kind: Kind,
    since_utc: datetime,
    zone: str | None = None,
    *,
    after_id: int = 0,
    limit: int | None = None,
) -> Restated:
    """Compare what the book says now with what it said at `since_utc`; forecasts are no restatements and stay out.

    Parameters
    ----------
    after_id : int
        Only entries behind this one, in the order of writing.
    limit : int, optional
        How many entries are followed at most; `next_id` of the answer says where to go on.

    Notes
    -----
    An entry is followed back over what it superseded to the newest one that stood at `since_utc`. With a limit, only so
    many are followed, however long the book is.
    """
    since_us = epoch_us(since_utc)
    since = (since_us, since_us)
    standing = (
        f"FROM {{kind}}_entries n WHERE {unknown(kind)} AND supersedes IS NOT NULL AND view <> 'forecast'"
        " AND zone = coalesce(?, zone) AND entry_id > ?"
        " AND NOT EXISTS (SELECT 1 FROM {kind}_entries later WHERE later.supersedes = n.entry_id)"
    )
    next_id, last_id = None, 2**62
    if limit is not None:
        found = book.connection.execute(
            named(f"SELECT entry_id {standing} ORDER BY entry_id LIMIT ?", kind),
            (*since, zone, after_id, limit + 1),
        ).fetchall()
        if len(found) > limit:
            next_id = last_id = int(found[limit - 1][0])
    rows = book.connection.execute(
        named(
            "WITH RECURSIVE chain (new_id, at_id) AS ("
            f" SELECT entry_id, supersedes {standing} AND entry_id <= ?"
            " UNION ALL SELECT c.new_id, e.supersedes FROM chain c JOIN {kind}_entries e ON e.entry_id = c.at_id"
            f" WHERE {unknown(kind, 'e')} AND e.supersedes IS NOT NULL)"
            f" SELECT n.zone, n.estimator, n.source, n.start_s, n.interval_s, n.entry_id, n.{LOW}, n.{MID}, n.{HIGH},"
            " n.estimator_version, n.fit_id, n.payload_sha256s, n.status, n.recalibration_id, n.recorded_us,"
            f" o.entry_id, o.{LOW}, o.{MID}, o.{HIGH}, o.estimator_version, o.fit_id, o.payload_sha256s, o.status"
            " FROM chain c JOIN {kind}_entries n ON n.entry_id = c.new_id"
            f" JOIN {{kind}}_entries o ON o.entry_id = c.at_id WHERE {known(kind, 'o')}"
            " ORDER BY n.zone, n.estimator, n.start_s, n.interval_s, n.source",
            kind,
        ),
        (*since, zone, after_id, last_id, *since, *since),
    ).fetchall()
    frame = pl.DataFrame(rows, schema=dict(_SCHEMA), orient="row").with_columns(
        change_mid=pl.col("new_mid") - pl.col("old_mid"), why=_why()
    )
    return Restated(kind, frame, next_id)


def n_new_since(book: Book, kind: Kind, since_utc: datetime, zone: str | None = None) -> int:
    """Count the entries since a moment for intervals of which the book said nothing before; no forecasts."""
    since_us = epoch_us(since_utc)
    row = book.connection.execute(
        named(
            f"SELECT count(*) FROM {{kind}}_entries WHERE {unknown(kind)} AND supersedes IS NULL"
            " AND view <> 'forecast' AND zone = coalesce(?, zone)",
            kind,
        ),
        (since_us, since_us, zone),
    ).fetchone()
    return int(row[0])


def _why() -> pl.Expr:
    """Name what differs between the two entries, the furthest-reaching first."""
    return (
        pl.when(pl.col("recalibration_id").is_not_null())
        .then(pl.format("recalibration {}", "recalibration_id"))
        .when(pl.col("new_version") != pl.col("old_version"))
        .then(pl.format("estimator version {} to {}", "old_version", "new_version"))
        .when(pl.col("new_payloads") != pl.col("old_payloads"))
        .then(pl.lit("the publisher's tables were revised"))
        .when(~pl.col("new_fit_id").str.starts_with(pl.col("old_fit_id")))
        .then(pl.lit("fitted anew"))
        .when(pl.col("new_status") != pl.col("old_status"))
        .then(pl.format("status {} to {}", "old_status", "new_status"))
        .when(pl.col("new_fit_id") != pl.col("old_fit_id"))
        .then(pl.lit("the same fit under its longer id"))
        .otherwise(pl.lit("said in other words"))
    )
