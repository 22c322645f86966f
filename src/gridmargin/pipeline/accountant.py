"""Requests in, receipts out: replay, split, look the factors up, price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gridmargin.attribution import Replay, RequestBatch, Slices
from gridmargin.ledger import Factors
from gridmargin.receipts import (
    CAUSES,
    Overheads,
    Priced,
    look_up,
    neighbour_factors,
    price_slices,
    receipt_table,
)
from gridmargin.reference import Profile
from gridmargin.vocab import Status

FactorsOf = Callable[[int, int], tuple[Factors, Factors]]
"""`(first slot, last slot) -> (marginal, average)` covering both; slots in seconds since 1970 UTC."""


@dataclass
class Accountant:
    """Prices one zone's requests as they complete.

    Parameters
    ----------
    run_id : str
        Stamped on every receipt; may be changed between pushes.
    zone : str
        Where the devices stand.
    profile : Profile
        Device × model energy profile.
    replay : Replay
        Continuous batching on the zone's interval grid.
    factors_of : callable
        Gives the factors for a stretch of slots.
    overheads : Overheads
        From the device to the busbar.
    fill : bool
        Let a neighbouring interval stand in for one without a factor (C8).
    """

    run_id: str
    zone: str
    profile: Profile
    replay: Replay
    factors_of: FactorsOf
    overheads: Overheads
    fill: bool = False
    _strings: dict[str, list[pa.Array]] = field(default_factory=dict)

    def push(self, batch: RequestBatch) -> pa.Table:
        """Take requests in order of arrival; give the receipts of those that completed."""
        return self._receipts(self.replay.push(batch))

    def finish(self) -> pa.Table:
        """Run to the end; give the receipts still owed."""
        return self._receipts(self.replay.finish())
