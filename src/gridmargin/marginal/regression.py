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
from gridmargin.marginal.estimator import Facts, Fit, FuelRate, Need
from gridmargin.marginal.regimes import (
    BLOCKS,
    LEVEL_QUANTILES,
    SEASONS,
    hat_weights,
    labels,
    level_knots_mw,
    local_day_and_second,
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

WINDOW_DAYS = 28
"""Changes are taken against the mean of the same time of day over so many days: whole weeks, so that every weekday
counts alike, and short of a season."""

HALF_LIFE_DAYS = 365.0
"""A change this old counts half: last year's season still has a say, the year before less."""

PRIOR_DAYS = 10.0
"""κ: how many days of observations the coarser regime's slope is worth in a finer one."""

N_FOLDS = 6
"""Contiguous parts of the history, each left out once to find the residuals that the range rests on."""

_REPORTED_FRAC = 0.5  # a fuel whose column is filled in half of the history is one that the zone reports
_N_CELLS = len(SEASONS) * len(BLOCKS)


@dataclass(frozen=True, slots=True)
class _Changes:
    """How far each usable state strays from the mean of its group."""

    row: IntArray  # (n,) which state
    group: IntArray  # (n,) stretch of days it was compared within
    change_mw: FloatArray  # (n, k)
    total_mw: FloatArray  # (n,) Σ over fuels
    level_mw: FloatArray  # (n,) midway between the state and the mean
    weight: FloatArray  # (n,)

    def where(self, keep: NDArray[np.bool_]) -> _Changes:
        """Give the chosen ones."""
        return _Changes(
            self.row[keep],
            self.group[keep],
            self.change_mw[keep],
            self.total_mw[keep],
            self.level_mw[keep],
            self.weight[keep],
        )


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
    needs: frozenset[Need] = frozenset()

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
        changes = self._changes(history, generation, facts.timezone)
        if not (changes.total_mw**2).sum() > 0:
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
        fuel_rates = [facts.fuel_rates[fuel] for fuel in fuels]
        generation = generation_matrix_mw(history, fuels)
        changes = self._changes(history, generation, facts.timezone)
        season, block = season_and_block(history.start_epoch_s(), facts.timezone)
        cell = season * len(BLOCKS) + block
        knots = np.array(level_knots_mw(changes.level_mw, changes.weight))
        hat = hat_weights(changes.level_mw, knots)
        rates = rates_at_knots(fuel_rates, len(knots))
        shares, sxx, n_clipped = _shares(changes, cell, hat, history.interval_s)
        level_mw = generation.sum(axis=1)
        hats = hat_weights(np.where(np.isfinite(level_mw), level_mw, knots[0]), knots)
        held_out = _held_out(changes, cell, hat, hats, len(history), history.interval_s)
        held_out[~np.isfinite(level_mw)] = np.nan
        table, calibrated_against = calibrate_range(
            history, facts, fuel_rates,
            generation[:, [fuel in FOSSIL for fuel in fuels]].sum(axis=1), held_out, hats @ rates,
            hats.argmax(axis=1), changes.row, changes.change_mw,
        )  # fmt: skip
        error = _standard_errors(changes, cell, hat, shares, sxx, rates)
        starts = history.frame["start_utc"]
        parameters: dict[str, Any] = {
            "denominator": self.denominator,
            "fuels": [fuel.value for fuel in fuels],
            "rate_gco2_per_kwh": rates.tolist(),
            "rate_source": [rate.source for rate in fuel_rates],
            "timezone": facts.timezone,
            "window_days": window_length_days(history),
            "half_life_days": self.half_life_days,
            "prior_days": PRIOR_DAYS,
            "n_changes": len(changes.row),
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
        factor = hat @ rates
        mid = (probability * factor).sum(axis=1)
        regime = labels(hat.argmax(axis=1).astype(np.int64), season, block)
        status = states.frame["status"].gather(known).to_numpy().astype(np.str_)
        low, high = apply(mid, regime, p["range"], widening(status))
        hindcast = bool(len(start_s)) and start_s[0] < fit.train_end_utc.timestamp()
        view = View.HINDCAST if hindcast else View.OBSERVED
        return Estimates(
            zone=states.zone,
            interval_s=states.interval_s,
            start_epoch_s=start_s,
            low=low,
            mid=mid,
            high=high,
            source_names=tuple(p["fuels"]),
            source_probability=probability,
            source_factor=factor,
            regime=regime,
            status=status,
            basis=Basis(Kind.MARGINAL, view=view),
            estimator=self.name,
            estimator_version=self.version,
            fit_id=fit.fit_id,
        )

    def _changes(self, history: GridStates, generation: FloatArray, timezone: str) -> _Changes:
        total = generation.sum(axis=1)
        row = np.flatnonzero(np.isfinite(total))
        start_s = history.start_epoch_s()
        day, second = local_day_and_second(start_s[row], timezone)
        window_days = window_length_days(history)
        window = (day - day[0]) // window_days if len(row) else day
        # Within one day the whole day is the group; within four weeks each time of day is one of its own.
        slot = second // history.interval_s if window_days > 1 else np.zeros_like(second)
        _, group = np.unique(window * DAY_S + slot, return_inverse=True)
        change = generation[row] - _group_means(group, generation[row])
        age_days = (start_s[-1] - start_s[row]) / DAY_S if len(row) else np.empty(0)
        return _Changes(
            row=row,
            group=window,
            change_mw=change,
            total_mw=change.sum(axis=1),
            level_mw=total[row] - change.sum(axis=1) / 2,
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
        if np.isfinite(history.generation_mw(fuel)).sum() >= max(_REPORTED_FRAC * len(history), 1):
            chosen.append(fuel)
    return chosen


def generation_matrix_mw(states: GridStates, fuels: list[Fuel]) -> FloatArray:
    """Give generation by fuel, NaN where not known; shape (n, k). [MW]"""
    return np.column_stack([states.generation_mw(fuel) for fuel in fuels])


def window_length_days(history: GridStates) -> int:
    """Give the stretch of days within which states are compared: `WINDOW_DAYS`, or 1. [d]

    The same time of two days differs by weather, demand and outages, with the units committed for it, while the
    change from hour to hour is mostly the daily ramp, which fast plants take. Less than a window of observed states
    leaves nothing to compare across days (typical days repeat): then a day is compared with its own mean.
    """
    if not len(history):
        return 1
    observed = history.frame["status"].is_in([Status.REPORTED, Status.ADJUSTED]).to_numpy()
    long_enough = np.ptp(history.start_epoch_s()) + history.interval_s >= WINDOW_DAYS * DAY_S
    return WINDOW_DAYS if long_enough and observed.mean() > _REPORTED_FRAC else 1


def rates_at_knots(rates: list[FuelRate], n_knots: int) -> FloatArray:
    """Give each fuel's rate at each knot of the load level; shape (m, k). [g kWh⁻¹]

    The knots are the middles of the fifths that a rate by load is given for. Where knots have fallen together, or
    a rate is not known by load, the one rate serves.
    """
    columns = []
    for rate in rates:
        by_load = rate.by_load_gco2_per_kwh
        known = by_load is not None and len(by_load) == n_knots == len(LEVEL_QUANTILES)
        columns.append(by_load if known and by_load else (rate.factor_gco2_per_kwh,) * n_knots)
    return np.array(columns, dtype=np.float64).T


def _group_means(group: IntArray, values: FloatArray) -> FloatArray:
    if not len(group):
        return values
    count = np.bincount(group)
    means = [np.bincount(group, weights=column) / count for column in values.T]
    return np.column_stack(means)[group]


def _shares(
    changes: _Changes, cell: IntArray, hat: FloatArray, interval_s: int
) -> tuple[FloatArray, FloatArray, int]:
    """Give the shares of each cell and knot, shape (cells, m, k), and the Σ w ΔG² they rest on, shape (cells, m)."""
    weighted = changes.weight * changes.total_mw
    sxx = cell_sums(cell[changes.row], _N_CELLS, hat, weighted * changes.total_mw)
    columns = (weighted * changes.change_mw[:, k] for k in range(changes.change_mw.shape[1]))
    sxy = np.stack([cell_sums(cell[changes.row], _N_CELLS, hat, c) for c in columns], axis=-1)
    return _shares_of_sums(sxx, sxy, _prior_sxx(sxx, changes.weight, interval_s))


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
    changes: _Changes, cell: IntArray, hat: FloatArray, hats: FloatArray, n: int, interval_s: int
) -> FloatArray:
    """Give the shares of each of the n states, learned without the fold that it lies in; shape (n, k).

    Parameters
    ----------
    hat, hats : arrays, shape (d, m) and (n, m)
        Knot weights of the changes and of the states.
    """
    fold = np.arange(n) * N_FOLDS // n
    out = np.empty((n, changes.change_mw.shape[1]))
    for number in range(N_FOLDS):
        keep = fold[changes.row] != number
        rest = changes.where(keep)
        if (
            not (rest.total_mw**2).sum() > 0
        ):  # all that moved lies in this fold: there is nothing else to learn from
            rest, keep = changes, np.ones_like(keep)
        shares, _, _ = _shares(rest, cell, hat[keep], interval_s)
        mine = fold == number
        out[mine] = np.einsum("nm,nmk->nk", hats[mine], shares[cell[mine]])
    return out


def _standard_errors(
    changes: _Changes,
    cell: IntArray,
    hat: FloatArray,
    shares: FloatArray,
    sxx: FloatArray,
    rates: FloatArray,
) -> list[Any]:
    """Give the standard error of the factor by season, block and level; null where one stretch of days is all."""
    here = cell[changes.row]
    rate = hat @ rates
    factor = (np.einsum("nm,nmk->nk", hat, shares[here]) * rate).sum(axis=1)
    residual = (changes.change_mw * rate).sum(axis=1) - factor * changes.total_mw
    score = changes.weight * changes.total_mw * residual
    variance = cluster_variance(here, _N_CELLS, changes.group, hat, score, sxx)
    nested = np.sqrt(variance).reshape(len(SEASONS), len(BLOCKS), -1)
    return [[[x if np.isfinite(x) else None for x in row] for row in rows] for rows in nested.tolist()]
