"""Modifiers: what changes the margin after an estimator has spoken, each switchable and on record.

A modifier takes some intervals and puts a further source beside the ones that are there: with share s, the sources
before keep 1 − s of their probability. What it did, where and why stands in `Applied`; the switch set stands in the
parameters of the fit, in the estimator's name and in the regime of each changed interval. Switched off, estimates are
the same object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.estimator import Fit
from gridmargin.vocab import InputError, generation_column

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Change:
    """What a modifier wants in one call; arrays of equal length m, one an interval that it changes.

    Attributes
    ----------
    row : array of int64
        Rows of the estimates, increasing.
    source : str
        Name of the source it puts in.
    share : array
        Its probability; 0 changes nothing but the range. [1]
    low, mid, high : arrays
        Its factor and range. [g kWh⁻¹]
    """

    row: IntArray
    source: str
    share: FloatArray
    low: FloatArray
    mid: FloatArray
    high: FloatArray


class Modifier(Protocol):
    """One thing that changes the margin: pure, and it sees no state later than the interval it changes.

    Attributes
    ----------
    name, version : str
        As on the record; what moves numbers moves the version.
    """

    @property
    def name(self) -> str:
        """Give the name on the record."""
        ...

    @property
    def version(self) -> str:
        """Give the version on the record."""
        ...

    def parameters(self) -> dict[str, Any]:
        """Give all that decides what it does, as plain JSON."""
        ...

    def changes(self, estimates: Estimates, states: GridStates) -> tuple[list[Change], str]:
        """Give what it changes, source by source, and why in one sentence."""
        ...


@dataclass(frozen=True, slots=True)
class Applied:
    """What one modifier did.

    Attributes
    ----------
    name, version, parameters
        Of the modifier.
    n_changed : int
        Intervals that it changed.
    start_epoch_s : array of int64
        Their starts. [s since 1970 UTC]
    why : str
        The rule, in one sentence.
    """

    name: str
    version: str
    parameters: dict[str, Any]
    n_changed: int
    start_epoch_s: IntArray
    why: str


@dataclass(frozen=True, slots=True)
class Modified:
    """Estimates after the modifiers, the fit that names them, and what each did."""

    estimates: Estimates
    fit: Fit
    applied: tuple[Applied, ...]


def modify(estimates: Estimates, states: GridStates, fit: Fit, modifiers: Sequence[Modifier]) -> Modified:
    """Apply modifiers in the order given.

    Parameters
    ----------
    estimates : Estimates
        Of the fit, for intervals among the states.
    states : GridStates
        May reach further back than the estimates: moving shares and running limits look back.
    fit : Fit
        That gave the estimates.
    modifiers : sequence of Modifier
        The switch set; empty gives everything back as it was.

    Returns
    -------
    Modified
        With a fit whose parameters hold `modifiers`, and estimates under that fit's id and the estimator's name
        with the modifiers' added, so that the ledger keeps them beside the unmodified ones.

    Raises
    ------
    InputError
        If a modifier is given twice, or estimates and states are not of one zone and grid.
    """
    if not modifiers:
        return Modified(estimates, fit, ())
    names = [modifier.name for modifier in modifiers]
    if len(set(names)) != len(names):
        raise InputError(f"modifiers {', '.join(names)}: one is given twice")
    if (estimates.zone, estimates.interval_s) != (states.zone, states.interval_s):
        raise InputError(
            f"estimates of {estimates.zone} each {estimates.interval_s} s and states of {states.zone} each"
            f" {states.interval_s} s: a modifier needs the same zone and grid"
        )
    applied = []
    for modifier in modifiers:
        changes, why = modifier.changes(estimates, states)
        touched = np.unique(np.concatenate([change.row for change in changes] or [np.empty(0, np.int64)]))
        for change in changes:
            estimates = mixed_in(estimates, change)
        estimates = _labelled(estimates, touched, modifier.name)
        applied.append(
            Applied(
                modifier.name,
                modifier.version,
                modifier.parameters(),
                len(touched),
                estimates.start_epoch_s[touched],
                why,
            )
        )
    switches = [{"name": a.name, "version": a.version, "parameters": a.parameters} for a in applied]
    new_fit = replace(
        fit,
        estimator="+".join([fit.estimator, *names]),
        parameters={**fit.parameters, "modifiers": switches},
    )
    return Modified(
        replace(estimates, estimator=new_fit.estimator, fit_id=new_fit.fit_id), new_fit, tuple(applied)
    )


def mixed_in(estimates: Estimates, change: Change) -> Estimates:
    """Put a source beside those of some intervals; all other intervals stay bit for bit.

    Notes
    -----
    ``p_k ← (1 − s) p_k``, ``p_new = s``; the ends of the ranges mix like the middles, as if both erred together (C6).
    A share of 0 takes the wider of the two ranges.
    """
    row, share = change.row, change.share
    if not len(row):
        return estimates
    n, k = estimates.source_probability.shape
    place = estimates.source_names.index(change.source) if change.source in estimates.source_names else k
    if place < k and (estimates.source_probability[row, place] > 0).any():
        raise InputError(f"source {change.source} is there already; a modifier's source needs its own name")
    names = estimates.source_names if place < k else (*estimates.source_names, change.source)
    probability, factor = np.zeros((n, len(names))), np.zeros((n, len(names)))
    probability[:, :k], factor[:, :k] = estimates.source_probability, estimates.source_factor
    probability[row] *= (1.0 - share)[:, None]
    probability[row, place] = share
    factor[row, place] = change.mid
    low, mid, high = estimates.low.copy(), estimates.mid.copy(), estimates.high.copy()
    mixes = share > 0
    mid[row[mixes]] = np.einsum("mk,mk->m", probability[row[mixes]], factor[row[mixes]])
    low[row] = np.where(mixes, (1 - share) * low[row] + share * change.low, np.minimum(low[row], change.low))
    high[row] = np.where(
        mixes, (1 - share) * high[row] + share * change.high, np.maximum(high[row], change.high)
    )
    low[row], high[row] = np.minimum(low[row], mid[row]), np.maximum(high[row], mid[row])
    return replace(
        estimates,
        low=low,
        mid=mid,
        high=high,
        source_names=names,
        source_probability=probability,
        source_factor=factor,
    )


def in_turn(shares: list[FloatArray]) -> list[FloatArray]:
    """Give what to ask for one after another so that, of shares that sum to at most 1, each ends with its own.

    Notes
    -----
    A later source thins out the earlier: ``part_j = s_j ÷ (1 − Σ_{l>j} s_l)``.
    """
    parts: list[FloatArray] = []
    later = np.zeros_like(shares[0]) if shares else np.zeros(0)
    for share in reversed(shares):
        rest = 1.0 - later
        parts.append(np.divide(share, rest, out=np.ones_like(share), where=rest > 0).clip(0.0, 1.0))
        later = later + share
    return parts[::-1]


def state_rows(estimates: Estimates, states: GridStates) -> IntArray:
    """Give the row of each estimate's state.

    Raises
    ------
    InputError
        If an estimate has no state.
    """
    start_s = states.start_epoch_s()
    row = np.searchsorted(start_s, estimates.start_epoch_s)
    if len(row) and (row.max() >= len(start_s) or (start_s[row] != estimates.start_epoch_s).any()):
        raise InputError(
            f"estimates of {estimates.zone}: some have no state; give the states they were made for"
        )
    return row.astype(np.int64)


def moving_share(states: GridStates, flow_mw: FloatArray, window_s: int) -> FloatArray:
    """Give how much of all movement a flow made up over the last while, the interval itself included; shape (n,).

    Parameters
    ----------
    flow_mw : array, shape (n,)
        Of a store or over a tie, counted among the movements if the states list it. [MW]
    window_s : int
        How far it looks back; it never looks ahead. [s]

    Notes
    -----
    ``Σ |Δflow| ÷ (Σ_f |ΔG_f| + Σ_z |Δimports_z|)``, sums over the window; 0 where nothing moved.
    """
    columns = [generation_column(fuel) for fuel in states.fuels]
    columns += [name for name in states.frame.columns if name.startswith("imports_from_")]
    every = np.sum([_moves(states.values(column)) for column in columns] or [np.zeros(len(states))], axis=0)
    start_s = states.start_epoch_s()
    first = np.searchsorted(start_s, start_s - window_s, side="right")
    mine, all_of_it = trailing_sum(_moves(flow_mw), first), trailing_sum(every, first)
    return np.divide(mine, all_of_it, out=np.zeros(len(states)), where=all_of_it > 0).clip(0.0, 1.0)


def trailing_sum(values: FloatArray, first: IntArray) -> FloatArray:
    """Give the sum from row `first` of each up to and with the row itself; shape (n,)."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(total[1:] - total[first], dtype=np.float64)


def _moves(values: FloatArray) -> FloatArray:
    moves = np.zeros(len(values))
    moves[1:] = np.abs(np.diff(values))
    return np.nan_to_num(moves, nan=0.0)


def _labelled(estimates: Estimates, row: IntArray, name: str) -> Estimates:
    if not len(row):
        return estimates
    regime = estimates.regime.astype(object)
    regime[row] = [f"{label}+{name}" for label in regime[row]]
    return replace(estimates, regime=regime.astype(np.str_))
