"""Regimes by recent movement: thresholds from the training part, labels from what was known."""

from __future__ import annotations

import numpy as np
import pytest

from gridmargin.marginal.volatility import recent_movement, regimes, thresholds
from gridmargin.vocab import InputError

HOUR_S = 3600


def test_movement_is_the_spread_of_the_last_known_day() -> None:
    """Against NumPy's own standard deviation of the 24 hours that end a lag before."""
    rate = np.random.default_rng(0).normal(400, 50, 200)
    movement = recent_movement(rate, 2, HOUR_S)
    np.testing.assert_allclose(movement[100], np.std(rate[75:99]), rtol=1e-9)
    assert np.isnan(movement[:5]).all()


def test_movement_ignores_what_is_not_yet_known() -> None:
    """Values after the issue time change nothing before they are published."""
    rate = np.random.default_rng(0).normal(400, 50, 200)
    changed = rate.copy()
    changed[120:] = 0.0
    np.testing.assert_array_equal(
        recent_movement(rate, 3, HOUR_S)[:123], recent_movement(changed, 3, HOUR_S)[:123]
    )


def test_the_training_part_is_divided_as_the_shares_say() -> None:
    """A tenth procured, half volatile, and what is not known is volatile."""
    movement = np.arange(1000.0)
    names = regimes(np.append(movement, np.nan), thresholds(movement))
    assert [(names[:1000] == name).sum() for name in ("procured", "stable", "volatile")] == [100, 400, 500]
    assert names[-1] == "volatile"


def test_nothing_known_sets_no_threshold() -> None:
    """The message says to give more data."""
    with pytest.raises(InputError, match="more data"):
        thresholds(np.full(3, np.nan))
