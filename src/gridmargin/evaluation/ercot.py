"""Backtest `ercot`: estimates from the operator's 15-minute tables against EPA's rate of Texas, hour by hour."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

from gridmargin.evaluation.against_epa import (
    RANGED_AGAINST,
    Row,
    epa_reference,
    facts_before,
    rows_before,
    states_of,
    tested_interval,
)
from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.coverage import coverage_rows
from gridmargin.evaluation.scores import report
from gridmargin.grid import GridStates
from gridmargin.marginal import ESTIMATORS
from gridmargin.reference import zone_named
from gridmargin.sources import SOURCES, open_avert
from gridmargin.vocab import InputError, Interval, UnknownNameError

ZONE = "US-ERCO"
ESTIMATOR_NAMES = ("regression", "fleet_curve")


def run(ask: Ask) -> dict[str, Any]:
    """Fit on what precedes the test and score every hour of it; by default the last third of the data.

    A train year fits on that local standard year only, instead of all that precedes.

    Raises
    ------
    InputError
        If nothing precedes the test, or EPA has no rate for it.
    """
    started = time.perf_counter()
    zone = zone_named(ZONE)
    ask.refuse("ercot", "scores what is observed", "horizon_min")
    texas = zone.avert_region or ""
    if ask.region not in (None, ZONE, texas):
        raise UnknownNameError("region of the ercot backtest", str(ask.region), (ZONE, texas))
    source = SOURCES.get("ercot")(ask.data)
    if not source.zones():
        raise InputError(f"no tables named IntGenByFuelYYYYMM.tsv.gz under {ask.data}")
    states = states_of(source, ZONE)
    folder = ask.avert or ask.data
    offset_h = open_avert(folder).standard_utc_offset_h(texas)
    test = tested_interval(states, offset_h, ask.test_year, ask.test_from, ask.test_to)
    if ask.train_year is not None:
        states = _only(states, ask.train_year, offset_h, test)
    facts = facts_before(zone, folder, (test.start_utc + timedelta(hours=offset_h)).year)
    epa = epa_reference(folder, texas)
    rows: list[Row] = []
    pooled: list[Row] = []
    versions = {"gridmargin": version("gridmargin")}
    for name in ESTIMATOR_NAMES:
        estimator = ESTIMATORS.get(name)()
        if name == "fleet_curve" and facts.fleet is None:
            continue  # no curve of a year before the test
        versions[name] = estimator.version
        labels = {"region": texas, "zone": ZONE, "period": str(test)}
        scored, ranged = rows_before(estimator, states, test, facts, epa, labels)
        rows += scored
        pooled += coverage_rows(
            [ranged], {"reference": RANGED_AGAINST, "period": str(test), "estimator": name}
        )
    return report("ercot", versions, time.perf_counter() - started, [*rows, *pooled])


def _only(states: GridStates, train_year: int, offset_h: float, test: Interval) -> GridStates:
    shift = timedelta(hours=offset_h)
    train = Interval(
        datetime(train_year, 1, 1, tzinfo=UTC) - shift, datetime(train_year + 1, 1, 1, tzinfo=UTC) - shift
    )
    if train.end_utc > test.start_utc:
        raise InputError(
            f"train year {train_year} does not precede the test {test}: a fit sees only the past"
        )
    return GridStates(
        states.zone, states.interval_s, states.between(train).frame.vstack(states.between(test).frame)
    )
