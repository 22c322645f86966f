"""Forecasts of a rate: they know the past alone, model exact zeros, and find what can be found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.marginal import forecast
from gridmargin.marginal.forecast import Lesson, best_threshold, fit, refit, says_zero
from gridmargin.marginal.forecast_features import RateSeries, design, lag_steps
from gridmargin.vocab import InputError

HOUR_S = 3600
START = 1_577_836_800  # 2020-01-01


@pytest.fixture(scope="module", autouse=True)
def fewer_trees():
    """A third of the trees with longer steps: what is asked here does not need more."""
    with pytest.MonkeyPatch.context() as patch:
        for boosting in (forecast.BOOSTING, forecast.TAIL_BOOSTING):
            patch.setitem(boosting, "max_iter", 40)
            patch.setitem(boosting, "learning_rate", 0.2)
        yield


def series_of(rate: np.ndarray, **states: np.ndarray) -> RateSeries:
    return RateSeries(START, HOUR_S, rate, states)


def sunny(n_days: int = 60, seed: int = 0) -> np.ndarray:
    """A noisy evening-peaked rate that is exactly zero at midday on every other pair of days."""
    rng = np.random.default_rng(seed)
    hour, day = np.arange(n_days * 24) % 24, np.arange(n_days * 24) // 24
    rate = 300 + 100 * np.sin((hour - 14) / 24 * 2 * np.pi) + rng.normal(0, 10, len(hour))
    return np.where((np.abs(hour - 12) <= 2) & (day % 4 < 2), 0.0, rate)


@settings(max_examples=25)
@given(st.integers(1, 48), st.integers(1, 1439), st.floats(0, 1000), st.booleans())
def test_no_value_after_the_issue_time_changes_a_row(
    horizon_h: int, at: int, value: float, is_gap: bool
) -> None:
    """Rows whose newest known interval lies before `at` stay to the last bit when all from `at` on changes."""
    rate = sunny()
    wind = np.cos(np.arange(len(rate)) / 30.0)
    changed_rate, changed_wind = rate.copy(), wind.copy()
    changed_rate[at:] = np.nan if is_gap else value
    changed_wind[at:] = -5.0
    lag = lag_steps(horizon_h * HOUR_S, HOUR_S)
    before, _ = design(series_of(rate, wind=wind), horizon_h * HOUR_S, "America/Los_Angeles")
    after, _ = design(series_of(changed_rate, wind=changed_wind), horizon_h * HOUR_S, "America/Los_Angeles")
    np.testing.assert_array_equal(before[: at + lag], after[: at + lag])


def test_the_newest_known_interval_ended_when_the_forecast_was_issued() -> None:
    """An hour ahead of hourly intervals the newest starts two hours before the target; five minutes give thirteen."""
    assert lag_steps(HOUR_S, HOUR_S) == 2
    assert lag_steps(HOUR_S, 300) == 13
    rows, names = design(series_of(np.arange(100.0)), HOUR_S, "UTC")
    assert rows[50, names.index("lag_0")] == 48.0
    assert rows[50, names.index("day_before")] == 26.0
    with pytest.raises(InputError, match="whole number"):
        lag_steps(400, 300)


@pytest.fixture(scope="module")
def learned():
    rate = sunny()
    rows, names = design(series_of(rate), HOUR_S, "UTC")
    cut = 45 * 24
    forecaster, held_out = fit([Lesson(rows[:cut], rate[:cut])], names)
    return rate, rows, names, cut, forecaster, held_out


def test_a_forecast_beats_persistence_and_the_mean_day(learned) -> None:
    """On a series with a daily course and days of two kinds."""
    rate, rows, _, cut, forecaster, _ = learned
    mae = np.abs(forecaster.forecast(rows[cut:]).mid - rate[cut:]).mean()
    hour = np.arange(len(rate)) % 24
    mean_day = np.array([rate[:cut][hour[:cut] == h].mean() for h in range(24)])
    assert mae < 0.6 * np.abs(rate[cut - 2 : -2] - rate[cut:]).mean()
    assert mae < 0.6 * np.abs(mean_day[hour[cut:]] - rate[cut:]).mean()


def test_zero_has_its_own_probability(learned) -> None:
    """Where zero is likelier than not the median is exactly zero, and so is every quantile below the probability."""
    rate, rows, _, cut, forecaster, _ = learned
    made = forecaster.forecast(rows[cut:])
    said = says_zero(made.zero_probability, 24)
    is_zero = rate[cut:] == 0
    assert 2 * (said & is_zero).sum() / (said.sum() + is_zero.sum()) > 0.6
    assert (made.mid[made.zero_probability > 0.5] == 0).all()
    assert (made.quantiles[made.zero_probability > 0.05, 0] == 0).all()
    assert made.mid[~is_zero].min() > 0 or (made.zero_probability[~is_zero] > 0.5).any()


def test_quantiles_are_in_order_and_the_middle_one_is_the_centre(learned) -> None:
    """Along every row, and not negative."""
    _, rows, _, _, forecaster, _ = learned
    made = forecaster.forecast(rows)
    assert (np.diff(made.quantiles, axis=1) >= 0).all()
    np.testing.assert_array_equal(made.quantiles[:, 2], made.mid)
    assert made.quantiles.min() >= 0


def test_weights_are_not_negative_and_sum_to_one(learned) -> None:
    """They stand by name, so that a report can show them."""
    weights = learned[4].weights
    assert min(weights.values()) >= 0
    assert sum(weights.values()) == pytest.approx(1.0)


def test_the_same_past_gives_the_same_forecast(learned) -> None:
    """Nothing is drawn by chance that is not settled, and the test rows play no part in a fit."""
    rate, rows, names, cut, forecaster, held_out = learned
    again, held_again = fit([Lesson(rows[:cut], rate[:cut])], names)
    np.testing.assert_array_equal(forecaster.forecast(rows[cut:]).mid, again.forecast(rows[cut:]).mid)
    np.testing.assert_array_equal(held_out[0].quantiles, held_again[0].quantiles)
    np.testing.assert_array_equal(
        refit(forecaster, [Lesson(rows[:cut], rate[:cut])]).forecast(rows[cut:]).mid,
        forecaster.forecast(rows[cut:]).mid,
    )


def test_a_rate_below_zero_is_not_lifted_to_zero() -> None:
    """Published rates may be negative where congestion makes them so."""
    rate = sunny() - 400.0
    rows, names = design(series_of(rate), HOUR_S, "UTC")
    forecaster, _ = fit([Lesson(rows[:1000], rate[:1000])], names)
    made = forecaster.forecast(rows[1000:])
    assert np.median(made.mid) < -20
    assert np.abs(made.mid - rate[1000:]).mean() < np.abs(rate[998:-2] - rate[1000:]).mean()


def test_too_little_past_is_refused() -> None:
    """The message says how many intervals there were."""
    rows, names = design(series_of(np.ones(100)), HOUR_S, "UTC")
    with pytest.raises(InputError, match="100 intervals"):
        fit([Lesson(rows, np.ones(100))], names)


def test_the_threshold_is_the_one_with_the_best_f1() -> None:
    """Against trying every probability."""
    rng = np.random.default_rng(2)
    p = np.round(rng.random(300), 2)
    happened = rng.random(300) < p**2
    scores = {t: 2 * (happened & (p >= t)).sum() / (happened.sum() + (p >= t).sum()) for t in np.unique(p)}
    assert scores[best_threshold(p, happened)] == pytest.approx(max(scores.values()))
    assert best_threshold(p, happened & False) == 0.5


def test_zero_is_said_from_half_of_the_best_f1_and_by_no_later_forecast() -> None:
    """Where probabilities are true, near the best threshold in hindsight; later forecasts change no earlier word."""
    rng = np.random.default_rng(4)
    p = rng.beta(0.2, 2.0, 24 * 400)
    happened = rng.random(len(p)) < p
    said = says_zero(p, 24)
    best = p >= best_threshold(p, happened)
    f1 = [2 * (s & happened).sum() / (s.sum() + happened.sum()) for s in (said, best)]
    assert f1[0] > f1[1] - 0.03
    np.testing.assert_array_equal(says_zero(np.append(p[:480], np.ones(240)), 24)[:480], said[:480])
    assert not says_zero(np.zeros(10), 24).any()
