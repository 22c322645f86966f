"""Estimators: grid states in, estimates of the margin out.

Comes in: `GridStates` and `Facts`. Goes out: `Estimates`. Touches nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gridmargin.grid import FleetResponse
from gridmargin.marginal.estimate import AverageEstimate, Estimates, MarginalEstimate, MarginalSource
from gridmargin.marginal.estimator import Estimator, Facts, Fit, FuelRate, Need
from gridmargin.marginal.refit import parameter_changes, weigh_history
from gridmargin.vocab import Registry

if TYPE_CHECKING:
    from gridmargin.marginal.drift import DriftEvent, Watch, watch

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
    "DriftEvent",
    "Estimates",
    "Estimator",
    "Facts",
    "Fit",
    "FleetResponse",
    "FuelRate",
    "MarginalEstimate",
    "MarginalSource",
    "Need",
    "Watch",
    "parameter_changes",
    "watch",
    "weigh_history",
]

# Watching for drift needs SciPy; whoever only asks for a factor need not wait for it.
_LATER = {"DriftEvent": "drift", "Watch": "drift", "watch": "drift"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"gridmargin.marginal.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
