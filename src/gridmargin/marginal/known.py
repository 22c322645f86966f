"""What is known of a zone beside its states by a year, from the package's own tables of rates."""

from __future__ import annotations

from typing import Literal

from gridmargin.grid import FleetResponse
from gridmargin.marginal.estimator import Facts, FuelRate
from gridmargin.reference import Zone, fuel_rates_for
from gridmargin.vocab import Fuel


def known_facts(zone: Zone, not_after_year: int, fleet: FleetResponse | None) -> Facts:
    """Give the facts of a zone: rates that describe no later year, beside a fleet that the caller has read."""
    return Facts(
        timezone=zone.timezone,
        fuel_rates=_rates(zone.id, not_after_year, "marginal"),
        fleet=fleet,
        average_fuel_rates=_rates(zone.id, not_after_year, "average"),
    )


def _rates(zone_id: str, not_after_year: int, use: Literal["marginal", "average"]) -> dict[Fuel, FuelRate]:
    return {
        fuel: FuelRate(row.factor_gco2_per_kwh, row.source, row.spread90_frac, row.by_load_gco2_per_kwh)
        for fuel, row in fuel_rates_for(zone_id, not_after_year, use).items()
    }
