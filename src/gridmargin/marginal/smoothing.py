"""Natural cubic smoothing spline: values and slopes at its knots, exact for a straight line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def smoothed_slopes(
    x: FloatArray, y: FloatArray, weight: FloatArray, penalty: float
) -> tuple[FloatArray, FloatArray]:
    """Smooth columns of `y` over `x` and give the curve and its slope at every knot.

    Parameters
    ----------
    x : array, shape (n,)
        Knots, strictly increasing, n ≥ 4.
    y : array, shape (n, k)
        One curve a column.
    weight : array, shape (n,)
        Positive; only their proportions matter.
    penalty : float
        Not negative; 0 interpolates, a large one gives the weighted straight line.

    Returns
    -------
    value, slope : arrays, shape (n, k)

    Notes
    -----
    Minimises ``Σ wᵢ (yᵢ − g(xᵢ))² + penalty · ∫ g″²`` with ``Σ wᵢ = 1``, by the banded system of
    Green and Silverman, *Nonparametric Regression and Generalized Linear Models* (1994), section 2.3:
    ``(R + penalty · Qᵀ W⁻¹ Q) γ = Qᵀ y``, ``g = y − penalty · W⁻¹ Q γ``. The answer is linear in `y`: the slopes
    of parts add up to the slope of their sum.
    """
    n, step = len(x), np.diff(x)
    inverse_weight = weight.sum() / weight
    row = np.arange(n - 2)
    q = np.zeros((n, n - 2))
    q[row, row] = 1 / step[:-1]
    q[row + 1, row] = -1 / step[:-1] - 1 / step[1:]
    q[row + 2, row] = 1 / step[1:]
    r = np.zeros((n - 2, n - 2))
    r[row, row] = (step[:-1] + step[1:]) / 3
    r[row[:-1], row[1:]] = r[row[1:], row[:-1]] = step[1:-1] / 6
    wq = inverse_weight[:, None] * q
    second = np.zeros_like(y)
    second[1:-1] = np.linalg.solve(r + penalty * q.T @ wq, q.T @ y)
    value = y - penalty * wq @ second[1:-1]
    wide = step[:, None]
    secant = np.diff(value, axis=0) / wide
    slope = np.empty_like(value)
    slope[:-1] = secant - wide / 6 * (2 * second[:-1] + second[1:])
    slope[-1] = secant[-1] + wide[-1] / 6 * (second[-2] + 2 * second[-1])
    return value, slope
