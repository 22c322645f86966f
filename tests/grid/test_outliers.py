"""A value that cannot be is flagged with its rule, its size and its limit; what a grid does by itself is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gridmargin.grid import NO_TERM, RULES, FlagCode, GridStates, flags_of
from gridmargin.vocab import Fuel

START = datetime(2021, 3, 1, tzinfo=UTC)
DAYS = 30
N = 24 * DAYS


def usual(**changes: np.ndarray) -> GridStates:
    """A month in which coal and gas follow the load, the sun shines by day, and all of it adds up but for metering."""
    rng = np.random.default_rng(7)
    hour = np.arange(N)
    noise = rng.normal(0, 40, (4, N))
    load = 20_000 + 3_000 * np.sin(2 * np.pi * hour / 24) + np.cumsum(rng.normal(0, 60, N)) + noise[0]
    sun = np.maximum(0.0, 3_000 * np.sin(2 * np.pi * (hour - 6) / 24))
    coal, imports = 6_000 + 800 * np.sin(2 * np.pi * hour / 24) + noise[1], 700 + 5 * noise[2]
    peaker = np.where((hour % 170) < 2, 400.0, 0.0)
    columns = {
        "demand_mw": load,
        "net_imports_mw": imports,
        "generation_coal_mw": coal,
        "generation_gas_mw": load - coal - sun - imports - peaker + noise[3] / 4,
        "generation_solar_mw": sun,
        "generation_oil_mw": peaker,
        **changes,
    }
    starts = [START + timedelta(hours=int(h)) for h in hour]
    return GridStates(
        "US-ERCO",
        3600,
        pl.DataFrame(
            {
                "start_utc": pl.Series(starts, dtype=pl.Datetime("us", "UTC")),
                "status": ["reported"] * N,
                "completeness_frac": [1.0] * N,
                **columns,
            }
        ),
    )


def with_values(quantity: str, at: slice, value: float | np.ndarray) -> GridStates:
    values = usual().frame[quantity].to_numpy().copy()
    values[at] = value
    return usual(**{quantity: values})


def of(states: GridStates, code: FlagCode, quantity: str | None = None) -> pl.DataFrame:
    found = flags_of(states).filter(pl.col("code") == code.value)
    return found if quantity is None else found.filter(pl.col("quantity") == quantity)


def slots(flags: pl.DataFrame) -> list[int]:
    return [int((at - START) / timedelta(hours=1)) for at in flags["start_utc"]]


def test_a_usual_month_has_no_flag() -> None:
    """A daily shape, weather, a load that drifts and a peaker that runs two hours a week are how grids are."""
    assert flags_of(usual()).height == 0


def test_the_record_is_not_changed() -> None:
    """Flagging reads."""
    states = with_values("demand_mw", slice(100, 101), 0.0)
    before = states.frame.clone()
    flags_of(states)
    assert states.frame.equals(before)


@pytest.mark.parametrize(("factor", "length"), [(10.0, 1), (3.0, 3), (-1.0, 2)])
def test_a_spike_that_returns_is_flagged_in_each_of_its_hours(factor: float, length: int) -> None:
    """Coal at three or ten times, or with its sign turned, for up to three hours."""
    at = slice(300, 300 + length)
    coal = usual().frame["generation_coal_mw"].to_numpy()
    found = of(with_values("generation_coal_mw", at, coal[at] * factor), FlagCode.SPIKE, "generation_coal_mw")
    assert slots(found) == list(range(300, 300 + length))
    assert (found["size"].abs() > found["threshold"]).all()
    assert found["usual"].to_numpy() == pytest.approx(coal[at], rel=0.15)


def test_a_unit_that_trips_is_no_spike() -> None:
    """A step that stays is news, not an error."""
    coal = usual().frame["generation_coal_mw"].to_numpy().copy()
    gas = usual().frame["generation_gas_mw"].to_numpy().copy()
    coal[400:] -= 2_500
    gas[400:] += 2_500
    assert flags_of(usual(generation_coal_mw=coal, generation_gas_mw=gas)).height == 0


def test_ten_hours_in_another_unit_are_far_out() -> None:
    """Kilowatts for megawatts, longer than a spike, in by a leap and out by a leap."""
    coal = usual().frame["generation_coal_mw"].to_numpy()
    found = of(with_values("generation_coal_mw", slice(300, 310), coal[300:310] * 1000), FlagCode.FAR_OUT)
    assert slots(found.filter(pl.col("quantity") == "generation_coal_mw")) == list(range(300, 310))


def test_a_fuel_that_drops_to_exactly_zero_and_comes_back_is_flagged() -> None:
    """Six hours of zero coal between hours of 6 GW; a fleet that stays off is not."""
    assert slots(of(with_values("generation_coal_mw", slice(300, 306), 0.0), FlagCode.ZERO_DROP)) == list(
        range(300, 306)
    )
    assert of(with_values("generation_coal_mw", slice(300, 500), 0.0), FlagCode.ZERO_DROP).height == 0
    assert of(usual(), FlagCode.ZERO_DROP, "generation_solar_mw").height == 0


def test_a_demand_of_zero_is_never_true() -> None:
    """Zero is not unknown (C2)."""
    assert slots(of(with_values("demand_mw", slice(77, 78), 0.0), FlagCode.ZERO_DROP)) == [77]


def test_a_value_that_repeats_to_the_last_digit_is_stuck() -> None:
    """Gas for six hours at what it was; the nights without sun are zero, not stuck."""
    gas = float(usual().frame["generation_gas_mw"][300])
    found = of(with_values("generation_gas_mw", slice(300, 306), gas), FlagCode.STUCK)
    assert slots(found) == list(range(300, 306))
    assert found["size"].to_list() == [6.0] * 6
    assert found["threshold"].to_list() == [4.0] * 6


def test_a_plant_that_runs_flat_as_a_rule_is_not_stuck() -> None:
    """Nuclear, rounded to whole megawatts."""
    states = usual(generation_nuclear_mw=np.repeat(np.arange(DAYS, dtype=np.float64) % 3 + 5_000, 24))
    assert of(states, FlagCode.STUCK).height == 0


def test_only_what_cannot_charge_is_negative() -> None:
    """Wind below zero beyond 5 MW and 1 %; a store may be."""
    assert slots(of(with_values("generation_solar_mw", slice(240, 241), -100.0), FlagCode.NEGATIVE)) == [240]
    assert of(with_values("generation_solar_mw", slice(240, 241), -4.0), FlagCode.NEGATIVE).height == 0
    store = np.where(np.arange(N) % 24 < 4, -300.0, 100.0)
    assert of(usual(generation_battery_mw=store), FlagCode.NEGATIVE).height == 0


def test_more_than_is_installed_is_flagged_where_that_is_known() -> None:
    """A quarter above the register is left; beyond is not possible."""
    coal = float(usual().frame["generation_coal_mw"].max())  # type: ignore[arg-type]
    low = flags_of(usual(), {Fuel.COAL: coal / 1.3}).filter(pl.col("code") == FlagCode.ABOVE_CAPACITY.value)
    assert low.height >= 1
    assert (low["size"] > low["threshold"]).all()
    assert flags_of(usual(), {Fuel.COAL: coal / 1.2}).height == 0


def test_the_balance_names_the_term_and_what_would_close_it() -> None:
    """3 GW more demand in one hour: the term, its size, and the value that adds up."""
    states = usual()
    demand = float(states.frame["demand_mw"][300])
    found = of(with_values("demand_mw", slice(300, 301), demand + 3_000), FlagCode.BALANCE)
    assert found["quantity"].to_list() == ["demand_mw"]
    assert found["usual"][0] == pytest.approx(demand, abs=100)


def test_a_balance_that_is_always_open_blames_no_term() -> None:
    """A publisher that leaves out 4 GW of plants: each hour is told, and no value is doubted."""
    demand = usual().frame["demand_mw"].to_numpy() + 4_000
    found = flags_of(usual(demand_mw=demand))
    assert found.height == N
    assert set(found["quantity"]) == {NO_TERM}


def test_every_code_has_one_rule() -> None:
    """The table of reason codes is complete, in the code and on the page."""
    assert [rule.code for rule in RULES] == list(FlagCode)
    page = (Path(__file__).resolve().parents[2] / "docs" / "methods" / "quality.md").read_text(
        encoding="utf-8"
    )
    assert [code.value for code in FlagCode if f"| `{code.value}` |" not in page] == []
