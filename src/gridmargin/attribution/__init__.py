"""Share energy among requests.

Comes in: requests, engine steps, device profiles, meter readings. Goes out: each request's joules by part and interval, and what
nobody asked for. Touches nothing.
"""

from gridmargin.attribution.completed import Completed
from gridmargin.attribution.replay import Replay
from gridmargin.attribution.rule import Rule, Shares
from gridmargin.attribution.step_energy import StepEnergy, profiled
from gridmargin.attribution.tally import Tally
from gridmargin.attribution.window import Split, split
from gridmargin.vocab import Registry

RULES: Registry[Rule] = Registry(
    "rule",
    "gridmargin.rules",
    {
        "marginal": "gridmargin.attribution.rules.marginal:marginal",
        "shapley": "gridmargin.attribution.rules.shapley:shapley",
        "token_share": "gridmargin.attribution.rules.token_share:token_share",
        "time_share": "gridmargin.attribution.rules.time_share:time_share",
    },
)
"""Every attribution rule by name."""

__all__ = [
    "RULES",
    "Completed",
    "Replay",
    "Rule",
    "Shares",
    "Split",
    "StepEnergy",
    "Tally",
    "profiled",
    "split",
]
