"""Trees taken out of scikit-learn say what it says, to the last bit, and survive being written down."""

import json

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from gridmargin.marginal.grown_trees import GrownTrees, grown

LOSSES = [{"loss": "absolute_error"}, {"loss": "quantile", "quantile": 0.05}, {"loss": "squared_error"}]


def rows_with_gaps(n, seed):
    draw = np.random.default_rng(seed)
    rows = draw.normal(0, 1, (n, 5)).astype(np.float32)
    rows[:, 1] = np.round(rows[:, 1])
    rows[draw.random(rows.shape) < 0.15] = np.nan
    return rows


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss["loss"])
@pytest.mark.parametrize("leaves", [2, 15])
def test_the_arrays_say_what_scikit_learn_says(loss, leaves):
    """On rows that it was not fitted on, with gaps; scikit-learn is the oracle."""
    rows = rows_with_gaps(800, 1)
    target = (
        np.nan_to_num(rows[:, 0]) * 3 + np.isnan(rows[:, 2]) + np.random.default_rng(2).normal(0, 0.1, 800)
    )
    model = HistGradientBoostingRegressor(
        **loss, max_iter=30, max_leaf_nodes=leaves, max_features=0.4, random_state=0, early_stopping=False
    ).fit(rows, target)
    others = rows_with_gaps(3000, 3)
    trees = grown(model, rows)
    np.testing.assert_array_equal(trees.predict(others), model.predict(others))
    again = GrownTrees.of(json.loads(json.dumps(trees.as_json(), allow_nan=False)))
    np.testing.assert_array_equal(again.predict(others), model.predict(others))


def test_a_constant_needs_no_step():
    """Trees of one leaf add what they add to every row."""
    rows = np.zeros((50, 2))
    model = HistGradientBoostingRegressor(max_iter=3, early_stopping=False).fit(rows, np.full(50, 7.0))
    np.testing.assert_array_equal(grown(model, rows).predict(rows), model.predict(rows))


def test_trees_kept_in_another_way_are_refused():
    """Where the arrays would say something else than the model, nothing is taken out of it."""

    class Other:
        def __init__(self, model):
            self._predictors, self._baseline_prediction = model._predictors, model._baseline_prediction
            self._model = model

        def predict(self, rows):
            return self._model.predict(rows) + 1e-9

    rows = rows_with_gaps(300, 4)
    model = HistGradientBoostingRegressor(max_iter=3).fit(rows, np.nan_to_num(rows[:, 0]))
    with pytest.raises(RuntimeError, match="version of the lock"):
        grown(Other(model), rows)
