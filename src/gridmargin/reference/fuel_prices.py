"""Fuel prices by year, and what is usual for a unit of a fuel where its own figure is not known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from gridmargin.reference.tables import load_table
from gridmargin.vocab import Fuel, InputError


@dataclass(frozen=True, slots=True)
class UnitDefaults:
    """What stands in for a unit's own figures, by fuel.

    Attributes
    ----------
    minimum_frac : float
        Least output while running, of capacity. [1]
    start_cost_eur_per_mw : float
        Of one start, by capacity. [EUR MW⁻¹]
    minimum_up_h, minimum_down_h : float
        Once started, once stopped. [h]
    ramp_frac_per_h : float
        Of capacity. [h⁻¹]
    forced_outage_frac : float
        Share of the time that a unit is out unplanned. [1]
    variable_cost_eur_per_mwh : float
        Beside fuel and carbon. [EUR MWh⁻¹]
    fuel_kgco2_per_mwh : float
        Direct CO2 of burning the fuel, by its lower heating value. [kg MWh⁻¹]
    """

    minimum_frac: float
    start_cost_eur_per_mw: float
    minimum_up_h: float
    minimum_down_h: float
    ramp_frac_per_h: float
    forced_outage_frac: float
    variable_cost_eur_per_mwh: float
    fuel_kgco2_per_mwh: float


@cache
def unit_defaults() -> dict[Fuel, UnitDefaults]:
    """Give the defaults of every fuel that has a row in `unit_defaults.csv`."""
    names = UnitDefaults.__dataclass_fields__
    return {
        Fuel(row["fuel"]): UnitDefaults(**{name: float(row[name]) for name in names})
        for row in load_table("unit_defaults")
    }


def fuel_price_before(fuel: Fuel, year: int, currency: str = "EUR") -> float:
    """Give a fuel's newest yearly mean price of a year before `year`: what was known when `year` began. [MWh⁻¹]

    Where the table begins later than that, its earliest year stands in.

    Raises
    ------
    InputError
        If the table has no row of that fuel in that currency.
    """
    rows = sorted(
        (int(row["year"]), float(row["price_per_mwh"]))
        for row in load_table("fuel_prices")
        if row["fuel"] == fuel.value and row["currency"] == currency
    )
    if not rows:
        raise InputError(f"fuel_prices.csv has no price of {fuel} in {currency}: add a sourced row")
    known = [price for at, price in rows if at < year]
    return known[-1] if known else rows[0][1]


def fuel_prices_before(year: int, currency: str = "EUR") -> dict[Fuel, float]:
    """Give `fuel_price_before` of every fuel that has a price in that currency. [MWh⁻¹]"""
    fuels = {Fuel(row["fuel"]) for row in load_table("fuel_prices") if row["currency"] == currency}
    return {fuel: fuel_price_before(fuel, year, currency) for fuel in sorted(fuels)}
