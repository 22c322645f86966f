"""One device: what is waiting, what is active, its meter so far; and the device that runs step by step."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from gridmargin.attribution import kernel
from gridmargin.attribution.completed import Completed, FloatArray, IntArray, append, no_requests, take
from gridmargin.meters import MeterWindow
from gridmargin.reference import Profile
from gridmargin.requests import RequestBatch

Columns = dict[str, FloatArray | IntArray]


class Device(ABC):
    """What both kinds of device keep: requests not completed, numbers beside each, slices not handed out.

    Parameters
    ----------
    profile : Profile
    interval_s : int
        Grid on which energy is split. [s]
    """

    integers: tuple[str, ...] = ()
    floats: tuple[str, ...] = ()

    def __init__(self, profile: Profile, interval_s: int) -> None:
        self.profile = profile
        self.interval_s = interval_s
        self.base_s: int | None = None
        self.held = no_requests()
        self.local: Columns = self._blank(0)
        self.n_active = 0
        self.n_admitted = 0
        self.keys = np.empty(16, np.int64)
        self.items = np.empty(16, np.int64)
        self.meter: dict[int, FloatArray] = {}
        self.pending: tuple[FloatArray, IntArray, IntArray] = (
            np.empty((0, kernel.N_SLICE)), np.empty(0, np.int64), np.empty(0, np.int64),
        )  # fmt: skip

    @abstractmethod
    def _begin(self, first_us: int) -> None:
        """Set the clock to the first arrival."""

    @abstractmethod
    def _advance(
        self, until_us: int | None
    ) -> tuple[int, FloatArray, FloatArray, IntArray, IntArray, IntArray]:
        """Run to a moment, or to the end.

        Returns
        -------
        tuple
            First slot of the meter, meter, slices, owners of the slices, slots of the slices, completed.
        """

    @abstractmethod
    def _times_s(self, done: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Start, first token, end. [s since 1970 UTC]"""

    def n_waiting(self) -> int:
        """Count the requests that have arrived and not completed."""
        return len(self.held)

    def windows(self, number: int) -> list[MeterWindow]:
        """Give what the meter reads so far, under the device's number."""
        return [
            MeterWindow(
                device=number,
                slot_start_s=(self.base_s or 0) + slot * self.interval_s,
                dynamic_j=float(row[kernel.DYNAMIC]),
                loaded_idle_j=float(row[kernel.LOADED]),
                provisioned_idle_j=float(row[kernel.PROVISIONED]),
                busy_s=float(row[kernel.BUSY]),
                n_steps=round(float(row[kernel.STEPS])),
            )
            for slot, row in sorted(self.meter.items())
            if row.any()
        ]

    def push(self, batch: RequestBatch | None, until_us: int | None) -> Completed:
        """Take a batch; None means that no more will come."""
        if batch is not None and len(batch):
            if self.base_s is None:
                first_us = int(batch.arrival_us[0])
                self.base_s = first_us // 1_000_000 // self.interval_s * self.interval_s
                self._begin(first_us)
            self.held = append(self.held, batch)
            blank = self._blank(len(batch))
            self.local = {name: np.concatenate([old, blank[name]]) for name, old in self.local.items()}
        done = np.empty(0, np.int64)
        # An empty batch that says nothing of later arrivals moves no clock.
        if self.base_s is not None and (until_us is not None if batch is not None else len(self.held)):
            first_slot, meter, slices, owners, slots, done = self._advance(
                None if batch is None else until_us
            )
            for offset in np.flatnonzero(meter.any(axis=1)):
                slot = first_slot + int(offset)
                self.meter[slot] = self.meter.get(slot, np.zeros(kernel.N_METER)) + meter[offset]
            old, old_owner, old_slot = self.pending
            self.pending = (
                np.concatenate([old, slices]), np.concatenate([old_owner, owners]), np.concatenate([old_slot, slots]),
            )  # fmt: skip
        return self._hand_out(done)

    def _blank(self, n: int) -> Columns:
        return {name: np.zeros(n, np.int64) for name in self.integers} | {
            name: np.zeros(n) for name in self.floats
        }

    def _hand_out(self, done: IntArray) -> Completed:
        """Give what has completed, in order, and number the rest anew."""
        values, owner, slot = self.pending
        position = np.full(len(self.held), -1, np.int64)
        position[done] = np.arange(len(done))
        place = position[owner]
        mine = np.flatnonzero(place >= 0)
        order = mine[np.argsort(place[mine], kind="stable")]
        values_out, owner_out, slot_out = values[order], place[order], slot[order]
        start_s, first_token_s, end_s = self._times_s(done)
        out = Completed(
            batch=take(self.held, done),
            start_s=start_s,
            first_token_s=first_token_s,
            end_s=end_s,
            alone_j=self.local["alone_j"][done].astype(np.float64, copy=False),
            first_slice=np.searchsorted(owner_out, np.arange(len(done))),
            slice_request=owner_out,
            slot_start_s=(self.base_s or 0) + slot_out * self.interval_s,
            prefill_j=values_out[:, kernel.PREFILL_J],
            decode_j=values_out[:, kernel.DECODE_J],
            work_j=np.zeros(len(order)),
            step_fixed_j=values_out[:, kernel.FIXED_J],
            loaded_idle_j=values_out[:, kernel.IDLE_J],
            work_units=np.zeros(len(order)),
        )
        keep = np.ones(len(self.held), bool)
        keep[done] = False
        rest = place < 0
        renumber = np.cumsum(keep) - 1
        self.pending = (values[rest], renumber[owner[rest]], slot[rest])
        self.n_admitted = int(keep[: self.n_admitted].sum())
        self.items[: self.n_active] = renumber[self.items[: self.n_active]]
        self.held = take(self.held, np.flatnonzero(keep))
        self.local = {name: column[keep] for name, column in self.local.items()}
        return out


class ReplayedDevice(Device):
    """A device that batches continuously, step by step.

    Parameters
    ----------
    max_batch : int
        Most requests in one step.
    """

    integers = ("mark_step",)
    floats = ("start_s", "first_token_s", "end_s", "mark_fixed", "mark_idle", "alone_j")

    def __init__(self, profile: Profile, interval_s: int, max_batch: int) -> None:
        super().__init__(profile, interval_s)
        self.max_batch = max_batch
        self.keys = np.empty(max_batch, np.int64)
        self.items = np.empty(max_batch, np.int64)
        self.state = np.zeros(kernel.N_STATE)

    def _begin(self, first_us: int) -> None:
        assert self.base_s is not None
        self.state[kernel.CLOCK] = (first_us - self.base_s * 1_000_000) / 1e6
        self.state[kernel.BOUNDARY] = self.interval_s

    def _advance(
        self, until_us: int | None
    ) -> tuple[int, FloatArray, FloatArray, IntArray, IntArray, IntArray]:
        assert self.base_s is not None
        held, profile, local = self.held, self.profile, self.local
        base_us = self.base_s * 1_000_000
        first_slot = int(self.state[kernel.CLOCK] // self.interval_s)
        self.n_active, self.n_admitted, slices, owners, slots, done, meter = kernel.replay(
            (held.arrival_us - base_us) / 1e6, held.prompt_tokens, held.generated_tokens, local["start_s"],
            local["first_token_s"], local["end_s"], local["mark_fixed"], local["mark_idle"], local["mark_step"],
            local["alone_j"], self.keys, self.items, self.n_active, self.n_admitted, self.state, first_slot,
            np.inf if until_us is None else (until_us - base_us) / 1e6, self.max_batch, float(self.interval_s),
            profile.fixed_j_per_step, profile.j_per_prefill_token, profile.j_per_decode_token, profile.loaded_idle_w,
            profile.fixed_s_per_step, profile.s_per_prefill_token, profile.s_per_decode_token,
        )  # fmt: skip
        return first_slot, meter, slices, owners, slots, done

    def _times_s(self, done: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        base_s = self.base_s or 0
        start_s = np.asarray(self.local["start_s"][done] + base_s, np.float64)
        first_token_s = np.asarray(self.local["first_token_s"][done] + base_s, np.float64)
        return start_s, first_token_s, np.asarray(self.local["end_s"][done] + base_s, np.float64)
