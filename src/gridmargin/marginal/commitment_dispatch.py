"""Share demand among the units that are on, hour by hour in order of cost, within what ramps allow (compiled)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def dispatch(
    on: Any,
    was_on: Any,
    before_mw: Any,
    minimum: Any,
    maximum: Any,
    ramp_up: Any,
    ramp_down: Any,
    start_mw: Any,
    stop_mw: Any,
    demand: Any,
    reserve: Any,
    free_low: Any,
    free_high: Any,
    piece_unit: Any,
    piece_mw: Any,
    piece_start: Any,
    wanted: Any,
    above: Any,
    most: Any,
    free: Any,
    lacks: Any,
    spare: Any,
) -> None:
    """Fill `above` [MW over the minimum], `most` (the highest that output and reserve may reach) and `free` power.

    Parameters
    ----------
    piece_unit, piece_mw, piece_start : array
        Pieces of all cost curves, cheapest first, those of one unit in their order; width and where each begins. [MW]
    wanted : array, shape (u, t)
        Output over the minimum that each unit would choose; what differs from demand is shared in order of cost. [MW]
    lacks : array, shape (t,)
        Filled with the capacity that demand and reserve lack. [MW]
    spare : array, shape (t,)
        Filled with what runs above demand though every unit gives its least. [MW]
    """
    u, t = on.shape
    ahead = np.empty((u, t))
    for i in range(u):
        span = maximum[i] - minimum[i]
        for h in range(t - 1, -1, -1):
            cap = 0.0
            if on[i, h]:
                cap = span
                if h + 1 < t and not on[i, h + 1]:
                    cap = min(cap, stop_mw[i] - minimum[i], ramp_down[i])
                if (h == 0 and not was_on[i]) or (h > 0 and not on[i, h - 1]):
                    cap = min(cap, start_mw[i] - minimum[i])
                if h + 1 < t and on[i, h + 1]:
                    cap = min(cap, ahead[i, h + 1] + ramp_down[i])
            ahead[i, h] = cap
    low, high = np.empty(u), np.empty(u)
    for h in range(t):
        floor, room, reach = 0.0, 0.0, 0.0
        for i in range(u):
            low[i] = high[i] = above[i, h] = most[i, h] = 0.0
            if not on[i, h]:
                continue
            running = was_on[i] if h == 0 else on[i, h - 1]
            last = 0.0
            if running:
                last = before_mw[i] - minimum[i] if h == 0 else above[i, h - 1]
            top = maximum[i] - minimum[i]
            if h + 1 < t and not on[i, h + 1]:
                top = min(top, stop_mw[i] - minimum[i])
            if not running:
                top = min(top, start_mw[i] - minimum[i])
            top = min(top, last + ramp_up[i])
            high[i] = max(min(top, ahead[i, h]), 0.0)
            low[i] = min(max(last - ramp_down[i], 0.0), high[i])
            most[i, h] = max(top, high[i])
            floor += minimum[i] + low[i]
            room += high[i] - low[i]
            reach += minimum[i] + most[i, h]
        free[h] = min(free_high[h], max(free_low[h], demand[h] - floor))
        need = demand[h] - free[h] - floor
        spare[h] = max(-need, 0.0)
        lacks[h] = max(need - room, demand[h] - free[h] + reserve[h] - reach, 0.0)
        for i in range(u):
            above[i, h] = min(max(wanted[i, h], low[i]), high[i]) if on[i, h] else 0.0
            need -= above[i, h] - low[i]
        used = above[:, h].copy()
        for k in range(len(piece_unit)):
            if need <= 0.0:
                break
            i = piece_unit[k]
            if not on[i, h]:
                continue
            taken = min(used[i], piece_mw[k])
            used[i] -= taken
            add = min(piece_mw[k] - taken, need, high[i] - above[i, h])
            if add > 0.0:
                above[i, h] += add
                need -= add
        for k in range(len(piece_unit) - 1, -1, -1):
            if need >= 0.0:
                break
            i = piece_unit[k]
            if on[i, h]:
                in_piece = min(above[i, h] - piece_start[k], above[i, h] - low[i], -need)
                if in_piece > 0.0:
                    above[i, h] -= in_piece
                    need += in_piece


@njit(cache=True)
def output_cost(on: Any, above: Any, minimum_cost: Any, widths: Any, slopes: Any, n_pieces: Any) -> float:
    """Give the cost of running so, starts left out."""
    total = 0.0
    for i in range(on.shape[0]):
        for h in range(on.shape[1]):
            if on[i, h]:
                total += minimum_cost[i]
                left = above[i, h]
                for k in range(n_pieces[i]):
                    if left <= 0.0:
                        break
                    part = min(left, widths[i, k])
                    total += part * slopes[i, k]
                    left -= part
    return total
