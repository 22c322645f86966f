"""running_plants: the mix of what can be turned up, and the envelope of what may answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.marginal import Facts, FuelRate
from gridmargin.marginal.running_plants import RunningPlants
from gridmargin.vocab import Fuel
from marginal.fuel_mix import states_of

FACTS = Facts(
    "UTC",
    {
        Fuel.COAL: FuelRate(1000.0, "by hand", 0.1),
        Fuel.GAS: FuelRate(400.0, "by hand", 0.05),
        Fuel.HYDRO: FuelRate(0.0, "by hand", 0.0),
        Fuel.NUCLEAR: FuelRate(0.0, "by hand", 0.0),
        Fuel.WIND: FuelRate(0.0, "by hand", 0.0),
    },
)


def estimate(**mw):
    """One state of these fuels, fitted on itself."""
    states = states_of({Fuel(name): np.array([float(value)]) for name, value in mw.items()})
    return RunningPlants().estimate(states, RunningPlants().fit(states, FACTS))


def test_what_cannot_be_turned_up_does_not_count():
    """A gas plant beside a nuclear one and wind answers alone."""
    assert estimate(gas=100, nuclear=5000, wind=2000).mid == pytest.approx([400.0])


def test_plants_answer_in_proportion_to_what_they_run():
    """Three parts of water and one of coal are 250 g."""
    assert estimate(hydro=300, coal=100).mid == pytest.approx([250.0])


def test_the_range_reaches_from_nothing_to_the_dirtiest_plant():
    """Coal at a tenth more than its rate is the most."""
    found = estimate(gas=100, coal=100, hydro=50)
    assert (found.low, found.high) == (pytest.approx([0.0]), pytest.approx([1100.0]))


def test_a_fuel_that_never_runs_is_no_part_of_it():
    """A coal plant at rest in all of the history does not widen the range."""
    assert estimate(gas=100, coal=0).high == pytest.approx([420.0])


def test_it_is_supposed_and_says_so():
    """A reported state gives a modelled estimate (C2)."""
    assert estimate(gas=100).status.tolist() == ["modelled"]


@pytest.mark.parametrize(
    ("mw", "message"),
    [
        ({"hydro": 100, "wind": 50}, "needs fossil generation"),
        ({"oil": 10, "gas": 100}, "needs an emission rate for oil"),
    ],
)
def test_without_fire_or_a_rate_it_does_not_speak(mw, message):
    """Nothing is made up of an unknown rate, nor of a grid without fire (C8)."""
    states = states_of({Fuel(name): np.array([float(value)]) for name, value in mw.items()})
    assert message in RunningPlants().can_fit(states, FACTS)


@given(st.floats(0.1, 1e5), st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0.1, 100))
def test_only_proportions_matter(gas, coal, hydro, times):
    """Twice the grid answers alike, and always within its range."""
    one, other = (
        estimate(gas=gas, coal=coal, hydro=hydro),
        estimate(gas=gas * times, coal=coal * times, hydro=hydro * times),
    )
    assert one.mid == pytest.approx(other.mid)
    assert one.low[0] <= one.mid[0] <= one.high[0]
