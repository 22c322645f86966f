"""Forecast series over a test period and score them: what the backtests of published rates share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.scores import UNIT, Row, baseline_scores, brier, crps, f1, score
from gridmargin.marginal import adaptive, forecast, forecast_features, regimes, volatility
from gridmargin.vocab import InputError, Interval

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

N_REFITS = 2
"""Refits within the test, evenly spread, each on all that had come when its first forecast was issued."""

FEWEST_SCORED = 100
"""A regime with fewer intervals has no row of its own."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to forecast.

    Attributes
    ----------
    horizon_s : int
        From issue to the start of the interval. [s]
    timezone : str
        IANA name of the clock that people and their load follow.
    test : Interval
        What is scored.
    train_before : datetime or None
        Rows from here on are not learned from, though they are before the test.
    estimator, reference : str
        As they stand in the rows.
    """

    horizon_s: int
    timezone: str
    test: Interval
    train_before: datetime | None
    estimator: str
    reference: str


def tested(ask: Ask, start_epoch_s: IntArray, step_s: int) -> Interval:
    """Give the stretch to be scored: a UTC year, the one named, or the last third.

    Raises
    ------
    InputError
        If a year and a stretch are both named, or no interval lies in it.
    """
    first, last = (datetime.fromtimestamp(int(start_epoch_s[k]), UTC) for k in (0, -1))
    if ask.test_year is not None:
        if ask.test_from is not None or ask.test_to is not None:
            raise InputError("name a test year or a test stretch, not both")
        test = Interval(
            datetime(ask.test_year, 1, 1, tzinfo=UTC), datetime(ask.test_year + 1, 1, 1, tzinfo=UTC)
        )
    else:
        third = datetime.fromtimestamp(int(start_epoch_s[len(start_epoch_s) * 2 // 3]), UTC)
        test = Interval(ask.test_from or third, ask.test_to or last + timedelta(seconds=step_s))
    if test.end_utc <= first or test.start_utc > last:
        raise InputError(f"no interval lies in {test}; the data are of {first:%Y-%m-%d} to {last:%Y-%m-%d}")
    return test


def train_before(ask: Ask) -> datetime | None:
    """Give the end of the newest year that fits may see, where one is named."""
    return None if ask.train_year is None else datetime(ask.train_year + 1, 1, 1, tzinfo=UTC)


def rows(
    series: Mapping[str, forecast_features.RateSeries],
    plan: Plan,
    current: Mapping[str, FloatArray] | None = None,
    only: str | None = None,
) -> list[Row]:
    """Fit once on all series, forecast each over the test, and score.

    Parameters
    ----------
    series : mapping of str to RateSeries
        By region, on one grid.
    current : mapping of str to array, shape (n,), optional
        What is known of the target's own interval by the time of the estimate: a nowcast.
    only : str, optional
        Score this region alone; the others still teach.
    """
    first = next(iter(series.values()))
    starts, step = first.starts(), first.step_s
    lag = forecast_features.lag_steps(plan.horizon_s, step)
    begin, end = (
        int(np.searchsorted(starts, moment.timestamp()))
        for moment in (plan.test.start_utc, plan.test.end_utc)
    )
    learned_end = begin - lag + 1
    if plan.train_before is not None:
        learned_end = min(learned_end, int(np.searchsorted(starts, plan.train_before.timestamp())))
    if learned_end <= 0 or begin >= end:
        raise InputError(
            f"nothing precedes {plan.test} by the horizon: test a later stretch or give more data"
        )
    tables = {name: _table(each, plan, current) for name, each in series.items()}
    names = next(iter(tables.values()))[1]
    lessons = [
        forecast.Lesson(tables[n][0][:learned_end], series[n].rate_gco2_per_kwh[:learned_end]) for n in series
    ]
    forecaster, held_out = forecast.fit(lessons, names)
    parts = {name: [held] for name, held in zip(series, held_out, strict=True)}
    n_parts = 1 if plan.train_before is not None else N_REFITS + 1
    cuts = [begin + (end - begin) * part // n_parts for part in range(n_parts + 1)]
    for number, (a, b) in enumerate(pairwise(cuts)):
        if number:
            known = a - lag + 1
            forecaster = forecast.refit(
                forecaster,
                [forecast.Lesson(tables[n][0][:known], series[n].rate_gco2_per_kwh[:known]) for n in series],
            )
        for name in series:
            parts[name].append(forecaster.forecast(tables[name][0][a:b]))
    out: list[Row] = []
    for name in series:
        if only in (None, name):
            joined = forecast.Forecast(
                *(
                    np.concatenate([getattr(part, key) for part in parts[name]])
                    for key in ("mid", "quantiles", "zero_probability")
                )
            )
            where = np.concatenate(
                [np.arange(learned_end - len(held_out[0].mid), learned_end), np.arange(begin, end)]
            )
            out += _scored(name, series[name], plan, joined, where, begin, learned_end, forecaster)
    return out


def _table(
    series: forecast_features.RateSeries, plan: Plan, current: Mapping[str, FloatArray] | None
) -> tuple[FloatArray, tuple[str, ...]]:
    table, names = forecast_features.design(series, plan.horizon_s, plan.timezone)
    if not current:
        return table, names
    more = np.stack(list(current.values()), axis=1).astype(np.float32)
    return np.column_stack([table, more]), (*names, *(f"now {name}" for name in current))


def _scored(
    region: str,
    series: forecast_features.RateSeries,
    plan: Plan,
    made: forecast.Forecast,
    where: IntArray,
    begin: int,
    learned_end: int,
    forecaster: forecast.Forecaster,
) -> list[Row]:
    step = series.step_s
    lag = forecast_features.lag_steps(plan.horizon_s, step)
    rate = series.rate_gco2_per_kwh
    movement = volatility.recent_movement(rate, lag, step)
    regime = volatility.regimes(movement, volatility.thresholds(movement[:learned_end]))
    floor = forecaster.floor_gco2_per_kwh
    low, high = _ranges(rate, made, where, regime, lag, floor)
    is_test = where >= begin
    at = where[is_test]
    reference = rate[at]
    quantiles = made.quantiles[is_test].copy()
    low, high, mid = low[is_test], high[is_test], made.mid[is_test]
    quantiles[:, 0], quantiles[:, -1] = low, high
    quantiles = np.clip(quantiles, low[:, None], high[:, None])
    guesses = _baselines(series, plan, at, lag, learned_end)
    # Rows are scored where everything that is compared is known: the same hours for all.
    there = np.isfinite(reference) & np.isfinite(np.stack([*guesses.values(), mid], axis=1)).all(axis=1)
    if not there.any():
        raise InputError(f"{region}: no interval of {plan.test} has a rate and every baseline")
    labels: Row = {"region": region, "estimator": plan.estimator, "period": str(plan.test), "unit": UNIT}
    out: list[Row] = []
    for name in ("", volatility.VOLATILE, volatility.STABLE, volatility.PROCURED):
        keep = there if not name else there & (regime[at] == name)
        if name and keep.sum() < FEWEST_SCORED:
            continue
        figures = score(mid[keep], reference[keep], low[keep], high[keep])
        figures["crps"] = crps(forecast.LEVELS, quantiles[keep], reference[keep])
        row = {**labels, "reference": plan.reference + (f", {name}" if name else ""), **figures}
        if name:
            mean = float(reference[keep].mean())
            row["regime"] = name
            row["expected_half_width_frac"] = list(volatility.EXPECTED_HALF_WIDTH_FRAC[name])
            if mean > 0:
                row["half_width_frac"] = figures["width90"] / 2 / mean
        else:
            row["weights"] = forecaster.weights
            row["persistence_unpublished_mae"] = _unpublished_mae(rate, at[keep], lag)
        row["baselines"] = baseline_scores({k: v[keep] for k, v in guesses.items()}, reference[keep])
        out.append(row)
    said = forecast.says_zero(made.zero_probability, forecast_features.DAY_S // step)[is_test]
    zero = _zero_row(
        series, plan, at[there], made.zero_probability[is_test][there], said[there], lag, learned_end
    )
    if zero:
        out.append({**labels, **zero, "unit": "1"})
    return out


def _ranges(
    rate: FloatArray,
    made: forecast.Forecast,
    where: IntArray,
    regime: NDArray[np.str_],
    lag: int,
    floor: float,
) -> tuple[FloatArray, FloatArray]:
    """Adapt on the whole stretch from the first held-out forecast, with gaps as gaps, above the floor."""
    first, n = int(where[0]), int(where[-1] - where[0]) + 1
    low, mid, high = (np.full(n, np.nan) for _ in range(3))
    slot = where - first
    low[slot], mid[slot], high[slot] = (
        made.quantiles[:, k] - floor for k in (0, len(forecast.LEVELS) // 2, -1)
    )
    reference = rate[first : first + n] - floor
    adapted = adaptive.adapt(reference, low, mid, high, regime[first : first + n], lag)
    return adapted[0][slot] + floor, adapted[1][slot] + floor


def _baselines(
    series: forecast_features.RateSeries, plan: Plan, at: IntArray, lag: int, learned_end: int
) -> dict[str, FloatArray]:
    rate, starts = series.rate_gco2_per_kwh, series.starts()
    hour = regimes.local_day_and_second(starts, plan.timezone)[1] // 3600
    month = regimes.local_months(starts, plan.timezone)
    past = rate[:learned_end]
    known = np.isfinite(past)
    constant = float(past[known].mean())
    by_hour = _means(hour[:learned_end][known], past[known], 24, np.full(24, constant))
    cell = (month - 1) * 24 + hour
    by_cell = _means(cell[:learned_end][known], past[known], 288, np.tile(by_hour, 12))
    return {
        "persistence": _last_known(rate, lag)[at],
        "day_before": _filled(
            forecast_features.same_time_before(rate, lag, forecast_features.DAY_S // series.step_s),
            _last_known(rate, lag),
        )[at],
        "hour_of_day": by_hour[hour[at]],
        "month_by_hour": by_cell[cell[at]],
    }


def _unpublished_mae(rate: FloatArray, at: IntArray, lag: int) -> float:
    """Score the rate one horizon before, whose interval had not ended at issue: no baseline, but often quoted as one."""
    return float(np.nanmean(np.abs(_last_known(rate, max(lag - 1, 1))[at] - rate[at])))


def _last_known(rate: FloatArray, lag: int) -> FloatArray:
    known = np.where(np.isfinite(rate), np.arange(len(rate)), -1)
    newest = np.maximum.accumulate(known)
    held = np.where(newest >= 0, rate[np.maximum(newest, 0)], np.nan)
    return forecast_features.shifted(held, lag)


def _filled(values: FloatArray, otherwise: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, otherwise)


def _means(cell: IntArray, value: FloatArray, n_cells: int, otherwise: FloatArray) -> FloatArray:
    count = np.bincount(cell, minlength=n_cells)
    total = np.bincount(cell, weights=value, minlength=n_cells)
    return np.where(count > 0, total / np.maximum(count, 1), otherwise)


def _zero_row(
    series: forecast_features.RateSeries,
    plan: Plan,
    at: IntArray,
    probability: FloatArray,
    said_zero: NDArray[np.bool_],
    lag: int,
    learned_end: int,
) -> Row | None:
    """Score "the margin is zero" beside its own persistence and climatology; None where zeros are too few."""
    rate, starts = series.rate_gco2_per_kwh, series.starts()
    past = rate[:learned_end]
    happened = rate[at] == 0.0
    if min(int((past == 0.0).sum()), int(happened.sum())) < forecast.FEWEST_ZEROS:
        return None
    last = (_last_known(rate, lag)[at] == 0.0).astype(np.float64)
    cell = (regimes.local_months(starts, plan.timezone) - 1) * 24 + regimes.local_day_and_second(
        starts, plan.timezone
    )[1] // 3600
    known = np.isfinite(past)
    was_zero = (past[known] == 0.0).astype(np.float64)
    share = _means(cell[:learned_end][known], was_zero, 288, np.full(288, was_zero.mean()))
    usual = forecast.best_threshold(share[cell[:learned_end][known]], was_zero > 0)
    said = {
        "": (probability, said_zero),
        "persistence": (last, last > 0.5),
        "climatology": (share[cell[at]], share[cell[at]] >= usual),
    }
    figures = {
        name: {"f1": f1(says, happened), "brier": brier(p, happened)} for name, (p, says) in said.items()
    }
    kept = {name: {k: v for k, v in row.items() if v is not None} for name, row in figures.items()}
    return {
        "reference": "published-zero",
        "n": len(at),
        "n_zero": int(happened.sum()),
        **kept.pop(""),
        "baselines": kept,
    }
