"""Means over time: over the periods of a calendar, and over windows that slide. Everything of one kind (C3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from gridmargin.interfaces.faces.signals import Point, Signal
from gridmargin.vocab import InputError, Interval, NoFactorError, Status, worst


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch and the mean factor over it.

    Attributes
    ----------
    start_utc : datetime
    minutes : int
        Length. [min]
    mean : float
        Mean over time. [g kWh⁻¹]
    """

    start_utc: datetime
    minutes: int
    mean: float


def per_period(signal: Signal, period_s: int, *, whole: bool = False) -> list[Point]:
    """Give the mean over time of each period counted from the epoch.

    A period of which an interval is missing is marked as imputed, or left out.

    Parameters
    ----------
    period_s : int
        Length of a period: the signal's own interval or longer. [s]
    whole : bool
        Leave out a period that is not whole, but for the first.
    """
    if period_s < signal.interval_s or period_s % signal.interval_s:
        raise InputError(
            f"{signal.zone} is known in intervals of {signal.interval_s // 60} min, which do not make"
            f" {period_s // 60} min; ask for hourly"
        )
    groups: dict[datetime, list[Point]] = {}
    for point in signal.points:
        groups.setdefault(Interval.containing(point.start_utc, period_s).start_utc, []).append(point)
    n = period_s // signal.interval_s
    first = next(iter(groups), None)
    return [
        _mean(start, group, is_whole=len(group) == n)
        for start, group in groups.items()
        if not whole or len(group) == n or start == first
    ]


def sliding(signal: Signal, length: timedelta) -> list[Window]:
    """Give the mean over every window that begins with an interval and lies inside the signal, in order of time.

    Notes
    -----
    An interval that a window covers in part counts with that part. A window with a gap in it is left out (C2).
    """
    minutes = length / timedelta(minutes=1)
    if minutes < 1 or minutes != int(minutes):
        raise InputError(f"a window of {minutes:g} minutes is none; give whole minutes, 1 or more")
    step_s, length_s = signal.interval_s, length.total_seconds()
    n_whole, rest_s = divmod(length_s, step_s)
    n = int(n_whole) + (rest_s > 0)
    starts = np.array([point.start_utc.timestamp() for point in signal.points])
    mids = np.array([point.mid for point in signal.points])
    if len(mids) < n:
        return []
    weights = np.full(n, step_s / length_s)
    if rest_s:
        weights[-1] = rest_s / length_s
    means = np.lib.stride_tricks.sliding_window_view(mids, n) @ weights
    unbroken = starts[n - 1 :] - starts[: len(starts) - n + 1] == (n - 1) * step_s
    return [
        Window(signal.points[k].start_utc, int(minutes), float(means[k])) for k in np.flatnonzero(unbroken)
    ]


def mean_over(signal: Signal, asked: Interval) -> float:
    """Give the mean over time of what is known of a stretch. [g kWh⁻¹]"""
    total, seconds = 0.0, 0.0
    for point in signal.points:
        part = asked.overlap(Interval.starting(point.start_utc, signal.interval_s))
        if part is not None:
            total += point.mid * part.duration_s
            seconds += part.duration_s
    if not seconds:
        raise NoFactorError(f"no {signal.kind} factor for {signal.zone} in {asked}; ask for another stretch")
    return total / seconds


def least(windows: Sequence[Window]) -> list[Window]:
    """Give the windows with the lowest mean; none of none."""
    lowest = min((window.mean for window in windows), default=0.0)
    return [window for window in windows if window.mean == lowest]


def _mean(start: datetime, group: Sequence[Point], *, is_whole: bool) -> Point:
    status = worst(*(point.status for point in group), *(() if is_whole else (Status.IMPUTED,)))
    low, mid, high = (float(np.mean([getattr(p, end) for p in group])) for end in ("low", "mid", "high"))
    return Point(start, low, mid, high, status, max(point.recorded_utc for point in group))
