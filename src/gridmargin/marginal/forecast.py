"""Forecasts of a published marginal rate: a stack of boosted trees and naive rules, with quantiles and exact zeros.

Plain functions: rows of what was known (`forecast_features.design`) and the rates that came in, a `Forecaster` out;
later rows in, a `Forecast` out. A fit sees the rows it is given and nothing else.

Notes
-----
The centre is the median, because a forecast is scored by its absolute error. Each member predicts the distance of
the rate from an anchor (the newest known value, the mean at that time of day, or nothing), by gradient boosting on
the absolute error; members and anchors are stacked by weights learned on the newest part of the training rows, which
the members had not seen at the time. Zero is a class of its own: a classifier, calibrated on the same part, gives
its probability, and every quantile below that probability is zero.

References
----------
Friedman 2001, doi:10.1214/aos/1013203451 (boosting); Breiman 1996, doi:10.1007/BF00117832 (stacking); Koenker,
Bassett 1978, doi:10.2307/1913643 (quantiles); Zadrozny, Elkan 2002, doi:10.1145/775047.775151 (isotonic calibration).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.marginal.blend import simplex_weights
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Levels of the quantiles; the first and the last are the ends of the 90 % range."""

ANCHORS = ("", "lag_0", "profile_7")
"""Column whose value a member starts from; the empty name is zero."""

NAIVE = ("lag_0", "day_before", "profile_7")
"""Columns that stand in the stack as they are."""

TAIL_ANCHOR = "profile_7"
"""Where the quantiles start from. From nothing, the 5 % quantile of a rate with more than 5 % zeros starts at zero,
where no residual is negative and no split gains anything: it would stay there for every row."""

HELD_OUT_FRAC = 0.2
"""Newest share of the training rows, on which weights and calibration are learned."""

MOST_ROWS = 100_000
MOST_TAIL_ROWS = 40_000
"""Rows that a member, and that a quantile or the classifier, is fitted on at most; evenly thinned beyond."""

DAY_PARTS = 1440
"""Rows are thinned by a number that shares no factor with the minutes of the day: every time of day stays in."""

FEWEST_ROWS = 200
FEWEST_ZEROS = 30

BOOSTING = {"learning_rate": 0.06, "max_iter": 200, "max_leaf_nodes": 31, "l2_regularization": 1.0}
TAIL_BOOSTING = {"learning_rate": 0.08, "max_iter": 100, "max_leaf_nodes": 15, "l2_regularization": 1.0}
ZERO_BOOSTING = {"learning_rate": 0.04, "max_iter": 150, "max_leaf_nodes": 15, "l2_regularization": 10.0}
ZERO_FOREST = {"n_estimators": 100, "min_samples_leaf": 10, "max_features": 0.15}
"""Chosen on January to June 2020 of the Californian rate, all before its default test; see docs/methods/forecast.md."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Training rows of one series, in order of time.

    Attributes
    ----------
    rows : array, shape (n, m)
        From `forecast_features.design`.
    rate_gco2_per_kwh : array, shape (n,)
        What came; rows where it is NaN are left out. [g kWh⁻¹]
    """

    rows: FloatArray
    rate_gco2_per_kwh: FloatArray


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecasts for n intervals.

    Attributes
    ----------
    mid : array, shape (n,)
        Median. [g kWh⁻¹]
    quantiles : array, shape (n, len(LEVELS))
        Not decreasing along a row, the middle one is `mid`. [g kWh⁻¹]
    zero_probability : array, shape (n,)
        That the rate is exactly zero. [1]
    """

    mid: FloatArray
    quantiles: FloatArray
    zero_probability: FloatArray


@dataclass(frozen=True, slots=True)
class Forecaster:
    """What was learned.

    Attributes
    ----------
    names : tuple of str
        Columns of the rows.
    weights : dict of str to float
        Weight of each member and naive rule in the centre. [1]
    floor_gco2_per_kwh : float
        The least that a forecast may be: zero, or the lowest rate seen where rates were negative. [g kWh⁻¹]
    """

    names: tuple[str, ...]
    kept: NDArray[np.intp]
    fallback: dict[str, float]
    members: tuple[Any, ...]
    tails: tuple[Any, ...]
    zero_models: tuple[Any, ...]
    calibration: Any
    zero_share: float
    weights: dict[str, float]
    floor_gco2_per_kwh: float

    def forecast(self, rows: FloatArray) -> Forecast:
        """Forecast for later rows of the same columns."""
        x = rows[:, self.kept]
        centre = self._stack(rows, x) @ np.array(list(self.weights.values()))
        zero = self._calibrated(self._raw_zero(x))
        start = anchor(rows, self.names, TAIL_ANCHOR, self.fallback)
        tails = np.stack([model.predict(x) + start for model in self.tails], axis=1)
        floor = self.floor_gco2_per_kwh
        centre = np.where(zero > LEVELS[len(LEVELS) // 2], 0.0, np.maximum(centre, floor))
        quantiles = np.sort(np.insert(tails, len(LEVELS) // 2, centre, axis=1), axis=1)
        quantiles = np.maximum(quantiles, floor)
        if floor == 0.0:
            quantiles = np.where(np.array(LEVELS) < zero[:, None], 0.0, quantiles)
        # The centre keeps its place: quantiles below may not pass it, nor those above fall short.
        half = len(LEVELS) // 2
        quantiles[:, :half] = np.minimum(quantiles[:, :half], centre[:, None])
        quantiles[:, half] = centre
        quantiles[:, half + 1 :] = np.maximum(quantiles[:, half + 1 :], centre[:, None])
        return Forecast(centre, quantiles, zero)

    def _stack(self, rows: FloatArray, x: FloatArray) -> FloatArray:
        guesses = [
            (0.0 if model is None else model.predict(x)) + anchor(rows, self.names, name, self.fallback)
            for model, name in zip(self.members, ANCHORS, strict=True)
        ]
        naive = [anchor(rows, self.names, name, self.fallback) for name in NAIVE]
        stacked: FloatArray = np.stack([*guesses, *naive], axis=1)
        return np.maximum(stacked, self.floor_gco2_per_kwh)

    def _raw_zero(self, x: FloatArray) -> FloatArray:
        if not self.zero_models:
            return np.full(len(x), self.zero_share)
        each = [model.predict_proba(x)[:, 1] for model in self.zero_models]
        return np.asarray(np.mean(each, axis=0), dtype=np.float64)

    def _calibrated(self, raw: FloatArray) -> FloatArray:
        return raw if self.calibration is None else np.asarray(self.calibration.predict(raw))


def anchor(rows: FloatArray, names: Sequence[str], name: str, fallback: dict[str, float]) -> FloatArray:
    """Give the column that a member starts from, filled with its training median where not known; shape (n,)."""
    if not name:
        return np.zeros(len(rows))
    values = rows[:, list(names).index(name)].astype(np.float64)
    return np.where(np.isfinite(values), values, fallback[name])


def fit(lessons: Sequence[Lesson], names: tuple[str, ...]) -> tuple[Forecaster, list[Forecast]]:
    """Learn from the past of one or several series that move alike.

    Parameters
    ----------
    lessons : sequence of Lesson
        With the same columns.
    names : tuple of str
        Of the columns.

    Returns
    -------
    forecaster : Forecaster
        Fitted on every row.
    held_out : list of Forecast
        For each lesson, forecasts for its newest `HELD_OUT_FRAC` by a fit on the rest: what an adaptive range warms
        up on. The stack's weights and the calibration have seen these rows, its members have not.

    Raises
    ------
    InputError
        If fewer than `FEWEST_ROWS` rows have a rate.
    """
    n_known = sum(int(np.isfinite(lesson.rate_gco2_per_kwh).sum()) for lesson in lessons)
    if n_known < FEWEST_ROWS:
        raise InputError(f"{n_known} intervals with a rate precede the test; a forecast needs {FEWEST_ROWS}")
    cut = [int(len(lesson.rows) * (1 - HELD_OUT_FRAC)) for lesson in lessons]
    early = [Lesson(x.rows[:c], x.rate_gco2_per_kwh[:c]) for x, c in zip(lessons, cut, strict=True)]
    late = [Lesson(x.rows[c:], x.rate_gco2_per_kwh[c:]) for x, c in zip(lessons, cut, strict=True)]
    inner = _learned(early, names)
    rows, rate = _joined(late, MOST_TAIL_ROWS)
    stack = inner._stack(rows, rows[:, inner.kept])
    labels = [*(_label(name) for name in ANCHORS), *NAIVE]
    weights = simplex_weights(stack, rate, "absolute") if len(rate) else np.eye(1, len(labels))[0]
    raw = inner._raw_zero(rows[:, inner.kept])
    calibration = _calibration(raw, rate == 0.0)
    learned: dict[str, Any] = {
        "weights": dict(zip(labels, weights.tolist(), strict=True)),
        "calibration": calibration,
    }
    inner = replace(inner, **learned)
    every = _learned(lessons, names, learned["weights"])
    return replace(every, **learned), [inner.forecast(x.rows) for x in late]


def refit(forecaster: Forecaster, lessons: Sequence[Lesson]) -> Forecaster:
    """Fit the members again on more past, with the weights and the calibration that were learned before."""
    return replace(
        _learned(lessons, forecaster.names, forecaster.weights),
        weights=forecaster.weights,
        calibration=forecaster.calibration,
    )


def _learned(
    lessons: Sequence[Lesson], names: tuple[str, ...], weights: dict[str, float] | None = None
) -> Forecaster:
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )

    rows, rate = _joined(lessons, MOST_ROWS)
    few, few_rate = _joined(lessons, MOST_TAIL_ROWS)
    kept = np.array([k for k in range(rows.shape[1]) if _varies(few[:, k])], dtype=np.intp)
    fallback = {
        name: _median_or(rows[:, names.index(name)], float(np.median(rate)))
        for name in (*ANCHORS, *NAIVE)
        if name
    }
    leaf, few_leaf = (int(np.clip(len(y) // 600, 20, 200)) for y in (rate, few_rate))

    def member(name: str) -> Callable[[], Any]:
        model = HistGradientBoostingRegressor(
            loss="absolute_error", min_samples_leaf=leaf, max_features=0.4, early_stopping=False, random_state=0, **BOOSTING
        )  # fmt: skip
        return lambda: model.fit(rows[:, kept], rate - anchor(rows, names, name, fallback))

    def tail(level: float) -> Callable[[], Any]:
        model = HistGradientBoostingRegressor(
            loss="quantile", quantile=level, min_samples_leaf=few_leaf, max_features=0.4, early_stopping=False,
            random_state=0, **TAIL_BOOSTING,
        )  # fmt: skip
        return lambda: model.fit(few[:, kept], few_rate - anchor(few, names, TAIL_ANCHOR, fallback))

    is_zero, few_is_zero = rate == 0.0, few_rate == 0.0
    has_both = FEWEST_ZEROS <= int(few_is_zero.sum()) <= len(few_rate) - FEWEST_ZEROS
    boosted = HistGradientBoostingClassifier(
        min_samples_leaf=leaf, max_features=0.2, early_stopping=False, random_state=0, **ZERO_BOOSTING
    )
    forest = ExtraTreesClassifier(random_state=0, **ZERO_FOREST)
    # A member without weight need not be fitted again.
    wanted = [name for name in ANCHORS if weights is None or weights[_label(name)] > 0]
    work = [
        *(member(name) for name in wanted),
        *(tail(level) for level in LEVELS if level != 0.5),
        *([lambda: boosted.fit(rows[:, kept], is_zero)] if has_both else []),
        *([lambda: forest.fit(few[:, kept], few_is_zero)] if has_both else []),
    ]
    done = _side_by_side(work)
    n, k = len(wanted), len(LEVELS) - 1
    by_anchor = dict(zip(wanted, done[:n], strict=True))
    return Forecaster(
        names,
        kept,
        fallback,
        tuple(by_anchor.get(name) for name in ANCHORS),
        tuple(done[n : n + k]),
        tuple(done[n + k :]),
        None,
        float(few_is_zero.mean()),
        {},
        min(0.0, float(rate.min())),
    )


def _label(anchor_name: str) -> str:
    return f"boosted from {anchor_name or 'nothing'}"


def _side_by_side(work: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do two fits at a time, each on one thread: OpenMP's own threads wait busily for one another on a shared machine."""
    from threadpoolctl import threadpool_limits

    def alone(job: Callable[[], Any]) -> Any:
        with threadpool_limits(1, "openmp"):
            return job()

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(alone, work))


def _joined(lessons: Sequence[Lesson], most: int) -> tuple[FloatArray, FloatArray]:
    known = [np.flatnonzero(np.isfinite(lesson.rate_gco2_per_kwh)) for lesson in lessons]
    every = max(1, -(-sum(len(k) for k in known) // most))
    while every > 1 and math.gcd(every, DAY_PARTS) > 1:
        every += 1
    # Each series starts at another offset, so that thinned rows of twins are not of the same intervals.
    chosen = [k[number % every :: every] for number, k in enumerate(known)]
    return (
        np.concatenate([lesson.rows[k] for lesson, k in zip(lessons, chosen, strict=True)]),
        np.concatenate([lesson.rate_gco2_per_kwh[k] for lesson, k in zip(lessons, chosen, strict=True)]),
    )


def _varies(column: FloatArray) -> bool:
    known = column[np.isfinite(column)]
    return len(known) > 1 and bool((known != known[0]).any())


def _median_or(column: FloatArray, otherwise: float) -> float:
    known = column[np.isfinite(column)]
    return float(np.median(known)) if len(known) else otherwise


def _calibration(raw: FloatArray, happened: BoolArray) -> Any:
    if not FEWEST_ZEROS <= int(happened.sum()) <= len(happened) - FEWEST_ZEROS:
        return None
    from sklearn.isotonic import IsotonicRegression

    return IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(raw, happened)


def says_zero(probability: FloatArray, per_day: int) -> BoolArray:
    """Say for each forecast, in order of time, whether it is one of "zero".

    From which probability on is settled anew each day, on all forecasts made by then and on no outcome: the threshold
    with the best F1 if the probabilities are true, ``E[F1] ≈ 2 Σ_said p / (n_said + Σ p)``.

    Parameters
    ----------
    probability : array, shape (n,)
        Of zero. [1]
    per_day : int
        Forecasts a day.

    Notes
    -----
    Lipton, Elkan, Naryanaswamy 2014, doi:10.1007/978-3-662-44851-9_15: the best threshold is half of the best F1, so
    it falls where zeros are rare and cannot be carried over from a season in which they are not.
    """
    said = np.zeros(len(probability), dtype=np.bool_)
    for begin in range(0, len(probability), per_day):
        end = min(begin + per_day, len(probability))
        seen = np.sort(probability[:end])[::-1]
        expected = 2 * np.cumsum(seen) / (np.arange(1, end + 1) + seen.sum())
        said[begin:end] = probability[begin:end] >= seen[int(expected.argmax())] if seen[0] > 0 else False
    return said


def best_threshold(probability: FloatArray, happened: BoolArray) -> float:
    """Give the probability from which saying "it happens" had the best F1; 0.5 where it never happened."""
    if not happened.any():
        return 0.5
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(happened[order])
    score = 2 * hits / (np.arange(1, len(order) + 1) + happened.sum())
    # Equal probabilities are said together: only the last of each run is a threshold.
    last = np.append(np.diff(probability[order]) != 0, True)
    return float(probability[order][int(np.where(last, score, -1.0).argmax())])
