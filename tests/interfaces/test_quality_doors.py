"""`gridmargin quality` and its route say the same, and bad input gets one message that tells the way out."""

import asyncio
import json
import math
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gridmargin.interfaces.rest import Desk, build_app
from gridmargin.settings import Settings
from gridmargin.wiring import choose_source, open_workplace
from interfaces.command_line import run

HOURS = 24 * 40
ASKED = ("--start", "2022-02-01T00:00Z", "--end", "2022-02-03T00:00Z")


@pytest.fixture
def recorded(tmp_path):
    """Forty days of EIA-930 in which gas is ten times itself in one hour of 1 February."""
    folder = tmp_path / "data" / "eia930_made_up"
    folder.mkdir(parents=True)
    lines = ["timestamp,NG,WND,NUC"]
    for hour in range(HOURS):
        label = datetime(2022, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
        gas = 20_000 + 4_000 * math.sin(hour / 24 * 2 * math.pi) + 300 * math.sin(hour * 1.7)
        gas *= 10 if label == datetime(2022, 2, 1, 13, tzinfo=UTC) else 1
        lines.append(
            f"{label:%Y-%m-%d %H:%M:%S}+00:00,{gas:.1f},{5_000 + 900 * math.sin(hour * 0.31):.1f},4000"
        )
    (folder / "ERCO.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "data"


def test_the_report_names_the_hour_the_value_and_the_cell(recorded):
    """For people in lines, for programs in JSON; hour-ending labels make 13:00 the hour from 12:00."""
    asked = ("quality", "US-ERCO", *ASKED, "--source", f"recorded:{recorded}")
    said = run(*asked)
    assert said.code == 0, said.err
    assert "verdict: fair: 0.00% of the values absent, 0.69% suspect" in said.out
    assert "2022-02-01T12:00Z generation_gas_mw" in said.out
    assert "column NG" in said.out
    answer = run(*asked, "--json").json()
    assert answer["intervals"]["n_stated"] == 48
    assert {flag["code"] for flag in answer["flags"]} <= {"spike", "far_out"}


def test_the_report_is_written_where_asked(recorded, tmp_path):
    """As JSON, whole or not at all."""
    out = tmp_path / "report.json"
    said = run("quality", "US-ERCO", *ASKED, "--source", f"recorded:{recorded}", "--out", out, "--json")
    assert json.loads(out.read_text()) == said.json()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "report.json"]


@pytest.mark.parametrize(
    ("zone", "more", "told"),
    [
        ("US-ERCOT", ASKED, "US-ERCOT"),
        ("US-ERCO", ("--start", "2022-02-01", "--end", "2022-02-03T00:00Z"), "no UTC offset"),
        ("US-ERCO", ("--start", "2022-02-03T00:00Z", "--end", "2022-02-01T00:00Z"), "not after"),
        ("US-ERCO", ("--start", "2031-02-01T00:00Z", "--end", "2031-02-03T00:00Z"), "reach from"),
        ("US-ERCO", (*ASKED, "--out", "/nowhere/at/all.json"), "does not exist"),
    ],
)
def test_bad_input_gets_one_message(recorded, zone, more, told):
    """Exit code 2, nothing on standard output, the thing at fault named."""
    said = run("quality", zone, *more, "--source", f"recorded:{recorded}")
    assert (said.code, said.out) == (2, "")
    assert told in said.err
    assert said.err.count("\n") == 1


def test_the_route_says_what_the_command_says(recorded, tmp_path):
    """And refuses in the one error shape: too long a stretch, no times, an unknown zone."""

    async def ask():
        choice = choose_source(f"recorded:{recorded}", Settings())
        with open_workplace(tmp_path / "home", Settings()) as place:
            app = build_app(Desk(place, choice, "US-ERCO", None))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                base = "/v1/zones/US-ERCO/quality"
                good = await client.get(f"{base}?start=2022-02-01T00:00Z&end=2022-02-03T00:00Z")
                bad = [
                    await client.get(f"{base}?start=2022-01-01T00:00Z&end=2022-02-09T00:00Z"),
                    await client.get(base),
                    await client.get(
                        "/v1/zones/US-NONE/quality?start=2022-02-01T00:00Z&end=2022-02-03T00:00Z"
                    ),
                ]
                return good, bad

    good, bad = asyncio.run(ask())
    said = run("quality", "US-ERCO", *ASKED, "--source", f"recorded:{recorded}", "--json").json()
    assert good.json() == said
    for answer in bad:
        assert 400 <= answer.status_code < 500
        assert set(answer.json()["error"]) == {"code", "message", "way_out"}


def test_typical_days_are_called_modelled():
    """The reference source has a report too: nothing reported, all of it modelled."""
    answer = run("quality", "US-ERCO", "--start", "2026-07-15T00:00Z", "--end", "2026-07-16T00:00Z", "--source", "reference", "--json").json()  # fmt: skip
    assert answer["quantities"]
    for row in answer["quantities"]:
        assert set(row["by_status_frac"]) == {"modelled"}
