"""Regions as clients name them: any name of the place registry, a point or a declared data centre; no table of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from gridmargin.places import Placed, Places
from gridmargin.reference import CLOUDS, SCHEMES, Naming, Zone, known_zones, named, namings, zone_named
from gridmargin.vocab import InputError, NotFoundError, UnknownNameError

WATTTIME, ELECTRICITY_MAPS, AZURE = "wt", "em", "azure"
"""Schemes whose names a face prefers where two publishers use one word; the Carbon Aware SDK speaks Azure's."""


@dataclass(frozen=True, slots=True)
class Place:
    """A zone as it was asked for.

    Attributes
    ----------
    zone : Zone
        Ours.
    asked : str
        The name that was given.
    note : str or None
        What the answer stands for, where that is not quite what was asked.
    """

    zone: Zone
    asked: str
    note: str | None = None


def region(
    places: Places, name: str, scheme: str, moment_utc: datetime, among: Collection[str] = tuple(SCHEMES)
) -> Place:
    """Give the zone behind a name; without a prefix, that of the face's own scheme goes before the others.

    Parameters
    ----------
    scheme : str
        The face's own.
    among : collection of str
        Schemes in which a name without a prefix is looked for.

    Raises
    ------
    UnknownNameError
        With near names.
    NotFoundError
        If several zones are meant, with all of them.
    """
    text = name.strip()
    if text in known_zones():
        return Place(zone_named(text), name, _differs(text, scheme))
    if ":" not in text and "," not in text and places.declared.centre(text) is None:
        text = _prefixed(text, scheme, among) or text
    try:
        return _place(name, places.where(text, moment_utc))
    except UnknownNameError:
        if ":" in text or "," in text:
            raise
        known = {row.name for s in among for row in namings(s)} | {c.id for c in places.declared.centres}
        raise UnknownNameError("region", name, {*known_zones(), *known}) from None


def region_at(places: Places, latitude_deg: float, longitude_deg: float, moment_utc: datetime) -> Place:
    """Give the zone whose outline holds a point.

    Raises
    ------
    InputError
        If it is no place on Earth.
    NotFoundError
        Outside every outline, or too near a line between zones; with the candidates.
    """
    text = f"{latitude_deg!r},{longitude_deg!r}"
    return _place(text, places.where(text, moment_utc))


def region_in_country(code: str, scheme: str, among: Iterable[str]) -> Place:
    """Give the only zone of a country among those that can answer.

    Raises
    ------
    UnknownNameError
        If we have none there.
    InputError
        If we have several.
    """
    able = [zone_named(zone) for zone in among]
    mine = [zone for zone in able if zone.country == code.upper()]
    if not mine:
        raise UnknownNameError("country", code, {zone.country for zone in able})
    if len(mine) > 1:
        names = ", ".join(own_name(scheme, zone.id) for zone in mine)
        raise InputError(f"country {code} has several zones; name one of {names}, or give lat and lon")
    return Place(mine[0], code)


def own_name(scheme: str, zone: str) -> str:
    """Give what a publisher calls a zone, or our id where it has no name for just that area."""
    return _same(scheme).get(zone, zone)


def own_names(scheme: str, zones: Iterable[str]) -> dict[str, str]:
    """List every name of a scheme that one of `zones` answers to, with that zone; our id where none is for just that area."""
    have = list(zones)
    found = {own_name(scheme, zone): zone for zone in have}
    for row in namings(scheme):
        if row.zone in have and row.name not in known_zones() and len(named(scheme, row.name)) == 1:
            found.setdefault(row.name, row.zone)
    return found


def place_of(scheme: str, name: str) -> str | None:
    """Give what or where a name is in its publisher's words, or None where the scheme has it not."""
    rows = _rows(scheme).get(name.casefold())
    return rows[0].place or None if rows else None


@cache
def _same(scheme: str) -> dict[str, str]:
    return {row.zone: row.name for row in namings(scheme) if row.relation == "same"}


@cache
def _rows(scheme: str) -> dict[str, list[Naming]]:
    found: dict[str, list[Naming]] = {}
    for row in namings(scheme):
        found.setdefault(row.name.casefold(), []).append(row)
    return found


def _prefixed(text: str, scheme: str, among: Collection[str]) -> str | None:
    """Give the full name that a name without a prefix stands for, or None where no scheme has it."""
    meant = [rows for s in among if (rows := _rows(s).get(text.casefold()))]
    own = [rows for rows in meant if rows[0].scheme == scheme]
    meant = own or meant
    if not meant:
        return None
    zones = {row.zone for rows in meant for row in rows}
    if len(meant) > 1 and any({row.zone for row in rows} != zones for rows in meant):
        listed = ", ".join(f"{rows[0].full_name} ({SCHEMES[rows[0].scheme]})" for rows in meant)
        raise NotFoundError(f"{text!r} is the name of several places; write one of {listed}")
    return meant[0][0].full_name


def _place(asked: str, found: Placed) -> Place:
    return Place(zone_named(found.zone), asked, _note(asked, found))


def _note(asked: str, found: Placed) -> str | None:
    scheme = found.asked.partition(":")[0].casefold()
    said = []
    if found.rule == "outline":
        said.append(f"{asked} lies in {found.zone} by {found.source}")
    elif found.rule == "declared data centre":
        said.append(f"{asked} is in {found.zone}, as declared in {found.source}")
    elif scheme not in CLOUDS and found.relation == "part":
        said.append(f"{asked} is a part of {found.zone}: the whole of {found.zone} answers for it")
    elif found.relation == "whole":
        said.append(f"{asked} holds {found.zone} and more: {found.zone} answers for it")
    if found.alternatives:
        said.append(f"it may lie in {', '.join(found.alternatives)} instead (confidence {found.confidence})")
    if found.note:
        said.append(found.note)
    return "; ".join(said) or None


def _differs(zone: str, scheme: str) -> str | None:
    """Say what the face's publisher means by a word that is an id of ours, where that is another area."""
    rows = _rows(scheme).get(zone.casefold(), [])
    if not rows or (len(rows) == 1 and rows[0].relation == "same"):
        return None
    theirs = f"the {SCHEMES[scheme]} {zone} is {rows[0].place}"
    if len(rows) > 1:
        return f"{theirs}, with {', '.join(row.zone for row in rows)}: our {zone} alone answers"
    verb = "lies inside" if rows[0].relation == "part" else "holds more than"
    return f"{theirs}, which {verb} our {zone} ({zone_named(zone).name}): ours answers"
