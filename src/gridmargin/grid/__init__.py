"""What the grid was doing, by zone and interval.

Comes in: observations. Goes out: `GridStates`. Touches nothing.
"""

from gridmargin.grid.assemble import assemble, cells_behind, negative_generation
from gridmargin.grid.balance import (
    Fault,
    FaultKind,
    balance_residual_mw,
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
from gridmargin.grid.impute import IMPUTED_SCHEMA, Method, impute, reconcile
from gridmargin.grid.measured_fleet import campd_fleet, measured_response
from gridmargin.grid.network import Network
from gridmargin.grid.outliers import FLAG_SCHEMA, NO_TERM, RULES, FlagCode, Rule, flags_of, is_term
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
from gridmargin.grid.timeline import power_quantities
from gridmargin.grid.unit_tables import FAMILY, german_fleet, nem_fleet
from gridmargin.grid.units import UnitFleet
from gridmargin.sources import OZONE_MONTHS, BuiltFleet, LongRunRate

__all__ = [
    "FAMILY",
    "FLAG_SCHEMA",
    "IMPUTED_SCHEMA",
    "LOAD_QUANTILES",
    "NEVER_H",
    "NO_TERM",
    "OZONE_MONTHS",
    "RULES",
    "BuiltFleet",
    "CommitmentCase",
    "CommitmentSchedule",
    "Fault",
    "FaultKind",
    "FlagCode",
    "FleetResponse",
    "GridState",
    "GridStates",
    "LongRunRate",
    "Method",
    "Network",
    "RtsCase",
    "Rule",
    "UnitFleet",
    "assemble",
    "avert_built",
    "avert_fleet",
    "balance_residual_mw",
    "campd_fleet",
    "carbon_price_column",
    "cells_behind",
    "commitment_case",
    "faults_of",
    "flags_of",
    "fuel_price_column",
    "german_fleet",
    "imports_column",
    "impute",
    "is_quantity",
    "is_term",
    "measured_response",
    "negative_generation",
    "nem_built",
    "nem_fleet",
    "order_faults",
    "power_quantities",
    "price_column",
    "reconcile",
    "reference_fleet",
    "require_sound",
    "rts_case",
    "sound",
    "states_of_table",
]
