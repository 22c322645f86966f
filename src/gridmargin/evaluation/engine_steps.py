"""Backtest `engine-steps`: a step cost fitted on the first part of a run, held against the meter in the rest.

The reference is the driver's reported power, so the prediction passes through the same average before it is compared.
"""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.attribution import (
    DECODE,
    IDLE,
    PREFILL,
    TERMS,
    CostFit,
    CostKey,
    CostPrior,
    align,
    prior_of_proportions,
    window_terms,
)
from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.engine_trace import ENGINE, EngineTrace, read_trace
from gridmargin.evaluation.scores import Row, report, score
from gridmargin.reference import known_devices, known_models, profile_for
from gridmargin.vocab import InputError, UnknownNameError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

WINDOW_S = 2.0
FEWEST_FIT_WINDOWS = 3
REFERENCE = f"driver's power, {WINDOW_S:g} s"
LOW_BATCH_FRAC = 0.5
"""A window is of low batch where fewer run at a time than this share of what ran in the fit."""


def run(ask: Ask) -> dict[str, Any]:
    """Fit each run's first part and score its 2 s windows after that.

    Raises
    ------
    InputError
        If there is no run, its files are bad, do not overlap, or hold too few windows.
    """
    started = time.perf_counter()
    why = "fits a part of one run, which has no date"
    ask.refuse("engine-steps", why, "avert", "train_year", "test_year", "test_from", "test_to", "horizon_min")
    folders = sorted(path.parent for path in ask.data.rglob(ENGINE))
    if not folders:
        raise InputError(
            f"no {ENGINE} under {ask.data}; a run is a folder with that file and its meter's beside it"
        )
    if ask.region is not None:
        names = [folder.name for folder in folders]
        if ask.region not in names:
            raise UnknownNameError("run of the engine-steps backtest", ask.region, names)
        folders = [folder for folder in folders if folder.name == ask.region]
    rows = [row for folder in folders for row in run_rows(folder, ask.train_s)]
    versions = {name: version(name) for name in ("gridmargin", "numpy", "scipy")}
    return report("engine-steps", versions, time.perf_counter() - started, rows)


def typical_prior() -> CostPrior:
    """Give the proportions of the typical profile: files that name neither device nor model have no better.

    What a prompt token costs is left free, since the profiles have it from the public run that is scored here too.
    """
    known = [
        prior_of_proportions(profile_for(device, model))
        for device in known_devices()
        for model in known_models(device)
    ]
    mean = np.median([prior.mean for prior in known], axis=0)
    sd = np.median([prior.sd for prior in known], axis=0)
    sd[PREFILL] = 10.0 * mean[DECODE]
    return replace(known[0], mean=mean, sd=sd)


def run_rows(folder: Path, train_s: float | None) -> list[Row]:
    """Give the rows of one run."""
    trace = read_trace(folder)
    first_us = max(int(trace.steps.start_us[0]), int(trace.reading_us[0]))
    last_us = min(int(trace.steps.end_us[-1]), int(trace.reading_us[-1]))
    if last_us <= first_us:
        raise InputError(
            f"{folder}: the engine tells of {trace.steps.start_us[0] / 1e6:g}-{trace.steps.end_us[-1] / 1e6:g} s and the"
            f" meter of {trace.reading_us[0] / 1e6:g}-{trace.reading_us[-1] / 1e6:g} s; give files of the same time"
        )
    cut_us = (first_us + last_us) // 2 if train_s is None else round(train_s * 1e6)
    window_us = round(WINDOW_S * 1e6)
    if cut_us - first_us < FEWEST_FIT_WINDOWS * window_us or last_us - cut_us < window_us:
        raise InputError(
            f"{folder}: {max(cut_us - first_us, 0) / 1e6:.1f} s to fit on and {max(last_us - cut_us, 0) / 1e6:.1f} s to"
            f" test, of {(last_us - first_us) / 1e6:.1f} s; want {FEWEST_FIT_WINDOWS * WINDOW_S:g} s and {WINDOW_S:g} s:"
            " give a longer run or another `train_s`"
        )
    fitted = trace.reading_us <= cut_us
    before = trace.steps.take(np.flatnonzero(trace.steps.end_us <= cut_us))
    alignment = align(before, trace.reading_us[fitted], trace.power_w[fitted], typical_prior())
    windows = _Windows(trace, *alignment.windows(trace.reading_us), cut_us, window_us)
    learned = CostFit(CostKey(folder.name, "as recorded", "as recorded"), typical_prior())
    for number in windows.numbers(before_cut=True):
        learned.update(*windows.readings(number))
    cost = learned.cost()
    tested = windows.numbers(before_cut=False)
    if not len(tested):
        raise InputError(
            f"{folder}: no {WINDOW_S:g} s window after {cut_us / 1e6:g} s has its readings; give more"
        )
    means = np.array([windows.mean(number) for number in tested])
    terms, energy_j = means[:, :-1], means[:, -1]
    low, high = cost.range_j(terms)
    online = np.array([_predict_then_read(learned, windows, n) for n in tested])
    active = np.array([windows.active(number) for number in tested])
    labels = {
        "region": folder.name,
        "period": f"{cut_us / 1e6:.1f}-{last_us / 1e6:.1f} s",
        "reference": REFERENCE,
        "unit": "J",
        "clock_offset_s": alignment.offset_s,
        "average_s": alignment.average_s,
        "coefficients": dict(zip(TERMS, cost.coefficients.tolist(), strict=True)),
        "fit": f"on {(cut_us - first_us) / 1e6:.1f} s; meter {alignment.offset_s:+.2f} s, {alignment.average_s:g} s mean",
    }
    beside = _baselines(windows, tested, terms)
    low_batch = active < LOW_BATCH_FRAC * windows.active_before_cut()
    every = np.ones(len(tested), np.bool_)
    rows = []
    for name, guess, lows, highs in (
        ("step-cost", cost.energy_j(terms), low, high),
        ("step-cost, learning on", online[:, 0], online[:, 1], online[:, 2]),
    ):
        for regime, use in (("", every), ("low batch", low_batch)):
            if not use.any():
                continue
            row = {**labels, "estimator": name, **({"regime": regime} if regime else {})}
            row |= score(guess[use], energy_j[use], lows[use], highs[use]) | {
                "mape": _mape(guess, energy_j, use)
            }
            row["baselines"] = {
                other: {"mae": float(np.abs(said - energy_j)[use].mean()), "mape": _mape(said, energy_j, use)}
                for other, said in beside.items()
            }
            rows.append(row)
    drift = learned.cost().drifted_since_us
    if drift is not None:
        for row in rows:
            row["drifted_since_s"] = drift / 1e6
    return rows


class _Windows:
    """Windows of two seconds, of the readings that lie in them and what the steps did in the readings' own windows."""

    def __init__(
        self, trace: EngineTrace, start_us: IntArray, end_us: IntArray, cut_us: int, window_us: int
    ) -> None:
        steps = trace.steps
        inside = (start_us >= int(steps.start_us[0])) & (end_us <= int(steps.end_us[-1]))
        self.start_us, self.end_us = start_us[inside], end_us[inside]
        self.power_w = trace.power_w[inside]
        self.terms = window_terms(steps, self.start_us, self.end_us)
        self.average_s = self.terms[:, IDLE]
        # The last reading of a window stands at its end.
        self.number = -(-(trace.reading_us[inside] - cut_us) // window_us) - 1
        running = steps.n_active.astype(np.float64) * steps.duration_s
        total = np.concatenate([[0.0], np.cumsum(running)])
        edges = np.concatenate([steps.start_us, steps.end_us[-1:]])
        self.running = (
            np.interp(self.end_us, edges, total) - np.interp(self.start_us, edges, total)
        ) / self.average_s
        period_us = float(np.median(np.diff(trace.reading_us)))
        self.fewest = max(int(0.75 * window_us / period_us), 1)

    def numbers(self, before_cut: bool) -> IntArray:
        """Give the windows that have their readings, the first after the cut being 0."""
        found, counts = np.unique(self.number[np.isfinite(self.power_w)], return_counts=True)
        side = found < 0 if before_cut else found >= 0
        return np.asarray(found[side & (before_cut | (counts >= self.fewest))], np.int64)

    def of(self, number: int) -> slice:
        """Give the places of a window's readings."""
        return slice(*np.searchsorted(self.number, [number, number + 1]))

    def readings(self, number: int) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
        """Give what `CostFit.update` reads."""
        at = self.of(number)
        return self.terms[at], self.power_w[at] * self.average_s[at], self.start_us[at], self.end_us[at]

    def mean(self, number: int) -> FloatArray:
        """Give the terms of two seconds as the readings average them, and at the end the energy. [J]"""
        at = self.of(number)
        known = np.isfinite(self.power_w[at])
        terms = (self.terms[at] / self.average_s[at, None])[known].mean(axis=0) * WINDOW_S
        return np.append(terms, self.power_w[at][known].mean() * WINDOW_S)

    def active(self, number: int) -> float:
        """Give how many requests ran at a time."""
        return float(self.running[self.of(number)].mean())

    def active_before_cut(self) -> float:
        """Give how many ran at a time where any did, in the fit."""
        ran = self.running[(self.number < 0) & (self.running > 0)]
        return float(np.median(ran)) if len(ran) else 0.0


def _predict_then_read(learned: CostFit, windows: _Windows, number: int) -> tuple[float, float, float]:
    cost, terms = learned.cost(), windows.mean(number)[None, :-1]
    low, high = cost.range_j(terms)
    learned.update(*windows.readings(number))
    return float(cost.energy_j(terms)[0]), float(low[0]), float(high[0])


def _baselines(windows: _Windows, tested: IntArray, terms: FloatArray) -> dict[str, FloatArray]:
    """Predict from the fit's mean power, from its joules per token, and by the window before, whatever ran in it."""
    fit = (windows.number < 0) & np.isfinite(windows.power_w)
    watts = float(windows.power_w[fit].mean())
    tokens_per_s = ((windows.terms[:, PREFILL] + windows.terms[:, DECODE]) / windows.average_s)[fit].mean()
    per_token_j = watts / tokens_per_s if tokens_per_s > 0 else 0.0
    energy = {n: windows.mean(int(n))[-1] for n in windows.numbers(before_cut=False)}
    before = windows.power_w[fit & (windows.number == -1)]
    last = [float(before.mean() if len(before) else watts) * WINDOW_S]
    last += [float(energy[number]) for number in tested[:-1]]
    return {
        "token_proportional": per_token_j * (terms[:, PREFILL] + terms[:, DECODE]),
        "constant": np.full(len(tested), watts * WINDOW_S),
        "last_value": np.array(last),
    }


def _mape(guess: FloatArray, energy_j: FloatArray, use: BoolArray) -> float:
    return float(np.abs(guess[use] / energy_j[use] - 1.0).mean())
