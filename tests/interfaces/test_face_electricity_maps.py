"""Electricity Maps' face: shapes of both versions, and the average under `carbonIntensity`, whatever is asked."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.interfaces.faces.electricity_maps import How, _shown
from gridmargin.interfaces.faces.signals import Point, Signal
from gridmargin.ledger import Book
from gridmargin.reference import zone_named
from gridmargin.vocab import Interval, Kind, MixedKindsError, Status, parse_utc
from interfaces.face_server import NOW, application, asked, clock_at, every_route, got, logged_in, record

KEY = "a-key-of-sixteen-or-more"
CI = "carbon-intensity"
DAY = "start=2021-06-01T00:00Z&end=2021-06-02T00:00Z"
YEAR = Interval(parse_utc("2020-01-01T00:00Z"), parse_utc("2022-01-01T00:00Z"))
VALUE = {
    "zone", "carbonIntensity", "datetime", "updatedAt", "createdAt", "emissionFactorType", "isEstimated",
    "estimationMethod", "flowTraced",
}  # fmt: skip
POINT = Point(NOW, 1.0, 2.0, 3.0, Status.REPORTED, NOW)


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_the_shapes_are_theirs(tmp_path, monkeypatch, version):
    """Latest and past at the root, 24 hours under `history`, a stretch under `data`, what is ahead under `forecast`."""
    clock_at(monkeypatch, NOW)

    async def work(client):
        paths = {
            "latest": "latest?zone=DE", "history": "history?zone=DE", "forecast": "forecast?zone=DE",
            "past": "past?zone=DE&datetime=2021-06-01T07:30Z", "range": f"past-range?zone=DE&{DAY}",
            "days": f"past-range?zone=DE&{DAY}&temporalGranularity=daily",
        }  # fmt: skip
        return {name: (await client.get(f"/{version}/{CI}/{path}")).json() for name, path in paths.items()}

    found = asked(tmp_path, work)
    assert set(found["latest"]) >= VALUE | {"temporalGranularity"}
    assert set(found["past"]) >= VALUE
    assert found["past"]["datetime"] == "2021-06-01T07:00:00.000Z"
    assert (
        found["latest"]["datetime"]
        == found["history"]["history"][-1]["datetime"]
        == "2021-06-15T09:00:00.000Z"
    )
    assert [len(found["history"]["history"]), len(found["range"]["data"]), len(found["days"]["data"])] == [
        24,
        24,
        1,
    ]
    assert all(set(row) == VALUE for row in (*found["history"]["history"], *found["range"]["data"]))
    assert len(found["forecast"]["forecast"]) == 24
    assert found["forecast"]["forecast"][0]["datetime"] == "2021-06-15T09:00:00.000Z"
    assert {"zone", "forecast", "updatedAt", "temporalGranularity"} <= set(found["forecast"])


def test_an_hour_is_the_mean_of_its_intervals(tmp_path, monkeypatch):
    """And a day that of its hours, to the nearest whole gram, as the ledger's average says."""
    choice = record(monkeypatch, tmp_path)

    async def work(client):
        path = f"/v3/{CI}/past-range?zone=AU-VIC&{DAY}"
        hours = (await client.get(path)).json()["data"]
        days = (await client.get(path + "&temporalGranularity=daily")).json()["data"]
        return hours, days

    hours, [day] = asked(tmp_path, work, choice)
    stretch = Interval(parse_utc("2021-06-01T00:00Z"), parse_utc("2021-06-02T00:00Z"))
    with Book(tmp_path / "ledger.sqlite") as book:
        average = book.covering(Kind.AVERAGE, "AU-VIC", stretch, "average")
    assert [row["carbonIntensity"] for row in hours] == [round(mid) for mid in average.mid]
    assert day["carbonIntensity"] == round(average.mid.mean())
    assert not any(row["isEstimated"] for row in hours)


def found_under(name, body):
    """Every value under a name, however deep."""
    if isinstance(body, dict):
        for key, value in body.items():
            if key == name:
                yield value
            yield from found_under(name, value)
    elif isinstance(body, list):
        for item in body:
            yield from found_under(name, item)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder that keeps its ledger between examples."""
    return tmp_path_factory.mktemp("served")


@settings(max_examples=5)
@given(
    zone=st.sampled_from(["US-ERCO", "US-CISO"]), back_h=st.integers(30, 4000), length_h=st.integers(1, 24)
)
def test_no_face_calls_a_marginal_value_carbon_intensity(served, zone, back_h, length_h):
    """Whatever is asked, `carbonIntensity` lies among the averages and apart from every marginal factor."""
    shown = shown_by_every_route(served, zone, back_h, length_h, ours=False)
    assert len({key for key, _ in shown}) >= 12


def test_no_route_of_ours_does_either(served):
    """Every route of the server asked once, ours too."""
    assert shown_by_every_route(served, "US-ERCO", 100, 3, ours=True)


def shown_by_every_route(served, zone, back_h, length_h, *, ours):
    """Ask every route, hold each `carbonIntensity` to the ledger's averages, and give them by route."""
    start = NOW - timedelta(hours=back_h)
    first, last = (f"{moment:%Y-%m-%dT%H:%MZ}" for moment in (start, start + timedelta(hours=length_h)))
    query = {
        **dict.fromkeys(("zone", "region", "location"), zone), "lat": zone_named(zone).latitude_deg,
        **dict.fromkeys(("start", "time", "startTime", "datetime", "since", "at", "issued_from"), first),
        **dict.fromkeys(("end", "toTime", "endTime"), last), "horizonHours": 24, "windowSize": 60,
    }  # fmt: skip
    bodies = {
        "/emissions/forecasts/batch": [{"requestedAt": first, "location": zone}],
        "/emissions/average-carbon-intensity/batch": [{"location": zone, "startTime": first, "endTime": last}],
        "/carbon-aware-optimizer": {
            "duration": "PT1H", "startWindow": NOW.isoformat(), "endWindow": (NOW + timedelta(hours=9)).isoformat(),
            "locations": [{"zone": zone}],
        },
    }  # fmt: skip
    with application(served) as app:
        routes = [
            (method, path)
            for method, path in every_route(app.app)
            if path not in ("/v1/events", "/register", "/login") and (ours or not path.startswith("/v1"))
        ]

    async def work(client):
        headers = await logged_in(client)
        answers = {}
        for method, path in routes:
            filled = path.replace("{zone}", zone).replace("{receipt_id}", "r0-0")
            body = next((b for end_of, b in bodies.items() if path.endswith(end_of)), None)
            answers[method, path] = await client.request(
                method, filled, params=query if method == "GET" else None, json=body, headers=headers
            )
        return answers

    with pytest.MonkeyPatch.context() as patch:
        clock_at(patch, NOW)
        answers = asked(served, work)
    statuses = {key: answer.status_code for key, answer in answers.items()}
    assert sum(status == 200 for status in statuses.values()) >= 30, statuses
    with Book(served / "ledger.sqlite") as book:
        average = book.covering(Kind.AVERAGE, zone, YEAR, "average").mid
        marginal = book.covering(Kind.MARGINAL, zone, YEAR, "regression").mid
    assert average.max() + 1 < marginal.min()
    shown = [
        (key, value)
        for key, answer in answers.items()
        if "json" in answer.headers.get("content-type", "")
        for value in found_under("carbonIntensity", answer.json())
    ]
    for key, value in shown:
        assert average.min() - 0.5 <= value <= average.max() + 0.5, key
    return shown


def test_a_marginal_signal_cannot_be_shown(tmp_path):
    """The only way to a `carbonIntensity` refuses it (C3)."""
    marginal = Signal("DE", Kind.MARGINAL, "regression", "2", "reference", 3600, (POINT,), ())
    with pytest.raises(MixedKindsError, match="C3"):
        _shown(marginal, How("hourly", 3600, measured_only=False))


def test_zones_list_what_has_an_average(tmp_path):
    """By their keys, with the paths that may be asked, and no token is needed."""
    zones = got(tmp_path, "/v3/zones").json()
    assert {"US-TEX-ERCO", "US-CAL-CISO", "DE"} <= set(zones)
    assert all({"zoneName", "access"} <= set(zone) for zone in zones.values())
    assert got(tmp_path, f"/v3/{CI}/latest?zone={next(iter(zones))}").status_code == 200


@pytest.mark.parametrize(
    "where",
    [
        "zone=DE",
        "lat=51&lon=10",
        "countryCode=DE",
        "zone=DE&lat=0&lon=0",
        "dataCenterRegion=eu-central-1",
        "dataCenterProvider=gcp&dataCenterRegion=europe-west3",
    ],
)
def test_a_place_has_several_names(tmp_path, where):
    """By zone, by coordinates, by the country where it has one zone; a zone goes before the rest."""
    assert got(tmp_path, f"/v3/{CI}/latest?{where}").json()["zone"] == "DE"


def test_updated_since_names_the_hours_that_are_new(tmp_path, monkeypatch):
    """What the ledger wrote down since then, each hour once; nothing after the last of it."""
    choice = record(monkeypatch, tmp_path)

    async def work(client):
        await client.get(f"/v3/{CI}/past-range?zone=AU-VIC&{DAY}")
        path = f"/v3/updated-since?zone=AU-VIC&{DAY}&limit=10"
        known = (await client.get(path + "&since=2021-05-20T00:00Z")).json()
        return known, (await client.get(path + "&since=2100-01-01T00:00Z")).json()

    known, later = asked(tmp_path, work, choice)
    assert [row["datetime"] for row in known["updates"][:2]] == [
        "2021-06-01T00:00:00.000Z",
        "2021-06-01T01:00:00.000Z",
    ]
    assert (len(known["updates"]), known["limit"], known["limitReached"]) == (10, 10, True)
    assert later["updates"] == []
    assert later["limitReached"] is False


def test_the_optimizer_finds_the_least_mean(tmp_path, monkeypatch):
    """Tried every start by hand, in both places, none is lower."""
    clock_at(monkeypatch, NOW)
    job = {
        "duration": "PT2H30M", "startWindow": "2021-06-15T10:00:00+00:00", "endWindow": "2021-06-16T04:00:00+00:00",
        "locations": [[10.4, 51.2], {"zone": "US-CAL-CISO"}], "optimizationMetric": "flow-traced_carbon_intensity",
    }  # fmt: skip

    async def work(client):
        best = await client.post("/beta/carbon-aware-optimizer", json=job)
        ahead = [
            (await client.get(f"/average/emissions/forecasts/current?location={zone}&windowSize=60")).json()
            for zone in ("DE", "US-CISO")
        ]
        return best.json(), [[row["value"] for row in one["forecastData"]] for [one] in ahead]

    best, (de, ciso) = asked(tmp_path, work)
    tried = {
        (zone, k): (values[k] + values[k + 1] + values[k + 2] / 2) / 2.5
        for zone, values in (("DE", de), ("US-CAL-CISO", ciso))
        for k in range(1, 17)
    }
    (zone, k), least = min(tried.items(), key=lambda item: item[1])
    output = best["optimizationOutput"]
    assert output["zoneKey"] == zone
    assert output["metricValueOptimalExecution"] == pytest.approx(least)
    assert output["metricValueImmediateExecution"] == pytest.approx((de[0] + de[1] + de[2] / 2) / 2.5)
    assert output["metricValueStartWindowExecution"] == pytest.approx(tried["DE", 1])
    start = NOW.replace(minute=0) + timedelta(hours=k)
    assert datetime.fromisoformat(best["optimalStartTime"]) == start


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        (f"{CI}/latest?zone=NOWHERE", 404, "unknown region"),
        (f"{CI}/latest", 400, "give zone"),
        (f"{CI}/latest?countryCode=US", 400, "several zones"),
        (f"{CI}/latest?countryCode=XX", 404, "country"),
        (f"{CI}/latest?dataCenterRegion=moon-1", 404, "unknown region"),
        (f"{CI}/latest?dataCenterRegion=us-east-1&dataCenterProvider=acme", 404, "unknown scheme"),
        (f"{CI}/latest?lat=0&lon=0", 404, "name the zone"),
        (f"{CI}/latest?zone=DE&temporalGranularity=weekly", 400, "hourly"),
        (f"{CI}/latest?zone=DE&temporalGranularity=5_minutes", 400, "ask for hourly"),
        (f"{CI}/latest?zone=DE&emissionFactorType=lifecycle", 400, "direct CO2"),
        (f"{CI}/latest?zone=DE&disableEstimations=true", 404, "estimated"),
        (f"{CI}/past?zone=DE&datetime=2021-06-01T00:00", 400, "UTC offset"),
        (f"{CI}/past?zone=DE&datetime=2150-06-01T00:00Z", 400, "has not come yet"),
        (f"{CI}/past-range?zone=DE&start=2021-06-02T00:00Z&end=2021-06-01T00:00Z", 400, "swap them"),
        (f"{CI}/past-range?zone=DE&start=2021-06-01T00:00Z&end=2021-06-12T00:00Z", 400, "10 days"),
        (f"{CI}/forecast?zone=DE&horizonHours=73", 400, "horizonHours"),
        ("updated-since?zone=DE&since=2021-06-01T00:00Z&threshold=soon", 400, "duration"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_their_shape(tmp_path, path, status, says):
    """`status`, `error` and `message`, in either version."""
    for version in ("v3", "v4"):
        answer = got(tmp_path, f"/{version}/{path}")
        assert answer.status_code == status, answer.text
        assert answer.json()["status"] == "error"
        assert answer.json()["error"] == answer.json()["message"]
        assert says in answer.json()["message"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"duration": "3 hours"}, "duration"),
        ({"duration": "PT99H"}, "shorten the job"),
        ({"optimizationMetric": "net_load"}, "flow-traced_carbon_intensity"),
        ({"locations": []}, "1 to 20"),
        ({"endWindow": "2021-06-15T08:00:00+00:00"}, "swap them"),
        (
            {"startWindow": "2021-06-14T08:00:00+00:00", "endWindow": "2021-06-15T08:00:00+00:00"},
            "has passed",
        ),
    ],
)
def test_a_job_that_cannot_be_placed_is_refused(tmp_path, monkeypatch, change, says):
    """Named, with what would do."""
    clock_at(monkeypatch, NOW)
    job = {
        "duration": "PT1H", "startWindow": "2021-06-15T10:00:00+00:00", "endWindow": "2021-06-15T20:00:00+00:00",
        "locations": [[10.4, 51.2]],
    } | change  # fmt: skip
    answer = asked(tmp_path, lambda client: client.post("/v3/carbon-aware-optimizer", json=job))
    assert 400 <= answer.status_code < 500
    assert says in answer.json()["message"]


def test_beyond_loopback_the_token_is_the_key(tmp_path):
    """As `auth-token` on their paths, and nowhere else; a wrong one is refused."""

    async def work(client):
        held = {"auth-token": KEY}
        answers = [
            await client.get(f"/v4/{CI}/latest?zone=DE", headers=held),
            await client.get(f"/v4/{CI}/latest?zone=DE", headers={"auth-token": KEY + "x"}),
            await client.get(f"/v4/{CI}/latest?zone=DE"),
            await client.get("/v1/status", headers=held),
            await client.get("/emissions/bylocation?location=DE", headers=held),
        ]
        return [answer.status_code for answer in answers]

    assert asked(tmp_path, work, key=KEY) == [200, 401, 401, 401, 401]
