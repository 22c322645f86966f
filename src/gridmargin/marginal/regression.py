"""regression: which fuels moved when generation moved, by regime, and what they emit.

The marginal factor is Σ share × rate. A fuel's share is the slope of its change on the change of all fuels of the
denominator, so shares sum to 1; its rate is that of the plants that respond (see reference/fuel_rates.csv).
docs/methods/regression.md weighs the choices.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates
from gridmargin.marginal.conformal import apply, widening
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.estimator import Facts, Fit
from gridmargin.marginal.regimes import (
    BLOCKS,
    SEASONS,
    hat_weights,
    labels,
    level_knots_mw,
    season_and_block,
)
from gridmargin.marginal.regression_range import calibrate_range
from gridmargin.marginal.slopes import cell_sums, clipped_shares, cluster_variance, shrunk_slopes
from gridmargin.vocab import FOSSIL, Basis, Fuel, InputError, Kind, NoFactorError, Status, View

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DENOMINATORS = ("thermal", "residual", "total")
"""What ΔG is made of: `thermal` the fossil fuels, which follow the load; `residual` all but wind and sun;
`total` everything with a rate. The choice moves the factor by a third: it is part of the fit."""

DAY_S = 86_400
MIN_HOURS = 96
"""Four typical days: fewer cannot tell a level of load from an hour of the day."""

DAY_DIFFERENCE_FROM_DAYS = 28
"""From four weeks on, differences are taken against the same time of the day before."""

HALF_LIFE_DAYS = 365.0
"""A difference this old counts half: last year's season still has a say, the year before less."""

PRIOR_DAYS = 10.0
"""κ: how many days of observations the coarser regime's slope is worth in a finer one."""

N_FOLDS = 6
"""Contiguous parts of the history, each left out once to find the residuals that the range rests on."""

_REPORTED_FRAC = 0.5  # a fuel whose column is filled in half of the history is one that the zone reports
_N_CELLS = len(SEASONS) * len(BLOCKS)


@dataclass(frozen=True, slots=True)
class _Differences:
    """Usable changes between two states `lag_s` apart."""

    end: IntArray  # row of the later state
    change_mw: FloatArray  # (n, k)
    total_mw: FloatArray  # (n,) Σ over fuels
    level_mw: FloatArray  # (n,) mean of both ends
    weight: FloatArray  # (n,)


class Regression:
    """ΔE on ΔG by regime, recency-weighted; needs generation by fuel and a rate for each.

    Parameters
    ----------
    denominator : str
        One of `DENOMINATORS`.
    half_life_days : float
        Age at which a difference counts half. [d]
    """

    name = "regression"
    version = "1"
    kind = Kind.MARGINAL

    def __init__(self, denominator: str = "thermal", half_life_days: float = HALF_LIFE_DAYS) -> None:
        if denominator not in DENOMINATORS:
            raise InputError(f"denominator {denominator!r} is not one of {', '.join(DENOMINATORS)}")
        if not half_life_days > 0:
            raise InputError(f"half-life {half_life_days} days is not positive")
        self.denominator = denominator
        self.half_life_days = half_life_days

    def can_fit(self, history: GridStates, facts: Facts) -> str | None:
        """Say what is missing for a fit, or None when nothing is."""
        where = f"{self.name} of {history.zone}"
        fuels = reported_fuels(history, facts, self.denominator)
        if not fuels:
            return f"{where} needs {self.denominator} generation by fuel in its states, and none is reported"
        unrated = [fuel.value for fuel in fuels if fuel not in facts.fuel_rates]
        if unrated:
            return f"{where} needs an emission rate for {', '.join(unrated)}"
        generation = generation_matrix_mw(history, fuels)
        known = np.isfinite(generation).all(axis=1)
        hours = known.sum() * history.interval_s / 3600
        if hours < MIN_HOURS:
            return f"{where} needs {MIN_HOURS} h of complete states and has {hours:g}"
        differences = self._differences(history, generation)
        if not (differences.total_mw**2).sum() > 0:
            return f"{where} needs generation that changes, and its {self.denominator} generation is constant"
        return None

    def fit(self, history: GridStates, facts: Facts) -> Fit:
        """Learn the shares of each regime, their standard errors and the range.

        Raises
        ------
        NoFactorError
            If `can_fit` names something missing.
        """
        missing = self.can_fit(history, facts)
        if missing:
            raise NoFactorError(missing)
        fuels = reported_fuels(history, facts, self.denominator)
        rates = np.array([facts.fuel_rates[fuel].factor_gco2_per_kwh for fuel in fuels])
        generation = generation_matrix_mw(history, fuels)
        difference_s = difference_length_s(history)
        differences = self._differences(history, generation)
        season, block = season_and_block(history.start_epoch_s(), facts.timezone)
        cell = season * len(BLOCKS) + block
        knots = np.array(level_knots_mw(differences.level_mw, differences.weight))
        hat = hat_weights(differences.level_mw, knots)
        shares, sxx, n_clipped = _shares(differences, cell, hat, history.interval_s)
        level_mw = generation.sum(axis=1)
        hats = hat_weights(np.where(np.isfinite(level_mw), level_mw, knots[0]), knots)
        held_out = _held_out(differences, cell, hat, hats, len(history), history.interval_s)
        held_out[~np.isfinite(level_mw)] = np.nan
        table, calibrated_against = calibrate_range(
            history, facts, [facts.fuel_rates[fuel] for fuel in fuels],
            generation[:, [fuel in FOSSIL for fuel in fuels]].sum(axis=1), held_out, hats.argmax(axis=1),
            differences.end, differences.change_mw,
        )  # fmt: skip
        error = _standard_errors(history, differences, cell, hat, shares, sxx, rates)
        starts = history.frame["start_utc"]
        parameters: dict[str, Any] = {
            "denominator": self.denominator,
            "fuels": [fuel.value for fuel in fuels],
            "rate_gco2_per_kwh": rates.tolist(),
            "rate_source": [facts.fuel_rates[fuel].source for fuel in fuels],
            "timezone": facts.timezone,
            "difference_s": difference_s,
            "half_life_days": self.half_life_days,
            "prior_days": PRIOR_DAYS,
            "n_differences": len(differences.end),
            "level_knots_mw": knots.tolist(),
            "shares": shares.reshape(len(SEASONS), len(BLOCKS), len(knots), len(fuels)).tolist(),
            "standard_error_gco2_per_kwh": error,
            "n_clipped": n_clipped,
            "range": table,
            "calibrated_against": calibrated_against,
        }
        return Fit(
            estimator=self.name,
            estimator_version=self.version,
            zone=history.zone,
            train_start_utc=starts[0],
            train_end_utc=starts[-1] + timedelta(seconds=history.interval_s),
            n_train=int(np.isfinite(generation).all(axis=1).sum()),
            parameters=parameters,
            payload_sha256s=facts.fleet.payload_sha256s if facts.fleet is not None else (),
        )

    def estimate(self, states: GridStates, fit: Fit) -> Estimates:
        """Price the shares of each state's regime; a state that lacks a fuel of the fit is left out."""
        p = fit.parameters
        fuels = [Fuel(name) for name in p["fuels"]]
        level = generation_matrix_mw(states, fuels).sum(axis=1)
        known = np.flatnonzero(np.isfinite(level))
        start_s, level = states.start_epoch_s()[known], level[known]
        season, block = season_and_block(start_s, p["timezone"])
        knots, rates = np.array(p["level_knots_mw"]), np.array(p["rate_gco2_per_kwh"])
        hat = hat_weights(level, knots)
        shares = np.array(p["shares"])[season, block]
        probability = np.einsum("nm,nmk->nk", hat, shares)
        probability /= probability.sum(axis=1, keepdims=True)
        mid = probability @ rates
        regime = labels(hat.argmax(axis=1).astype(np.int64), season, block)
        status = states.frame["status"].gather(known).to_numpy().astype(np.str_)
        low, high = apply(mid, regime, p["range"], widening(status))
        hindcast = bool(len(start_s)) and start_s[0] < fit.train_end_utc.timestamp()
        forecast = bool(len(status)) and bool((status == Status.FORECAST.value).all())
        view = View.HINDCAST if hindcast else View.FORECAST if forecast else View.OBSERVED
        return Estimates(
            zone=states.zone,
            interval_s=states.interval_s,
            start_epoch_s=start_s,
            low=low,
            mid=mid,
            high=high,
            source_names=tuple(p["fuels"]),
            source_probability=probability,
            source_factor=np.broadcast_to(rates, probability.shape),
            regime=regime,
            status=status,
            basis=Basis(Kind.MARGINAL, view=view),
            estimator=self.name,
            estimator_version=self.version,
            fit_id=fit.fit_id,
        )

    def _differences(self, history: GridStates, generation: FloatArray) -> _Differences:
        start_s = history.start_epoch_s()
        lag_s = difference_length_s(history)
        before = np.searchsorted(start_s, start_s - lag_s)
        # A difference across a gap is no difference: the earlier state must stand exactly `lag_s` before.
        there = start_s[np.minimum(before, len(start_s) - 1)] == start_s - lag_s
        total = generation.sum(axis=1)
        usable = there & np.isfinite(total) & np.isfinite(total[before])
        end = np.flatnonzero(usable)
        begin = before[end]
        age_days = (start_s[-1] - start_s[end]) / DAY_S if len(end) else np.empty(0)
        change = generation[end] - generation[begin]
        return _Differences(
            end=end,
            change_mw=change,
            total_mw=change.sum(axis=1),
            level_mw=(total[end] + total[begin]) / 2,
            weight=0.5 ** (age_days / self.half_life_days),
        )


def reported_fuels(history: GridStates, facts: Facts, denominator: str) -> list[Fuel]:
    """Fuels of the denominator that the zone usually reports, in the order of the columns.

    Stores, imports and the like, which have no rate of their own, are not in any denominator.
    """
    chosen = []
    for fuel in history.fuels:
        if denominator == "thermal" and fuel not in FOSSIL:
            continue
        if denominator == "residual" and fuel in (Fuel.WIND, Fuel.SOLAR):
            continue
        if fuel not in FOSSIL and fuel not in facts.fuel_rates:
            continue
        if np.isfinite(history.generation_mw(fuel)).mean() >= _REPORTED_FRAC:
            chosen.append(fuel)
    return chosen


def generation_matrix_mw(states: GridStates, fuels: list[Fuel]) -> FloatArray:
    """Give generation by fuel, NaN where not known; shape (n, k). [MW]"""
    return np.column_stack([states.generation_mw(fuel) for fuel in fuels])


def difference_length_s(history: GridStates) -> int:
    """Give how far apart the two ends of a difference are. [s]

    One day where the history is long enough and observed: the same hour of two days differs by weather, demand and
    outages, with the units committed for it, while the change from hour to hour is mostly the daily ramp, which
    fast plants take. One interval otherwise: typical days repeat, so their daily difference says nothing.
    """
    span_s = int(np.ptp(history.start_epoch_s())) if len(history) else 0
    observed = history.frame["status"].is_in([Status.REPORTED, Status.ADJUSTED]).to_numpy()
    long_enough = span_s >= DAY_DIFFERENCE_FROM_DAYS * DAY_S
    daily = long_enough and observed.mean() > 0.5 and DAY_S % history.interval_s == 0
    return DAY_S if daily else history.interval_s


def _shares(
    differences: _Differences, cell: IntArray, hat: FloatArray, interval_s: int
) -> tuple[FloatArray, FloatArray, int]:
    """Give the shares of each cell and knot, shape (cells, m, k), and the Σ w ΔG² they rest on, shape (cells, m)."""
    weighted = differences.weight * differences.total_mw
    sxx = cell_sums(cell[differences.end], _N_CELLS, hat, weighted * differences.total_mw)
    columns = (weighted * differences.change_mw[:, k] for k in range(differences.change_mw.shape[1]))
    sxy = np.stack([cell_sums(cell[differences.end], _N_CELLS, hat, c) for c in columns], axis=-1)
    return _shares_of_sums(sxx, sxy, _prior_sxx(sxx, differences.weight, interval_s))


def _prior_sxx(sxx: FloatArray, weight: FloatArray, interval_s: int) -> float:
    return float(PRIOR_DAYS * DAY_S / interval_s * sxx.sum() / weight.sum())


def _shares_of_sums(sxx: FloatArray, sxy: FloatArray, prior_sxx: float) -> tuple[FloatArray, FloatArray, int]:
    n_knots, n_fuels = sxy.shape[1:]
    by_season = sxx.reshape(len(SEASONS), len(BLOCKS), n_knots)
    by_season_y = sxy.reshape(len(SEASONS), len(BLOCKS), n_knots, n_fuels)
    everything = sxy.sum(axis=(0, 1)) / sxx.sum()
    by_level = shrunk_slopes(sxx.sum(axis=0), sxy.sum(axis=0), everything, prior_sxx)
    by_level_season = shrunk_slopes(by_season.sum(axis=1), by_season_y.sum(axis=1), by_level, prior_sxx)
    finest = shrunk_slopes(by_season, by_season_y, by_level_season[:, None], prior_sxx)
    shares, n_clipped = clipped_shares(finest.reshape(_N_CELLS, n_knots, n_fuels))
    return shares, sxx + prior_sxx, n_clipped


def _held_out(
    differences: _Differences, cell: IntArray, hat: FloatArray, hats: FloatArray, n: int, interval_s: int
) -> FloatArray:
    """Give the shares of each of the n states, learned without the fold that it lies in; shape (n, k).

    Parameters
    ----------
    hat, hats : arrays, shape (d, m) and (n, m)
        Knot weights of the differences and of the states.
    """
    fold = np.arange(n) * N_FOLDS // n
    out = np.empty((n, differences.change_mw.shape[1]))
    for number in range(N_FOLDS):
        keep = fold[differences.end] != number
        rest = _Differences(
            differences.end[keep],
            differences.change_mw[keep],
            differences.total_mw[keep],
            differences.level_mw[keep],
            differences.weight[keep],
        )
        if (
            not (rest.total_mw**2).sum() > 0
        ):  # all that moved lies in this fold: there is nothing else to learn from
            rest, keep = differences, np.ones_like(keep)
        shares, _, _ = _shares(rest, cell, hat[keep], interval_s)
        mine = fold == number
        out[mine] = np.einsum("nm,nmk->nk", hats[mine], shares[cell[mine]])
    return out


def _standard_errors(
    history: GridStates,
    differences: _Differences,
    cell: IntArray,
    hat: FloatArray,
    shares: FloatArray,
    sxx: FloatArray,
    rates: FloatArray,
) -> list[Any]:
    """Give the standard error of the factor by season, block and level; null where one stretch of days is all."""
    here = cell[differences.end]
    factor = np.einsum("nm,nmk,k->n", hat, shares[here], rates)
    residual = differences.change_mw @ rates - factor * differences.total_mw
    start_s = history.start_epoch_s()
    weeks_or_days = 7 * DAY_S if np.ptp(start_s) >= 56 * DAY_S else DAY_S
    cluster = (start_s[differences.end] - start_s[0]) // weeks_or_days
    variance = cluster_variance(
        here, _N_CELLS, cluster, hat, differences.weight * differences.total_mw * residual, sxx
    )
    nested = np.sqrt(variance).reshape(len(SEASONS), len(BLOCKS), -1)
    return [[[x if np.isfinite(x) else None for x in row] for row in rows] for rows in nested.tolist()]
