"""Half-open UTC intervals, and times that refuse to be naive (C1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gridmargin.vocab.errors import TimeError

EARLIEST_YEAR, LATEST_YEAR = 1970, 2199
"""Years that a time may lie in: there is no grid data before, and a clock that says more is wrong."""


def require_utc(moment: datetime, what: str = "time") -> datetime:
    """Give `moment` in UTC; refuse it when it has no offset."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise TimeError(
            f"{what} {moment.isoformat(sep=' ')} has no UTC offset (C1); write it as "
            f"{moment.isoformat()}Z if it is UTC, or with its offset, such as {moment.isoformat()}-05:00"
        )
    return moment.astimezone(UTC)


def parse_utc(text: str, what: str = "time") -> datetime:
    """Read an ISO 8601 time with an offset.

    Raises
    ------
    TimeError
        If it cannot be read or carries no offset.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise TimeError(f"{what} {text!r} is not an ISO 8601 time such as 2020-07-15T18:15Z") from None
    if not EARLIEST_YEAR < moment.year < LATEST_YEAR:  # with a year to spare for offsets and neighbours
        raise TimeError(
            f"{what} {text!r} lies outside the years {EARLIEST_YEAR + 1} to {LATEST_YEAR - 1}; correct it"
        )
    return require_utc(moment, what)


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A half-open stretch of time; its start names it (C1).

    Attributes
    ----------
    start_utc, end_utc : datetime
        First instant inside, first instant outside.
    """

    start_utc: datetime
    end_utc: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_utc", require_utc(self.start_utc, "start_utc"))
        object.__setattr__(self, "end_utc", require_utc(self.end_utc, "end_utc"))
        if self.end_utc <= self.start_utc:
            raise TimeError(
                f"interval ends at {format_utc(self.end_utc)}, not after {format_utc(self.start_utc)};"
                " give an end after the start"
            )

    @classmethod
    def starting(cls, start_utc: datetime, duration_s: int) -> Interval:
        """Build the interval of `duration_s` seconds from `start_utc`."""
        return cls(start_utc, start_utc + timedelta(seconds=duration_s))

    @classmethod
    def containing(cls, moment: datetime, step_s: int) -> Interval:
        """Build the slot of the `step_s` grid, counted from the epoch, that holds `moment`."""
        epoch_s = int(require_utc(moment).timestamp()) // step_s * step_s
        return cls.starting(datetime.fromtimestamp(epoch_s, UTC), step_s)

    @property
    def duration_s(self) -> float:
        """Length. [s]"""
        return (self.end_utc - self.start_utc).total_seconds()

    def __contains__(self, moment: datetime) -> bool:
        return self.start_utc <= moment < self.end_utc

    def overlap(self, other: Interval) -> Interval | None:
        """Give what both share, or None."""
        start, end = max(self.start_utc, other.start_utc), min(self.end_utc, other.end_utc)
        return Interval(start, end) if start < end else None

    def split(self, step_s: int) -> Iterator[Interval]:
        """Cut at the boundaries of the `step_s` grid counted from the epoch."""
        start = self.start_utc
        while start < self.end_utc:
            end = min(Interval.containing(start, step_s).end_utc, self.end_utc)
            yield Interval(start, end)
            start = end

    def __str__(self) -> str:
        return f"{format_utc(self.start_utc)}/{format_utc(self.end_utc)}"


def format_utc(moment: datetime) -> str:
    """Write a time as ISO 8601 with Z; seconds only where there are any."""
    moment = require_utc(moment)
    spec = "minutes" if not moment.second and not moment.microsecond else "auto"
    return moment.replace(tzinfo=None).isoformat(timespec=spec) + "Z"
