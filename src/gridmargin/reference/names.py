"""What others call our zones: operators, publishers and clouds, one table a scheme in `names/`.

A row says whose name it is, which zone of ours it means, how the two areas relate, how sure that is, and where it
stands. A lookup that would have to choose between zones is left to the caller, with every row given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache

from gridmargin.reference.tables import load_table
from gridmargin.reference.zones import known_zones
from gridmargin.vocab import TableError, UnknownNameError, sha256_hex

SCHEMES = {
    "eia": "EIA balancing authority",
    "iso": "operator or its zone",
    "avert": "EPA AVERT region",
    "eic": "ENTSO-E area code",
    "em": "Electricity Maps zone",
    "wt": "WattTime region",
    "aws": "AWS region",
    "gcp": "Google Cloud region",
    "azure": "Azure region",
}
"""Prefixes of names, in the order in which they are shown."""

CLOUDS = ("aws", "gcp", "azure")

RELATIONS = ("same", "part", "whole")
"""Their area is ours, lies inside ours, or holds ours and more."""

CONFIDENCES = ("high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Naming:
    """One name of one zone.

    Attributes
    ----------
    scheme, name : str
        Who says it, and what: `aws`, `us-east-1`.
    place : str
        What or where that is, in the publisher's words.
    zone : str
        Our zone.
    relation : str
        `same`, `part` (theirs lies inside ours) or `whole` (theirs holds ours and more).
    confidence : str
        `high`: published or plain; `medium`: the site is published only as a metropolis or state; `low`: several
        zones serve it.
    alternatives : tuple of str
        Zones that it may lie in instead.
    valid_from, valid_to : date or None
        First day, and first day outside; None where open or not known.
    latitude_deg, longitude_deg : float or None
        Middle of the metropolis that a cloud names; not the site. [°]
    note, source, as_of : str
        Why, where it stands, and as read when.
    """

    scheme: str
    name: str
    place: str
    zone: str
    relation: str
    confidence: str
    alternatives: tuple[str, ...]
    valid_from: date | None
    valid_to: date | None
    latitude_deg: float | None
    longitude_deg: float | None
    note: str
    source: str
    as_of: str

    @property
    def full_name(self) -> str:
        """Name with its scheme, as people type it."""
        return f"{self.scheme}:{self.name}"

    def holds_at(self, moment_utc: datetime) -> bool:
        """Say whether the row holds at a moment."""
        day = moment_utc.astimezone(UTC).date()
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day < self.valid_to
        )


@cache
def namings(scheme: str) -> tuple[Naming, ...]:
    """Give every row of a scheme.

    Raises
    ------
    TableError
        With file and row, where a row cannot be used.
    """
    if scheme == "avert":
        return _avert_regions()
    return read_namings(scheme, load_table(f"names/{scheme}"))


def read_namings(scheme: str, rows: Iterable[Mapping[str, str]]) -> tuple[Naming, ...]:
    """Turn table rows into names, refusing what cannot be meant.

    Raises
    ------
    TableError
        A zone that is not ours, an unknown relation or confidence, a bad date, or one name with two answers.
    """
    found = [_naming(scheme, row, f"names/{scheme}.csv, row {n}") for n, row in enumerate(rows, start=2)]
    seen: dict[str, Naming] = {}
    for number, naming in enumerate(found, start=2):
        first = seen.setdefault(naming.name.casefold(), naming)
        several = naming.relation == first.relation == "whole"
        if first is not naming and (not several or first.zone == naming.zone):
            raise TableError(
                f"names/{scheme}.csv, row {number}: {naming.name!r} is {naming.zone} here and {first.zone} above; keep one"
            )
    return tuple(found)


def _naming(scheme: str, row: Mapping[str, str], where: str) -> Naming:
    zones = known_zones()
    alternatives = tuple(row["alternatives"].split())
    for zone in (row["zone"], *alternatives):
        if zone not in zones:
            unknown = UnknownNameError("zone", zone, zones)
            raise TableError(f"{where}: {unknown}; correct the row, or add the zone to zones.csv")
    for column, allowed in (("relation", RELATIONS), ("confidence", CONFIDENCES)):
        if row[column] not in allowed:
            raise TableError(f"{where}, column {column}: {row[column]!r} is none of {', '.join(allowed)}")
    try:
        days = [
            date.fromisoformat(row[c]) if row.get(c) else None for c in ("valid_from", "valid_to", "as_of")
        ]
        degrees = [float(row[c]) if row.get(c) else None for c in ("latitude_deg", "longitude_deg")]
    except ValueError as error:
        raise TableError(f"{where}: {error}; dates are written 2026-11-24, degrees 52.5") from None
    return Naming(
        scheme=scheme, name=row["name"], place=row["place"], zone=row["zone"], relation=row["relation"],
        confidence=row["confidence"], alternatives=alternatives, valid_from=days[0], valid_to=days[1],
        latitude_deg=degrees[0], longitude_deg=degrees[1], note=row["note"], source=row["source"], as_of=row["as_of"],
    )  # fmt: skip


def _avert_regions() -> tuple[Naming, ...]:
    """Give the zones of each AVERT region, as zones.csv assigns them."""
    regions = {row["avert_region"]: row for row in load_table("avert_regions")}
    members = [zone for zone in known_zones().values() if zone.avert_region]
    count = {region: sum(zone.avert_region == region for zone in members) for region in regions}
    return tuple(
        Naming(
            scheme="avert", name=zone.avert_region or "", place=zone.avert_region or "", zone=zone.id,
            relation="same" if count[zone.avert_region or ""] == 1 else "whole", confidence="high", alternatives=(),
            valid_from=None, valid_to=None, latitude_deg=None, longitude_deg=None,
            note="regions are groups of balancing authorities",
            source="EPA AVERT User Manual, balancing authorities of each region", as_of=regions[zone.avert_region or ""]["as_of"],
        )
        for zone in members
    )  # fmt: skip


def named(scheme: str, name: str) -> tuple[Naming, ...]:
    """Give the rows of one name; several where it holds several of our zones.

    Raises
    ------
    UnknownNameError
        With the nearest names of that scheme, or the schemes.
    """
    if scheme not in SCHEMES:
        raise UnknownNameError("scheme of a place", scheme, SCHEMES)
    found = tuple(row for row in namings(scheme) if row.name.casefold() == name.casefold())
    if not found:
        known = {row.full_name for row in namings(scheme)}
        raise UnknownNameError(SCHEMES[scheme], f"{scheme}:{name}", known)
    return found


def names_of(zone: str) -> dict[str, tuple[Naming, ...]]:
    """Give the rows of each scheme that name a zone, a part of it or an area that holds it; empty schemes are left out."""
    found = {scheme: tuple(row for row in namings(scheme) if row.zone == zone) for scheme in SCHEMES}
    return {scheme: rows for scheme, rows in found.items() if rows}


def every_name() -> list[str]:
    """List every name of every scheme, prefix included."""
    return sorted({row.full_name for scheme in SCHEMES for row in namings(scheme)})


@cache
def names_version() -> str:
    """Name the registry's content: the newest date in it and a hash over every row."""
    rows = [row for scheme in SCHEMES for row in namings(scheme)]
    newest = max(row.as_of for row in rows if len(row.as_of) == len("2026-11-24"))
    text = "\n".join(repr(row) for row in rows) + "\n".join(map(repr, known_zones().values()))
    return f"{newest}+{sha256_hex(text.encode())[:12]}"
