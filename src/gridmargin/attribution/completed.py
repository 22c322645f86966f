"""Completed: requests that have run to their end, with their energy by part and interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gridmargin.requests import RequestBatch

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Completed:
    """Requests that have run to their end, n of them, and their m slices by interval, adjacent per request.

    Attributes
    ----------
    batch : RequestBatch
        The requests, in order of completion.
    start_s, first_token_s, end_s : arrays, shape (n,)
        Start of the first step, end of it, end of the last; where the log gives the ends, its arrival, NaN (not known)
        and that end. [s since 1970 UTC]
    alone_j : array, shape (n,)
        Fixed energy of the steps in which it was the only one active; part of its shares. [J]
    first_slice : array of int64, shape (n,)
        Where each request's slices begin.
    slice_request : array of int64, shape (m,)
        Which request a slice belongs to.
    slot_start_s : array of int64, shape (m,)
        Start of the slice's interval. [s since 1970 UTC]
    prefill_j, decode_j, work_j, step_fixed_j, loaded_idle_j : arrays, shape (m,)
        The parts, kept apart: what its own tokens and its own work cost, and its share of the fixed and the idle energy
        of the steps it took part in. [J]
    work_units : array, shape (m,)
        Work that is no token: denoising steps × images, embedded inputs, seconds of audio. [1]
    """

    batch: RequestBatch
    start_s: FloatArray
    first_token_s: FloatArray
    end_s: FloatArray
    alone_j: FloatArray
    first_slice: IntArray
    slice_request: IntArray
    slot_start_s: IntArray
    prefill_j: FloatArray
    decode_j: FloatArray
    work_j: FloatArray
    step_fixed_j: FloatArray
    loaded_idle_j: FloatArray
    work_units: FloatArray

    def __len__(self) -> int:
        return len(self.batch)


def no_requests() -> RequestBatch:
    """Give an empty batch."""
    return RequestBatch(
        np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32), None, {}
    )


def append(first: RequestBatch, second: RequestBatch) -> RequestBatch:
    """Give one batch after another."""
    if not len(first):
        return second
    return RequestBatch(
        row=np.concatenate([first.row, second.row]),
        arrival_us=np.concatenate([first.arrival_us, second.arrival_us]),
        prompt_tokens=np.concatenate([first.prompt_tokens, second.prompt_tokens]),
        generated_tokens=np.concatenate([first.generated_tokens, second.generated_tokens]),
        end_us=None
        if second.end_us is None or first.end_us is None
        else np.concatenate([first.end_us, second.end_us]),
        words={name: pa.concat_arrays([first.words[name], second.words[name]]) for name in second.words},
    )


def take(batch: RequestBatch, at: IntArray) -> RequestBatch:
    """Give the requests at some positions."""
    return RequestBatch(
        row=batch.row[at],
        arrival_us=batch.arrival_us[at],
        prompt_tokens=batch.prompt_tokens[at],
        generated_tokens=batch.generated_tokens[at],
        end_us=None if batch.end_us is None else batch.end_us[at],
        words={name: array.take(pa.array(at)) for name, array in batch.words.items()},
    )


def join(parts: list[Completed]) -> Completed:
    """Give what several devices completed as one."""
    if len(parts) == 1:
        return parts[0]
    before = np.cumsum([0, *[len(p) for p in parts]])
    slices_before = np.cumsum([0, *[len(p.slice_request) for p in parts]])
    batch = parts[0].batch
    for part in parts[1:]:
        batch = append(batch, part.batch) if len(part.batch) else batch

    def whole(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(part, name) for part in parts])

    return Completed(
        batch=batch,
        start_s=whole("start_s"),
        first_token_s=whole("first_token_s"),
        end_s=whole("end_s"),
        alone_j=whole("alone_j"),
        first_slice=np.concatenate([p.first_slice + b for p, b in zip(parts, slices_before, strict=False)]),
        slice_request=np.concatenate([p.slice_request + b for p, b in zip(parts, before, strict=False)]),
        slot_start_s=whole("slot_start_s").astype(np.int64),
        prefill_j=whole("prefill_j"),
        decode_j=whole("decode_j"),
        work_j=whole("work_j"),
        step_fixed_j=whole("step_fixed_j"),
        loaded_idle_j=whole("loaded_idle_j"),
        work_units=whole("work_units"),
    )
