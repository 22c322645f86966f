"""Unit commitment: instances are read or refused, schedules are checked, and the search is right where all can be tried."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridmargin.grid import CommitmentCase
from gridmargin.marginal.commitment import commit, relax
from gridmargin.marginal.commitment_check import check
from gridmargin.marginal.commitment_fast import commit_fast
from gridmargin.sources import read_uc_instance
from gridmargin.vocab import InputError, TableError


def unit(low: float, high: float, least: float, price: float, **terms: Any) -> dict[str, Any]:
    """Make one unit in the publisher's format."""
    mid = (low + high) / 2
    points = [(low, least), (mid, least + price * (mid - low)), (high, least + 1.2 * price * (high - low))]
    return {
        "must_run": 0, "power_output_minimum": low, "power_output_maximum": high, "ramp_up_limit": high,
        "ramp_down_limit": high, "ramp_startup_limit": high, "ramp_shutdown_limit": high, "time_up_minimum": 1,
        "time_down_minimum": 1, "power_output_t0": 0.0, "unit_on_t0": 0, "time_down_t0": 5, "time_up_t0": 0,
        "startup": [{"lag": 1, "cost": 40.0}, {"lag": 3, "cost": 90.0}],
        "piecewise_production": [{"mw": mw, "cost": cost} for mw, cost in points],
    } | terms  # fmt: skip


ON = {"unit_on_t0": 1, "time_up_t0": 1, "time_down_t0": 0}


def instance(demand: list[float], **more: Any) -> dict[str, Any]:
    """Make an instance of three units."""
    units = {
        "base": unit(40, 100, 800, 18, time_up_minimum=2, time_down_minimum=2, ramp_up_limit=25.0,
                     ramp_startup_limit=60.0, ramp_shutdown_limit=60.0, ramp_down_limit=30.0,
                     power_output_t0=50.0, **ON),
        "mid": unit(20, 60, 700, 30, time_up_minimum=2),
        "peak": unit(5, 50, 300, 55),
    }  # fmt: skip
    wind = {"power_output_minimum": [0.0] * len(demand), "power_output_maximum": [6.0] * len(demand)}
    return {
        "time_periods": len(demand), "demand": demand, "reserves": [8.0] * len(demand), "thermal_generators": units,
        "renewable_generators": {"wind": wind},
    } | more  # fmt: skip


def read(whole: dict[str, Any]) -> CommitmentCase:
    """Read an instance as from a file."""
    return read_uc_instance("made-up", json.dumps(whole).encode())


def cheapest(case: CommitmentCase) -> float:
    """Try every on and off, each with every dispatch the programme finds for it alone."""
    n, n_h = len(case.unit_names), len(case.demand_mw)
    best = np.inf
    for bits in itertools.product((False, True), repeat=n * n_h):
        on = np.array(bits).reshape(n, n_h)
        verdict = check(case, on, np.where(on, case.minimum_mw[:, None], 0.0))
        if {v.limit for v in verdict.violations} & {"up-time", "down-time", "must-run"}:
            continue
        best = min(best, _dispatch(case, on))
    return best


def _dispatch(case: CommitmentCase, on: np.ndarray) -> float:
    """Dispatch one commitment with scipy, written anew: output and reserve of each unit and hour."""
    from scipy.optimize import linprog

    n, n_h, n_k = len(case.unit_names), len(case.demand_mw), case.step_mw.shape[1]
    x = np.arange(n * n_h * n_k).reshape(n, n_h, n_k)
    r = x.size + np.arange(n * n_h).reshape(n, n_h)
    width = x.size + r.size
    cost, upper = np.zeros(width), np.zeros(width)
    rows, most = [], []
    for h in range(n_h):
        row = np.zeros(width)
        row[x[:, h].ravel()] = 1.0
        net = case.demand_mw[h] - case.minimum_mw @ on[:, h]
        rows += [row, -row]
        most += [net, -(net - case.weather_max_mw[h])]
        row = np.zeros(width)
        row[r[:, h]] = -1.0
        rows.append(row)
        most.append(-case.reserve_mw[h])
    for g in range(n):
        for h in range(n_h):
            cost[x[g, h]] = case.step_cost_per_mwh[g]
            upper[x[g, h]] = case.step_mw[g] * on[g, h]
            upper[r[g, h]] = case.maximum_mw[g] * on[g, h]
            before = bool(on[g, h - 1]) if h else bool(case.was_on[g])
            here, last = np.zeros(width), np.zeros(width)
            here[x[g, h]] = 1.0
            was = 0.0
            if h:
                last[x[g, h - 1]] = 1.0
            elif before:
                was = case.was_mw[g] - case.minimum_mw[g]
            held = here.copy()
            held[r[g, h]] = 1.0
            top = case.maximum_mw[g]
            if on[g, h] and not before:
                top = min(top, case.start_mw[g])
            if on[g, h] and h + 1 < n_h and not on[g, h + 1]:
                top = min(top, case.stop_mw[g])
            rows += [held, held - last, last - here]
            most += [
                max(top - case.minimum_mw[g], 0.0) * on[g, h],
                case.ramp_up_mw[g] + was,
                case.ramp_down_mw[g] - was,
            ]
    if case.was_on.any() and (case.was_mw > case.stop_mw)[case.was_on & ~on[:, 0]].any():
        return np.inf
    found = linprog(cost, A_ub=np.array(rows), b_ub=most, bounds=np.stack([np.zeros(width), upper], axis=1))
    if not found.success:
        return np.inf
    fixed = check(case, on, np.where(on, case.minimum_mw[:, None], 0.0)).cost
    return float(found.fun) + fixed


@pytest.mark.parametrize("demand", [[60.0, 120.0, 90.0], [95.0, 40.0, 150.0], [55.0, 57.0, 120.0]])
def test_the_search_finds_what_trying_everything_finds(demand: list[float]) -> None:
    """The schedule costs what the cheapest of all 512 does, its bound and the relaxation's are not above it."""
    case = read(instance(demand))
    best = cheapest(case)
    assert np.isfinite(best)
    found = commit(case, time_limit_s=20.0, gap_frac=0.0)
    assert check(case, found.on, found.output_mw).violations == ()
    assert found.cost == pytest.approx(best, rel=1e-6)
    assert found.bound <= best * (1 + 1e-6)
    assert relax(case).bound <= best * (1 + 1e-9)


@pytest.mark.parametrize("demand", [[60.0, 120.0, 90.0], [55.0, 57.0, 120.0]])
def test_the_fast_schedule_keeps_every_limit_and_its_bound_holds(demand: list[float]) -> None:
    """Prices give an allowed schedule, not cheaper than the cheapest; their bound is not above it."""
    case = read(instance(demand))
    found, best = commit_fast(case), cheapest(case)
    assert check(case, found.on, found.output_mw).violations == ()
    assert found.cost >= best * (1 - 1e-9)
    assert found.bound <= best * (1 + 1e-9)


def plan(case: CommitmentCase, rows: list[list[float]]) -> set[str]:
    """Check a plan in which an output above zero means on."""
    output = np.array(rows, dtype=float)
    return {violation.limit for violation in check(case, output > 0.0, output).violations}


FLAT = [60.0, 60.0, 60.0]


@pytest.mark.parametrize(
    ("limit", "rows"),
    [
        ("balance", [[50, 50, 90], [0, 0, 0], [10, 10, 10]]),
        ("reserve", [[70, 92, 97], [0, 0, 0], [0, 0, 0]]),
        ("minimum", [[56, 56, 56], [0, 0, 0], [4, 4, 4]]),
        ("maximum", [[50, 50, 50], [0, 0, 0], [10, 10, 51]]),
        ("ramp-up", [[45, 45, 71], [0, 0, 0], [15, 15, 5]]),
        ("ramp-down", [[75, 44, 44], [0, 0, 0], [5, 16, 16]]),
        ("stop", [[50, 65, 0], [0, 0, 0], [10, 5, 50]]),
        ("up-time", [[0, 0, 0], [0, 20, 0], [50, 40, 50]]),
        ("down-time", [[50, 0, 50], [0, 0, 0], [10, 50, 10]]),
    ],
)
def test_the_check_sees_each_kind_of_violation(limit: str, rows: list[list[float]]) -> None:
    """A plan that breaks a limit is told so by that limit's name."""
    assert limit in plan(read(instance(FLAT)), rows)


def test_the_check_passes_a_plan_that_keeps_all() -> None:
    """Nothing is found where nothing is wrong, and the cost is what one works out by hand."""
    case = read(instance(FLAT, reserves=[8.0] * 3))
    output = np.array([[50.0] * 3, [0.0] * 3, [10.0] * 3])
    verdict = check(case, output > 0.0, output)
    assert verdict.violations == ()
    assert verdict.cost == pytest.approx(3 * (800 + 10 * 18) + 3 * (300 + 5 * 55) + 90)


def test_a_start_above_its_limit_and_a_unit_that_must_run_are_seen() -> None:
    """Off before, started at 65 MW of 60; and off although it must run."""
    whole = instance(FLAT)
    whole["thermal_generators"]["base"] |= {
        "unit_on_t0": 0,
        "time_up_t0": 0,
        "time_down_t0": 5,
        "power_output_t0": 0.0,
    }
    whole["thermal_generators"]["mid"]["must_run"] = 1
    assert {"start", "must-run"} <= plan(read(whole), [[65, 65, 65], [0, 0, 0], [0, 0, 0]])


def test_an_output_while_off_and_a_wrong_shape_are_refused() -> None:
    """Output needs a commitment; arrays must be units by hours and numbers."""
    case = read(instance(FLAT))
    limits = {v.limit for v in check(case, np.zeros((3, 3), bool), np.full((3, 3), 20.0)).violations}
    assert "off" in limits
    with pytest.raises(InputError, match="units by hours"):
        check(case, np.zeros((2, 3), bool), np.zeros((2, 3)))
    with pytest.raises(InputError, match="base in hour 0 is not a number"):
        check(case, np.ones((3, 3), bool), np.full((3, 3), np.nan))


def test_demand_beyond_all_units_is_refused() -> None:
    """The error says that nothing serves it."""
    case = read(instance([500.0] * 3))
    with pytest.raises(InputError, match="no commitment serves"):
        relax(case)
    with pytest.raises(InputError, match="prices found no schedule"):
        commit_fast(case, rounds=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"demand": [60.0, float("nan"), 60.0]}, r"demand\[1\] is nan, not a number"),
        ({"demand": [60.0, -1.0, 60.0]}, r"demand\[1\] is -1.0, below zero"),
        ({"reserves": [8.0]}, "reserves has 1 for 3 time_periods"),
        ({"time_periods": 0}, "time_periods is 0.0; give a whole number of at least 1"),
        ({"thermal_generators": {}}, "thermal_generators is empty"),
        ({"thermal_generators": {"x": {}}}, "x: power_output_minimum is missing"),
    ],
)
def test_an_instance_that_is_wrong_is_refused(change: dict[str, Any], message: str) -> None:
    """The error names the term."""
    with pytest.raises(TableError, match=message):
        read(instance(FLAT) | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_up_t0": 4}, "unit_on_t0 is 0 but time_up_t0 is 4"),
        ({"power_output_minimum": 70.0}, "above power_output_maximum"),
        ({"startup": []}, "startup is no list of points"),
        ({"must_run": 2}, "must_run is 2.0; give 0 or 1"),
        (
            {"piecewise_production": [{"mw": 20, "cost": 1}, {"mw": 50, "cost": 2}]},
            "piecewise_production runs",
        ),
    ],
)
def test_a_unit_that_is_wrong_is_refused(change: dict[str, Any], message: str) -> None:
    """The error names the unit and the term."""
    whole = instance(FLAT)
    whole["thermal_generators"]["mid"] |= change
    with pytest.raises(TableError, match=f"mid.*{message}"):
        read(whole)


@pytest.mark.data
def test_the_fast_schedule_of_the_test_system_keeps_every_limit(data_dir: Path) -> None:
    """Of the smallest published instance, checked by code of its own; within five per cent of its bound."""
    path = min((data_dir / "grid" / "uc_reference").glob("*.json"), key=lambda p: p.stat().st_size)
    case = read_uc_instance(path.stem, path.read_bytes())
    found = commit_fast(case)
    assert check(case, found.on, found.output_mw).violations == ()
    assert 0.0 <= found.gap_frac < 0.05
