"""Who pays for what: the parts of a request's energy, the operator's policy over them, and idle with nobody active."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.meters import MeterWindow
from gridmargin.vocab import ConservationError, UnknownNameError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GIVEN = ("prefill", "decode", "work", "step_fixed", "loaded_idle")
"""What a rule gives a request of the steps it took part in."""

ENERGY_PARTS = (*GIVEN, "provisioned_idle")
"""The parts of a request's energy, kept apart whatever is charged."""

CHARGES: Mapping[str, tuple[str, ...]] = {
    "own": GIVEN[:3], "step": GIVEN[:4], "loaded": GIVEN, "provisioned": ENERGY_PARTS,
}  # fmt: skip
"""The operator's policies: which parts are charged. `own` is what the request's own tokens and work cost, each of the
others one part more."""

DEFAULT_CHARGE = "loaded"

TOLERANCE = 1e-9
"""Largest relative difference between the meter and its parts (C4). [1]"""

IDLE_KEY = (
    "by what each was given of the energy of the steps in the same interval; the idle of an interval without any, over"
    " the run by the same"
)
"""How idle with nobody active is allotted; stamped on the run."""


def charged_parts(policy: str) -> tuple[str, ...]:
    """Give the parts that a policy charges.

    Raises
    ------
    UnknownNameError
        If there is no such policy.
    """
    if policy not in CHARGES:
        raise UnknownNameError("charging policy", policy, list(CHARGES))
    return CHARGES[policy]


def conserved(error: float) -> float:
    """Give back what parts are off by, relative to the meter. [1]

    Raises
    ------
    ConservationError
        If it is more than `TOLERANCE`.
    """
    if error > TOLERANCE:
        raise ConservationError(f"parts are off by {error:.2e} of the meter (C4)")
    return error


@dataclass(frozen=True, slots=True)
class ProvisionedIdle:
    """What a run's devices drew with nobody active, by interval, beside what their steps drew.

    Attributes
    ----------
    slot_start_s : array of int64, shape (k,)
        Starts of the intervals, ordered. [s since 1970 UTC]
    idle_j, steps_j : arrays, shape (k,)
        With nobody active; in steps, whoever they are charged to. [J]
    """

    slot_start_s: IntArray
    idle_j: FloatArray
    steps_j: FloatArray

    @property
    def total_j(self) -> float:
        """All of it. [J]"""
        return float(self.idle_j.sum())

    @property
    def allottable_j(self) -> float:
        """All of it; nothing where no step drew anything, so that there is no key. [J]"""
        return self.total_j if self.steps_j.sum() > 0 else 0.0

    @property
    def over_run_j(self) -> float:
        """What was drawn in intervals without the energy of any step. [J]"""
        return float(self.idle_j[self.steps_j <= 0].sum())

    def allot(self, slot_start_s: IntArray, given_j: FloatArray) -> FloatArray:
        """Give what falls to each slice.

        Parameters
        ----------
        slot_start_s : array of int64, shape (m,)
            Interval of each slice. [s since 1970 UTC]
        given_j : array, shape (m,)
            What the slice was given of the steps' energy. [J]

        Returns
        -------
        array, shape (m,)
            Over slices that hold all of the steps' energy these add up to all of the idle; what is nobody's of the
            steps has its part of the idle too, and that stays with nobody. [J]
        """
        whole_j = float(self.steps_j.sum())
        if not len(self.slot_start_s) or whole_j <= 0:
            return np.zeros(len(given_j))
        at = np.minimum(np.searchsorted(self.slot_start_s, slot_start_s), len(self.slot_start_s) - 1)
        steps_j = np.where(self.slot_start_s[at] == slot_start_s, self.steps_j[at], 0.0)
        # The part first: idle over energy that is next to nothing would overflow.
        part = np.divide(given_j, steps_j, out=np.zeros(len(given_j)), where=steps_j > 0)
        out: FloatArray = part * self.idle_j[at] + given_j / whole_j * self.over_run_j
        return out


def provisioned_idle(windows: Iterable[MeterWindow]) -> ProvisionedIdle:
    """Add the windows of a run's devices up by interval."""
    rows = [(w.slot_start_s, w.provisioned_idle_j, w.dynamic_j + w.loaded_idle_j) for w in windows]
    start_s = np.array([row[0] for row in rows], np.int64)
    slots, slot = np.unique(start_s, return_inverse=True)
    idle_j, steps_j = (
        np.bincount(slot, np.array([row[k] for row in rows], np.float64), len(slots)).astype(np.float64)
        for k in (1, 2)
    )
    return ProvisionedIdle(slots, idle_j, steps_j)
