"""Backtest of fleet_curve: one year's curves against what EPA says of a later year, hour by hour, region by region.

The reference is EPA's own arithmetic on EPA's own curve of the test year, without any smoothing of ours. It is given
in four forms, each its own row; docs/methods/backtest-avert.md says what each is for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.evaluation.against_epa import DISPLACED_FRACS
from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.coverage import Ranged, coverage_rows
from gridmargin.evaluation.scores import UNIT, baseline_scores, baselines, report, score
from gridmargin.grid import FleetResponse, GridStates, avert_fleet
from gridmargin.marginal import ESTIMATORS, Estimates, Facts, epa_co2
from gridmargin.sources import OZONE_MONTHS, AvertLoad, open_avert
from gridmargin.vocab import Fuel, InputError, UnknownNameError, generation_column

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Row = dict[str, Any]

ESTIMATOR = "fleet_curve"

TRAIN_CURVE = "train_curve"
"""The baseline that is EPA's own arithmetic on EPA's curve of the train year at the loads of the test year. Its bias,
and that of `constant`, is how far EPA's own answer moved from one year to the other."""

CHANGE = "epa-hourly-change"
"""The reference whose unit is kg CO2 an hour: how EPA's CO2 moved from this hour to the next."""

CHANGE_UNIT = "kgCO2/h"
G_PER_KG = 1000.0
G_PER_KWH_MW = 1000.0  # 1 MW for an hour is 1000 kWh


@dataclass(frozen=True, slots=True)
class _Year:
    """One region's hours of one year with EPA's curve for it."""

    fleet: FleetResponse
    load: AvertLoad

    @property
    def is_ozone(self) -> BoolArray:
        return np.isin(self.load.month, OZONE_MONTHS)

    def co2_g_per_h(self, load_mw: FloatArray) -> FloatArray:
        """Give EPA's CO2 at a load for each of these hours, on the straight lines between its bins. [g h⁻¹]"""
        return epa_co2(self.fleet, load_mw, self.is_ozone)

    def difference_rate(self, from_mw: FloatArray, to_mw: FloatArray) -> FloatArray:
        """Give EPA's CO2 between two loads of each hour, a kilowatt-hour. [g kWh⁻¹]"""
        return (self.co2_g_per_h(to_mw) - self.co2_g_per_h(from_mw)) / (G_PER_KWH_MW * (to_mw - from_mw))

    def states(self) -> GridStates:
        """Give the fossil load as states, so that the estimator is used as everywhere else."""
        frame = pl.DataFrame(
            {
                "start_utc": pl.Series(self.load.start_epoch_s * 1_000_000).cast(pl.Datetime("us", "UTC")),
                generation_column(Fuel.GAS): self.load.load_mw,
            }
        ).with_columns(status=pl.lit("reported"), completeness_frac=pl.lit(1.0))
        return GridStates(f"AVERT {self.load.region}", 3600, frame.sort("start_utc"))


def backtest_avert(
    data_dir: Path, train_year: int, test_year: int, regions: Sequence[str] | None = None
) -> dict[str, Any]:
    """Score fleet_curve, fitted on `train_year` and before, on every hour of `test_year`.

    Parameters
    ----------
    data_dir : Path
        AVERT folder, `grid/`, or the pack.
    train_year, test_year : int
        Train must precede test.
    regions : sequence of str, optional
        EPA's names; all that both years have where none is given.

    Returns
    -------
    dict
        The report of `gridmargin.evaluation.scores.report`, task `avert`.

    Raises
    ------
    InputError
        If the train year does not precede the test year.
    UnknownNameError
        If a region or a year is not in the folder.
    TableError
        If a table is truncated, lacks a column or holds a bad value.
    """
    started = time.perf_counter()
    if train_year >= test_year:
        raise InputError(
            f"train year {train_year} does not precede test year {test_year}: a fit sees only the past"
        )
    tables = open_avert(data_dir)
    for year in (train_year, test_year):
        if not tables.regions(year):
            every = {str(y) for region in tables.regions() for y in tables.years(region)}
            raise UnknownNameError("AVERT year", str(year), every)
    both = sorted(set(tables.regions(train_year)) & set(tables.regions(test_year)))
    for region in regions or ():
        if region not in both:
            raise UnknownNameError(f"AVERT region with curves of {train_year} and {test_year}", region, both)
    rows: list[Row] = []
    ranged: list[Ranged] = []
    for region in regions or both:
        scored, hours = _region_rows(data_dir, region, train_year, test_year)
        rows += scored
        ranged.append(hours)
    rows += coverage_rows(ranged, {"reference": _named(DISPLACED_FRACS[0])})
    versions = {"gridmargin": version("gridmargin"), ESTIMATOR: ESTIMATORS.get(ESTIMATOR).version}
    return report("avert", versions, time.perf_counter() - started, rows)


def run(ask: Ask) -> dict[str, Any]:
    """Run the task `avert` as `gridmargin backtest` calls it; by default the newest two years of the folder."""
    ask.refuse(
        "avert", "takes whole years, `train_year` and `test_year`", "test_from", "test_to", "horizon_min"
    )
    folder, train_year, test_year = ask.avert or ask.data, ask.train_year, ask.test_year
    if train_year is None or test_year is None:
        tables = open_avert(folder)
        years = sorted({year for name in tables.regions() for year in tables.years(name)})
        test_year = test_year or (train_year + 1 if train_year else years[-1])
        train_year = train_year or test_year - 1
    return backtest_avert(folder, train_year, test_year, [ask.region] if ask.region else None)


def _region_rows(data_dir: Path, region: str, train_year: int, test_year: int) -> tuple[list[Row], Ranged]:
    train, test = _year(data_dir, region, train_year), _year(data_dir, region, test_year)
    estimator = ESTIMATORS.get(ESTIMATOR)()
    fit = estimator.fit(train.states(), Facts("UTC", {}, train.fleet))
    estimates = estimator.estimate(test.states(), fit)
    naive = _bin_slope(train.fleet, test)
    on_train = replace(test, fleet=train.fleet)
    rows = []
    for name, reference in _references():
        others = {"naive_slope": naive, TRAIN_CURVE: reference(on_train)}
        rows.append(
            _rate_row(
                region, name, estimates, others, reference(test), reference(train), train.load, test.load
            )
        )
    hours = Ranged(estimates.regime, estimates.low, estimates.mid, estimates.high, _references()[0][1](test))
    if _changes(train)[1].any() and _changes(test)[1].any():
        rows.append(_change_row(region, estimates, naive, train, test))
    return rows, hours


def _named(share: float) -> str:
    return f"epa-displacement-{share:.0%}".replace("%", "pct")


def _references() -> list[tuple[str, Callable[[_Year], FloatArray]]]:
    def displaced(share: float) -> Callable[[_Year], FloatArray]:
        return lambda year: year.difference_rate(year.load.load_mw * (1 - share), year.load.load_mw)

    def around(share: float) -> Callable[[_Year], FloatArray]:
        return lambda year: year.difference_rate(
            year.load.load_mw * (1 - share / 2), year.load.load_mw * (1 + share / 2)
        )

    named = [(_named(share), displaced(share)) for share in DISPLACED_FRACS]
    return [*named, ("epa-secant-15pct", around(0.15))]


def _rate_row(
    region: str,
    name: str,
    estimates: Estimates,
    others: dict[str, FloatArray],
    reference: FloatArray,
    train_reference: FloatArray,
    train: AvertLoad,
    test: AvertLoad,
) -> Row:
    row = {
        "region": region,
        "reference": name,
        **score(estimates.mid, reference, estimates.low, estimates.high),
    }
    past = baselines(train.hour, train.month, train_reference, test.hour, test.month)
    scored = baseline_scores({**past, **others}, reference)
    for key, rate in ((k, {**past, **others}[k]) for k in ("constant", TRAIN_CURVE)):
        scored[key]["bias_frac"] = float(rate.mean() / reference.mean() - 1)
    return {**row, "unit": UNIT, "baselines": scored}


def _change_row(region: str, estimates: Estimates, naive: FloatArray, train: _Year, test: _Year) -> Row:
    """Score rate × change of load against the change of EPA's CO2, within a season.

    Changes up and down are turned the same way before the bias is taken, so that a rate that is too high does not
    cancel itself out over a day.
    """
    change_mw, keep = _changes(test)
    sign = np.sign(change_mw)
    co2 = test.co2_g_per_h(test.load.load_mw)
    reference = (np.diff(co2)[keep] / G_PER_KG) * sign
    size_mw = np.abs(change_mw)

    def moved(rate: FloatArray) -> FloatArray:
        return ((rate[1:] + rate[:-1])[keep] / 2) * size_mw

    row = score(moved(estimates.mid), reference, moved(estimates.low), moved(estimates.high))
    # r is that of the signed changes: without the sign the two would share less of their spread.
    signed = score(moved(estimates.mid) * sign, reference * sign)
    if "r" in signed:
        row["r"] = signed["r"]
    past_mw, past_keep = _changes(train)
    past = np.diff(train.co2_g_per_h(train.load.load_mw))[past_keep] / G_PER_KG
    by_hour = baselines(
        train.load.hour[1:][past_keep], train.load.month[1:][past_keep], past,
        test.load.hour[1:][keep], test.load.month[1:][keep],
    )  # fmt: skip
    signed_baselines = {
        "constant": float(past @ past_mw / (past_mw @ past_mw)) * change_mw,
        "hour_month": by_hour["hour_month"],
        "naive_slope": moved(naive) * sign,
    }
    scored = baseline_scores(signed_baselines, reference * sign)
    return {"region": region, "reference": CHANGE, **row, "unit": CHANGE_UNIT, "baselines": scored}


def _changes(year: _Year) -> tuple[FloatArray, BoolArray]:
    """Give the changes of load from hour to hour, and which steps they are: next hour, same season, some change."""
    step = np.diff(year.load.load_mw)
    keep = (
        (np.diff(year.load.start_epoch_s) == 3600) & (year.is_ozone[1:] == year.is_ozone[:-1]) & (step != 0)
    )
    return step[keep], keep


def _bin_slope(fleet: FleetResponse, test: _Year) -> FloatArray:
    """Give the slope of the bin that each load falls in: what differencing without smoothing says. [g kWh⁻¹]"""
    left = np.clip(
        np.searchsorted(fleet.load_mw, test.load.load_mw, side="right") - 1, 0, len(fleet.load_mw) - 2
    )
    ozone, other = (
        np.diff(co2) / (np.diff(fleet.load_mw) * G_PER_KWH_MW)
        for co2 in (fleet.co2_g_per_h_ozone, fleet.co2_g_per_h_other)
    )
    return np.where(test.is_ozone, ozone[left], other[left])


def _year(data_dir: Path, region: str, year: int) -> _Year:
    fleet = avert_fleet(data_dir, region, year)
    if fleet is None or fleet.year != year:
        raise UnknownNameError(f"year of AVERT region {region}", str(year), ())
    load = open_avert(data_dir).fossil_load(region, year)
    some = load.load_mw > 0  # an hour without fossil load has no fossil margin to score
    hours = {name: getattr(load, name)[some] for name in ("start_epoch_s", "load_mw", "month", "hour")}
    return _Year(fleet, replace(load, **hours))
