"""What the newest days did between these two times of day: the columns of a forecast that know a course.

A rate that rises from noon to evening on most days is forecast by that rise, added to what is now, better than by
either alone. Every value ends at the issue time or before.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gridmargin.marginal.trailing import Trailing, mean_down, quantiles, shifted, windows

FloatArray = NDArray[np.float64]

DAY_S = 86_400
HOUR_S = 3600

N_DAYS = 28
"""Newest days that are looked at."""

SMOOTH_HALF_S = 450
"""Half of the quarter of an hour over which one moment of a day is averaged."""

COMPARED_S = (0, 300, 600, 900, 1800, 2700, HOUR_S, 5400, 2 * HOUR_S, 3 * HOUR_S)
"""Moments before the newest known one at which a past day is compared with today."""

KINSHIP = (0.3, 0.7)
"""A day counts by exp(−distance / this share of the mean distance of all days)."""

EXTREME_WINDOWS_S = (HOUR_S, 3 * HOUR_S, 12 * HOUR_S)
MOVEMENT_WINDOWS_S = (HOUR_S, 6 * HOUR_S, DAY_S)
LONGEST_RUN_S = 7 * DAY_S


def day_columns(rate: FloatArray, lag: int, step_s: int) -> dict[str, FloatArray]:
    """Give what the newest days had at the target's time of day, and how they came there from this one.

    Parameters
    ----------
    rate : array, shape (n,)
        NaN where not known; any unit.
    lag : int
        From `forecast_features.lag_steps`.
    step_s : int
        [s]

    Returns
    -------
    dict of str to array, shape (n,)
        Row i holds nothing of the intervals after i − lag.
    """
    per_day = DAY_S // step_s
    half = SMOOTH_HALF_S // step_s
    past = Trailing(rate)
    smooth, hour = past.mean(2 * half + 1), past.mean(max(1, HOUR_S // step_s))
    first = math.ceil((lag + half) / per_day)
    back = [per_day * (first + day) for day in range(N_DAYS)]
    there = np.stack([shifted(smooth, b - half) for b in back])
    from_hour = there - np.stack([shifted(hour, b + lag) for b in back])
    from_quarter = there - np.stack([shifted(smooth, b + lag) for b in back])
    out = {f"day_{day + 1}": there[day] for day in range(1, 6)}
    for days, levels in ((7, (0.2, 0.5, 0.8)), (14, (0.1, 0.5, 0.9))):
        for level, values in zip(levels, quantiles(there[:days], levels), strict=True):
            out[f"day_{level}_of_{days}"] = values
    out["change_1"] = from_hour[0]
    for days in (3, 7, N_DAYS):
        out[f"change_{days}"] = quantiles(from_hour[:days], (0.5,))[0]
    out["change_low"], out["change_high"] = quantiles(from_hour[:14], (0.2, 0.8))
    out["change_mean_14"], out["change_mean_28"] = mean_down(from_hour[:14]), mean_down(from_hour)
    for days in (7, 14):
        out[f"change_quarter_{days}"] = quantiles(from_quarter[:days], (0.5,))[0]
    out.update(_kin(smooth, past.mean(max(1, 1800 // step_s)), from_quarter, back, lag, step_s))
    out.update(_shape(rate, past, smooth, lag, step_s))
    return out


def _kin(
    smooth: FloatArray, half_hour: FloatArray, change: FloatArray, back: list[int], lag: int, step_s: int
) -> dict[str, FloatArray]:
    """Give the change of the days whose last three hours were like today's."""
    total = np.zeros(change.shape)
    compared = np.zeros(change.shape)
    for before in (s // step_s for s in COMPARED_S if s % step_s == 0):
        values = smooth if before * step_s <= 900 else half_hour
        now = shifted(values, lag + before)
        for day, b in enumerate(back):
            distance = np.abs(now - shifted(values, lag + before + b))
            known = np.isfinite(distance)
            total[day] += np.where(known, distance, 0.0)
            compared[day] += known
    distance = np.where(compared > 0, total / np.maximum(compared, 1), np.nan)
    usual = mean_down(distance)
    known = np.isfinite(distance) & np.isfinite(change)
    out = {"kin_distance": quantiles(distance, (0.0,))[0]}
    for share in KINSHIP:
        scale = np.maximum(share * usual, 1e-9)
        weight = np.where(known, np.exp(-np.where(known, distance, 0.0) / scale), 0.0)
        sum_weight = weight.sum(axis=0)
        mean = (weight * np.where(known, change, 0.0)).sum(axis=0) / np.maximum(sum_weight, 1e-300)
        out[f"change_kin_{share}"] = np.where(sum_weight > 0, mean, np.nan)
    return out


def _shape(
    rate: FloatArray, past: Trailing, smooth: FloatArray, lag: int, step_s: int
) -> dict[str, FloatArray]:
    """Give how the mean of the newest days runs around the target's time of day, and within its hour."""
    per_day = DAY_S // step_s
    half = SMOOTH_HALF_S // step_s

    def usual(after: int) -> FloatArray:
        first = math.ceil((lag + half + max(after, 0)) / per_day)
        return mean_down(
            np.stack([shifted(smooth, per_day * (first + day) - half - after) for day in range(7)])
        )

    out = {}
    here = usual(0)
    for away_s in (1800, HOUR_S):
        if away_s % step_s == 0:
            out[f"rise_before_{away_s}"] = here - usual(-(away_s // step_s))
            out[f"rise_after_{away_s}"] = usual(away_s // step_s) - here
    around = 1800 // step_s
    if around:
        hour = past.mean(2 * around + 1)
        exact_first, hour_first = math.ceil(lag / per_day), math.ceil((lag + around) / per_day)
        above = np.stack(
            [
                shifted(rate, per_day * (exact_first + day))
                - shifted(hour, per_day * (hour_first + day) - around)
                for day in range(14)
            ]
        )
        out["slot_7"], out["slot_14"] = mean_down(above[:7]), mean_down(above)
    return out


def path_columns(rate: FloatArray, lag: int, step_s: int) -> dict[str, FloatArray]:
    """Give extremes and movement of the newest hours, and how long ago the rate was zero and was not.

    Parameters and rows as in `day_columns`.
    """
    out: dict[str, FloatArray] = {}
    for width_s in EXTREME_WINDOWS_S:
        if width_s > step_s:
            newest = windows(rate, width_s // step_s)
            out[f"least_{width_s}"] = shifted(np.fmin.reduce(newest, axis=1), lag)
            out[f"most_{width_s}"] = shifted(np.fmax.reduce(newest, axis=1), lag)
            if width_s <= 3 * HOUR_S:
                out[f"median_{width_s}"] = shifted(quantiles(newest.T, (0.5,))[0], lag)
    movement = Trailing(np.abs(rate - shifted(rate, 1)))
    for width_s in MOVEMENT_WINDOWS_S:
        if width_s >= step_s:
            out[f"movement_{width_s}"] = shifted(movement.mean(width_s // step_s), lag)
    at = np.arange(len(rate))
    for name, is_it in (("since_zero", rate == 0.0), ("since_above", rate > 0.0)):
        since = at - np.maximum.accumulate(np.where(is_it, at, -1 - LONGEST_RUN_S // step_s))
        out[name] = shifted(np.minimum(since * float(step_s), float(LONGEST_RUN_S)), lag)
    return out
