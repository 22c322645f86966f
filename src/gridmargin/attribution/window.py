"""What of a request falls in one window: seconds, and tokens spread evenly over its time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gridmargin.requests import Request
from gridmargin.vocab import InputError, Interval


@dataclass(frozen=True, slots=True)
class Part:
    """One request's part in a window.

    Attributes
    ----------
    request_id : str
    start_s, end_s : float
        When it was active, counted from the start of the window. [s]
    prompt_tokens, decode_tokens, generated_tokens : float
        Of the window; the first generated token comes out of the prefill and is none of the decoded. [1]
    """

    request_id: str
    start_s: float
    end_s: float
    prompt_tokens: float
    decode_tokens: float
    generated_tokens: float

    @property
    def seconds(self) -> float:
        """How long it was active. [s]"""
        return self.end_s - self.start_s


def parts_in(requests: Sequence[Request], window: Interval) -> list[Part]:
    """Give the parts of those active in the window, in order of id.

    A request is active from its arrival to its end; one that ends as it arrives lies in the window of that instant.

    Raises
    ------
    InputError
        If an id stands twice, or a request has no end or ends before it arrives.
    """
    found = []
    seen = set()
    for request in sorted(requests, key=lambda one: one.request_id):
        if request.request_id in seen:
            raise InputError(f"request {request.request_id!r} stands twice; give each its own id")
        seen.add(request.request_id)
        if request.end_utc is None:
            raise InputError(
                f"request {request.request_id!r} has no end; a window is shared by who was active in it"
            )
        if request.end_utc < request.arrival_utc:
            raise InputError(f"request {request.request_id!r} ends before it arrives; correct its times")
        whole_s = (request.end_utc - request.arrival_utc).total_seconds()
        start_s = (max(request.arrival_utc, window.start_utc) - window.start_utc).total_seconds()
        end_s = (min(request.end_utc, window.end_utc) - window.start_utc).total_seconds()
        if (end_s <= start_s) if whole_s else (request.arrival_utc not in window):
            continue
        share = (end_s - start_s) / whole_s if whole_s else 1.0
        found.append(
            Part(
                request_id=request.request_id,
                start_s=start_s,
                end_s=end_s,
                prompt_tokens=request.prompt_tokens * share,
                decode_tokens=max(request.generated_tokens - 1, 0) * share,
                generated_tokens=request.generated_tokens * share,
            )
        )
    return found


def equal_shares_of_time(parts: Sequence[Part]) -> tuple[dict[str, float], float]:
    """Share each moment equally among those active in it.

    Returns
    -------
    tuple of dict and float
        Seconds by request id, and the seconds in which anybody was active; the first add up to the second. [s]
    """
    moments = sorted({moment for part in parts for moment in (part.start_s, part.end_s)})
    pieces: dict[str, list[float]] = {part.request_id: [] for part in parts}
    active_s = []
    for start, end in itertools.pairwise(moments):
        active = [part for part in parts if part.start_s <= start and part.end_s >= end]
        if active:
            active_s.append(end - start)
            for part in active:
                pieces[part.request_id].append((end - start) / len(active))
    return {name: math.fsum(seconds) for name, seconds in pieces.items()}, math.fsum(active_s)


def in_proportion(energy_j: float, weights: Iterable[tuple[str, float]]) -> dict[str, float] | None:
    """Share energy by weight; None where the weights are all zero. [J]"""
    pairs = list(weights)
    whole = math.fsum(weight for _, weight in pairs)
    if not whole > 0:
        return None
    return {name: energy_j * (weight / whole) for name, weight in pairs}
