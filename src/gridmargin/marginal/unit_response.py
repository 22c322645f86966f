"""Which units answer one more megawatt of a region's fossil load, and what each emits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import FleetResponse
from gridmargin.marginal.fleet_response import SMOOTHING_PENALTY, curve_knots
from gridmargin.marginal.smoothing import smoothed_slopes
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class UnitResponse:
    """The answer of each of u units at n loads.

    Attributes
    ----------
    names, fuels : tuples of str, length u
    generation : array, shape (n, u)
        d generation / d load, signed: some units run less when load grows. [MW MW⁻¹]
    co2 : array, shape (n, u)
        d CO2 / d load, signed. [g kWh⁻¹]
    """

    names: tuple[str, ...]
    fuels: tuple[str, ...]
    generation: FloatArray
    co2: FloatArray


def unit_response(fleet: FleetResponse, load_mw: FloatArray, is_ozone: BoolArray) -> UnitResponse:
    """Give the response of every unit of a fleet at some fossil loads, each curve smoothed as the region's is.

    Smoothing is linear, so units add up to their fuel and to the region before any limit is set.

    Parameters
    ----------
    load_mw, is_ozone : arrays, shape (n,)
        Fossil load of the region, and whether it falls in AVERT's ozone season; flat beyond the loads of the year.

    Raises
    ------
    InputError
        If the units of the fleet are not known.
    TableError
        If fewer than 5 bins lie within the loads of the year.
    """
    if not has_units(fleet):
        raise InputError(
            f"fleet response of {fleet.region} {fleet.year} does not say what its units do: "
            "give the folder of AVERT tables with unit_curves"
        )
    knots, generation, ozone, other = _slopes(fleet)

    def at(table: FloatArray) -> FloatArray:
        position = np.interp(load_mw, knots, np.arange(len(knots), dtype=np.float64))
        left = np.minimum(position.astype(np.int64), len(knots) - 2)
        part = (position - left)[:, None]
        read: FloatArray = table[left] * (1 - part) + table[left + 1] * part
        return read

    co2 = np.where(is_ozone[:, None], at(ozone), at(other))
    return UnitResponse(fleet.unit_names or (), fleet.unit_fuels or (), at(generation), co2)


def has_units(fleet: FleetResponse) -> bool:
    """Say whether the generation and CO2 of each unit are known."""
    return not any(
        x is None
        for x in (
            fleet.unit_names,
            fleet.unit_fuels,
            fleet.unit_generation_mw,
            fleet.unit_co2_g_per_h_ozone,
            fleet.unit_co2_g_per_h_other,
        )
    )


def unit_shares(fleet: FleetResponse) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Give what `fuel_shares` gives, by unit: names made unique, shares, and average rates at each knot.

    Negative answers are set to 0 and the rest scaled to 1, as for fuels.
    """
    knots, _ = curve_knots(fleet)
    _, slope, _, _ = _slopes(fleet)
    unit_mw, ozone, other = _tables(fleet)
    generation = unit_mw[:, knots].T
    answer = np.maximum(slope, 0.0)
    none = answer.sum(axis=1) <= 0
    answer[none] = generation[none]
    rates = []
    for g_per_h in (other, ozone):
        whole = g_per_h[:, knots].sum(axis=0) / np.maximum(1000 * generation.sum(axis=1), 1e-9)
        own = g_per_h[:, knots].T / np.maximum(1000 * generation, 1e-9)
        rates.append(np.where(generation > 0, own, whole[:, None]))
    return (
        _unique(fleet.unit_names or ()),
        answer / answer.sum(axis=1, keepdims=True),
        np.stack(rates, axis=-1),
    )


def _slopes(fleet: FleetResponse) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Give knots [MW] and the slopes of generation [1] and of CO2 in both seasons [g kWh⁻¹]; shape (m, u) each."""
    knots, weight = curve_knots(fleet)
    scale_mw = float(np.median(fleet.loads_seen_mw()[0]))
    load = fleet.load_mw[knots]
    unit_mw, ozone, other = _tables(fleet)
    n = len(unit_mw)
    columns = np.vstack([unit_mw, ozone / 1000, other / 1000])[:, knots].T / scale_mw
    _, slope = smoothed_slopes(load / scale_mw, columns, weight, SMOOTHING_PENALTY)
    return load, slope[:, :n], slope[:, n : 2 * n], slope[:, 2 * n :]


def _tables(fleet: FleetResponse) -> tuple[FloatArray, FloatArray, FloatArray]:
    generation, ozone, other = (
        fleet.unit_generation_mw,
        fleet.unit_co2_g_per_h_ozone,
        fleet.unit_co2_g_per_h_other,
    )
    if generation is None or ozone is None or other is None:
        raise InputError(f"fleet response of {fleet.region} {fleet.year} does not say what its units do")
    return generation, ozone, other


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """Tell units of one name apart: `Plant`, `Plant (2)`, `Plant (3)`."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(out)
