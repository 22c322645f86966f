"""Rows: estimates as the table's columns, columns as records, and the hash over both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from gridmargin.ledger.entry import Entry
from gridmargin.marginal import AverageEstimate, Estimates, MarginalEstimate, MarginalSource
from gridmargin.vocab import (
    Basis,
    Boundary,
    Gases,
    Horizon,
    Interval,
    Kind,
    Range,
    Status,
    View,
    require_utc,
    sha256_hex,
)

LEAST_PLAIN = -5
"""Smallest power of ten that hashes write without an exponent."""

LOW, MID, HIGH = ("{kind}_low_gco2_per_kwh", "{kind}_mid_gco2_per_kwh", "{kind}_high_gco2_per_kwh")
ENTRY_COLUMNS = (
    "entry_id, zone, start_s, interval_s, estimator, estimator_version, horizon, gases, boundary, view, "
    f"{LOW}, {MID}, {HIGH}, sources, conditions, regime, status, fit_id, payload_sha256s, entry_sha256, "
    "recorded_us, supersedes, issued_us, recalibration_id, source"
)
"""What `entry_of` reads, in order."""


def named(sql: str, kind: Kind) -> str:
    """Put the kind into the names of a statement's tables and columns."""
    return sql.replace("{kind}", kind.value)


def stored_name(column: str, kind: Kind) -> str:
    """Give a column's name in the table of a kind."""
    return f"{kind.value}_{column}" if column.endswith("_gco2_per_kwh") else column


def epoch_us(moment: datetime) -> int:
    """Give the microseconds since 1970 UTC. [µs]"""
    return int((require_utc(moment) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def moment_of(since_1970_us: int) -> datetime:
    """Give the moment so many microseconds after 1970 UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=since_1970_us)


def rows_of(
    estimates: Estimates, payload_sha256s: Sequence[str], conditions: Sequence[str], source: str
) -> pl.DataFrame:
    """Give estimates as the columns of the table, one row an interval, without their hashes (`hashed`)."""
    k = len(estimates.source_names)
    parts: list[pl.Expr] = []
    table: dict[str, Any] = {"start_s": estimates.start_epoch_s}
    for j in range(k):
        table[f"p{j}"] = estimates.source_probability[:, j]
        table[f"f{j}"] = estimates.source_factor[:, j]
        parts += [pl.col(f"p{j}").cast(pl.String), pl.col(f"f{j}").cast(pl.String)]
    pattern = "[" + ",".join(f"[{json.dumps(name)},{{}},{{}}]" for name in estimates.source_names) + "]"
    basis, issued = estimates.basis, estimates.issued_utc
    return pl.DataFrame(
        {
            **table,
            # SQLite keeps no negative zero, so none is hashed.
            "low_gco2_per_kwh": estimates.low + 0.0,
            "mid_gco2_per_kwh": estimates.mid + 0.0,
            "high_gco2_per_kwh": estimates.high + 0.0,
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
        pl.lit(None if issued is None else epoch_us(issued), dtype=pl.Int64).alias("issued_us"),
        pl.lit(source).alias("source"),
    )


def hashed(frame: pl.DataFrame) -> pl.DataFrame:
    """Give rows the hash of what each says."""
    return frame.with_columns(pl.Series("entry_sha256", hashes(frame)))


HASHED = (
    "zone", "start_s", "interval_s", "estimator", "estimator_version", "horizon", "gases", "boundary", "view",
    "low_gco2_per_kwh", "mid_gco2_per_kwh", "high_gco2_per_kwh", "sources", "conditions", "regime", "status", "fit_id",
    "payload_sha256s",
)  # fmt: skip
"""What an entry's hash covers, in order; behind these a forecast's issue time, and the source, which entries from before
schema 0002 lack."""


def number_text(number: float | None) -> str | None:
    """Write a number in the only way that hashes know: the shortest decimal that reads back as it.

    Plain from 1e-5 to below 1e16, as in 0.000017 and 412.5; beyond, one digit before the point and a plain exponent,
    as in 6.7e-6 and 1e+16. No library's own habit is in it, so that an auditor of later years comes to the same words.
    """
    if number is None:
        return None
    text = repr(number)
    mantissa, found, exponent = text.partition("e")
    if not found:
        return text
    power = int(exponent)
    if power >= 0:
        return f"{mantissa}e+{power}"
    return f"{Decimal(text):f}" if power >= LEAST_PLAIN else f"{mantissa}e{power}"


def hashes(frame: pl.DataFrame) -> list[str]:
    """Hash each row of a frame with the columns `HASHED`, `issued_us` and `source`."""
    factors = [c for c in HASHED if c.endswith("_gco2_per_kwh")]
    frame = frame.with_columns(
        pl.Series(c, [number_text(number) for number in frame[c].cast(pl.Float64)], dtype=pl.String)
        for c in factors
    )
    said = [pl.col(c).cast(pl.String).fill_null("") for c in HASHED]
    issue = (pl.lit("\x1f") + pl.col("issued_us").cast(pl.String)).fill_null("")
    source = pl.when(pl.col("source") == "").then(pl.lit("")).otherwise("\x1f" + pl.col("source"))
    text = frame.select(pl.concat_str(pl.concat_str(said, separator="\x1f"), issue, source)).to_series()
    return [sha256_hex(line.encode()) for line in text]


def entry_of(kind: Kind, row: Sequence[Any]) -> Entry:
    """Read a row of `ENTRY_COLUMNS`."""
    (entry_id, zone, start_s, interval_s, estimator, version, horizon, gases, boundary, view, low, mid, high, sources,
     conditions, regime, status, fit_id, payloads, digest, recorded_us, supersedes,
     issued_us, recalibration_id, source) = row  # fmt: skip
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
        recorded_utc=moment_of(recorded_us),
        supersedes=supersedes,
        entry_sha256=digest,
        issued_utc=None if issued_us is None else moment_of(issued_us),
        recalibration_id=recalibration_id,
        source=source,
    )
