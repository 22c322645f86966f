"""Estimates made from other estimates: an estimator with modifiers, the blend of several, zones dispatched together.

`regression+storage+imports` names an estimator and the modifiers that speak after it, in that order; `blend` joins all
that could be fitted; `zonal` dispatches the stacks of a zone and its neighbours over their ties. All are opt-in, stand
in the ledger under their own name beside what they were made from, and can be made again from their fit, the archived
states and the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates, imports_column
from gridmargin.ledger import Book
from gridmargin.marginal import (
    ESTIMATORS,
    LONG_RUN,
    Curtailment,
    Estimates,
    Facts,
    Fit,
    Imports,
    Modifier,
    Storage,
    blend,
    modify,
)
from gridmargin.reference import known_zones
from gridmargin.vocab import FOSSIL, Fuel, InputError, Interval, Kind, MixedKindsError, UnknownNameError, View

FloatArray = NDArray[np.float64]

MODIFIERS = (Curtailment.name, Storage.name, Imports.name)
"""What may follow an estimator's name after a plus, in the order they speak: a store that charges what would be
curtailed displaces nothing, and a neighbour answers beside whatever answers at home."""

BLEND, ZONAL = blend.NAME, "zonal"

WHOLE = (BLEND, ZONAL)
"""Names that are made from several estimates, and take no modifiers."""

JOIN = "+"

LOOK_BACK = timedelta(days=1)
"""How far modifiers look back at most: a store displaces an hour of the last 24."""

SCORED = timedelta(days=30)
"""Over how long before a month members of a blend are scored, by fits from before that."""

CHANGE = "observed change of CO2 with fossil generation"
"""What members are held against where nobody publishes a rate."""

_RATE = "published_marginal_rate_gco2_per_kwh"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a name asks for.

    Attributes
    ----------
    base : str
        A registered estimator, or one of `WHOLE`.
    modifiers : tuple of str
        Names from `MODIFIERS`, in the order they speak.
    """

    base: str
    modifiers: tuple[str, ...] = ()

    @property
    def is_derived(self) -> bool:
        """Whether it is made from other estimates."""
        return bool(self.modifiers) or self.base in WHOLE

    @property
    def version(self) -> str:
        """Version of what gives the figures."""
        if self.base == BLEND:
            return blend.VERSION
        if self.base == ZONAL:
            from gridmargin.marginal import (
                zonal,  # it loads the solver, which other estimates have no need of
            )

            return zonal.VERSION
        return ESTIMATORS.get(self.base)().version


def recipe(name: str) -> Recipe:
    """Read a name such as `regression+storage+imports` or `blend`.

    Raises
    ------
    UnknownNameError
        If a part is not known, a modifier is named twice, or the blend is to be modified.
    InputError
        If modifiers are in another order than they speak in.
    MixedKindsError
        If a part is long-run: what is asked by a recipe is short-run (C3).
    """
    base, *modifiers = name.split(JOIN)
    for part in (base, *modifiers):
        if part in LONG_RUN:
            raise MixedKindsError(
                f"{part} is long-run, and hours and requests are answered and priced short-run (C3); ask `gridmargin"
                " long-run ZONE` for it, and keep the two apart"
            )
    if base in WHOLE and not modifiers:
        return Recipe(base)
    if base not in ESTIMATORS.names() or ESTIMATORS.get(base)().kind is not Kind.MARGINAL:
        raise UnknownNameError("marginal estimator", base, marginal_estimators())
    for modifier in modifiers:
        if modifier not in MODIFIERS or modifiers.count(modifier) > 1:
            raise UnknownNameError(f"modifier in {name!r}, each once:", modifier, MODIFIERS)
    ordered = [modifier for modifier in MODIFIERS if modifier in modifiers]
    if ordered != modifiers:
        raise InputError(f"{name}: modifiers speak in a fixed order; write {JOIN.join([base, *ordered])}")
    return Recipe(base, tuple(modifiers))


def marginal_estimators() -> tuple[str, ...]:
    """Name the registered marginal estimators, and those made from several."""
    found = [name for name in ESTIMATORS if ESTIMATORS.get(name)().kind is Kind.MARGINAL]
    return (*sorted(found), *WHOLE)


def neighbours_in(states: GridStates) -> tuple[str, ...]:
    """Name the zones that states report a flow from."""
    zones = known_zones()
    return tuple(zone for zone in sorted(zones) if imports_column(zone) in states.frame.columns)


def modified(
    states: GridStates, history: GridStates, fit: Fit, asked: Recipe, neighbours: Mapping[str, Estimates]
) -> tuple[Estimates, Fit]:
    """Estimate and let the modifiers speak.

    Parameters
    ----------
    states : GridStates
        The intervals wanted and `LOOK_BACK` before.
    history : GridStates
        What the fit saw: how much stores and ties can carry is learned from it.
    fit : Fit
        Of the base estimator.
    neighbours : mapping of str to Estimates
        Of the same stretch, for the modifier `imports`.
    """
    estimates = seen_as(ESTIMATORS.get(asked.base)().estimate(states, fit))
    chosen = [_learned(name, history, neighbours) for name in asked.modifiers]
    found = modify(estimates, states, fit, chosen)
    return found.estimates, found.fit


def _learned(name: str, history: GridStates, neighbours: Mapping[str, Estimates]) -> Modifier:
    if name == Storage.name:
        stores = [fuel for fuel in Storage().round_trip_frac if fuel in history.fuels]
        return Storage(power_mw={fuel: _most(np.abs(history.generation_mw(fuel))) for fuel in stores})
    if name == Curtailment.name:
        return Curtailment()
    limits = {}
    for zone in neighbours:
        flow = history.values(imports_column(zone))
        limits[zone] = (_most(-flow), _most(flow))
    return Imports(neighbours, limits_mw=limits)


def _most(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return max(float(known.max()), 0.0) if len(known) else 0.0


def switched(switches: Sequence[Mapping[str, Any]], neighbours: Mapping[str, Estimates]) -> list[Modifier]:
    """Make the modifiers again that stand in a fit's parameters."""
    made: list[Modifier] = []
    for switch in switches:
        p = dict(switch["parameters"])
        if switch["name"] == Storage.name:
            for key in ("round_trip_frac", "power_mw"):
                p[key] = {Fuel(name): value for name, value in p[key].items()}
            made.append(Storage(**p))
        elif switch["name"] == Curtailment.name:
            made.append(Curtailment(**p))
        else:
            p["limits_mw"] = {zone: tuple(limits) for zone, limits in p["limits_mw"].items()}
            made.append(Imports(**{**p, "neighbours": neighbours}))
    return made


def blended(
    members: Mapping[str, tuple[Estimates, Fit]],
    scored: Mapping[str, Estimates],
    past: GridStates,
    facts: Facts,
) -> tuple[Estimates, Fit] | str:
    """Weigh members by the month before and join them, or say why not.

    Parameters
    ----------
    members : mapping of str to (Estimates, Fit)
        Of the intervals wanted.
    scored : mapping of str to Estimates
        Of the `SCORED` before, by fits from before that.
    past : GridStates
        States of that stretch.
    """
    names = [name for name in members if name in scored and len(scored[name])]
    if len(names) < 2:
        return f"a blend needs two estimators with a scored month before, found {', '.join(names) or 'none'}"
    held = shared([seen_as(scored[name]) for name in names])
    reference, exposure, against = _reference(held[0], past, facts)
    enough = np.isfinite(reference).sum()
    if enough < blend.FOLDS:
        return f"a blend needs {blend.FOLDS} scored intervals in the month before, found {int(enough)}"
    weights = blend.weigh(held, reference, exposure=exposure, against=against)
    now = shared([seen_as(members[name][0]) for name in names])
    joined = blend.blend(now, weights)
    applied = {name: members[name][1].fit_id for name in names}
    parameters = weights.parameters() | {"applied_fit_ids": applied}
    first, end = (datetime.fromtimestamp(at, UTC) for at in (weights.first_epoch_s, weights.end_epoch_s))
    fit = Fit(BLEND, blend.VERSION, past.zone, first, end, weights.n_scored, parameters)
    return replace(joined, fit_id=fit.fit_id), fit


def seen_as(estimates: Estimates, view: View = View.OBSERVED) -> Estimates:
    """Say from when estimates see the grid; by default observed, so that what is made of several is of one kind."""
    return replace(estimates, basis=replace(estimates.basis, view=view))


def shared(members: Sequence[Estimates]) -> list[Estimates]:
    """Keep the intervals that all have."""
    starts = members[0].start_epoch_s
    for other in members[1:]:
        starts = np.intersect1d(starts, other.start_epoch_s)
    return [member.taken(np.searchsorted(member.start_epoch_s, starts)) for member in members]


def _reference(held: Estimates, past: GridStates, facts: Facts) -> tuple[FloatArray, FloatArray | None, str]:
    """Give what the members are held against: the published rate, else what the mix's CO2 did from here to the next.

    Returns
    -------
    reference, exposure : arrays, shape (n,)
        Rate [g kWh⁻¹] and None, or change of CO2 [kg h⁻¹] and of fossil generation [MW].
    """
    at = np.searchsorted(past.start_epoch_s(), held.start_epoch_s)
    published = past.values(_RATE)[at]
    if np.isfinite(published).mean() > 0.5:
        return published, None, _RATE
    start_s = past.start_epoch_s()
    power, co2 = np.zeros(len(past)), np.zeros(len(past))
    for fuel in past.fuels:
        if fuel in FOSSIL and fuel in facts.fuel_rates:
            made = past.generation_mw(fuel)
            power += made
            co2 += made * facts.fuel_rates[fuel].factor_gco2_per_kwh
    change, of_co2 = np.full(len(past), np.nan), np.full(len(past), np.nan)
    next_to = np.diff(start_s) == past.interval_s
    change[:-1], of_co2[:-1] = (np.where(next_to, np.diff(x), np.nan) for x in (power, co2))
    return of_co2[at], change[at], CHANGE


def made_again(
    name: str,
    states_of: Callable[[str], GridStates],
    fit: Fit,
    book: Book,
    known_utc: datetime,
    source: str,
) -> Estimates:
    """Estimate again what stands in the ledger under a derived name.

    Parameters
    ----------
    states_of : callable
        Gives a zone's states of the interval and a day around it, from the entry's payloads.
    fit : Fit
        Of the entry.
    known_utc : datetime
        When the entry was written: neighbours are taken as known then.
    source : str
        What the states came from; neighbours are taken from the same.
    """
    asked = recipe(name)
    if asked.base == ZONAL:
        from gridmargin.marginal import zonal

        return zonal.estimate_zonal({zone: states_of(zone) for zone in fit.parameters["stacks"]}, fit)
    states = states_of(fit.zone)
    if asked.base == BLEND:
        return _blended_again(states, fit, book)
    estimates = seen_as(replace(ESTIMATORS.get(asked.base)().estimate(states, fit), fit_id=fit.fit_id))
    starts = states.frame["start_utc"]
    stretch = Interval(starts[0], starts[-1] + timedelta(seconds=states.interval_s))
    neighbours = {}
    for switch in fit.parameters["modifiers"]:
        for zone in switch["parameters"].get("neighbours", {}):
            factors = book.covering(
                Kind.MARGINAL, zone, stretch, asked.base, states.interval_s, known_utc, source=source
            )
            neighbours[zone] = _bare(
                estimates, zone, factors.start_epoch_s, factors.low, factors.mid, factors.high
            )
    return modify(estimates, states, fit, switched(fit.parameters["modifiers"], neighbours)).estimates


def _bare(
    like: Estimates, zone: str, start_s: Any, low: FloatArray, mid: FloatArray, high: FloatArray
) -> Estimates:
    """Give factors from the ledger as estimates with one source, for what needs no more than the factor."""
    n = len(mid)
    return replace(
        like,
        zone=zone,
        start_epoch_s=start_s,
        low=low,
        mid=mid,
        high=high,
        source_names=(zone,),
        source_probability=np.ones((n, 1)),
        source_factor=mid[:, None],
        regime=np.full(n, ""),
        status=np.full(n, "reported"),
    )


def _blended_again(states: GridStates, fit: Fit, book: Book) -> Estimates:
    p = fit.parameters
    members = []
    for name in p["names"]:
        own = book.fit(p["applied_fit_ids"][name])
        members.append(seen_as(ESTIMATORS.get(name)().estimate(states, own)))
    weights = blend.Blend.from_parameters(p)
    # A day around the interval may reach back into the scored month: what was learned there is not asked again.
    kept = shared(members)
    later = kept[0].start_epoch_s >= weights.end_epoch_s
    return blend.blend([member.taken(np.flatnonzero(later)) for member in kept], weights)
