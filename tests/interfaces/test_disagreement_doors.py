"""`ledger disagree` and its route: the ledger, archived comparison signals and tables of the user's, side by side."""

from __future__ import annotations

import asyncio
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from gridmargin.interfaces.rest import Desk, build_app
from gridmargin.settings import Settings
from gridmargin.sources import COMPARISONS, Archive, FetchIndex, Reach, Transport, collect
from gridmargin.vocab import Interval
from gridmargin.wiring import choose_source, open_workplace
from interfaces.command_line import run
from sources.live_samples import LIVE_SAMPLES
from sources.publisher_server import Reply, Seen, publisher

START, END = "2026-07-15T03:00Z", "2026-07-15T05:00Z"
HOURS = Interval(datetime(2026, 7, 15, 3, tzinfo=UTC), datetime(2026, 7, 15, 5, tzinfo=UTC))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written") / "home"
    for zone in ("US-CISO", "US-ERCO"):
        for hour in (3, 4):
            said = run(
                "now", zone, "--at", f"2026-07-15T0{hour}:00Z", "--source", "reference", "--data-dir", folder
            )
            assert said.code == 0, said.err
    fetched(folder, "watttime", "US-CISO")
    return folder


def fetched(folder, name, zone):
    """Ask a comparison signal at a publisher of this machine, and archive what it says."""
    live, sample = COMPARISONS.get(name)(), LIVE_SAMPLES[name]

    def answer(seen: Seen) -> Reply:
        if seen.path == "/login":
            return Reply(b'{"token": "t"}')
        asked = live.requests(zone, HOURS)
        return Reply(
            next(sample.build(r, (), {}) for r in asked if dict(r.query).items() <= seen.query.items())
        )

    index = FetchIndex(folder / "archive")
    with publisher(answer) as server:
        collect(
            live, zone, HOURS, archive=Archive(folder / "archive"), index=index, now_utc=lambda: HOURS.end_utc,
            transport=Transport(clock=time.monotonic, sleep=lambda s: None, now_utc=lambda: HOURS.end_utc),
            reach=Reach(server.url, sample.secrets),
        )  # fmt: skip
    index.close()


@pytest.fixture
def home(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "home"))


def rates(path, *kg):
    rows = "".join(f"2026-07-15T0{3 + k}:00:00Z,{value}\n" for k, value in enumerate(kg))
    path.write_text("time_utc,rate_kg_per_kwh\n" + rows)
    return path


def disagree(home, zone, *more):
    return run("ledger", "disagree", zone, "--start", START, "--end", END, "--data-dir", home, *more)


def test_everybody_who_says_something_is_there_with_the_kind(home, tmp_path):
    """Estimators of the ledger, the archived rate and a table of the user's; the average has no part in the band."""
    mine = rates(tmp_path / "mine.csv", 0.4, 0.5)
    answer = disagree(home, "US-CISO", "--signals", f"mine:marginal:{mine}", "--json").json()
    told = {one["name"]: (one["kind"], one["provider"]) for one in answer["signals"]}
    assert told["mine"] == ("marginal", "third_party")
    assert told["watttime"] == ("marginal", "third_party")
    assert told["average"] == ("average", "gridmargin")
    assert told["fleet_curve"] == ("marginal", "gridmargin")
    [band] = answer["bands"]
    assert (band["kind"], band["counts"]) == ("marginal", "direct_co2")
    assert {"mine", "watttime", "fleet_curve"} <= set(band["names"])
    assert "average" not in band["names"]
    said = [one["rate"] for one in answer["signals"] if one["kind"] == "marginal"]
    assert band["low"] == [min(column) for column in zip(*said, strict=True)]
    assert band["high"] == [max(column) for column in zip(*said, strict=True)]
    assert next(one for one in answer["signals"] if one["name"] == "mine")["rate"] == [400, 500]


def test_the_hours_in_which_two_zones_change_places_are_counted(home, tmp_path):
    """Two tables agree in the first hour and not in the second: one flip, which is named."""
    for name, kg in (("p", (0.5, 0.5)), ("q", (0.6, 0.1)), ("other", (0.4, 0.4))):
        rates(tmp_path / f"{name}.csv", *kg)
    more = [f"--signals={n}:average:life_cycle_co2e:{tmp_path / n}.csv" for n in "pq"]
    more += [f"--signals-with={n}:average:life_cycle_co2e:{tmp_path / 'other.csv'}" for n in "pq"]
    answer = disagree(home, "US-CISO", "--with", "US-ERCO", *more, "--json").json()
    [found] = [one for one in answer["rankings"] if one["counts"] == "life_cycle_co2e"]
    assert found["flips_utc"] == ["2026-07-15T04:00Z"]
    assert (found["n_compared"], found["n_flips"], found["flips_frac"], found["flipped_h"]) == (
        2,
        1,
        0.5,
        1.0,
    )
    assert found["first_is_higher_frac"] == {"p": 1.0, "q": 0.5}
    said = disagree(home, "US-CISO", "--with", "US-ERCO", *more)
    assert "which zone is higher depends on who is asked in 1 h of 2 h, 50.0 %" in said.out


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--signals", "mine:{file}"], "write NAME:KIND:FILE"),
        (["--signals", "mine:best:{file}"], "write NAME:KIND:FILE"),
        (["--signals", "mine:marginal:{file}x"], "no file"),
        (["--signals", "watttime:marginal:{file}"], "two signals of US-CISO are called 'watttime'"),
        (["--signals", "mine:marginal:{grams}"], "is no rate in kg/kWh"),
        (["--with", "US-CISO"], "that is the same zone"),
        (["--with", "US-XXXX"], "US-XXXX"),
        (["--with", "US-PJM"], "nobody says anything of US-PJM"),
        (["--signals-with", "mine:marginal:{file}"], "name it by --with"),
    ],
)
def test_bad_input_is_named(home, tmp_path, more, told):
    """One message, exit 2, nothing on standard output."""
    files = {"file": rates(tmp_path / "a.csv", 0.4, 0.5), "grams": rates(tmp_path / "b.csv", 400, 500)}
    said = disagree(home, "US-CISO", *(text.format(**files) for text in more))
    assert (said.code, said.out) == (2, "")
    assert told in said.err


def test_the_route_says_what_the_command_says(home):
    """The same answer over REST; bad input in the one error shape."""
    typed = disagree(home, "US-CISO", "--with", "US-ERCO", "--json").json()

    async def ask(query):
        with open_workplace(home, Settings()) as place:
            desk = Desk(place, choose_source("reference", Settings()), "US-ERCO", None)
            transport = httpx.ASGITransport(build_app(desk).app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.get(f"/v1/zones/US-CISO/disagreement?{query}")

    found = asyncio.run(ask(f"start={START}&end={END}&with=US-ERCO"))
    assert found.status_code == 200, found.text
    assert found.json() == typed
    for query, status in (
        (f"start={START}&end=2027-07-15T05:00Z", 422), (f"start={START}&end={END}&with=US-CISO", 422),
        (f"start={START}&end={END}&with=US-PJM", 404),
    ):  # fmt: skip
        refused = asyncio.run(ask(query))
        assert refused.status_code == status, refused.text
        assert set(refused.json()["error"]) == {"code", "message", "way_out"}
