"""fleet_curve: the slope of EPA's fleet response at the fossil load of the moment.

The marginal rate is d CO2 / d fossil load of the region's response in the newest year known, smoothed before it is
differentiated; who is on the margin is d generation / d load by fuel. docs/methods/fleet_curve.md says how the
smoothing and the level of the load were chosen, and what the range was calibrated on.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates
from gridmargin.marginal.conformal import apply, widening
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.estimator import Facts, Fit, Need
from gridmargin.marginal.fleet_load import (
    by_season,
    fossil_load_mw,
    is_ozone_season,
    load_map,
    mapped,
    reported_fossil_fuels,
    standard_months,
    standard_offset_h,
)
from gridmargin.marginal.fleet_range import calibrate_range, regimes, terciles_mw
from gridmargin.marginal.fleet_response import fuel_shares, response_slope
from gridmargin.marginal.unit_response import has_units, unit_shares
from gridmargin.vocab import Basis, Fuel, InputError, Kind, NoFactorError, Status, worst

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


SOURCES_BY = ("fuel", "unit")
"""What the sources of an estimate are; the rate is the same."""


class FleetCurve:
    """Marginal rate of a zone from its AVERT region's fleet; fits on `facts.fleet`, reads the fossil load.

    Parameters
    ----------
    sources_by : str
        One of `SOURCES_BY`; units need AVERT's unit curves, and then stand in the fit where fuels would.
    """

    name = "fleet_curve"
    version = "2"
    kind = Kind.MARGINAL
    needs: frozenset[Need] = frozenset({Need.FLEET})

    def __init__(self, sources_by: str = "fuel") -> None:
        if sources_by not in SOURCES_BY:
            raise InputError(f"sources by {sources_by!r}: want one of {', '.join(SOURCES_BY)}")
        self.sources_by = sources_by

    def can_fit(self, history: GridStates, facts: Facts) -> str | None:
        """Say what is missing for a fit, or None when nothing is."""
        if facts.fleet is None:
            return f"{self.name} of {history.zone} needs the fleet response of an AVERT region, and there is none"
        if self.sources_by == "unit" and not has_units(facts.fleet):
            return f"{self.name} of {history.zone} by unit needs the unit curves of {facts.fleet.region}"
        if not len(history):
            return f"{self.name} of {history.zone} needs at least one past state"
        if not reported_fossil_fuels(history):
            return (
                f"{self.name} of {history.zone} needs fossil generation in its states, and none is reported"
            )
        return None

    def fit(self, history: GridStates, facts: Facts) -> Fit:
        """Smooth and differentiate the newest fleet response, and calibrate its range on earlier years.

        Raises
        ------
        NoFactorError
            If `can_fit` names something missing.
        """
        missing = self.can_fit(history, facts)
        if missing or facts.fleet is None:
            raise NoFactorError(missing)
        fleet = facts.fleet
        offset_h = standard_offset_h(fleet, facts.timezone)
        slope = response_slope(fleet)
        if self.sources_by == "unit":
            names, probability, rate = unit_shares(fleet)
        else:
            fuels, probability, rate = fuel_shares(fleet)
            names = tuple(fuel.value for fuel in fuels)
        reported = reported_fossil_fuels(history)
        load_mw = fossil_load_mw(history, reported)
        reading = load_map(fleet, load_mw, standard_months(history.start_epoch_s(), offset_h), facts.border)
        table, basis = calibrate_range(fleet)
        starts = history.frame["start_utc"]
        first, last = starts[0], starts[-1]
        parameters: dict[str, Any] = {
            "region": fleet.region,
            "fleet_year": fleet.year,
            "standard_utc_offset_h": offset_h,
            "reported_fuels": [fuel.value for fuel in reported],
            "load_map": asdict(reading),
            "border": None if facts.border is None else facts.border.source,
            "load_mw": slope.load_mw.tolist(),
            "rate_gco2_per_kwh": slope.rate_gco2_per_kwh.tolist(),
            "fuels": list(names),
            "probability": probability.tolist(),
            "fuel_rate_gco2_per_kwh": rate.tolist(),
            "seen_mw": list(fleet.load_span_mw()),
            "terciles_mw": terciles_mw(fleet),
            "roughness_gco2_per_kwh": slope.roughness_gco2_per_kwh,
            "range": table,
            "range_basis": basis,
        }
        return Fit(
            estimator=self.name,
            estimator_version=self.version,
            zone=history.zone,
            train_start_utc=first,
            train_end_utc=last + timedelta(seconds=history.interval_s),
            n_train=len(history),
            parameters=parameters,
            payload_sha256s=fleet.payload_sha256s,
        )

    def estimate(self, states: GridStates, fit: Fit) -> Estimates:
        """Read the slope at each state's fossil load; a state without one is left out, never filled."""
        p = fit.parameters
        load_mw = fossil_load_mw(states, [Fuel(fuel) for fuel in p["reported_fuels"]])
        known = np.flatnonzero(load_mw > 0)
        start_s = states.start_epoch_s()[known]
        load_mw = mapped(load_mw[known], p["load_map"])
        is_ozone = is_ozone_season(start_s, p["standard_utc_offset_h"])
        knots = np.array(p["load_mw"])
        mid = by_season(load_mw, is_ozone, knots, np.array(p["rate_gco2_per_kwh"]))
        probability, factor = _sources(load_mw, is_ozone, knots, p, mid)
        outside = (load_mw < p["seen_mw"][0]) | (load_mw > p["seen_mw"][1])
        modelled = np.ones_like(outside) if p["load_map"]["reading"] == "rank" else outside
        status = _status(states.frame["status"].gather(known).to_numpy().astype(np.str_), modelled)
        regime = regimes(load_mw, is_ozone, p["terciles_mw"])
        scale = np.sqrt(np.maximum(mid, 1e-9) * p["roughness_gco2_per_kwh"])
        low, high = apply(mid, regime, p["range"], scale * widening(status))
        return Estimates(
            zone=states.zone,
            interval_s=states.interval_s,
            start_epoch_s=start_s,
            low=low,
            mid=mid,
            high=high,
            source_names=tuple(p["fuels"]),
            source_probability=probability,
            source_factor=factor,
            regime=regime,
            status=status,
            basis=Basis(Kind.MARGINAL),
            estimator=self.name,
            estimator_version=self.version,
            fit_id=fit.fit_id,
        )


def _sources(
    load_mw: FloatArray, is_ozone: BoolArray, knots: FloatArray, p: dict[str, Any], mid: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Who is on the margin, with factors that add up to the estimate.

    Each fuel's factor is what its plants emit on average at that load, times one common correction: running harder
    changes every plant's heat rate, and the curve says by how much for all together, not for each.
    """
    table, rates = np.array(p["probability"]), np.array(p["fuel_rate_gco2_per_kwh"])
    columns = range(table.shape[1])
    probability = np.column_stack([np.interp(load_mw, knots, table[:, k]) for k in columns])
    probability /= probability.sum(axis=1, keepdims=True)
    factor = np.column_stack([by_season(load_mw, is_ozone, knots, rates[:, k]) for k in columns])
    total = np.einsum("nk,nk->n", probability, factor)
    with np.errstate(divide="ignore", invalid="ignore"):
        correction = np.where(total > 0, mid / total, 0.0)
    factor = np.where(total[:, None] > 0, factor * correction[:, None], mid[:, None])
    return probability, factor


def _status(status: NDArray[np.str_], modelled: BoolArray) -> NDArray[np.str_]:
    """Worsen the status to modelled where the curve was read beyond what its year saw."""
    names, index = np.unique(status, return_inverse=True)
    worse = np.array([worst(Status(name), Status.MODELLED).value for name in names.tolist()], dtype=np.str_)
    return np.where(modelled, worse[index], status) if len(names) else status
