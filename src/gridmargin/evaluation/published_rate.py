"""Backtest `published-rate`: forecasts of any `rate.csv`, with the states beside it where there are any."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.rate_forecast import Plan, rows, tested, train_before
from gridmargin.evaluation.scores import report
from gridmargin.marginal import forecast_features
from gridmargin.sources import rate_tables, read_rate_table
from gridmargin.vocab import UnknownNameError

HORIZON_MIN = 60
TIMEZONE = "UTC"
"""The table says nothing of local time, so hours of the day are UTC's."""


def run(ask: Ask) -> dict[str, Any]:
    """Score forecasts of each rate table under the folder, by default an hour ahead.

    Raises
    ------
    InputError
        If there is no table, a row cannot be read, nothing precedes the test, or the horizon is no multiple of the
        table's step.
    """
    started = time.perf_counter()
    ask.refuse("published-rate", "needs no AVERT tables", "avert")
    tables = rate_tables(ask.data)
    if ask.region is not None and ask.region not in tables:
        raise UnknownNameError("region of the published-rate backtest", ask.region, tables)
    horizon_min = HORIZON_MIN if ask.horizon_min is None else ask.horizon_min
    scored = []
    for name, path in tables.items():
        if ask.region in (None, name):
            table = read_rate_table(path)
            series = forecast_features.RateSeries(
                table.start_epoch_s, table.step_s, table.rate_gco2_per_kwh, table.states
            )
            plan = Plan(
                horizon_min * 60,
                TIMEZONE,
                tested(ask, series.starts(), series.step_s),
                train_before(ask),
                "forecast",
                f"published-rate-{horizon_min}min",
            )
            scored += rows({name: series}, plan)
    return report(
        "published-rate", {"gridmargin": version("gridmargin")}, time.perf_counter() - started, scored
    )
