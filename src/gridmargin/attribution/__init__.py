"""Share energy among requests.

Comes in: requests, device profiles, meter readings. Goes out: each request's joules by part and interval, and what
nobody asked for. Touches nothing.
"""

from gridmargin.attribution.alignment import Alignment, align
from gridmargin.attribution.batch_cost import local_line, whole_line
from gridmargin.attribution.completed import Completed
from gridmargin.attribution.cost_fit import CostFit
from gridmargin.attribution.metered import MeteredSteps, metered
from gridmargin.attribution.replay import Replay
from gridmargin.attribution.rule import Rule, Split
from gridmargin.attribution.step_cost import (
    CONTEXT,
    DECODE,
    FIXED,
    IDLE,
    PREFILL,
    STACK_HIGH,
    STACK_LOW,
    TERMS,
    WORK,
    CostKey,
    CostPrior,
    StepCost,
    prior_of,
    prior_of_proportions,
    prior_of_work,
    row_terms,
    window_terms,
)
from gridmargin.vocab import Registry

RULES: Registry[Rule] = Registry(
    "rule",
    "gridmargin.rules",
    {
        "shapley": "gridmargin.attribution.rules.shapley:shapley",
        "token_share": "gridmargin.attribution.rules.token_share:token_share",
        "time_share": "gridmargin.attribution.rules.time_share:time_share",
    },
)
"""Every attribution rule by name."""

__all__ = [
    "CONTEXT",
    "DECODE",
    "FIXED",
    "IDLE",
    "PREFILL",
    "RULES",
    "STACK_HIGH",
    "STACK_LOW",
    "TERMS",
    "WORK",
    "Alignment",
    "Completed",
    "CostFit",
    "CostKey",
    "CostPrior",
    "MeteredSteps",
    "Replay",
    "Rule",
    "Split",
    "StepCost",
    "align",
    "local_line",
    "metered",
    "prior_of",
    "prior_of_proportions",
    "prior_of_work",
    "row_terms",
    "whole_line",
    "window_terms",
]
