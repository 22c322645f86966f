"""Energy of each row of `Steps`, scaled so that every window of a meter sums to what the meter said (C4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.attribution.step_cost import CONTEXT, IDLE, StepCost, refuse_several_groups, row_terms
from gridmargin.engines import Steps
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MeteredSteps:
    """What n rows of `Steps` and m windows of a meter come to, together.

    Attributes
    ----------
    fixed_j, prefill_j, decode_j, work_j, loaded_idle_j : arrays, shape (n,)
        Of a row, so much as the meter saw; NaN where it was silent all through the row. Attention is in `decode_j`.
        [J]
    metered_s : array, shape (n,)
        How long of the row the meter saw. [s]
    unattributed_j : array, shape (m,)
        Of a window: what it drew while there was no step; NaN where the meter was silent. [J]
    scale : array, shape (m,)
        What the meter said ÷ what the cost said; NaN where either is nothing. [1]
    """

    fixed_j: FloatArray
    prefill_j: FloatArray
    decode_j: FloatArray
    work_j: FloatArray
    loaded_idle_j: FloatArray
    metered_s: FloatArray
    unattributed_j: FloatArray
    scale: FloatArray

    @property
    def row_j(self) -> FloatArray:
        """All of a row, shape (n,). [J]"""
        return self.fixed_j + self.prefill_j + self.decode_j + self.work_j + self.loaded_idle_j


def metered(
    steps: Steps, cost: StepCost, start_us: IntArray, end_us: IntArray, energy_j: FloatArray
) -> MeteredSteps:
    """Split what a meter counted, window by window, among the rows that ran in it.

    Parameters
    ----------
    steps : Steps
        Of one group.
    cost : StepCost
        Only its proportions matter where the meter speaks.
    start_us, end_us : arrays of int64, shape (m,)
        Windows of the meter on the engine's clock, in order, none over another; gaps may lie between.
        [µs since 1970 UTC]
    energy_j : array, shape (m,)
        What the counter grew by; NaN where the meter was silent. [J]

    Raises
    ------
    InputError
        If windows overlap or are out of order, energy is negative, or the steps are of several groups.

    Notes
    -----
    A row is spread evenly over its time and cut at the windows' edges. Time of a window without a step counts with
    idle power, and its share is what stays unattributed. Where the cost gives nothing at all for a window, all of it
    stays unattributed. Σ rows + Σ unattributed = Σ energy, to 1e-9 of it.
    """
    refuse_several_groups(steps)
    _refuse_windows(start_us, end_us, energy_j)
    n, m = len(steps), len(start_us)
    first = steps.start_us
    last = np.maximum(steps.end_us, first + 1)  # what takes no time is an instant of one microsecond
    row, window, overlap_s = _pieces(first, last, start_us, end_us)
    said = np.isfinite(energy_j[window])
    row, window, overlap_s = row[said], window[said], overlap_s[said]
    terms = row_terms(steps)
    terms[:, CONTEXT] = np.nan_to_num(terms[:, CONTEXT])
    terms[:, IDLE] = (last - first) / 1e6
    part = terms * cost.coefficients  # (n, 6), J of a whole row
    share = overlap_s / terms[row, IDLE]
    piece = part[row] * share[:, None]
    stepped_s = _sums(window, overlap_s, m)
    between_j = cost.coefficients[IDLE] * np.maximum((end_us - start_us) / 1e6 - stepped_s, 0.0)
    predicted = _sums(window, piece.sum(axis=1), m) + between_j
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(predicted > 0, energy_j / predicted, np.nan)
    piece *= np.nan_to_num(scale)[window, None]
    metered_s = _sums(row, overlap_s, n)
    parts = np.stack([_sums(row, piece[:, k], n) for k in range(piece.shape[1])])
    parts[:, metered_s == 0.0] = np.nan
    idle, fixed, prefill, decode, context, work = parts
    return MeteredSteps(
        fixed_j=fixed,
        prefill_j=prefill,
        decode_j=decode + context,
        work_j=work,
        loaded_idle_j=idle,
        metered_s=metered_s,
        unattributed_j=np.where(np.isnan(scale), energy_j, between_j * np.nan_to_num(scale)),
        scale=scale,
    )


def _sums(place: IntArray, value: FloatArray, n: int) -> FloatArray:
    # Of nothing at all NumPy makes integers.
    return np.bincount(place, value, n).astype(np.float64)


def _pieces(
    first: IntArray, last: IntArray, start_us: IntArray, end_us: IntArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Cut rows at windows: row, window and length in seconds of each piece that both cover."""
    edges = np.unique(np.concatenate([first, last, start_us, end_us]))
    left, length_s = edges[:-1], np.diff(edges) / 1e6
    row = np.searchsorted(first, left, side="right") - 1
    window = np.searchsorted(start_us, left, side="right") - 1
    both = (row >= 0) & (window >= 0)
    row, window, left, length_s = row[both], window[both], left[both], length_s[both]
    covered = (left < last[row]) & (left < end_us[window])
    return row[covered], window[covered], length_s[covered]


def _refuse_windows(start_us: IntArray, end_us: IntArray, energy_j: FloatArray) -> None:
    backwards = np.flatnonzero(end_us <= start_us)
    if len(backwards):
        raise InputError(f"meter window {backwards[0]} does not end after it starts; correct its times")
    over = np.flatnonzero(start_us[1:] < end_us[:-1])
    if len(over):
        raise InputError(
            f"meter windows {over[0]} and {over[0] + 1} overlap or are out of order; give a counter's windows one after"
            " the other"
        )
    negative = np.flatnonzero(energy_j < 0)
    if len(negative):
        raise InputError(
            f"meter window {negative[0]}: {energy_j[negative[0]]:g} J is no energy; a counter that fell was reset, and"
            " says nothing there: give NaN"
        )
