"""Sample: one figure of one device at one moment, in our unit, as an instrument gave it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gridmargin.vocab import Status


class Quantity(StrEnum):
    """What a figure measures; its value is the name with the unit.

    The first becomes readings; the next two do where a device has no counter. The last two are telemetry: recorded,
    shown, and never used to share energy.
    """

    ENERGY = "energy_j"
    POWER = "power_w"
    MEAN_POWER = "mean_power_w"
    CLOCK = "clock_mhz"
    UTILISATION = "utilisation_frac"


@dataclass(frozen=True, slots=True)
class Channel:
    """One figure of one device, and what its samples cannot say of themselves.

    Attributes
    ----------
    device : str
        The instrument's own name for it.
    quantity : Quantity
    status : Status
        `reported` from an instrument, `modelled` where what is read is itself a model.
    modulus_j : float, optional
        Where a counter starts again from 0. [J]
    most_power_w : float, optional
        What the device cannot exceed; needed with a modulus. [W]
    """

    device: str
    quantity: Quantity
    status: Status = Status.REPORTED
    modulus_j: float | None = None
    most_power_w: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What a channel showed.

    Attributes
    ----------
    channel : Channel
    value : float
        In the unit of the channel's quantity. A figure that the instrument does not have is no sample (C2).
    time_us : int, optional
        The instrument's own time for it; when it was asked, where None. [µs since 1970 UTC]
    """

    channel: Channel
    value: float
    time_us: int | None = None
