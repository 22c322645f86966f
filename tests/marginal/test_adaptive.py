"""Adaptive ranges: they hold what comes, in every regime, and look at nothing that is not yet published."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.marginal.adaptive import adapt
from gridmargin.vocab import InputError


def coverage(reference, low, high, keep=slice(None)) -> float:
    return float(((low <= reference) & (reference <= high))[keep].mean())


def drifting(n: int = 20_000, seed: int = 1):
    """A level of 300 whose noise grows threefold and turns lopsided half way; two regimes of unequal noise."""
    rng = np.random.default_rng(seed)
    regimes = np.where(np.arange(n) // 50 % 2 == 0, "calm", "wild")
    size = np.where(regimes == "calm", 10.0, 40.0) * np.linspace(0.7, 2.1, n)
    noise = np.where(np.arange(n) < n // 2, rng.normal(size=n), rng.exponential(size=n) - 0.5)
    return np.maximum(300.0 + size * noise, 0.0), regimes


@pytest.mark.parametrize("delay", [1, 13, 289])
def test_a_drifting_series_is_covered_in_every_regime(delay: int) -> None:
    """87 to 93 of 100, though the nominal range fits neither regime and the noise leaves it behind."""
    reference, regimes = drifting()
    mid = np.full(len(reference), 300.0)
    low, high = adapt(reference, mid - 15, mid, mid + 15, regimes, delay)
    warm = np.arange(len(reference)) > 4000
    assert coverage(reference, mid - 15, mid + 15) < 0.65
    for name in ("calm", "wild"):
        assert 0.87 < coverage(reference, low, high, warm & (regimes == name)) < 0.93


def test_a_range_that_is_too_wide_shrinks() -> None:
    """Coverage of a nominal range that held everything comes down to what was asked for."""
    reference, regimes = drifting()
    mid = np.full(len(reference), 300.0)
    low, high = adapt(reference, mid * 0, mid, mid + 3000, regimes, 13)
    assert 0.88 < coverage(reference, low, high, slice(5000, None)) < 0.93


def test_zeros_are_covered_and_what_the_low_end_does_not_use_goes_to_the_high_end() -> None:
    """Where 30 of 100 are exactly zero and the low end is zero, the whole range still holds 90 of 100."""
    rng = np.random.default_rng(3)
    n = 30_000
    reference = np.where(rng.random(n) < 0.3, 0.0, rng.gamma(4.0, 50.0, n))
    mid, low, high = np.full(n, 150.0), np.zeros(n), np.full(n, 160.0)
    found_low, found_high = adapt(reference, low, mid, high, np.zeros(n, dtype=np.int64), 13)
    kept = slice(8000, None)
    assert (found_low >= 0).all()
    assert 0.88 < coverage(reference, found_low, found_high, kept) < 0.92


@given(st.integers(1, 40), st.integers(0, 299), st.floats(0, 1e4), st.integers(0, 3))
def test_what_comes_after_the_issue_time_moves_no_range(delay: int, at: int, value: float, seed: int) -> None:
    """Ranges up to `at + delay − 1` stay to the last bit when the reference at `at` and all later ones change."""
    reference, regimes = drifting(300, seed)
    mid = np.full(300, 300.0)
    changed = reference.copy()
    changed[at:] = value
    one = adapt(reference, mid - 20, mid, mid + 20, regimes, delay)
    two = adapt(changed, mid - 20, mid, mid + 20, regimes, delay)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a[: at + delay], b[: at + delay])


@given(st.integers(0, 5), st.floats(0, 1000), st.floats(0, 300), st.floats(0, 300))
def test_the_centre_stays_inside_and_nothing_is_negative(
    seed: int, mid: float, below: float, above: float
) -> None:
    """0 ≤ low ≤ mid ≤ high, whatever comes."""
    reference, regimes = drifting(400, seed)
    centre = np.full(400, mid)
    low, high = adapt(reference, np.maximum(centre - below, 0), centre, centre + above, regimes, 3)
    assert (low >= 0).all()
    assert (low <= centre).all()
    assert (high >= centre).all()


def test_a_gap_moves_nothing() -> None:
    """With no reference ever published the nominal range stands."""
    n = 200
    nothing, mid = np.full(n, np.nan), np.full(n, 100.0)
    low, high = adapt(nothing, mid - 5, mid, mid + 7, np.zeros(n, dtype=np.int64), 2)
    np.testing.assert_allclose(low, 95.0)
    np.testing.assert_allclose(high, 107.0)


def test_bad_input_is_refused_by_name() -> None:
    """Wrong lengths, a delay that sees the future, ends out of order, a coverage of one."""
    y, mid = np.full(5, 1.0), np.full(5, 1.0)
    regime = np.zeros(5, dtype=np.int64)
    with pytest.raises(InputError, match="high has shape"):
        adapt(y, mid, mid, mid[:3], regime, 1)
    with pytest.raises(InputError, match="not yet published"):
        adapt(y, mid, mid, mid, regime, 0)
    with pytest.raises(InputError, match="interval 0"):
        adapt(y, mid + 1, mid, mid + 2, regime, 1)
    with pytest.raises(InputError, match="coverage"):
        adapt(y, mid, mid, mid, regime, 1, coverage=1.0)
    assert [len(a) for a in adapt(y[:0], y[:0], y[:0], y[:0], regime[:0], 1)] == [0, 0]
