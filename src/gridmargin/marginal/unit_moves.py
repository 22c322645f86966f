"""Who moves when the load moves: how units shared past changes, given where each stood and how it was moving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]

SOFTNESS_FRACS = (0.1, 0.2, 0.4, 0.7, 1.0)
"""Headroom, as a share of capacity, from which a unit moves freely: what `choose_softness` chooses among."""

RIDGE_FRAC = 1e-3
"""Penalty relative to the trace of a unit's own covariances: of 1e-4 and 1e-3 neither was better on the training part."""

N_FOLDS = 3
_RUNNING_FRAC = 0.05  # below a twentieth of capacity a unit is not running
_MIN_MOVES = 48


@dataclass(frozen=True, slots=True)
class Moves:
    """Changes from one interval to the next, where both and the one before them are known; m of them.

    Attributes
    ----------
    row : array of int, shape (m,)
        Which interval each change ends in.
    before_mw, last_change_mw, change_mw : arrays, shape (m, u)
        Where each unit stood, how it had just moved, and how it moved. [MW]
    region_change_mw : array, shape (m, r)
        Change of each region's load. [MW]
    """

    row: NDArray[np.int64]
    before_mw: FloatArray
    last_change_mw: FloatArray
    change_mw: FloatArray
    region_change_mw: FloatArray

    @property
    def total_mw(self) -> FloatArray:
        """How all units together changed; shape (m,). [MW]"""
        return np.asarray(self.change_mw.sum(axis=1))

    def __getitem__(self, chosen: slice | NDArray[np.bool_]) -> Moves:
        return Moves(
            self.row[chosen],
            self.before_mw[chosen],
            self.last_change_mw[chosen],
            self.change_mw[chosen],
            self.region_change_mw[chosen],
        )

    def __len__(self) -> int:
        return len(self.row)


def moves_of(
    start_epoch_s: NDArray[np.int64], interval_s: int, output_mw: FloatArray, region_load_mw: FloatArray
) -> Moves:
    """Give every change that has two known intervals right before it; a gap is stepped over, never across.

    Parameters
    ----------
    output_mw : array, shape (n, u)
    region_load_mw : array, shape (n, r)
        Load less what is not dispatched, by region. [MW]
    """
    next_to = np.diff(start_epoch_s) == interval_s
    finite = np.logical_and.reduce(np.isfinite(np.hstack([output_mw, region_load_mw])), axis=1)
    row = 2 + np.flatnonzero(next_to[1:] & next_to[:-1] & finite[2:] & finite[1:-1] & finite[:-2])
    return Moves(
        row,
        output_mw[row - 1],
        output_mw[row - 1] - output_mw[row - 2],
        output_mw[row] - output_mw[row - 1],
        region_load_mw[row] - region_load_mw[row - 1],
    )


@dataclass(frozen=True, slots=True)
class LearnedMoves:
    """Who moves when the load moves.

    Attributes
    ----------
    share : array, shape (u,)
        Of a unit that is free to move, per megawatt of change. [1]
    slope : array, shape (2 (r + 1) + 1, u)
        By region's change of load and by the change of all: times the unit's freedom, and where it runs at all; then
        by its own last change. [1]
    most_mw, least_mw : arrays, shape (u,)
        Between which a running unit moves. [MW]
    capacity_mw, ramp_mw : arrays, shape (u,)
        Capacity, and most change within an interval, NaN where not known. [MW]
    softness_frac : float
    """

    share: FloatArray
    slope: FloatArray
    most_mw: FloatArray
    least_mw: FloatArray
    capacity_mw: FloatArray
    ramp_mw: FloatArray
    softness_frac: float


def learn_moves(
    moves: Moves, capacity_mw: FloatArray, ramp_mw: FloatArray, softness_frac: float
) -> LearnedMoves:
    """Learn how units shared past changes.

    Parameters
    ----------
    capacity_mw, ramp_mw : arrays, shape (u,)
        Capacity; most change within one interval, NaN where not known. [MW]
    softness_frac : float
        A unit nearer to its top or bottom than this share of its capacity moves the less, the nearer it is.

    Raises
    ------
    InputError
        If there are fewer than 48 changes.
    """
    if len(moves) < _MIN_MOVES:
        raise InputError(f"unit moves: {len(moves)} changes to learn from, want {_MIN_MOVES} or more")
    after = moves.before_mw + moves.change_mw
    running = np.where(after > _RUNNING_FRAC * capacity_mw, after, np.nan)
    ran = np.isfinite(running).any(axis=0)
    least = np.zeros(len(capacity_mw))
    least[ran] = np.nanquantile(running[:, ran], 0.02, axis=0)
    n_slopes = 2 * (moves.region_change_mw.shape[1] + 1) + 1
    learned = LearnedMoves(
        np.zeros(len(capacity_mw)),
        np.zeros((n_slopes, len(capacity_mw))),
        np.quantile(after, 0.99, axis=0),
        least,
        capacity_mw,
        ramp_mw,
        softness_frac,
    )
    free, drive = _drive(learned, moves)
    pushed = free * moves.total_mw[:, None]
    top, bottom = (moves.change_mw * pushed).sum(axis=0), (pushed**2).sum(axis=0)
    share = np.where(bottom > 0, np.clip(top, 0.0, None) / np.maximum(bottom, 1e-9), 0.0)
    by_unit = drive.transpose(2, 0, 1)
    gram = by_unit.transpose(0, 2, 1) @ by_unit
    penalty = RIDGE_FRAC * np.trace(gram, axis1=1, axis2=2) + 1e-6
    right = by_unit.transpose(0, 2, 1) @ moves.change_mw.T[:, :, None]
    slope = np.linalg.solve(gram + penalty[:, None, None] * np.eye(n_slopes), right)[:, :, 0].T
    return LearnedMoves(share, slope, learned.most_mw, least, capacity_mw, ramp_mw, softness_frac)


def predict_moves(learned: LearnedMoves, moves: Moves) -> FloatArray:
    """Give each unit's change, given where it stood and how all together changed; shape (m, u). [MW]

    The units' own `change_mw` is read for its total alone.

    Notes
    -----
    A unit at its usual top cannot rise, one at its usual bottom cannot fall, one that stands still does neither; a
    change within its ramp at most. What regional changes and the units' own motion leave over is shared by the units
    that are free, so that the answer sums to the total where any is.
    """
    free, drive = _drive(learned, moves)
    moved = np.einsum("npu,pu->nu", drive, learned.slope)
    ramp = np.where(np.isfinite(learned.ramp_mw), learned.ramp_mw, np.inf)
    moved = np.clip(moved, -ramp, ramp)
    weight = learned.share * free
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    left = moves.total_mw - moved.sum(axis=1)
    return np.asarray(moved + weight * left[:, None])


def choose_softness(
    moves: Moves, capacity_mw: FloatArray, ramp_mw: FloatArray, factor_t_per_mwh: FloatArray
) -> float:
    """Choose the softness on the past alone: the least error of the change of CO2, each third from what preceded it.

    Notes
    -----
    The last third, and the third that begins halfway and at a third, each predicted by what came before it; the mean
    of the absolute errors decides.
    """
    n = len(moves)
    origins = [max(n * part // 6, _MIN_MOVES) for part in (2, 3, 4)]
    errors = []
    for softness in SOFTNESS_FRACS:
        missed = []
        for at in origins:
            past, coming = moves[:at], moves[at : at + n // N_FOLDS]
            if not len(coming):
                continue
            moved = predict_moves(learn_moves(past, capacity_mw, ramp_mw, softness), coming)
            missed.append(float(np.abs((moved - coming.change_mw) @ factor_t_per_mwh).mean()))
        errors.append(float(np.mean(missed)) if missed else 0.0)
    return SOFTNESS_FRACS[int(np.argmin(errors))]


def _drive(learned: LearnedMoves, moves: Moves) -> tuple[FloatArray, FloatArray]:
    """Give each unit's freedom, shape (m, u), and what drives it, shape (m, p, u)."""
    capacity, total = learned.capacity_mw, moves.total_mw
    soft = np.maximum(learned.softness_frac * capacity, 1e-9)
    up = np.clip((learned.most_mw - moves.before_mw) / soft, 0.0, 1.0)
    down = np.clip((moves.before_mw - learned.least_mw) / soft, 0.0, 1.0)
    running = (moves.before_mw > _RUNNING_FRAC * capacity).astype(np.float64)
    free = np.where(total[:, None] > 0, up, down) * running
    change = np.column_stack([moves.region_change_mw, total])[:, :, None]
    own = (moves.last_change_mw * running)[:, None, :]
    return free, np.concatenate([change * free[:, None, :], change * running[:, None, :], own], axis=1)
