"""Steps from chunks: against an engine whose steps are known."""

from __future__ import annotations

import numpy as np
import pytest

from gridmargin.attribution import StepEnergy
from gridmargin.attribution.rules.shapley import shapley
from gridmargin.engines import Streams, steps_of_streams
from gridmargin.vocab import InputError


def served(seed: int, n: int = 60, jitter_us: int = 2000) -> tuple[Streams, list[tuple[int, int, list[int]]]]:
    """Run an engine step by step; give what a gateway sees, and its true steps (start, end, members)."""
    random = np.random.default_rng(seed)
    sent = np.sort(random.integers(0, 6_000_000, n))
    prompt, wanted = random.integers(1, 2000, n), random.integers(1, 120, n)
    clock, waiting, active, left = 0, list(range(n)), [], wanted.copy()
    steps, chunks = [], []
    while waiting or active:
        if not active and sent[waiting[0]] > clock:
            clock = int(sent[waiting[0]])
        fresh = [r for r in waiting if sent[r] <= clock]
        waiting = waiting[len(fresh) :]
        active += fresh
        end = clock + 20_000 + 300 * len(active) + 15 * int(prompt[fresh].sum())
        steps.append((clock, end, list(active)))
        for r in active:
            chunks.append((r, end + int(random.integers(0, jitter_us + 1))))
            left[r] -= 1
        active = [r for r in active if left[r] > 0]
        clock = end
    random.shuffle(chunks)
    request, moment = (np.array(column, np.int64) for column in zip(*chunks, strict=True))
    streams = Streams(
        [f"q{i}" for i in range(n)], sent.astype(np.int64), prompt.astype(float), np.zeros(n), request, moment,
        np.ones(len(request)),
    )  # fmt: skip
    return streams, steps


@pytest.mark.parametrize("seed", range(20))
def test_steps_are_found_again_where_the_network_is_quicker_than_half_a_step(seed: int) -> None:
    streams, true = served(seed)
    steps = steps_of_streams(streams, ["gpu0"])
    assert len(steps) == len(true)
    assert steps.n_active.tolist() == [len(members) for _, _, members in true]
    ends = np.array([end for _, end, _ in true])
    assert np.abs(steps.end_us - ends).max() <= 2000
    starts = np.array([start for start, _, _ in true])
    assert np.abs(steps.start_us - starts).max() <= 2000
    assert steps.prefill_tokens.sum() == streams.prompt_tokens.sum()
    assert steps.decode_tokens.sum() == len(streams.chunk_us) - len(streams.request_ids)


@pytest.mark.parametrize("seed", range(10))
def test_shares_by_steps_found_again_are_near_those_by_the_true_ones(seed: int) -> None:
    """With chunks delayed by up to 40 % of a step, half of the requests are within 5 % and nine of ten within 20 %."""
    streams, true = served(seed, jitter_us=8000)
    found, exact = steps_of_streams(streams, ["gpu0"]), np.zeros(len(streams.request_ids))
    fixed_j, prefill_j, decode_j = 1.9, 0.015, 0.04
    seen: set[int] = set()
    for _, _, members in true:
        for r in members:
            exact[r] += fixed_j / len(members) + (
                decode_j if r in seen else streams.prompt_tokens[r] * prefill_j
            )
        seen |= set(members)
    energy = StepEnergy(
        fixed_j * found.n_steps, prefill_j * found.prefill_tokens, decode_j * found.decode_tokens, 0 * found.n_steps,
        0 * found.n_steps,
    )  # fmt: skip
    mine = np.bincount(found.member, shapley(found, energy).total_j, len(exact))
    off = np.abs(mine / exact - 1)
    assert np.quantile(off, 0.5) < 0.05
    assert np.quantile(off, 0.9) < 0.2


def test_an_idle_engine_begins_when_a_request_is_sent() -> None:
    streams = Streams(
        ["a", "b"], np.array([0, 10_000_000]), np.array([5.0, 7.0]), np.array([0.0, 7.0]),
        np.array([0, 0, 1, 1]), np.array([30_000, 60_000, 10_030_000, 10_060_000]), np.ones(4),
    )  # fmt: skip
    steps = steps_of_streams(streams, ["gpu0"])
    assert steps.start_us.tolist() == [0, 30_000, 10_000_000, 10_030_000]
    assert steps.prefill_tokens.tolist() == [5, 0, 0, 0]
    assert steps.cached_tokens.tolist() == [0, 0, 7, 0]


def test_a_chunk_of_several_tokens_is_one_step() -> None:
    """Speculative decoding: three accepted tokens arrive at once."""
    streams = Streams(
        ["a"], np.array([0]), np.array([5.0]), np.array([0.0]), np.array([0, 0]), np.array([30_000, 60_000]),
        np.array([1.0, 3.0]),
    )  # fmt: skip
    steps = steps_of_streams(streams, ["gpu0"])
    assert steps.decode_tokens.tolist() == [0, 3]


def test_no_chunks_are_no_steps() -> None:
    none = np.empty(0, np.int64)
    streams = Streams(["a"], np.array([0]), np.array([5.0]), np.array([0.0]), none, none, np.empty(0))
    assert len(steps_of_streams(streams, ["gpu0"])) == 0


def test_a_chunk_before_its_request_is_refused() -> None:
    streams = Streams(
        ["a"], np.array([9]), np.array([5.0]), np.array([0.0]), np.array([0]), np.array([4]), np.ones(1)
    )
    with pytest.raises(InputError, match="chunk of request 'a' came 5 µs before it was sent"):
        steps_of_streams(streams, ["gpu0"])
