"""Backtest `caiso-moer`: California's published 5-minute marginal rate, nowcast or forecast."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.rate_forecast import Plan, rows, tested, train_before
from gridmargin.evaluation.rate_table import TIME, as_known, read_epochs
from gridmargin.evaluation.scores import report
from gridmargin.grid import assemble
from gridmargin.marginal.forecast_features import DAY_S, RateSeries
from gridmargin.reference import zone_named
from gridmargin.sources import SOURCES, Observations
from gridmargin.sources.delimited import numbers, read_strings
from gridmargin.sources.folders import files_matching, refuse_repeats
from gridmargin.sources.source import Payload
from gridmargin.vocab import InputError, UnknownNameError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HOUR_S = 3600
RATE = "published_marginal_rate_gco2_per_kwh"
MIX_FILE = r"caiso_fuelmix_hourly_\d{4}\.csv(\.gz)?"
MIX_COLUMNS = {
    f"power_production_{fuel}_avg": fuel for fuel in ("coal", "gas", "nuclear", "oil", "solar", "wind")
}
"""Columns of the hourly mix that are filled; it holds no imports, storage or curtailment, and its hydro is empty."""


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
    horizon_s = DAY_S if is_nowcast else (ask.horizon_min or 0) * 60
    mix = _mix(ask.data)
    if not is_nowcast:
        known = {f"mix {name}": values for name, values in mix(first.starts() + first.step_s).items()}
        series = {
            k: RateSeries(s.start_epoch_s, s.step_s, s.rate_gco2_per_kwh, {**s.states, **known})
            for k, s in series.items()
        }
    plan = Plan(
        horizon_s,
        timezone,
        tested(ask, first.starts(), first.step_s),
        train_before(ask),
        "forecast" if not is_nowcast else "forecast (nowcast)",
        f"published-rate-{'nowcast' if is_nowcast else f'{ask.horizon_min}min'}",
    )
    current = mix(first.starts() // HOUR_S * HOUR_S + HOUR_S) if is_nowcast else None
    scored = rows(series, plan, current, ask.region)
    return report("caiso-moer", {"gridmargin": version("gridmargin")}, time.perf_counter() - started, scored)


def _series(folder: Path) -> tuple[dict[str, RateSeries], str]:
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
        name: RateSeries(
            first,
            step,
            rate,
            {f"neighbour {k}": other for k, other in enumerate(v for m, v in rates.items() if m != name)},
        )
        for name, rate in rates.items()
    }
    return out, zone_named(zones[0]).timezone


def _mix(folder: Path) -> Callable[[IntArray], dict[str, FloatArray]]:
    """Give a function from moments to the mix as known then; it gives nothing where no table is found."""
    paths = files_matching(folder, MIX_FILE)
    refuse_repeats(paths, lambda path: path.name.removesuffix(".gz"))
    starts: list[IntArray] = []
    values: list[FloatArray] = []
    for path in paths:
        payload = Payload("caiso_fuelmix", path.name, path.read_bytes())
        frame = read_strings(payload, ",", ("datetime", *MIX_COLUMNS)).rename({"datetime": TIME})
        starts.append(read_epochs(frame, path.name))
        values.append(numbers(frame, payload, list(MIX_COLUMNS)))

    def known(at: IntArray) -> dict[str, FloatArray]:
        if not starts:
            return {}
        start, value = np.concatenate(starts), np.concatenate(values)
        order = np.argsort(start, kind="stable")
        return as_known(start[order], HOUR_S, value[order], list(MIX_COLUMNS.values()), at)

    return known
