"""Steps from the gateway alone: put together from when each request was sent and when its chunks came.

An engine that batches continuously gives every active request one token a step, so chunks of different requests that
arrive together were made together, and one request's chunks never come of one step. A step ends where its last chunk
arrives. It begins where the step before ended or, where nobody had been served since, when the first of its requests
was sent. A request's prompt is counted in the step of its first chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from gridmargin.engines.steps import Steps, steps_of
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TOGETHER = 0.5
"""Chunks further apart than this part of the usual time between one request's chunks are of different steps. [1]"""


@dataclass(frozen=True, slots=True)
class Streams:
    """What a gateway saw of k requests and their m chunks, in any order.

    Attributes
    ----------
    request_ids : sequence of str, length k
        Each once.
    sent_us : array of int64, shape (k,)
        When the request was passed on. [µs since 1970 UTC]
    prompt_tokens, cached_tokens : arrays, shape (k,)
        Of the prompt, in all and of them from a cache, as far as the engine's usage says.
    chunk_request : array of int64, shape (m,)
        Position in `request_ids`.
    chunk_us : array of int64, shape (m,)
        When the chunk came. [µs since 1970 UTC]
    chunk_tokens : array, shape (m,)
        Tokens in it; more than one where the engine proposes several and they are accepted.
    """

    request_ids: Sequence[str]
    sent_us: IntArray
    prompt_tokens: FloatArray
    cached_tokens: FloatArray
    chunk_request: IntArray
    chunk_us: IntArray
    chunk_tokens: FloatArray


def steps_of_streams(streams: Streams, group: Sequence[str]) -> Steps:
    """Put the steps of one engine together.

    Parameters
    ----------
    group : sequence of str
        The devices that it runs on.

    Returns
    -------
    Steps
        Rows end in order of time; the number active counts those with a chunk in the step.

    Raises
    ------
    InputError
        If a chunk came before its request was sent: names the request.
    """
    request, moment = streams.chunk_request, streams.chunk_us
    early = np.flatnonzero(moment < streams.sent_us[request]) if len(request) else np.empty(0, np.int64)
    if len(early):
        first_early = int(request[early[0]])
        ahead_us = streams.sent_us[first_early] - moment[early[0]]
        raise InputError(
            f"a chunk of request {streams.request_ids[first_early]!r} came {ahead_us} µs before it"
            " was sent; one clock must stamp both"
        )
    order = np.lexsort((request, moment))
    request, moment, tokens = request[order], moment[order], streams.chunk_tokens[order].astype(np.float64)
    step, is_first = _grouped(request, moment, len(streams.request_ids), TOGETHER, _usual_us(request, moment))
    n = int(step[-1]) + 1 if len(step) else 0
    last = np.searchsorted(step, np.arange(n), side="right") - 1
    end_us = moment[last]
    sent_us = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(sent_us, step[is_first], streams.sent_us[request[is_first]])
    before_us = np.concatenate([[np.iinfo(np.int64).min], end_us[:-1]]) if n else end_us
    # Those who go on were being served since the step before; where all of a step are new, since the first was sent.
    goes_on = np.bincount(step, ~is_first, n) > 0 if n else np.empty(0, bool)
    begins_us = np.where(goes_on, before_us, np.minimum(np.maximum(sent_us, before_us), end_us))
    # One chunk of a request in a step: several that came as one are summed.
    pair = step * max(len(streams.request_ids), 1) + request
    kept, at = np.unique(pair, return_inverse=True)
    decoded = np.bincount(at, tokens, len(kept))
    first = np.bincount(at, is_first, len(kept)) > 0
    row, who = np.divmod(kept, max(len(streams.request_ids), 1))
    cached = np.minimum(streams.cached_tokens, streams.prompt_tokens)
    return steps_of(
        {"start_us": begins_us, "end_us": end_us},
        groups=[tuple(group)],
        origin="streamed chunks",
        member_row=row,
        members={
            "member": who,
            "member_prefill": np.where(first, (streams.prompt_tokens - cached)[who], 0.0),
            "member_cached": np.where(first, cached[who], 0.0),
            # The first token comes out of the prefill.
            "member_decode": np.maximum(decoded - first, 0.0),
        },
        request_ids=pa.array(streams.request_ids, pa.string()),
    )


def _usual_us(request: IntArray, moment_us: IntArray) -> float:
    """Give the time between chunks of one request that a fifth stay below; 0 where no request has two. [µs]"""
    order = np.lexsort((moment_us, request))
    between = np.diff(moment_us[order])[np.diff(request[order]) == 0]
    return float(np.quantile(between, 0.2)) if len(between) else 0.0


@njit(cache=True)
def _grouped(request: Any, moment_us: Any, n_requests: int, together: float, usual_us: float) -> Any:
    """Give the number of the step of each chunk, in order of time, and whether it is its request's first."""
    m = len(request)
    step = np.empty(m, np.int64)
    is_first = np.zeros(m, np.bool_)
    last_step = np.full(n_requests, -1, np.int64)
    last_us = np.zeros(n_requests, np.int64)
    current = np.int64(-1)
    previous_us = np.int64(0)
    for i in range(m):
        r = request[i]
        apart = moment_us[i] - previous_us
        if last_step[r] < 0:
            is_first[i] = True
        else:
            between = float(moment_us[i] - last_us[r])
            # The pace of plain decoding: prompts among the steps make some far longer, and few shorter.
            usual_us += (0.1 if between < usual_us else 0.005) * (min(between, 2 * usual_us) - usual_us)
        if current < 0 or last_step[r] == current or apart > together * usual_us:
            current += 1
        step[i] = current
        last_step[r] = current
        last_us[r] = moment_us[i]
        previous_us = moment_us[i]
    return step, is_first
