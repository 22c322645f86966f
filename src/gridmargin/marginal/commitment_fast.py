"""A schedule in a second or two: prices for each hour, each unit's best answer to them, and a dispatch that keeps ramps.

Lagrangian relaxation: with a price for energy and one for reserve in each hour, every unit is on its own, and its
cheapest on and off is a short recursion over the hours at which it may change. Prices move with what is short. Every
commitment that holds enough is dispatched hour by hour; the cheapest that serves everything is kept.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gridmargin.grid import CommitmentCase
from gridmargin.marginal.commitment import Schedule
from gridmargin.marginal.commitment_check import check
from gridmargin.marginal.commitment_model import held
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

ROUNDS = 120
"""Price updates: the first half seeks the best bound with falling steps, the second raises prices where an hour is short."""


def commit_fast(case: CommitmentCase, rounds: int = ROUNDS) -> Schedule:
    """Find a schedule by prices.

    Parameters
    ----------
    case : CommitmentCase
        What is scheduled.
    rounds : int
        Price updates.

    Raises
    ------
    InputError
        If no round gave a schedule that keeps every limit; `commitment.commit` may still find one.

    Notes
    -----
    The bound is the best Lagrangian value of any round, which leaves the ramps out and so is low.
    """
    must_on, must_off = held(case)
    net = case.demand_mw - case.weather_max_mw
    energy = _merit(case, np.maximum(net, 0.0))
    reserve = np.zeros(len(net))
    scale = float(np.abs(energy).mean())
    most = case.minimum_mw[:, None] + _reach(case, len(net))
    best_cost, best_bound = math.inf, -math.inf
    best: tuple[BoolArray, FloatArray] | None = None
    at_best = energy, reserve
    lift, drop = np.zeros(len(net)), np.zeros(len(net))
    push = np.full(len(net), 2.0)
    wanted = np.maximum(case.demand_mw, 1e-9)
    for i in range(rounds):
        repairing = i >= rounds // 2
        if repairing:
            energy, reserve = at_best[0] + lift - drop, at_best[1] + lift
        worth, level = _worth(case, energy, reserve)
        on, value = _answers(
            worth, must_on, must_off, case.was_on, case.was_for_h, case.up_h, case.down_h, case.lag_h,
            case.start_cost,
        )  # fmt: skip
        weather = np.where(energy > 0.0, case.weather_max_mw, case.weather_min_mw)
        bound = float(value.sum() + energy @ (case.demand_mw - weather) + reserve @ case.reserve_mw)
        if bound > best_bound:
            best_bound, at_best = bound, (energy, reserve) if not repairing else at_best
        if repairing:
            output, lacking, over = _dispatched(case, on)
            if lacking.max() <= 1e-7 and over.max() <= 1e-7:
                verdict = check(case, on, output)
                if not verdict.violations and verdict.cost < best_cost:
                    best, best_cost = (on, output), verdict.cost
                lift, drop = 0.9 * lift, 0.9 * drop
            push = np.where((lacking > 1e-7) | (over > 1e-7), 1.25 * push, 2.0)
            lift = lift + scale * np.minimum(push * lacking / wanted, 0.1)
            drop = drop + scale * np.minimum(push * over / wanted, 0.1)
            continue
        offered = np.where(on, level, 0.0).sum(axis=0)
        spare = np.where(on, most - level, 0.0).sum(axis=0)
        step = scale / (1.0 + 0.25 * i)
        energy = energy + step * (case.demand_mw - weather - offered) / wanted
        reserve = np.maximum(0.0, reserve + step * (case.reserve_mw - spare) / wanted)
    if best is None:
        raise InputError(
            f"{case.name}: prices found no schedule that keeps every limit; use the exact search"
        )
    return Schedule(best[0], best[1], best_cost, best_bound)


def _merit(case: CommitmentCase, net: FloatArray) -> FloatArray:
    """Price each hour at the full-load cost of the last unit that the residual demand needs."""
    full = case.least_cost + (case.step_mw * case.step_cost_per_mwh).sum(axis=1)
    average = full / np.maximum(case.maximum_mw, 1e-9)
    order = np.argsort(average)
    stacked = np.cumsum(case.maximum_mw[order])
    merit: FloatArray = average[order][np.minimum(np.searchsorted(stacked, net), len(order) - 1)]
    return merit


def _worth(case: CommitmentCase, energy: FloatArray, reserve: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give the least cost less income of an hour on, and the output that has it; shape (g, h) each."""
    span = _reach(case, len(energy))
    worth = case.least_cost[:, None] - np.outer(case.minimum_mw, energy) - span * reserve
    left = span
    level = np.repeat(case.minimum_mw[:, None], len(energy), axis=1)
    for k in range(case.step_mw.shape[1]):
        gain = (energy - reserve) - case.step_cost_per_mwh[:, k, None]
        width = np.minimum(case.step_mw[:, k, None], left)
        left = left - width
        worth -= width * np.maximum(gain, 0.0)
        level += width * (gain > 0.0)
    return worth, level


def _reach(case: CommitmentCase, n_h: int) -> FloatArray:
    """Give the most above its minimum that each unit can have climbed to by each hour; shape (g, h). [MW]"""
    was = np.where(case.was_on, np.maximum(case.was_mw - case.minimum_mw, 0.0), 0.0)
    started = np.maximum(case.start_mw - case.minimum_mw, 0.0)
    later = np.arange(n_h) * case.ramp_up_mw[:, None]
    first = np.where(case.was_on, was + case.ramp_up_mw, np.minimum(started, case.ramp_up_mw))
    anew = np.where(case.was_on, np.minimum(started, case.ramp_up_mw), 0.0)
    climbed = np.maximum(first[:, None] + later, np.where(np.arange(n_h) > 0, anew[:, None] + later, 0.0))
    return np.minimum((case.maximum_mw - case.minimum_mw)[:, None], climbed)


@njit(cache=True)
def _answers(
    worth: FloatArray, must_on: BoolArray, must_off: BoolArray, was_on: BoolArray, was_for: IntArray,
    up: IntArray, down: IntArray, lag: IntArray, start_cost: FloatArray,
) -> tuple[BoolArray, FloatArray]:  # fmt: skip
    """Find every unit's cheapest on and off by recursion over the hours at which it starts or stops."""
    n, n_h = worth.shape
    on = np.zeros((n, n_h), np.bool_)
    value = np.zeros(n)
    to_on, to_off = np.empty(n_h + 1), np.empty(n_h + 1)
    next_on, next_off = np.empty(n_h + 1, np.int64), np.empty(n_h + 1, np.int64)
    for g in range(n):
        # to_on[t] is the least cost from hour t on, given a start at t; to_off[t] the same given a stop at t.
        to_on[n_h] = to_off[n_h] = 0.0
        for t in range(n_h - 1, -1, -1):
            to_on[t], next_on[t] = _stay(worth, must_off, to_off, g, t, max(up[g], 1))
            to_off[t], next_off[t] = _wait(must_on, to_on, lag, start_cost, g, t, max(down[g], 1), 0)
        if was_on[g]:
            value[g], change = _stay(worth, must_off, to_off, g, 0, max(up[g] - was_for[g], 0))
        else:
            value[g], change = _wait(
                must_on, to_on, lag, start_cost, g, 0, max(down[g] - was_for[g], 0), was_for[g]
            )
        state, t = was_on[g], 0
        while t < n_h:
            on[g, t:change] = state
            t = change
            state = not state
            if t < n_h:
                change = next_on[t] if state else next_off[t]
    return on, value


@njit(cache=True)
def _stay(
    worth: FloatArray, must_off: BoolArray, to_off: FloatArray, g: int, t: int, least: int
) -> tuple[float, int]:
    """Choose the stop after being on from t: the cost from t on, and the hour of the stop."""
    n_h = worth.shape[1]
    best, at, run = 1e30, n_h, 0.0
    for stop in range(t, n_h + 1):
        if (stop - t >= least or stop == n_h) and run + to_off[stop] < best:
            best, at = run + to_off[stop], stop
        if stop < n_h:
            if must_off[g, stop]:
                break
            run += worth[g, stop]
    return best, at


@njit(cache=True)
def _wait(
    must_on: BoolArray, to_on: FloatArray, lag: IntArray, start_cost: FloatArray, g: int, t: int, least: int,
    off_before: int,
) -> tuple[float, int]:  # fmt: skip
    """Choose the start after being off from t: the cost from t on, and the hour of the start."""
    n_h = must_on.shape[1]
    best, at = 1e30, n_h
    for start in range(t, n_h + 1):
        cost = 0.0
        if start < n_h:
            kind = 0
            for s in range(1, lag.shape[1]):
                if 0 <= lag[g, s] <= off_before + start - t:
                    kind = s
            cost = start_cost[g, kind] + to_on[start]
        if (start - t >= least or start == n_h) and cost < best:
            best, at = cost, start
        if start < n_h and must_on[g, start]:
            break
    return best, at


def _dispatched(case: CommitmentCase, on: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Dispatch a commitment hour by hour: the outputs, and what each hour has too little and too much of."""
    output, short, over = _walk(
        on, case.was_on, case.was_mw, case.minimum_mw, case.maximum_mw, case.ramp_up_mw, case.ramp_down_mw,
        case.start_mw, case.stop_mw, case.step_mw, case.demand_mw, case.reserve_mw,
        case.weather_min_mw, case.weather_max_mw, _order(case),
    )  # fmt: skip
    return output, short, over


def _order(case: CommitmentCase) -> IntArray:
    """List the steps of all units, cheapest first."""
    return np.argsort(case.step_cost_per_mwh.ravel(), kind="stable")


@njit(cache=True)
def _walk(
    on: BoolArray, was_on: BoolArray, was_mw: FloatArray, low: FloatArray, high: FloatArray, ramp_up: FloatArray,
    ramp_down: FloatArray, start: FloatArray, stop: FloatArray, step: FloatArray,
    demand: FloatArray, reserve: FloatArray, weather_min: FloatArray, weather_max: FloatArray, order: IntArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """Fill the cheapest steps within what ramps from the last hour, starts and coming stops leave."""
    n, n_h = on.shape
    n_k = step.shape[1]
    cap = np.zeros((n, n_h))
    for g in range(n):
        for t in range(n_h - 1, -1, -1):
            if not on[g, t]:
                continue
            most = high[g]
            if t + 1 < n_h:
                most = (
                    min(most, cap[g, t + 1] + ramp_down[g])
                    if on[g, t + 1]
                    else min(stop[g], low[g] + ramp_down[g], most)
                )
            before = on[g, t - 1] if t else was_on[g]
            cap[g, t] = most if before else min(most, start[g], low[g] + ramp_up[g])
    output, short, excess = np.zeros((n, n_h)), np.zeros(n_h), np.zeros(n_h)
    least, most, left = np.zeros(n), np.zeros(n), np.zeros(n)
    for t in range(n_h):
        total, able = 0.0, 0.0
        for g in range(n):
            least[g] = most[g] = left[g] = 0.0
            if not on[g, t]:
                continue
            before = on[g, t - 1] if t else was_on[g]
            was = (output[g, t - 1] if t else was_mw[g]) if before else low[g]
            most[g] = max(low[g], min(cap[g, t], was + ramp_up[g]))
            least[g] = min(most[g], max(low[g], was - ramp_down[g]))
            output[g, t] = least[g]
            left[g] = least[g] - low[g]
            total += least[g]
            able += most[g]
        need = demand[t] - weather_max[t]
        over = total + weather_min[t] - demand[t]
        excess[t] = max(over, 0.0)
        if able < need + reserve[t]:
            short[t] = need + reserve[t] - able
        need -= total
        for at in order:
            if need <= 0.0:
                break
            g, k = at // n_k, at % n_k
            if not on[g, t]:
                continue
            width = step[g, k]
            used = min(left[g], width)
            left[g] -= used
            add = min(width - used, most[g] - output[g, t], need)
            if add > 0.0:
                output[g, t] += add
                need -= add
    return output, short, excess
