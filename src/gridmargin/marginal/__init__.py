"""Estimators: grid states in, estimates of the margin out.

Comes in: `GridStates` and `Facts`. Goes out: `Estimates`. Touches nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gridmargin.grid import FleetResponse
from gridmargin.marginal.commitment_check import Verdict, verdict
from gridmargin.marginal.commitment_result import Commit, Committed
from gridmargin.marginal.curtailment import Curtailment
from gridmargin.marginal.estimate import AverageEstimate, Estimates, MarginalEstimate, MarginalSource
from gridmargin.marginal.estimator import Estimator, Facts, Fit, FuelRate, Need
from gridmargin.marginal.fleet_response import epa_co2, epa_rate
from gridmargin.marginal.imports import Imports
from gridmargin.marginal.known import known_facts
from gridmargin.marginal.long_run import (
    COMBINED_WEIGHTS,
    LONG_RUN,
    LongRunFactor,
    build_margin,
    combined_margin,
    operating_margin,
    table_factor,
)
from gridmargin.marginal.merit_blocks import blocks_at, stack_parameters
from gridmargin.marginal.merit_order import MeritOrder
from gridmargin.marginal.modifier import Applied, Modified, Modifier, modify
from gridmargin.marginal.price_implied import PriceImplied, implied_heat_rate, price_separation
from gridmargin.marginal.refit import parameter_changes, weigh_history
from gridmargin.marginal.stack import expected_output
from gridmargin.marginal.stack_range import observed_rates
from gridmargin.marginal.storage import Storage
from gridmargin.marginal.unit_behaviour import choose_memory, learn_units, predict_units
from gridmargin.marginal.unit_moves import (
    Moves,
    choose_softness,
    learn_moves,
    moves_of,
    predict_moves,
)
from gridmargin.marginal.unit_response import UnitResponse, unit_response
from gridmargin.vocab import Registry

if TYPE_CHECKING:
    from gridmargin.marginal import (
        adaptive,
        blend,
        forecast,
        forecast_features,
        lead_times,
        regimes,
        tilt,
        volatility,
        zonal,
    )
    from gridmargin.marginal.dispatch import Dispatch, Rates, balance_matrix, load_weighted
    from gridmargin.marginal.dispatch_hours import HourlyRates, Stores, dispatch_stretch
    from gridmargin.marginal.drift import DriftEvent, Watch, watch

ESTIMATORS: Registry[type[Estimator]] = Registry(
    "estimator",
    "gridmargin.estimators",
    {
        "average": "gridmargin.marginal.average:Average",
        "fleet_curve": "gridmargin.marginal.fleet_curve:FleetCurve",
        "published": "gridmargin.marginal.published:Published",
        "merit_order": "gridmargin.marginal.merit_order:MeritOrder",
        "price_implied": "gridmargin.marginal.price_implied:PriceImplied",
        "regression": "gridmargin.marginal.regression:Regression",
        "running_plants": "gridmargin.marginal.running_plants:RunningPlants",
    },
)

COMMITMENTS: Registry[Commit] = Registry(
    "commitment",
    "gridmargin.commitments",
    {
        "exact": "gridmargin.marginal.commitment_exact:exact_commitment",
        "fast": "gridmargin.marginal.commitment_fast:fast_commitment",
    },
)

__all__ = [
    "COMBINED_WEIGHTS",
    "COMMITMENTS",
    "ESTIMATORS",
    "LONG_RUN",
    "Applied",
    "AverageEstimate",
    "Commit",
    "Committed",
    "Curtailment",
    "Dispatch",
    "DriftEvent",
    "Estimates",
    "Estimator",
    "Facts",
    "Fit",
    "FleetResponse",
    "FuelRate",
    "HourlyRates",
    "Imports",
    "LongRunFactor",
    "MarginalEstimate",
    "MarginalSource",
    "MeritOrder",
    "Modified",
    "Modifier",
    "Moves",
    "Need",
    "PriceImplied",
    "Rates",
    "Storage",
    "Stores",
    "UnitResponse",
    "Verdict",
    "Watch",
    "adaptive",
    "balance_matrix",
    "blend",
    "blocks_at",
    "build_margin",
    "choose_memory",
    "choose_softness",
    "combined_margin",
    "dispatch_stretch",
    "epa_co2",
    "epa_rate",
    "expected_output",
    "forecast",
    "forecast_features",
    "implied_heat_rate",
    "known_facts",
    "lead_times",
    "learn_moves",
    "learn_units",
    "load_weighted",
    "modify",
    "moves_of",
    "observed_rates",
    "operating_margin",
    "parameter_changes",
    "predict_moves",
    "predict_units",
    "price_separation",
    "regimes",
    "stack_parameters",
    "table_factor",
    "tilt",
    "unit_response",
    "verdict",
    "volatility",
    "watch",
    "weigh_history",
    "zonal",
]

_MODULES = frozenset(
    {
        "adaptive",
        "blend",
        "forecast",
        "forecast_features",
        "lead_times",
        "regimes",
        "tilt",
        "volatility",
        "zonal",
    }
)

# These need SciPy, a learner or a solver; whoever only asks for a factor need not wait for them.
_LATER = {
    **dict.fromkeys(("DriftEvent", "Watch", "watch"), "drift"),
    **dict.fromkeys(("Dispatch", "Rates", "balance_matrix", "load_weighted"), "dispatch"),
    **dict.fromkeys(("HourlyRates", "Stores", "dispatch_stretch"), "dispatch_hours"),
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"gridmargin.marginal.{name}")
    if name in _LATER:
        return getattr(import_module(f"gridmargin.marginal.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
