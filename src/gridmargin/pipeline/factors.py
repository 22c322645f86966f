"""Fetch, parse, assemble, estimate, append: make sure the book covers an interval."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl

from gridmargin.grid import GridState, GridStates, assemble, faults_of
from gridmargin.ledger import Book, Declaration, PayloadNote
from gridmargin.marginal import (
    ESTIMATORS,
    Estimates,
    Estimator,
    Facts,
    Fit,
    Imports,
    Need,
    weigh_history,
)
from gridmargin.pipeline.derived import (
    BLEND,
    LOOK_BACK,
    SCORED,
    WHOLE,
    ZONAL,
    Recipe,
    blended,
    modified,
    neighbours_in,
    plain,
    recipe,
)
from gridmargin.pipeline.facts import FactsOf
from gridmargin.sources import Archive, Observations, Payload, Source
from gridmargin.vocab import (
    FOSSIL,
    Fuel,
    Interval,
    Kind,
    NoFactorError,
    View,
    format_utc,
    generation_column,
)

HISTORY = timedelta(days=365)
"""How far back a fit looks; it is renewed at the start of every UTC month."""

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
class _Sought:
    """One name to be estimated."""

    name: str
    asked: Recipe
    kind: Kind
    version: str
    needs: frozenset[Need]

    @staticmethod
    def of(name: str) -> _Sought:
        if name in ESTIMATORS:
            plain = ESTIMATORS.get(name)()
            return _Sought(name, Recipe(name), plain.kind, plain.version, plain.needs)
        asked = recipe(name)
        needs = frozenset() if asked.base in WHOLE else ESTIMATORS.get(asked.base)().needs
        return _Sought(name, asked, Kind.MARGINAL, asked.version, needs)


@dataclass(frozen=True, slots=True)
class _AtHand:
    """What the estimates of one part are made from."""

    zone: str
    part: Interval
    states: GridStates
    facts: Facts
    known_from_utc: datetime


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
    """

    source: Source
    book: Book
    archive: Archive
    facts_of: FactsOf
    now_utc: Callable[[], datetime]
    estimators: Sequence[str] = USUAL
    asked: Sequence[str] = ()
    payload_of: Callable[[str], Payload | None] = lambda _sha256: None

    def ensure(self, zone: str, interval: Interval, *, renew: bool = False) -> Outcome:
        """Make the book cover `interval`, as far as the source reaches.

        Parameters
        ----------
        renew : bool
            Read and estimate again even where entries exist; entries that come out different supersede (C9).

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
                f" {format_utc(known.end_utc)}: nothing for {interval}; align the log with --align-to, or point"
                f" --source at a folder with that period"
            )
        wanted = _whole_slots(wanted, step_s)
        every = [_Sought.of(name) for name in self.names]
        pending = [e for e in every if renew or not self._covered(zone, wanted, e, step_s)]
        lacking = [
            (e.name, need) for e in pending for need in sorted(e.needs) if not self._has(need, zone, wanted)
        ]
        notes = [f"{name}: {need} is not known for {zone}" for name, need in lacking if self._tells(name)]
        pending = [e for e in pending if e.name not in [name for name, _ in lacking]]
        if not pending:
            return Outcome(0, tuple(notes))
        states, lineage = self.states(zone, self.reading(wanted, known))
        n_new = 0
        for part in self._parts(zone, wanted):
            if not len(states.between(part)):
                continue
            at_hand = _AtHand(
                zone, part, states, self.facts_of(zone, part.start_utc.year - 1), known.start_utc
            )
            fitted: dict[str, tuple[Fit, View]] = {}
            for sought in pending:
                found = self._estimated(sought, at_hand, lineage, fitted)
                if isinstance(found, str):
                    if self._tells(sought.name):
                        notes.append(f"{sought.name}, {part.start_utc:%Y-%m}: {found}")
                    continue
                estimates, fit, *others = found
                behind = _looking_back(lineage) if sought.asked.modifiers else _together([lineage, *others])
                n_new += self.book.append(
                    estimates,
                    fit,
                    self.now_utc(),
                    *payloads_and_conditions(estimates, behind),
                    source=self.source.name,
                )
        return Outcome(n_new, tuple(dict.fromkeys(notes)))

    @property
    def names(self) -> tuple[str, ...]:
        """Everything to be estimated, what others are made from first."""
        derived = [name for name in self.asked if name not in self.estimators]
        bases = [
            b for b in (recipe(name).base for name in derived) if b not in WHOLE and b not in self.estimators
        ]
        return tuple(dict.fromkeys([*self.estimators, *bases, *derived]))

    def _tells(self, name: str) -> bool:
        return name in ALWAYS or name in self.asked

    def _estimated(
        self, sought: _Sought, at_hand: _AtHand, lineage: pl.DataFrame, fitted: dict[str, tuple[Fit, View]]
    ) -> tuple[Estimates, Fit] | tuple[Estimates, Fit, pl.DataFrame] | str:
        """Give the estimates of one part, their fit, and what other zones' states rest on; notes fits in `fitted`."""
        asked = sought.asked
        if asked.base == ZONAL:
            return self._zonal(at_hand, lineage)
        if asked.base == BLEND:
            return self._blended(at_hand, lineage, fitted)
        if asked.base not in fitted:
            found = self._fit(
                ESTIMATORS.get(asked.base)(),
                at_hand.states,
                at_hand.facts,
                at_hand.part,
                at_hand.known_from_utc,
            )
            if isinstance(found, str):
                return found
            fit, view, is_new = found
            view = View.TYPICAL if self.source.name == "reference" else view
            fitted[asked.base] = (self.traced(fit, lineage) if is_new else fit, view)
        fit, view = fitted[asked.base]
        if asked.modifiers:
            estimates, fit = self._modified(asked, at_hand, fit, view)
        else:
            estimates = ESTIMATORS.get(asked.base)().estimate(at_hand.states.between(at_hand.part), fit)
        return _seen(estimates, view), fit

    def _modified(self, asked: Recipe, at_hand: _AtHand, fit: Fit, view: View) -> tuple[Estimates, Fit]:
        """Estimate with modifiers, looking a day back."""
        part = at_hand.part
        # Running sums begin at the same interval whatever is asked for, so that an hour comes out to the same last digit.
        stretch = Interval(_first_of_month(part.start_utc) - LOOK_BACK, part.end_utc)
        history = at_hand.states.between(Interval(fit.train_start_utc, fit.train_end_utc))
        neighbours = {}
        if Imports.name in asked.modifiers:
            for zone in neighbours_in(at_hand.states):
                found = self._neighbour(zone, asked.base, part, stretch)
                # A neighbour whose estimate is of another view is another kind of answer (C3): it stays out.
                if found is not None and found[1] is view:
                    neighbours[zone] = plain(found[0])
        estimates, own = modified(at_hand.states.between(stretch), history, fit, asked, neighbours)
        return estimates.between(part), own

    def _neighbour(
        self, zone: str, base: str, part: Interval, stretch: Interval
    ) -> tuple[Estimates, View] | None:
        """Estimate for a neighbour by the same source, and write that down too; None where it cannot be."""
        known = self.source.span(zone) if zone in self.source.zones() else None
        wanted = known.overlap(part) if known else None
        if known is None or wanted is None:
            return None
        replace(self, estimators=(base,), asked=()).ensure(zone, wanted)
        states, lineage = self.states(zone, self.reading(wanted, known))
        at_hand = _AtHand(zone, part, states, self.facts_of(zone, part.start_utc.year - 1), known.start_utc)
        fitted: dict[str, tuple[Fit, View]] = {}
        if isinstance(self._estimated(_Sought.of(base), at_hand, lineage, fitted), str):
            return None
        fit, view = fitted[base]
        return ESTIMATORS.get(base)().estimate(states.between(stretch), fit), view

    def _zonal(self, at_hand: _AtHand, lineage: pl.DataFrame) -> tuple[Estimates, Fit, pl.DataFrame] | str:
        """Dispatch the zone with every zone of the source that ties lead to and whose units are known."""
        from gridmargin.marginal import zonal  # it loads the solver, which other estimates have no need of

        part = at_hand.part
        states, facts, lineages = {at_hand.zone: at_hand.states}, {at_hand.zone: at_hand.facts}, [lineage]
        todo = [at_hand.zone]
        while todo:
            for zone in neighbours_in(states[todo.pop()]):
                known = self.source.span(zone) if zone in self.source.zones() and zone not in states else None
                if known is None or known.overlap(part) is None:
                    continue
                states[zone], theirs = self.states(zone, self.reading(part, known))
                facts[zone] = self.facts_of(zone, part.start_utc.year - 1)
                lineages.append(theirs)
                todo.append(zone)
        stacks: dict[str, Fit] = {}
        views: dict[str, View] = {}
        lacking = ""
        for zone, seen in states.items():
            found = self._fit(
                ESTIMATORS.get("merit_order")(), seen, facts[zone], part, self.source.span(zone).start_utc
            )
            if not isinstance(found, str):
                stacks[zone], views[zone], _ = found
            elif zone == at_hand.zone:
                lacking = found
        if lacking or len(stacks) < 2:
            return (
                lacking or f"{ZONAL} of {at_hand.zone} needs a neighbour in this source whose units are known"
            )
        view = views[at_hand.zone]
        stacks = {zone: fit for zone, fit in stacks.items() if views[zone] is view}
        own = stacks[at_hand.zone]
        span = Interval(own.train_start_utc, own.train_end_utc)
        try:
            fit = zonal.fit_zonal(at_hand.zone, {zone: states[zone].between(span) for zone in stacks}, stacks)
        except NoFactorError as error:
            return str(error)
        fit = self.traced(fit, lineage)
        estimates = zonal.estimate_zonal({zone: states[zone].between(part) for zone in stacks}, fit)
        return (
            _seen(estimates, View.TYPICAL if self.source.name == "reference" else view),
            fit,
            _together(lineages),
        )

    def _blended(
        self, at_hand: _AtHand, lineage: pl.DataFrame, fitted: dict[str, tuple[Fit, View]]
    ) -> tuple[Estimates, Fit] | str:
        """Blend every marginal estimator that could be fitted, weighed by the month before by fits from before it."""
        month = _first_of_month(at_hand.part.start_utc)
        before = Interval(month - SCORED, month)
        past = at_hand.states.between(before)
        members: dict[str, tuple[Estimates, Fit]] = {}
        scored: dict[str, Estimates] = {}
        views = set()
        for name in self.names:
            sought = _Sought.of(name)
            if sought.asked.is_derived or sought.kind is not Kind.MARGINAL:
                continue
            found = self._estimated(sought, at_hand, lineage, fitted)
            history = at_hand.states.between(Interval(before.start_utc - HISTORY, before.start_utc))
            if isinstance(found, str) or not len(history):
                continue
            estimator = ESTIMATORS.get(name)()
            earlier = self.facts_of(at_hand.zone, before.start_utc.year - 1)
            fit = self.learn(estimator, history, earlier, [])
            if isinstance(fit, Fit):
                members[name], scored[name] = (found[0], found[1]), estimator.estimate(past, fit)
                views.add(fitted[name][1])
        if len(views) > 1:
            return "its members do not all see the grid from the same moment"
        found = blended(members, scored, past, at_hand.facts)
        if isinstance(found, str):
            return found
        return _seen(found[0], views.pop()), found[1]

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
        return states, _lineage(states, observations)

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
        first_month = _first_of_month(wanted.start_utc)
        if self.source.name == "reference":
            # A typical day of each of the four seasons before: more of the same days would add no knowledge.
            return [*(_mid_month(first_month, back) for back in (10, 7, 4, 1)), wanted]
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
        """Fit on a history in which the grid changed, or say what is missing.

        Parameters
        ----------
        changes : sequence of (what, from, note)
            In order of time. What became of each stands in the fit's parameters, under `grid_changes`.
        """
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
        return replace(fit, payload_sha256s=(*fit.payload_sha256s, *_payloads_in(lineage, fit)))

    def declared(self, zone: str, start_utc: datetime, end_utc: datetime) -> list[Declaration]:
        """Give the declared changes that an interval in `[start_utc, end_utc)` can notice, in order of time."""
        oldest = _first_of_month(start_utc) - HISTORY
        return [d for d in self.book.declarations(zone) if oldest < d.from_utc < end_utc]

    def changes(
        self, zone: str, estimator: str, start_utc: datetime, end_utc: datetime
    ) -> list[tuple[str, datetime, str]]:
        """Give what is known to have changed, declared or found by a recalibration of this estimator; for `learn`."""
        oldest = _first_of_month(start_utc) - HISTORY
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

    def _fit(
        self, estimator: Estimator, states: GridStates, facts: Facts, part: Interval, known_from_utc: datetime
    ) -> tuple[Fit, View, bool] | str:
        """Give the fit for one part, its view, and whether it is new: of its month, or of a recalibration since."""
        month_utc = _first_of_month(part.start_utc)
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

    def _covered(self, zone: str, wanted: Interval, estimator: _Sought, step_s: int) -> bool:
        def n(stretch: Interval, recorded_from_utc: datetime | None = None) -> int:
            return self.book.count(
                estimator.kind, zone, stretch, estimator.name, estimator.version, step_s, self.source.name,
                recorded_from_utc,
            )  # fmt: skip

        if n(wanted) < wanted.duration_s // step_s:
            return False
        # What was written before a change was declared does not know of it.
        for declaration in self.declared(zone, wanted.start_utc, wanted.end_utc):
            new = _whole_slots(Interval(max(declaration.from_utc, wanted.start_utc), wanted.end_utc), step_s)
            if n(new, declaration.recorded_utc) < new.duration_s // step_s:
                return False
        return True


def _payloads_in(lineage: pl.DataFrame, fit: Fit) -> list[str]:
    """Give the hashes of the payloads behind the states that a fit saw, sorted."""
    start, end = (int(moment.timestamp()) for moment in (fit.train_start_utc, fit.train_end_utc))
    seen = lineage.filter(pl.col("start_s").is_between(start, end, closed="left"))["payloads"].unique()
    return sorted({digest for text in seen for digest in json.loads(text)} - set(fit.payload_sha256s))


def payloads_and_conditions(estimates: Estimates, lineage: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Give what the book keeps beside each estimate, from what `Factory.states` tells."""
    behind = pl.DataFrame({"start_s": estimates.start_epoch_s}).join(
        lineage, on="start_s", how="left", maintain_order="left"
    )
    return behind["payloads"].to_list(), behind["conditions"].to_list()


def _seen(estimates: Estimates, view: View) -> Estimates:
    return replace(estimates, basis=replace(estimates.basis, view=view))


def _looking_back(lineage: pl.DataFrame) -> pl.DataFrame:
    """Give each interval the payloads of the `LOOK_BACK` before it too."""
    span_s = int(LOOK_BACK.total_seconds())
    kinds = lineage.with_columns(pl.col("payloads").str.json_decode(pl.List(pl.String)).alias("each")).sort(
        "start_s"
    )
    behind = kinds.rolling("start_s", period=f"{span_s + 1}i").agg(pl.col("each").explode().unique().sort())
    texts = behind.select("start_s", pl.format('["{}"]', pl.col("each").list.join('","')).alias("payloads"))
    return texts.join(
        lineage.select("start_s", "conditions"), on="start_s", how="left", maintain_order="left"
    )


def _together(lineages: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Give each interval the payloads of several zones' states, and the conditions of the first."""
    if len(lineages) == 1:
        return lineages[0]
    lists = pl.col("payloads").str.json_decode(pl.List(pl.String))
    every = pl.concat([part.select("start_s", lists) for part in lineages]).explode("payloads")
    joined = every.group_by("start_s").agg(pl.col("payloads").unique().sort())
    texts = joined.select(
        "start_s", pl.format('["{}"]', pl.col("payloads").list.join('","')).alias("payloads")
    )
    return lineages[0].drop("payloads").join(texts, on="start_s", how="left", maintain_order="left")


def _first_of_month(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, 1, tzinfo=UTC)


def _mid_month(month_utc: datetime, back: int) -> Interval:
    year, month = divmod(month_utc.year * 12 + month_utc.month - 1 - back, 12)
    return Interval.starting(datetime(year, month + 1, 15, tzinfo=UTC), 86_400)


def month_starts(interval: Interval) -> Iterator[Interval]:
    """Cut an interval at UTC month boundaries; each part begins at `interval`'s start or a month's."""
    start = interval.start_utc
    while start < interval.end_utc:
        year, month = divmod(start.year * 12 + start.month, 12)
        turn = datetime(year, month + 1, 1, tzinfo=UTC)
        yield Interval(start, min(turn, interval.end_utc))
        start = turn


def _whole_slots(interval: Interval, step_s: int) -> Interval:
    first = Interval.containing(interval.start_utc, step_s).start_utc
    last = Interval.containing(interval.end_utc - timedelta(microseconds=1), step_s).end_utc
    return Interval(first, last)


def _lineage(states: GridStates, observations: Observations) -> pl.DataFrame:
    behind = (
        observations.frame.lazy()
        .group_by("start_utc")
        .agg(pl.col("payload_sha256").unique().sort())
        .select("start_utc", pl.format('["{}"]', pl.col("payload_sha256").list.join('","')).alias("payloads"))
        .collect()
    )
    total = [generation_column(f) for f in states.fuels]
    fossil = [generation_column(f) for f in states.fuels if f in FOSSIL]
    weather = [generation_column(f) for f in states.fuels if f in {Fuel.WIND, Fuel.SOLAR}]
    frame = states.frame.select(
        (pl.col("start_utc").to_physical() // 1_000_000).alias("start_s"),
        "start_utc",
        pl.format(
            '{{"generation_mw":{},"fossil_mw":{},"wind_solar_mw":{},"completeness_frac":{}}}',
            *(_sum_text(columns) for columns in (total, fossil, weather)),
            pl.col("completeness_frac").round(4).cast(pl.String),
        ).alias("conditions"),
    )
    told = frame.join(_faults(states), on="start_utc", how="left", maintain_order="left").with_columns(
        pl.when(pl.col("faults").is_null())
        .then(pl.col("conditions"))
        .otherwise(pl.col("conditions").str.head(-1) + pl.lit(',"faults":') + pl.col("faults") + pl.lit("}"))
    )
    return told.join(behind, on="start_utc", how="left", maintain_order="left").drop("start_utc", "faults")


def _faults(states: GridStates) -> pl.DataFrame:
    """Give what is wrong with each state that has something wrong, as a JSON list of sentences."""
    found: dict[datetime, list[str]] = {}
    for fault in faults_of(states):
        found.setdefault(fault.start_utc, []).append(f"{fault.kind.value}: {fault.message}")
    return pl.DataFrame(
        {
            "start_utc": list(found),
            "faults": [json.dumps(told, ensure_ascii=False) for told in found.values()],
        },
        schema={"start_utc": pl.Datetime("us", "UTC"), "faults": pl.String},
    )


def _sum_text(columns: list[str]) -> pl.Expr:
    if not columns:
        return pl.lit("null")
    return pl.sum_horizontal(columns, ignore_nulls=False).round(1).cast(pl.String).fill_null("null")
