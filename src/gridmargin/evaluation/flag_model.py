"""Which fuels an operator will flag as marginal, from what the fuels do: a small regularised model, one per fuel.

Probabilities come from a logistic regression with a ridge, drawn towards the fuel's own frequency; its features, its
ridge, how far it is drawn, and the probability from which a fuel is called flagged are chosen within the training
states alone, by leaving out one stretch of time after another. The commonest fuel answers where no other does.
docs/methods/backtest-isone-flag.md says why these features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates
from gridmargin.vocab import Fuel, published_margin_column

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

WEATHER = frozenset({Fuel.WIND, Fuel.SOLAR})

MAX_GAP_INTERVALS = 3
"""A state further back than this says nothing of a change; an operator's snapshots are up to that far apart."""

RIDGES = (0.1, 1.0, 10.0)
"""Candidates for how far slopes may stray, the variance of their prior; smaller is stiffer."""

WINDOWS_S = (1800, 3600)
"""Changes are taken over half an hour and an hour: a unit flagged as marginal follows the load for a while, and single
snapshots minutes apart are rounded and late. [s]"""

WINDOW_SLACK_S = 450
"""A change over a window needs a state within this of its far end; snapshots are up to so far apart. [s]"""

FEATURES = (
    "rise with the load", "previous flag", "rise in 30 min", "load rise in 60 min", "rise in 60 min", "load rise in 30 min",
    "level", "load",
)  # fmt: skip
FEATURE_SETS = ((0,), (2, 3), (2, 3, 4, 5), (2, 3, 4, 5, 6, 7))
"""Candidates, as places in `FEATURES`: whether the fuel rises as the load does, in one number; in two; over both
windows; and where both stand."""

PAST_SETS = ((1,), *((1, *chosen) for chosen in FEATURE_SETS))
"""Candidates where the flag of the state before may be used: that alone, and with each of the others."""

FLAGS_PER_FEATURE = 5
"""A candidate needs so many flags in training for each of its features: Vittinghoff and McCulloch 2007,
doi:10.1093/aje/kwk052, find five to nine to do where ten is the usual rule. Without enough for one, frequency stands."""

TRUST = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Candidates for how much of the model, and not of the fuel's frequency, is in a probability; 0 is frequency alone."""

N_BLOCKS = 8
"""Stretches of the training states, each predicted from the others: neighbours in time stay on one side."""

MOST_STATES = 20_000
"""Candidates are compared on so many training states, evenly thinned; the chosen one is fitted on all."""

_NEWTON_STEPS = 50

CLIP = 4.0
"""Features are cut here, in units of their usual size: one odd snapshot is no lever."""


@dataclass(frozen=True, slots=True)
class Cases:
    """States with flags, as arrays.

    Attributes
    ----------
    start_epoch_s : array, shape (n,)
        Interval starts. [s since 1970 UTC]
    fuels : tuple of Fuel, length k
        Fuels that the operator has a flag for.
    flagged : array, shape (n, k)
        What was flagged.
    generation_mw : array, shape (n, k)
        NaN where not known. [MW]
    rise_mw : array, shape (n, k, 2)
        Its change over each of `WINDOWS_S`; NaN where not known. [MW]
    load_mw, load_rise_mw : arrays, shape (n,) and (n, 2)
        Of all generation that is not wind or sun. [MW]
    previous : array, shape (n, k)
        Flags of the state before; 0.5 where there is none within `MAX_GAP_INTERVALS`.
    """

    start_epoch_s: NDArray[np.int64]
    fuels: tuple[Fuel, ...]
    flagged: BoolArray
    generation_mw: FloatArray
    rise_mw: FloatArray
    load_mw: FloatArray
    load_rise_mw: FloatArray
    previous: FloatArray

    def rows(self, chosen: NDArray[np.int64] | BoolArray) -> Cases:
        """Give the chosen states."""
        names = ("flagged", "generation_mw", "rise_mw", "load_mw", "load_rise_mw", "previous")
        return Cases(self.start_epoch_s[chosen], self.fuels, *(getattr(self, name)[chosen] for name in names))

    def __len__(self) -> int:
        return len(self.start_epoch_s)


def cases_of(states: GridStates) -> Cases:
    """Give the states in which the operator flagged anything, each with its change since the state before."""
    fuels = tuple(fuel for fuel in Fuel if published_margin_column(fuel) in states.frame.columns)
    share = np.column_stack([states.values(published_margin_column(fuel)) for fuel in fuels])
    generation = np.column_stack([states.generation_mw(fuel) for fuel in fuels])
    steady = [fuel for fuel in states.fuels if fuel not in WEATHER]
    load = np.nansum(np.column_stack([states.generation_mw(fuel) for fuel in steady]), axis=1)
    start_s = states.start_epoch_s()
    follows = np.zeros(len(states), dtype=np.bool_)
    follows[1:] = np.diff(start_s) <= MAX_GAP_INTERVALS * states.interval_s
    flagged = np.nan_to_num(share, nan=0.0) > 0
    previous = np.full(flagged.shape, 0.5)
    previous[1:] = flagged[:-1]
    previous[~follows] = 0.5
    rise = np.stack([_rise(start_s, generation, window_s) for window_s in WINDOWS_S], axis=-1)
    load_rise = np.stack([_rise(start_s, load, window_s) for window_s in WINDOWS_S], axis=-1)
    cases = Cases(start_s, fuels, flagged, generation, rise, load, load_rise, previous)
    return cases.rows(np.flatnonzero(flagged.any(axis=1)))


def _rise(start_s: NDArray[np.int64], value: FloatArray, window_s: int) -> FloatArray:
    """Give how far values rose over the last `window_s`; NaN where no state lies at its far end."""
    before = np.searchsorted(start_s, start_s - window_s + WINDOW_SLACK_S, side="right") - 1
    there = (before >= 0) & (before < np.arange(len(start_s)))
    there &= start_s[before] >= start_s - window_s - WINDOW_SLACK_S
    rise = value - value[before]
    rise[~there] = np.nan
    return rise


@dataclass(frozen=True, slots=True)
class FlagModel:
    """What was learned of one fuel.

    Attributes
    ----------
    frequency : float
        Share of the training states in which it was flagged. [1]
    features : tuple of int
        Places in `FEATURES` that the regression uses.
    trust : float
        How much of the regression is in the probability. [1]
    threshold : float
        Called flagged from this probability on.
    weight, intercept, ridge
        Of the regression.
    """

    frequency: float
    features: tuple[int, ...]
    trust: float
    threshold: float
    weight: FloatArray
    intercept: float
    ridge: float

    def probability(self, x: FloatArray) -> FloatArray:
        """Give the probability of a flag; shape (n,)."""
        modelled = _logistic(x[:, self.features] @ self.weight + self.intercept)
        return self.trust * modelled + (1 - self.trust) * self.frequency


@dataclass(frozen=True, slots=True)
class FlagModels:
    """What was learned of an operator's flags.

    Attributes
    ----------
    common : int
        Place of the fuel flagged most often.
    yields : float
        How often that one is not flagged when another is. [1]
    common_threshold : float
        It is called flagged from this probability on.
    models : mapping of int to FlagModel
        Of the other fuels by place; those never flagged have none and get probability 0.
    scale, load_scale
        Of the features.
    """

    common: int
    yields: float
    common_threshold: float
    models: dict[int, FlagModel]
    scale: dict[int, FloatArray]
    load_scale: FloatArray

    def predict(self, cases: Cases) -> tuple[FloatArray, BoolArray]:
        """Give the probability of each flag and what is called flagged; shape (n, k) each.

        At least one fuel is on the margin, so where none reaches its threshold the likeliest is called.
        """
        probability = np.zeros(cases.flagged.shape)
        said = np.zeros(cases.flagged.shape, dtype=np.bool_)
        for k, model in self.models.items():
            probability[:, k] = model.probability(_features(cases, k, self.scale[k], self.load_scale))
            said[:, k] = probability[:, k] >= model.threshold
        probability[:, self.common] = _where_no_other(probability.sum(axis=1), self.yields)
        said[:, self.common] = probability[:, self.common] >= self.common_threshold
        none = ~said.any(axis=1)
        said[none, probability[none].argmax(axis=1)] = True
        return probability, said


def learn(cases: Cases, *, with_past: bool) -> FlagModels:
    """Learn from training states, in order of time.

    Parameters
    ----------
    cases : Cases
        All before what is to be predicted.
    with_past : bool
        Whether the flags of the state before may be used.
    """
    load_scale = _scale(cases.load_mw, cases.load_rise_mw)
    common = int(cases.flagged.mean(axis=0).argmax())
    scale: dict[int, FloatArray] = {}
    models: dict[int, FlagModel] = {}
    flagged = _thinned(cases.flagged)
    others = np.zeros(len(flagged))
    for k in range(len(cases.fuels)):
        if k == common or not cases.flagged[:, k].any():
            continue
        scale[k] = _scale(cases.generation_mw[:, k], cases.rise_mw[:, k])
        x = _features(cases, k, scale[k], load_scale)
        models[k], held_out = _learn_one(x, cases.flagged[:, k], with_past=with_past)
        others += held_out
    another = np.delete(cases.flagged, common, axis=1).any(axis=1)
    yields = (np.sum(another & ~cases.flagged[:, common]) + 1) / (another.sum() + 2)  # Laplace
    threshold = _threshold(_where_no_other(others, float(yields)), flagged[:, common])
    return FlagModels(common, float(yields), threshold, models, scale, load_scale)


def _thinned(values: Any) -> Any:
    """Give every k-th row, so that at most `MOST_STATES` are left."""
    return values[:: -(-len(values) // MOST_STATES)] if len(values) else values


def _where_no_other(others: FloatArray, yields: float) -> FloatArray:
    return 1.0 - yields * np.minimum(others, 1.0)


def _learn_one(x: FloatArray, happened: BoolArray, *, with_past: bool) -> tuple[FlagModel, FloatArray]:
    """Give the best of the candidates, and its probabilities for the compared states when left out."""
    everything = (x, happened)
    x, happened = _thinned(x), _thinned(happened)
    block = np.arange(len(x)) * N_BLOCKS // len(x)
    frequent = np.empty(len(x))
    for number in np.unique(block):
        frequent[block == number] = happened[block != number].mean()
    affordable = min(int(happened.sum()), int((~happened).sum())) // FLAGS_PER_FEATURE
    offered = (*FEATURE_SETS, *PAST_SETS) if with_past else FEATURE_SETS
    candidates = [chosen for chosen in offered if len(chosen) <= affordable]
    best_loss, features, ridge, trust, held_out = np.inf, offered[0], RIDGES[0], 0.0, frequent
    for candidate in candidates:
        for stiffness in RIDGES:
            modelled = np.empty(len(x))
            for number in np.unique(block):
                rest, here = block != number, block == number
                weight, intercept = _regress(x[rest][:, candidate], happened[rest], stiffness)
                modelled[here] = _logistic(x[here][:, candidate] @ weight + intercept)
            for share in TRUST:
                probability = share * modelled + (1 - share) * frequent
                loss = float(((probability - happened) ** 2).mean())
                # Adopted only for a gain that counts: a tie is left to the plainer one, tried first.
                if loss < best_loss * (1 - 1e-3):
                    best_loss, features, ridge = loss, candidate, stiffness
                    trust, held_out = share, probability
    weight, intercept = _regress(everything[0][:, features], everything[1], ridge)
    # Frequency alone has nothing to call one state rather than another by.
    threshold = _threshold(held_out, happened) if trust > 0 else 0.5
    model = FlagModel(float(everything[1].mean()), features, trust, threshold, weight, intercept, ridge)
    return model, held_out


def _threshold(probability: FloatArray, happened: BoolArray) -> float:
    """Give the probability from which on calling a flag has the best F1; 0.5 where none was there to learn from."""
    if not happened.any():
        return 0.5
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(happened[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + happened.sum())
    ends = np.append(np.diff(probability[order]) < 0, True)
    best = int(np.where(ends, f1, -1.0).argmax())
    beyond = probability[order][best + 1] if best + 1 < len(order) else 0.0
    return float((probability[order][best] + beyond) / 2)


def _regress(x: FloatArray, happened: BoolArray, ridge: float) -> tuple[FloatArray, float]:
    """Fit a logistic regression with a ridge on its slopes; give slopes and intercept.

    Notes
    -----
    Minimises ``½ |w|² ÷ ridge + Σ log(1 + e^z) − y z`` with ``z = x w + b`` by Newton's method, each step halved until
    it lowers the sum; the intercept is free. The objective is convex and, with a ridge, has one minimum.
    """
    chance = (happened.sum() + 1) / (len(happened) + 2)  # Laplace's rule of succession
    beta = np.zeros(x.shape[1] + 1)
    beta[-1] = np.log(chance / (1 - chance))
    if happened.all() or not happened.any():
        return beta[:-1], float(beta[-1])  # no slope can be learned from one answer
    design = np.column_stack([x, np.ones(len(x))])
    stiffness = np.append(np.full(x.shape[1], 1.0 / ridge), 0.0)

    def loss(at: FloatArray) -> float:
        z = design @ at
        return float(0.5 * (stiffness * at**2).sum() + np.logaddexp(0.0, z).sum() - z[happened].sum())

    now = loss(beta)
    for _ in range(_NEWTON_STEPS):
        p = _logistic(design @ beta)
        gradient = stiffness * beta + design.T @ (p - happened)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + np.diag(stiffness + 1e-12)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (then := loss(beta - size * step)) > now and size > 1e-6:
            size /= 2
        beta = beta - size * step
        if now - then <= 1e-9 * (1.0 + abs(now)):
            break
        now = then
    return beta[:-1], float(beta[-1])


def _features(cases: Cases, number: int, scale: FloatArray, load_scale: FloatArray) -> FloatArray:
    """Give `FEATURES` of one fuel; shape (n, 8)."""
    rise = _scaled(cases.rise_mw[:, number], scale[2:])
    load_rise = _scaled(cases.load_rise_mw, load_scale[2:])
    return np.column_stack(
        [
            (rise[:, 0] + load_rise[:, 1]) / 2,
            cases.previous[:, number],
            rise[:, 0],
            load_rise[:, 1],
            rise[:, 1],
            load_rise[:, 0],
            _scaled(cases.generation_mw[:, number] - scale[0], scale[1]),
            _scaled(cases.load_mw - load_scale[0], load_scale[1]),
        ]
    )


def _scale(level_mw: FloatArray, rise_mw: FloatArray) -> FloatArray:
    """Give the usual level, how far it strays, and the usual size of a rise over each window; shape (4,). [MW]

    A spread is at least 1 MW, the rounding of what is published.
    """
    known = level_mw[np.isfinite(level_mw)]
    out = [float(np.median(known)) if len(known) else 0.0, float(known.std()) if len(known) else 0.0]
    for column in rise_mw.T:
        moves = column[np.isfinite(column)]
        out.append(float(np.sqrt((moves**2).mean())) if len(moves) else 0.0)
    return np.array([out[0], *np.maximum(out[1:], 1.0)])


def _scaled(value: FloatArray, unit: FloatArray) -> FloatArray:
    return np.clip(np.nan_to_num(value / unit, nan=0.0), -CLIP, CLIP)


def _logistic(z: FloatArray) -> FloatArray:
    return 1.0 / (1.0 + np.exp(-np.clip(z, -35.0, 35.0)))
