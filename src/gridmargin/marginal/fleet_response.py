"""The slope of a fleet response: what one more megawatt of fossil load emits, and which fuels answer it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import FleetResponse
from gridmargin.marginal.smoothing import smoothed_slopes
from gridmargin.vocab import Fuel, TableError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SMOOTHING_PENALTY = 2e-4
"""Of the curve over load ÷ median load; least error over all regions, one year against another, 2019–2021
(docs/methods/fleet_curve.md gives the table)."""

SHARE_FRAC = 0.05
"""Displaced share of the fossil load whose EPA rate the range is calibrated on; AVERT's manual asks that a
programme stay within 15 %, and one share of 5 % spans two to three load bins."""

_EDGE_FRAC = 0.03  # bins this little outside the year's loads still count: the loads are rounded to bins
_MIN_KNOTS = 5


class Co2Curve(Protocol):
    """CO2 against fossil load by season, as EPA gives it: a fleet response, or the bare table."""

    @property
    def load_mw(self) -> FloatArray:
        """Bins. [MW]"""

    @property
    def co2_g_per_h_ozone(self) -> FloatArray:
        """May to September. [g h⁻¹]"""

    @property
    def co2_g_per_h_other(self) -> FloatArray:
        """Other months. [g h⁻¹]"""


@dataclass(frozen=True, slots=True)
class ResponseSlope:
    """Smoothed slope of one fleet response at its knots.

    Attributes
    ----------
    load_mw : array, shape (m,)
        Knots: the bins within the loads that the year saw. [MW]
    rate_gco2_per_kwh : array, shape (m, 2)
        d CO2 / d load in the other months and in the ozone season, not negative. [g kWh⁻¹]
    roughness_gco2_per_kwh : float
        Root mean square of EPA's own 5 % rate about this slope, over the loads of the year. [g kWh⁻¹]
    """

    load_mw: FloatArray
    rate_gco2_per_kwh: FloatArray
    roughness_gco2_per_kwh: float

    def rate(self, load_mw: FloatArray, is_ozone: BoolArray) -> FloatArray:
        """Give the slope at some loads; beyond the knots it stays what it is at the nearest one. [g kWh⁻¹]"""
        other, ozone = (np.interp(load_mw, self.load_mw, column) for column in self.rate_gco2_per_kwh.T)
        rate: FloatArray = np.where(is_ozone, ozone, other)
        return rate


def response_slope(fleet: FleetResponse) -> ResponseSlope:
    """Smooth a fleet response and differentiate it.

    Raises
    ------
    TableError
        If fewer than 5 of its bins lie within the loads of the year.
    """
    knots, weight = curve_knots(fleet)
    scale_mw = float(np.median(fleet.loads_seen_mw()[0]))
    co2 = np.column_stack([fleet.co2_g_per_h_other, fleet.co2_g_per_h_ozone])[knots]
    load = fleet.load_mw[knots]
    _, slope = smoothed_slopes(load / scale_mw, co2 / (1000 * scale_mw), weight, SMOOTHING_PENALTY)
    smooth = ResponseSlope(load, np.maximum(slope, 0.0), 0.0)
    seen, is_ozone = fleet.loads_seen_mw()
    residual = epa_rate(fleet, seen, is_ozone, SHARE_FRAC) - smooth.rate(seen, is_ozone)
    return ResponseSlope(load, smooth.rate_gco2_per_kwh, float(np.sqrt(np.mean(residual**2))))


def epa_rate(fleet: Co2Curve, load_mw: FloatArray, is_ozone: BoolArray, share_frac: float) -> FloatArray:
    """Give what AVERT says is avoided per kilowatt-hour when a share of the fossil load goes. [g kWh⁻¹]

    AVERT draws straight lines between bins and takes the difference of two points (User Manual, Main Module):
    ``(CO2(L) − CO2((1 − share) L)) / (share · L)``. No smoothing: this is the reference, not our estimate.
    """
    lower = load_mw * (1 - share_frac)
    return (epa_co2(fleet, load_mw, is_ozone) - epa_co2(fleet, lower, is_ozone)) / (1000 * (load_mw - lower))


def epa_co2(fleet: Co2Curve, load_mw: FloatArray, is_ozone: BoolArray) -> FloatArray:
    """Give the CO2 of a fossil load on AVERT's own straight lines between bins. [g h⁻¹]"""
    ozone = np.interp(load_mw, fleet.load_mw, fleet.co2_g_per_h_ozone)
    return np.where(is_ozone, ozone, np.interp(load_mw, fleet.load_mw, fleet.co2_g_per_h_other))


def fuel_shares(fleet: FleetResponse) -> tuple[tuple[Fuel, ...], FloatArray, FloatArray]:
    """Give who answers one more megawatt at each knot, and what each fuel's plants emit on average there.

    Returns
    -------
    fuels : tuple of Fuel, length k
    probability : array, shape (m, k)
        d generation / d load by fuel, smoothed as the CO2 is, negative parts set to 0, rows summing to 1.
    rate_gco2_per_kwh : array, shape (m, k, 2)
        CO2 ÷ generation of the fuel's units at that load, other months and ozone season. [g kWh⁻¹]
    """
    knots, weight = curve_knots(fleet)
    scale_mw = float(np.median(fleet.loads_seen_mw()[0]))
    fuels = tuple(sorted((f for f, mw in fleet.fuel_generation_mw.items() if mw[knots].max() > 0), key=str))
    if not fuels:
        raise TableError(f"fleet response of {fleet.region} {fleet.year} has no generation by fuel")
    generation = np.column_stack([fleet.fuel_generation_mw[fuel] for fuel in fuels])[knots]
    load = fleet.load_mw[knots] / scale_mw
    _, slope = smoothed_slopes(load, generation / scale_mw, weight, SMOOTHING_PENALTY)
    answer = np.maximum(slope, 0.0)
    answer[answer.sum(axis=1) <= 0] = generation[answer.sum(axis=1) <= 0]
    return fuels, answer / answer.sum(axis=1, keepdims=True), _fuel_rates(fleet, fuels, knots)


def _fuel_rates(fleet: FleetResponse, fuels: tuple[Fuel, ...], knots: NDArray[np.intp]) -> FloatArray:
    """Average rate by fuel from the units; the region's own average where units are not known."""
    total = np.maximum(sum(fleet.fuel_generation_mw.values()), 1e-9)
    seasons = []
    for co2, unit_co2 in (
        (fleet.co2_g_per_h_other, fleet.unit_co2_g_per_h_other),
        (fleet.co2_g_per_h_ozone, fleet.unit_co2_g_per_h_ozone),
    ):
        rate = np.repeat((co2 / total / 1000)[:, None], len(fuels), axis=1)
        if unit_co2 is not None and fleet.unit_generation_mw is not None and fleet.unit_fuels is not None:
            unit_fuels = np.array(fleet.unit_fuels)
            for column, fuel in enumerate(fuels):
                mw = fleet.unit_generation_mw[unit_fuels == fuel.value].sum(axis=0)
                g_per_h = unit_co2[unit_fuels == fuel.value].sum(axis=0)
                rate[:, column] = np.where(mw > 0, g_per_h / np.maximum(1000 * mw, 1e-9), rate[:, column])
        seasons.append(rate[knots])
    return np.stack(seasons, axis=-1)


def curve_knots(fleet: FleetResponse) -> tuple[NDArray[np.intp], FloatArray]:
    """Give the bins within the loads of the year, and how many of those loads are nearest to each (plus one)."""
    seen, _ = fleet.loads_seen_mw()
    low, high = fleet.load_span_mw()
    knots = np.flatnonzero(
        (fleet.load_mw >= low * (1 - _EDGE_FRAC)) & (fleet.load_mw <= high * (1 + _EDGE_FRAC))
    )
    if len(knots) < _MIN_KNOTS:
        raise TableError(
            f"fleet response of {fleet.region} {fleet.year}: {len(knots)} load bins lie within the loads of the year, "
            f"want at least {_MIN_KNOTS}"
        )
    load = fleet.load_mw[knots]
    edges = np.concatenate([[-np.inf], (load[1:] + load[:-1]) / 2, [np.inf]])
    return knots, np.histogram(seen, edges)[0] + 1.0
