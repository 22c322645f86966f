"""Small made-up fleets to commit, and the best schedule by trying every one."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from scipy.optimize import linprog

from gridmargin.grid.commitment_case import NEVER_H, CommitmentCase


def case_of(seed: int, n_units: int = 3, n_hours: int = 4) -> CommitmentCase:
    """Draw a fleet whose capacity covers the peak and its reserve well, ramps and times at random."""
    draw = np.random.default_rng(seed)
    low = draw.uniform(5, 30, n_units)
    width = draw.uniform(5, 30, (n_units, 2))
    high = low + width.sum(axis=1)
    slope = np.sort(draw.uniform(10, 60, (n_units, 2)), axis=1)
    ramp = draw.uniform(10, 60, (2, n_units))
    edge = low + draw.uniform(0, 20, (2, n_units))
    on = draw.random(n_units) < 0.6
    down_h = draw.integers(1, 4, n_units)
    first_cost = draw.uniform(0, 300, n_units)
    return CommitmentCase(
        name=f"seed-{seed}",
        unit_names=tuple(f"unit-{i}" for i in range(n_units)),
        demand_mw=high.sum() * draw.uniform(0.25, 0.6, n_hours),
        reserve_mw=high.sum() * draw.uniform(0.0, 0.1, n_hours),
        renewable_minimum_mw=np.zeros(n_hours),
        renewable_maximum_mw=high.sum() * draw.uniform(0.0, 0.2, n_hours),
        minimum_mw=low,
        maximum_mw=high,
        ramp_up_mw_per_h=ramp[0],
        ramp_down_mw_per_h=ramp[1],
        startup_limit_mw=np.minimum(edge[0], high),
        shutdown_limit_mw=np.minimum(edge[1], high),
        minimum_up_h=draw.integers(1, 4, n_units),
        minimum_down_h=down_h,
        is_must_run=np.zeros(n_units, dtype=bool),
        is_on_before=on,
        power_before_mw=np.where(on, low, 0.0),
        hours_before=draw.integers(1, 5, n_units),
        start_lag_h=np.stack([down_h, down_h + draw.integers(1, 3, n_units)], axis=1),
        start_cost=np.stack([first_cost, first_cost + draw.uniform(0, 200, n_units)], axis=1),
        minimum_cost_per_h=low * slope[:, 0] + draw.uniform(0, 200, n_units),
        segment_mw=width,
        segment_cost_per_mwh=slope,
    )


def plain_case(demand_mw: list[float], **changes: object) -> CommitmentCase:
    """One cheap and one dear unit without ramps or times, both on at their minimum."""
    two = np.ones(2)
    t = len(demand_mw)
    case = CommitmentCase(
        name="plain",
        unit_names=("cheap", "dear"),
        demand_mw=np.array(demand_mw),
        reserve_mw=np.zeros(t),
        renewable_minimum_mw=np.zeros(t),
        renewable_maximum_mw=np.zeros(t),
        minimum_mw=10 * two,
        maximum_mw=100 * two,
        ramp_up_mw_per_h=100 * two,
        ramp_down_mw_per_h=100 * two,
        startup_limit_mw=100 * two,
        shutdown_limit_mw=100 * two,
        minimum_up_h=np.ones(2, dtype=int),
        minimum_down_h=np.ones(2, dtype=int),
        is_must_run=np.zeros(2, dtype=bool),
        is_on_before=np.ones(2, dtype=bool),
        power_before_mw=10 * two,
        hours_before=np.ones(2, dtype=int),
        start_lag_h=np.array([[1, NEVER_H]] * 2),
        start_cost=np.array([[50.0, 50.0]] * 2),
        minimum_cost_per_h=np.array([200.0, 400.0]),
        segment_mw=np.array([[90.0]] * 2),
        segment_cost_per_mwh=np.array([[20.0], [40.0]]),
    )
    return replace(case, **changes)  # type: ignore[arg-type]


def least_cost(case: CommitmentCase) -> float | None:
    """Give the least cost over every on/off schedule, each dispatched by a plain linear programme; None if none serves."""
    best = None
    u, t = case.n_units, case.n_hours
    plans = [[p for p in itertools.product((0, 1), repeat=t) if _times_kept(case, i, p)] for i in range(u)]
    for on in itertools.product(*plans):
        fixed = sum(_starts(case, i, on[i]) for i in range(u))
        fixed += sum(sum(on[i]) * case.minimum_cost_per_h[i] for i in range(u))
        if best is not None and fixed >= best:
            continue
        cost = _dispatch_cost(case, np.array(on))
        if cost is not None and (best is None or fixed + cost < best):
            best = fixed + cost
    return best


def _times_kept(case: CommitmentCase, i: int, plan: tuple[int, ...]) -> bool:
    if case.is_must_run[i] and 0 in plan:
        return False
    history = [int(case.is_on_before[i])] * int(case.hours_before[i]) + list(plan)
    runs = [(state, len(list(group))) for state, group in itertools.groupby(history)]
    least = {1: case.minimum_up_h[i], 0: case.minimum_down_h[i]}
    return all(length >= least[state] for state, length in runs[:-1])


def _starts(case: CommitmentCase, i: int, plan: tuple[int, ...]) -> float:
    history = [int(case.is_on_before[i])] * int(case.hours_before[i]) + list(plan)
    runs = [(state, len(list(group))) for state, group in itertools.groupby(history)]
    cost = 0.0
    for (state, length), _ in itertools.pairwise(runs):
        if state == 0:
            steps = [s for s, lag in enumerate(case.start_lag_h[i]) if lag <= length]
            cost += case.start_cost[i, max(steps, default=0)]
    return cost


def _dispatch_cost(case: CommitmentCase, on: np.ndarray) -> float | None:
    u, t = on.shape
    k = case.segment_mw.shape[1]
    n = u * t * (k + 1) + t
    piece = lambda i, h, j: (i * t + h) * (k + 1) + j  # noqa: E731
    above = lambda i, h, value: [(piece(i, h, j), value) for j in range(k)]  # noqa: E731
    cost = np.zeros(n)
    bounds: list[tuple[float, float]] = [(0.0, 0.0)] * n
    rows, sides, equal, equal_side = [], [], [], []

    def row(terms: list[tuple[int, float]]) -> np.ndarray:
        made = np.zeros(n)
        for column, value in terms:
            made[column] += value
        return made

    for i in range(u):
        was = bool(case.is_on_before[i])
        for h in range(t):
            span = case.maximum_mw[i] - case.minimum_mw[i]
            before_on = was if h == 0 else bool(on[i, h - 1])
            start_mw = case.power_before_mw[i] - case.minimum_mw[i] if h == 0 and was else 0.0
            back = [] if h == 0 else above(i, h - 1, -1.0)
            if on[i, h]:
                for j in range(k):
                    bounds[piece(i, h, j)] = (0.0, case.segment_mw[i, j])
                    cost[piece(i, h, j)] = case.segment_cost_per_mwh[i, j]
                bounds[piece(i, h, k)] = (0.0, span)
                cap = span
                if not before_on:
                    cap = min(cap, case.startup_limit_mw[i] - case.minimum_mw[i])
                if h + 1 < t and not on[i, h + 1]:
                    cap = min(cap, case.shutdown_limit_mw[i] - case.minimum_mw[i])
                rows.append(row([*above(i, h, 1.0), (piece(i, h, k), 1.0)]))
                sides.append(cap)
                rows.append(row([*above(i, h, 1.0), (piece(i, h, k), 1.0), *back]))
                sides.append(case.ramp_up_mw_per_h[i] + start_mw)
            elif h == 0 and was and start_mw > case.shutdown_limit_mw[i] - case.minimum_mw[i] + 1e-9:
                return None
            rows.append(row([*above(i, h, -1.0), *[(c, -v) for c, v in back]]))
            sides.append(case.ramp_down_mw_per_h[i] - start_mw)
    for h in range(t):
        free = u * t * (k + 1) + h
        bounds[free] = (case.renewable_minimum_mw[h], case.renewable_maximum_mw[h])
        equal.append(row([(free, 1.0)] + [term for i in range(u) for term in above(i, h, 1.0)]))
        equal_side.append(case.demand_mw[h] - (on[:, h] * case.minimum_mw).sum())
        rows.append(row([(piece(i, h, k), -1.0) for i in range(u)]))
        sides.append(-case.reserve_mw[h])
    found = linprog(cost, np.array(rows), sides, np.array(equal), equal_side, bounds, method="highs")
    return float(found.fun) if found.status == 0 else None
