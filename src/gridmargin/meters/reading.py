"""Reading: what an instrument or a profile said that a device drew in a stretch of time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gridmargin.vocab import InputError, Interval, Status


@dataclass(frozen=True, slots=True)
class Reading:
    """Energy of one device over one stretch of time, as the meter gave it.

    Attributes
    ----------
    device : str
    interval : Interval
    energy_j : float
        Finite, not negative. [J]
    resolution_s : float
        Shortest stretch that the meter could tell apart here. [s]
    meter : str
        Name of the meter.
    status : Status
        `reported` from an instrument, `imputed` where a counter stands in for samples that are not there, `modelled`
        from a profile.
    """

    device: str
    interval: Interval
    energy_j: float
    resolution_s: float
    meter: str
    status: Status

    def __post_init__(self) -> None:
        if not math.isfinite(self.energy_j) or self.energy_j < 0:
            raise InputError(
                f"{self.meter} reading of {self.device} over {self.interval}: {self.energy_j} J is no energy"
            )
        if not self.resolution_s > 0:
            raise InputError(
                f"{self.meter} reading of {self.device}: a resolution of {self.resolution_s} s is none"
            )
