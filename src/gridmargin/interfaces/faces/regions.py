"""What other services call our zones. `zone_of` and `zone_at` are the only readers of the tables below."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from gridmargin.reference import Zone, known_zones, zone_named
from gridmargin.vocab import InputError, NotFoundError, UnknownNameError

EARTH_RADIUS_KM = 6371.0088
"""Mean radius. [km] (IUGG, GRS 80)"""

FARTHEST_KM = 400.0
"""How far from a zone's point a place may lie to be taken for it, as long as no boundaries are known. [km]"""

WATTTIME = {
    "US-ERCO": "ERCOT",
    "US-CISO": "CAISO_NORTH",
    "US-CISO-PGE": "SGIP_CAISO_PGE",
    "US-CISO-SCE": "SGIP_CAISO_SCE",
    "US-PJM": "PJM",
    "US-NYIS": "NYISO",
    "US-MISO": "MISO",
    "US-ISNE": "ISONE",
    "US-SOCO": "SOCO",
    "US-AZPS": "AZPS",
    "US-BPAT": "BPA",
    "DE": "DE",
    "AU-NSW": "NEM_NSW",
    "AU-QLD": "NEM_QLD",
    "AU-SA": "NEM_SA",
    "AU-TAS": "NEM_TAS",
    "AU-VIC": "NEM_VIC",
}
"""By our id; the name under which a zone is listed."""

WATTTIME_PARTS = {
    "ERCOT": "US-ERCO",
    "CAISO": "US-CISO",
    "PJM": "US-PJM",
    "NYISO": "US-NYIS",
    "MISO": "US-MISO",
    "ISONE": "US-ISNE",
}
"""Grids of which WattTime has parts, such as ERCOT_WESTTX: the whole answers for each."""

ELECTRICITY_MAPS = {
    "US-ERCO": "US-TEX-ERCO",
    "US-CISO": "US-CAL-CISO",
    "US-PJM": "US-MIDA-PJM",
    "US-NYIS": "US-NY-NYIS",
    "US-MISO": "US-MIDW-MISO",
    "US-ISNE": "US-NE-ISNE",
    "US-SOCO": "US-SE-SOCO",
    "US-AZPS": "US-SW-AZPS",
    "US-BPAT": "US-NW-BPAT",
    "DE": "DE",
    "AU-NSW": "AU-NSW",
    "AU-QLD": "AU-QLD",
    "AU-SA": "AU-SA",
    "AU-TAS": "AU-TAS",
    "AU-VIC": "AU-VIC",
}
"""By our id."""


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


def zone_of(name: str) -> Place:
    """Give the zone behind a name of ours, of WattTime or of Electricity Maps.

    Raises
    ------
    UnknownNameError
        With near names.
    """
    zones = known_zones()
    if name in zones:
        return Place(zones[name], name)
    for table in (WATTTIME, ELECTRICITY_MAPS):
        for zone, theirs in table.items():
            if theirs == name:
                return Place(zones[zone], name)
    whole = WATTTIME_PARTS.get(name.partition("_")[0])
    if whole is not None:
        note = (
            None if "_" not in name else f"{name} is a part of {whole}: the whole of {whole} answers for it"
        )
        return Place(zones[whole], name, note)
    raise UnknownNameError("region", name, {*zones, *WATTTIME.values(), *ELECTRICITY_MAPS.values()})


def zone_at(latitude_deg: float, longitude_deg: float, among: Iterable[str]) -> Place:
    """Give the zone whose point is nearest to a place; refused beyond `FARTHEST_KM`.

    Parameters
    ----------
    among : iterable of str
        Ids of the zones that can answer.

    Raises
    ------
    InputError
        If it is no place on Earth.
    NotFoundError
        If no zone is near.
    """
    if not (-90 <= latitude_deg <= 90 and -180 <= longitude_deg <= 180):
        raise InputError(
            f"latitude {latitude_deg}, longitude {longitude_deg} is no place: -90 to 90 and -180 to 180 degrees"
        )
    far_km, nearest = min(
        (_distance_km(latitude_deg, longitude_deg, zone_named(name)), name) for name in among
    )
    where = f"{latitude_deg:g}, {longitude_deg:g}"
    if far_km > FARTHEST_KM:
        raise NotFoundError(
            f"no zone is known within {FARTHEST_KM:.0f} km of {where} (nearest: {nearest}, {far_km:.0f} km);"
            " name the zone instead"
        )
    note = f"{nearest} is the zone whose point lies nearest to {where} ({far_km:.0f} km); boundaries are not known"
    return Place(zone_named(nearest), where, note)


def zone_in_country(code: str, among: Iterable[str]) -> Place:
    """Give the only zone of a country among those that can answer.

    Raises
    ------
    UnknownNameError
        If we have none there.
    InputError
        If we have several.
    """
    able = [zone_named(name) for name in among]
    mine = [zone for zone in able if zone.country == code.upper()]
    if not mine:
        raise UnknownNameError("country", code, {zone.country for zone in able})
    if len(mine) > 1:
        names = ", ".join(ELECTRICITY_MAPS.get(zone.id, zone.id) for zone in mine)
        raise InputError(f"country {code} has several zones; name one of {names}, or give lat and lon")
    return Place(mine[0], code)


def _distance_km(latitude_deg: float, longitude_deg: float, zone: Zone) -> float:
    """Great circle by the haversine formula. [km]"""
    phi, theta = math.radians(latitude_deg), math.radians(zone.latitude_deg)
    half_turn = math.radians(longitude_deg - zone.longitude_deg) / 2
    square = math.sin((phi - theta) / 2) ** 2 + math.cos(phi) * math.cos(theta) * math.sin(half_turn) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(square)))
