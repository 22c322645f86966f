"""The faces know places by the registry alone: names, points, clouds and the user's data centres, and what they list."""

import asyncio

import httpx
import pytest
import shapely.geometry
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.interfaces.faces.regions import (
    AZURE,
    ELECTRICITY_MAPS,
    WATTTIME,
    own_name,
    own_names,
    region,
    region_at,
)
from gridmargin.interfaces.rest import Desk, build_app
from gridmargin.places import Places, built_in_outlines, read_declarations
from gridmargin.reference import CLOUDS, SCHEMES, known_zones, named, namings, zone_named
from gridmargin.settings import Settings
from gridmargin.vocab import GridmarginError, NotFoundError
from gridmargin.wiring import choose_source, open_workplace, zones_of
from interfaces.face_server import NOW, asked, clock_at, got, logged_in, watttime

PLACES = Places()
FACES = (WATTTIME, ELECTRICITY_MAPS, AZURE)
EVERY_ROW = [row for scheme in SCHEMES for row in namings(scheme)]


def answering():
    """Give the zones that a fresh install answers for."""

    return zones_of(choose_source("reference", Settings()))


@pytest.mark.parametrize("scheme", [WATTTIME, ELECTRICITY_MAPS])
def test_what_a_face_lists_it_answers_with_that_zone(scheme):
    """Every listed name leads back to its zone, every zone has one, and none stands for two."""
    listed = own_names(scheme, known_zones())
    assert set(listed.values()) == set(known_zones())
    assert {name: region(PLACES, name, scheme, NOW).zone.id for name in listed} == listed


@settings(max_examples=200)
@given(row=st.sampled_from(EVERY_ROW), scheme=st.sampled_from(FACES))
def test_every_name_of_the_registry_works_with_its_prefix(row, scheme):
    """As the place registry answers it, or refused with every zone that the name holds."""
    rows = named(row.scheme, row.name)
    if len(rows) == 1:
        assert region(PLACES, row.full_name, scheme, NOW).zone.id == row.zone
    else:
        with pytest.raises(NotFoundError, match=row.zone):
            region(PLACES, row.full_name, scheme, NOW)


@settings(max_examples=200)
@given(row=st.sampled_from(EVERY_ROW), scheme=st.sampled_from(FACES))
def test_a_bare_name_never_means_another_zone(row, scheme):
    """Without its prefix it is one of the zones that some publisher means by it, or refused."""
    meant = {r.zone for r in EVERY_ROW if r.name.casefold() == row.name.casefold()}
    try:
        found = region(PLACES, row.name, scheme, NOW).zone.id
    except NotFoundError:
        assert len(meant) > 1
    else:
        assert found in meant


def test_bare_names_of_clouds_are_distinct():
    """So the Carbon Aware SDK's `eastus` needs no prefix, and neither do those of the others."""
    names = [row.name.casefold() for scheme in CLOUDS for row in namings(scheme)]
    assert len(names) == len(set(names)) > 150


@pytest.mark.parametrize(
    ("name", "zone", "says"),
    [
        ("ERCOT_WESTTX", "US-ERCO", "a part of US-ERCO"),
        ("BPA", "US-BPAT", None),
        ("US-TEX-ERCO", "US-ERCO", None),
        ("eastus", "US-PJM", None),
        ("aws:us-east-1", "US-PJM", None),
        ("AWS:US-EAST-1", "US-PJM", None),
        ("gcp:us-west1", named("gcp", "us-west1")[0].zone, None),
        ("eia:ERCO", "US-ERCO", None),
        ("ERCOT", "US-ERCO", None),
        ("47.5,14.5", "AT", "coarse"),
    ],
)
def test_one_place_has_many_names(name, zone, says):
    """WattTime's, Electricity Maps', a cloud's, an operator's, a point; a part says that the whole answers."""
    found = region(PLACES, name, WATTTIME, NOW)
    assert found.zone.id == zone
    if says:
        assert says in found.note


def test_the_alternatives_of_an_unsure_name_are_told():
    """A cloud region that several zones may serve names them."""
    unsure = next(row for scheme in CLOUDS for row in namings(scheme) if row.alternatives)
    note = region(PLACES, unsure.full_name, AZURE, NOW).note
    assert all(zone in note for zone in unsure.alternatives)


def test_a_word_of_theirs_that_is_our_id_says_where_it_differs():
    """Electricity Maps' DE is Germany, ours Germany and Luxembourg; their IT-SO holds our IT-CAL too."""
    assert "lies inside our DE" in region(PLACES, "DE", ELECTRICITY_MAPS, NOW).note
    assert "IT-CAL" in region(PLACES, "IT-SO", ELECTRICITY_MAPS, NOW).note
    assert region(PLACES, "FR", ELECTRICITY_MAPS, NOW).note is None


@settings(max_examples=150, deadline=None)
@given(latitude_deg=st.floats(-90, 90), longitude_deg=st.floats(-180, 180))
def test_a_point_is_answered_as_the_registry_does(latitude_deg, longitude_deg):
    """The same zone, or the same refusal."""
    try:
        expected = built_in_outlines().at(latitude_deg, longitude_deg).zone
    except GridmarginError as refused:
        with pytest.raises(type(refused)):
            region_at(PLACES, latitude_deg, longitude_deg, NOW)
    else:
        assert region_at(PLACES, latitude_deg, longitude_deg, NOW).zone.id == expected


def test_near_a_line_the_client_gets_the_candidates(tmp_path):
    """Kehl lies across the Rhine from Strasbourg: refused in WattTime's shape, with both."""
    answer = watttime(tmp_path, "/v3/region-from-loc?latitude=48.573&longitude=7.81")
    assert answer.status_code == 404
    assert set(answer.json()) == {"error", "message"}
    assert "DE, FR" in answer.json()["message"]


def test_a_point_inside_a_zone_is_told_by_its_outline(tmp_path):
    """Dallas is in ERCOT; the warning names the lines."""
    answer = watttime(tmp_path, "/v3/region-from-loc?latitude=32.78&longitude=-96.8").json()
    assert answer["region"] == own_name(WATTTIME, "US-ERCO")
    [told] = answer["meta"]["warnings"]
    assert told["type"] == "BY_OUTLINE"
    assert "coarse" in told["message"]


def test_maps_draw_outlines_and_say_that_they_are_coarse(tmp_path):
    """A polygon that holds the zone's own point where there is one, else the point; rings are closed."""
    answer = watttime(tmp_path, "/v3/maps").json()
    told = {w["type"]: w["message"] for w in answer["meta"]["warnings"]}
    assert "15 km" in told["COARSE_BOUNDARIES"]
    drawn = {f["properties"]["region"]: shapely.geometry.shape(f["geometry"]) for f in answer["features"]}
    zones = {own_name(WATTTIME, zone): zone for zone in answering()}
    assert set(drawn) == set(zones)
    outlined = set(built_in_outlines().zones())
    for name, geometry in drawn.items():
        assert geometry.is_valid
        assert (geometry.geom_type in ("Polygon", "MultiPolygon")) == (zones[name] in outlined)
        if zones[name] not in outlined:
            assert zones[name] in told["NO_BOUNDARIES"]
    texas = drawn[own_name(WATTTIME, "US-ERCO")]
    zone = zone_named("US-ERCO")
    assert texas.contains(shapely.geometry.Point(zone.longitude_deg, zone.latitude_deg))


def test_cloud_regions_answer_at_the_carbon_aware_sdk(tmp_path, monkeypatch):
    """`eastus` and `aws:us-east-1` are the zone itself, under the name that was asked; the listing has them."""
    clock_at(monkeypatch, NOW)

    async def work(client):
        rows = [
            (await client.get(f"/emissions/bylocation?location={name}")).json()
            for name in ("eastus", "aws:us-east-1", "US-PJM")
        ]
        return rows, (await client.get("/locations")).json()

    rows, listed = asked(tmp_path, work)
    assert [one[0]["location"] for one in rows] == ["eastus", "aws:us-east-1", "US-PJM"]
    assert len({one[0]["rating"] for one in rows}) == 1
    assert {"US-PJM", "aws:us-east-1", "azure:eastus"} <= set(listed)
    assert all(abs(place["latitude"]) <= 90 for place in listed.values())
    assert {region(PLACES, name, AZURE, NOW).zone.id for name in listed} <= set(answering())


def test_electricity_maps_zones_are_its_own_keys(tmp_path):
    """And zones of ours for which it has none, by our id."""
    listed = set(got(tmp_path, "/v3/zones").json())
    theirs = {row.name for row in namings("em")}
    assert "US-TEX-ERCO" in listed
    assert listed - theirs <= set(known_zones())


def test_a_data_centre_of_the_user_is_a_region(tmp_path):
    """By its id and by a cloud's name that it claims, on every face."""
    file = tmp_path / "places.toml"
    file.write_text(
        '[[data_centre]]\nid = "hall-7"\nzone = "US-ERCO"\nnames = ["azure:eastus"]\n', encoding="utf-8"
    )
    places = Places(read_declarations(file))

    async def work(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            held = await logged_in(client)
            zone = (await client.get("/v3/zone?zone=hall-7", headers=held)).json()["zoneKey"]
            rows = [
                (await client.get(f"/emissions/bylocation?location={name}")).json()[0]["rating"]
                for name in ("hall-7", "eastus", "US-ERCO")
            ]
            index = (await client.get("/v3/forecast?region=hall-7&horizon_hours=1", headers=held)).json()
            return zone, rows, index

    with open_workplace(tmp_path / "data", Settings()) as place:
        app = build_app(Desk(place, choose_source("reference", Settings()), "US-ERCO", None, places=places))
        zone, rows, index = asyncio.run(work(app))
    assert zone == "US-TEX-ERCO"
    assert len(set(rows)) == 1
    assert index["meta"]["region"] == "hall-7"
    assert "declared in" in index["meta"]["warnings"][0]["message"]
