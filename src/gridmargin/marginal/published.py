"""published: the operator's own word on the margin, a rate or the fuels that it flags, priced by fuel rates.

A published rate is taken as it stands. Flags become a distribution over fuels, and the factor is Σ probability × rate.
docs/methods/published.md weighs the choices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates
from gridmargin.marginal.conformal import apply, calibrate, widening
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.estimator import Facts, Fit, FuelRate, Need
from gridmargin.vocab import (
    PUBLISHED_MARGIN_COLUMNS,
    Basis,
    Fuel,
    InputError,
    Kind,
    NoFactorError,
    Status,
    View,
    published_margin_column,
)

FloatArray = NDArray[np.float64]
LabelArray = NDArray[np.str_]

SPLITS = ("moved", "equal")
"""How several fuels flagged for the same time share the answer: `moved` by how far each usually moves while it is
flagged, `equal` in equal parts."""

RATE = "published_rate"
"""Name of the source where the operator states a rate and no fuel."""

RATE_COLUMN = "published_marginal_rate_gco2_per_kwh"

DEFAULT_SPREAD90_FRAC = 0.15
"""Where a fuel's rate has no range of its own; as for the average, the 90 % spread between AVERT regions."""

POOL_BELOW_N = 10
"""A set of flags seen less often has no record of its own: its range spans all that the operator ever flagged, since
pooling a rare flag with a common one would lend it the certainty of that. From here to 18 the rank is the widest seen."""

MIN_MOVES = 10
"""Fewer moves of a fuel while flagged do not say how far it usually goes; all its moves do then."""

_WHOLE = 1.0 + 1e-6  # shares that add up to no more are a distribution already


class Published:
    """The operator's marginal rate where there is one, else its marginal fuels.

    Parameters
    ----------
    split : str
        One of `SPLITS`.
    """

    name = "published"
    version = "1"
    kind = Kind.MARGINAL
    needs: frozenset[Need] = frozenset({Need.STATED})

    def __init__(self, split: str = "moved") -> None:
        if split not in SPLITS:
            raise InputError(f"split {split!r} is not one of {', '.join(SPLITS)}")
        self.split = split

    def can_fit(self, history: GridStates, facts: Facts) -> str | None:
        """Say what is missing for a fit, or None when nothing is."""
        where = f"{self.name} of {history.zone}"
        fuels, flags = flag_shares(history)
        flagged = np.nansum(flags, axis=1) > 0
        has_rate = np.isfinite(history.values(RATE_COLUMN))
        if not flagged.any() and not has_rate.any():
            return f"{where} needs the operator's marginal fuel or rate in its states, and none is there"
        rated = [fuel in facts.fuel_rates for fuel in fuels]
        usable = has_rate | (flagged & ~(np.nansum(flags[:, np.logical_not(rated)], axis=1) > 0))
        if usable.sum() < 2:
            unrated = [fuel.value for fuel, known in zip(fuels, rated, strict=True) if not known]
            return f"{where} needs two states that can be priced and has {int(usable.sum())}" + (
                f"; no emission rate is known for {', '.join(unrated)}" if unrated else ""
            )
        return None

    def fit(self, history: GridStates, facts: Facts) -> Fit:
        """Note the rates, learn how flagged fuels share the answer, and how long the operator's word holds.

        Raises
        ------
        NoFactorError
            If `can_fit` names something missing.
        """
        missing = self.can_fit(history, facts)
        if missing:
            raise NoFactorError(missing)
        fuels = list(facts.fuel_rates)
        rates = [facts.fuel_rates[fuel] for fuel in fuels]
        parameters: dict[str, Any] = {
            "split": self.split,
            "fuels": [fuel.value for fuel in fuels],
            "rate_gco2_per_kwh": [rate.factor_gco2_per_kwh for rate in rates],
            "rate_spread90_frac": [_spread(rate) for rate in rates],
            "rate_source": [rate.source for rate in rates],
            "moved_mw": _moved_mw(history, fuels) if self.split == "moved" else [1.0] * len(fuels),
        }
        at, probability, factor, regime = _priced(history, parameters)
        mid = (probability * factor).sum(axis=1)
        ever = np.any(probability > 0, axis=0)
        parameters["flagged_low_high_gco2_per_kwh"] = [
            float(factor[:, ever].min()),
            float(factor[:, ever].max()),
        ]
        start_s = history.start_epoch_s()[at]
        step_s = np.diff(start_s)
        # The next word of the operator, however irregularly it speaks: up to three intervals on.
        follows = step_s <= 3 * history.interval_s
        if not follows.any():
            follows = np.ones_like(follows)
        parameters["range"] = calibrate(
            (mid[1:] - mid[:-1])[follows], regime[:-1][follows], pool_below_n=POOL_BELOW_N
        )
        return Fit.on(history, self, len(at), parameters)

    def estimate(self, states: GridStates, fit: Fit) -> Estimates:
        """Price what the operator said; a state without flag or rate, or with a flagged fuel of no rate, is left out.

        Notes
        -----
        The range adds in quadrature how far the next statement strayed from one like this and the error of the rates,
        one fuel's being no other's; a published rate has the first alone.
        """
        p = fit.parameters
        at, probability, factor, regime = _priced(states, p)
        mid = (probability * factor).sum(axis=1)
        status = states.frame["status"].gather(at).to_numpy().astype(np.str_)
        wider = widening(status)
        low, high = apply(mid, regime, p["range"], wider)
        rare = ~np.isin(regime, list(p["range"]["offsets"]))
        least, most = p["flagged_low_high_gco2_per_kwh"]
        low = np.where(rare, np.minimum(low, least), low)
        high = np.where(rare, np.maximum(high, most), high)
        spread = np.append(p["rate_spread90_frac"], 0.0)
        error = np.sqrt(((probability * factor * spread) ** 2).sum(axis=1)) * wider
        start_s = states.start_epoch_s()[at]
        used = np.flatnonzero((probability > 0).any(axis=0))
        names = np.array([*p["fuels"], RATE])[used]
        hindcast = bool(len(start_s)) and start_s[0] < fit.train_end_utc.timestamp()
        forecast = bool(len(status)) and bool((status == Status.FORECAST.value).all())
        view = View.HINDCAST if hindcast else View.FORECAST if forecast else View.OBSERVED
        return Estimates(
            zone=states.zone,
            interval_s=states.interval_s,
            start_epoch_s=start_s,
            low=np.minimum(np.maximum(mid - np.hypot(mid - low, error), 0.0), mid),
            mid=mid,
            high=mid + np.hypot(high - mid, error),
            source_names=tuple(names.tolist()),
            source_probability=probability[:, used],
            source_factor=factor[:, used],
            regime=regime,
            status=status,
            basis=Basis(Kind.MARGINAL, view=view),
            estimator=self.name,
            estimator_version=self.version,
            fit_id=fit.fit_id,
        )


def flag_shares(states: GridStates) -> tuple[list[Fuel], FloatArray]:
    """Give the fuels that the operator has a flag for and the flags, NaN where not stated; shape (n, k). [1]"""
    columns = [column for column in states.frame.columns if column in PUBLISHED_MARGIN_COLUMNS]
    flags = np.empty((len(states), len(columns)))
    for number, column in enumerate(columns):
        flags[:, number] = states.values(column)
    return [PUBLISHED_MARGIN_COLUMNS[column] for column in columns], flags


def _priced(
    states: GridStates, p: dict[str, Any]
) -> tuple[NDArray[np.int64], FloatArray, FloatArray, LabelArray]:
    """Give the usable rows, their distribution over the fit's fuels and the rate, its factors, and the regimes."""
    k = len(p["fuels"])
    fuels, flags = flag_shares(states)
    flags = np.maximum(np.nan_to_num(flags, nan=0.0), 0.0)
    place = {name: number for number, name in enumerate(p["fuels"])}
    share = np.zeros((len(states), k))
    unrated = np.zeros(len(states), dtype=np.bool_)
    for number, fuel in enumerate(fuels):
        if fuel.value in place:
            share[:, place[fuel.value]] = flags[:, number]
        else:
            unrated |= flags[:, number] > 0
    rate = states.values(RATE_COLUMN)
    by_rate = np.isfinite(rate)
    total = share.sum(axis=1)
    at = np.flatnonzero(by_rate | ((total > 0) & ~unrated))
    share, total, rate, by_rate = share[at], total[at], rate[at], by_rate[at]
    several = (total > _WHOLE)[:, None]
    weight = np.where(several, share * np.array(p["moved_mw"]), share)
    probability = np.zeros((len(at), k + 1))
    flagged = ~by_rate
    probability[flagged, :k] = weight[flagged] / weight[flagged].sum(axis=1, keepdims=True)
    probability[by_rate, k] = 1.0
    factor = np.empty((len(at), k + 1))
    factor[:, :k] = p["rate_gco2_per_kwh"]
    factor[:, k] = np.where(by_rate, rate, 0.0)
    names, index = np.unique(np.column_stack([share > 0, by_rate]), axis=0, return_inverse=True)
    labels = [
        "rate" if row[-1] else "flag/" + "+".join(np.array(p["fuels"])[row[:-1]].tolist()) for row in names
    ]
    regime = np.array(labels, dtype=np.str_)[index.reshape(-1)] if labels else np.empty(0, dtype=np.str_)
    return at, probability, factor, regime


def _moved_mw(history: GridStates, fuels: list[Fuel]) -> list[float]:
    """Give how far each fuel usually moved from one state to the next, while it was flagged if that is known. [MW]"""
    next_to = np.diff(history.start_epoch_s()) <= 3 * history.interval_s
    means = np.full(len(fuels), np.nan)
    for number, fuel in enumerate(fuels):
        move = np.abs(np.diff(history.generation_mw(fuel)))
        every = next_to & np.isfinite(move)
        flagged = every & (history.values(published_margin_column(fuel))[1:] > 0)
        chosen = move[flagged if flagged.sum() >= MIN_MOVES else every]
        if len(chosen) >= MIN_MOVES and chosen.mean() > 0:
            means[number] = chosen.mean()
    known = means[np.isfinite(means)]
    stand_in = float(np.median(known)) if len(known) else 1.0
    return [float(mean) if np.isfinite(mean) else stand_in for mean in means]


def _spread(rate: FuelRate) -> float:
    return DEFAULT_SPREAD90_FRAC if rate.spread90_frac is None else rate.spread90_frac
