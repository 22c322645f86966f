"""Energy of requests whose ends are known, event by event (compiled).

Between an arrival, an end and an interval boundary the same requests are active, so the device draws at one rate: the
fixed energy of a step at that batch size over its duration, the loaded idle, and each active request's own tokens at
its own even pace. Moments are whole microseconds, so boundaries are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from gridmargin.attribution.kernel import (
    BUSY,
    DECODE_J,
    DYNAMIC,
    FIXED_J,
    IDLE_J,
    LOADED,
    N_SLICE,
    PREFILL_J,
    PROVISIONED,
    STEPS,
    grown,
    pop,
    push,
    reach,
)

# Layout of the float state that outlives a call: running shares of fixed and idle [J]; own rate of all active and what
# rounding took from it [W].
SUM_FIXED, SUM_IDLE, OWN_W, OWN_LOST_W = range(4)
N_STATE = 4


@njit(cache=True)
def observe(
    arrival_us: Any,
    end_us: Any,
    prefill_j: Any,
    decode_j: Any,
    mark_fixed: Any,
    mark_idle: Any,
    mark_us: Any,
    alone_j: Any,
    keys: Any,
    items: Any,
    n_active: int,
    next_arrival: int,
    state: Any,
    clock_us: int,
    horizon_us: int,
    interval_us: int,
    fixed_j: float,
    idle_w: float,
    fixed_s: float,
    decode_s: float,
) -> Any:
    """Run one device to `horizon_us`, up to which all arrivals are known; with a negative horizon, to its last end.

    Arrays over local requests come in, the marks and `alone_j` are filled in place; slices and completions come out.
    """
    n = len(arrival_us)
    first_slot = clock_us // interval_us
    meter = np.zeros((4, len((DYNAMIC, LOADED, PROVISIONED, BUSY, STEPS))))
    slices = np.empty((max(16, n), N_SLICE))
    slice_of = np.empty(max(16, n), np.int64)
    slice_slot = np.empty(max(16, n), np.int64)
    n_slices = 0
    done = np.empty(max(16, n), np.int64)
    n_done = 0
    sum_fixed, sum_idle = state[SUM_FIXED], state[SUM_IDLE]
    own_w, lost_w = state[OWN_W], state[OWN_LOST_W]
    last = horizon_us < 0
    while True:
        slot = clock_us // interval_us
        boundary_us = (slot + 1) * interval_us
        until_us = boundary_us
        if n_active > 0:
            until_us = min(until_us, keys[0])
        if next_arrival < n:
            until_us = min(until_us, arrival_us[next_arrival])
        elif last and n_active == 0:
            break
        if not last and until_us > horizon_us:
            until_us = horizon_us
        if until_us > clock_us:
            seconds = (until_us - clock_us) / 1e6
            row = slot - first_slot
            meter = reach(meter, row + 1)
            if n_active == 0:
                meter[row, PROVISIONED] += idle_w * seconds
            else:
                step_s = fixed_s + n_active * decode_s
                fixed_w = fixed_j / step_s
                meter[row, DYNAMIC] += (fixed_w + own_w + lost_w) * seconds
                meter[row, LOADED] += idle_w * seconds
                meter[row, BUSY] += seconds
                meter[row, STEPS] += seconds / step_s
                sum_fixed += fixed_w * seconds / n_active
                sum_idle += idle_w * seconds / n_active
                if n_active == 1:
                    alone_j[items[0]] += fixed_w * seconds
            clock_us = until_us
        while n_active > 0 and keys[0] <= clock_us:
            r = items[0]
            pop(keys, items, n_active)
            n_active -= 1
            whole_us = end_us[r] - arrival_us[r]
            own_w, lost_w = _add(own_w, lost_w, -(prefill_j[r] + decode_j[r]) / (whole_us / 1e6))
            if n_active == 0:
                own_w, lost_w = 0.0, 0.0
            if n_slices == len(slice_of):
                slices, slice_of, slice_slot = grown(slices), grown(slice_of), grown(slice_slot)
            part = (clock_us - mark_us[r]) / whole_us
            slices[n_slices, PREFILL_J] = prefill_j[r] * part
            slices[n_slices, DECODE_J] = decode_j[r] * part
            slices[n_slices, FIXED_J] = sum_fixed - mark_fixed[r]
            slices[n_slices, IDLE_J] = sum_idle - mark_idle[r]
            slice_of[n_slices] = r
            slice_slot[n_slices] = slot
            n_slices += 1
            if n_done == len(done):
                done = grown(done)
            done[n_done] = r
            n_done += 1
        if clock_us == boundary_us:
            # A new slot: close the slices of those still active, and start the running sums again.
            for a in range(n_active):
                r = items[a]
                if n_slices == len(slice_of):
                    slices, slice_of, slice_slot = grown(slices), grown(slice_of), grown(slice_slot)
                part = (clock_us - mark_us[r]) / (end_us[r] - arrival_us[r])
                slices[n_slices, PREFILL_J] = prefill_j[r] * part
                slices[n_slices, DECODE_J] = decode_j[r] * part
                slices[n_slices, FIXED_J] = sum_fixed - mark_fixed[r]
                slices[n_slices, IDLE_J] = sum_idle - mark_idle[r]
                slice_of[n_slices] = r
                slice_slot[n_slices] = slot
                n_slices += 1
                mark_us[r] = clock_us
                mark_fixed[r] = 0.0
                mark_idle[r] = 0.0
            sum_fixed, sum_idle = 0.0, 0.0
            slot += 1
        while next_arrival < n and arrival_us[next_arrival] <= clock_us:
            r = next_arrival
            next_arrival += 1
            if end_us[r] > arrival_us[r]:
                if n_active == len(keys):
                    keys, items = grown(keys), grown(items)
                push(keys, items, n_active, end_us[r], r)
                n_active += 1
                mark_us[r] = clock_us
                mark_fixed[r] = sum_fixed
                mark_idle[r] = sum_idle
                own_w, lost_w = _add(
                    own_w, lost_w, (prefill_j[r] + decode_j[r]) / ((end_us[r] - arrival_us[r]) / 1e6)
                )
                continue
            # No time in which to share anything: its own tokens, at that instant.
            row = slot - first_slot
            meter = reach(meter, row + 1)
            meter[row, DYNAMIC] += prefill_j[r] + decode_j[r]
            if n_slices == len(slice_of):
                slices, slice_of, slice_slot = grown(slices), grown(slice_of), grown(slice_slot)
            slices[n_slices, PREFILL_J] = prefill_j[r]
            slices[n_slices, DECODE_J] = decode_j[r]
            slices[n_slices, FIXED_J] = 0.0
            slices[n_slices, IDLE_J] = 0.0
            slice_of[n_slices] = r
            slice_slot[n_slices] = slot
            n_slices += 1
            if n_done == len(done):
                done = grown(done)
            done[n_done] = r
            n_done += 1
        if not last and clock_us >= horizon_us:
            break
    state[SUM_FIXED], state[SUM_IDLE] = sum_fixed, sum_idle
    state[OWN_W], state[OWN_LOST_W] = own_w, lost_w
    return (
        clock_us, first_slot, keys, items, n_active, next_arrival,
        slices[:n_slices], slice_of[:n_slices], slice_slot[:n_slices], done[:n_done], meter,
    )  # fmt: skip


@njit(cache=True)
def _add(total: float, lost: float, value: float) -> Any:
    """Add with what rounding lost kept apart (Neumaier 1974)."""
    new = total + value
    if abs(total) >= abs(value):
        lost += (total - new) + value
    else:
        lost += (value - new) + total
    return new, lost
