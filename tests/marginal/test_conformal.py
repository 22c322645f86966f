"""Split-conformal ranges: coverage, pooling, order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.marginal.conformal import apply, calibrate, rank_quantiles, widening
from gridmargin.vocab import InputError, canonical_json


def labels(name: str, n: int) -> np.ndarray:
    return np.full(n, name)


def test_the_ranks_are_those_of_the_finite_sample_rule() -> None:
    """Of 19 residuals a 90 % range takes the first and the last: ⌊20 · 0.05⌋ = 1 and ⌈20 · 0.95⌉ = 19."""
    assert rank_quantiles(np.arange(1.0, 20.0), 0.9) == (1.0, 19.0)
    assert rank_quantiles(np.arange(1.0, 40.0), 0.9) == (2.0, 38.0)


@pytest.mark.parametrize("symmetric", [False, True])
def test_exchangeable_residuals_are_covered_as_often_as_asked(symmetric: bool) -> None:
    """Over many draws the next residual lies inside at least 90 % of the time, lopsided noise included."""
    generator = np.random.default_rng(7)
    inside = []
    for _ in range(400):
        residuals = generator.exponential(40.0, 201) - 20.0
        table = calibrate(residuals[:-1], labels("a", 200), symmetric=symmetric)
        low, high = apply(np.array([500.0]), labels("a", 1), table)
        inside.append(low[0] <= 500.0 + residuals[-1] <= high[0])
    assert 0.87 <= np.mean(inside) <= 0.96


@given(st.lists(st.floats(-200, 200), min_size=30, max_size=120), st.floats(0.3, 0.8))
def test_more_coverage_never_gives_a_narrower_range(residuals: list[float], coverage: float) -> None:
    """Widths grow with the coverage asked for."""
    values = np.array(residuals)
    narrow, wide = (
        apply(np.array([300.0]), labels("a", 1), calibrate(values, labels("a", len(values)), c))
        for c in (coverage, coverage + 0.15)
    )
    assert wide[0][0] <= narrow[0][0]
    assert narrow[1][0] <= wide[1][0]


@given(
    st.lists(st.floats(-500, 500), min_size=1, max_size=50),
    st.floats(0, 1000),
    st.floats(1, 3),
)
def test_a_range_holds_its_middle_and_is_never_negative(
    residuals: list[float], mid: float, widen: float
) -> None:
    """0 ≤ low ≤ mid ≤ high, however lopsided the residuals are."""
    table = calibrate(np.array(residuals), labels("a", len(residuals)))
    low, high = apply(np.array([mid]), labels("a", 1), table, widen)
    assert 0 <= low[0] <= mid <= high[0]


def test_a_small_regime_borrows_from_its_parent_and_an_unknown_one_from_all() -> None:
    """`a/x` with 10 residuals takes those of `a`; `b` was never seen."""
    residuals = np.concatenate([np.full(10, 5.0), np.full(100, 50.0), np.full(200, -80.0)])
    names = np.concatenate([labels("a/x", 10), labels("a/y", 100), labels("c", 200)])
    table = calibrate(residuals, names)
    assert sorted(table["offsets"]) == ["a", "a/y", "all", "c"]
    low, high = apply(np.array([100.0, 100.0]), np.array(["a/x", "b"]), table)
    assert high.tolist() == [150.0, 150.0]
    assert low.tolist() == [100.0, 20.0]


def test_the_table_is_plain_json_and_residuals_without_a_value_do_not_count() -> None:
    """NaN is left out of the table and of its n."""
    table = calibrate(np.array([1.0, np.nan, 3.0]), labels("a", 3))
    assert table["n"] == 2
    assert "NaN" not in canonical_json(table)


def test_a_modelled_state_has_a_wider_range_than_a_reported_one() -> None:
    """Each step away from reported never narrows."""
    factors = widening(np.array(["reported", "adjusted", "imputed", "modelled", "forecast"]))
    assert factors[0] == 1.0
    assert (np.diff(factors) >= 0).all()
    assert factors[3] > factors[0]


def test_nothing_to_calibrate_on_is_refused() -> None:
    """No finite residual, or a coverage of 1, gives no range."""
    with pytest.raises(InputError, match="no residual"):
        calibrate(np.array([np.nan]), labels("a", 1))
    with pytest.raises(InputError, match="not between"):
        calibrate(np.array([1.0]), labels("a", 1), coverage=1.0)
