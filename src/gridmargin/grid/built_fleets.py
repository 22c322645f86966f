"""Plants with the year they were built and what they made, from the unit tables that publishers give."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid.unit_tables import nem_fleet
from gridmargin.sources import (
    OZONE_MONTHS,
    AvertLoad,
    AvertUnits,
    BuiltFleet,
    Registrations,
    UnitInventory,
)

FloatArray = NDArray[np.float64]


def nem_built(inventory: UnitInventory, registered: Registrations) -> BuiltFleet:
    """Make the built fleet of Australia's market; a unit's year is that of its registration.

    The five regions are one fleet: they are dispatched as one, and hydro plants that were registered anew in 2001 and 2005
    would be the newest of their own regions.

    Raises
    ------
    TableError
        If a fuel is not known, or there is no capacity.
    """
    fleet = nem_fleet(inventory)
    years = [float(registered.year.get(name, np.nan)) for name in fleet.unit_names]
    return BuiltFleet(
        f"{fleet.name}, by year of registration",
        fleet.unit_names,
        fleet.fuels,
        np.array(years),
        fleet.capacity_mw,
        np.full(len(years), np.nan),
        fleet.factor_gco2_per_kwh,
        payload_sha256s=(*fleet.payload_sha256s, registered.payload_sha256),
        note="a plant counts as built in the year of its registration, which a change of owner renews",
    )


def avert_built(units: AvertUnits, load: AvertLoad) -> BuiltFleet:
    """Make the built fleet of a region of EPA's: the fossil units, what each made in the year, and no years of building.

    Notes
    -----
    A unit's output is its response, read off at the fossil load of every hour; its factor is CO2 over output.
    """
    place = np.clip(np.searchsorted(units.load_mw, load.load_mw) - 1, 0, len(units.load_mw) - 2)
    lower, upper = units.load_mw[place], units.load_mw[place + 1]
    along = np.clip((load.load_mw - lower) / (upper - lower), 0.0, 1.0)
    in_ozone = np.isin(load.month, OZONE_MONTHS)
    hours = {}
    for season, mine in (("ozone", in_ozone), ("other", ~in_ozone)):
        below = np.bincount(place[mine], 1 - along[mine], minlength=len(units.load_mw))
        hours[season] = below + np.bincount(place[mine] + 1, along[mine], minlength=len(units.load_mw))
    made_mwh = np.maximum(units.generation_mw @ (hours["ozone"] + hours["other"]), 0.0)
    co2_g = units.co2_g_per_h_ozone @ hours["ozone"] + units.co2_g_per_h_other @ hours["other"]
    runs = made_mwh > 0
    factor = np.full(len(made_mwh), np.nan)
    factor[runs] = np.maximum(co2_g[runs] / made_mwh[runs] / 1000.0, 0.0)  # g MWh⁻¹ to g kWh⁻¹
    return BuiltFleet(
        f"EPA's fossil units of {load.region} {load.year}",
        tuple(f"{k}: {name}" for k, name in enumerate(units.names, start=1)),  # names alone repeat
        units.fuels,
        np.full(len(made_mwh), np.nan),
        np.maximum(units.generation_mw.max(axis=1), 0.0),
        made_mwh,
        factor,
        payload_sha256s=tuple(dict.fromkeys((*units.payload_sha256s, *load.payload_sha256s))),
        as_of_year=load.year,
        note="the list holds fossil units from 25 MW and no years of building",
    )
