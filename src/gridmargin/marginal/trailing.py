"""Figures of the stretch that ends with each interval of a series, gaps left out: no value looks ahead."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def shifted(values: FloatArray, steps: int) -> FloatArray:
    """Give what lay `steps` intervals earlier; NaN before the beginning; shape (n,)."""
    if steps <= 0:
        return values.copy()
    out = np.full_like(values, np.nan)
    out[steps:] = values[:-steps] if steps < len(values) else values[:0]
    return out


class Trailing:
    """Means and spreads over the stretch that ends with each interval."""

    def __init__(self, values: FloatArray) -> None:
        known = np.isfinite(values)
        filled = np.where(known, values, 0.0)
        self._count = np.concatenate([[0], np.cumsum(known)])
        self._total = np.concatenate([[0.0], np.cumsum(filled)])
        self._square = np.concatenate([[0.0], np.cumsum(filled * filled)])

    def mean(self, width: int) -> FloatArray:
        """Give the mean of the newest `width` intervals, NaN where none is known; shape (n,)."""
        return self.mean_and_spread(width)[0]

    def mean_and_spread(self, width: int) -> tuple[FloatArray, FloatArray]:
        """Give mean and standard deviation of the newest `width` intervals; each of shape (n,)."""
        end = np.arange(1, len(self._count))
        begin = np.maximum(end - width, 0)
        count = np.maximum(self._count[end] - self._count[begin], 0)
        safe = np.maximum(count, 1)
        mean = (self._total[end] - self._total[begin]) / safe
        variance = (self._square[end] - self._square[begin]) / safe - mean * mean
        empty = count == 0
        return np.where(empty, np.nan, mean), np.where(empty, np.nan, np.sqrt(np.maximum(variance, 0.0)))


def windows(values: FloatArray, width: int) -> FloatArray:
    """Give the newest `width` values of each interval as columns, NaN before the beginning; shape (n, width)."""
    padded = np.concatenate([np.full(width - 1, np.nan), values])
    return np.lib.stride_tricks.sliding_window_view(padded, width)


def quantiles(parts: FloatArray, levels: tuple[float, ...]) -> list[FloatArray]:
    """Give quantiles down the columns, gaps left out and NaN where all is a gap; each of shape (n,).

    Parameters
    ----------
    parts : array, shape (k, n)
    levels : tuple of float
        Between 0 and 1; linear between the neighbouring values.
    """
    ordered = np.sort(parts, axis=0)  # NaN last
    count = np.isfinite(parts).sum(axis=0)
    column = np.arange(parts.shape[1])
    out = []
    for level in levels:
        place = level * np.maximum(count - 1, 0)
        below = np.floor(place).astype(np.int64)
        above = np.minimum(below + 1, np.maximum(count - 1, 0))
        low, high = ordered[below, column], ordered[above, column]
        out.append(low + (high - low) * (place - below))
    return out


def mean_down(parts: FloatArray) -> FloatArray:
    """Give the mean down the columns, gaps left out and NaN where all is a gap; shape (n,)."""
    known = np.isfinite(parts)
    count = known.sum(axis=0)
    total = np.where(known, parts, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
