"""Blocks of time long enough that what happens in one hardly tells of the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAY_S = 86_400

BASELINE_FRAC = 1 / 3
"""The block length is learned on this first part of the series, so that a later drift does not lengthen the blocks
that are to find it."""

TIMES_CORRELATION = 5.0
"""A block spans so many integrated autocorrelation times: for an AR(1) its mean then correlates with the next block's
by 1 ÷ (4 × 5) = 0.05."""

MAX_BLOCK_DAYS = 14
"""Slower errors than this look like drift, and are reported as drift."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Misses and mean residual of each block with data, by time; arrays of equal length.

    Attributes
    ----------
    start_epoch_s : array
        [s since 1970 UTC]
    n : array
        Intervals in the block.
    miss_frac : array
        Share outside the range. [1]
    residual : array
        Mean of reference − estimate, in the unit of the estimates.
    """

    block_s: int
    start_epoch_s: IntArray
    n: IntArray
    miss_frac: FloatArray
    residual: FloatArray

    def __len__(self) -> int:
        return len(self.n)

    @property
    def coverage_frac(self) -> float:
        """Share of the intervals that the range held. [1]"""
        return 1.0 - float(np.average(self.miss_frac, weights=self.n))

    def after(self, begin: int) -> Blocks:
        """Give the blocks from a position on."""
        cut = slice(begin, None)
        return Blocks(
            self.block_s, self.start_epoch_s[cut], self.n[cut], self.miss_frac[cut], self.residual[cut]
        )

    def last(self, count: int) -> Blocks:
        """Give the newest blocks."""
        return self.after(max(len(self) - count, 0))


def cut_into_blocks(
    start_epoch_s: IntArray, missed: NDArray[np.bool_], residual: FloatArray, block_s: int
) -> Blocks:
    """Cut a series into blocks of the UTC calendar; one with less than half the usual intervals is left out."""
    at = start_epoch_s // block_s
    block, index, n = np.unique(at, return_inverse=True, return_counts=True)
    full = n >= np.median(n) / 2
    return Blocks(
        block_s=block_s,
        start_epoch_s=(block * block_s)[full],
        n=n[full],
        miss_frac=(np.bincount(index, weights=missed) / n)[full],
        residual=(np.bincount(index, weights=residual) / n)[full],
    )


def block_length_s(start_epoch_s: IntArray, residual: FloatArray) -> tuple[int, float]:
    """Give the length of a block, whole days, and the integrated autocorrelation time that it follows. [s]"""
    n = max(min(len(residual), 2), int(len(residual) * BASELINE_FRAC))
    if n < 2:
        return DAY_S, 0.0
    step_s = float(np.median(np.diff(start_epoch_s[:n])))
    correlation_s = step_s * correlation_time(residual[:n])
    days = math.ceil(TIMES_CORRELATION * correlation_s / DAY_S)
    return DAY_S * min(max(days, 1), MAX_BLOCK_DAYS), correlation_s


def correlation_time(values: FloatArray) -> float:
    """Give the integrated autocorrelation time, in steps: 1 where neighbours are independent.

    Notes
    -----
    τ = 1 + 2 Σ_{k ≤ M} ρ_k with the smallest M ≥ 5 τ(M) (Madras, Sokal, J. Stat. Phys. 50 (1988), appendix C,
    doi:10.1007/BF01022990): a longer sum would add noise and no knowledge.
    """
    centred = values - values.mean()
    n = len(centred)
    variance = float(centred @ centred)
    # Rounding leaves a constant series a variance of the order of its last digit.
    if variance <= n * (1e-12 * max(float(np.abs(values).max()), 1e-300)) ** 2:
        return 1.0
    spectrum = np.fft.rfft(centred, 2 * n)
    rho = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n)[:n] / variance
    tau = 2.0 * np.cumsum(rho) - 1.0
    enough = np.flatnonzero(np.arange(n) >= 5.0 * tau)
    return max(float(tau[enough[0]] if len(enough) else tau[-1]), 1.0)
