"""Shares, and what an attribution rule is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gridmargin.attribution.step_energy import StepEnergy
from gridmargin.engines import Steps

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PARTS = ("prefill_j", "decode_j", "work_j", "step_fixed_j", "loaded_idle_j")
"""The parts of a share, kept apart: own by kind, and shares of what is nobody's own."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What a rule gives the m memberships of n rows.

    Attributes
    ----------
    prefill_j, decode_j, work_j, step_fixed_j, loaded_idle_j : arrays, shape (m,)
        By membership. [J]
    unattributed_j : array, shape (n,)
        What the rule leaves with nobody that is known, by row. [J]
    """

    prefill_j: FloatArray
    decode_j: FloatArray
    work_j: FloatArray
    step_fixed_j: FloatArray
    loaded_idle_j: FloatArray
    unattributed_j: FloatArray

    @property
    def own_j(self) -> FloatArray:
        """What the membership's own tokens and work cost, shape (m,). [J]"""
        return self.prefill_j + self.decode_j + self.work_j

    @property
    def total_j(self) -> FloatArray:
        """All parts, shape (m,). [J]"""
        return self.own_j + self.step_fixed_j + self.loaded_idle_j


class Rule(Protocol):
    """A pure function that shares the energy of steps among those who took part in them.

    Whatever the rule: a row's shares and its rest add up to its energy to 1e-9, none is negative, the order of rows and
    members does not matter, equals get equal shares, a row without members is nobody's, the shares of two energies
    added are the two shares added, and who took part but is not known by id (`n_active` above the memberships) leaves
    a share with nobody.
    """

    def __call__(self, steps: Steps, energy: StepEnergy) -> Shares:
        """Share n rows."""
        ...


def given_out(
    steps: Steps,
    energy: StepEnergy,
    *,
    prefill_j: FloatArray,
    decode_j: FloatArray,
    work_j: FloatArray,
    step_fixed_j: FloatArray,
    loaded_idle_j: FloatArray,
) -> Shares:
    """Close a rule's shares with what they leave; what rounding took below 0 is 0."""
    total = prefill_j + decode_j + work_j + step_fixed_j + loaded_idle_j
    handed = np.bincount(steps.row_of_member, total, len(steps)) if len(total) else np.zeros(len(steps))
    left = np.maximum(energy.total_j - handed, 0.0)
    return Shares(prefill_j, decode_j, work_j, step_fixed_j, loaded_idle_j, left)


def portions(
    energy_j: FloatArray, whole: FloatArray, counts: IntArray, mine: FloatArray | None = None
) -> FloatArray:
    """Cut each row's energy by what its members have of a whole; where there is no whole nobody gets any.

    Parameters
    ----------
    energy_j, whole : arrays, shape (n,)
        [J]; tokens, units or heads.
    counts : array, shape (n,)
        Memberships of each row.
    mine : array, shape (m,), optional
        What each membership has of the whole; one head where absent.

    Returns
    -------
    array, shape (m,)
        [J]
    """
    if mine is None:
        return np.repeat(np.divide(energy_j, whole, out=np.zeros(len(energy_j)), where=whole > 0), counts)
    wholes = np.repeat(whole, counts)
    # The part first: energy over a whole that is next to nothing would overflow.
    part = np.divide(mine, wholes, out=np.zeros(len(mine)), where=wholes > 0)
    return part * np.repeat(energy_j, counts)
