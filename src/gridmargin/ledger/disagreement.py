"""Rates of one zone by several tellers, side by side: never averaged together, each with its kind.

Comes in: signals on even grids of their own. Goes out: one table on the coarsest common grid, the band per kind, how
far each two lie apart, and when the order of two zones depends on who is asked. Plain calculation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.vocab import InputError, Interval, Kind, TimeError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

COUNTS = ("direct_co2", "direct_co2e", "life_cycle_co2e")
"""What a rate may count: CO2 at the stack, equivalents at the stack, equivalents over the life."""

LEAST_FOR_CORRELATION = 3


@dataclass(frozen=True, slots=True)
class Signal:
    """What one teller says of one zone.

    Attributes
    ----------
    zone, name : str
        Of which zone, and who: an estimator, `published`, a provider, or what a table was called.
    provider : str
        `gridmargin`, `publisher` (the operator's own word) or `third_party`.
    kind : Kind
        Marginal or average.
    counts : str
        One of `COUNTS`.
    step_s : int
        Length of every interval. [s]
    start_epoch_s : array of int64, shape (n,)
        [s since 1970 UTC]
    rate_gco2_per_kwh : array, shape (n,)
        NaN where nothing is said. [g kWh⁻¹]
    """

    zone: str
    name: str
    provider: str
    kind: Kind
    counts: str
    step_s: int
    start_epoch_s: IntArray
    rate_gco2_per_kwh: FloatArray

    @property
    def measure(self) -> tuple[Kind, str]:
        """What is measured; only signals of one measure make a band or a ranking."""
        return self.kind, self.counts


@dataclass(frozen=True, slots=True)
class Table:
    """Signals on one grid.

    Attributes
    ----------
    signals : tuple of Signal
        As they came.
    step_s : int
        The coarsest common step. [s]
    start_epoch_s : array of int64, shape (n,)
        [s since 1970 UTC]
    rate_gco2_per_kwh : array, shape (n, k)
        A column a signal: its mean over the interval where it states all of it, else NaN. [g kWh⁻¹]
    """

    signals: tuple[Signal, ...]
    step_s: int
    start_epoch_s: IntArray
    rate_gco2_per_kwh: FloatArray


@dataclass(frozen=True, slots=True)
class Band:
    """How far the signals of one measure lie apart, where at least two speak.

    Attributes
    ----------
    low, high : arrays, shape (n,)
        NaN where fewer than two speak. [g kWh⁻¹]
    """

    kind: Kind
    counts: str
    names: tuple[str, ...]
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, slots=True)
class Pair:
    """Two signals held against each other over the intervals that both state.

    Attributes
    ----------
    same_measure : bool
        Whether both measure the same; else the difference is one of kinds and not of opinions.
    mean_difference, mean_absolute_difference : float or None
        First less second. [g kWh⁻¹]
    correlation : float or None
        Pearson's; None below three intervals or where either does not move. [1]
    """

    first: str
    second: str
    same_measure: bool
    n: int
    mean_difference: float | None
    mean_absolute_difference: float | None
    correlation: float | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """When the order of two zones depends on who is asked, by one measure.

    Attributes
    ----------
    names : tuple of str
        Tellers that state both zones.
    first_is_higher_frac : mapping by name
        Share of the intervals they state in which each calls the first zone the higher. [1]
    n_compared : int
        Intervals in which at least two tell the zones apart.
    flip_epoch_s : array of int64
        Starts of those in which they do not agree. [s since 1970 UTC]
    """

    kind: Kind
    counts: str
    names: tuple[str, ...]
    first_is_higher_frac: dict[str, float | None]
    n_compared: int
    flip_epoch_s: IntArray


def side_by_side(signals: Sequence[Signal], interval: Interval, step_s: int | None = None) -> Table:
    """Lay signals on the coarsest grid that all of them fill; a coarse one is never cut finer.

    Raises
    ------
    InputError
        If two signals of a zone have one name.
    TimeError
        If no whole interval lies in the stretch.
    """
    names = [(signal.zone, signal.name) for signal in signals]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise InputError(f"two signals of {twice[0]} are called {twice[1]!r}; give one another name")
    step = step_s or math.lcm(*(signal.step_s for signal in signals))
    first = -(-int(interval.start_utc.timestamp()) // step) * step
    n = (int(interval.end_utc.timestamp()) - first) // step
    if n < 1:
        raise TimeError(f"{interval} holds no whole interval of {step} s; give a longer stretch")
    columns = [_laid(signal, first, step, n) for signal in signals]
    return Table(tuple(signals), step, first + step * np.arange(n, dtype=np.int64), np.column_stack(columns))


def _laid(signal: Signal, first: int, step_s: int, n: int) -> FloatArray:
    place = (signal.start_epoch_s - first) // step_s
    there = (place >= 0) & (place < n) & np.isfinite(signal.rate_gco2_per_kwh)
    total = np.bincount(place[there], weights=signal.rate_gco2_per_kwh[there], minlength=n)
    count = np.bincount(place[there], minlength=n)
    mean: FloatArray = np.full(n, np.nan)
    whole = count == step_s // signal.step_s
    mean[whole] = total[whole] / count[whole]
    return mean


def bands(table: Table) -> list[Band]:
    """Give the band of every measure that at least two signals state."""
    found = []
    for kind, counts in dict.fromkeys(signal.measure for signal in table.signals):
        at = _columns(table, kind, counts)
        if len(at) < 2:
            continue
        values = table.rate_gco2_per_kwh[:, at]
        enough = np.isfinite(values).sum(axis=1) >= 2
        low, high = (np.full(len(values), np.nan) for _ in range(2))
        low[enough], high[enough] = np.nanmin(values[enough], axis=1), np.nanmax(values[enough], axis=1)
        found.append(Band(kind, counts, tuple(table.signals[k].name for k in at), low, high))
    return found


def pairs(table: Table) -> list[Pair]:
    """Hold every two signals against each other."""
    found = []
    for i, first in enumerate(table.signals):
        for j, second in enumerate(table.signals[i + 1 :], start=i + 1):
            a, b = table.rate_gco2_per_kwh[:, i], table.rate_gco2_per_kwh[:, j]
            both = np.isfinite(a) & np.isfinite(b)
            gap = a[both] - b[both]
            found.append(
                Pair(
                    first.name,
                    second.name,
                    first.measure == second.measure,
                    len(gap),
                    float(gap.mean()) if len(gap) else None,
                    float(np.abs(gap).mean()) if len(gap) else None,
                    _correlation(a[both], b[both]),
                )
            )
    return found


def rankings(first: Table, second: Table) -> list[Ranking]:
    """Say when signals that state both zones do not agree which is the higher; equal rates tell nothing apart.

    Parameters
    ----------
    first, second : Table
        Of the two zones, on the same grid.
    """
    if first.step_s != second.step_s or not np.array_equal(first.start_epoch_s, second.start_epoch_s):
        raise InputError("the two zones' tables are on different grids; lay both on one")
    found = []
    for kind, counts in dict.fromkeys(signal.measure for signal in first.signals):
        other = {second.signals[k].name: k for k in _columns(second, kind, counts)}
        mine = {first.signals[k].name: k for k in _columns(first, kind, counts)}
        names = tuple(name for name in mine if name in other)
        if len(names) < 2:
            continue
        gap = np.column_stack(
            [first.rate_gco2_per_kwh[:, mine[n]] - second.rate_gco2_per_kwh[:, other[n]] for n in names]
        )
        higher, lower = gap > 0, gap < 0  # NaN is neither
        flips = higher.any(axis=1) & lower.any(axis=1)
        stated = np.isfinite(gap).sum(axis=0)
        shares = {
            name: float(higher[:, k].sum() / stated[k]) if stated[k] else None for k, name in enumerate(names)
        }
        n_compared = int(((higher | lower).sum(axis=1) >= 2).sum())
        found.append(Ranking(kind, counts, names, shares, n_compared, first.start_epoch_s[flips]))
    return found


def _columns(table: Table, kind: Kind, counts: str) -> list[int]:
    return [k for k, signal in enumerate(table.signals) if signal.measure == (kind, counts)]


def _correlation(a: FloatArray, b: FloatArray) -> float | None:
    if len(a) < LEAST_FOR_CORRELATION or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    # Of figures that hardly differ the squares would vanish: both are spread over 0 to 1 first.
    spread = [(column - column.min()) / np.ptp(column) for column in (a, b)]
    return float(np.clip(np.corrcoef(*spread)[0, 1], -1.0, 1.0))
