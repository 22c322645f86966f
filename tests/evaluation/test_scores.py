"""Scores and baselines: exact values, and figures that do not apply are absent."""

from __future__ import annotations

import numpy as np
import pytest

from gridmargin.evaluation.scores import baseline_scores, baselines, brier, crps, f1, profile_r, report, score
from gridmargin.vocab import InputError


def test_scores_are_what_their_names_say() -> None:
    """Errors of +10 and −30 on a mean of 200."""
    row = score(
        np.array([110.0, 270.0]), np.array([100.0, 300.0]), np.array([90.0, 280.0]), np.array([120.0, 290.0])
    )
    assert row == {
        "n": 2, "mae": 20.0, "rmse": pytest.approx(500**0.5), "bias": -10.0, "bias_frac": -0.05,
        "coverage90": 0.5, "width90": 20.0, "crps": pytest.approx(12.5, rel=0.2),
    }  # fmt: skip


def test_r_is_absent_where_an_estimate_does_not_vary() -> None:
    """A constant has no correlation: not 0, not NaN, not there."""
    reference = np.array([1.0, 2.0, 3.0])
    assert "r" not in score(np.full(3, 2.0), reference)
    assert score(reference * 2 + 1, reference)["r"] == pytest.approx(1.0)


def test_hours_without_both_sides_do_not_count() -> None:
    """NaN on either side leaves the pair out; no pair leaves only n."""
    assert score(np.array([1.0, np.nan]), np.array([np.nan, 2.0])) == {"n": 0}


def test_baselines_know_the_training_hours_only() -> None:
    """Hour × month where seen, else the hour's mean, else the constant."""
    hour, month = np.array([0, 0, 5]), np.array([1, 2, 1])
    rate = np.array([100.0, 200.0, 600.0])
    found = baselines(hour, month, rate, np.array([0, 0, 5, 9]), np.array([1, 3, 1, 1]))
    assert found["constant"].tolist() == [300.0] * 4
    assert found["hour_month"].tolist() == [100.0, 150.0, 600.0, 300.0]
    assert "r" not in baseline_scores(found, np.array([1.0, 2.0, 3.0, 4.0]))["constant"]
    assert baselines(hour, month, np.full(3, np.nan), hour, month) == {}


def test_the_mean_day_is_compared_by_hour() -> None:
    """Noise that averages out by hour does not lower the profile's r."""
    hour = np.tile(np.arange(24), 2)
    shape = np.sin(hour / 4.0)
    noise = np.concatenate([np.ones(24), -np.ones(24)])
    assert profile_r(hour, shape + noise, shape) == pytest.approx(1.0)


def test_a_report_refuses_a_figure_that_is_not_finite() -> None:
    """NaN is never written, in a row or in its baselines."""
    with pytest.raises(InputError, match="row here, epa: r is nan"):
        report("t", {}, 0.0, [{"region": "here", "reference": "epa", "r": float("nan")}])
    with pytest.raises(InputError, match="baseline constant"):
        report(
            "t",
            {},
            0.0,
            [{"region": "h", "reference": "e", "baselines": {"constant": {"mae": float("inf")}}}],
        )


def test_ranges_need_both_ends_and_equal_lengths() -> None:
    """One bound alone, or other intervals, is refused."""
    one = np.ones(2)
    with pytest.raises(InputError, match="two ends"):
        score(one, one, low=one)
    with pytest.raises(InputError, match="same intervals"):
        score(one, np.ones(3))


def test_crps_of_a_sure_forecast_is_its_error() -> None:
    """All quantiles at one value: the score is the absolute error, in the same unit."""
    sure = np.repeat([[7.0], [3.0]], 3, axis=1)
    assert crps((0.05, 0.5, 0.95), sure, np.array([10.0, 3.0])) == pytest.approx(1.5)


def test_crps_agrees_with_the_integral_of_squared_differences() -> None:
    """Against ∫ (F(x) − 1{x ≥ y})² dx of the same straight-line distribution, point masses at its ends."""
    levels, values, came = np.array([0.05, 0.5, 0.95]), np.array([10.0, 20.0, 40.0]), 27.0
    x = np.linspace(0.0, 60.0, 600_001)
    below = np.interp(x, values, levels, left=0.0, right=1.0)
    squared = (below - (x >= came)) ** 2
    exact = float(((squared[1:] + squared[:-1]) / 2 * np.diff(x)).sum())
    assert crps(levels, values[None, :], np.array([came])) == pytest.approx(exact, rel=0.01)


def test_brier_and_f1_are_what_their_names_say() -> None:
    """One certain and one even guess; two hits of three said and two happened."""
    assert brier(np.array([1.0, 0.5]), np.array([True, True])) == pytest.approx(0.125)
    assert brier(np.array([[0.7, 0.3]]), np.array([[True, False]])) == pytest.approx(0.18)
    assert f1(np.array([True, True, True, False]), np.array([True, True, False, False])) == pytest.approx(0.8)
    assert f1(np.array([False]), np.array([False])) is None
