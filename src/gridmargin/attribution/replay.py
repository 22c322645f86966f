"""Replay of a request log over devices: who shared which moment with whom.

Without end times a device runs steps one after another. A step takes in every request that has arrived by its start, as
far as `max_batch` allows, processes their prompts whole, and gives each active request one token; the step that
processes a prompt gives its first token. A request with no generated tokens takes part in that one step. A step belongs
to the interval in which it starts (C7). Where the log gives end times they are taken as they are: see `observed`.
"""

from __future__ import annotations

import numpy as np

from gridmargin.attribution.charging import TOLERANCE
from gridmargin.attribution.completed import Completed, join, take
from gridmargin.attribution.device import Device, ReplayedDevice
from gridmargin.attribution.observed import ObservedDevice
from gridmargin.meters import MeterWindow
from gridmargin.reference import Profile
from gridmargin.requests import RequestBatch
from gridmargin.vocab import ConservationError, InputError, Status


class Replay:
    """Replays requests over one or more like devices.

    Parameters
    ----------
    profile : Profile
        What a step costs and how long it takes.
    interval_s : int
        Grid on which energy is split. [s]
    max_batch : int
        Most requests in one step; not used where the log says when requests ended.
    n_devices : int
        Requests go to them in turn.
    """

    def __init__(self, profile: Profile, interval_s: int, max_batch: int = 256, n_devices: int = 1) -> None:
        if max_batch < 1 or n_devices < 1:
            raise InputError(f"max_batch {max_batch} and devices {n_devices} must be at least 1")
        self.profile = profile
        self.interval_s = interval_s
        self.max_batch = max_batch
        self._n_devices = n_devices
        self._devices: list[Device] = []
        self._observed: bool | None = None
        self._n_seen = 0
        self._handed_j: dict[int, float] = {}

    def push(self, batch: RequestBatch, known_until_us: int | None = None) -> Completed:
        """Take requests in order of arrival; give those that are known to have completed.

        Parameters
        ----------
        known_until_us : int, optional
            No later request will arrive before this; the last arrival if absent. [µs since 1970 UTC]
        """
        if len(batch) or not self._devices:
            self._settle(batch)
        turn = (self._n_seen + np.arange(len(batch))) % self._n_devices
        self._n_seen += len(batch)
        until_us = (
            known_until_us
            if known_until_us is not None
            else (int(batch.arrival_us[-1]) if len(batch) else None)
        )
        parts = []
        for number, device in enumerate(self._devices):
            mine = batch if self._n_devices == 1 else take(batch, np.flatnonzero(turn == number))
            parts.append(device.push(mine, until_us))
        return self._count(join(parts))

    def finish(self) -> Completed:
        """Run every device until its last request is done."""
        if not self._devices:
            self._devices = self._new_devices(observed=False)
        return self._count(join([device.push(None, None) for device in self._devices]))

    @property
    def mode(self) -> str:
        """`observed` where the log says when requests ended, `replayed` where batching says so."""
        return "observed" if self._observed else "replayed"

    @property
    def energy_relative(self) -> tuple[float, float]:
        """90 % half-widths of the energy, low and high, relative. [1]"""
        return self.profile.energy_low_frac, self.profile.energy_high_frac

    @property
    def timing_frac(self) -> float:
        """How far a request's times may be off, relative to their length. [1]

        A replayed request's are as unsure as its steps' durations; the log's own are what they are.
        """
        return 0.0 if self._observed else max(self.energy_relative)

    @property
    def status(self) -> Status:
        """Energy from a profile is modelled, however well the grid is known."""
        return Status.MODELLED

    def readings(self) -> list[MeterWindow]:
        """Give the meter's windows so far, by device and interval."""
        return [window for number, device in enumerate(self._devices) for window in device.windows(number)]

    def n_waiting(self) -> int:
        """Count the requests that have arrived and not completed."""
        return sum(device.n_waiting() for device in self._devices)

    def conservation_error(self) -> float:
        """Differences between the meter and its parts, interval by interval, over the whole meter. [1]

        Raises
        ------
        ConservationError
            If it is more than `TOLERANCE`.
        """
        metered: dict[int, float] = {}
        for window in self.readings():
            handed_j = window.energy_j - window.provisioned_idle_j
            metered[window.slot_start_s] = metered.get(window.slot_start_s, 0.0) + handed_j
        whole = float(np.sum([window.energy_j for window in self.readings()]))
        off = {
            slot: self._handed_j.get(slot, 0.0) - metered.get(slot, 0.0) for slot in metered | self._handed_j
        }
        worst = max(off, key=lambda slot: abs(off[slot]), default=0)
        error = float(np.sum(np.abs(list(off.values())))) / whole if whole else 0.0
        if self.n_waiting() == 0 and error > TOLERANCE:
            raise ConservationError(
                f"requests add up to {self._handed_j.get(worst, 0.0)!r} J in the interval at {worst} s, the meter less idle to"
                f" {metered.get(worst, 0.0)!r} J; over all intervals off by {error:.2e} of the meter (C4)"
            )
        return error

    def _settle(self, batch: RequestBatch) -> None:
        """Choose the kind of device by the first requests; refuse those of another kind."""
        observed = batch.end_us is not None
        if len(batch) and self._observed is not None and observed != self._observed:
            raise InputError(
                "some requests carry an end and others none; give all of them one, or leave the column out"
            )
        if len(batch) and self._observed is None:
            self._observed = observed
            self._devices = self._new_devices(observed=observed)
        if not self._devices:
            self._devices = self._new_devices(observed=False)

    def _new_devices(self, *, observed: bool) -> list[Device]:
        if observed:
            return [ObservedDevice(self.profile, self.interval_s) for _ in range(self._n_devices)]
        return [ReplayedDevice(self.profile, self.interval_s, self.max_batch) for _ in range(self._n_devices)]

    def _count(self, done: Completed) -> Completed:
        slots, at = np.unique(done.slot_start_s, return_inverse=True)
        whole = done.prefill_j + done.decode_j + done.step_fixed_j + done.loaded_idle_j
        for slot, energy_j in zip(slots.tolist(), np.bincount(at, weights=whole), strict=True):
            self._handed_j[slot] = self._handed_j.get(slot, 0.0) + float(energy_j)
        return done
