"""The pass over the blocks of a stack without a compiler: slower a table, but nothing has to be loaded for the first.

The same sums in the same order as `gridmargin.marginal.stack_kernel`, so the same numbers to the last bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NEGLIGIBLE = 1e-15


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
    """Give what `stack_kernel.pass_over` gives."""
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
        lo, hi = narrowed(pmf, below, lo, hi)
        whole = int(steps[b])
        part = steps[b] - whole
        stay, move = (1.0 - outage[b]) * (1.0 - part), (1.0 - outage[b]) * part
        hi = min(hi + whole + 1, n - 1)
        before = pmf[lo : hi + 1].copy()
        here = outage[b] * before
        here[whole:] += stay * before[: max(len(before) - whole, 0)]
        here[whole + 1 :] += move * before[: max(len(before) - whole - 1, 0)]
        pmf[lo : hi + 1] = here
        inside = slice(lo, n if b == last else hi + 1)
        reached[inside] = np.minimum(np.cumsum(pmf[inside]), below[inside])
        mine = below[inside].copy() if b == last else below[inside] - reached[inside]
        probability[group[b], inside] += mine
        emission[group[b], inside] += mine * factor[b]
        by_factor[bin_of[b], inside] += mine
        cost[inside] += mine * bid[b]
        below[inside] = reached[inside]
    return probability, emission, by_factor, cost, surplus, reached


def narrowed(pmf: FloatArray, below: FloatArray, lo: int, hi: int) -> tuple[int, int]:
    """Pass over what is possible with less than `NEGLIGIBLE`, on both sides."""
    low_mass, high_mass = pmf[lo], pmf[hi]
    while lo < hi and low_mass < NEGLIGIBLE:
        pmf[lo], below[lo] = 0.0, 0.0
        lo += 1
        low_mass += pmf[lo]
    while hi > lo and high_mass < NEGLIGIBLE:
        pmf[hi] = 0.0
        hi -= 1
        high_mass += pmf[hi]
    return lo, hi
