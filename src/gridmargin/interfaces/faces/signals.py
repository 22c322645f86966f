"""Signals: what the faces show, read from the ledger, one kind at a time (C3), with everything that stands in named."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gridmargin.ledger import Entry
from gridmargin.pipeline import Factory, base_of, issue, moment_for, outside
from gridmargin.places import Places
from gridmargin.reference import zone_named
from gridmargin.vocab import (
    InputError,
    Interval,
    Kind,
    MixedKindsError,
    NoFactorError,
    Status,
    TimeError,
    View,
    format_utc,
)
from gridmargin.wiring import (
    SourceChoice,
    Workplace,
    recorded_sources,
    source_for,
    zones_of,
)

FRESH = timedelta(hours=1)
"""How old the newest issue may be before a forecast is issued anew."""

LONGEST_H = 72
"""The longest forecast. [h]"""

AVERAGE = "average"
LOAD_AREA = "load_area"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to be known about an answer.

    Attributes
    ----------
    type : str
        In capitals, for programs.
    message : str
        For people.
    """

    type: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """Give both by name."""
        return {"type": self.type, "message": self.message}


@dataclass(frozen=True, slots=True)
class Point:
    """One interval.

    Attributes
    ----------
    start_utc, recorded_utc : datetime
        Its start, and when the ledger learned of it.
    low, mid, high : float
        Factor and its 90 % range. [g kWh⁻¹]
    status : Status
    sources : tuple of (str, float)
        What is on the margin, with its probability; of an average the fuels with their shares. [1]
    """

    start_utc: datetime
    low: float
    mid: float
    high: float
    status: Status
    recorded_utc: datetime
    sources: tuple[tuple[str, float], ...] = ()

    @property
    def is_supposed(self) -> bool:
        """Whether it was not seen: imputed, modelled or forecast."""
        return self.status not in (Status.REPORTED, Status.ADJUSTED)


@dataclass(frozen=True, slots=True)
class Signal:
    """A stretch of one zone's factor, of one kind.

    Attributes
    ----------
    interval_s : int
        Length of every interval. [s]
    points : tuple of Point
        In order of time.
    notices : tuple of Notice
        What stands in, what is missing.
    generated_utc : datetime or None
        When a forecast was issued.
    """

    zone: str
    kind: Kind
    estimator: str
    version: str
    source: str
    interval_s: int
    points: tuple[Point, ...]
    notices: tuple[Notice, ...]
    generated_utc: datetime | None = None

    def of_kind(self, kind: Kind) -> Signal:
        """Give this signal if it is of a kind; `MixedKindsError` where it is not."""
        if self.kind is not kind:
            raise MixedKindsError(f"a {self.kind} factor of {self.zone} cannot be shown as {kind} (C3)")
        return self


@dataclass(frozen=True, slots=True)
class Reach:
    """What there is of a zone.

    Attributes
    ----------
    interval_s : int
        Length of its intervals. [s]
    span : Interval or None
        What the record holds; None where typical days answer for any time.
    """

    interval_s: int
    span: Interval | None


class Signals:
    """Reads signals; safe to be asked from several threads, each with a connection of its own.

    Parameters
    ----------
    opened : callable
        Gives the data folder, opened with a connection of its own.
    choice : SourceChoice
        Which source answers.
    now_utc : callable
        The clock.
    places : Places
        What says where a name lies.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[Workplace]],
        choice: SourceChoice,
        now_utc: Callable[[], datetime],
        places: Places,
    ) -> None:
        self.opened = opened
        self.choice = choice
        self.now_utc = now_utc
        self.places = places
        self._one_issue = threading.Lock()

    def zones(self, kind: Kind = Kind.MARGINAL) -> list[str]:
        """List the zones with data; a load area has a published marginal rate, and no mix that could be averaged."""
        have = zones_of(self.choice)
        return [z for z in have if kind is Kind.MARGINAL or zone_named(z).kind != LOAD_AREA]

    def reach(self) -> dict[str, Reach]:
        """Give what there is of every zone with data."""
        if self.choice.folder is None:
            return {
                zone: Reach(source_for(self.choice, zone).interval_s(zone), None) for zone in self.zones()
            }
        return {
            zone: Reach(sources[0].interval_s(zone), sources[0].span(zone))
            for zone, sources in sorted(recorded_sources(self.choice.folder).items())
        }

    def whole(self, zone: str, asked: Interval) -> Interval:
        """Widen a stretch to the whole intervals that it touches."""
        step_s = source_for(self.choice, zone, asked.start_utc).interval_s(zone)
        return Interval(
            Interval.containing(asked.start_utc, step_s).start_utc,
            Interval.containing(asked.end_utc - _MOMENT, step_s).end_utc,
        )

    def covering(self, zone: str, kind: Kind, moment_utc: datetime) -> Signal:
        """Give the interval that holds a moment."""
        return self.observed(zone, kind, self.whole(zone, Interval(moment_utc, moment_utc + _MOMENT)))

    def observed(self, zone: str, kind: Kind, asked: Interval) -> Signal:
        """Give what is known of a stretch up to now; after the end of a record the same dates of its newest year stand in.

        Raises
        ------
        TimeError
            If it has not come yet.
        NoFactorError
            If nothing is known of it.
        """
        asked = self._past(asked)
        with self.opened() as place:
            factory = _factory(place, self.choice, zone, kind, asked.start_utc)
            source, step_s = factory.source, factory.source.interval_s(zone)
            span = source.span(zone)
            wanted = Interval(
                Interval.containing(asked.start_utc, step_s).start_utc,
                Interval.containing(asked.end_utc - timedelta(microseconds=1), step_s).end_utc,
            )
            shift = timedelta(0)
            if span.overlap(wanted) is None:
                moment, _ = moment_for(source, zone, wanted.start_utc)
                shift = wanted.start_utc - moment
                if moment >= span.end_utc - timedelta(seconds=step_s):
                    raise outside(source, zone, wanted.start_utc)
            found = _read(factory, zone, kind, wanted, shift)
        inside = tuple(p for p in found.points if asked.start_utc <= p.start_utc < asked.end_utc)
        return _checked(replace(found, points=inside), wanted)

    def recent(self, zone: str, kind: Kind, hours: float) -> Signal:
        """Give the newest hours up to now, the present interval the last; of an ended record what stands in for now."""
        with self.opened() as place:
            now = self.now_utc()
            factory = _factory(place, self.choice, zone, kind, now)
            step = timedelta(seconds=factory.source.interval_s(zone))
            moment, shift = _present(factory, zone, now)
            last = moment + step + shift
            wanted = Interval(min(last - timedelta(hours=hours), last - step), last)
            return _checked(_read(factory, zone, kind, wanted, shift), wanted)

    def ahead(self, zone: str, kind: Kind, hours: int, at_utc: datetime | None = None) -> Signal:
        """Give the newest forecast, issued anew where the newest is older than an hour or reaches less far.

        Typical days stand in for a forecast where the source has nothing else.

        Parameters
        ----------
        hours : int
            How far ahead, from the present interval on; 0 gives that interval alone. [h]
        at_utc : datetime, optional
            As it was or would have been issued then, from what came before; now if absent.
        """
        if not 0 <= hours <= LONGEST_H:
            raise InputError(f"a forecast reaches 0 to {LONGEST_H} hours, not {hours}")
        with self.opened() as place:
            now = self._past(Interval(at_utc, at_utc + _MOMENT)).start_utc if at_utc else self.now_utc()
            factory = _factory(place, self.choice, zone, kind, now)
            step_s = factory.source.interval_s(zone)
            moment, shift = _present(factory, zone, now)
            if factory.source.name == "reference":
                return _typical(factory, zone, kind, moment, hours)
            end = moment + timedelta(hours=hours) if hours else moment + timedelta(seconds=step_s)
            with self._one_issue:
                entries = _held(factory, zone, kind, Interval(moment - FRESH, moment + _MOMENT), end)
                if not entries:
                    entries = issue(factory, zone, moment, max(hours, 24), kind).entries
        return _forecast(factory, zone, kind, entries, Interval(moment, end), shift)

    def issues(self, zone: str, kind: Kind, issued: Interval, hours: int) -> list[Signal]:
        """Give the forecasts issued in a stretch; where there is none, one is issued as of its start, from what came before."""
        if not 0 <= hours <= LONGEST_H:
            raise InputError(f"a forecast reaches 0 to {LONGEST_H} hours, not {hours}")
        issued = self._past(issued)
        with self.opened() as place:
            factory = _factory(place, self.choice, zone, kind, issued.start_utc)
            source, step_s = factory.source, factory.source.interval_s(zone)
            if source.name == "reference":
                return [_typical(factory, zone, kind, part.start_utc, hours) for part in issued.split(3600)]
            span = source.span(zone)
            slot = Interval.containing(issued.start_utc, step_s).start_utc
            moment, _ = moment_for(source, zone, slot) if slot != span.end_utc else (slot, "")
            shift = slot - moment
            shifted = Interval(issued.start_utc - shift, issued.end_utc - shift)
            with self._one_issue:
                held = place.book.forecasts(
                    zone, issued=shifted, estimator=f"forecast_{base_of(factory, kind)}", kind=kind
                )
                entries = [e for e in held if e.source == source.name]
                made = [] if entries else issue(factory, zone, moment, max(hours, 24), kind).entries
        found = []
        for issued_utc, group in _by_issue(entries or made):
            first = Interval.containing(issued_utc + timedelta(seconds=step_s) - _MOMENT, step_s).start_utc
            end = first + (timedelta(hours=hours) if hours else timedelta(seconds=step_s))
            signal = _forecast(factory, zone, kind, group, Interval(first, end), shift)
            if made:
                told = Notice(
                    "ISSUED_LATE",
                    f"no forecast of {zone} had been issued from {format_utc(issued.start_utc)} on: this one was made afterwards"
                    " from what was known then, and the ledger says when it was written down",
                )
                signal = replace(signal, notices=(*signal.notices, told))
            found.append(signal)
        return found

    def _past(self, asked: Interval) -> Interval:
        """Give the part of a stretch that has begun."""
        now = self.now_utc()
        if asked.start_utc > now:
            raise TimeError(
                f"{format_utc(asked.start_utc)} has not come yet; ask for the past, or for a forecast"
            )
        return Interval(asked.start_utc, min(asked.end_utc, now + _MOMENT))

    def updated(self, zone: str, kind: Kind, since_utc: datetime, asked: Interval) -> list[Point]:
        """Give the intervals of a stretch whose entry was written down at a moment or later."""
        with self.opened() as place:
            factory = _factory(place, self.choice, zone, kind, asked.start_utc)
            entries = place.book.entries(
                kind, zone, asked, base_of(factory, kind), source=factory.source.name
            )
        points = [_point(entry, timedelta(0)) for entry in entries]
        return [p for p in points if p.recorded_utc >= since_utc and p.start_utc in asked]


_MOMENT = timedelta(microseconds=1)


def _factory(place: Workplace, choice: SourceChoice, zone: str, kind: Kind, moment_utc: datetime) -> Factory:
    factory = place.factory(choice, zone, moment_utc)
    return replace(factory, estimators=(base_of(factory, kind),), asked=())


def _present(factory: Factory, zone: str, now_utc: datetime) -> tuple[datetime, timedelta]:
    """Give the start of the interval that answers for now, and how far that lies back."""
    step_s = factory.source.interval_s(zone)
    slot = Interval.containing(now_utc, step_s).start_utc
    moment, _ = moment_for(factory.source, zone, slot)
    return moment, slot - moment


def _read(factory: Factory, zone: str, kind: Kind, wanted: Interval, shift: timedelta) -> Signal:
    """Read a stretch of the record as if it lay `shift` later."""
    step_s = factory.source.interval_s(zone)
    stretch = Interval(wanted.start_utc - shift, wanted.end_utc - shift)
    outcome = factory.ensure(zone, stretch)
    base = base_of(factory, kind)
    entries = [
        entry
        for entry in factory.book.entries(kind, zone, stretch, base, source=factory.source.name)
        if entry.estimate.interval.duration_s == step_s
    ]
    if not entries:
        raise NoFactorError(
            f"no {kind} factor for {zone} in {wanted}: {'; '.join(outcome.notes) or f'{base} says nothing of it'};"
            " ask for another stretch or zone"
        )
    return Signal(
        zone, kind, base, entries[-1].estimate.estimator_version, factory.source.name, step_s,
        tuple(_point(entry, shift) for entry in entries), tuple(_told(zone, entries, shift)),
    )  # fmt: skip


def _checked(signal: Signal, wanted: Interval) -> Signal:
    """Say which intervals of a stretch are missing."""
    if not signal.points:
        raise NoFactorError(f"no {signal.kind} factor for {signal.zone} in {wanted}; ask for another stretch")
    n = round(wanted.duration_s / signal.interval_s)
    missing = n - len(signal.points)
    if missing <= 0:
        return signal
    told = Notice("GAPS", f"{missing} of {n} intervals have no factor and are left out")
    return replace(signal, notices=(*signal.notices, told))


def _point(entry: Entry, shift: timedelta) -> Point:
    estimate = entry.estimate
    factor = estimate.factor_gco2_per_kwh
    status = estimate.status
    if shift and status in (Status.REPORTED, Status.ADJUSTED):
        status = Status.IMPUTED
    return Point(
        estimate.interval.start_utc + shift, factor.low, factor.mid, factor.high, status, entry.recorded_utc,
        tuple((s.name, s.probability) for s in estimate.sources),
    )  # fmt: skip


def _told(zone: str, entries: Sequence[Entry], shift: timedelta) -> Iterable[Notice]:
    views = {entry.estimate.basis.view for entry in entries}
    n_imputed = sum(entry.estimate.status is Status.IMPUTED for entry in entries)
    if shift:
        first = entries[0].estimate.interval.start_utc
        yield Notice(
            "STAND_IN",
            f"the record of {zone} does not reach {format_utc(first + shift)}: that of {format_utc(first)} stands in",
        )
    if View.TYPICAL in views:
        yield Notice(
            "TYPICAL_DAYS", f"modelled from a typical day of the season in {zone}, not from what happened"
        )
    if View.HINDCAST in views:
        yield Notice("HINDCAST", "fitted on data that were not there yet: the record is young")
    if n_imputed:
        yield Notice("IMPUTED", f"{n_imputed} of {len(entries)} intervals rest on imputed data")


def _typical(factory: Factory, zone: str, kind: Kind, moment: datetime, hours: int) -> Signal:
    step_s = factory.source.interval_s(zone)
    start = Interval.containing(moment, step_s).start_utc
    end = start + (timedelta(hours=hours) if hours else timedelta(seconds=step_s))
    found = _read(factory, zone, kind, Interval(start, end), timedelta(0))
    told = Notice("NO_FORECAST", f"typical days of {zone} stand in for a forecast")
    return replace(found, notices=(*found.notices, told), generated_utc=start)


def _held(factory: Factory, zone: str, kind: Kind, issued: Interval, end: datetime) -> list[Entry]:
    """Give the newest issue that the ledger holds and that reaches to `end`; none where there is none."""
    name = f"forecast_{base_of(factory, kind)}"
    held = factory.book.forecasts(zone, issued=issued, estimator=name, kind=kind)
    groups = _by_issue([entry for entry in held if entry.source == factory.source.name])
    reaching = [group for _, group in groups if group[-1].estimate.interval.end_utc >= end]
    return reaching[-1] if reaching else []


def _by_issue(entries: Iterable[Entry]) -> list[tuple[datetime, list[Entry]]]:
    groups: dict[datetime, list[Entry]] = {}
    for entry in entries:
        if entry.issued_utc is not None:
            groups.setdefault(entry.issued_utc, []).append(entry)
    return sorted(groups.items())


def _forecast(
    factory: Factory, zone: str, kind: Kind, entries: Sequence[Entry], wanted: Interval, shift: timedelta
) -> Signal:
    """Show an issue, as if it had been made `shift` later."""
    estimate, issued = entries[0].estimate, entries[0].issued_utc
    inside = [e for e in entries if e.estimate.interval.start_utc in wanted]
    if not inside or issued is None:
        raise NoFactorError(f"the forecast of {zone} says nothing of {wanted}; ask for less of it")
    notices = []
    if shift:
        told = f"the record of {zone} does not reach {format_utc(issued + shift)}: the forecast of {format_utc(issued)} stands in"
        notices.append(Notice("STAND_IN", told))
    return Signal(
        zone, kind, estimate.estimator, estimate.estimator_version, factory.source.name,
        factory.source.interval_s(zone), tuple(_point(e, shift) for e in inside), tuple(notices), issued + shift,
    )  # fmt: skip
