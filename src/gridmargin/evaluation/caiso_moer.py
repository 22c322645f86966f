"""Backtest `caiso-moer`: California's published 5-minute marginal rate, nowcast or forecast."""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.rate_forecast import Plan, rows, tested, train_before
from gridmargin.evaluation.scores import report
from gridmargin.grid import assemble
from gridmargin.marginal import forecast_features
from gridmargin.reference import zone_named
from gridmargin.sources import SOURCES, Observations, caiso_mix_at
from gridmargin.vocab import InputError, UnknownNameError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HOUR_S = 3600
RATE = "published_marginal_rate_gco2_per_kwh"


def run(ask: Ask) -> dict[str, Any]:
    """Score the nowcast, or with a horizon the forecast, on every interval of the test.

    The nowcast knows no rate of the last 24 hours, and of the hour that it is for the fuel mix, where one is found.

    Raises
    ------
    InputError
        If there is no table, nothing precedes the test, or the horizon is no multiple of five minutes.
    """
    started = time.perf_counter()
    ask.refuse("caiso-moer", "needs no AVERT tables", "avert")
    series, timezone = _series(ask.data)
    if ask.region is not None and ask.region not in series:
        raise UnknownNameError("region of the caiso-moer backtest", ask.region, series)
    first = next(iter(series.values()))
    is_nowcast = not ask.horizon_min
    horizon_s = forecast_features.DAY_S if is_nowcast else (ask.horizon_min or 0) * 60
    starts = first.starts()
    ended, current = caiso_mix_at(ask.data, [starts + first.step_s, starts // HOUR_S * HOUR_S + HOUR_S])
    if not is_nowcast:
        known = {f"mix {name}": values for name, values in ended.items()}
        series = {name: replace(each, states={**each.states, **known}) for name, each in series.items()}
    plan = Plan(
        horizon_s,
        timezone,
        tested(ask, starts, first.step_s),
        train_before(ask),
        "forecast" if not is_nowcast else "forecast (nowcast)",
        f"published-rate-{'nowcast' if is_nowcast else f'{ask.horizon_min}min'}",
    )
    scored = rows(series, plan, current if is_nowcast else None, ask.region)
    return report("caiso-moer", {"gridmargin": version("gridmargin")}, time.perf_counter() - started, scored)


def _series(folder: Path) -> tuple[dict[str, forecast_features.RateSeries], str]:
    source = SOURCES.get("caiso_moer")(folder)
    zones = source.zones()
    if not zones:
        raise InputError(f"no file named moer_5min.parquet under {folder}")
    step = source.interval_s(zones[0])
    span = source.span(zones[0])
    seen = Observations.concat([source.parse(payload, span) for payload in source.fetch(zones[0], span)])
    first = int(span.start_utc.timestamp())
    n = int(span.duration_s) // step
    rates = {}
    for zone in zones:
        states = assemble(seen, zone, step)
        values = np.full(n, np.nan)
        values[(states.start_epoch_s() - first) // step] = states.values(RATE)
        rates[zone.rpartition("-")[2]] = values
    out = {
        name: forecast_features.RateSeries(
            first,
            step,
            rate,
            {f"neighbour {k}": other for k, other in enumerate(v for m, v in rates.items() if m != name)},
        )
        for name, rate in rates.items()
    }
    return out, zone_named(zones[0]).timezone
