"""What single units give at a load and how they share a change, on made-up dispatch whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from gridmargin.marginal.unit_behaviour import Memory, choose_memory, learn_units, predict_units
from gridmargin.marginal.unit_moves import choose_softness, learn_moves, moves_of, predict_moves
from gridmargin.vocab import InputError

HALF_HOUR_S = 1800
DAY_S = 86_400


def starts(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int64) * HALF_HOUR_S


def test_learned_units_follow_the_load_and_stay_within_what_they_gave():
    """Two units that are exact functions of the load are found again; nothing beyond the greatest seen."""
    load = np.linspace(1000.0, 2000.0, 300)
    output = np.column_stack([0.5 * load, np.clip(load - 1200.0, 0.0, None)])
    learned = learn_units(starts(300), load, output, Memory(1.0, float("inf")))
    np.testing.assert_allclose(predict_units(learned, load, np.zeros(300))[:, 0], output[:, 0], atol=60.0)
    assert (predict_units(learned, np.array([9000.0]), np.zeros(1)) <= output.max(axis=0) + 1e-9).all()
    with pytest.raises(InputError, match="ten or more"):
        learn_units(starts(3), load[:3], output[:3], Memory(1.0, 1.0))


def test_what_is_special_of_late_fades_with_the_time_ahead():
    """Out for the last two of ten days: out tomorrow, at its usual mean in a month, halfway after one fade."""
    n = 480
    load = 1000 + 100 * np.random.default_rng(2).random(n)
    output = np.where(np.arange(n) < 384, 300.0, 0.0)[:, None]
    learned = learn_units(starts(n), load, output, Memory(0.25, 4.0))
    near, halfway, far = predict_units(learned, np.full(3, 1050.0), np.array([0.0, 4.0, 60.0]) * DAY_S)[:, 0]
    assert near < 10
    assert far == pytest.approx(240.0, abs=10.0)
    assert halfway == pytest.approx((near + far) / 2, abs=3.0)


def test_a_unit_that_changed_its_ways_for_good_is_learned_from_its_newest_days():
    """Where outages stay, the memory that is chosen does not fade back to the usual."""
    n = 960
    load = 1000 + 100 * np.random.default_rng(2).random(n)
    output = np.column_stack([np.where(np.arange(n) < 240, 300.0, 0.0), np.full(n, 100.0)])
    assert choose_memory(starts(n), load, output, DAY_S).fade_days == float("inf")


def test_units_are_learned_across_gaps_and_missing_cells():
    """An unknown cell leaves its interval out for that unit alone; age goes by the clock, not by the row."""
    load = np.linspace(1000.0, 2000.0, 100)
    output = np.column_stack([0.5 * load, 0.1 * load])
    output[10:20, 0] = np.nan
    at = starts(100)
    at[50:] += 10 * DAY_S
    learned = learn_units(at, load, output, Memory(1.0, float("inf")))
    assert np.isfinite(learned.usual).all()
    assert np.isfinite(learned.recent).all()


def waves(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    output = 300 + 100 * np.sin(np.arange(n)[:, None] / np.array([10.0, 14.0, 23.0]))
    output = output + rng.normal(0, 5, (n, 3))
    return output, output.sum(axis=1, keepdims=True)


def test_changes_add_up_and_are_shared_by_who_can_move():
    """What the units do sums to the change; the one at its most takes least of a rise."""
    output, region = waves()
    moves = moves_of(starts(400), HALF_HOUR_S, output, region)
    learned = learn_moves(moves, np.full(3, 400.0), np.full(3, np.nan), 0.4)
    moved = predict_moves(learned, moves)
    np.testing.assert_allclose(moved.sum(axis=1), moves.total_mw, atol=1e-6)
    assert (
        np.abs(moved - moves.change_mw).mean() < np.abs(moves.total_mw[:, None] / 3 - moves.change_mw).mean()
    )


def test_a_change_is_never_taken_across_a_gap():
    """Three intervals in a row are needed: the two after a gap, and the two after an unknown cell, give none."""
    output, region = waves(60)
    at = starts(60)
    at[30:] += HALF_HOUR_S
    output[10, 1] = np.nan
    rows = moves_of(at, HALF_HOUR_S, output, region).row.tolist()
    assert sorted(set(range(60)) - set(rows)) == [0, 1, 10, 11, 12, 30, 31]


def test_the_softness_is_chosen_and_too_few_changes_are_refused():
    """One of the values offered; fewer than 48 changes teach nothing."""
    output, region = waves()
    moves = moves_of(starts(400), HALF_HOUR_S, output, region)
    chosen = choose_softness(moves, np.full(3, 400.0), np.full(3, np.nan), np.array([0.4, 0.9, 1.0]))
    assert chosen in (0.1, 0.2, 0.4, 0.7, 1.0)
    with pytest.raises(InputError, match="48 or more"):
        learn_moves(moves[:20], np.full(3, 400.0), np.full(3, np.nan), 0.4)
