"""Estimators: grid states in, estimates of the margin out.

Comes in: `GridStates` and `Facts`. Goes out: `Estimates`. Touches nothing.
"""

from gridmargin.grid import FleetResponse
from gridmargin.marginal.estimate import AverageEstimate, Estimates, MarginalEstimate, MarginalSource
from gridmargin.marginal.estimator import Estimator, Facts, Fit, FuelRate, Need
from gridmargin.marginal.merit_blocks import blocks_at, stack_parameters
from gridmargin.marginal.merit_order import MeritOrder
from gridmargin.marginal.price_implied import PriceImplied, implied_heat_rate, price_separation
from gridmargin.marginal.stack import expected_output
from gridmargin.marginal.unit_response import (
    choose_half_life_days,
    learn_moves,
    learn_units,
    predict_moves,
    predict_units,
)
from gridmargin.vocab import Registry

ESTIMATORS: Registry[type[Estimator]] = Registry(
    "estimator",
    "gridmargin.estimators",
    {
        "average": "gridmargin.marginal.average:Average",
        "fleet_curve": "gridmargin.marginal.fleet_curve:FleetCurve",
        "merit_order": "gridmargin.marginal.merit_order:MeritOrder",
        "price_implied": "gridmargin.marginal.price_implied:PriceImplied",
        "regression": "gridmargin.marginal.regression:Regression",
    },
)

__all__ = [
    "ESTIMATORS",
    "AverageEstimate",
    "Estimates",
    "Estimator",
    "Facts",
    "Fit",
    "FleetResponse",
    "FuelRate",
    "MarginalEstimate",
    "MarginalSource",
    "MeritOrder",
    "Need",
    "PriceImplied",
    "blocks_at",
    "choose_half_life_days",
    "expected_output",
    "implied_heat_rate",
    "learn_moves",
    "learn_units",
    "predict_moves",
    "predict_units",
    "price_separation",
    "stack_parameters",
]
