"""What the range of a stack's factor can be held against: CO2 per fossil generation that changed, as fuels reported it.

No marginal rate is published, but where states hold generation by fuel, each interval shows which fuels answered a
change. With the mean factor of each fuel's units that is a rate ΔE ÷ ΔG of the interval. It is not the truth: it holds
what wind, outages and schedules did as well as what the load did, and it cannot tell the units of one fuel apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import FAMILY, GridStates
from gridmargin.marginal.conformal import calibrate
from gridmargin.marginal.estimate import Estimates
from gridmargin.vocab import FOSSIL, Fuel, generation_column

FloatArray = NDArray[np.float64]

CHANGES = "interval_changes"
"""The name of this reference in a fit's `calibrated_against`."""

LARGER_FRAC = 0.5
"""Only changes larger than the median count: a small one divides what units do to each other by little."""

MIN_CHANGES = 500
"""Three weeks of hours, half of which count."""


def observed_rates(
    states: GridStates, p: dict[str, Any], threshold_mw: float | None = None
) -> tuple[NDArray[np.int64], FloatArray, float]:
    """Give the rate of each interval whose fossil generation changed much from the one before.

    Parameters
    ----------
    p : dict
        A stack's parameters.
    threshold_mw : float, optional
        Least change that counts; by default the median of these states. [MW]

    Returns
    -------
    row : array of int, shape (m,)
        Of the later state of each change.
    rate : array, shape (m,)
        [g kWh⁻¹]
    threshold_mw : float

    Notes
    -----
    Empty where no fossil fuel, or one of which the stack has no unit, is reported.
    """
    family = np.array([FAMILY.get(Fuel(name), Fuel(name)).value for name in p["fuels"]])
    capacity, factor = np.array(p["capacity_mw"]), np.array(p["factor_gco2_per_kwh"])
    total, emitted = np.zeros(len(states)), np.zeros(len(states))
    burnt = [
        fuel for fuel in states.fuels if fuel in FOSSIL and generation_column(fuel) in p["residual"]["plus"]
    ]
    none = np.zeros(0, dtype=np.int64), np.zeros(0), 0.0
    for fuel in burnt:
        mine = family == FAMILY.get(fuel, fuel).value
        if not mine.any():
            return none
        rate = float(np.average(factor[mine], weights=capacity[mine] + 1e-12))
        generated = states.generation_mw(fuel)
        total, emitted = total + generated, emitted + rate * generated
    if not burnt or len(states) < 2:
        return none
    change = np.diff(total)
    next_to = np.diff(states.start_epoch_s()) == states.interval_s
    known = next_to & np.isfinite(change)
    if not known.any():
        return none
    if threshold_mw is None:
        threshold_mw = float(np.quantile(np.abs(change[known]), LARGER_FRAC))
    at = np.flatnonzero(known & (np.abs(np.nan_to_num(change)) > max(threshold_mw, 1e-9)))
    return at + 1, np.diff(emitted)[at] / change[at], threshold_mw


def calibrate_on_changes(
    states: GridStates, p: dict[str, Any], estimates: Estimates
) -> dict[str, Any] | None:
    """Give the table of `conformal.calibrate` of observed rates against estimates; None where too few are known."""
    row, rate, threshold = observed_rates(states, p)
    if not len(row) or not len(estimates):
        return None
    start = states.start_epoch_s()[row]
    at = np.minimum(np.searchsorted(estimates.start_epoch_s, start), len(estimates) - 1)
    there = estimates.start_epoch_s[at] == start
    if there.sum() < MIN_CHANGES:
        return None
    at = at[there]
    table = calibrate(rate[there] - estimates.mid[at], estimates.regime[at])
    return {**table, "least_change_mw": threshold}
