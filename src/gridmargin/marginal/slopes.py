"""Slopes of each fuel on the sum of fuels, cell by cell, each cell leaning on the coarser one it belongs to.

Notes
-----
In a cell with weights w the slope of fuel f is

    b_f = (Σ w ΔG ΔG_f + κ σ² b_f,coarser) / (Σ w ΔG² + κ σ²)

with κ the weight of the coarser slope in equivalent observations and σ² the mean square of ΔG over all cells. As
ΔG = Σ_f ΔG_f, the slopes of a cell sum to 1 whenever those of the coarser cell do; the coarsest has κ = 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def cell_sums(cell: IntArray, n_cells: int, hat: FloatArray, value: FloatArray) -> FloatArray:
    """Add up `value` by cell and knot; shape (n_cells, m)."""
    return np.column_stack(
        [np.bincount(cell, weights=value * hat[:, k], minlength=n_cells) for k in range(hat.shape[1])]
    )


def shrunk_slopes(sxx: FloatArray, sxy: FloatArray, coarser: FloatArray, prior_sxx: float) -> FloatArray:
    """Give the slopes of cells, each pulled to its coarser cell.

    Parameters
    ----------
    sxx : array, shape (...)
        Σ w ΔG² of each cell. [MW²]
    sxy : array, shape (..., k)
        Σ w ΔG ΔG_f of each cell and fuel. [MW²]
    coarser : array, broadcastable to (..., k)
        Slopes of the coarser cells. [1]
    prior_sxx : float
        κ σ², positive. [MW²]
    """
    return (sxy + prior_sxx * coarser) / (sxx + prior_sxx)[..., None]


def clipped_shares(slopes: FloatArray) -> tuple[FloatArray, int]:
    """Set negative slopes to zero, scale the rest to sum to 1, and count the rows that this changed.

    A row with no positive slope says nothing of who answers, and takes the mean of the others.
    """
    positive = np.maximum(slopes, 0.0)
    n_changed = int((slopes < 0).any(axis=-1).sum())
    total = positive.sum(axis=-1, keepdims=True)
    silent = total[..., 0] <= 0.0
    shares = positive / np.where(total > 0.0, total, 1.0)
    if silent.any():
        shares[silent] = shares[~silent].mean(axis=0) if not silent.all() else 1.0 / shares.shape[-1]
    return shares, n_changed


def cluster_variance(
    cell: IntArray, n_cells: int, cluster: IntArray, hat: FloatArray, score: FloatArray, sxx: FloatArray
) -> FloatArray:
    """Give the variance of each cell's slope, robust to any dependence within a cluster.

    Parameters
    ----------
    cell, cluster : arrays of int, shape (n,)
        Cell and cluster (a stretch of days) of each difference; clusters count from 0.
    hat : array, shape (n, m)
        Knot weights.
    score : array, shape (n,)
        w ΔG u, with u the residual at the cell's own slope.
    sxx : array, shape (n_cells, m)
        Σ w ΔG² (+ prior) of each cell; cells with 0 give NaN.

    Notes
    -----
    Liang and Zeger's sandwich, ``C/(C−1) · Σ_c (Σ_{t∈c} score_t)² / sxx²``, C clusters with data in the cell.
    """
    n_clusters = int(cluster.max()) + 1 if len(cluster) else 0
    out = np.full(sxx.shape, np.nan)
    for k in range(hat.shape[1]):
        joint = np.bincount(
            cell * n_clusters + cluster, weights=score * hat[:, k], minlength=n_cells * n_clusters
        )
        by_cluster = joint.reshape(n_cells, n_clusters)
        n_with_data = (by_cluster != 0.0).sum(axis=1)
        enough = (n_with_data > 1) & (sxx[:, k] > 0)
        c = n_with_data[enough]
        out[enough, k] = c / (c - 1) * (by_cluster[enough] ** 2).sum(axis=1) / sxx[enough, k] ** 2
    return out
