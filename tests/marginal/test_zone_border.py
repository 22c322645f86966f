"""A zone is not its AVERT region: what is known of the difference, and what it changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.grid import LOAD_QUANTILES, FleetResponse
from gridmargin.marginal import ESTIMATORS, Facts
from gridmargin.marginal.fleet_factors import compared_as, compared_families
from gridmargin.marginal.fleet_response import response_slope
from gridmargin.marginal.known import known_facts
from gridmargin.marginal.regression import Regression
from gridmargin.reference import ZoneBorder, known_zones, load_table, zone_border, zone_named
from gridmargin.vocab import Fuel
from marginal.fuel_mix import FACTS, states_of, wandering_load

FLEET_CURVE = ESTIMATORS.get("fleet_curve")()
WINTER = np.zeros(24 * 60, dtype=bool)


def fleet(coal_at: float = 0.6, oil_frac: float = 0.0) -> FleetResponse:
    """Coal gives way to gas as load grows: its slope falls on a straight line, and CO2 is 1,000 and 400 g/kWh."""
    load = np.linspace(2_000.0, 24_000.0, 45)
    coal = coal_at * load - load**2 / 80_000
    co2 = coal * 1e6 + (load - coal) * 4e5
    return FleetResponse(
        "Somewhere",
        2020,
        load,
        co2,
        co2,
        {Fuel.COAL: coal, Fuel.GAS: (1 - oil_frac) * (load - coal), Fuel.OIL: oil_frac * (load - coal)},
        (),
        load_quantiles_mw=np.tile(4_000 + 16_000 * LOAD_QUANTILES, (12, 1)),
    )


@settings(deadline=None, max_examples=20)
@given(slope=st.floats(0.5, 1.5), intercept_mw=st.floats(-1_500.0, 4_000.0))
def test_a_zone_whose_border_is_known_is_read_where_its_region_stands(
    slope: float, intercept_mw: float
) -> None:
    """At any line: the rate is that of the region at the region's load, and nothing of it is modelled."""
    region_mw = np.linspace(5_000.0, 18_000.0, 24 * 60)
    states = states_of({Fuel.GAS: (region_mw - intercept_mw) / slope})
    facts = Facts("America/Chicago", {}, fleet(), border=ZoneBorder((slope, intercept_mw)))
    estimates = FLEET_CURVE.estimate(states, FLEET_CURVE.fit(states, facts))
    np.testing.assert_allclose(estimates.mid, response_slope(fleet()).rate(region_mw, WINTER), rtol=1e-9)
    assert set(estimates.status) == {"reported"}


def test_a_border_without_a_line_leaves_the_load_as_it_is() -> None:
    """What the plants say of fuels says nothing of the load."""
    states = states_of({Fuel.GAS: np.linspace(5_000.0, 18_000.0, 24 * 60)})
    facts = Facts("America/Chicago", {}, fleet(), border=ZoneBorder(None, {Fuel.GAS: 0.5}))
    fit = FLEET_CURVE.fit(states, facts)
    assert fit.parameters["load_map"]["reading"] == "as_it_is"


@settings(deadline=None, max_examples=15)
@given(coal_inside=st.floats(0.4, 1.0), gas_inside=st.floats(0.4, 1.0))
def test_a_zone_that_splits_as_the_plants_inside_it_did_gets_the_slope_of_its_region(
    coal_inside: float, gas_inside: float
) -> None:
    """Last year's mix of those plants is no change of year, whatever part of each fuel lies outside."""
    region_mw = wandering_load(24 * 60, mean_mw=12_000.0)
    coal = np.interp(region_mw, fleet().load_mw, fleet().fuel_generation_mw[Fuel.COAL])
    inside = {Fuel.COAL: coal_inside * coal, Fuel.GAS: gas_inside * (region_mw - coal)}
    states = states_of(inside)
    own = sum(inside.values())
    slope, intercept = np.polyfit(own, region_mw, 1)
    border = ZoneBorder((float(slope), float(intercept)), {Fuel.COAL: coal_inside, Fuel.GAS: gas_inside})
    estimator = Regression()
    estimates = estimator.estimate(
        states, estimator.fit(states, replace(FACTS, fleet=fleet(), border=border))
    )
    expected = response_slope(fleet()).rate(region_mw * 0.95, WINTER)
    middle = (region_mw > np.quantile(region_mw, 0.3)) & (region_mw < np.quantile(region_mw, 0.7))
    assert np.abs(estimates.mid / expected - 1)[middle].mean() < 0.03


def test_without_the_border_the_plants_outside_would_be_read_as_a_change_of_year() -> None:
    """Half of the coal lies outside: taken for a year with half the coal, the zone's factor falls by a tenth."""
    region_mw = wandering_load(24 * 60, mean_mw=12_000.0)
    coal = np.interp(region_mw, fleet().load_mw, fleet().fuel_generation_mw[Fuel.COAL])
    states = states_of({Fuel.COAL: coal / 2, Fuel.GAS: region_mw - coal})
    border = ZoneBorder(None, {Fuel.COAL: 0.5, Fuel.GAS: 1.0})
    estimator = Regression()
    with_it, without = (
        estimator.estimate(
            states, estimator.fit(states, replace(FACTS, fleet=fleet(), border=known))
        ).mid.mean()
        for known in (border, None)
    )
    assert without < 0.9 * with_it


def test_oil_that_the_fleet_hardly_has_is_burned_in_its_gas_units() -> None:
    """The zone's oil and gas together take the slope of a fleet without oil, each in proportion to its own rate."""
    load = wandering_load(24 * 60, mean_mw=12_000.0)
    states = states_of({Fuel.OIL: 0.08 * load, Fuel.GAS: 0.92 * load})
    only_gas = replace(fleet(), fuel_generation_mw={Fuel.GAS: fleet().load_mw})
    estimator = Regression()
    fit = estimator.fit(states, replace(FACTS, fleet=only_gas))
    estimates = estimator.estimate(states, fit)
    assert fit.parameters["fleet"]["families"] == ["gas"]
    np.testing.assert_allclose(estimates.mid, response_slope(only_gas).rate(load * 0.95, WINTER), rtol=1e-9)
    oil, gas = (estimates.source_factor[:, estimates.source_names.index(name)] for name in ("oil", "gas"))
    np.testing.assert_allclose(oil / gas, 700 / 400, rtol=1e-9)


@pytest.mark.parametrize(("oil_frac", "compared"), [(0.0, False), (0.02, False), (0.2, True)])
def test_oil_is_a_fuel_of_its_own_where_the_fleet_has_it_too(oil_frac: float, compared: bool) -> None:
    """Ten percent oil in the zone: of a fleet with none or 1 % it is in other units, of one with 12 % in the same."""
    load = wandering_load(24 * 60, mean_mw=12_000.0)
    fuels = [Fuel.COAL, Fuel.GAS, Fuel.OIL]
    states = states_of({Fuel.COAL: 0.4 * load, Fuel.GAS: 0.5 * load, Fuel.OIL: 0.1 * load})
    chosen = compared_families(states, fuels, fleet(oil_frac=oil_frac))
    assert (Fuel.OIL in chosen) is compared
    assert [compared_as(fuel, chosen) for fuel in fuels] == [0, 1, 2 if compared else 1]


def test_a_later_border_is_never_used() -> None:
    """The line was seen in July 2021: a test of 2020 or 2021 does not have it, one of 2022 does."""
    before, after = zone_border("US-MISO", 2020), zone_border("US-MISO", 2021)
    assert before is None
    assert after is not None
    assert after.load_line is not None
    texas = zone_border("US-ERCO", 2020)
    assert texas is not None
    assert texas.load_line is None
    assert texas.inside_frac[Fuel.GAS] == 1.0
    assert "2020" in texas.source
    assert known_facts(zone_named("US-MISO"), 2021, None).border == after
    assert known_facts(zone_named("DE"), 2021, None).border is None


def test_a_line_outlives_the_year_it_was_seen_in() -> None:
    """Plants of 2022, the line of 2021, both named."""
    border = zone_border("US-MISO", 2030)
    assert border is not None
    assert border.load_line == zone_border("US-MISO", 2021).load_line  # type: ignore[union-attr]
    assert border.source.endswith("US-MISO 2021, 2022")


def test_every_row_of_the_table_can_be_true() -> None:
    """One row a zone and year, of the zone's own region; parts between nothing and all; lines that hold together."""
    rows = load_table("zone_borders")
    assert len({(row["zone"], row["year"]) for row in rows}) == len(rows) > 0
    for row in rows:
        assert row["avert_region"] == known_zones()[row["zone"]].avert_region
        assert all(
            0 <= float(row[f"{f}_inside_frac"]) <= 1.005 for f in ("coal", "gas") if row[f"{f}_inside_frac"]
        )
        if row["load_slope"]:
            assert float(row["load_r"]) >= 0.99
            assert 0.8 < float(row["load_slope"]) < 1.25
