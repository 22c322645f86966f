"""Backtest `borders`: whether a region's rate times its change of load is what all regions' plants then emitted.

A change of load in one region is answered by plants of that region and, over ties with room, by its neighbours'. The
reference is the change of CO2 of every fossil unit of all regions together, by the operator's own factors, from one
interval to the next; what is held against it is the sum over regions of rate × change of load. An estimator that looks
at one region alone is right there only if plants at home and across the border emit alike.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.evaluation.against_epa import states_of, tested_interval
from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.nem import read_nem
from gridmargin.evaluation.scores import Row, report, score
from gridmargin.grid import GridStates, imports_column, nem_fleet
from gridmargin.marginal import ESTIMATORS, Estimates, Facts, Fit, Imports, known_facts, modify, zonal
from gridmargin.reference import zone_named
from gridmargin.sources import REGIONS, SOURCES, find_units, unit_inventory
from gridmargin.vocab import FOSSIL, InputError, Interval, UnknownNameError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

REGION = "NEM"
LEAST_PAST, LEAST_TEST = 96, 48
"""Changes that must precede the test, and stand behind a row of it."""

PLAIN = {"regression": "regression", "regression+imports": "regression", "merit_order": "merit_order", "zonal": "merit_order"}  # fmt: skip
"""What is scored, and the estimator that looks at one region alone from which it is made."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes from one interval to the next, as arrays over n of them.

    Attributes
    ----------
    start_epoch_s : array, shape (n,)
        Of the interval before the change. [s since 1970 UTC]
    load_mw : array, shape (n, z)
        Change of what fossil plants anywhere had to serve in each region. [MW]
    co2_t_per_h : array, shape (n,)
        Change of all regions' CO2. [t h⁻¹]
    """

    start_epoch_s: IntArray
    load_mw: FloatArray
    co2_t_per_h: FloatArray

    def part(self, rows: NDArray[np.bool_]) -> Changes:
        """Give some of them."""
        return Changes(self.start_epoch_s[rows], self.load_mw[rows], self.co2_t_per_h[rows])


def run(ask: Ask) -> dict[str, Any]:
    """Fit on what precedes the test and score it; by default the last third of the data.

    Raises
    ------
    InputError
        If a table is not there, too little precedes the test, or no two regions have a flow between them.
    """
    started = time.perf_counter()
    ask.refuse("borders", "scores what regions did together", "horizon_min", "avert", "train_year")
    if ask.region not in (None, REGION, *REGIONS):
        raise UnknownNameError("region of the borders backtest", str(ask.region), (REGION, *REGIONS))
    nem, _ = read_nem(ask)
    source = SOURCES.get("aemo")(ask.data)
    states = {zone: states_of(source, zone) for zone in source.zones()}
    if ask.region not in (None, REGION, *states):
        raise InputError(f"no states of {ask.region} under {ask.data}; found {', '.join(states)}")
    if not any(_ties(states, zone) for zone in states):
        raise InputError(f"no flow between regions under {ask.data}; borders needs TRADINGINTERCONNECT")
    test = tested_interval(next(iter(states.values())), 10.0, ask.test_year, ask.test_from, ask.test_to)
    fossil = nem.is_fossil
    co2 = nem.output_mw[:, fossil] @ nem.fleet.factor_gco2_per_kwh[fossil] / 1000.0
    changes = _changes(states, nem.start_epoch_s, co2)
    first, end = (int(at.timestamp()) for at in (test.start_utc, test.end_utc))
    step_s = next(iter(states.values())).interval_s
    past = changes.part(changes.start_epoch_s + step_s < first)
    tested = changes.part((changes.start_epoch_s >= first) & (changes.start_epoch_s < end))
    if len(past.start_epoch_s) < LEAST_PAST or len(tested.start_epoch_s) < LEAST_TEST:
        raise InputError(
            f"{REGION}: {len(past.start_epoch_s)} changes before {test} and {len(tested.start_epoch_s)} in it; want"
            f" {LEAST_PAST} and {LEAST_TEST} at least"
        )
    history = {zone: of.between(Interval(of.frame["start_utc"][0], test.start_utc)) for zone, of in states.items()}  # fmt: skip
    units = unit_inventory(find_units(ask.data)[0])
    facts = {
        zone: known_facts(zone_named(zone), test.start_utc.year - 1, None, nem_fleet(units, zone))
        for zone in states
    }
    rates = _rates(states, history, facts, test)
    wanted = [ask.region] if ask.region else [REGION, *states]
    rows = _rows(list(states), past, tested, rates, wanted, {"period": str(test)})
    versions = {"gridmargin": version("gridmargin"), zonal.NAME: zonal.VERSION, Imports.name: Imports.version}
    return report("borders", versions, time.perf_counter() - started, rows)


def _ties(states: Mapping[str, GridStates], zone: str) -> list[str]:
    """Name the regions that a region's states report a flow from."""
    return [other for other in states if imports_column(other) in states[zone].frame.columns]


def _changes(states: Mapping[str, GridStates], start_s: IntArray, co2_t_per_h: FloatArray) -> Changes:
    """Give the changes between neighbouring intervals in which the load of every region is known."""
    load = np.column_stack([_load_mw(of, _ties(states, zone), start_s) for zone, of in states.items()])
    step_s = next(iter(states.values())).interval_s
    change, of_co2 = np.diff(load, axis=0), np.diff(co2_t_per_h)
    known = (np.diff(start_s) == step_s) & np.isfinite(change).all(axis=1) & np.isfinite(of_co2)
    return Changes(start_s[:-1][known], change[known], of_co2[known])


def _load_mw(states: GridStates, ties: list[str], start_s: IntArray) -> FloatArray:
    """Give what fossil plants anywhere had to serve in a region: what its own made and what came in over its ties."""
    fuels = [fuel for fuel in states.fuels if fuel in FOSSIL]
    load = np.sum([states.generation_mw(fuel) for fuel in fuels], axis=0) if fuels else np.zeros(len(states))
    for other in ties:
        load = load + states.values(imports_column(other))
    every = np.full(len(start_s), np.nan)
    _, mine, theirs = np.intersect1d(start_s, states.start_epoch_s(), assume_unique=True, return_indices=True)
    every[mine] = load[theirs]
    return every


def _rates(
    states: Mapping[str, GridStates],
    history: Mapping[str, GridStates],
    facts: Mapping[str, Facts],
    test: Interval,
) -> dict[str, dict[str, Estimates]]:
    """Estimate every region by everything that is scored; a region that cannot be is not there."""
    of_test = {zone: of.between(test) for zone, of in states.items()}
    fits: dict[str, dict[str, Fit]] = {"regression": {}, "merit_order": {}}
    rates: dict[str, dict[str, Estimates]] = {name: {} for name in PLAIN}
    for name, by_zone in fits.items():
        estimator = ESTIMATORS.get(name)()
        for zone, seen in history.items():
            if estimator.can_fit(seen, facts[zone]) is None:
                by_zone[zone] = estimator.fit(seen, facts[zone])
                rates[name][zone] = estimator.estimate(of_test[zone], by_zone[zone])
    for zone, fit in fits["regression"].items():
        beside = [other for other in _ties(states, zone) if other in rates["regression"]]
        limits = {other: _limits_mw(history[zone].values(imports_column(other))) for other in beside}
        theirs = {other: rates["regression"][other] for other in beside}
        own = rates["regression"][zone]
        rates["regression+imports"][zone] = modify(own, of_test[zone], fit, [Imports(theirs, limits)]).estimates  # fmt: skip
    stacks = fits["merit_order"]
    for zone in stacks if len(stacks) > 1 else ():
        fit = zonal.fit_zonal(zone, {other: history[other] for other in stacks}, stacks)
        rates["zonal"][zone] = zonal.estimate_zonal({other: of_test[other] for other in stacks}, fit)
    return {name: found for name, found in rates.items() if found}


def _limits_mw(flow: FloatArray) -> tuple[float, float]:
    """Give the most that a tie was seen to carry out and in."""
    known = flow[np.isfinite(flow)]
    return (max(float((-known).max()), 0.0), max(float(known.max()), 0.0)) if len(known) else (0.0, 0.0)


def _rows(
    zones: list[str],
    past: Changes,
    tested: Changes,
    rates: Mapping[str, Mapping[str, Estimates]],
    wanted: list[str],
    labels: Row,
) -> list[Row]:
    total = past.load_mw.sum(axis=1)
    constant = float(total @ past.co2_t_per_h / (total @ total))  # t MWh⁻¹, which is kg kWh⁻¹
    by_region = np.linalg.lstsq(past.load_mw, past.co2_t_per_h, rcond=None)[0]
    spans = {name: _span(zones, tested, found, constant) for name, found in rates.items()}
    known = np.logical_and.reduce([np.isfinite(mid) for _, mid, _ in spans.values()])
    most = np.abs(tested.load_mw).argmax(axis=1)
    simple = {"constant": constant * tested.load_mw.sum(axis=1), "constant by region": tested.load_mw @ by_region}  # fmt: skip
    rows = []
    for region in wanted:
        keep = known if region == REGION else known & (most == zones.index(region))
        if keep.sum() < LEAST_TEST:
            continue
        came = tested.co2_t_per_h[keep]
        for name, (low, mid, high) in spans.items():
            scores = score(mid[keep], came, low[keep], high[keep])
            scores.pop("bias_frac", None)  # changes sum to nothing: a bias relative to that says nothing
            beside = dict(simple)
            if PLAIN[name] != name:
                beside[PLAIN[name]] = spans[PLAIN[name]][1]
            base = {each: score(values[keep], came) for each, values in beside.items()}
            power = float(mid[keep] @ mid[keep])
            rows.append(
                {
                    "region": region,
                    "estimator": name,
                    **labels,
                    "reference": "change of CO2 of all regions for the changes of load that came",
                    **scores,
                    **({"slope": float(mid[keep] @ came / power)} if power > 0 else {}),
                    "mae_over_constant": scores["mae"] / base["constant"]["mae"],
                    **({"mae_over_plain": scores["mae"] / base[PLAIN[name]]["mae"]} if PLAIN[name] in base else {}),
                    "constant_gco2_per_kwh": 1000.0 * constant,
                    "regions_without_a_rate": [zone for zone in zones if zone not in rates[name]],
                    "baselines": {
                        each: {key: row[key] for key in ("mae", "r") if key in row} for each, row in base.items()
                    },
                    "unit": "tCO2/h",
                }
            )  # fmt: skip
    if not rows:
        raise InputError(
            f"borders: fewer than {LEAST_TEST} changes of {', '.join(wanted)} in {labels['period']} have a rate in every"
            " region; give a longer test"
        )
    return rows


def _span(
    zones: list[str], tested: Changes, found: Mapping[str, Estimates], constant: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give low, mid and high of Σ rate × change over regions; errors of rates are shared and add up (C6). [t h⁻¹]"""
    low, mid, high = np.zeros((3, len(tested.start_epoch_s)))
    for column, zone in enumerate(zones):
        change = tested.load_mw[:, column]
        if zone not in found:
            ends = [constant * change] * 3
        else:
            estimates = found[zone]
            at = np.searchsorted(estimates.start_epoch_s, tested.start_epoch_s)
            at = np.minimum(at, len(estimates) - 1)
            there = estimates.start_epoch_s[at] == tested.start_epoch_s
            ends = [
                np.where(there, rate[at], np.nan) / 1000.0 * change
                for rate in (estimates.low, estimates.mid, estimates.high)
            ]
        low += np.minimum(ends[0], ends[2])
        mid += ends[1]
        high += np.maximum(ends[0], ends[2])
    return low, mid, high
