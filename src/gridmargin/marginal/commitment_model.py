"""The unit-commitment problem as sparse matrices, in the tight form of the literature.

Knueven, Ostrowski and Watson 2020, doi:10.1287/ijoc.2019.0944, collects the parts: three binaries an hour (Garver
1962), the minimum up and down facets of Rajan and Takriti 2005, output under the start and stop limits of Gentile,
Morales-España and Ramos 2017, and pieces of the cost curve that start and stop with the unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from gridmargin.grid import CommitmentCase, CommitmentSchedule

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CommitmentModel:
    """Minimise cost @ x with row_low <= rows @ x <= row_high and low <= x <= high.

    Attributes
    ----------
    on, started, stopped : int array, shape (u, t)
        Columns of the binaries.
    above, reserve : int array, shape (u, t)
        Columns of output above the minimum and reserve. [MW]
    renewable : int array, shape (t,)
        Columns of free power. [MW]
    """

    cost: FloatArray
    low: FloatArray
    high: FloatArray
    rows: csr_array  # balance of each hour first, then reserve of each hour, then what ties no two units
    row_low: FloatArray
    row_high: FloatArray
    on: IntArray
    started: IntArray
    stopped: IntArray
    above: IntArray
    reserve: IntArray
    renewable: IntArray


class _Rows:
    """Collects rows of a sparse matrix, a family at a time."""

    def __init__(self) -> None:
        self.n = 0
        self._parts: list[tuple[IntArray, IntArray, FloatArray]] = []
        self.low: list[FloatArray] = []
        self.high: list[FloatArray] = []

    def add(self, n: int, low: object, high: object) -> IntArray:
        """Add n rows with these bounds; gives their numbers."""
        self.low.append(np.broadcast_to(np.asarray(low, dtype=float), (n,)))
        self.high.append(np.broadcast_to(np.asarray(high, dtype=float), (n,)))
        self.n += n
        return np.arange(self.n - n, self.n)

    def put(self, rows: IntArray, columns: IntArray, value: object) -> None:
        """Put values where rows and columns meet."""
        at = np.broadcast_arrays(rows, columns, np.asarray(value, dtype=float))
        row, column, figure = (part.ravel() for part in at)
        keep = figure != 0
        self._parts.append((row[keep], column[keep], figure[keep]))

    def matrix(self, n_columns: int) -> csr_array:
        """Give all rows."""
        row, column, figure = (np.concatenate([part[i] for part in self._parts]) for i in range(3))
        return csr_array(coo_array((figure, (row, column)), shape=(self.n, n_columns)))


def commitment_model(case: CommitmentCase) -> CommitmentModel:
    """Give the matrices of a case."""
    u, t = case.n_units, case.n_hours
    shape = (u, t)
    on, started, stopped, above, reserve = np.arange(5 * u * t).reshape(5, u, t)
    renewable = 5 * u * t + np.arange(t)
    n = 5 * u * t + t
    unit_k, piece = np.nonzero(case.segment_mw > 0)
    pieces = n + np.arange(len(unit_k) * t).reshape(-1, t)
    n += pieces.size
    # The last step prices every start; earlier steps are discounts that a short stop entitles to.
    full = case.start_cost[:, -1]
    unit_s, step = np.nonzero(case.start_cost[:, :-1] < full[:, None])
    discounts = n + np.arange(len(unit_s) * t).reshape(-1, t)
    n += discounts.size

    cost, low, high = np.zeros(n), np.zeros(n), np.ones(n)
    cost[on] = case.minimum_cost_per_h[:, None]
    cost[started] = full[:, None]
    cost[pieces] = case.segment_cost_per_mwh[unit_k, piece][:, None]
    cost[discounts] = (case.start_cost[unit_s, step] - full[unit_s])[:, None]
    span = case.maximum_mw - case.minimum_mw
    high[above] = high[reserve] = span[:, None]
    high[pieces] = case.segment_mw[unit_k, piece][:, None]
    low[renewable], high[renewable] = case.renewable_minimum_mw, case.renewable_maximum_mw
    _hold_first_state(case, on, low, high)

    rows = _Rows()
    balance = rows.add(t, case.demand_mw, case.demand_mw)
    rows.put(balance, above, 1.0)
    rows.put(balance, on, case.minimum_mw[:, None])
    rows.put(balance, renewable, 1.0)
    rows.put(rows.add(t, case.reserve_mw, np.inf), reserve, 1.0)
    _switching(case, rows, on, started, stopped)
    _limits(case, rows, on, started, stopped, above, reserve)
    _ramps(case, rows, above, reserve)
    make = rows.add(u * t, 0.0, 0.0).reshape(shape)
    rows.put(make, above, 1.0)
    rows.put(make[unit_k], pieces, -1.0)
    _pieces(case, rows, unit_k, piece, pieces, on, started, stopped)
    _discounts(case, rows, unit_s, step, discounts, started, stopped)
    return CommitmentModel(
        cost,
        low,
        high,
        rows.matrix(n),
        np.concatenate(rows.low),
        np.concatenate(rows.high),
        on,
        started,
        stopped,
        above,
        reserve,
        renewable,
    )


def schedule_of(case: CommitmentCase, model: CommitmentModel, x: FloatArray) -> CommitmentSchedule:
    """Give the schedule that a solution stands for."""
    on = x[model.on] > 0.5
    power = np.where(on, x[model.above] + case.minimum_mw[:, None], 0.0)
    return CommitmentSchedule(on, power, np.where(on, x[model.reserve], 0.0), x[model.renewable])


def _hold_first_state(case: CommitmentCase, on: IntArray, low: FloatArray, high: FloatArray) -> None:
    least = np.where(case.is_on_before, case.minimum_up_h, case.minimum_down_h) - case.hours_before
    held = np.arange(on.shape[1]) < least[:, None]
    low[on[held & case.is_on_before[:, None]]] = 1.0
    high[on[held & ~case.is_on_before[:, None]]] = 0.0
    low[on[case.is_must_run]] = 1.0


def _switching(case: CommitmentCase, rows: _Rows, on: IntArray, started: IntArray, stopped: IntArray) -> None:
    u, t = on.shape
    before = np.zeros((u, t))
    before[:, 0] = case.is_on_before
    change = rows.add(u * t, before.ravel(), before.ravel()).reshape(u, t)
    rows.put(change, on, 1.0)
    rows.put(change[:, 1:], on[:, :-1], -1.0)
    rows.put(change, started, -1.0)
    rows.put(change, stopped, 1.0)
    up = rows.add(u * t, -np.inf, 0.0).reshape(u, t)
    rows.put(up, on, -1.0)
    _windows(rows, up, started, np.zeros(u, dtype=np.int64), np.minimum(case.minimum_up_h, t))
    down = rows.add(u * t, -np.inf, 1.0).reshape(u, t)
    rows.put(down, on, 1.0)
    _windows(rows, down, stopped, np.zeros(u, dtype=np.int64), np.minimum(case.minimum_down_h, t))


def _windows(
    rows: _Rows, at: IntArray, columns: IntArray, first: IntArray, end: IntArray, value: float = 1.0
) -> None:
    """Put `value` on the column of hour h - i for every i from first to end, end left out."""
    t = columns.shape[1]
    for back in range(int(first.min(initial=0)), min(int(end.max(initial=0)), t)):
        which = np.nonzero((first <= back) & (back < end))[0]
        rows.put(at[which, back:], columns[which, : t - back], value)


def _limits(
    case: CommitmentCase,
    rows: _Rows,
    on: IntArray,
    started: IntArray,
    stopped: IntArray,
    above: IntArray,
    reserve: IntArray,
) -> None:
    u, t = on.shape
    span = case.maximum_mw - case.minimum_mw
    lost_start = np.maximum(case.maximum_mw - case.startup_limit_mw, 0.0)
    lost_stop = np.maximum(case.maximum_mw - case.shutdown_limit_mw, 0.0)
    # One hour cannot be the first and the last of a run that lasts two: one row serves both limits.
    both = case.minimum_up_h > 1
    for which, start_mw, stop_mw in (
        (np.arange(u), lost_start, np.where(both, lost_stop, 0.0)),
        (np.nonzero(~both & (lost_stop > 0))[0], np.zeros(u), lost_stop),
    ):
        at = rows.add(len(which) * t, -np.inf, 0.0).reshape(-1, t)
        rows.put(at, above[which], 1.0)
        rows.put(at, reserve[which], 1.0)
        rows.put(at, on[which], -span[which, None])
        rows.put(at, started[which], start_mw[which, None])
        rows.put(at[:, :-1], stopped[which, 1:], stop_mw[which, None])
    before = case.power_before_mw - case.minimum_mw
    runs = np.nonzero(case.is_on_before)[0]
    first = rows.add(len(runs), -np.inf, span[runs] - before[runs])
    rows.put(first, stopped[runs, 0], lost_stop[runs])


def _ramps(case: CommitmentCase, rows: _Rows, above: IntArray, reserve: IntArray) -> None:
    span = case.maximum_mw - case.minimum_mw
    before = np.where(case.is_on_before, case.power_before_mw - case.minimum_mw, 0.0)
    for is_up, ramp in ((True, case.ramp_up_mw_per_h), (False, case.ramp_down_mw_per_h)):
        which = np.nonzero(ramp < span)[0]  # others cannot bind
        sign = 1.0 if is_up else -1.0
        limit = np.repeat(ramp[which][:, None], above.shape[1], axis=1)
        limit[:, 0] += sign * before[which]
        at = rows.add(limit.size, -np.inf, limit.ravel()).reshape(limit.shape)
        rows.put(at, above[which], sign)
        rows.put(at[:, 1:], above[which, :-1], -sign)
        if is_up:
            rows.put(at, reserve[which], 1.0)


def _pieces(
    case: CommitmentCase,
    rows: _Rows,
    unit: IntArray,
    piece: IntArray,
    pieces: IntArray,
    on: IntArray,
    started: IntArray,
    stopped: IntArray,
) -> None:
    width = case.segment_mw[unit, piece]
    end = case.minimum_mw[unit] + np.cumsum(case.segment_mw, axis=1)[unit, piece]
    both = case.minimum_up_h[unit] > 1
    at = rows.add(pieces.size, -np.inf, 0.0).reshape(pieces.shape)
    rows.put(at, pieces, 1.0)
    rows.put(at, on[unit], -width[:, None])
    lost_start = np.clip(end - case.startup_limit_mw[unit], 0.0, width)
    lost_stop = np.where(both, np.clip(end - case.shutdown_limit_mw[unit], 0.0, width), 0.0)
    rows.put(at, started[unit], lost_start[:, None])
    rows.put(at[:, :-1], stopped[unit, 1:], lost_stop[:, None])


def _discounts(
    case: CommitmentCase,
    rows: _Rows,
    unit: IntArray,
    step: IntArray,
    discounts: IntArray,
    started: IntArray,
    stopped: IntArray,
) -> None:
    t = discounts.shape[1]
    first = np.where(step == 0, 1, case.start_lag_h[unit, step])
    end = case.start_lag_h[unit, step + 1]
    # A unit that was off before the first hour has its stop there.
    off_h = np.arange(t) + np.where(case.is_on_before, -1, case.hours_before)[unit][:, None]
    entitled = ~case.is_on_before[unit][:, None] & (first[:, None] <= off_h) & (off_h < end[:, None])
    window = rows.add(discounts.size, -np.inf, entitled.astype(float).ravel()).reshape(-1, t)
    rows.put(window, discounts, 1.0)
    _windows(rows, window, stopped[unit], first, end, -1.0)
    share = rows.add(started.size, -np.inf, 0.0).reshape(-1, t)
    rows.put(share, started, -1.0)
    rows.put(share[unit], discounts, 1.0)
