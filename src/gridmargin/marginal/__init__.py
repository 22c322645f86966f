"""Estimators: grid states in, estimates of the margin out.

Comes in: `GridStates` and `Facts`. Goes out: `Estimates`. Touches nothing.
"""

from gridmargin.grid import FleetResponse
from gridmargin.marginal import adaptive, blend, forecast, forecast_features, regimes, volatility
from gridmargin.marginal.estimate import AverageEstimate, Estimates, MarginalEstimate, MarginalSource
from gridmargin.marginal.estimator import Estimator, Facts, Fit, FuelRate, Need
from gridmargin.vocab import Registry

ESTIMATORS: Registry[type[Estimator]] = Registry(
    "estimator",
    "gridmargin.estimators",
    {
        "average": "gridmargin.marginal.average:Average",
        "fleet_curve": "gridmargin.marginal.fleet_curve:FleetCurve",
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
    "adaptive",
    "blend",
    "forecast",
    "forecast_features",
    "regimes",
    "volatility",
]
