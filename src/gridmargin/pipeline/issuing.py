"""Issue forecasts of a zone's marginal or average factor, and write them down with the moment they were issued."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.ledger import Entry, Shelf
from gridmargin.marginal import ESTIMATORS, Estimates, Fit, forecast_features, lead_times, tilt
from gridmargin.pipeline.factors import WARM_UP, Factory
from gridmargin.pipeline.forecasts import append_forecasts
from gridmargin.pipeline.kept_fits import hash_of
from gridmargin.pipeline.months import HISTORY, first_of_month
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
    sha256_hex,
)

FloatArray = NDArray[np.float64]

LONGEST_H = 72
VERSION = "2"

SOURCE_DAYS = 28
"""Over how many of the newest days the sources at a local hour are taken."""


@dataclass(frozen=True, slots=True)
class Issued:
    """One issue.

    Attributes
    ----------
    issued_utc : datetime
    entries : list of Entry
        In order of time.
    n_new : int
        How many of them are new in the book.
    notes : tuple of str
        What could not be estimated or read, and why.
    """

    issued_utc: datetime
    entries: list[Entry]
    n_new: int
    notes: tuple[str, ...] = ()


LATE_S = 6 * 3600
"""A margin that is published later than this is none to forecast from. [s]"""


def base_of(factory: Factory, kind: Kind) -> str:
    """Name whose factor is forecast: the average's own, the published one where the source states it in time, else `regression`.

    What an operator says of the margin a day later is not there to go on from.
    """
    if kind is Kind.AVERAGE:
        return "average"
    source = factory.source
    is_late = getattr(source, "margin_delay_s", 0) > LATE_S
    return "published" if source.states_margin and not is_late else "regression"


def issue(
    factory: Factory, zone: str, issued_utc: datetime, hours: int, kind: Kind = Kind.MARGINAL
) -> Issued:
    """Forecast every interval that begins within some hours of the issue.

    What is forecast is the factor that `base_of` names. Nothing is seen
    that begins at the issue or later, and no factor whose fit saw something later (C10). The ladder is learned from the
    year before the issue's month, so that all issues of a month share it; where too little is known by then, from all
    that is known at the issue. Rows are made from what is known at the issue.

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
        raise InputError(f"typical days of {zone} cannot be forecast from; give `source=recorded:DIR`")
    if issued_utc > factory.now_utc():
        raise TimeError(f"{format_utc(issued_utc)} has not come yet; a forecast is issued now or in the past")
    known = source.span(zone)
    end = Interval.containing(issued_utc, step_s).start_utc
    if not known.start_utc < end <= known.end_utc:
        raise TimeError(
            f"{source.name} data for {zone} reach from {format_utc(known.start_utc)} to {format_utc(known.end_utc)}:"
            f" nothing can be issued at {format_utc(issued_utc)}; give a moment in between"
        )
    base = base_of(factory, kind)
    month = first_of_month(end)
    past = Interval(max(known.start_utc, month - HISTORY), end)
    notes = _cover(factory, zone, kind, base, past, month)
    said = _known(factory, zone, kind, base, past)
    if not said.height:
        raise NoFactorError(
            f"no {kind.value} factor of {zone} was known by {format_utc(end)}: the record begins at {format_utc(known.start_utc)}, and its"
            f" first factors come from a fit on {WARM_UP.days} days; issue later"
            + "".join(f"; {note}" for note in notes)
        )
    series = _series(said, past, step_s)
    lesson = _lesson(factory, said, past, month, step_s)
    lead_times.refuse_too_short(lesson)
    timezone = zone_named(zone).timezone
    ladder = _ladder(factory.shelf, lesson, timezone, hours * 3600)
    made = lead_times.ahead(ladder, series, hours * 3600 // step_s)
    learned_to = datetime.fromtimestamp(lesson.start_epoch_s + len(lesson) * step_s, UTC)
    notes += factory.shelf.faults() if factory.shelf else []
    name = f"forecast_{base}"
    hashes = sorted({digest for text in said["payload_sha256s"].unique() for digest in json.loads(text)})
    fit = Fit(
        name, VERSION, zone, past.start_utc, end, said.height,
        {
            "of": base,
            "learned_to_utc": format_utc(learned_to),
            "settings": lead_times.settings(),
            "rungs": [rung.told() for rung in ladder.rungs],
            "fit_ids": sorted(said["fit_id"].unique().to_list()),
            "versions": {name: version(name) for name in ("scikit-learn", "numpy")},
        },
        tuple(hashes),
    )  # fmt: skip
    recent = Interval(max(past.start_utc, end - timedelta(days=SOURCE_DAYS)), end)
    entries = factory.book.entries(kind, zone, recent, base, source=source.name)
    names, probability, factor = _usual_sources(entries, made.start_epoch_s, timezone)
    probability, factor, done = tilt.tilt(probability, factor, made.mid)
    started = made.start_epoch_s >= issued_utc.timestamp()
    estimates = Estimates(
        zone=zone,
        interval_s=step_s,
        start_epoch_s=made.start_epoch_s,
        low=made.low,
        mid=made.mid,
        high=made.high,
        source_names=names,
        source_probability=probability,
        source_factor=factor,
        regime=np.array([f"sources {how}" for how in done], dtype=np.str_),
        status=np.full(len(made.mid), Status.FORECAST.value),
        basis=Basis(kind, view=View.FORECAST),
        estimator=name,
        estimator_version=VERSION,
        fit_id=fit.fit_id,
        issued_utc=issued_utc,
    ).taken(np.flatnonzero(started))
    n_new = append_forecasts(factory.book, estimates, fit, factory.now_utc(), source=source.name)
    moment = Interval(issued_utc, issued_utc + timedelta(microseconds=1))
    entries = factory.book.forecasts(zone, issued=moment, estimator=name, source=source.name, kind=kind)
    return Issued(issued_utc, entries, n_new, tuple(dict.fromkeys(notes)))


def _cover(factory: Factory, zone: str, kind: Kind, base: str, past: Interval, month: datetime) -> list[str]:
    """Make the book cover the past, and give what could not be estimated; months before this one are tried once.

    Some intervals can never be estimated, so that the book alone does not tell whether an old stretch was tried. The
    shelf tells that it was: from the same payloads, by the same code, with as many entries as there are now.
    """
    maker = replace(factory, estimators=(base,), asked=())
    notes: list[str] = []
    for stretch in _at_month(past, month):
        if factory.shelf is None or stretch.start_utc >= month:
            notes += maker.ensure(zone, stretch).notes
            continue
        if factory.shelf.get(_tried(maker, zone, kind, base, stretch)) is None:
            outcome = maker.ensure(zone, stretch)
            notes += outcome.notes
            factory.shelf.put(_tried(maker, zone, kind, base, stretch), {"notes": list(outcome.notes)})
    return notes


def _at_month(past: Interval, month: datetime) -> list[Interval]:
    """Cut a stretch where a month begins."""
    if not past.start_utc < month < past.end_utc:
        return [past]
    return [Interval(past.start_utc, month), Interval(month, past.end_utc)]


def _tried(factory: Factory, zone: str, kind: Kind, base: str, stretch: Interval) -> str:
    """Say on what it depends whether more of a stretch could be estimated."""
    book, source = factory.book, factory.source
    known, version_now = source.span(zone), ESTIMATORS.get(base)().version
    seen = (p for part in factory.reading(stretch, known) for p in source.fetch(zone, part))
    return hash_of(
        "tried", source.name, zone, base, version_now, stretch, [[p.name, sha256_hex(p.body)] for p in seen],
        book.count(kind, zone, stretch, base, version_now, source.interval_s(zone), source.name),
        factory.changes(zone, base, stretch.start_utc, stretch.end_utc),
        [d.recorded_utc for d in factory.declared(zone, stretch.start_utc, stretch.end_utc)],
    )  # fmt: skip


def _lesson(
    factory: Factory, said: pl.DataFrame, past: Interval, month: datetime, step_s: int
) -> forecast_features.RateSeries:
    """Give what the ladder is learned from: what was known when the month began, if that is enough."""
    before = Interval(past.start_utc, month) if past.start_utc < month else None
    if before is not None:
        fits = [f for f in said["fit_id"].unique() if factory.book.fit(f).train_end_utc <= month]
        early = said.filter(pl.col("fit_id").is_in(fits) & (pl.col("start_s") < int(month.timestamp())))
        if early.height:
            series = _series(early, before, step_s)
            if lead_times.known_days(series) >= lead_times.FEWEST_DAYS:
                return series
    return _series(said, past, step_s)


def _ladder(
    shelf: Shelf | None, series: forecast_features.RateSeries, timezone: str, longest_s: int
) -> lead_times.Ladder:
    """Take the rungs that were kept for this series, and learn and keep the others."""
    stretches = lead_times.stretches(series.step_s, longest_s)
    asked = {s: hash_of("rung", VERSION, lead_times.settings(), series, timezone, s) for s in stretches}
    rungs: dict[lead_times.Stretch, lead_times.Rung] = {}
    for stretch in stretches if shelf else ():
        kept = shelf.get(asked[stretch]) if shelf else None
        if kept is not None:
            rungs[stretch] = lead_times.Rung.of(kept)
    lacking = [stretch for stretch in stretches if stretch not in rungs]
    for stretch, rung in zip(lacking, lead_times.learn_rungs(series, timezone, lacking), strict=True):
        rungs[stretch] = rung
        if shelf:
            shelf.put(asked[stretch], rung.as_json())
    return lead_times.Ladder(tuple(rungs[s] for s in stretches), series.step_s, timezone)


def _known(factory: Factory, zone: str, kind: Kind, base: str, past: Interval) -> pl.DataFrame:
    """Give what was first said of each past interval, without what a later fit said."""
    said = factory.book.judged(kind, zone, past, base, source=factory.source.name, first=True)
    later = [f for f in said["fit_id"].unique() if factory.book.fit(f).train_end_utc > past.end_utc]
    return said.filter(~pl.col("fit_id").is_in(later))


def _series(said: pl.DataFrame, past: Interval, step_s: int) -> forecast_features.RateSeries:
    """Lay factors on an even grid that ends with the past; what is not known is NaN (C2)."""
    first_s, end_s = int(said["start_s"][0]), int(past.end_utc.timestamp())
    rate = np.full((end_s - first_s) // step_s, np.nan)
    rate[(said["start_s"].to_numpy() - first_s) // step_s] = said["mid"].to_numpy()
    return forecast_features.RateSeries(first_s, step_s, rate)


def _usual_sources(
    entries: Sequence[Entry], start_epoch_s: NDArray[np.int64], timezone: str
) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Give the mean distribution of past entries at each target's local hour; over all hours where there is none."""
    names = tuple(dict.fromkeys(s.name for entry in entries for s in entry.estimate.sources))
    place = {name: at for at, name in enumerate(names)}
    probability, factor = np.zeros((len(entries), len(names))), np.zeros((len(entries), len(names)))
    for row, entry in enumerate(entries):
        for source in entry.estimate.sources:
            probability[row, place[source.name]] = source.probability
            factor[row, place[source.name]] = source.factor_gco2_per_kwh
    clock = ZoneInfo(timezone)

    def hour_of(epoch_s: int) -> int:
        return datetime.fromtimestamp(epoch_s, UTC).astimezone(clock).hour

    hour = np.array([hour_of(int(entry.estimate.interval.start_utc.timestamp())) for entry in entries])
    usual_p, usual_f = np.empty((24, len(names))), np.empty((24, len(names)))
    for h in range(24):
        mine = hour == h if (hour == h).any() else np.ones(len(entries), dtype=np.bool_)
        usual_p[h] = probability[mine].mean(axis=0)
        weight = probability[mine].sum(axis=0)
        mean = factor[mine].mean(axis=0)
        usual_f[h] = np.where(
            weight > 0, (probability[mine] * factor[mine]).sum(axis=0) / np.maximum(weight, 1e-300), mean
        )
    at = np.array([hour_of(int(s)) for s in start_epoch_s])
    return names, usual_p[at] / usual_p[at].sum(axis=1, keepdims=True), usual_f[at]
