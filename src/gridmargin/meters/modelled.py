"""A meter where nothing can be read: what the profile says that the device drew, window by window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gridmargin.meters.reading import Reading
from gridmargin.reference import Profile
from gridmargin.vocab import InputError, Interval, Status


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
        Where the ends of requests are known, the steps that the profile implies.
    unused_j : float
        Of a board that is split among instances: what is of none of them. [J]
    """

    device: int
    slot_start_s: int
    dynamic_j: float
    loaded_idle_j: float
    provisioned_idle_j: float
    busy_s: float
    n_steps: int
    unused_j: float = 0.0

    @property
    def energy_j(self) -> float:
        """Everything the meter saw. [J]"""
        return self.dynamic_j + self.loaded_idle_j + self.provisioned_idle_j + self.unused_j


class ModelledMeter:
    """Readings from a profile: no instrument, so nothing finer than the windows can be seen.

    Parameters
    ----------
    profile : Profile
        Names the device.
    windows : iterable of MeterWindow
        What the steps of the profile came to.
    interval_s : int
        Length of a window. [s]
    """

    name = "modelled"
    sees = "board energy of a device as its profile states it; neither host nor memory nor cooling"

    def __init__(self, profile: Profile, windows: Iterable[MeterWindow], interval_s: int) -> None:
        if interval_s <= 0:
            raise InputError(f"window of {interval_s} s: give a length above 0")
        self.profile = profile
        self.interval_s = interval_s
        self._windows = sorted(windows, key=lambda window: (window.device, window.slot_start_s))

    def readings(self, within: Interval | None = None) -> Sequence[Reading]:
        """Give the readings that lie whole inside a stretch of time, by device and start."""
        found = []
        for window in self._windows:
            start_utc = datetime.fromtimestamp(window.slot_start_s, UTC)
            interval = Interval.starting(start_utc, self.interval_s)
            if within is None or within.overlap(interval) == interval:
                found.append(
                    Reading(
                        device=f"{self.profile.device}/{window.device}",
                        interval=interval,
                        energy_j=window.energy_j,
                        resolution_s=float(self.interval_s),
                        meter=self.name,
                        status=Status.MODELLED,
                    )
                )
        return found
