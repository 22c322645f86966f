"""Steps from when each request was served: stretches between one request's coming or going and the next.

A request reads its prompt and then decodes, each at an even pace. An engine that batches continuously gives every
active request one token a step, so the fastest request of a stretch tells how many steps it had; a prompt is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gridmargin.engines.steps import Steps, steps_of
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spans:
    """k requests that were served, in any order; an id may stand for several.

    Attributes
    ----------
    request_ids : sequence of str, length k
    begin_us, end_us : arrays of int64, shape (k,)
        When the engine took it up, and when it was done. [µs since 1970 UTC]
    first_us : array of int64, shape (k,)
        When its first token came; -1 where nobody says: prompt and answer are then spread over the whole.
    prefill_tokens, cached_tokens, decode_tokens : arrays of float64, shape (k,)
        Of the prompt, computed and taken from a cache; decoded after the first token.
    """

    request_ids: Sequence[str]
    begin_us: IntArray
    first_us: IntArray
    end_us: IntArray
    prefill_tokens: FloatArray
    cached_tokens: FloatArray
    decode_tokens: FloatArray


def steps_of_spans(spans: Spans, group: Sequence[str], origin: str) -> Steps:
    """Put stretches together.

    Raises
    ------
    InputError
        If a request ends before it begins, or its first token lies outside: names it.
    """
    known = spans.first_us >= 0
    for late, early, what in (
        (spans.begin_us, spans.end_us, "ends"),
        (spans.begin_us, np.where(known, spans.first_us, spans.begin_us), "has its first token"),
    ):
        wrong = np.flatnonzero(early < late)
        if len(wrong):
            raise InputError(
                f"{origin}: request {spans.request_ids[wrong[0]]!r} {what} {late[wrong[0]] - early[wrong[0]]} µs before it"
                " begins; correct its times"
            )
    outside = np.flatnonzero(known & (spans.first_us > spans.end_us))
    if len(outside):
        raise InputError(
            f"{origin}: request {spans.request_ids[outside[0]]!r} has its first token after its end; correct its times"
        )
    # A phase shorter than a microsecond is one: its tokens are not lost.
    begin_us = spans.begin_us
    reads_any = ~known | (spans.prefill_tokens + spans.cached_tokens > 0)
    read_us = np.where(known, spans.first_us, spans.end_us)
    read_us = np.where(reads_any, np.maximum(read_us, begin_us + 1), read_us)
    end_us = np.where(known & (spans.decode_tokens > 0), np.maximum(spans.end_us, read_us + 1), read_us)
    edges = np.unique(np.concatenate([begin_us, read_us, end_us]))
    who, row, share, reads = _cut(edges, begin_us, read_us, end_us)
    prefill = np.where(reads, spans.prefill_tokens[who] * share, 0.0)
    cached = np.where(reads, spans.cached_tokens[who] * share, 0.0)
    decode = np.where(~reads | ~known[who], spans.decode_tokens[who] * share, 0.0)
    unique, person = _ids(spans.request_ids)
    # The same id twice in a stretch is one membership.
    pair, at = np.unique(row * max(len(unique), 1) + person[who], return_inverse=True)
    in_row, member = np.divmod(pair, max(len(unique), 1))
    occupied, row_of = np.unique(in_row, return_inverse=True)
    n_steps = np.zeros(len(edges))
    np.maximum.at(n_steps, row, decode + np.where(reads & (prefill > 0), share, 0.0))
    return steps_of(
        {
            "start_us": edges[occupied],
            "end_us": edges[occupied + 1] if len(occupied) else occupied,
            "n_steps": n_steps[occupied],
        },
        groups=[tuple(group)],
        origin=origin,
        member_row=row_of,
        members={
            "member": member,
            "member_prefill": np.bincount(at, prefill, len(pair)),
            "member_cached": np.bincount(at, cached, len(pair)),
            "member_decode": np.bincount(at, decode, len(pair)),
        },
        request_ids=unique,
    )


def reused(request_ids: Sequence[str]) -> tuple[str, ...]:
    """Say which ids stand for more than one request."""
    again = len(request_ids) - len(set(request_ids))
    if not again:
        return ()
    return (f"{again} requests have the id of another: they are one in the steps",)


def _cut(
    edges: IntArray, begin_us: IntArray, read_us: IntArray, end_us: IntArray
) -> tuple[IntArray, IntArray, FloatArray, NDArray[np.bool_]]:
    """Give, for each stretch of each phase: whose, which stretch, its part of the phase, whether the prompt is read."""
    k = len(begin_us)
    who = np.concatenate([np.arange(k), np.arange(k)])
    start_us, stop_us = np.concatenate([begin_us, read_us]), np.concatenate([read_us, end_us])
    first, last = np.searchsorted(edges, start_us), np.searchsorted(edges, stop_us)
    counts = last - first
    phase = np.repeat(np.arange(2 * k), counts)
    row = np.arange(len(phase)) - np.repeat(np.cumsum(counts) - counts, counts) + first[phase]
    share = (edges[row + 1] - edges[row]) / (stop_us - start_us)[phase] if len(phase) else np.empty(0)
    return who[phase], row, share, phase < k


def _ids(request_ids: Sequence[str]) -> tuple[pa.StringArray, IntArray]:
    every = pa.array(request_ids, pa.string())
    unique = pc.unique(every)
    return unique, pc.index_in(every, value_set=unique).to_numpy(zero_copy_only=False).astype(np.int64)
