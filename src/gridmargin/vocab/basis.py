"""What kind of factor a number is; factors of different kinds never mix (C3, C5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Marginal answers "what did one more do", average answers "what was the mix"."""

    MARGINAL = "marginal"
    AVERAGE = "average"


class Horizon(StrEnum):
    """Short-run moves dispatch, long-run moves investment."""

    SHORT_RUN = "short_run"
    LONG_RUN = "long_run"


class Gases(StrEnum):
    """Which gases and which part of the life are counted."""

    DIRECT_CO2 = "direct_co2"
    LIFE_CYCLE_CO2E = "life_cycle_co2e"


class Boundary(StrEnum):
    """Where the kilowatt-hour is counted."""

    BUSBAR = "busbar"
    PLUG = "plug"


class View(StrEnum):
    """When the estimate could have been made, relative to its interval.

    `hindcast` saw data from after the interval began (warm-up of a first fit); `observed` used the interval's
    own state and a fit from before it; `typical` saw no state of the interval at all, only what its season and hour
    are usually like.
    """

    OBSERVED = "observed"
    TYPICAL = "typical"
    HINDCAST = "hindcast"
    FORECAST = "forecast"


@dataclass(frozen=True, slots=True)
class Basis:
    """The full kind of a factor; two factors combine only when these are equal."""

    kind: Kind
    horizon: Horizon = Horizon.SHORT_RUN
    gases: Gases = Gases.DIRECT_CO2
    boundary: Boundary = Boundary.BUSBAR
    view: View = View.OBSERVED

    def __str__(self) -> str:
        return "/".join((self.kind, self.horizon, self.gases, self.boundary, self.view))
