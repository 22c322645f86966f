"""The zones we know by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from gridmargin.reference.tables import load_table
from gridmargin.vocab import UnknownNameError


@dataclass(frozen=True, slots=True)
class Zone:
    """An area with one grid state.

    Attributes
    ----------
    id : str
        Our own identifier, such as `US-ERCO`.
    kind : str
        What sort of area: balancing_authority, generation_only (an authority without load), load_area, bidding_zone,
        market_region, control_area, national_system.
    timezone : str
        IANA name of its prevailing local time.
    parent : str or None
        The zone that holds it.
    avert_region : str or None
        EPA AVERT region whose fossil fleet stands for it.
    latitude_deg, longitude_deg : float
        A point to draw it at. [°]
    """

    id: str
    name: str
    kind: str
    country: str
    timezone: str
    parent: str | None
    avert_region: str | None
    latitude_deg: float
    longitude_deg: float


@cache
def known_zones() -> dict[str, Zone]:
    """Give every zone by its id."""
    return {
        row["zone"]: Zone(
            id=row["zone"],
            name=row["name"],
            kind=row["kind"],
            country=row["country"],
            timezone=row["timezone"],
            parent=row["parent"] or None,
            avert_region=row["avert_region"] or None,
            latitude_deg=float(row["latitude_deg"]),
            longitude_deg=float(row["longitude_deg"]),
        )
        for row in load_table("zones")
    }


def zone_named(zone_id: str) -> Zone:
    """Give one zone.

    Raises
    ------
    UnknownNameError
        With the nearest known ids.
    """
    zones = known_zones()
    if zone_id not in zones:
        raise UnknownNameError("zone", zone_id, zones)
    return zones[zone_id]
