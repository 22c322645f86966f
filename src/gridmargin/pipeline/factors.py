"""Fetch, parse, assemble, estimate, append: make sure the book covers an interval."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl

from gridmargin.grid import GridState, GridStates, assemble
from gridmargin.ledger import Book, Declaration, PayloadNote, Shelf
from gridmargin.marginal import (
    Estimator,
    Facts,
    Fit,
    Need,
    weigh_history,
)
from gridmargin.pipeline.derived import (
    LOOK_BACK,
    WHOLE,
    recipe,
)
from gridmargin.pipeline.facts import FactsOf
from gridmargin.pipeline.kept_fits import kept_or_learned
from gridmargin.pipeline.months import HISTORY, first_of_month, mid_month, month_starts, whole_slots
from gridmargin.pipeline.provenance import (
    lineage_of,
    looking_back,
    payloads_and_conditions,
    payloads_in,
)
from gridmargin.pipeline.sought import AtHand, Sought, estimated
from gridmargin.sources import Archive, Observations, Payload, Source
from gridmargin.vocab import (
    Interval,
    Kind,
    NoFactorError,
    View,
    format_utc,
)

WARM_UP = timedelta(days=60)
"""Where the record is too young for a fit from before, its first stretch of this length serves, named `hindcast` (C10)."""


AROUND = timedelta(hours=2)
"""How far around one interval states are read to tell what is unusual in it."""

DRIFT = "drift"
"""What a change of the grid is called that nobody declared, but a recalibration found."""

ALWAYS = ("regression", "fleet_curve", "average")
"""Estimators that say so where they cannot speak; of the others only what was asked for does."""

USUAL = ("regression", "fleet_curve", "merit_order", "price_implied", "published", "average")
"""Registered estimators in the order they run."""

STAND_IN = "running_plants"
"""What speaks of a part of a stretch where no other estimator of the margin does."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done to cover an interval.

    Attributes
    ----------
    n_new : int
        Entries that are new in the book.
    notes : tuple of str
        What could not be estimated, and why.
    """

    n_new: int
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Factory:
    """Everything needed to turn a source's payloads into ledger entries.

    Attributes
    ----------
    source : Source
        Where payloads come from.
    book, archive
        Where entries and raw bytes go.
    facts_of : callable
        `(zone, year) -> Facts` with nothing newer than `year`.
    now_utc : callable
        The clock.
    estimators : sequence of str
        Registered names, in the order they run.
    asked : sequence of str
        Names beyond these, such as `regression+storage` or `blend`, or those that were asked for among them.
    payload_of : callable
        Gives the payload behind facts by its hash, so that it can be kept; None where it is not to be had.
    shelf : Shelf or None
        Where fits are kept from one process to the next; None learns each anew.
    """

    source: Source
    book: Book
    archive: Archive
    facts_of: FactsOf
    now_utc: Callable[[], datetime]
    estimators: Sequence[str] = USUAL
    asked: Sequence[str] = ()
    payload_of: Callable[[str], Payload | None] = lambda _sha256: None
    shelf: Shelf | None = None

    def ensure(self, zone: str, interval: Interval, *, renew: bool = False) -> Outcome:
        """Make the book cover `interval`, as far as the source reaches.

        Parameters
        ----------
        renew : bool
            Read, learn and estimate again even where entries exist and fits were kept; entries that come out different
            supersede (C9).

        Raises
        ------
        NoFactorError
            If the source says nothing about any of it.
        """
        step_s = self.source.interval_s(zone)
        known = self.source.span(zone)
        wanted = known.overlap(interval)
        if wanted is None:
            raise NoFactorError(
                f"{self.source.name} data for {zone} reach from {format_utc(known.start_utc)} to"
                f" {format_utc(known.end_utc)}: nothing for {interval}; align the log with `align_to`, or point"
                f" `source` at a folder with that period"
            )
        wanted = whole_slots(wanted, step_s)
        every = [Sought.of(name) for name in self.names]
        pending = [e for e in every if renew or not self._covered(zone, wanted, e, step_s)]
        stand_in = self._stand_in(zone, wanted, every, pending, step_s)
        lacking = [
            (e.name, need) for e in pending for need in sorted(e.needs) if not self._has(need, zone, wanted)
        ]
        notes = [f"{name}: {need} is not known for {zone}" for name, need in lacking if self._tells(name)]
        pending = [e for e in pending if e.name not in [name for name, _ in lacking]]
        if not pending and stand_in is None:
            return Outcome(0, tuple(notes))
        maker = replace(self, shelf=None) if renew else self
        states, lineage = self.states(zone, self.reading(wanted, known))
        n_new = 0
        for part in self._parts(zone, wanted):
            if not len(states.between(part)):
                continue
            at_hand = AtHand(
                zone, part, states, self.facts_of(zone, part.start_utc.year - 1), known.start_utc
            )
            fitted: dict[str, tuple[Fit, View]] = {}
            is_answered = stand_in is None
            for sought in (*pending, *([] if stand_in is None else [stand_in])):
                if sought is stand_in and is_answered:
                    continue
                found = estimated(maker, sought, at_hand, lineage, fitted)
                if isinstance(found, str):
                    if self._tells(sought.name):
                        notes.append(f"{sought.name}, {part.start_utc:%Y-%m}: {found}")
                    continue
                estimates, fit, *joined = found
                is_answered |= sought.kind is Kind.MARGINAL and len(estimates) > 0
                behind = joined[0] if joined else lineage
                if sought.asked.modifiers:
                    behind = looking_back(lineage, LOOK_BACK)
                n_new += self.book.append(
                    estimates,
                    fit,
                    self.now_utc(),
                    *payloads_and_conditions(estimates, behind),
                    source=self.source.name,
                )
        notes += self.shelf.faults() if self.shelf else []
        return Outcome(n_new, tuple(dict.fromkeys(notes)))

    @property
    def names(self) -> tuple[str, ...]:
        """Everything to be estimated, what others are made from first."""
        derived = [name for name in self.asked if name not in self.estimators]
        bases = [
            b for b in (recipe(name).base for name in derived) if b not in WHOLE and b not in self.estimators
        ]
        return tuple(dict.fromkeys([*self.estimators, *bases, *derived]))

    def speaks_of(self, zone: str, interval: Interval) -> bool:
        """Say whether the book has any entry for `interval` from this source, by any estimator of this factory."""
        step_s = self.source.interval_s(zone)
        return any(
            self.book.count(e.kind, zone, interval, e.name, e.version, step_s, self.source.name)
            for e in map(Sought.of, {*self.names, STAND_IN})
        )

    def _stand_in(
        self, zone: str, wanted: Interval, every: list[Sought], pending: list[Sought], step_s: int
    ) -> Sought | None:
        """Give what speaks where none of the usual does: not where one covers the stretch already, or it does itself."""
        if not set(USUAL) <= set(self.estimators) or STAND_IN in self.names:
            return None
        if any(e.kind is Kind.MARGINAL and e not in pending for e in every):
            return None
        sought = Sought.of(STAND_IN)
        return None if self._covered(zone, wanted, sought, step_s) else sought

    def _tells(self, name: str) -> bool:
        return name in ALWAYS or name in self.asked

    def states(self, zone: str, stretches: Sequence[Interval]) -> tuple[GridStates, pl.DataFrame]:
        """Read the states of some stretches, keeping every payload in the archive.

        Returns
        -------
        GridStates
            Ordered, of all stretches.
        polars.DataFrame
            Per state: `start_s`, `payloads` (JSON list of hashes), `conditions` (JSON object, with what is wrong with the
            state under `faults` where anything is).
        """
        parts: list[Observations] = []
        seen: set[str] = set()
        for stretch in stretches:
            for payload in self.source.fetch(zone, stretch):
                digest = self.archive.put(payload)
                if digest not in seen:
                    seen.add(digest)
                    note = PayloadNote(digest, payload.source, payload.name, self.now_utc())
                    self.book.note_payload(note, len(payload.body))
                parts.append(self.source.parse(payload, stretch))
        observations = Observations.concat(parts)
        states = assemble(observations, zone, self.source.interval_s(zone))
        return states, lineage_of(states, observations)

    def state(self, zone: str, interval: Interval) -> tuple[GridState | None, list[str]]:
        """Give the state of one interval, and what is wrong with it; some hours around tell what is unusual."""
        around = Interval(interval.start_utc - AROUND, interval.end_utc + AROUND)
        states, lineage = self.states(zone, [self.source.span(zone).overlap(around) or interval])
        here = states.between(interval)
        if not len(here):
            return None, []
        [told] = lineage.filter(pl.col("start_s") == here.start_epoch_s()[0])["conditions"]
        return here.record(0), json.loads(told).get("faults", [])

    def reading(self, wanted: Interval, known: Interval) -> list[Interval]:
        """Give the stretches to read so that `wanted` can be estimated: itself and what its fits learn from."""
        first_month = first_of_month(wanted.start_utc)
        if self.source.name == "reference":
            # A typical day of each of the four seasons before: more of the same days would add no knowledge.
            return [*(mid_month(first_month, back) for back in (10, 7, 4, 1)), wanted]
        start = max(known.start_utc, first_month - HISTORY)
        warm = min(known.end_utc, known.start_utc + WARM_UP)
        end = max(wanted.end_utc, warm) if start == known.start_utc else wanted.end_utc
        return [Interval(start, end)]

    def learn(
        self,
        estimator: Estimator,
        history: GridStates,
        facts: Facts,
        changes: Sequence[tuple[str, datetime, str]],
    ) -> Fit | str:
        """Fit on a history in which the grid changed, or say what is missing; a fit that was kept is taken up again.

        Parameters
        ----------
        changes : sequence of (what, from, note)
            In order of time. What became of each stands in the fit's parameters, under `grid_changes`.
        """
        return kept_or_learned(
            self.shelf, estimator, history, facts, changes,
            lambda: self._learned(estimator, history, facts, changes),
        )  # fmt: skip

    def _learned(
        self,
        estimator: Estimator,
        history: GridStates,
        facts: Facts,
        changes: Sequence[tuple[str, datetime, str]],
    ) -> Fit | str:
        seen, effects = weigh_history(
            history, [moment for _, moment, _ in changes], lambda part: estimator.can_fit(part, facts) is None
        )
        missing = estimator.can_fit(seen, facts)
        if missing is not None:
            return missing
        fit = estimator.fit(seen, facts)
        if not changes:
            return fit
        told = [
            {"what": what, "from_utc": format_utc(moment), "note": note, "effect": effect}
            for (what, moment, note), effect in zip(changes, effects, strict=True)
        ]
        return replace(fit, parameters={**fit.parameters, "grid_changes": told})

    def traced(self, fit: Fit, lineage: pl.DataFrame) -> Fit:
        """Give a new fit with the hashes of the payloads that it saw, and keep what its facts were read from (C12)."""
        for digest in fit.payload_sha256s:
            payload = None if self.book.has_payload(digest) else self.payload_of(digest)
            if payload is not None:
                self.archive.put(payload)
                note = PayloadNote(digest, payload.source, payload.name, self.now_utc())
                self.book.note_payload(note, len(payload.body))
        return replace(fit, payload_sha256s=(*fit.payload_sha256s, *payloads_in(lineage, fit)))

    def declared(self, zone: str, start_utc: datetime, end_utc: datetime) -> list[Declaration]:
        """Give the declared changes that an interval in `[start_utc, end_utc)` can notice, in order of time."""
        oldest = first_of_month(start_utc) - HISTORY
        return [d for d in self.book.declarations(zone) if oldest < d.from_utc < end_utc]

    def changes(
        self, zone: str, estimator: str, start_utc: datetime, end_utc: datetime
    ) -> list[tuple[str, datetime, str]]:
        """Give what is known to have changed, declared or found by a recalibration of this estimator; for `learn`."""
        oldest = first_of_month(start_utc) - HISTORY
        found = [(d.what.value, d.from_utc, d.note) for d in self.declared(zone, start_utc, end_utc)]
        found += [
            (DRIFT, record.interval.start_utc, record.cause)
            for record in self.book.recalibrations(zone, estimator)
            if record.event and oldest < record.interval.start_utc < end_utc
        ]
        return sorted(found, key=lambda change: change[1])

    def _parts(self, zone: str, wanted: Interval) -> Iterator[Interval]:
        """Cut a stretch where another fit or another grid begins."""
        recalibrations = self.book.recalibrations(zone)
        cuts = {wanted.start_utc, wanted.end_utc}
        cuts |= {month.start_utc for month in month_starts(wanted)}
        cuts |= {d.from_utc for d in self.declared(zone, wanted.start_utc, wanted.end_utc)}
        for record in recalibrations:
            cuts |= {record.interval.start_utc, record.interval.end_utc}
        inside = sorted(cut for cut in cuts if wanted.start_utc <= cut <= wanted.end_utc)
        return (Interval(start, end) for start, end in pairwise(inside))

    def fit_for(
        self, estimator: Estimator, states: GridStates, facts: Facts, part: Interval, known_from_utc: datetime
    ) -> tuple[Fit, View, bool] | str:
        """Give the fit for one part, its view, and whether it is new: of its month, or of a recalibration since."""
        month_utc = first_of_month(part.start_utc)
        declared = self.declared(states.zone, part.start_utc, part.end_utc)
        for record in reversed(self.book.recalibrations(states.zone, estimator.name)):
            learned = record.interval.end_utc
            newer = any(d.recorded_utc > record.recorded_utc for d in declared)
            if record.interval.start_utc <= part.start_utc and month_utc < learned and not newer:
                fit = self.book.fit(record.new_fit_id)
                if fit.estimator_version == estimator.version:
                    return fit, View.OBSERVED if part.start_utc >= learned else View.HINDCAST, False
        changes = self.changes(states.zone, estimator.name, part.start_utc, part.end_utc)
        found = self.learn(
            estimator, states.between(Interval(month_utc - HISTORY, month_utc)), facts, changes
        )
        if isinstance(found, Fit):
            return found, View.OBSERVED, True
        if month_utc < known_from_utc + WARM_UP:
            warm = self.learn(
                estimator, states.between(Interval(known_from_utc, known_from_utc + WARM_UP)), facts, changes
            )
            if isinstance(warm, Fit):
                return warm, View.HINDCAST, True
        return found

    def _has(self, need: Need, zone: str, wanted: Interval) -> bool:
        if need is Need.STATED:
            return self.source.states_margin
        years = range(wanted.start_utc.year - 1, wanted.end_utc.year)
        return any(self.facts_of(zone, year).has(need) for year in years)

    def _covered(self, zone: str, wanted: Interval, estimator: Sought, step_s: int) -> bool:
        def n(stretch: Interval, recorded_from_utc: datetime | None = None) -> int:
            return self.book.count(
                estimator.kind, zone, stretch, estimator.name, estimator.version, step_s, self.source.name,
                recorded_from_utc,
            )  # fmt: skip

        if n(wanted) < wanted.duration_s // step_s:
            return False
        # What was written before a change was declared does not know of it.
        for declaration in self.declared(zone, wanted.start_utc, wanted.end_utc):
            new = whole_slots(Interval(max(declaration.from_utc, wanted.start_utc), wanted.end_utc), step_s)
            if n(new, declaration.recorded_utc) < new.duration_s // step_s:
                return False
        return True
