"""Is a schedule one that the fleet can follow, and what does it cost: from the case alone, unit by unit, hour by hour.

Shares no code with the ways of finding a schedule, so that each can be judged by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gridmargin.grid import CommitmentCase, CommitmentSchedule

TOLERANCE_MW = 1e-4


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a schedule costs, in the case's currency, and each limit that it breaks, in words."""

    cost: float
    broken: tuple[str, ...]


def verdict(
    case: CommitmentCase, schedule: CommitmentSchedule, tolerance_mw: float = TOLERANCE_MW
) -> Verdict:
    """Recompute the cost of a schedule and every limit on it.

    Parameters
    ----------
    tolerance_mw : float
        By how much a limit in megawatts may be passed. [MW]
    """
    broken = _balance(case, schedule, tolerance_mw)
    cost = 0.0
    for unit in range(case.n_units):
        cost += _output_cost(case, schedule, unit)
        start_cost, said = _on_and_off(case, schedule.is_on[unit], unit)
        cost += start_cost
        broken += [f"unit {case.unit_names[unit]}, {line}" for line in said]
        broken += [
            f"unit {case.unit_names[unit]}, {line}" for line in _output(case, schedule, unit, tolerance_mw)
        ]
    return Verdict(cost, tuple(broken))


def _balance(case: CommitmentCase, schedule: CommitmentSchedule, tolerance_mw: float) -> list[str]:
    broken = []
    for hour in range(case.n_hours):
        free = schedule.renewable_mw[hour]
        left = schedule.power_mw[:, hour].sum() + free - case.demand_mw[hour]
        if not abs(left) <= tolerance_mw:
            broken.append(f"hour {hour}: generation minus demand is {left:.6g} MW")
        lacks = case.reserve_mw[hour] - schedule.reserve_mw[:, hour].sum()
        if not lacks <= tolerance_mw:
            broken.append(f"hour {hour}: reserve lacks {lacks:.6g} MW")
        low, high = case.renewable_minimum_mw[hour], case.renewable_maximum_mw[hour]
        if not low - tolerance_mw <= free <= high + tolerance_mw:
            broken.append(f"hour {hour}: renewable {free:.6g} MW outside {low:.6g} to {high:.6g} MW")
    return broken


def _output_cost(case: CommitmentCase, schedule: CommitmentSchedule, unit: int) -> float:
    edge_mw = np.concatenate([[0.0], np.cumsum(case.segment_mw[unit])])
    edge_cost = np.concatenate([[0.0], np.cumsum(case.segment_mw[unit] * case.segment_cost_per_mwh[unit])])
    on = schedule.is_on[unit]
    above_mw = schedule.power_mw[unit, on] - case.minimum_mw[unit]
    return float(np.interp(above_mw, edge_mw, edge_cost).sum() + on.sum() * case.minimum_cost_per_h[unit])


def _on_and_off(case: CommitmentCase, on: np.ndarray, unit: int) -> tuple[float, list[str]]:
    was_on, held_h = bool(case.is_on_before[unit]), int(case.hours_before[unit])
    cost, broken = 0.0, []
    for hour in range(case.n_hours):
        now_on = bool(on[hour])
        if case.is_must_run[unit] and not now_on:
            broken.append(f"hour {hour}: off, though it must run")
        if now_on == was_on:
            held_h += 1
            continue
        least_h = case.minimum_up_h[unit] if was_on else case.minimum_down_h[unit]
        if held_h < least_h:
            broken.append(f"hour {hour}: {'on' if was_on else 'off'} for {held_h} h only, of {least_h} h")
        if now_on:
            step = max((s for s, lag in enumerate(case.start_lag_h[unit]) if lag <= held_h), default=0)
            cost += float(case.start_cost[unit, step])
        was_on, held_h = now_on, 1
    return cost, broken


def _output(case: CommitmentCase, schedule: CommitmentSchedule, unit: int, tolerance_mw: float) -> list[str]:
    broken = []
    low, high = case.minimum_mw[unit], case.maximum_mw[unit]
    was_on = bool(case.is_on_before[unit])
    before_mw = case.power_before_mw[unit] - low if was_on else 0.0
    for hour in range(case.n_hours):
        on = bool(schedule.is_on[unit, hour])
        power, reserve = schedule.power_mw[unit, hour], schedule.reserve_mw[unit, hour]
        if not on:
            if not (abs(power) <= tolerance_mw and abs(reserve) <= tolerance_mw):
                broken.append(f"hour {hour}: off, and gives {power:.6g} MW, holds {reserve:.6g} MW")
            most = case.shutdown_limit_mw[unit] - low
            if was_on and not before_mw <= most + tolerance_mw:
                broken.append(f"hour {hour}: stops from {before_mw + low:.6g} MW")
        elif not (power >= low - tolerance_mw and reserve >= -tolerance_mw):
            broken.append(f"hour {hour}: gives {power:.6g} MW of at least {low:.6g}, holds {reserve:.6g} MW")
        above_mw = power - low if on else 0.0
        stops = on and hour + 1 < case.n_hours and not schedule.is_on[unit, hour + 1]
        most = min(
            high,
            case.shutdown_limit_mw[unit] if stops else np.inf,
            case.startup_limit_mw[unit] if on and not was_on else np.inf,
        )
        if on and not power + reserve <= most + tolerance_mw:
            broken.append(f"hour {hour}: {power + reserve:.6g} MW with reserve, of at most {most:.6g} MW")
        if on and not above_mw + reserve - before_mw <= case.ramp_up_mw_per_h[unit] + tolerance_mw:
            broken.append(f"hour {hour}: ramps up by {above_mw + reserve - before_mw:.6g} MW with reserve")
        if not before_mw - above_mw <= case.ramp_down_mw_per_h[unit] + tolerance_mw:
            broken.append(f"hour {hour}: ramps down by {before_mw - above_mw:.6g} MW")
        was_on, before_mw = on, above_mw
    return broken
