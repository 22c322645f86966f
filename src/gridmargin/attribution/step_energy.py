"""What each step drew, by cause: the shape in which a cost model, a meter or a profile hands energy to the rules."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gridmargin.engines import Steps
from gridmargin.reference import Profile, WorkProfile
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StepEnergy:
    """Energy of n rows of `Steps`, by cause; finite and not negative. [J]

    Attributes
    ----------
    fixed_j : array, shape (n,)
        What the row's steps cost whoever takes part.
    prefill_j, decode_j, work_j : arrays, shape (n,)
        What its computed prompt tokens, its decoded tokens and its work units add.
    loaded_idle_j : array, shape (n,)
        What the loaded devices would have drawn in that time without any step.

    Raises
    ------
    InputError
        If one is negative or no number: names the row, the first being 0.
    """

    fixed_j: FloatArray
    prefill_j: FloatArray
    decode_j: FloatArray
    work_j: FloatArray
    loaded_idle_j: FloatArray

    def __post_init__(self) -> None:
        for field in fields(self):
            column = getattr(self, field.name)
            bad = np.flatnonzero(~(np.isfinite(column) & (column >= 0)))
            if len(bad):
                raise InputError(
                    f"step {bad[0]}: {field.name} of {column[bad[0]]} J is no energy; give one of 0 or more"
                )

    @property
    def total_j(self) -> FloatArray:
        """All of a row, shape (n,). [J]"""
        return self.fixed_j + self.prefill_j + self.decode_j + self.work_j + self.loaded_idle_j

    def times(self, scale: FloatArray) -> StepEnergy:
        """Give every part of a row times that row's factor, shape (n,)."""
        return StepEnergy(*(getattr(self, field.name) * scale for field in fields(self)))


def profiled(steps: Steps, profile: Profile | WorkProfile) -> StepEnergy:
    """Give what the steps draw by a device × model profile; each device of a group draws as one."""
    devices = np.array([len(group) for group in steps.groups] or [1])[steps.group]
    prefill_j = decode_j = work_j = np.zeros(len(steps))
    if isinstance(profile, Profile):
        prefill_j = profile.j_per_prefill_token * steps.prefill_tokens * devices
        decode_j = profile.j_per_decode_token * steps.decode_tokens * devices
    else:
        work_j = profile.j_per_work_unit * steps.work_units * devices
    return StepEnergy(
        fixed_j=profile.fixed_j_per_step * steps.n_steps * devices,
        prefill_j=prefill_j,
        decode_j=decode_j,
        work_j=work_j,
        loaded_idle_j=profile.loaded_idle_w * steps.duration_s * devices,
    )
