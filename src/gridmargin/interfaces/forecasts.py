"""Issues of forecasts, as the command line and REST answer them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from gridmargin.interfaces.answers import entry_answer
from gridmargin.ledger import Book, Entry
from gridmargin.pipeline import Factory, issue
from gridmargin.reference import zone_named
from gridmargin.vocab import InputError, Interval, NotFoundError, format_utc

_MOMENT = timedelta(microseconds=1)


def moment_to_issue(factory: Factory, zone: str, now_utc: datetime) -> tuple[datetime, str | None]:
    """Give the moment at which something is issued where none was asked for: now, or the end of a record that ended.

    Returns
    -------
    datetime
    str or None
        What to say of it.
    """
    end = factory.source.span(zone).end_utc
    if now_utc <= end or factory.source.name == "reference":
        return now_utc, None
    return end, f"the record ends at {format_utc(end)}: issued then"


def issued_answer(
    factory: Factory, zone: str, issued_utc: datetime, hours: int, note: str | None = None, *, anew: bool
) -> dict[str, Any]:
    """Give an issue, made now where the ledger does not hold it so far ahead.

    Parameters
    ----------
    hours : int
        How far ahead. [h]
    anew : bool
        Make it again although the ledger holds it: a record that was revised since may say something else.

    Raises
    ------
    InputError, TimeError, NoFactorError
        As `pipeline.issue`.
    """
    entries, n_new = [], 0
    if not anew:
        entries = factory.book.newest_issue(
            zone, Interval(issued_utc, issued_utc + _MOMENT), source=factory.source.name
        )
    if hours < 1 or not _reach(entries, issued_utc, hours):
        made = issue(factory, zone, issued_utc, hours)
        entries, n_new = made.entries, made.n_new
        note = "; ".join([*([note] if note else []), *made.notes]) or None
    end = issued_utc + timedelta(hours=hours)
    inside = [entry for entry in entries if entry.estimate.interval.start_utc < end]
    return _answer(zone, inside) | {"hours": hours, "note": note, "n_new": n_new}


def held_answer(
    book: Book,
    zone: str,
    *,
    at_utc: datetime | None = None,
    issued_by_utc: datetime | None = None,
    as_of_utc: datetime | None = None,
    estimator: str | None = None,
) -> dict[str, Any]:
    """Give an issue that the ledger holds.

    Parameters
    ----------
    at_utc : datetime, optional
        The issue of exactly this moment.
    issued_by_utc : datetime, optional
        The newest one issued at this moment or before; the newest of all without either.
    as_of_utc : datetime, optional
        As the ledger stood then.

    Raises
    ------
    InputError
        If both moments are given.
    NotFoundError
        If the ledger holds none.
    """
    zone_named(zone)
    if at_utc is not None and issued_by_utc is not None:
        raise InputError("at names one issue and issued_by the newest up to a moment; give one of them")
    issued, when = None, ""
    if at_utc is not None:
        issued, when = Interval(at_utc, at_utc + _MOMENT), f" issued at {format_utc(at_utc)}"
    elif issued_by_utc is not None:
        issued = Interval(datetime(1970, 1, 1, tzinfo=issued_by_utc.tzinfo), issued_by_utc + _MOMENT)
        when = f" issued by {format_utc(issued_by_utc)}"
    entries = book.newest_issue(zone, issued, estimator, as_of_utc)
    if not entries:
        by = f" by {estimator}" if estimator else ""
        known = f", as known at {format_utc(as_of_utc)}" if as_of_utc else ""
        raise NotFoundError(
            f"the ledger holds no forecast of {zone}{by}{when}{known}; POST to the same path issues one, and so does"
            f" `gridmargin forecast {zone}`"
        )
    return _answer(zone, entries)


def _reach(entries: Sequence[Entry], issued_utc: datetime, hours: int) -> bool:
    """Say whether an issue has every interval that begins within some hours."""
    if not entries:
        return False
    last = entries[-1].estimate.interval
    # An issue between two intervals begins with the next one, and ends as much earlier.
    return (last.end_utc - issued_utc).total_seconds() + last.duration_s > hours * 3600


def _answer(zone: str, entries: Sequence[Entry]) -> dict[str, Any]:
    issued_utc = entries[0].issued_utc
    assert issued_utc is not None
    steps = [
        entry_answer(entry)
        | {"horizon_min": (entry.estimate.interval.start_utc - issued_utc).total_seconds() / 60}
        for entry in entries
    ]
    least = min(steps, key=lambda step: step["factor_gco2_per_kwh"]["mid"])
    return {
        "zone": zone,
        "name": zone_named(zone).name,
        "issued_utc": format_utc(issued_utc),
        "recorded_utc": format_utc(max(entry.recorded_utc for entry in entries)),
        "estimator": entries[0].estimate.estimator,
        "source": entries[0].source or None,
        "lowest": {"interval": least["interval"], "factor_gco2_per_kwh": least["factor_gco2_per_kwh"]},
        "forecasts": steps,
    }
