"""Recalibrate: hold entries against what is known now, and where they drifted fit again and supersede, saying why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from gridmargin.ledger import Book, Recalibration
from gridmargin.marginal import (
    ESTIMATORS,
    DriftEvent,
    Estimates,
    Estimator,
    Fit,
    Watch,
    parameter_changes,
    watch,
)
from gridmargin.pipeline.factors import DRIFT, Factory
from gridmargin.pipeline.months import HISTORY
from gridmargin.pipeline.provenance import payloads_and_conditions
from gridmargin.pipeline.references import LATER, PUBLISHED, Reference, entries_of, later, published
from gridmargin.vocab import (
    InputError,
    Interval,
    Kind,
    NoFactorError,
    NotFoundError,
    View,
    format_utc,
)

FORCED = "forced"
AUTO = "auto"
WORDS = {
    "coverage_low": "the range held too little",
    "coverage_high": "the range held too much",
    "residual_up": "the reference rose against the estimate",
    "residual_down": "the reference fell against the estimate",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of checking one estimator in one zone.

    Attributes
    ----------
    reference : str
        What its entries were held against, or `none`.
    watch : Watch or None
        What watching gave; None where nothing was compared.
    recalibration : Recalibration or None
        The record, where something was changed.
    n_superseded : int
        Entries that are new because of it.
    note : str
        What happened, in a sentence.
    """

    zone: str
    estimator: str
    reference: str
    watch: Watch | None
    recalibration: Recalibration | None
    n_superseded: int
    note: str


def recalibrate(
    factory: Factory,
    zone: str,
    name: str,
    stretch: Interval | None = None,
    against: str = AUTO,
    force_reason: str | None = None,
) -> Checked:
    """Detect drift of one estimator's entries and, where there is any, fit again and supersede them.

    Parameters
    ----------
    name : str
        A registered estimator.
    stretch : Interval, optional
        Only entries that begin in it; all of them without it.
    against : str
        `auto`, `published`, `later`, or the name of another estimator.
    force_reason : str, optional
        Fit again even without drift, for this reason.

    Raises
    ------
    NotFoundError
        If there are no entries, or nothing to hold them against.
    NoFactorError
        If what is known now does not allow a fit.
    """
    estimator = ESTIMATORS.get(name)()
    if force_reason is not None and not force_reason.strip():
        raise InputError("a forced recalibration needs a reason; say it in `reason`")
    entries = _entries(factory, estimator, zone, stretch)
    if not entries.height:
        raise NotFoundError(
            f"the ledger has no entries of {zone} by {name} to check"
            f"{f' in {stretch}' if stretch else ''}; `gridmargin ledger refresh {zone}` makes some"
        )
    last = entries.row(-1, named=True)
    span = Interval(_utc(entries["start_s"][0]), _utc(last["start_s"] + last["interval_s"]))
    reference = _reference(factory, estimator, zone, span, against)
    watched = None
    if reference is not None:
        watched = _watch(factory, estimator, zone, span, reference)
    event = watched.events[0] if watched is not None and watched.events else None
    told = "none" if reference is None else reference.name
    if event is None and force_reason is None:
        if reference is None:
            raise NotFoundError(
                f"nothing to hold {name} in {zone} against: no published rate in its states and no later entries; name"
                " another estimator with `against`, or give `force` with `reason`"
            )
        checked = "no intervals since the last recalibration" if watched is None else f"{watched.n} intervals"
        return Checked(
            zone, name, told, watched, None, 0, f"no drift against {told} in {checked}; nothing changed"
        )
    since = _utc(event.since_epoch_s) if event is not None else _since_last_fit(entries)
    reason = force_reason if event is None else _sentence(event, told, force_reason)
    return _renew(factory, estimator, zone, entries, span, since, event, watched, told, str(reason))


def checkable(book: Book, zone: str) -> list[str]:
    """List the estimators with marginal entries of a zone that can be fitted again."""
    return [name for name in book.estimators(Kind.MARGINAL, zone) if name in set(ESTIMATORS)]


def _entries(factory: Factory, estimator: Estimator, zone: str, stretch: Interval | None) -> pl.DataFrame:
    extent = factory.book.extent(estimator.kind, zone, estimator.name, factory.source.name)
    wanted = extent.overlap(stretch) if extent is not None and stretch is not None else extent
    wanted = None if wanted is None else wanted.overlap(factory.source.span(zone))
    if wanted is None:
        wanted = Interval(datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC))
    found = factory.book.judged(estimator.kind, zone, wanted, estimator.name, source=factory.source.name)
    return found.filter(pl.col("interval_s") == factory.source.interval_s(zone))


def _reference(
    factory: Factory, estimator: Estimator, zone: str, span: Interval, against: str
) -> Reference | None:
    book, kind = factory.book, estimator.kind
    if against in (AUTO, PUBLISHED) and kind is Kind.MARGINAL:
        found = published(factory, zone, span)
        if found is not None:
            return found
    if against == PUBLISHED:
        raise NotFoundError(
            f"no published marginal rate for {zone} in {span}; give `against=later` or another estimator"
        )
    if against in (AUTO, LATER):
        found = later(book, kind, zone, span, estimator.name, factory.source.name)
        return found if found.frame.height else None
    if against == estimator.name:
        raise InputError(
            f"{against} cannot be held against itself; `against=later` compares with its newer entries"
        )
    ESTIMATORS.get(against)
    found = entries_of(book, kind, zone, span, against)
    if not found.frame.height:
        raise NotFoundError(
            f"the ledger has no {kind.value} entries of {zone} by {against} in {span}; name a reference that is there with"
            " `against`"
        )
    return found


def _watch(
    factory: Factory, estimator: Estimator, zone: str, span: Interval, reference: Reference
) -> Watch | None:
    """Watch what was said in advance: no hindcasts, and nothing that the last re-fit has seen (C10)."""
    first = reference.name == LATER
    said = factory.book.judged(
        estimator.kind, zone, span, estimator.name, source=factory.source.name, first=first
    )
    done = factory.book.recalibrations(zone, estimator.name)
    seen_s = int(max((r.interval.end_utc for r in done), default=_utc(0)).timestamp())
    said = said.filter((pl.col("view") == View.OBSERVED.value) & (pl.col("start_s") >= seen_s))
    both = said.join(
        reference.frame, on=["start_s", "interval_s"], how="inner", maintain_order="left"
    ).filter(pl.col("interval_s") == factory.source.interval_s(zone))
    if not both.height:
        return None
    columns = (both[name].to_numpy() for name in ("start_s", "low", "mid", "high", "reference"))
    start, low, mid, high, rate = columns
    return watch(start, low, mid, high, rate, both["regime"].to_numpy().astype(np.str_))


def _since_last_fit(entries: pl.DataFrame) -> datetime:
    newest = entries["fit_id"][-1]
    return _utc(entries.filter(pl.col("fit_id") == newest)["start_s"][0])


def _sentence(event: DriftEvent, reference: str, added: str | None) -> str:
    before = "" if event.bias_before is None else f" (before: {event.bias_before:+.1f})"
    said = (
        f"{WORDS[event.cause]}: since {format_utc(_utc(event.since_epoch_s))} the 90 % range held"
        f" {event.coverage_frac:.0%} of {reference}, which lay {event.bias:+.1f} g/kWh from the estimate{before};"
        f" R = {event.statistic:.3g} against {event.threshold:.3g}, known at {format_utc(_utc(event.time_epoch_s))}"
    )
    return f"{said}; {added}" if added else said


def _renew(
    factory: Factory,
    estimator: Estimator,
    zone: str,
    entries: pl.DataFrame,
    span: Interval,
    since: datetime,
    event: DriftEvent | None,
    watched: Watch | None,
    reference: str,
    reason: str,
) -> Checked:
    book, end = factory.book, span.end_utc
    renewed = Interval(since, end)
    states, lineage = factory.states(zone, factory.reading(renewed, factory.source.span(zone)))
    changes = factory.changes(zone, estimator.name, since, end)
    if event is not None:
        changes = sorted([*changes, (DRIFT, since, event.cause)], key=lambda change: change[1])
    history = states.between(Interval(end - HISTORY, end))
    fit = factory.learn(estimator, history, factory.facts_of(zone, (end - timedelta(1)).year - 1), changes)
    if not isinstance(fit, Fit):
        raise NoFactorError(f"{zone} drifted, and what is known now allows no new fit: {fit}")
    fit = factory.traced(fit, lineage)
    old = book.fit(entries["fit_id"][-1])
    different = parameter_changes(old.parameters, fit.parameters)
    told = set(entries.filter(pl.col("start_s") >= since.timestamp())["start_s"].to_list())
    estimates = _only(estimator.estimate(states.between(renewed), fit), told)
    if not different or not len(estimates):
        return Checked(
            zone,
            estimator.name,
            reference,
            watched,
            None,
            0,
            f"{reason}; a new fit learns the same; nothing changed",
        )
    # The new fit has seen these intervals themselves (C10).
    estimates = replace(estimates, basis=replace(estimates.basis, view=View.HINDCAST))
    record = Recalibration(
        kind=estimator.kind,
        zone=zone,
        estimator=estimator.name,
        reference=reference,
        event={} if event is None or watched is None else {"events": [e.as_dict() for e in watched.events]},
        cause=FORCED if event is None else event.cause,
        reason=reason,
        interval=renewed,
        old_fit_id=entries["fit_id"][-1],
        new_fit_id=fit.fit_id,
        changes=different,
        recorded_utc=factory.now_utc(),
    )
    number, n_new = book.recalibrate(
        record, estimates, fit, *payloads_and_conditions(estimates, lineage), source=factory.source.name
    )
    return Checked(
        zone, estimator.name, reference, watched, replace(record, recalibration_id=number), n_new,
        f"{reason}; {n_new} entries superseded",
    )  # fmt: skip


def _only(estimates: Estimates, starts: set[int]) -> Estimates:
    """Keep the intervals that the book speaks of already: a recalibration supersedes and adds nothing."""
    kept = np.isin(estimates.start_epoch_s, np.array(sorted(starts), dtype=np.int64))
    arrays = (
        "start_epoch_s",
        "low",
        "mid",
        "high",
        "source_probability",
        "source_factor",
        "regime",
        "status",
    )
    return replace(estimates, **{name: getattr(estimates, name)[kept] for name in arrays})


def _utc(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)
