"""Share energy among requests.

Comes in: requests, engine steps, device profiles, meter readings. Goes out: each request's joules by part and
interval, and what nobody asked for. Touches nothing.
"""

from gridmargin.attribution.alignment import Alignment, align
from gridmargin.attribution.batch_cost import local_line, whole_line
from gridmargin.attribution.charged import METER_FRAC, Charged, charge_by_meter, charge_by_profile
from gridmargin.attribution.charging import (
    CHARGES,
    DEFAULT_CHARGE,
    ENERGY_PARTS,
    GIVEN,
    IDLE_KEY,
    ProvisionedIdle,
    charged_parts,
    conserved,
    provisioned_idle,
)
from gridmargin.attribution.completed import Completed
from gridmargin.attribution.cost_fit import CostFit
from gridmargin.attribution.instances import BoardSplit, Instance, split_board
from gridmargin.attribution.live_shares import LiveShares
from gridmargin.attribution.measured import Measured
from gridmargin.attribution.metered import MeteredSteps, metered
from gridmargin.attribution.replay import Replay
from gridmargin.attribution.rule import Rule, Shares
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
    "CHARGES",
    "CONTEXT",
    "DECODE",
    "DEFAULT_CHARGE",
    "ENERGY_PARTS",
    "FIXED",
    "GIVEN",
    "IDLE",
    "IDLE_KEY",
    "METER_FRAC",
    "PREFILL",
    "RULES",
    "STACK_HIGH",
    "STACK_LOW",
    "TERMS",
    "WORK",
    "Alignment",
    "BoardSplit",
    "Charged",
    "Completed",
    "CostFit",
    "CostKey",
    "CostPrior",
    "Instance",
    "LiveShares",
    "Measured",
    "MeteredSteps",
    "ProvisionedIdle",
    "Replay",
    "Rule",
    "Shares",
    "Split",
    "StepCost",
    "StepEnergy",
    "Tally",
    "align",
    "charge_by_meter",
    "charge_by_profile",
    "charged_parts",
    "conserved",
    "local_line",
    "metered",
    "prior_of",
    "prior_of_proportions",
    "prior_of_work",
    "profiled",
    "provisioned_idle",
    "row_terms",
    "split",
    "split_board",
    "whole_line",
    "window_terms",
]
