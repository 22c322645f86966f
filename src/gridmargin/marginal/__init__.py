"""Estimators: grid states in, estimates of the margin out.

Comes in: `GridStates` and `Facts`. Goes out: `Estimates`. Touches nothing.
"""

from gridmargin.grid import FleetResponse
from gridmargin.marginal.curtailment import Curtailment
from gridmargin.marginal.estimate import AverageEstimate, Estimates, MarginalEstimate, MarginalSource
from gridmargin.marginal.estimator import Estimator, Facts, Fit, FuelRate, Need
from gridmargin.marginal.imports import Imports
from gridmargin.marginal.long_run import (
    LongRunFactor,
    build_margin,
    combined_margin,
    operating_margin,
    table_factor,
)
from gridmargin.marginal.modifier import Applied, Modified, Modifier, modify
from gridmargin.marginal.storage import Storage
from gridmargin.vocab import Registry

ESTIMATORS: Registry[type[Estimator]] = Registry(
    "estimator",
    "gridmargin.estimators",
    {
        "average": "gridmargin.marginal.average:Average",
        "fleet_curve": "gridmargin.marginal.fleet_curve:FleetCurve",
        "published": "gridmargin.marginal.published:Published",
        "regression": "gridmargin.marginal.regression:Regression",
    },
)

__all__ = [
    "ESTIMATORS",
    "Applied",
    "AverageEstimate",
    "Curtailment",
    "Estimates",
    "Estimator",
    "Facts",
    "Fit",
    "FleetResponse",
    "FuelRate",
    "Imports",
    "LongRunFactor",
    "MarginalEstimate",
    "MarginalSource",
    "Modified",
    "Modifier",
    "Need",
    "Storage",
    "build_margin",
    "combined_margin",
    "modify",
    "operating_margin",
    "table_factor",
]
