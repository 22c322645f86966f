"""What the range of the regression is calibrated on: EPA's fleet curve where there is one, else realised days.

There is no true marginal rate to take residuals against. Two references stand in, and the fit names which:

- `epa_fleet_curve REGION YEAR`: EPA's rate of the region's fleet in a year before the test, at the same fossil
  loads. The range then says how far EPA's answer may lie from ours.
- `realised_days`: the slope of ΔE on ΔG within each held-out day. A day's slope is itself noisy, so this range is
  wide rather than narrow; it cannot see an error in the rates, which is added in quadrature.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import FleetResponse, GridStates
from gridmargin.marginal.conformal import ALL, calibrate
from gridmargin.marginal.estimator import Facts, FuelRate
from gridmargin.marginal.fleet_response import SHARE_FRAC, epa_rate
from gridmargin.marginal.regimes import local_months

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAY_S = 86_400
MIN_DAY_FRAC = 0.25
"""A day whose Σ ΔG² is below this share of the median day's hardly moved: its slope says nothing."""

OZONE_MONTHS = (5, 6, 7, 8, 9)
"""EPA's curves have one CO2 column for these and one for the rest (AVERT User Manual)."""


def calibrate_range(
    history: GridStates,
    facts: Facts,
    rates: list[FuelRate],
    fossil_mw: FloatArray,
    probability: FloatArray,
    factor: FloatArray,
    level: IntArray,
    row: IntArray,
    change_mw: FloatArray,
) -> tuple[dict[str, Any], str]:
    """Give the table of `conformal.calibrate` and the name of what it was calibrated against.

    Parameters
    ----------
    rates : list of FuelRate, length k
        Of the fuels of the denominator.
    fossil_mw : array, shape (n,)
        Fossil generation of each state, NaN where not known. [MW]
    probability : array, shape (n, k)
        Held-out shares of each state: learned without the stretch that it lies in; NaN where not known.
    factor : array, shape (n, k)
        Rate of each fuel at each state's load. [g kWh⁻¹]
    level : array of int, shape (n,)
        Nearest knot of the load level.
    row, change_mw : arrays, shape (d,) and (d, k)
        Which states changes are known for, and these. [MW]
    """
    estimate = (probability * factor).sum(axis=1)
    if facts.fleet is not None:
        # The years before the newest tell how EPA's own answer moves from year to year.
        own = (facts.fleet, *(fleet for fleet in facts.fleet.earlier if fleet.region == facts.fleet.region))
        start_s, timezone = history.start_epoch_s(), facts.timezone
        residual = np.concatenate(
            [_fleet_rate(fleet, start_s, fossil_mw, timezone) - estimate for fleet in own]
        )
        # One curve has some fifty bins: thousands of hours share fifty residuals, too few to part by level.
        table = calibrate(residual, np.full(len(residual), ALL), symmetric=True)
        years = sorted({fleet.year for fleet in own})
        return table, f"epa_fleet_curve {facts.fleet.region} {', '.join(map(str, years))}"
    day = history.start_epoch_s()[row] // DAY_S
    residual, day_level = _realised_days(
        day, estimate[row], level[row], change_mw, (change_mw * factor[row]).sum(axis=1)
    )
    spread = np.array([rate.spread90_frac or 0.0 for rate in rates])
    error = np.sqrt(((np.nanmean(probability * factor, axis=0) * spread) ** 2).sum())
    return _with_error(calibrate(residual, _names(day_level)), float(error)), "realised_days"


def _names(level: IntArray) -> NDArray[np.str_]:
    return np.char.add("level", (level + 1).astype(np.str_))


def _fleet_rate(
    fleet: FleetResponse, start_epoch_s: IntArray, fossil_mw: FloatArray, timezone: str
) -> FloatArray:
    """EPA's rate at the zone's fossil load, scaled to the region's mean load of the same months. [g kWh⁻¹]

    A balancing authority and an AVERT region of its name do not hold the same plants; where the monthly loads of the
    region are known, the zone's load is scaled to them on average, else taken as it is.
    """
    month = local_months(start_epoch_s, timezone)
    known = np.isfinite(fossil_mw)
    scale = 1.0
    if fleet.load_quantiles_mw is not None:
        region_mw = fleet.load_quantiles_mw.mean(axis=1)[month - 1]
        both = known & np.isfinite(region_mw)
        if both.any() and fossil_mw[both].mean() > 0:
            scale = float(region_mw[both].mean() / fossil_mw[both].mean())
    load = np.where(known, fossil_mw, fleet.load_mw[0]) * scale
    rate = epa_rate(fleet, np.maximum(load, fleet.load_mw[1]), np.isin(month, OZONE_MONTHS), SHARE_FRAC)
    return np.where(known, rate, np.nan)


def _realised_days(
    day: IntArray, estimate: FloatArray, level: IntArray, change_mw: FloatArray, emissions: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Give, for each day that moved enough, its slope of ΔE on ΔG less the estimate at the same changes, and its level.

    Both are weighted by ΔG², as the slope is.
    """
    total = change_mw.sum(axis=1)
    _, index = np.unique(day, return_inverse=True)
    sxx = np.bincount(index, weights=total**2)
    sxy = np.bincount(index, weights=total * emissions)
    expected = np.bincount(index, weights=total**2 * estimate)
    moved = sxx > MIN_DAY_FRAC * np.median(sxx)
    mean_level = np.rint(np.bincount(index, weights=level) / np.bincount(index)).astype(np.int64)
    return ((sxy - expected)[moved] / sxx[moved]), mean_level[moved]


def _with_error(table: dict[str, Any], error: float) -> dict[str, Any]:
    """Widen both sides by an error that the residuals cannot show, in quadrature."""
    offsets = {
        name: [-math.hypot(min(below, 0.0), error), math.hypot(max(above, 0.0), error), n]
        for name, (below, above, n) in table["offsets"].items()
    }
    return {**table, "offsets": offsets}
