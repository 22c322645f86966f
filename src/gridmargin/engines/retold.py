"""The same steps by another clock, or with the ids by which others know the requests."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridmargin.engines.steps import BY_MEMBER, BY_ROW, Steps, steps_of
from gridmargin.vocab import InputError


def ahead_of(steps: Steps, ahead_s: float) -> Steps:
    """Give the steps by a clock that the engine's was ahead of.

    Parameters
    ----------
    ahead_s : float
        By how much; below 0 where it was behind. [s]
    """
    ahead_us = round(ahead_s * 1e6)
    return replace(steps, start_us=steps.start_us - ahead_us, end_us=steps.end_us - ahead_us)


def renamed(steps: Steps, pattern: str) -> Steps:
    """Give the steps with the part of each id that a pattern's first group finds.

    Ids that become equal are one request: in one step their tokens are summed.

    Parameters
    ----------
    pattern : str
        As of `re`, to match the whole id.

    Raises
    ------
    InputError
        If it cannot be read, has no group, or an id does not match.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"the pattern {pattern!r} of request ids cannot be read: {error}") from None
    if compiled.groups < 1:
        raise InputError(f"the pattern {pattern!r} of request ids has no group; put the id in parentheses")
    found = [(name, compiled.fullmatch(name)) for name in steps.request_ids.to_pylist()]
    unlike = next((name for name, match in found if match is None or match[1] is None), None)
    if unlike is not None:
        raise InputError(f"request id {unlike!r} does not match {pattern!r}; widen the pattern")
    every = pa.array([match[1] for _, match in found if match is not None], pa.string())
    unique = pc.unique(every)
    place = pc.index_in(every, value_set=unique).to_numpy(zero_copy_only=False).astype(np.int64)
    n = max(len(unique), 1)
    pair, at = np.unique(steps.row_of_member * n + place[steps.member], return_inverse=True)
    row, member = np.divmod(pair, n)
    return steps_of(
        {name: getattr(steps, name) for name in BY_ROW},
        groups=steps.groups,
        origin=steps.origin,
        member_row=row,
        members={
            name: np.bincount(at, getattr(steps, name), len(pair)) for name in BY_MEMBER if name != "member"
        }
        | {"member": member},
        request_ids=unique,
    )
