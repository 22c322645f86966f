"""Unit-commitment instances as pglib-uc writes them: read whole, or refused by the term at fault."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from gridmargin.grid.commitment_case import commitment_case
from gridmargin.sources.pglib_uc import parse_uc, uc_files
from gridmargin.vocab import TableError

UNIT = {
    "must_run": 0, "power_output_minimum": 20.0, "power_output_maximum": 50.0, "ramp_up_limit": 15.0,
    "ramp_down_limit": 16.0, "ramp_startup_limit": 20.0, "ramp_shutdown_limit": 21.0, "time_up_minimum": 3,
    "time_down_minimum": 2, "power_output_t0": 0.0, "unit_on_t0": 0, "time_up_t0": 0, "time_down_t0": 7,
    "startup": [{"lag": 2, "cost": 100.0}, {"lag": 6, "cost": 180.0}],
    "piecewise_production": [{"mw": 20.0, "cost": 500.0}, {"mw": 30.0, "cost": 700.0}, {"mw": 50.0, "cost": 1200.0}],
    "name": "A",
}  # fmt: skip
WIND = {"power_output_minimum": [0.0, 1.0], "power_output_maximum": [5.0, 6.0], "name": "W"}
SAMPLE = {
    "time_periods": 2,
    "demand": [40.0, 45.0],
    "reserves": [1.0, 2.0],
    "thermal_generators": {"A": UNIT},
    "renewable_generators": {"W": WIND, "X": WIND},
}


def test_an_instance_is_read_with_its_units_and_costs() -> None:
    """Slopes are cost over megawatts, renewables are added up, and the state before is the one that held."""
    case = commitment_case(parse_uc("sample.json", json.dumps(SAMPLE).encode()))
    assert (case.name, case.n_units, case.n_hours) == ("sample", 1, 2)
    assert case.segment_mw.tolist() == [[10.0, 20.0]]
    assert case.segment_cost_per_mwh.tolist() == [[20.0, 25.0]]
    assert case.renewable_maximum_mw.tolist() == [10.0, 12.0]
    assert case.renewable_minimum_mw.tolist() == [0.0, 2.0]
    assert case.hours_before.tolist() == [7]
    assert case.start_cost.tolist() == [[100.0, 180.0]]
    assert case.minimum_up_h.tolist() == [3]


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("demand",), [40.0], "demand has 1 values for 2 time periods"),
        (("demand",), [40.0, None], "hour 1: demand is None"),
        (("demand",), [40.0, float("nan")], "hour 1: demand is nan"),
        (("thermal_generators",), {}, "no thermal generators"),
        (("thermal_generators", "A", "ramp_up_limit"), "fast", "unit A: ramp_up_limit is 'fast'"),
        (("thermal_generators", "A", "time_up_minimum"), 1.5, "unit A: time_up_minimum is 1.5"),
        (("thermal_generators", "A", "startup"), [], "unit A: startup is not a list"),
        (
            ("renewable_generators", "W", "power_output_maximum"),
            [1.0],
            "renewable W: power_output_maximum has 1",
        ),
        (("renewable_generators",), None, "no section 'renewable_generators'"),
    ],
)
def test_a_bad_term_is_named(at: tuple[str, ...], value: object, message: str) -> None:
    """File, unit and term stand in the message."""
    bent = copy.deepcopy(SAMPLE)
    place: dict = bent
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    with pytest.raises(TableError, match=message):
        parse_uc("sample.json", json.dumps(bent).encode())


def test_bytes_that_are_no_instance_are_refused() -> None:
    """Neither broken JSON nor a list is an instance."""
    with pytest.raises(TableError, match="is not JSON"):
        parse_uc("sample.json", b"{")
    with pytest.raises(TableError, match="holds a list"):
        parse_uc("sample.json", b"[]")


def test_a_cost_curve_that_bends_down_is_refused() -> None:
    """Cheaper at the top than below is no convex curve."""
    bent = copy.deepcopy(SAMPLE)
    bent["thermal_generators"]["A"]["piecewise_production"][1]["cost"] = 1100.0
    with pytest.raises(TableError, match="unit A: cost per megawatt-hour falls"):
        commitment_case(parse_uc("sample.json", json.dumps(bent).encode()))


def test_instances_are_found_by_what_they_hold(tmp_path: Path) -> None:
    """Another JSON file beside them is passed over."""
    (tmp_path / "grid" / "some").mkdir(parents=True)
    (tmp_path / "grid" / "some" / "a.json").write_text(json.dumps(SAMPLE))
    (tmp_path / "grid" / "some" / "b.json").write_text("{}")
    assert [path.name for path in uc_files(tmp_path)] == ["a.json"]
