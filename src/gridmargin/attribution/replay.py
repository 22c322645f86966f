"""Replay of a request log through continuous batching: who shared which step with whom.

A device runs steps one after another. A step takes in every request that has arrived by its start, as far as `max_batch`
allows, processes their prompts whole, and gives each active request one token; the step that processes a prompt gives
its first token. A request with no generated tokens takes part in that one step. A step belongs to the interval in
which it starts (C7). Where the log gives end times they are taken as they are: the request is active from its
arrival to its end, its tokens spread evenly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gridmargin.attribution import kernel
from gridmargin.attribution.request import RequestBatch
from gridmargin.reference import Profile
from gridmargin.vocab import ConservationError, InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TOLERANCE = 1e-9
"""Largest relative difference between the meter and its parts (C4). [1]"""


@dataclass(frozen=True, slots=True)
class Completed:
    """Requests that have run to their end, n of them, and their m slices by interval, adjacent per request.

    Attributes
    ----------
    batch : RequestBatch
        The requests, in order of completion.
    start_s, first_token_s, end_s : arrays, shape (n,)
        Start of the first step, end of it, end of the last. [s since 1970 UTC]
    first_slice : array of int64, shape (n,)
        Where each request's slices begin.
    slice_request : array of int64, shape (m,)
        Which request a slice belongs to.
    slot_start_s : array of int64, shape (m,)
        Start of the slice's interval. [s since 1970 UTC]
    prefill_j, decode_j, step_fixed_j, loaded_idle_j : arrays, shape (m,)
        The parts, kept apart: what its own tokens cost, and its equal share of the fixed and the idle energy of the
        steps it took part in. [J]
    """

    batch: RequestBatch
    start_s: FloatArray
    first_token_s: FloatArray
    end_s: FloatArray
    first_slice: IntArray
    slice_request: IntArray
    slot_start_s: IntArray
    prefill_j: FloatArray
    decode_j: FloatArray
    step_fixed_j: FloatArray
    loaded_idle_j: FloatArray

    def __len__(self) -> int:
        return len(self.batch)


@dataclass(frozen=True, slots=True)
class MeterWindow:
    """What the modelled meter of one device reads for one interval.

    Attributes
    ----------
    device : int
        Number of the device.
    slot_start_s : int
        [s since 1970 UTC]
    dynamic_j, loaded_idle_j, provisioned_idle_j : float
        Steps, idle power during steps, idle power with no request active. [J]
    busy_s : float
        Time in steps. [s]
    n_steps : int
    """

    device: int
    slot_start_s: int
    dynamic_j: float
    loaded_idle_j: float
    provisioned_idle_j: float
    busy_s: float
    n_steps: int

    @property
    def energy_j(self) -> float:
        """Everything the meter saw. [J]"""
        return self.dynamic_j + self.loaded_idle_j + self.provisioned_idle_j


class Replay:
    """Replays requests over one or more like devices.

    Parameters
    ----------
    profile : Profile
        What a step costs and how long it takes.
    interval_s : int
        Grid on which energy is split. [s]
    max_batch : int
        Most requests in one step.
    n_devices : int
        Requests go to them in turn.
    """

    def __init__(self, profile: Profile, interval_s: int, max_batch: int = 256, n_devices: int = 1) -> None:
        if max_batch < 1 or n_devices < 1:
            raise InputError(f"max_batch {max_batch} and devices {n_devices} must be at least 1")
        self.profile = profile
        self.interval_s = interval_s
        self._devices = [_Device(profile, interval_s, max_batch) for _ in range(n_devices)]
        self._n_seen = 0
        self._handed_j = 0.0

    def push(self, batch: RequestBatch, known_until_us: int | None = None) -> Completed:
        """Take requests in order of arrival; give those that are known to have completed.

        Parameters
        ----------
        known_until_us : int, optional
            No later request will arrive before this; the last arrival if absent. [µs since 1970 UTC]
        """
        turn = (self._n_seen + np.arange(len(batch))) % len(self._devices)
        self._n_seen += len(batch)
        until_us = (
            known_until_us
            if known_until_us is not None
            else (int(batch.arrival_us[-1]) if len(batch) else None)
        )
        parts = []
        for number, device in enumerate(self._devices):
            mine = batch if len(self._devices) == 1 else _take(batch, np.flatnonzero(turn == number))
            parts.append(device.push(mine, until_us))
        return self._count(_join(parts))

    def finish(self) -> Completed:
        """Run every device until its last request is done."""
        return self._count(_join([device.push(None, None) for device in self._devices]))

    def readings(self) -> list[MeterWindow]:
        """Give the meter's windows so far, by device and interval."""
        return [window for number, device in enumerate(self._devices) for window in device.windows(number)]

    def n_waiting(self) -> int:
        """Count the requests that have arrived and not completed."""
        return sum(device.n_waiting() for device in self._devices)

    def conservation_error(self) -> float:
        """Relative difference between the meter and the sum of its parts, once everything has completed. [1]

        Raises
        ------
        ConservationError
            If it is more than `TOLERANCE`.
        """
        windows = self.readings()
        metered = float(np.sum([w.energy_j for w in windows]))
        idle = float(np.sum([w.provisioned_idle_j for w in windows]))
        error = abs(self._handed_j + idle - metered) / metered if metered else 0.0
        if self.n_waiting() == 0 and error > TOLERANCE:
            raise ConservationError(
                f"requests and idle add up to {self._handed_j + idle!r} J, the meter to {metered!r} J: off by {error:.2e} (C4)"
            )
        return error

    def _count(self, done: Completed) -> Completed:
        for part in (done.prefill_j, done.decode_j, done.step_fixed_j, done.loaded_idle_j):
            self._handed_j += float(np.sum(part))
        return done


class _Device:
    """One device: what is waiting, what is active, and the meter so far."""

    def __init__(self, profile: Profile, interval_s: int, max_batch: int) -> None:
        self.profile = profile
        self.interval_s = interval_s
        self.max_batch = max_batch
        self.base_s: int | None = None
        self.held = _none()
        self.local = np.empty((0, 6))  # start, first token, end, and the three marks
        self.n_active = 0
        self.n_admitted = 0
        self.keys = np.empty(max_batch, np.int64)
        self.items = np.empty(max_batch, np.int64)
        self.state = np.zeros(kernel.N_STATE)
        self.meter: dict[int, FloatArray] = {}
        self.pending: tuple[FloatArray, IntArray, IntArray] = (
            np.empty((0, kernel.N_SLICE)), np.empty(0, np.int64), np.empty(0, np.int64),
        )  # fmt: skip

    def n_waiting(self) -> int:
        return len(self.held)

    def windows(self, number: int) -> list[MeterWindow]:
        return [
            MeterWindow(
                number, (self.base_s or 0) + slot * self.interval_s, *(float(v) for v in row[:4]), int(row[4])
            )
            for slot, row in sorted(self.meter.items())
            if row.any()
        ]

    def push(self, batch: RequestBatch | None, until_us: int | None) -> Completed:
        """Take a batch; None means that no more will come."""
        if batch is not None and len(batch):
            if self.base_s is None:
                self.base_s = int(batch.arrival_us[0] // 1_000_000 // self.interval_s * self.interval_s)
                self.state[kernel.CLOCK] = float(batch.arrival_us[0] / 1e6 - self.base_s)
                self.state[kernel.BOUNDARY] = self.interval_s
            self.held = _append(self.held, batch)
            self.local = np.concatenate([self.local, np.zeros((len(batch), 6))])
        if self.base_s is None or (batch is None and not len(self.held)):
            return _completed(self, np.empty(0, np.int64), self.held, self.local)
        horizon_s = np.inf if batch is None or until_us is None else until_us / 1e6 - self.base_s
        return self._run(horizon_s)

    def _run(self, horizon_s: float) -> Completed:
        assert self.base_s is not None
        held, profile = self.held, self.profile
        arrival_s = (held.arrival_us - self.base_s * 1_000_000) / 1e6
        columns = [np.ascontiguousarray(self.local[:, i]) for i in range(6)]
        marks = columns[5].astype(np.int64)
        first_slot = int(self.state[kernel.CLOCK] // self.interval_s)
        self.n_active, self.n_admitted, slices, owners, slots, done, meter = kernel.replay(
            arrival_s, held.prompt_tokens, held.generated_tokens, np.arange(len(held)), columns[0], columns[1], columns[2],
            columns[3], columns[4], marks, self.keys, self.items, self.n_active, self.n_admitted, self.state, first_slot,
            horizon_s, self.max_batch, float(self.interval_s), profile.fixed_j_per_step, profile.j_per_prefill_token,
            profile.j_per_decode_token, profile.loaded_idle_w, profile.fixed_s_per_step, profile.s_per_prefill_token,
            profile.s_per_decode_token,
        )  # fmt: skip
        for offset in np.flatnonzero(meter.any(axis=1)):
            slot = first_slot + int(offset)
            self.meter[slot] = self.meter.get(slot, np.zeros(kernel.N_METER)) + meter[offset]
        self.local = np.column_stack([*columns[:5], marks.astype(np.float64)])
        old, old_owner, old_slot = self.pending
        self.pending = (
            np.concatenate([old, slices]), np.concatenate([old_owner, owners]), np.concatenate([old_slot, slots]),
        )  # fmt: skip
        out = _completed(self, done, held, self.local)
        self._forget(done)
        return out

    def take_slices(self, done: IntArray, n: int) -> tuple[FloatArray, IntArray, IntArray, IntArray]:
        """Slices of the requests in `done`, ordered as they are, with the position in `done` of each."""
        values, owner, slot = self.pending
        position = np.full(n, -1, np.int64)
        position[done] = np.arange(len(done))
        place = position[owner]
        order = np.flatnonzero(place >= 0)
        order = order[np.argsort(place[order], kind="stable")]
        self.pending = tuple(part[place < 0] for part in self.pending)  # type: ignore[assignment]
        return values[order], place[order], slot[order], np.searchsorted(place[order], np.arange(len(done)))

    def _forget(self, done: IntArray) -> None:
        """Drop what has completed and number the rest anew."""
        keep = np.ones(len(self.held), bool)
        keep[done] = False
        renumber = np.cumsum(keep) - 1
        self.n_admitted = int(keep[: self.n_admitted].sum())
        self.items[: self.n_active] = renumber[self.items[: self.n_active]]
        values, owner, slot = self.pending
        self.pending = (values, renumber[owner], slot)
        self.held = _take(self.held, np.flatnonzero(keep))
        self.local = self.local[keep]


def _completed(device: _Device, done: IntArray, held: RequestBatch, local: FloatArray) -> Completed:
    values, owner, slot, first = device.take_slices(done, len(held))
    base_s = device.base_s or 0
    times = local[done] + base_s
    return Completed(
        batch=_take(held, done),
        start_s=times[:, 0],
        first_token_s=times[:, 1],
        end_s=times[:, 2],
        first_slice=first,
        slice_request=owner,
        slot_start_s=base_s + slot * device.interval_s,
        prefill_j=values[:, kernel.PREFILL_J],
        decode_j=values[:, kernel.DECODE_J],
        step_fixed_j=values[:, kernel.FIXED_J],
        loaded_idle_j=values[:, kernel.IDLE_J],
    )


def _none() -> RequestBatch:
    return RequestBatch(
        np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32), None, {}
    )


def _append(first: RequestBatch, second: RequestBatch) -> RequestBatch:
    if not len(first):
        return second
    return RequestBatch(
        row=np.concatenate([first.row, second.row]),
        arrival_us=np.concatenate([first.arrival_us, second.arrival_us]),
        prompt_tokens=np.concatenate([first.prompt_tokens, second.prompt_tokens]),
        generated_tokens=np.concatenate([first.generated_tokens, second.generated_tokens]),
        end_us=None
        if second.end_us is None or first.end_us is None
        else np.concatenate([first.end_us, second.end_us]),
        words={name: pa.concat_arrays([first.words[name], second.words[name]]) for name in second.words},
    )


def _take(batch: RequestBatch, at: IntArray) -> RequestBatch:
    return RequestBatch(
        row=batch.row[at],
        arrival_us=batch.arrival_us[at],
        prompt_tokens=batch.prompt_tokens[at],
        generated_tokens=batch.generated_tokens[at],
        end_us=None if batch.end_us is None else batch.end_us[at],
        words={name: array.take(pa.array(at)) for name, array in batch.words.items()},
    )


def _join(parts: list[Completed]) -> Completed:
    if len(parts) == 1:
        return parts[0]
    before = np.cumsum([0, *[len(p) for p in parts]])
    slices_before = np.cumsum([0, *[len(p.slice_request) for p in parts]])
    batch = parts[0].batch
    for part in parts[1:]:
        batch = _append(batch, part.batch) if len(part.batch) else batch

    def whole(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(part, name) for part in parts])

    return Completed(
        batch=batch,
        start_s=whole("start_s"),
        first_token_s=whole("first_token_s"),
        end_s=whole("end_s"),
        first_slice=np.concatenate([p.first_slice + b for p, b in zip(parts, slices_before, strict=False)]),
        slice_request=np.concatenate([p.slice_request + b for p, b in zip(parts, before, strict=False)]),
        slot_start_s=whole("slot_start_s").astype(np.int64),
        prefill_j=whole("prefill_j"),
        decode_j=whole("decode_j"),
        step_fixed_j=whole("step_fixed_j"),
        loaded_idle_j=whole("loaded_idle_j"),
    )
