"""The Shapley value of a step cost, in closed form."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gridmargin.attribution.rule import Split
from gridmargin.attribution.window import equal_shares_of_time, parts_in
from gridmargin.meters import Reading
from gridmargin.reference import Profile
from gridmargin.requests import Request
from gridmargin.vocab import InputError


def shapley_of_step(fixed_j: float, own_j: Mapping[str, float]) -> dict[str, float]:
    """Give the Shapley value of one step: an equal share of what it costs whoever takes part, and one's own in full.

    Parameters
    ----------
    fixed_j : float
        Cost of the step for any group that is not empty. [J]
    own_j : mapping of str to float
        What each adds to any group. [J]

    Returns
    -------
    dict of str to float
        By request. [J]
    """
    return {name: fixed_j / len(own_j) + own for name, own in own_j.items()}


def shapley(requests: Sequence[Request], reading: Reading, profile: Profile | None = None) -> Split:
    """Share a reading: its own tokens to each, the rest of every moment equally to those active in it.

    See `docs/methods/shapley.md`. The profile says what a token costs; the reading says how much there is. Time with
    nobody active takes loaded idle and is unattributed; where tokens alone would come to more than is left, they are
    scaled down to it.

    Raises
    ------
    InputError
        Without a profile.
    """
    if profile is None:
        raise InputError("rule shapley needs a device × model profile to tell what a token costs; give one")
    parts = parts_in(requests, reading.interval)
    shares_j = dict.fromkeys(sorted(request.request_id for request in requests), 0.0)
    if not parts:
        return Split(shares_j, reading.energy_j)
    seconds, active_s = equal_shares_of_time(parts)
    gap_j = min(reading.energy_j, profile.loaded_idle_w * max(reading.interval.duration_s - active_s, 0.0))
    left_j = reading.energy_j - gap_j
    own_j = {
        part.request_id: part.prompt_tokens * profile.j_per_prefill_token
        + part.decode_tokens * profile.j_per_decode_token
        for part in parts
    }
    whole_own_j = math.fsum(own_j.values())
    scale = min(1.0, left_j / whole_own_j) if whole_own_j else 1.0
    shared_j = max(0.0, left_j - whole_own_j * scale)
    if not active_s:
        gap_j, shared_j = gap_j + shared_j, 0.0
    for name, own in own_j.items():
        shares_j[name] = own * scale + (shared_j * (seconds[name] / active_s) if active_s else 0.0)
    return Split(shares_j, gap_j)
