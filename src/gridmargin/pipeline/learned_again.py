"""A fit learned again from the archived payloads, without anything that was kept, and held against the one in the book."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from gridmargin.grid import assemble
from gridmargin.ledger import Book, Entry
from gridmargin.marginal import ESTIMATORS, Fit, Need, parameter_changes, weigh_history
from gridmargin.pipeline.facts import FactsOf
from gridmargin.sources import SOURCES, Archive, Observations, Payload
from gridmargin.vocab import GridmarginError, Interval, NotFoundError

CHANGES = "grid_changes"


def learned_again(entry: Entry, book: Book, archive: Archive, facts_of: FactsOf) -> tuple[bool | None, str]:
    """Learn the fit behind an entry once more.

    Parameters
    ----------
    facts_of : callable
        Gives fleets and fuel rates from the data folder.

    Returns
    -------
    closes : bool or None
        Whether the same parameters came out, to the last digit; None where it cannot be told.
    detail : str
        What was done, and what differs.
    """
    fit, estimate = book.fit(entry.fit_id), entry.estimate
    if estimate.estimator not in ESTIMATORS:
        return None, f"{estimate.estimator} is made from other estimates, and its fit from their fits"
    if ESTIMATORS.get(fit.estimator)().version != fit.estimator_version:
        return (
            None,
            f"fit {entry.fit_id} is of {fit.estimator} {fit.estimator_version}, another version than this",
        )
    try:
        again = _fit_again(entry, fit, book, archive, facts_of)
    except GridmarginError as error:
        return None, f"fit {entry.fit_id} cannot be learned again: {error}"
    different = parameter_changes(_bare(fit), _bare(again))
    n = len(fit.payload_sha256s)
    if not different and again.n_train == fit.n_train:
        return True, f"fit {entry.fit_id} learned again from {n} payloads: the same to the last digit"
    named = ", ".join(sorted(different)[:3])
    return False, (
        f"fit {entry.fit_id} learned again from {n} payloads is another one: {named or 'another number of intervals'}"
    )


def _fit_again(entry: Entry, fit: Fit, book: Book, archive: Archive, facts_of: FactsOf) -> Fit:
    span = Interval(fit.train_start_utc, fit.train_end_utc)
    estimator = ESTIMATORS.get(fit.estimator)()
    # A fit of a recalibration knows facts of its end, any other those of the interval's own year.
    known = (
        fit.train_end_utc - timedelta(days=1) if entry.recalibration_id else entry.estimate.interval.start_utc
    )
    facts = facts_of(fit.zone, known.year - 1)
    tables = {
        need: tuple(getattr(part, "payload_sha256s", ()))
        for need, part in ((Need.UNITS, facts.units), (Need.FLEET, facts.fleet))
    }
    for need in estimator.needs & tables.keys():
        if not set(tables[need]) <= set(fit.payload_sha256s):
            raise NotFoundError(f"{need.value} of {fit.zone} has changed since, or is not in the data folder")
    beside = {digest for hashes in tables.values() for digest in hashes}
    noted = [book.payload(digest) for digest in fit.payload_sha256s if digest not in beside]
    in_order = sorted((n for n in noted if n.source == entry.source), key=lambda note: note.recorded_utc)
    payloads = [Payload(note.source, note.name, archive.get(note.sha256)) for note in in_order]
    seen = Observations.concat([SOURCES.get(p.source).parse(p, span) for p in payloads])
    states = assemble(seen, fit.zone, int(entry.estimate.interval.duration_s)).between(span)
    changes = [datetime.fromisoformat(c["from_utc"]) for c in fit.parameters.get(CHANGES, [])]
    states, _ = weigh_history(states, changes, lambda part: estimator.can_fit(part, facts) is None)
    return estimator.fit(states, facts)


def _bare(fit: Fit) -> dict[str, Any]:
    return {name: value for name, value in fit.parameters.items() if name != CHANGES}
