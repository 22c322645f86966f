"""Shares over a stream of steps: the same in one piece and in many, and nothing held for ever."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from gridmargin.attribution import RULES, StepEnergy, Tally
from gridmargin.attribution import tally as tally_module
from gridmargin.attribution.rule import PARTS
from gridmargin.attribution.rules.shapley import shapley
from gridmargin.engines import Steps, join_steps, steps_of

US = 1_000_000


def stream(
    seed: int, n_steps: int = 400, n_requests: int = 30, step_us: int = 50_000
) -> tuple[Steps, StepEnergy]:
    """Steps of one device in which each request takes part in one stretch."""
    random = np.random.default_rng(seed)
    first = random.integers(0, n_steps, n_requests)
    last = np.minimum(first + random.integers(1, 60, n_requests), n_steps)
    rows = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
    who = np.repeat(np.arange(n_requests), last - first)
    begins = rows == first[who]
    steps = steps_of(
        {"start_us": np.arange(n_steps) * step_us, "end_us": (np.arange(n_steps) + 1) * step_us},
        groups=[("gpu0",)], origin="test", member_row=rows,
        members={"member": who, "member_prefill": np.where(begins, 50, 0), "member_decode": np.where(begins, 0, 1)},
        request_ids=[f"q{i}" for i in range(n_requests)],
    )  # fmt: skip
    fixed = random.uniform(0.5, 2, n_steps)
    return steps, StepEnergy(
        fixed,
        steps.prefill_tokens * 0.015,
        steps.decode_tokens * 0.04,
        np.zeros(n_steps),
        np.full(n_steps, 6.0),
    )


def part(steps: Steps, energy: StepEnergy, rows: np.ndarray) -> tuple[Steps, StepEnergy]:
    return steps.take(rows), StepEnergy(*(getattr(energy, f)[rows] for f in StepEnergy.__slots__))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), cuts=st.lists(st.integers(1, 399), max_size=6, unique=True))
def test_a_stream_in_pieces_gives_what_it_gives_whole(seed: int, cuts: list[int]) -> None:
    steps, energy = stream(seed)
    whole = Tally(shapley, 5)
    whole.push(steps, energy)
    pieces, given_over = Tally(shapley, 5, patience_s=1.0), []
    for rows in np.split(np.arange(len(steps)), sorted(cuts)):
        given_over.append(pieces.push(*part(steps, energy, rows)))
    given_over.append(pieces.finish())
    assert_frame_equal(
        pl.concat(given_over).sort("request_id", "slot_start_s"), whole.finish(), abs_tol=1e-9, rel_tol=1e-12
    )
    assert pieces.conservation_error() < 1e-9


@pytest.mark.parametrize("name", list(RULES))
def test_what_is_handed_over_and_what_nobody_took_is_the_energy(name: str) -> None:
    steps, energy = stream(1)
    tally = Tally(RULES.get(name), 5)
    found = pl.concat([tally.push(steps, energy), tally.finish()])
    handed = found.select(pl.sum_horizontal(pl.col(PARTS).sum())).item()
    assert handed + tally.unattributed_j == pytest.approx(energy.total_j.sum(), rel=1e-12)
    assert tally.conservation_error() < 1e-9


def test_a_step_belongs_to_the_interval_in_which_it_starts() -> None:
    """The third step begins before the fifth second and ends after it."""
    steps = steps_of(
        {"start_us": [0, 2 * US, 4 * US, 6 * US], "end_us": [2 * US, 4 * US, 6 * US, 8 * US]},
        groups=[("gpu0",)], origin="test", member_row=[0, 1, 2, 3],
        members={"member": [0] * 4, "member_prefill": [9, 0, 0, 0], "member_decode": [0, 1, 1, 1]}, request_ids=["a"],
    )  # fmt: skip
    one = np.ones(4)
    tally = Tally(shapley, 5)
    tally.push(steps, StepEnergy(one, 0 * one, 0 * one, 0 * one, 0 * one))
    found = tally.finish()
    assert found["slot_start_s"].to_list() == [0, 5]
    assert found["step_fixed_j"].to_list() == [3.0, 1.0]
    assert found["alone_j"].to_list() == [3.0, 1.0]
    assert found["prefilled_us"].to_list() == [2 * US, None]
    assert found["decoding_us"].to_list() == [2 * US, 6 * US]
    assert found["end_us"].to_list() == [6 * US, 8 * US]


def test_a_request_that_is_silent_is_handed_over_once_and_memory_does_not_grow() -> None:
    """Two hours of steps, one request a second: never more than the patience's worth is held."""
    tally = Tally(shapley, 300, patience_s=30.0)
    seen: list[str] = []
    for minute in range(120):
        n = 60
        steps = steps_of(
            {"start_us": (minute * n + np.arange(n)) * US, "end_us": (minute * n + np.arange(n) + 1) * US},
            groups=[("gpu0",)], origin="test", member_row=range(n), members={"member": range(n), "member_decode": [1] * n},
            request_ids=[f"q{minute * n + i}" for i in range(n)],
        )  # fmt: skip
        one = np.ones(n)
        seen += tally.push(steps, StepEnergy(one, 0 * one, one, 0 * one, one))["request_id"].to_list()
        assert tally.held.height <= 90
    seen += tally.finish()["request_id"].to_list()
    assert len(seen) == len(set(seen)) == 7200


def test_many_requests_in_many_intervals_are_added_up_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a table of every request in every interval would be too large, only the cells that are there are kept."""
    steps, energy = stream(3)
    dense, sparse = Tally(shapley, 1), Tally(shapley, 1)
    dense.push(steps, energy)
    monkeypatch.setattr(tally_module, "MOST_CELLS", 10)
    sparse.push(steps, energy)
    assert_frame_equal(dense.finish(), sparse.finish())


def test_devices_that_step_at_the_same_time_share_a_request() -> None:
    """A request that ran on two devices has the parts of both."""
    first, energy = stream(4, 50, 5)
    second = Steps(**{f: getattr(first, f) for f in Steps.__slots__} | {"groups": (("gpu1",),)})
    both = join_steps([first, second])
    tally, single = Tally(shapley, 60), Tally(shapley, 60)
    twice = StepEnergy(*(np.tile(getattr(energy, f), 2) for f in StepEnergy.__slots__))
    tally.push(both, twice)
    single.push(first, energy)
    assert tally.finish()["step_fixed_j"].to_numpy() == pytest.approx(
        2 * single.finish()["step_fixed_j"].to_numpy()
    )
