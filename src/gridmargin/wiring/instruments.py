"""Instruments of this machine: where each is and what opens it, from the environment."""

from __future__ import annotations

import os
import time

from gridmargin.meters import METERS, Finding, LiveMeter, Reach, Sampler, Surroundings, look_for_all
from gridmargin.settings import of_adapter
from gridmargin.vocab import InputError


def now_us() -> int:
    """Read the clock, for what is sampled many times a second. [µs since 1970 UTC]"""
    return time.time_ns() // 1000


def reach_of_meter(instrument: str) -> Reach:
    """Give where an instrument is and what opens it, from the environment."""
    url, words = of_adapter(instrument, os.environ)
    return Reach(url, {name: word.get_secret_value() for name, word in words.items()})


def look_for_meters() -> list[Finding]:
    """Look for every instrument on this machine, and at the addresses that the environment names."""
    return list(look_for_all(METERS, Surroundings(now_us, reach_of_meter)))


def open_meter(name: str, sample_s: float | None = None) -> LiveMeter:
    """Open an instrument by its name.

    Raises
    ------
    UnknownNameError
        If nothing has that name.
    InputError
        If it is no instrument but stands in for one, or is not here.
    """
    kind = METERS.get(name)
    if not issubclass(kind, LiveMeter):
        raise InputError(f"meter {name!r} stands in for an instrument; `gridmargin meters` lists those")
    return kind.open(Surroundings(now_us, reach_of_meter), sample_s)


def sampler_of(meter: LiveMeter) -> Sampler:
    """Give what asks an instrument at its period, from a thread."""
    return Sampler(meter, time.monotonic)
