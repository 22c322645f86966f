"""A board's reading split among the instances on it: the parts of a partitioned GPU, or the users of a time-sliced one.

No instrument sees an instance. What the board draws at rest goes by the share of the board that an instance holds, what
it draws above that by what the instance's steps are modelled to cost; how far other splits that could be defended differ
from that is the range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.engines import Steps
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ROUNDING = 1e-9
"""By how much shares of one board may exceed it. [1]"""


@dataclass(frozen=True, slots=True)
class Instance:
    """A part of a board.

    Attributes
    ----------
    name : str
        As the engine's steps name it: the board's name, `/`, its own, such as `GPU-0/MIG-1`.
    compute_frac, memory_frac : float
        What it holds of the board's multiprocessors and of its memory, as the maker's table of profiles states; of a
        time-sliced board its share of the time. [1]
    """

    name: str
    compute_frac: float
    memory_frac: float

    def __post_init__(self) -> None:
        if not all(self.name.rpartition("/")[::2]):
            raise InputError(f"instance {self.name!r} names no board; write it as GPU-0/MIG-1")
        for frac in (self.compute_frac, self.memory_frac):
            if not 0 < frac <= 1:
                raise InputError(
                    f"instance {self.name} holds {frac:g} of its board; give a share above 0, up to 1"
                )

    @property
    def board(self) -> str:
        """Name of the board."""
        return self.name.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class BoardSplit:
    """What each of k instances drew of a board's m readings.

    Attributes
    ----------
    low_j, mid_j, high_j : arrays, shape (k, m)
        Least and most of the splits that could be defended, and the one that is used. [J]
    unattributed_j : array, shape (m,)
        Idle of what no instance holds, and what the board drew above idle while no instance took a step. [J]
    """

    low_j: FloatArray
    mid_j: FloatArray
    high_j: FloatArray
    unattributed_j: FloatArray

    def relative(self) -> tuple[float, float]:
        """Give the widest half-widths of any instance over all readings, low and high. [1]"""
        low, mid, high = (j.sum(axis=1) for j in (self.low_j, self.mid_j, self.high_j))
        seen = mid > 0
        if not seen.any():
            return 0.0, 0.0
        return float(((mid - low)[seen] / mid[seen]).max()), float(((high - mid)[seen] / mid[seen]).max())


def refuse_overfull(instances: Sequence[Instance]) -> None:
    """Raise `InputError` where an instance stands twice, or those of a board hold more than all of it."""
    names = [one.name for one in instances]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"instance {twice} stands twice; say its share once")
    for board in dict.fromkeys(one.board for one in instances):
        for what in ("compute", "memory"):
            held = sum(getattr(one, f"{what}_frac") for one in instances if one.board == board)
            if held > 1 + ROUNDING:
                raise InputError(
                    f"the instances of {board} hold {held:.4g} of its {what} together; correct their shares"
                )


def split_board(
    energy_j: FloatArray,
    idle_j: FloatArray,
    dynamic_j: FloatArray,
    busy_s: FloatArray,
    instances: Sequence[Instance],
) -> BoardSplit:
    """Split each of m readings among k instances of one board.

    Parameters
    ----------
    energy_j : array, shape (m,)
        What the board drew. [J]
    idle_j : array, shape (m,)
        What it would have drawn at rest; the reading where that is less. [J]
    dynamic_j : array, shape (k, m)
        What each instance's steps are modelled to cost above idle; only proportions matter. [J]
    busy_s : array, shape (k, m)
        How long each took steps. [s]
    instances : sequence of Instance
        In the order of the rows.

    Returns
    -------
    BoardSplit
        Of every reading Σ mid + unattributed = energy, to 1e-9 of it.

    Notes
    -----
    Used: idle by the share of the compute, the rest by modelled energy. Beside it, for the range: idle by the share of
    the memory, the rest by the time in steps times the share of the compute, and both. The range spans these four; it
    is no quantile of any error that was measured.

    References
    ----------
    T. Vamja, K. Ray, F. George, U. Devi, On the Partitioning of GPU Power among Multi-Instances, 2025,
    arXiv:2501.17752: no model made off line held for all of their loads; they too scale models to the board's reading.
    """
    rest_at_j = np.minimum(idle_j, energy_j)
    compute, memory = (
        np.array([getattr(one, f"{what}_frac") for one in instances])[:, None]
        for what in ("compute", "memory")
    )
    by_time = _parts(compute * busy_s)
    modelled = np.where(dynamic_j.sum(axis=0) > 0, _parts(dynamic_j), by_time)
    above_j = energy_j - rest_at_j
    splits = [
        share * rest_at_j + part * above_j for share in (compute, memory) for part in (modelled, by_time)
    ]
    mid_j = splits[0]
    return BoardSplit(
        low_j=np.min(splits, axis=0),
        mid_j=mid_j,
        high_j=np.max(splits, axis=0),
        unattributed_j=np.maximum(energy_j - mid_j.sum(axis=0), 0.0),
    )


def busy_s(steps: Steps, start_us: IntArray, end_us: IntArray) -> FloatArray:
    """Give how much of each window the steps of one group took, shape (m,). [s]"""
    if not len(steps):
        return np.zeros(len(start_us))
    edges = np.column_stack([steps.start_us, steps.end_us]).ravel()
    before_s = np.cumsum(steps.duration_s)
    at_edges = np.column_stack([before_s - steps.duration_s, before_s]).ravel()
    found: FloatArray = np.interp(end_us, edges, at_edges) - np.interp(start_us, edges, at_edges)
    return found


def _parts(values: FloatArray) -> FloatArray:
    """Give what each row is of the whole of a column; 0 where there is no whole."""
    whole = values.sum(axis=0)
    found: FloatArray = np.divide(values, whole, out=np.zeros_like(values), where=whole > 0)
    return found
