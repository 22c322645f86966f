"""The commitment backtest: both paths judged against a proven bound, on instances found in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridmargin.evaluation import TASKS, Ask
from gridmargin.vocab import InputError, UnknownNameError


def unit(cost: float) -> dict:
    return {
        "must_run": 0, "power_output_minimum": 10.0, "power_output_maximum": 100.0, "ramp_up_limit": 90.0,
        "ramp_down_limit": 90.0, "ramp_startup_limit": 100.0, "ramp_shutdown_limit": 100.0,
        "time_up_minimum": 1, "time_down_minimum": 1, "power_output_t0": 10.0, "unit_on_t0": 1, "time_up_t0": 1,
        "time_down_t0": 0, "startup": [{"lag": 1, "cost": 50.0}],
        "piecewise_production": [{"mw": 10.0, "cost": 10 * cost}, {"mw": 100.0, "cost": 100 * cost}],
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One instance of two units, 20 and 40 dollars a megawatt-hour."""
    instance = {
        "time_periods": 2,
        "demand": [50.0, 150.0],
        "reserves": [0.0, 0.0],
        "thermal_generators": {"cheap": unit(20.0), "dear": unit(40.0)},
        "renewable_generators": {},
    }
    (tmp_path / "small.json").write_text(json.dumps(instance))
    return tmp_path


def test_both_paths_are_scored_against_what_no_schedule_undercuts(folder: Path) -> None:
    """50 · 20, then 100 · 20 + 50 · 40, and a start of 50 since the dear unit is cheaper off in the first hour."""
    report = TASKS.get("commitment")(Ask(folder))
    json.dumps(report, allow_nan=False)
    fast, exact = report["rows"]
    assert exact["cost"] == pytest.approx(1000 + 2000 + 2000 + 50)
    assert exact["reference"] == "milp-bound"
    for row in (fast, exact):
        assert (row["region"], row["n"], row["n_hours"]) == ("small", 2, 2)
        assert row["cost"] >= row["bound"] * (1 - 1e-9)
        assert row["gap_frac"] == pytest.approx((row["cost"] - row["bound"]) / row["cost"])
        assert row["seconds"] > 0


def test_what_the_task_has_no_use_for_is_refused(folder: Path) -> None:
    """A year, an instance that is not there, and a folder without instances."""
    run = TASKS.get("commitment")
    with pytest.raises(InputError, match="leave out `test_year`"):
        run(Ask(folder, test_year=2020))
    with pytest.raises(UnknownNameError, match="small"):
        run(Ask(folder, region="large"))
    (folder / "small.json").unlink()
    with pytest.raises(InputError, match="no unit-commitment instance"):
        run(Ask(folder))
