"""The loop of the adaptive ranges, compiled: each range rests on the misses that were published before it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LOSS_MEMORY = 0.998
"""Share of an expert's past loss that still counts after one more interval: half is forgotten after 350."""

SHARPNESS = 30.0
"""How strongly a lower mean loss raises an expert's say; losses are in units of the range's own width."""

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
    steps: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Move both ends by what was missed; see `gridmargin.marginal.adaptive.adapt`."""
    n, k = len(low), len(steps)
    theta = np.zeros((n_regimes, 2, k))
    loss = np.zeros((n_regimes, 2, k))
    used = np.zeros((n, 2, k))
    size = np.ones((n_regimes, 2))
    out_low, out_high = np.empty(n), np.empty(n)
    for i in range(n):
        j = i - delay
        if j >= 0 and np.isfinite(reference[j]) and np.isfinite(mid[j]):
            g = regime[j]
            for side in range(2):
                if side == 0:
                    # A nominal low end at zero is no end that could be missed: it stays, and the other has all of α.
                    if low[j] <= 0.0:
                        continue
                    score = (low[j] - reference[j]) / scale[j]
                    allowed = alpha / 2
                    top = low[j] / scale[j]
                    bottom = (low[j] - mid[j]) / scale[j]
                else:
                    score = (reference[j] - high[j]) / scale[j]
                    allowed = alpha if low[j] <= 0.0 else alpha / 2
                    top = np.inf
                    bottom = (mid[j] - high[j]) / scale[j]
                size[g, side] = SIZE_MEMORY * size[g, side] + (1 - SIZE_MEMORY) * min(
                    abs(score), LARGEST_SCORE
                )
                for e in range(k):
                    # Judged by the offset that stood when the forecast was issued, not by what it became since.
                    now = theta[g, side, e]
                    gap = score - used[j, side, e]
                    pinball = gap * (1 - allowed) if gap > 0 else -gap * allowed
                    loss[g, side, e] = LOSS_MEMORY * loss[g, side, e] + (1 - LOSS_MEMORY) * pinball
                    # An end that stands at its stop neither winds up behind it nor is pushed further.
                    if gap > 0:
                        if now < top:
                            theta[g, side, e] = now + steps[e] * size[g, side] * (1 - allowed)
                    elif now > bottom:
                        theta[g, side, e] = now - steps[e] * size[g, side] * allowed
        g = regime[i]
        ends = np.empty(2)
        for side in range(2):
            best = np.inf
            for e in range(k):
                best = min(best, loss[g, side, e])
            total = 0.0
            mean = 0.0
            for e in range(k):
                used[i, side, e] = theta[g, side, e]
                weight = np.exp(-SHARPNESS * (loss[g, side, e] - best) / max(best, 1e-6))
                total += weight
                mean += weight * theta[g, side, e]
            ends[side] = mean / total
        out_low[i] = 0.0 if low[i] <= 0.0 else min(max(low[i] - ends[0] * scale[i], 0.0), mid[i])
        out_high[i] = max(high[i] + ends[1] * scale[i], mid[i])
    return out_low, out_high
