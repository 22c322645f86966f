"""What one channel showed lately: samples in a ring of fixed size, and the energy between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gridmargin.meters.counting import LATE, Instrument, counted, readings_between
from gridmargin.meters.reading import Reading
from gridmargin.meters.sample import Channel, Quantity

WHOLE, GAP, UNKNOWN = 0, 1, 2
"""Of the stretch that ends with a sample: nothing missing in it; a sample is; its energy cannot be told."""

MOST = 1e18
"""From here on a figure is no joules and no watts, but a field that holds something else."""


class Track:
    """Samples of one channel, oldest first, at most `keep` of them.

    Parameters
    ----------
    channel : Channel
    sample_s : float
        Period at which it is sampled. [s]
    stands_s : float or None
        Longest that a living counter shows the same figure. The ring then keeps the samples at which the counter moved, so
        that a stretch between two is as short as the instrument can tell apart; a stretch in which it stood longer is
        taken for one with missing samples. None for a counter that may rightly stand.
    keep : int
        Size of the ring.

    Notes
    -----
    The first movement after the start has no reading where the counter stood before it: since when is not known.
    """

    def __init__(self, channel: Channel, sample_s: float, stands_s: float | None, keep: int) -> None:
        self.channel = channel
        self.instrument = Instrument(sample_s, channel.modulus_j, channel.most_power_w)
        self._by_movement = stands_s is not None and channel.quantity is Quantity.ENERGY
        self._stands_us = (stands_s or 0.0) * 1e6
        self._late_us = LATE * sample_s * 1e6
        self._time_us = np.zeros(keep, np.int64)
        self._value = np.zeros(keep, np.float64)
        self._flag = np.zeros(keep, np.int8)
        self._n = 0
        self._seen_us = 0
        self._moved_us = 0
        self._last = math.nan
        self._pending = WHOLE

    @property
    def seen_us(self) -> int:
        """When the channel last showed anything. [µs since 1970 UTC]"""
        return self._seen_us

    def add(self, time_us: int, value: float) -> bool:
        """Take in one sample; False where it cannot be used: no figure, below 0, or not after the one before."""
        if not 0 <= value < MOST or (self._n and time_us <= self._seen_us):
            return False
        if self._n and time_us - self._seen_us > self._late_us and self._pending == WHOLE:
            self._pending = GAP
        self._seen_us = time_us
        if self._by_movement and self._n:
            if value == self._last:
                if self._n == 1:
                    self._pending = UNKNOWN
                return True
            if time_us - self._moved_us > max(self._stands_us, self._late_us) and self._pending == WHOLE:
                self._pending = GAP
        self._put(time_us, value)
        return True

    def _put(self, time_us: int, value: float) -> None:
        at = self._n % len(self._value)
        self._time_us[at], self._value[at], self._flag[at] = time_us, value, self._pending
        self._n += 1
        self._moved_us, self._last, self._pending = time_us, value, WHOLE

    def stood_s(self, now_us: int) -> float | None:
        """Give how long a counter has stood where that is longer than a living one does. [s]"""
        if not self._by_movement or now_us - self._moved_us <= self._stands_us:
            return None
        return (now_us - self._moved_us) / 1e6

    def series(self) -> tuple[Any, Any]:
        """Give what is kept: moments [µs since 1970 UTC] and figures, oldest first."""
        order = self._order()
        return self._time_us[order], self._value[order]

    def _order(self) -> Any:
        size = len(self._value)
        if self._n <= size:
            return np.arange(self._n)
        return (np.arange(size) + self._n) % size

    def readings(self, meter: str) -> list[Reading]:
        """Give the energy between the samples that are kept."""
        order = self._order()
        time_us, value, flag = self._time_us[order], self._value[order], self._flag[order][1:]
        length_s = np.diff(time_us) / 1e6
        if self.channel.quantity is Quantity.ENERGY:
            energy_j, known = counted(value, length_s, self.instrument)
            known = known & (flag != UNKNOWN)
        else:
            energy_j, known = value[1:] * length_s, flag == WHOLE
        device, status = self.channel.device, self.channel.status
        return list(readings_between(time_us, energy_j, flag == GAP, known, device, meter, status))
