"""Split-conformal ranges: how far held-out residuals strayed is how far the next one may.

Plain functions: residuals in, a JSON-able table out; a table and central values in, ranges out.

Notes
-----
With n exchangeable residuals `r_i = reference_i − estimate_i` the interval between the ⌊(n+1)α/2⌋-th and the
⌈(n+1)(1−α/2)⌉-th smallest covers the next residual with probability at least 1 − α. Each side is taken on its
own, so a biased estimate gets a lopsided range instead of a shifted centre. Where there are too few residuals
for a rank, the widest seen stands in, and the table's `n` says so.

Hours in a row are not exchangeable; what coverage is left after that is measured by the backtests.

References
----------
Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005; Lei et al., Distribution-Free
Predictive Inference for Regression, JASA 113 (2018), doi:10.1080/01621459.2017.1307116.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.vocab import InputError, Status

FloatArray = NDArray[np.float64]
LabelArray = NDArray[np.str_]

POOL_BELOW_N = 60
"""A regime with fewer residuals borrows its parent's: below 59 the rank at 5 % is the second smallest or the
smallest, so one odd hour would set the range."""

WIDEN_BY_STATUS: dict[Status, float] = {
    Status.REPORTED: 1.0,
    Status.ADJUSTED: 1.0,
    Status.IMPUTED: 1.5,
    Status.MODELLED: 2.0,
    Status.FORECAST: 2.0,
}
"""How much wider the range is where the state behind it was not reported; what each number rests on is in
docs/methods/ranges.md."""

ALL = "all"
"""The regime that holds every residual: the last resort of the pooling."""


def parent(regime: str) -> str:
    """Give the coarser regime: `summer/night/3` → `summer/night` → `summer` → `all`."""
    return regime.rpartition("/")[0] or ALL


def rank_quantiles(residuals: FloatArray, coverage: float) -> tuple[float, float]:
    """Give the two residuals between which the next one lies with at least this probability.

    Parameters
    ----------
    residuals : array, shape (n,)
        Finite, n ≥ 1, any unit.
    coverage : float
        Between 0 and 1.
    """
    n = len(residuals)
    tail = (1.0 - coverage) / 2.0
    # 1e-9: (n + 1) × tail is meant exactly; 0.05 × 20 must be 1, not 0.9999….
    below = max(math.floor((n + 1) * tail + 1e-9), 1)
    above = min(math.ceil((n + 1) * (1.0 - tail) - 1e-9), n)
    ordered = np.sort(residuals)
    return float(ordered[below - 1]), float(ordered[above - 1])


def _symmetric(residuals: FloatArray, coverage: float) -> tuple[float, float]:
    n = len(residuals)
    rank = min(math.ceil((n + 1) * coverage - 1e-9), n)
    half_width = float(np.sort(np.abs(residuals))[rank - 1])
    return -half_width, half_width


def calibrate(
    residuals: FloatArray,
    regimes: LabelArray,
    coverage: float = 0.9,
    pool_below_n: int = POOL_BELOW_N,
    symmetric: bool = False,
) -> dict[str, Any]:
    """Turn held-out residuals into a table of offsets by regime.

    Parameters
    ----------
    residuals : array, shape (n,)
        Reference minus estimate, any unit; those that are not finite are left out.
    regimes : array of str, shape (n,)
        Labels, coarse to fine, separated by `/`; every prefix is a regime of its own.
    coverage : float
        Share of the truth that the range is to hold.
    pool_below_n : int
        A regime with fewer residuals is left to its parent.
    symmetric : bool
        Take the size of the residuals and not their sign: for a reference whose own bias need not come back.

    Returns
    -------
    dict
        `{"coverage", "n", "offsets": {regime: [below, above, n]}}`; plain JSON, sorted by regime. Offsets are
        added to the central value. The regime `all` is always there.

    Raises
    ------
    InputError
        If there is no finite residual, or coverage is not inside (0, 1).
    """
    if not 0.0 < coverage < 1.0:
        raise InputError(f"coverage {coverage} is not between 0 and 1")
    known = np.isfinite(residuals)
    residuals, labels = residuals[known], np.asarray(regimes)[known]
    if not len(residuals):
        raise InputError("no residual to calibrate a range on: hold out an interval with a reference")
    names, index = np.unique(labels, return_inverse=True)
    members: dict[str, set[int]] = {ALL: set(range(len(names)))}
    for number, name in enumerate(names.tolist()):
        while name != ALL:
            members.setdefault(name, set()).add(number)
            name = parent(name)
    offsets: dict[str, list[float]] = {}
    for name in sorted(members):
        chosen = residuals[np.isin(index, list(members[name]))]
        if name == ALL or len(chosen) >= pool_below_n:
            below, above = _symmetric(chosen, coverage) if symmetric else rank_quantiles(chosen, coverage)
            offsets[name] = [below, above, float(len(chosen))]
    return {"coverage": coverage, "n": len(residuals), "offsets": offsets}


def apply(
    mid: FloatArray,
    regimes: LabelArray,
    table: dict[str, Any],
    widen: FloatArray | float = 1.0,
    lowest: float = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """Give the range around central values.

    Parameters
    ----------
    mid : array, shape (n,)
        Central values, in the unit of the table's residuals.
    regimes : array of str, shape (n,)
        Labels as in `calibrate`; one that the table lacks takes its nearest ancestor's offsets.
    table : dict
        From `calibrate`.
    widen : array or float
        Multiplies both offsets, ≥ 1 where the input was not reported (see `widening`).
    lowest : float
        The least that the quantity can be: 0 for a factor, −∞ for a price or a change.

    Returns
    -------
    low, high : arrays, shape (n,)
        `lowest ≤ low ≤ mid ≤ high` for mid ≥ lowest.
    """
    names, index = np.unique(np.asarray(regimes), return_inverse=True)
    offsets = table["offsets"]
    chosen = np.empty((len(names), 2))
    for number, name in enumerate(names.tolist()):
        while name not in offsets:
            name = parent(name)
        chosen[number] = offsets[name][:2]
    below = np.minimum(chosen[index, 0], 0.0) * widen
    above = np.maximum(chosen[index, 1], 0.0) * widen
    return np.minimum(np.maximum(mid + below, lowest), mid), mid + above


def widening(status: LabelArray) -> FloatArray:
    """Give the factor by which each range grows for how its state came to be; shape (n,)."""
    names, index = np.unique(np.asarray(status), return_inverse=True)
    return np.array([WIDEN_BY_STATUS[Status(name)] for name in names.tolist()], dtype=np.float64)[index]
