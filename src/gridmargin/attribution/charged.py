"""Steps with their energy, from a meter of their devices, a board that several share, or a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from gridmargin.attribution.alignment import align
from gridmargin.attribution.cost_fit import CostFit
from gridmargin.attribution.instances import BoardSplit, Instance, busy_s, refuse_overfull, split_board
from gridmargin.attribution.metered import metered
from gridmargin.attribution.step_cost import (
    FIXED,
    IDLE,
    CostKey,
    CostPrior,
    prior_of,
    prior_of_work,
    window_terms,
)
from gridmargin.attribution.step_energy import StepEnergy, profiled
from gridmargin.engines import Steps
from gridmargin.meters import Reading
from gridmargin.reference import Profile, WorkProfile
from gridmargin.vocab import InputError, Status

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Windows = tuple[IntArray, IntArray, FloatArray]
"""Start and end of a meter's windows, and what was drawn in each. [µs since 1970 UTC], [J]"""

BLOCK_S = 10.0
"""How much of the meter the cost model predicts before it learns from it. [s]"""

LEAST_READINGS = 40
"""Readings during steps below which two clocks are not held against one another."""

METER_FRAC = 0.05
"""How far a driver's reading may be off where its sensor is not known: within 5 %, as the NVML reference says of
nvmlDeviceGetPowerUsage. [1]"""


@dataclass(frozen=True, slots=True)
class Charged:
    """Steps with their energy.

    Attributes
    ----------
    steps : Steps
    energy : StepEnergy
        0 where the meter was silent.
    between_us, between_j : arrays, shape (k,)
        Start of what was drawn while there was no step, and how much. [µs since 1970 UTC], [J]
    silent_s : float
        How long steps ran while the meter was silent. [s]
    low_frac, high_frac : float
        90 % half-widths of the energy, relative. [1]
    how : str
        `metered`, `board` where the meter saw a board that several instances share, or `profile`.
    status : Status
        `reported`, or `modelled` where a profile, a meter that is itself a model, or the split of a board says it.
    costs : mapping of str to tuple of floats
        By group: watts of idle, then joules a step, prompt token, decoded token, token attended to, work unit.
    offsets_s : mapping of str to float
        By group: the meter's clock less the engine's, as the two series tell it and as it was taken off; a group whose
        readings are too few, and an instance, has none. [s]
    unused_us, unused_j : arrays, shape (u,)
        Start of what a board drew that is of none of its instances, and how much. [µs since 1970 UTC], [J]
    """

    steps: Steps
    energy: StepEnergy
    between_us: IntArray
    between_j: FloatArray
    silent_s: float
    low_frac: float
    high_frac: float
    how: str
    status: Status
    costs: Mapping[str, tuple[float, ...]]
    offsets_s: Mapping[str, float]
    unused_us: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    unused_j: FloatArray = field(default_factory=lambda: np.empty(0))


def charge_by_profile(steps: Steps, profile: Profile | WorkProfile) -> Charged:
    """Give steps what a profile says; time without a step is not known to be on any device, and has none."""
    return Charged(
        steps=steps,
        energy=profiled(steps, profile),
        between_us=np.empty(0, np.int64),
        between_j=np.empty(0),
        silent_s=0.0,
        low_frac=profile.energy_low_frac,
        high_frac=profile.energy_high_frac,
        how="profile",
        status=Status.MODELLED,
        costs={},
        offsets_s={},
    )


def charge_by_meter(
    steps: Steps,
    readings: Sequence[Reading],
    profile: Profile | WorkProfile,
    meter_frac: float = METER_FRAC,
    instances: Sequence[Instance] = (),
) -> Charged:
    """Give steps what a meter says, window by window; the proportions within a window are learned from it.

    Parameters
    ----------
    steps : Steps
    readings : sequence of Reading
        Of every device of every group; a clock of its own within a second or so of the engine's is found and set right,
        but for boards with instances, whose readings are taken to be on the engine's clock.
    profile : Profile
        What is believed of the cost before the meter speaks.
    meter_frac : float
        90 % half-width of the meter itself, relative. [1]
    instances : sequence of Instance
        Parts of boards that share one meter; each takes steps by itself.

    Raises
    ------
    InputError
        If a device has no reading, or none while it took steps, or instances of a board hold more than it has.
    """
    parts, costs, off = [], {}, []
    offsets: dict[str, float] = {}
    silent_s = 0.0
    boards = _boards(readings, steps, profile, instances)
    of_device = {name: windows for board in boards for name, windows in board.of_instance.items()}
    of_device |= _by_device(readings, steps, instances)
    between = [(start_us, idle_j) for board in boards for start_us, _, idle_j in board.without_steps]
    frac_of = {one.name: one.compute_frac for one in instances}
    for number, group in enumerate(steps.groups):
        mine = steps.take(np.flatnonzero(steps.group == number))
        start_us, end_us, energy_j = _windows(group, of_device)
        name = "+".join(group)
        if not len(start_us) or end_us[-1] <= mine.start_us[0] or start_us[0] >= mine.end_us[-1]:
            raise InputError(
                f"the meter of {name} has no reading while it took steps; give the trace of the same time and clock"
            )
        prior = _prior(profile, frac_of.get(name, 1.0))
        offset_s = None if name in frac_of else _offset_s(mine, start_us, end_us, energy_j, prior)
        if offset_s is not None:
            offsets[name] = offset_s
            start_us, end_us = (edge - round(offset_s * 1e6) for edge in (start_us, end_us))
        fit = CostFit(CostKey(profile.device, profile.model, profile.stack), prior)
        terms = window_terms(mine, start_us, end_us)
        block = (end_us - end_us[0]) // int(BLOCK_S * 1e6)
        for at in np.split(np.arange(len(block)), np.flatnonzero(np.diff(block)) + 1):
            fit.update(terms[at], energy_j[at], start_us[at], end_us[at])
        cost = fit.cost()
        found = metered(mine, cost, start_us, end_us, energy_j)
        silent_s += float((mine.duration_s - found.metered_s).clip(0.0).sum())
        parts.append((mine, found))
        costs[name] = tuple(cost.coefficients.tolist())
        has = np.isfinite(found.unattributed_j)
        between.append((start_us[has], found.unattributed_j[has]))
        known = found.scale[np.isfinite(found.scale)]
        off.append(known / np.median(known) - 1 if len(known) and np.median(known) > 0 else np.zeros(1))
    order = np.concatenate([np.flatnonzero(steps.group == number) for number in range(len(steps.groups))])
    inverse = np.argsort(order, kind="stable")

    def whole(name: str) -> FloatArray:
        joined: FloatArray = np.concatenate([getattr(found, name) for _, found in parts])
        return np.nan_to_num(joined)[inverse]

    spread = float(np.quantile(np.abs(np.concatenate(off)), 0.9))
    relative = [board.split.relative() for board in boards]
    low, high = (max((pair[side] for pair in relative), default=0.0) for side in (0, 1))
    none = np.empty(0)
    return Charged(
        steps=steps,
        energy=StepEnergy(
            *(whole(name) for name in ("fixed_j", "prefill_j", "decode_j", "work_j", "loaded_idle_j"))
        ),
        between_us=np.concatenate([at for at, _ in between]),
        between_j=np.concatenate([energy for _, energy in between]),
        silent_s=silent_s,
        low_frac=min(1.0, float(np.linalg.norm([meter_frac, spread, low]))),
        high_frac=float(np.linalg.norm([meter_frac, spread, high])),
        how="board" if boards else "metered",
        status=Status.MODELLED
        if boards or any(one.status is Status.MODELLED for one in readings)
        else Status.REPORTED,
        costs=costs,
        offsets_s=offsets,
        unused_us=np.concatenate([none.astype(np.int64), *(board.start_us for board in boards)]),
        unused_j=np.concatenate([none, *(board.split.unattributed_j for board in boards)]),
    )


@dataclass(frozen=True, slots=True)
class _Board:
    """A board's windows, split; by instance, and of those apart that took no step."""

    start_us: IntArray
    split: BoardSplit
    of_instance: Mapping[str, Windows]
    without_steps: Sequence[Windows]


def _boards(
    readings: Sequence[Reading],
    steps: Steps,
    profile: Profile | WorkProfile,
    instances: Sequence[Instance],
) -> list[_Board]:
    """Split the reading of each board that has instances."""
    refuse_overfull(instances)
    together = next(
        (group for group in steps.groups if len(group) > 1 and {one.name for one in instances} & set(group)),
        None,
    )
    if together is not None:
        raise InputError(
            f"{'+'.join(together)} step together, and one of them is an instance; an instance takes steps by itself"
        )
    found = []
    names = dict.fromkeys(one.board for one in instances)
    devices = {reading.device for reading in readings}
    for board in names:
        mine = [one for one in instances if one.board == board]
        is_the_only = len(names) == len(devices) == 1
        held = [reading for reading in readings if is_the_only or reading.device == board]
        if not held:
            raise InputError(
                f"no reading of {board}, the board of {mine[0].name}; the meter names"
                f" {', '.join(sorted(devices)) or 'none'}; name boards alike in both"
            )
        start_us, end_us, energy_j = _of_readings(held)
        cost = _prior(profile, 1.0).mean
        dynamic_j, busy = np.zeros((2, len(mine), len(held)))
        for row, one in enumerate(mine):
            if (one.name,) in steps.groups:
                own = steps.take(np.flatnonzero(steps.group == steps.groups.index((one.name,))))
                terms = np.nan_to_num(window_terms(own, start_us, end_us))
                dynamic_j[row] = terms[:, FIXED:] @ cost[FIXED:]
                busy[row] = busy_s(own, start_us, end_us)
        split = split_board(energy_j, cost[IDLE] * (end_us - start_us) / 1e6, dynamic_j, busy, mine)
        of_instance = {
            one.name: (start_us, end_us, mid_j) for one, mid_j in zip(mine, split.mid_j, strict=True)
        }
        took = {name for group in steps.groups for name in group}
        rest = [windows for name, windows in of_instance.items() if name not in took]
        found.append(_Board(start_us, split, of_instance, rest))
    return found


def _prior(profile: Profile | WorkProfile, board_frac: float) -> CostPrior:
    """Give what is believed of the cost at first; an instance idles as its share of the board."""
    prior = prior_of(profile) if isinstance(profile, Profile) else prior_of_work(profile)
    if board_frac == 1.0:
        return prior
    scale = np.ones(len(prior.mean))
    scale[IDLE] = board_frac
    return replace(prior, mean=prior.mean * scale, sd=prior.sd * scale)


def _by_device(
    readings: Sequence[Reading], steps: Steps, instances: Sequence[Instance]
) -> Mapping[str, Windows]:
    held: dict[str, list[Reading]] = {}
    boards = {one.board for one in instances}
    for reading in readings:
        if reading.device not in boards:
            held.setdefault(reading.device, []).append(reading)
    found = {device: _of_readings(mine) for device, mine in held.items()}
    wanted = {device for group in steps.groups for device in group} - {one.name for one in instances}
    if instances and not wanted:
        return {}
    part = next((name for name in sorted(wanted - set(found)) if name.rpartition("/")[0] in found), None)
    if part is not None:
        raise InputError(
            f"{part} is a part of {part.rpartition('/')[0]}, whose meter sees all of it; say how much of the board it holds"
        )
    if len(found) == len(wanted) == 1:
        return {next(iter(wanted)): next(iter(found.values()))}
    missing = sorted(wanted - set(found))
    if missing:
        raise InputError(
            f"no reading of {', '.join(missing)}, which took steps; the meter names {', '.join(sorted(found)) or 'none'};"
            " name devices alike in both"
        )
    return found


def _offset_s(
    steps: Steps, start_us: IntArray, end_us: IntArray, energy_j: FloatArray, prior: CostPrior
) -> float | None:
    """Give the meter's clock less the engine's, or None where too few readings lie inside the steps. [s]"""
    length_s = (end_us - start_us) / 1e6
    inside = (end_us > steps.start_us[0]) & (start_us < steps.end_us[-1])
    if inside.sum() < LEAST_READINGS:
        return None
    try:
        found = align(steps, end_us, energy_j / length_s, prior, averages_s=(float(np.median(length_s)),))
    except InputError:
        return None
    return found.offset_s


def _of_readings(readings: Sequence[Reading]) -> Windows:
    """Give the readings of one device in order."""
    held = sorted(readings, key=lambda one: one.interval.start_utc)
    return (
        np.array([round(one.interval.start_utc.timestamp() * 1e6) for one in held], np.int64),
        np.array([round(one.interval.end_utc.timestamp() * 1e6) for one in held], np.int64),
        np.array([one.energy_j for one in held]),
    )


def _windows(group: tuple[str, ...], of_device: Mapping[str, Windows]) -> Windows:
    """Give the windows of a group in order; of several devices cut at every edge of any, and NaN where one is silent."""
    pieces = [of_device[device] for device in group]
    if len(pieces) == 1:
        return pieces[0]
    edges = np.unique(np.concatenate([edge for start, end, _ in pieces for edge in (start, end)]))
    left, right = edges[:-1], edges[1:]
    total = np.zeros(len(left))
    for start, end, energy in pieces:
        at = np.maximum(np.searchsorted(start, left, side="right") - 1, 0)
        inside = (left >= start[at]) & (right <= end[at])
        total += np.where(inside, energy[at] * (right - left) / (end - start)[at], np.nan)
    return left, right, total
