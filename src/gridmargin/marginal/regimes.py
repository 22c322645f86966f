"""Regimes of the regression: level of the load, season of the year, block of the local day."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SEASONS = ("dec-feb", "mar-may", "jun-aug", "sep-nov")
"""By local month; named by their months, so that they are true on both hemispheres."""

BLOCKS = ("00-06", "06-12", "12-18", "18-24")
"""By local prevailing hour, because people and their evening peak follow the clock."""

LEVEL_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where the knots of the load level lie in the training distribution: five equal slices, each at its middle."""


def season_and_block(start_epoch_s: IntArray, timezone: str) -> tuple[IntArray, IntArray]:
    """Give the index into `SEASONS` and into `BLOCKS` of each interval start; shape (n,) each."""
    hour = _local(start_epoch_s, timezone).dt.hour().to_numpy().astype(np.int64)
    return local_months(start_epoch_s, timezone) % 12 // 3, hour // 6


def local_months(start_epoch_s: IntArray, timezone: str) -> IntArray:
    """Give the month of the local clock, 1–12; shape (n,)."""
    return _local(start_epoch_s, timezone).dt.month().to_numpy().astype(np.int64)


def local_day_and_second(start_epoch_s: IntArray, timezone: str) -> tuple[IntArray, IntArray]:
    """Give the local date, in days since 1970, and the second of the local clock's day; shape (n,) each."""
    local = _local(start_epoch_s, timezone).dt.replace_time_zone(None).to_physical().to_numpy() // 1_000_000
    return local // 86_400, local % 86_400


def _local(start_epoch_s: IntArray, timezone: str) -> pl.Series:
    utc = (pl.Series(start_epoch_s, dtype=pl.Int64) * 1_000_000).cast(pl.Datetime("us"))
    return utc.dt.replace_time_zone("UTC").dt.convert_time_zone(timezone)


def level_knots_mw(level_mw: FloatArray, weight: FloatArray) -> list[float]:
    """Give the distinct knots of the load level. [MW]"""
    order = np.argsort(level_mw, kind="stable")
    share = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    return [float(knot) for knot in np.unique(np.interp(LEVEL_QUANTILES, share, level_mw[order]))]


def hat_weights(level_mw: FloatArray, knots_mw: FloatArray) -> FloatArray:
    """Give how much each knot has a say at each level: linear between knots, rows sum to 1; shape (n, m)."""
    n_knots = len(knots_mw)
    position = np.interp(level_mw, knots_mw, np.arange(n_knots, dtype=np.float64))
    return np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(n_knots)))


def labels(level: IntArray, season: IntArray, block: IntArray) -> NDArray[np.str_]:
    """Name the regime of each interval, coarse to fine: `level3/jun-aug/12-18`."""
    cell = (level * len(SEASONS) + season) * len(BLOCKS) + block
    names: NDArray[np.str_] = np.array(
        [f"level{k + 1}/{s}/{b}" for k in range(len(LEVEL_QUANTILES)) for s in SEASONS for b in BLOCKS]
    )
    return np.asarray(names[cell], dtype=np.str_)
