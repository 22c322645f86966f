"""Values that look wrong, each with the rule that says so, how far out it is, and the rule's threshold.

Nothing is changed here, and a flag is a suspicion: what a plant or a storm did is told from what a meter did by its
return. Rules look at one quantity against its own record, save the balance, which looks at all of an interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from gridmargin.grid.balance import (
    MAY_CHARGE,
    OWN_USE_FRAC,
    TOLERANCE_FRAC,
    TOLERANCE_MW,
    FaultKind,
    balance_residual_mw,
    faults_of,
)
from gridmargin.grid.state import GridStates
from gridmargin.grid.timeline import FloatArray, Timeline, timeline_of
from gridmargin.vocab import GENERATION_COLUMNS, Fuel

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class FlagCode(StrEnum):
    """Why a value is suspect."""

    NEGATIVE = "negative"
    ABOVE_CAPACITY = "above_capacity"
    SPIKE = "spike"
    FAR_OUT = "far_out"
    ZERO_DROP = "zero_drop"
    STUCK = "stuck"
    BALANCE = "balance"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, in words, with the thresholds that it uses.

    Attributes
    ----------
    code : FlagCode
        Its reason code.
    what : str
        What it finds.
    how_far : str
        What `size` and `threshold` of its flags are.
    """

    code: FlagCode
    what: str
    how_far: str


OF_CAPACITY_FRAC = 1.25
"""Registers of capacity lag behind what was built, and cold air lets turbines give more than their plate."""

WINDOW = 7
"""Slots of the moving median that a spike is measured from: a spike is three slots long at most."""

SPIKE_TIMES = 5.0
FAR_TIMES, FAR_USUAL_TIMES = 8.0, 2.0
STEP_TIMES = 3.0
"""Of the usual distance; see `flags_of` and the page of methods for the data that they were chosen on."""

USUAL_QUANTILE = 0.975
"""What all but 2.5 % of the record stays within is usual: errors up to that share leave the measure alone."""

LEAST_FRAC = 0.05
"""Of a quantity's usual size (95th percentile): no smaller distance is far, however still the record."""

LEAST_MW = 5.0
"""Tables are written in whole megawatts, and a small plant's rounding is no fault. [MW]"""

FAR_DAYS = 14
"""Days before and after whose same time of day tells the usual value."""

LONGEST_H = 72.0
"""A value that stays away for longer is how things are. [h]"""

ZERO_FRAC, SELDOM_ZERO_FRAC, ZERO_MOST_FRAC, ZERO_LONGEST_H = 0.25, 0.01, 0.1, 24.0
STUCK_H, STUCK_LEAST_SLOTS, SELDOM_EQUAL_FRAC, STUCK_MOST_FRAC = 4.0, 4, 0.02, 0.2

RULES = (
    Rule(
        FlagCode.NEGATIVE,
        "a plant that cannot charge, below zero by more than its own use (1 % of its 99th percentile) and 5 MW",
        "the value; minus that use [MW]",
    ),
    Rule(
        FlagCode.ABOVE_CAPACITY,
        "more than 1.25 times what is installed of the fuel, where that is known",
        "the value; the limit [MW]",
    ),
    Rule(
        FlagCode.SPIKE,
        "up to three intervals away from the moving median over seven, the usual day being taken off, by more than 5 "
        "times what 97.5 % of the record stays within; the values before and after are alike, and the quantity is not "
        "idle at that time of day as a rule",
        "distance from the median; the limit [MW]",
    ),
    Rule(
        FlagCode.FAR_OUT,
        "more than 8 robust deviations, and twice what 97.5 % of the record stays within, from the median of the same "
        "time of day over 14 days before and after; entered and left by a step of more than 3 times the usual, within "
        "72 h; not where the quantity idles at that time of day",
        "distance from the median; the limit [MW]",
    ),
    Rule(
        FlagCode.ZERO_DROP,
        "exactly zero for up to 24 h, from and to more than a quarter of the usual size, where zero is else seldom "
        "(1 % of the record, 10 % with these); a demand of zero always",
        "distance from the value before; a quarter of the usual size [MW]",
    ),
    Rule(
        FlagCode.STUCK,
        "the same value to the last digit, not zero, for 4 h and four intervals or more, where else fewer than 2 % of "
        "the values repeat the one before, and fewer than 20 % with the run",
        "length of the run; the limit [h]",
    ),
    Rule(
        FlagCode.BALANCE,
        "generation and net imports are not demand, beyond 2 % and 25 MW; the quantity is the term at fault, or "
        "`balance` where none stands out, or where "
        "half of the intervals do not add up",
        "the mismatch; the tolerance [MW]",
    ),
)
"""Every rule that `flags_of` applies."""

FLAG_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "start_utc": pl.Datetime("us", "UTC"),
    "quantity": pl.String,
    "code": pl.String,
    "value": pl.Float64,
    "usual": pl.Float64,
    "size": pl.Float64,
    "threshold": pl.Float64,
}

NO_TERM = "balance"
"""The quantity of a balance flag in which no term stands out."""


def flags_of(states: GridStates, capacity_mw: Mapping[Fuel, float] | None = None) -> pl.DataFrame:
    """List the suspect values of one zone.

    Parameters
    ----------
    states : GridStates
        The longer, the better what is usual is known: four weeks are enough.
    capacity_mw : mapping of Fuel to float, optional
        What is installed, where known. [MW]

    Returns
    -------
    polars.DataFrame
        `FLAG_SCHEMA`, by interval, quantity, code: `usual` is what the rule would have expected, null where it has no
        word on that; `size` and `threshold` are what its rule in `RULES` says. [MW]
    """
    line = timeline_of(states)
    parts = []
    for quantity, values in line.values.items():
        if np.isfinite(values).sum() < WINDOW:
            continue
        fuel = GENERATION_COLUMNS.get(quantity)
        daily, spread = _by_time_of_day(values, line.slots_a_day)
        found = [
            _spike(values, daily),
            _far_out(values, daily, spread, line),
            _zero_drop(values, line, quantity),
            _stuck(values, line),
        ]
        if fuel is not None and fuel not in MAY_CHARGE and fuel is not Fuel.IMPORTS:
            found.append(_negative(values))
        if fuel is not None and capacity_mw and capacity_mw.get(fuel, 0.0) > 0:
            found.append(_above(values, OF_CAPACITY_FRAC * capacity_mw[fuel]))
        parts += [hits.table(line, quantity, values) for hits in found if len(hits.slots)]
    parts.append(_balance(states))
    return pl.concat(parts).sort("start_utc", "quantity", "code")


@dataclass(frozen=True, slots=True)
class _Hits:
    code: FlagCode
    slots: IntArray
    usual: FloatArray
    size: FloatArray
    threshold: FloatArray

    @classmethod
    def where(
        cls,
        code: FlagCode,
        mask: BoolArray,
        usual: FloatArray,
        size: FloatArray,
        threshold: FloatArray | float,
    ) -> _Hits:
        slots = np.flatnonzero(mask)
        limits = np.broadcast_to(threshold, mask.shape)
        return cls(code, slots, usual[slots], size[slots], limits[slots])

    def table(self, line: Timeline, quantity: str, values: FloatArray) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "start_utc": line.starts(self.slots),
                "quantity": [quantity] * len(self.slots),
                "code": [self.code.value] * len(self.slots),
                "value": values[self.slots],
                "usual": pl.Series(self.usual, nan_to_null=True, dtype=pl.Float64),
                "size": self.size,
                "threshold": self.threshold,
            },
            schema=FLAG_SCHEMA,
        )


def _negative(values: FloatArray) -> _Hits:
    limit = -max(OWN_USE_FRAC * float(np.nanquantile(values, 0.99)), LEAST_MW)
    return _Hits.where(FlagCode.NEGATIVE, values < limit, np.full_like(values, np.nan), values, limit)


def _above(values: FloatArray, limit_mw: float) -> _Hits:
    nothing = np.full_like(values, np.nan)
    return _Hits.where(FlagCode.ABOVE_CAPACITY, values > limit_mw, nothing, values, limit_mw)


def _spike(values: FloatArray, daily: FloatArray) -> _Hits:
    rest = values - daily
    median = _moving_median(rest, WINDOW)
    size = rest - median
    limit = SPIKE_TIMES * _usual(np.abs(size), values)
    # Alike before and after: else it is a step, as when a unit trips.
    before, after = _beside(rest, 3)
    returns = np.abs(before - after) < 0.5 * np.abs(size)
    far = (np.abs(size) > limit) & returns & _runs_then(values, daily)
    return _Hits.where(FlagCode.SPIKE, far, daily + median, size, limit)


def _far_out(values: FloatArray, daily: FloatArray, spread: FloatArray, line: Timeline) -> _Hits:
    size = values - daily
    typical = float(np.nanmedian(spread)) if np.isfinite(spread).any() else 0.0
    spread_mw = np.maximum(np.fmax(spread, typical), LEAST_FRAC * _scale(values))
    limit = np.maximum(FAR_TIMES * spread_mw, FAR_USUAL_TIMES * _usual(np.abs(size), values))
    far = (np.abs(size) > limit) & _runs_then(values, daily)
    # One step more than there are values; a step from or to nothing is NaN.
    step = np.abs(np.diff(values, prepend=np.nan, append=np.nan))
    abrupt = step > STEP_TIMES * _usual(step, values)
    first, last = _runs(far)
    n = len(values)
    # A run at the edge of the record, or beside a gap, is judged by its other side.
    blind_before, blind_after = np.isnan(step[first]), np.isnan(step[last])
    enters, leaves = abrupt[first] | blind_before, abrupt[last] | blind_after
    known_side = ~(blind_before & blind_after)
    keep = enters & leaves & known_side & (last - first <= line.slots(LONGEST_H))
    return _Hits.where(FlagCode.FAR_OUT, _filled(first[keep], last[keep], n), daily, size, limit)


def _zero_drop(values: FloatArray, line: Timeline, quantity: str) -> _Hits:
    nothing: FloatArray = np.full_like(values, np.nan)
    scale = ZERO_FRAC * _scale(values)
    if quantity == "demand_mw":
        return _Hits.where(FlagCode.ZERO_DROP, values == 0, nothing, -np.abs(nothing), scale)
    if quantity not in GENERATION_COLUMNS or scale <= 0:
        return _Hits.where(FlagCode.ZERO_DROP, values == np.inf, nothing, nothing, scale)
    n_known = int(np.isfinite(values).sum())
    first, last = _runs(values == 0)
    inside = (first > 0) & (last < len(values))
    first, last = first[inside], last[inside]
    before, after = values[first - 1], values[np.minimum(last, len(values) - 1)]
    drop = (before > scale) & (after > scale) & (last - first <= line.slots(ZERO_LONGEST_H))
    n_zero = int((values == 0).sum())
    seldom = n_zero - (last - first)[drop].sum() <= SELDOM_ZERO_FRAC * n_known
    seldom = seldom and n_zero <= ZERO_MOST_FRAC * n_known  # else it starts and stops as a peaker does
    mask = _filled(first[drop], last[drop], len(values)) if seldom else np.zeros(len(values), np.bool_)
    usual = pl.Series(values).set(pl.Series(values == 0), None).fill_nan(None).forward_fill()
    level: FloatArray = usual.to_numpy()
    return _Hits.where(FlagCode.ZERO_DROP, mask, level, values - level, scale)


def _stuck(values: FloatArray, line: Timeline) -> _Hits:
    nothing: FloatArray = np.full_like(values, np.nan)
    repeats = np.zeros(len(values), np.bool_)
    repeats[1:] = (values[1:] == values[:-1]) & (values[1:] != 0)
    first, last = _runs(repeats)
    n_slots = last - first + 1  # the run's first value does not repeat one
    least = max(STUCK_LEAST_SLOTS, line.slots(STUCK_H))
    long = n_slots >= least
    elsewhere = int(repeats.sum() - (n_slots - 1)[long].sum())
    n_known = max(int((np.nan_to_num(values) != 0).sum()), 1)
    moves = elsewhere <= SELDOM_EQUAL_FRAC * n_known and repeats.sum() <= STUCK_MOST_FRAC * n_known
    if not moves:
        long[:] = False
    mask = _filled(first[long] - 1, last[long], len(values))
    hours = np.zeros(len(values))
    step_h = line.step_s / 3600
    for start, end in zip(first[long] - 1, last[long], strict=True):
        hours[start:end] = (end - start) * step_h
    return _Hits.where(FlagCode.STUCK, mask, nothing, hours, least * step_h)


def _balance(states: GridStates) -> pl.DataFrame:
    found = [fault for fault in faults_of(states) if fault.kind is FaultKind.BALANCE]
    n_struck = int(np.isfinite(balance_residual_mw(states)).sum())
    closes = len(found) < 0.5 * n_struck  # else what the publisher leaves out is at fault, and no single term
    where = pl.DataFrame(
        {
            "start_utc": [fault.start_utc for fault in found],
            "quantity": [fault.term if closes and is_term(fault.term) else NO_TERM for fault in found],
            "size": [fault.size for fault in found],
        },
        schema={key: FLAG_SCHEMA[key] for key in ("start_utc", "quantity", "size")},
    )
    terms = [column for column in states.frame.columns if is_term(column)]
    long = states.frame.unpivot(terms, index="start_utc", variable_name="quantity", value_name="value")
    demand = states.frame.select(
        "start_utc",
        threshold=(
            TOLERANCE_FRAC * pl.col("demand_mw").abs() + TOLERANCE_MW
            if "demand_mw" in states.frame.columns
            else pl.lit(None, dtype=pl.Float64)
        ),
    )
    sign = pl.when(pl.col("quantity") == "demand_mw").then(-1.0).otherwise(1.0)
    return (
        where.join(long, on=["start_utc", "quantity"], how="left")
        .join(demand, on="start_utc", how="left")
        .with_columns(code=pl.lit(FlagCode.BALANCE.value), usual=pl.col("value") - sign * pl.col("size"))
        .select(FLAG_SCHEMA.keys())
    )


def is_term(quantity: str) -> bool:
    """Say whether a quantity is a term of the balance of generation, net imports and demand."""
    return quantity in GENERATION_COLUMNS or quantity in ("demand_mw", "net_imports_mw")


def _scale(values: FloatArray) -> float:
    return float(np.nanquantile(np.abs(values), 0.95))


def _usual(distance: FloatArray, values: FloatArray) -> float:
    """Give the distance that nearly all of the record keeps; at least a share of the quantity's size, and 1 MW."""
    known = distance[np.isfinite(distance)]
    usual = float(np.quantile(known, USUAL_QUANTILE)) if len(known) else 0.0
    return max(usual, LEAST_FRAC * _scale(values), LEAST_MW / SPIKE_TIMES)


def _runs_then(values: FloatArray, daily: FloatArray) -> BoolArray:
    """Say where a plant is usually running: one that idles as a rule and starts now is a peaker at work."""
    usually: BoolArray = np.abs(daily) > max(LEAST_FRAC * _scale(values), LEAST_MW)
    return usually


def _moving_median(values: FloatArray, window: int) -> FloatArray:
    series = pl.Series(values, nan_to_null=True).rolling_median(window, min_samples=3, center=True)
    median: FloatArray = series.to_numpy()
    return median


def _beside(values: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Give the median of three values that end, and that begin, a spike's length away."""
    series = pl.Series(values, nan_to_null=True)
    before = series.rolling_median(n, min_samples=1).shift(n).to_numpy()
    after = series.reverse().rolling_median(n, min_samples=1).shift(n).reverse().to_numpy()
    return before, after


def _by_time_of_day(values: FloatArray, slots_a_day: int) -> tuple[FloatArray, FloatArray]:
    """Give the median and the robust deviation of the same slot in the days around."""
    n = len(values)
    days = -(-n // slots_a_day)
    padded = np.full((days + 2 * FAR_DAYS) * slots_a_day, np.nan)
    padded[FAR_DAYS * slots_a_day : FAR_DAYS * slots_a_day + n] = values
    table = padded.reshape(-1, slots_a_day)
    around = np.sort(sliding_window_view(table, 2 * FAR_DAYS + 1, axis=0), axis=-1)  # NaN sorts last
    median = _sorted_median(around)
    spread = 1.4826 * _sorted_median(np.sort(np.abs(around - median[..., None]), axis=-1))
    return median.reshape(-1)[:n], spread.reshape(-1)[:n]


def _sorted_median(ordered: FloatArray) -> FloatArray:
    """Give the median along the last axis of sorted values, NaN last and left out."""
    count = np.isfinite(ordered).sum(axis=-1)
    low = np.maximum((count - 1) // 2, 0)[..., None]
    high = np.minimum(count // 2, ordered.shape[-1] - 1)[..., None]
    both = np.take_along_axis(ordered, low, -1)[..., 0] + np.take_along_axis(ordered, high, -1)[..., 0]
    median: FloatArray = np.where(count > 0, both / 2, np.nan)
    return median


def _runs(mask: BoolArray) -> tuple[IntArray, IntArray]:
    """Give the first slot of each run of true, and the first after it."""
    edges = np.diff(mask.astype(np.int8), prepend=np.int8(0), append=np.int8(0))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _filled(first: IntArray, last: IntArray, n: int) -> BoolArray:
    change = np.zeros(n + 1, dtype=np.int64)
    np.add.at(change, first, 1)
    np.add.at(change, last, -1)
    return np.cumsum(change)[:n] > 0
