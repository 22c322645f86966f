"""What must hold of every attribution rule, over steps and over a single reading."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.attribution import RULES, Split, StepEnergy, split
from gridmargin.attribution.rules.shapley import shapley
from gridmargin.engines import Steps, steps_of
from gridmargin.meters import Reading
from gridmargin.reference import profile_for
from gridmargin.requests import Request
from gridmargin.vocab import InputError, Interval, Status

T0 = datetime(2026, 7, 15, 18, tzinfo=UTC)
WINDOW = Interval.starting(T0, 60)
PROFILE = profile_for("H100", "llama-3.1-8b")
WHO = tuple("abcdefgh")

MEMBER = st.tuples(
    st.integers(0, 7), st.integers(0, 900), st.integers(0, 300), st.integers(0, 3), st.floats(0, 9)
)
ROW = st.tuples(
    st.lists(MEMBER, max_size=8, unique_by=lambda member: member[0]),
    st.integers(0, 2),
    st.tuples(*[st.floats(0, 1e5)] * 5),
)
"""Who took part with which tokens, how many more that nobody knows by id, and the row's energy by cause."""


def built(rows: list) -> tuple[Steps, StepEnergy]:
    members = [(i, *member) for i, (held, _, _) in enumerate(rows) for member in held]
    columns = list(zip(*members, strict=True)) or [[]] * 6
    steps = steps_of(
        {
            "start_us": np.arange(len(rows)) * 1000,
            "end_us": np.arange(len(rows)) * 1000 + 900,
            "n_active": [len(held) + unknown for held, unknown, _ in rows],
        },
        groups=[("gpu0",)],
        origin="test",
        member_row=np.array(columns[0], np.int64),
        members={
            "member": np.array(columns[1], np.int64), "member_prefill": columns[2], "member_cached": columns[3],
            "member_decode": columns[4], "member_work": columns[5],
        },
        request_ids=WHO,
    )  # fmt: skip
    energy = np.array([energies for _, _, energies in rows], np.float64).reshape(-1, 5).T
    # A cost model gives no energy to tokens that are not there.
    fixed, prefill, decode, work, idle = energy
    return steps, StepEnergy(
        fixed,
        np.where(steps.prefill_tokens > 0, prefill, 0.0),
        np.where(steps.decode_tokens > 0, decode, 0.0),
        np.where(steps.work_units > 0, work, 0.0),
        idle,
    )


def test_there_are_rules_to_examine() -> None:
    """The suite below examines something."""
    assert {"shapley", "token_share", "time_share", "marginal"} <= set(RULES)


@pytest.mark.parametrize("name", list(RULES))
@settings(max_examples=2500)
@given(rows=st.lists(ROW, max_size=5))
def test_every_row_adds_up_to_its_energy_and_no_share_is_below_zero(name: str, rows: list) -> None:
    steps, energy = built(rows)
    shares = RULES.get(name)(steps, energy)
    handed = np.bincount(steps.row_of_member, shares.total_j, len(steps))
    assert handed + shares.unattributed_j == pytest.approx(energy.total_j, rel=1e-9, abs=1e-9)
    assert (shares.unattributed_j >= 0).all()
    for part in (shares.prefill_j, shares.decode_j, shares.work_j, shares.step_fixed_j, shares.loaded_idle_j):
        assert (part >= 0).all()
    assert (shares.unattributed_j[steps.n_members == 0] == energy.total_j[steps.n_members == 0]).all()


@pytest.mark.parametrize("name", list(RULES))
@given(rows=st.lists(ROW, min_size=1, max_size=4), seed=st.randoms())
def test_the_order_of_rows_and_members_does_not_matter(name: str, rows: list, seed) -> None:
    steps, energy = built(rows)
    order = list(range(len(rows)))
    seed.shuffle(order)
    moved = steps.take(np.array(order))
    other = StepEnergy(*(getattr(energy, f)[order] for f in StepEnergy.__slots__))
    rule = RULES.get(name)

    def by_request(of: Steps, energy: StepEnergy) -> list[float]:
        return np.bincount(of.member, rule(of, energy).total_j, len(WHO)).tolist()

    assert by_request(moved, other) == pytest.approx(by_request(steps, energy), rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("name", list(RULES))
@given(
    rows=st.lists(ROW, min_size=1, max_size=4), added=st.lists(st.tuples(*[st.floats(0, 1e5)] * 5), min_size=4, max_size=4)
)  # fmt: skip
def test_shares_of_two_energies_add_up(name: str, rows: list, added: list) -> None:
    """What is shared of a device and of its host is what is shared of both together."""
    steps, first = built(rows)
    _, second = built(
        [(held, unknown, energies) for (held, unknown, _), energies in zip(rows, added, strict=False)]
    )
    both = StepEnergy(*(getattr(first, f) + getattr(second, f) for f in StepEnergy.__slots__))
    rule = RULES.get(name)
    assert rule(steps, both).total_j == pytest.approx(
        rule(steps, first).total_j + rule(steps, second).total_j, rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize("name", list(RULES))
@given(rows=st.lists(ROW, min_size=1, max_size=3), tokens=st.tuples(st.integers(0, 90), st.integers(0, 90)))
def test_equals_get_equal_shares(name: str, rows: list, tokens: tuple[int, int]) -> None:
    """Two with the same tokens in the same steps."""
    twins = [
        (
            [m for m in held if m[0] > 1] + [(who, tokens[0], 0, tokens[1], 1.0) for who in (0, 1)],
            unknown,
            energies,
        )
        for held, unknown, energies in rows
    ]
    steps, energy = built(twins)
    shares = np.bincount(steps.member, RULES.get(name)(steps, energy).total_j, len(WHO))
    assert shares[0] == shares[1]


@pytest.mark.parametrize("name", list(RULES))
@given(rows=st.lists(ROW, min_size=1, max_size=4))
def test_who_takes_no_part_gets_nothing(name: str, rows: list) -> None:
    steps, energy = built(rows)
    shares = np.bincount(steps.member, RULES.get(name)(steps, energy).total_j, len(WHO))
    absent = sorted(set(range(8)) - set(steps.member.tolist()))
    assert (shares[absent] == 0).all()


@pytest.mark.parametrize("name", list(RULES))
@given(rows=st.lists(ROW, min_size=1, max_size=4))
def test_tokens_from_a_cache_cost_nothing_again(name: str, rows: list) -> None:
    steps, energy = built(rows)
    rule = RULES.get(name)
    without = replace(steps, member_cached=steps.member_cached * 0, cached_tokens=steps.cached_tokens * 0)
    assert (rule(steps, energy).total_j == rule(without, energy).total_j).all()


@pytest.mark.parametrize("name", list(RULES))
def test_who_is_not_known_by_id_keeps_a_share(name: str) -> None:
    """Of four in a step two are known: the other two's part is nobody's, and not laid on those who are."""
    steps = steps_of(
        {"start_us": [0], "end_us": [1000], "n_active": [4], "decode_tokens": [4]},
        groups=[("gpu0",)], origin="test", member_row=[0, 0], members={"member": [0, 1], "member_decode": [1, 1]},
        request_ids=["a", "b"],
    )  # fmt: skip
    one = np.ones(1)
    shares = RULES.get(name)(steps, StepEnergy(0 * one, 0 * one, 8 * one, 0 * one, 0 * one))
    assert shares.total_j.tolist() == [2.0, 2.0]
    assert shares.unattributed_j.tolist() == [4.0]


@settings(max_examples=400)
@given(
    own=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=8),
    prices=st.tuples(st.floats(0, 50), st.floats(0, 2), st.floats(0, 2), st.floats(0, 20)),
)
def test_shapley_is_the_mean_of_what_each_adds_over_every_order(own: list, prices: tuple) -> None:
    """Against the definition, as the sum over every group that a request may find before it."""
    fixed_j, j_prefill, j_decode, idle_j = prices
    n = len(own)
    costs = [prefill * j_prefill + decode * j_decode for prefill, decode in own]

    def worth(group: tuple[int, ...]) -> float:
        return (fixed_j + idle_j if group else 0.0) + math.fsum(costs[i] for i in group)

    steps = steps_of(
        {"start_us": [0], "end_us": [1000]},
        groups=[("gpu0",)], origin="test", member_row=[0] * n,
        members={"member": range(n), "member_prefill": [p for p, _ in own], "member_decode": [d for _, d in own]},
        request_ids=WHO[:n],
    )  # fmt: skip
    energy = StepEnergy(
        np.array([fixed_j]), steps.prefill_tokens * j_prefill, steps.decode_tokens * j_decode, np.zeros(1),
        np.array([idle_j]),
    )  # fmt: skip
    shares = shapley(steps, energy).total_j
    for player in range(n):
        others = [i for i in range(n) if i != player]
        value = math.fsum(
            math.factorial(k) * math.factorial(n - k - 1) / math.factorial(n)
            * (worth((*group, player)) - worth(group))
            for k in range(n)
            for group in itertools.combinations(others, k)
        )  # fmt: skip
        assert shares[player] == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_marginal_is_what_would_not_have_been_drawn() -> None:
    """A step for one costs it in full but its idle; a step for two costs each its own tokens."""
    steps, energy = built(
        [
            ([(0, 10, 0, 0, 0.0)], 0, (4.0, 1.0, 0.0, 0.0, 2.0)),
            ([(0, 0, 0, 1, 0.0), (1, 0, 0, 1, 0.0)], 0, (4.0, 0.0, 3.0, 0.0, 2.0)),
        ]
    )
    shares = RULES.get("marginal")(steps, energy)
    assert shares.total_j.tolist() == [5.0, 1.5, 1.5]
    assert shares.unattributed_j.tolist() == [2.0, 6.0]


# A single reading, where only the requests' times and tokens are known.


def reading(energy_j: float) -> Reading:
    return Reading("H100/0", WINDOW, energy_j, 60.0, "modelled", Status.MODELLED)


def request(number: int, start_s: float, length_s: float, prompt: int = 100, generated: int = 20) -> Request:
    start = T0 + timedelta(seconds=start_s)
    return Request(f"q{number}", start, prompt, generated, start + timedelta(seconds=length_s))


REQUESTS = st.lists(
    st.tuples(st.floats(-120, 120), st.floats(0, 90), st.integers(0, 3000), st.integers(0, 500)), max_size=8
).map(lambda rows: [request(i, *row) for i, row in enumerate(rows)])


@pytest.mark.parametrize("profile", [PROFILE, None], ids=["profile", "none"])
@pytest.mark.parametrize("name", list(RULES))
@given(requests=REQUESTS, energy_j=st.floats(0, 1e7))
def test_a_reading_is_handed_out_in_full_and_every_request_is_named(
    name, profile, requests, energy_j
) -> None:
    found = split(requests, reading(energy_j), RULES.get(name), profile)
    assert found.energy_j == pytest.approx(energy_j, rel=1e-9, abs=1e-9)
    assert found.unattributed_j >= -1e-9
    assert all(share >= 0 for share in found.shares_j.values())
    assert set(found.shares_j) == {r.request_id for r in requests}


@pytest.mark.parametrize("name", list(RULES))
@given(requests=REQUESTS, seed=st.randoms())
def test_the_order_of_requests_does_not_matter(name, requests, seed) -> None:
    shuffled = list(requests)
    seed.shuffle(shuffled)
    rule = RULES.get(name)
    assert split(requests, reading(1000.0), rule, PROFILE) == split(shuffled, reading(1000.0), rule, PROFILE)


@pytest.mark.parametrize("name", list(RULES))
def test_a_reading_with_nobody_there_is_nobodys(name) -> None:
    rule = RULES.get(name)
    assert split([], reading(10.0), rule, PROFILE) == Split({}, 10.0)
    assert split([request(1, 300, 10)], reading(10.0), rule, PROFILE) == Split({"q1": 0.0}, 10.0)


@pytest.mark.parametrize("name", list(RULES))
def test_a_request_that_begins_as_the_window_ends_is_outside(name) -> None:
    found = split([request(1, 5, 20), request(2, 60, 10)], reading(5000.0), RULES.get(name), PROFILE)
    assert found.shares_j["q2"] == 0
    assert found.shares_j["q1"] > 0


def test_an_id_that_stands_twice_is_refused() -> None:
    """Two requests of one name could not be told apart on a receipt."""
    with pytest.raises(InputError, match="'q1' stands twice"):
        split([request(1, 5, 20), request(1, 6, 20)], reading(5000.0), shapley, PROFILE)


def test_a_reading_is_shared_moment_by_moment() -> None:
    """Idle of the empty half minute is nobody's; the shared half minute is halved, but for each one's own tokens."""
    found = split(
        [request(1, 0, 30, 1000, 1), request(2, 0, 30, 0, 101)], reading(20_000.0), shapley, PROFILE
    )
    idle_j = PROFILE.loaded_idle_w * 30
    own = [1000 * PROFILE.j_per_prefill_token, 100 * PROFILE.j_per_decode_token]
    assert found.unattributed_j == pytest.approx(idle_j)
    shared_j = 20_000.0 - idle_j - sum(own)
    assert found.shares_j["q1"] == pytest.approx(shared_j / 2 + own[0])
    assert found.shares_j["q2"] == pytest.approx(shared_j / 2 + own[1])
