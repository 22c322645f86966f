"""Backtest `modifiers`: whether `storage` and `curtailment` bring a rate nearer to what came, on Germany's tables.

Neither can be seen in one interval: a store's other hour lies elsewhere, and what would have been turned down is not
published. So the first is held against whole days, since what a store takes and gives back there is made up, and the
second against hours of a price at or below zero beside those above.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.evaluation.against_epa import hourly, states_of, tested_interval
from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.scores import Row, report, score
from gridmargin.grid import GridStates
from gridmargin.marginal import (
    ESTIMATORS,
    Curtailment,
    Estimates,
    Facts,
    Modifier,
    Storage,
    known_facts,
    modify,
)
from gridmargin.reference import zone_named
from gridmargin.sources import SOURCES, smard_years
from gridmargin.vocab import FOSSIL, Fuel, InputError, Interval, UnknownNameError, generation_column

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

ZONE = "DE"
BASE = "regression"
PUMPING, LOAD = "Pumpspeicher", "Gesamt (Netzlast)"
"""Columns of SMARD's consumption: what stores took, and the load of the grid."""

DAY_S, HOUR_S = 86_400, 3600
LEAST_DAYS, LEAST_HOURS = 14, 24
FREE_PRICE = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What came, interval by interval; arrays of equal length n.

    Attributes
    ----------
    start_epoch_s : array
        [s since 1970 UTC]
    fossil_mw, stores_mw : arrays
        Output of fossil plants; of pumped storage less what it took. [MW]
    co2_t_per_h : array
        Of fossil plants, by the rates that estimators use. [t h⁻¹]
    residual_mw : array
        Load less wind and sun. [MW]
    price_eur_per_mwh : array
    """

    start_epoch_s: IntArray
    fossil_mw: FloatArray
    stores_mw: FloatArray
    co2_t_per_h: FloatArray
    residual_mw: FloatArray
    price_eur_per_mwh: FloatArray


def run(ask: Ask) -> dict[str, Any]:
    """Fit on what precedes the test and score it; by default the last third of the data.

    Raises
    ------
    InputError
        If a table is not there, or too little precedes the test.
    """
    started = time.perf_counter()
    ask.refuse("modifiers", "scores what Germany's plants did", "horizon_min", "avert", "train_year")
    if ask.region not in (None, ZONE):
        raise UnknownNameError("zone of the modifiers backtest", str(ask.region), (ZONE,))
    source = SOURCES.get("entsoe")(ask.data)
    if ZONE not in source.zones():
        raise InputError(f"no tables of Germany's generation under {ask.data}")
    states, load_mw = _with_pumping(states_of(source, ZONE), *smard_years(ask.data, "consumption"))
    test = tested_interval(states, 1.0, ask.test_year, ask.test_from, ask.test_to)
    first = states.frame["start_utc"][0]
    if test.start_utc <= first:
        raise InputError(f"modifiers: nothing precedes {test}; test later")
    history = states.between(Interval(first, test.start_utc))
    facts = known_facts(zone_named(ZONE), test.start_utc.year - 1, None)
    missing = ESTIMATORS.get(BASE)().can_fit(history, facts)
    if missing is not None:
        raise InputError(f"modifiers on {test}: {missing}; test later")
    seen = _seen(states, load_mw, facts)
    estimates = _estimates(states, history, facts, test)
    rows = [*_storage_rows(seen, estimates, test), *_curtailment_rows(seen, estimates, test)]
    versions = {"gridmargin": version("gridmargin"), Storage.name: Storage.version, Curtailment.name: Curtailment.version}  # fmt: skip
    labels = {"region": ZONE, "period": str(test)}
    return report("modifiers", versions, time.perf_counter() - started, [labels | row for row in rows])


def _with_pumping(
    states: GridStates, start_s: IntArray, consumption: Mapping[str, FloatArray]
) -> tuple[GridStates, FloatArray]:
    """Take what stores took off what they gave, which is all that ENTSO-E's table states; and give the load. [MW]"""
    missing = [name for name in (PUMPING, LOAD) if name not in consumption]
    if missing:
        raise InputError(f"smard_consumption has no column {missing[0]}[MWh]")
    mine = states.start_epoch_s()
    at = np.minimum(np.searchsorted(start_s, mine), len(start_s) - 1)
    there = start_s[at] == mine
    pumping, load = (np.where(there, consumption[name][at], np.nan) for name in (PUMPING, LOAD))
    net = pl.Series(generation_column(Fuel.PUMPED), states.generation_mw(Fuel.PUMPED) - pumping)
    return replace(states, frame=states.frame.with_columns(net.fill_nan(None))), load


def _seen(states: GridStates, load_mw: FloatArray, facts: Facts) -> Seen:
    fossil, co2 = np.zeros((2, len(states)))
    for fuel in states.fuels:
        if fuel in FOSSIL and fuel in facts.fuel_rates:
            made = states.generation_mw(fuel)
            fossil = fossil + made
            co2 = co2 + made * facts.fuel_rates[fuel].factor_gco2_per_kwh / 1000.0
    weather = states.generation_mw(Fuel.WIND) + states.generation_mw(Fuel.SOLAR)
    return Seen(
        states.start_epoch_s(), fossil, states.generation_mw(Fuel.PUMPED), co2, load_mw - weather,
        states.values("price_eur_per_mwh"),
    )  # fmt: skip


def _estimates(states: GridStates, history: GridStates, facts: Facts, test: Interval) -> dict[str, Estimates]:
    """Estimate the test and the day before it: plain, and with each modifier as `now --estimator` applies it."""
    estimator = ESTIMATORS.get(BASE)()
    fit = estimator.fit(history, facts)
    stretch = states.between(Interval(test.start_utc - timedelta(days=1), test.end_utc))
    plain = estimator.estimate(stretch, fit)
    most = np.abs(history.generation_mw(Fuel.PUMPED))
    modifiers: tuple[Modifier, ...] = (
        Storage(power_mw={Fuel.PUMPED: float(np.nanmax(most, initial=0.0))}),
        Curtailment(),
    )
    found = {BASE: plain}
    for modifier in modifiers:
        found[f"{BASE}+{modifier.name}"] = modify(plain, stretch, fit, [modifier]).estimates
    return found


def _storage_rows(seen: Seen, estimates: Mapping[str, Estimates], test: Interval) -> list[Row]:
    """Score a day's CO2 less that of the day before, for the change of what fossil plants and stores served."""
    served = seen.fossil_mw + seen.stores_mw
    past = seen.start_epoch_s < int(test.start_utc.timestamp())
    days, of_load, of_co2 = _daily(seen.start_epoch_s[past], served[past], seen.co2_t_per_h[past])
    constant = float(of_load @ of_co2 / (of_load @ of_load)) if len(days) else np.nan
    names = (BASE, f"{BASE}+{Storage.name}")
    by_day = {}
    for name in names:
        found = estimates[name]
        at = np.searchsorted(seen.start_epoch_s, found.start_epoch_s)
        by_day[name] = _daily(found.start_epoch_s, served[at], seen.co2_t_per_h[at], found.mid / 1000.0)
    _, load, came = by_day[BASE][:3]
    if len(came) < LEAST_DAYS or not np.isfinite(constant):
        raise InputError(
            f"modifiers: {len(came)} days with a day before in {test}; want {LEAST_DAYS} and a past"
        )
    return [
        _row(
            name,
            "CO2 of a day less that of the day before, for the change of what fossil plants and stores served",
            "tCO2",
            (by_day[name][3], None, None),
            came,
            {"constant": constant * load, **({BASE: by_day[BASE][3]} if name != BASE else {})},
        )
        for name in names
    ]


def _daily(
    start_s: IntArray, served_mw: FloatArray, co2_t_per_h: FloatArray, rate: FloatArray | None = None
) -> tuple[FloatArray, ...]:
    """Sum changes from the same time a day before over each day (UTC) of which every interval is known.

    Returns
    -------
    day, served_mwh, co2_t : arrays, one value a day
    said_t : array
        Σ rate × change, the rate being the mean of both ends; with a rate only. [t]
    """
    step_s = int(np.diff(start_s).min()) if len(start_s) > 1 else HOUR_S
    per_day, hours = DAY_S // step_s, step_s / HOUR_S
    before = np.searchsorted(start_s, start_s - DAY_S)
    known = (start_s[before] == start_s - DAY_S) & (before < np.arange(len(start_s)))
    after = np.flatnonzero(known)
    before = before[known]
    parts = [served_mw[after] - served_mw[before], co2_t_per_h[after] - co2_t_per_h[before]]
    if rate is not None:
        parts.append((rate[after] + rate[before]) / 2 * parts[0])
    finite = np.logical_and.reduce([np.isfinite(part) for part in parts])
    day, index, count = np.unique(start_s[after][finite] // DAY_S, return_inverse=True, return_counts=True)
    whole = count == per_day
    sums = [np.bincount(index, weights=part[finite], minlength=len(day))[whole] * hours for part in parts]
    return (day[whole].astype(np.float64), *sums)


def _curtailment_rows(seen: Seen, estimates: Mapping[str, Estimates], test: Interval) -> list[Row]:
    """Score changes of CO2 from hour to hour for changes of residual load, at prices up to zero and above."""
    start, *means = _by_hour(
        seen.start_epoch_s, seen.residual_mw, seen.fossil_mw, seen.co2_t_per_h, seen.price_eur_per_mwh
    )
    residual, fossil, co2, price = means
    first, end = (int(at.timestamp()) for at in (test.start_utc, test.end_utc))
    change, of_fossil, of_co2 = np.diff(residual), np.diff(fossil), np.diff(co2)
    known = (np.diff(start) == HOUR_S) & np.isfinite(change) & np.isfinite(of_fossil) & np.isfinite(of_co2)
    past, tested = known & (start[1:] < first), known & (start[:-1] >= first) & (start[1:] < end)
    power = float(change[past] @ change[past])
    if not power > 0:
        raise InputError(f"modifiers: no change of residual load precedes {test}")
    answered = float(change[past] @ of_fossil[past]) / power
    constant = float(change[past] @ of_co2[past]) / power
    free = (price[:-1] <= FREE_PRICE) & (price[1:] <= FREE_PRICE)
    dear = (price[:-1] > FREE_PRICE) & (price[1:] > FREE_PRICE)
    rows = []
    names = (BASE, f"{BASE}+{Curtailment.name}")
    for regime, hours, scored in (("price at most 0", free, names), ("price above 0", dear, names[:1])):
        keep = tested & hours
        if keep.sum() < LEAST_HOURS:
            continue
        moved = change[keep]
        share = float(moved @ of_fossil[keep]) / float(moved @ moved)
        spans = {}
        for name in scored:
            hour, low, mid, high = hourly(estimates[name])
            at = np.minimum(np.searchsorted(hour, start[:-1][keep]), len(hour) - 1)
            there = hour[at] == start[:-1][keep]
            ends = [np.where(there, rate[at], np.nan) / 1000.0 * answered * moved for rate in (low, mid, high)]  # fmt: skip
            spans[name] = (ends[1], np.minimum(ends[0], ends[2]), np.maximum(ends[0], ends[2]))
        for name, span in spans.items():
            row = _row(
                name,
                "change of CO2 from hour to hour, for the change of load less wind and sun",
                "tCO2/h",
                span,
                of_co2[keep],
                {"constant": constant * moved},
            )
            rows.append({"regime": regime, **row, "fossil_answers_frac": share, "fossil_answered_before_frac": answered})  # fmt: skip
    return rows


def _by_hour(start_s: IntArray, *values: FloatArray) -> tuple[Any, ...]:
    """Give hours and means over each; an hour with an interval unknown is not known."""
    hour, index = np.unique(start_s // HOUR_S * HOUR_S, return_inverse=True)
    count = np.bincount(index)
    return (hour, *(np.bincount(index, weights=value) / count for value in values))


def _row(
    name: str,
    reference: str,
    unit: str,
    span: tuple[FloatArray, FloatArray | None, FloatArray | None],
    came: FloatArray,
    beside: Mapping[str, FloatArray],
) -> Row:
    mid, low, high = span
    known = np.isfinite(mid) & np.isfinite(came)
    scores = score(mid, came, low, high)
    scores.pop("bias_frac", None)  # changes sum to nothing: a bias relative to that says nothing
    base = {each: score(values[known], came[known]) for each, values in beside.items()}
    power = float(mid[known] @ mid[known])
    return {
        "estimator": name,
        "reference": reference,
        **scores,
        **({"slope": float(mid[known] @ came[known]) / power} if power > 0 else {}),
        "mae_over_constant": scores["mae"] / base["constant"]["mae"],
        **({"mae_over_plain": scores["mae"] / base[BASE]["mae"]} if BASE in base else {}),
        "baselines": {
            each: {key: row[key] for key in ("mae", "r") if key in row} for each, row in base.items()
        },
        "unit": unit,
    }
