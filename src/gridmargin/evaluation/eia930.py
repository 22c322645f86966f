"""Backtest `eia930`: estimates from EIA-930's hourly fuel mix against EPA's rate of the region, hour by hour.

Two kinds of row. `period` an interval: fitted on all that precedes it. `period` `out-of-fold N START/END`: the
whole stretch in N parts, each by a fit on the others; it answers for a year's mean where no earlier fuel mix is there.
Rates and fleet curves are those of the year before in both.
"""

from __future__ import annotations

import time
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gridmargin.evaluation.against_epa import (
    FOLDS,
    RANGED_AGAINST,
    Row,
    epa_reference,
    facts_before,
    rows_before,
    rows_out_of_fold,
    states_of,
    tested_interval,
)
from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.coverage import Ranged, coverage_rows
from gridmargin.evaluation.scores import report
from gridmargin.grid import GridStates
from gridmargin.marginal import ESTIMATORS
from gridmargin.reference import Zone, zone_named
from gridmargin.sources import SOURCES, Source, open_avert
from gridmargin.vocab import InputError, Interval, UnknownNameError

ZONES = ("US-ERCO", "US-CISO", "US-NYIS", "US-PJM", "US-MISO")
"""Balancing authorities that an AVERT region roughly stands for; the others are small parts of theirs."""

ESTIMATOR_NAMES = ("regression", "fleet_curve")


def run(ask: Ask) -> dict[str, Any]:
    """Score each zone on the last third of its data, or the stretch named, and out of fold on all of it.

    Rows of the region `all` give the coverage over all zones together, and by regime.

    A region is a zone id, balancing authority or AVERT region; without one, all of `ZONES` that the data hold.

    Raises
    ------
    InputError
        If nothing precedes the test, or EPA has no rate for it.
    """
    started = time.perf_counter()
    ask.refuse(
        "eia930",
        "fits on all that precedes the test and scores what is observed",
        "train_year",
        "horizon_min",
    )
    source = SOURCES.get("eia930")(ask.data)
    held = source.zones()
    if not held:
        raise InputError(f"no EIA-930 tables such as ERCO.csv under {ask.data}")
    folder = ask.avert or ask.data
    rows: list[Row] = []
    versions = {"gridmargin": version("gridmargin")}
    for name in ESTIMATOR_NAMES:
        versions[name] = ESTIMATORS.get(name).version
    ranged: dict[str, list[Ranged]] = {name: [] for name in ESTIMATOR_NAMES}
    for zone_id in _chosen(held, ask.region):
        zone = zone_named(zone_id)
        rows += _zone_rows(source, zone, folder, ask, ranged)
    for name in ESTIMATOR_NAMES:
        rows += coverage_rows(ranged[name], {"reference": RANGED_AGAINST, "estimator": name})
    return report("eia930", versions, time.perf_counter() - started, rows)


def _chosen(held: list[str], region: str | None) -> list[str]:
    if region is None:
        return [zone for zone in ZONES if zone in held]
    for zone in held:
        if region in (zone, zone.partition("-")[2], zone_named(zone).avert_region):
            return [zone]
    raise UnknownNameError("zone of the EIA-930 tables", region, held)


def _zone_rows(
    source: Source,
    zone: Zone,
    folder: Path,
    ask: Ask,
    ranged: dict[str, list[Ranged]],
) -> list[Row]:
    if not zone.avert_region:
        raise InputError(f"{zone.id} lies in no AVERT region: there is no rate to score against")
    states = states_of(source, zone.id)
    offset_h = open_avert(folder).standard_utc_offset_h(zone.avert_region)
    epa = epa_reference(folder, zone.avert_region)
    rows: list[Row] = []
    test = tested_interval(states, offset_h, ask.test_year, ask.test_from, ask.test_to)
    local_year = (test.start_utc + timedelta(hours=offset_h)).year
    labels = {"region": zone.avert_region, "zone": zone.id}
    facts = facts_before(zone, folder, local_year)
    precedes = bool(states.frame["start_utc"][0] < test.start_utc)
    for name in ESTIMATOR_NAMES:
        estimator = ESTIMATORS.get(name)()
        if name == "fleet_curve" and facts.fleet is None:
            continue  # no curve of a year before the test
        if precedes or ask.test_year is None:
            scored, hours = rows_before(estimator, states, test, facts, epa, {**labels, "period": str(test)})
            rows += scored
            ranged[name].append(hours)
        if name == "regression":
            whole = _of_year(states, local_year, offset_h)
            starts = whole.frame["start_utc"]
            for n in FOLDS:
                period = f"out-of-fold {n} {starts[0]:%Y-%m-%d}/{starts[-1]:%Y-%m-%d}"
                rows += rows_out_of_fold(estimator, whole, facts, epa, {**labels, "period": period}, n)
    return rows


def _of_year(states: GridStates, year: int, offset_h: float) -> GridStates:
    whole: Interval = tested_interval(states, offset_h, year, None, None)
    return states.between(whole)
