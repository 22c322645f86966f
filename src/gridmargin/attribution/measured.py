"""Requests of a log with the energy that a meter, or a profile, gives the steps which an engine says they took part in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gridmargin.attribution.alignment import align
from gridmargin.attribution.completed import Completed, no_requests
from gridmargin.attribution.cost_fit import CostFit
from gridmargin.attribution.metered import metered
from gridmargin.attribution.rule import PARTS, Rule
from gridmargin.attribution.step_cost import CostKey, CostPrior, prior_of, window_terms
from gridmargin.attribution.step_energy import StepEnergy, profiled
from gridmargin.attribution.tally import Tally
from gridmargin.engines import Steps
from gridmargin.meters import MeterWindow, Reading
from gridmargin.reference import Profile
from gridmargin.requests import RequestBatch
from gridmargin.vocab import ConservationError, InputError, Status

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TOLERANCE = 1e-9
"""Largest relative difference between the meter and its parts (C4). [1]"""

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
        `metered` or `profile`.
    status : Status
        `reported`, or `modelled` where a profile or a meter that is itself a model says it.
    costs : mapping of str to tuple of floats
        By group: watts of idle, then joules a step, prompt token, decoded token, token attended to, work unit.
    offsets_s : mapping of str to float
        By group: the meter's clock less the engine's, as the two series tell it and as it was taken off; a group whose
        readings are too few has none. [s]
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


def charge_by_profile(steps: Steps, profile: Profile) -> Charged:
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
    steps: Steps, readings: Sequence[Reading], profile: Profile, meter_frac: float = METER_FRAC
) -> Charged:
    """Give steps what a meter says, window by window; the proportions within a window are learned from it.

    Parameters
    ----------
    steps : Steps
    readings : sequence of Reading
        Of every device of every group; a clock of its own within a second or so of the engine's is found and set right.
    profile : Profile
        What is believed of the cost before the meter speaks.
    meter_frac : float
        90 % half-width of the meter itself, relative. [1]

    Raises
    ------
    InputError
        If a device has no reading, or none while it took steps.
    """
    parts, between, costs, off = [], [], {}, []
    offsets: dict[str, float] = {}
    silent_s = 0.0
    of_device = _by_device(readings, steps)
    for number, group in enumerate(steps.groups):
        mine = steps.take(np.flatnonzero(steps.group == number))
        start_us, end_us, energy_j = _windows(group, of_device)
        name = "+".join(group)
        if not len(start_us) or end_us[-1] <= mine.start_us[0] or start_us[0] >= mine.end_us[-1]:
            raise InputError(
                f"the meter of {name} has no reading while it took steps; give the trace of the same time and clock"
            )
        prior = prior_of(profile)
        offset_s = _offset_s(mine, start_us, end_us, energy_j, prior)
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
    return Charged(
        steps=steps,
        energy=StepEnergy(
            *(whole(name) for name in ("fixed_j", "prefill_j", "decode_j", "work_j", "loaded_idle_j"))
        ),
        between_us=np.concatenate([at for at, _ in between]),
        between_j=np.concatenate([energy for _, energy in between]),
        silent_s=silent_s,
        low_frac=min(1.0, float(np.hypot(meter_frac, spread))),
        high_frac=float(np.hypot(meter_frac, spread)),
        how="metered",
        status=Status.MODELLED if any(one.status is Status.MODELLED for one in readings) else Status.REPORTED,
        costs=costs,
        offsets_s=offsets,
    )


class Measured:
    """Shares by request, for an accountant that passes the log through in batches; takes the place of a `Replay`.

    Parameters
    ----------
    charged : Charged
    rule : Rule
    interval_s : int
        Grid on which energy is split. [s]
    """

    def __init__(self, charged: Charged, rule: Rule, interval_s: int) -> None:
        self.charged = charged
        self.interval_s = interval_s
        tally = Tally(rule, interval_s)
        parts = [tally.push(charged.steps, charged.energy), tally.finish()]
        self._held = pl.concat(parts).sort("request_id", "slot_start_s")
        self._error = tally.conservation_error()
        self.by_rule_j = tally.unattributed_j
        """What the rule left with nobody. [J]"""
        self._ids = self._held["request_id"].unique(maintain_order=True)
        self._first = np.searchsorted(
            self._held["request_id"].rle_id().to_numpy(), np.arange(len(self._ids) + 1)
        )
        self._listed = np.zeros(len(self._ids), bool)

    @property
    def mode(self) -> str:
        """`metered`, or `profile` where no meter spoke."""
        return self.charged.how

    @property
    def energy_relative(self) -> tuple[float, float]:
        """90 % half-widths of the energy, low and high, relative. [1]"""
        return self.charged.low_frac, self.charged.high_frac

    @property
    def timing_frac(self) -> float:
        """How far a request's times may be off, relative to their length: an engine's own are what they are. [1]"""
        return 0.0

    @property
    def status(self) -> Status:
        """What is known of the energy."""
        return self.charged.status

    @property
    def unlisted_j(self) -> float:
        """Energy of requests that the steps name and the log, so far, does not. [J]"""
        rows = np.repeat(~self._listed, np.diff(self._first))
        return float(self._held.filter(pl.Series(rows)).select(PARTS).sum().sum_horizontal().item())

    @property
    def n_unlisted(self) -> int:
        """How many of them. [1]"""
        return int((~self._listed).sum())

    def push(self, batch: RequestBatch, known_until_us: int | None = None) -> Completed:
        """Give the requests of a batch with what the steps say of them; one that no step names drew nothing.

        Raises
        ------
        InputError
            If the log has no `request_id`, without which steps and requests cannot be brought together.
        """
        del known_until_us
        if "request_id" not in batch.words:
            raise InputError(
                "the log has no column request_id; engine steps name requests by id, so give each request its id"
            )
        n = len(batch)
        at = pc.index_in(
            batch.words["request_id"].cast(pa.string()), value_set=pa.array(self._ids.to_list(), pa.string())
        )
        place = at.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        named = place >= 0
        self._listed[place[named]] = True
        counts = np.where(named, np.diff(self._first)[np.maximum(place, 0)] if len(self._ids) else 0, 1)
        first = np.cumsum(counts) - counts
        owner = np.repeat(np.arange(n), counts)
        row = np.repeat(np.where(named, self._first[np.maximum(place, 0)], 0) - first, counts) + np.arange(
            len(owner)
        )
        has = np.repeat(named, counts)
        arrival_s = batch.arrival_us / 1e6
        arrival_slot = batch.arrival_us // (self.interval_s * 1_000_000) * self.interval_s

        def column(name: str, otherwise: FloatArray | float = 0.0) -> FloatArray:
            values = self._held[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
            taken = values[np.where(has, row, 0)] if len(values) else np.zeros(len(owner))
            return np.where(has, taken, np.broadcast_to(otherwise, n)[owner])

        def each(name: str, choose: np.ufunc) -> FloatArray:
            return np.asarray(choose.reduceat(column(name, np.nan), first)) if n else np.empty(0)

        decoding, prefilled = each("decoding_us", np.fmin), each("prefilled_us", np.fmax)
        ended = arrival_s if batch.end_us is None else batch.end_us / 1e6
        return Completed(
            batch=batch,
            start_s=np.where(named, each("start_us", np.fmin) / 1e6, arrival_s),
            first_token_s=np.where(np.isnan(decoding), prefilled, decoding) / 1e6,
            end_s=np.where(named, each("end_us", np.fmax) / 1e6, ended),
            alone_j=np.add.reduceat(column("alone_j"), first) if n else np.empty(0),
            first_slice=first,
            slice_request=owner,
            slot_start_s=column("slot_start_s", arrival_slot.astype(np.float64)).astype(np.int64),
            prefill_j=column("prefill_j"),
            decode_j=column("decode_j") + column("work_j"),
            step_fixed_j=column("step_fixed_j"),
            loaded_idle_j=column("loaded_idle_j"),
        )

    def finish(self) -> Completed:
        """Give nothing: every request was handed over with its batch."""
        none, no_index = np.empty(0), np.empty(0, np.int64)
        return Completed(
            no_requests(), none, none, none, none, no_index, no_index, no_index, none, none, none, none
        )

    def readings(self) -> list[MeterWindow]:
        """Give what the meter said by group and interval."""
        steps, energy, length_us = self.charged.steps, self.charged.energy, self.interval_s * 1_000_000
        dynamic_j = energy.total_j - energy.loaded_idle_j
        between = self.charged.between_us // length_us
        found = []
        for number in range(len(steps.groups)):
            mine = steps.group == number
            slots, slot = np.unique(steps.start_us[mine] // length_us, return_inverse=True)
            sums = [
                np.bincount(slot, column[mine], len(slots))
                for column in (dynamic_j, energy.loaded_idle_j, steps.duration_s, steps.n_steps)
            ]
            found += [
                MeterWindow(
                    number, int(at) * self.interval_s, float(d), float(i), 0.0, float(b), round(float(k))
                )
                for at, d, i, b, k in zip(slots, *sums, strict=True)
            ]
        slots, slot = np.unique(between, return_inverse=True)
        idle = np.bincount(slot, self.charged.between_j, len(slots))
        return found + [
            MeterWindow(0, int(at) * self.interval_s, 0.0, 0.0, float(j), 0.0, 0)
            for at, j in zip(slots, idle, strict=True)
        ]

    def conservation_error(self) -> float:
        """Energy of the steps less what was handed out and what nobody took, relative to it. [1]

        Raises
        ------
        ConservationError
            If it is more than `TOLERANCE`.
        """
        if self._error > TOLERANCE:
            raise ConservationError(f"shares are off by {self._error:.2e} of the energy of the steps (C4)")
        return self._error


def _by_device(readings: Sequence[Reading], steps: Steps) -> Mapping[str, Sequence[Reading]]:
    found: dict[str, list[Reading]] = {}
    for reading in readings:
        found.setdefault(reading.device, []).append(reading)
    wanted = {device for group in steps.groups for device in group}
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


def _windows(
    group: tuple[str, ...], of_device: Mapping[str, Sequence[Reading]]
) -> tuple[IntArray, IntArray, FloatArray]:
    """Give the windows of a group in order; of several devices cut at every edge of any, and NaN where one is silent."""
    pieces = []
    for device in group:
        held = sorted(of_device[device], key=lambda one: one.interval.start_utc)
        pieces.append(
            (
                np.array([round(one.interval.start_utc.timestamp() * 1e6) for one in held], np.int64),
                np.array([round(one.interval.end_utc.timestamp() * 1e6) for one in held], np.int64),
                np.array([one.energy_j for one in held]),
            )
        )
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
