"""Local-linear regression of each fuel's generation on the level of the denominator and the hour of the day.

The curve S_f(L, h) is the generation of fuel f to be expected at level L and local hour h. What answers is the
difference of the curve over a displaced part of the level, so that the shares of all fuels sum to 1.

Notes
-----
In each hour h and at each level L the line a + b (x - L) minimises ``Σ_i w_i K((x_i - L)/λ) K(|h_i - h|/η) r_i²``:
Gaussian kernels, the second around the clock; w_i holds recency, and is 0 for an observation far off the curve, one
weight for all fuels, so that ``Σ_f S_f(L) = L`` whatever the weights. Cleveland and Devlin, Locally Weighted Regression,
JASA 83 (1988), doi:10.1080/01621459.1988.10478639; their bisquare weights are not used: the curve is an expectation. The sums are taken over narrow bins of the level, with each
observation's own level in them: a straight line comes back exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HOURS = 24
N_BINS = 64
LEVEL_BANDWIDTH_FRAC = 0.1
"""λ, of the median level."""

HOUR_BANDWIDTH_H = 3.0
"""η. Both by held-out sixths of ERCOT's 2019: docs/methods/regression.md has the table. [h]"""

CUT_STEPS = 2
_CUT_MADS = 6.0  # Cleveland's six median absolute residuals
_SLOPE_RIDGE = 1e-6  # of a kernel's weight in x²: a lone bin takes the slope of everything


@dataclass(frozen=True, slots=True)
class LevelGrid:
    """Where the curve is kept: bins of the level, in units of `scale_mw`, for each hour of the day or all in one."""

    by_hour: bool
    edges_mw: FloatArray
    middles_mw: FloatArray
    scale_mw: float

    @property
    def n_hours(self) -> int:
        """24, or 1 where hours are taken together."""
        return HOURS if self.by_hour else 1

    def hour(self, local_hour: IntArray) -> IntArray:
        """Give the row that a local hour is kept in."""
        return local_hour if self.by_hour else np.zeros_like(local_hour)

    @property
    def bandwidth(self) -> float:
        """λ in units of `scale_mw`, not less than a bin: narrower kernels would see nothing between middles."""
        return max(LEVEL_BANDWIDTH_FRAC, float(self.middles_mw[1] - self.middles_mw[0]) / self.scale_mw)


@dataclass(frozen=True, slots=True)
class Sums:
    """Weighted sums by hour and bin; subtracting those of a part leaves those of the rest.

    Attributes
    ----------
    value : array, shape (hours, bins, 3 + 2 k)
        Σ w, Σ w x, Σ w x², then Σ w g_f and Σ w x g_f for each fuel; x and g in units of the grid's scale.
    """

    value: FloatArray


def level_grid(level_mw: FloatArray, by_hour: bool) -> LevelGrid:
    """Lay bins over the levels seen; needs two levels that differ."""
    edges = np.linspace(level_mw.min(), level_mw.max(), N_BINS + 1)
    scale = float(np.median(level_mw))
    return LevelGrid(
        by_hour, edges, (edges[1:] + edges[:-1]) / 2, scale if scale > 0 else float(np.ptp(level_mw))
    )


def cell_of(grid: LevelGrid, level_mw: FloatArray, hour: IntArray) -> IntArray:
    """Give the flat index of hour and bin."""
    bin_ = np.clip(np.searchsorted(grid.edges_mw, level_mw, side="right") - 1, 0, N_BINS - 1)
    return np.asarray(grid.hour(hour) * N_BINS + bin_, dtype=np.int64)


def sums(
    grid: LevelGrid, cell: IntArray, level_mw: FloatArray, generation_mw: FloatArray, weight: FloatArray
) -> Sums:
    """Add up what the local lines rest on."""
    x, g = level_mw / grid.scale_mw, generation_mw / grid.scale_mw
    wx = weight * x
    columns = [weight, wx, wx * x]
    for k in range(g.shape[1]):
        columns += [weight * g[:, k], wx * g[:, k]]
    added = [np.bincount(cell, weights=c, minlength=grid.n_hours * N_BINS) for c in columns]
    value: FloatArray = np.stack(added, axis=-1).astype(np.float64)
    return Sums(value.reshape(grid.n_hours, N_BINS, -1))


def curves(grid: LevelGrid, total: Sums) -> FloatArray:
    """Give S_f at each row of hours and bin middle; shape (hours, bins, k). [MW]"""
    smooth = _kernel_sums(grid, total.value)
    everything = total.value.sum(axis=(0, 1))
    w, wx, wxx = (smooth[..., k] for k in range(3))
    mean_x = wx / w
    spread = np.maximum(wxx - wx * mean_x, 0.0) + (ridge := _SLOPE_RIDGE * w)
    x0 = grid.middles_mw / grid.scale_mw
    all_spread = everything[2] - everything[1] ** 2 / everything[0]
    out = []
    for k in range(3, smooth.shape[-1], 2):
        mean_g = smooth[..., k] / w
        overall = (everything[k + 1] - everything[1] * everything[k] / everything[0]) / all_spread
        slope = (smooth[..., k + 1] - wx * mean_g + ridge * overall) / spread
        out.append(mean_g + slope * (x0 - mean_x))
    return np.stack(out, axis=-1) * grid.scale_mw


def at(grid: LevelGrid, curve: FloatArray, level_mw: FloatArray, hour: IntArray) -> FloatArray:
    """Read curves at some levels and hours, on straight lines between and beyond the bin middles; shape (n, k)."""
    step, hour = grid.middles_mw[1] - grid.middles_mw[0], grid.hour(hour)
    position = (level_mw - grid.middles_mw[0]) / step
    left = np.clip(position.astype(np.int64), 0, N_BINS - 2)
    part = (position - left)[:, None]
    read: FloatArray = curve[hour, left] * (1 - part) + curve[hour, left + 1] * part
    return read


def cut_weights(
    grid: LevelGrid, cell: IntArray, level_mw: FloatArray, hour: IntArray,
    generation_mw: FloatArray, weight: FloatArray,
) -> FloatArray:  # fmt: skip
    """Give `weight`, but 0 for an observation more than six median distances off its curve, after `CUT_STEPS` fits.

    Those within count in full: a weight that falls with the distance would read a lopsided scatter off its mean.
    """
    kept = weight
    for _ in range(CUT_STEPS):
        curve = curves(grid, sums(grid, cell, level_mw, generation_mw, kept))
        off = np.linalg.norm(generation_mw - at(grid, curve, level_mw, hour), axis=1)
        far = _CUT_MADS * float(np.median(off))
        if far <= 1e-9 * grid.scale_mw:
            return weight  # most lie on the curve: nothing to tell an outlier by
        kept = np.where(off < far, weight, 0.0)
    return kept


def displaced_span_mw(grid: LevelGrid, level_mw: FloatArray, frac: float) -> tuple[FloatArray, FloatArray]:
    """Give the lower and upper ends of the displacement at each level, held within the levels seen. [MW]

    Never more than half of the span seen, so that a grid whose load hardly moves is not read outside it.
    """
    low, high = float(grid.edges_mw[0]), float(grid.edges_mw[-1])
    upper = np.clip(level_mw, low, high)
    width = np.minimum(frac * np.maximum(upper, 0.0), (high - low) / 2)
    width = np.where(width > 0, width, (high - low) / 2)
    upper = np.maximum(upper, low + width)
    return upper - width, upper


def slopes(
    grid: LevelGrid, curve: FloatArray, level_mw: FloatArray, hour: IntArray, frac: float
) -> FloatArray:
    """Give each fuel's part of what goes when a part of the level goes; rows sum to 1, parts may be negative."""
    lower, upper = displaced_span_mw(grid, level_mw, frac)
    return (at(grid, curve, upper, hour) - at(grid, curve, lower, hour)) / (upper - lower)[:, None]


def factor_variance(
    grid: LevelGrid, total: Sums, cell: IntArray, cluster: IntArray, level_mw: FloatArray,
    score: FloatArray, at_level_mw: FloatArray, at_hour: IntArray, frac: float,
) -> FloatArray:  # fmt: skip
    """Give the variance of the factor at some levels and hours, robust to any dependence within a cluster.

    Parameters
    ----------
    cluster : array of int, shape (n,)
        Stretch of days of each observation, counting from 0.
    score : array, shape (n,)
        w × (Σ_f rate_f × generation off its curve), any unit × MW.
    at_level_mw, at_hour : arrays, shape (m,)

    Notes
    -----
    The curve is linear in the generation, so each cluster moves the factor by what its own residuals add to the
    curve: ``C/(C−1) · Σ_c (moved_c)²`` over C clusters, Liang and Zeger's sandwich. NaN where C is 1.
    """
    n_clusters = int(cluster.max()) + 1
    x = level_mw / grid.scale_mw
    size = grid.n_hours * N_BINS
    joint = cluster * size + cell
    smooth = _kernel_sums(grid, total.value)
    w, wx, wxx = (smooth[..., k] for k in range(3))
    mean_x = wx / w
    spread = np.maximum(wxx - wx * mean_x, 0.0) + _SLOPE_RIDGE * w
    x0 = grid.middles_mw / grid.scale_mw
    lower, upper = displaced_span_mw(grid, at_level_mw, frac)
    u, xu = (
        np.bincount(joint, weights=v, minlength=n_clusters * size).reshape(n_clusters, grid.n_hours, N_BINS)
        for v in (score, score * x)
    )
    by_cluster: FloatArray = np.moveaxis(np.stack([u, xu]), (0, 1), (3, 2)).astype(np.float64)
    by_cluster = by_cluster.reshape(grid.n_hours, N_BINS, -1)
    moved = _kernel_sums(grid, by_cluster).reshape(grid.n_hours, N_BINS, n_clusters, 2)
    mean_u = moved[..., 0] / w[..., None]
    slope = (moved[..., 1] - wx[..., None] * mean_u) / spread[..., None]
    curve = mean_u + slope * (x0[:, None] - mean_x[..., None])
    change = (at(grid, curve, upper, at_hour) - at(grid, curve, lower, at_hour)) / (upper - lower)[:, None]
    n_with_data = len(np.unique(cluster))
    if n_with_data < 2:
        return np.full(len(at_level_mw), np.nan)
    variance: FloatArray = n_with_data / (n_with_data - 1) * (change**2).sum(axis=1)
    return variance


def _kernel_sums(grid: LevelGrid, value: FloatArray) -> FloatArray:
    """Spread sums by hour and bin over neighbouring hours and bins."""
    hours = np.arange(grid.n_hours)
    apart = np.abs(hours[:, None] - hours)
    by_hour = np.exp(-0.5 * (np.minimum(apart, HOURS - apart) / HOUR_BANDWIDTH_H) ** 2)
    x = grid.middles_mw / grid.scale_mw
    # A floor keeps a bin far from all data from dividing zero by zero.
    by_bin = np.maximum(np.exp(-0.5 * ((x[:, None] - x) / grid.bandwidth) ** 2), 1e-12)
    spread: FloatArray = np.einsum(
        "ab,hbv->hav", by_bin, np.tensordot(by_hour, value, axes=(1, 0)), optimize=True
    )
    return spread
