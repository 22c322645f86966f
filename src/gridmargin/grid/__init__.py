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
from gridmargin.grid.built_fleets import avert_built, nem_built
from gridmargin.grid.commitment_case import (
    NEVER_H,
    CommitmentCase,
    CommitmentSchedule,
    commitment_case,
)
from gridmargin.grid.fleet import LOAD_QUANTILES, FleetResponse, avert_fleet, reference_fleet
from gridmargin.grid.network import Network
from gridmargin.grid.rts import RtsCase, rts_case
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
from gridmargin.sources import OZONE_MONTHS, BuiltFleet, LongRunRate

__all__ = [
    "FAMILY",
    "LOAD_QUANTILES",
    "NEVER_H",
    "OZONE_MONTHS",
    "BuiltFleet",
    "CommitmentCase",
    "CommitmentSchedule",
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
    "avert_built",
    "avert_fleet",
    "carbon_price_column",
    "cells_behind",
    "commitment_case",
    "faults_of",
    "fuel_price_column",
    "german_fleet",
    "imports_column",
    "is_quantity",
    "negative_generation",
    "nem_built",
    "nem_fleet",
    "order_faults",
    "price_column",
    "reference_fleet",
    "require_sound",
    "rts_case",
    "sound",
    "states_of_table",
]
