"""What the range of the regression is calibrated on: EPA's fleet curve where there is one, else realised days.

There is no true marginal rate to take residuals against. Two references stand in, and the fit names which:

- `epa_fleet_curve`: EPA's rate of one year against the estimate made with another year's curve, for every region and
  pair of years known. The range then says how far EPA's answer may lie from ours.
- `realised_days`: the slope of ΔE on ΔG within each held-out day. A day's slope is itself noisy, so this range is
  wide rather than narrow; it cannot see an error in the rates, which is added in quadrature.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import FleetResponse
from gridmargin.marginal.conformal import calibrate
from gridmargin.marginal.estimator import FuelRate
from gridmargin.marginal.fleet_factors import fleet_factors, relative_rates
from gridmargin.marginal.fleet_range import YEAR_TO_YEAR, calibrate_range, grouped_level
from gridmargin.marginal.fleet_response import SHARE_FRAC, epa_rate
from gridmargin.marginal.level_shares import DISPLACED_FRAC
from gridmargin.vocab import Fuel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAY_S = 86_400
MIN_DAY_FRAC = 0.25
"""A day whose Σ ΔG² is below this share of the median day's hardly moved: its slope says nothing."""


def calibrate_on_years(
    fleet: FleetResponse, chosen: Sequence[Fuel], rates: Mapping[Fuel, FuelRate]
) -> tuple[dict[str, Any], str]:
    """Give the table of `conformal.calibrate` and the name of what it was calibrated against.

    One year's curve with another year's split between fuels, against EPA's rate of that other year: what the
    estimate does, for every ordered pair of years of one region that were known by then, all regions together.
    Offsets are in units of √(estimate × roughness), as in `fleet_range`, which has the reasons.

    Parameters
    ----------
    chosen : sequence of Fuel
        Families that the zone reports.
    rates : mapping of Fuel to FuelRate
        Average rates; only their proportions are used.
    """
    relative = relative_rates(chosen, rates)
    known = [*fleet.earlier, fleet]
    factors = {id(response): fleet_factors(response, chosen, relative) for response in known}
    scores, names, clusters = [], [], set()
    for a, b in permutations(known, 2):
        split = factors[id(a)]
        if a.region != b.region or split is None or factors[id(b)] is None:
            continue
        load, is_ozone = b.loads_seen_mw()
        shares = _shares_of_curve(b, chosen, load)
        mid = (shares * split.at(load * (1 - DISPLACED_FRAC / 2), is_ozone)).sum(axis=1)
        residual = epa_rate(b, load, is_ozone, SHARE_FRAC) - mid
        scale = np.sqrt(np.maximum(mid, 1e-9) * split.roughness_gco2_per_kwh)
        scores.append(np.divide(residual, scale, out=np.zeros_like(residual), where=scale > 0))
        names.append(_names(np.searchsorted(np.quantile(load, (0.2, 0.4, 0.6, 0.8)), load)))
        clusters.add((b.region, b.year))
    if not scores:
        table, basis = calibrate_range(fleet)
        return table, f"epa_fleet_curve {basis}"
    table = calibrate(np.concatenate(scores), np.concatenate(names), grouped_level(len(clusters)))
    return table, f"epa_fleet_curve {YEAR_TO_YEAR}"


def _shares_of_curve(fleet: FleetResponse, chosen: Sequence[Fuel], load_mw: FloatArray) -> FloatArray:
    """Give the families' parts of what goes when a part of the load goes, on the curve of that year itself."""
    nothing = np.zeros_like(fleet.load_mw)
    columns = [fleet.fuel_generation_mw.get(fuel, nothing) for fuel in chosen]
    lower = load_mw * (1 - DISPLACED_FRAC)
    went = np.column_stack(
        [np.interp(load_mw, fleet.load_mw, mw) - np.interp(lower, fleet.load_mw, mw) for mw in columns]
    )
    answer = np.maximum(went, 0.0)
    none = answer.sum(axis=1) <= 0
    answer[none] = 1.0
    shares: FloatArray = answer / answer.sum(axis=1, keepdims=True)
    return shares


def calibrate_on_days(
    start_epoch_s: IntArray,
    rates: list[FuelRate],
    probability: FloatArray,
    factor: FloatArray,
    level: IntArray,
    row: IntArray,
    change_mw: FloatArray,
) -> tuple[dict[str, Any], str]:
    """Give the table of `conformal.calibrate` from realised days, and that name.

    Parameters
    ----------
    rates : list of FuelRate, length k
        Of the fuels of the denominator.
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
    day = start_epoch_s[row] // DAY_S
    residual, day_level = _realised_days(
        day, estimate[row], level[row], change_mw, (change_mw * factor[row]).sum(axis=1)
    )
    spread = np.array([rate.spread90_frac or 0.0 for rate in rates])
    error = np.sqrt(((np.nanmean(probability * factor, axis=0) * spread) ** 2).sum())
    return _with_error(calibrate(residual, _names(day_level)), float(error)), "realised_days"


def _names(level: IntArray) -> NDArray[np.str_]:
    return np.char.add("level", (level + 1).astype(np.str_))


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
