"""Points and polygons: what is answered is right, what is near a line or shared is refused, bad files are told."""

from __future__ import annotations

import gzip
import io
import json
import math
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.places import built_in_outlines, point_from, read_outlines
from gridmargin.places.outlines import COARSE_MARGIN_KM
from gridmargin.reference import CLOUDS, known_zones, namings
from gridmargin.vocab import InputError, NotFoundError, TableError

LINES = built_in_outlines()

CITIES = {
    "DE": (52.52, 13.40), "FR": (48.86, 2.35), "GB": (51.51, -0.13), "IE": (53.35, -6.26), "ES": (40.42, -3.70),
    "US-ERCO": (32.78, -96.80), "US-CISO": (37.77, -122.42), "US-NYIS": (43.05, -76.15), "US-ISNE": (42.36, -71.06),
    "US-MISO": (43.07, -89.40), "US-SWPP": (37.69, -97.34), "US-SOCO": (33.75, -84.39), "AU-NSW": (-33.87, 151.21),
    "AU-VIC": (-37.81, 144.96), "AU-QLD": (-27.47, 153.03), "AU-SA": (-34.93, 138.60), "AU-TAS": (-42.88, 147.33),
    "CA-ON": (43.65, -79.38), "CA-QC": (46.81, -71.21), "JP-HKD": (43.06, 141.35), "DK-DK1": (56.16, 10.20),
    "DK-DK2": (55.45, 11.80), "ZA": (-26.20, 28.05), "KR": (37.45, 127.20), "NZ": (-36.85, 174.76),
}  # fmt: skip


def polygons() -> list[tuple[str | None, list[list[list[float]]]]]:
    """Read the file without the library under test: zone and rings of every polygon."""
    text = (files("gridmargin.places") / "outlines.geojson").read_text(encoding="utf-8")
    return [
        (feature["properties"]["zone"], polygon)
        for feature in json.loads(text)["features"]
        for polygon in feature["geometry"]["coordinates"]
    ]


@cache
def with_bounds():
    """Add the box of each polygon."""
    found = []
    for zone, rings in polygons():
        xs, ys = zip(*rings[0], strict=True)
        found.append((zone, rings, min(xs), max(xs), min(ys), max(ys)))
    return found


def owners(latitude: float, longitude: float) -> set[str | None]:
    """Cast a ray to the east from a point and count crossings: the zones it lies in."""
    found = set()
    for zone, rings, west, east, south, north in with_bounds():
        if not (west <= longitude <= east and south <= latitude <= north):
            continue
        inside = False
        for ring in rings:
            for (x1, y1), (x2, y2) in pairwise(ring):
                if (y1 > latitude) != (y2 > latitude):
                    inside ^= longitude < x1 + (latitude - y1) * (x2 - x1) / (y2 - y1)
        if inside:
            found.add(zone)
    return found


def test_there_is_something_to_examine() -> None:
    """More than seventy zones have an outline, each of them known."""
    assert len(LINES.zones()) > 70
    assert set(LINES.zones()) <= set(known_zones())
    assert all(set(area.candidates) <= set(known_zones()) for area in LINES.areas)
    assert all(len(area.source) > 20 for area in LINES.areas)


@pytest.mark.parametrize(("zone", "point"), CITIES.items())
def test_a_city_lies_in_its_zone(zone, point) -> None:
    """Well inside, the coarse lines are enough."""
    assert LINES.at(*point).zone == zone


@pytest.mark.parametrize(
    ("point", "candidates"),
    [
        ((47.56, 7.59), {"CH", "DE", "FR"}),  # Basel
        ((40.71, -74.0), {"US-NYIS", "US-PJM"}),  # New York harbour
        ((42.33, -83.05), {"US-MISO"}),  # Detroit, across from Windsor
        ((47.61, -122.33), {"US-SCL", "US-PSEI", "US-BPAT"}),  # Seattle, shared
        ((59.33, 18.07), {"SE-SE3", "SE-SE2"}),  # Stockholm: zones inside Sweden are not drawn
        ((-36.08, 146.92), {"AU-NSW", "AU-VIC"}),  # Albury, on the Murray
        ((41.88, -87.63), None),  # Chicago lies inside PJM's part of Illinois
    ],
)
def test_near_a_line_and_on_shared_land_the_candidates_are_named(point, candidates) -> None:
    """No guess; the way out is in the message."""
    if candidates is None:
        assert LINES.at(*point).zone == "US-PJM"
        return
    with pytest.raises(NotFoundError) as refused:
        LINES.at(*point)
    assert "name the zone, or give finer outlines with `geojson`" in str(refused.value)
    assert all(zone in str(refused.value) for zone in candidates)


@pytest.mark.parametrize("point", [(0.0, 0.0), (45.0, -40.0), (90.0, 0.0)])
def test_the_sea_is_outside(point) -> None:
    """Also at the pole, where every longitude is one point."""
    with pytest.raises(NotFoundError, match="outside every outline"):
        LINES.at(*point)


def test_land_without_a_zone_of_ours_is_told_as_such() -> None:
    """Antarctica and the Sahara."""
    for point in ((-80.0, 0.0), (22.0, 10.0)):
        with pytest.raises(NotFoundError, match="land that no zone of ours covers"):
            LINES.at(*point)


LAND = st.sampled_from([(zone.latitude_deg, zone.longitude_deg) for zone in known_zones().values()])


@given(LAND, st.floats(-4, 4), st.floats(-4, 4))
def test_what_is_answered_holds_against_a_ray_cast_by_hand(centre, up, along) -> None:
    """An answered point lies in polygons of that zone alone, or in none and within the margin of it."""
    latitude = min(max(centre[0] + up, -89.0), 89.0)
    longitude = min(max(centre[1] + along, -179.0), 179.0)
    inside = owners(latitude, longitude)
    answered, _ = answer_at(latitude, longitude)
    if answered is None:
        return
    assert inside <= {answered}
    if not inside:
        reach = COARSE_MARGIN_KM / 111.2
        wide = reach / math.cos(math.radians(latitude))
        ring = [(latitude + reach * math.sin(t / 8), longitude + wide * math.cos(t / 8)) for t in range(51)]
        near = {zone for fraction in (1.0, 0.7, 0.4, 0.15) for lat, lon in ring
                for zone in owners(latitude + (lat - latitude) * fraction, longitude + (lon - longitude) * fraction)}  # fmt: skip
        assert near <= {answered}


def answer_at(latitude: float, longitude: float) -> tuple[str | None, str]:
    """Give the zone, or None and what the refusal says."""
    try:
        return LINES.at(latitude, longitude).zone, ""
    except NotFoundError as refused:
        return None, str(refused)


def test_cloud_regions_and_outlines_never_disagree() -> None:
    """The metropolis that a provider names lies in the zone of the registry, or the point is refused."""
    decided = asked = 0
    for row in (row for provider in CLOUDS for row in namings(provider)):
        if row.latitude_deg is None:
            assert row.place == "not published"
            continue
        asked += 1
        zone, said = answer_at(row.latitude_deg, row.longitude_deg)
        assert zone in (row.zone, None), row.full_name
        assert zone or row.zone in said, row.full_name
        decided += zone is not None
    assert (asked, decided) == (159, 98)


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("37.77,-122.42", (37.77, -122.42)),
        ("-33.87, 151.2", (-33.87, 151.2)),
        ("US-ERCO", None),
        ("1,2,3", None),
        ("a,b", None),
    ],
)
def test_a_point_is_two_numbers(text, point) -> None:
    """Latitude first."""
    assert point_from(text) == point


@pytest.mark.parametrize("text", ["122.42,37.77", "0,181", "nan,0", "inf,0"])
def test_a_point_off_the_earth_is_refused(text) -> None:
    """Swapped numbers are the usual reason, so the order is said."""
    with pytest.raises(InputError, match="latitude −90 to 90 comes first"):
        point_from(text)


def feature(zone: object, *corners: tuple[float, float], **more) -> dict:
    """Give a square or other polygon of a zone."""
    ring = [list(corner) for corner in (*corners, corners[0])]
    return {
        "type": "Feature",
        "properties": {"zone": zone, **more},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def written(folder: Path, *features) -> Path:
    path = folder / "zones.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


SQUARE = ((0, 0), (2, 0), (2, 2), (0, 2))
NEXT = ((2, 0), (4, 0), (4, 2), (2, 2))


def test_the_users_lines_are_exact(tmp_path: Path) -> None:
    """A hair from the line is answered; on it both are named; a registry name works as the zone."""
    lines = read_outlines(written(tmp_path, feature("DE", *SQUARE), feature("em:US-CAL-CISO", *NEXT)))
    assert lines.at(1, 1.999999).zone == "DE"
    assert lines.at(1, 2.000001).zone == "US-CISO"
    with pytest.raises(NotFoundError, match="DE, US-CISO"):
        lines.at(1, 2)
    with pytest.raises(NotFoundError, match="outside every outline"):
        lines.at(3, 1)


@given(st.floats(-1, 5), st.floats(-1, 3))
def test_a_point_in_squares_is_where_comparison_says(longitude, latitude) -> None:
    """Two squares side by side: the answer is two comparisons."""
    lines = _squares()
    zones = {z for z, west in (("DE", 0), ("FR", 2)) if west <= longitude <= west + 2 and 0 <= latitude <= 2}
    if len(zones) == 1:
        assert {lines.at(latitude, longitude).zone} == zones
    else:
        with pytest.raises(NotFoundError):
            lines.at(latitude, longitude)


@cache
def _squares():
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return read_outlines(written(Path(folder), feature("DE", *SQUARE), feature("FR", *NEXT)))


BOW = ((0, 0), (2, 2), (2, 0), (0, 2))


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ([feature("DE", *SQUARE), feature("US-NOPE", *NEXT)], "feature 2: unknown zone 'US-NOPE'"),
        ([feature("wt:IND", *SQUARE)], "feature 1: wt:IND (WattTime region) holds several"),
        ([feature("xx:1", *SQUARE)], "unknown scheme of a place 'xx'"),
        ([feature("DE", *BOW)], "crosses itself"),
        ([feature("DE", *((x * 1e5, y * 1e5) for x, y in SQUARE))], "not degrees"),
        ([{"type": "Feature", "properties": {"zone": "DE"}, "geometry": None}], "feature 1"),
        ([{"type": "Feature", "properties": {}, "geometry": feature("DE", *SQUARE)["geometry"]}], "no property 'zone'"),
        ([{"type": "Feature", "properties": {"zone": "DE"}, "geometry": {"type": "Point", "coordinates": [0, 0]}}], "Point"),
        ([7], "feature 1"),
        ([], "no features"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_told_with_the_feature(tmp_path: Path, features, says) -> None:
    """File, feature and reason."""
    with pytest.raises(TableError) as refused:
        read_outlines(written(tmp_path, *features))
    assert "zones.geojson" in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"features": 3}'])
def test_what_is_no_geojson_is_told(tmp_path: Path, text) -> None:
    """One message, not a traceback."""
    path = tmp_path / "zones.geojson"
    path.write_text(text)
    with pytest.raises(TableError, match="FeatureCollection"):
        read_outlines(path)
    with pytest.raises(InputError, match="no such file"):
        read_outlines(tmp_path / "absent.geojson")


def placed(plants: pl.DataFrame) -> pl.DataFrame:
    """Add the zone of each plant's point; null where it is refused."""
    zones = [answer_at(*point)[0] for point in plants.select("lat", "lon").iter_rows()]
    return plants.with_columns(pl.Series("zone", zones, dtype=pl.String))


SINCE_EGRID = {"AEC": "SOCO", "OVEC": "PJM", "NSB": "FPL"}


@pytest.mark.data
def test_fossil_plants_lie_in_the_avert_region_of_their_zone(data_dir: Path) -> None:
    """EPA's units 2019 to 2022, a plant once: near half is answered, nearly all of that rightly."""
    units = pl.read_parquet(data_dir / "grid" / "avert_2019_2022" / "units.parquet")
    plants = placed(units.group_by("orispl", maintain_order=True).agg(pl.col("lat", "lon", "region").first()))
    answered = plants.filter(pl.col("zone").is_not_null())
    regions = [known_zones()[zone].avert_region for zone in answered["zone"]]
    right = sum(region == own for region, own in zip(regions, answered["region"], strict=True))
    assert (plants.height, answered.height, right) == (1146, 547, 546)


@pytest.mark.data
def test_plants_lie_in_the_zone_of_their_authority(data_dir: Path) -> None:
    """All plants of eGRID 2016 that have an authority; three authorities have been taken over since."""
    path = data_dir / "grid" / "emission_factors" / "egrid2016_plants_ba_nerc.csv.gz"
    table = pl.read_csv(io.BytesIO(gzip.decompress(path.read_bytes())), infer_schema_length=0)
    plants = table.select(
        pl.col("BACODE").replace(SINCE_EGRID), pl.col("LAT").cast(pl.Float64, strict=False).alias("lat"),
        pl.col("LON").cast(pl.Float64, strict=False).alias("lon"),
    ).filter(pl.col("BACODE") != "NA").drop_nulls()  # fmt: skip
    answered = placed(plants).filter(pl.col("zone").is_not_null())
    right = answered.filter(pl.col("zone") == "US-" + pl.col("BACODE")).height
    assert (plants.height, answered.height, right) == (9362, 3710, 3691)
