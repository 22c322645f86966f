"""running_plants: a stand-in where nothing is known of how a zone answers, from the plants that run and their usual order.

    factor = Σ_f G_f rate_f ÷ Σ_f G_f      over plants that can be turned up: fossil ones, and water behind a dam

Wind, sun and nuclear run whatever the load is, and are left out of the sum. What it gives is supposed, not seen, and its
range says so: from nothing to the dirtiest of those plants. docs/methods/running_plants.md weighs it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates
from gridmargin.marginal.conformal import widening
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.estimator import Facts, Fit, FuelRate, Need
from gridmargin.vocab import FOSSIL, Basis, Fuel, Kind, NoFactorError, Status, worst

FloatArray = NDArray[np.float64]

TURNED_UP = FOSSIL | {Fuel.HYDRO}
"""Fuels whose plants can give more when asked. Of water a part only can, and how much is not known here."""

DEFAULT_SPREAD90_FRAC = 0.15
"""Where a rate has no range of its own; as for the average."""

LOW_GCO2_PER_KWH = 0.0
"""Water, held-back wind or a neighbour without fire may be what answers; nothing here rules it out."""

_REPORTED_FRAC = 0.5


class RunningPlants:
    """The mix of what can be turned up, with the range of what may be; used where no other estimator speaks."""

    name = "running_plants"
    version = "1"
    kind = Kind.MARGINAL
    needs: frozenset[Need] = frozenset()

    def can_fit(self, history: GridStates, facts: Facts) -> str | None:
        """Say what is missing for a fit, or None when nothing is."""
        where = f"{self.name} of {history.zone}"
        fuels = _turned_up(history)
        if not any(fuel in FOSSIL for fuel in fuels):
            return f"{where} needs fossil generation in its states, and none is reported"
        unrated = [fuel.value for fuel in fuels if fuel not in facts.fuel_rates]
        if unrated:
            return f"{where} needs an emission rate for {', '.join(unrated)}"
        return None

    def fit(self, history: GridStates, facts: Facts) -> Fit:
        """Note which of the zone's fuels can be turned up and what they emit; nothing is learned of their order.

        Raises
        ------
        NoFactorError
            If `can_fit` names something missing.
        """
        missing = self.can_fit(history, facts)
        if missing:
            raise NoFactorError(missing)
        fuels = _turned_up(history)
        rates = [facts.fuel_rates[fuel] for fuel in fuels]
        parameters: dict[str, Any] = {
            "fuels": [fuel.value for fuel in fuels],
            "rate_gco2_per_kwh": [rate.factor_gco2_per_kwh for rate in rates],
            "rate_source": [rate.source for rate in rates],
            "low_gco2_per_kwh": LOW_GCO2_PER_KWH,
            "high_gco2_per_kwh": max(rate.factor_gco2_per_kwh * (1 + _spread(rate)) for rate in rates),
        }
        return Fit.on(history, self, len(history), parameters)

    def estimate(self, states: GridStates, fit: Fit) -> Estimates:
        """Weigh the rates by generation; a state that lacks a fuel of the fit, or has none of them running, is left out."""
        p = fit.parameters
        generation = np.stack(
            [np.maximum(states.generation_mw(Fuel(name)), 0.0) for name in p["fuels"]], axis=1
        ).reshape(len(states), len(p["fuels"]))
        total = generation.sum(axis=1)
        known = np.flatnonzero(total > 0)  # NaN is not
        probability = generation[known] / total[known, None]
        rates = np.array(p["rate_gco2_per_kwh"])
        mid = (probability * rates).sum(axis=1)  # not @: its last bit depends on how many rows there are
        status = states.frame["status"].gather(known).to_numpy().astype(np.str_)
        wider = widening(status)
        return Estimates(
            zone=states.zone,
            interval_s=states.interval_s,
            start_epoch_s=states.start_epoch_s()[known],
            low=np.minimum(np.full(len(known), p["low_gco2_per_kwh"]), mid),
            mid=mid,
            high=mid + np.maximum(p["high_gco2_per_kwh"] - mid, 0.0) * wider,
            source_names=tuple(p["fuels"]),
            source_probability=probability,
            source_factor=np.broadcast_to(rates, probability.shape),
            regime=np.full(len(known), "running"),
            status=_supposed(status),
            basis=Basis(Kind.MARGINAL),
            estimator=self.name,
            estimator_version=self.version,
            fit_id=fit.fit_id,
        )


def _turned_up(history: GridStates) -> list[Fuel]:
    """Give the fuels that can be turned up, are reported in half of the history, and run in any of it."""
    return [
        fuel
        for fuel in history.fuels
        if fuel in TURNED_UP
        and np.isfinite(history.generation_mw(fuel)).sum() >= max(_REPORTED_FRAC * len(history), 1)
        and bool((history.generation_mw(fuel) > 0).any())
    ]


def _supposed(status: NDArray[np.str_]) -> NDArray[np.str_]:
    """Give each status, or `modelled` where that is further from reported (C2)."""
    names, index = np.unique(status, return_inverse=True)
    worse = np.array([worst(Status(name), Status.MODELLED).value for name in names.tolist()], dtype=np.str_)
    return worse[index] if len(names) else status


def _spread(rate: FuelRate) -> float:
    return DEFAULT_SPREAD90_FRAC if rate.spread90_frac is None else rate.spread90_frac
