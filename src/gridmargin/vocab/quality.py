"""How a value came to be (status), and how sure it is (range)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from gridmargin.vocab.errors import InputError


class Status(StrEnum):
    """How a value came to be; ordered from what is known to what is supposed."""

    REPORTED = "reported"
    ADJUSTED = "adjusted"
    IMPUTED = "imputed"
    MODELLED = "modelled"
    FORECAST = "forecast"


def worst(*statuses: Status) -> Status:
    """Give the status that is furthest from reported."""
    order = list(Status)
    return max(statuses, key=order.index)


@dataclass(frozen=True, slots=True)
class Range:
    """A central value with the 90 % range around it, in the unit that the field's name carries.

    Attributes
    ----------
    low, mid, high : float
        `low <= mid <= high`, all finite.
    """

    low: float
    mid: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.mid) and math.isfinite(self.high)):
            raise InputError(f"range {self.low}, {self.mid}, {self.high} is not finite")
        if not self.low <= self.mid <= self.high:
            raise InputError(f"range {self.low}, {self.mid}, {self.high} is not in order")

    def scaled(self, factor: float) -> Range:
        """Multiply by a number that is not negative."""
        return Range(self.low * factor, self.mid * factor, self.high * factor)

    def as_dict(self) -> dict[str, float]:
        """Give the three values by name."""
        return {"low": self.low, "mid": self.mid, "high": self.high}
