"""Where a zone's own fossil load lies on the curve of its AVERT region: which fuels, which load, which season."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.grid import LOAD_QUANTILES, OZONE_MONTHS, FleetResponse, GridStates
from gridmargin.reference import ZoneBorder
from gridmargin.vocab import FOSSIL, Fuel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

REPORTED_FRAC = 0.5
"""A fuel whose column is filled in half of the history is one that the zone reports."""

SAME_FLEET_RATIO = 1.6
"""Within this factor a zone's own mean fossil load is read on the region's curve as it is. It was set from all of
2019–2022 (docs/methods/fleet_curve.md, which gives the figure known by each year), so that for tests on those years
it is in-sample; the nearest zone to it on either side lies at 1.15 and at 21."""


READINGS = ("as_it_is", "border", "rank")
"""`border`: by the line on which the region's load lay against the zone's own in the same hours of an earlier year
(reference/zone_borders.csv); `as_it_is` where none is known and the zone could be the region; else `rank`: the
quantiles of the zone's history onto those of the region's load in the same months."""

_BEYOND_ANY_MW = 1e7


@dataclass(frozen=True, slots=True)
class LoadMap:
    """How a zone's own load is read: one of `READINGS`, and points of the map, empty where it is read as it is. [MW]"""

    reading: str
    from_mw: list[float]
    to_mw: list[float]


AS_IT_IS = LoadMap("as_it_is", [], [])


def reported_fossil_fuels(history: GridStates) -> list[Fuel]:
    """Fossil fuels that the zone usually reports, in the order of the columns."""
    fuels = [fuel for fuel in history.fuels if fuel in FOSSIL]
    return [fuel for fuel in fuels if history.known_frac(fuel) >= REPORTED_FRAC]


def fossil_load_mw(states: GridStates, reported: list[Fuel]) -> FloatArray:
    """Sum the fossil generation; NaN where a fuel that the zone reports is missing. [MW]"""
    load = np.zeros(len(states))
    for fuel in states.fuels:
        if fuel in FOSSIL and fuel not in reported:
            load += np.nan_to_num(states.generation_mw(fuel))
    for fuel in reported:
        load += states.generation_mw(fuel)
    return load


def load_map(
    fleet: FleetResponse, load_mw: FloatArray, month: IntArray, border: ZoneBorder | None
) -> LoadMap:
    """Say how a zone's load is read on the curve of its region: one of `READINGS`, with points of the map.

    By rank only where the zone's mean load could not be that of the region in another year (`SAME_FLEET_RATIO`).
    """
    if border is not None and border.load_line is not None:
        slope, intercept_mw = border.load_line
        own = [0.0, _BEYOND_ANY_MW]
        return LoadMap("border", own, [slope * mw + intercept_mw for mw in own])
    known = load_mw > 0
    if fleet.load_quantiles_mw is None or not known.any():
        return AS_IT_IS
    has_month = np.isfinite(fleet.load_quantiles_mw[:, 0])
    known &= has_month[month - 1]
    if not known.any():
        return AS_IT_IS
    hours = np.bincount(month[known] - 1, minlength=12).astype(np.float64)
    there = np.nan_to_num(fleet.load_quantiles_mw)
    ratio = float(hours @ there.mean(axis=1) / hours.sum() / load_mw[known].mean())
    if 1 / SAME_FLEET_RATIO <= ratio <= SAME_FLEET_RATIO:
        return AS_IT_IS
    fleet_load, weight = there.ravel(), np.repeat(hours, there.shape[1])
    order = np.argsort(fleet_load, kind="stable")
    level = np.cumsum(weight[order]) - weight[order] / 2
    to_mw = np.interp(LOAD_QUANTILES, level / weight.sum(), fleet_load[order])
    from_mw = np.quantile(load_mw[known], LOAD_QUANTILES)
    step = np.flatnonzero(np.concatenate([[True], np.diff(from_mw) > 0]))
    return LoadMap("rank", from_mw[step].tolist(), to_mw[step].tolist())


def mapped(load_mw: FloatArray, load_map: Mapping[str, Any]) -> FloatArray:
    """Read a load as a fit's `load_map` says. [MW]"""
    if load_map["reading"] == "as_it_is":
        return load_mw
    read: FloatArray = np.interp(load_mw, load_map["from_mw"], load_map["to_mw"])
    return read


def by_season(load_mw: FloatArray, is_ozone: BoolArray, knots: FloatArray, columns: FloatArray) -> FloatArray:
    """Interpolate (other, ozone) columns at some loads, flat beyond the knots."""
    return np.where(
        is_ozone, np.interp(load_mw, knots, columns[:, 1]), np.interp(load_mw, knots, columns[:, 0])
    )


def standard_offset_h(fleet: FleetResponse, timezone: str) -> float:
    """Local standard time less UTC: the region's where known, else the zone's in January. [h]"""
    if fleet.standard_utc_offset_h is not None:
        return fleet.standard_utc_offset_h
    offset = datetime(fleet.year, 1, 1, tzinfo=UTC).astimezone(ZoneInfo(timezone)).utcoffset()
    return offset.total_seconds() / 3600 if offset else 0.0


def standard_months(start_epoch_s: IntArray, offset_h: float) -> IntArray:
    """Give the month of the local standard clock, 1–12."""
    local = pl.Series(start_epoch_s + round(offset_h * 3600), dtype=pl.Int64) * 1_000_000
    return local.cast(pl.Datetime("us")).dt.month().to_numpy().astype(np.int64)


def is_ozone_season(start_epoch_s: IntArray, offset_h: float) -> BoolArray:
    """Say whether each interval starts in AVERT's ozone season."""
    return np.isin(standard_months(start_epoch_s, offset_h), OZONE_MONTHS)
