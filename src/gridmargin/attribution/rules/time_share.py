"""In proportion to time."""

from __future__ import annotations

import numpy as np

from gridmargin.attribution.rule import Shares, given_out, portions
from gridmargin.attribution.step_energy import StepEnergy
from gridmargin.engines import Steps


def time_share(steps: Steps, energy: StepEnergy) -> Shares:
    """Share all of a row equally among those who took part in it, whatever each asked for.

    See `docs/methods/time-share.md`.
    """
    heads = steps.n_active.astype(np.float64)

    def of(energy_j: np.ndarray) -> np.ndarray:
        return portions(energy_j, heads, steps.n_members)

    return given_out(
        steps, energy, prefill_j=of(energy.prefill_j), decode_j=of(energy.decode_j), work_j=of(energy.work_j),
        step_fixed_j=of(energy.fixed_j), loaded_idle_j=of(energy.loaded_idle_j),
    )  # fmt: skip
