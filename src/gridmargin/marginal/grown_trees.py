"""Boosted regression trees as plain arrays: what scikit-learn grew, kept and applied without it.

A fitted model of scikit-learn can be written to disk only as a pickle, which runs whatever it holds when it is read.
Its trees are a few numbers a node; these are all that a prediction needs.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_CHECKED_ROWS = 64


@dataclass(frozen=True, slots=True)
class GrownTrees:
    """Trees one after another, each added to what those before it say.

    Attributes
    ----------
    start : array, shape (1,)
        What is said before the first tree.
    feature, left, right : arrays of int32, shape (t, n)
        Column that a node of a tree asks for, and where it leads; a leaf leads to itself. Short trees are filled up.
    threshold : array, shape (t, n)
        Values up to it go left.
    missing_left : array of bool, shape (t, n)
        Whether NaN goes left.
    value : array, shape (t, n)
        What a leaf adds.
    depth : array of int32, shape (1,)
        Most steps from a root to a leaf.
    """

    start: FloatArray
    feature: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    threshold: FloatArray
    missing_left: NDArray[np.bool_]
    value: FloatArray
    depth: NDArray[np.int32]

    def predict(self, rows: FloatArray) -> FloatArray:
        """Give the sum of the trees for each row; shape (n,).

        Notes
        -----
        The trees are added in their order, as scikit-learn does: the numbers are the same to the last bit.
        """
        x = np.ascontiguousarray(rows, dtype=np.float64)
        n_trees, n_nodes = self.feature.shape
        root = np.arange(n_trees, dtype=np.int64)[:, None] * n_nodes
        row = np.arange(len(x), dtype=np.int64)[None, :] * x.shape[1]
        flat = x.reshape(-1)
        feature, threshold = self.feature.reshape(-1), self.threshold.reshape(-1)
        left, right = self.left.reshape(-1), self.right.reshape(-1)
        missing_left = self.missing_left.reshape(-1)
        at = np.repeat(root, len(x), axis=1)
        for _ in range(int(self.depth[0])):
            asked = flat[row + feature[at]]
            goes_left = (asked <= threshold[at]) | (np.isnan(asked) & missing_left[at])
            at = root + np.where(goes_left, left[at], right[at])
        said = np.full(len(x), self.start[0])
        for leaves in self.value.reshape(-1)[at]:
            said += leaves
        return said

    def as_json(self) -> dict[str, Any]:
        """Give the arrays as plain JSON, to the last bit."""
        return {each.name: array_as_json(getattr(self, each.name)) for each in fields(self)}

    @staticmethod
    def of(told: Mapping[str, Any]) -> GrownTrees:
        """Read what `as_json` gave."""
        return GrownTrees(**{each.name: array_of(told[each.name]) for each in fields(GrownTrees)})


def grown(model: Any, rows: FloatArray) -> GrownTrees:
    """Take the trees out of a fitted `HistGradientBoostingRegressor` without categories.

    Parameters
    ----------
    model : HistGradientBoostingRegressor
        With a loss whose link is the identity.
    rows : array
        Some that it can predict: both must say the same of them.

    Raises
    ------
    RuntimeError
        If they do not: scikit-learn keeps its trees in another way than this reads them.
    """
    trees = [predictor.nodes for [predictor] in model._predictors]
    n_nodes = max(len(nodes) for nodes in trees)
    shape = (len(trees), n_nodes)
    own = np.tile(np.arange(n_nodes, dtype=np.int32), (len(trees), 1))
    made: dict[str, NDArray[Any]] = {
        "feature": np.zeros(shape, dtype=np.int32),
        "left": own.copy(),
        "right": own.copy(),
        "threshold": np.zeros(shape),
        "missing_left": np.zeros(shape, dtype=np.bool_),
        "value": np.zeros(shape),
    }
    for number, nodes in enumerate(trees):
        asks = np.flatnonzero(nodes["is_leaf"] == 0)
        made["feature"][number, asks] = nodes["feature_idx"][asks]
        made["left"][number, asks] = nodes["left"][asks]
        made["right"][number, asks] = nodes["right"][asks]
        made["threshold"][number, asks] = nodes["num_threshold"][asks]
        made["missing_left"][number, asks] = nodes["missing_go_to_left"][asks] != 0
        made["value"][number, : len(nodes)] = nodes["value"]
    deepest = max(int(nodes["depth"].max()) for nodes in trees)
    found = GrownTrees(
        start=np.asarray(model._baseline_prediction, dtype=np.float64).reshape(-1)[:1],
        depth=np.array([deepest], dtype=np.int32),
        **made,
    )
    few = rows[:_CHECKED_ROWS]
    if not np.array_equal(found.predict(few), model.predict(few)):
        raise RuntimeError(
            "scikit-learn's trees say something else than the arrays taken out of them; install the version of the lock"
        )
    return found


def array_as_json(array: NDArray[Any]) -> dict[str, Any]:
    """Give an array as its type, shape and bytes."""
    plain = array.astype(array.dtype.newbyteorder("<"))
    return {
        "dtype": plain.dtype.str,
        "shape": list(plain.shape),
        "base64": base64.b64encode(np.ascontiguousarray(plain).tobytes()).decode(),
    }


def array_of(told: Mapping[str, Any]) -> NDArray[Any]:
    """Read what `array_as_json` gave."""
    return np.frombuffer(base64.b64decode(told["base64"]), dtype=told["dtype"]).reshape(told["shape"])
