"""What the grid was doing, by zone and interval.

Comes in: observations. Goes out: `GridStates`. Touches nothing.
"""

from gridmargin.grid.assemble import assemble, cells_behind, negative_generation
from gridmargin.grid.fleet import LOAD_QUANTILES, FleetResponse, avert_fleet, reference_fleet
from gridmargin.grid.state import (
    GridState,
    GridStates,
    carbon_price_column,
    fuel_price_column,
    imports_column,
    is_quantity,
    price_column,
)
from gridmargin.grid.unit_tables import FAMILY, german_fleet, nem_fleet
from gridmargin.grid.units import UnitFleet

__all__ = [
    "FAMILY",
    "LOAD_QUANTILES",
    "FleetResponse",
    "GridState",
    "GridStates",
    "UnitFleet",
    "assemble",
    "avert_fleet",
    "carbon_price_column",
    "cells_behind",
    "fuel_price_column",
    "german_fleet",
    "imports_column",
    "is_quantity",
    "negative_generation",
    "nem_fleet",
    "price_column",
    "reference_fleet",
]
