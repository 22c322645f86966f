"""Where no engine tells its steps: rows between the events of the requests' own times, and one reading shared by them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from gridmargin.attribution.rule import Rule
from gridmargin.attribution.step_energy import StepEnergy, profiled
from gridmargin.engines import Steps, steps_of
from gridmargin.meters import Reading
from gridmargin.reference import Profile
from gridmargin.requests import Request
from gridmargin.vocab import InputError, Interval

EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Split:
    """One reading shared among requests.

    Attributes
    ----------
    shares_j : mapping of str to float
        By request id; 0 for one that was not active in the window. [J]
    unattributed_j : float
        What nobody asked for. [J]
    """

    shares_j: Mapping[str, float]
    unattributed_j: float

    @property
    def energy_j(self) -> float:
        """What was shared. [J]"""
        return math.fsum([*self.shares_j.values(), self.unattributed_j])


def split(requests: Sequence[Request], reading: Reading, rule: Rule, profile: Profile | None = None) -> Split:
    """Share one reading by a rule, when only the requests' times and tokens are known.

    Parameters
    ----------
    profile : Profile, optional
        Says what idle, a step and a token cost; without one power is taken as even over the reading, and none of it as
        anybody's own.

    Raises
    ------
    InputError
        As `rows_between_events`.
    """
    steps = rows_between_events(requests, reading.interval, reading.device, profile)
    energy, rest_j = spread(steps, reading, profile)
    shares = rule(steps, energy)
    of = np.bincount(steps.member, shares.total_j, len(steps.request_ids)).tolist()
    return Split(
        dict(zip(steps.request_ids.to_pylist(), of, strict=True)),
        math.fsum([rest_j, *shares.unattributed_j.tolist()]),
    )


def rows_between_events(
    requests: Sequence[Request], window: Interval, device: str, profile: Profile | None = None
) -> Steps:
    """Cut a window where a request arrives or ends, with each one's tokens spread evenly over its time.

    A request is active from its arrival to its end; one that ends as it arrives lies in the window of that instant and
    has a row of no length. Rows are for stretches in which somebody is active. The first generated token comes out of
    the prefill and is none of the decoded.

    Raises
    ------
    InputError
        If an id stands twice, or a request has no end or ends before it arrives.
    """
    held = sorted(requests, key=lambda one: one.request_id)
    for before, one in zip([None, *held], held, strict=False):
        if before is not None and before.request_id == one.request_id:
            raise InputError(f"request {one.request_id!r} stands twice; give each its own id")
        if one.end_utc is None:
            raise InputError(
                f"request {one.request_id!r} has no end; a window is shared by who was active in it"
            )
        if one.end_utc < one.arrival_utc:
            raise InputError(f"request {one.request_id!r} ends before it arrives; correct its times")
    first, last = _us(window.start_utc), _us(window.end_utc)
    start = np.array([_us(one.arrival_utc) for one in held], np.int64)
    end = np.array([_us(one.end_utc or one.arrival_utc) for one in held], np.int64)
    prompt = np.array([one.prompt_tokens for one in held], np.float64)
    decode = np.array([max(one.generated_tokens - 1, 0) for one in held], np.float64)
    cuts = np.unique(np.clip(np.concatenate([start, end, [first, last]]), first, last))
    instant = start == end
    inside = instant & (start >= first) & (start < last)
    points = np.unique(start[inside])
    lows = np.concatenate([cuts[:-1], points])
    highs = np.concatenate([cuts[1:], points])
    takes_part = np.where(
        (lows == highs)[:, None],
        inside[None, :] & (start[None, :] == lows[:, None]),
        ~instant[None, :] & (start[None, :] <= lows[:, None]) & (end[None, :] >= highs[:, None]),
    )
    kept = np.flatnonzero(takes_part.any(axis=1))
    row, who = np.nonzero(takes_part[kept])
    part = np.divide(
        (highs - lows)[kept][row].astype(np.float64), (end - start)[who], out=np.ones(len(row)), where=~instant[who]
    )  # fmt: skip
    n_active = takes_part[kept].sum(axis=1)
    seconds = (highs - lows)[kept] / 1e6
    step_s = profile.fixed_s_per_step + n_active * profile.s_per_decode_token if profile else 1.0
    return steps_of(
        {"start_us": lows[kept], "end_us": highs[kept], "n_steps": seconds / step_s},
        groups=[(device,)],
        origin="the requests' times",
        member_row=row,
        members={"member": who, "member_prefill": prompt[who] * part, "member_decode": decode[who] * part},
        request_ids=pa.array([one.request_id for one in held], pa.string()),
    )


def spread(steps: Steps, reading: Reading, profile: Profile | None = None) -> tuple[StepEnergy, float]:
    """Lay a reading on the rows of its window.

    Time without a row takes loaded idle, as far as the reading goes, and is nobody's. Of the rest, own tokens come
    first, at the profile's price or scaled down to what there is; what remains lies evenly over the time of the rows,
    as loaded idle and above that as fixed.

    Returns
    -------
    tuple of StepEnergy and float
        And what no row takes. [J]
    """
    n, length_s = len(steps), steps.duration_s
    active_s = math.fsum(length_s.tolist())
    whole_s = reading.interval.duration_s
    idle_w = profile.loaded_idle_w if profile else reading.energy_j / whole_s
    gap_j = min(reading.energy_j, idle_w * max(whole_s - active_s, 0.0)) if n else reading.energy_j
    left_j = reading.energy_j - gap_j
    none = np.zeros(n)
    own = profiled(steps, profile) if profile else StepEnergy(none, none, none, none, none)
    own_j = own.prefill_j + own.decode_j
    whole_own_j = math.fsum(own_j.tolist())
    scale = min(1.0, left_j / whole_own_j) if whole_own_j > 0 else 1.0
    rest_j = max(0.0, left_j - whole_own_j * scale)
    even = length_s / active_s if active_s > 0 else none
    idle_j = min(rest_j, idle_w * active_s) if active_s > 0 else 0.0
    fixed_j = rest_j - idle_j if active_s > 0 else 0.0
    energy = StepEnergy(fixed_j * even, own.prefill_j * scale, own.decode_j * scale, none, idle_j * even)
    return energy, gap_j + (0.0 if active_s > 0 else rest_j)


def _us(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND
