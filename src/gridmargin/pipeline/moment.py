"""Which recorded moment answers for one that was asked for."""

from __future__ import annotations

from datetime import datetime, timedelta

from gridmargin.pipeline.live import usual_age_s
from gridmargin.sources import KeptSource, Source
from gridmargin.vocab import NoFactorError, format_utc


def moment_for(source: Source, zone: str, asked_utc: datetime) -> tuple[datetime, str]:
    """Give the moment whose data answer for `asked_utc`, and a note where it is another one.

    A recorded source is a film: a moment beyond its end is answered by the same date and time of the newest year it
    holds, and by its last interval where it holds no such date.
    """
    span = source.span(zone)
    if asked_utc in span:
        return asked_utc, ""
    for years in range(1, 1 if isinstance(source, KeptSource) else 200):
        try:
            moment = asked_utc.replace(year=asked_utc.year - years)
        except ValueError:  # 29 February
            moment = asked_utc.replace(year=asked_utc.year - years, day=28)
        if moment in span:
            return (
                moment,
                f"no data for {format_utc(asked_utc)}: answered with the record of {format_utc(moment)}",
            )
        if moment < span.start_utc:
            break
    if asked_utc < span.start_utc:
        raise outside(source, zone, asked_utc)
    last = span.end_utc - timedelta(seconds=source.interval_s(zone))
    if isinstance(source, KeptSource):
        age_min = (asked_utc - span.end_utc).total_seconds() / 60
        stale = "stale: " if is_stale(source, zone, asked_utc) else ""
        return (
            last,
            f"{stale}the newest interval ended {age_min:.0f} min before {format_utc(asked_utc.replace(microsecond=0))}",
        )
    return (
        last,
        f"no data for {format_utc(asked_utc)}: answered with the last recorded interval, {format_utc(last)}",
    )


STALE_WIDENING = 2.0
"""How many times as wide the range of a stale interval is that stands for a later moment; as for a gap (C8)."""


def is_stale(source: Source, zone: str, asked_utc: datetime) -> bool:
    """Say whether a live source's newest interval is older than its publisher's cadence and delay explain."""
    if not isinstance(source, KeptSource):
        return False
    return (asked_utc - source.span(zone).end_utc).total_seconds() > usual_age_s(source.live)


def outside(source: Source, zone: str, asked_utc: datetime) -> NoFactorError:
    """Give the refusal of a moment that a source does not hold."""
    span = source.span(zone)
    return NoFactorError(
        f"{source.name} data for {zone} reach from {format_utc(span.start_utc)} to {format_utc(span.end_utc)}: nothing for"
        f" {format_utc(asked_utc)}; ask for a moment in between, or give `source=reference` for a typical day"
    )
