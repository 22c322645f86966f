"""What fleet_curve must say where physics gives the answer."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.grid import LOAD_QUANTILES, FleetResponse, GridStates
from gridmargin.marginal import ESTIMATORS, Facts, unit_response
from gridmargin.marginal.fleet_curve import FleetCurve
from gridmargin.marginal.fleet_range import calibrate_range
from gridmargin.marginal.fleet_response import epa_rate, fuel_shares, response_slope
from gridmargin.marginal.smoothing import smoothed_slopes
from gridmargin.vocab import Fuel, InputError, NoFactorError, TableError

LOAD_MW = np.linspace(1_000.0, 21_000.0, 51)
JULY = datetime(2021, 7, 1, tzinfo=UTC)
FLEET_CURVE = ESTIMATORS.get("fleet_curve")()


def fleet(
    co2_g_per_h=None,
    *,
    fuels=None,
    region="Somewhere",
    year=2020,
    low_mw=4_000.0,
    high_mw=18_000.0,
    earlier=(),
    other_season=1.0,
) -> FleetResponse:
    """A region that burns gas at 400 g/kWh, its loads spread evenly, unless told otherwise."""
    co2 = LOAD_MW * 400_000.0 if co2_g_per_h is None else co2_g_per_h
    return FleetResponse(
        region=region,
        year=year,
        load_mw=LOAD_MW,
        co2_g_per_h_ozone=co2,
        co2_g_per_h_other=co2 * other_season,
        fuel_generation_mw=fuels or {Fuel.GAS: LOAD_MW},
        payload_sha256s=("0" * 64,),
        load_quantiles_mw=np.tile(low_mw + (high_mw - low_mw) * LOAD_QUANTILES, (12, 1)),
        standard_utc_offset_h=-6.0,
        earlier=earlier,
    )


def states(start=JULY, zone="US-ERCO", interval_s=3600, status="reported", **generation) -> GridStates:
    """States with these columns of generation, one interval after another."""
    n = len(next(iter(generation.values())))
    columns = {f"generation_{fuel}_mw": pl.Series(mw, dtype=pl.Float64) for fuel, mw in generation.items()}
    frame = pl.DataFrame(
        {
            "start_utc": pl.Series([start + timedelta(seconds=interval_s) * i for i in range(n)]).cast(
                pl.Datetime("us", "UTC")
            ),
            "status": [status] * n,
            "completeness_frac": [1.0] * n,
            **columns,
        }
    )
    return GridStates(zone, interval_s, frame)


def facts(response: FleetResponse | None) -> Facts:
    return Facts("America/Chicago", {}, response)


HISTORY = states(datetime(2021, 1, 1, tzinfo=UTC), gas=np.linspace(4_000.0, 18_000.0, 48))


def estimates(response: FleetResponse, now: GridStates, history: GridStates = HISTORY):
    return FLEET_CURVE.estimate(now, FLEET_CURVE.fit(history, facts(response)))


def two_fuels(noise_frac=0.0, seed=0, year=2020, earlier=()) -> FleetResponse:
    """Coal (1,000 g/kWh) answers below 11 GW, gas (400 g/kWh) above."""
    coal = np.minimum(LOAD_MW, 11_000.0)
    gas = LOAD_MW - coal
    jitter = 1 + noise_frac * np.random.default_rng(seed).standard_normal(len(LOAD_MW))
    co2 = (coal * 1_000_000.0 + gas * 400_000.0) * jitter
    return replace(
        fleet(co2, fuels={Fuel.COAL: coal, Fuel.GAS: gas}, year=year, earlier=earlier),
        unit_names=("coal plant", "gas plant"),
        unit_fuels=("coal", "gas"),
        unit_generation_mw=np.vstack([coal, gas]),
        unit_co2_g_per_h_ozone=np.vstack([coal * 1_000_000.0, gas * 400_000.0]),
        unit_co2_g_per_h_other=np.vstack([coal * 1_000_000.0, gas * 400_000.0]),
    )


@given(
    rate=st.floats(1.0, 2_000.0),
    penalty=st.sampled_from([0.0, 1e-6, 2e-4, 1.0, 1e3]),
    steps=st.lists(st.floats(0.01, 1.0), min_size=6, max_size=60),
)
def test_smoothing_gives_a_straight_line_its_exact_slope(rate, penalty, steps):
    """A straight line is not bent by any penalty, however unevenly the knots stand."""
    x = np.cumsum(steps)
    value, slope = smoothed_slopes(x, (7.0 + rate * x)[:, None], np.ones(len(x)), penalty)
    assert slope[:, 0] == pytest.approx(np.full(len(x), rate), rel=1e-6)
    assert value[:, 0] == pytest.approx(7.0 + rate * x, rel=1e-6)


def test_smoothing_agrees_with_scipy():
    """The curve is the one that SciPy's smoothing spline finds for the same penalty."""
    from scipy.interpolate import make_smoothing_spline

    rng = np.random.default_rng(1)
    x = np.sort(rng.uniform(0, 3, 40))
    y, weight = np.sin(x) + rng.normal(0, 0.1, 40), rng.uniform(0.5, 2.0, 40)
    value, slope = smoothed_slopes(x, y[:, None], weight, 1e-3)
    spline = make_smoothing_spline(x, y, w=weight / weight.sum(), lam=1e-3)
    assert value[:, 0] == pytest.approx(spline(x), abs=1e-8)
    assert slope[:, 0] == pytest.approx(spline.derivative()(x), abs=1e-6)


def test_slopes_of_parts_add_up_to_the_slope_of_the_sum():
    """Smoothing is linear: fuels smoothed apart give the whole smoothed."""
    rng = np.random.default_rng(2)
    parts = np.cumsum(rng.uniform(0, 1, (30, 3)), axis=0)
    x, weight = np.linspace(0, 1, 30), rng.uniform(1, 5, 30)
    _, apart = smoothed_slopes(x, parts, weight, 2e-4)
    _, whole = smoothed_slopes(x, parts.sum(axis=1, keepdims=True), weight, 2e-4)
    assert apart.sum(axis=1) == pytest.approx(whole[:, 0], rel=1e-9)


def test_one_fuel_region_answers_with_the_rate_of_that_fuel():
    """With gas alone at 400 g/kWh, the margin is gas at 400 g/kWh at every load, in both seasons."""
    result = estimates(fleet(), states(gas=[4_000.0, 9_999.0, 18_000.0]))
    assert result.mid == pytest.approx([400.0] * 3, rel=1e-9)
    assert result.source_names == ("gas",)
    assert result.source_probability[:, 0] == pytest.approx([1.0] * 3)


def test_what_is_on_the_margin_changes_with_the_load():
    """Where coal answers first and gas after, the margin is coal low down and gas high up."""
    result = estimates(two_fuels(), states(gas=[5_000.0, 17_000.0]))
    coal, gas = result.source_names.index("coal"), result.source_names.index("gas")
    assert result.source_probability[0, coal] > 0.9
    assert result.source_probability[1, gas] > 0.9
    assert result.mid[0] == pytest.approx(1_000.0, rel=0.05)
    assert result.mid[1] == pytest.approx(400.0, rel=0.1)


@given(seed=st.integers(0, 10_000), noise_frac=st.floats(0.0, 0.2))
def test_rates_stay_physical_on_a_noisy_curve(seed, noise_frac):
    """However the bins jump, more load never takes CO2 away, and sources add up to the factor."""
    result = estimates(two_fuels(noise_frac, seed), states(gas=np.linspace(1_000.0, 21_000.0, 40)))
    assert (result.mid >= 0).all()
    assert (result.low >= 0).all()
    assert (result.source_probability >= 0).all()
    total = (result.source_probability * result.source_factor).sum(axis=1)
    assert total == pytest.approx(result.mid, rel=1e-9, abs=1e-9)


def test_smoothing_brings_a_noisy_curve_closer_to_the_truth_than_its_bins():
    """Differencing the bins of a noisy straight line errs several times as much as the smoothed slope."""
    rng = np.random.default_rng(3)
    response = fleet(LOAD_MW * 400_000.0 + rng.normal(0, 3e7, len(LOAD_MW)))
    load = np.linspace(4_000.0, 18_000.0, 500)
    ours = response_slope(response).rate(load, np.zeros(500, dtype=bool)) - 400.0
    bins = epa_rate(response, load, np.zeros(500, dtype=bool), 1e-6) - 400.0
    assert np.sqrt((ours**2).mean()) < np.sqrt((bins**2).mean()) / 3


def test_states_without_a_fossil_load_are_left_out():
    """Null, zero and negative loads have no fossil margin: they get no estimate, not a filled one."""
    result = estimates(fleet(), states(gas=[9_000.0, None, 0.0, -5.0, float("nan"), 8_000.0]))
    assert (result.start_epoch_s - int(JULY.timestamp())).tolist() == [0, 5 * 3600]


def test_no_states_give_no_estimates():
    """An empty table of states is an empty table of estimates."""
    now = states(gas=[9_000.0])
    assert len(estimates(fleet(), GridStates(now.zone, 3600, now.frame.clear()))) == 0


def test_a_reported_fuel_that_is_missing_leaves_the_state_out():
    """A zone that usually reports coal has no known fossil load where coal is missing."""
    history = states(
        datetime(2021, 1, 1, tzinfo=UTC), gas=[8_000.0] * 4, coal=[2_000.0, 2_000.0, 2_000.0, None]
    )
    result = estimates(fleet(), states(gas=[8_000.0, 8_000.0], coal=[2_000.0, None]), history)
    assert len(result) == 1


def test_a_fuel_that_is_seldom_reported_counts_where_it_is_there():
    """A fuel missing from most of the history does not silence the zone."""
    history = states(datetime(2021, 1, 1, tzinfo=UTC), gas=[8_000.0] * 4, oil=[None, None, None, 10.0])
    curve = two_fuels()
    both = estimates(curve, states(gas=[8_000.0, 8_000.0], oil=[None, 4_000.0]), history)
    alone = estimates(curve, states(gas=[8_000.0, 12_000.0]))
    assert both.mid == pytest.approx(alone.mid)


@pytest.mark.parametrize("load_mw", [3_000.0, 30_000.0])
def test_loads_that_the_year_never_saw_are_read_at_its_edge_and_marked(load_mw):
    """Beyond the loads of the fleet's year the rate is that of the edge, the status modelled, the range wider."""
    curve = two_fuels(0.01, year=2020, earlier=(two_fuels(0.01, seed=1, year=2019),))
    edge = 18_000.0 if load_mw > 18_000 else 4_000.0
    result = estimates(curve, states(gas=[edge, load_mw]))
    assert result.status.tolist() == ["reported", "modelled"]
    assert result.mid[1] == pytest.approx(result.mid[0], rel=0.02)
    assert result.high[1] - result.mid[1] > 1.5 * (result.high[0] - result.mid[0])


def test_a_state_that_was_not_reported_keeps_its_status_and_gets_a_wider_range():
    """Imputed in, imputed out; never narrower than reported."""
    curve = two_fuels(0.01, earlier=(two_fuels(0.01, seed=1, year=2019),))
    reported = estimates(curve, states(gas=[9_000.0]))
    imputed = estimates(curve, states(gas=[9_000.0], status="imputed"))
    assert imputed.status.tolist() == ["imputed"]
    assert imputed.high[0] - imputed.low[0] > reported.high[0] - reported.low[0]


def test_the_season_turns_at_midnight_of_local_standard_time():
    """AVERT's May begins at 06:00 UTC where standard time is UTC-6, daylight saving or not."""
    result = estimates(
        fleet(other_season=0.5), states(datetime(2021, 5, 1, 5, tzinfo=UTC), gas=[9_000.0, 9_000.0])
    )
    assert result.mid == pytest.approx([200.0, 400.0])
    assert [name.split("/")[0] for name in result.regime] == ["other", "ozone"]


def test_the_zone_clock_stands_in_where_the_region_has_none():
    """Without the region's offset the zone's January offset turns the season."""
    response = replace(fleet(other_season=0.5), standard_utc_offset_h=None)
    assert FLEET_CURVE.fit(HISTORY, facts(response)).parameters["standard_utc_offset_h"] == -6.0


@given(loads=st.lists(st.floats(1.0, 40_000.0), min_size=1, max_size=20))
def test_many_states_at_once_are_each_state_alone(loads):
    """No estimate depends on the other states it was asked with."""
    fit = FLEET_CURVE.fit(HISTORY, facts(two_fuels(0.02, 4)))
    together = FLEET_CURVE.estimate(states(gas=loads), fit)
    for i, load in enumerate(loads):
        alone = FLEET_CURVE.estimate(states(JULY + timedelta(hours=i), gas=[load]), fit)
        assert (alone.low[0], alone.mid[0], alone.high[0]) == pytest.approx(
            (together.low[i], together.mid[i], together.high[i]), rel=1e-12
        )


def test_a_fit_is_plain_json_and_repeats_its_estimates():
    """Parameters that went through JSON give the same estimates and the same fit id."""
    fit = FLEET_CURVE.fit(HISTORY, facts(two_fuels(0.02, 5)))
    again = replace(fit, parameters=json.loads(json.dumps(fit.parameters, allow_nan=False)))
    now = states(gas=np.linspace(3_000.0, 19_000.0, 30))
    assert again.fit_id == fit.fit_id
    assert FLEET_CURVE.estimate(now, again).high.tolist() == FLEET_CURVE.estimate(now, fit).high.tolist()


def test_a_zone_as_large_as_its_region_is_read_as_it_is():
    """Another boundary and a year's growth do not move the load: it is read on the curve unchanged."""
    fit = FLEET_CURVE.fit(states(gas=np.linspace(4_000.0, 18_000.0, 48) * 1.2), facts(fleet()))
    assert fit.parameters["load_map"]["reading"] == "as_it_is"


@given(scale=st.sampled_from([0.01, 0.1, 0.5, 2.0, 20.0]))
def test_a_zone_of_another_size_is_read_at_its_rank(scale):
    """A zone of a tenth of the region reads the curve where the region stands in the same hours, as modelled."""
    curve = two_fuels()
    loads = np.linspace(4_000.0, 18_000.0, 200)
    region = estimates(curve, states(gas=loads))
    history = states(gas=loads * scale)
    zone = estimates(curve, states(gas=loads * scale), history)
    assert zone.mid == pytest.approx(region.mid, rel=0.02)
    assert set(zone.status) == {"modelled"}


def test_what_is_missing_is_named():
    """A zone without an AVERT region, or without fossil generation, is told so and gets no fit."""
    assert "AVERT" in str(FLEET_CURVE.can_fit(HISTORY, facts(None)))
    windy = states(wind=[1.0, 2.0])
    assert "fossil" in str(FLEET_CURVE.can_fit(windy, facts(fleet())))
    assert FLEET_CURVE.can_fit(HISTORY, facts(fleet())) is None
    with pytest.raises(NoFactorError, match="AVERT"):
        FLEET_CURVE.fit(HISTORY, facts(None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"load_mw": LOAD_MW[:4]}, "at least 5"),
        ({"load_mw": LOAD_MW[::-1]}, "does not increase"),
        ({"co2_g_per_h_ozone": LOAD_MW[:-1]}, "one value a load bin"),
    ],
)
def test_a_malformed_response_is_refused(change, message):
    """Too few bins, loads out of order and columns of unequal length are errors that name the region."""
    with pytest.raises(TableError, match=f"Somewhere 2020.*{message}"):
        replace(fleet(), **change)


def test_a_year_that_spans_too_few_bins_is_refused():
    """A fleet whose loads fall within four bins has no slope to speak of."""
    with pytest.raises(TableError, match="load bins lie within"):
        response_slope(fleet(low_mw=9_500.0, high_mw=10_000.0))


def test_fuels_without_units_take_the_average_of_the_region():
    """Where no units are known each fuel carries the region's average, and sources still add up."""
    curve = replace(two_fuels(), unit_generation_mw=None)
    fuels, _, rate = fuel_shares(curve)
    assert fuels == (Fuel.COAL, Fuel.GAS)
    assert rate[:, 0] == pytest.approx(rate[:, 1])


def test_the_range_says_what_it_was_calibrated_on():
    """Two years of a region give year-to-year residuals; one year gives halves of its bins."""
    assert calibrate_range(two_fuels(0.02))[1] == "split_halves"
    assert calibrate_range(two_fuels(0.02, earlier=(two_fuels(0.02, 1, 2019),)))[1] == "year_to_year"


def test_the_range_covers_a_year_it_did_not_see():
    """Years that differ from one another by chance alone: nine tenths of the next one lie within, give or take."""
    covered = []
    for trial in range(20):
        years = [two_fuels(0.01, 100 * trial + y, 2015 + y) for y in range(6)]
        known = replace(years[4], earlier=tuple(years[:4]))
        load, is_ozone = years[5].loads_seen_mw()
        reference = epa_rate(years[5], load, is_ozone, 0.05)
        result = estimates(known, states(gas=load[:600]))
        covered.append(((result.low <= reference[:600]) & (reference[:600] <= result.high)).mean())
    assert 0.85 < np.mean(covered) < 0.99


def test_a_quarter_hourly_year_is_estimated_in_half_a_second():
    """35,040 intervals take well under 0.5 s."""
    load = np.random.default_rng(6).uniform(2_000.0, 20_000.0, 35_040)
    now = states(datetime(2021, 1, 1, tzinfo=UTC), interval_s=900, gas=load)
    fit = FLEET_CURVE.fit(HISTORY, facts(two_fuels(0.02)))
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        FLEET_CURVE.estimate(now, fit)
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < 0.5


def test_units_add_up_to_the_region_and_are_the_sources_where_asked():
    """Unit slopes sum to the region's, and the rate does not depend on how its sources are told apart."""
    known = two_fuels()
    load = np.array([6_000.0, 12_000.0])
    answer = unit_response(known, load, np.array([True, False]))
    np.testing.assert_allclose(answer.generation.sum(axis=1), 1.0, rtol=1e-6)
    facts, some = Facts("UTC", {}, known), states(gas=load)
    by_unit, by_fuel = (FleetCurve(sources_by=by) for by in ("unit", "fuel"))
    units = by_unit.estimate(some, by_unit.fit(some, facts))
    fuels = by_fuel.estimate(some, by_fuel.fit(some, facts))
    assert units.source_names == ("coal plant", "gas plant")
    np.testing.assert_array_equal(units.mid, fuels.mid)


def test_units_that_are_not_known_are_named():
    """A fleet without unit curves is refused, with the way out."""
    with pytest.raises(InputError, match="unit_curves"):
        unit_response(fleet(), np.array([6_000.0]), np.array([True]))
    assert "unit curves" in (
        FleetCurve(sources_by="unit").can_fit(states(gas=[1.0]), Facts("UTC", {}, fleet())) or ""
    )
