"""How past prices stood to the stack's reference cost, as a curve over the load: markups, must-run, scarcity.

Notes
-----
A price is taken as `reference cost × g(load ÷ capacity)`, g never falling. The reference cost carries fuel and carbon
prices, g what costs alone do not say. g is the isotonic regression of past ratios, weighted by the reference cost
squared (least squares in money), read at its own steps and linear between.

Whether g or the plain cost is used is decided inside the past: learned on its first two thirds, scored on its last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

FloatArray = NDArray[np.float64]

N_KNOTS = 60
MIN_PRICES = 24 * 14
"""Two weeks of hours: fewer do not show a week's low and high loads twice."""


def learn_bid_curve(
    price: FloatArray, cost: FloatArray, reference: FloatArray, load_frac: FloatArray
) -> dict[str, Any] | None:
    """Learn the curve from the past in time order, or give None where it is too short or does no better than costs.

    Parameters
    ----------
    price, cost, reference : arrays, shape (n,)
        Price, expected bid and reference cost of each interval, oldest first; NaN prices are left out. [MWh⁻¹]
    load_frac : array, shape (n,)
        Load as a share of the stack. [1]
    """
    known = np.isfinite(price) & np.isfinite(cost) & np.isfinite(load_frac) & (reference > 0)
    price, cost, reference, load_frac = (a[known] for a in (price, cost, reference, load_frac))
    if len(price) < MIN_PRICES:
        return None
    cut = len(price) * 2 // 3
    trial = _curve(price[:cut], reference[:cut], load_frac[:cut])
    by_curve = apply_bid_curve(trial, cost[cut:], reference[cut:], load_frac[cut:])
    if np.abs(by_curve - price[cut:]).mean() >= np.abs(cost[cut:] - price[cut:]).mean():
        return None
    return _curve(price, reference, load_frac)


def apply_bid_curve(
    curve: dict[str, Any] | None, cost: FloatArray, reference: FloatArray, load_frac: FloatArray
) -> FloatArray:
    """Give the modelled price: by the curve, or the plain cost where there is none; shape (n,). [MWh⁻¹]"""
    if curve is None:
        return cost
    return np.asarray(reference * np.interp(load_frac, curve["load_frac"], curve["ratio"]))


def _curve(price: FloatArray, reference: FloatArray, load_frac: FloatArray) -> dict[str, Any]:
    order = np.argsort(load_frac, kind="stable")
    edges = np.unique(np.linspace(0, len(order), N_KNOTS + 1).astype(np.int64))
    parts = [order[a:b] for a, b in zip(edges[:-1], edges[1:], strict=True)]
    weight = np.array([(reference[part] ** 2).sum() for part in parts])
    ratio = np.array([(price[part] * reference[part]).sum() for part in parts]) / weight
    fitted = isotonic_regression(ratio, weights=weight).x
    return {"load_frac": [float(load_frac[part].mean()) for part in parts], "ratio": fitted.tolist()}
