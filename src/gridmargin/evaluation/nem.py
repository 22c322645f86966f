"""Backtest `nem`: unit by unit, what ran in Australia's market against what was predicted, and who answered a change."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.evaluation.against_epa import states_of, tested_interval
from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.scores import Row, correlation, report, score
from gridmargin.grid import UnitFleet, nem_fleet
from gridmargin.marginal import (
    MeritOrder,
    blocks_at,
    choose_half_life_days,
    expected_output,
    learn_moves,
    learn_units,
    predict_moves,
    predict_units,
    stack_parameters,
)
from gridmargin.sources import SOURCES, find_units, unit_dispatch, unit_inventory
from gridmargin.vocab import FOSSIL, Fuel, InputError, UnknownNameError

FloatArray = NDArray[np.float64]

REGION = "NEM"
DAY_S = 86_400
GIVEN = frozenset({Fuel.WIND, Fuel.SOLAR})
"""What the weather makes: an input, not something predicted."""


@dataclass(frozen=True, slots=True)
class Nem:
    """The half hours in which every part is known.

    Attributes
    ----------
    start_epoch_s : array, shape (n,)
    fleet : UnitFleet
        The units in the order of `output_mw`.
    output_mw : array, shape (n, u)
    residual_mw : array, shape (n, r)
        Demand less wind and sun, by region. [MW]
    interval_s : int
    """

    start_epoch_s: NDArray[np.int64]
    fleet: UnitFleet
    output_mw: FloatArray
    residual_mw: FloatArray
    interval_s: int

    @property
    def is_fossil(self) -> NDArray[np.bool_]:
        """Which units burn something."""
        return np.array([fuel in FOSSIL for fuel in self.fleet.fuels], dtype=bool)


def run(ask: Ask) -> dict[str, Any]:
    """Fit on what precedes the test and score it; by default the last third of the data.

    Raises
    ------
    InputError
        If a table is not there, or too little precedes the test.
    """
    started = time.perf_counter()
    ask.refuse("nem", "scores what units did", "horizon_min", "avert", "train_year")
    if ask.region not in (None, REGION):
        raise UnknownNameError("region of the nem backtest", str(ask.region), (REGION,))
    nem, states = _read(ask)
    test = tested_interval(states, 10.0, ask.test_year, ask.test_from, ask.test_to)
    first, last = (int(at.timestamp()) for at in (test.start_utc, test.end_utc))
    cut, end = np.searchsorted(nem.start_epoch_s, [first, last])
    if cut < 96 or end - cut < 2:
        raise InputError(
            f"{REGION}: {cut} half hours before {test} and {end - cut} in it; want 96 and 2 at least"
        )
    labels: Row = {"region": REGION, "estimator": MeritOrder.name, "period": str(test)}
    rows = [*_unit_rows(nem, int(cut), int(end), labels), _change_row(nem, int(cut), int(end), labels)]
    versions = {"gridmargin": version("gridmargin"), MeritOrder.name: MeritOrder.version}
    return report("nem", versions, time.perf_counter() - started, rows)


def _read(ask: Ask) -> tuple[Nem, Any]:
    inventory, dispatch = find_units(ask.data)
    fleet, table = nem_fleet(unit_inventory(inventory)), unit_dispatch(dispatch)
    source = SOURCES.get("aemo")(ask.data)
    zones = source.zones()
    if not zones:
        raise InputError(f"no files named PUBLIC_DVD_TRADINGREGIONSUM_*.CSV under {ask.data}")
    by_zone = {zone: states_of(source, zone) for zone in zones}
    start = table.start_epoch_s
    for states in by_zone.values():
        start = np.intersect1d(start, states.start_epoch_s())
    column = {name: at for at, name in enumerate(table.names)}
    units = [at for at, name in enumerate(fleet.unit_names) if name in column]
    fleet = _part(fleet, units)
    output = table.output_mw[np.searchsorted(table.start_epoch_s, start)][
        :, [column[name] for name in fleet.unit_names]
    ]
    given = np.array([fuel in GIVEN for fuel in fleet.fuels], dtype=bool)
    residual = np.column_stack(
        [
            states.values("demand_mw")[np.searchsorted(states.start_epoch_s(), start)]
            - output[:, given & (np.array(fleet.places) == zone)].sum(axis=1)
            for zone, states in by_zone.items()
        ]
    )
    known = np.isfinite(residual).all(axis=1) & np.isfinite(output[:, ~given]).all(axis=1)
    kept = [at for at in range(len(fleet)) if not given[at]]
    nem = Nem(
        start[known], _part(fleet, kept), output[known][:, kept], residual[known], source.interval_s(zones[0])
    )
    return nem, next(iter(by_zone.values()))


def _unit_rows(nem: Nem, cut: int, end: int, labels: Row) -> list[Row]:
    load, real = nem.residual_mw.sum(axis=1), nem.output_mw[cut:end]
    half_life = choose_half_life_days(load[:cut], nem.output_mw[:cut], nem.interval_s)
    at_once = predict_units(
        learn_units(load[:cut], nem.output_mw[:cut], nem.interval_s, half_life), load[cut:end]
    )
    predictions = {
        "fitted on all that precedes the test": at_once,
        "fitted again every day on all that precedes": _walk(nem, load, cut, end),
    }
    fossil = nem.is_fossil
    past_mean = np.broadcast_to(nem.output_mw[:cut].mean(axis=0), real.shape)
    last_day = nem.output_mw[np.maximum(np.arange(cut, end) - DAY_S // nem.interval_s, 0)]
    baselines = {"unit mean of the past": past_mean, "the day before": last_day}
    rows = []
    for units, which in ((fossil, "fossil units"), (np.ones_like(fossil), "fossil and hydro units")):
        base = {
            name: _pooled(values[:, units], real[:, units], short=True) for name, values in baselines.items()
        }
        fits = dict(predictions)
        if which == "fossil units":
            fits = {"costs alone": _by_costs(nem, cut, end), **fits}
        for how, predicted in fits.items():
            rows.append(
                {
                    **labels,
                    "reference": f"output of {which}",
                    "fit": how,
                    "n_units": int(units.sum()),
                    **_pooled(predicted[:, units], real[:, units]),
                    "baselines": base,
                    "unit": "MW",
                }
            )
    return rows


def _walk(nem: Nem, load: FloatArray, cut: int, end: int) -> FloatArray:
    parts = []
    per_day = DAY_S // nem.interval_s
    for start in range(cut, end, per_day):
        stop = min(start + per_day, end)
        past = nem.output_mw[:start]
        half_life = choose_half_life_days(
            load[:start][-10 * per_day :], past[-10 * per_day :], nem.interval_s
        )
        learned = learn_units(load[:start], past, nem.interval_s, half_life)
        parts.append(predict_units(learned, load[start:stop]))
    return np.concatenate(parts)


def _by_costs(nem: Nem, cut: int, end: int) -> FloatArray:
    """Mean output by the stack's costs alone, at the load that fossil units together served; columns as the fleet."""
    fossil = np.flatnonzero(nem.is_fossil)
    p = stack_parameters(_part(nem.fleet, fossil.tolist()), None, None)
    p["sources"] = p["units"]
    load = nem.output_mw[cut:end][:, fossil].sum(axis=1)
    given = expected_output(blocks_at(p, {}), load, p["load_sd_mw"])
    place = {name: at for at, name in enumerate(nem.fleet.unit_names)}
    out = np.zeros((end - cut, len(nem.fleet)))
    out[:, [place[name] for name in p["units"]]] = given
    return out


def _pooled(predicted: FloatArray, real: FloatArray, short: bool = False) -> Row:
    scores: Row = score(predicted.ravel(), real.ravel())
    if short:
        return {key: scores[key] for key in ("mae", "r") if key in scores}
    each = [correlation(predicted[:, at], real[:, at]) for at in range(real.shape[1])]
    known = [r for r in each if r is not None]
    return {
        **scores,
        **({"median_unit_r": float(np.median(known)), "n_units_that_moved": len(known)} if known else {}),
    }


def _change_row(nem: Nem, cut: int, end: int, labels: Row) -> Row:
    """Score ΔE for the ΔG that came: CO2 of all fossil units against their generation, from one interval to the next."""
    fossil = np.flatnonzero(nem.is_fossil)
    fleet = _part(nem.fleet, fossil.tolist())
    output, factor = nem.output_mw[:, fossil], fleet.factor_gco2_per_kwh / 1000.0
    ramp = fleet.ramp_mw_per_h * nem.interval_s / 3600
    learned = learn_moves(output[:cut], nem.residual_mw[:cut], fleet.capacity_mw, ramp)
    next_to = np.diff(nem.start_epoch_s) == nem.interval_s
    change, region_change = np.diff(output, axis=0), np.diff(nem.residual_mw, axis=0)
    total, emitted = change.sum(axis=1), change @ factor
    train = np.flatnonzero(next_to[: cut - 1])
    tested = cut - 1 + np.flatnonzero(next_to[cut - 1 : end - 1])
    rate = float((total[train] @ emitted[train]) / (total[train] @ total[train]))
    moved = predict_moves(learned, output[tested], region_change[tested], total[tested])
    scores = score(moved @ factor, emitted[tested])
    scores.pop("bias_frac", None)  # changes sum to nothing: a bias relative to that says nothing
    constant = score(rate * total[tested], emitted[tested])
    return {
        **labels,
        "reference": "change of CO2 for the change of fossil generation that came",
        "fit": "fitted on all that precedes the test",
        "n_units": len(fossil),
        **scores,
        "mae_over_constant": scores["mae"] / constant["mae"],
        "constant_gco2_per_kwh": 1000.0 * rate,
        "baselines": {"constant": {key: constant[key] for key in ("mae", "r")}},
        "unit": "tCO2/h",
    }


def _part(fleet: UnitFleet, units: list[int]) -> UnitFleet:
    values = {}
    for name in UnitFleet.__dataclass_fields__:
        value = getattr(fleet, name)
        if isinstance(value, np.ndarray):
            value = value[units]
        elif name in ("unit_names", "fuels", "places"):
            value = tuple(value[at] for at in units)
        values[name] = value
    return UnitFleet(**values)
