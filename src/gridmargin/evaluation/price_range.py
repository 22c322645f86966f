"""A 90 % range of a modelled price, learned online from how far the price strayed from it before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.evaluation.scores import Row, score
from gridmargin.marginal import adaptive, volatility

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HOUR_S = 3600
KNOWN_BEFORE_H = 24
"""A day-ahead auction closes at noon for the whole next day: the price of the same hour of the day before is known."""

BURN_IN_DAYS = 30
"""Where nothing precedes the test, its first month sets the range and is not scored for it."""

MIN_PAST = 24 * 14


@dataclass(frozen=True, slots=True)
class Series:
    """Hours of one zone in a row, gaps as NaN, each array of shape (n,).

    Attributes
    ----------
    first_epoch_s : int
        Start of the first hour. [s since 1970 UTC]
    price, modelled : array
        What was paid, and what the model said without having seen it; NaN where not known. [MWh⁻¹]
    """

    first_epoch_s: int
    price: FloatArray
    modelled: FloatArray


def series_of(
    start_epoch_s: IntArray, price: FloatArray, modelled: list[tuple[IntArray, FloatArray]]
) -> Series:
    """Lay prices, and modelled prices of some stretches of them, on hours in a row."""
    first = int(start_epoch_s[0])
    n = (int(start_epoch_s[-1]) - first) // HOUR_S + 1
    paid, said = np.full(n, np.nan), np.full(n, np.nan)
    paid[(start_epoch_s - first) // HOUR_S] = price
    for starts, values in modelled:
        said[(starts - first) // HOUR_S] = values
    return Series(first, paid, said)


def range_rows(series: Series, test_epoch_s: int, labels: Row) -> list[Row]:
    """Score the range on the test, all of it and by regime.

    Parameters
    ----------
    test_epoch_s : int
        Where the test begins; modelled hours before it set the range it begins with. [s since 1970 UTC]

    Returns
    -------
    list of dict
        Nothing where neither the past nor the first month of the test suffices.

    Notes
    -----
    Regimes are `volatility`'s, by the movement of the prices known a day before, with thresholds from what precedes.
    """
    error = series.price - series.modelled
    begin = (test_epoch_s - series.first_epoch_s) // HOUR_S
    if np.isfinite(error[:begin]).sum() < MIN_PAST:
        begin += BURN_IN_DAYS * 24
    if np.isfinite(error[:begin]).sum() < MIN_PAST or begin >= len(error):
        return []
    movement = volatility.recent_movement(series.price, KNOWN_BEFORE_H, HOUR_S)
    regime = volatility.regimes(movement, volatility.thresholds(movement[:begin]))
    price, modelled = series.price[begin:], series.modelled[begin:]
    low, high = adaptive.around(
        price, modelled, regime[begin:], error[:begin], regime[:begin], KNOWN_BEFORE_H, lowest=-np.inf
    )
    rows = []
    for name in ("", volatility.VOLATILE, volatility.STABLE, volatility.PROCURED):
        keep = (regime[begin:] == name) | (not name)
        figures = score(modelled[keep], price[keep], low[keep], high[keep])
        if not figures["n"]:
            continue
        rows.append({**labels, **({"regime": name} if name else {}), **figures, "baselines": {}})
    return rows
