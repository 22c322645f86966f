"""In proportion to tokens."""

from __future__ import annotations

import numpy as np

from gridmargin.attribution.rule import Shares, given_out, portions
from gridmargin.attribution.step_energy import StepEnergy
from gridmargin.engines import Steps


def token_share(steps: Steps, energy: StepEnergy) -> Shares:
    """Share all of a row by computed tokens, prompt and decoded alike; of a step without tokens, by work units.

    See `docs/methods/token-share.md`.
    """
    tokens = steps.prefill_tokens + steps.decode_tokens
    by_work = tokens == 0
    whole = np.where(by_work, steps.work_units, tokens)
    mine = np.where(
        np.repeat(by_work, steps.n_members), steps.member_work, steps.member_prefill + steps.member_decode
    )

    def of(energy_j: np.ndarray) -> np.ndarray:
        return portions(energy_j, whole, steps.n_members, mine)

    return given_out(
        steps, energy, prefill_j=of(energy.prefill_j), decode_j=of(energy.decode_j), work_j=of(energy.work_j),
        step_fixed_j=of(energy.fixed_j), loaded_idle_j=of(energy.loaded_idle_j),
    )  # fmt: skip
