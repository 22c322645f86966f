"""Ask a publisher, keep the bytes, then read them: the one way by which live data comes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from gridmargin.sources.archive import Archive
from gridmargin.sources.asking import NOT_THERE, Asking, Reach
from gridmargin.sources.fetched import Fetch, FetchIndex
from gridmargin.sources.live.live_source import LiveRequest, LiveSource
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.transport import Answer, Transport
from gridmargin.vocab import (
    EARLIEST_YEAR,
    LATEST_YEAR,
    InputError,
    Interval,
    PublisherError,
    TableError,
    format_utc,
    sha256_hex,
)

NOTHING = "the publisher has nothing for this stretch; try again later"
"""Of an answer that says so itself: a gap, and no fault of either side (C2)."""

AHEAD = timedelta(days=1)
"""How far ahead of our clock an answer may state what was generated: clocks differ, days do not."""

SUPPLY = "^(generation|published)_"
"""Quantities without which nothing can be said of the margin; of a comparison, those that bear its own name."""

EVER = Interval(
    datetime.fromisoformat(f"{EARLIEST_YEAR}-01-01T00:00Z"),
    datetime.fromisoformat(f"{LATEST_YEAR}-01-01T00:00Z"),
)
"""All the time there is: whatever an answer states."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What one round brought.

    Attributes
    ----------
    n_new, n_unchanged : int
        Payloads that are new, and requests that brought nothing new.
    revised : tuple of datetime
        Starts of intervals that were known before and are stated otherwise now, or with more or fewer quantities.
    faults : tuple of str
        What the publisher did not answer, where it answered something.
    """

    n_new: int
    n_unchanged: int
    revised: tuple[datetime, ...] = ()
    faults: tuple[str, ...] = ()


def off_reason(source: LiveSource, reach: Reach) -> str | None:
    """Say why a live adapter is off and how it is turned on, or None where it is on."""
    if source.access is None:
        return None
    missing = [name for name in source.access.secrets if not reach.secrets.get(name)]
    if not missing:
        return None
    names = " and ".join(f"GRIDMARGIN_{source.name.upper()}_{name.upper()}" for name in missing)
    return f"{source.publisher} ({source.name}) is off: it wants a key; set {names}, from {source.access.sign_up}"


def collect(
    source: LiveSource,
    zone: str,
    interval: Interval,
    *,
    transport: Transport,
    archive: Archive,
    index: FetchIndex,
    now_utc: Callable[[], datetime],
    reach: Reach | None = None,
    within_s: float | None = None,
    clock: Callable[[], float] | None = None,
    past: bool = False,
) -> Collected:
    """Ask for all of `interval`, newest request first and supplements last, and keep what comes.

    Parameters
    ----------
    within_s : float or None
        Time for all requests together; needs `clock`. [s]
    past : bool
        Whether this asks for what is long gone, which says nothing of how the publisher answers for the present.

    Raises
    ------
    InputError
        If the adapter is off.
    PublisherError
        If the publisher does not answer, or with something else than what was due.
    TableError
        If an answer other than a supplement cannot be read; it is in the archive all the same.
    """
    reach = reach or Reach()
    off = off_reason(source, reach)
    if off:
        raise InputError(off)
    deadline = None if within_s is None or clock is None else clock() + within_s
    n_new = n_unchanged = 0
    revised: set[datetime] = set()
    faults: list[str] = []
    is_broken = False
    try:
        asking = Asking(
            source,
            reach,
            transport,
            lambda: None if deadline is None or clock is None else max(deadline - clock(), 0.001),
        )
        requests = source.requests(zone, interval)[::-1]
        for request in (one for one in requests if not one.supplement):
            try:
                brought = _bring(source, zone, request, asking, archive, index, now_utc)
            except PublisherError as error:
                # A day that is not there yet says nothing about the others; anything else does.
                if error.status != NOT_THERE and not n_new + n_unchanged:
                    raise
                faults.append(str(error))
                if error.status == NOT_THERE:
                    continue
                is_broken = True
                break
            n_new, n_unchanged = n_new + brought.n_new, n_unchanged + brought.n_unchanged
            revised.update(brought.revised)
            faults.extend(brought.faults)
        if faults and not n_new + n_unchanged:
            raise PublisherError(source.publisher, faults[0], NOT_THERE)
        left: set[str] = set()
        due = [one for one in requests if one.supplement and not is_broken]
        for number, request in enumerate(due):
            if request.supplement in left:
                continue
            if deadline is not None and clock is not None and clock() >= deadline:
                unasked = sorted({one.supplement for one in due[number:]} - left)
                faults.append(f"{', '.join(unasked)}: not asked for, since the time was up")
                break
            try:
                brought = _bring(source, zone, request, asking, archive, index, now_utc)
            except (PublisherError, TableError) as error:
                # What the margin can be told without takes nothing away from what it is told from.
                faults.append(f"{request.supplement}: {error}")
                if not isinstance(error, PublisherError) or error.status != NOT_THERE:
                    left.add(request.supplement)
                continue
            n_new, n_unchanged = n_new + brought.n_new, n_unchanged + brought.n_unchanged
            revised.update(brought.revised)
            faults.extend(brought.faults)
    except (PublisherError, TableError) as error:
        if not past:
            index.failed(source.name, zone, now_utc(), str(error))
        raise
    if not past:
        index.succeeded(source.name, zone, now_utc())
    return Collected(n_new, n_unchanged, tuple(sorted(revised)), tuple(faults))


def _bring(
    source: LiveSource,
    zone: str,
    request: LiveRequest,
    asking: Asking,
    archive: Archive,
    index: FetchIndex,
    now_utc: Callable[[], datetime],
) -> Collected:
    """Ask for one table, keep it, read it, and say what it changed."""
    last = index.newest(source.name, zone, request.name)
    if request.once and last is not None:
        return Collected(0, 1)
    answer = asking.answer(request, last)
    payload = None if answer.body is None else Payload(source.name, request.name, answer.body)
    if payload is None or (archive.put(payload, packed=True) == (last and last.sha256)):
        return Collected(0, 1)
    found = _read(source, zone, payload, answer, index, now_utc())  # the archive has it already
    if not len(found):
        return Collected(0, 0, faults=(f"{source.publisher}: {payload.name}: {NOTHING}",))
    if last is None:
        return Collected(1, 0)
    before = source.parse(Payload(source.name, last.name, archive.get(last.sha256)), EVER)
    return Collected(1, 0, revised=tuple(revised_starts(before, found)))


def _read(
    source: LiveSource, zone: str, payload: Payload, answer: Answer, index: FetchIndex, moment_utc: datetime
) -> Observations:
    """Read an archived answer and note what it covers, or why it cannot be read."""
    digest, n_bytes = sha256_hex(payload.body), len(payload.body)
    try:
        found = source.parse(payload, EVER)
        if not len(found):
            index.add(
                Fetch(source.name, zone, payload.name, digest, None, moment_utc, fault=NOTHING), n_bytes
            )
            return found
        covered = _span(found, zone, payload)
        _refuse_future(found, payload, moment_utc)
    except TableError as error:
        index.add(Fetch(source.name, zone, payload.name, digest, None, moment_utc, fault=str(error)), n_bytes)
        raise
    index.add(
        Fetch(
            source.name,
            zone,
            payload.name,
            digest,
            covered,
            moment_utc,
            answer.etag,
            answer.last_modified,
            states_supply=bool(
                found.frame["quantity"]
                .str.contains(f"{getattr(source, 'newest', SUPPLY)}|^{source.name}_")
                .any()
            ),
        ),
        n_bytes,
    )
    return found


def _refuse_future(found: Observations, payload: Payload, moment_utc: datetime) -> None:
    """Refuse an answer that says what will have been generated: believed, it would be fresh for ever."""
    ahead = found.frame.filter(
        pl.col("quantity").str.contains(SUPPLY), pl.col("start_utc") > moment_utc + AHEAD
    ).head(1)
    if ahead.height:
        row = ahead.row(0, named=True)
        raise TableError(
            f"{payload.name}, row {row['row']}, column {row['column']}: states {row['quantity']} of"
            f" {format_utc(row['start_utc'])}, which lies ahead of the clock ({format_utc(moment_utc)}); try again later,"
            " or set the clock"
        )


def revised_starts(before: Observations, after: Observations) -> list[datetime]:
    """List the intervals that `before` states and `after` states otherwise, or with more or fewer quantities."""
    keys = ["zone", "start_utc", "quantity"]
    old, new = (part.frame.select(*keys, "value") for part in (before, after))
    known = old.select("start_utc").unique()
    both = old.join(new, on=keys, how="full", coalesce=True, suffix="_new")
    other = both.filter(~pl.col("value").eq_missing(pl.col("value_new")))
    starts = other.select("start_utc").unique().join(known, on="start_utc", how="semi")
    # What the new answer does not reach at all is not revised by it: a table may move on.
    reach = new.select(pl.col("start_utc").min().alias("first"), pl.col("start_utc").max().alias("last")).row(
        0
    )
    if reach[0] is None:
        return []
    return starts.filter(pl.col("start_utc").is_between(*reach)).sort("start_utc")["start_utc"].to_list()


def _span(found: Observations, zone: str, payload: Payload) -> Interval:
    mine = found.frame.filter(pl.col("zone") == zone)
    if not mine.height:
        raise TableError(f"{payload.name} states nothing for {zone}; try again later")
    first, last, step_s = mine.select(
        pl.col("start_utc").min().alias("a"), pl.col("start_utc").max().alias("b"), pl.col("interval_s").max()
    ).row(0)
    return Interval(first, last + timedelta(seconds=step_s))
