"""A year of one zone at 5 minutes through every statistical estimator and the forecast, against one pass of pandas.

    python benchmarks/bench_statistics.py

Measured, on invented states of 105,120 intervals: fit and estimate of regression, fleet_curve and average; the
forecast's rows, its fit on the first two thirds and its forecasts an hour ahead for the last; adaptive ranges and
regimes over all. Imports and the first compilation are left out. The limit is in seconds, because the goal is: 60 s on
two cores for all of it together.

Yardstick: pandas rolling mean and spread of the same series over six windows, the least that a forecast needs.
"""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter

import numpy as np
import pandas as pd  # type: ignore[import-untyped,unused-ignore]
import polars as pl
from yardstick import Report, peak_rss_mb

from gridmargin.grid import FleetResponse, GridStates
from gridmargin.marginal import ESTIMATORS, Facts, FuelRate
from gridmargin.marginal.adaptive import adapt
from gridmargin.marginal.forecast import LEVELS, Lesson, fit
from gridmargin.marginal.forecast_features import RateSeries, design, lag_steps
from gridmargin.marginal.volatility import recent_movement, regimes, thresholds
from gridmargin.vocab import Fuel, generation_column

STEP_S, HOUR_S = 300, 3600
N = 365 * 288
START = datetime(2021, 1, 1, tzinfo=UTC)
SECONDS = 60.0


def invented_year() -> tuple[GridStates, np.ndarray]:
    rng = np.random.default_rng(0)
    hour = np.arange(N) / 12
    slow = np.cumsum(rng.normal(0, 1, N))
    load = 25_000 + 6_000 * np.sin((hour - 9) / 24 * 2 * np.pi) + 20 * (slow - slow.mean())
    load = np.clip(load + rng.normal(0, 200, N), 8_000, 45_000)
    sun = np.maximum(0, 9_000 * np.sin((hour % 24 - 6) / 12 * np.pi))
    frame = pl.DataFrame(
        {
            "start_utc": pl.Series((int(START.timestamp()) + np.arange(N) * STEP_S) * 10**6).cast(
                pl.Datetime("us", "UTC")
            ),
            "status": pl.Series(["reported"] * N),
            "completeness_frac": np.ones(N),
            generation_column(Fuel.COAL): 0.25 * load,
            generation_column(Fuel.GAS): 0.75 * load,
            generation_column(Fuel.SOLAR): sun,
        }
    )
    rate = np.where(sun > 8_500, 0.0, np.maximum(400 + (load - 25_000) / 100 + rng.normal(0, 60, N), 0.0))
    return GridStates("US-ERCO", STEP_S, frame), rate


def facts() -> Facts:
    load = np.linspace(5_000.0, 50_000.0, 40)
    fleet = FleetResponse(
        "Texas", 2020, load, 1e6 * 0.25 * load + 4e5 * 0.75 * load, 1e6 * 0.25 * load + 4e5 * 0.75 * load,
        {Fuel.COAL: 0.25 * load, Fuel.GAS: 0.75 * load}, ("0" * 64,),
    )  # fmt: skip
    rates = {Fuel.COAL: FuelRate(1000.0, "invented", 0.05), Fuel.GAS: FuelRate(400.0, "invented", 0.05)}
    none = {Fuel.SOLAR: FuelRate(0.0, "invented", 0.0)}
    return Facts("America/Chicago", rates, fleet, {**rates, **none})


def main() -> int:
    report = Report("numpy", "polars", "scikit-learn", "numba")
    states, rate = invented_year()
    known = facts()
    few = np.ones(8)
    adapt(few, few, few, few, np.zeros(8, dtype=np.int64), 1)  # compiles
    import sklearn.ensemble  # noqa: F401  (imports are not what is measured)

    total = 0.0
    for name in ("regression", "fleet_curve", "average"):
        estimator = ESTIMATORS.get(name)()
        start = perf_counter()
        estimates = estimator.estimate(states, estimator.fit(states, known))
        took = perf_counter() - start
        total += took
        assert len(estimates) == N
        report.check(f"{name}, fit and estimates", took, "s")
    start = perf_counter()
    series = RateSeries(int(START.timestamp()), STEP_S, rate)
    rows, names = design(series, HOUR_S, known.timezone)
    cut = N * 2 // 3
    forecaster, _ = fit([Lesson(rows[:cut], rate[:cut])], names)
    made = forecaster.forecast(rows)
    took = perf_counter() - start
    total += took
    report.check("forecast, fit on two thirds and all forecasts", took, "s")
    start = perf_counter()
    lag = lag_steps(HOUR_S, STEP_S)
    movement = recent_movement(rate, lag, STEP_S)
    regime = regimes(movement, thresholds(movement[:cut]))
    low, high = adapt(rate, made.quantiles[:, 0], made.mid, made.quantiles[:, len(LEVELS) - 1], regime, lag)
    ranges = perf_counter() - start
    total += ranges
    covered = float(((low <= rate) & (rate <= high))[cut:].mean())
    report.check("coverage of the 90 % range in the last third", covered, "", at_least=0.88)
    start = perf_counter()
    column = pd.Series(rate)
    for width in (12, 36, 72, 288, 864, 2016):
        column.rolling(width).mean()
        column.rolling(width).std()
    report.ratio("adaptive ranges / pandas rolling", ranges, perf_counter() - start, "s", at_most=20.0)
    report.check("a year at 5 minutes, all together", total, "s", at_most=SECONDS)
    report.check("peak memory", peak_rss_mb(), "MB", at_most=1500.0)
    return report.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
