"""Whether a schedule of on and off and outputs keeps every limit of its case, and what it costs.

It shares no code with what makes schedules: loops over hours, straight from the statement of the problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import CommitmentCase
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

TOLERANCE_MW = 1e-4
"""How far an output may be over a limit; HiGHS keeps rows to 1e-6 each, and a balance adds hundreds of outputs."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One limit that a schedule does not keep.

    Attributes
    ----------
    limit : str
        Which: balance, reserve, minimum, maximum, off, start, stop, ramp-up, ramp-down, up-time, down-time, must-run.
    unit : str or None
        Whose, where it is a unit's.
    hour : int
        In which hour, from 0.
    by : float
        By how much, in the unit of the limit. [MW or h]
    """

    limit: str
    unit: str | None
    hour: int
    by: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check says of a schedule.

    Attributes
    ----------
    cost : float
        Of outputs and starts, by the case's own figures. [USD]
    violations : tuple of Violation
        Every limit not kept; empty for a schedule that is allowed.
    """

    cost: float
    violations: tuple[Violation, ...]


def check(case: CommitmentCase, on: BoolArray, output_mw: FloatArray) -> Verdict:
    """Work out cost and violations of a schedule.

    Parameters
    ----------
    case : CommitmentCase
        What was to be scheduled.
    on : array of bool, shape (g, h)
        Commitment.
    output_mw : array, shape (g, h)
        Outputs. [MW]

    Raises
    ------
    InputError
        If a shape is not the case's or an output is not a number.

    Notes
    -----
    The statement is that of Knueven, Ostrowski & Watson (2020), doi:10.1287/ijoc.2019.0944, as pglib-uc fixes it: ramps
    bind the output above the minimum; a unit's reserve is what its limits and its ramp from the last hour leave.
    """
    shape = (len(case.unit_names), len(case.demand_mw))
    if on.shape != shape or output_mw.shape != shape:
        raise InputError(
            f"{case.name}: commitment {on.shape} and output {output_mw.shape} are not {shape}, units by hours"
        )
    if not np.isfinite(output_mw).all():
        g, h = np.argwhere(~np.isfinite(output_mw))[0]
        raise InputError(f"{case.name}: output of {case.unit_names[g]} in hour {h} is not a number")
    found = [*_system(case, output_mw, _headroom(case, on, output_mw)), *_outputs(case, on, output_mw)]
    found += _times(case, on)
    return Verdict(cost_of(case, on, output_mw), tuple(found))


def cost_of(case: CommitmentCase, on: BoolArray, output_mw: FloatArray) -> float:
    """Give the cost of outputs and starts. [USD]"""
    total = 0.0
    off_for = np.where(case.was_on, 0, case.was_for_h)
    for h in range(on.shape[1]):
        now = on[:, h]
        left = np.where(now, output_mw[:, h] - case.minimum_mw, 0.0)
        total += float(case.least_cost[now].sum())
        for k in range(case.step_mw.shape[1]):
            used = np.minimum(left, case.step_mw[:, k])
            total += float(used @ case.step_cost_per_mwh[:, k])
            left = left - used
        started = now & (off_for > 0)
        total += float(case.start_cost_after(off_for)[started].sum())
        off_for = np.where(now, 0, off_for + 1)
    return total


def _before(case: CommitmentCase, on: BoolArray, above: FloatArray, h: int) -> tuple[BoolArray, FloatArray]:
    """Give the state and the output above the minimum in the hour before."""
    if h:
        return on[:, h - 1], above[:, h - 1]
    return case.was_on, np.where(case.was_on, case.was_mw - case.minimum_mw, 0.0)


def _headroom(case: CommitmentCase, on: BoolArray, output_mw: FloatArray) -> FloatArray:
    """Give what each unit can hold in reserve; shape (g, h). [MW]"""
    above = np.where(on, output_mw - case.minimum_mw[:, None], 0.0)
    room = np.zeros(on.shape)
    for h in range(on.shape[1]):
        was, was_above = _before(case, on, above, h)
        most = np.where(on[:, h], case.maximum_mw, 0.0)
        most = np.where(on[:, h] & ~was, np.minimum(most, case.start_mw), most)
        if h + 1 < on.shape[1]:
            most = np.where(on[:, h] & ~on[:, h + 1], np.minimum(most, case.stop_mw), most)
        ramped = was_above + case.ramp_up_mw - above[:, h]
        room[:, h] = np.where(on[:, h], np.minimum(most - output_mw[:, h], ramped), 0.0)
    return np.maximum(room, 0.0)


def _system(case: CommitmentCase, output_mw: FloatArray, room: FloatArray) -> Iterator[Violation]:
    """List hours whose demand or reserve is not met."""
    made = output_mw.sum(axis=0)
    for h in range(len(made)):
        short = float(case.demand_mw[h] - made[h] - case.weather_max_mw[h])
        over = float(made[h] + case.weather_min_mw[h] - case.demand_mw[h])
        if max(short, over) > TOLERANCE_MW:
            yield Violation("balance", None, h, max(short, over))
        missing = float(case.reserve_mw[h] - room[:, h].sum())
        if missing > TOLERANCE_MW:
            yield Violation("reserve", None, h, missing)


def _outputs(case: CommitmentCase, on: BoolArray, output_mw: FloatArray) -> Iterator[Violation]:
    """List outputs over a limit or a ramp."""
    above = np.where(on, output_mw - case.minimum_mw[:, None], 0.0)
    for h in range(on.shape[1]):
        was, was_above = _before(case, on, above, h)
        now, output = on[:, h], output_mw[:, h]
        before = output_mw[:, h - 1] if h else case.was_mw
        checks = {
            "off": (np.abs(output), ~now),
            "minimum": (case.minimum_mw - output, now),
            "maximum": (output - case.maximum_mw, now),
            "start": (output - case.start_mw, now & ~was),
            "stop": (before - case.stop_mw, ~now & was),
            "ramp-up": (above[:, h] - was_above - case.ramp_up_mw, now),
            "ramp-down": (was_above - above[:, h] - case.ramp_down_mw, was),
        }
        for limit, (by, applies) in checks.items():
            for g in np.flatnonzero(applies & (by > TOLERANCE_MW)):
                yield Violation(limit, case.unit_names[g], h, float(by[g]))


def _times(case: CommitmentCase, on: BoolArray) -> Iterator[Violation]:
    """List states left too early, and units off that must run."""
    for g, unit in enumerate(case.unit_names):
        state, lasted = bool(case.was_on[g]), int(case.was_for_h[g])
        for h in range(on.shape[1]):
            now = bool(on[g, h])
            if case.must_run[g] and not now:
                yield Violation("must-run", unit, h, 1.0)
            if now == state:
                lasted += 1
                continue
            least = int(case.up_h[g] if state else case.down_h[g])
            if lasted < least:
                yield Violation("up-time" if state else "down-time", unit, h, float(least - lasted))
            state, lasted = now, 1
