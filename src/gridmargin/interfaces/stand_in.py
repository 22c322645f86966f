"""What is shown in place of a stretch that no record holds, and that it is said to be so."""

from __future__ import annotations

import math
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gridmargin.ledger import Factors
from gridmargin.pipeline import Factory, moment_for
from gridmargin.reference import zone_named
from gridmargin.vocab import Interval, Status, format_utc


def stand_in_shift(factory: Factory, zone: str, interval: Interval) -> timedelta:
    """Give how far from a stretch the record lies that stands in for it; nothing where the record has the stretch.

    Of a record that ended, the newest stretch that it has whole, at the same local time of day.
    """
    source = factory.source
    span = source.span(zone)
    if span.overlap(interval) is not None:
        return timedelta(0)
    moment, _ = moment_for(source, zone, interval.start_utc)
    if moment + (interval.end_utc - interval.start_utc) <= span.end_utc:
        return moment - interval.start_utc
    local = interval.start_utc.astimezone(ZoneInfo(zone_named(zone).timezone))
    n_days = math.ceil((interval.end_utc - span.end_utc) / timedelta(days=1))
    # Clocks may have changed since, by an hour at most: then one day more.
    starts = ((local - timedelta(days=n)).astimezone(UTC) for n in (n_days, n_days + 1))
    shifts = [start - interval.start_utc for start in starts]
    return next((shift for shift in shifts if interval.end_utc + shift <= span.end_utc), shifts[-1])


def stand_in_answer(shifted: Interval, shift_s: int, marginal: Factors) -> dict[str, Any] | None:
    """Say what is shown in place of what happened: a `recorded` stretch of another time, or a `typical` day."""
    shown = {"start_utc": format_utc(shifted.start_utc), "end_utc": format_utc(shifted.end_utc)}
    if shift_s:
        return {"kind": "recorded", **shown}
    if len(marginal) and set(marginal.status.tolist()) == {Status.MODELLED.value}:
        return {"kind": "typical", **shown}
    return None
