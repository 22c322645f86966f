"""average: emissions of the mix per kilowatt-hour. The baseline; it says nothing about one more kilowatt-hour (C3).

    factor = Σ_f G_f rate_f ÷ Σ_f G_f

over the fuels whose rate is known, with what a fuel's plants emit over all their generation. Imports are not in it:
it is the mix of what the zone generates, not of what it consumes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates
from gridmargin.marginal.conformal import widening
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.estimator import Facts, Fit, FuelRate, Need
from gridmargin.vocab import FOSSIL, Basis, Fuel, Kind, NoFactorError

FloatArray = NDArray[np.float64]

NOT_GENERATION = frozenset({Fuel.BATTERY, Fuel.PUMPED, Fuel.IMPORTS})
"""Stores give back what was generated before, imports were generated elsewhere: neither is in the mix."""

DEFAULT_SPREAD90_FRAC = 0.15
"""Where a rate has no range of its own: the 90 % spread of one fuel's rate between AVERT regions
(`python tools/fuel_rates.py DIR --spread`)."""

UNRATED_LOW_HIGH_GCO2_PER_KWH = (0.0, 1000.0)
"""What generation of an unstated source may emit: nothing, or as much as coal. It widens the range and leaves the
central value alone."""

_REPORTED_FRAC = 0.5  # a fuel whose column is filled in half of the history is one that the zone reports


class Average:
    """Mix average of a zone's own generation; an `AverageEstimate`, never marginal."""

    name = "average"
    version = "1"
    kind = Kind.AVERAGE
    needs: frozenset[Need] = frozenset()

    def can_fit(self, history: GridStates, facts: Facts) -> str | None:
        """Say what is missing for a fit, or None when nothing is."""
        rates = facts.fuel_rates if facts.average_fuel_rates is None else facts.average_fuel_rates
        reported = _reported_fuels(history)
        if not reported:
            return (
                f"{self.name} of {history.zone} needs generation by fuel in its states, and none is reported"
            )
        unrated = [fuel.value for fuel in reported if fuel in FOSSIL and fuel not in rates]
        if unrated:
            return f"{self.name} of {history.zone} needs an emission rate for {', '.join(unrated)}"
        if not any(fuel in rates for fuel in reported):
            return f"{self.name} of {history.zone} needs an emission rate for any of its fuels"
        return None

    def fit(self, history: GridStates, facts: Facts) -> Fit:
        """Note which fuels the zone reports and what they emit; there is nothing to learn.

        Raises
        ------
        NoFactorError
            If `can_fit` names something missing.
        """
        missing = self.can_fit(history, facts)
        if missing:
            raise NoFactorError(missing)
        rates = facts.fuel_rates if facts.average_fuel_rates is None else facts.average_fuel_rates
        reported = _reported_fuels(history)
        rated = [fuel for fuel in reported if fuel in rates]
        parameters: dict[str, Any] = {
            "fuels": [fuel.value for fuel in rated],
            "rate_gco2_per_kwh": [rates[fuel].factor_gco2_per_kwh for fuel in rated],
            "rate_spread90_frac": [_spread(rates[fuel]) for fuel in rated],
            "rate_source": [rates[fuel].source for fuel in rated],
            "unrated_fuels": [fuel.value for fuel in reported if fuel not in rates],
            "unrated_low_high_gco2_per_kwh": list(UNRATED_LOW_HIGH_GCO2_PER_KWH),
        }
        return Fit.on(history, self, len(history), parameters)

    def estimate(self, states: GridStates, fit: Fit) -> Estimates:
        """Weigh the rates by generation; a state that lacks a fuel of the fit, or generates nothing, is left out.

        Notes
        -----
        The range adds the errors of the rates in quadrature, as one fuel's error is no other's, and then what the
        unrated share could do at its least and most. Net consumption by a plant (negative generation) counts as 0.
        """
        p = fit.parameters
        generation = _matrix_mw(states, p["fuels"])
        total = generation.sum(axis=1)
        known = np.flatnonzero(total > 0)  # NaN is not
        probability = generation[known] / total[known, None]
        rates, spread = np.array(p["rate_gco2_per_kwh"]), np.array(p["rate_spread90_frac"])
        mid = (probability * rates).sum(axis=1)  # not @: its last bit depends on how many rows there are
        status = states.frame["status"].gather(known).to_numpy().astype(np.str_)
        error = np.sqrt(((probability * rates * spread) ** 2).sum(axis=1)) * widening(status)
        unrated = np.nansum(_matrix_mw(states, p["unrated_fuels"])[known], axis=1)
        unrated_frac = unrated / (unrated + total[known])
        least, most = p["unrated_low_high_gco2_per_kwh"]
        low = mid - error - unrated_frac * np.maximum(mid - least, 0.0)
        high = mid + error + unrated_frac * np.maximum(most - mid, 0.0)
        start_s = states.start_epoch_s()[known]
        return Estimates(
            zone=states.zone,
            interval_s=states.interval_s,
            start_epoch_s=start_s,
            low=np.minimum(np.maximum(low, 0.0), mid),
            mid=mid,
            high=high,
            source_names=tuple(p["fuels"]),
            source_probability=probability,
            source_factor=np.broadcast_to(rates, probability.shape),
            regime=np.full(len(known), "mix"),
            status=status,
            basis=Basis(Kind.AVERAGE),
            estimator=self.name,
            estimator_version=self.version,
            fit_id=fit.fit_id,
        )


def _spread(rate: FuelRate) -> float:
    return DEFAULT_SPREAD90_FRAC if rate.spread90_frac is None else rate.spread90_frac


def _reported_fuels(history: GridStates) -> list[Fuel]:
    return [
        fuel
        for fuel in history.fuels
        if fuel not in NOT_GENERATION and history.known_frac(fuel) >= _REPORTED_FRAC
    ]


def _matrix_mw(states: GridStates, fuels: list[str]) -> FloatArray:
    """Give generation by fuel, negative as 0, NaN where not known; shape (n, k). [MW]"""
    out = np.empty((len(states), len(fuels)))
    for column, fuel in enumerate(fuels):
        out[:, column] = np.maximum(states.generation_mw(Fuel(fuel)), 0.0)
    return out
