"""CommitmentCase: which units may run, and what they must serve; CommitmentSchedule: what was decided for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.sources import UcInstance, UcUnit
from gridmargin.vocab import TableError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NEVER_H = 1_000_000
"""Lag of a start-up step that pads a unit with fewer steps than others; no horizon reaches it. [h]"""


@dataclass(frozen=True, slots=True)
class CommitmentCase:
    """A fleet of u units and what it must serve over t hours.

    Attributes
    ----------
    name : str
        For messages.
    unit_names : tuple of str
        Unique.
    demand_mw, reserve_mw : array, shape (t,)
        To be met exactly, and at least. [MW]
    renewable_minimum_mw, renewable_maximum_mw : array, shape (t,)
        Free power that may be taken; what is above the minimum may be curtailed. [MW]
    minimum_mw, maximum_mw : array, shape (u,)
        While running. [MW]
    ramp_up_mw_per_h, ramp_down_mw_per_h : array, shape (u,)
        Of the output above the minimum. [MW h⁻¹]
    startup_limit_mw, shutdown_limit_mw : array, shape (u,)
        Most output in the first hour, and in the last. [MW]
    minimum_up_h, minimum_down_h : int array, shape (u,)
        At least 1. [h]
    is_must_run, is_on_before : bool array, shape (u,)
        Never off; on in the hour before the first.
    power_before_mw : array, shape (u,)
        Output in the hour before the first. [MW]
    hours_before : int array, shape (u,)
        How long the unit has been in that state. [h]
    start_lag_h, start_cost : array, shape (u, s)
        A start after at least `lag` hours off costs so much; both rise, padded with `NEVER_H`.
    minimum_cost_per_h : array, shape (u,)
        Of running at the minimum. [h⁻¹]
    segment_mw, segment_cost_per_mwh : array, shape (u, k)
        Output above the minimum in pieces of rising cost, padded with zero width. [MW], [MWh⁻¹]
    payload_sha256s : tuple of str
        Files it was read from.
    """

    name: str
    unit_names: tuple[str, ...]
    demand_mw: FloatArray
    reserve_mw: FloatArray
    renewable_minimum_mw: FloatArray
    renewable_maximum_mw: FloatArray
    minimum_mw: FloatArray
    maximum_mw: FloatArray
    ramp_up_mw_per_h: FloatArray
    ramp_down_mw_per_h: FloatArray
    startup_limit_mw: FloatArray
    shutdown_limit_mw: FloatArray
    minimum_up_h: IntArray
    minimum_down_h: IntArray
    is_must_run: BoolArray
    is_on_before: BoolArray
    power_before_mw: FloatArray
    hours_before: IntArray
    start_lag_h: IntArray
    start_cost: FloatArray
    minimum_cost_per_h: FloatArray
    segment_mw: FloatArray
    segment_cost_per_mwh: FloatArray
    payload_sha256s: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._refuse_shapes()
        self._refuse_hours()
        self._refuse_units()

    @property
    def n_units(self) -> int:
        """How many units there are."""
        return len(self.unit_names)

    @property
    def n_hours(self) -> int:
        """How many hours are to be served."""
        return len(self.demand_mw)

    def _refuse_shapes(self) -> None:
        u, t = len(self.unit_names), self.demand_mw.shape[0] if self.demand_mw.ndim == 1 else 0
        if not u or not t:
            raise TableError(f"case {self.name} has {u} units and {t} hours: at least one of each is needed")
        for field in HOURLY:
            self._refuse_shape(field, (t,))
        for field in PER_UNIT:
            self._refuse_shape(field, (u,))
        for field, other in (("start_lag_h", "start_cost"), ("segment_mw", "segment_cost_per_mwh")):
            shape = getattr(self, field).shape
            if len(shape) != 2 or shape[0] != u or (field == "start_lag_h" and not shape[1]):
                raise TableError(f"case {self.name}: {field} has shape {shape}, not one row a unit")
            self._refuse_shape(other, shape)
        if len(set(self.unit_names)) != u:
            twice = sorted({n for n in self.unit_names if self.unit_names.count(n) > 1})
            raise TableError(f"case {self.name}: unit {twice[0]} stands twice; rename it")

    def _refuse_shape(self, field: str, wanted: tuple[int, ...]) -> None:
        value = getattr(self, field)
        if value.shape != wanted:
            raise TableError(f"case {self.name}: {field} has shape {value.shape}, wanted {wanted}")
        bad = ~np.isfinite(value)
        if bad.any():
            first = int(np.argwhere(bad)[0][0])
            where = f"hour {first}" if field in HOURLY else f"unit {self.unit_names[first]}"
            raise TableError(f"case {self.name}, {where}: {field} is {value[bad][0]}; give a finite number")

    def _refuse_hours(self) -> None:
        for field in HOURLY:
            below = getattr(self, field) < 0
            if below.any():
                hour = int(below.argmax())
                raise TableError(f"case {self.name}, hour {hour}: {field} is {getattr(self, field)[hour]} MW")
        over = self.renewable_minimum_mw > self.renewable_maximum_mw + 1e-9
        if over.any():
            raise TableError(f"case {self.name}, hour {int(over.argmax())}: renewable minimum above maximum")

    def _refuse_units(self) -> None:
        tolerance_mw = 1e-6 * np.maximum(self.maximum_mw, 1.0)
        span_mw = self.maximum_mw - self.minimum_mw
        real = self.segment_mw > 0
        slope = np.where(real, self.segment_cost_per_mwh, -np.inf)
        falls = real[:, 1:] & (slope[:, 1:] < np.maximum.accumulate(slope, axis=1)[:, :-1] - 1e-6)
        ramps_mw = np.minimum(self.ramp_up_mw_per_h, self.ramp_down_mw_per_h)
        checks = {
            "maximum_mw is not above zero": ~(self.maximum_mw > 0),
            "minimum_mw is below zero or above maximum_mw": (self.minimum_mw < 0) | (span_mw < -tolerance_mw),
            "a segment is of negative width": (self.segment_mw < 0).any(axis=1),
            "segments do not add up to the span from minimum to maximum": np.abs(
                self.segment_mw.sum(axis=1) - span_mw
            )
            > tolerance_mw,
            "cost per megawatt-hour falls with output; only convex curves are taken": falls.any(axis=1),
            "a ramp limit is below zero": ramps_mw < 0,
            "startup_limit_mw is below minimum_mw": self.startup_limit_mw < self.minimum_mw - tolerance_mw,
            "shutdown_limit_mw is below minimum_mw": self.shutdown_limit_mw < self.minimum_mw - tolerance_mw,
            "minimum_up_h or minimum_down_h is below 1": (self.minimum_up_h < 1) | (self.minimum_down_h < 1),
            "hours_before is below 1": self.hours_before < 1,
            "start costs fall with time offline": (np.diff(self.start_cost, axis=1) < 0).any(axis=1)
            | (np.diff(self.start_lag_h, axis=1) < 0).any(axis=1),
            "a start cost is below zero": (self.start_cost < 0).any(axis=1),
            "power_before_mw lies outside minimum to maximum": self.is_on_before
            & (
                (self.power_before_mw < self.minimum_mw - tolerance_mw)
                | (self.power_before_mw > self.maximum_mw + tolerance_mw)
            ),
            "power_before_mw is not zero though the unit was off": ~self.is_on_before
            & (np.abs(self.power_before_mw) > tolerance_mw),
        }
        for why, bad in checks.items():
            if bad.any():
                raise TableError(f"case {self.name}, unit {self.unit_names[int(bad.argmax())]}: {why}")


HOURLY = ("demand_mw", "reserve_mw", "renewable_minimum_mw", "renewable_maximum_mw")
PER_UNIT = (
    "minimum_mw",
    "maximum_mw",
    "ramp_up_mw_per_h",
    "ramp_down_mw_per_h",
    "startup_limit_mw",
    "shutdown_limit_mw",
    "minimum_up_h",
    "minimum_down_h",
    "is_must_run",
    "is_on_before",
    "power_before_mw",
    "hours_before",
    "minimum_cost_per_h",
)


@dataclass(frozen=True, slots=True)
class CommitmentSchedule:
    """Who runs when, and how much each gives.

    Attributes
    ----------
    is_on : bool array, shape (u, t)
    power_mw, reserve_mw : array, shape (u, t)
        Total output, zero while off, and reserve held above it. [MW]
    renewable_mw : array, shape (t,)
        Free power taken. [MW]
    """

    is_on: BoolArray
    power_mw: FloatArray
    reserve_mw: FloatArray
    renewable_mw: FloatArray


def commitment_case(instance: UcInstance) -> CommitmentCase:
    """Give the case that an instance of pglib-uc states.

    Raises
    ------
    TableError
        Naming the unit or hour and the term that cannot be.
    """
    units = instance.units
    for unit in units:
        if not unit.production or not unit.startup:
            raise TableError(f"{instance.name}, unit {unit.name}: no cost curve or no start cost")
    n_segments = max(len(unit.production) for unit in units) - 1
    n_starts = max(len(unit.startup) for unit in units)
    segments = np.zeros((len(units), n_segments, 2))
    starts = np.empty((len(units), n_starts, 2))
    for row, unit in enumerate(units):
        curve = np.array(unit.production)
        width_mw = np.diff(curve[:, 0])
        segments[row, : len(width_mw), 0] = width_mw
        # A point given twice makes a step of no width, which carries no slope.
        segments[row, : len(width_mw), 1] = np.where(
            width_mw > 0, np.diff(curve[:, 1]) / np.where(width_mw > 0, width_mw, 1.0), 0.0
        )
        starts[row] = (NEVER_H, unit.startup[-1][1])
        starts[row, : len(unit.startup)] = unit.startup

    def of(field: str, kind: type = float) -> Any:
        return np.array([getattr(unit, field) for unit in units], dtype=kind)

    stated: dict[str, Any] = {field: np.array(getattr(instance, field)) for field in HOURLY}
    stated |= {field: of(field, _kind_of(field)) for field in PER_UNIT if field != "minimum_cost_per_h"}
    return CommitmentCase(
        name=instance.name,
        unit_names=tuple(unit.name for unit in units),
        **stated,
        start_lag_h=starts[:, :, 0].astype(np.int64),
        start_cost=starts[:, :, 1],
        minimum_cost_per_h=np.array([unit.production[0][1] for unit in units]),
        segment_mw=segments[:, :, 0],
        segment_cost_per_mwh=segments[:, :, 1],
        payload_sha256s=(instance.payload_sha256,),
    )


def _kind_of(field: str) -> type:
    if field.startswith("is_"):
        return bool
    kind: dict[str, type] = {f.name: int for f in UcUnit.__dataclass_fields__.values() if f.type == "int"}
    return kind.get(field, float)
