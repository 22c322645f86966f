"""A commitment in a second or two: prices that nearly clear, a plan for each unit, then repair and dispatch.

Prices rise where supply lacks and fall where it abounds until the units' own best plans nearly serve demand and reserve
(Lagrangian relaxation; Muckstadt and Koenig 1977, doi:10.1287/opre.25.3.387). Then prices of reserve rise hour by hour
until the plans can be dispatched (Zhuang and Galiana 1988, doi:10.1109/59.192889), and units that are not needed are
taken off again one by one (unit decommitment; Tseng, Li and Oren 2000, doi:10.1023/A:1004653526131).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gridmargin.grid.commitment_case import (
    NEVER_H,
    BoolArray,
    CommitmentCase,
    CommitmentSchedule,
    FloatArray,
)
from gridmargin.marginal.commitment_dispatch import dispatch
from gridmargin.marginal.commitment_unit import plan_all
from gridmargin.vocab import InputError

PRICE_ROUNDS = 120
REPAIR_ROUNDS = 60
"""How often prices are moved; more rounds gained under 0.05 % of cost on made-up fleets."""


class FastCommitment:
    """A case made ready for the compiled kernels."""

    def __init__(self, case: CommitmentCase) -> None:
        self.case = case
        real = case.segment_mw > 0
        unit, piece = np.nonzero(real)
        order = np.lexsort((piece, unit, case.segment_cost_per_mwh[unit, piece]))
        self.piece_unit = unit[order]
        self.piece_mw = case.segment_mw[unit, piece][order]
        start = np.cumsum(case.segment_mw, axis=1) - case.segment_mw
        self.piece_start = start[unit, piece][order]
        self.piece_cost = case.segment_cost_per_mwh[unit, piece][order]
        # Zero-width padding may lie anywhere in a row; the kernel wants real pieces first.
        first = np.argsort(~real, axis=1, kind="stable")
        self.widths = np.take_along_axis(case.segment_mw, first, axis=1)
        self.slopes = np.take_along_axis(case.segment_cost_per_mwh, first, axis=1)
        self.n_pieces = real.sum(axis=1)
        self.must_on = case.is_must_run | (
            case.is_on_before & (case.minimum_up_h - case.hours_before >= case.n_hours)
        )
        shape = (case.n_units, case.n_hours)
        self.on = np.zeros(shape, dtype=np.bool_)
        self.power, self.held = np.zeros(shape), np.zeros(shape)

    def plan(self, energy: FloatArray, reserve: FloatArray, which: Any = None) -> float:
        """Plan every unit, or those of `which`, against prices; fills on, power and held, gives their cost."""
        case = self.case
        return float(
            plan_all(
                energy, reserve, case.minimum_mw, case.maximum_mw, case.minimum_cost_per_h,
                self.widths, self.slopes, self.n_pieces, case.ramp_up_mw_per_h, case.ramp_down_mw_per_h,
                case.startup_limit_mw, case.shutdown_limit_mw, case.minimum_up_h, case.minimum_down_h,
                self.must_on, case.is_on_before, case.power_before_mw, case.hours_before, case.start_lag_h, case.start_cost,
                np.arange(case.n_units) if which is None else which, self.on, self.power, self.held,
            )
        )  # fmt: skip

    def dispatch(self, on: BoolArray) -> tuple[CommitmentSchedule, FloatArray, FloatArray]:
        """Dispatch a commitment; gives it with the capacity that each hour lacks and has too much. [MW]"""
        case = self.case
        wanted = np.where(self.on, self.power - case.minimum_mw[:, None], 0.0)
        above, most = np.zeros(on.shape), np.zeros(on.shape)
        free, lacks, spare = np.zeros((3, case.n_hours))
        dispatch(
            on, case.is_on_before, case.power_before_mw, case.minimum_mw, case.maximum_mw,
            case.ramp_up_mw_per_h, case.ramp_down_mw_per_h, case.startup_limit_mw, case.shutdown_limit_mw,
            case.demand_mw, case.reserve_mw, case.renewable_minimum_mw, case.renewable_maximum_mw,
            self.piece_unit, self.piece_mw, self.piece_start, wanted, above, most, free, lacks, spare,
        )  # fmt: skip
        power = np.where(on, above + case.minimum_mw[:, None], 0.0)
        return CommitmentSchedule(on, power, np.where(on, most - above, 0.0), free), lacks, spare

    def cost(self, schedule: CommitmentSchedule) -> float:
        """Give the cost of a schedule that keeps the limits, in the case's currency."""
        case = self.case
        above = np.where(schedule.is_on, schedule.power_mw - case.minimum_mw[:, None], 0.0)
        total = float((schedule.is_on * case.minimum_cost_per_h[:, None]).sum())
        done = np.zeros_like(above)
        for k in range(self.widths.shape[1]):
            part = np.clip(above - done, 0.0, self.widths[:, k, None])
            total += float((part * self.slopes[:, k, None]).sum())
            done += self.widths[:, k, None]
        return total + float(start_costs(case, schedule.is_on).sum())


def start_costs(case: CommitmentCase, on: BoolArray) -> FloatArray:
    """Give what the starts of each unit cost over the horizon, shape (u,)."""
    off_h = np.where(case.is_on_before, 0, case.hours_before)
    was_on = case.is_on_before
    total = np.zeros(case.n_units)
    for hour in range(case.n_hours):
        starts = np.nonzero(on[:, hour] & ~was_on)[0]
        step = (case.start_lag_h[starts] <= off_h[starts, None]).sum(axis=1) - 1
        total[starts] += case.start_cost[starts, np.maximum(step, 0)]
        off_h = np.where(on[:, hour], 0, np.minimum(off_h + 1, NEVER_H - 1))
        was_on = on[:, hour]
    return total
