"""The pass over the blocks of a stack, compiled: one convolution with two points a block."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gridmargin.marginal import stack_once

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


_narrowed = njit(cache=True)(stack_once.narrowed)
"""Compiled from the same lines."""


@njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def pass_over(
    pmf: FloatArray,
    steps: FloatArray,
    outage: FloatArray,
    bid: FloatArray,
    factor: FloatArray,
    group: IntArray,
    bin_of: IntArray,
    n_groups: int,
    n_bins: int,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Give probability, emission, probability by factor, cost, surplus and scarcity along the loads.

    See `gridmargin.marginal.stack`; blocks in the order of their bids, `steps` their capacity in grid steps. Shapes
    (k, g), (k, g), (m, g), (g,), (g,), (g,).
    """
    n = len(pmf)
    pmf = pmf.copy()
    probability, emission = np.zeros((n_groups, n)), np.zeros((n_groups, n))
    by_factor, cost = np.zeros((n_bins, n)), np.zeros(n)
    below = np.minimum(np.cumsum(pmf), 1.0)
    surplus = 1.0 - below
    reached = below.copy()
    last = len(steps) - 1
    lo, hi = 0, n - 1
    for b in range(last + 1):
        # What is possible with less than `stack_once.NEGLIGIBLE` lies outside lo … hi and is passed over.
        lo, hi = _narrowed(pmf, below, lo, hi)
        whole = int(steps[b])
        part = steps[b] - whole
        stay, move = (1.0 - outage[b]) * (1.0 - part), (1.0 - outage[b]) * part
        hi = min(hi + whole + 1, n - 1)
        for x in range(hi, lo - 1, -1):
            value = outage[b] * pmf[x]
            if x - whole >= lo:
                value += stay * pmf[x - whole]
            if x - whole > lo:
                value += move * pmf[x - whole - 1]
            pmf[x] = value
        g, m, total = group[b], bin_of[b], 0.0
        for x in range(lo, n if b == last else hi + 1):
            total += pmf[x]
            reached[x] = min(total, below[x])
            mine = below[x] if b == last else below[x] - reached[x]
            probability[g, x] += mine
            emission[g, x] += mine * factor[b]
            by_factor[m, x] += mine
            cost[x] += mine * bid[b]
            below[x] = reached[x]
    return probability, emission, by_factor, cost, surplus, reached
