"""The level variation: how each fuel's generation differs between levels of the whole, at the same hour of the day.

This is the committed response: what stood on line at that level, over the whole history.
docs/methods/regression.md says what it identifies beside the variation within windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates
from gridmargin.marginal.local_level import (
    HOUR_BANDWIDTH_H,
    LEVEL_BANDWIDTH_FRAC,
    LevelGrid,
    Sums,
    at,
    cell_of,
    curves,
    cut_weights,
    factor_variance,
    level_grid,
    slopes,
    sums,
)
from gridmargin.marginal.regimes import BLOCKS, local_day_and_second
from gridmargin.marginal.slopes import clipped_shares
from gridmargin.marginal.within import DAY_S, N_FOLDS, window_length_days

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DISPLACED_FRAC = 0.1
"""Part of the level whose displacement is asked of the curve: between AVERT's two usual shares, 5 and 15 %; chosen
with the bandwidths."""

N_KNOTS = 25
"""Levels that the fit keeps shares at: evenly spaced quantiles of the history."""


@dataclass(frozen=True, slots=True)
class LevelShares:
    """Shares by hour and level, with what they were learned from.

    Attributes
    ----------
    row, hour, level_mw, generation_mw, weight, cluster : arrays over the d complete states
        Which state, local hour, Σ over fuels, by fuel, recency, 0 where far off the curve, stretch of days.
    shares : array, shape (24 or 1, m, k)
        At `knots_mw`, rows sum to 1.
    """

    grid: LevelGrid
    row: IntArray
    hour: IntArray
    level_mw: FloatArray
    generation_mw: FloatArray
    weight: FloatArray
    cluster: IntArray
    total: Sums
    knots_mw: FloatArray
    shares: FloatArray
    n_clipped: int

    def parameters(self) -> dict[str, Any]:
        """Give what an estimate needs, as plain JSON, and how it was learned."""
        return {
            "displaced_frac": DISPLACED_FRAC,
            "bandwidth_frac": LEVEL_BANDWIDTH_FRAC,
            "hour_bandwidth_h": HOUR_BANDWIDTH_H if self.grid.by_hour else None,
            "share_knots_mw": self.knots_mw.tolist(),
            "shares": self.shares.tolist(),
            "n_clipped": self.n_clipped,
        }

    def held_out(self, n: int, level_mw: FloatArray, hour: IntArray) -> FloatArray:
        """Give the shares of each of n states, learned without the contiguous fold that it lies in; shape (n, k)."""
        fold = np.arange(n) * N_FOLDS // n
        out = np.empty((n, self.shares.shape[2]))
        cell = cell_of(self.grid, self.level_mw, self.hour)
        for number in range(N_FOLDS):
            part = fold[self.row] == number
            total = self.total
            if 0 < part.sum() < len(self.row):
                mine = sums(
                    self.grid, cell[part], self.level_mw[part], self.generation_mw[part], self.weight[part]
                )
                total = Sums(np.maximum(self.total.value - mine.value, 0.0))
            table, _ = _table(self.grid, total, self.knots_mw)
            chosen = fold == number
            out[chosen] = read_shares(table, self.knots_mw, level_mw[chosen], hour[chosen])
        return out

    def errors(self, factor: FloatArray, at_levels_mw: FloatArray) -> list[list[float | None]]:
        """Give the standard error of the factor by block of hours and level; null where one window is all there is.

        Parameters
        ----------
        factor : array, shape (d, k)
            What each fuel emits in each complete state. [g kWh⁻¹]
        """
        curve = curves(self.grid, self.total)
        off = self.generation_mw - at(self.grid, curve, self.level_mw, self.hour)
        middles = 3 + 6 * np.arange(len(BLOCKS))
        variance = factor_variance(
            self.grid, self.total, cell_of(self.grid, self.level_mw, self.hour), self.cluster, self.level_mw,
            self.weight * (off * factor).sum(axis=1),
            np.tile(at_levels_mw, len(middles)), np.repeat(middles, len(at_levels_mw)), DISPLACED_FRAC,
        ).reshape(len(middles), -1)  # fmt: skip
        return [[float(v**0.5) if np.isfinite(v) else None for v in row] for row in variance]


def learn_level(
    history: GridStates, generation: FloatArray, timezone: str, half_life_days: float, by_hour: bool
) -> LevelShares:
    """Learn the shares from states whose level varies; rows of `generation` with a NaN are left out.

    Parameters
    ----------
    by_hour : bool
        Local in the hour of the day too, or all hours as one: EPA's curves know no hour.
    """
    level = generation.sum(axis=1)
    row = np.flatnonzero(np.isfinite(level))
    start_s = history.start_epoch_s()
    day, second = local_day_and_second(start_s[row], timezone)
    hour = second // 3600
    cluster = (day - day[0]) // window_length_days(history)
    weight = 0.5 ** ((start_s[-1] - start_s[row]) / DAY_S / half_life_days)
    level, generation = level[row], generation[row]
    grid = level_grid(level, by_hour)
    cell = cell_of(grid, level, hour)
    weight = cut_weights(grid, cell, level, hour, generation, weight)
    total = sums(grid, cell, level, generation, weight)
    knots = np.unique(np.quantile(level, np.linspace(0.0, 1.0, N_KNOTS)))
    shares, n_clipped = _table(grid, total, knots)
    return LevelShares(
        grid, row, hour, level, generation, weight, cluster, total, knots, shares, n_clipped
    )  # fmt: skip


def read_shares(shares: FloatArray, knots_mw: FloatArray, level_mw: FloatArray, hour: IntArray) -> FloatArray:
    """Read shares at some levels and hours, straight between knots, flat beyond; shape (n, k)."""
    position = np.interp(level_mw, knots_mw, np.arange(len(knots_mw), dtype=np.float64))
    left = np.minimum(position.astype(np.int64), max(len(knots_mw) - 2, 0))
    right = np.minimum(left + 1, len(knots_mw) - 1)
    part = (position - left)[:, None]
    hour = hour if len(shares) > 1 else np.zeros_like(hour)
    read: FloatArray = shares[hour, left] * (1 - part) + shares[hour, right] * part
    whole: FloatArray = read.sum(axis=1, keepdims=True)
    scaled: FloatArray = read / whole
    return scaled


def _table(grid: LevelGrid, total: Sums, knots: FloatArray) -> tuple[FloatArray, int]:
    curve = curves(grid, total)
    hours = np.arange(grid.n_hours)
    hour, level = np.repeat(hours, len(knots)), np.tile(knots, len(hours))
    shares, n_clipped = clipped_shares(slopes(grid, curve, level, hour, DISPLACED_FRAC))
    return shares.reshape(len(hours), len(knots), -1), n_clipped
