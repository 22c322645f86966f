"""Split, and what an attribution rule is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gridmargin.meters import Reading
from gridmargin.reference import Profile
from gridmargin.requests import Request


@dataclass(frozen=True, slots=True)
class Split:
    """One reading shared among requests.

    Attributes
    ----------
    shares_j : mapping of str to float
        By request id; 0 for one that was not active in the window. [J]
    unattributed_j : float
        What nobody asked for. [J]
    """

    shares_j: Mapping[str, float]
    unattributed_j: float

    @property
    def energy_j(self) -> float:
        """What was shared. [J]"""
        return math.fsum([*self.shares_j.values(), self.unattributed_j])


class Rule(Protocol):
    """A pure function that shares one reading among the requests active in its window.

    Whatever the rule: shares and the rest add up to the reading to 1e-9, none is negative, the order of the requests
    does not matter, nobody there leaves all of it unattributed, and a request outside the window gets nothing.
    """

    def __call__(
        self, requests: Sequence[Request], reading: Reading, profile: Profile | None = None
    ) -> Split:
        """Share a reading.

        Raises
        ------
        InputError
            If an id stands twice, a request has no end, or the rule needs a profile and has none.
        """
        ...
