"""Whether a state can be true: what it says must add up, and each term must be possible.

Nothing is repaired here. A fault names its interval, the term that stands out, and the size; the caller leaves the
interval out (`sound`) or refuses the whole (`require_sound`), so that no number comes silently from a state that
contradicts itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.grid.state import GridStates
from gridmargin.vocab import FOSSIL, Fuel, TableError, format_utc, generation_column

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

TOLERANCE_FRAC = 0.02
"""Of the demand. Publishers meter generation, demand and interchange apart, and round each."""

TOLERANCE_MW = 25.0
"""Beside the share of the demand, for small zones."""

OWN_USE_FRAC = 0.01
"""A plant that stands draws its own use: down to minus this share of the fuel's largest output is no fault."""

MAY_CHARGE = frozenset({Fuel.BATTERY, Fuel.PUMPED, Fuel.OTHER})
"""Fuels that may be below zero: stores, and what a publisher lumps together, stores among them."""

_NEIGHBOURS = 7  # intervals of the moving median that tells a term's usual value
_STANDS_OUT_FRAC = 0.5  # a term is at fault if its jump leaves less than this of the mismatch unexplained
_USUAL_FRAC = 0.5  # as in assemble: a quantity that half of the intervals have is one that the zone reports


class FaultKind(StrEnum):
    """What can be wrong with a state."""

    BALANCE = "balance"  # generation and imports are not demand
    NEIGHBOURS = "neighbours"  # imports by neighbour are not net imports
    NEGATIVE = "negative"  # a plant that cannot charge, below zero beyond its own use
    MISSING = "missing"  # a fuel or the demand that is usually there
    NOT_A_NUMBER = "not_a_number"  # NaN or infinity where null would say "not known"
    NO_FOSSIL = (
        "no_fossil"  # nothing that burns is running: estimators of fossil response have nothing to say
    )
    NO_GENERATION = "no_generation"  # all stated generation is zero
    DUPLICATE = "duplicate"  # an interval stated twice
    SHUFFLED = "shuffled"  # an interval before the one it follows
    OFF_GRID = "off_grid"  # a start that is no multiple of the interval (C1)


CONTRADICTIONS = frozenset(FaultKind) - {FaultKind.NO_FOSSIL, FaultKind.MISSING}
"""Faults that no true state has. A missing fuel and an hour without fossil plants are possible, and are told."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one interval.

    Attributes
    ----------
    start_utc : datetime
        Start of the interval.
    kind : FaultKind
        What is wrong.
    term : str
        Quantity at fault, or `none stands out`.
    size : float
        How much, in the unit of the term; NaN where there is no amount. [MW]
    message : str
        One sentence that names all of it.
    """

    start_utc: datetime
    kind: FaultKind
    term: str
    size: float
    message: str


def faults_of(
    states: GridStates, tolerance_frac: float = TOLERANCE_FRAC, tolerance_mw: float = TOLERANCE_MW
) -> list[Fault]:
    """List what is wrong with states, by interval, then kind.

    Parameters
    ----------
    states : GridStates
        Of one zone. A term that the zone never states is not missed, and a balance that lacks a term is not struck.
    tolerance_frac, tolerance_mw : float
        A mismatch up to `frac × |demand| + mw` is metering. [1], [MW]

    Notes
    -----
    ``residual = Σ_f G_f + net imports − demand``. The term at fault is the one whose distance from its own moving
    median over seven intervals comes closest to the residual; a mismatch that lasts has none, as all terms are usual.
    """
    if not len(states):
        return []
    found = [
        *_not_numbers(states),
        *_missing(states),
        *_negative(states),
        *_unbalanced(states, tolerance_frac, tolerance_mw),
        *_neighbours(states, tolerance_frac, tolerance_mw),
        *_nothing_burns(states),
        *order_faults(states.frame, states.interval_s, states.zone),
    ]
    return sorted(found, key=lambda fault: (fault.start_utc, fault.kind, fault.term))


def order_faults(frame: pl.DataFrame, interval_s: int, zone: str) -> list[Fault]:
    """List intervals that a table states twice, out of order or off the grid, in the order of its rows.

    For a table that is not yet `GridStates`, which would refuse it whole.
    """
    start_s = frame["start_utc"].to_physical().to_numpy() // 1_000_000
    first_seen = frame["start_utc"].is_first_distinct().to_numpy()
    shuffled = np.zeros(len(start_s), dtype=np.bool_)
    shuffled[1:] = first_seen[1:] & (start_s[1:] < np.maximum.accumulate(start_s)[:-1])
    found = []
    for kind, where, why in (
        (FaultKind.DUPLICATE, ~first_seen, "is stated a second time"),
        (FaultKind.SHUFFLED, shuffled, "comes after a later interval: sort the table by start_utc"),
        (FaultKind.OFF_GRID, start_s % interval_s != 0, f"starts off the grid of {interval_s} s (C1)"),
    ):
        for row in np.flatnonzero(where).tolist():
            at = frame["start_utc"][row]
            found.append(
                Fault(at, kind, "start_utc", float("nan"), f"{zone} {format_utc(at)}, row {row + 1}: {why}")
            )
    return found


def sound(
    states: GridStates, kinds: Collection[FaultKind] = CONTRADICTIONS
) -> tuple[GridStates, list[Fault]]:
    """Leave out the intervals that have a fault of these kinds; give the rest, and every fault that was found."""
    found = faults_of(states)
    bad = [fault.start_utc for fault in found if fault.kind in kinds]
    if not bad:
        return states, found
    keep = ~pl.col("start_utc").is_in(pl.Series(bad, dtype=pl.Datetime("us", "UTC")).implode())
    return GridStates(states.zone, states.interval_s, states.frame.filter(keep)), found


def require_sound(states: GridStates, kinds: Collection[FaultKind] = CONTRADICTIONS) -> GridStates:
    """Give the states back, or refuse them.

    Raises
    ------
    TableError
        Naming the first fault of these kinds and how many there are.
    """
    found = [fault for fault in faults_of(states) if fault.kind in kinds]
    if found:
        more = f" ({len(found)} faults in all)" if len(found) > 1 else ""
        raise TableError(f"{found[0].message}; correct it, or leave the interval out{more}")
    return states


def states_of_table(zone: str, interval_s: int, frame: pl.DataFrame) -> GridStates:
    """Build states from a table that may be out of order.

    Raises
    ------
    TableError
        Naming the row that repeats an interval, comes out of order or lies off the grid.
    """
    found = order_faults(frame, interval_s, zone)
    if found:
        more = f" ({len(found)} faults in all)" if len(found) > 1 else ""
        raise TableError(f"{found[0].message}{more}")
    return GridStates(zone, interval_s, frame)


def _quantities(states: GridStates) -> list[str]:
    return [name for name, kind in states.frame.schema.items() if kind == pl.Float64]


def _fault(states: GridStates, row: int, kind: FaultKind, term: str, size: float, why: str) -> Fault:
    at = states.frame["start_utc"][row]
    return Fault(at, kind, term, size, f"{states.zone} {format_utc(at)}: {why}")


def _not_numbers(states: GridStates) -> list[Fault]:
    found = []
    for column in _quantities(states):
        series = states.frame[column]
        for row in (~series.is_finite()).fill_null(value=False).arg_true().to_list():
            why = f"{column} is {series[row]}, which is no number; write null where it is not known (C2)"
            found.append(_fault(states, row, FaultKind.NOT_A_NUMBER, column, float("nan"), why))
    return found


def _missing(states: GridStates) -> list[Fault]:
    terms = [*map(generation_column, states.fuels), "demand_mw"]
    found = []
    for column in terms:
        absent = ~np.isfinite(states.values(column))
        if absent.mean() > 1 - _USUAL_FRAC:
            continue  # the zone does not usually state it
        for row in np.flatnonzero(absent).tolist():
            why = f"{column} is not known, and this zone usually states it"
            found.append(_fault(states, row, FaultKind.MISSING, column, float("nan"), why))
    return found


def _negative(states: GridStates) -> list[Fault]:
    found = []
    for fuel in states.fuels:
        if fuel in MAY_CHARGE or fuel is Fuel.IMPORTS:
            continue
        column, values = generation_column(fuel), states.generation_mw(fuel)
        if not np.isfinite(values).any():
            continue
        own_use = OWN_USE_FRAC * max(float(np.nanmax(values)), 0.0)
        for row in np.flatnonzero(values < -own_use).tolist():
            why = f"{column} is {values[row]:g} MW, and {fuel.value} cannot charge"
            found.append(_fault(states, row, FaultKind.NEGATIVE, column, float(values[row]), why))
    return found


def balance_residual_mw(states: GridStates) -> FloatArray:
    """Give ``Σ_f G_f + net imports − demand`` of each state, NaN where a usual term is not known; shape (n,). [MW]"""
    total = _total_generation(states)
    residual: FloatArray = total + states.values("net_imports_mw") - states.values("demand_mw")
    return residual


def _usual_generation(states: GridStates) -> dict[str, FloatArray]:
    generation = {generation_column(fuel): states.generation_mw(fuel) for fuel in states.fuels}
    return {name: mw for name, mw in generation.items() if np.isfinite(mw).mean() >= _USUAL_FRAC}


def _total_generation(states: GridStates) -> FloatArray:
    usual = _usual_generation(states) if len(states) else {}
    if not usual:
        return np.full(len(states), np.nan)
    # A fuel that is seldom stated counts where it is; a usual one that is absent leaves the balance open.
    total: FloatArray = np.sum(list(usual.values()), axis=0)
    for fuel in states.fuels:
        if generation_column(fuel) not in usual:
            total = total + np.nan_to_num(states.generation_mw(fuel), nan=0.0)
    return total


def _unbalanced(states: GridStates, tolerance_frac: float, tolerance_mw: float) -> list[Fault]:
    demand, imports = states.values("demand_mw"), states.values("net_imports_mw")
    usual, total, residual = _usual_generation(states), _total_generation(states), balance_residual_mw(states)
    if not usual:
        return []
    off = np.abs(residual) > tolerance_frac * np.abs(demand) + tolerance_mw
    rows = np.flatnonzero(off)  # NaN is not
    if not len(rows):
        return []
    terms = {**usual, "net_imports_mw": imports, "demand_mw": -demand}
    jump = np.stack([_jump(values)[rows] for values in terms.values()])
    unexplained = np.abs(residual[rows] - jump)
    best = unexplained.argmin(axis=0)
    found = []
    for place, row in enumerate(rows.tolist()):
        mismatch = float(residual[row])
        stands_out = unexplained[best[place], place] < _STANDS_OUT_FRAC * abs(mismatch)
        term = list(terms)[best[place]] if stands_out else "none stands out"
        why = (
            f"generation {total[row]:g} MW and net imports {imports[row]:g} MW are not demand {demand[row]:g} MW:"
            f" off by {mismatch:+g} MW; term at fault: {term}"
        )
        found.append(_fault(states, row, FaultKind.BALANCE, term, mismatch, why))
    return found


def _jump(values: FloatArray) -> FloatArray:
    """Give how far each value lies from the median of those around it; 0 where not known."""
    around = pl.Series(values, nan_to_null=True).rolling_median(_NEIGHBOURS, min_samples=1, center=True)
    jump: FloatArray = np.nan_to_num(values - around.to_numpy(), nan=0.0)
    return jump


def _neighbours(states: GridStates, tolerance_frac: float, tolerance_mw: float) -> list[Fault]:
    columns = [column for column in states.frame.columns if column.startswith("imports_from_")]
    if not columns:
        return []
    net, total = (
        states.values("net_imports_mw"),
        np.sum([states.values(column) for column in columns], axis=0),
    )
    gross = np.sum([np.abs(states.values(column)) for column in columns], axis=0)
    mismatch = total - net
    found = []
    for row in np.flatnonzero(np.abs(mismatch) > tolerance_frac * gross + tolerance_mw).tolist():
        why = f"imports by neighbour add up to {total[row]:g} MW and net_imports_mw is {net[row]:g} MW"
        found.append(_fault(states, row, FaultKind.NEIGHBOURS, "net_imports_mw", float(mismatch[row]), why))
    return found


def _nothing_burns(states: GridStates) -> list[Fault]:
    if not states.fuels:
        return []
    generation = np.stack([states.generation_mw(fuel) for fuel in states.fuels])
    stated = np.isfinite(generation)
    runs = np.nan_to_num(generation, nan=0.0) > 0
    burns = np.array([fuel in FOSSIL for fuel in states.fuels])
    idle = stated.any(axis=0) & ~runs.any(axis=0)
    found = [
        _fault(states, row, FaultKind.NO_GENERATION, "generation", 0.0, "all stated generation is zero")
        for row in np.flatnonzero(idle).tolist()
    ]
    if burns.any():
        # A zone without any fossil column says nothing of fossil plants, and is not flagged.
        none = stated[burns].any(axis=0) & ~runs[burns].any(axis=0) & ~idle
        why = "no fossil plant is running: the margin is not a fossil one, and an estimate of fossil response does not hold"
        found += [
            _fault(states, row, FaultKind.NO_FOSSIL, "fossil generation", 0.0, why)
            for row in np.flatnonzero(none).tolist()
        ]
    return found
