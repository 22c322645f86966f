"""What the grid was doing, by zone and interval.

Comes in: observations. Goes out: `GridStates`. Touches nothing.
"""

from gridmargin.grid.assemble import assemble, cells_behind, negative_generation
from gridmargin.grid.fleet import LOAD_QUANTILES, FleetResponse, avert_fleet, reference_fleet
from gridmargin.grid.state import GridState, GridStates

__all__ = [
    "LOAD_QUANTILES",
    "FleetResponse",
    "GridState",
    "GridStates",
    "assemble",
    "avert_fleet",
    "cells_behind",
    "negative_generation",
    "reference_fleet",
]
