"""Observations to GridStates."""

from __future__ import annotations

import polars as pl

from gridmargin.grid.state import OPTIONAL_COLUMNS, GridStates
from gridmargin.sources import Observation, Observations
from gridmargin.vocab import Interval, Status, TableError


def assemble(observations: Observations, zone: str, interval_s: int) -> GridStates:
    """Build the states of one zone.

    A cell that a later payload states again takes the later value; one that the same payload states twice is refused.
    What was not stated stays unknown: null, never zero (C2).

    Parameters
    ----------
    observations : Observations
        In the order in which payloads were read.
    zone : str
        Others are left out.
    interval_s : int
        Length of the intervals to build. [s]

    Raises
    ------
    TableError
        If one payload states a cell twice, or intervals have another length.
    """
    frame = observations.frame.filter(pl.col("zone") == zone)
    wrong = frame.filter(pl.col("interval_s") != interval_s)
    if wrong.height:
        raise TableError(f"{zone}: observations of {wrong['interval_s'][0]} s among intervals of {interval_s} s")
    cell = ["start_utc", "quantity"]
    twice = frame.filter(pl.struct(*cell, "payload_sha256").is_duplicated())
    if twice.height:
        row = twice.row(1, named=True)
        raise TableError(
            f"{zone}: {row['quantity']} at {row['start_utc']:%Y-%m-%dT%H:%MZ} stands twice in payload"
            f" {row['payload_sha256'][:12]}, the second time in row {row['row']}, column {row['column']}; remove one"
        )
    frame = frame.unique(cell, keep="last", maintain_order=True)
    present = frame["quantity"].unique().to_list()
    unknown = set(present) - set(OPTIONAL_COLUMNS)
    if unknown:
        raise TableError(f"{zone}: no state holds {sorted(unknown)[0]!r}; known: {', '.join(OPTIONAL_COLUMNS)}")
    columns = [name for name in OPTIONAL_COLUMNS if name in present]
    order = [status.value for status in Status]
    wide = frame.pivot("quantity", index="start_utc", values="value").sort("start_utc")
    status = frame.group_by("start_utc").agg(
        pl.col("status").replace_strict({name: i for i, name in enumerate(order)}, return_dtype=pl.Int8).max()
    )
    wide = wide.join(status, on="start_utc", how="left", maintain_order="left")
    if not columns:
        return GridStates(zone, interval_s, _empty())
    return GridStates(
        zone,
        interval_s,
        wide.select(
            "start_utc",
            pl.col("status").replace_strict(dict(enumerate(order)), return_dtype=pl.String),
            (pl.sum_horizontal(pl.col(columns).is_not_null()) / len(columns)).cast(pl.Float64).alias("completeness_frac"),
            *columns,
        ),
    )


def cells_behind(observations: Observations, zone: str, interval: Interval) -> list[Observation]:
    """Give the observations that `assemble` takes for one interval, cells included."""
    frame = observations.frame.filter((pl.col("zone") == zone) & (pl.col("start_utc") == interval.start_utc))
    kept = Observations(frame.unique(["start_utc", "quantity"], keep="last", maintain_order=True))
    return [kept.record(i) for i in range(len(kept))]


def _empty() -> pl.DataFrame:
    return pl.DataFrame(
        schema={"start_utc": pl.Datetime("us", "UTC"), "status": pl.String, "completeness_frac": pl.Float64}
    )
