"""Steps: what engines did, as columns; the one shape that every engine's records are brought to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gridmargin.vocab import InputError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


ROUNDING_US = 2
"""By how much two steps of one device may overlap where their times were rounded: the later then starts as the earlier
ends. [µs]"""


@dataclass(frozen=True, slots=True)
class Steps:
    """Engine steps, n rows, with their m memberships, adjacent per row; rows by group and start.

    A row is one step, or a stretch of steps of which only the sum is known (an engine's counters, read now and then).

    Attributes
    ----------
    groups : tuple of tuples of str
        Devices that step together: one, or all of a tensor-parallel group.
    group : array of int32, shape (n,)
        Position in `groups`.
    start_us, end_us : arrays of int64, shape (n,)
        [µs since 1970 UTC]
    n_steps : array of float64, shape (n,)
        How many steps the row stands for; 1 where the engine tells each. [1]
    n_active : array of int32, shape (n,)
        Requests that took part; of a stretch, as many as were seen. More than the row's memberships where ids are
        missing.
    prefill_tokens, cached_tokens, decode_tokens : arrays of float64, shape (n,)
        Prompt tokens computed; prompt tokens taken from a cache, which cost nothing again; decoded tokens computed,
        among them those that speculative decoding proposed and then rejected. A stretch may hold a part of one.
    context_tokens : array of float64, shape (n,)
        Tokens attended to by those that decode, summed over them; NaN where not known.
    work_units : array of float64, shape (n,)
        Of steps without tokens: denoising steps × images, embedded inputs, seconds of audio; 0 where tokens say it.
    first_member : array of int64, shape (n + 1,)
        Where each row's memberships begin.
    member : array of int64, shape (m,)
        Position in `request_ids`.
    member_prefill, member_cached, member_decode : arrays of float64, shape (m,)
        The request's own tokens in that row.
    member_work : array of float64, shape (m,)
        Its own work units.
    request_ids : pyarrow.StringArray
    origin : str
        Which engine's words these are.
    """

    groups: tuple[tuple[str, ...], ...]
    group: NDArray[np.int32]
    start_us: IntArray
    end_us: IntArray
    n_steps: FloatArray
    n_active: NDArray[np.int32]
    prefill_tokens: FloatArray
    cached_tokens: FloatArray
    decode_tokens: FloatArray
    context_tokens: FloatArray
    work_units: FloatArray
    first_member: IntArray
    member: IntArray
    member_prefill: FloatArray
    member_cached: FloatArray
    member_decode: FloatArray
    member_work: FloatArray
    request_ids: pa.StringArray
    origin: str

    def __len__(self) -> int:
        return len(self.start_us)

    @property
    def n_members(self) -> IntArray:
        """How many of a row's requests are known by id, shape (n,)."""
        return np.diff(self.first_member)

    @property
    def row_of_member(self) -> IntArray:
        """Which row a membership belongs to, shape (m,)."""
        return np.repeat(np.arange(len(self)), self.n_members)

    @property
    def duration_s(self) -> FloatArray:
        """Length of each row, shape (n,). [s]"""
        return (self.end_us - self.start_us) / 1e6

    def ordered(self) -> Steps:
        """Give the same with the rows by group and start.

        Raises
        ------
        InputError
            If a row ends before it starts, two of one group overlap, counts are negative, or an id stands twice in a
            row: names the row as it came, the first being 0.
        """
        backwards = np.flatnonzero(self.end_us < self.start_us)
        if len(backwards):
            raise InputError(
                f"{self.origin} step {backwards[0]} ends {self.start_us[backwards[0]] - self.end_us[backwards[0]]} µs"
                " before it starts; correct its times"
            )
        for name in (
            "n_steps", "n_active", "prefill_tokens", "cached_tokens", "decode_tokens", "work_units",
            "member_prefill", "member_cached", "member_decode", "member_work",
        ):  # fmt: skip
            column = getattr(self, name)
            low = np.flatnonzero(~(column >= 0))
            if len(low):
                row = int(self.row_of_member[low[0]]) if name.startswith("member") else int(low[0])
                raise InputError(
                    f"{self.origin} step {row}: {name} of {column[low[0]]:g} is no count; give 0 or more"
                )
        pair = self.row_of_member * len(self.request_ids) + self.member
        if (np.diff(pair) <= 0).any():
            at = np.argsort(pair, kind="stable")
            twice = np.flatnonzero(np.diff(pair[at]) == 0)
            if len(twice):
                row, who = divmod(int(pair[at[twice[0]]]), len(self.request_ids))
                raise InputError(
                    f"{self.origin} step {row}: request {self.request_ids[who].as_py()!r} stands twice; sum its tokens"
                    " into one"
                )
        order = np.lexsort((self.end_us, self.start_us, self.group))
        steps = self if (np.diff(order) == 1).all() else self.take(order)
        same = np.diff(steps.group) == 0
        over_us = np.where(same, steps.end_us[:-1] - steps.start_us[1:], 0)
        over = np.flatnonzero(over_us > ROUNDING_US)
        if len(over):
            first, second = order[over[0]], order[over[0] + 1]
            raise InputError(
                f"{self.origin} steps {first} and {second} of {'+'.join(steps.groups[steps.group[over[0]]])} overlap by"
                f" {steps.end_us[over[0]] - steps.start_us[over[0] + 1]} µs; one device takes one step at a time"
            )
        if (over_us > 0).any():
            start_us = steps.start_us.copy()
            start_us[1:] += np.maximum(over_us, 0)
            steps = replace(steps, start_us=start_us, end_us=np.maximum(steps.end_us, start_us))
        return steps

    def take(self, rows: IntArray) -> Steps:
        """Give some rows, in that order, with their memberships."""
        counts = self.n_members[rows]
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        at = np.repeat(self.first_member[rows] - first[:-1], counts) + np.arange(int(first[-1]))
        by_row = {name: getattr(self, name)[rows] for name in BY_ROW}
        by_member = {name: getattr(self, name)[at] for name in BY_MEMBER}
        return replace(self, first_member=first, **by_row, **by_member)

    def trimmed(self) -> Steps:
        """Give the same without groups and ids that no row names."""
        used, group = _used(self.group, len(self.groups))
        named, member = _used(self.member, len(self.request_ids))
        return replace(
            self,
            groups=tuple(self.groups[number] for number in used),
            group=group.astype(np.int32),
            member=member,
            request_ids=self.request_ids.take(pa.array(named, pa.int64())),
        )


def _used(index: NDArray[Any], n: int) -> tuple[IntArray, IntArray]:
    """Give which of n are named, and the index among those."""
    there = np.zeros(n, np.bool_)
    there[index] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[index]


BY_ROW = (
    "group", "start_us", "end_us", "n_steps", "n_active", "prefill_tokens", "cached_tokens", "decode_tokens",
    "context_tokens", "work_units",
)  # fmt: skip
BY_MEMBER = ("member", "member_prefill", "member_cached", "member_decode", "member_work")

_TYPES = {
    "group": np.int32,
    "n_active": np.int32,
    "start_us": np.int64,
    "end_us": np.int64,
    "member": np.int64,
}


def steps_of(
    columns: Mapping[str, Sequence[float] | NDArray[np.generic]],
    *,
    groups: Sequence[Sequence[str]],
    origin: str,
    members: Mapping[str, Sequence[float] | NDArray[np.generic]] | None = None,
    member_row: Sequence[int] | IntArray = (),
    request_ids: Sequence[str] | pa.StringArray = (),
) -> Steps:
    """Bring columns to `Steps`, in order and checked.

    Parameters
    ----------
    columns : mapping
        `start_us` and `end_us`, and of the others by row what is known: where a column or a value (NaN) is missing
        `n_steps` is 1, `context_tokens` NaN, `n_active` the number of memberships, and tokens are the sums over them.
    groups : sequence of sequences of str
    members : mapping, optional
        Of the memberships' columns what is known; the rest is 0.
    member_row : array of int, shape (m,)
        Which row a membership belongs to, in any order.
    request_ids : sequence of str

    Raises
    ------
    InputError
        As `Steps.ordered`; and for times as fractions, or columns of different lengths.
    """
    n, given, of_members = len(columns["start_us"]), dict(columns), dict(members or {})
    row = np.asarray(member_row, np.int64)
    order = np.argsort(row, kind="stable") if (np.diff(row) < 0).any() else slice(None)
    row = row[order]
    first = np.searchsorted(row, np.arange(n + 1)).astype(np.int64)
    m = len(row)
    by_member: dict[str, Any] = {}
    for name in BY_MEMBER:
        column = np.asarray(of_members.pop(name, np.zeros(m)))
        if len(column) != m:
            raise InputError(
                f"{origin}: {name} has {len(column)} values for {m} memberships; give one for each"
            )
        by_member[name] = column[order].astype(_TYPES.get(name, np.float64))
    defaults = {
        "group": np.zeros(n), "n_steps": np.ones(n), "n_active": np.diff(first), "context_tokens": np.full(n, np.nan),
    }  # fmt: skip
    for total, own in (
        ("prefill_tokens", "member_prefill"), ("cached_tokens", "member_cached"), ("decode_tokens", "member_decode"),
        ("work_units", "member_work"),
    ):  # fmt: skip
        defaults[total] = np.bincount(row, by_member[own], n)
    by_row: dict[str, Any] = {}
    for name in BY_ROW:
        column = np.asarray(given.pop(name, defaults.get(name)))
        if len(column) != n:
            raise InputError(f"{origin}: {name} has {len(column)} values for {n} steps; give one for each")
        if column.dtype.kind == "f" and name in defaults:
            column = np.where(np.isnan(column), defaults[name], column)
        by_row[name] = column.astype(_TYPES.get(name, np.float64))
    if given or of_members:
        raise InputError(f"{origin}: no step has {', '.join([*given, *of_members])}; leave it out")
    return Steps(
        groups=tuple(tuple(group) for group in groups),
        first_member=first,
        request_ids=request_ids
        if isinstance(request_ids, pa.StringArray)
        else pa.array(request_ids, pa.string()),
        origin=origin,
        **by_row,
        **by_member,
    ).ordered()


def join_steps(parts: Sequence[Steps]) -> Steps:
    """Give several as one, equal groups and equal ids being the same.

    Raises
    ------
    InputError
        If there is none, or two overlap on one group.
    """
    if not parts:
        raise InputError("no steps to join; give at least one part")
    groups = tuple(dict.fromkeys(group for part in parts for group in part.groups))
    every = pa.concat_arrays([part.request_ids for part in parts])
    ids = pc.unique(every)
    place = pc.index_in(every, value_set=ids).to_numpy(zero_copy_only=False).astype(np.int64)
    moved, at = [], 0
    for part in parts:
        of_group = np.array([groups.index(group) for group in part.groups] or [0], np.int32)
        mine = place[at : at + len(part.request_ids)]
        at += len(part.request_ids)
        moved.append((of_group[part.group], mine[part.member] if len(part.member) else part.member))
    by_row = {name: np.concatenate([getattr(p, name) for p in parts]) for name in BY_ROW}
    by_member = {name: np.concatenate([getattr(p, name) for p in parts]) for name in BY_MEMBER}
    by_row["group"] = np.concatenate([group for group, _ in moved])
    by_member["member"] = np.concatenate([member for _, member in moved])
    counts = np.concatenate([part.n_members for part in parts])
    return Steps(
        groups=groups,
        first_member=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        request_ids=ids,
        origin=" and ".join(dict.fromkeys(name for part in parts for name in part.origin.split(" and "))),
        **by_row,
        **by_member,
    ).ordered()
