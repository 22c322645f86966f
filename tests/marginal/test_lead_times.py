"""Forecasts for every interval up to three days ahead: from the past alone, the same every time, ranges in order."""

from __future__ import annotations

import numpy as np
import pytest

from gridmargin.marginal import lead_times
from gridmargin.marginal.forecast_features import DAY_S, HOUR_S, RateSeries
from gridmargin.marginal.lead_times import LONGEST_S, RUNGS_S, ahead, learn, rounded_lead
from gridmargin.vocab import InputError

START = 1_577_836_800  # 2020-01-01


@pytest.fixture(scope="module", autouse=True)
def fewer_trees():
    """Fewer trees with longer steps: what is asked here does not need more."""
    with pytest.MonkeyPatch.context() as patch:
        for trees in (lead_times.TREES, lead_times.TAIL_TREES):
            patch.setitem(trees, "max_iter", 20)
            patch.setitem(trees, "learning_rate", 0.3)
        yield


def daily(n_days: int, seed: int = 0) -> np.ndarray:
    """A noisy daily course whose level differs from day to day and persists."""
    rng = np.random.default_rng(seed)
    hour = np.arange(n_days * 24) % 24
    level = np.repeat(np.cumsum(rng.normal(0, 10, n_days)), 24)
    return np.maximum(
        400 + level + 100 * np.sin((hour - 14) / 24 * 2 * np.pi) + rng.normal(0, 8, len(hour)), 0.0
    )


RATE = daily(120)
CUT = 100 * 24


@pytest.fixture(scope="module")
def learned():
    series = RateSeries(START, HOUR_S, RATE[:CUT])
    ladder = learn(series, "UTC")
    return series, ladder, ahead(ladder, series, 72)


def test_every_interval_up_to_three_days_has_a_range_in_order(learned) -> None:
    """From the interval that begins at the issue on, each an interval later."""
    _, ladder, made = learned
    assert [rung.below_s for rung in ladder.rungs] == list(RUNGS_S)
    np.testing.assert_array_equal(made.lead_s, np.arange(72) * HOUR_S)
    np.testing.assert_array_equal(made.start_epoch_s, START + CUT * HOUR_S + made.lead_s)
    assert ((made.low >= 0) & (made.low <= made.mid) & (made.mid <= made.high)).all()


def test_forecasts_beat_persistence_and_most_ranges_hold() -> None:
    """Issued from one ladder over twelve later days."""
    ladder = learn(RateSeries(START, HOUR_S, RATE[:CUT]), "UTC")
    error, naive, inside = [], [], []
    for end in range(CUT, CUT + 12 * 24, 17):
        made = ahead(ladder, RateSeries(START, HOUR_S, RATE[:end]), 72)
        came = RATE[end : end + 72]
        error.append(np.abs(made.mid - came))
        naive.append(np.abs(RATE[end - 1] - came))
        inside.append((made.low <= came) & (came <= made.high))
    assert np.mean(error) < 0.6 * np.mean(naive)
    assert np.mean(inside) > 0.8


def test_the_same_past_gives_the_same_forecast(learned) -> None:
    """To the last bit, in two threads or one."""
    series, _, made = learned
    again = ahead(learn(series, "UTC"), series, 72)
    for name in ("low", "mid", "high"):
        np.testing.assert_array_equal(getattr(made, name), getattr(again, name))


def test_what_lies_beyond_the_shown_past_changes_no_row(learned) -> None:
    """An issue's rows are made from the newest weeks: more of the past gives the same forecast."""
    _, ladder, made = learned
    first = CUT - lead_times.SHOWN_DAYS * 24
    short = RateSeries(START + first * HOUR_S, HOUR_S, RATE[first:CUT])
    np.testing.assert_array_equal(ahead(ladder, short, 72).mid, made.mid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lead_times, "SHOWN_DAYS", 100)
        np.testing.assert_allclose(
            ahead(ladder, RateSeries(START, HOUR_S, RATE[:CUT]), 72).mid, made.mid, atol=5.0
        )


@pytest.mark.parametrize("step_s", [300, 900, 1800, HOUR_S])
def test_a_rounded_lead_knows_no_more_and_keeps_yesterday(step_s: int) -> None:
    """Never shorter than the lead, never past its rung, and within a day the day before is still known."""
    for lead_s in range(0, LONGEST_S, step_s):
        made_at_s = rounded_lead(lead_s, step_s)
        assert lead_s <= made_at_s < lead_s + HOUR_S
        assert made_at_s % step_s == 0
        assert all(made_at_s < below_s for below_s in RUNGS_S if lead_s < below_s)
        if lead_s < DAY_S:
            assert made_at_s + step_s <= DAY_S


def test_a_shorter_ladder_reaches_as_far_as_asked(learned) -> None:
    """And refuses what lies beyond it."""
    series = learned[0]
    ladder = learn(series, "UTC", longest_s=2 * HOUR_S)
    assert [rung.below_s for rung in ladder.rungs] == [HOUR_S, 3 * HOUR_S]
    assert len(ahead(ladder, series, 3).mid) == 3
    with pytest.raises(InputError, match="not what was learned"):
        ahead(ladder, series, 4)


def test_too_little_past_is_refused() -> None:
    """The message says how many days there were and what to do."""
    with pytest.raises(InputError, match=r"10\.0 days .*; ask for a later issue time"):
        learn(RateSeries(START, HOUR_S, RATE[:240]), "UTC")
