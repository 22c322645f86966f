"""Places through the command line and REST: one answer with its rule, near names on a mistake, and no factor made up."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from gridmargin.interfaces.rest import Desk, build_app
from gridmargin.places import Places, read_declarations
from gridmargin.reference import every_name, known_zones
from gridmargin.settings import Settings
from gridmargin.vocab import NotFoundError
from gridmargin.wiring import choose_source, open_workplace
from interfaces.command_line import priced, run

REPO = Path(__file__).resolve().parents[2]

DECLARED = """
[[data_centre]]
id = "texas-1"
zone = "US-ERCO"
pue = {pue}
losses_frac = {loss}

[[override]]
workload = "chat"
place = "texas-1"
from = 2026-03-01T00:00:00Z
{to}
"""


def declared(folder, pue="1.5", loss="0.2", to=""):
    path = folder / "places.toml"
    path.write_text(DECLARED.format(pue=pue, loss=loss, to=to))
    return path


@pytest.mark.parametrize(
    ("place", "zone"),
    [
        ("aws:us-east-1", "US-PJM"), ("azure:eastus", "US-PJM"), ("gcp:us-central1", "US-MISO"),
        ("37.77,-122.42", "US-CISO"), ("-33.87,151.21", "AU-NSW"), ("eia:ERCO", "US-ERCO"),
        ("wt:CAISO_NORTH", "US-CISO"), ("em:US-CAL-CISO", "US-CISO"), ("eic:10Y1001A1001A82H", "DE"),
    ],
)  # fmt: skip
def test_where_gives_zone_rule_source_date_confidence_and_alternatives(place, zone):
    """For people and for programs."""
    answer = run("zones", "where", place, "--json").json()
    assert answer["zone"] == zone
    assert answer["rule"] in ("registry", "outline")
    assert answer["confidence"] in ("high", "medium")
    assert answer["source"]
    assert answer["as_of"] or answer["rule"] == "outline"
    assert {"alternatives", "conflicts", "note", "registry", "names", "source_has_data"} <= set(answer)
    shown = run("zones", "where", place)
    assert shown.code == 0
    assert f"{place}: {zone}, {known_zones()[zone].name}" in " ".join(shown.out.split())


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("AWS:US-EAST-1", "aws:us-east-1"), ("aws us-east-1", "aws:us-east-1"), ("aws_us_east_1", "aws:us-east-1"),
        (" Aws / us-east 1 ", "aws:us-east-1"), ("us-erco", "US-ERCO"), ("US ERCO", "US-ERCO"), ("de", "DE"),
        ("WT:caiso north", "wt:CAISO_NORTH"),
    ],
)  # fmt: skip
def test_a_name_is_read_however_it_is_typed(typed, name):
    """Capitals, spaces, underscores, colons and hyphens do not matter."""
    found, exact = (run("zones", "where", text, "--json").json() for text in (typed, name))
    assert found["asked"] == typed.strip()
    assert {k: v for k, v in found.items() if k != "asked"} == {
        k: v for k, v in exact.items() if k != "asked"
    }


def test_every_name_is_found_in_capitals_and_with_spaces():
    """None is lost to another that differs only in how it is written."""
    places, now = Places(), datetime(2026, 11, 24, tzinfo=UTC)
    names = [*every_name(), *known_zones()]
    assert len(names) > 500
    for name in names:
        said = []
        for text in (name, name.upper(), name.replace(":", " "), name.lower().replace("-", "_")):
            try:
                said.append(places.where(text, now).zone)
            except NotFoundError as error:
                said.append(str(error))
        assert len(set(said)) == 1, (name, said)


def test_a_declaration_decides_however_the_name_is_typed(tmp_path):
    """A data centre that states a cloud's name for itself keeps it in capitals and with a space."""
    path = tmp_path / "places.toml"
    path.write_text('[[data_centre]]\nid = "mine"\nzone = "US-ERCO"\nnames = ["aws:us-east-1"]\n')
    for typed in ("aws:us-east-1", "AWS US-EAST-1"):
        found = Places(read_declarations(path)).where(typed, datetime(2026, 11, 24, tzinfo=UTC))
        assert (found.zone, found.rule) == ("US-ERCO", "declared data centre")


def test_every_zone_is_listed_for_programs_and_the_others_are_counted_for_people():
    """The list is short unless asked; `--all` prints each."""
    rows = run("zones", "--json", "--source", "reference").json()["zones"]
    assert {row["id"] for row in rows} == set(known_zones())
    without = sum(row["source"] is None for row in rows)
    short, full = run("zones", "--source", "reference"), run("zones", "--source", "reference", "--all")
    assert f"{without} more zones are known by name" in " ".join(short.out.split())
    assert "US-GCPD" not in short.out
    assert all(zone in full.out for zone in known_zones())


@pytest.mark.parametrize(
    ("place", "near"),
    [
        ("aws:us-est-1", "aws:us-east-1"), ("us-east-1", "aws:us-east-1"), ("azure:estus", "azure:eastus"),
        ("US-ERC", "US-ERCO"), ("wt:IND", "IN-WE"), ("47.56,7.59", "CH, DE, FR"), ("0,0", "--geojson"),
        ("0,500", "latitude"), ("xx:1", "known: avert, aws, azure"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_exits_2_with_the_way_out(place, near):
    """One message on standard error, nothing on standard output; the same for `now`."""
    for command in (("zones", "where", place), ("now", place, "--source", "reference")):
        ran = run(*command)
        assert (ran.code, ran.out) == (2, "")
        assert near in ran.err
        assert ran.err.count("\n") == 1


def test_a_zone_without_data_has_a_name_and_no_factor():
    """`where` says that there is none, and names the alternative that has; `now` refuses."""
    answer = run("zones", "where", "azure:westus2", "--json", "--source", "reference").json()
    assert (answer["zone"], answer["source_has_data"]) == ("US-GCPD", False)
    assert "no factor is given there (C8)" in " ".join(
        run("zones", "where", "azure:westus2", "--source", "reference").out.split()
    )
    ran = run("now", "azure:westus2", "--source", "reference")
    assert ran.code == 2
    assert "no typical days for US-GCPD" in ran.err
    assert run(
        "zones", "where", "aws:us-east-1", "--source", "reference", "--json"
    ).json()["source_has_data"]  # fmt: skip
    central = run("zones", "where", "gcp:us-west2", "--source", "reference", "--json").json()
    assert central["alternatives"] == ["US-LDWP"]


def test_now_takes_a_name_and_says_how_it_was_read(tmp_path):
    """The same factor as by the zone's id, with the place beside it; no place where the id was given."""
    common = ("--at", "2026-07-15T18:15Z", "--source", "reference", "--data-dir", tmp_path, "--json")
    by_name, by_id = run("now", "aws:us-west-1", *common).json(), run("now", "US-CISO", *common).json()
    assert by_name["marginal"] == by_id["marginal"]
    assert by_id["place"] is None
    assert (by_name["place"]["zone"], by_name["place"]["rule"]) == ("US-CISO", "registry")
    shown = run("now", "aws:us-west-1", *common[:-1]).out
    assert "place: aws:us-west-1 is in US-CISO (registry, confidence medium; or US-BANC)" in shown


def test_files_named_in_the_environment_are_read(tmp_path, monkeypatch):
    """GRIDMARGIN_PLACES and GRIDMARGIN_GEOJSON, for every command."""
    monkeypatch.setenv("GRIDMARGIN_PLACES", str(declared(tmp_path)))
    square = [[[7, 47], [8, 47], [8, 48], [7, 48], [7, 47]]]
    lines = tmp_path / "lines.geojson"
    feature = {"type": "Feature", "properties": {"zone": "CH"}, "geometry": {"type": "Polygon", "coordinates": square}}  # fmt: skip
    lines.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    monkeypatch.setenv("GRIDMARGIN_GEOJSON", str(lines))
    assert run("zones", "where", "texas-1", "--json").json()["zone"] == "US-ERCO"
    assert run("zones", "where", "47.56,7.59", "--json").json()["zone"] == "CH"
    moved = run("now", "aws:us-west-1", "--workload", "chat", "--source", "reference", "--data-dir", tmp_path)
    assert "conflict: registry says US-CISO" in " ".join(moved.out.split())
    assert "Texas (ERCOT) (US-ERCO)" in moved.out


def test_a_data_centre_prices_with_its_own_pue_and_losses(tmp_path):
    """Energy at the plug and grams at the busbar go with them; the run says whose they are, and its receipts close."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    low = priced(tmp_path / "a", "--zone", "texas-1", "--places", declared(tmp_path, "1.0", "0.0")).json()
    high = priced(tmp_path / "b", "--zone", "texas-1", "--places", declared(tmp_path, "2.0", "0.5")).json()
    assert high["totals"]["plug_energy_j"] == pytest.approx(2 * low["totals"]["plug_energy_j"])
    assert high["totals"]["marginal_gco2"]["mid"] == pytest.approx(4 * low["totals"]["marginal_gco2"]["mid"])
    assert low["run_id"] != high["run_id"]
    assert high["manifest"]["place"]["rule"] == "declared data centre"
    assert "data_centre 1 ('texas-1')" in high["manifest"]["overheads"]["note"]
    traced = run("explain", high["example_receipts"][0], "--out", tmp_path / "b" / "out", "--json").json()
    assert traced["closes"]


def test_the_same_zone_by_another_name_is_the_same_run(tmp_path):
    """Nothing in the price depends on how the zone was written."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain, named = priced(tmp_path / "a").json(), priced(tmp_path / "b", "--zone", "eia:ERCO").json()
    assert plain["run_id"] == named["run_id"]
    assert plain["totals"] == named["totals"]
    assert plain["manifest"]["place"] is None
    assert named["manifest"]["place"]["asked"] == "eia:ERCO"


def test_two_figures_for_one_pue_are_refused(tmp_path):
    """`--site` beside a declared PUE: one of the two would be hidden."""
    ran = priced(tmp_path, "--zone", "texas-1", "--places", declared(tmp_path), "--site", "average")
    assert ran.code == 2
    assert "both state a PUE; leave --site out" in ran.err


def test_a_log_that_crosses_a_move_is_refused_with_the_moment(tmp_path):
    """The requests run from 18:14:01 to 18:15:58; the override ends within."""
    path = declared(tmp_path, to="to = 2026-07-15T18:15:00Z")
    ran = priced(tmp_path, "--zone", "aws:us-west-1", "--places", path, "--workload", "chat")
    assert ran.code == 2
    message = json.loads(ran.err)["error"]["message"]
    assert "chat moves from texas-1 (US-ERCO)" in message
    assert "(US-CISO) at 2026-07-15T18:15Z" in message
    assert not (tmp_path / "out").exists()
    path = declared(tmp_path, to="to = 2026-07-15T18:16:00Z")
    summary = priced(tmp_path, "--zone", "aws:us-west-1", "--places", path, "--workload", "chat").json()
    assert summary["zone"] == "US-ERCO"
    assert summary["manifest"]["place"]["conflicts"][0]["zone"] == "US-CISO"


def asked(folder, places, *paths):
    """Ask a server in this process."""

    async def whole():
        with open_workplace(folder, Settings()) as place:
            desk = Desk(place, choose_source("reference", Settings()), "US-ERCO", None, places)
            transport = httpx.ASGITransport(build_app(desk), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return [await client.get(path) for path in paths]

    return asyncio.run(whole())


def test_rest_answers_where_and_takes_names_for_zones(tmp_path):
    """`/v1/zones/where`, and a place in the path of the other routes; an unknown one is 404 in the one shape."""
    at = "2026-07-15T18:15:00Z"
    where, moved, now, unknown, shared, ledger = asked(
        tmp_path, Places(read_declarations(declared(tmp_path))),
        "/v1/zones/where?place=aws:us-west-2",
        f"/v1/zones/where?place=aws:us-west-2&workload=chat&at={at}",
        f"/v1/zones/aws:us-west-1/now?at={at}",
        "/v1/zones/where?place=aws:us-wst-2",
        "/v1/zones/where?place=47.56,7.59",
        f"/v1/zones/eia:CISO/ledger?start={at}",
    )  # fmt: skip
    assert (where.json()["zone"], where.json()["alternatives"]) == ("US-BPAT", ["US-PACW"])
    assert (moved.json()["zone"], moved.json()["rule"]) == ("US-ERCO", "override")
    assert moved.json()["conflicts"][0]["zone"] == "US-BPAT"
    assert (now.json()["zone"], now.json()["place"]["asked"]) == ("US-CISO", "aws:us-west-1")
    assert unknown.status_code == shared.status_code == 404
    assert "aws:us-west-2" in unknown.json()["error"]["way_out"]
    assert ledger.json()["zone"] == "US-CISO"


def test_the_data_centre_page_works_as_written(tmp_path, monkeypatch):
    """docs/howto/declare-a-data-centre.md: its TOML is read, and its commands answer."""
    text = (REPO / "docs" / "howto" / "declare-a-data-centre.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    start = lines.index("    [[data_centre]]")
    end = next(n for n in range(start, len(lines)) if lines[n] and not lines[n].startswith("    "))
    monkeypatch.chdir(tmp_path)
    Path("places.toml").write_text("\n".join(line[4:] for line in lines[start:end]))
    commands = [line.split() for line in lines if line.startswith("    gridmargin ")]
    assert len(commands) == 2
    for command in commands:
        assert run(*command[1:], "--json").json()["zone"] == "US-ERCO"
