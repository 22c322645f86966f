"""What one payload states, brought into the shape of observations."""

from __future__ import annotations

import polars as pl

from gridmargin.sources.observation import OBSERVATION_SCHEMA, Observations
from gridmargin.sources.source import Payload
from gridmargin.vocab import Interval, Status, TableError, sha256_hex


def stated(frame: pl.DataFrame, payload: Payload, interval: Interval, interval_s: int) -> Observations:
    """Give the known values whose start lies in `interval`, reported unless a column `status` says otherwise.

    Parameters
    ----------
    frame : polars.DataFrame
        `zone`, `start_utc`, `quantity`, `value`, `row`, `column`.
    interval_s : int
        Length of every interval. [s]
    """
    known = frame.filter(
        pl.col("start_utc").is_between(interval.start_utc, interval.end_utc, closed="left")
        & pl.col("value").is_not_null()
    )
    if "status" not in known.columns:
        known = known.with_columns(pl.lit(Status.REPORTED.value).alias("status"))
    return Observations(
        known.with_columns(
            pl.lit(interval_s, dtype=pl.Int32).alias("interval_s"),
            pl.lit(sha256_hex(payload.body)).alias("payload_sha256"),
            pl.col("row").cast(pl.Int32),
        ).select(OBSERVATION_SCHEMA.keys())
    )


def nothing() -> Observations:
    """Give what an answer states that says itself that there is nothing."""
    return Observations(pl.DataFrame(schema=OBSERVATION_SCHEMA))


def starts_utc(table: pl.DataFrame, payload: Payload, column: str) -> pl.DataFrame:
    """Add `start_utc`, read from a text column of times with an offset.

    Raises
    ------
    TableError
        Naming the first that is none.
    """
    text = pl.col(column).str.strip_chars().str.replace("Z$", "+00:00")
    forms = ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%:z", "%Y-%m-%dT%H:%M%:z")
    table = table.with_columns(
        pl.coalesce(
            text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False) for form in forms
        ).alias("start_utc")
    )
    bad = table.filter(pl.col("start_utc").is_null())
    if bad.height:
        raise TableError(
            f"{payload.name}, row {bad['row'][0]}, column {column}: {bad[column][0]!r} is not a time with an offset, such"
            " as 2026-09-24T12:00:00Z"
        )
    return table
