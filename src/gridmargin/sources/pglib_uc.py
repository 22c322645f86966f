"""Unit-commitment instances in the JSON of power-grid-lib (pglib-uc): bytes in, one record out.

https://github.com/power-grid-lib/pglib-uc, CC-BY-4.0; intervals are hours, power is in MW, cost in dollars.
Output is stated as a curve of total cost against total power, from minimum to maximum.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridmargin.sources.folders import files_matching
from gridmargin.vocab import TableError, sha256_hex

FOLDER = "uc_reference"


@dataclass(frozen=True, slots=True)
class UcUnit:
    """One thermal unit as the file states it; its fields carry the file's own terms, in MW, hours and dollars."""

    name: str
    is_must_run: bool
    minimum_mw: float
    maximum_mw: float
    ramp_up_mw_per_h: float
    ramp_down_mw_per_h: float
    startup_limit_mw: float
    shutdown_limit_mw: float
    minimum_up_h: int
    minimum_down_h: int
    is_on_before: bool
    power_before_mw: float
    hours_before: int
    startup: tuple[tuple[int, float], ...]
    production: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class UcInstance:
    """One instance: what is asked of the fleet, its thermal units, and the sum of its renewable ones, hour by hour."""

    name: str
    demand_mw: tuple[float, ...]
    reserve_mw: tuple[float, ...]
    renewable_minimum_mw: tuple[float, ...]
    renewable_maximum_mw: tuple[float, ...]
    units: tuple[UcUnit, ...]
    payload_sha256: str


def uc_files(folder: Path) -> list[Path]:
    """List the instances under a folder: the data set itself, `grid`, or the pack above it."""
    return files_matching(folder, r".+\.json", lambda path: b'"thermal_generators"' in path.read_bytes())


def parse_uc(name: str, body: bytes) -> UcInstance:
    """Turn the bytes of one instance into its record.

    Raises
    ------
    TableError
        Naming the file, the unit and the term that is missing, no number, or of another length.
    """
    try:
        top = json.loads(body)
    except ValueError as error:
        raise TableError(f"{name} is not JSON ({error}); fetch it again") from None
    if not isinstance(top, dict):
        raise TableError(f"{name} holds a {type(top).__name__}, not an instance of pglib-uc")
    hours = _whole(top, "time_periods", name)
    demand = _series(top, "demand", hours, name)
    low, high = [0.0] * hours, [0.0] * hours
    for key, source in _section(top, "renewable_generators", name).items():
        named = f"{name}, renewable {key}"
        for total, term in ((low, "power_output_minimum"), (high, "power_output_maximum")):
            for hour, value in enumerate(_series(source, term, hours, named)):
                total[hour] += value
    units = tuple(
        _unit(key, term, f"{name}, unit {key}")
        for key, term in _section(top, "thermal_generators", name).items()
    )
    if not units:
        raise TableError(f"{name} has no thermal generators: there is nothing to commit")
    return UcInstance(
        Path(name).stem,
        demand,
        _series(top, "reserves", hours, name),
        tuple(low),
        tuple(high),
        units,
        sha256_hex(body),
    )


def _unit(key: str, term: Any, named: str) -> UcUnit:
    is_on = bool(_number(term, "unit_on_t0", named))
    return UcUnit(
        key,
        bool(_number(term, "must_run", named)),
        _number(term, "power_output_minimum", named),
        _number(term, "power_output_maximum", named),
        _number(term, "ramp_up_limit", named),
        _number(term, "ramp_down_limit", named),
        _number(term, "ramp_startup_limit", named),
        _number(term, "ramp_shutdown_limit", named),
        _whole(term, "time_up_minimum", named),
        _whole(term, "time_down_minimum", named),
        is_on,
        _number(term, "power_output_t0", named),
        _whole(term, "time_up_t0" if is_on else "time_down_t0", named),
        tuple((_whole(s, "lag", named), _number(s, "cost", named)) for s in _rows(term, "startup", named)),
        tuple(
            (_number(s, "mw", named), _number(s, "cost", named))
            for s in _rows(term, "piecewise_production", named)
        ),
    )


def _section(top: Any, term: str, named: str) -> dict[str, Any]:
    section = top.get(term)
    if not isinstance(section, dict):
        raise TableError(f"{named}: no section {term!r}")
    return section


def _rows(term: Any, key: str, named: str) -> list[Any]:
    rows = term.get(key) if isinstance(term, dict) else None
    if not isinstance(rows, list) or not rows:
        raise TableError(f"{named}: {key} is not a list with at least one step")
    return rows


def _number(term: Any, key: str, named: str) -> float:
    value = term.get(key) if isinstance(term, dict) else None
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise TableError(f"{named}: {key} is {value!r}, which is not a finite number")
    return float(value)


def _whole(term: Any, key: str, named: str) -> int:
    value = _number(term, key, named)
    if value != int(value) or value < 0:
        raise TableError(f"{named}: {key} is {value!r}, not a whole number of hours")
    return int(value)


def _series(term: Any, key: str, hours: int, named: str) -> tuple[float, ...]:
    rows = _rows(term, key, named)
    if len(rows) != hours:
        raise TableError(f"{named}: {key} has {len(rows)} values for {hours} time periods")
    return tuple(_number({key: value}, key, f"{named}, hour {hour}") for hour, value in enumerate(rows))
