"""Commitment: the proven path equals trying every schedule, both paths keep every limit, and bounds hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.grid.commitment_case import commitment_case
from gridmargin.marginal.commitment_bound import lower_bound
from gridmargin.marginal.commitment_check import verdict
from gridmargin.marginal.commitment_exact import exact_commitment
from gridmargin.marginal.commitment_fast import fast_commitment
from gridmargin.sources.pglib_uc import parse_uc, uc_files
from gridmargin.vocab import InputError, TableError
from marginal.commitment_cases import case_of, least_cost, plain_case


@pytest.mark.parametrize("seed", range(12))
def test_branch_and_bound_costs_what_the_best_of_all_schedules_costs(seed: int) -> None:
    """Every on/off plan of three units over four hours is tried, each with its own dispatch."""
    case = case_of(seed)
    best = least_cost(case)
    if best is None:
        with pytest.raises(InputError, match="no schedule can serve"):
            exact_commitment(case, 1e-9)
        return
    found = exact_commitment(case, 1e-9)
    assert found.cost == pytest.approx(best, rel=1e-6)
    judged = verdict(case, found.schedule)
    assert judged.broken == ()
    assert judged.cost == pytest.approx(best, rel=1e-5)


def test_some_drawn_cases_can_be_served_and_some_cannot() -> None:
    """The twelve above try both sides of the test."""
    served = [least_cost(case_of(seed, 2, 3)) is not None for seed in range(30)]
    assert any(served)
    assert not all(served)


@settings(max_examples=25)
@given(seed=st.integers(0, 100_000), n_units=st.integers(2, 6), n_hours=st.integers(2, 8))
def test_a_fast_schedule_keeps_every_limit_and_is_never_below_the_proven_cost(
    seed: int, n_units: int, n_hours: int
) -> None:
    """Where the fast path finds a schedule, one exists, and its cost is what the check says."""
    case = case_of(seed, n_units, n_hours)
    try:
        fast = fast_commitment(case)
    except InputError:
        return
    judged = verdict(case, fast.schedule)
    assert judged.broken == ()
    assert judged.cost == pytest.approx(fast.cost, rel=1e-9)
    exact = exact_commitment(case, 1e-9)
    assert verdict(case, exact.schedule).broken == ()
    assert exact.cost <= fast.cost * (1 + 1e-6)


@settings(max_examples=15)
@given(seed=st.integers(0, 100_000), price=st.floats(0, 100), reserve=st.floats(0, 20))
def test_any_prices_prove_a_bound(seed: int, price: float, reserve: float) -> None:
    """No prices, however wrong, give a bound above the cost of the best schedule."""
    case = case_of(seed)
    try:
        best = exact_commitment(case, 1e-9)
    except InputError:
        return
    flat = np.ones(case.n_hours)
    first = lower_bound(case, price * flat, reserve * flat)
    better = lower_bound(case, price * flat, reserve * flat, rounds=3)
    assert first <= better <= best.cost * (1 + 1e-7)


def test_the_large_case_path_proves_a_bound_below_its_schedule() -> None:
    """Sent down the large path, a small case is bounded below by its optimum and above by its schedule."""
    case = case_of(4, 6, 8)
    whole = exact_commitment(case, 1e-9)
    large = exact_commitment(case, 1e-9, whole_unit_hours=0)
    assert large.proof == "lagrangian"
    assert large.bound <= whole.cost * (1 + 1e-7)
    assert large.cost >= whole.cost * (1 - 1e-7)
    assert verdict(case, large.schedule).broken == ()


def test_a_light_load_is_served_by_the_cheap_unit_alone() -> None:
    """Two hours of 50 MW cost 2 (200 + 40 · 20): the dear unit stops, and a stop costs nothing."""
    case = plain_case([50.0, 50.0])
    for cost in (exact_commitment(case).cost, fast_commitment(case).cost, least_cost(case)):
        assert cost == pytest.approx(2000.0)


def test_a_start_is_paid_by_how_long_the_unit_was_off() -> None:
    """Off for two hours before, on in the first: the second step of 90, and not the first of 50."""
    case = plain_case(
        [150.0],
        is_on_before=np.array([True, False]),
        power_before_mw=np.array([10.0, 0.0]),
        hours_before=np.array([1, 2]),
        start_lag_h=np.array([[1, 2], [1, 2]]),
        start_cost=np.array([[50.0, 90.0], [50.0, 90.0]]),
    )
    want = 200 + 90 * 20 + 400 + 40 * 40 + 90
    assert exact_commitment(case).cost == pytest.approx(want)
    assert verdict(case, fast_commitment(case).schedule).cost == pytest.approx(want)


def test_the_check_names_each_limit_that_is_broken() -> None:
    """A schedule bent in one place is refused for that very reason."""
    case = plain_case([50.0, 50.0, 50.0], minimum_down_h=np.array([1, 2]))
    good = exact_commitment(case).schedule
    assert verdict(case, good).broken == ()
    more = good.power_mw.copy()
    more[0, 1] += 1
    assert "hour 1: generation minus demand is 1 MW" in verdict(case, replace(good, power_mw=more)).broken
    on = good.is_on.copy()
    on[1] = [False, True, True]
    assert any("off for 1 h only, of 2 h" in line for line in verdict(case, replace(good, is_on=on)).broken)
    slow = replace(case, ramp_up_mw_per_h=np.array([10.0, 10.0]))
    assert any("ramps up by" in line for line in verdict(slow, good).broken)
    short = replace(case, reserve_mw=np.full(3, 1000.0))
    assert any("reserve lacks" in line for line in verdict(short, good).broken)
    must = replace(case, is_must_run=np.array([True, True]))
    assert any("must run" in line for line in verdict(must, good).broken)
    tight = replace(case, shutdown_limit_mw=np.array([100.0, 10.0]), power_before_mw=np.array([10.0, 60.0]))
    assert any("stops from 60 MW" in line for line in verdict(tight, good).broken)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"demand_mw": np.array([50.0, -1.0])}, "hour 1: demand_mw is -1.0 MW"),
        ({"demand_mw": np.array([50.0, np.nan])}, "hour 1: demand_mw is nan"),
        ({"reserve_mw": np.zeros(3)}, "reserve_mw has shape"),
        ({"maximum_mw": np.array([100.0, 0.0])}, "unit dear: maximum_mw is not above zero"),
        ({"minimum_mw": np.array([10.0, np.nan])}, "unit dear: minimum_mw is nan"),
        ({"minimum_mw": np.array([10.0, 120.0])}, "unit dear: minimum_mw is below zero or above"),
        ({"segment_mw": np.array([[90.0], [80.0]])}, "unit dear: segments do not add up"),
        ({"minimum_up_h": np.array([0, 1])}, "unit cheap: minimum_up_h or minimum_down_h is below 1"),
        ({"ramp_up_mw_per_h": np.array([1.0, -1.0])}, "unit dear: a ramp limit is below zero"),
        ({"start_cost": np.array([[9.0, 5.0], [1.0, 1.0]])}, "unit cheap: start costs fall"),
        ({"power_before_mw": np.array([10.0, 5.0])}, "unit dear: power_before_mw lies outside"),
        ({"unit_names": ("cheap", "cheap")}, "unit cheap stands twice"),
    ],
)
def test_a_case_that_cannot_be_is_refused_by_its_term(changes: dict, message: str) -> None:
    """Each message names the unit or hour, and the term."""
    with pytest.raises(TableError, match=message):
        replace(plain_case([50.0, 50.0]), **changes)


def test_demand_beyond_capacity_is_refused_by_both_paths() -> None:
    """No silent shortfall: 300 MW of 200 MW."""
    case = plain_case([50.0, 300.0])
    with pytest.raises(InputError, match=r"hour 1.*lacks 100 MW"):
        fast_commitment(case)
    with pytest.raises(InputError, match="no schedule can serve"):
        exact_commitment(case)


@pytest.mark.data
def test_the_smallest_recorded_instance_is_committed_fast_and_within_two_percent(data_dir: Path) -> None:
    """73 units and 48 hours; the bound is proven from the fast path's own prices."""
    cases = [commitment_case(parse_uc(path.name, path.read_bytes())) for path in uc_files(data_dir)]
    case = min(cases, key=lambda case: case.n_units)
    fast = fast_commitment(case)
    judged = verdict(case, fast.schedule)
    assert judged.broken == ()
    bound = lower_bound(case, fast.energy_price, fast.reserve_price, rounds=10)
    assert 0 < (judged.cost - bound) / judged.cost < 0.02
