"""The operator's own word: rates as they stand, flags as a distribution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.grid import GridStates
from gridmargin.marginal import FuelRate
from gridmargin.marginal.published import RATE, Published
from gridmargin.vocab import Fuel, InputError, NoFactorError, View, published_margin_column
from marginal.fuel_mix import FACTS, states_of

N = 200


def flagged(n: int = N, generation: dict[Fuel, np.ndarray] | None = None, **columns: object) -> GridStates:
    """Coal steady and gas moving, with the flags given by fuel."""
    hour = np.arange(n)
    gas = 10_000.0 + 500 * np.sin(hour)
    states = states_of(generation or {Fuel.COAL: np.full(n, 5_000.0) + hour % 2, Fuel.GAS: gas})
    named = {
        column if column.endswith("kwh") else published_margin_column(Fuel(column)): pl.Series(
            np.broadcast_to(np.asarray(values, dtype=float), (n,)), nan_to_null=True
        )
        for column, values in columns.items()
    }
    return replace(states, frame=states.frame.with_columns(**named))


def estimate(states: GridStates, history: GridStates | None = None, **options: str):
    published = Published(**options)
    return published.estimate(states, published.fit(history or states, FACTS))


def probability(estimates, name: str) -> np.ndarray:
    if name not in estimates.source_names:
        return np.zeros(len(estimates))
    return estimates.source_probability[:, estimates.source_names.index(name)]


def test_a_single_flag_is_that_fuels_rate() -> None:
    """Gas flagged: 400, all of it gas."""
    estimates = estimate(flagged(gas=1.0, coal=0.0))
    assert (estimates.mid == 400.0).all()
    assert (probability(estimates, "gas") == 1.0).all()
    assert set(estimates.regime) == {"flag/gas"}


def test_shares_that_add_up_to_one_are_the_distribution() -> None:
    """A table of fuel on margin says a quarter coal: 0.25 × 1000 + 0.75 × 400."""
    estimates = estimate(flagged(gas=0.75, coal=0.25))
    np.testing.assert_allclose(estimates.mid, 550.0)


def test_an_unstated_rest_is_not_filled_with_a_fuel() -> None:
    """Gas in 0.4 of the interval, coal in 0.2 and nothing said of the rest: two to one."""
    estimates = estimate(flagged(gas=0.4, coal=0.2))
    np.testing.assert_allclose(probability(estimates, "gas"), 2 / 3)


def test_fuels_flagged_together_share_by_how_far_they_move() -> None:
    """Gas swings by hundreds of MW and coal by one: the answer is nearly all gas; `equal` halves it."""
    states = flagged(gas=1.0, coal=1.0)
    assert (probability(estimate(states), "gas") > 0.99).all()
    np.testing.assert_allclose(probability(estimate(states, split="equal"), "gas"), 0.5)


def test_a_published_rate_is_taken_as_it_stands_and_comes_first() -> None:
    """312 g where the operator says so, whatever it flags; flags where it does not."""
    rate = np.where(np.arange(N) < 100, 312.0, np.nan)
    estimates = estimate(flagged(gas=1.0, published_marginal_rate_gco2_per_kwh=rate))
    np.testing.assert_array_equal(estimates.mid, np.where(np.arange(N) < 100, 312.0, 400.0))
    assert (probability(estimates, RATE)[:100] == 1.0).all()
    assert estimates.regime[0] == "rate"


def test_a_state_without_any_flag_is_left_out() -> None:
    """Nothing stated, or everything stated not to be marginal: no estimate; never filled (C8)."""
    gas = np.ones(N)
    gas[10], gas[20] = np.nan, 0.0
    estimates = estimate(flagged(gas=gas))
    hours = (estimates.start_epoch_s - estimates.start_epoch_s[0]) // 3600
    assert sorted(set(range(N)) - set(hours.tolist())) == [10, 20]


def test_a_flagged_fuel_without_a_rate_leaves_the_state_out() -> None:
    """Unknown is not zero: waste has no rate here, and what it emits is not made up."""
    waste = np.zeros(N)
    waste[7] = 1.0
    assert len(estimate(flagged(gas=1.0 - waste, waste=waste))) == N - 1
    missing = Published().can_fit(flagged(waste=1.0), FACTS)
    assert missing
    assert "no emission rate is known for waste" in missing


def test_a_fuel_flagged_for_the_first_time_is_still_priced() -> None:
    """Oil never flagged in the history: its rate, and a range down to what was flagged before."""
    history, states = flagged(gas=1.0, coal=0.0), flagged(5, gas=0.0, oil=1.0)
    estimates = estimate(states, history)
    assert (estimates.mid == 700.0).all()
    assert (estimates.low <= 400.0).all()


def test_a_rare_flag_does_not_borrow_the_certainty_of_a_common_one() -> None:
    """Wind flagged twice in two hundred: its range spans what the operator flags otherwise."""
    wind = np.zeros(N)
    wind[[50, 150]] = 1.0
    estimates = estimate(flagged(gas=1.0 - wind, wind=wind))
    assert estimates.mid[50] == 0.0
    assert estimates.high[50] >= 400.0
    assert estimates.high[0] < 500.0


@given(st.integers(0, 2**32 - 1))
def test_ninety_percent_of_the_next_words_fall_in_the_range_of_this_one(seed: int) -> None:
    """Split conformal on a published rate that wanders: in-sample coverage of the next interval is at least 0.9."""
    generator = np.random.default_rng(seed)
    rate = np.maximum(400 + np.cumsum(generator.normal(0, 10, N)), 0)
    estimates = estimate(flagged(published_marginal_rate_gco2_per_kwh=rate))
    inside = (estimates.low[:-1] <= rate[1:]) & (rate[1:] <= estimates.high[:-1])
    assert inside.mean() >= 0.9


@given(st.integers(0, 2**32 - 1))
def test_whatever_is_flagged_makes_a_distribution(seed: int) -> None:
    """Random shares, some absent: rows sum to 1 and the middle lies between the cleanest and the dirtiest flag."""
    generator = np.random.default_rng(seed)
    shares = {
        name: np.where(generator.random(N) < 0.3, np.nan, generator.integers(0, 2, N) * generator.random(N))
        for name in ("gas", "coal", "wind", "oil")
    }
    estimates = estimate(flagged(**shares))
    np.testing.assert_allclose(estimates.source_probability.sum(axis=1), 1.0)
    assert (estimates.mid >= -1e-9).all()
    assert (estimates.mid <= 1000 + 1e-9).all()
    assert (estimates.low <= estimates.mid).all()
    assert (estimates.mid <= estimates.high).all()


def test_what_cannot_be_fitted_says_what_is_missing() -> None:
    """No flag at all; a split that is none."""
    with pytest.raises(NoFactorError, match="marginal fuel or rate"):
        Published().fit(flagged(), FACTS)
    with pytest.raises(InputError, match="split 'both'"):
        Published("both")


def test_the_dirtier_the_flagged_fuel_the_higher_the_factor() -> None:
    """Raising one fuel's rate raises every state in which it is flagged and no other."""
    coal = (np.arange(N) % 2).astype(float)
    states = flagged(gas=1.0 - coal, coal=coal)
    dirtier = replace(FACTS, fuel_rates={**FACTS.fuel_rates, Fuel.COAL: FuelRate(1100.0, "made up", 0.05)})
    published = Published()
    before = published.estimate(states, published.fit(states, FACTS)).mid
    after = published.estimate(states, published.fit(states, dirtier)).mid
    np.testing.assert_array_equal(after - before, 100.0 * coal)


def test_estimates_after_the_fit_are_observed_and_within_it_are_hindcasts() -> None:
    """C10: what the fit has seen is marked."""
    states = flagged(gas=1.0)
    published = Published()
    fit = published.fit(replace(states, frame=states.frame[:100]), FACTS)
    assert published.estimate(states, fit).basis.view is View.HINDCAST
    later = replace(states, frame=states.frame[100:])
    assert published.estimate(later, fit).basis.view is View.OBSERVED
