"""Factors of many zones in memory, for those who price one request at a time: a look-up touches no database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from gridmargin.ledger.questions import Factors
from gridmargin.vocab import Kind, MixedKindsError, NoFactorError, TableError


class Point(NamedTuple):
    """One factor.

    Attributes
    ----------
    low, mid, high : float
        [g kWh⁻¹]
    entry_id : int
        The ledger entry it is.
    """

    low: float
    mid: float
    high: float
    entry_id: int


class _Series(NamedTuple):
    start_s: int
    interval_s: int
    n: int
    low: memoryview
    mid: memoryview
    high: memoryview
    entry_id: memoryview


class Lookup:
    """Factors by zone and moment, of one kind and estimator.

    Parameters
    ----------
    kind : Kind
        Marginal or average; never both (C3).
    found : iterable of Factors
        One a zone, as `Book.covering` gives them: 32 bytes an interval are kept.

    Raises
    ------
    MixedKindsError
        If a series is of another kind.
    TableError
        If a zone comes twice, or its intervals are not a multiple of their length apart.
    """

    def __init__(self, kind: Kind, found: Iterable[Factors]) -> None:
        self.kind = kind
        self._series: dict[str, _Series] = {}
        for factors in found:
            if factors.kind is not kind:
                raise MixedKindsError(
                    f"{factors.zone}: {factors.kind.value} factors in a table of {kind.value} ones (C3)"
                )
            if factors.zone in self._series:
                raise TableError(f"{factors.zone} comes twice; give each zone once")
            self._series[factors.zone] = _laid_out(factors)

    def __len__(self) -> int:
        return len(self._series)

    def at(self, zone: str, moment_epoch_s: float) -> Point:
        """Give the factor of the interval that holds a moment.

        Parameters
        ----------
        moment_epoch_s : float
            [s since 1970 UTC]

        Raises
        ------
        NoFactorError
            If there is none (C8).
        """
        series = self._series.get(zone)
        if series is not None:
            place = int((moment_epoch_s - series.start_s) // series.interval_s)
            if 0 <= place < series.n:
                entry_id = series.entry_id[place]
                if entry_id:
                    return Point(series.low[place], series.mid[place], series.high[place], entry_id)
        raise NoFactorError(
            f"no {self.kind.value} factor of {zone} at {moment_epoch_s:.0f} s since 1970 UTC in this table; load the zone"
            " and time, or ask the ledger"
        )


def _laid_out(factors: Factors) -> _Series:
    """Lay a series on a grid without holes; where it had one the entry id is 0."""
    if not len(factors):
        return _Series(0, 1, 0, *(np.zeros(0).data for _ in range(4)))
    start, interval = int(factors.start_epoch_s[0]), factors.interval_s
    apart = factors.start_epoch_s - start
    if np.any(apart % interval) or np.any(np.diff(apart) <= 0):
        raise TableError(f"{factors.zone}: intervals of {interval} s do not follow one another on their grid")
    place = apart // interval
    n = int(place[-1]) + 1
    columns = []
    for column in (factors.low, factors.mid, factors.high):
        laid = np.full(n, np.nan)
        laid[place] = column
        columns.append(laid.data)
    ids = np.zeros(n, dtype=np.int64)
    ids[place] = factors.entry_id
    return _Series(start, interval, n, columns[0], columns[1], columns[2], ids.data)
