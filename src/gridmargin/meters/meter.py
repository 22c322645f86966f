"""The Meter protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gridmargin.meters.reading import Reading
from gridmargin.vocab import Interval


class Meter(Protocol):
    """An instrument, or what stands in for one; it reports, and applies nothing (C5).

    Attributes
    ----------
    name : str
        As registered in `METERS`.
    sees : str
        What the figures include and what not, in words.
    """

    name: str
    sees: str

    def readings(self, within: Interval | None = None) -> Sequence[Reading]:
        """Give the readings that lie whole inside a stretch of time, by device and start; all where none is given.

        Readings of one device never overlap, and a stretch that was not read has none.
        """
        ...
