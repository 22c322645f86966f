"""Which recorded moment answers for one that was asked for."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from gridmargin.pipeline.live import usual_age_s
from gridmargin.reference import zone_named
from gridmargin.sources import KeptSource, Source
from gridmargin.vocab import NoFactorError, format_utc


def moment_for(source: Source, zone: str, asked_utc: datetime) -> tuple[datetime, str]:
    """Give the moment whose data answer for `asked_utc`, and a note where it is another one.

    A recorded source is a film: a moment beyond its end is answered by the same date and time of the newest year it
    holds, and where it holds no such date by the newest day that has the same local time.
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
                _stands_for(asked_utc, moment),
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
    local = asked_utc.astimezone(ZoneInfo(zone_named(zone).timezone))
    n_days = math.ceil((asked_utc - span.end_utc) / timedelta(days=1))
    # Clocks may have changed since, by an hour at most: then one day more.
    days = ((local - timedelta(days=n)).astimezone(UTC) for n in range(n_days, n_days + 3))
    moment = next((day for day in days if day in span), last)
    return moment, _stands_for(asked_utc, moment)


def _stands_for(asked_utc: datetime, moment_utc: datetime) -> str:
    asked, moment = (format_utc(at.replace(microsecond=0)) for at in (asked_utc, moment_utc))
    return f"no data for {asked}: answered with the record of {moment}"


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
