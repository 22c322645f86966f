"""Estimators: grid states in, estimates of the margin out.

Comes in: `GridStates` and `Facts`. Goes out: `Estimates`. Touches nothing.
"""

from gridmargin.grid import FleetResponse
from gridmargin.marginal.estimate import AverageEstimate, Estimates, MarginalEstimate, MarginalSource
from gridmargin.marginal.estimator import Estimator, Facts, Fit, FuelRate, Need
from gridmargin.marginal.fleet_response import epa_co2, epa_rate
from gridmargin.marginal.known import known_facts
from gridmargin.marginal.unit_response import UnitResponse, unit_response
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
    "UnitResponse",
    "epa_co2",
    "epa_rate",
    "known_facts",
    "unit_response",
]
