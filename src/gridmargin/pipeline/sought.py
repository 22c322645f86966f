"""One name, one part: the estimates of whatever was asked for, and what they are made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from gridmargin.grid import GridStates
from gridmargin.marginal import ESTIMATORS, Estimates, Facts, Fit, Imports, Need
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
    recipe,
    seen_as,
)
from gridmargin.pipeline.months import HISTORY, first_of_month
from gridmargin.pipeline.provenance import together
from gridmargin.vocab import Interval, Kind, NoFactorError, View

if TYPE_CHECKING:
    from gridmargin.pipeline.factors import Factory


@dataclass(frozen=True, slots=True)
class Sought:
    """One name to be estimated."""

    name: str
    asked: Recipe
    kind: Kind
    version: str
    needs: frozenset[Need]

    @staticmethod
    def of(name: str) -> Sought:
        """Read a registered name or a recipe."""
        if name in ESTIMATORS:
            known = ESTIMATORS.get(name)()
            return Sought(name, Recipe(name), known.kind, known.version, known.needs)
        asked = recipe(name)
        needs = frozenset() if asked.base in WHOLE else ESTIMATORS.get(asked.base)().needs
        return Sought(name, asked, Kind.MARGINAL, asked.version, needs)


@dataclass(frozen=True, slots=True)
class AtHand:
    """What the estimates of one part are made from."""

    zone: str
    part: Interval
    states: GridStates
    facts: Facts
    known_from_utc: datetime


def estimated(
    factory: Factory,
    sought: Sought,
    at_hand: AtHand,
    lineage: pl.DataFrame,
    fitted: dict[str, tuple[Fit, View]],
) -> tuple[Estimates, Fit] | tuple[Estimates, Fit, pl.DataFrame] | str:
    """Give the estimates of one part, their fit, and the lineage where other zones are in it; notes fits in `fitted`."""
    asked = sought.asked
    if asked.base == ZONAL:
        return _zonal(factory, at_hand, lineage)
    if asked.base == BLEND:
        return _blended(factory, at_hand, lineage, fitted)
    if asked.base not in fitted:
        found = factory.fit_for(
            ESTIMATORS.get(asked.base)(),
            at_hand.states,
            at_hand.facts,
            at_hand.part,
            at_hand.known_from_utc,
        )
        if isinstance(found, str):
            return found
        fit, view, is_new = found
        view = View.TYPICAL if factory.source.name == "reference" else view
        fitted[asked.base] = (factory.traced(fit, lineage) if is_new else fit, view)
    fit, view = fitted[asked.base]
    if asked.modifiers:
        estimates, fit = _modified(factory, asked, at_hand, fit, view)
    else:
        estimates = ESTIMATORS.get(asked.base)().estimate(at_hand.states.between(at_hand.part), fit)
    return seen_as(estimates, view), fit


def _modified(
    factory: Factory, asked: Recipe, at_hand: AtHand, fit: Fit, view: View
) -> tuple[Estimates, Fit]:
    """Estimate with modifiers, looking a day back."""
    part = at_hand.part
    # Running sums begin at the same interval whatever is asked for, so that an hour comes out to the same last digit.
    stretch = Interval(first_of_month(part.start_utc) - LOOK_BACK, part.end_utc)
    history = at_hand.states.between(Interval(fit.train_start_utc, fit.train_end_utc))
    neighbours = {}
    if Imports.name in asked.modifiers:
        for zone in neighbours_in(at_hand.states):
            found = _neighbour(factory, zone, asked.base, part, stretch)
            # A neighbour whose estimate is of another view is another kind of answer (C3): it stays out.
            if found is not None and found[1] is view:
                neighbours[zone] = seen_as(found[0])
    estimates, own = modified(at_hand.states.between(stretch), history, fit, asked, neighbours)
    return estimates.between(part), own


def _neighbour(
    factory: Factory, zone: str, base: str, part: Interval, stretch: Interval
) -> tuple[Estimates, View] | None:
    """Estimate for a neighbour by the same source, and write that down too; None where it cannot be."""
    known = factory.source.span(zone) if zone in factory.source.zones() else None
    wanted = known.overlap(part) if known else None
    if known is None or wanted is None:
        return None
    replace(factory, estimators=(base,), asked=()).ensure(zone, wanted)
    states, lineage = factory.states(zone, factory.reading(wanted, known))
    at_hand = AtHand(zone, part, states, factory.facts_of(zone, part.start_utc.year - 1), known.start_utc)
    fitted: dict[str, tuple[Fit, View]] = {}
    if isinstance(estimated(factory, Sought.of(base), at_hand, lineage, fitted), str):
        return None
    fit, view = fitted[base]
    return ESTIMATORS.get(base)().estimate(states.between(stretch), fit), view


def _zonal(
    factory: Factory, at_hand: AtHand, lineage: pl.DataFrame
) -> tuple[Estimates, Fit, pl.DataFrame] | str:
    """Dispatch the zone with every zone of the source that ties lead to and whose units are known."""
    from gridmargin.marginal import zonal  # it loads the solver, which other estimates have no need of

    part = at_hand.part
    states, facts, lineages = {at_hand.zone: at_hand.states}, {at_hand.zone: at_hand.facts}, [lineage]
    todo = [at_hand.zone]
    while todo:
        for zone in neighbours_in(states[todo.pop()]):
            known = (
                factory.source.span(zone) if zone in factory.source.zones() and zone not in states else None
            )
            if known is None or known.overlap(part) is None:
                continue
            states[zone], theirs = factory.states(zone, factory.reading(part, known))
            facts[zone] = factory.facts_of(zone, part.start_utc.year - 1)
            lineages.append(theirs)
            todo.append(zone)
    stacks: dict[str, Fit] = {}
    views: dict[str, View] = {}
    lacking = ""
    for zone, seen in states.items():
        found = factory.fit_for(
            ESTIMATORS.get("merit_order")(), seen, facts[zone], part, factory.source.span(zone).start_utc
        )
        if not isinstance(found, str):
            stacks[zone], views[zone], _ = found
        elif zone == at_hand.zone:
            lacking = found
    if lacking or len(stacks) < 2:
        return lacking or f"{ZONAL} of {at_hand.zone} needs a neighbour in this source whose units are known"
    view = views[at_hand.zone]
    stacks = {zone: fit for zone, fit in stacks.items() if views[zone] is view}
    own = stacks[at_hand.zone]
    span = Interval(own.train_start_utc, own.train_end_utc)
    try:
        fit = zonal.fit_zonal(at_hand.zone, {zone: states[zone].between(span) for zone in stacks}, stacks)
    except NoFactorError as error:
        return str(error)
    joined = together(lineages)
    fit = factory.traced(fit, joined)
    estimates = zonal.estimate_zonal({zone: states[zone].between(part) for zone in stacks}, fit)
    return seen_as(estimates, view), fit, joined


def _blended(
    factory: Factory, at_hand: AtHand, lineage: pl.DataFrame, fitted: dict[str, tuple[Fit, View]]
) -> tuple[Estimates, Fit] | str:
    """Blend every marginal estimator that could be fitted, weighed by the month before by fits from before it."""
    month = first_of_month(at_hand.part.start_utc)
    before = Interval(month - SCORED, month)
    past = at_hand.states.between(before)
    history = at_hand.states.between(Interval(before.start_utc - HISTORY, before.start_utc))
    earlier = factory.facts_of(at_hand.zone, before.start_utc.year - 1)
    members: dict[str, tuple[Estimates, Fit]] = {}
    scored: dict[str, Estimates] = {}
    views = set()
    for name in factory.names:
        sought = Sought.of(name)
        if sought.asked.is_derived or sought.kind is not Kind.MARGINAL:
            continue
        found = estimated(factory, sought, at_hand, lineage, fitted)
        if isinstance(found, str) or not len(history):
            continue
        estimator = ESTIMATORS.get(name)()
        fit = factory.learn(estimator, history, earlier, [])
        if isinstance(fit, Fit):
            members[name], scored[name] = (found[0], found[1]), estimator.estimate(past, fit)
            views.add(fitted[name][1])
    if len(views) > 1:
        return "its members do not all see the grid from the same moment"
    found = blended(members, scored, past, at_hand.facts)
    if isinstance(found, str):
        return found
    return seen_as(found[0], views.pop()), found[1]
