"""Which zone a place lies in, and which rule said so: override, then declared data centre, then registry or outline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from gridmargin.places.declared import DataCentre, Declarations
from gridmargin.places.outlines import Outline, Outlines, built_in_outlines, point_from
from gridmargin.reference import SCHEMES, Naming, every_name, known_zones, named, names_version
from gridmargin.vocab import InputError, NotFoundError, TableError, UnknownNameError, format_utc

RULES = ("override", "declared data centre", "registry", "outline")
"""What may decide, strongest first; a point has no row in the registry, so the last two never meet."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """What a weaker rule would have said."""

    rule: str
    zone: str
    source: str


@dataclass(frozen=True, slots=True)
class Placed:
    """A place and its zone.

    Attributes
    ----------
    asked, zone : str
        What was asked for, and our zone.
    rule : str
        Which of `RULES` decided.
    relation : str
        How the place's area relates to the zone: `same`, `part` or `whole`.
    confidence : str
        `high`, `medium`, `low`, or `declared` where a user's file says so.
    alternatives : tuple of str
        Zones that it may lie in instead.
    conflicts : tuple of Conflict
        Weaker rules that name another zone.
    """

    asked: str
    zone: str
    rule: str
    relation: str
    confidence: str
    place: str
    source: str
    as_of: str
    note: str
    alternatives: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    centre: DataCentre | None = None
    workload: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain JSON types."""
        return {
            "asked": self.asked,
            "zone": self.zone,
            "rule": self.rule,
            "relation": self.relation,
            "confidence": self.confidence,
            "place": self.place or None,
            "source": self.source,
            "as_of": self.as_of or None,
            "note": self.note or None,
            "alternatives": list(self.alternatives),
            "conflicts": [{"rule": c.rule, "zone": c.zone, "source": c.source} for c in self.conflicts],
            "workload": self.workload,
            "data_centre": _centre_dict(self.centre) if self.centre else None,
            "registry": names_version(),
        }


def _centre_dict(centre: DataCentre) -> dict[str, Any]:
    return {
        "id": centre.id,
        "name": centre.name,
        "pue": centre.pue.as_dict() if centre.pue else None,
        "losses_frac": centre.losses_frac.as_dict() if centre.losses_frac else None,
        "procurement": [
            {"kind": p.kind, "share_frac": p.share_frac, "note": p.note or None} for p in centre.procurement
        ],
        "source": centre.source or None,
        "declared_in": centre.where,
    }


@dataclass(frozen=True, slots=True)
class Places:
    """Everything that can say where something is.

    Attributes
    ----------
    declared : Declarations
        The user's data centres and overrides.
    outlines : Outlines or None
        The user's lines; the built-in coarse ones where None.
    """

    declared: Declarations = field(default_factory=Declarations)
    outlines: Outlines | None = None

    def where(self, asked: str, moment_utc: datetime, workload: str | None = None) -> Placed:
        """Give the zone of a place at a moment.

        Parameters
        ----------
        asked : str
            Zone id, data centre, `scheme:name`, or `latitude,longitude`; capitals, spaces and underscores do not matter.
        workload : str, optional
            Whose overrides decide before anything else.

        Raises
        ------
        UnknownNameError
            With the nearest names.
        NotFoundError
            If the place holds several zones, or a point cannot be told.
        """
        base = self._named(asked.strip(), moment_utc)
        if workload is None:
            return base
        if workload not in self.declared.workloads():
            raise UnknownNameError("workload with an override", workload, self.declared.workloads())
        override = self.declared.override(workload, moment_utc)
        if override is None:
            return replace(base, workload=workload, note=self._none_holds(base.note, workload, moment_utc))
        try:
            decided = self._named(override.place, moment_utc)
        except InputError as error:
            raise TableError(f"{override.where}: {error}") from None
        weaker = [Conflict(base.rule, base.zone, base.source), *base.conflicts, *decided.conflicts]
        since = f"override of {workload} from {format_utc(override.from_utc)}"
        reason = f"{override.reason}; " if override.reason else ""
        return replace(
            decided, asked=asked, rule="override", workload=workload, confidence="declared",
            source=f"{since}, {override.where}", as_of=format_utc(override.from_utc)[:10],
            place=override.place, note=f"{reason}{override.place}: {decided.source}",
            conflicts=tuple(c for c in dict.fromkeys(weaker) if c.zone != decided.zone),
        )  # fmt: skip

    def _none_holds(self, note: str, workload: str, moment_utc: datetime) -> str:
        spans = [
            f"{format_utc(o.from_utc)} to {format_utc(o.to_utc) if o.to_utc else 'open'}"
            for o in self.declared.overrides
            if o.workload == workload
        ]
        said = f"no override of {workload} holds at {format_utc(moment_utc)}; declared: {', '.join(spans)}"
        return f"{note}; {said}" if note else said

    def _named(self, asked: str, moment_utc: datetime) -> Placed:
        # As the registry spells it, so that a declaration decides however the name was typed.
        centre = self.declared.centre(asked) or self.declared.centre(_by_fold().get(_fold(asked), asked))
        if centre is None:
            return self._plain(asked, moment_utc)
        placed = self._centre(centre, asked, moment_utc)
        if asked.casefold() == centre.id.casefold():
            return placed
        weaker = self._plain(asked, moment_utc)
        if weaker.zone == placed.zone:
            return placed
        return replace(
            placed, conflicts=(*placed.conflicts, Conflict(weaker.rule, weaker.zone, weaker.source))
        )

    def _centre(self, centre: DataCentre, asked: str, moment_utc: datetime) -> Placed:
        conflicts: tuple[Conflict, ...] = ()
        try:
            if centre.place is not None:
                found = self._plain(centre.place, moment_utc)
                conflicts = self._contradicted(centre, found)
            else:
                assert centre.point is not None
                found = self._at(f"{centre.point[0]:g},{centre.point[1]:g}", centre.point)
        except InputError as error:
            raise TableError(f"{centre.where}: {error}") from None
        stated = f"{centre.where}; {centre.source}" if centre.source else centre.where
        return replace(
            found, asked=asked, rule="declared data centre", confidence="declared", place=centre.name, source=stated,
            as_of=centre.as_of, note="" if centre.place in known_zones() else f"{found.asked}: {found.source}",
            conflicts=conflicts, centre=centre,
        )  # fmt: skip

    def _contradicted(self, centre: DataCentre, found: Placed) -> tuple[Conflict, ...]:
        """Give what the outlines say of a data centre whose zone is stated, where that is another zone."""
        if centre.point is None:
            return ()
        try:
            area = self.lines().at(*centre.point)
        except NotFoundError:
            return ()
        zone = area.zone or ""
        if zone in (found.zone, known_zones()[found.zone].parent):
            return ()
        return (Conflict("outline", zone, f"its coordinates, by {self.lines().origin}: {area.source}"),)

    def _plain(self, asked: str, moment_utc: datetime) -> Placed:
        zone = known_zones().get(asked)
        if zone is not None:
            return Placed(asked, zone.id, "registry", "same", "high", zone.name, "zones.csv", "", "")
        point = point_from(asked)
        if point is not None:
            return self._at(asked, point)
        meant = _by_fold().get(_fold(asked))
        if meant is not None and meant != asked:
            return replace(self._plain(meant, moment_utc), asked=asked)
        scheme, colon, name = asked.partition(":")
        if colon:
            return _from_rows(asked, named(scheme.casefold(), name), moment_utc)
        known = [*known_zones(), *(centre.id for centre in self.declared.centres), *every_name()]
        raise UnknownNameError("zone", asked, known)

    def _at(self, asked: str, point: tuple[float, float]) -> Placed:
        lines = self.lines()
        area: Outline = lines.at(*point)
        coarse = lines.margin_km > 0
        note = f"coarse lines; points within {lines.margin_km:g} km of one are refused" if coarse else ""
        return Placed(
            asked, area.zone or "", "outline", "part", "medium" if coarse else "declared", area.name,
            f"{lines.origin}: {area.source}", "", note,
        )  # fmt: skip

    def lines(self) -> Outlines:
        """Give the outlines that decide about points."""
        return self.outlines or built_in_outlines()


def _fold(text: str) -> str:
    """Give what names have in common that differ only in case, spaces, colons, underscores, slashes and hyphens."""
    return re.sub(r"[\s:_/-]+", "-", text.strip()).casefold()


@cache
def _by_fold() -> dict[str, str]:
    """Give zones and names by what is left of them; what two of them leave is left out, for it would have to choose."""
    found: dict[str, str | None] = {}
    for name in (*every_name(), *known_zones()):
        found[_fold(name)] = None if _fold(name) in found else name
    return {folded: name for folded, name in found.items() if name is not None}


def _from_rows(asked: str, rows: tuple[Naming, ...], moment_utc: datetime) -> Placed:
    row = rows[0]
    if len(rows) > 1:
        listed = ", ".join(sorted(r.zone for r in rows))
        raise NotFoundError(
            f"{row.full_name} ({SCHEMES[row.scheme]}, {row.place}) holds several of our zones: {listed}; name one"
        )
    life = ""
    if not row.holds_at(moment_utc):
        life = f"the name was in use {row.valid_from or '…'} to {row.valid_to or '…'}"
    note = "; ".join(text for text in (row.note, life) if text)
    return Placed(
        asked, row.zone, "registry", row.relation, row.confidence, row.place, f"names/{row.scheme}.csv: {row.source}",
        row.as_of, note, row.alternatives,
    )  # fmt: skip


def overheads_of(centre: DataCentre | None) -> Mapping[str, Any]:
    """Give the overheads that a data centre states, each with where it stands; those it does not state are absent."""
    if centre is None:
        return {}
    stated = centre.where + (f"; {centre.source}" if centre.source else "")
    found = {"cooling": centre.pue, "loss": centre.losses_frac}
    return {name: (value, stated) for name, value in found.items() if value is not None}
