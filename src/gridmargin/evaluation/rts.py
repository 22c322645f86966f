"""Backtest `rts`: locational rates of the RTS-GMLC test system against dispatching it again, and against its reference run.

The commitment is the reference run's own; what is dispatched is the rest, hour by hour with the network.
"""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.scores import Row, report, score
from gridmargin.grid import RtsCase, rts_case
from gridmargin.marginal import Dispatch
from gridmargin.sources import ReferenceRun, RtsTables
from gridmargin.vocab import InputError, UnknownNameError

FloatArray = NDArray[np.float64]

REGION = "RTS-GMLC"
DAY_H = 24
ONE_MORE_MWH = 1.0


def run(ask: Ask) -> dict[str, Any]:
    """Score every hour of the reference run against it, and every bus of its last third against dispatching again.

    Raises
    ------
    InputError
        If the reference run is shorter than a day.
    """
    started = time.perf_counter()
    ask.refuse(
        "rts", "reads the reference run whole", "avert", "train_year", "test_year", "test_from", "test_to",
        "horizon_min",
    )  # fmt: skip
    if ask.region not in (None, REGION):
        raise UnknownNameError("region of the rts backtest", str(ask.region), (REGION,))
    tables = RtsTables(ask.data)
    case, reference = rts_case(tables), tables.reference()
    if len(reference) < DAY_H:
        raise InputError(f"the reference run has {len(reference)} hours; give at least a day")
    hours = _Hours(case, tables, reference)
    rows = [*_against_reference(hours), *_against_one_more(hours)]
    versions = {"gridmargin": version("gridmargin"), "highspy": version("highspy")}
    return report("rts", versions, time.perf_counter() - started, rows)


class _Hours:
    """The hours of the reference run, ready to be dispatched."""

    def __init__(self, case: RtsCase, tables: RtsTables, reference: ReferenceRun) -> None:
        self.case, self.reference = case, reference
        self.dispatch = Dispatch(case.network)
        _, load = tables.area_load_mw()
        limits = tables.limits_mw()
        first, n = reference.first_hour, len(reference)
        self._load = load[first : first + n]
        bound = [
            limits[unit][first : first + n] if unit in limits else np.zeros(n) for unit in case.unit_names
        ]
        self._limit = np.stack(bound, axis=1)
        self.is_committed = reference.is_committed.select(case.unit_names).to_numpy() > 0.5

    def __len__(self) -> int:
        return len(self.reference)

    def given(self, hour: int) -> tuple[FloatArray, FloatArray, float]:
        """Give demand by bus, offers and the cost of the least output."""
        return self.case.hour(self._load[hour], self._limit[hour], self.is_committed[hour])


def _against_reference(hours: _Hours) -> list[Row]:
    """Score cost by day, prices by bus and hour, and generation by unit and hour."""
    n, case = len(hours), hours.case
    cost, price = np.empty(n), np.empty((n, len(case.network.bus_names)))
    output = np.empty((n, len(case.unit_names)))
    for hour in range(n):
        demand, offers, least_cost = hours.given(hour)
        hours.dispatch.solve(demand, offers)
        cost[hour] = hours.dispatch.cost + least_cost
        price[hour] = hours.dispatch.rates(ties=False).price_per_mwh
        least = np.where(hours.is_committed[hour] & ~case.is_weather_bound, case.minimum_mw, 0.0)
        output[hour] = least + np.bincount(
            case.offer_unit, weights=hours.dispatch.output_mw, minlength=len(case.unit_names)
        )
    reference = hours.reference
    n_days = n // DAY_H
    whole = slice(0, n_days * DAY_H)
    starts = case.starts_usd(hours.is_committed)[whole].reshape(n_days, DAY_H).sum(axis=1)
    by_day = cost[whole].reshape(n_days, DAY_H).sum(axis=1)
    said = reference.cost_usd.to_numpy().sum(axis=1)[whole].reshape(n_days, DAY_H).sum(axis=1)
    label: Row = {"region": REGION, "estimator": "network", "baselines": {}}
    known = reference.price_usd_per_mwh.select(case.network.bus_names).to_numpy()
    made = reference.generation_mw.select(case.unit_names).to_numpy()
    return [
        {**label, "reference": "reference-cost-of-a-day", **score(by_day + starts, said), "unit": "USD/d"},
        {
            **label,
            "reference": "reference-price-of-a-bus",
            **score(price.ravel(), known.ravel()),
            "unit": "USD/MWh",
        },
        {
            **label,
            "reference": "reference-output-of-a-unit",
            **score(output.ravel(), made.ravel()),
            "unit": "MW",
        },
    ]


def _against_one_more(hours: _Hours) -> list[Row]:
    """Dispatch again with one more megawatt-hour at each bus, in the last third of the hours."""
    dispatch = hours.dispatch
    off, on = ([], []), ([], [])  # type: tuple[list[float], list[float]], tuple[list[float], list[float]]
    n_kinked = 0
    for hour in range(len(hours) * 2 // 3, len(hours)):
        demand, offers, _ = hours.given(hour)
        dispatch.solve(demand, offers)
        rates = dispatch.rates()
        rooms = [dispatch.room_mw(bus) for bus in range(len(demand))]
        before = dispatch.emissions_g_per_h
        for bus, (_, room) in enumerate(rooms):
            if not rates.tied[bus] and room < ONE_MORE_MWH:
                n_kinked += 1
                continue
            kind = on if rates.tied[bus] else off
            step = ONE_MORE_MWH if not rates.tied[bus] else 1e-3
            again = _one_more(dispatch, demand, offers, bus, step, before)
            if rates.tied[bus]:
                dispatch.solve(demand, offers)
                said = dispatch.one_sided(bus, 1)
                if said is None or again is None:
                    continue
            else:
                said = float(rates.marginal_gco2_per_kwh[bus])
            if again is None:
                continue
            kind[0].append(said)
            kind[1].append(again)
    rows = []
    for name, (said_all, again_all) in (("one-more-mwh", off), ("one-more-mwh-on-ties", on)):
        if not said_all:
            continue
        error = np.abs(np.array(said_all) - np.array(again_all))
        rows.append(
            {
                "region": REGION, "reference": name, "estimator": "network",
                **score(np.array(said_all), np.array(again_all)), "max_error": float(error.max()),
                "n_kinked": n_kinked, "unit": "gCO2/kWh", "baselines": {},
            }
        )  # fmt: skip
    return rows


def _one_more(
    dispatch: Dispatch,
    demand: FloatArray,
    offers: FloatArray,
    bus: int,
    step_mw: float,
    before_g_per_h: float,
) -> float | None:
    more = demand.copy()
    more[bus] += step_mw
    try:
        dispatch.solve(more, offers)
    except InputError:
        return None  # nothing is left that could serve it
    return (dispatch.emissions_g_per_h - before_g_per_h) / step_mw / 1000.0
