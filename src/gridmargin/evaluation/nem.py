"""Backtest `nem`: unit by unit, what ran in Australia's market against what was predicted, and who answered a change."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.evaluation.against_epa import states_of, tested_interval
from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.scores import UNIT, Row, correlation, report, score
from gridmargin.grid import UnitFleet, nem_fleet
from gridmargin.marginal import (
    MeritOrder,
    Moves,
    adaptive,
    blocks_at,
    choose_memory,
    choose_softness,
    expected_output,
    learn_moves,
    learn_units,
    moves_of,
    predict_moves,
    predict_units,
    stack_parameters,
)
from gridmargin.sources import SOURCES, find_units, unit_dispatch, unit_inventory
from gridmargin.vocab import FOSSIL, Fuel, InputError, UnknownNameError

FloatArray = NDArray[np.float64]

REGION = "NEM"
DAY_S = 86_400
RISING, FALLING, STILL = "rising", "falling", "still"
"""Regimes of a change of fossil generation: `still` where it is smaller than in the quarter of the past that moved
least. Known when the change is, before its CO2."""

STILL_FRAC, FACTOR_FRAC = 0.25, 0.5
"""A rate is given for changes larger than the median of the past: a small one divides a unit's noise by little."""

KNOWN_FRAC = 0.9
"""A unit known less often than this (commissioned within the data, say) is not predicted; the load keeps what it gave."""

PAST_FRAC = 1 / 3
"""Part of the past that is only learned from before its own held-out errors begin."""

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
    nem, states = read_nem(ask)
    test = tested_interval(states, 10.0, ask.test_year, ask.test_from, ask.test_to)
    first, last = (int(at.timestamp()) for at in (test.start_utc, test.end_utc))
    cut, end = np.searchsorted(nem.start_epoch_s, [first, last])
    if cut < 96 or end - cut < 2:
        raise InputError(
            f"{REGION}: {cut} half hours before {test} and {end - cut} in it; want 96 and 2 at least"
        )
    labels: Row = {"region": REGION, "estimator": MeritOrder.name, "period": str(test)}
    rows = [*_unit_rows(nem, int(cut), int(end), labels), *_change_rows(nem, int(cut), int(end), labels)]
    versions = {"gridmargin": version("gridmargin"), MeritOrder.name: MeritOrder.version}
    return report("nem", versions, time.perf_counter() - started, rows)


def read_nem(ask: Ask) -> tuple[Nem, Any]:
    """Give the units and loads of all regions, and the states of one of them.

    Raises
    ------
    InputError
        If a table is not there, or the two unit tables have no unit in common.
    """
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
    there = np.isfinite(table.output_mw).mean(axis=0) >= KNOWN_FRAC if len(table.start_epoch_s) else []
    units = [at for at, name in enumerate(fleet.unit_names) if name in column and there[column[name]]]
    if not units:
        raise InputError(
            f"{dispatch.name} and {inventory.name} have no unit in common that is known most of the time"
        )
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
    predictions = {
        "fitted on all that precedes the test": _ahead(nem, load, cut, end),
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


def _ahead(nem: Nem, load: FloatArray, cut: int, end: int) -> FloatArray:
    """Output from `cut` to `end`, learned from what precedes `cut`."""
    start, lead = nem.start_epoch_s[:cut], nem.start_epoch_s[cut:end] - nem.start_epoch_s[cut - 1]
    memory = choose_memory(start, load[:cut], nem.output_mw[:cut], float(lead[-1]))
    learned = learn_units(start, load[:cut], nem.output_mw[:cut], memory)
    return predict_units(learned, load[cut:end], lead.astype(np.float64))


def _walk(nem: Nem, load: FloatArray, cut: int, end: int) -> FloatArray:
    per_day = DAY_S // nem.interval_s
    return np.concatenate(
        [_ahead(nem, load, start, min(start + per_day, end)) for start in range(cut, end, per_day)]
    )


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


def _change_rows(nem: Nem, cut: int, end: int, labels: Row) -> list[Row]:
    """Score ΔE for the ΔG that came: CO2 of all fossil units against their generation, from one interval to the next."""
    fossil = np.flatnonzero(nem.is_fossil)
    fleet = _part(nem.fleet, fossil.tolist())
    factor = fleet.factor_gco2_per_kwh / 1000.0
    ramp = fleet.ramp_mw_per_h * nem.interval_s / 3600
    moves = moves_of(
        nem.start_epoch_s[:end], nem.interval_s, nem.output_mw[:end, fossil], nem.residual_mw[:end]
    )
    past, tested = moves[moves.row < cut], moves[moves.row >= cut]
    if not len(tested):
        raise InputError(f"{REGION}: no change in the test has two half hours right before it")
    softness = choose_softness(past, fleet.capacity_mw, ramp, factor)

    def predicted(known: Moves, coming: Moves) -> FloatArray:
        learned = learn_moves(known, fleet.capacity_mw, ramp, softness)
        return np.asarray(predict_moves(learned, coming) @ factor)

    emitted, total = tested.change_mw @ factor, tested.total_mw
    rate = float(past.total_mw @ (past.change_mw @ factor) / (past.total_mw @ past.total_mw))
    mid, constant = predicted(past, tested), rate * total
    size = np.abs(past.total_mw)
    regime = _regimes(total, float(np.quantile(size, STILL_FRAC)))
    per_day = DAY_S // nem.interval_s
    first = max(int(len(past) * PAST_FRAC), per_day)
    held_out = np.concatenate(
        [predicted(past[:at], past[at : at + per_day]) for at in range(first, len(past), per_day)]
    )
    error = past.change_mw[first:] @ factor - held_out
    past_regime = _regimes(past.total_mw[first:], float(np.quantile(size, STILL_FRAC)))
    spread = _spread(np.abs(past.total_mw[first:]), np.abs(error))
    unit, past_unit = spread(np.abs(total)), spread(np.abs(past.total_mw[first:]))
    low, high = adaptive.around(
        emitted / unit, mid / unit, regime, error / past_unit, past_regime, delay=1, lowest=-np.inf
    )
    low, high = low * unit, high * unit
    labels = {**labels, "fit": "fitted on all that precedes the test", "n_units": len(fossil)}
    what = "change of CO2 for the change of fossil generation that came"
    rows = []
    for name in ("", RISING, FALLING, STILL):
        keep = (regime == name) | (not name)
        if not keep.any():
            continue
        row = _changes(mid[keep], emitted[keep], low[keep], high[keep], constant[keep])
        row = {**labels, "reference": what, **({"regime": name} if name else {}), **row, "unit": "tCO2/h"}
        rows.append(
            row if name else {**row, "constant_gco2_per_kwh": 1000.0 * rate, "softness_frac": softness}
        )
    threshold = float(np.quantile(size, FACTOR_FRAC))
    for name in ("", RISING, FALLING):
        keep = (np.abs(total) > threshold) & ((regime == name) | (not name))
        if not keep.any():
            continue
        per = 1000.0 / total[keep]
        ends = np.sort(np.stack([low[keep] * per, high[keep] * per]), axis=0)
        row = _changes(mid[keep] * per, emitted[keep] * per, ends[0], ends[1], constant[keep] * per)
        rows.append(
            {
                **labels,
                "reference": "CO2 per fossil generation that changed, the larger half of changes",
                **({"regime": name} if name else {}),
                **row,
                "least_change_mw": threshold,
                "unit": UNIT,
            }
        )
    return rows


def _spread(size_mw: FloatArray, error: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Give the usual error of a change of some size: the mean of the past's, a straight line that never falls."""
    slope = max(float(np.polyfit(size_mw, error, 1)[0]), 0.0)
    at_zero = max(float(error.mean() - slope * size_mw.mean()), 0.1 * float(error.mean()), 1e-9)
    return lambda size: at_zero + slope * size


def _regimes(total_mw: FloatArray, still_below_mw: float) -> NDArray[np.str_]:
    return np.where(np.abs(total_mw) < still_below_mw, STILL, np.where(total_mw > 0, RISING, FALLING))


def _changes(
    mid: FloatArray, came: FloatArray, low: FloatArray, high: FloatArray, constant: FloatArray
) -> Row:
    """Score changes or their rates beside one constant rate."""
    scores: Row = score(mid, came, low, high)
    scores.pop("bias_frac", None)  # changes sum to nothing: a bias relative to that says nothing
    beside = score(constant, came)
    return {
        **scores,
        "mae_over_constant": scores["mae"] / beside["mae"],
        "baselines": {"constant": {key: beside[key] for key in ("mae", "r") if key in beside}},
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
