"""Regimes by how much the margin has been moving: volatile, stable or procured.

The source article gives a range to each: ±20–40 % where the margin is volatile, ±10–20 % where it is stable with much
renewable generation, ±5–10 % where the energy is procured. No public series says which energy was procured under
contract, so here `procured` names the hours that are as steady as a contracted supply would be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

VOLATILE, STABLE, PROCURED = "volatile", "stable", "procured"

EXPECTED_HALF_WIDTH_FRAC = {VOLATILE: (0.2, 0.4), STABLE: (0.1, 0.2), PROCURED: (0.05, 0.1)}
"""What the source article expects of a 90 % range, as half its width over the mean rate of the regime. [1]"""

STEADIEST_FRAC = 0.1
"""Share of the training hours that is called procured: the steadiest tenth."""

VOLATILE_FRAC = 0.5
"""Share of the training hours that is called volatile: the half that moves most."""

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where one regime ends and the next begins, in mean movement within the last day.

    Attributes
    ----------
    procured_below, volatile_above : float
        In the unit of the rate.
    """

    procured_below: float
    volatile_above: float


def recent_movement(rate: FloatArray, lag: int, step_s: int) -> FloatArray:
    """Give how far the rate moved within the last known day, as its standard deviation; shape (n,).

    Parameters
    ----------
    rate : array, shape (n,)
        NaN where not known.
    lag : int
        How many intervals before its own the newest known one lies.
    step_s : int
        [s]

    Returns
    -------
    array, shape (n,)
        NaN where less than half a day of the last known one is there.
    """
    width = DAY_S // step_s
    known = np.isfinite(rate)
    filled = np.where(known, rate, 0.0)
    count, total, square = (
        np.concatenate([[0.0], np.cumsum(values)]) for values in (known, filled, filled * filled)
    )
    end = np.arange(len(rate)) - lag + 1
    begin = np.maximum(end - width, 0)
    enough = end - begin > 0
    end, begin = np.where(enough, end, 0), np.where(enough, begin, 0)
    n = count[end] - count[begin]
    safe = np.maximum(n, 1.0)
    mean = (total[end] - total[begin]) / safe
    variance = (square[end] - square[begin]) / safe - mean * mean
    return np.where(n >= width / 2, np.sqrt(np.maximum(variance, 0.0)), np.nan)


def thresholds(movement: FloatArray) -> Thresholds:
    """Set the thresholds on the movements of the training period.

    Raises
    ------
    InputError
        If none is finite.
    """
    known = movement[np.isfinite(movement)]
    if not len(known):
        raise InputError(
            "no day of the training period is known well enough to set the regimes; give more data"
        )
    low, high = np.quantile(known, [STEADIEST_FRAC, 1.0 - VOLATILE_FRAC])
    return Thresholds(float(low), float(high))


def regimes(movement: FloatArray, by: Thresholds) -> NDArray[np.str_]:
    """Name the regime of each interval; where the last day is not known it is volatile, the widest."""
    steady = np.where(movement < by.procured_below, PROCURED, STABLE)
    return np.where((movement > by.volatile_above) | ~np.isfinite(movement), VOLATILE, steady)
