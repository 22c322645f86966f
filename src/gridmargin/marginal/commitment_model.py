"""Unit commitment as a mixed-integer programme in sparse matrices, tight where it costs no rows.

Columns in blocks of one a unit and hour: on u, start v, stop w, reserve r, then the weights of the points of each cost
curve and the cheaper kinds of start where a unit has them, then one a hour for the weather-bound output.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from gridmargin.grid import CommitmentCase

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(slots=True)
class _Rows:
    """Rows as they are gathered: entries, and bounds."""

    row: list[IntArray] = field(default_factory=list)
    column: list[IntArray] = field(default_factory=list)
    value: list[FloatArray] = field(default_factory=list)
    lower: list[FloatArray] = field(default_factory=list)
    upper: list[FloatArray] = field(default_factory=list)
    n: int = 0

    def more(self, lower: FloatArray | float, upper: FloatArray | float, shape: tuple[int, ...]) -> IntArray:
        """Open a block of rows and give their numbers in the shape asked for."""
        size = int(np.prod(shape))
        numbers = np.arange(self.n, self.n + size).reshape(shape)
        self.lower.append(np.broadcast_to(np.asarray(lower, float), shape).ravel())
        self.upper.append(np.broadcast_to(np.asarray(upper, float), shape).ravel())
        self.n += size
        return numbers

    def put(self, row: IntArray, column: IntArray, value: FloatArray | float) -> None:
        """Add entries; the three broadcast."""
        r, c, v = np.broadcast_arrays(row, column, np.asarray(value, float))
        self.row.append(r.ravel())
        self.column.append(c.ravel())
        self.value.append(v.ravel())


@dataclass(frozen=True, slots=True)
class Programme:
    """The programme; `u` gives the columns of the commitment, units by hours.

    Attributes
    ----------
    matrix, cost, lower, upper, row_lower, row_upper
        As `dispatch.passed` takes them.
    u, v, w : array of int, shape (g, h)
        Columns of on, start and stop.
    balance, reserve : array of int, shape (h,)
        Rows whose duals are the prices of energy and reserve.
    point : array of int, shape (g, k, h)
        Columns of the weights of the cost curve, −1 where there is none.
    """

    matrix: csr_matrix
    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    u: IntArray
    v: IntArray
    w: IntArray
    balance: IntArray
    reserve: IntArray
    point: IntArray


def held(case: CommitmentCase) -> tuple[BoolArray, BoolArray]:
    """Say where a unit must be on, and where it must be off, by must-run and by what it was before; shape (g, h)."""
    hour = np.arange(len(case.demand_mw))
    left = np.where(case.was_on, case.up_h, case.down_h) - case.was_for_h
    bound = hour < left[:, None]
    return (bound & case.was_on[:, None]) | case.must_run[:, None], bound & ~case.was_on[:, None]


def programme(case: CommitmentCase) -> Programme:
    """Write the case as a programme.

    Notes
    -----
    Logic and minimum times as Rajan & Takriti (2005), output limits with start and stop as Morales-España, Latorre &
    Ramos (2013), doi:10.1109/TPWRS.2013.2251373, kinds of start and the whole as Knueven, Ostrowski & Watson (2020),
    doi:10.1287/ijoc.2019.0944.
    """
    n, n_h = len(case.unit_names), len(case.demand_mw)
    cell = np.arange(n * n_h).reshape(n, n_h)
    u, v, w, r = (cell + i * n * n_h for i in range(4))
    at = 4 * n * n_h
    has_point = case.step_mw > 0.0
    point = np.full((n, case.step_mw.shape[1], n_h), -1)
    point[has_point] = at + np.arange(has_point.sum() * n_h).reshape(-1, n_h)
    at += int(has_point.sum()) * n_h
    kinds = (case.lag_h >= 0).sum(axis=1)
    last = case.start_cost[np.arange(n), kinds - 1]
    has_kind = (case.lag_h >= 0) & (np.arange(case.lag_h.shape[1]) < kinds[:, None] - 1)
    has_kind &= case.start_cost < last[:, None]
    kind = np.full((*has_kind.shape, n_h), -1)
    kind[has_kind] = at + np.arange(has_kind.sum() * n_h).reshape(-1, n_h)
    at += int(has_kind.sum()) * n_h
    weather = at + np.arange(n_h)
    width = at + n_h

    cost, lower, upper = np.zeros(width), np.zeros(width), np.ones(width)
    cost[u], cost[v] = case.least_cost[:, None], last[:, None]
    reach = np.cumsum(case.step_mw, axis=1)
    dear = np.cumsum(case.step_mw * case.step_cost_per_mwh, axis=1)
    cost[point[has_point]] = dear[has_point][:, None]
    cost[kind[has_kind]] = (case.start_cost - last[:, None])[has_kind][:, None]
    upper[r] = (case.maximum_mw - case.minimum_mw)[:, None]
    must_on, must_off = held(case)
    lower[u[must_on]], upper[u[must_off]] = 1.0, 0.0
    upper[w[case.was_on & (case.was_mw > case.stop_mw), 0]] = 0.0
    lower[weather], upper[weather] = case.weather_min_mw, case.weather_max_mw

    rows = _Rows()
    g_of, k_of = np.nonzero(has_point)
    balance = rows.more(case.demand_mw, case.demand_mw, (n_h,))
    rows.put(balance, u, case.minimum_mw[:, None])
    rows.put(balance, point[g_of, k_of], reach[g_of, k_of][:, None])
    rows.put(balance, weather, 1.0)
    reserve = rows.more(case.reserve_mw, np.inf, (n_h,))
    rows.put(reserve, r, 1.0)
    within = rows.more(-np.inf, 0.0, (n, n_h))
    rows.put(within[g_of], point[g_of, k_of], 1.0)
    rows.put(within, u, -1.0)
    above = (point[g_of, k_of], reach[g_of, k_of][:, None], g_of)
    _logic(rows, case, u, v, w)
    _limits(rows, case, (u, v, w, r), above)
    _ramps(rows, case, r, above)
    _starts(rows, case, v, w, kind, has_kind)
    matrix = csr_matrix(
        (np.concatenate(rows.value), (np.concatenate(rows.row), np.concatenate(rows.column))),
        shape=(rows.n, width),
    )
    row_lower, row_upper = np.concatenate(rows.lower), np.concatenate(rows.upper)
    return Programme(matrix, cost, lower, upper, row_lower, row_upper, u, v, w, balance, reserve, point)


def _logic(rows: _Rows, case: CommitmentCase, u: IntArray, v: IntArray, w: IntArray) -> None:
    """Tie on to start and stop, and both to the least hours up and down."""
    n_h = u.shape[1]
    was = np.zeros(u.shape)
    was[:, 0] = case.was_on
    tie = rows.more(was, was, u.shape)
    rows.put(tie, u, 1.0)
    rows.put(tie[:, 1:], u[:, :-1], -1.0)
    rows.put(tie, v, -1.0)
    rows.put(tie, w, 1.0)
    for change, least, sign, most in ((v, case.up_h, -1.0, 0.0), (w, case.down_h, 1.0, 1.0)):
        block = rows.more(-np.inf, most, u.shape)
        rows.put(block, u, sign)
        for back in range(min(int(least.max(initial=1)), n_h)):
            with_it = np.maximum(least, 1) > back
            rows.put(block[with_it, back:], change[with_it, : n_h - back], 1.0)


Above = tuple[IntArray, FloatArray, IntArray]


def _limits(
    rows: _Rows, case: CommitmentCase, uvwr: tuple[IntArray, IntArray, IntArray, IntArray], above: Above
) -> None:
    """Keep output and reserve under the maximum, and under what a start or a stop allows."""
    u, v, w, r = uvwr
    column, reach, g_of = above
    span = (case.maximum_mw - case.minimum_mw)[:, None]
    at_start = np.maximum(case.maximum_mw - case.start_mw, 0.0)[:, None]
    at_stop = np.maximum(case.maximum_mw - case.stop_mw, 0.0)[:, None]
    both = case.up_h > 1
    top = rows.more(-np.inf, 0.0, u.shape)
    rows.put(top[g_of], column, reach)
    rows.put(top, r, 1.0)
    rows.put(top, u, -span)
    rows.put(top, v, at_start)
    rows.put(top[both, :-1], w[both, 1:], at_stop[both])
    again = np.flatnonzero(~both & (at_stop[:, 0] > 0.0))
    place = np.full(len(both), -1)
    place[again] = np.arange(len(again))
    stop = rows.more(-np.inf, 0.0, (len(again), u.shape[1]))
    mine = place[g_of] >= 0
    rows.put(stop[place[g_of[mine]]], column[mine], reach[mine])
    rows.put(stop, r[again], 1.0)
    rows.put(stop, u[again], -span[again])
    rows.put(stop[:, :-1], w[again, 1:], at_stop[again])


def _ramps(rows: _Rows, case: CommitmentCase, r: IntArray, above: Above) -> None:
    """Bound the change of output above the minimum, reserve included on the way up."""
    column, reach, g_of = above
    was = np.where(case.was_on, case.was_mw - case.minimum_mw, 0.0)
    span = case.maximum_mw - case.minimum_mw
    for sign, limit in ((1.0, case.ramp_up_mw), (-1.0, case.ramp_down_mw)):
        binds = np.flatnonzero(limit < np.maximum(span, was))
        place = np.full(len(limit), -1)
        place[binds] = np.arange(len(binds))
        most = np.repeat(limit[binds][:, None], r.shape[1], axis=1)
        most[:, 0] += sign * was[binds]
        block = rows.more(-np.inf, most, most.shape)
        mine = place[g_of] >= 0
        at = block[place[g_of[mine]]]
        rows.put(at, column[mine], sign * reach[mine])
        rows.put(at[:, 1:], column[mine][:, :-1], -sign * reach[mine])
        if sign > 0.0:
            rows.put(block, r[binds], 1.0)


def _starts(
    rows: _Rows, case: CommitmentCase, v: IntArray, w: IntArray, kind: IntArray, has_kind: BoolArray
) -> None:
    """Let a cheaper kind of start be claimed only so long after a stop as it applies."""
    n_h = v.shape[1]
    total = rows.more(-np.inf, 0.0, v.shape)
    rows.put(total, v, -1.0)
    g_of, s_of = np.nonzero(has_kind)
    rows.put(total[g_of], kind[g_of, s_of], 1.0)
    first = np.where(s_of == 0, 1, case.lag_h[g_of, s_of])
    until = case.lag_h[g_of, np.minimum(s_of + 1, case.lag_h.shape[1] - 1)]
    off_for = np.where(case.was_on[g_of], -n_h - 1, case.was_for_h[g_of])[:, None] + np.arange(n_h)
    allowed = ((off_for >= first[:, None]) & (off_for < until[:, None])).astype(float)
    block = rows.more(-np.inf, allowed, allowed.shape)
    rows.put(block, kind[g_of, s_of], 1.0)
    for back in range(1, n_h):
        now = (back >= first) & (back < until)
        rows.put(block[now, back:], w[g_of[now], : n_h - back], -1.0)
