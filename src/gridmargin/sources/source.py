"""The Source protocol: fetch gives bytes, parse gives observations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from gridmargin.sources.observation import Observations
from gridmargin.vocab import Interval


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
    """One publisher's recorded tables under a data folder.

    Construct with the data folder (the one that holds `grid/`-style dataset folders, or the dataset folder itself).
    """

    name: str

    def __init__(self, folder: Path) -> None: ...

    def zones(self) -> list[str]:
        """List the zones this folder has data for, found from names, not by parsing."""
        ...

    def interval_s(self, zone: str) -> int:
        """Give the native interval. [s]"""
        ...

    def span(self, zone: str) -> Interval:
        """Give the stretch of time covered, cheaply (file names, first and last rows)."""
        ...

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the payloads that hold any of `interval`, oldest first, whole and untouched."""
        ...

    @staticmethod
    def parse(payload: Payload, recorded_utc: datetime | None = None) -> Observations:
        """Turn one payload into observations; pure; local time becomes UTC here and nowhere else."""
        ...
