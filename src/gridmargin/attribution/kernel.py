"""Continuous batching, replayed event by event (compiled).

Between an admission, a completion and an interval boundary the batch does not change, so every step in between is alike
and `k` of them are taken at once. Two running sums make each request's share a difference: the fixed energy of a step
divided by how many were active in it, and likewise its idle energy. Both sums start again at every interval boundary,
so that they stay small and exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

# Layout of the state that outlives a call: clock [s], running sums [J], step counter, next slot boundary [s].
CLOCK, SUM_FIXED, SUM_IDLE, STEP, BOUNDARY = range(5)
N_STATE = 5

# Columns of the slices: prefill, decode, share of fixed, share of idle [J].
PREFILL_J, DECODE_J, FIXED_J, IDLE_J = range(4)
N_SLICE = 4

# Columns of the meter, per slot: dynamic, loaded idle, provisioned idle [J]; busy [s]; steps.
DYNAMIC, LOADED, PROVISIONED, BUSY, STEPS = range(5)
N_METER = 5


@njit(cache=True)
def push(keys: Any, items: Any, n: int, key: Any, item: int) -> None:
    """Put an item on a heap of n, least key first."""
    i = n
    while i > 0:
        parent = (i - 1) // 2
        if keys[parent] <= key:
            break
        keys[i], items[i] = keys[parent], items[parent]
        i = parent
    keys[i], items[i] = key, item


@njit(cache=True)
def pop(keys: Any, items: Any, n: int) -> None:
    """Take the item with the least key off a heap of n."""
    key, item = keys[n - 1], items[n - 1]
    n -= 1
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[i], items[i] = keys[child], items[child]
        i = child
    keys[i], items[i] = key, item


@njit(cache=True)
def grown(table: Any) -> Any:
    """Give the table with twice the room."""
    out = np.empty((2 * len(table), *table.shape[1:]), table.dtype)
    out[: len(table)] = table
    return out


@njit(cache=True)
def reach(meter: Any, rows: Any) -> Any:
    """Give the meter with at least so many rows."""
    if rows <= len(meter):
        return meter
    out = np.zeros((max(rows, 2 * len(meter)), N_METER))
    out[: len(meter)] = meter
    return out


@njit(cache=True)
def _idle(meter: Any, first_slot: int, interval_s: float, start_s: float, end_s: float, idle_w: float) -> Any:
    """Add provisioned idle between two moments, slot by slot."""
    slot = int(np.floor(start_s / interval_s))
    meter = reach(meter, int(np.floor(end_s / interval_s)) - first_slot + 1)
    while start_s < end_s:
        stop = min(end_s, (slot + 1) * interval_s)
        meter[slot - first_slot, PROVISIONED] += idle_w * (stop - start_s)
        start_s = stop
        slot += 1
    return meter


@njit(cache=True)
def replay(
    arrival_s: Any,
    prompt: Any,
    generated: Any,
    start_s: Any,
    first_token_s: Any,
    end_s: Any,
    mark_fixed: Any,
    mark_idle: Any,
    mark_step: Any,
    alone_j: Any,
    keys: Any,
    items: Any,
    n_active: int,
    next_waiting: int,
    state: Any,
    first_slot: int,
    horizon_s: float,
    max_batch: int,
    interval_s: float,
    fixed_j: float,
    prefill_j: float,
    decode_j: float,
    idle_w: float,
    fixed_s: float,
    prefill_s: float,
    decode_s: float,
) -> Any:
    """Run one device until the clock reaches `horizon_s`, up to which all arrivals are known.

    Arrays over local requests come in and are filled in place; slices and completions come out.
    """
    n = len(arrival_s)
    meter = np.zeros((4, N_METER))
    slices = np.empty((max(16, n), N_SLICE))
    slice_of = np.empty(max(16, n), np.int64)
    slice_slot = np.empty(max(16, n), np.int64)
    n_slices = 0
    done = np.empty(max(16, n), np.int64)
    n_done = 0
    clock, sum_fixed, sum_idle = state[CLOCK], state[SUM_FIXED], state[SUM_IDLE]
    step = np.int64(state[STEP])
    boundary = state[BOUNDARY]
    while clock < horizon_s:
        if n_active == 0 and (next_waiting >= n or arrival_s[next_waiting] > clock):
            until = arrival_s[next_waiting] if next_waiting < n else horizon_s
            until = min(until, horizon_s)
            if not np.isfinite(until):
                break
            meter = _idle(meter, first_slot, interval_s, clock, until, idle_w)
            clock = until
            boundary = (np.floor(clock / interval_s) + 1) * interval_s
            sum_fixed = 0.0
            sum_idle = 0.0
            continue
        if clock >= boundary:
            # A new slot: close the slices of those still active, and start the running sums again.
            slot = np.int64(round(boundary / interval_s)) - 1
            for a in range(n_active):
                r = items[a]
                if n_slices == len(slice_of):
                    slices, slice_of, slice_slot = grown(slices), grown(slice_of), grown(slice_slot)
                decoded = step - mark_step[r]
                slices[n_slices, PREFILL_J] = prompt[r] * prefill_j if mark_step[r] < 0 else 0.0
                if mark_step[r] < 0:
                    decoded = step - (-mark_step[r])
                slices[n_slices, DECODE_J] = decoded * decode_j
                slices[n_slices, FIXED_J] = sum_fixed - mark_fixed[r]
                slices[n_slices, IDLE_J] = sum_idle - mark_idle[r]
                slice_of[n_slices] = r
                slice_slot[n_slices] = slot
                n_slices += 1
                mark_fixed[r] = 0.0
                mark_idle[r] = 0.0
                mark_step[r] = step
            sum_fixed = 0.0
            sum_idle = 0.0
            boundary = (np.floor(clock / interval_s) + 1) * interval_s
        # Admit those who have arrived, as far as there is room.
        old = n_active
        admitted_tokens = 0
        while next_waiting < n and arrival_s[next_waiting] <= clock and n_active < max_batch:
            r = next_waiting
            start_s[r] = clock
            mark_fixed[r] = sum_fixed
            mark_idle[r] = sum_idle
            mark_step[r] = -(step + 1)  # negative: its prefill is still to be told in a slice
            push(keys, items, n_active, step + max(generated[r], 1), r)
            n_active += 1
            admitted_tokens += prompt[r]
            next_waiting += 1
        fresh = n_active - old
        if fresh > 0:
            k = np.int64(1)
            seconds = fixed_s + admitted_tokens * prefill_s + old * decode_s
            dynamic = fixed_j + admitted_tokens * prefill_j + old * decode_j
        else:
            seconds = fixed_s + n_active * decode_s
            dynamic = fixed_j + n_active * decode_j
            k = keys[0] - step
            k = min(k, max(np.int64(1), np.int64(np.ceil((boundary - clock) / seconds))))
            if np.isfinite(horizon_s):
                k = min(k, max(np.int64(1), np.int64(np.ceil((horizon_s - clock) / seconds))))
            if next_waiting < n and n_active < max_batch:
                k = min(k, max(np.int64(1), np.int64(np.ceil((arrival_s[next_waiting] - clock) / seconds))))
        slot_row = np.int64(round(boundary / interval_s)) - 1 - first_slot
        meter = reach(meter, int(slot_row) + 1)
        meter[slot_row, DYNAMIC] += k * dynamic
        meter[slot_row, LOADED] += idle_w * (k * seconds)
        meter[slot_row, BUSY] += k * seconds
        meter[slot_row, STEPS] += k
        sum_fixed += k * (fixed_j / n_active)
        sum_idle += k * (idle_w * seconds / n_active)
        if n_active == 1:
            alone_j[items[0]] += k * fixed_j
        clock += k * seconds
        step += k
        if fresh > 0:
            for r in range(next_waiting - fresh, next_waiting):
                first_token_s[r] = clock
        while n_active > 0 and keys[0] <= step:
            r = items[0]
            pop(keys, items, n_active)
            n_active -= 1
            if n_slices == len(slice_of):
                slices, slice_of, slice_slot = grown(slices), grown(slice_of), grown(slice_slot)
            if mark_step[r] < 0:
                decoded = step - (-mark_step[r])
                slices[n_slices, PREFILL_J] = prompt[r] * prefill_j
            else:
                decoded = step - mark_step[r]
                slices[n_slices, PREFILL_J] = 0.0
            slices[n_slices, DECODE_J] = decoded * decode_j
            slices[n_slices, FIXED_J] = sum_fixed - mark_fixed[r]
            slices[n_slices, IDLE_J] = sum_idle - mark_idle[r]
            slice_of[n_slices] = r
            slice_slot[n_slices] = slot_row + first_slot
            n_slices += 1
            end_s[r] = clock
            if n_done == len(done):
                done = grown(done)
            done[n_done] = r
            n_done += 1
    state[CLOCK], state[SUM_FIXED], state[SUM_IDLE] = clock, sum_fixed, sum_idle
    state[STEP] = step
    state[BOUNDARY] = boundary
    return (
        n_active,
        next_waiting,
        slices[:n_slices],
        slice_of[:n_slices],
        slice_slot[:n_slices],
        done[:n_done],
        meter,
    )
