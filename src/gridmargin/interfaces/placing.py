"""Places as every door takes them: a name in, our zone and how it was found out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from gridmargin.places import Placed, Places
from gridmargin.reference import SCHEMES, known_zones, names_of
from gridmargin.vocab import InputError, format_utc
from gridmargin.wiring import SourceChoice, now_utc, open_places, read_settings, zones_of


def zone_of(text: str) -> str:
    """Give the zone of a zone argument, which may be any name of a place.

    Raises
    ------
    UnknownNameError, NotFoundError
        If no zone, or no single one, is meant.
    """
    if text in known_zones():
        return text
    return open_places(read_settings()).where(text, now_utc()).zone


def placed(
    text: str,
    moment_utc: datetime,
    workload: str | None = None,
    places: Path | None = None,
    geojson: Path | None = None,
) -> Placed:
    """Give the zone of a place and how it was found, by the settings and the files named."""
    return open_places(read_settings(), places, geojson).where(text, moment_utc, workload)


def placed_throughout(
    places: Places, text: str, first_utc: datetime, last_utc: datetime, workload: str | None
) -> Placed:
    """Give the zone that a place has during a whole stretch.

    Raises
    ------
    InputError
        If an override moves the workload within the stretch.
    """
    found = places.where(text, first_utc, workload)
    moments = [
        moment
        for override in places.declared.overrides
        if override.workload == workload
        for moment in (override.from_utc, override.to_utc)
        if moment is not None and first_utc < moment <= last_utc
    ]
    for moment in sorted(moments):
        then = places.where(text, moment, workload)
        if (then.zone, then.centre) != (found.zone, found.centre):
            raise InputError(
                f"{workload} moves from {found.place or found.zone} ({found.zone}) to {then.place or then.zone}"
                f" ({then.zone}) at {format_utc(moment)}, within the log; price the requests before and after in two runs"
            )
    return found


def place_answer(found: Placed) -> dict[str, Any] | None:
    """Give how a zone was found; None where the zone's own id was given."""
    return None if found.asked == found.zone and found.rule == "registry" else found.as_dict()


def where_answer(found: Placed, choice: SourceChoice) -> dict[str, Any]:
    """Answer where a place is, what others call its zone, and whether the source has anything for it."""
    zone = known_zones()[found.zone]
    have = zones_of(choice)
    near = [z for z in (*found.alternatives, zone.parent or "") if z in have]
    return found.as_dict() | {
        "name": zone.name,
        "kind": zone.kind,
        "country": zone.country,
        "timezone": zone.timezone,
        "parent": zone.parent,
        "names": {
            scheme: [{"name": row.name, "relation": row.relation} for row in rows]
            for scheme, rows in names_of(found.zone).items()
        },
        "source_has_data": found.zone in have,
        "alternatives_with_data": near,
        "grid_source": {"kind": choice.kind, "detail": choice.detail},
    }


def data_line(answer: dict[str, Any]) -> str:
    """Say whether anything can be answered there; no factor is made up for a zone without data (C8)."""
    detail = answer["grid_source"]["detail"]
    if answer["source_has_data"]:
        return f"grid data: yes ({detail})"
    near = ", ".join(answer["alternatives_with_data"])
    other = f"; an alternative has: {near}" if near else ""
    return (
        f"grid data: none for {answer['zone']} ({detail}), so no factor is given there (C8){other};"
        " give `source=recorded:DIR` with tables of it"
    )


def place_line(found: dict[str, Any]) -> str:
    """Say in a line how a zone was found."""
    rest = f"; or {', '.join(found['alternatives'])}" if found["alternatives"] else ""
    return f"place: {found['asked']} is in {found['zone']} ({found['rule']}, confidence {found['confidence']}{rest})"


def conflict_lines(found: dict[str, Any]) -> list[str]:
    """Say what weaker rules would have answered."""
    return [
        f"conflict: {c['rule']} says {c['zone']} ({c['source']}); {found['rule']} decided"
        for c in found["conflicts"]
    ]


def names_lines(answer: dict[str, Any]) -> list[str]:
    """Give what others call the zone, a line a scheme."""
    shown = {
        scheme: ", ".join(n["name"] + (" (holds it)" if n["relation"] == "whole" else "") for n in names)
        for scheme, names in answer["names"].items()
    }
    return [f"{SCHEMES[scheme]}: {text}" for scheme, text in shown.items()]
