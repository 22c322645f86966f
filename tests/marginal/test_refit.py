"""What a fit may see of a changed grid, and how two fits differ."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.marginal import parameter_changes, weigh_history
from gridmargin.vocab import Fuel, Interval, canonical_json
from marginal.fuel_mix import states_of

START = datetime(2021, 1, 1, tzinfo=UTC)
HISTORY = states_of({Fuel.COAL: np.ones(24 * 100)}, start=START)


def day(n):
    return START + timedelta(days=n)


def seen(changed, usable=lambda part: len(part) > 0):
    kept, effects = weigh_history(HISTORY, changed, usable)
    return [(moment - START).days for moment in kept.frame["start_utc"].to_list()[::24]], effects, len(kept)


def test_with_four_weeks_of_the_new_grid_the_old_one_is_not_seen():
    """The fit begins at the change."""
    days, effects, n = seen([day(60)])
    assert (days[0], n, effects) == (60, 40 * 24, ["cut"])


def test_with_less_the_old_grid_counts_a_quarter():
    """Every fourth day before the change stays, counted back from it, and every day after."""
    days, effects, n = seen([day(80)])
    assert effects == ["down-weighted"]
    assert [d for d in days if d >= 80] == list(range(80, 100))
    assert [d for d in days if d < 80] == list(range(3, 80, 4))
    assert n == 40 * 24


def test_two_changes_cut_at_the_one_with_enough_after_it():
    """Before the first nothing is seen; between them a quarter; what lies outside the history is said."""
    days, effects, _ = seen([day(-5), day(10), day(50), day(90), day(300)])
    assert effects == ["not in the fit", "before the cut", "cut", "down-weighted", "not in the fit"]
    assert days[0] >= 50
    assert [d for d in days if d < 90] == [d for d in range(50, 90) if (89 - d) % 4 == 0]


def test_where_leaving_out_leaves_too_little_everything_stays_and_it_is_said():
    """An estimator that needs ninety days gets them."""
    _, effects, n = seen([day(80)], lambda part: len(part) >= 90 * 24)
    assert (effects, n) == (["too little data"], len(HISTORY))
    assert seen([])[1:] == ([], len(HISTORY))
    assert weigh_history(HISTORY.between(Interval(day(200), day(201))), [day(1)], bool)[1] == [
        "not in the fit"
    ]


@given(st.lists(st.integers(-10, 110), max_size=4, unique=True).map(sorted))
def test_what_is_seen_is_part_of_the_history_and_each_change_is_accounted_for(days):
    """Order and rows stay as they were, and nothing after the newest change inside is ever left out."""
    kept, effects = weigh_history(HISTORY, [day(n) for n in days], lambda part: len(part) > 0)
    assert len(effects) == len(days)
    starts = set(kept.start_epoch_s().tolist())
    assert starts <= set(HISTORY.start_epoch_s().tolist())
    newest = max((n for n in days if 0 < n < 100), default=0)
    assert {s for s in HISTORY.start_epoch_s().tolist() if s >= day(newest).timestamp()} <= starts


def test_a_difference_of_fits_is_short_and_plain():
    """Values are shown, lists of numbers are summed up, what stayed is left out, and it is JSON."""
    old = {"same": 1, "rate": [1.0, 3.0], "name": "a", "table": {"n": 5, "x": [1]}, "gone": True,
           "words": list("abcdefghijklmn")}  # fmt: skip
    new = {
        "same": 1,
        "rate": [2.0, 3.5],
        "name": "b",
        "table": {"n": 6, "x": [1]},
        "grown": [[1.0]],
        "words": ["a"],
    }
    found = parameter_changes(old, new)
    assert found == {
        "rate": {"n": 2, "old_mean": 2.0, "new_mean": 2.75, "greatest_change": 1.0},
        "name": {"old": "a", "new": "b"},
        "table.n": {"old": 5, "new": 6},
        "gone": {"old": True, "new": None},
        "grown": {"old": None, "new": [[1.0]]},
        "words": {"old": "14 values", "new": ["a"]},
    }
    assert canonical_json(found)
    assert parameter_changes(old, old) == {}


@pytest.mark.parametrize("name", ["watch", "Watch", "DriftEvent"])
def test_what_is_loaded_later_is_there(name):
    """The face names it without loading it."""
    import gridmargin.marginal

    assert getattr(gridmargin.marginal, name).__doc__
