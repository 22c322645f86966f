"""Drift is found soon, and seldom where there is none: rates are held against what is promised, on made-up series."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import binom

from gridmargin.marginal import watch
from gridmargin.marginal.drift import CAUSES, rank_e_values
from gridmargin.marginal.drift_blocks import DAY_S, block_length_s, correlation_time, cut_into_blocks
from gridmargin.vocab import InputError, TableError

Q90 = 1.6448536269514722  # a standard normal lies within so many standard deviations nine times in ten


def noise(generator, n, rho=0.0):
    """An AR(1) of variance 1."""
    drawn = generator.normal(size=n + 1000) * np.sqrt(1 - rho**2)
    return lfilter([1.0], [1.0, -rho], drawn)[1000:]


def watched(residual, half_width=Q90, step_s=3600, regime="all day", **options):
    """Watch a series of residuals around an estimate of 500."""
    n = len(residual)
    mid = np.full(n, 500.0)
    regimes = np.array([regime] * n) if isinstance(regime, str) else regime
    return watch(
        np.arange(n) * step_s, mid - half_width, mid, mid + half_width, mid + residual, regimes, **options
    )


@pytest.mark.parametrize(
    ("rho", "power"), [(0.0, 1.0), (0.8, 1.0), (0.95, 1.0), (0.8, 1.7)],
    ids=["independent", "hours", "days", "heavy tails"],
)  # fmt: skip
def test_false_alarms_are_as_rare_as_promised(rho, power):
    """At A blocks between alarms at most n ÷ A of the series of n blocks alarm, correlated and heavy-tailed or not."""
    generator = np.random.default_rng(11)
    n_series, a, alarmed, allowed = 100, 250.0, 0, []
    for _ in range(n_series):
        drawn = noise(generator, 24 * 150, rho)
        found = watched(np.sign(drawn) * np.abs(drawn) ** power, Q90**power, false_alarm_blocks=a)
        alarmed += bool(found.events)
        allowed.append(found.n_blocks / a)
    # More than this would happen once in a thousand times if the promise were kept to the letter.
    assert alarmed <= binom.ppf(0.999, n_series, np.mean(allowed))
    assert np.mean(allowed) <= 0.6


def test_without_long_blocks_correlated_errors_would_alarm_far_too_often(monkeypatch):
    """The check above can fail: the same series in blocks of one day break the promise."""
    monkeypatch.setattr("gridmargin.marginal.drift_blocks.MAX_BLOCK_DAYS", 1)
    generator = np.random.default_rng(11)
    alarmed = sum(
        bool(watched(noise(generator, 24 * 150, 0.99), false_alarm_blocks=250.0).events) for _ in range(60)
    )
    assert alarmed > binom.ppf(0.999, 60, 150 / 250)


@pytest.mark.parametrize(
    ("change", "rho", "cause", "within_days"),
    [
        (lambda x: x + 1.0, 0.0, "residual_up", 7),
        (lambda x: x - 1.0, 0.0, "residual_down", 7),
        (lambda x: 2.0 * x, 0.0, "coverage_low", 20),
        (lambda x: x + 1.0, 0.8, "residual_up", 25),
        (lambda x: 2.5 * x, 0.8, "coverage_low", 35),
    ],
)
def test_a_change_is_found_soon_and_its_beginning_is_told(change, rho, cause, within_days):
    """Half a year of quiet, then a change: the median delay is days, and the beginning is near the truth."""
    generator = np.random.default_rng(5)
    delays, errors, causes = [], [], []
    for _ in range(15):
        drawn = noise(generator, 24 * 365, rho)
        drawn[24 * 180 :] = change(drawn[24 * 180 :])
        found = watched(drawn)
        assert found.events, cause
        event = found.events[0]
        causes.append(event.cause)
        assert event.statistic >= event.threshold
        delays.append(event.time_epoch_s / DAY_S - 180)
        errors.append(abs(event.since_epoch_s / DAY_S - 180))
    # A wider error also throws block means far out, which now and then is seen first.
    assert causes.count(cause) >= 12
    assert min(delays) > 0
    assert np.median(delays) <= within_days
    assert np.median(errors) <= 2 * found.block_s / DAY_S


def test_a_range_that_holds_too_much_is_drift_too():
    """A range three times too wide holds everything, which is found in time."""
    found = watched(noise(np.random.default_rng(3), 24 * 400), 3 * Q90)
    assert [e.cause for e in found.events][:1] == ["coverage_high"]
    assert found.coverage_frac > 0.99


def test_one_regime_can_drift_alone():
    """Nights that drift are named, though days dilute them; days raise nothing."""
    generator = np.random.default_rng(8)
    drawn = noise(generator, 24 * 300)
    hour = np.arange(len(drawn)) % 24
    night = hour < 6
    drawn[night & (np.arange(len(drawn)) > 24 * 150)] += 1.5
    found = watched(drawn, regime=np.where(night, "night/1", "day/2"))
    assert {e.regime for e in found.events} <= {"night", "all"}
    assert any(e.regime == "night" and e.cause == "residual_up" for e in found.events)


@given(st.lists(st.floats(0.1, 3), min_size=1, max_size=3))
def test_the_e_values_of_ranks_have_mean_1_exactly(tilts):
    """Over every order of five values, and of five values with equals, each product of e-values has mean 1."""
    for values in ([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 1.0, 2.0, 3.0, 3.0]):
        products = [
            rank_e_values(np.array(order), np.array(tilts)).prod(axis=0) for order in permutations(values)
        ]
        assert np.mean(products, axis=0) == pytest.approx(np.ones(len(tilts)), rel=1e-12)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.95])
def test_the_correlation_time_of_an_ar1_is_known(rho):
    """τ = (1 + ρ) ÷ (1 − ρ), in steps."""
    found = correlation_time(noise(np.random.default_rng(2), 200_000, rho))
    assert found == pytest.approx((1 + rho) / (1 - rho), rel=0.1)


def test_blocks_are_whole_days_and_long_enough_for_the_errors():
    """Independent hours need one day, errors that last need several, and a constant needs one."""
    start = np.arange(24 * 300) * 3600
    generator = np.random.default_rng(4)
    assert block_length_s(start, noise(generator, len(start)))[0] == DAY_S
    assert 3 <= block_length_s(start, noise(generator, len(start), 0.9))[0] / DAY_S <= 6
    assert block_length_s(start, np.full(len(start), 0.1))[0] == DAY_S
    assert block_length_s(start[:1], np.zeros(1))[0] == DAY_S


def test_a_block_with_few_intervals_is_left_out():
    """Half a day's outage leaves a block that says little; the others keep their means."""
    start = np.concatenate([np.arange(24), 24 + np.arange(3), 48 + np.arange(24)]) * 3600
    blocks = cut_into_blocks(start, start >= 48 * 3600, start / 3600.0, DAY_S)
    assert blocks.start_epoch_s.tolist() == [0, 2 * DAY_S]
    assert blocks.n.tolist() == [24, 24]
    assert blocks.miss_frac.tolist() == [0, 1]
    assert blocks.residual.tolist() == [11.5, 59.5]
    assert blocks.coverage_frac == 0.5


@given(st.integers(1, 60), st.sampled_from([0.0, 1e6]))
def test_short_and_constant_series_raise_nothing(n, level):
    """With nothing to tell before from after there is no alarm, and no warning either."""
    found = watched(np.full(n, level), half_width=2e6)
    assert found.events == ()
    assert found.coverage_frac == 1.0


def test_gaps_are_left_out_and_nothing_at_all_is_said():
    """A reference that is not known is not compared; where none is, the message says so."""
    drawn = noise(np.random.default_rng(1), 24 * 30)
    drawn[::3] = np.nan
    assert watched(drawn).n == 24 * 20
    with pytest.raises(InputError, match="nothing to watch"):
        watched(np.full(48, np.nan))
    with pytest.raises(InputError, match="more than 1"):
        watched(drawn, false_alarm_blocks=1.0)
    with pytest.raises(TableError, match="ordered"):
        watched(drawn, step_s=0)
    with pytest.raises(TableError, match="one length"):
        watched(drawn, regime=np.array(["x"]))


def test_an_event_is_plain_json():
    """What goes into the ledger has no NaN and no arrays."""
    drawn = noise(np.random.default_rng(1), 24 * 90)
    drawn[24 * 45 :] += 2
    (event, *_) = watched(drawn).events
    told = event.as_dict()
    assert told["cause"] in CAUSES
    assert all(type(value) in (str, int, float) for value in told.values())
