"""Forecasts over REST: issued once, kept, found again by their moment, and nobody waits for them who asks otherwise."""

import asyncio
import threading
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import httpx
import pytest

from gridmargin.interfaces import forecasts
from gridmargin.interfaces.rest import Desk, build_app
from gridmargin.settings import Settings
from gridmargin.wiring import choose_source, open_workplace
from pipeline.tied_grid import END, FACTS, HOME, START, TiedGrid

PATH = f"/v1/zones/{HOME}/forecast"
AT = "2021-05-11T09:00Z"


@asynccontextmanager
async def serving(folder):
    """A client of a server whose grid is made up."""
    with open_workplace(folder, Settings()) as place:
        desk = Desk(place, choose_source("reference", Settings()), HOME, None)
        transport = httpx.ASGITransport(build_app(desk), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=300) as client:
            yield client


@pytest.fixture
def made_up(monkeypatch):
    monkeypatch.setattr("gridmargin.wiring.workplace.source_for", lambda *_: TiedGrid())
    monkeypatch.setattr("gridmargin.wiring.workplace.facts_from", lambda _folder: lambda *_: FACTS)


def asked(folder, work):
    async def whole():
        async with serving(folder) as client:
            return await work(client)

    return asyncio.run(whole())


def moment(text):
    return datetime.fromisoformat(text)


def test_an_issue_is_computed_once_beside_everything_else_and_found_again(tmp_path, made_up, monkeypatch):
    """Three ask for it at once and one computation answers them; meanwhile the ledger is asked; later it is read."""
    computed, may_go_on, real = [], threading.Event(), forecasts.issue

    def issue(*arguments):
        computed.append(arguments)
        assert may_go_on.wait(60)
        return real(*arguments)

    monkeypatch.setattr(forecasts, "issue", issue)

    async def work(client):
        assert (await client.get(PATH)).status_code == 404
        three = [asyncio.create_task(client.post(PATH, json={"at": AT, "hours": 6})) for _ in range(3)]
        while not computed:
            await asyncio.sleep(0.01)
        # The computation stands still until these were answered, the second and third by the desk's one thread.
        for path in ("/v1/status", PATH, f"/v1/zones/{HOME}/ledger?start={AT}"):
            answer = await asyncio.wait_for(client.get(path), 30)
            assert answer.status_code == (404 if path == PATH else 200)
        may_go_on.set()
        issued = [(await task).json() for task in three]
        again = (await client.post(PATH, json={"at": AT, "hours": 4})).json()
        too_far = await client.post(PATH, json={"at": AT, "hours": 10**12})
        found = {
            name: await client.get(PATH, params=params)
            for name, params in {
                "newest": {},
                "exact": {"at": AT},
                "by": {"issued_by": AT},
                "own": {"estimator": "forecast_regression"},
                "before": {"issued_by": "2021-05-11T08:59Z"},
                "another": {"at": "2021-05-11T10:00Z"},
                "unknown_then": {"as_of": "2021-05-12T00:00Z"},
                "published": {"estimator": "forecast_published"},
                "both": {"at": AT, "issued_by": AT},
            }.items()
        }
        return issued, again, found | {"too_far": too_far}

    issued, again, found = asked(tmp_path, work)
    assert len(computed) == 2  # and the one that reaches too far was refused
    assert issued[0] == issued[1] == issued[2]
    first = issued[0]
    assert (first["n_new"], first["hours"], again["n_new"]) == (6, 6, 0)
    assert again["forecasts"] == first["forecasts"][:4]
    assert [step["horizon_min"] for step in first["forecasts"]] == [60.0 * k for k in range(6)]
    for step in first["forecasts"]:
        factor = step["factor_gco2_per_kwh"]
        assert factor["low"] <= factor["mid"] <= factor["high"]
        mean = sum(s["probability"] * s["factor_gco2_per_kwh"] for s in step["sources"])
        assert mean == pytest.approx(factor["mid"], rel=1e-9)
        assert moment(step["issued_utc"]) == moment(AT)
        assert step["estimator"] == first["estimator"] == "forecast_regression"
        assert step["basis"]["view"] == "forecast"
    mids = {s["factor_gco2_per_kwh"]["mid"] for s in first["forecasts"]}
    assert first["lowest"]["factor_gco2_per_kwh"]["mid"] == min(mids)
    for name in ("newest", "exact", "by", "own"):
        assert found[name].json()["forecasts"] == first["forecasts"], name
    for name in ("before", "another", "unknown_then", "published"):
        assert found[name].status_code == 404, name
        assert "POST" in found[name].json()["error"]["way_out"]
    assert found["both"].status_code == found["too_far"].status_code == 422


def test_a_longer_issue_of_the_same_moment_is_made_where_the_ledger_holds_a_shorter(tmp_path, made_up):
    """Three hours are held, five are asked: five are given; without a moment the end of the record is one."""

    async def work(client):
        short = (await client.post(PATH, json={"at": "2021-07-01T00:00Z", "hours": 3})).json()
        longer = (await client.post(PATH, json={"hours": 5})).json()
        return short, longer

    short, longer = asked(tmp_path, work)
    assert len(short["forecasts"]) == 3
    assert len(longer["forecasts"]) == 5
    assert moment(longer["issued_utc"]) == END
    assert "the record ends" in longer["note"]
    assert [s["factor_gco2_per_kwh"] for s in longer["forecasts"][:3]] == [
        s["factor_gco2_per_kwh"] for s in short["forecasts"]
    ]


@pytest.mark.parametrize(
    ("method", "path", "more", "status", "says"),
    [
        ("GET", "/v1/zones/AU-VI/forecast", {}, 404, "did you mean"),
        ("POST", "/v1/zones/AU-VI/forecast", {}, 404, "did you mean"),
        ("GET", PATH, {"params": {"at": "2021-05-11T09:00"}}, 422, "at 2021-05-11"),
        ("GET", PATH, {"params": {"issued_by": "2021-05-11T09:00"}}, 422, "issued_by 2021-05-11"),
        ("GET", PATH, {"params": {"as_of": "yesterday"}}, 422, "as_of 'yesterday'"),
        ("POST", PATH, {"json": {"at": "2021-05-11T09:00"}}, 422, "no UTC offset"),
        ("POST", PATH, {"json": {"at": AT, "hours": 0}}, 422, "1 to 72 hours"),
        ("POST", PATH, {"json": {"at": AT, "hours": 73}}, 422, "1 to 72 hours"),
        ("POST", PATH, {"json": {"at": AT, "hours": -5}}, 422, "1 to 72 hours"),
        ("POST", PATH, {"json": {"at": AT, "hours": 10**12}}, 422, "1 to 72 hours"),
        ("POST", PATH, {"json": {"at": AT, "hours": 1.5}}, 422, "hours"),
        ("POST", PATH, {"json": {"at": AT, "day": 1}}, 422, "day"),
        ("POST", PATH, {"json": {"at": "2190-01-01T00:00Z"}}, 422, "has not come yet"),
        ("POST", PATH, {"json": {"at": "2022-01-01T00:00Z"}}, 422, "give a moment in between"),
        ("POST", PATH, {"json": {"at": "2020-12-01T00:00Z"}}, 422, "give a moment in between"),
        ("POST", PATH, {"json": {"at": (START + timedelta(days=20)).isoformat()}}, 409, "issue later"),
    ],
)
def test_what_cannot_be_forecast_is_refused_in_the_one_shape(
    method, path, more, status, says, tmp_path, made_up
):
    """Unknown zone, naive or foreign moment, hours out of reach, too little history: each with its way out."""

    async def work(client):
        answer = await client.request(method, path, **more)
        return answer, await client.get(PATH)

    answer, kept = asked(tmp_path, work)
    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) == {"code", "message", "way_out"}
    assert says in answer.json()["error"]["message"]
    assert kept.status_code == 404


def test_typical_days_are_no_past_to_forecast_from(tmp_path):
    """The reference source repeats a day."""
    answer = asked(tmp_path, lambda client: client.post("/v1/zones/US-ERCO/forecast"))
    assert answer.status_code == 422
    assert "give `source=recorded:DIR` where the server is started" in answer.json()["error"]["message"]
