"""A meter that is asked again and again; it keeps what it was told lately, and gives readings of that."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

from gridmargin.meters.reading import Reading
from gridmargin.meters.sample import Channel, Quantity, Sample
from gridmargin.meters.surroundings import Surroundings
from gridmargin.meters.track import Track
from gridmargin.vocab import InputError, Interval, NoMeterError

KEPT_S = 600.0
"""How much of the past is kept, where it fits. [s]"""

LEAST_KEPT, MOST_KEPT = 64, 65_536
"""Samples of one channel."""

MOST_SAMPLES = 2**21
"""Of all channels of one meter: the bound on its memory, 17 bytes each."""

_POWERS = (Quantity.POWER, Quantity.MEAN_POWER)


def _nothing() -> None:
    """Do nothing."""


class LiveMeter(ABC):
    """What every instrument shares; a module of its own says how each is opened, asked and understood.

    Parameters
    ----------
    clock_us : callable
        The time of day. [µs since 1970 UTC]
    sample_s : float, optional
        Period at which it will be asked; about that of the instrument itself, where absent. [s]

    Attributes
    ----------
    name : str
        As registered in `METERS`.
    sees : str
        What the figures include and what not, in words.
    resolution_s : float
        About how often the instrument has something new to say. [s]
    fastest_s : float
        Shortest useful sampling period. [s]
    stands_s : float or None
        Longest that a living counter of it shows the same figure; None where it may rightly stand. [s]
    let_go : callable
        Ends what `open` began, such as a connection.
    n_asked, n_silent, n_refused : int
        How often it was asked and did not answer, and how many figures could not be used: below 0, not finite, or at a
        time that was over already.
    """

    name: str
    sees: str
    resolution_s: ClassVar[float]
    fastest_s: ClassVar[float]
    stands_s: ClassVar[float | None]

    def __init__(self, clock_us: Callable[[], int], sample_s: float | None = None) -> None:
        self.sample_s = sample_s if sample_s is not None else self.resolution_s
        if not self.sample_s > 0:
            raise InputError(f"{self.name}: sampling every {self.sample_s} s; give a period above 0")
        self.keep = int(min(max(KEPT_S / self.sample_s, LEAST_KEPT), MOST_KEPT))
        self.n_asked = 0
        self.n_silent = 0
        self.n_refused = 0
        self.let_go: Callable[[], None] = _nothing
        self._fault: str | None = None
        self._clock_us = clock_us
        self._tracks: dict[tuple[str, Quantity], Track] = {}
        self._lock = threading.Lock()

    @classmethod
    @abstractmethod
    def open(cls, around: Surroundings, sample_s: float | None = None) -> Self:
        """Find the instrument.

        Raises
        ------
        NoMeterError
            If it is not there or may not be read; says why, and what to do.
        """

    @abstractmethod
    def ask(self) -> Sequence[Sample]:
        """Ask the instrument once.

        Raises
        ------
        NoMeterError
            If it does not answer.
        """

    @property
    def way(self) -> str:
        """By what it is read, in a few words."""
        return self.name

    def labels(self) -> Mapping[str, str]:
        """Give the model of each device, where the instrument says it."""
        return {}

    def close(self) -> None:
        """Let go of the instrument."""
        self.let_go()

    def sample(self) -> int:
        """Ask once and keep the answer; a meter that does not answer leaves a gap and a fault, and nothing else.

        Returns
        -------
        int
            How many figures came.
        """
        before_us = self._clock_us()
        self.n_asked += 1
        try:
            samples = self.ask()
        except NoMeterError as error:
            self.n_silent += 1
            self._fault = str(error)
            return 0
        now_us = (before_us + self._clock_us()) // 2
        self._fault = None
        with self._lock:
            for sample in samples:
                time_us = now_us if sample.time_us is None else sample.time_us
                self.n_refused += not self._track(sample.channel).add(time_us, sample.value)
        return len(samples)

    def _track(self, channel: Channel) -> Track:
        key = channel.device, channel.quantity
        track = self._tracks.get(key)
        if track is None or track.channel != channel:
            if len(self._tracks) >= MOST_SAMPLES // self.keep:
                del self._tracks[min(self._tracks, key=lambda known: self._tracks[known].seen_us)]
            track = self._tracks[key] = Track(channel, self.sample_s, self.stands_s, self.keep)
        return track

    def readings(self, within: Interval | None = None) -> Sequence[Reading]:
        """Give the readings that lie whole inside a stretch of time, by device and start.

        A device with an energy counter is read by that alone, so that its readings never overlap.
        """
        with self._lock:
            found = [r for device in self._devices() for r in self._best(device).readings(self.name)]
        return [r for r in found if within is None or within.overlap(r.interval) == r.interval]

    def _devices(self) -> list[str]:
        """List the devices that tell energy or power."""
        return sorted({d for d, quantity in self._tracks if quantity in (Quantity.ENERGY, *_POWERS)})

    def _best(self, device: str) -> Track:
        return next(
            self._tracks[device, quantity]
            for quantity in (Quantity.ENERGY, *_POWERS)
            if (device, quantity) in self._tracks
        )

    def series(self, device: str, quantity: Quantity) -> tuple[Any, Any]:
        """Give the samples of one channel: moments [µs since 1970 UTC] and figures, oldest first; telemetry too.

        Raises
        ------
        InputError
            If the channel showed nothing yet.
        """
        with self._lock:
            if (device, quantity) not in self._tracks:
                known = ", ".join(f"{d} {q.value}" for d, q in sorted(self._tracks)) or "nothing yet"
                raise InputError(f"{self.name}: no {quantity.value} of {device}; there is {known}")
            return self._tracks[device, quantity].series()

    def channels(self) -> list[Channel]:
        """List what showed anything, by device."""
        with self._lock:
            return [self._tracks[key].channel for key in sorted(self._tracks)]

    def faults(self) -> list[str]:
        """Say what is wrong now: a silent meter, a device that vanished or tells no energy, a counter that stands."""
        found = [self._fault] if self._fault else []
        now_us, patience_s = self._clock_us(), 10 * max(self.sample_s, self.resolution_s)
        with self._lock:
            for (device, quantity), track in sorted(self._tracks.items()):
                unseen_s, stood_s = (now_us - track.seen_us) / 1e6, track.stood_s(now_us)
                if unseen_s > patience_s:
                    found.append(f"{self.name} {device}: no {quantity.value} for {unseen_s:.0f} s")
                elif stood_s is not None:
                    found.append(f"{self.name} {device}: the counter has stood still for {stood_s:.0f} s")
            found += [
                f"{self.name} {device}: tells neither energy nor power, so it has no reading"
                for device in sorted({device for device, _ in self._tracks} - set(self._devices()))
            ]
        return found
