"""`gridmargin long-run` and its route: the years are always named, and no door mixes it with the short run."""

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gridmargin.interfaces.rest import Desk, build_app
from gridmargin.marginal import LONG_RUN
from gridmargin.settings import Settings
from gridmargin.wiring import choose_source, open_workplace
from interfaces.command_line import LOG, run

FLEET = "unit,fuel,commissioned_year,capacity_mw,annual_generation_mwh,factor_gco2_per_kwh\n" + "".join(
    f"{name}{k},{fuel},{year},100,100,{rate}\n"
    for name, fuel, year, rate, n in (("C", "coal", 1990, 1000, 20), ("G", "gas", 2015, 400, 5))
    for k in range(n)
)
RATES = (
    "region,start_year,evaluation_years,scenario,rate_kg_per_mwh,gases,boundary,source,as_of\n"
    "ERCOT,2025,20,mid,180,direct_co2,busbar,a report of 2024,2024-02-16\n"
    "ERCOT,2025,20,high,240,direct_co2,busbar,a report of 2024,2024-02-16\n"
)


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "fleet.csv").write_text(FLEET)
    (tmp_path / "rates.csv").write_text(RATES)
    return tmp_path


def test_a_year_before_every_list_says_which_years_are_known(monkeypatch):
    """Of EPA's units each year is a list of its own; the message names them, and the way out in this door's spelling."""

    class Tables:
        def years(self, region):
            return [2019, 2020]

    monkeypatch.setattr("gridmargin.pipeline.long_run.open_avert", lambda _folder: Tables())
    ran = run("long-run", "US-ERCO", "--year", "1990", "--source", f"recorded:{Path(__file__).parent}")
    assert ran.code == 2
    assert "are known for 2019, 2020, none for 1990 or before; give one of these as --year" in ran.err


def keys_in(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_in(inner)


@asynccontextmanager
async def serving(folder):
    with open_workplace(folder, Settings()) as place:
        desk = Desk(place, choose_source("reference", Settings()), "US-ERCO", None)
        transport = httpx.ASGITransport(build_app(desk), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


def asked(folder, method, path, **more):
    async def whole():
        async with serving(folder) as client:
            return await client.request(method, path, **more)

    return asyncio.run(whole())


def test_a_list_of_plants_gives_three_margins_each_with_its_years(tables):
    """20 coal plants at 1000 and 5 newer gas plants at 400, all alike: 880 runs, 400 is built, 640 is half of each."""
    answer = run("long-run", "US-ERCO", "--fleet", tables / "fleet.csv", "--json").json()
    found = {row["method"]: row for row in answer["long_run"]}
    mids = {method: row["long_run_gco2_per_kwh"]["mid"] for method, row in found.items()}
    assert mids == {
        "operating_margin": pytest.approx(880),
        "build_margin": pytest.approx(400),
        "combined_margin": pytest.approx(640),
    }
    assert found["build_margin"]["holds_for"] == "plants built 2015–2015"
    assert answer["horizon"] == "long_run"
    for row in answer["long_run"]:
        assert row["holds_for"]
        assert row["basis"]["horizon"] == "long_run"
        assert len(row["payload_sha256s"]) == 1
    shown = run("long-run", "US-ERCO", "--fleet", tables / "fleet.csv").out
    assert "plants built 2015–2015" in shown
    assert "long-run" in shown


def test_a_table_gives_the_rate_of_the_years_named(tables):
    """Scenario and years are named, and the answer says them; the other scenario is the range."""
    words = ("long-run", "US-ERCO", "--rates", tables / "rates.csv", "--region", "ERCOT")
    horizon = ("--start-year", 2025, "--years", 20)
    [row] = run(*words, *horizon, "--scenario", "mid", "--json").json()["long_run"]
    assert row["long_run_gco2_per_kwh"] == {"low": 180.0, "mid": 180.0, "high": 240.0}
    assert row["holds_for"].startswith("2025–2044")
    assert row["basis"]["view"] == "forecast"
    without = run(*words, "--scenario", "mid")
    assert without.code == 2
    assert "2025+20" in without.err


def test_rest_says_the_same_as_the_command(tables):
    """The same text, sent or named, is the same answer but for what the file is called."""
    for body, words in (
        ({"fleet_csv": FLEET, "year": 2016, "weights": "wind_solar"},
         ("--fleet", tables / "fleet.csv", "--year", 2016, "--weights", "wind_solar")),
        ({"rates_csv": RATES, "region": "ERCOT", "start_year": 2025, "evaluation_years": 20, "scenario": "high"},
         ("--rates", tables / "rates.csv", "--region", "ERCOT", "--start-year", 2025, "--years", 20, "--scenario", "high")),
    ):  # fmt: skip
        sent = asked(tables / "home", "POST", "/v1/zones/US-ERCO/long-run", json=body)
        assert sent.status_code == 200, sent.text
        said = json.dumps(run("long-run", "US-ERCO", *words, "--json").json())
        for name in ("fleet", "rates"):
            said = said.replace(f"{name}.csv", f"{name}_csv")
        assert sent.json() == json.loads(said)


@pytest.mark.parametrize("name", [*LONG_RUN, "long_run+storage", "regression+build_margin"])
def test_no_door_of_the_short_run_takes_a_long_run_name(name, tables):
    """`now`, `account` and their routes refuse it, say which is which (C3), and leave nothing priced."""
    log = tables / "requests.csv"
    log.write_text(LOG)
    out = tables / "out"
    source = ("--source", "reference", "--data-dir", tables / "home", "--estimator", name)
    priced = (
        "account",
        log,
        "--zone",
        "US-ERCO",
        "--device",
        "H100",
        "--model",
        "llama-3.1-8b",
        "--out",
        out,
    )
    for words in (("now", "US-ERCO"), priced):
        ran = run(*words, *source)
        assert ran.code == 2
        assert "is long-run" in ran.err
        assert "gridmargin long-run" in ran.err
        assert "(C3)" in ran.err
    assert not list(out.rglob("*.parquet"))
    request = {"arrival_utc": "2026-07-15T18:15:00Z", "prompt_tokens": 1, "generated_tokens": 1}
    account = {"zone": "US-ERCO", "device": "H100", "model": "llama-3.1-8b", "requests": [request]}
    zone, stretch = "/v1/zones/US-ERCO", {"start": "2026-07-15T18:00Z", "end": "2026-07-15T19:00Z"}
    for method, path, more in (
        ("GET", f"{zone}/now", {"params": {"estimator": name}}),
        ("GET", f"{zone}/factors", {"params": stretch | {"estimator": name}}),
        ("POST", "/v1/account", {"json": account | {"estimator": name}}),
    ):
        refused = asked(tables / "home", method, path, **more)
        assert refused.status_code == 422
        assert refused.json()["error"]["code"] == "MixedKindsError"
        assert "is long-run" in refused.json()["error"]["message"]


def test_long_and_short_answers_share_no_field_that_holds_a_factor(tables):
    """Who reads `factor_gco2_per_kwh` never reads a long-run factor by mistake, nor the other way round."""
    long = run("long-run", "US-ERCO", "--fleet", tables / "fleet.csv", "--json").json()
    short = run("now", "US-ERCO", "--source", "reference", "--data-dir", tables / "home", "--json").json()
    assert "factor_gco2_per_kwh" in set(keys_in(short))
    assert "factor_gco2_per_kwh" not in set(keys_in(long))
    assert "long_run_gco2_per_kwh" not in set(keys_in(short))


def test_plants_without_years_give_the_operating_margin_and_say_what_is_missing(tables):
    """The years are absent and not made up (C2)."""
    bare = tables / "bare.csv"
    bare.write_text("unit,fuel,commissioned_year,capacity_mw\nA,gas,,400\nB,coal,,100\n")
    answer = run("long-run", "US-ERCO", "--fleet", bare, "--year", 2020, "--json").json()
    assert [row["method"] for row in answer["long_run"]] == ["operating_margin"]
    assert "commissioned_year" in " ".join(answer["notes"])
    refused = run("long-run", "US-ERCO", "--fleet", bare)
    assert refused.code == 2
    assert "commissioned_year" in refused.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("US-ERC",), "did you mean"),
        (("US-ERCO", "--source", "reference"), "give one"),
        (("US-ERCO", "--fleet", "fleet.csv", "--weights", "half"), "first_period"),
        (("US-ERCO", "--fleet", "fleet.csv", "--year", "99999"), "1900 to 2199"),
        (("US-ERCO", "--fleet", "fleet.csv", "--year", "1950"), "no unit"),
        (("US-ERCO", "--fleet", "nothing.csv"), "no such file"),
        (("US-ERCO", "--fleet", "fleet.csv", "--rates", "rates.csv"), "give one of them"),
        (("US-ERCO", "--fleet", "fleet.csv", "--scenario", "mid"), "--rates FILE"),
        (("US-ERCO", "--rates", "rates.csv", "--year", "2025"), "--start-year"),
        (("US-ERCO", "--rates", "rates.csv", "--start-year", "2025", "--years", "20"), "ERCOT"),
        (("US-ERCO", "--rates", "fleet.csv", "--start-year", "2025", "--years", "20"), "fleet.csv"),
    ],
)
def test_what_cannot_be_answered_is_refused(words, says, tables):
    """One message with the way out, exit code 2."""
    placed = [str(tables / word) if word.endswith(".csv") else word for word in words]
    ran = run("long-run", *placed)
    assert ran.code == 2, ran.out
    assert says in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/v1/zones/US-ERC/long-run", {}, 404),
        ("GET", "/v1/zones/US-ERCO/long-run", {}, 404),
        ("GET", "/v1/zones/US-ERCO/long-run?year=soon", {}, 422),
        ("POST", "/v1/zones/US-ERCO/long-run", {"json": {}}, 422),
        ("POST", "/v1/zones/US-ERCO/long-run", {"json": {"fleet_csv": ""}}, 422),
        ("POST", "/v1/zones/US-ERCO/long-run", {"json": {"fleet_csv": FLEET, "rates_csv": RATES}}, 422),
        ("POST", "/v1/zones/US-ERCO/long-run", {"json": {"fleet_csv": FLEET, "year": 10**9}}, 422),
        ("POST", "/v1/zones/US-ERCO/long-run", {"json": {"rates_csv": RATES, "region": "ERCOT"}}, 422),
    ],
)
def test_the_route_refuses_in_the_one_shape(method, path, more, status, tmp_path):
    """`{"error": {"code", "message", "way_out"}}` with a fitting status."""
    answer = asked(tmp_path, method, path, **more)
    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) == {"code", "message", "way_out"}


@pytest.mark.data
@pytest.mark.parametrize(
    ("zone", "methods"),
    [("DE", 3), ("AU-VIC", 3), ("US-ERCO", 1), ("US-CISO-PGE", 1)],
)
def test_recorded_lists_of_plants_answer_for_their_zones(zone, methods, data_dir: Path):
    """Germany and Australia with years of building; EPA's fossil units without, so that one margin is given and said."""
    answer = run("long-run", zone, "--source", f"recorded:{data_dir}", "--json").json()
    assert len(answer["long_run"]) == methods
    assert answer["notes"]
    for row in answer["long_run"]:
        factor = row["long_run_gco2_per_kwh"]
        assert 0 <= factor["low"] <= factor["mid"] <= factor["high"] <= 1400
        assert row["payload_sha256s"]
