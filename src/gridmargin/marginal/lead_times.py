"""Forecasts of a rate for every interval from the issue to three days on, each with a range.

Plain functions: a `RateSeries` up to the issue time in, a `Ladder` out; the series again, `Ahead` out. Nothing after
the series' end is there to be seen.

Notes
-----
A ladder of rungs, each for a stretch of leads. A rung learns on rows at a few leads inside it, with the lead as a
column of its own, and answers for all of them. From `COARSE_S` on a lead is rounded up: the row then knows a little
less than was known, never more.

Three sets of boosted trees a rung: the median, and the 5 and 95 % quantiles. They predict the distance from an anchor,
the mean at that time of day over a week. The median is stacked with persistence, the day before and that mean by
weights learned on the newest rows, which the trees had not seen. The full `forecast.Forecaster` on
every rung takes several times as long.

The outer quantiles are moved outwards by how far they were missed on the same newest rows (conformalised quantile
regression, Romano, Patterson, Candès 2019, arXiv:1905.03222), rung by rung and in units of the nominal width; never
inwards, because the next season strays further than the newest one did. A low end that
stands at the floor cannot be missed: there the high end has the whole allowance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.marginal.blend import simplex_weights
from gridmargin.marginal.forecast_features import DAY_S, HOUR_S, RateSeries, design
from gridmargin.marginal.grown_trees import GrownTrees, array_as_json, array_of, grown
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LONGEST_S = 72 * HOUR_S
"""The longest lead. [s]"""

RUNGS_S = (HOUR_S, 3 * HOUR_S, 12 * HOUR_S, 24 * HOUR_S, LONGEST_S)
"""Leads below each of these, and not below the one before, share a forecaster. [s]"""

LEARNED_LEADS = 3
"""Leads of a rung on whose rows it learns: the shortest, the longest, and one between."""

COARSE_S = (3 * HOUR_S, HOUR_S)
"""From this lead on, the age of the newest value that a row holds is rounded up to a multiple of that. [s]"""

MOST_ROWS = 6_000
"""Rows that a rung learns on at most, all its leads together; evenly thinned beyond."""

FEWEST_DAYS = 28
"""Days with a rate that the past must hold."""

SHOWN_DAYS = 42
"""How much of the past an issue's rows are made from: more than the longest look back of `design`. [d]"""

HELD_OUT_FRAC = 0.2
"""Newest share of the rows, on which weights and ranges are learned."""

LEVELS = (0.05, 0.5, 0.95)
"""Levels of the three sets of trees; the middle one is fitted on the absolute error."""

ANCHORS = ("profile_7", "lag_0")
"""What the trees may start from: of these columns the one that was closer on the rows learned from. Tails start from
the first."""

NAIVE = ("lag_0", "day_before", "profile_7")
"""Columns that stand in the stack as they are, beside the trees."""

TREES = {"learning_rate": 0.1, "max_iter": 80, "max_leaf_nodes": 15, "l2_regularization": 1.0}
TAIL_TREES = {"learning_rate": 0.1, "max_iter": 60, "max_leaf_nodes": 8, "l2_regularization": 1.0}

COVERAGE = 0.9
FEWEST_RESIDUALS = 60
"""A group of held-out rows with fewer is judged with all of its rung."""

NARROWEST_FRAC = 0.2
"""Widths below this share of the rung's mean width count as this share, so that a range of no width can grow."""

LEAD = "lead"


@dataclass(frozen=True, slots=True)
class Offsets:
    """How far the ends of a rung's nominal ranges move, in units of their width.

    Attributes
    ----------
    low, high : float
        Of a range whose low end may be missed. [1]
    high_at_floor : float
        Of a range whose low end stands at the floor. [1]
    width_gco2_per_kwh : float
        Mean nominal width on the held-out rows. [g kWh⁻¹]
    n : int
        Held-out rows behind it.
    """

    low: float
    high: float
    high_at_floor: float
    width_gco2_per_kwh: float
    n: int


@dataclass(frozen=True, slots=True)
class Trees:
    """The three fits of a rung.

    Attributes
    ----------
    names : tuple of str
        Columns of the rows.
    kept : array of int
        Those that vary.
    anchor : str
        Column that the median starts from.
    fallback : dict of str to float
        What stands in for an anchor or a naive rule that is not known. [g kWh⁻¹]
    models : tuple of GrownTrees
        By `LEVELS`.
    floor_gco2_per_kwh : float
        The least that a forecast may be: zero, or the lowest rate seen where rates were negative. [g kWh⁻¹]
    """

    names: tuple[str, ...]
    kept: NDArray[np.intp]
    anchor: str
    fallback: dict[str, float]
    models: tuple[GrownTrees, ...]
    floor_gco2_per_kwh: float

    def stack(self, rows: FloatArray) -> FloatArray:
        """Give the trees' median and the naive rules, side by side; shape (n, 4)."""
        boosted = self.models[1].predict(rows[:, self.kept]) + self._filled(rows, self.anchor)
        every: FloatArray = np.stack([boosted, *(self._filled(rows, name) for name in NAIVE)], axis=1)
        return np.maximum(every, self.floor_gco2_per_kwh)

    def ends(self, rows: FloatArray, mid: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give the nominal ends around a centre."""
        start, x, floor = self._filled(rows, ANCHORS[0]), rows[:, self.kept], self.floor_gco2_per_kwh
        low, high = (np.maximum(self.models[k].predict(x) + start, floor) for k in (0, 2))
        return np.minimum(low, mid), np.maximum(high, mid)

    def _filled(self, rows: FloatArray, name: str) -> FloatArray:
        values = rows[:, self.names.index(name)].astype(np.float64)
        return np.where(np.isfinite(values), values, self.fallback[name])


@dataclass(frozen=True, slots=True)
class Rung:
    """What answers for a stretch of leads.

    Attributes
    ----------
    from_s, below_s : int
        The leads. [s]
    learned_leads_s : tuple of int
        Leads of the rows that it learned on. [s]
    n_rows : int
        How many these were.
    weights : array, shape (4,)
        Of the trees and the naive rules in the centre. [1]
    """

    from_s: int
    below_s: int
    learned_leads_s: tuple[int, ...]
    n_rows: int
    trees: Trees
    weights: FloatArray
    offsets: Offsets

    def forecast(self, rows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give low, mid and high for rows of the same columns."""
        mid = self.trees.stack(rows) @ self.weights
        low, high = _moved(*self.trees.ends(rows, mid), self.offsets, self.trees.floor_gco2_per_kwh)
        return np.minimum(low, mid), mid, np.maximum(high, mid)

    def told(self) -> dict[str, Any]:
        """Give what was learned in plain JSON, as far as a person can read it."""
        moved = self.offsets
        return {
            "from_s": self.from_s,
            "below_s": self.below_s,
            "learned_leads_s": list(self.learned_leads_s),
            "n_rows": self.n_rows,
            "anchor": self.trees.anchor,
            "weights": dict(zip(("trees", *NAIVE), self.weights.tolist(), strict=True)),
            "offsets": {"low": moved.low, "high": moved.high, "high_at_floor": moved.high_at_floor, "n": moved.n},
        }  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """Give all that a forecast needs as plain JSON, to the last bit."""
        trees = self.trees
        return {
            "from_s": self.from_s,
            "below_s": self.below_s,
            "learned_leads_s": list(self.learned_leads_s),
            "n_rows": self.n_rows,
            "weights": array_as_json(self.weights),
            "offsets": asdict(self.offsets),
            "trees": {
                "names": list(trees.names),
                "kept": array_as_json(trees.kept),
                "anchor": trees.anchor,
                "fallback": trees.fallback,
                "models": [model.as_json() for model in trees.models],
                "floor_gco2_per_kwh": trees.floor_gco2_per_kwh,
            },
        }

    @staticmethod
    def of(told: Mapping[str, Any]) -> Rung:
        """Read what `as_json` gave."""
        trees = told["trees"]
        return Rung(
            told["from_s"],
            told["below_s"],
            tuple(told["learned_leads_s"]),
            told["n_rows"],
            Trees(
                tuple(trees["names"]),
                array_of(trees["kept"]),
                trees["anchor"],
                trees["fallback"],
                tuple(GrownTrees.of(model) for model in trees["models"]),
                trees["floor_gco2_per_kwh"],
            ),
            array_of(told["weights"]),
            Offsets(**told["offsets"]),
        )


@dataclass(frozen=True, slots=True)
class Stretch:
    """Leads that share a rung.

    Attributes
    ----------
    from_s, below_s : int
        The leads. [s]
    leads_s : tuple of int
        Leads of the rows that it learns on. [s]
    """

    from_s: int
    below_s: int
    leads_s: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ladder:
    """What was learned from a series, for every lead.

    Attributes
    ----------
    rungs : tuple of Rung
        By lead.
    step_s : int
        Of the series. [s]
    timezone : str
        IANA name.
    """

    rungs: tuple[Rung, ...]
    step_s: int
    timezone: str


@dataclass(frozen=True, slots=True)
class Ahead:
    """Forecasts of n intervals in a row from the end of a series.

    Attributes
    ----------
    start_epoch_s, lead_s : array of int64, shape (n,)
        Start of each interval, and how long after the issue that is. [s]
    low, mid, high : array, shape (n,)
        Median and 90 % range. [g kWh⁻¹]
    """

    start_epoch_s: IntArray
    lead_s: IntArray
    low: FloatArray
    mid: FloatArray
    high: FloatArray


def settings() -> dict[str, Any]:
    """Give the constants that, with the series and the versions, settle every forecast."""
    return {
        "rungs_s": list(RUNGS_S),
        "learned_leads": LEARNED_LEADS,
        "coarse_s": list(COARSE_S),
        "most_rows": MOST_ROWS,
        "shown_days": SHOWN_DAYS,
        "held_out_frac": HELD_OUT_FRAC,
        "coverage_frac": COVERAGE,
        "levels": list(LEVELS),
        "trees": TREES,
        "tail_trees": TAIL_TREES,
    }


def learn(series: RateSeries, timezone: str, longest_s: int = LONGEST_S) -> Ladder:
    """Learn from a series that ends when the forecast is issued.

    Parameters
    ----------
    series : RateSeries
        What was known.
    timezone : str
        IANA name; the local clock and calendar are columns.
    longest_s : int
        Rungs that begin at this lead or later are left out. [s]

    Raises
    ------
    InputError
        If the series holds fewer than `FEWEST_DAYS` days of rates.
    """
    refuse_too_short(series)
    jobs = stretches(series.step_s, longest_s)
    return Ladder(tuple(learn_rungs(series, timezone, jobs)), series.step_s, timezone)


def refuse_too_short(series: RateSeries) -> None:
    """Raise `InputError` if a series holds fewer than `FEWEST_DAYS` days of rates."""
    days = known_days(series)
    if days < FEWEST_DAYS:
        raise InputError(
            f"{days:.1f} days of rates precede the issue and a forecast needs {FEWEST_DAYS};"
            " ask for a later issue time, or give a longer record"
        )


def known_days(series: RateSeries) -> float:
    """Give how many days of rates a series holds. [d]"""
    return int(np.isfinite(series.rate_gco2_per_kwh).sum()) * series.step_s / DAY_S


def stretches(step_s: int, longest_s: int) -> list[Stretch]:
    """Give the leads of each rung that begins below a lead."""
    found = []
    for from_s, below_s in zip((0, *RUNGS_S[:-1]), RUNGS_S, strict=True):
        inside = [s for s in range(0, below_s, step_s) if s >= from_s]
        if inside and from_s < longest_s:
            leads = sorted({rounded_lead(s, step_s) for s in inside})
            chosen = np.unique(np.linspace(0, len(leads) - 1, LEARNED_LEADS).round().astype(int))
            found.append(Stretch(from_s, below_s, tuple(leads[k] for k in chosen)))
    return found


def learn_rungs(series: RateSeries, timezone: str, jobs: Sequence[Stretch]) -> list[Rung]:
    """Learn the rungs of some stretches of leads, as `learn` does; none depends on another."""
    if not jobs:
        return []
    from threadpoolctl import threadpool_limits

    # Two rungs at a time, each on one thread: OpenMP's own threads wait busily for one another.
    with threadpool_limits(1, "openmp"), ThreadPoolExecutor(2) as pool:
        return list(
            pool.map(lambda job: _rung(series, timezone, job.from_s, job.below_s, list(job.leads_s)), jobs)
        )


def ahead(ladder: Ladder, series: RateSeries, n: int) -> Ahead:
    """Forecast the n intervals that follow a series.

    Parameters
    ----------
    series : RateSeries
        What was known at the issue; the one that the ladder was learned from, or a longer one.
    n : int
        At most as far as the ladder reaches.
    """
    step_s = ladder.step_s
    longest_s = ladder.rungs[-1].below_s
    if series.step_s != step_s or not 0 < n * step_s <= longest_s:
        raise InputError(
            f"{n} intervals of {series.step_s} s are not what was learned: up to {longest_s} s in steps of {step_s} s"
        )
    shown = _extended(series, SHOWN_DAYS * DAY_S // step_s, n)
    lead_s = step_s * np.arange(n, dtype=np.int64)
    row_lead_s = np.array([rounded_lead(int(s), step_s) for s in lead_s])
    low, mid, high = np.empty(n), np.empty(n), np.empty(n)
    for rung in ladder.rungs:
        inside = np.flatnonzero((lead_s >= rung.from_s) & (lead_s < rung.below_s))
        parts, places = [], []
        for made_at_s in np.unique(row_lead_s[inside]).tolist():
            place = inside[row_lead_s[inside] == made_at_s]
            rows, _ = design(shown, made_at_s, ladder.timezone)
            parts.append(_with_lead(rows[len(shown) - n + place], made_at_s))
            places.append(place)
        if parts:
            at = np.concatenate(places)
            low[at], mid[at], high[at] = rung.forecast(np.concatenate(parts))
    return Ahead(shown.starts()[len(shown) - n :], lead_s, low, mid, high)


def rounded_lead(lead_s: int, step_s: int) -> int:
    """Give the lead at which a row is made: the lead itself, or from `COARSE_S` on so that whole hours lie between. [s]

    The newest value of a row starts a lead and a step before the target; that distance is rounded, so that a target
    less than a day ahead still knows the same time of the day before.
    """
    from_s, multiple_s = COARSE_S
    to_s = multiple_s if lead_s >= from_s and multiple_s % step_s == 0 else step_s
    return to_s * math.ceil((lead_s + step_s) / to_s) - step_s


def _rung(series: RateSeries, timezone: str, from_s: int, below_s: int, leads_s: list[int]) -> Rung:
    known = np.flatnonzero(np.isfinite(series.rate_gco2_per_kwh))
    every = max(1, -(-len(known) * len(leads_s) // MOST_ROWS))
    while every > 1 and math.gcd(every, DAY_S // series.step_s) > 1:
        every += 1  # every time of day stays in
    # The part after the cut judges; nothing in it was issued before the part before the cut had ended.
    cut = known[int(len(known) * (1 - HELD_OUT_FRAC))]
    parts, places, leads = [], [], []
    names: tuple[str, ...] = ()
    for number, lead_s in enumerate(leads_s):
        rows, columns = design(series, lead_s, timezone)
        names = (*columns, LEAD)
        chosen = known[number * every // len(leads_s) :: every]
        parts.append(_with_lead(rows[chosen], lead_s))
        places.append(chosen)
        leads.append(np.full(len(chosen), lead_s // series.step_s))
    rows, at, lead = np.concatenate(parts), np.concatenate(places), np.concatenate(leads)
    rate = series.rate_gco2_per_kwh[at]
    early, late = at < cut, at >= cut + lead
    if late.sum() < FEWEST_RESIDUALS:
        late = at >= cut
    inner = _grown(rows[early], rate[early], names)
    stack = inner.stack(rows[late])
    weights = simplex_weights(stack, rate[late], "absolute")
    mid = stack @ weights
    offsets = _offsets(*inner.ends(rows[late], mid), rate[late], inner.floor_gco2_per_kwh)
    return Rung(from_s, below_s, tuple(leads_s), len(at), _grown(rows, rate, names), weights, offsets)


def _grown(rows: FloatArray, rate: FloatArray, names: tuple[str, ...]) -> Trees:
    from sklearn.ensemble import HistGradientBoostingRegressor

    floor = min(0.0, float(rate.min()))
    kept = np.array([k for k in range(rows.shape[1]) if _varies(rows[:, k])], dtype=np.intp)
    usual = float(np.median(rate))
    fallback = {
        name: _median_or(rows[:, names.index(name)], usual) for name in dict.fromkeys((*ANCHORS, *NAIVE))
    }
    started = Trees(names, kept, ANCHORS[0], fallback, (), floor)
    starts = {name: started._filled(rows, name) for name in ANCHORS}
    anchor = min(ANCHORS, key=lambda name: float(np.abs(rate - starts[name]).mean()))
    leaf = int(np.clip(len(rate) // 300, 10, 50))
    models = []
    for level in LEVELS:
        is_middle = level == LEVELS[1]
        loss = {"loss": "absolute_error"} if is_middle else {"loss": "quantile", "quantile": level}
        model = HistGradientBoostingRegressor(
            **loss, min_samples_leaf=leaf, max_features=0.4, early_stopping=False, random_state=0,
            **(TREES if is_middle else TAIL_TREES),
        )  # fmt: skip
        x = rows[:, kept]
        models.append(grown(model.fit(x, rate - starts[anchor if is_middle else ANCHORS[0]]), x))
    return Trees(names, kept, anchor, fallback, tuple(models), floor)


def _varies(column: FloatArray) -> bool:
    known = column[np.isfinite(column)]
    return len(known) > 1 and bool((known != known[0]).any())


def _median_or(column: FloatArray, otherwise: float) -> float:
    known = column[np.isfinite(column)]
    return float(np.median(known)) if len(known) else otherwise


def _with_lead(rows: FloatArray, lead_s: int) -> FloatArray:
    return np.column_stack([rows, np.full(len(rows), lead_s, dtype=rows.dtype)])


def _extended(series: RateSeries, n_past: int, n_ahead: int) -> RateSeries:
    """Give the newest part of a series with unknown intervals behind it."""
    first = max(len(series) - n_past, 0)
    gap = np.full(n_ahead, np.nan)
    return RateSeries(
        series.start_epoch_s + first * series.step_s,
        series.step_s,
        np.append(series.rate_gco2_per_kwh[first:], gap),
        {name: np.append(values[first:], gap) for name, values in series.states.items()},
    )


def _offsets(low: FloatArray, high: FloatArray, rate: FloatArray, floor: float) -> Offsets:
    mean = float((high - low).mean())
    width = np.maximum(high - low, NARROWEST_FRAC * mean if mean > 0 else 1.0)
    below, above = (low - rate) / width, (rate - high) / width
    at_floor = low <= floor
    free = ~at_floor if (~at_floor).sum() >= FEWEST_RESIDUALS else np.ones_like(at_floor)
    stopped = at_floor if at_floor.sum() >= FEWEST_RESIDUALS else np.ones_like(at_floor)
    tail = (1.0 - COVERAGE) / 2
    return Offsets(
        low=_rank(below[free], 1.0 - tail),
        high=_rank(above[free], 1.0 - tail),
        high_at_floor=_rank(above[stopped], COVERAGE),
        width_gco2_per_kwh=mean,
        n=len(rate),
    )


def _rank(scores: FloatArray, level: float) -> float:
    """Give the score that the next one stays below with at least this probability, if exchangeable; 0 at least."""
    n = len(scores)
    return max(0.0, float(np.sort(scores)[min(math.ceil((n + 1) * level - 1e-9), n) - 1]))


def _moved(
    low: FloatArray, high: FloatArray, offsets: Offsets, floor: float
) -> tuple[FloatArray, FloatArray]:
    usual = offsets.width_gco2_per_kwh
    width = np.maximum(high - low, NARROWEST_FRAC * usual if usual > 0 else 1.0)
    at_floor = low <= floor
    lower = np.where(at_floor, low, np.maximum(low - offsets.low * width, floor))
    return lower, high + np.where(at_floor, offsets.high_at_floor, offsets.high) * width
