"""merit_order and price_implied on small stacks whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from gridmargin.grid import UnitFleet
from gridmargin.marginal import Facts
from gridmargin.marginal.bid_curve import learn_bid_curve
from gridmargin.marginal.merit_blocks import blocks_at, stack_parameters
from gridmargin.marginal.merit_order import SURPLUS, MeritOrder
from gridmargin.marginal.price_implied import PriceImplied, implied_heat_rate, price_separation
from gridmargin.marginal.stack_range import observed_rates
from gridmargin.vocab import Fuel, NoFactorError, TableError
from marginal.fuel_mix import FACTS, states_of

COAL_MW, GAS_MW = 10_000.0, 10_000.0


def fleet(**change) -> UnitFleet:
    n = 20
    values = {
        "name": "ten coal, ten gas",
        "unit_names": tuple(f"u{k}" for k in range(n)),
        "fuels": (Fuel.COAL,) * 10 + (Fuel.GAS,) * 10,
        "places": ("US-ERCO",) * n,
        "capacity_mw": np.full(n, 1000.0),
        "minimum_mw": np.zeros(n),
        "factor_gco2_per_kwh": np.repeat([900.0, 400.0], 10),
        "marginal_cost_per_mwh": np.concatenate([np.linspace(20, 29, 10), np.linspace(50, 59, 10)]),
        "ramp_mw_per_h": np.full(n, np.nan),
        "minimum_up_h": np.full(n, np.nan),
        "minimum_down_h": np.full(n, np.nan),
        "start_cost": np.full(n, np.nan),
        "forced_outage_frac": np.zeros(n),
        "currency": "USD",
    } | change
    return UnitFleet(**values)


def states(load, price=None, **columns):
    load = np.asarray(load, dtype=float)
    out = states_of({Fuel.COAL: np.minimum(load, COAL_MW), Fuel.GAS: np.maximum(load - COAL_MW, 0.0)})
    columns = {**columns, **({} if price is None else {"price_usd_per_mwh": np.asarray(price, dtype=float)})}
    added = [pl.Series(name, values, nan_to_null=True) for name, values in columns.items()]
    return replace(out, frame=out.frame.with_columns(added))


def facts(units=None) -> Facts:
    return replace(FACTS, units=units or fleet())


LOADS = np.tile(np.linspace(1000.0, 19_000.0, 60), 10)


def from_costs(load, units=None):
    fit = MeritOrder().from_costs(states(LOADS), facts(units))
    # No noise, so that the staircase can be read by hand.
    fit = replace(fit, parameters={**fit.parameters, "load_sd_mw": 0.0})
    return MeritOrder().estimate(states(load), fit)


def test_the_load_says_which_unit_answers():
    """5.5 GW: the sixth coal unit; 15.5 GW: the sixth gas unit, with its factor."""
    estimates = from_costs([5500.0, 15_500.0])
    assert [estimates.source_names[k] for k in estimates.source_probability.argmax(axis=1)] == ["u5", "u15"]
    np.testing.assert_allclose(estimates.mid, [900.0, 400.0])


def test_hours_without_any_load_on_the_stack_are_flagged_as_surplus():
    """All-renewable hours: the margin is what is spilled, and the regime says so."""
    estimates = from_costs([0.0, -50.0, 500.0])
    assert estimates.regime.tolist()[:2] == [SURPLUS, SURPLUS]
    assert estimates.regime.tolist()[2] != SURPLUS
    assert estimates.mid[1] == pytest.approx(0.0, abs=1e-6)


def test_a_load_beyond_all_units_is_flagged_as_scarce():
    """21 GW on 20 GW."""
    assert from_costs([21_000.0]).regime.tolist() == ["scarce"]


def test_committed_output_never_answers():
    """With the gas committed at half output below everything, 5.5 GW is the first coal unit's."""
    committed = np.repeat([0.0, 500.0], 10)
    p = stack_parameters(fleet(), None, committed)
    order = np.argsort(blocks_at(p, {}).bid_per_mwh, kind="stable")
    assert blocks_at(p, {}).capacity_mw[order][:10].tolist() == [500.0] * 10
    assert blocks_at(p, {}).capacity_mw.sum() == pytest.approx(20_000.0)


def test_a_unit_that_must_start_again_offers_its_least_output_below_cost():
    """Start cost 16,000 for 400 MW over 8 hours down: five less per MWh."""
    units = fleet(
        minimum_mw=np.full(20, 400.0), start_cost=np.full(20, 16_000.0), minimum_down_h=np.full(20, 8.0)
    )
    bids = blocks_at(stack_parameters(units, None, None), {})
    np.testing.assert_allclose(np.sort(bids.bid_per_mwh[bids.capacity_mw == 400.0])[:2], [15.0, 16.0])


def test_fuel_and_carbon_prices_of_the_state_turn_the_order():
    """Dear carbon puts gas before coal; a state without a carbon price has no estimate."""
    units = fleet(
        heat_rate_mwh_per_mwh=np.repeat([2.5, 2.0], 10), variable_cost_per_mwh=np.linspace(0.0, 0.1, 20)
    )
    columns = {
        "fuel_price_coal_usd_per_mwh": [8.0, 8.0, 8.0],
        "fuel_price_gas_usd_per_mwh": [20.0, 20.0, 20.0],
        "carbon_price_usd_per_t": [5.0, 90.0, np.nan],
    }
    given = states([500.0, 500.0, 500.0], **columns)
    fit = MeritOrder().from_costs(given, facts(units))
    fit = replace(fit, parameters={**fit.parameters, "load_sd_mw": 0.0})
    np.testing.assert_allclose(MeritOrder().estimate(given, fit).mid, [900.0, 400.0])


def test_facts_without_units_or_without_capacity_cannot_be_fitted():
    """Each refusal names what is missing; a fleet of nothing cannot even be made."""
    with pytest.raises(NoFactorError, match="table of units"):
        MeritOrder().fit(states(LOADS), FACTS)
    with pytest.raises(TableError, match="no capacity"):
        fleet(capacity_mw=np.zeros(20))
    with pytest.raises(NoFactorError, match="fossil unit"):
        MeritOrder().fit(states(LOADS), facts(fleet(fuels=(Fuel.WIND,) * 20)))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"heat_rate_mwh_per_mwh": np.append(np.full(19, 2.0), -2.0)}, "u19 has heat_rate_mwh_per_mwh -2.0"),
        ({"factor_gco2_per_kwh": np.append(np.full(19, 400.0), -1.0)}, "u19 has factor_gco2_per_kwh -1.0"),
        ({"forced_outage_frac": np.append(np.zeros(19), 1.0)}, "u19 has forced_outage_frac 1.0"),
        ({"minimum_mw": np.append(np.zeros(19), -5.0)}, "u19 has minimum_mw -5.0"),
        ({"capacity_mw": np.append(np.ones(19), np.nan)}, "u19 has capacity nan"),
        ({"unit_names": ("u0",) * 2 + tuple(f"u{k}" for k in range(2, 20))}, "u0 stands twice"),
    ],
)
def test_a_unit_that_cannot_be_is_refused_by_name(change, named):
    """Negative heat rate, factor or least output, an outage of all the time, no capacity, the same unit twice."""
    with pytest.raises(TableError, match=named):
        fleet(**change)


def test_a_past_without_any_fossil_generation_gives_surplus_and_no_made_up_number():
    """All-renewable hours throughout: flagged, and the range reaches from nothing to the units that come first."""
    nothing = states(np.zeros(600))
    estimates = MeritOrder().estimate(nothing, MeritOrder().fit(nothing, facts()))
    assert set(estimates.regime.tolist()) == {SURPLUS}
    assert (estimates.low == 0).all()
    assert (estimates.high >= 900).all()


def test_a_past_whose_prices_are_all_nan_teaches_no_bid_curve():
    """The stack's own cost stands; price_implied refuses and counts what it found."""
    past = states(LOADS, np.full(len(LOADS), np.nan))
    assert MeritOrder().fit(past, facts()).parameters["bid_curve"] is None
    assert "found 0" in str(PriceImplied().can_fit(past, facts()))


def moving(seed: int, n: int = 3000):
    rng = np.random.default_rng(seed)
    load = 10_000 + np.clip(np.cumsum(rng.normal(0, 400, n)) % 16_000 - 8000, -8000, 8000)
    aside = rng.normal(0, 150, n)  # what coal gives gas takes: schedules, outages
    return states_of(
        {
            Fuel.COAL: np.minimum(load, COAL_MW) + aside,
            Fuel.GAS: np.maximum(load - COAL_MW, 0.0) - aside,
        }
    )


def test_the_range_is_calibrated_on_the_changes_that_the_past_shows():
    """It holds about nine in ten rates of changes that came later, and the fit names what it was held against."""
    fit = MeritOrder().fit(moving(1), facts())
    assert fit.parameters["calibrated_against"] == "interval_changes"
    later = moving(2)
    estimates = MeritOrder().estimate(later, fit)
    row, rate, _ = observed_rates(later, fit.parameters, fit.parameters["range"]["least_change_mw"])
    held = (estimates.low[row] <= rate) & (rate <= estimates.high[row])
    assert 0.86 <= held.mean() <= 0.97


def test_without_enough_changes_or_with_a_fuel_the_stack_lacks_the_range_is_the_models_own():
    """A short past, costs alone, and oil that no unit of the stack burns: nothing to hold the range against."""
    short = moving(1, 300)
    assert MeritOrder().fit(short, facts()).parameters["calibrated_against"] is None
    assert MeritOrder().from_costs(short, facts()).parameters["range"] is None
    past = moving(1)
    oil = states_of({Fuel.OIL: np.ones(len(past)), Fuel.COAL: past.generation_mw(Fuel.COAL)})
    assert MeritOrder().fit(oil, facts()).parameters["calibrated_against"] is None


def test_the_bid_curve_never_falls_and_needs_two_weeks():
    """More load never means a lower modelled price."""
    rng = np.random.default_rng(0)
    n = 2000
    load = rng.uniform(0.2, 0.9, n)
    start = np.arange(n) * 3600
    curve = learn_bid_curve(start, 40 * load + rng.normal(0, 5, n), np.full(n, 30.0), load)
    assert curve is not None
    assert (np.diff(curve["ratio"]) >= 0).all()
    assert learn_bid_curve(start[:300], load[:300], np.full(300, 30.0), load[:300]) is None


def implied(load, price):
    rng = np.random.default_rng(1)
    past = 20 + 9 * np.clip(LOADS / COAL_MW, 0, 1) + 30 * (LOADS > COAL_MW)
    fit = PriceImplied().fit(states(LOADS, past + rng.normal(0, 3, len(LOADS))), facts())
    return PriceImplied().estimate(states(load, price), fit)


def test_the_price_moves_the_posterior_towards_who_bids_it():
    """At the border between coal and gas, a coal price says coal and a gas price says gas."""
    estimates = implied([10_000.0, 10_000.0], [28.0, 54.0])
    assert estimates.mid[0] > 800
    assert estimates.mid[1] < 500


def test_prices_below_zero_and_beyond_all_units_are_flagged():
    """A negative price names the surplus; one that no unit explains keeps the prior, over the whole stack's range."""
    estimates = implied([3000.0, 15_000.0, 15_000.0], [-40.0, 900.0, 55.0])
    assert estimates.regime.tolist() == ["negative_price", "unexplained_high", "implied"]
    assert estimates.source_names[estimates.source_probability[0].argmax()] == SURPLUS
    assert estimates.low[1] <= 400
    assert estimates.high[1] >= 900


def test_an_hour_without_a_price_has_no_estimate():
    """NaN is absent, not zero (C2)."""
    assert len(implied([5000.0, 5000.0], [np.nan, 25.0])) == 1


def test_states_without_prices_cannot_be_fitted():
    """The message names the column and its currency."""
    missing = PriceImplied().can_fit(states(LOADS), facts())
    assert missing is not None
    assert "price_usd_per_mwh" in missing


def test_a_heat_rate_is_the_price_over_fuel_and_carbon():
    """(52 − 2) ÷ (20 + 25 × 0.2) = 2; a price below the variable cost has none."""
    found = implied_heat_rate(np.array([52.0, 1.0, np.nan]), 20.0, 25.0, 200.0, 2.0)
    np.testing.assert_allclose(found, [2.0, np.nan, np.nan])


def test_prices_part_where_a_border_is_full():
    """Dearer at home +1, same 0, cheaper −1, unknown NaN; only common intervals."""
    home = states([1000.0] * 4, [50.0, 30.0, 20.0, np.nan])
    away = states([1000.0] * 5, [30.0, 30.0, 30.0, 30.0, 30.0])
    start, sign = price_separation(home, away, "USD")
    assert len(start) == 4
    np.testing.assert_array_equal(sign, [1.0, 0.0, -1.0, np.nan])
