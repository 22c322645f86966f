"""From samples of a counter or of power to readings: wraps, resets, gaps; the same for a trace and for a live meter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from gridmargin.meters.reading import Reading
from gridmargin.vocab import InputError, Interval, Status

LATE = 1.5
"""How many sampling periods apart two samples must be for one between them to be missing. [1]"""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What samples cannot say of the instrument behind them.

    Attributes
    ----------
    sample_s : float
        Period at which it was sampled. [s]
    modulus_j : float, optional
        Where the counter starts again from 0; None for one that does not within a trace. [J]
    most_power_w : float, optional
        What the device cannot exceed; tells a counter that wrapped from one that was reset. [W]
    """

    sample_s: float
    modulus_j: float | None = None
    most_power_w: float | None = None

    def __post_init__(self) -> None:
        if not self.sample_s > 0:
            raise InputError(f"sampling period of {self.sample_s} s: give a length above 0")
        if self.modulus_j is not None and (not self.modulus_j > 0 or self.most_power_w is None):
            raise InputError(
                f"counter modulus {self.modulus_j} J: give one above 0, and most_power_w, without which a counter that"
                " wrapped cannot be told from one that was reset"
            )


def is_late(length_s: Any, instrument: Instrument) -> Any:
    """Say between which samples another is missing."""
    return length_s > LATE * instrument.sample_s


def counted(value_j: Any, length_s: Any, instrument: Instrument) -> tuple[Any, Any]:
    """Give the energy between samples of a counter, and where it is known.

    Parameters
    ----------
    value_j : array
        What the counter showed, in order of time. [J]
    length_s : array
        Time between each sample and the next; one shorter. [s]
    instrument : Instrument

    Returns
    -------
    energy_j : array
        [J]
    known : array of bool
        False where the counter was reset, or may have turned more than once, or shows what it cannot.

    Notes
    -----
    A counter that falls has wrapped where the modulus makes the difference a power that the device can draw, and not
    more than once; else it was reset. Without a modulus every fall is a reset.
    """
    step_j = np.diff(value_j)
    modulus_j, most_w = instrument.modulus_j, instrument.most_power_w
    if modulus_j is None or most_w is None:
        return step_j, step_j >= 0
    energy_j = np.where(step_j < 0, step_j + modulus_j, step_j)
    possible = (value_j[1:] < modulus_j) & (value_j[:-1] < modulus_j)
    # Where the device could have drawn a whole turn of the counter, how many turns it was is not known.
    return energy_j, possible & (energy_j <= most_w * length_s) & (most_w * length_s < modulus_j + energy_j)


def readings_between(
    time_us: Any, energy_j: Any, imputed: Any, known: Any, device: str, meter: str, status: Status
) -> Iterator[Reading]:
    """Give a reading for every stretch between samples whose energy is known.

    Parameters
    ----------
    time_us : array of int
        Moments of the samples. [µs since 1970 UTC]
    energy_j, imputed, known : array
        One shorter: energy of each stretch [J], whether a sample in it is missing, whether the energy is known.
    status : Status
        Of a stretch in which no sample is missing.
    """
    for i in np.flatnonzero(known):
        yield Reading(
            device=device,
            interval=Interval(utc_of(time_us[i]), utc_of(time_us[i + 1])),
            energy_j=float(energy_j[i]),
            resolution_s=float(time_us[i + 1] - time_us[i]) / 1e6,
            meter=meter,
            status=Status.IMPUTED if imputed[i] and status is Status.REPORTED else status,
        )


def utc_of(epoch_us: int) -> datetime:
    """Give a moment that was counted from 1970."""
    return datetime.fromtimestamp(int(epoch_us) // 1_000_000, UTC).replace(
        microsecond=int(epoch_us) % 1_000_000
    )
