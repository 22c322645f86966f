"""A fleet committed day by day, and who answers one more megawatt-hour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.grid import UnitFleet
from gridmargin.marginal.commitment_rolling import responses, roll_commitment
from gridmargin.vocab import Fuel, InputError, TableError


def fleet_of(
    cost: list[float], capacity: float = 100.0, minimum: float = 20.0, ramp: float = np.nan
) -> UnitFleet:
    n = len(cost)
    return UnitFleet(
        name="made-up",
        unit_names=tuple(f"unit-{i}" for i in range(n)),
        fuels=(Fuel.GAS,) * n,
        places=("here",) * n,
        capacity_mw=np.full(n, capacity),
        minimum_mw=np.full(n, minimum),
        factor_gco2_per_kwh=np.full(n, 400.0),
        marginal_cost_per_mwh=np.array(cost),
        ramp_mw_per_h=np.full(n, ramp),
        minimum_up_h=np.full(n, 2.0),
        minimum_down_h=np.full(n, np.nan),
        start_cost=np.full(n, 100.0),
        forced_outage_frac=np.full(n, np.nan),
        currency="USD",
    )


def test_the_next_cheapest_running_unit_answers() -> None:
    """150 MW on units at 10 and 20: the second answers both ways, since the first is full."""
    fleet = fleet_of([10.0, 20.0, 90.0])
    rolled = roll_commitment(fleet, np.full(30, 150.0))
    for upward in (True, False):
        who = responses(fleet, rolled, upward)
        assert (who.marginal_unit == 1).all()
        np.testing.assert_allclose(who.unit_frac[1], 1.0)


def test_units_of_one_cost_share_the_answer_by_their_room() -> None:
    """120 MW on two units at 10: both run, and their shares add up to one."""
    fleet = fleet_of([10.0, 10.0])
    who = responses(fleet, roll_commitment(fleet, np.full(24, 120.0)))
    np.testing.assert_allclose(who.unit_frac.sum(axis=0), 1.0)
    assert (who.unit_frac > 0).all(axis=0).any() or (who.unit_frac.max(axis=0) == 1.0).all()


def test_free_power_left_over_answers_first_upward() -> None:
    """With wind curtailed, one more megawatt-hour comes from wind, and no unit answers."""
    fleet = fleet_of([10.0, 20.0])
    rolled = roll_commitment(fleet, np.full(24, 50.0), np.full(24, 60.0))
    who = responses(fleet, rolled)
    np.testing.assert_allclose(who.renewable_frac, 1.0)
    assert (who.marginal_unit == -1).all()
    down = responses(fleet, rolled, upward=False)
    np.testing.assert_allclose(down.unit_frac.sum(axis=0) + down.renewable_frac + down.unanswered_frac, 1.0)


def test_a_full_fleet_leaves_one_more_megawatt_hour_unanswered() -> None:
    """200 MW of 200 MW."""
    fleet = fleet_of([10.0, 20.0])
    who = responses(fleet, roll_commitment(fleet, np.full(4, 200.0)))
    np.testing.assert_allclose(who.unanswered_frac, 1.0)


def test_a_unit_at_its_minimum_cannot_give_less() -> None:
    """At 110 MW the dear unit runs at its 20 MW minimum: the cheap one, at 90 MW, answers downward."""
    fleet = fleet_of([10.0, 50.0])
    who = responses(fleet, roll_commitment(fleet, np.full(24, 110.0)), upward=False)
    assert (who.marginal_unit == 0).all()


def test_a_ramp_that_is_used_up_hands_the_answer_to_the_next_unit() -> None:
    """The cheap unit climbs at its full ramp in the second hour, so the dear one answers there."""
    fleet = replace(fleet_of([10.0, 50.0], minimum=0.0), ramp_mw_per_h=np.array([30.0, 100.0]))
    rolled = roll_commitment(fleet, np.array([30.0, 80.0, 80.0, 80.0]))
    who = responses(fleet, rolled)
    assert who.marginal_unit[1] == 1


@settings(max_examples=15)
@given(load=st.lists(st.floats(40, 330), min_size=1, max_size=60), ramp=st.floats(60, 200))
def test_load_is_met_and_every_answer_adds_up(load: list[float], ramp: float) -> None:
    """Whatever the load: supply equals it, output stays within limits, shares add up to one both ways."""
    fleet = fleet_of([10.0, 20.0, 20.0, 70.0], minimum=10.0, ramp=ramp)
    asked = np.array(load)
    try:
        rolled = roll_commitment(fleet, asked)
    except InputError:
        return
    np.testing.assert_allclose(rolled.power_mw.sum(axis=0) + rolled.renewable_mw, asked, atol=1e-6)
    assert (rolled.power_mw <= 100 + 1e-9).all()
    assert (rolled.power_mw[rolled.is_on] >= 10 - 1e-9).all()
    for upward in (True, False):
        who = responses(fleet, rolled, upward)
        total = who.unit_frac.sum(axis=0) + who.renewable_frac + who.unanswered_frac
        np.testing.assert_allclose(total, 1.0, atol=1e-9)
        assert (who.unit_frac[~rolled.is_on] == 0).all()


def test_what_cannot_be_rolled_is_refused_by_name() -> None:
    """A unit without a cost, hours that differ, a load beyond the fleet, and a change of nothing."""
    fleet = fleet_of([10.0, np.nan])
    with pytest.raises(TableError, match="unit unit-1 has no marginal cost"):
        roll_commitment(fleet, np.full(3, 50.0))
    whole = fleet_of([10.0, 20.0])
    with pytest.raises(InputError, match="3 hours of load, 2 of renewable"):
        roll_commitment(whole, np.full(3, 50.0), np.zeros(2))
    with pytest.raises(InputError, match=r"day from hour 0.*lacks 50 MW"):
        roll_commitment(whole, np.full(3, 250.0))
    with pytest.raises(InputError, match="above zero"):
        responses(whole, roll_commitment(whole, np.full(3, 50.0)), change_mw=0.0)
