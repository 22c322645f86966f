"""Observations to GridStates."""

from __future__ import annotations

from gridmargin.grid.state import GridStates
from gridmargin.sources import Observations


def assemble(observations: Observations, zone: str, interval_s: int) -> GridStates:
    """Build the states of one zone; the last observation of a cell wins."""
    raise NotImplementedError
