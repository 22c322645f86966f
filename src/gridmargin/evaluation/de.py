"""Backtest `de`: what the German stack would have cost at the margin against the day-ahead price, hour by hour."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.evaluation.against_epa import states_of, tested_interval
from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.price_range import range_rows, series_of
from gridmargin.evaluation.scores import UNIT, Row, baseline_scores, baselines, report, score
from gridmargin.grid import (
    GridStates,
    carbon_price_column,
    fuel_price_column,
    german_fleet,
    price_column,
)
from gridmargin.marginal import Estimates, Facts, Fit, MeritOrder, PriceImplied, observed_rates
from gridmargin.reference import fuel_prices_before, zone_named
from gridmargin.sources import (
    CARBON,
    CARBON_KNOWN_AFTER_S,
    PLANTS,
    PRICE,
    SOURCES,
    Payload,
    PlantTable,
    carbon_price,
    day_ahead_price,
    find_german,
    need,
    of_country,
    power_plants,
)
from gridmargin.vocab import InputError, Interval, UnknownNameError

FloatArray = NDArray[np.float64]

ZONE = "DE"
"""Unless another country with files of the same layout is named."""

EUR = "EUR"
HOUR_S = 3600
PRICE_UNIT = "EUR/MWh"
RANGED = "range of the day-ahead price"
CHANGED = "CO2 per fossil generation that changed, larger half of changes, mean rate of each fuel"
FEWEST_CHANGES = 100
"""A regime with fewer is not given a row: its coverage would be known to no better than three points."""

HELD_OUT_DAYS = 90
"""Of the past: what a fit had not seen, to begin its range with."""

REFIT_DAYS = 30
"""A month: how often an operator may be expected to fit again."""


def run(ask: Ask) -> dict[str, Any]:
    """Score costs alone on every year, and what was learned before on the last third or on the year named.

    Raises
    ------
    InputError
        If a table is not there, or the test lies outside the data.
    """
    started = time.perf_counter()
    ask.refuse("de", "scores the hourly price that came", "horizon_min", "avert", "train_year")
    states, plants = german_states(ask)
    rows: list[Row] = []
    if ask.test_year is None and ask.test_from is None and ask.test_to is None:
        for year in _whole_years(states):
            rows += _rows(states, plants, _year(year, states))
    test = (
        _year(ask.test_year, states)
        if ask.test_year is not None and ask.test_from is None and ask.test_to is None
        else tested_interval(states, 1.0, ask.test_year, ask.test_from, ask.test_to)
    )
    rows += _rows(states, plants, test)
    versions = {
        "gridmargin": version("gridmargin"),
        MeritOrder.name: MeritOrder.version,
        PriceImplied.name: PriceImplied.version,
    }
    return report("de", versions, time.perf_counter() - started, rows)


def german_states(ask: Ask) -> tuple[GridStates, PlantTable]:
    """Give hourly states with power price, carbon price and fuel prices, each as it was known by then.

    Notes
    -----
    The carbon price is the newest weekly one a day old at least: the auction of delivery day D closes on D − 1 at noon.
    Fuel prices are the means of the year before. Both are steps, so nothing of the test leaks into them.
    """
    source = SOURCES.get("entsoe")(ask.data)
    zone = ask.region or ZONE
    if zone not in source.zones():
        if ask.region is not None:
            raise UnknownNameError("region of the de backtest", zone, (*source.zones(), ZONE))
        raise InputError(f"no files named YYYY_{zone}_gen.parquet under {ask.data}")
    quarter = states_of(source, zone)

    def table(pattern: str) -> Payload:
        name = of_country(pattern, zone)
        return need(find_german(ask.data, name), ask.data, name.replace("\\", "").removesuffix("(.gz)?"))

    plants = power_plants(table(PLANTS))
    price = day_ahead_price(table(PRICE), zone)
    carbon = carbon_price(table(CARBON))
    states = _hourly(quarter)
    start_s = states.start_epoch_s()
    at = np.searchsorted(price.start_epoch_s, start_s)
    at = np.minimum(at, len(price.start_epoch_s) - 1)
    paid = np.where(price.start_epoch_s[at] == start_s, price.value[at], np.nan)
    clock = ZoneInfo(zone_named(zone).timezone)
    year = states.frame["start_utc"].dt.convert_time_zone(clock.key).dt.year().to_numpy()
    columns = {
        price_column(EUR): paid,
        carbon_price_column(EUR): carbon.known_at(start_s - CARBON_KNOWN_AFTER_S),
    }
    years, at = np.unique(year, return_inverse=True)
    known = [fuel_prices_before(int(y)) for y in years]
    for fuel in known[0]:
        columns[fuel_price_column(fuel, EUR)] = np.array([prices[fuel] for prices in known])[at]
    added = [pl.Series(name, value, nan_to_null=True) for name, value in columns.items()]
    return replace(states, frame=states.frame.with_columns(added)), plants


def _hourly(states: GridStates) -> GridStates:
    """Mean of the intervals of each hour; an hour that lacks one of a quantity lacks the quantity (C2)."""
    per_hour = HOUR_S // states.interval_s
    quantities = [c for c in states.frame.columns if c.endswith("_mw")]
    frame = (
        states.frame.group_by(pl.col("start_utc").dt.truncate("1h"), maintain_order=True)
        .agg(
            pl.col("status").max(),
            pl.col("completeness_frac").min(),
            *(pl.when(pl.col(c).count() == per_hour).then(pl.col(c).mean()).alias(c) for c in quantities),
        )
        .sort("start_utc")
    )
    return GridStates(states.zone, HOUR_S, frame)


def _rows(states: GridStates, plants: PlantTable, test: Interval) -> Iterator[Row]:
    chosen = states.between(test)
    if not len(chosen):
        raise InputError(f"{states.zone} has no states in {test}")
    frame = states.frame
    history = replace(states, frame=frame.filter(pl.col("start_utc") < test.start_utc))
    facts = _facts(plants, test.start_utc, states.zone)
    costs = MeritOrder().from_costs(chosen, facts)
    yield from _scored(states, history, chosen, [(chosen, costs)], [(history, costs)], "costs alone", test)
    if MeritOrder().can_fit(history, facts) is None and PriceImplied().can_fit(history, facts) is None:
        fit = MeritOrder().fit(history, facts)
        held_out = _held_out(history, facts)
        once = "fitted on all that precedes the test"
        yield from _scored(states, history, chosen, [(chosen, fit)], held_out, once, test)
        walked = list(_walk(states, chosen, plants))
        again = f"fitted again every {REFIT_DAYS} days on all that precedes"
        yield from _scored(states, history, chosen, walked, held_out, again, test)
        yield _implied(chosen, PriceImplied().fit(history, facts), test)


def _held_out(history: GridStates, facts: Facts) -> list[tuple[GridStates, Fit]]:
    """Give the end of the history with a fit on what precedes it; nothing where too little does."""
    starts = history.frame["start_utc"]
    span = min(timedelta(days=HELD_OUT_DAYS), (starts[-1] - starts[0]) / 3)
    past, end = (
        replace(history, frame=history.frame.filter(part))
        for part in (pl.col("start_utc") < starts[-1] - span, pl.col("start_utc") >= starts[-1] - span)
    )
    if not len(past) or MeritOrder().can_fit(past, facts) is not None:
        return []
    return [(end, MeritOrder().fit(past, facts))]


def _walk(states: GridStates, chosen: GridStates, plants: PlantTable) -> Iterator[tuple[GridStates, Fit]]:
    frame, step = chosen.frame, timedelta(days=REFIT_DAYS)
    start = frame["start_utc"][0]
    while start <= frame["start_utc"][-1]:
        part = chosen.between(Interval(start, start + step))
        if len(part):
            past = replace(states, frame=states.frame.filter(pl.col("start_utc") < start))
            yield part, MeritOrder().fit(past, _facts(plants, start, states.zone))
        start += step


def _scored(
    states: GridStates,
    history: GridStates,
    chosen: GridStates,
    fits: list[tuple[GridStates, Fit]],
    before: list[tuple[GridStates, Fit]],
    how: str,
    test: Interval,
) -> Iterator[Row]:
    """Score the modelled price of the test, then its range, learned from hours before that the fits had not seen."""
    estimator = MeritOrder()
    price = chosen.values(price_column(EUR))
    said = [(part.start_epoch_s(), estimator.modelled_price(part, fit)) for part, fit in fits]
    labels: Row = {
        "region": chosen.zone,
        "reference": "day-ahead price",
        "estimator": estimator.name,
        "fit": how,
        "period": str(test),
    }
    row: Row = {**labels, **score(np.concatenate([values for _, values in said]), price)}
    negative = price < 0
    if negative.any():
        row["negative_price_frac"] = float(negative.mean())
    past = _price_baselines(history, chosen)
    estimated = [estimator.estimate(part, fit) for part, fit in fits]
    yield {
        **row,
        **_margin(estimated),
        "baselines": baseline_scores(past, price),
        "unit": PRICE_UNIT,
    }
    said += [(part.start_epoch_s(), estimator.modelled_price(part, fit)) for part, fit in before if len(part)]
    whole = states.between(Interval(states.frame["start_utc"][0], test.end_utc))
    series = series_of(whole.start_epoch_s(), whole.values(price_column(EUR)), said)
    begins = int(chosen.start_epoch_s()[0])
    yield from range_rows(series, begins, {**labels, "reference": RANGED, "unit": PRICE_UNIT})
    if all(fit.parameters["calibrated_against"] for _, fit in fits):
        yield from _change_rows(history, fits, estimated, {**labels, "reference": CHANGED, "unit": UNIT})


def _change_rows(
    history: GridStates, fits: list[tuple[GridStates, Fit]], estimated: list[Estimates], labels: Row
) -> Iterator[Row]:
    """Hold the factor and the range that the fit calibrated against the rates of changes of fossil generation."""
    parts = []
    for (part, fit), estimates in zip(fits, estimated, strict=True):
        p = fit.parameters
        row, rate, _ = observed_rates(part, p, p["range"]["least_change_mw"])
        _, at, which = np.intersect1d(estimates.start_epoch_s, part.start_epoch_s()[row], return_indices=True)
        regime = estimates.regime[at]
        parts.append((estimates.mid[at], rate[which], estimates.low[at], estimates.high[at], regime))
    mid, rate, low, high, regime = (np.concatenate(values) for values in zip(*parts, strict=True))
    p = fits[0][1].parameters
    constant = float(observed_rates(history, p, p["range"]["least_change_mw"])[1].mean())
    for name in ("", *np.unique(regime).tolist()):
        keep = (regime == name) | (not name)
        if keep.sum() < (1 if not name else FEWEST_CHANGES):
            continue
        yield {
            **labels,
            **({"regime": name} if name else {}),
            **score(mid[keep], rate[keep], low[keep], high[keep]),
            "baselines": baseline_scores({"constant": np.full(int(keep.sum()), constant)}, rate[keep]),
        }


def _implied(chosen: GridStates, fit: Fit, test: Interval) -> Row:
    estimates = PriceImplied().estimate(chosen, fit)
    regimes, count = np.unique(estimates.regime, return_counts=True)
    return {
        "region": chosen.zone,
        "reference": "none",
        "estimator": PriceImplied.name,
        "fit": "fitted on all that precedes",
        "period": str(test),
        "n": len(estimates),
        **_margin([estimates]),
        "regimes": dict(zip(regimes.tolist(), count.tolist(), strict=True)),
        "baselines": {},
        "unit": UNIT,
    }


def _margin(parts: list[Estimates]) -> Row:
    parts = [part for part in parts if len(part)]
    if not parts:
        return {}
    names = parts[0].source_names
    shares = np.concatenate([part.source_probability for part in parts]).mean(axis=0)
    return {
        "mean_factor_gco2_per_kwh": float(np.concatenate([part.mid for part in parts]).mean()),
        "mean_width90_gco2_per_kwh": float(np.concatenate([part.high - part.low for part in parts]).mean()),
        "source_share_frac": {
            name: round(float(share), 4) for name, share in zip(names, shares, strict=True) if share > 5e-5
        },
    }


def _price_baselines(history: GridStates, chosen: GridStates) -> dict[str, FloatArray]:
    if not len(history):
        return {}
    (train_hour, train_month), (hour, month) = (_clock(states) for states in (history, chosen))
    return baselines(train_hour, train_month, history.values(price_column(EUR)), hour, month)


def _clock(states: GridStates) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    local = states.frame["start_utc"].dt.convert_time_zone(zone_named(states.zone).timezone)
    return local.dt.hour().to_numpy().astype(np.int64), local.dt.month().to_numpy().astype(np.int64)


def _facts(plants: PlantTable, start: datetime, zone_id: str) -> Facts:
    year = (start + timedelta(hours=12)).year
    prices = fuel_prices_before(year)
    units = german_fleet(plants, year, prices, zone_id)
    return Facts(zone_named(zone_id).timezone, {}, units=units)


def _year(year: int, states: GridStates) -> Interval:
    clock = ZoneInfo(zone_named(states.zone).timezone)
    first, last = (datetime(y, 1, 1, tzinfo=clock).astimezone(UTC) for y in (year, year + 1))
    return Interval(first, last)


def _whole_years(states: GridStates) -> list[int]:
    local = states.frame["start_utc"].dt.convert_time_zone(zone_named(states.zone).timezone).dt.year()
    counts = local.value_counts()
    return sorted(int(y) for y, n in counts.rows() if n >= 8000)
