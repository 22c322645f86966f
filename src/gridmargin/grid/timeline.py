"""States laid on every slot between the first and the last, so that a missing interval has a place of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.grid.state import GridStates
from gridmargin.vocab import GENERATION_COLUMNS, TableError

FloatArray = NDArray[np.float64]

DAY_S = 86_400
MOST_SLOTS = 4_000_000


@dataclass(frozen=True, slots=True)
class Timeline:
    """Power by quantity on a gapless grid of slots.

    Attributes
    ----------
    first_s : int
        Start of the first slot, seconds since the epoch. [s]
    step_s : int
        Length of a slot. [s]
    stated : ndarray of bool
        Whether there is a state for the slot; shape (n,).
    values : dict of str to ndarray
        Power by quantity, NaN where not known; shape (n,). [MW]
    """

    first_s: int
    step_s: int
    stated: NDArray[np.bool_]
    values: dict[str, FloatArray]

    def __len__(self) -> int:
        return len(self.stated)

    @property
    def slots_a_day(self) -> int:
        """How many slots make a day."""
        return DAY_S // self.step_s

    def slots(self, hours: float) -> int:
        """Give the whole slots in a stretch of time, one at least."""
        return max(1, round(hours * 3600 / self.step_s))

    def starts(self, slots: NDArray[np.int64]) -> pl.Series:
        """Give the starts of some slots as a column."""
        micros = (self.first_s + slots * self.step_s) * 1_000_000
        return pl.Series("start_utc", micros, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))

    def start(self, slot: int) -> datetime:
        """Give the start of one slot."""
        return datetime.fromtimestamp(self.first_s + slot * self.step_s, UTC)


def power_quantities(states: GridStates) -> list[str]:
    """List the quantities that are a flow of power: generation by fuel, demand and imports; curtailment is a choice."""
    return [
        column
        for column in states.frame.columns
        if column in GENERATION_COLUMNS
        or column in ("demand_mw", "net_imports_mw")
        or column.startswith("imports_from_")
    ]


def timeline_of(states: GridStates) -> Timeline:
    """Lay states on their grid.

    Raises
    ------
    TableError
        If the states reach over more slots than can be held, as after one wrong date.
    """
    start_s = states.start_epoch_s()
    if not len(start_s):
        return Timeline(0, states.interval_s, np.zeros(0, np.bool_), {})
    n = int((start_s[-1] - start_s[0]) // states.interval_s) + 1
    if n > MOST_SLOTS:
        raise TableError(
            f"states of {states.zone} reach over {n:,} intervals of {states.interval_s} s; most are {MOST_SLOTS:,}:"
            " correct the time that is far out, or take a shorter stretch"
        )
    at = (start_s - start_s[0]) // states.interval_s
    stated = np.zeros(n, np.bool_)
    stated[at] = True
    values = {}
    for quantity in power_quantities(states):
        line = np.full(n, np.nan)
        known = states.values(quantity)
        line[at] = np.where(np.isfinite(known), known, np.nan)
        values[quantity] = line
    return Timeline(int(start_s[0]), states.interval_s, stated, values)
