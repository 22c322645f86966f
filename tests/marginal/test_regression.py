"""regression: exact on systems whose margin is known, and honest where something is missing."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.grid import LOAD_QUANTILES, FleetResponse
from gridmargin.marginal import Facts, FuelRate
from gridmargin.marginal.fleet_response import response_slope
from gridmargin.marginal.regression import Regression
from gridmargin.sources import SOURCES
from gridmargin.vocab import Fuel, InputError, NoFactorError, TableError, View
from marginal.fuel_mix import FACTS, RATES, states_of, wandering_load

YEAR_H = 8760


def proportional(n: int = 24 * 60, coal_frac: float = 0.25, interval_s: int = 3600):
    load = wandering_load(n)
    return states_of(
        {Fuel.COAL: 5000 + coal_frac * load, Fuel.GAS: (1 - coal_frac) * load, Fuel.WIND: load[::-1] / 3},
        interval_s,
    )


def test_a_grid_with_one_fuel_emits_that_fuels_rate() -> None:
    """Only gas moves and only gas is there: its rate, to rounding, in every hour."""
    states = states_of({Fuel.GAS: wandering_load(24 * 40)})
    estimator = Regression()
    estimates = estimator.estimate(states, estimator.fit(states, FACTS))
    assert len(estimates) == len(states)
    np.testing.assert_allclose(estimates.mid, RATES[Fuel.GAS], rtol=1e-12)


@pytest.mark.parametrize("variation", ["level", "within"])
@pytest.mark.parametrize(("days", "interval_s"), [(5, 3600), (60, 3600), (35, 900), (40, 300)])
def test_fuels_in_fixed_proportion_have_exactly_that_share(
    days: int, interval_s: int, variation: str
) -> None:
    """Coal takes a quarter of every change, whatever the interval, the length of history and what varies."""
    states = proportional(days * 86_400 // interval_s, interval_s=interval_s)
    estimator = Regression(variation=variation)
    estimates = estimator.estimate(states, estimator.fit(states, FACTS))
    coal = estimates.source_names.index("coal")
    np.testing.assert_allclose(estimates.source_probability[:, coal], 0.25, rtol=1e-9)
    np.testing.assert_allclose(estimates.mid, 0.25 * 1000 + 0.75 * 400, rtol=1e-9)


def test_level_sees_what_was_committed_and_within_the_response_of_a_day() -> None:
    """Coal follows the mean load of four weeks and gas the days: within sees gas alone, level sees both."""
    days, n = np.arange(24 * 28 * 13) // 24, 24 * 28 * 13
    slow = 4000 * np.sin(2 * np.pi * (days // 28) / 13)
    fast = 500 * np.random.default_rng(5).normal(size=n)
    states = states_of(
        {Fuel.COAL: 10_000 + slow, Fuel.GAS: 10_000 + fast}, start=datetime(2021, 1, 1, 6, tzinfo=UTC)
    )
    coal = {}
    for variation in ("level", "within"):
        estimator = Regression(variation=variation)
        estimates = estimator.estimate(states, estimator.fit(states, replace(FACTS, timezone="UTC")))
        coal[variation] = estimates.source_probability[:, estimates.source_names.index("coal")].mean()
    assert coal["within"] < 0.1
    assert coal["level"] > 0.7


def test_an_outlier_moves_the_share_less_than_its_count() -> None:
    """One hour in fifty with a meter that fails by a fifth of the load leaves the share within one percent."""
    load = wandering_load(24 * 120)
    noise = np.random.default_rng(2).normal(0, 30, len(load))
    coal = 0.25 * load + noise
    coal[::50] += 0.2 * load[::50] * np.linspace(0, 1, len(load[::50]))
    states = states_of({Fuel.COAL: coal, Fuel.GAS: load - 0.25 * load - noise})
    estimator = Regression()
    estimates = estimator.estimate(states, estimator.fit(states, FACTS))
    column = estimates.source_names.index("coal")
    middle = (load > np.quantile(load, 0.2)) & (load < np.quantile(load, 0.8))
    assert estimates.source_probability[middle, column].mean() == pytest.approx(0.25, abs=0.01)


def test_a_lopsided_scatter_is_read_at_its_mean() -> None:
    """One day in five coal gives its half less than elsewhere: the share is that of the mean, not of most days."""
    load = wandering_load(24 * 300)
    often = np.repeat(np.random.default_rng(3).random(300) < 0.2, 24)
    coal = (0.4 - 0.1 * often) * load
    states = states_of(
        {Fuel.COAL: coal, Fuel.GAS: load - coal, Fuel.OIL: 200 + 20 * np.sin(np.arange(len(load)))}
    )
    estimator = Regression()
    estimates = estimator.estimate(states, estimator.fit(states, FACTS))
    column = estimates.source_names.index("coal")
    middle = (load > np.quantile(load, 0.2)) & (load < np.quantile(load, 0.8))
    assert estimates.source_probability[middle, column].mean() == pytest.approx(0.38, abs=0.01)


def test_where_only_gas_is_reported_the_factor_is_the_slope_of_the_fleet() -> None:
    """A fleet of coal then gas behind a zone that reports gas: the zone's gas stands for all of it."""
    fleet = small_fleet()
    load = wandering_load(24 * 60, mean_mw=12_000.0)
    states = states_of({Fuel.GAS: load})
    facts = replace(FACTS, fleet=fleet)
    estimator = Regression()
    fit = estimator.fit(states, facts)
    estimates = estimator.estimate(states, fit)
    expected = response_slope(fleet).rate(load * 0.95, np.zeros(len(load), dtype=bool))
    np.testing.assert_allclose(estimates.mid, expected, rtol=1e-9)
    assert fit.parameters["calibrated_against"].startswith("epa_fleet_curve")


def test_a_zone_that_splits_as_its_fleet_did_gets_the_slope_of_the_fleet() -> None:
    """The factors are made so that the fleet's own split gives back the fleet's own slope."""
    fleet = small_fleet()
    load = wandering_load(24 * 60, mean_mw=12_000.0)
    coal = np.interp(load, fleet.load_mw, fleet.fuel_generation_mw[Fuel.COAL])
    states = states_of({Fuel.COAL: coal, Fuel.GAS_CC: (load - coal) / 2, Fuel.GAS_SIMPLE: (load - coal) / 2})
    rates = {
        **FACTS.fuel_rates,
        Fuel.GAS_CC: FuelRate(380, "made up"),
        Fuel.GAS_SIMPLE: FuelRate(560, "made up"),
    }
    facts = replace(FACTS, fleet=fleet, fuel_rates=rates)
    estimator = Regression()
    estimates = estimator.estimate(states, estimator.fit(states, facts))
    expected = response_slope(fleet).rate(load * 0.95, np.zeros(len(load), dtype=bool))
    middle = (load > np.quantile(load, 0.3)) & (load < np.quantile(load, 0.7))
    assert np.abs(estimates.mid / expected - 1)[middle].mean() < 0.03
    simple, combined = (
        estimates.source_factor[:, estimates.source_names.index(n)] for n in ("gas_simple", "gas_cc")
    )
    np.testing.assert_allclose(simple / combined, 560 / 380, rtol=1e-9)


def small_fleet() -> FleetResponse:
    """Coal gives way to gas smoothly as load grows; CO2 at 1,000 and 400 g/kWh."""
    load = np.linspace(2_000.0, 24_000.0, 45)
    coal = 0.6 * load - load**2 / 80_000
    co2 = coal * 1e6 + (load - coal) * 4e5
    quantiles = np.tile(4_000 + 16_000 * LOAD_QUANTILES, (12, 1))
    return FleetResponse(
        "Somewhere",
        2020,
        load,
        co2,
        co2,
        {Fuel.COAL: coal, Fuel.GAS: load - coal},
        (),
        load_quantiles_mw=quantiles,
    )


def test_a_margin_that_turns_with_the_load_is_seen() -> None:
    """Coal answers below 20 GW and gas above: low hours emit more than high ones."""
    load = wandering_load(24 * 120)
    coal = np.minimum(load, 20_000.0)
    states = states_of({Fuel.COAL: coal, Fuel.GAS: load - coal})
    estimator = Regression()
    estimates = estimator.estimate(states, estimator.fit(states, FACTS))
    assert estimates.mid[load < np.quantile(load, 0.1)].mean() > 850
    assert estimates.mid[load > np.quantile(load, 0.9)].mean() < 550


def test_the_fit_alone_repeats_every_estimate() -> None:
    """Through JSON and back, to the last bit; the same history gives the same fit id."""
    states = proportional()
    estimator = Regression()
    fit = estimator.fit(states, FACTS)
    again = replace(fit, parameters=json.loads(json.dumps(fit.parameters, allow_nan=False)))
    first, second = estimator.estimate(states, fit), Regression().estimate(states, again)
    for name in ("low", "mid", "high", "source_probability", "source_factor"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert fit.fit_id == again.fit_id == Regression().fit(states, FACTS).fit_id


@settings(max_examples=15)
@given(
    seed=st.integers(0, 1000),
    scale=st.floats(0.01, 100.0),
    rates=st.tuples(st.floats(0, 1200), st.floats(0, 1200), st.floats(0, 1200)),
)
def test_shares_are_probabilities_and_do_not_depend_on_the_size_of_the_grid(
    seed: int, scale: float, rates: tuple[float, float, float]
) -> None:
    """Rows sum to 1, the factor lies between the rates, and a grid n times as large has the same factor."""
    generator = np.random.default_rng(seed)
    n = 24 * 35
    mix = {
        fuel: 1000 + 300 * np.cumsum(generator.normal(0, 1, n)) / 10 + 200 * generator.random(n)
        for fuel in (Fuel.COAL, Fuel.GAS, Fuel.OIL)
    }
    facts = Facts("UTC", {fuel: FuelRate(rate, "made up") for fuel, rate in zip(mix, rates, strict=True)})
    estimator = Regression()
    one, other = (
        estimator.estimate(states, estimator.fit(states, facts))
        for states in (states_of(mix), states_of({fuel: mw * scale for fuel, mw in mix.items()}))
    )
    np.testing.assert_allclose(one.source_probability.sum(axis=1), 1.0, atol=1e-12)
    assert (one.source_probability >= 0).all()
    assert (one.mid >= min(rates) - 1e-9).all()
    assert (one.mid <= max(rates) + 1e-9).all()
    np.testing.assert_allclose(one.mid, other.mid, rtol=1e-6, atol=1e-6)


def test_a_state_with_an_unknown_fuel_is_left_out_of_fit_and_estimate() -> None:
    """A gap costs its own hours and nothing else: neighbours keep their exact share."""
    load = wandering_load(24 * 40)
    coal = 0.25 * load
    coal[100:130] = np.nan
    states = states_of({Fuel.COAL: coal, Fuel.GAS: 0.75 * load})
    estimator = Regression()
    fit = estimator.fit(states, FACTS)
    estimates = estimator.estimate(states, fit)
    assert fit.n_train == len(states) - 30 == len(estimates)
    assert not np.isin(states.start_epoch_s()[100:130], estimates.start_epoch_s).any()
    np.testing.assert_allclose(estimates.mid, 550.0, rtol=1e-9)


def test_what_is_missing_is_named() -> None:
    """Too little history, no fossil fuel, a fuel without a rate, generation that never moves."""
    estimator = Regression()
    short = states_of({Fuel.GAS: wandering_load(95)})
    assert "needs 96 h" in (estimator.can_fit(short, FACTS) or "")
    assert "needs thermal generation" in (
        estimator.can_fit(states_of({Fuel.WIND: wandering_load(200)}), FACTS) or ""
    )
    unrated = replace(FACTS, fuel_rates={Fuel.GAS: FACTS.fuel_rates[Fuel.GAS]})
    assert "rate for coal" in (estimator.can_fit(proportional(), unrated) or "")
    assert "constant" in (estimator.can_fit(states_of({Fuel.GAS: np.full(200, 5.0)}), FACTS) or "")
    with pytest.raises(NoFactorError, match="96 h"):
        estimator.fit(short, FACTS)
    with pytest.raises(InputError, match="thermal, residual, total"):
        Regression(denominator="everything")


def test_the_denominator_is_named_and_moves_the_factor() -> None:
    """Wind that follows the load dilutes the factor of all generation, not that of the fossil fuels."""
    load = wandering_load(24 * 60)
    states = states_of({Fuel.COAL: 0.3 * load, Fuel.GAS: 0.3 * load, Fuel.WIND: 0.4 * load})
    mids = {}
    for denominator in ("thermal", "residual", "total"):
        estimator = Regression(denominator=denominator)
        fit = estimator.fit(states, FACTS)
        assert fit.parameters["denominator"] == denominator
        mids[denominator] = estimator.estimate(states, fit).mid.mean()
    assert mids["thermal"] == pytest.approx(700.0)
    assert mids["residual"] == pytest.approx(700.0)
    assert mids["total"] == pytest.approx(420.0)


def test_states_out_of_order_or_twice_never_reach_the_estimator() -> None:
    """The states refuse them."""
    states = proportional(200)
    with pytest.raises(TableError, match="strictly increasing"):
        replace(states, frame=states.frame.reverse())
    with pytest.raises(TableError, match="strictly increasing"):
        replace(states, frame=pl.concat([states.frame.head(2), states.frame.tail(199)]).sort("start_utc").vstack(
            states.frame.tail(1)))  # fmt: skip


def test_an_estimate_inside_the_training_stretch_is_a_hindcast() -> None:
    """What a fit has seen is not called observed."""
    states = proportional(24 * 60)
    half = replace(states, frame=states.frame.head(24 * 30))
    estimator = Regression()
    fit = estimator.fit(half, FACTS)
    assert estimator.estimate(half, fit).basis.view is View.HINDCAST
    later = replace(states, frame=states.frame.tail(24 * 30))
    assert estimator.estimate(later, fit).basis.view is View.OBSERVED


def test_the_standard_error_shrinks_with_noise_and_is_absent_without_a_second_stretch() -> None:
    """Twice the noise of the split gives about twice the error; a season seen in one window has none."""
    load = wandering_load(YEAR_H)
    errors = []
    for size in (50.0, 100.0):
        noise = np.random.default_rng(3).normal(0, size, YEAR_H)
        states = states_of({Fuel.COAL: 0.4 * load + noise, Fuel.GAS: 0.6 * load - noise})
        parameters = Regression().fit(states, FACTS).parameters["standard_error_gco2_per_kwh"]
        errors.append(np.nanmedian(np.array(parameters, dtype=float)))
    assert errors[1] == pytest.approx(2 * errors[0], rel=0.2)
    short = (
        Regression(variation="within")
        .fit(proportional(24 * 28), FACTS)
        .parameters["standard_error_gco2_per_kwh"]
    )
    assert short[1][0] == [None] * len(short[1][0])  # spring was never seen


def test_typical_days_give_an_estimate_with_a_wider_range() -> None:
    """Four modelled days are enough to fit, and their range is wider than that of the same days reported."""
    mix = {Fuel.COAL: 0.25 * wandering_load(96), Fuel.GAS: 0.75 * wandering_load(96, seed=2)}
    widths = {}
    for status in ("reported", "modelled"):
        states = states_of(mix, status=status)
        estimator = Regression()
        estimates = estimator.estimate(states, estimator.fit(states, FACTS))
        assert set(estimates.status.tolist()) == {status}
        widths[status] = (estimates.high - estimates.low).mean()
    assert widths["modelled"] > 1.3 * widths["reported"]


def test_a_quarter_hour_year_is_fitted_and_estimated_well_under_a_second() -> None:
    """35,040 intervals; five times the time measured on two shared cores."""
    load = wandering_load(35_040)
    states = states_of({Fuel.COAL: 0.3 * load, Fuel.GAS: 0.7 * load, Fuel.OIL: load / 100}, 900)
    started = time.perf_counter()
    estimator = Regression()
    estimator.estimate(states, estimator.fit(states, FACTS))
    assert time.perf_counter() - started < 1.0


def test_the_typical_days_that_come_with_the_package_can_be_estimated(tmp_path) -> None:
    """Every zone of the reference source that has fossil fuels gets a fit."""
    from gridmargin.grid import assemble
    from gridmargin.reference import fuel_rates_for, zone_named
    from gridmargin.vocab import Interval

    source = SOURCES.get("reference")(tmp_path)
    start = datetime(2021, 1, 1, tzinfo=UTC)
    span = Interval(start, start + timedelta(days=365))
    assert source.zones()
    for zone in source.zones():
        rates = {
            fuel: FuelRate(row.factor_gco2_per_kwh, row.source, row.spread90_frac, row.by_load_gco2_per_kwh)
            for fuel, row in fuel_rates_for(zone, 2021).items()
        }
        payload = next(iter(source.fetch(zone, span)))
        states = assemble(source.parse(payload, span), zone, source.interval_s(zone))
        facts = Facts(zone_named(zone).timezone, rates)
        estimator = Regression()
        assert estimator.can_fit(states, facts) is None, zone
        estimates = estimator.estimate(states, estimator.fit(states, facts))
        assert 300 < estimates.mid.mean() < 1100
