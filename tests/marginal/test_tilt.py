"""Distributions over sources moved to a given mean: exactly, by as little as can be, and saying so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.marginal.tilt import KEPT, SCALED, TILTED, tilt

FACTORS = st.lists(st.floats(0.0, 2000.0), min_size=1, max_size=6)


@st.composite
def distributions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    factor = np.array(draw(FACTORS))
    weight = np.array(
        draw(
            st.lists(
                st.one_of(st.just(0.0), st.floats(1e-6, 1.0)), min_size=len(factor), max_size=len(factor)
            )
        )
    )
    weight[0] = max(weight[0], 1e-3)
    return (weight / weight.sum())[None], factor[None]


@given(distributions(), st.floats(0.0, 3000.0))
def test_probabilities_sum_to_one_and_the_mean_is_the_wanted_one(
    given_: tuple[np.ndarray, np.ndarray], mean: float
) -> None:
    """To 1e-9, whatever the mean; a source that was ruled out stays so, and factors change only where it is said."""
    p, f = given_
    q, g, (done,) = tilt(p, f, np.array([mean]))
    assert q.sum() == pytest.approx(1.0, abs=1e-9)
    assert (q >= 0).all()
    assert (q[p == 0] == 0).all()
    assert (q * g).sum() == pytest.approx(mean, rel=1e-9, abs=1e-9)
    if done == SCALED:
        np.testing.assert_array_equal(q, p)
    else:
        np.testing.assert_array_equal(g, f)


@given(distributions())
def test_a_right_mean_moves_nothing(given_: tuple[np.ndarray, np.ndarray]) -> None:
    """Probabilities and factors stay to the last bit."""
    p, f = given_
    q, g, (done,) = tilt(p, f, (p * f).sum(axis=1))
    assert done == KEPT
    np.testing.assert_array_equal(q, p)
    np.testing.assert_array_equal(g, f)


def test_no_other_distribution_with_that_mean_is_closer() -> None:
    """Against every one of a fine grid over three sources, by Kullback-Leibler divergence."""
    p, f, mean = np.array([[0.2, 0.5, 0.3]]), np.array([[0.0, 400.0, 1000.0]]), np.array([300.0])
    q, _, (done,) = tilt(p, f, mean)
    assert done == TILTED
    third = np.linspace(1e-6, 0.3 - 1e-6, 2001)
    second = (300.0 - 1000.0 * third) / 400.0
    others = np.stack([1 - second - third, second, third], axis=1)
    divergence = (others * np.log(others / p)).sum(axis=1)
    least = float((q * np.log(q / p)).sum())
    assert least <= divergence.min() + 1e-12
    assert least == pytest.approx(divergence.min(), abs=1e-5)


def test_a_mean_beyond_every_source_scales_the_factors() -> None:
    """Above, at zero, and where all factors were zero."""
    p = np.tile([0.25, 0.75], (3, 1))
    f = np.array([[1000.0, 400.0], [1000.0, 400.0], [0.0, 0.0]])
    q, g, done = tilt(p, f, np.array([1100.0, 0.0, 50.0]))
    assert done.tolist() == [SCALED] * 3
    np.testing.assert_array_equal(q, p)
    np.testing.assert_allclose(g, [[2000.0, 800.0], [0.0, 0.0], [50.0, 50.0]])
