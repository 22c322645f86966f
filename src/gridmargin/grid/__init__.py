"""What the grid was doing, by zone and interval.

Comes in: observations. Goes out: `GridStates`. Touches nothing.
"""

from gridmargin.grid.assemble import assemble, cells_behind, negative_generation
from gridmargin.grid.fleet import LOAD_QUANTILES, FleetResponse, avert_fleet, reference_fleet
from gridmargin.grid.state import GridState, GridStates, imports_column, is_quantity
from gridmargin.grid.units import UnitFleet
from gridmargin.sources import OZONE_MONTHS

__all__ = [
    "LOAD_QUANTILES",
    "OZONE_MONTHS",
    "FleetResponse",
    "GridState",
    "GridStates",
    "UnitFleet",
    "assemble",
    "avert_fleet",
    "cells_behind",
    "imports_column",
    "is_quantity",
    "negative_generation",
    "reference_fleet",
]
