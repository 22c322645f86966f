"""Direct CO2 of each fuel per net kilowatt-hour, by zone, as known at the end of a year.

`fuel_rates.csv` holds one row a fuel, year and place. `zone_or_region` is a zone id, an AVERT region, `US` (the
median AVERT region) or `any`. `marginal` is what the fuel's plants emit as they respond to load, `average` what they
emit over all their generation. Only fossil carbon is counted: biomass, geothermal, nuclear, water, wind and sun have
0 at the stack by convention (C5). Stores, imports and `other` have no row: what they emit is not known here, and
unknown is not zero (C2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from gridmargin.reference.tables import Row, load_table
from gridmargin.reference.zones import zone_named
from gridmargin.vocab import Fuel

Use = Literal["marginal", "average"]

FIFTHS = ("q10", "q30", "q50", "q70", "q90")
"""Each fifth of a year's hours by fossil load, named by its middle quantile."""

STAND_IN_SPREAD90_FRAC = 0.35
"""Where only gas as such is known: simple cycle emits a third more than the gas mix (rows `US`, 2019–2022).
It serves for dual-fuel plants too, since oil emits 40 % more than gas for the same heat (EPA: 74.0 and 53.06 kg MMBtu⁻¹)."""


@dataclass(frozen=True, slots=True)
class FuelRateRow:
    """One fuel's rate, with where it stands.

    Attributes
    ----------
    factor_gco2_per_kwh : float
        Direct fossil CO2 per net kilowatt-hour at the busbar. [g kWh⁻¹]
    spread90_frac : float
        Half-width of its 90 % range, relative. [1]
    by_load_gco2_per_kwh : tuple of float or None
        The marginal rate in each fifth of the hours by fossil load, lowest first, where known. [g kWh⁻¹]
    year : int
        Year that the figure describes.
    source : str
        Document, place and year.
    place : str
        Zone, region or country that the figure is of; `any` where none is known nearer.
    """

    factor_gco2_per_kwh: float
    spread90_frac: float
    by_load_gco2_per_kwh: tuple[float, ...] | None
    year: int
    source: str
    place: str


def fuel_rates_for(zone_id: str, not_after_year: int, use: Use = "marginal") -> dict[Fuel, FuelRateRow]:
    """Give the rate of every fuel that has one in a zone.

    Parameters
    ----------
    zone_id : str
        Zone id; a load area takes its parent's where it has none of its own.
    not_after_year : int
        Newest year a figure may describe: for an honest test, the year before the test.
    use : {"marginal", "average"}
        Whether the plants that respond are meant or all of them.

    Returns
    -------
    dict
        By fuel, the newest row not after the year from the nearest place that has one: the zone, its AVERT region,
        its parent's, `US` for a zone there, `any`.

    Raises
    ------
    UnknownNameError
        If there is no such zone.
    """
    rates: dict[Fuel, FuelRateRow] = {}
    for place in reversed(_places(zone_id)):
        for row in _rows().get(place, ()):
            if int(row["year"]) <= not_after_year:
                rates[Fuel(row["fuel"])] = FuelRateRow(
                    factor_gco2_per_kwh=float(row[f"{use}_gco2_per_kwh"]),
                    spread90_frac=float(row["spread90_frac"]),
                    by_load_gco2_per_kwh=_by_load(row) if use == "marginal" else None,
                    year=int(row["year"]),
                    source=f"{place} {row['year']}: {row['source']}",
                    place=place,
                )
    for technology in (Fuel.GAS_CC, Fuel.GAS_SIMPLE, Fuel.GAS_OIL):
        if Fuel.GAS in rates and technology not in rates:
            gas = rates[Fuel.GAS]
            rates[technology] = replace(
                gas,
                spread90_frac=STAND_IN_SPREAD90_FRAC,
                source=f"{gas.source}; all gas stands in for {technology}",
            )
    return rates


def _by_load(row: Row) -> tuple[float, ...] | None:
    fifths = [row[f"marginal_{fifth}_gco2_per_kwh"] for fifth in FIFTHS]
    return tuple(float(rate) for rate in fifths) if all(fifths) else None


def _places(zone_id: str) -> list[str]:
    """Nearest first."""
    zone = zone_named(zone_id)
    places = [zone.id]
    if zone.avert_region:
        places.append(zone.avert_region)
    if zone.parent:
        return [*places, *_places(zone.parent)]
    return [*places, *(["US"] if zone.country == "US" else []), "any"]


@cache
def _rows() -> dict[str, tuple[Row, ...]]:
    """Rows by place, oldest first."""
    rows = sorted(load_table("fuel_rates"), key=lambda row: int(row["year"]))
    places = {row["zone_or_region"] for row in rows}
    return {place: tuple(row for row in rows if row["zone_or_region"] == place) for place in places}
