"""How past prices stood to the stack's reference cost, as a curve over the load: markups, must-run, scarcity.

Notes
-----
A price is taken as `reference cost × g(load ÷ capacity)`, g never falling. The reference cost carries fuel and carbon
prices, g what costs alone do not say. g is the isotonic regression of past ratios, weighted by the reference cost
squared (least squares in money) and by age, read at its own steps and linear between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

N_KNOTS = 60
HALF_LIFE_DAYS = 30.0
"""Age at which a price counts half: of 30, 90, 365 days and no fading the best on September to December 2018, fitted on
what came before; both reported tests of a fitted curve begin later (docs/methods/backtest-de.md)."""

MIN_PRICES = 24 * 14
"""Two weeks of hours: fewer do not show a week's low and high loads twice."""

_DAY_S = 86_400.0


def learn_bid_curve(
    start_epoch_s: NDArray[np.int64], price: FloatArray, reference: FloatArray, load_frac: FloatArray
) -> dict[str, Any] | None:
    """Learn the curve, or give None where the past has too few prices.

    Parameters
    ----------
    start_epoch_s : array, shape (n,)
        Of each interval, any order. [s since 1970 UTC]
    price, reference : arrays, shape (n,)
        Price and reference cost; an interval that lacks either is left out. [MWh⁻¹]
    load_frac : array, shape (n,)
        Load as a share of the stack. [1]
    """
    from scipy.optimize import isotonic_regression  # heavy, and only a fit needs it

    known = np.isfinite(price) & np.isfinite(load_frac) & (reference > 0)
    start = start_epoch_s[known]
    price, reference, load_frac = (a[known] for a in (price, reference, load_frac))
    if len(price) < MIN_PRICES:
        return None
    fading = 0.5 ** ((start.max() - start) / _DAY_S / HALF_LIFE_DAYS)
    order = np.argsort(load_frac, kind="stable")
    edges = np.unique(np.linspace(0, len(order), N_KNOTS + 1).astype(np.int64))
    parts = np.split(order, edges[1:-1])
    weight = np.array([(fading[part] * reference[part] ** 2).sum() for part in parts])
    weight = np.maximum(weight, 1e-12 * weight.sum())
    paid = np.array([(fading[part] * price[part] * reference[part]).sum() for part in parts])
    fitted = isotonic_regression(paid / weight, weights=weight).x
    return {"load_frac": [float(load_frac[part].mean()) for part in parts], "ratio": fitted.tolist()}


def apply_bid_curve(
    curve: dict[str, Any] | None, cost: FloatArray, reference: FloatArray, load_frac: FloatArray
) -> FloatArray:
    """Give the modelled price: by the curve, or the plain cost where there is none; shape (n,). [MWh⁻¹]"""
    if curve is None:
        return cost
    return np.asarray(reference * np.interp(load_frac, curve["load_frac"], curve["ratio"]))
