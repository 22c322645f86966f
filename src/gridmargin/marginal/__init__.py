"""Estimators: grid states in, estimates of the margin out.

Comes in: `GridStates` and `Facts`. Goes out: `Estimates`. Touches nothing.
"""

from gridmargin.grid import FleetResponse
from gridmargin.marginal.commitment_check import Verdict, verdict
from gridmargin.marginal.commitment_result import Commit, Committed
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

COMMITMENTS: Registry[Commit] = Registry(
    "commitment",
    "gridmargin.commitments",
    {
        "exact": "gridmargin.marginal.commitment_exact:exact_commitment",
        "fast": "gridmargin.marginal.commitment_fast:fast_commitment",
    },
)

__all__ = [
    "COMMITMENTS",
    "ESTIMATORS",
    "AverageEstimate",
    "Commit",
    "Committed",
    "Estimates",
    "Estimator",
    "Facts",
    "Fit",
    "FleetResponse",
    "FuelRate",
    "MarginalEstimate",
    "MarginalSource",
    "Need",
    "Verdict",
    "verdict",
]
