"""Fuel and technology codes, and the column names made from them."""

from __future__ import annotations

from enum import StrEnum


class Fuel(StrEnum):
    """What turns the generator, as finely as publishers say it."""

    COAL = "coal"  # hard coal, or rank not stated
    LIGNITE = "lignite"
    GAS = "gas"  # technology not stated
    GAS_CC = "gas_cc"  # combined cycle
    GAS_SIMPLE = "gas_simple"  # simple-cycle turbine, steam, engine
    GAS_OIL = "gas_oil"  # dual fuel: gas, or oil when gas is short; which of them is not stated
    OIL = "oil"
    NUCLEAR = "nuclear"
    HYDRO = "hydro"
    PUMPED = "pumped"
    WIND = "wind"
    SOLAR = "solar"
    BIOMASS = "biomass"  # wood, or rank not stated
    BIOGAS = "biogas"  # landfill gas and the like
    WASTE = "waste"  # refuse, part of it fossil
    GEOTHERMAL = "geothermal"
    BATTERY = "battery"
    IMPORTS = "imports"
    OTHER = "other"


FOSSIL = frozenset({Fuel.COAL, Fuel.LIGNITE, Fuel.GAS, Fuel.GAS_CC, Fuel.GAS_SIMPLE, Fuel.GAS_OIL, Fuel.OIL})
"""Fuels whose direct CO2 is counted."""


def generation_column(fuel: Fuel) -> str:
    """Name the quantity that holds net generation from this fuel, such as `generation_coal_mw`. [MW]"""
    return f"generation_{fuel.value}_mw"


def published_margin_column(fuel: Fuel) -> str:
    """Name the quantity that holds the operator's own flag for this fuel, such as `published_margin_gas_frac`.

    The share of the interval in which the operator called the fuel marginal. [1]
    """
    return f"published_margin_{fuel.value}_frac"


PUBLISHED_MARGIN_COLUMNS = {published_margin_column(fuel): fuel for fuel in Fuel}

GENERATION_COLUMNS = {generation_column(fuel): fuel for fuel in Fuel}
