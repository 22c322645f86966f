"""What is known of a rate when a forecast of it is issued, as one row of numbers per target interval.

Every row looks back only: the newest value that it holds is the interval which ended when the forecast was issued.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gridmargin.marginal.day_patterns import day_columns, path_columns
from gridmargin.marginal.regimes import local_day_and_second
from gridmargin.marginal.trailing import Trailing, mean_down
from gridmargin.marginal.trailing import shifted as shifted
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAY_S = 86_400
HOUR_S = 3600
WEEK_S = 7 * DAY_S

MEAN_WINDOWS_S = (900, 1800, HOUR_S, 3 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S, DAY_S, 3 * DAY_S, WEEK_S)
"""Stretches up to the issue time whose mean is taken."""

SPREAD_WINDOWS_S = (HOUR_S, 3 * HOUR_S, 6 * HOUR_S, DAY_S, WEEK_S)
ZERO_WINDOWS_S = (HOUR_S, 6 * HOUR_S, DAY_S, WEEK_S)
LAGS_S = (0, 300, 600, 900, 1800, 2700, HOUR_S, 2 * HOUR_S, 3 * HOUR_S, 6 * HOUR_S)
"""Single values by how long before the newest known one they lie."""

PROFILE_DAYS = (3, 7, 14, 28)
"""Over how many of the newest days the mean at the target's time of day is taken."""

PROFILE_HALF_S = 1800
"""Half-width of the stretch around the target's time of day that counts as the same time."""


@dataclass(frozen=True, slots=True)
class RateSeries:
    """A rate on an even grid, with what else was known of each interval.

    Attributes
    ----------
    start_epoch_s : int
        Start of the first interval. [s since 1970 UTC]
    step_s : int
        Length of every interval. [s]
    rate_gco2_per_kwh : array, shape (n,)
        NaN where not known (C2). [g kWh⁻¹]
    states : mapping of str to array, shape (n,)
        Other quantities by name, as known when the interval ended; NaN where not known.
    """

    start_epoch_s: int
    step_s: int
    rate_gco2_per_kwh: FloatArray
    states: Mapping[str, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.step_s <= 0 or DAY_S % self.step_s:
            raise InputError(f"a step of {self.step_s} s does not divide the day: give 5, 15 or 60 minutes")
        for name, values in self.states.items():
            if values.shape != self.rate_gco2_per_kwh.shape:
                raise InputError(f"{name} has {len(values)} values, the rate {len(self)}")

    def __len__(self) -> int:
        return len(self.rate_gco2_per_kwh)

    def starts(self) -> IntArray:
        """Give the start of every interval; shape (n,). [s since 1970 UTC]"""
        return self.start_epoch_s + self.step_s * np.arange(len(self), dtype=np.int64)


def lag_steps(horizon_s: int, step_s: int) -> int:
    """Give how many intervals before its target the newest known interval starts.

    A forecast issued at t for the interval that starts at t + horizon knows the interval that ended at t.

    Raises
    ------
    InputError
        If the horizon is negative or no multiple of the step.
    """
    if horizon_s < 0 or horizon_s % step_s:
        raise InputError(
            f"a horizon of {horizon_s / 60:g} min is not a whole number of the series' steps of {step_s / 60:g} min"
        )
    return horizon_s // step_s + 1


def same_time_before(values: FloatArray, lag: int, period: int) -> FloatArray:
    """Give the newest known value a whole number of periods before the target; shape (n,)."""
    return shifted(values, period * math.ceil(lag / period))


def profile_mean(values: FloatArray, lag: int, step_s: int, days: int) -> FloatArray:
    """Give the mean around the target's time of day over the newest known days; shape (n,).

    Each day counts the stretch of an hour around that time; no part of it lies after the issue time.
    """
    per_day = DAY_S // step_s
    half = PROFILE_HALF_S // step_s
    around, _ = Trailing(values).mean_and_spread(2 * half + 1)  # ends with each interval
    first = math.ceil((lag + half) / per_day)
    parts = np.stack([shifted(around, per_day * (first + d) - half) for d in range(days)])
    return mean_down(parts)


def calendar(start_epoch_s: IntArray, timezone: str) -> dict[str, FloatArray]:
    """Give what the local clock and calendar say of each interval."""
    day, second = local_day_and_second(start_epoch_s, timezone)
    angle = 2 * np.pi * (day % 365.2425) / 365.2425
    hour_angle = 2 * np.pi * second / DAY_S
    return {
        "local_hour": second / HOUR_S,
        "minute": (start_epoch_s % HOUR_S) / 60.0,
        "weekday": ((day + 3) % 7).astype(np.float64),
        "season_sin": np.sin(angle),
        "season_cos": np.cos(angle),
        "hour_sin": np.sin(hour_angle),
        "hour_cos": np.cos(hour_angle),
    }


def history_columns(rate: FloatArray, lag: int, step_s: int) -> dict[str, FloatArray]:
    """Give what the rate's own past says of each target interval, NaN where it is not known.

    Parameters
    ----------
    rate : array, shape (n,)
        NaN where not known; any unit.
    lag : int
        From `lag_steps`.
    step_s : int
        [s]

    Returns
    -------
    dict of str to array, shape (n,)
        Row i holds nothing of the intervals after i − lag.
    """
    per_day = DAY_S // step_s
    out: dict[str, FloatArray] = {}
    for back in sorted({back_s // step_s for back_s in LAGS_S if back_s % step_s == 0}):
        out[f"lag_{back * step_s}"] = shifted(rate, lag + back)
    running = Trailing(rate)
    zero = Trailing(np.where(np.isfinite(rate), (rate <= 0.0).astype(np.float64), np.nan))
    for width_s in MEAN_WINDOWS_S:
        if width_s > step_s:
            mean, spread = running.mean_and_spread(width_s // step_s)
            out[f"mean_{width_s}"] = shifted(mean, lag)
            if width_s in SPREAD_WINDOWS_S:
                out[f"spread_{width_s}"] = shifted(spread, lag)
    for width_s in ZERO_WINDOWS_S:
        if width_s > step_s:
            out[f"zero_{width_s}"] = shifted(zero.mean_and_spread(width_s // step_s)[0], lag)
    day_before = same_time_before(rate, lag, per_day)
    out["day_before"] = day_before
    out["week_before"] = same_time_before(rate, lag, 7 * per_day)
    half = PROFILE_HALF_S // step_s
    hour_mean, _ = running.mean_and_spread(2 * half + 1)
    for days in PROFILE_DAYS:
        out[f"profile_{days}"] = profile_mean(rate, lag, step_s, days)
        if days == PROFILE_DAYS[1]:
            # What the same days looked like at the newest known time: how unusual is now?
            own = profile_mean(rate, 1, step_s, days)
            out["unusual"] = shifted(hour_mean, lag) - shifted(own, lag)
    zeros = np.where(np.isfinite(rate), (rate <= 0.0).astype(np.float64), np.nan)
    out["zero_profile"] = profile_mean(zeros, lag, step_s, PROFILE_DAYS[1])
    out["unusual_day"] = shifted(hour_mean, lag) - shifted(hour_mean, lag + per_day)
    out["trend_day"] = day_before - shifted(rate, lag + per_day * math.ceil(lag / per_day))
    return {**out, **path_columns(rate, lag, step_s), **day_columns(rate, lag, step_s)}


def design(series: RateSeries, horizon_s: int, timezone: str) -> tuple[FloatArray, tuple[str, ...]]:
    """Give one row per interval of what was known a horizon before it, with the names of the columns.

    Returns
    -------
    array of float32, shape (n, m)
        Column order is that of the names; NaN where not known.
    """
    lag = lag_steps(horizon_s, series.step_s)
    columns = {
        **calendar(series.starts(), timezone),
        **history_columns(series.rate_gco2_per_kwh, lag, series.step_s),
    }
    per_day = DAY_S // series.step_s
    for name, values in series.states.items():
        columns[name] = shifted(values, lag)
        columns[f"{name} day change"] = shifted(values, lag) - shifted(values, lag + per_day)
        columns[f"{name} day before"] = same_time_before(values, lag, per_day)
    return np.stack(list(columns.values()), axis=1).astype(np.float32), tuple(columns)
