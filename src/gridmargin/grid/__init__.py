"""What the grid was doing, by zone and interval.

Comes in: observations. Goes out: `GridStates`. Touches nothing.
"""

from gridmargin.grid.assemble import assemble, cells_behind, negative_generation
from gridmargin.grid.commitment_case import (
    NEVER_H,
    CommitmentCase,
    CommitmentSchedule,
    commitment_case,
)
from gridmargin.grid.fleet import LOAD_QUANTILES, FleetResponse, avert_fleet, reference_fleet
from gridmargin.grid.state import GridState, GridStates, imports_column, is_quantity
from gridmargin.grid.units import UnitFleet

__all__ = [
    "LOAD_QUANTILES",
    "NEVER_H",
    "CommitmentCase",
    "CommitmentSchedule",
    "FleetResponse",
    "GridState",
    "GridStates",
    "UnitFleet",
    "assemble",
    "avert_fleet",
    "cells_behind",
    "commitment_case",
    "imports_column",
    "is_quantity",
    "negative_generation",
    "reference_fleet",
]
