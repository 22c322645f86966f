"""What the grid was doing, by zone and interval.

Comes in: observations. Goes out: `GridStates`. Touches nothing.
"""

from gridmargin.grid.assemble import assemble, cells_behind, negative_generation
from gridmargin.grid.balance import (
    Fault,
    FaultKind,
    faults_of,
    order_faults,
    require_sound,
    sound,
    states_of_table,
)
from gridmargin.grid.fleet import LOAD_QUANTILES, FleetResponse, avert_fleet, reference_fleet
from gridmargin.grid.network import Network
from gridmargin.grid.rts import RtsCase, rts_case
from gridmargin.grid.state import GridState, GridStates, imports_column, is_quantity
from gridmargin.grid.units import UnitFleet
from gridmargin.sources import BuiltFleet, CommitmentCase, LongRunRate

__all__ = [
    "LOAD_QUANTILES",
    "BuiltFleet",
    "CommitmentCase",
    "Fault",
    "FaultKind",
    "FleetResponse",
    "GridState",
    "GridStates",
    "LongRunRate",
    "Network",
    "RtsCase",
    "UnitFleet",
    "assemble",
    "avert_fleet",
    "cells_behind",
    "faults_of",
    "imports_column",
    "is_quantity",
    "negative_generation",
    "order_faults",
    "reference_fleet",
    "require_sound",
    "rts_case",
    "sound",
    "states_of_table",
]
