"""A commitment in a second or two: prices that nearly clear, a plan for each unit, then repair and dispatch.

Prices rise where supply lacks and fall where it abounds until the units' own best plans nearly serve demand and reserve
(Lagrangian relaxation; Muckstadt and Koenig 1977, doi:10.1287/opre.25.3.387). Then prices of reserve rise hour by hour
until the plans can be dispatched (Zhuang and Galiana 1988, doi:10.1109/59.192889), and units that are not needed are
taken off again one by one (unit decommitment; Tseng, Li and Oren 2000, doi:10.1023/A:1004653526131).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import NEVER_H, CommitmentCase, CommitmentSchedule
from gridmargin.marginal.commitment_dispatch import dispatch, output_cost
from gridmargin.marginal.commitment_unit import plan_all
from gridmargin.vocab import InputError

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

PRICE_ROUNDS = 60
REPAIR_ROUNDS = 80
TRIALS = 250
"""Most price moves, repair moves and changes tried on the repaired plan; the page says how they were chosen."""

LACK_MW = 1e-6
SETTLE_ROUNDS = 12.0  # price steps shrink as 1 / (1 + round / this)
PRICE_STEP_FRAC = 0.5  # of the typical price, for an hour a quarter short
REPAIR_STEP_FRAC = 0.04  # of the typical price, for an hour 1 % short


@dataclass(frozen=True, slots=True)
class FastResult:
    """A schedule found fast.

    Attributes
    ----------
    schedule : CommitmentSchedule
    cost : float
        In the case's currency.
    energy_price, reserve_price : array, shape (t,)
        Prices that the units were planned against, before repair. [MWh⁻¹]
    on_share : array, shape (u, t)
        Share of the last price rounds in which the unit's own best plan had it on.
    """

    schedule: CommitmentSchedule
    cost: float
    energy_price: FloatArray
    reserve_price: FloatArray
    on_share: FloatArray

    @property
    def bound(self) -> None:
        """Nothing is proven."""

    @property
    def proof(self) -> None:
        """Nothing is proven."""


def fast_commitment(
    case: CommitmentCase, trials: int = TRIALS, price_rounds: int = PRICE_ROUNDS
) -> FastResult:
    """Commit and dispatch a fleet fast, without a proof of how good it is.

    Parameters
    ----------
    trials : int
        Changes tried on the repaired plan.
    price_rounds : int
        How often prices are moved.

    Raises
    ------
    InputError
        Naming the first hour that could not be served.
    """
    fast = FastCommitment(case)
    energy, reserve, share = _clearing_prices(fast, price_rounds)
    fast.energy_price = energy
    schedule = _repaired(fast, energy, reserve)
    cost = fast.cost(schedule)
    schedule, cost = improved(fast, schedule, cost, trials)
    return FastResult(schedule, cost, energy, reserve, share)


def _clearing_prices(fast: FastCommitment, rounds: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Move prices towards balance; gives those with the greatest dual value, and how often each unit was on."""
    case = fast.case
    net = np.maximum(case.demand_mw - case.renewable_maximum_mw, 0.01 * case.maximum_mw.sum())
    full = case.minimum_cost_per_h + (case.segment_mw * case.segment_cost_per_mwh).sum(axis=1)
    full = full / case.maximum_mw
    order = np.argsort(full)
    at = np.searchsorted(np.cumsum(case.maximum_mw[order]), net + case.reserve_mw)
    energy = full[order][np.minimum(at, len(order) - 1)].copy()
    reserve = np.zeros(case.n_hours)
    scale = max(float(np.median(energy)), 1e-3 * float(np.abs(full).max()), 1e-9)
    best, kept, share = -np.inf, (energy, reserve), np.zeros(fast.on.shape)
    for turn in range(rounds):
        value = fast.plan(energy, reserve)
        free = np.where(energy > 0, case.renewable_maximum_mw, case.renewable_minimum_mw)
        value += float(energy @ (case.demand_mw - free) + reserve @ case.reserve_mw)
        if value > best:
            best, kept = value, (energy, reserve)
        if turn >= rounds - rounds // 2:
            share += fast.on
        step = PRICE_STEP_FRAC * scale / (1 + turn / SETTLE_ROUNDS)
        short = case.demand_mw - free - fast.power.sum(axis=0)
        short_reserve = case.reserve_mw - fast.held.sum(axis=0)
        energy = energy + step * np.clip(4 * short / net, -1, 1)
        reserve = np.maximum(reserve + step * np.clip(4 * short_reserve / net, -1, 1), 0)
    return *kept, share / (rounds // 2)


def _repaired(fast: FastCommitment, energy: FloatArray, reserve: FloatArray) -> CommitmentSchedule:
    """Raise prices in hours that lack capacity, and lower them in hours of too much, until all can be served."""
    case = fast.case
    net = np.maximum(case.demand_mw - case.renewable_maximum_mw, 0.01 * case.maximum_mw.sum())
    scale = max(float(np.median(np.abs(energy))), 1e-9)
    energy, reserve = energy.copy(), reserve.copy()
    lacks, spare = np.zeros(case.n_hours), np.zeros(case.n_hours)
    for turn in range(REPAIR_ROUNDS):
        fast.plan(energy, reserve)
        schedule, lacks, spare = fast.dispatch(fast.on)
        if lacks.max() <= LACK_MW and spare.max() <= LACK_MW:
            return schedule
        # Bolder with every turn, so that a fleet that can serve at all does.
        step = REPAIR_STEP_FRAC * scale * (1 + turn / 8) ** 2
        # A unit in its first hour holds no reserve: what it is worth there is energy, so both prices rise.
        rise = step * np.where(lacks > LACK_MW, np.clip(100 * lacks / net, 0.1, 1.0), 0.0)
        fall = step * np.where(spare > LACK_MW, np.clip(100 * spare / net, 0.1, 1.0), 0.0)
        reserve, energy = reserve + rise, energy + rise - fall
    hour = int(np.argmax(np.maximum(lacks, spare)))
    what = (
        f"lacks {lacks[hour]:.6g} MW" if lacks[hour] >= spare[hour] else f"has {spare[hour]:.6g} MW to spare"
    )
    raise InputError(
        f"case {case.name}, hour {hour}: no plan found that serves it; the nearest {what}; "
        "check demand, reserve and ramps, or solve it exactly"
    )


def improved(
    fast: FastCommitment, schedule: CommitmentSchedule, cost: float, trials: int
) -> tuple[CommitmentSchedule, float]:
    """Try to stop runs, or to start them later and end them sooner; keep what serves and costs less."""
    case = fast.case
    tried = 0
    while tried < trials:
        gained = False
        for unit, first, end in _removable(fast, schedule):
            if tried >= trials:
                break
            on = schedule.is_on.copy()
            if not on[unit, first:end].all():
                continue
            on[unit, first:end] = False
            if not keeps_times(case, on[unit], unit):
                continue
            tried += 1
            other, lacks, spare = fast.dispatch(on)
            if lacks.max() > LACK_MW or spare.max() > LACK_MW:
                continue
            other_cost = fast.cost(other)
            if other_cost < cost - 1e-9 * abs(cost):
                schedule, cost, gained = other, other_cost, True
        if not gained:
            break
    return schedule, cost


def _removable(fast: FastCommitment, schedule: CommitmentSchedule) -> list[tuple[int, int, int]]:
    """List stretches whose hours have capacity to spare for them, dearest first."""
    case, on = fast.case, schedule.is_on
    reach = schedule.power_mw + schedule.reserve_mw
    excess = reach.sum(axis=0) + case.renewable_maximum_mw - case.demand_mw - case.reserve_mw
    fits = on & (reach <= excess + LACK_MW) & ~case.is_must_run[:, None]
    price = np.where(on, case.minimum_cost_per_h[:, None], 0.0)
    price = price - np.where(on, case.minimum_mw[:, None], 0.0) * fast.energy_price
    found = []
    for unit in np.nonzero(fits.any(axis=1))[0]:
        edge = np.diff(np.concatenate([[False], on[unit], [False]]).astype(np.int8))
        for begin, stop in zip(np.nonzero(edge == 1)[0], np.nonzero(edge == -1)[0], strict=True):
            good = fits[unit, begin:stop]
            lead = stop - begin if good.all() else int(np.argmin(good))
            tail = stop - begin if good.all() else int(np.argmin(good[::-1]))
            for first, end in {(begin, begin + lead), (stop - tail, stop)}:
                if end > first:
                    start = case.start_cost[unit, 0] if end - first == stop - begin else 0.0
                    found.append(
                        (float(price[unit, first:end].sum()) + start, int(unit), int(first), int(end))
                    )
    return [run for _, *run in sorted(found, reverse=True)]  # type: ignore[misc]


def keeps_times(case: CommitmentCase, on: BoolArray, unit: int) -> bool:
    """Say whether one unit's plan keeps its minimum up and down times and its must-run."""
    if case.is_must_run[unit] and not on.all():
        return False
    state, held_h = bool(case.is_on_before[unit]), int(case.hours_before[unit])
    for now in on.tolist():
        if now != state:
            if held_h < (case.minimum_up_h[unit] if state else case.minimum_down_h[unit]):
                return False
            state, held_h = now, 0
        held_h += 1
    return True


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
        self.energy_price = np.zeros(case.n_hours)
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
        running = output_cost(
            schedule.is_on, above, case.minimum_cost_per_h, self.widths, self.slopes, self.n_pieces
        )
        return float(running) + float(start_costs(case, schedule.is_on).sum())


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
