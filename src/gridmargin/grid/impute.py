"""Values for gaps, and for values that are flagged, beside what was reported and never instead of it.

What is reported stays as it is in the states. An imputed value stands in a table of its own, with its method, the
reason for it, and an error that was found by hiding known values of the same quantity and filling them alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.grid.balance import MAY_CHARGE, TOLERANCE_FRAC, TOLERANCE_MW
from gridmargin.grid.outliers import NO_TERM, is_term
from gridmargin.grid.state import GridStates
from gridmargin.grid.timeline import FloatArray, Timeline, timeline_of
from gridmargin.vocab import GENERATION_COLUMNS, Status

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class Method(StrEnum):
    """How a value was filled."""

    LINEAR = "linear"  # between the values before and after
    DAYS = "days"  # the same time of the days before and after, moved to meet the values before and after
    BALANCE = "balance"  # either, then moved towards closing generation and net imports on demand


NO_INTERVAL, ABSENT = "no_interval", "absent"
"""Reasons beside the codes of flags: no state for the interval at all; a state without this quantity."""

LINEAR_H = 2.0
"""Gaps up to this long are bridged by a line; longer ones follow the days beside. [h]"""

LONGEST_H = 72.0
"""Longer gaps stay gaps. [h]"""

USUAL_FRAC = 0.5
"""Of the states: a quantity that fewer have is not one that the zone reports, and nothing of it is missing."""

LEAST_METERING_MW = 1.0
"""Publishers round to whole megawatts: neither a balance nor a value is believed to be closer. [MW]"""

BELIEVED_TIMES = 3.0
"""A balance that would move terms by more than this, in their errors taken together, is left aside. [1]"""

ERROR_QUANTILE = 0.9
MOST_HIDDEN = 400
LEAST_HIDDEN = 20
"""Gaps hidden to learn the error of one quantity and length: at most, and at least, or nothing is imputed."""

IMPUTED_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "start_utc": pl.Datetime("us", "UTC"),
    "quantity": pl.String,
    "reported": pl.Float64,
    "imputed": pl.Float64,
    "error_mw": pl.Float64,
    "n_hidden": pl.Int64,
    "method": pl.String,
    "reason": pl.String,
    "gap_slots": pl.Int64,
    "status": pl.String,
}


@dataclass(frozen=True, slots=True)
class _Filled:
    """One quantity's gaps: where, with what, how sure, how."""

    slots: IntArray
    values: FloatArray
    error: FloatArray
    n_hidden: IntArray
    by_days: BoolArray
    gap_slots: IntArray


def impute(states: GridStates, flags: pl.DataFrame, *, balanced: bool = True) -> pl.DataFrame:
    """Fill what is missing or flagged in the power quantities that a zone usually states.

    Parameters
    ----------
    states : GridStates
        What was reported; not changed.
    flags : polars.DataFrame
        Of `flags_of`: the flagged values are filled as if they were missing.
    balanced : bool
        Whether imputed terms are moved to close the balance where the other terms are known and the zone's balance
        usually closes.

    Returns
    -------
    polars.DataFrame
        `IMPUTED_SCHEMA`, by interval and quantity. `error_mw` is what 90 % of the hidden values were off by at most,
        `n_hidden` of how many gaps; a gap that nothing can be said about has no row. [MW]

    Notes
    -----
    A value of a gap of L slots is ``shape(t) + bridge(t)``, with shape 0 up to 2 h and else the mean of the values a
    whole number of days before and after, and bridge the straight line between what the shape misses at either end.
    Gaps that are open at an end are for a forecast, and stay gaps.
    """
    line = timeline_of(states)
    reasons = _reasons(line, flags)
    filled, kept = {}, {}
    for quantity, values in line.values.items():
        doubted = reasons.get(quantity, np.zeros(0, dtype=object)) if reasons else np.zeros(0, dtype=object)
        bad = doubted != "" if len(doubted) else np.zeros(len(line), np.bool_)
        known = np.where(bad, np.nan, values)
        if np.isfinite(values[line.stated]).mean() < USUAL_FRAC:
            kept[quantity] = values
            continue
        kept[quantity] = known
        filled[quantity] = _fill(known, line, _least(quantity, known))
    moved = _close_balance(line, kept, filled) if balanced else {}
    parts = []
    for quantity, fill in filled.items():
        if not len(fill.slots):
            continue
        values, error, by_balance = moved.get(
            quantity, (fill.values, fill.error, np.zeros(len(fill.slots), np.bool_))
        )
        flagged = reasons.get(quantity, np.full(len(line), "", dtype=object))[fill.slots]
        absent = np.where(line.stated[fill.slots], ABSENT, NO_INTERVAL)
        method = np.where(fill.by_days, Method.DAYS.value, Method.LINEAR.value)
        parts.append(
            pl.DataFrame(
                {
                    "start_utc": line.starts(fill.slots),
                    "quantity": [quantity] * len(fill.slots),
                    "reported": pl.Series(
                        line.values[quantity][fill.slots], nan_to_null=True, dtype=pl.Float64
                    ),
                    "imputed": values,
                    "error_mw": error,
                    "n_hidden": fill.n_hidden,
                    "method": np.where(by_balance, Method.BALANCE.value, method).tolist(),
                    "reason": np.where(flagged != "", flagged, absent).tolist(),
                    "gap_slots": fill.gap_slots,
                    "status": [Status.IMPUTED.value] * len(fill.slots),
                },
                schema=IMPUTED_SCHEMA,
            )
        )
    table = pl.concat(parts) if parts else pl.DataFrame(schema=IMPUTED_SCHEMA)
    return table.sort("start_utc", "quantity")


def reconcile(terms: FloatArray, sign: FloatArray, error: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Move terms as little as their errors allow, so that their signed sum is zero.

    Parameters
    ----------
    terms : ndarray
        Values, shape (terms, n). [MW]
    sign : ndarray
        +1 or -1 a term, shape (terms,).
    error : ndarray
        Usual error of each value, shape (terms, n); 0 holds a term where it is. [MW]

    Returns
    -------
    ndarray
        Terms that add up wherever any may move, shape (terms, n). [MW]
    ndarray
        Share of the mismatch that each term took, shape (terms, n). [1]

    Notes
    -----
    Least squares ``min Σ (δ_i / σ_i)²`` under ``Σ s_i (x_i + δ_i) = 0`` has ``δ_i = −s_i σ_i² r / Σ σ²``, with ``r``
    the mismatch.
    """
    largest = error.max(axis=0, keepdims=True)
    weight = np.where(largest > 0, error / np.where(largest > 0, largest, 1.0), 0.0) ** 2
    total = weight.sum(axis=0)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    mismatch = (sign[:, None] * terms).sum(axis=0)
    return terms - sign[:, None] * share * mismatch, share


def bridged(values: FloatArray, first: IntArray, length: int, day: int) -> FloatArray:
    """Fill gaps of one length.

    Parameters
    ----------
    values : ndarray
        Shape (n,), NaN where not known; what stands inside the gaps is not looked at. [MW]
    first : ndarray
        First slot of each gap, with a slot before and after the gap inside the record; shape (k,).
    length : int
        Slots in a gap.
    day : int
        0 for a line; else slots between a slot and the one that stands for it, a day's or several.

    Returns
    -------
    ndarray
        Shape (k, length); NaN where what it needs is not known. [MW]
    """
    at = first[:, None] + np.arange(-1, length + 1)  # with the slot before and the one after
    shape = np.zeros(at.shape)
    if day:
        before, after = _at(values, at - day), _at(values, at + day)
        both = np.isfinite(before) & np.isfinite(after)
        shape = np.where(both, (before + after) / 2, np.where(np.isfinite(before), before, after))
    left = values[at[:, 0]] - shape[:, 0]
    right = values[at[:, -1]] - shape[:, -1]
    along = np.arange(1, length + 1) / (length + 1)
    bridge = left[:, None] * (1 - along) + right[:, None] * along
    result: FloatArray = shape[:, 1:-1] + bridge
    return result


def _at(values: FloatArray, index: IntArray) -> FloatArray:
    inside = (index >= 0) & (index < len(values))
    return np.where(inside, values[np.clip(index, 0, len(values) - 1)], np.nan)


def _reasons(line: Timeline, flags: pl.DataFrame) -> dict[str, NDArray[np.object_]]:
    """Give the first code of each flagged value, by quantity; a balance without a term at fault doubts none."""
    reasons: dict[str, NDArray[np.object_]] = {}
    for (quantity,), part in flags.filter(pl.col("quantity") != NO_TERM).group_by("quantity"):
        seconds = part["start_utc"].to_physical().to_numpy() // 1_000_000
        slots = (seconds - line.first_s) // line.step_s
        inside = (slots >= 0) & (slots < len(line))
        codes = np.full(len(line), "", dtype=object)
        codes[slots[inside][::-1]] = part["code"].to_numpy()[inside][::-1]
        reasons[str(quantity)] = codes
    return reasons


def _least(quantity: str, known: FloatArray) -> float:
    """Give the least that may be imputed: what the record has, where the quantity cannot fall below zero. [MW]"""
    fuel = GENERATION_COLUMNS.get(quantity)
    if quantity != "demand_mw" and (fuel is None or fuel in MAY_CHARGE):
        return -np.inf
    return min(0.0, float(np.nanmin(known))) if np.isfinite(known).any() else 0.0


def _fill(known: FloatArray, line: Timeline, least: float) -> _Filled:
    edges = np.diff(np.isnan(known).astype(np.int8), prepend=np.int8(0), append=np.int8(0))
    first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    closed = (first > 0) & (last < len(known)) & (last - first <= line.slots(LONGEST_H))
    first, length = first[closed], (last - first)[closed]
    slots: list[IntArray] = []
    values: list[FloatArray] = []
    errors: list[FloatArray] = []
    told: list[NDArray[np.int64]] = []
    for size in np.unique(length).tolist():
        mine = first[length == size]
        day = 0 if size <= line.slots(LINEAR_H) else -(-size // line.slots_a_day) * line.slots_a_day
        filled = bridged(known, mine, size, day)
        for row, start in enumerate(mine.tolist()):
            found = np.isfinite(filled[row])
            if not found.any():
                continue
            error, n_hidden = _hidden_error(known, start, size, day)
            if error is None:
                continue
            at = np.flatnonzero(found)
            slots.append(start + at)
            values.append(filled[row][at])
            errors.append(error[at])
            told.append(np.tile(np.array([n_hidden, day > 0, size], dtype=np.int64), (len(at), 1)))
    if not slots:
        none = np.zeros(0, np.int64)
        return _Filled(none, np.zeros(0), np.zeros(0), none, np.zeros(0, np.bool_), none)
    # A bridge may dip below zero where the days beside do not.
    level = np.maximum(np.concatenate(values), least)
    at_all = np.concatenate(slots)
    order = np.argsort(at_all, kind="stable")
    n_hidden_all, by_days, gap_slots = np.concatenate(told)[order].T
    return _Filled(
        at_all[order], level[order], np.concatenate(errors)[order], n_hidden_all, by_days > 0, gap_slots
    )


def _hidden_error(known: FloatArray, start: int, length: int, day: int) -> tuple[FloatArray | None, int]:
    """Give the error of each slot of a gap, from gaps of its length hidden before it, or around it if few are."""
    for candidates in (np.arange(1, start - length), np.arange(1, len(known) - length)):
        if not len(candidates):
            continue
        first = candidates[:: max(1, len(candidates) // MOST_HIDDEN)]
        off = np.abs(bridged(known, first, length, day) - known[first[:, None] + np.arange(length)])
        whole = off[np.isfinite(off).all(axis=1)]
        if len(whole) >= LEAST_HIDDEN:
            error: FloatArray = np.maximum(np.quantile(whole, ERROR_QUANTILE, axis=0), LEAST_METERING_MW)
            return error, len(whole)
    return None, 0


def _close_balance(
    line: Timeline, kept: dict[str, FloatArray], filled: dict[str, _Filled]
) -> dict[str, tuple[FloatArray, FloatArray, BoolArray]]:
    """Move imputed terms so that generation and net imports are demand; give value, error and whether moved."""
    names = [name for name in kept if is_term(name)]
    if not {"demand_mw", "net_imports_mw"} <= set(names) or not any(n in GENERATION_COLUMNS for n in names):
        return {}
    terms = np.stack([kept[name] for name in names])
    usual = np.isfinite(terms[:, line.stated]).mean(axis=1) >= USUAL_FRAC
    # A fuel that is seldom stated counts where it is, as in `faults_of`.
    terms[~usual] = np.nan_to_num(terms[~usual], nan=0.0)
    sign = np.array([-1.0 if name == "demand_mw" else 1.0 for name in names])
    mismatch = np.abs((sign[:, None] * terms).sum(axis=0))
    tolerance = TOLERANCE_FRAC * np.abs(kept["demand_mw"]) + TOLERANCE_MW
    struck = np.isfinite(mismatch)
    if struck.sum() < LEAST_HIDDEN or float(np.median((mismatch - tolerance)[struck])) > 0:
        return {}  # this zone's balance does not close as a rule: it says nothing of one term
    metering = float(np.quantile(mismatch[struck], ERROR_QUANTILE))
    error = np.zeros_like(terms)
    for row, name in enumerate(names):
        if name in filled:
            terms[row, filled[name].slots] = filled[name].values
            error[row, filled[name].slots] = filled[name].error
    at = np.flatnonzero((error > 0).any(axis=0) & np.isfinite(terms).all(axis=0))
    if not len(at):
        return {}
    # What the meters usually leave open is one more term: a balance is believed as far as it usually closes.
    closing = np.vstack([terms[:, at], np.zeros(len(at))])
    sigma = np.vstack([error[:, at], np.full(len(at), max(metering, LEAST_METERING_MW))])
    signs = np.append(sign, 1.0)
    # A mismatch far beyond all the errors together has another cause, such as a wrong value that no rule has flagged.
    mismatch = np.abs((signs[:, None] * closing).sum(axis=0))
    believed = mismatch <= BELIEVED_TIMES * np.sqrt((sigma**2).sum(axis=0))
    at, closing, sigma = at[believed], closing[:, believed], sigma[:, believed]
    if not len(at):
        return {}
    fixed, share = reconcile(closing, signs, sigma)
    left = sigma * np.sqrt(1 - share)
    moved = {}
    for row, name in enumerate(names):
        if name not in filled:
            continue
        fill = filled[name]
        place = np.searchsorted(at, fill.slots)
        mine = (place < len(at)) & (at[np.minimum(place, len(at) - 1)] == fill.slots)
        values, errors = fill.values.copy(), fill.error.copy()
        values[mine], errors[mine] = fixed[row, place[mine]], left[row, place[mine]]
        floor = _least(name, kept[name])
        moved[name] = (np.maximum(values, floor), errors, mine)
    return moved
