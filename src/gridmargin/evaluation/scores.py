"""Scores of estimates against one reference, and the two baselines that any estimator has to beat.

A figure that does not apply is left out of a row: never zero, never NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

UNIT = "gCO2/kWh"
"""Unit of every mae, rmse, bias and width in a row, unless the row says otherwise."""

Row = dict[str, Any]


def correlation(estimate: FloatArray, reference: FloatArray) -> float | None:
    """Give Pearson's r, or None where one side does not vary or there are fewer than three pairs."""
    if len(estimate) < 3:
        return None
    a, b = estimate - estimate.mean(), reference - reference.mean()
    if _flat(estimate) or _flat(reference):
        return None
    return float(np.clip(a @ b / math.sqrt(float(a @ a) * float(b @ b)), -1.0, 1.0))


QUANTILE_LEVELS = (0.05, 0.5, 0.95)
"""What low, mid and high of a 90 % range stand for."""

_CRPS_LEVELS = (np.arange(20) + 0.5) / 20


def crps(levels: Sequence[float], quantiles: FloatArray, reference: FloatArray) -> float:
    """Give the mean continuous ranked probability score of forecasts given by quantiles, in their unit.

    Parameters
    ----------
    levels : sequence of float, length k
        Increasing, inside (0, 1).
    quantiles : array, shape (n, k)
        Quantiles at these levels.
    reference : array, shape (n,)
        What came.

    Notes
    -----
    ``CRPS = 2 ∫ ρ_τ(y − Q(τ)) dτ`` with ρ the pinball loss, by the midpoint rule at 20 levels; Q is linear between
    the levels and flat beyond them. Gneiting and Ranjan 2011, doi:10.1198/jbes.2010.08110.
    """
    total = np.zeros(len(reference))
    known = np.asarray(levels)
    for level in _CRPS_LEVELS:
        right = int(np.clip(np.searchsorted(known, level), 1, len(known) - 1))
        share = float(np.clip((level - known[right - 1]) / (known[right] - known[right - 1]), 0.0, 1.0))
        error = reference - (quantiles[:, right - 1] * (1 - share) + quantiles[:, right] * share)
        total += np.maximum(level * error, (level - 1) * error)
    return float(2.0 * total.mean() / len(_CRPS_LEVELS))


def brier(probability: FloatArray, happened: NDArray[np.bool_]) -> float:
    """Give the Brier score of probabilities, summed over classes; shape (n, k) each, or (n,) for one event."""
    squared = (probability - happened) ** 2
    return float(squared.sum(axis=-1).mean() if squared.ndim > 1 else squared.mean())


def f1(said: NDArray[np.bool_], happened: NDArray[np.bool_]) -> float | None:
    """Give the F1 score of one event, or None where it neither was said nor happened."""
    hits = int((said & happened).sum())
    named = int(said.sum() + happened.sum())
    return 2.0 * hits / named if named else None


def score(
    estimate: FloatArray,
    reference: FloatArray,
    low: FloatArray | None = None,
    high: FloatArray | None = None,
) -> Row:
    """Score estimates against a reference on the same intervals.

    Parameters
    ----------
    estimate, reference : arrays, shape (n,)
        Same unit; pairs with a side that is not finite are left out and not counted in `n`.
    low, high : arrays, shape (n,), optional
        The 90 % range.

    Returns
    -------
    dict
        `n, mae, rmse, bias, bias_frac, r, crps, coverage90, width90`; bias is mean estimate minus mean reference,
        `bias_frac` the same relative to the mean reference, `width90` the mean of high − low.

    Raises
    ------
    InputError
        If the lengths differ or only one bound is given.
    """
    if estimate.shape != reference.shape:
        raise InputError(f"{len(estimate)} estimates, {len(reference)} references: score the same intervals")
    if (low is None) != (high is None):
        raise InputError("a range has two ends: give both low and high, or neither")
    known = np.isfinite(estimate) & np.isfinite(reference)
    row: Row = {"n": int(known.sum())}
    if not row["n"]:
        return row
    estimate, reference = estimate[known], reference[known]
    error = estimate - reference
    row["mae"] = float(np.abs(error).mean())
    row["rmse"] = float(np.sqrt((error**2).mean()))
    row["bias"] = float(error.mean())
    if reference.mean() != 0.0:
        row["bias_frac"] = float(error.mean() / reference.mean())
    r = correlation(estimate, reference)
    if r is not None:
        row["r"] = r
    if low is not None and high is not None:
        low, high = low[known], high[known]
        row["crps"] = crps(QUANTILE_LEVELS, np.stack([low, estimate, high], axis=1), reference)
        row["coverage90"] = float(((low <= reference) & (reference <= high)).mean())
        row["width90"] = float((high - low).mean())
    return row


def baselines(
    train_hour: IntArray,
    train_month: IntArray,
    train_reference: FloatArray,
    test_hour: IntArray,
    test_month: IntArray,
) -> dict[str, FloatArray]:
    """Predict the reference from its own past: its mean, and its mean by hour and month.

    Parameters
    ----------
    train_hour, train_month, train_reference : arrays, shape (m,)
        Local hour 0–23, month 1–12 and the reference, all from before the test.
    test_hour, test_month : arrays, shape (n,)
        The intervals to predict.

    Returns
    -------
    dict
        `constant` and `hour_month`, shape (n,) each. An hour × month never seen in training takes the mean of
        its hour, and an hour never seen the constant. Empty where training has no finite value.
    """
    known = np.isfinite(train_reference)
    if not known.any():
        return {}
    hour, month, reference = train_hour[known], train_month[known], train_reference[known]
    constant = float(reference.mean())
    by_hour = _means(hour, reference, 24, np.full(24, constant))
    cell = hour * 12 + month - 1
    by_cell = _means(cell, reference, 288, np.repeat(by_hour, 12))
    return {
        "constant": np.full(len(test_hour), constant),
        "hour_month": by_cell[test_hour * 12 + test_month - 1],
    }


def baseline_scores(predictions: dict[str, FloatArray], reference: FloatArray) -> dict[str, Row]:
    """Score each baseline: `{name: {"mae", "r"}}`, r left out where a baseline does not vary."""
    scored = {name: score(prediction, reference) for name, prediction in predictions.items()}
    return {
        name: {key: row[key] for key in ("mae", "r") if key in row}
        for name, row in scored.items()
        if row["n"]
    }


def profile_r(hour: IntArray, estimate: FloatArray, reference: FloatArray) -> float | None:
    """Give the correlation of the mean day: mean by hour of the estimate against that of the reference."""
    known = np.isfinite(estimate) & np.isfinite(reference)
    hour, estimate, reference = hour[known], estimate[known], reference[known]
    present = np.unique(hour)
    nothing = np.zeros(24)
    return correlation(
        _means(hour, estimate, 24, nothing)[present], _means(hour, reference, 24, nothing)[present]
    )


def report(task: str, versions: dict[str, str], seconds: float, rows: list[Row]) -> Row:
    """Put the rows of a task into the one shape that every task keeps.

    Raises
    ------
    InputError
        If a row holds a number that is not finite.
    """
    for row in rows:
        named = f"row {row.get('region')}, {row.get('reference')}"
        _refuse_not_finite(row, named)
        for name, baseline in row.get("baselines", {}).items():
            _refuse_not_finite(baseline, f"{named}, baseline {name}")
    return {"task": task, "versions": versions, "seconds": seconds, "rows": rows}


def _refuse_not_finite(figures: Row, named: str) -> None:
    for key, value in figures.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{named}: {key} is {value}; a figure that does not apply is left out")


def _flat(values: FloatArray) -> bool:
    # A spread of 1e-12 of the level is rounding, not variation.
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


def _means(cell: IntArray, value: FloatArray, n_cells: int, otherwise: FloatArray) -> FloatArray:
    count = np.bincount(cell, minlength=n_cells)
    total = np.bincount(cell, weights=value, minlength=n_cells)
    return np.where(count > 0, total / np.maximum(count, 1), otherwise)
