"""Issue forecasts of a zone's average factor, by the same learner as the marginal ones, and write them down."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.metadata import version

import numpy as np
import polars as pl

from gridmargin.ledger import Entry
from gridmargin.marginal import Estimates, Fit, forecast_features, lead_times
from gridmargin.pipeline.factors import Factory
from gridmargin.pipeline.forecasts import append_forecasts
from gridmargin.pipeline.months import HISTORY
from gridmargin.reference import zone_named
from gridmargin.vocab import (
    Basis,
    InputError,
    Interval,
    Kind,
    NoFactorError,
    Status,
    TimeError,
    View,
    format_utc,
)

LONGEST_H = 72
VERSION = "1"
NAME = "forecast_average"


def issue_average(factory: Factory, zone: str, issued_utc: datetime, hours: int) -> list[Entry]:
    """Forecast the average of every interval that begins within some hours of the issue; what was known then is all it sees.

    Returns
    -------
    list of Entry
        In order of time; kept in the ledger's average table, with the moment of the issue.

    Raises
    ------
    InputError
        If the hours are not 1 to 72, or the source has typical days only.
    TimeError
        If the issue lies in the future or outside the record.
    NoFactorError
        If too little of the past is known.
    """
    source, step_s = factory.source, factory.source.interval_s(zone)
    if not 1 <= hours <= LONGEST_H:
        raise InputError(f"a forecast reaches 1 to {LONGEST_H} hours, not {hours}")
    if source.name == "reference":
        raise InputError(f"typical days of {zone} cannot be forecast from; give --source recorded:DIR")
    known = source.span(zone)
    end = Interval.containing(issued_utc, step_s).start_utc
    if issued_utc > factory.now_utc() or not known.start_utc < end <= known.end_utc:
        raise TimeError(
            f"{source.name} data for {zone} reach from {format_utc(known.start_utc)} to {format_utc(known.end_utc)}:"
            f" nothing can be issued at {format_utc(issued_utc)}; give a moment in between"
        )
    past = Interval(max(known.start_utc, end - HISTORY), end)
    outcome = replace(factory, estimators=("average",), asked=()).ensure(zone, past)
    said = factory.book.judged(Kind.AVERAGE, zone, past, "average", source=source.name, first=True)
    later = [f for f in said["fit_id"].unique() if factory.book.fit(f).train_end_utc > end]
    said = said.filter(~pl.col("fit_id").is_in(later))
    if not said.height:
        told = "; ".join(outcome.notes) or "no generation by fuel"
        raise NoFactorError(
            f"no average of {zone} was known by {format_utc(end)}: {told}; give another source"
        )
    first_s = int(said["start_s"][0])
    rate = np.full((int(end.timestamp()) - first_s) // step_s, np.nan)
    rate[(said["start_s"].to_numpy() - first_s) // step_s] = said["mid"].to_numpy()
    series = forecast_features.RateSeries(first_s, step_s, rate)
    ladder = lead_times.learn(series, zone_named(zone).timezone, hours * 3600)
    made = lead_times.ahead(ladder, series, hours * 3600 // step_s)
    hashes = sorted({digest for text in said["payload_sha256s"].unique() for digest in json.loads(text)})
    fit = Fit(
        NAME, VERSION, zone, past.start_utc, end, said.height,
        {
            "of": "average",
            "settings": lead_times.settings(),
            "rungs": [rung.told() for rung in ladder.rungs],
            "versions": {name: version(name) for name in ("scikit-learn", "numpy")},
        },
        tuple(hashes),
    )  # fmt: skip
    n = len(made.mid)
    estimates = Estimates(
        zone=zone,
        interval_s=step_s,
        start_epoch_s=made.start_epoch_s,
        low=made.low,
        mid=made.mid,
        high=made.high,
        source_names=("mix",),
        source_probability=np.ones((n, 1)),
        source_factor=made.mid[:, None],
        regime=np.full(n, "all"),
        status=np.full(n, Status.FORECAST.value),
        basis=Basis(Kind.AVERAGE, view=View.FORECAST),
        estimator=NAME,
        estimator_version=VERSION,
        fit_id=fit.fit_id,
        issued_utc=issued_utc,
    ).taken(np.flatnonzero(made.start_epoch_s >= issued_utc.timestamp()))
    append_forecasts(factory.book, estimates, fit, factory.now_utc(), source=source.name)
    moment = Interval(issued_utc, issued_utc + timedelta(microseconds=1))
    kept = factory.book.forecasts(zone, issued=moment, estimator=NAME, kind=Kind.AVERAGE)
    return [entry for entry in kept if entry.source == source.name]
