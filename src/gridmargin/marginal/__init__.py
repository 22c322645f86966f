"""Estimators: grid states in, estimates of the margin out.

Comes in: `GridStates` and `Facts`. Goes out: `Estimates`. Touches nothing.
"""

from gridmargin.grid import FleetResponse
from gridmargin.marginal.estimate import AverageEstimate, Estimates, MarginalEstimate, MarginalSource
from gridmargin.marginal.estimator import Estimator, Facts, Fit, FuelRate, Need
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
    "Need",
]
