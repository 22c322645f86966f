"""The Source protocol: fetch gives bytes, parse gives observations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gridmargin.sources.observation import Observations
from gridmargin.vocab import Cell, Interval


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes as a publisher wrote them.

    Attributes
    ----------
    source : str
        Registered name of the adapter that can parse it.
    name : str
        File name or last part of the address; what the publisher called it.
    body : bytes
        Untouched.
    """

    source: str
    name: str
    body: bytes


class Source(Protocol):
    """One publisher's tables.

    Constructed with a data folder: the one that holds the data sets, its `grid` folder, or one data set itself.

    Attributes
    ----------
    name : str
        As registered.
    states_margin : bool
        Whether the publisher says in these tables what is on the margin: a rate, or fuels that it flags.
    """

    name: str
    states_margin: bool

    def __init__(self, folder: Path) -> None: ...

    def zones(self) -> list[str]:
        """List the zones this folder has data for, found from file names, not by parsing."""
        ...

    def interval_s(self, zone: str) -> int:
        """Give the native interval. [s]"""
        ...

    def span(self, zone: str) -> Interval:
        """Give the stretch of time covered, without reading whole tables."""
        ...

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the payloads that hold any of `interval`, oldest first, whole and untouched."""
        ...

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one payload into the observations whose start lies in `interval`.

        Pure: the same bytes give the same observations. Local time becomes UTC here and nowhere else.

        Raises
        ------
        TableError
            If the payload is not what the publisher writes; names the file, and the row and column where it can.
        """
        ...

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell, as the publisher wrote it."""
        ...
