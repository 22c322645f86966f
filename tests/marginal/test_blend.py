"""Blends: weights on the simplex, learned from the past, standing in the evidence."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.marginal import Estimates
from gridmargin.marginal.blend import blend, simplex_weights, weigh
from gridmargin.vocab import Basis, InputError, Kind, MixedKindsError


def estimates(name: str, mid: np.ndarray, first: int = 0, kind: Kind = Kind.MARGINAL) -> Estimates:
    n = len(mid)
    return Estimates(
        "US-ERCO", 3600, first + 3600 * np.arange(n, dtype=np.int64), mid * 0.9, mid, mid * 1.1, ("gas",),
        np.ones((n, 1)), mid[:, None], np.full(n, "all"), np.full(n, "reported"), Basis(kind), name, "1", f"fit-{name}",
    )  # fmt: skip


RNG = np.random.default_rng(5)
TRUTH = RNG.uniform(200, 800, 400)
GOOD, FAIR, BAD = (TRUTH + RNG.normal(0, s, 400) for s in (20, 30, 300))
MEMBERS = [estimates(name, np.abs(x)) for name, x in (("good", GOOD), ("fair", FAIR), ("bad", BAD))]


@pytest.mark.parametrize("loss", ["absolute", "squared"])
def test_a_mixture_is_found_again(loss) -> None:
    """Where the reference is 0.7 of one and 0.3 of another, those are the weights."""
    x = RNG.uniform(0, 100, (300, 3))
    np.testing.assert_allclose(simplex_weights(x, x @ [0.7, 0.3, 0.0], loss), [0.7, 0.3, 0.0], atol=1e-4)


@given(st.integers(0, 1000), st.integers(1, 5), st.sampled_from(["absolute", "squared"]))
def test_weights_lie_on_the_simplex_and_beat_every_single_member(seed: int, k: int, loss) -> None:
    """On what they were learned from, under their own loss."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(100, 30, (60, k)), rng.normal(100, 30, 60)
    weights = simplex_weights(x, y, loss)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0)
    power = 1 if loss == "absolute" else 2
    errors = (np.abs(x - y[:, None]) ** power).mean(axis=0)
    assert (np.abs(x @ weights - y) ** power).mean() <= errors.min() * (1 + 1e-6)


def test_a_blend_is_better_than_its_members_and_says_by_how_much() -> None:
    """Two estimators with independent errors; the third is next to worthless."""
    by = weigh(MEMBERS, TRUTH)
    assert by.blend_mae < min(by.member_mae)
    assert by.weights[0] > by.weights[1] > by.weights[2]
    assert json.loads(json.dumps(by.parameters()))["fit_ids"] == ["fit-good", "fit-fair", "fit-bad"]


def test_a_published_rate_of_later_intervals_changes_no_weight() -> None:
    """What lies after the scored history is not there to be seen."""
    half = [replace(m, **{f: getattr(m, f)[:200] for f in PER_ROW}) for m in MEMBERS]
    known = np.where(np.arange(400) < 200, TRUTH, np.nan)
    assert weigh(MEMBERS, known).weights == weigh(half, TRUTH[:200]).weights


PER_ROW = ("start_epoch_s", "low", "mid", "high", "source_probability", "source_factor", "regime", "status")


def test_a_blend_is_an_estimate_like_any_other() -> None:
    """Sources sum to the centre, the range is the weighted range, the fit is named."""
    by = weigh(MEMBERS, TRUTH)
    later = [estimates(m.estimator, m.mid, 400 * 3600) for m in MEMBERS]
    joined = blend(later, by)
    np.testing.assert_allclose(joined.mid, np.stack([m.mid for m in later], axis=1) @ by.weights)
    np.testing.assert_allclose(joined.high, joined.mid * 1.1)
    assert joined.source_names == ("good:gas", "fair:gas", "bad:gas")
    assert joined.fit_id == by.fit_id


def test_a_blend_of_intervals_that_the_weights_have_seen_is_refused() -> None:
    """A fit sees only the past."""
    with pytest.raises(InputError, match="C10"):
        blend(MEMBERS, weigh(MEMBERS, TRUTH))


def test_members_that_do_not_belong_together_are_refused() -> None:
    """Other kinds, other intervals, other names, nothing published."""
    average = estimates("average", GOOD, kind=Kind.AVERAGE)
    with pytest.raises(MixedKindsError):
        weigh([MEMBERS[0], average], TRUTH)
    with pytest.raises(InputError, match="other zones or intervals"):
        weigh([MEMBERS[0], estimates("late", GOOD, 3600)], TRUTH)
    with pytest.raises(InputError, match="weights are of"):
        blend(MEMBERS[:2], weigh(MEMBERS, TRUTH))
    with pytest.raises(InputError, match="published rate"):
        weigh(MEMBERS, np.full(400, np.nan))
    with pytest.raises(InputError, match="at least one"):
        weigh([], TRUTH)
