"""average: the mix, labelled as such."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gridmargin.marginal import FuelRate
from gridmargin.marginal.average import Average
from gridmargin.vocab import Fuel, Kind, NoFactorError
from marginal.fuel_mix import FACTS, states_of


def test_the_average_is_emissions_over_generation() -> None:
    """1 of coal, 2 of gas, 1 of wind: (1000 + 800) ÷ 4."""
    states = states_of({Fuel.COAL: np.array([10.0]), Fuel.GAS: np.array([20.0]), Fuel.WIND: np.array([10.0])})
    estimates = Average().estimate(states, Average().fit(states, FACTS))
    assert estimates.mid.tolist() == [450.0]
    assert estimates.basis.kind is Kind.AVERAGE
    assert estimates.source_names == ("coal", "gas", "wind")
    # Rates known to 5 %: √((250 · 0.05)² + (200 · 0.05)²) = 16.0
    assert estimates.high[0] - 450.0 == pytest.approx(16.0, abs=0.01)
    assert 450.0 - estimates.low[0] == pytest.approx(16.0, abs=0.01)


def test_generation_of_an_unstated_source_widens_the_range_and_leaves_the_middle() -> None:
    """A tenth of `other` may be clean or as dirty as coal; it is not taken for zero."""
    mix = {Fuel.GAS: np.array([90.0])}
    bare, other = (states_of(m) for m in (mix, {**mix, Fuel.OTHER: np.array([10.0])}))
    (one,), (two,) = ([Average().estimate(s, Average().fit(s, FACTS))] for s in (bare, other))
    assert one.mid[0] == two.mid[0] == 400.0
    assert two.low[0] == pytest.approx(one.low[0] - 40.0)
    assert two.high[0] == pytest.approx(one.high[0] + 60.0)


def test_average_rates_are_used_where_they_are_known() -> None:
    """What responds and what runs are not the same plants."""
    facts = replace(FACTS, average_fuel_rates={Fuel.GAS: FuelRate(380.0, "made up")})
    states = states_of({Fuel.GAS: np.array([5.0])})
    assert Average().estimate(states, Average().fit(states, facts)).mid.tolist() == [380.0]


def test_hours_without_generation_or_with_a_gap_are_left_out() -> None:
    """Nothing generated has no mix, and an unknown fuel is not zero."""
    states = states_of({Fuel.GAS: np.array([5.0, 0.0, 5.0]), Fuel.COAL: np.array([1.0, 0.0, np.nan])})
    assert len(Average().estimate(states, Average().fit(states, FACTS))) == 1


def test_a_fossil_fuel_without_a_rate_is_refused() -> None:
    """Leaving it out would make the mix cleaner than it is."""
    states = states_of({Fuel.GAS_CC: np.array([5.0]), Fuel.WIND: np.array([5.0])})
    assert "gas_cc" in (Average().can_fit(states, FACTS) or "")
    with pytest.raises(NoFactorError, match="gas_cc"):
        Average().fit(states, FACTS)


def test_stores_are_not_in_the_mix() -> None:
    """A discharging battery gives back what was generated before."""
    states = states_of({Fuel.GAS: np.array([5.0]), Fuel.BATTERY: np.array([5.0])})
    estimates = Average().estimate(states, Average().fit(states, FACTS))
    assert estimates.source_names == ("gas",)
    assert estimates.mid.tolist() == [400.0]
