"""One unit against hourly prices of energy and reserve: when should it run (compiled).

The unit's best plan over on and off runs is a dynamic programme over the hours of its starts and stops, exact in
minimum up and down times, start costs and the pieces of its cost curve. Ramps enter through what can be reached so many
hours after a start or before a stop, and through the profile that a unit would follow if it never stopped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FAR = 1e30
RAMP_WINDOW_H = 4
"""Least hours after a start and before a stop in which ramps are priced. [h]"""

MOST_LEVELS = 60
"""Levels of output that a profile is chosen from; finer than this, very slow units only pretend to ramp."""


@njit(cache=True)
def hour_value(
    energy_price: float,
    reserve_price: float,
    cap_mw: float,
    ramp_mw: float,
    minimum_mw: float,
    minimum_cost: float,
    widths: Any,
    slopes: Any,
) -> tuple[float, float, float]:
    """Give cost less revenue of one running hour, with the output above minimum and the reserve that make it least."""
    free_mw = max(cap_mw - ramp_mw, 0.0)
    value = minimum_cost - energy_price * minimum_mw
    above = 0.0
    for k in range(len(widths)):
        left = min(widths[k], cap_mw - above)
        # Below cap - ramp the reserve is bound by the ramp, so that output takes nothing from it.
        part = min(left, max(free_mw - above, 0.0))
        gain = energy_price - slopes[k]
        if part > 0.0:
            if gain <= 0.0:
                break
            above += part
            value -= gain * part
            left -= part
        if left > 0.0:
            if gain - reserve_price <= 0.0:
                break
            above += left
            value -= gain * left
    reserve = min(cap_mw - above, ramp_mw)
    return value - reserve_price * reserve, above, reserve


@njit(cache=True)
def value_at(
    energy_price: float,
    reserve_price: float,
    above_mw: float,
    reserve_mw: float,
    minimum_mw: float,
    minimum_cost: float,
    widths: Any,
    slopes: Any,
) -> float:
    """Give cost less revenue of one running hour at this output and reserve."""
    value = minimum_cost - energy_price * (minimum_mw + above_mw) - reserve_price * reserve_mw
    left = above_mw
    for k in range(len(widths)):
        part = min(left, widths[k])
        value += part * slopes[k]
        left -= part
    return value


@njit(cache=True)
def steady_profile(
    energy: Any,
    reserve: Any,
    span_mw: float,
    ramp_up_mw: float,
    ramp_down_mw: float,
    before_mw: float,
    widths: Any,
    slopes: Any,
    above: Any,
    spare: Any,
) -> None:
    """Fill `above` and `spare` with the best profile of a unit that never stops, on levels half an up-ramp apart.

    Parameters
    ----------
    before_mw : float
        Output above minimum in the hour before the first; negative where it was off. [MW]
    """
    t = len(energy)
    step = max(ramp_up_mw / 2.0, span_mw / (MOST_LEVELS - 1))
    n = int(np.ceil(span_mw / step - 1e-9)) + 1
    level = np.minimum(np.arange(n) * step, span_mw)
    cost = np.zeros(n)
    for i in range(n):
        left = level[i]
        for k in range(len(widths)):
            part = min(left, widths[k])
            cost[i] += part * slopes[k]
            left -= part
    value, came = np.zeros(n), np.zeros((t, n), dtype=np.int64)
    for h in range(t):
        fresh = np.full(n, FAR)
        for i in range(n):
            own = cost[i] - energy[h] * level[i]
            for j in range(n):
                last = level[j]
                if h == 0:
                    if j > 0:
                        break
                    last = before_mw if before_mw >= 0.0 else level[i]
                top = min(span_mw, last + ramp_up_mw)
                miss = max(level[i] - top - 1e-6, 0.0) + max(last - ramp_down_mw - level[i] - 1e-6, 0.0)
                if miss > 0.0 and h > 0 and i != j:
                    continue
                total = value[j] + own - reserve[h] * max(top - level[i], 0.0)
                if h == 0:
                    total += miss * 1e6
                if total < fresh[i]:
                    fresh[i], came[h, i] = total, j
        value = fresh
    at = int(np.argmin(value))
    for h in range(t - 1, -1, -1):
        above[h] = level[at]
        at = came[h, at]
    last = before_mw if before_mw >= 0.0 else above[0]
    for h in range(t):
        above[h] = min(max(above[h], last - ramp_down_mw), last + ramp_up_mw)
        spare[h] = max(min(span_mw, last + ramp_up_mw) - above[h], 0.0)
        last = above[h]


@njit(cache=True)
def start_price(off_h: int, lags: Any, costs: Any) -> float:
    """Give the cost of a start after so many hours off."""
    price = costs[0]
    for s in range(1, len(lags)):
        if lags[s] <= off_h:
            price = costs[s]
    return float(price)


@njit(cache=True)
def best_plan(
    running: Any,
    start_extra: Any,
    stop_extra: Any,
    up_h: int,
    down_h: int,
    must_run: bool,
    was_on: bool,
    held_h: int,
    lags: Any,
    costs: Any,
    on: Any,
) -> float:
    """Fill `on` with the plan of least cost and give that cost.

    Parameters
    ----------
    running : array, shape (t,)
        Cost less revenue of each running hour.
    start_extra, stop_extra : array, shape (t,), (t + 1,)
        What a run that starts at an hour, or has stopped by it, adds for its ramps.
    """
    t = len(running)
    total = np.zeros(t + 1)
    for h in range(t):
        total[h + 1] = total[h] + running[h]
    start = np.full(t, FAR)  # least cost of all before hour h, where the unit starts at h
    stop = np.full(t + 1, FAR)  # and where it is off from hour h
    start_from = np.full(t, -1)
    stop_from = np.full(t + 1, -1)
    best_run, best_run_from = FAR, -1
    opened = 0  # runs that began before this hour and may have lasted long enough
    for h in range(t):
        while opened < h and opened + up_h <= h:
            if start[opened] < FAR:
                run = start[opened] + start_extra[opened] - total[opened]
                if run < best_run:
                    best_run, best_run_from = run, opened
            opened += 1
        if not must_run:
            if best_run < FAR:
                stop[h] = best_run + total[h] + stop_extra[h]
                stop_from[h] = best_run_from
            if was_on and held_h + h >= up_h:
                first = total[h] + stop_extra[h]
                if first < stop[h]:
                    stop[h], stop_from[h] = first, -1
        for off in range(h - down_h + 1):
            if stop[off] < FAR:
                cost = stop[off] + start_price(h - off, lags, costs)
                if cost < start[h]:
                    start[h], start_from[h] = cost, off
        if not was_on and held_h + h >= down_h:
            cost = start_price(held_h + h, lags, costs)
            if cost < start[h]:
                start[h], start_from[h] = cost, -1
    best, end_on, at = FAR, False, -1
    if was_on:
        best, end_on, at = total[t], True, -1
    elif not must_run:
        best, end_on, at = 0.0, False, -1
    for h in range(t):
        if start[h] < FAR:
            cost = start[h] + start_extra[h] + total[t] - total[h]
            if cost < best:
                best, end_on, at = cost, True, h
        if stop[h] < best:
            best, end_on, at = stop[h], False, h
    on[:] = False
    end = t
    while True:
        if end_on:
            first = max(at, 0)
            on[first:end] = True
            if at < 0:
                break
            at, end_on = start_from[at], False
            if at < 0:
                break
        else:
            if at < 0:
                break
            end = at
            at, end_on = stop_from[at], True
    return float(best)


@njit(cache=True)
def plan_all(
    energy: Any,
    reserve: Any,
    minimum: Any,
    maximum: Any,
    minimum_cost: Any,
    widths: Any,
    slopes: Any,
    n_pieces: Any,
    ramp_up: Any,
    ramp_down: Any,
    start_mw: Any,
    stop_mw: Any,
    up_h: Any,
    down_h: Any,
    must_run: Any,
    was_on: Any,
    before_mw: Any,
    held_h: Any,
    lags: Any,
    costs: Any,
    which: Any,
    on: Any,
    power: Any,
    held: Any,
) -> float:
    """Plan each unit of `which` against prices; fills on, power and held [MW], gives the sum of their costs."""
    t = on.shape[1]
    sum_cost = 0.0
    running, first_extra, last_extra = np.empty(t), np.empty(t), np.empty(t + 1)
    above, spare = np.empty(t), np.empty(t)
    for i in range(len(which)):
        u = which[i]
        span = maximum[u] - minimum[u]
        width, slope = widths[u, : n_pieces[u]], slopes[u, : n_pieces[u]]
        if ramp_up[u] < span or ramp_down[u] < span:
            before = before_mw[u] - minimum[u] if was_on[u] else -1.0
            steady_profile(
                energy, reserve, span, ramp_up[u], ramp_down[u], before, width, slope, above, spare
            )
            for h in range(t):
                running[h] = value_at(
                    energy[h], reserve[h], above[h], spare[h], minimum[u], minimum_cost[u], width, slope
                )
        else:
            for h in range(t):
                running[h], above[h], spare[h] = hour_value(
                    energy[h], reserve[h], span, ramp_up[u], minimum[u], minimum_cost[u], width, slope
                )
        for is_start in (True, False):
            ramp = ramp_up[u] if is_start else ramp_down[u]
            first = (start_mw[u] if is_start else stop_mw[u]) - minimum[u]
            for h in range(t + 1):
                extra = 0.0
                for j in range(max(up_h[u], RAMP_WINDOW_H)):
                    cap = first + j * ramp
                    at = h + j if is_start else h - 1 - j
                    if cap >= span or at < 0 or at >= t:
                        break
                    if above[at] + spare[at] > cap:
                        low = min(above[at], cap)
                        extra += value_at(
                            energy[at], reserve[at], low, min(spare[at], cap - low), minimum[u],
                            minimum_cost[u], width, slope,
                        ) - running[at]  # fmt: skip
                if is_start:
                    if h < t:
                        first_extra[h] = extra
                else:
                    last_extra[h] = extra
        sum_cost += best_plan(
            running, first_extra, last_extra, up_h[u], down_h[u], must_run[u], was_on[u], held_h[u],
            lags[u], costs[u], on[u],
        )  # fmt: skip
        for h in range(t):
            power[u, h], held[u, h] = 0.0, 0.0
            if on[u, h]:
                power[u, h], held[u, h] = above[h] + minimum[u], spare[h]
    return sum_cost
