"""Data centres and overrides: who decides, what is shown beside it, and what is refused with file and entry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.places import Declarations, Override, Places, overheads_of, read_declarations
from gridmargin.reference import CLOUDS, namings
from gridmargin.vocab import InputError, NotFoundError, TableError, UnknownNameError

T = datetime(2026, 6, 1, tzinfo=UTC)

CENTRE = """
[[data_centre]]
id = "dallas-1"
zone = "US-ERCO"
pue = 1.2
losses_frac = { low = 0.01, mid = 0.02, high = 0.03 }
names = ["aws:us-west-2"]
source = "energy report"
as_of = 2026-01-15
procurement = [{ kind = "ppa", share_frac = 0.4 }]

[[data_centre]]
id = "by-point"
latitude_deg = 50.11
longitude_deg = 8.68

[[data_centre]]
id = "by-name"
place = "eia:CISO"
"""

MOVES = """
[[override]]
workload = "chat"
place = "dallas-1"
from = 2026-03-01T00:00:00Z
reason = "cheaper"

[[override]]
workload = "chat"
place = "FR"
from = 2026-05-01T02:00:00+02:00
to = 2026-07-01T00:00:00Z
"""


def declared(folder: Path, text: str) -> Declarations:
    path = folder / "places.toml"
    path.write_text(text, encoding="utf-8")
    return read_declarations(path)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Three data centres and two moves of one workload."""
    return Places(declared(tmp_path, CENTRE + MOVES))


def test_a_data_centre_is_found_by_its_id_a_point_or_a_name(places: Places) -> None:
    """Each way of saying where it is leads to the zone; file and entry are the source."""
    assert [places.where(name, T).zone for name in ("dallas-1", "by-point", "by-name")] == ["US-ERCO", "DE", "US-CISO"]  # fmt: skip
    found = places.where("dallas-1", T)
    assert (found.rule, found.confidence, found.conflicts) == ("declared data centre", "declared", ())
    assert "places.toml, data_centre 1 ('dallas-1'); energy report" in found.source
    assert found.as_of == "2026-01-15"


def test_a_declaration_wins_over_the_registry_and_shows_what_it_said(places: Places) -> None:
    """aws:us-west-2 is in Oregon for the registry, and this user's site for this user."""
    found = places.where("AWS:US-WEST-2", T)
    assert (found.zone, found.rule) == ("US-ERCO", "declared data centre")
    assert [(c.rule, c.zone) for c in found.conflicts] == [("registry", "US-BPAT")]
    assert Places().where("aws:us-west-2", T).zone == "US-BPAT"


def test_an_override_wins_over_both(places: Places) -> None:
    """With both weaker answers beside it, and the moment it began."""
    found = places.where("aws:us-west-2", datetime(2026, 8, 1, tzinfo=UTC), "chat")
    assert (found.zone, found.rule) == ("US-ERCO", "override")
    assert [(c.rule, c.zone) for c in found.conflicts] == [("registry", "US-BPAT")]
    found = places.where("aws:us-west-2", T, "chat")
    assert (found.zone, found.rule, found.workload) == ("FR", "override", "chat")
    assert [(c.rule, c.zone) for c in found.conflicts] == [
        ("declared data centre", "US-ERCO"),
        ("registry", "US-BPAT"),
    ]
    assert "override of chat from 2026-05-01T00:00Z" in found.source
    assert "override 2 ('chat')" in found.source


@pytest.mark.parametrize(
    ("moment", "zone", "rule"),
    [
        ("2026-02-28T23:59:59+00:00", "US-PJM", "registry"),
        ("2026-03-01T00:00:00+00:00", "US-ERCO", "override"),
        ("2026-04-30T23:59:59+00:00", "US-ERCO", "override"),
        ("2026-05-01T00:00:00+00:00", "FR", "override"),
        ("2026-06-30T23:59:59+00:00", "FR", "override"),
        ("2026-07-01T00:00:00+00:00", "US-ERCO", "override"),
    ],
)
def test_overrides_hold_from_a_moment_on(places: Places, moment, zone, rule) -> None:
    """Half-open, the one that began last, and the older one again when the newer one ends."""
    found = places.where("aws:us-east-1", datetime.fromisoformat(moment), "chat")
    assert (found.zone, found.rule) == (zone, rule)
    if rule == "registry":
        assert "no override of chat holds at 2026-02-28T23:59" in found.note


def test_a_misspelt_workload_never_falls_back_to_a_default(places: Places) -> None:
    """Unknown, with the near name; without any declaration too."""
    with pytest.raises(UnknownNameError, match="did you mean: chat"):
        places.where("aws:us-east-1", T, "chatt")
    with pytest.raises(UnknownNameError):
        Places().where("aws:us-east-1", T, "chat")


MOMENTS = st.integers(0, 40).map(lambda days: T + timedelta(days=days))
SPANS = st.tuples(st.integers(0, 40), st.none() | st.integers(1, 20), st.sampled_from(["DE", "FR", "GB"]))


@given(st.lists(SPANS, max_size=6, unique_by=lambda span: span[0]), MOMENTS, st.sampled_from(CLOUDS))
def test_a_default_never_wins_over_an_override(spans, moment, provider) -> None:
    """Whatever is declared: the latest that holds decides, else the registry, and what lost is shown."""
    overrides = tuple(
        Override("w", zone, T + timedelta(days=day), T + timedelta(days=day + length) if length else None, "", f"o{day}")
        for day, length, zone in spans
    )  # fmt: skip
    anchor = Override(
        "w", "IS", datetime(1990, 1, 1, tzinfo=UTC), datetime(1991, 1, 1, tzinfo=UTC), "", "old"
    )
    row = namings(provider)[0]
    found = Places(Declarations("x", (), (*overrides, anchor))).where(row.full_name, moment, "w")
    holding = [o for o in overrides if o.from_utc <= moment and (o.to_utc is None or moment < o.to_utc)]
    if holding:
        winner = max(holding, key=lambda o: o.from_utc)
        assert (found.rule, found.zone) == ("override", winner.place)
        assert {c.zone for c in found.conflicts} == {row.zone} - {winner.place}
    else:
        assert (found.rule, found.zone) == ("registry", row.zone)


def test_coordinates_that_contradict_the_stated_zone_are_a_conflict(tmp_path: Path) -> None:
    """The stated zone stands; what the outlines say is beside it; where they cannot tell there is nothing to show."""
    text = '[[data_centre]]\nid = "a"\nzone = "DE"\nlatitude_deg = {}\nlongitude_deg = {}\n'
    found = Places(declared(tmp_path, text.format(48.86, 2.35))).where("a", T)
    assert found.zone == "DE"
    assert [(c.rule, c.zone) for c in found.conflicts] == [("outline", "FR")]
    assert Places(declared(tmp_path, text.format(52.52, 13.4))).where("a", T).conflicts == ()
    assert Places(declared(tmp_path, text.format(47.56, 7.59))).where("a", T).conflicts == ()


def test_a_point_in_a_load_area_does_not_contradict_it(tmp_path: Path) -> None:
    """San Francisco is in California ISO, which holds the load area."""
    text = '[[data_centre]]\nid = "a"\nzone = "US-CISO-PGE"\nlatitude_deg = 37.77\nlongitude_deg = -122.42\n'
    assert Places(declared(tmp_path, text)).where("a", T).conflicts == ()


def test_only_stated_overheads_replace_the_tables(places: Places) -> None:
    """PUE and losses of the first; nothing of the second."""
    stated = overheads_of(places.where("dallas-1", T).centre)
    assert stated["cooling"][0].as_dict() == {"low": 1.2, "mid": 1.2, "high": 1.2}
    assert stated["loss"][0].mid == 0.02
    assert overheads_of(places.where("by-point", T).centre) == {}
    assert overheads_of(None) == {}


A = '[[data_centre]]\nid = "a"\n'
O = '[[override]]\nworkload = "w"\n'  # noqa: E741


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "unknown key 'x'"),
        ("[data_centre]\nid = 'a'", "write [[data_centre]]"),
        ('[[data_centre]]\nzone = "DE"', "data_centre 1 ('no id'), id"),
        (A, "say once where it is"),
        (A + 'zone = "DE"\nplace = "eia:ERCO"', "say once where it is"),
        (A + 'zone = "US-NOPE"', "data_centre 1 ('a'): unknown zone 'US-NOPE'"),
        ('[[data_centre]]\nid = "DE"\nzone = "DE"', "reads as a zone"),
        ('[[data_centre]]\nid = "1,2"\nzone = "DE"', "reads as a zone"),
        (A + 'zone = "DE"\npeu = 1.2', "unknown key 'peu'; did you mean: pue"),
        (A + 'zone = "DE"\npue = 0.9', "pue: 0.9 is not a number from 1 to 10"),
        (A + 'zone = "DE"\npue = 112', "pue: 112 is not a number"),
        (A + 'zone = "DE"\npue = true', "pue: True is not a number"),
        (A + 'zone = "DE"\npue = nan', "pue: nan is not a number"),
        (A + 'zone = "DE"\npue = {low = 1.3, mid = 1.2, high = 1.4}', "not in order"),
        (A + 'zone = "DE"\npue = {mid = 1.2}', "give all three"),
        (A + 'zone = "DE"\nlosses_frac = 5', "losses_frac: 5 is not a number from 0 to 0.5"),
        (A + "latitude_deg = 50.0", "latitude_deg alone is no point"),
        (A + "latitude_deg = 8.7\nlongitude_deg = 500.0", "longitude_deg: 500.0 is not a number"),
        (A + 'zone = "DE"\nnames = ["us-west-2"]', "has no scheme of the registry"),
        (A + 'zone = "DE"\n' + A + 'zone = "FR"', "'a' already means"),
        (A + 'zone = "DE"\nprocurement = [{kind = "magic", share_frac = 1}]', "unknown kind of procurement 'magic'"),
        (A + 'zone = "DE"\nprocurement = [{kind = "ppa", share_frac = 0.7}, {kind = "tariff", share_frac = 0.7}]', "add up to 1.4"),
        (O + 'place = "DE"', "override 1 ('w'), from: None is no moment"),
        (O + 'place = "DE"\nfrom = 2026-01-01T00:00:00', "no moment with an offset"),
        (O + 'place = "DE"\nfrom = 2026-01-01', "no moment with an offset"),
        (O + 'place = "DE"\nfrom = 2026-01-01T00:00:00Z\nto = 2025-01-01T00:00:00Z', "ends before it begins"),
        ((O + 'place = "DE"\nfrom = 2026-01-01T00:00:00Z\n') * 2, "override 2 ('w') begins at the same moment as"),
        ("= 3", "not TOML"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_used_is_refused_with_file_and_number(tmp_path: Path, text, says) -> None:
    """One message naming the file, the entry, the reason and the way out."""
    with pytest.raises(TableError) as refused:
        declared(tmp_path, text)
    assert "places.toml" in str(refused.value)
    assert says in str(refused.value)


def test_an_entry_whose_place_is_not_known_is_told_when_it_would_decide(tmp_path: Path) -> None:
    """An override to a zone that is not ours, a data centre by an unknown name, a point near a border."""
    moves = O + 'place = "US-NOPE"\nfrom = 2026-01-01T00:00:00Z'
    with pytest.raises(TableError, match=r"override 1 \('w'\): unknown zone 'US-NOPE'"):
        Places(declared(tmp_path, moves)).where("DE", T, "w")
    with pytest.raises(TableError, match=r"data_centre 1 \('a'\): unknown AWS region"):
        Places(declared(tmp_path, A + 'place = "aws:moon-1"')).where("a", T)
    with pytest.raises(TableError, match=r"data_centre 1 \('a'\): .* CH, DE, FR"):
        Places(declared(tmp_path, A + "latitude_deg = 47.56\nlongitude_deg = 7.59")).where("a", T)
    with pytest.raises(InputError, match="no such file"):
        read_declarations(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("asked", "zone"),
    [
        ("aws:us-east-1", "US-PJM"), ("azure:eastus", "US-PJM"), ("gcp:us-central1", "US-MISO"),
        ("37.77,-122.42", "US-CISO"), ("eia:ERCO", "US-ERCO"), ("wt:CAISO_NORTH", "US-CISO"),
        ("em:US-CAL-CISO", "US-CISO"), ("eic:10Y1001A1001A82H", "DE"), ("iso:PJM/DOM", "US-PJM"),
        ("avert:Texas", "US-ERCO"), ("azure:swedencentral", "SE-SE3"), ("azure:southcentralus", "US-ERCO"),
        ("gcp:europe-west1", "BE"), ("gcp:europe-north1", "FI"), ("US-ERCO", "US-ERCO"), (" DE ", "DE"),
    ],
)  # fmt: skip
def test_a_place_is_where_it_is(asked, zone) -> None:
    """One of each kind."""
    assert Places().where(asked, T).zone == zone


def test_a_name_that_holds_several_zones_is_refused_with_them() -> None:
    """India is five regions for us, and the old German-Austrian zone is two."""
    for name, zones in (("wt:IND", "IN-EA, IN-NE, IN-NO, IN-SO, IN-WE"), ("eic:10Y1001A1001A63L", "AT, DE")):
        with pytest.raises(NotFoundError, match=zones):
            Places().where(name, T)


def test_a_name_out_of_use_says_until_when() -> None:
    """PowerSouth is balanced by Southern Company since 2021."""
    found = Places().where("eia:AEC", T)
    assert found.zone == "US-SOCO"
    assert "in use … to 2021-09-30" in found.note
    assert "in use" not in Places().where("eia:AEC", datetime(2020, 1, 1, tzinfo=UTC)).note


@pytest.mark.parametrize("asked", ["us-east-1", "aws:us-est-1", "US-ERC"])
def test_an_unknown_place_lists_the_nearest_names(asked) -> None:
    """With the scheme it should have had."""
    with pytest.raises(UnknownNameError) as refused:
        Places().where(asked, T)
    near = {"us-east-1": "aws:us-east-1", "aws:us-est-1": "aws:us-east-1", "US-ERC": "US-ERCO"}[asked]
    assert near in refused.value.near
