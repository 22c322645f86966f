"""The compiled replay agrees with a plain simulator that takes one step after another."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.attribution import Replay
from gridmargin.reference import profile_for
from gridmargin.requests import RequestBatch
from gridmargin.vocab import InputError

T0 = 1_594_836_900  # a quarter of an hour on the grid
PROFILE = profile_for("H100", "llama-3.1-8b")


def batch_of(requests, ends=None):
    """`requests`: (arrival in µs after T0, prompt, generated), in order of arrival."""
    arrival = np.array([r[0] for r in requests], dtype=np.int64) + T0 * 1_000_000
    return RequestBatch(
        row=np.arange(len(requests), dtype=np.int64), arrival_us=arrival,
        prompt_tokens=np.array([r[1] for r in requests], dtype=np.int32),
        generated_tokens=np.array([r[2] for r in requests], dtype=np.int32),
        end_us=None if ends is None else np.array(ends, dtype=np.int64) + T0 * 1_000_000,
    )  # fmt: skip


def simulate(requests, profile, interval_s, max_batch):
    """One device, step by step: per request its four parts by slot, its times, and the energy it was alone for."""
    waiting = list(range(len(requests)))
    clock = requests[0][0] / 1e6
    active, out = {}, {i: {"slots": {}, "alone": 0.0} for i in waiting}
    idle_j = 0.0
    while waiting or active:
        if not active and requests[waiting[0]][0] / 1e6 > clock:
            idle_j += (requests[waiting[0]][0] / 1e6 - clock) * profile.loaded_idle_w
            clock = requests[waiting[0]][0] / 1e6
        fresh = []
        while waiting and requests[waiting[0]][0] / 1e6 <= clock and len(active) + len(fresh) < max_batch:
            fresh.append(waiting.pop(0))
        old = list(active)
        prompt = sum(requests[i][1] for i in fresh)
        seconds = (
            profile.fixed_s_per_step
            + prompt * profile.s_per_prefill_token
            + len(old) * profile.s_per_decode_token
        )
        everyone = old + fresh
        slot = int(clock // interval_s)
        for i in everyone:
            parts = out[i]["slots"].setdefault(slot, np.zeros(4))
            parts[2] += profile.fixed_j_per_step / len(everyone)
            parts[3] += profile.loaded_idle_w * seconds / len(everyone)
            if len(everyone) == 1:
                out[i]["alone"] += profile.fixed_j_per_step
        for i in old:
            out[i]["slots"][slot][1] += profile.j_per_decode_token
            active[i] -= 1
        for i in fresh:
            out[i]["start"] = clock
            out[i]["slots"][slot][0] += requests[i][1] * profile.j_per_prefill_token
            active[i] = max(requests[i][2], 1) - 1
        clock += seconds
        for i in fresh:
            out[i]["first"] = clock
        for i in [i for i in active if active[i] == 0]:
            out[i]["end"] = clock
            del active[i]
    return out, idle_j


REQUESTS = st.lists(
    st.tuples(st.integers(0, 3_000_000), st.integers(0, 2000), st.integers(0, 40)), min_size=1, max_size=12
).map(sorted)


def parts_of(done):
    """Per row of the log: slot → parts, and the times."""
    found = {}
    for i, row in enumerate(done.batch.row):
        mine = done.slice_request == i
        slots = (done.slot_start_s[mine] - T0).tolist()
        columns = (done.prefill_j, done.decode_j, done.step_fixed_j, done.loaded_idle_j)
        found[int(row)] = (
            dict(zip(slots, np.column_stack([c[mine] for c in columns]), strict=True)),
            (done.start_s[i] - T0, done.first_token_s[i] - T0, done.end_s[i] - T0),
            done.alone_j[i],
        )
    return found


@given(requests=REQUESTS, interval_s=st.sampled_from([1, 5, 900]), max_batch=st.sampled_from([1, 2, 3, 256]))
def test_the_replay_equals_a_step_by_step_simulation(requests, interval_s, max_batch):
    """Every part of every request in every interval, and every time, to rounding."""
    base = T0 - T0 % interval_s
    assert base == T0
    replay = Replay(PROFILE, interval_s, max_batch)
    first, last = replay.push(batch_of(requests)), replay.finish()
    found = parts_of(first) | parts_of(last)
    want, idle_j = simulate(requests, PROFILE, interval_s, max_batch)
    assert sorted(found) == sorted(want)
    for i, expected in want.items():
        slots, times, alone_j = found[i]
        assert times == pytest.approx((expected["start"], expected["first"], expected["end"]), abs=2e-6)
        assert alone_j == pytest.approx(expected["alone"], rel=1e-9, abs=1e-9)
        assert {s for s, parts in slots.items() if parts.any()} == {s * interval_s for s in expected["slots"]}
        for slot, parts in expected["slots"].items():
            assert slots[slot * interval_s] == pytest.approx(parts, rel=1e-9, abs=1e-9)
    metered = sum(w.energy_j for w in replay.readings())
    handed = sum(float(np.sum(p)) for slots, _, _ in found.values() for p in slots.values())
    assert metered == pytest.approx(handed + idle_j, rel=1e-9)
    assert replay.conservation_error() <= 1e-9


@given(requests=REQUESTS.filter(lambda r: len(r) > 0), left_out=st.integers(0, 11))
def test_marginal_energy_is_what_a_lone_request_adds_to_the_meter(requests, left_out):
    """Far from all others a request adds its own tokens and its steps' fixed energy above idle, as its receipt says."""
    far = 1_000_000.0
    gone = requests[left_out % len(requests)]
    alone = [*(r for n, r in enumerate(requests) if n != left_out % len(requests)), (far, *gone[1:])]

    def dynamic_j(log):
        replay = Replay(PROFILE, 900, 4)
        done = [replay.push(batch_of(log)), replay.finish()] if log else []
        return sum(w.dynamic_j for w in replay.readings()), done

    with_it, done = dynamic_j(alone)
    without, _ = dynamic_j(alone[:-1])
    last = len(alone) - 1
    for part in done:
        for at in np.flatnonzero(part.batch.row == last):
            mine = part.slice_request == at
            own_j = (part.prefill_j + part.decode_j)[mine].sum()
            assert own_j + part.alone_j[at] == pytest.approx(with_it - without, rel=1e-9, abs=1e-6)


@given(requests=REQUESTS, cuts=st.lists(st.integers(0, 12), max_size=4), n_devices=st.integers(1, 3))
def test_pushing_in_parts_changes_nothing(requests, cuts, n_devices):
    """A log in pieces is the same log: same requests, same joules, same times."""
    whole = Replay(PROFILE, 900, 4, n_devices)
    want = parts_of(whole.push(batch_of(requests))) | parts_of(whole.finish())
    pieces = Replay(PROFILE, 900, 4, n_devices)
    everything = batch_of(requests)
    found = {}
    edges = sorted({0, len(requests), *(c for c in cuts if c < len(requests))})
    for a, b in itertools.pairwise(edges):
        part = replace(
            everything,
            **{
                n: getattr(everything, n)[a:b]
                for n in ("row", "arrival_us", "prompt_tokens", "generated_tokens")
            },
        )
        found |= parts_of(pieces.push(part))
    found |= parts_of(pieces.finish())
    assert sorted(found) == sorted(want)
    for i, (slots, times, _) in want.items():
        assert found[i][1] == pytest.approx(times, abs=2e-6)
        total = np.sum(list(slots.values()), axis=0)
        assert np.sum(list(found[i][0].values()), axis=0) == pytest.approx(total, rel=1e-9, abs=1e-9)
    assert pieces.conservation_error() <= 1e-9


def test_one_request_alone_pays_for_every_step_it_caused():
    """Ten tokens alone: one prefill step and nine decode steps, all fixed energy its own."""
    replay = Replay(PROFILE, 900)
    replay.push(batch_of([(0, 100, 10)]))
    done = replay.finish()
    assert done.prefill_j.sum() == pytest.approx(100 * PROFILE.j_per_prefill_token)
    assert done.decode_j.sum() == pytest.approx(9 * PROFILE.j_per_decode_token)
    assert done.step_fixed_j.sum() == pytest.approx(10 * PROFILE.fixed_j_per_step)
    assert done.alone_j[0] == pytest.approx(done.step_fixed_j.sum())


def test_two_alike_share_alike():
    """Two requests that arrive together and are alike pay alike, and each less than alone."""
    both = Replay(PROFILE, 900)
    both.push(batch_of([(0, 100, 10), (0, 100, 10)]))
    done = both.finish()
    totals = np.add.reduceat(
        done.prefill_j + done.decode_j + done.step_fixed_j + done.loaded_idle_j, done.first_slice
    )
    alone = Replay(PROFILE, 900)
    alone.push(batch_of([(0, 100, 10)]))
    one = alone.finish()
    assert totals[0] == pytest.approx(totals[1], rel=1e-12)
    assert totals[0] < float((one.prefill_j + one.decode_j + one.step_fixed_j + one.loaded_idle_j).sum())
    assert done.alone_j.tolist() == [0, 0]


def test_a_full_batch_makes_the_next_wait():
    """With room for one the second starts when the first ends."""
    replay = Replay(PROFILE, 900, max_batch=1)
    replay.push(batch_of([(0, 10, 50), (1000, 10, 5)]))
    done = replay.finish()
    order = np.argsort(done.batch.row)
    assert done.start_s[order][1] == pytest.approx(done.end_s[order][0], abs=1e-6)


@given(
    requests=st.lists(
        st.tuples(st.integers(0, 3_000_000), st.integers(0, 500), st.integers(0, 40), st.integers(0, 2_000_000)),
        min_size=1, max_size=10,
    ).map(sorted),
    interval_s=st.sampled_from([1, 900]),
)  # fmt: skip
def test_where_the_log_gives_ends_they_are_kept_and_energy_is_conserved(requests, interval_s):
    """Observed mode: the ends are the log's, own tokens cost what they cost, the meter closes."""
    replay = Replay(PROFILE, interval_s)
    log = batch_of([r[:3] for r in requests], ends=[r[0] + r[3] for r in requests])
    done = [replay.push(log), replay.finish()]
    assert replay.mode == "observed"
    assert replay.conservation_error() <= 1e-9
    assert sum(len(d) for d in done) == len(requests)
    for part in done:
        for i, row in enumerate(part.batch.row):
            assert part.end_s[i] - T0 == pytest.approx((requests[row][0] + requests[row][3]) / 1e6, abs=1e-6)
            mine = part.slice_request == i
            assert part.prefill_j[mine].sum() == pytest.approx(requests[row][1] * PROFILE.j_per_prefill_token)
            want = max(requests[row][2] - 1, 0) * PROFILE.j_per_decode_token
            assert part.decode_j[mine].sum() == pytest.approx(want)
            assert (part.step_fixed_j[mine] >= 0).all()


def test_logs_with_and_without_ends_do_not_mix():
    """One run is of one kind."""
    replay = Replay(PROFILE, 900)
    replay.push(batch_of([(0, 1, 1)]))
    with pytest.raises(InputError, match="some requests carry an end"):
        replay.push(batch_of([(10, 1, 1)], ends=[20]))


def test_nothing_in_nothing_out():
    """An empty replay has no readings, no requests and no error."""
    replay = Replay(PROFILE, 900)
    assert len(replay.finish()) == 0
    assert replay.readings() == []
    assert replay.conservation_error() == 0


def test_a_million_requests_close_to_the_ninth_digit():
    """Rounding does not add up: 10⁶ requests over two weeks."""
    draw = np.random.default_rng(7)
    n = 1_000_000
    batch = RequestBatch(
        row=np.arange(n), arrival_us=np.sort(draw.integers(0, 14 * 86_400 * 1_000_000, n)) + T0 * 1_000_000,
        prompt_tokens=draw.integers(1, 2000, n).astype(np.int32), generated_tokens=draw.integers(1, 300, n).astype(np.int32),
    )  # fmt: skip
    replay = Replay(PROFILE, 900, n_devices=2)
    assert len(replay.push(batch)) + len(replay.finish()) == n
    assert replay.conservation_error() <= 1e-9
