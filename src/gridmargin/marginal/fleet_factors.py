"""What each fuel's answer emits: last year's fleet curve at that load, parted by fuel.

The slope of the curve says what all fuels together emitted at the margin of a load; the year's own split between
fuels and their average rates say how the slope falls on each. With another year's split the same factors give that
year's rate. Where only gas is reported the split does not matter, and the factor is the curve's slope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import FleetResponse, GridStates
from gridmargin.marginal.estimator import Facts, FuelRate
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
from gridmargin.marginal.fleet_response import fuel_shares, response_slope
from gridmargin.marginal.level_shares import DISPLACED_FRAC
from gridmargin.vocab import FOSSIL, Fuel

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

MIN_FRAC = 0.01
"""Below this share of fossil generation a fuel is not a part of the fleet, as in tools/fuel_rates.py."""

OTHER_UNITS_RATIO = 4.0
"""Oil's part of the zone's generation over its part of the fleet's, from which they are not the same units: between
two years up to 2021 no fuel of at least `MIN_FRAC` grew fourfold in any region (docs/methods/regression.md)."""

N_YEARS = 2
"""Newest years whose factors are averaged: a fuel's factor is steadier than the split between fuels, and two years
hold less of a curve's noise (docs/methods/regression.md has the figures, on 2021 from 2019 and 2020)."""

_FAMILY = {Fuel.GAS_CC: Fuel.GAS, Fuel.GAS_SIMPLE: Fuel.GAS, Fuel.LIGNITE: Fuel.COAL}


def family(fuel: Fuel) -> Fuel:
    """Give the fuel that EPA's tables count a fuel under."""
    return _FAMILY.get(fuel, fuel)


def families(fuels: Sequence[Fuel]) -> tuple[Fuel, ...]:
    """Give the fossil families among some fuels, in their order, each once."""
    return tuple(dict.fromkeys(family(fuel) for fuel in fuels if fuel in FOSSIL))


def compared_families(
    history: GridStates, fuels: Sequence[Fuel], fleet: FleetResponse | None = None
) -> tuple[Fuel, ...]:
    """Give the families whose split can be compared with the fleet's.

    A fuel below `MIN_FRAC` of the zone's generation says nothing of how much of it the region has: the region's
    plants of that fuel lie beyond the zone's border. Oil that is `OTHER_UNITS_RATIO` times as much of the zone's
    generation as of the fleet's is burned in units that EPA counts under gas, which can burn both.
    """
    mw = dict.fromkeys(families(fuels), 0.0)
    for fuel in fuels:
        if fuel in FOSSIL:
            mw[family(fuel)] += float(np.nan_to_num(history.generation_mw(fuel)).sum())
    chosen = {name: amount for name, amount in mw.items() if amount >= MIN_FRAC * sum(mw.values()) > 0}
    if fleet is not None and {Fuel.GAS, Fuel.OIL} <= chosen.keys():
        seen, _ = fleet.loads_seen_mw()
        there = {
            name: float(np.interp(seen, fleet.load_mw, g).sum())
            for name, g in fleet.fuel_generation_mw.items()
        }
        whole = sum(there.values())
        if chosen[Fuel.OIL] * whole >= OTHER_UNITS_RATIO * there.get(Fuel.OIL, 0.0) * sum(mw.values()):
            del chosen[Fuel.OIL]
    return tuple(chosen)


def compared_as(fuel: Fuel, chosen: Sequence[Fuel]) -> int | None:
    """Give which compared family a fuel belongs to; oil that is none of its own goes with gas, others with none."""
    name = family(fuel)
    if name == Fuel.OIL and name not in chosen:
        name = Fuel.GAS
    return chosen.index(name) if name in chosen else None


def relative_rates(chosen: Sequence[Fuel], rates: Mapping[Fuel, FuelRate]) -> FloatArray:
    """Give the rate of each family; only their proportions are used. [g kWh⁻¹]"""
    out = []
    for fuel in chosen:
        known = [rates[f].factor_gco2_per_kwh for f in rates if f == fuel or family(f) == fuel]
        out.append(rates[fuel].factor_gco2_per_kwh if fuel in rates else float(np.mean(known)))
    return np.array(out)


@dataclass(frozen=True, slots=True)
class FleetFactors:
    """Factor of each family against load.

    Attributes
    ----------
    load_mw : array, shape (m,)
        Knots. [MW]
    factor_gco2_per_kwh : array, shape (m, f, 2)
        Other months, ozone season. [g kWh⁻¹]
    roughness_gco2_per_kwh : float
        Of the curve, as in `ResponseSlope`.
    """

    load_mw: FloatArray
    factor_gco2_per_kwh: FloatArray
    roughness_gco2_per_kwh: float

    def at(self, load_mw: FloatArray, is_ozone: BoolArray) -> FloatArray:
        """Give the factor of each family at some loads; shape (n, f). [g kWh⁻¹]"""
        columns = range(self.factor_gco2_per_kwh.shape[1])
        return np.column_stack(
            [by_season(load_mw, is_ozone, self.load_mw, self.factor_gco2_per_kwh[:, k]) for k in columns]
        )


def fleet_factors(
    fleet: FleetResponse,
    chosen: Sequence[Fuel],
    relative: FloatArray,
    inside_frac: Mapping[Fuel, float] | None = None,
) -> FleetFactors | None:
    """Part the slope of a fleet's curve by fuel.

    Parameters
    ----------
    chosen : sequence of Fuel, length f
        Families that the zone reports; the rest of the fleet's fuels stand behind them in proportion.
    relative : array, shape (f,)
        From `relative_rates`.
    inside_frac : mapping of Fuel to float, optional
        The zone's part of what each of the region's fuels answers: the split that a zone's own is compared with is
        then that of the plants inside it, so that a difference of borders is not read as a change of year.

    Returns
    -------
    FleetFactors or None
        None where the fleet has none of these families.

    Notes
    -----
    ``factor_f(L) = slope(L) · a_f / Σ_j p_j(L) a_j`` with p the split of the plants inside the zone in that year: at
    that split the factors add up to the region's slope.
    """
    fuels, probability, _ = fuel_shares(fleet)
    columns = [probability[:, fuels.index(f)] if f in fuels else np.zeros(len(probability)) for f in chosen]
    inside = np.array([1.0 if inside_frac is None else inside_frac.get(f, 1.0) for f in chosen])
    split = np.column_stack(columns) * inside
    total = split.sum(axis=1, keepdims=True)
    if not (total > 0).any():
        return None
    overall = split.mean(axis=0) / split.mean(axis=0).sum()
    split = np.where(total > 1e-9, split / np.maximum(total, 1e-9), overall)
    slope = response_slope(fleet)
    mean = split @ relative
    part = np.where(mean[:, None] > 0, relative / np.maximum(mean[:, None], 1e-9), 1.0)
    factor = slope.rate_gco2_per_kwh[:, None, :] * part[:, :, None]
    return FleetFactors(slope.load_mw, factor, slope.roughness_gco2_per_kwh)


def fleet_parameters(history: GridStates, facts: Facts, fuels: Sequence[Fuel]) -> dict[str, Any] | None:
    """Give what `factors_of_states` needs, as plain JSON; None where there is no fleet or it has none of the fuels."""
    chosen = compared_families(history, fuels, facts.fleet)
    if facts.fleet is None or not chosen:
        return None
    relative = relative_rates(chosen, facts.average_fuel_rates or facts.fuel_rates)
    own = [facts.fleet, *(past for past in facts.fleet.earlier if past.region == facts.fleet.region)]
    own = sorted(own, key=lambda response: response.year, reverse=True)[:N_YEARS]
    inside = None if facts.border is None else facts.border.inside_frac
    found = [fleet_factors(response, chosen, relative, inside) for response in own]
    tables = [table for table in found if table is not None]
    if not tables:
        return None
    factors, knots = tables[0], tables[0].load_mw
    both = [
        np.stack([table.at(knots, np.full(len(knots), s)) for s in (False, True)], axis=-1)
        for table in tables
    ]
    offset_h = standard_offset_h(facts.fleet, facts.timezone)
    reported = reported_fossil_fuels(history)
    load_mw = fossil_load_mw(history, reported)
    reading = load_map(facts.fleet, load_mw, standard_months(history.start_epoch_s(), offset_h), facts.border)
    return {
        "region": facts.fleet.region,
        "years": [response.year for response in own],
        "standard_utc_offset_h": offset_h,
        "reported_fuels": [fuel.value for fuel in reported],
        "load_map": asdict(reading),
        "border": None if facts.border is None else facts.border.source,
        "families": [fuel.value for fuel in chosen],
        "family_of": [compared_as(fuel, chosen) for fuel in fuels],
        "load_mw": knots.tolist(),
        "factor_gco2_per_kwh": np.mean(both, axis=0).tolist(),
        "roughness_gco2_per_kwh": factors.roughness_gco2_per_kwh,
    }


def factors_of_states(p: Mapping[str, Any], states: GridStates, known: BoolArray) -> FloatArray:
    """Give each family's factor for the known states, read in the middle of the displaced load; shape (n, f)."""
    load_mw = fossil_load_mw(states, [Fuel(name) for name in p["reported_fuels"]])[known]
    load_mw = mapped(load_mw, p["load_map"]) * (1 - DISPLACED_FRAC / 2)
    is_ozone = is_ozone_season(states.start_epoch_s()[known], p["standard_utc_offset_h"])
    table = FleetFactors(
        np.array(p["load_mw"]), np.array(p["factor_gco2_per_kwh"]), p["roughness_gco2_per_kwh"]
    )
    return table.at(load_mw, is_ozone)


def technology_parts(
    family_of: Sequence[int | None], probability: FloatArray, rate: FloatArray
) -> FloatArray:
    """Give each fuel's factor relative to its family's, so that a family's mean stays what it is; shape (n, k).

    EPA's curve holds the family as a whole: how it parts between technologies is read from their own rates.

    Parameters
    ----------
    family_of : sequence of int or None, length k
        From `compared_as`.
    probability, rate : arrays, shape (n, k)
        Share and own rate of each fuel in each state.
    """
    part = np.ones_like(probability)
    for where in set(family_of) - {None}:
        columns = [k for k, mine in enumerate(family_of) if mine == where]
        if len(columns) < 2:
            continue
        share, own = probability[:, columns], rate[:, columns]
        total = share.sum(axis=1)
        mean = np.where(total > 0, (share * own).sum(axis=1) / np.maximum(total, 1e-12), own.mean(axis=1))
        part[:, columns] = np.where(mean[:, None] > 0, own / np.maximum(mean[:, None], 1e-9), 1.0)
    return part
