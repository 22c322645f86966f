"""What is wrong with a state is named: the interval, the term, the size."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.grid import Fault, FaultKind, GridStates, faults_of, require_sound, sound, states_of_table
from gridmargin.vocab import TableError

START = datetime(2024, 5, 1, tzinfo=UTC)
N = 24


def balanced(n: int = N) -> GridStates:
    """Gas follows a demand that coal, wind and imports leave over; every hour adds up."""
    hour = np.arange(n)
    demand = 10_000 + 2_000 * np.sin(2 * np.pi * hour / 24)
    coal, wind, imports = np.full(n, 2_000.0), 1_000.0 + 10 * hour, np.full(n, 500.0)
    return GridStates(
        "US-ERCO",
        3600,
        pl.DataFrame(
            {
                "start_utc": pl.Series(
                    [START + timedelta(hours=int(h)) for h in hour], dtype=pl.Datetime("us", "UTC")
                ),
                "status": ["reported"] * n,
                "completeness_frac": [1.0] * n,
                "demand_mw": demand,
                "net_imports_mw": imports,
                "imports_from_US-SPP_mw": imports,
                "generation_coal_mw": coal,
                "generation_gas_mw": demand - coal - wind - imports,
                "generation_wind_mw": wind,
            }
        ),
    )


def changed(states: GridStates, row: int, **values: float | None) -> GridStates:
    frame = states.frame
    for column, value in values.items():
        cells = frame[column].to_list()
        cells[row] = value
        frame = frame.with_columns(pl.Series(column, cells, dtype=pl.Float64))
    return replace(states, frame=frame)


def only(faults: list[Fault]) -> Fault:
    assert len(faults) == 1, [fault.message for fault in faults]
    return faults[0]


def test_a_state_that_adds_up_has_no_fault() -> None:
    """Generation and imports are demand, and nothing is flagged."""
    states = balanced()
    assert faults_of(states) == []
    assert require_sound(states) is states
    assert sound(states) == (states, [])


@pytest.mark.parametrize(
    ("column", "sign"),
    [("generation_coal_mw", 1), ("generation_wind_mw", 1), ("demand_mw", -1), ("generation_gas_mw", 1)],
)
def test_the_term_at_fault_is_named_with_its_size(column: str, sign: int) -> None:
    """One term moved by 3 GW: the mismatch is its, and is 3 GW."""
    states = balanced()
    was = float(states.frame[column][11])
    fault = only(faults_of(changed(states, 11, **{column: was + 3_000})))
    assert fault.kind is FaultKind.BALANCE
    assert fault.term == column
    assert fault.size == pytest.approx(sign * 3_000)
    assert fault.start_utc == START + timedelta(hours=11)
    assert column in fault.message


@given(mismatch=st.floats(-5_000, 5_000), row=st.integers(0, N - 1))
def test_only_what_is_beyond_the_tolerance_is_flagged(mismatch: float, row: int) -> None:
    """2 % of the demand and 25 MW are metering; the flag's size is the mismatch."""
    states = balanced()
    demand = float(states.frame["demand_mw"][row])
    found = [
        fault
        for fault in faults_of(changed(states, row, net_imports_mw=500 + mismatch))
        if fault.kind is FaultKind.BALANCE
    ]
    limit = 0.02 * demand + 25
    if abs(mismatch) > limit + 1e-6:
        assert only(found).size == pytest.approx(mismatch, abs=1e-6)
    elif abs(mismatch) < limit - 1e-6:
        assert found == []


def test_a_lasting_mismatch_blames_no_single_term() -> None:
    """Half of the generation left out of every hour: no term stands out against itself."""
    states = balanced()
    halved = replace(states, frame=states.frame.with_columns(demand_mw=pl.col("demand_mw") + 4_000))
    found = faults_of(halved)
    assert len(found) == N
    assert {fault.term for fault in found} == {"none stands out"}


def test_negative_generation_is_flagged_and_charging_is_not() -> None:
    """Wind cannot draw 500 MW; a battery can; a plant's own use is no fault."""
    states = balanced()
    fault = only(
        [f for f in faults_of(changed(states, 3, generation_wind_mw=-500.0)) if f.kind is FaultKind.NEGATIVE]
    )
    assert (fault.term, fault.size) == ("generation_wind_mw", -500.0)
    assert [
        f for f in faults_of(changed(states, 3, generation_wind_mw=-5.0)) if f.kind is FaultKind.NEGATIVE
    ] == []
    charging = replace(
        states,
        frame=states.frame.with_columns(
            generation_battery_mw=pl.lit(-300.0), demand_mw=pl.col("demand_mw") - 300.0
        ),
    )
    assert faults_of(charging) == []


def test_a_fuel_that_is_usually_there_is_missed() -> None:
    """Null where the zone states a value otherwise; the balance of that hour is not struck."""
    fault = only(faults_of(changed(balanced(), 5, generation_coal_mw=None)))
    assert (fault.kind, fault.term) == (FaultKind.MISSING, "generation_coal_mw")
    assert math.isnan(fault.size)


def test_a_fuel_that_is_seldom_there_is_not_missed() -> None:
    """Oil that runs in one hour of the day is known there only."""
    states = balanced()
    oil = [None] * N
    oil[4] = 10.0
    frame = states.frame.with_columns(generation_oil_mw=pl.Series(oil, dtype=pl.Float64))
    assert faults_of(replace(states, frame=frame)) == []


def test_hours_without_fossil_plants_are_told_and_kept() -> None:
    """All-renewable is possible: flagged, but no contradiction."""
    states = balanced()
    demand = float(states.frame["demand_mw"][8])
    green = changed(states, 8, generation_coal_mw=0.0, generation_gas_mw=0.0, generation_wind_mw=demand - 500)
    fault = only(faults_of(green))
    assert fault.kind is FaultKind.NO_FOSSIL
    assert len(sound(green)[0]) == N


def test_neighbours_must_add_up_to_net_imports() -> None:
    """A tie of 2 GW beside net imports of 500 MW is flagged with the difference."""
    fault = only(faults_of(changed(balanced(), 2, **{"imports_from_US-SPP_mw": 2_000.0})))
    assert (fault.kind, fault.size) == (FaultKind.NEIGHBOURS, 1_500.0)


def test_a_nan_is_no_null() -> None:
    """NaN in a table of states is named; null is how absence is written."""
    states = balanced()
    frame = states.frame.with_columns(price_usd_per_mwh=pl.Series([math.nan] + [30.0] * (N - 1)))
    fault = only(faults_of(replace(states, frame=frame)))
    assert (fault.kind, fault.term) == (FaultKind.NOT_A_NUMBER, "price_usd_per_mwh")


def test_duplicate_shuffled_and_off_grid_intervals_are_refused_by_row() -> None:
    """The row is named, with what is wrong with it."""
    frame = balanced().frame
    with pytest.raises(TableError, match=r"row 2: is stated a second time"):
        states_of_table("US-ERCO", 3600, pl.concat([frame[:1], frame]))
    with pytest.raises(TableError, match=r"row 3: comes after a later interval"):
        states_of_table("US-ERCO", 3600, pl.concat([frame[:1], frame[2:3], frame[1:2], frame[3:]]))
    late = frame.with_columns(start_utc=pl.col("start_utc") + pl.duration(minutes=7))
    with pytest.raises(TableError, match=r"row 1: starts off the grid of 3600 s \(C1\)"):
        states_of_table("US-ERCO", 3600, late)
    assert len(states_of_table("US-ERCO", 3600, frame)) == N


def test_the_sound_part_is_what_is_left_when_contradictions_are_out() -> None:
    """Two bad hours of 24 leave 22, which are sound; refusing names the first and the count."""
    states = changed(changed(balanced(), 3, demand_mw=1_000.0), 9, generation_wind_mw=-900.0)
    rest, found = sound(states)
    assert len(rest) == N - 2
    assert faults_of(rest) == []
    assert len(found) >= 2
    with pytest.raises(TableError, match=r"US-ERCO 2024-05-01T03:00Z.*faults in all"):
        require_sound(states)
