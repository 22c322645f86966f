"""Where the log gives the ends: the compiled sums agree with exact fractions over every stretch between two events."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.attribution import Replay
from gridmargin.reference import profile_for
from gridmargin.requests import RequestBatch, read_log

T0 = 1_594_836_900  # on the grid of every interval below
PROFILE = profile_for("H100", "llama-3.1-8b")
SECOND_US = 1_000_000

requests_with_ends = st.lists(
    st.tuples(
        st.integers(0, 40).map(lambda n: n * 250_000),
        st.integers(0, 40).map(lambda n: n * 250_000) | st.sampled_from([0, 1, 7, 1_000_001]),
        st.integers(0, 2000),
        st.integers(0, 300),
    ),
    min_size=1,
    max_size=8,
).map(sorted)


def batch_of(requests):
    """`requests`: (arrival in µs after T0, duration in µs, prompt, generated), in order of arrival."""
    start = np.array([r[0] for r in requests], np.int64) + T0 * SECOND_US
    return RequestBatch(
        row=np.arange(len(requests), dtype=np.int64),
        arrival_us=start,
        prompt_tokens=np.array([r[2] for r in requests], np.int32),
        generated_tokens=np.array([r[3] for r in requests], np.int32),
        end_us=start + np.array([r[1] for r in requests], np.int64),
    )


def simulate(requests, interval_s):
    """Parts by (request, slot), alone energy by request, metered energy by slot; exact until the last step."""
    ends = [a + d for a, d, _, _ in requests]
    last = max(ends)
    edges = {a for a, *_ in requests} | set(ends) | set(range(0, last + 1, interval_s * SECOND_US))
    edges = sorted(e for e in edges if requests[0][0] <= e <= last)
    parts, alone, idle_j = {}, [Fraction(0)] * len(requests), Fraction(0)
    fixed_j, idle_w = Fraction(PROFILE.fixed_j_per_step), Fraction(PROFILE.loaded_idle_w)
    own = [
        (p * Fraction(PROFILE.j_per_prefill_token), max(g - 1, 0) * Fraction(PROFILE.j_per_decode_token))
        for _, _, p, g in requests
    ]
    for i, (arrival, duration, *_) in enumerate(requests):
        if not duration:
            parts[i, arrival // (interval_s * SECOND_US)] = [*own[i], Fraction(0), Fraction(0)]
    for left, right in pairwise(edges):
        seconds = Fraction(right - left, SECOND_US)
        active = [i for i, (a, d, *_) in enumerate(requests) if a <= left and a + d >= right]
        if not active:
            idle_j += idle_w * seconds
            continue
        step_s = Fraction(PROFILE.fixed_s_per_step) + len(active) * Fraction(PROFILE.s_per_decode_token)
        fixed = fixed_j / step_s * seconds
        for i in active:
            row = parts.setdefault((i, left // (interval_s * SECOND_US)), [Fraction(0)] * 4)
            share = Fraction(right - left, requests[i][1])
            for k, value in enumerate(
                (own[i][0] * share, own[i][1] * share, fixed / len(active), idle_w * seconds / len(active))
            ):
                row[k] += value
        if len(active) == 1:
            alone[active[0]] += fixed
    return parts, alone, idle_j


def outcome(pieces):
    """Parts by (row, slot), and alone energy and end by row."""
    parts, alone, ends = {}, {}, {}
    for done in pieces:
        for at, row in enumerate(done.batch.row.tolist()):
            alone[row], ends[row] = done.alone_j[at], done.end_s[at]
        for m, owner in enumerate(done.slice_request):
            key = int(done.batch.row[owner]), int(done.slot_start_s[m])
            assert key not in parts
            parts[key] = [done.prefill_j[m], done.decode_j[m], done.step_fixed_j[m], done.loaded_idle_j[m]]
    return parts, alone, ends


@given(requests_with_ends, st.sampled_from([1, 2, 5, 300]), st.lists(st.integers(0, 8), max_size=3))
def test_observed_energy_equals_exact_sums(requests, interval_s, cuts):
    """Every part in every interval, alone energy, idle and the meter; however the log is cut into pushes."""
    replay, pieces, before = Replay(PROFILE, interval_s), [], 0
    batch = batch_of(requests)
    for cut in [*sorted(min(c, len(requests)) for c in cuts), len(requests)]:
        part = RequestBatch(
            batch.row[before:cut], batch.arrival_us[before:cut], batch.prompt_tokens[before:cut],
            batch.generated_tokens[before:cut], batch.end_us[before:cut],
        )  # fmt: skip
        pieces.append(replay.push(part))
        before = cut
    pieces.append(replay.finish())
    assert replay.mode == "observed"
    found, alone, ends = outcome(pieces)
    wanted, wanted_alone, idle_j = simulate(requests, interval_s)
    assert set(found) == {(i, T0 + slot * interval_s) for i, slot in wanted}
    for (i, slot), row in wanted.items():
        assert found[i, T0 + slot * interval_s] == pytest.approx([float(v) for v in row], rel=1e-9, abs=1e-9)
    assert [alone[i] for i in range(len(requests))] == pytest.approx(
        [float(a) for a in wanted_alone], rel=1e-9, abs=1e-9
    )
    assert [ends[i] for i in range(len(requests))] == [e / 1e6 for e in batch.end_us.tolist()]
    by_slot = {}
    for (_, slot), row in wanted.items():
        by_slot[T0 + slot * interval_s] = by_slot.get(T0 + slot * interval_s, 0) + sum(row)
    for window in replay.readings():
        charged_j = window.energy_j - window.provisioned_idle_j
        assert charged_j == pytest.approx(float(by_slot.get(window.slot_start_s, 0)), rel=1e-9, abs=1e-9)
    assert sum(w.provisioned_idle_j for w in replay.readings()) == pytest.approx(
        float(idle_j), rel=1e-9, abs=1e-9
    )
    assert replay.conservation_error() <= 1e-9


@pytest.mark.parametrize("observed", [True, False])
def test_an_empty_push_changes_nothing(observed):
    """Nothing arrived and nothing is known of later arrivals: what is running goes on running."""
    batch = batch_of([(0, 10 * SECOND_US, 10, 2000)])
    if not observed:
        batch = RequestBatch(batch.row, batch.arrival_us, batch.prompt_tokens, batch.generated_tokens)
    none = RequestBatch(
        *(column[:0] for column in (batch.row, batch.arrival_us, batch.prompt_tokens, batch.generated_tokens))
    )
    replay = Replay(PROFILE, 300)
    assert [len(replay.push(b)) for b in (none, batch, none)] == [0, 0, 0]
    assert len(replay.finish()) == 1


@given(requests_with_ends, st.booleans())
def test_marginal_energy_is_at_most_the_allocated(requests, observed):
    """What a request shares with nobody is part of what it is charged; alone on the device it is all of the fixed part."""
    batch = batch_of(requests)
    if not observed:
        batch = RequestBatch(batch.row, batch.arrival_us, batch.prompt_tokens, batch.generated_tokens)
    replay = Replay(PROFILE, 300)
    for done in (replay.push(batch), replay.finish()):
        if len(done):
            shared_j = np.add.reduceat(done.step_fixed_j, done.first_slice)
            assert (done.alone_j <= shared_j * (1 + 1e-9) + 1e-12).all()
            if len(requests) == 1:
                assert done.alone_j == pytest.approx(shared_j, rel=1e-9)


@pytest.mark.data
def test_every_request_of_a_public_trace_is_accounted_for(data_dir):
    """All 19,366 requests complete once, and the meter closes."""
    from datetime import UTC, datetime

    path = data_dir / "inference" / "azure_llm_2023" / "AzureLLMInferenceTrace_conv.csv"
    log = read_log(path, datetime(2020, 7, 15, 18, 15, tzinfo=UTC))
    replay = Replay(PROFILE, 900)
    rows = [replay.push(batch).batch.row for batch in log.batches()]
    rows.append(replay.finish().batch.row)
    assert sorted(np.concatenate(rows).tolist()) == list(range(2, 19_368))
    assert replay.conservation_error() <= 1e-9
