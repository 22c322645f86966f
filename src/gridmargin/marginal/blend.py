"""Blend: one estimate out of several, weighted by how well each did before.

Weights are not negative and sum to 1, so a blend lies between its members. They are learned on estimates that were
made for intervals after each member's own fit, and are used on later ones only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gridmargin.marginal.estimate import Estimates
from gridmargin.vocab import InputError, MixedKindsError, canonical_json, sha256_hex

FloatArray = NDArray[np.float64]
Loss = Literal["absolute", "squared"]

NAME, VERSION = "blend", "1"

MOST_ROWS = 4000
"""Rows that the linear programme of the absolute loss is given at most, evenly thinned; weights do not need more."""

FOLDS = 4
"""Contiguous parts of the scored history; each but the first is scored by weights of all parts before it."""

_SUM_WEIGHT = 1e4
"""Weight of the row that makes the non-negative least squares sum to one, in units of the largest column."""


def simplex_weights(members: FloatArray, reference: FloatArray, loss: Loss = "squared") -> FloatArray:
    """Give the weights, not negative and summing to 1, that lead closest to the reference.

    Parameters
    ----------
    members : array, shape (n, k)
        Estimates of k members; rows with one that is not finite are left out.
    reference : array, shape (n,)
        Same unit; rows where it is not finite are left out.
    loss : {"squared", "absolute"}
        Mean squared error by non-negative least squares, or mean absolute error by a linear programme.

    Returns
    -------
    array, shape (k,)

    Raises
    ------
    InputError
        If no row is complete, or shapes differ.

    Notes
    -----
    Breiman, Stacked Regressions, 1996, doi:10.1007/BF00117832: non-negative weights keep near-equal members from
    cancelling each other.
    """
    if members.ndim != 2 or reference.shape != (len(members),) or not members.shape[1]:
        raise InputError(f"members of shape {members.shape} and {reference.shape} of reference do not match")
    known = np.isfinite(members).all(axis=1) & np.isfinite(reference)
    if not known.any():
        raise InputError("no interval where every member and the reference are known: nothing to weigh by")
    x, y = members[known], reference[known]
    if x.shape[1] == 1:
        return np.ones(1)
    raw = _by_least_squares(x, y) if loss == "squared" else _by_linear_programme(x, y)
    positive = np.maximum(raw, 0.0)
    weights: FloatArray = positive / positive.sum()
    return weights


def _by_least_squares(x: FloatArray, y: FloatArray) -> FloatArray:
    from scipy.optimize import nnls

    # The triangle has the same normal equations in k + 1 rows.
    triangle: FloatArray = np.asarray(np.linalg.qr(np.column_stack([x, y]), mode="r"), dtype=np.float64)
    size = max(float(np.abs(triangle).max()), 1e-12)
    k = x.shape[1]
    a = np.vstack([triangle[:, :k], np.full(k, _SUM_WEIGHT * size)])
    solution, _ = nnls(a, np.append(triangle[:, k], _SUM_WEIGHT * size))
    return np.asarray(solution, dtype=np.float64)


def _by_linear_programme(x: FloatArray, y: FloatArray) -> FloatArray:
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, eye_array, hstack, vstack

    every = -(-len(x) // MOST_ROWS)
    x, y = x[::every], y[::every]
    n, k = x.shape
    # x w + over − under = y; the sum of both is the absolute error.
    rows = hstack([csr_array(x), eye_array(n), -eye_array(n)], format="csr")
    total = csr_array(np.concatenate([np.ones(k), np.zeros(2 * n)])[None, :])
    answer = linprog(
        np.concatenate([np.zeros(k), np.ones(2 * n)]),
        A_eq=vstack([rows, total], format="csr"),
        b_eq=np.append(y, 1.0),
        bounds=(0, None),
        method="highs",
    )
    if answer.x is None:
        raise InputError(f"no weights found: {answer.message}")
    return np.asarray(answer.x[:k], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Blend:
    """Weights of several estimators, with what they rest on; plain figures, so that anyone can apply them again.

    Attributes
    ----------
    names : tuple of str
        Estimators, in the order of the weights.
    weights : tuple of float
        Not negative, summing to 1. [1]
    n_scored : int
        Intervals of scored history.
    first_epoch_s, end_epoch_s : int
        The half-open stretch of that history. [s since 1970 UTC]
    member_mae, blend_mae : tuple of float, float
        Error of each member and of the blend on the later parts, each weighted by what was before it. [g kWh⁻¹, or
        kg h⁻¹ where they were held against a change]
    fit_ids : tuple of str
        The fit behind each member.
    against : str
        What they were held against.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    n_scored: int
    first_epoch_s: int
    end_epoch_s: int
    member_mae: tuple[float, ...]
    blend_mae: float
    fit_ids: tuple[str, ...]
    against: str

    def parameters(self) -> dict[str, Any]:
        """Give all of it as JSON-able evidence."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @staticmethod
    def from_parameters(parameters: Mapping[str, Any]) -> Blend:
        """Read what `parameters` gave, from JSON too; further entries are left aside."""
        plain: dict[str, Any] = {}
        for name in Blend.__dataclass_fields__:
            value = parameters[name]
            plain[name] = tuple(value) if isinstance(value, list) else value
        return Blend(**plain)

    @property
    def fit_id(self) -> str:
        """Content hash, 32 hexadecimal digits."""
        return sha256_hex(canonical_json([NAME, VERSION, self.parameters()]).encode())[:32]


def weigh(
    members: Sequence[Estimates],
    reference: FloatArray,
    loss: Loss = "absolute",
    *,
    exposure: FloatArray | None = None,
    against: str = "published rate",
) -> Blend:
    """Learn weights from a history in which something is known to hold the members against.

    Parameters
    ----------
    members : sequence of Estimates
        For the same intervals, each made by a fit on what precedes them (C10).
    reference : array, shape (n,)
        A rate [g kWh⁻¹], or with an exposure what rate × exposure should have come to; NaN where not known.
    loss : {"absolute", "squared"}
        As in `simplex_weights`.
    exposure : array, shape (n,), optional
        What each rate is multiplied by: the change of generation whose change of CO2 the reference is. [MW]
    against : str
        Name of the reference, for the evidence.

    Raises
    ------
    InputError
        If members are for other intervals, or fewer than `FOLDS` intervals have a reference.
    MixedKindsError
        If members are of different kinds (C3).
    """
    x = _stacked(members)
    if exposure is not None:
        x = x * exposure[:, None]
    starts = members[0].start_epoch_s
    scored = np.flatnonzero(np.isfinite(reference) & np.isfinite(x).all(axis=1))
    if len(scored) < FOLDS:
        raise InputError(
            f"{members[0].zone} has {len(scored)} intervals with a {against}; a blend needs {FOLDS} at least"
        )
    x, y = x[scored], reference[scored]
    cuts = [len(y) * part // FOLDS for part in range(FOLDS + 1)]
    ahead = np.full(len(y), np.nan)
    for begin, end in pairwise(cuts[1:]):
        ahead[begin:end] = x[begin:end] @ simplex_weights(x[:begin], y[:begin], loss)
    later = slice(cuts[1], None)
    return Blend(
        tuple(member.estimator for member in members),
        tuple(float(w) for w in simplex_weights(x, y, loss)),
        len(scored),
        int(starts[scored[0]]),
        int(starts[scored[-1]]) + members[0].interval_s,
        tuple(float(v) for v in np.abs(x[later] - y[later, None]).mean(axis=0)),
        float(np.abs(ahead[later] - y[later]).mean()),
        tuple(member.fit_id for member in members),
        against,
    )


def blend(members: Sequence[Estimates], by: Blend) -> Estimates:
    """Join the estimates of several estimators for later intervals.

    The sources of a blend are those of its members, each probability times its member's weight, so that they still
    sum to 1 and to the central value. The range is the weighted mean of the members' ends: as wide as theirs, no
    narrower for their errors being averaged, because estimators of one zone share their errors (C6).

    Raises
    ------
    InputError
        If the members are not those that were weighed, or an interval lies within the scored history.
    MixedKindsError
        If members are of different kinds (C3).
    """
    x = _stacked(members)
    first = members[0]
    names = tuple(member.estimator for member in members)
    if names != by.names:
        raise InputError(f"weights are of {', '.join(by.names)}, the estimates of {', '.join(names)}")
    if len(first) and int(first.start_epoch_s[0]) < by.end_epoch_s:
        raise InputError(
            f"{first.zone}: the weights have seen intervals up to {by.end_epoch_s} s since 1970, and the first to be"
            f" blended starts at {int(first.start_epoch_s[0])}: a fit sees only the past (C10)"
        )
    weights = np.array(by.weights)
    probability = np.concatenate(
        [m.source_probability * w for m, w in zip(members, weights, strict=True)], axis=1
    )
    order = ["reported", "adjusted", "imputed", "modelled", "forecast"]
    rank = np.max([[order.index(s) for s in m.status.tolist()] for m in members], axis=0, initial=0)
    return replace(
        first,
        low=np.stack([m.low for m in members], axis=1) @ weights,
        mid=x @ weights,
        high=np.stack([m.high for m in members], axis=1) @ weights,
        source_names=tuple(f"{m.estimator}:{name}" for m in members for name in m.source_names),
        source_probability=probability,
        source_factor=np.concatenate([m.source_factor for m in members], axis=1),
        regime=first.regime,
        status=np.array(order)[rank.astype(np.int64)] if len(first) else first.status,
        estimator=NAME,
        estimator_version=VERSION,
        fit_id=by.fit_id,
    )


def _stacked(members: Sequence[Estimates]) -> FloatArray:
    if not members:
        raise InputError("a blend needs at least one member")
    first = members[0]
    for other in members[1:]:
        if other.basis != first.basis:
            raise MixedKindsError(f"{first.estimator} is {first.basis}, {other.estimator} {other.basis} (C3)")
        if other.zone != first.zone or not np.array_equal(other.start_epoch_s, first.start_epoch_s):
            raise InputError(
                f"{first.estimator} and {other.estimator} are for other zones or intervals; keep those both have"
            )
    return np.stack([member.mid for member in members], axis=1)
