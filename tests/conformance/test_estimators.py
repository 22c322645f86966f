"""What every registered estimator keeps, whoever wrote it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from gridmargin.grid import FleetResponse, UnitFleet
from gridmargin.marginal import ESTIMATORS
from gridmargin.vocab import Fuel, Kind, NoFactorError
from marginal.fuel_mix import FACTS, states_of, wandering_load

LOAD_MW = np.linspace(5_000.0, 40_000.0, 36)
COAL_MW = np.minimum(0.4 * LOAD_MW, 9_000.0)
FLEET = FleetResponse(
    region="Texas",
    year=2020,
    load_mw=LOAD_MW,
    co2_g_per_h_ozone=1e6 * COAL_MW + 4e5 * (LOAD_MW - COAL_MW),
    co2_g_per_h_other=1e6 * COAL_MW + 4e5 * (LOAD_MW - COAL_MW),
    fuel_generation_mw={Fuel.COAL: COAL_MW, Fuel.GAS: LOAD_MW - COAL_MW},
    payload_sha256s=("0" * 64,),
)
UNITS = UnitFleet(
    name="ten coal and thirty gas units",
    unit_names=(*(f"coal{n}" for n in range(10)), *(f"gas{n}" for n in range(30))),
    fuels=(Fuel.COAL,) * 10 + (Fuel.GAS,) * 30,
    places=("US-ERCO",) * 40,
    capacity_mw=np.repeat(1000.0, 40),
    minimum_mw=np.repeat([400.0, 300.0], [10, 30]),
    factor_gco2_per_kwh=np.concatenate([np.linspace(900, 1000, 10), np.linspace(350, 600, 30)]),
    marginal_cost_per_mwh=np.concatenate([np.linspace(20, 30, 10), np.linspace(25, 60, 30)]),
    ramp_mw_per_h=np.repeat(300.0, 40),
    minimum_up_h=np.repeat(8.0, 40),
    minimum_down_h=np.repeat(8.0, 40),
    start_cost=np.repeat(20_000.0, 40),
    forced_outage_frac=np.repeat(0.06, 40),
    currency="USD",
)
WITH_FLEET = replace(FACTS, fleet=FLEET, units=UNITS)
LOAD = wandering_load(24 * 90)
PRICE = 25.0 + 35.0 * (LOAD - LOAD.min()) / np.ptp(LOAD)
HISTORY = states_of({Fuel.COAL: 0.3 * LOAD, Fuel.GAS: 0.7 * LOAD, Fuel.WIND: LOAD[::-1] / 4})
HISTORY = replace(
    HISTORY,
    frame=HISTORY.frame.with_columns(
        pl.Series("price_usd_per_mwh", PRICE),
        published_margin_gas_frac=pl.Series((LOAD > 16_000).astype(float)),
        published_margin_coal_frac=pl.Series((LOAD <= 18_000).astype(float)),
    ),
)


def test_there_are_estimators_to_test() -> None:
    """An empty registry would pass everything below."""
    assert {"regression", "fleet_curve", "average"} <= set(ESTIMATORS.names())


@pytest.fixture(params=ESTIMATORS.names())
def estimator(request):
    return ESTIMATORS.get(request.param)()


def test_it_says_what_it_is(estimator) -> None:
    """A name it is registered by, a version and a kind."""
    assert type(estimator) is ESTIMATORS.get(estimator.name)
    assert estimator.version
    assert isinstance(estimator.kind, Kind)


def test_estimates_lie_within_what_the_fleet_can_emit(estimator) -> None:
    """Every estimate and its sources are between the cleanest and the dirtiest plant, in its kind."""
    assert estimator.can_fit(HISTORY, WITH_FLEET) is None
    fit = estimator.fit(HISTORY, WITH_FLEET)
    estimates = estimator.estimate(HISTORY, fit)
    assert len(estimates) == len(HISTORY)
    assert estimates.basis.kind is estimator.kind
    assert estimates.fit_id == fit.fit_id
    assert (estimates.mid >= 0).all()
    assert (estimates.mid <= 1000 + 1e-6).all()
    assert (estimates.low >= 0).all()
    assert (estimates.high > estimates.low).all()
    assert (estimates.source_probability >= 0).all()


def test_the_same_arguments_give_the_same_answer(estimator) -> None:
    """Twice fitted, once through JSON: the same fit id and the same estimates."""
    first = estimator.fit(HISTORY, WITH_FLEET)
    second = type(estimator)().fit(HISTORY, WITH_FLEET)
    assert first.fit_id == second.fit_id
    again = replace(second, parameters=json.loads(json.dumps(second.parameters, allow_nan=False)))
    one, two = estimator.estimate(HISTORY, first), estimator.estimate(HISTORY, again)
    for name in (
        "start_epoch_s",
        "low",
        "mid",
        "high",
        "source_probability",
        "source_factor",
        "regime",
        "status",
    ):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_one_interval_is_estimated_as_it_is_among_many(estimator) -> None:
    """No estimate looks at its neighbours."""
    fit = estimator.fit(HISTORY, WITH_FLEET)
    every = estimator.estimate(HISTORY, fit)
    alone = estimator.estimate(replace(HISTORY, frame=HISTORY.frame[500:501]), fit)
    for name in ("low", "mid", "high", "source_probability", "source_factor"):
        # To the last bit: the ledger would take another last bit for a revision.
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(every, name)[500])


def test_a_state_without_its_input_is_left_out(estimator) -> None:
    """Null generation gives no estimate; nothing is filled."""
    fit = estimator.fit(HISTORY, WITH_FLEET)
    stated = pl.selectors.starts_with("generation_", "published_") - pl.selectors.starts_with(
        "generation_wind"
    )
    frame = HISTORY.frame.with_columns(stated * pl.lit(None, dtype=pl.Float64))
    assert len(estimator.estimate(replace(HISTORY, frame=frame), fit)) == 0


def test_no_states_give_no_estimates(estimator) -> None:
    """An empty table in, an empty table out; but no fit."""
    nothing = replace(HISTORY, frame=HISTORY.frame.head(0))
    assert len(estimator.estimate(nothing, estimator.fit(HISTORY, WITH_FLEET))) == 0
    missing = estimator.can_fit(nothing, WITH_FLEET)
    assert missing
    assert HISTORY.zone in missing
    with pytest.raises(NoFactorError):
        estimator.fit(nothing, WITH_FLEET)


def test_a_status_that_is_not_reported_is_carried_on(estimator) -> None:
    """What was imputed stays imputed, and its range is no narrower."""
    fit = estimator.fit(HISTORY, WITH_FLEET)
    reported = estimator.estimate(HISTORY, fit)
    imputed = replace(HISTORY, frame=HISTORY.frame.with_columns(status=pl.lit("imputed")))
    estimates = estimator.estimate(imputed, fit)
    assert "reported" not in estimates.status.tolist()
    assert (estimates.high - estimates.low >= reported.high - reported.low - 1e-9).all()
