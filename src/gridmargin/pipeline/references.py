"""References: what an estimate can be held against once more is known."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from gridmargin.ledger import Book
from gridmargin.pipeline.factors import Factory
from gridmargin.vocab import Interval, Kind, View

PUBLISHED = "published"
"""The operator's or agency's own marginal rate, where the zone's states hold one."""

LATER = "later"
"""What the same estimator said later of the same interval, from better data."""

_RATE = "published_marginal_rate_gco2_per_kwh"


@dataclass(frozen=True, slots=True)
class Reference:
    """Rates to hold estimates against; one reference has one name and is never blended with another.

    Attributes
    ----------
    name : str
        `published SOURCE`, `later`, or the estimator whose entries these are.
    frame : polars.DataFrame
        `start_s`, `interval_s`, `reference` [g kWh⁻¹]; ordered by start.
    """

    name: str
    frame: pl.DataFrame

    def by_start(self) -> dict[tuple[int, int], float]:
        """Give the rates by interval start and length."""
        return {(start, length): rate for start, length, rate in self.frame.iter_rows()}


def published(factory: Factory, zone: str, interval: Interval) -> Reference | None:
    """Give the published marginal rate of a stretch, or None where the source has none."""
    known = factory.source.span(zone).overlap(interval)
    if known is None:
        return None
    states, _ = factory.states(zone, [known])
    states = states.between(known)
    if _RATE not in states.frame.columns or not states.frame[_RATE].is_not_null().any():
        return None
    frame = pl.DataFrame({"start_s": states.start_epoch_s(), "reference": states.frame[_RATE]}).select(
        "start_s", pl.lit(states.interval_s, dtype=pl.Int64).alias("interval_s"), "reference"
    )
    return Reference(f"{PUBLISHED} {factory.source.name}", frame.drop_nulls())


def later(book: Book, kind: Kind, zone: str, interval: Interval, estimator: str, source: str) -> Reference:
    """Give what the estimator says now of intervals that it once spoke of otherwise, from newer data.

    An entry from the same payloads under another fit is no reference: it comes from a recalibration or a declared change,
    not from better data.
    """
    first = book.judged(kind, zone, interval, estimator, source=source, first=True)
    newest = book.judged(kind, zone, interval, estimator, source=source)
    both = first.join(newest, on=["start_s", "interval_s"], how="inner", suffix="_now", maintain_order="left")
    better = both.filter(
        (pl.col("payload_sha256s") != pl.col("payload_sha256s_now"))
        & pl.col("recalibration_id_now").is_null()
        & (pl.col("view_now") == View.OBSERVED.value)
    )
    return Reference(LATER, better.select("start_s", "interval_s", pl.col("mid_now").alias("reference")))


def entries_of(book: Book, kind: Kind, zone: str, interval: Interval, estimator: str) -> Reference:
    """Give what an estimator says of a stretch, as known now; forecasts are no part of it, and it may be empty."""
    frame = book.judged(kind, zone, interval, estimator)
    return Reference(estimator, frame.select("start_s", "interval_s", pl.col("mid").alias("reference")))
