"""How single units answer the load, learned from their past: what each gives at a load, and who moves when it moves.

Costs say who should run; contracts, outages, networks and bids say who does. Both functions learn from dispatch that
came before and use nothing later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]

RIDGE_FRAC = 0.001
"""Penalty on the slopes, relative to the sum of weights, loads being scaled to one: of 0.001, 0.01 and 0.1 the best on
the last third of the training part."""

HALF_LIVES_DAYS = (1.0, 2.0, 4.0, 8.0, float("inf"))
"""What `choose_half_life_days` chooses among."""

_RUNNING_FRAC = 0.05  # below a twentieth of capacity a unit is not running
_SOFT_FRAC = 0.1  # headroom of a tenth of capacity or more leaves a unit free to move


@dataclass(frozen=True, slots=True)
class LearnedUnits:
    """Mean output of each unit as a quadratic of the load, and the most and least it gave.

    Attributes
    ----------
    coefficients : array, shape (3, u)
        Of 1, x and x², x = load ÷ `scale_mw`.
    scale_mw : float
    most_mw : array, shape (u,)
        Greatest output seen; predictions stay between nothing and it. [MW]
    """

    coefficients: FloatArray
    scale_mw: float
    most_mw: FloatArray


def learn_units(
    load_mw: FloatArray, output_mw: FloatArray, interval_s: int, half_life_days: float
) -> LearnedUnits:
    """Fit every unit's output on the load, newer intervals weighing more.

    Parameters
    ----------
    load_mw : array, shape (n,)
        What all units together had to serve, oldest first; finite. [MW]
    output_mw : array, shape (n, u)
        NaN where not known: that interval is left out for that unit. [MW]
    half_life_days : float
        Age at which an interval counts half; infinite for none.

    Raises
    ------
    InputError
        If there are fewer than ten intervals.
    """
    n = len(load_mw)
    if n < 10 or output_mw.shape[0] != n:
        raise InputError(
            f"unit response: {n} loads and {output_mw.shape[0]} dispatches, want ten or more of both"
        )
    scale = float(np.abs(load_mw).max()) or 1.0
    basis = _basis(load_mw, scale)
    age_days = np.arange(n)[::-1] * interval_s / 86_400
    weight = np.ones(n) if np.isinf(half_life_days) else 0.5 ** (age_days / half_life_days)
    known = np.isfinite(output_mw)
    given = np.where(known, output_mw, 0.0)
    weights = weight[:, None] * known
    coefficients = np.zeros((3, output_mw.shape[1]))
    for unit in range(output_mw.shape[1]):
        w = weights[:, unit]
        penalty = np.diag([1e-9, RIDGE_FRAC, RIDGE_FRAC]) * max(float(w.sum()), 1e-9)
        weighted = basis * w[:, None]
        coefficients[:, unit] = np.linalg.solve(weighted.T @ basis + penalty, weighted.T @ given[:, unit])
    return LearnedUnits(coefficients, scale, np.maximum(given.max(axis=0), 0.0))


def predict_units(learned: LearnedUnits, load_mw: FloatArray) -> FloatArray:
    """Give each unit's output at each load; shape (n, u). [MW]"""
    return np.clip(_basis(load_mw, learned.scale_mw) @ learned.coefficients, 0.0, learned.most_mw)


def choose_half_life_days(load_mw: FloatArray, output_mw: FloatArray, interval_s: int) -> float:
    """Choose by the last third of the past, predicted from its first two thirds: the least squared error."""
    cut = len(load_mw) * 2 // 3
    errors = []
    for half_life in HALF_LIVES_DAYS:
        learned = learn_units(load_mw[:cut], output_mw[:cut], interval_s, half_life)
        error = predict_units(learned, load_mw[cut:]) - output_mw[cut:]
        errors.append(float(np.nanmean(error**2)))
    return HALF_LIVES_DAYS[int(np.argmin(errors))]


@dataclass(frozen=True, slots=True)
class LearnedMoves:
    """Who moves when the load moves.

    Attributes
    ----------
    share : array, shape (u,)
        Of a unit that is free to move, per megawatt of change. [1]
    slope : array, shape (r + 1, u)
        By region's change of load, and by the change of all, times the unit's freedom. [1]
    most_mw, least_mw : arrays, shape (u,)
        Between which a running unit moves. [MW]
    capacity_mw, ramp_mw : arrays, shape (u,)
        Capacity, and most change within an interval, NaN where not known. [MW]
    """

    share: FloatArray
    slope: FloatArray
    most_mw: FloatArray
    least_mw: FloatArray
    capacity_mw: FloatArray
    ramp_mw: FloatArray


def learn_moves(
    output_mw: FloatArray, region_load_mw: FloatArray, capacity_mw: FloatArray, ramp_mw: FloatArray
) -> LearnedMoves:
    """Learn how units shared past changes; rows in time order, without gaps.

    Parameters
    ----------
    output_mw : array, shape (n, u)
        Finite. [MW]
    region_load_mw : array, shape (n, r)
        Load less what is not dispatched, by region. [MW]
    capacity_mw, ramp_mw : arrays, shape (u,)
        Capacity; most change within one interval, NaN where not known. [MW]
    """
    running = np.where(output_mw > _RUNNING_FRAC * capacity_mw, output_mw, np.nan)
    ran = np.isfinite(running).any(axis=0)
    least = np.zeros(len(capacity_mw))
    least[ran] = np.nanquantile(running[:, ran], 0.02, axis=0)
    learned = LearnedMoves(
        np.zeros(len(capacity_mw)),
        np.zeros((region_load_mw.shape[1] + 1, len(capacity_mw))),
        np.quantile(output_mw, 0.99, axis=0),
        least,
        capacity_mw,
        ramp_mw,
    )
    change = np.diff(output_mw, axis=0)
    total = change.sum(axis=1)
    drive = np.column_stack([np.diff(region_load_mw, axis=0), total])
    free = _freedom(learned, output_mw[:-1], total)
    top = (change * free * total[:, None]).sum(axis=0)
    bottom = ((free * total[:, None]) ** 2).sum(axis=0)
    share = np.where(bottom > 0, np.clip(top, 0.0, None) / np.maximum(bottom, 1e-9), 0.0)
    slope = np.zeros((drive.shape[1], len(capacity_mw)))
    for unit in range(len(capacity_mw)):
        x = drive * free[:, unit : unit + 1]
        gram = x.T @ x
        penalty = 1e-3 * np.trace(gram) + 1e-6
        slope[:, unit] = np.linalg.solve(gram + penalty * np.eye(len(gram)), x.T @ change[:, unit])
    return LearnedMoves(share, slope, learned.most_mw, least, capacity_mw, ramp_mw)


def predict_moves(
    learned: LearnedMoves, before_mw: FloatArray, region_change_mw: FloatArray, change_mw: FloatArray
) -> FloatArray:
    """Give each unit's change, given where it stood and how all together changed; shape (n, u). [MW]

    Parameters
    ----------
    before_mw : array, shape (n, u)
        Output in the interval before. [MW]
    region_change_mw : array, shape (n, r)
        Change of each region's load. [MW]
    change_mw : array, shape (n,)
        Change of all units together; the answer sums to it, where any unit is free to move. [MW]

    Notes
    -----
    A unit at its usual top cannot rise, one at its usual bottom cannot fall, one that stands still does neither; a
    change within its ramp at most. What regional changes leave over is shared by the units that are free.
    """
    free = _freedom(learned, before_mw, change_mw)
    drive = np.column_stack([region_change_mw, change_mw])
    moved = (drive @ learned.slope) * free
    ramp = np.where(np.isfinite(learned.ramp_mw), learned.ramp_mw, np.inf)
    moved = np.clip(moved, -ramp, ramp)
    weight = learned.share * free
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    left = change_mw - moved.sum(axis=1)
    return np.asarray(moved + weight * left[:, None])


def _freedom(learned: LearnedMoves, before_mw: FloatArray, change_mw: FloatArray) -> FloatArray:
    soft = np.maximum(_SOFT_FRAC * learned.capacity_mw, 1e-9)
    up = np.clip((learned.most_mw - before_mw) / soft, 0.0, 1.0)
    down = np.clip((before_mw - learned.least_mw) / soft, 0.0, 1.0)
    running = before_mw > _RUNNING_FRAC * learned.capacity_mw
    return np.where(change_mw[:, None] > 0, up, down) * running


def _basis(load_mw: FloatArray, scale_mw: float) -> FloatArray:
    x = load_mw / scale_mw
    return np.column_stack([np.ones(len(x)), x, x**2])
