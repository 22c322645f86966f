"""The Shapley value of a step's cost, in closed form."""

from __future__ import annotations

import numpy as np

from gridmargin.attribution.rule import Shares, given_out, portions
from gridmargin.attribution.step_energy import StepEnergy
from gridmargin.engines import Steps


def shapley(steps: Steps, energy: StepEnergy) -> Shares:
    """Give each what its own tokens cost, and an equal share of what a step costs whoever takes part.

    See `docs/methods/shapley.md`.
    """
    heads, counts = steps.n_active.astype(np.float64), steps.n_members
    return given_out(
        steps, energy,
        prefill_j=portions(energy.prefill_j, steps.prefill_tokens, counts, steps.member_prefill),
        decode_j=portions(energy.decode_j, steps.decode_tokens, counts, steps.member_decode),
        work_j=portions(energy.work_j, steps.work_units, counts, steps.member_work),
        step_fixed_j=portions(energy.fixed_j, heads, counts),
        loaded_idle_j=portions(energy.loaded_idle_j, heads, counts),
    )  # fmt: skip
