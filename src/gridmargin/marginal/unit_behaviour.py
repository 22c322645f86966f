"""What each unit gives at a load, learned from its past: its usual answer, and how far it strayed from it of late.

Costs say who should run; contracts, outages, networks, reservoirs and bids say who does. Learned from dispatch that
came before alone.

Notes
-----
A unit's output is a quadratic of the load, fitted twice: once over the whole past (`usual`), once with the newest
hours weighing most (`recent`). What a unit does today, out for repair, holding its water, committed by contract, it
mostly does tomorrow and hardly in two weeks, so the prediction h days after the past ended is

    output = usual + 2^(−h ÷ fade) × (recent − usual)

With an endless fade it is the recent answer alone, with a short one the usual.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]

RIDGE_FRAC = 0.001
"""Penalty on the slopes, relative to the sum of weights, loads being scaled to one: of 0.001, 0.01 and 0.1 the best on
the last third of the training part."""

RECENT_HALF_LIVES_DAYS = (0.25, 0.5, 1.0, 2.0)
FADES_DAYS = (1.0, 2.0, 4.0, 8.0, float("inf"))
"""What `choose_memory` chooses among."""

N_ORIGINS = 6
"""From how many points of the past its own continuation is predicted to choose the memory."""

_DAY_S = 86_400
_MIN_INTERVALS = 10


@dataclass(frozen=True, slots=True)
class Memory:
    """How the newest hours count.

    Attributes
    ----------
    recent_half_life_days : float
        Age at which an interval counts half for the recent answer. [d]
    fade_days : float
        Time ahead at which half of what is special of late has gone; infinite for never. [d]
    """

    recent_half_life_days: float
    fade_days: float


@dataclass(frozen=True, slots=True)
class LearnedUnits:
    """The answers of each unit, and the most that it gave.

    Attributes
    ----------
    usual, recent : arrays, shape (3, u)
        Coefficients of 1, x and x², x = load ÷ `scale_mw`. [MW]
    scale_mw : float
    most_mw : array, shape (u,)
        Greatest output seen; predictions stay between nothing and it. [MW]
    fade_days : float
    """

    usual: FloatArray
    recent: FloatArray
    scale_mw: float
    most_mw: FloatArray
    fade_days: float


def learn_units(
    start_epoch_s: NDArray[np.int64], load_mw: FloatArray, output_mw: FloatArray, memory: Memory
) -> LearnedUnits:
    """Fit every unit's output on the load, over the whole past and over its newest hours.

    Parameters
    ----------
    start_epoch_s : array, shape (n,)
        Strictly increasing; gaps are allowed. [s since 1970 UTC]
    load_mw : array, shape (n,)
        What all units together had to serve; finite. [MW]
    output_mw : array, shape (n, u)
        NaN where not known: that interval is left out for that unit. [MW]

    Raises
    ------
    InputError
        If there are fewer than ten intervals.
    """
    n = len(load_mw)
    if n < _MIN_INTERVALS or output_mw.shape[0] != n or len(start_epoch_s) != n:
        raise InputError(
            f"unit response: {n} loads and {output_mw.shape[0]} dispatches, want ten or more of both"
        )
    scale = float(np.abs(load_mw).max()) or 1.0
    basis = _basis(load_mw, scale)
    age_days = (start_epoch_s[-1] - start_epoch_s) / _DAY_S
    known = np.isfinite(output_mw)
    given = np.where(known, output_mw, 0.0)
    usual, recent = (
        _ridge(basis, given, known * weight[:, None])
        for weight in (np.ones(n), 0.5 ** (age_days / memory.recent_half_life_days))
    )
    return LearnedUnits(usual, recent, scale, np.maximum(given.max(axis=0), 0.0), memory.fade_days)


def predict_units(learned: LearnedUnits, load_mw: FloatArray, lead_s: FloatArray) -> FloatArray:
    """Give each unit's output at each load; shape (n, u). [MW]

    Parameters
    ----------
    lead_s : array, shape (n,)
        How long after the newest interval that was learned from. [s]
    """
    kept = 0.5 ** (lead_s[:, None] / _DAY_S / learned.fade_days)
    basis = _basis(load_mw, learned.scale_mw)
    usual = basis @ learned.usual
    output = usual + kept * (basis @ learned.recent - usual)
    return np.asarray(np.clip(output, 0.0, learned.most_mw))


def choose_memory(
    start_epoch_s: NDArray[np.int64], load_mw: FloatArray, output_mw: FloatArray, ahead_s: float
) -> Memory:
    """Choose how the newest hours count, by predicting the past's own continuations: the least squared error.

    Parameters
    ----------
    start_epoch_s, load_mw, output_mw
        As in `learn_units`.
    ahead_s : float
        How far ahead will be predicted; a third of the past at most is tried. [s]

    Notes
    -----
    From each of six points of the past, spread over its last two thirds, units are learned on what came before the
    point and predicted for `ahead_s` after it.
    """
    first, last = float(start_epoch_s[0]), float(start_epoch_s[-1])
    ahead = min(ahead_s, (last - first) / 3)
    earliest = max(first + (last - first) / 3, last - N_ORIGINS * ahead)
    origins = np.unique(np.searchsorted(start_epoch_s, np.linspace(earliest, last - ahead, N_ORIGINS)))
    choices = [Memory(*pair) for pair in product(RECENT_HALF_LIVES_DAYS, FADES_DAYS)]
    squared, count = np.zeros(len(choices)), 0
    for at in origins.tolist():
        stop = int(np.searchsorted(start_epoch_s, start_epoch_s[at - 1] + ahead, side="right"))
        if at < _MIN_INTERVALS or stop <= at:
            continue
        lead = (start_epoch_s[at:stop] - start_epoch_s[at - 1]).astype(np.float64)
        count += 1
        for number, memory in enumerate(choices):
            if memory.fade_days == FADES_DAYS[0]:  # the fade changes no fit
                learned = learn_units(start_epoch_s[:at], load_mw[:at], output_mw[:at], memory)
            faded = replace(learned, fade_days=memory.fade_days)
            error = predict_units(faded, load_mw[at:stop], lead) - output_mw[at:stop]
            squared[number] += float(np.nanmean(error**2))
    if not count:
        raise InputError("unit response: too little of the past to choose how its newest hours count")
    return choices[int(np.argmin(squared))]


def _ridge(basis: FloatArray, output: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted ridge regression of every unit at once; weight (n, u), shape (3, u)."""
    products = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
    gram = (weight.T @ products).reshape(-1, 3, 3)
    right = (weight * output).T @ basis
    penalty = np.diag([1e-9, RIDGE_FRAC, RIDGE_FRAC]) * np.maximum(weight.sum(axis=0), 1e-9)[:, None, None]
    return np.asarray(np.linalg.solve(gram + penalty, right[:, :, None])[:, :, 0].T)


def _basis(load_mw: FloatArray, scale_mw: float) -> FloatArray:
    x = load_mw / scale_mw
    return np.column_stack([np.ones(len(x)), x, x**2])
