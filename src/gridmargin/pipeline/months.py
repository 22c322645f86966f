"""Months and slots of UTC: where fits are renewed, and where intervals begin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from gridmargin.vocab import Interval

HISTORY = timedelta(days=365)
"""How far back a fit looks; it is renewed at the start of every UTC month."""


def first_of_month(moment: datetime) -> datetime:
    """Give the start of a moment's month."""
    return datetime(moment.year, moment.month, 1, tzinfo=UTC)


def mid_month(month_utc: datetime, back: int) -> Interval:
    """Give the 15th of the month that lies `back` months before one."""
    year, month = divmod(month_utc.year * 12 + month_utc.month - 1 - back, 12)
    return Interval.starting(datetime(year, month + 1, 15, tzinfo=UTC), 86_400)


def month_starts(interval: Interval) -> Iterator[Interval]:
    """Cut an interval at UTC month boundaries; each part begins at `interval`'s start or a month's."""
    start = interval.start_utc
    while start < interval.end_utc:
        year, month = divmod(start.year * 12 + start.month, 12)
        turn = datetime(year, month + 1, 1, tzinfo=UTC)
        yield Interval(start, min(turn, interval.end_utc))
        start = turn


def whole_slots(interval: Interval, step_s: int) -> Interval:
    """Widen an interval to the slots that it touches."""
    first = Interval.containing(interval.start_utc, step_s).start_utc
    last = Interval.containing(interval.end_utc - timedelta(microseconds=1), step_s).end_utc
    return Interval(first, last)
