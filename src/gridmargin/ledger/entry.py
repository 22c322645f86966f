"""Entry: one estimate as it stands in the book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gridmargin.marginal import AverageEstimate, MarginalEstimate


@dataclass(frozen=True, slots=True)
class Entry:
    """One estimate, when it was written down, what it replaced and what it came from.

    Attributes
    ----------
    entry_id : int
        Position in its book; never used twice.
    estimate : MarginalEstimate or AverageEstimate
        Two types, kept in two tables (C3).
    conditions : mapping
        Grid conditions in the interval (units in the names).
    fit_id : str
        The fit that gave the estimate.
    payload_sha256s : tuple of str
        Raw payloads that the interval's state was read from.
    recorded_utc : datetime
        When it entered the book.
    supersedes : int or None
        The entry it replaces for the same zone, interval, estimator and basis; forecasts replace forecasts only.
    entry_sha256 : str
        Hash of everything here but `entry_id`, `recorded_utc`, `supersedes` and `recalibration_id`.
    issued_utc : datetime or None
        When a forecast was issued; None for whatever is no forecast.
    recalibration_id : int or None
        The recalibration that this entry came from, where one made it.
    source : str
        Registered name of what the state came from; empty in entries from before schema 0002.
    """

    entry_id: int
    estimate: MarginalEstimate | AverageEstimate
    conditions: Mapping[str, Any]
    fit_id: str
    payload_sha256s: tuple[str, ...]
    recorded_utc: datetime
    supersedes: int | None
    entry_sha256: str
    issued_utc: datetime | None = None
    recalibration_id: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class PayloadNote:
    """What the book remembers of a raw payload: enough to parse it again from the archive.

    Attributes
    ----------
    sha256 : str
        Its name in the archive.
    source : str
        Registered name of the adapter that parses it.
    name : str
        What the publisher called it.
    recorded_utc : datetime
        When it was first seen.
    """

    sha256: str
    source: str
    name: str
    recorded_utc: datetime
