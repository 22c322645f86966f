"""What would not have been drawn without the request."""

from __future__ import annotations

import numpy as np

from gridmargin.attribution.rule import Shares, given_out
from gridmargin.attribution.rules.shapley import shapley
from gridmargin.attribution.step_energy import StepEnergy
from gridmargin.engines import Steps


def marginal(steps: Steps, energy: StepEnergy) -> Shares:
    """Give each its own counterfactual: its own tokens, and the fixed cost of the steps that ran for it alone.

    See `docs/methods/marginal.md`. The rest, idle among it, is nobody's: taking one request away would not save it.
    """
    shared = shapley(steps, energy)
    alone = np.repeat(steps.n_active == 1, steps.n_members)
    return given_out(
        steps, energy, prefill_j=shared.prefill_j, decode_j=shared.decode_j, work_j=shared.work_j,
        step_fixed_j=np.where(alone, shared.step_fixed_j, 0.0), loaded_idle_j=np.zeros(len(alone)),
    )  # fmt: skip
