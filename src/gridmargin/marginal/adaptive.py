"""Adaptive conformal ranges: each end moves by how often it was missed, in the regime at hand.

A plain function: nominal ends, what came, regimes and a delay in; ranges out. Any task may use it, whatever gave
the nominal ends.

Notes
-----
Each side of each regime keeps an offset θ in units of the nominal range's width w. When the reference y of an
interval is published,

    s = (low − y) / w   or   (y − high) / w
    θ ← θ + γ m (1[s > θ] − a)

with a the share that this side may miss and m the running mean of |s|: online gradient descent on the pinball loss, so
that in the long run the side is missed with rate a whatever the series does.

A nominal low end at the least that the quantity can be (zero for a factor) cannot be missed: it stays, and the upper
end of those intervals has the whole allowance and an offset of its own, so that the range holds 1 − α also where the quantity is
often exactly that. Elsewhere each side may miss α/2.

Only what had been published when a forecast was issued moves it: an interval's outcome counts from `delay` intervals
later.

References
----------
Romano, Patterson, Candès, Conformalized Quantile Regression, 2019, arXiv:1905.03222; Gibbs, Candès, Adaptive
Conformal Inference Under Distribution Shift, 2021, arXiv:2106.00170, and Conformal Inference for Online Prediction
with Arbitrary Distribution Shifts, 2022, arXiv:2208.08401; Angelopoulos, Candès, Tibshirani, Conformal PID Control for Time Series Prediction,
2023, arXiv:2307.16895.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gridmargin.marginal import conformal
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]

STEP = 0.01
"""Step size γ. Faster ones follow a break sooner and are wider throughout; averaging several by their recent loss
(DtACI) covered two points less at a delay of a day and was left. Chosen on the held-out part before the test."""

STEP_AROUND = 0.05
"""Step size where the nominal range is no forecast's quantiles but the past's errors: it has to follow a shift of the
whole model within some hundred intervals. Of 0.01, 0.03, 0.05 and 0.1 chosen on Australian half hours before the test
(docs/methods/backtest-nem.md)."""

FLOOR_FRAC = 0.2
"""Widths below this share of the running mean width count as this share, so that a range of no width can still grow."""


def adapt(
    reference: FloatArray,
    low: FloatArray,
    mid: FloatArray,
    high: FloatArray,
    regimes: NDArray[np.str_] | NDArray[np.int64],
    delay: int,
    coverage: float = 0.9,
    lowest: float = 0.0,
    step: float = STEP,
) -> tuple[FloatArray, FloatArray]:
    """Give ranges that hold `coverage` of what comes, regime by regime.

    Parameters
    ----------
    reference : array, shape (n,)
        What came, in order of time; NaN where it was not published, which moves nothing.
    low, mid, high : arrays, shape (n,)
        Nominal range of each interval as forecast, `low ≤ mid ≤ high`, in the unit of the reference; NaN where
        there was no forecast. For a forecast without quantiles, `mid ± ` any typical error will do.
    regimes : array, shape (n,)
        A label of each interval that was known when its forecast was issued.
    delay : int
        Intervals between one and the newest whose reference was known at its forecast's issue, at least 1; from
        `forecast_features.lag_steps` for a series in steps.
    coverage : float
        Between 0 and 1.
    lowest : float
        The least that the quantity can be: 0 for a factor, −∞ for a price or a change.
    step : float
        Step size γ.

    Returns
    -------
    low, high : arrays, shape (n,)
        `lowest ≤ low ≤ mid ≤ high` where mid is; range i depends on `reference[: i − delay + 1]` alone.

    Raises
    ------
    InputError
        If lengths differ, ends are not in order, the delay is below 1 or the coverage not inside (0, 1).
    """
    n = len(reference)
    for name, values in (("low", low), ("mid", mid), ("high", high), ("regimes", regimes)):
        if values.shape != (n,):
            raise InputError(f"{name} has shape {values.shape}, the reference {n} intervals")
    if delay < 1:
        raise InputError(f"a delay of {delay} intervals would use what is not yet published; give at least 1")
    if not 0.0 < coverage < 1.0:
        raise InputError(f"coverage {coverage} is not between 0 and 1")
    forecast = np.isfinite(low) & np.isfinite(mid) & np.isfinite(high)
    wrong = forecast & ~((low <= mid) & (mid <= high) & (mid >= lowest))
    if wrong.any():
        at = int(wrong.argmax())
        raise InputError(
            f"interval {at}: {low[at]}, {mid[at]}, {high[at]} are not {lowest:g} ≤ mid and in order"
        )
    if not n:
        return np.empty(0), np.empty(0)
    from gridmargin.marginal.adaptive_kernel import adapt as loop

    names, index = np.unique(regimes, return_inverse=True)
    is_stopped = forecast & (low <= lowest)
    return loop(
        np.ascontiguousarray(reference, dtype=np.float64),
        np.where(forecast, np.maximum(low, lowest), np.nan),
        np.where(forecast, mid, np.nan),
        np.where(forecast, high, np.nan),
        widths(low, mid, high),
        2 * index.astype(np.int64) + is_stopped,
        2 * len(names),
        delay,
        1.0 - coverage,
        step,
        lowest,
    )  # type: ignore[no-any-return,unused-ignore]


def around(
    reference: FloatArray,
    mid: FloatArray,
    regimes: NDArray[np.str_],
    past_error: FloatArray,
    past_regimes: NDArray[np.str_],
    delay: int,
    lowest: float = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """Give 90 % ranges around estimates that bring none: the past's errors to begin with, then adapted.

    Parameters
    ----------
    reference, mid, regimes, delay, lowest
        As in `adapt`.
    past_error, past_regimes : arrays, shape (m,)
        Reference less estimate, and regime, of intervals before the first; NaN is left out.

    Returns
    -------
    low, high : arrays, shape (n,)

    Raises
    ------
    InputError
        If no past error is known.
    """
    table = conformal.calibrate(past_error, past_regimes)
    known = np.isfinite(mid)
    low, high = conformal.apply(np.where(known, mid, lowest), regimes, table, lowest=lowest)
    low, high = (np.where(known, end, np.nan) for end in (low, high))
    return adapt(reference, low, mid, high, regimes, delay, table["coverage"], lowest, STEP_AROUND)


def widths(low: FloatArray, mid: FloatArray, high: FloatArray) -> FloatArray:
    """Give the unit in which each range is moved, from the ranges up to it alone; shape (n,).

    The range's own width, or a share of the running mean width (or centre, where no range has any width yet).
    """
    width = np.where(np.isfinite(high - low), high - low, 0.0)
    size = np.where(np.isfinite(mid), np.abs(mid), 0.0)
    count = np.arange(1, len(width) + 1)
    usual = np.cumsum(width) / count
    usual = np.where(usual > 1e-9, usual, np.cumsum(size) / count)
    floor = np.where(usual > 1e-9, FLOOR_FRAC * usual, 1.0)
    return np.maximum(width, floor)
