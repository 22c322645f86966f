"""Unit commitment instances in the JSON of power-grid-lib's pglib-uc: bytes in, one `CommitmentCase` out."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.sources.commitment_case import CommitmentCase
from gridmargin.vocab import TableError

FloatArray = NDArray[np.float64]

WIDTH_TOLERANCE_MW = 1e-6
"""How far the ends of the cost curve may be from the output limits, as the publisher rounds."""


def read_uc_instance(name: str, content: bytes) -> CommitmentCase:
    """Read one instance.

    Parameters
    ----------
    name : str
        What to call it, in the case and in errors.
    content : bytes
        The file.

    Raises
    ------
    TableError
        If a term is missing, not a number, negative, of the wrong length, or against another; names the term.
    """
    try:
        whole = json.loads(content)
    except ValueError as why:
        raise TableError(f"{name}: not JSON: {why}") from why
    if not isinstance(whole, dict):
        raise TableError(f"{name}: give one JSON object, not {type(whole).__name__}")
    top = _Terms(name, whole)
    n_h = top.count("time_periods", least=1)
    demand, reserve = top.series("demand", n_h), top.series("reserves", n_h)
    weather_min, weather_max = np.zeros(n_h), np.zeros(n_h)
    for where, terms in top.each("renewable_generators"):
        low, high = terms.series("power_output_minimum", n_h), terms.series("power_output_maximum", n_h)
        if (low > high).any():
            raise TableError(f"{where}: power_output_minimum is above power_output_maximum")
        weather_min += low
        weather_max += high
    units = [_unit(where, terms) for where, terms in top.each("thermal_generators")]
    if not units:
        raise TableError(f"{name}: thermal_generators is empty")
    names = tuple(str(unit) for unit in whole["thermal_generators"])

    def column(key: str, dtype: type) -> Any:
        return np.array([unit[key] for unit in units], dtype=dtype)

    def padded(key: str, fill: float, dtype: type) -> Any:
        width = max(len(unit[key]) for unit in units)
        return np.array([unit[key] + [fill] * (width - len(unit[key])) for unit in units], dtype=dtype)

    return CommitmentCase(
        name=name, unit_names=names, demand_mw=demand, reserve_mw=reserve,
        weather_min_mw=weather_min, weather_max_mw=weather_max,
        must_run=column("must_run", bool), was_on=column("unit_on_t0", bool),
        minimum_mw=column("power_output_minimum", float), maximum_mw=column("power_output_maximum", float),
        ramp_up_mw=column("ramp_up_limit", float), ramp_down_mw=column("ramp_down_limit", float),
        start_mw=column("ramp_startup_limit", float), stop_mw=column("ramp_shutdown_limit", float),
        up_h=column("time_up_minimum", int), down_h=column("time_down_minimum", int),
        was_for_h=column("was_for", int), was_mw=column("power_output_t0", float),
        least_cost=column("least_cost", float), step_mw=padded("step_mw", 0.0, float),
        step_cost_per_mwh=padded("step_cost", 0.0, float), lag_h=padded("lag", -1, int),
        start_cost=padded("start_cost", 0.0, float),
    )  # fmt: skip


class _Terms:
    """One JSON object, read term by term."""

    def __init__(self, where: str, terms: dict[str, Any]) -> None:
        self.where, self._terms = where, terms

    def _term(self, key: str) -> Any:
        if key not in self._terms:
            raise TableError(f"{self.where}: {key} is missing")
        return self._terms[key]

    def number(self, key: str) -> float:
        """Give a term that must be a number, not negative."""
        return self._number(key, self._term(key))

    def _number(self, shown: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise TableError(f"{self.where}: {shown} is {value!r}, not a number")
        if value < 0:
            raise TableError(f"{self.where}: {shown} is {value}, below zero")
        return float(value)

    def count(self, key: str, least: int = 0) -> int:
        """Give a term that must be a whole number."""
        value = self.number(key)
        if value != int(value) or value < least:
            raise TableError(f"{self.where}: {key} is {value}; give a whole number of at least {least}")
        return int(value)

    def flag(self, key: str) -> bool:
        """Give a term that must be 0 or 1."""
        value = self.number(key)
        if value not in (0.0, 1.0):
            raise TableError(f"{self.where}: {key} is {value}; give 0 or 1")
        return value == 1.0

    def series(self, key: str, n: int) -> FloatArray:
        """Give a term that must hold one number a period."""
        values = self._term(key)
        if not isinstance(values, list) or len(values) != n:
            held = len(values) if isinstance(values, list) else "no list"
            raise TableError(f"{self.where}: {key} has {held} for {n} time_periods")
        return np.array([self._number(f"{key}[{i}]", value) for i, value in enumerate(values)])

    def points(self, key: str, *fields: str) -> list[list[float]]:
        """Give a term that must be a list of objects, as one list a field."""
        values = self._term(key)
        if not isinstance(values, list) or not values or not all(isinstance(value, dict) for value in values):
            raise TableError(f"{self.where}: {key} is no list of points")
        each = [_Terms(f"{self.where}: {key}[{i}]", value) for i, value in enumerate(values)]
        return [[point.number(field) for point in each] for field in fields]

    def each(self, key: str) -> list[tuple[str, _Terms]]:
        """Give the objects that a term names."""
        values = self._term(key)
        if not isinstance(values, dict) or not all(isinstance(value, dict) for value in values.values()):
            raise TableError(f"{self.where}: {key} is no object of objects")
        found = []
        for inner, value in values.items():
            where = f"{self.where}: {inner}"
            found.append((where, _Terms(where, value)))
        return found


def _unit(where: str, terms: _Terms) -> dict[str, Any]:
    """Read one thermal unit."""
    numbers = (
        "power_output_minimum", "power_output_maximum", "ramp_up_limit", "ramp_down_limit",
        "ramp_startup_limit", "ramp_shutdown_limit", "power_output_t0",
    )  # fmt: skip
    unit: dict[str, Any] = {key: terms.number(key) for key in numbers}
    unit |= {key: terms.flag(key) for key in ("must_run", "unit_on_t0")}
    unit |= {key: terms.count(key) for key in ("time_up_minimum", "time_down_minimum")}
    on = unit["unit_on_t0"]
    up, down = terms.count("time_up_t0"), terms.count("time_down_t0")
    unit["was_for"] = up if on else down
    low, high = unit["power_output_minimum"], unit["power_output_maximum"]
    if low > high:
        raise TableError(f"{where}: power_output_minimum {low} is above power_output_maximum {high}")
    if unit["was_for"] < 1 or (down if on else up) > 0:
        raise TableError(
            f"{where}: unit_on_t0 is {int(on)} but time_up_t0 is {up} and time_down_t0 is {down}"
        )
    if on != (unit["power_output_t0"] > 0.0) and not (on and low == 0.0):
        raise TableError(
            f"{where}: power_output_t0 {unit['power_output_t0']} is against unit_on_t0 {int(on)}"
        )
    for limit in ("ramp_startup_limit", "ramp_shutdown_limit"):
        if unit[limit] < low - WIDTH_TOLERANCE_MW:
            raise TableError(f"{where}: {limit} {unit[limit]} is below power_output_minimum {low}")
    lag, unit["start_cost"] = terms.points("startup", "lag", "cost")
    unit["lag"] = [int(value) for value in lag]
    if any(a >= b for a, b in itertools.pairwise(lag)):
        raise TableError(f"{where}: startup lags do not increase")
    return unit | _curve(where, terms, low, high)


def _curve(where: str, terms: _Terms, low: float, high: float) -> dict[str, Any]:
    """Read the cost curve as the cost of the minimum and steps above it."""
    points, cost = terms.points("piecewise_production", "mw", "cost")
    if abs(points[0] - low) > WIDTH_TOLERANCE_MW or abs(points[-1] - high) > WIDTH_TOLERANCE_MW:
        raise TableError(
            f"{where}: piecewise_production runs from {points[0]} to {points[-1]} MW, "
            f"not from power_output_minimum {low} to power_output_maximum {high}"
        )
    width = np.diff(points)
    if (width <= 0.0).any():
        raise TableError(f"{where}: piecewise_production does not increase in mw")
    price = np.diff(cost) / width
    if (np.diff(price) < -1e-6 * (1.0 + np.abs(price[1:]))).any():
        raise TableError(f"{where}: piecewise_production is not convex; its steps must get dearer")
    return {"least_cost": cost[0], "step_mw": width.tolist(), "step_cost": price.tolist()}
