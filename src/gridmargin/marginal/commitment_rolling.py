"""A fleet committed day by day, and who would answer one more megawatt-hour in each hour.

This is the commitment behind `merit_order`: `roll_commitment` gives who is on and how much each gives, `responses` who
gives more, or less, within minimum output, maximum and ramps from the hour before and into the hour after.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import CommitmentCase, UnitFleet
from gridmargin.marginal.commitment_fast import fast_commitment
from gridmargin.vocab import InputError, TableError

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAY_H = 24
HELD_H = 1_000
"""How long units are taken to have held their state before the first day: no minimum time binds them. [h]"""


@dataclass(frozen=True, slots=True)
class RollingCommitment:
    """What a fleet of u units did over n hours.

    Attributes
    ----------
    is_on : bool array, shape (u, n)
    power_mw : array, shape (u, n)
        Zero while off. [MW]
    renewable_mw, renewable_left_mw : array, shape (n,)
        Free power taken, and what of it was left. [MW]
    """

    is_on: BoolArray
    power_mw: FloatArray
    renewable_mw: FloatArray
    renewable_left_mw: FloatArray


@dataclass(frozen=True, slots=True)
class Responses:
    """Who answers a small change of load in each hour, one way.

    Attributes
    ----------
    unit_frac : array, shape (u, n)
        Share of the change that each unit takes; units of one cost share by their room.
    renewable_frac : array, shape (n,)
        Share taken by free power that was left, or is left instead.
    unanswered_frac : array, shape (n,)
        Share that no running unit can take; a start or stop would be needed.
    marginal_unit : int array, shape (n,)
        The unit with the largest share; -1 where no unit takes any.
    """

    unit_frac: FloatArray
    renewable_frac: FloatArray
    unanswered_frac: FloatArray
    marginal_unit: IntArray


def roll_commitment(
    fleet: UnitFleet,
    load_mw: FloatArray,
    renewable_mw: FloatArray | None = None,
    reserve_frac: float = 0.0,
    ahead_h: int = DAY_H,
) -> RollingCommitment:
    """Commit a fleet day by day on the fast path, each day with a look ahead that is then planned anew.

    Parameters
    ----------
    load_mw : array, shape (n,)
        What the fleet and the free power serve together, hour by hour. [MW]
    renewable_mw : array, shape (n,), optional
        Free power that may be taken or left; none by default, and then `load_mw` is a net load. [MW]
    reserve_frac : float
        Reserve on running units, as a share of load. [1]
    ahead_h : int
        How far a day's plan looks beyond its end. [h]

    Raises
    ------
    InputError
        Naming the hour that cannot be served.
    TableError
        If a unit has no marginal cost, or load is negative or no number.

    Notes
    -----
    What a fleet does not know binds nobody: an unknown minimum is 0, ramp the full capacity an hour, minimum time one
    hour, start cost 0. Before the first day all units are taken as off for long, so that the first day may start any.
    """
    n = len(load_mw)
    free_mw = np.zeros(n) if renewable_mw is None else renewable_mw
    if len(free_mw) != n or not n:
        raise InputError(f"{n} hours of load, {len(free_mw)} of renewable power: give as many, at least one")
    usable = np.nonzero(fleet.capacity_mw > 0)[0]
    is_on = np.zeros((len(fleet), n), dtype=np.bool_)
    power = np.zeros((len(fleet), n))
    taken = np.zeros(n)
    state = (np.zeros(len(usable), dtype=np.bool_), np.zeros(len(usable)), np.full(len(usable), HELD_H))
    for first in range(0, n, DAY_H):
        end = min(first + DAY_H + ahead_h, n)
        case = fleet_case(fleet, usable, load_mw[first:end], free_mw[first:end], reserve_frac, state)
        try:
            plan = fast_commitment(case).schedule
        except InputError as error:
            raise InputError(f"day from hour {first}: {error}") from None
        kept = min(DAY_H, n - first)
        is_on[usable, first : first + kept] = plan.is_on[:, :kept]
        power[usable, first : first + kept] = plan.power_mw[:, :kept]
        taken[first : first + kept] = plan.renewable_mw[:kept]
        state = _state_after(plan.is_on[:, :kept], plan.power_mw[:, :kept], state)
    return RollingCommitment(is_on, power, taken, free_mw - taken)


def responses(
    fleet: UnitFleet, rolled: RollingCommitment, upward: bool = True, change_mw: float = 1.0
) -> Responses:
    """Say who takes a change of load of `change_mw` in each hour alone, commitment held.

    Parameters
    ----------
    upward : bool
        One more megawatt-hour, or one less.
    change_mw : float
        Above zero. [MW]

    Notes
    -----
    The room of unit i upward is min(capacity, p(t-1) + ramp, p(t+1) + ramp) - p(t) while on, the ramp terms only beside
    hours in which it runs too; downward p(t) - max(minimum, p(t-1) - ramp, p(t+1) - ramp). Room is used cheapest first
    upward, and dearest first downward.
    """
    if not change_mw > 0:
        raise InputError(f"a change of {change_mw} MW has no answer: give one above zero")
    room = _room(fleet, rolled, upward)
    # Free power left over goes before any unit upward, and is left only after every unit downward.
    left = rolled.renewable_left_mw if upward else rolled.renewable_mw
    first_mw = np.minimum(left, change_mw) if upward else np.zeros(len(left))
    cost = fleet.marginal_cost_per_mwh if upward else -fleet.marginal_cost_per_mwh
    group = np.unique(cost, return_inverse=True)[1]
    group_room = np.zeros((int(group.max()) + 1, room.shape[1]))
    np.add.at(group_room, group, room)
    before = np.cumsum(group_room, axis=0) - group_room
    used = np.clip(change_mw - first_mw - before, 0.0, group_room)
    share = np.divide(used, group_room, out=np.zeros_like(used), where=group_room > 0)
    unit = room * share[group] / change_mw
    rest = np.maximum(1.0 - unit.sum(axis=0) - first_mw / change_mw, 0.0)
    free = first_mw / change_mw if upward else np.minimum(left / change_mw, rest)
    rest = np.maximum(rest - (0.0 if upward else free), 0.0)
    marginal = np.where(unit.max(axis=0) > 0, unit.argmax(axis=0), -1)
    return Responses(unit, free, np.where(rest > 1e-12, rest, 0.0), marginal)


def fleet_case(
    fleet: UnitFleet,
    usable: IntArray,
    load_mw: FloatArray,
    renewable_mw: FloatArray,
    reserve_frac: float,
    state: tuple[BoolArray, FloatArray, IntArray],
) -> CommitmentCase:
    """Give the case of some units of a fleet; `state` is on, power [MW] and hours held before the first hour."""
    cost = fleet.marginal_cost_per_mwh[usable]
    if np.isnan(cost).any():
        unit = fleet.unit_names[int(usable[np.isnan(cost).argmax()])]
        raise TableError(f"fleet {fleet.name}: unit {unit} has no marginal cost; leave it out, or give one")
    capacity = fleet.capacity_mw[usable]
    minimum = np.minimum(_known(fleet.minimum_mw[usable], 0.0), capacity)
    ramp = _known(fleet.ramp_mw_per_h[usable], capacity)
    on, power, held = state
    # A unit may reach its minimum in its first hour whatever its ramp, or it could never start.
    edge = np.minimum(np.maximum(minimum, ramp), capacity)
    hours = [
        np.maximum(np.ceil(_known(value[usable], 1.0)), 1).astype(np.int64)
        for value in (fleet.minimum_up_h, fleet.minimum_down_h)
    ]
    return CommitmentCase(
        name=fleet.name,
        unit_names=tuple(fleet.unit_names[i] for i in usable),
        demand_mw=load_mw,
        reserve_mw=reserve_frac * load_mw,
        renewable_minimum_mw=np.zeros(len(load_mw)),
        renewable_maximum_mw=renewable_mw,
        minimum_mw=minimum,
        maximum_mw=capacity,
        ramp_up_mw_per_h=ramp,
        ramp_down_mw_per_h=ramp,
        startup_limit_mw=edge,
        shutdown_limit_mw=edge,
        minimum_up_h=hours[0],
        minimum_down_h=hours[1],
        is_must_run=np.zeros(len(usable), dtype=np.bool_),
        is_on_before=on,
        power_before_mw=power,
        hours_before=held,
        start_lag_h=hours[1][:, None],
        start_cost=_known(fleet.start_cost[usable], 0.0)[:, None],
        minimum_cost_per_h=minimum * cost,
        segment_mw=(capacity - minimum)[:, None],
        segment_cost_per_mwh=cost[:, None],
        payload_sha256s=fleet.payload_sha256s,
    )


def _known(value: FloatArray, otherwise: FloatArray | float) -> FloatArray:
    return np.where(np.isnan(value), otherwise, value)


def _state_after(
    on: BoolArray, power: FloatArray, state: tuple[BoolArray, FloatArray, IntArray]
) -> tuple[BoolArray, FloatArray, IntArray]:
    changed = on[:, ::-1] != on[:, -1:]
    kept = np.where(changed.any(axis=1), changed.argmax(axis=1), on.shape[1])
    whole = (kept == on.shape[1]) & (on[:, -1] == state[0])
    return on[:, -1], power[:, -1], np.minimum(np.where(whole, kept + state[2], kept), HELD_H)


def _room(fleet: UnitFleet, rolled: RollingCommitment, upward: bool) -> FloatArray:
    on, power = rolled.is_on, rolled.power_mw
    ramp = _known(fleet.ramp_mw_per_h, fleet.capacity_mw)[:, None]
    least = np.minimum(_known(fleet.minimum_mw, 0.0), fleet.capacity_mw)[:, None]
    edge = np.minimum(np.maximum(least, ramp), fleet.capacity_mw[:, None])
    limit = np.where(upward, fleet.capacity_mw[:, None], least) * np.ones_like(power)
    sides = (
        (np.roll(on, 1, axis=1), np.roll(power, 1, axis=1), 0),
        (np.roll(on, -1, axis=1), np.roll(power, -1, axis=1), -1),
    )
    for beside_on, beside_mw, outer in sides:
        known = np.ones_like(on)
        known[:, outer] = False  # nothing stands beside the first hour, nor the last
        if upward:
            bound = np.where(beside_on, beside_mw + ramp, edge)
            limit = np.where(known, np.minimum(limit, bound), limit)
        else:
            bound = np.where(beside_on, beside_mw - ramp, least)
            limit = np.where(known, np.maximum(limit, bound), limit)
    room = np.where(on, limit - power if upward else power - limit, 0.0)
    return np.maximum(room, 0.0)
