"""What is known of a zone beside its states by a year, from the package's own tables of rates."""

from __future__ import annotations

from typing import Literal

import numpy as np

from gridmargin.grid import FleetResponse, UnitFleet
from gridmargin.marginal.estimator import Facts, FuelRate
from gridmargin.reference import Zone, fuel_rates_for, zone_border
from gridmargin.vocab import Fuel

ANYWHERE = "any"

LEAST_SPREAD90_FRAC = 0.05
"""Half-width of the 90 % range of one unit's own factor, which moves by about that between half and full output."""


def known_facts(
    zone: Zone, not_after_year: int, fleet: FleetResponse | None, units: UnitFleet | None = None
) -> Facts:
    """Give the facts of a zone: rates and a border that describe no later year, beside what the caller has read.

    Where the table knows no place nearer than `any` for a fuel, the zone's own units give its rate.
    """
    return Facts(
        timezone=zone.timezone,
        fuel_rates=_rates(zone.id, not_after_year, "marginal", units),
        fleet=fleet,
        average_fuel_rates=_rates(zone.id, not_after_year, "average", units),
        units=units,
        border=zone_border(zone.id, not_after_year),
    )


def _rates(
    zone_id: str, not_after_year: int, use: Literal["marginal", "average"], units: UnitFleet | None
) -> dict[Fuel, FuelRate]:
    rows = fuel_rates_for(zone_id, not_after_year, use)
    rates = {} if units is None else _unit_rates(units)
    for fuel, row in rows.items():
        if row.place != ANYWHERE or fuel not in rates:
            rates[fuel] = FuelRate(
                row.factor_gco2_per_kwh, row.source, row.spread90_frac, row.by_load_gco2_per_kwh
            )
    return rates


def _unit_rates(units: UnitFleet) -> dict[Fuel, FuelRate]:
    """Give the mean factor of each fuel's units, weighted by capacity, and how far their factors lie apart."""
    names = np.array([fuel.value for fuel in units.fuels])
    known = np.isfinite(units.factor_gco2_per_kwh) & (units.capacity_mw > 0)
    rates = {}
    for name in np.unique(names[known]):
        mine = known & (names == name)
        factor, weight = units.factor_gco2_per_kwh[mine], units.capacity_mw[mine]
        mean = float(np.average(factor, weights=weight))
        low, high = np.quantile(factor, [0.05, 0.95], weights=weight, method="inverted_cdf")
        spread = 0.0 if mean == 0 else max(float(max(high - mean, mean - low)) / mean, LEAST_SPREAD90_FRAC)
        rates[Fuel(name)] = FuelRate(mean, f"{units.name}, weighted by capacity", spread)
    return rates
