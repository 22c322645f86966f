"""What the backtests of fuel-mix zones share: states from a source, EPA's rate of each hour, rows of scores.

EPA's rate of an hour is AVERT's own arithmetic on its own curve of that year at the region's fossil load of that
hour, without smoothing of ours: what a displaced share of the load avoids, a kilowatt-hour. It is one reference
among others, not the truth; docs/methods/backtest-ercot.md says what it can and cannot show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.evaluation.coverage import HOUR_S, Ranged, hourly_regimes
from gridmargin.evaluation.scores import UNIT, baseline_scores, baselines, profile_r, score
from gridmargin.grid import GridStates, assemble, avert_fleet
from gridmargin.marginal import Estimates, Estimator, Facts, epa_rate, known_facts
from gridmargin.reference import Zone
from gridmargin.sources import OZONE_MONTHS, Observations, Source, open_avert
from gridmargin.vocab import InputError, Interval

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Row = dict[str, Any]

DISPLACED_FRACS = (0.05, 0.15)
"""Shares of the fossil load whose displacement is asked of AVERT; 15 % is the most its manual allows."""

FOLDS = (6, 12)
"""Contiguous parts of the stretch: of a year, two months each or one. Both are given, since which one serves best was
seen before either was chosen."""

RANGED_AGAINST = "epa-displacement-5pct"
"""The reference that ranges are calibrated on, and so the one that pooled coverage is given for."""


@dataclass(frozen=True, slots=True)
class Reference:
    """EPA's rate, hour by hour.

    Attributes
    ----------
    start_epoch_s : array of int64, shape (n,)
        Hour starts, increasing. [s since 1970 UTC]
    hour, month : arrays of int64, shape (n,)
        Of the local standard clock.
    rate_gco2_per_kwh : mapping of str to array, shape (n,)
        By name of the reference.
    """

    start_epoch_s: IntArray
    hour: IntArray
    month: IntArray
    rate_gco2_per_kwh: dict[str, FloatArray]

    def at(self, start_epoch_s: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
        """Give the row of each hour, and whether it is there."""
        row = np.minimum(np.searchsorted(self.start_epoch_s, start_epoch_s), len(self.start_epoch_s) - 1)
        return row, self.start_epoch_s[row] == start_epoch_s


def epa_reference(folder: Path, region: str) -> Reference:
    """Give EPA's rate of every hour of every year that the folder has for a region."""
    tables = open_avert(folder)
    parts: dict[str, list[NDArray[Any]]] = {}
    for year in sorted(tables.years(region)):
        load, curve = tables.fossil_load(region, year), tables.curve(region, year)
        is_ozone = np.isin(load.month, OZONE_MONTHS)

        for name in ("start_epoch_s", "hour", "month"):
            parts.setdefault(name, []).append(getattr(load, name))
        for share in DISPLACED_FRACS:
            rate = epa_rate(curve, load.load_mw, is_ozone, share)
            parts.setdefault(f"epa-displacement-{share:.0%}".replace("%", "pct"), []).append(rate)
    if not parts:
        raise InputError(f"the AVERT folder has no year of {region}; it has {', '.join(tables.regions())}")
    joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    order = np.argsort(joined["start_epoch_s"], kind="stable")
    start, hour, month = (joined.pop(name)[order] for name in ("start_epoch_s", "hour", "month"))
    return Reference(start, hour, month, {name: rate[order] for name, rate in joined.items()})


def states_of(source: Source, zone: str) -> GridStates:
    """Give every state that a source holds of a zone."""
    span = source.span(zone)
    parts = [source.parse(payload, span) for payload in source.fetch(zone, span)]
    return assemble(Observations.concat(parts), zone, source.interval_s(zone))


def facts_before(zone: Zone, avert: Path, year: int) -> Facts:
    """Give what was known of a zone before a year: rates and fleet of the year before at the newest."""
    fleet = avert_fleet(avert, zone.avert_region, year - 1) if zone.avert_region else None
    return known_facts(zone, year - 1, fleet)


def tested_interval(
    states: GridStates,
    utc_offset_h: float,
    test_year: int | None,
    test_from: datetime | None,
    test_to: datetime | None,
) -> Interval:
    """Give the stretch to be tested: a whole local standard year, the one named, or the last third of the data.

    Raises
    ------
    InputError
        If a year and a stretch are both named, or neither end lies in the data.
    """
    starts = states.frame["start_utc"]
    if not len(starts):
        raise InputError(f"there are no states of {states.zone} to test on")
    end = starts[-1] + timedelta(seconds=states.interval_s)
    if test_year is not None:
        if test_from is not None or test_to is not None:
            raise InputError("name a test year or a test stretch, not both")
        shift = timedelta(hours=utc_offset_h)
        return Interval(
            datetime(test_year, 1, 1, tzinfo=UTC) - shift, datetime(test_year + 1, 1, 1, tzinfo=UTC) - shift
        )
    return Interval(test_from or starts[len(starts) * 2 // 3], test_to or end)


def hourly(estimates: Estimates) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Give hour starts and the mean low, mid and high of each hour."""
    hour, index = np.unique(estimates.start_epoch_s // HOUR_S * HOUR_S, return_inverse=True)
    count = np.bincount(index)
    low, mid, high = (
        np.bincount(index, weights=v) / count for v in (estimates.low, estimates.mid, estimates.high)
    )
    return hour, low, mid, high


def rows_before(
    estimator: Estimator, states: GridStates, test: Interval, facts: Facts, epa: Reference, labels: Row
) -> tuple[list[Row], Ranged]:
    """Score a fit on all that precedes the test.

    Raises
    ------
    InputError
        If nothing precedes it, nothing lies in it, or the estimator cannot fit.
    """
    frame = states.frame
    history = _part(states, frame.filter(pl.col("start_utc") < test.start_utc))
    chosen = states.between(test)
    for part, what in ((history, f"before {test.start_utc:%Y-%m-%d}"), (chosen, f"in {test}")):
        if not len(part):
            raise InputError(f"{states.zone} has no states {what}; it has {frame['start_utc'][0]:%Y-%m-%d} to "
                             f"{frame['start_utc'][-1]:%Y-%m-%d}")  # fmt: skip
    missing = estimator.can_fit(history, facts)
    if missing:
        raise InputError(f"{missing}; test a later stretch or give more data")
    estimates = estimator.estimate(chosen, estimator.fit(history, facts))
    train = epa.at(np.unique(history.start_epoch_s() // HOUR_S * HOUR_S))
    train_rows = train[0][train[1]]
    if not len(train_rows):
        train_rows = np.flatnonzero(epa.start_epoch_s < test.start_utc.timestamp())
    labels = {**labels, "estimator": estimator.name}
    rows = list(_rows(hourly(estimates), epa, train_rows, labels))
    return rows, _ranged(hourly(estimates), hourly_regimes(estimates), epa)


def rows_out_of_fold(
    estimator: Estimator, states: GridStates, facts: Facts, epa: Reference, labels: Row, n_folds: int
) -> Iterator[Row]:
    """Score the whole stretch, each of `n_folds` contiguous parts by a fit on all others, some of them later.

    For a mean over a year of which no earlier data are there; not a test on what precedes.
    """
    fold = np.arange(len(states)) * n_folds // max(len(states), 1)
    parts = []
    for number in range(n_folds):
        rest = _part(states, states.frame.filter(fold != number))
        missing = estimator.can_fit(rest, facts)
        if missing:
            raise InputError(missing)
        fit = estimator.fit(rest, facts)
        parts.append(hourly(estimator.estimate(_part(states, states.frame.filter(fold == number)), fit)))
    joined = tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    earlier = np.flatnonzero(epa.start_epoch_s < int(states.start_epoch_s()[0]))
    yield from _rows(joined, epa, earlier, {**labels, "estimator": estimator.name})  # type: ignore[arg-type]


def _rows(
    estimate: tuple[IntArray, FloatArray, FloatArray, FloatArray],
    epa: Reference,
    train: IntArray,
    labels: Row,
) -> Iterator[Row]:
    start_s, low, mid, high = estimate
    row, there = epa.at(start_s)
    row, low, mid, high = row[there], low[there], mid[there], high[there]
    if not len(row):
        raise InputError(
            f"{labels['region']}: EPA has no rate for any hour of the test; give its year's AVERT tables"
        )
    for name, rate in epa.rate_gco2_per_kwh.items():
        scores = score(mid, rate[row], low, high)
        profile = profile_r(epa.hour[row], mid, rate[row])
        past = baselines(epa.hour[train], epa.month[train], rate[train], epa.hour[row], epa.month[row])
        yield {
            "region": labels["region"],
            "reference": name,
            **{key: value for key, value in labels.items() if key != "region"},
            **scores,
            **({} if profile is None else {"profile_r": profile}),
            "mean": float(mid.mean()),
            "reference_mean": float(rate[row].mean()),
            "unit": UNIT,
            "baselines": baseline_scores(past, rate[row]),
        }


def _ranged(
    estimate: tuple[IntArray, FloatArray, FloatArray, FloatArray], regime: NDArray[np.str_], epa: Reference
) -> Ranged:
    start_s, low, mid, high = estimate
    row, there = epa.at(start_s)
    rate = epa.rate_gco2_per_kwh[RANGED_AGAINST][row[there]]
    return Ranged(regime[there], low[there], mid[there], high[there], rate)


def _part(states: GridStates, frame: pl.DataFrame) -> GridStates:
    return GridStates(states.zone, states.interval_s, frame)
