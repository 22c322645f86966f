"""Latitude and longitude to zone: point in polygon, with a refusal near every line that is only coarse."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridmargin.reference import SCHEMES, known_zones, named
from gridmargin.vocab import InputError, NotFoundError, TableError, UnknownNameError

if TYPE_CHECKING:  # loaded when a point is asked for
    from shapely import STRtree

COARSE_MARGIN_KM = 15.0
"""Distance from the built-in lines within which no answer is given: they are drawn to about 7 km. [km]"""

KM_PER_DEGREE = 111.2
"""Length of one degree of a great circle (mean radius 6,371 km). [km]"""


@dataclass(frozen=True, slots=True)
class Outline:
    """One area: a zone, or land that several zones share or none covers.

    Attributes
    ----------
    zone : str or None
        None where no single zone can be named.
    candidates : tuple of str
        Zones that share the land, where known.
    name, source : str
        What to call it, and where its line comes from.
    """

    zone: str | None
    candidates: tuple[str, ...]
    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Outlines:
    """Areas and the tree that finds them.

    Attributes
    ----------
    origin : str
        The file, for messages.
    margin_km : float
        How near to another area a point may be and still be answered; 0 for exact lines. [km]
    """

    origin: str
    margin_km: float
    areas: tuple[Outline, ...]
    _tree: STRtree

    def zones(self) -> list[str]:
        """List the zones that have an outline."""
        return sorted({area.zone for area in self.areas if area.zone})

    def shape(self, zone: str) -> dict[str, Any] | None:
        """Give the GeoJSON geometry of a zone, or None where it has no outline."""
        from shapely import union_all
        from shapely.geometry import mapping

        parts = [self._tree.geometries[i] for i, area in enumerate(self.areas) if area.zone == zone]
        if not parts:
            return None
        return dict(mapping(parts[0] if len(parts) == 1 else union_all(parts)))

    def at(self, latitude_deg: float, longitude_deg: float) -> Outline:
        """Give the area at a point.

        Raises
        ------
        NotFoundError
            Outside every outline, too near a border, or on land that several zones share; with the candidates.
        """
        point = f"{latitude_deg:g},{longitude_deg:g}"
        near = self._near(latitude_deg, longitude_deg)
        if not near:
            raise NotFoundError(
                f"{point} is outside every outline of {self.origin}; name the zone, or give finer outlines with `geojson`"
            )
        owners = {area.zone for area in near}
        if len(owners) == 1 and None not in owners:
            return near[0]
        candidates = sorted({z for area in near for z in ((area.zone,) if area.zone else area.candidates)})
        if not candidates:
            raise NotFoundError(
                f"{point} is on land that no zone of ours covers, by {self.origin}; name the zone, or give finer outlines"
                " with `geojson`"
            )
        within = f"within {self.margin_km:g} km of a line between" if len(near) > 1 else "on land shared by"
        raise NotFoundError(
            f"{point} is {within} {', '.join(candidates)}, and {self.origin} cannot tell which; name the zone, or give finer outlines"
            " with `geojson`"
        )

    def _near(self, latitude_deg: float, longitude_deg: float) -> list[Outline]:
        from shapely import Point, Polygon

        spot: Any = Point(longitude_deg, latitude_deg)
        if self.margin_km:
            high = self.margin_km / KM_PER_DEGREE
            wide = high / max(math.cos(math.radians(latitude_deg)), 0.01)
            turns = (math.radians(15 * k) for k in range(24))
            spot = Polygon(
                [(longitude_deg + wide * math.cos(t), latitude_deg + high * math.sin(t)) for t in turns]
            )
        return [self.areas[i] for i in sorted(self._tree.query(spot, predicate="intersects"))]


def point_from(text: str) -> tuple[float, float] | None:
    """Read `LAT,LON` in degrees; None where the text is no pair of numbers.

    Raises
    ------
    InputError
        If the numbers are no place on Earth.
    """
    parts = text.split(",")
    if len(parts) != 2:
        return None
    try:
        latitude_deg, longitude_deg = (float(part) for part in parts)
    except ValueError:
        return None
    if not (abs(latitude_deg) <= 90 and abs(longitude_deg) <= 180):
        raise InputError(
            f"{text!r} is no place on Earth: latitude −90 to 90 comes first, then longitude −180 to 180; write 37.77,-122.42"
        )
    return latitude_deg, longitude_deg


@cache
def built_in_outlines() -> Outlines:
    """Give the coarse outlines that ship with the package."""
    text = (files("gridmargin.places") / "outlines.geojson").read_text(encoding="utf-8")
    return _outlines(json.loads(text), "the built-in coarse outlines", COARSE_MARGIN_KM)


def read_outlines(path: Path) -> Outlines:
    """Read a GeoJSON file of the user's, whose polygons name our zones in the property `zone`.

    Raises
    ------
    TableError
        If the file is no GeoJSON, a feature has no usable polygon, or names a zone that is not known.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"`geojson={path}`: no such file; give a GeoJSON file with polygons") from None
    except (ValueError, RecursionError) as error:
        raise TableError(
            f"{path}: not JSON ({error}); give a GeoJSON FeatureCollection of polygons"
        ) from None
    return _outlines(document, str(path), 0.0)


def _outlines(document: Any, origin: str, margin_km: float) -> Outlines:
    from shapely import STRtree

    features = document.get("features") if isinstance(document, Mapping) else None
    if not isinstance(features, list) or not features:
        raise TableError(f"{origin}: no features; give a GeoJSON FeatureCollection of polygons")
    areas, shapes = zip(*(_area(feature, f"{origin}, feature {n}") for n, feature in enumerate(features, 1)), strict=True)  # fmt: skip
    return Outlines(origin, margin_km, areas, STRtree(shapes))


def _area(feature: Any, where: str) -> tuple[Outline, Any]:
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    try:
        properties, geometry = feature["properties"] or {}, shape(feature["geometry"])
    except (ShapelyError, TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
        raise TableError(f"{where}: no polygon can be read from it ({error}); correct the geometry") from None
    if geometry.geom_type not in ("Polygon", "MultiPolygon") or geometry.is_empty or not geometry.is_valid:
        kind = "empty" if geometry.is_empty else geometry.geom_type
        raise TableError(f"{where}: {kind}, or a line that crosses itself; give a valid polygon")
    x_min, y_min, x_max, y_max = geometry.bounds
    if not (x_min >= -180 and x_max <= 180 and y_min >= -90 and y_max <= 90):
        raise TableError(
            f"{where}: coordinates are not degrees of longitude and latitude; project the file to WGS 84"
        )
    if "zone" not in properties:
        raise TableError(
            f"{where}: no property 'zone'; write our id, such as DE, or a name such as em:US-CAL-CISO"
        )
    zone = properties["zone"]
    source = str(properties.get("source") or where)
    candidates = tuple(str(z) for z in properties.get("candidates") or ())
    name = str(properties.get("name") or zone)
    return Outline(None if zone is None else _zone_in(str(zone), where), candidates, name, source), geometry


def _zone_in(text: str, where: str) -> str:
    """Read a zone of ours, or a name that means exactly one."""
    scheme, colon, name = text.partition(":")
    try:
        if not colon:
            if text not in known_zones():
                raise UnknownNameError("zone", text, known_zones())
            return text
        return only_zone(scheme, name)
    except InputError as error:
        raise TableError(f"{where}: {error}") from None


def only_zone(scheme: str, name: str) -> str:
    """Give the one zone that a name means.

    Raises
    ------
    NotFoundError
        If the name holds several of our zones.
    """
    rows = named(scheme, name)
    if len(rows) > 1:
        raise NotFoundError(
            f"{scheme}:{name} ({SCHEMES[scheme]}) holds several of our zones: {_listed(row.zone for row in rows)}; name one"
        )
    return rows[0].zone


def _listed(zones: Iterable[str]) -> str:
    return ", ".join(sorted(zones))
