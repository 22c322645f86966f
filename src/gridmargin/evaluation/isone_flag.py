"""Backtest `isone-flag`: the fuels that ISO New England calls marginal, from generation by fuel and its changes.

Rows of a fit on what precedes the test, and `out-of-fold` rows, each local day predicted by a fit on the other days,
which answer for how rare flags are found and are no test on what precedes.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.evaluation.against_epa import states_of
from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.flag_model import Cases, cases_of, learn
from gridmargin.evaluation.scores import Row, brier, f1, report
from gridmargin.grid import sound
from gridmargin.sources import SOURCES
from gridmargin.vocab import InputError, Interval, UnknownNameError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ESTIMATORS = {"mix": False, "mix+past flags": True}
"""From generation alone; and with the flags of the state before, which an operator has published by then."""

REFERENCE = "operator's flag"
DAY_S = 86_400
MOST_FOLDS = 8
_MIN_TRAIN = 50


def run(ask: Ask) -> dict[str, Any]:
    """Fit on what precedes the test and score every state of it; by default the last third of the states.

    Raises
    ------
    InputError
        If there are no flags, or too few states precede the test.
    """
    started = time.perf_counter()
    ask.refuse(
        "isone-flag", "tests a stretch of time and has no forecast", "train_year", "test_year", "horizon_min"
    )
    source = SOURCES.get("isone")(ask.data)
    zones = source.zones()
    if not zones:
        raise InputError(f"no table named genfuelmix.csv.gz under {ask.data}")
    if ask.region not in (None, *zones):
        raise UnknownNameError("region of the isone-flag backtest", str(ask.region), zones)
    rows: list[Row] = []
    for zone in zones:
        states, _ = sound(states_of(source, zone))
        cases = cases_of(states)
        train, test = _split(cases, ask)
        labels = {"region": zone, "period": _period(test)}
        for name, with_past in ESTIMATORS.items():
            probability, said = learn(train, with_past=with_past).predict(test)
            rows += _rows(train, test, probability, said, {**labels, "estimator": name})
        rows += _out_of_fold(cases, zone)
    return report("isone-flag", {"gridmargin": version("gridmargin")}, time.perf_counter() - started, rows)


def _split(cases: Cases, ask: Ask) -> tuple[Cases, Cases]:
    start_s = cases.start_epoch_s
    if len(cases) < 3:
        raise InputError(f"{len(cases)} states with a flag: too few to fit on and to test")
    # Days may lie weeks apart, so a third is counted in states and not in time.
    first = ask.test_from.timestamp() if ask.test_from else float(start_s[len(cases) * 2 // 3])
    last = ask.test_to.timestamp() if ask.test_to else np.inf
    train, test = cases.rows(start_s < first), cases.rows((start_s >= first) & (start_s < last))
    if len(train) < _MIN_TRAIN or not len(test):
        raise InputError(
            f"{len(train)} flagged states before the test and {len(test)} in it; want {_MIN_TRAIN} and 1:"
            " give another `test_from`"
        )
    return train, test


def _out_of_fold(cases: Cases, zone: str) -> list[Row]:
    """Give rows in which every day, or stretch of days, is predicted from all the others."""
    # Days are cut where New England's night is quiet, 05:00 UTC: midnight of its standard clock.
    _, day = np.unique((cases.start_epoch_s - 5 * 3600) // DAY_S, return_inverse=True)
    n_days = int(day.max()) + 1
    day = day * min(n_days, MOST_FOLDS) // n_days
    days = np.unique(day)
    if len(days) < 3 or min(int((day != each).sum()) for each in days) < _MIN_TRAIN:
        return []
    rows = []
    frequency = np.empty(cases.flagged.shape)
    common = np.zeros(cases.flagged.shape, dtype=np.bool_)
    for each in days:
        frequency[day == each] = cases.flagged[day != each].mean(axis=0)
    common[np.arange(len(cases)), frequency.argmax(axis=1)] = True
    for name, with_past in ESTIMATORS.items():
        probability, said = np.empty(cases.flagged.shape), np.empty(cases.flagged.shape, dtype=np.bool_)
        for each in days:
            model = learn(cases.rows(day != each), with_past=with_past)
            probability[day == each], said[day == each] = model.predict(cases.rows(day == each))
        labels = {"region": zone, "period": f"out-of-fold {_period(cases)}", "estimator": name}
        rows += _scored(cases, probability, said, frequency, common, labels)
    return rows


def _rows(
    train: Cases, test: Cases, probability: FloatArray, said: BoolArray, labels: dict[str, str]
) -> list[Row]:
    frequency = train.flagged.mean(axis=0)
    common = np.zeros(test.flagged.shape, dtype=np.bool_)
    common[:, frequency.argmax()] = True
    return _scored(test, probability, said, np.broadcast_to(frequency, probability.shape), common, labels)


def _scored(
    test: Cases,
    probability: FloatArray,
    said: BoolArray,
    frequency: FloatArray,
    common: BoolArray,
    labels: dict[str, str],
) -> list[Row]:
    """Give the row of all fuels, macro-averaged over those that were flagged, and a row for each of them."""
    before = np.where(np.isfinite(test.previous) & (test.previous != 0.5), test.previous > 0.5, common)
    always = f"always_{test.fuels[int(common[0].argmax())].value}"
    which = np.flatnonzero(test.flagged.any(axis=0))

    def both(p: FloatArray, call: BoolArray, fuels: NDArray[np.int64]) -> Row:
        each = [f1(call[:, k], test.flagged[:, k]) or 0.0 for k in which if k in fuels]
        chance = p[:, fuels] if len(fuels) > 1 else p[:, fuels[0]]
        happened = test.flagged[:, fuels] if len(fuels) > 1 else test.flagged[:, fuels[0]]
        return {"f1": float(np.mean(each)), "brier": brier(chance, happened)}

    def row(fuels: NDArray[np.int64], reference: str) -> Row:
        return {
            **labels,
            "reference": reference,
            "n": len(test),
            "n_flagged": int(test.flagged[:, fuels].any(axis=1).sum()),
            **both(probability, said, fuels),
            "unit": "1",
            "baselines": {
                always: both(common.astype(np.float64), common, fuels),
                "previous": both(before.astype(np.float64), before, fuels),
                "climatology": {"brier": both(frequency, common, fuels)["brier"]},
            },
        }

    everything = np.arange(len(test.fuels))
    rows = [row(everything, REFERENCE)]
    return rows + [row(np.array([k]), f"{REFERENCE}: {test.fuels[k].value}") for k in which]


def _period(cases: Cases) -> str:
    ends = (int(cases.start_epoch_s[0]), int(cases.start_epoch_s[-1]) + 300)
    return str(Interval(*(datetime.fromtimestamp(end, UTC) for end in ends)))
