"""fleet_curve: the slope of EPA's fleet response at the fossil load of the moment.

The marginal rate is d CO2 / d fossil load of the region's response in the newest year known, smoothed before it is
differentiated; who is on the margin is d generation / d load by fuel. docs/methods/fleet_curve.md says how the
smoothing and the level of the load were chosen, and what the range was calibrated on.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.grid import LOAD_QUANTILES, FleetResponse, GridStates
from gridmargin.marginal.conformal import apply, widening
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.estimator import Facts, Fit, Need
from gridmargin.marginal.fleet_range import calibrate_range, regimes, terciles_mw
from gridmargin.marginal.fleet_response import fuel_shares, response_slope
from gridmargin.vocab import FOSSIL, Basis, Fuel, Kind, NoFactorError, Status, worst

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SAME_FLEET_RATIO = 1.6
"""Mean load of one fortnight against the same fortnight of the next year differs by up to this factor in 99 % of
AVERT's region-fortnights 2019–2022; within it, a zone's own fossil load is read on the region's curve as it is."""

_REPORTED_FRAC = 0.5  # a fuel whose column is filled in half of the history is one that the zone reports


class FleetCurve:
    """Marginal rate of a zone from its AVERT region's fleet; fits on `facts.fleet`, reads the fossil load."""

    name = "fleet_curve"
    version = "1"
    kind = Kind.MARGINAL
    needs: frozenset[Need] = frozenset({Need.FLEET})

    def can_fit(self, history: GridStates, facts: Facts) -> str | None:
        """Say what is missing for a fit, or None when nothing is."""
        if facts.fleet is None:
            return f"{self.name} of {history.zone} needs the fleet response of an AVERT region, and there is none"
        if not len(history):
            return f"{self.name} of {history.zone} needs at least one past state"
        if not _reported_fuels(history):
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
        offset_h = _offset_h(fleet, facts.timezone)
        slope = response_slope(fleet)
        fuels, probability, fuel_rate = fuel_shares(fleet)
        reported = _reported_fuels(history)
        load_mw = _fossil_load_mw(history, reported)
        map_from_mw, map_to_mw = _load_map(fleet, load_mw, _local_months(history.start_epoch_s(), offset_h))
        table, basis = calibrate_range(fleet)
        starts = history.frame["start_utc"]
        first, last = starts[0], starts[-1]
        parameters: dict[str, Any] = {
            "region": fleet.region,
            "fleet_year": fleet.year,
            "standard_utc_offset_h": offset_h,
            "reported_fuels": [fuel.value for fuel in reported],
            "map_from_mw": map_from_mw,
            "map_to_mw": map_to_mw,
            "load_mw": slope.load_mw.tolist(),
            "rate_gco2_per_kwh": slope.rate_gco2_per_kwh.tolist(),
            "fuels": [fuel.value for fuel in fuels],
            "probability": probability.tolist(),
            "fuel_rate_gco2_per_kwh": fuel_rate.tolist(),
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
        load_mw = _fossil_load_mw(states, [Fuel(fuel) for fuel in p["reported_fuels"]])
        known = np.flatnonzero(load_mw > 0)
        start_s = states.start_epoch_s()[known]
        load_mw = _mapped(load_mw[known], p["map_from_mw"], p["map_to_mw"])
        is_ozone = _is_ozone(start_s, p["standard_utc_offset_h"])
        knots = np.array(p["load_mw"])
        mid = _by_season(load_mw, is_ozone, knots, np.array(p["rate_gco2_per_kwh"]))
        probability, factor = _sources(load_mw, is_ozone, knots, p, mid)
        outside = (load_mw < p["seen_mw"][0]) | (load_mw > p["seen_mw"][1])
        modelled = outside if p["map_from_mw"] is None else np.ones_like(outside)
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


def _reported_fuels(history: GridStates) -> list[Fuel]:
    """Fossil fuels that the zone usually reports, in the order of the columns."""
    fuels = [fuel for fuel in history.fuels if fuel in FOSSIL]
    return [fuel for fuel in fuels if np.isfinite(history.generation_mw(fuel)).mean() >= _REPORTED_FRAC]


def _fossil_load_mw(states: GridStates, reported: list[Fuel]) -> FloatArray:
    """Sum the fossil generation; NaN where a fuel that the zone reports is missing. [MW]"""
    load = np.zeros(len(states))
    for fuel in states.fuels:
        if fuel in FOSSIL and fuel not in reported:
            load += np.nan_to_num(states.generation_mw(fuel))
    for fuel in reported:
        load += states.generation_mw(fuel)
    return load


def _load_map(
    fleet: FleetResponse, load_mw: FloatArray, month: NDArray[np.int64]
) -> tuple[list[float] | None, list[float] | None]:
    """Give the quantiles of the zone's load and of the fleet's in the same months, where the two differ in kind.

    None while the zone's mean load could be that of the region in another year (`SAME_FLEET_RATIO`).
    """
    known = load_mw > 0
    if fleet.load_quantiles_mw is None or not known.any():
        return None, None
    has_month = np.isfinite(fleet.load_quantiles_mw[:, 0])
    known &= has_month[month - 1]
    if not known.any():
        return None, None
    hours = np.bincount(month[known] - 1, minlength=12).astype(np.float64)
    there = np.nan_to_num(fleet.load_quantiles_mw)
    ratio = float(hours @ there.mean(axis=1) / hours.sum() / load_mw[known].mean())
    if 1 / SAME_FLEET_RATIO <= ratio <= SAME_FLEET_RATIO:
        return None, None
    fleet_load, weight = there.ravel(), np.repeat(hours, there.shape[1])
    order = np.argsort(fleet_load, kind="stable")
    level = np.cumsum(weight[order]) - weight[order] / 2
    to_mw = np.interp(LOAD_QUANTILES, level / weight.sum(), fleet_load[order])
    from_mw = np.quantile(load_mw[known], LOAD_QUANTILES)
    step = np.flatnonzero(np.concatenate([[True], np.diff(from_mw) > 0]))
    return from_mw[step].tolist(), to_mw[step].tolist()


def _mapped(load_mw: FloatArray, from_mw: list[float] | None, to_mw: list[float] | None) -> FloatArray:
    if from_mw is None or to_mw is None:
        return load_mw
    return np.interp(load_mw, from_mw, to_mw)


def _by_season(
    load_mw: FloatArray, is_ozone: BoolArray, knots: FloatArray, columns: FloatArray
) -> FloatArray:
    """Interpolate (other, ozone) columns at some loads, flat beyond the knots."""
    return np.where(
        is_ozone, np.interp(load_mw, knots, columns[:, 1]), np.interp(load_mw, knots, columns[:, 0])
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
    factor = np.column_stack([_by_season(load_mw, is_ozone, knots, rates[:, k]) for k in columns])
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


def _offset_h(fleet: FleetResponse, timezone: str) -> float:
    """Local standard time less UTC: the region's where known, else the zone's in January. [h]"""
    if fleet.standard_utc_offset_h is not None:
        return fleet.standard_utc_offset_h
    offset = datetime(fleet.year, 1, 1, tzinfo=UTC).astimezone(ZoneInfo(timezone)).utcoffset()
    return offset.total_seconds() / 3600 if offset else 0.0


def _local_months(start_epoch_s: NDArray[np.int64], offset_h: float) -> NDArray[np.int64]:
    local = pl.Series(start_epoch_s + round(offset_h * 3600), dtype=pl.Int64) * 1_000_000
    return local.cast(pl.Datetime("us")).dt.month().to_numpy().astype(np.int64)


def _is_ozone(start_epoch_s: NDArray[np.int64], offset_h: float) -> BoolArray:
    month = _local_months(start_epoch_s, offset_h)
    return (month >= 5) & (month <= 9)  # AVERT's ozone season
