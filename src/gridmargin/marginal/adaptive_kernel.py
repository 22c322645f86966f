"""The loop of the adaptive ranges, compiled: each range rests on the misses that were published before it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SIZE_MEMORY = 0.99
"""Share of the running size of a regime's scores that remains after one more interval; steps are in its units."""

LARGEST_SCORE = 3.0
"""Scores count as no larger than this, in widths, for the size of a step: one wild interval shall not set it."""


@njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def adapt(
    reference: FloatArray,
    low: FloatArray,
    mid: FloatArray,
    high: FloatArray,
    scale: FloatArray,
    regime: IntArray,
    n_regimes: int,
    delay: int,
    alpha: float,
    step: float,
    lowest: float,
) -> tuple[FloatArray, FloatArray]:
    """Move both ends by what was missed; see `gridmargin.marginal.adaptive.adapt`."""
    n = len(low)
    theta = np.zeros((n_regimes, 2))
    size = np.ones((n_regimes, 2))
    used = np.zeros((n, 2))
    out_low, out_high = np.empty(n), np.empty(n)
    for i in range(n):
        j = i - delay
        if j >= 0 and np.isfinite(reference[j]) and np.isfinite(mid[j]):
            g = regime[j]
            for side in range(2):
                if side == 0:
                    # A nominal low end at the least possible is no end that could be missed: it stays, and the other has all of α.
                    if low[j] <= lowest:
                        continue
                    score = (low[j] - reference[j]) / scale[j]
                    allowed = alpha / 2
                    bottom = (low[j] - mid[j]) / scale[j]
                else:
                    score = (reference[j] - high[j]) / scale[j]
                    allowed = alpha if low[j] <= lowest else alpha / 2
                    bottom = (mid[j] - high[j]) / scale[j]
                size[g, side] = SIZE_MEMORY * size[g, side] + (1 - SIZE_MEMORY) * min(
                    abs(score), LARGEST_SCORE
                )
                # Judged by the offset that stood when the forecast was issued, not by what it became since.
                if score > used[j, side]:
                    theta[g, side] += step * size[g, side] * (1 - allowed)
                elif theta[g, side] > bottom:  # an end that stands at the centre is pushed no further
                    theta[g, side] -= step * size[g, side] * allowed
        g = regime[i]
        used[i, 0], used[i, 1] = theta[g, 0], theta[g, 1]
        out_low[i] = lowest if low[i] <= lowest else min(max(low[i] - theta[g, 0] * scale[i], lowest), mid[i])
        out_high[i] = max(high[i] + theta[g, 1] * scale[i], mid[i])
    return out_low, out_high
