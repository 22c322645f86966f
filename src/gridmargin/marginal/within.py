"""The within-window variation: how each fuel moved as the whole moved from day to day, by regime.

This is the short-run response, with what was committed for those weeks; docs/methods/regression.md says what it
identifies beside the variation in level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates
from gridmargin.marginal.fleet_load import REPORTED_FRAC
from gridmargin.marginal.regimes import BLOCKS, SEASONS, local_day_and_second
from gridmargin.marginal.slopes import cell_sums, clipped_shares, cluster_variance, shrunk_slopes
from gridmargin.vocab import Status

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAY_S = 86_400

WINDOW_DAYS = 28
"""Changes are taken against the mean of the same time of day over so many days: whole weeks, so that every weekday
counts alike, and short of a season."""

PRIOR_DAYS = 10.0
"""κ: how many days of observations the coarser regime's slope is worth in a finer one."""

N_FOLDS = 6
"""Contiguous parts of the history, each left out once to find the residuals that the range rests on."""

N_CELLS = len(SEASONS) * len(BLOCKS)


@dataclass(frozen=True, slots=True)
class Changes:
    """How far each usable state strays from the mean of its group."""

    row: IntArray  # (n,) which state
    group: IntArray  # (n,) stretch of days it was compared within
    change_mw: FloatArray  # (n, k)
    total_mw: FloatArray  # (n,) Σ over fuels
    level_mw: FloatArray  # (n,) midway between the state and the mean
    weight: FloatArray  # (n,)

    def where(self, keep: NDArray[np.bool_]) -> Changes:
        """Give the chosen ones."""
        return Changes(
            self.row[keep],
            self.group[keep],
            self.change_mw[keep],
            self.total_mw[keep],
            self.level_mw[keep],
            self.weight[keep],
        )


def changes_of(history: GridStates, generation: FloatArray, timezone: str, half_life_days: float) -> Changes:
    """Give how far each complete state strays from its group."""
    total = generation.sum(axis=1)
    row = np.flatnonzero(np.isfinite(total))
    start_s = history.start_epoch_s()
    day, second = local_day_and_second(start_s[row], timezone)
    window_days = window_length_days(history)
    window = (day - day[0]) // window_days if len(row) else day
    # Within one day the whole day is the group; within four weeks each time of day is one of its own.
    slot = second // history.interval_s if window_days > 1 else np.zeros_like(second)
    _, group = np.unique(window * DAY_S + slot, return_inverse=True)
    change = generation[row] - _group_means(group, generation[row])
    age_days = (start_s[-1] - start_s[row]) / DAY_S if len(row) else np.empty(0)
    return Changes(
        row=row,
        group=window,
        change_mw=change,
        total_mw=change.sum(axis=1),
        level_mw=total[row] - change.sum(axis=1) / 2,
        weight=0.5 ** (age_days / half_life_days),
    )


def window_length_days(history: GridStates) -> int:
    """Give the stretch of days within which states are compared: `WINDOW_DAYS`, or 1. [d]

    The same time of two days differs by weather, demand and outages, with the units committed for it, while the
    change from hour to hour is mostly the daily ramp, which fast plants take. Less than a window of observed states
    leaves nothing to compare across days (typical days repeat): then a day is compared with its own mean.
    """
    if not len(history):
        return 1
    observed = history.frame["status"].is_in([Status.REPORTED, Status.ADJUSTED]).to_numpy()
    long_enough = np.ptp(history.start_epoch_s()) + history.interval_s >= WINDOW_DAYS * DAY_S
    return WINDOW_DAYS if long_enough and observed.mean() > REPORTED_FRAC else 1


def _group_means(group: IntArray, values: FloatArray) -> FloatArray:
    if not len(group):
        return values
    count = np.bincount(group)
    means = [np.bincount(group, weights=column) / count for column in values.T]
    return np.column_stack(means)[group]


def within_shares(
    changes: Changes, cell: IntArray, hat: FloatArray, interval_s: int
) -> tuple[FloatArray, FloatArray, int]:
    """Give the shares of each cell and knot, shape (cells, m, k), and the Σ w ΔG² they rest on, shape (cells, m)."""
    weighted = changes.weight * changes.total_mw
    sxx = cell_sums(cell[changes.row], N_CELLS, hat, weighted * changes.total_mw)
    columns = (weighted * changes.change_mw[:, k] for k in range(changes.change_mw.shape[1]))
    sxy = np.stack([cell_sums(cell[changes.row], N_CELLS, hat, c) for c in columns], axis=-1)
    return _shares_of_sums(sxx, sxy, _prior_sxx(sxx, changes.weight, interval_s))


def _prior_sxx(sxx: FloatArray, weight: FloatArray, interval_s: int) -> float:
    return float(PRIOR_DAYS * DAY_S / interval_s * sxx.sum() / weight.sum())


def _shares_of_sums(sxx: FloatArray, sxy: FloatArray, prior_sxx: float) -> tuple[FloatArray, FloatArray, int]:
    n_knots, n_fuels = sxy.shape[1:]
    by_season = sxx.reshape(len(SEASONS), len(BLOCKS), n_knots)
    by_season_y = sxy.reshape(len(SEASONS), len(BLOCKS), n_knots, n_fuels)
    everything = sxy.sum(axis=(0, 1)) / sxx.sum()
    by_level = shrunk_slopes(sxx.sum(axis=0), sxy.sum(axis=0), everything, prior_sxx)
    by_level_season = shrunk_slopes(by_season.sum(axis=1), by_season_y.sum(axis=1), by_level, prior_sxx)
    finest = shrunk_slopes(by_season, by_season_y, by_level_season[:, None], prior_sxx)
    shares, n_clipped = clipped_shares(finest.reshape(N_CELLS, n_knots, n_fuels))
    return shares, sxx + prior_sxx, n_clipped


def held_out(
    changes: Changes, cell: IntArray, hat: FloatArray, hats: FloatArray, n: int, interval_s: int
) -> FloatArray:
    """Give the shares of each of the n states, learned without the fold that it lies in; shape (n, k).

    Parameters
    ----------
    hat, hats : arrays, shape (d, m) and (n, m)
        Knot weights of the changes and of the states.
    """
    fold = np.arange(n) * N_FOLDS // n
    out = np.empty((n, changes.change_mw.shape[1]))
    for number in range(N_FOLDS):
        keep = fold[changes.row] != number
        rest = changes.where(keep)
        if (
            not (rest.total_mw**2).sum() > 0
        ):  # all that moved lies in this fold: there is nothing else to learn from
            rest, keep = changes, np.ones_like(keep)
        shares, _, _ = within_shares(rest, cell, hat[keep], interval_s)
        mine = fold == number
        out[mine] = np.einsum("nm,nmk->nk", hats[mine], shares[cell[mine]])
    return out


def standard_errors(
    changes: Changes,
    cell: IntArray,
    hat: FloatArray,
    shares: FloatArray,
    sxx: FloatArray,
    rate: FloatArray,
) -> list[Any]:
    """Give the standard error of the factor by season, block and level; null where one stretch of days is all."""
    here = cell[changes.row]
    factor = (np.einsum("nm,nmk->nk", hat, shares[here]) * rate).sum(axis=1)
    residual = (changes.change_mw * rate).sum(axis=1) - factor * changes.total_mw
    score = changes.weight * changes.total_mw * residual
    variance = cluster_variance(here, N_CELLS, changes.group, hat, score, sxx)
    nested = np.sqrt(variance).reshape(len(SEASONS), len(BLOCKS), -1)
    return [[[x if np.isfinite(x) else None for x in row] for row in rows] for rows in nested.tolist()]
