"""The Carbon Aware SDK's face and its windows, and the ConfigMap of the KEDA operator."""

import base64
import json
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.interfaces.faces.keda import config_map
from gridmargin.interfaces.faces.signals import Point, Signal
from gridmargin.interfaces.faces.windows import least, mean_over, per_period, sliding
from gridmargin.vocab import InputError, Interval, Kind, Status
from interfaces.command_line import run
from interfaces.face_server import NOW, asked, clock_at, got

SPAN = "time=2021-06-01T00:00Z&toTime=2021-06-01T06:00Z"


def signal(values, step_s=900, left_out=()):
    """A stretch of made-up values from midnight on."""
    start = datetime(2021, 6, 1, tzinfo=NOW.tzinfo)
    points = tuple(
        Point(start + timedelta(seconds=k * step_s), value, value, value, Status.REPORTED, NOW)
        for k, value in enumerate(values)
        if k not in left_out
    )
    return Signal("DE", Kind.AVERAGE, "average", "1", "made up", step_s, points, ())


VALUES = st.lists(st.floats(0, 2000), min_size=1, max_size=60)


@given(VALUES, st.integers(1, 300))
def test_a_window_is_the_mean_over_every_minute_in_it(values, minutes):
    """Laid out minute by minute and averaged, the same comes out; the least is among them and is the least."""
    made = sliding(signal(values), timedelta(minutes=minutes))
    by_minute = np.repeat(values, 15)
    want = [by_minute[k : k + minutes].mean() for k in range(0, len(by_minute) - minutes + 1, 15)]
    assert [window.mean for window in made] == pytest.approx(want, rel=1e-9, abs=1e-9)
    assert all(window.minutes == minutes for window in made)
    if made:
        assert least(made)[0].mean == min(window.mean for window in made)


@given(VALUES.filter(lambda v: len(v) > 2), st.data())
def test_no_window_spans_a_gap(values, data):
    """Where an interval is missing, a window that would need it is left out (C2)."""
    gap = data.draw(st.integers(0, len(values) - 1))
    starts = {w.start_utc for w in sliding(signal(values, left_out={gap}), timedelta(minutes=30))}
    midnight = datetime(2021, 6, 1, tzinfo=NOW.tzinfo)
    assert not starts & {midnight + timedelta(minutes=15 * k) for k in (gap - 1, gap)}


@given(VALUES, st.integers(0, 200), st.integers(1, 500))
def test_a_mean_over_a_stretch_weighs_by_time(values, offset_min, length_min):
    """A part of an interval counts as that part."""
    by_minute = np.repeat(values, 15)[offset_min : offset_min + length_min]
    start = datetime(2021, 6, 1, tzinfo=NOW.tzinfo) + timedelta(minutes=offset_min)
    asked_for = Interval(start, start + timedelta(minutes=length_min))
    if len(by_minute):
        assert mean_over(signal(values), asked_for) == pytest.approx(by_minute.mean(), rel=1e-9, abs=1e-9)


def test_an_hour_with_a_gap_is_marked():
    """Three quarters are averaged, and the hour says that it is imputed; asked for whole hours only, it is left out."""
    made = per_period(signal([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], left_out={5}), 3600)
    assert [(p.mid, p.status) for p in made] == [(2.5, Status.REPORTED), (20 / 3, Status.IMPUTED)]
    assert len(per_period(signal([1.0] * 6), 3600, whole=True)) == 1
    with pytest.raises(InputError, match="ask for hourly"):
        per_period(signal([1.0], step_s=3600), 900)


def test_each_base_path_has_its_kind_and_says_so(tmp_path):
    """The root speaks of the marginal factor, `/average` of the average; no answer holds both."""

    async def work(client):
        return [
            (await client.get(f"{base}/emissions/bylocation?location=US-ERCO&{SPAN}")).json()
            for base in ("", "/average")
        ]

    marginal, average = asked(tmp_path, work)
    assert {row["factorKind"] for row in marginal} == {"marginal"}
    assert {row["factorKind"] for row in average} == {"average"}
    assert min(row["rating"] for row in marginal) > max(row["rating"] for row in average)
    assert set(marginal[0]) >= {"location", "time", "rating", "duration"}
    assert marginal[0]["duration"] == "01:00:00"
    assert len(marginal) == 6


def test_the_best_of_several_places_is_the_lowest(tmp_path):
    """Over every place and interval asked for."""

    async def work(client):
        where = f"location=US-ERCO&location=US-CISO&{SPAN}"
        every = (await client.get(f"/emissions/bylocations?{where}")).json()
        return every, (await client.get(f"/emissions/bylocations/best?{where}")).json()

    every, best = asked(tmp_path, work)
    lowest = min(row["rating"] for row in every)
    assert len(every) == 12
    assert best == [row for row in every if row["rating"] == lowest]


def test_without_a_time_the_present_answers_and_with_one_its_interval(tmp_path, monkeypatch):
    """The interval that holds the moment."""
    clock_at(monkeypatch, NOW)
    [now] = got(tmp_path, "/emissions/bylocation?location=DE").json()
    [then] = got(tmp_path, "/emissions/bylocation?location=DE&time=2021-06-01T05:59Z").json()
    assert (now["time"], then["time"]) == ("2021-06-15T09:00:00+00:00", "2021-06-01T05:00:00+00:00")


@pytest.mark.parametrize("base", ["", "/average"])
def test_a_forecast_names_its_optimum_in_both_spellings(tmp_path, monkeypatch, base):
    """`optimalDataPoint` is the first of `optimalDataPoints`, and both stand among the data; batch and current agree."""
    clock_at(monkeypatch, NOW)
    within = {"dataStartAt": "2021-06-15T10:00:00Z", "dataEndAt": "2021-06-15T20:00:00Z", "windowSize": 90}

    async def work(client):
        current = await client.get(
            f"{base}/emissions/forecasts/current", params=within | {"location": ["DE", "US-CISO"]}
        )
        one = within | {"location": "DE", "requestedAt": "2021-06-15T09:10:00Z"}
        return current.json(), (await client.post(f"{base}/emissions/forecasts/batch", json=[one])).json()

    (de, ciso), [batch] = asked(tmp_path, work)
    assert [de["location"], ciso["location"]] == ["DE", "US-CISO"]
    assert de["forecastData"] == batch["forecastData"]
    for forecast in (de, ciso, batch):
        data = forecast["forecastData"]
        assert forecast["optimalDataPoint"] == forecast["optimalDataPoints"][0]
        assert forecast["optimalDataPoint"]["value"] == min(row["value"] for row in data)
        assert data[0]["timestamp"] == "2021-06-15T10:00:00+00:00"
        assert data[-1]["timestamp"] == "2021-06-15T18:00:00+00:00"
        assert {row["duration"] for row in data} == {forecast["windowSize"]} == {90}
        assert forecast["generatedAt"] == "2021-06-15T09:00:00+00:00"
        assert forecast["factorKind"] == ("average" if base else "marginal")


@pytest.mark.parametrize("base", ["", "/average"])
def test_average_carbon_intensity_is_of_the_average(tmp_path, base):
    """On either base path, the mean over time of the average factor; batch gives the same."""
    span = {"startTime": "2021-06-01T00:30:00Z", "endTime": "2021-06-01T02:15:00Z"}

    async def work(client):
        path = f"{base}/emissions/average-carbon-intensity"
        one = (await client.get(path, params={"location": "DE"} | span)).json()
        many = (await client.post(path + "/batch", json=[{"location": "DE"} | span])).json()
        rows = (await client.get("/average/emissions/bylocation?location=DE&" + SPAN)).json()
        return one, many, [row["rating"] for row in rows]

    one, many, hours = asked(tmp_path, work)
    assert one["carbonIntensity"] == pytest.approx((hours[0] * 30 + hours[1] * 60 + hours[2] * 15) / 105)
    assert one["factorKind"] == "average"
    assert many == [one]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/emissions/bylocation", 400, "location"),
        ("/emissions/bylocation?location=", 404, "unknown region"),
        ("/emissions/bylocation?location=eastmoon", 404, "unknown region"),
        ("/emissions/bylocation?location=DE&time=2021-06-01T00:00", 400, "UTC offset"),
        ("/emissions/bylocation?location=DE&time=2021-06-02T00:00Z&toTime=2021-06-01T00:00Z", 400, "swap them"),
        ("/emissions/bylocation?location=DE&time=2021-06-02T00:00Z&toTime=2021-08-01T00:00Z", 400, "32 days"),
        ("/emissions/bylocation?location=DE&toTime=2021-06-02T00:00Z", 400, "give both"),
        ("/emissions/bylocation?location=DE&time=2150-06-02T00:00Z", 400, "has not come yet"),
        ("/emissions/forecasts/current", 400, "location"),
        ("/emissions/forecasts/current?location=DE&dataStartAt=1999-01-01T00:00Z&dataEndAt=1999-01-02T00:00Z", 400, "widen"),
        ("/emissions/forecasts/current?location=DE&windowSize=0", 400, "windowSize"),
        ("/emissions/forecasts/current?location=DE&windowSize=4000", 400, "shorten"),
        ("/emissions/average-carbon-intensity?location=DE&startTime=2021-06-01T00:00Z", 400, "endTime"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_their_shape(tmp_path, path, status, says):
    """Problem details with type, title, status, detail and errors."""
    answer = got(tmp_path, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "errors"}
    assert says in answer.json()["detail"]


def test_the_keda_config_map_is_what_the_operator_reads(tmp_path):
    """Strings under `data`, and under `binaryData.data` the JSON list of records, base64, an hour each without a gap."""
    answer = run(
        "export", "keda", "US-ERCO", "--hours", 12, "--location", "texas", "--namespace", "green", "--source", "reference",
        "--data-dir", tmp_path, "--json",
    ).json()  # fmt: skip
    assert (answer["apiVersion"], answer["kind"]) == ("v1", "ConfigMap")
    assert answer["metadata"] == {"name": "carbon-intensity", "namespace": "green"}
    assert set(answer["data"]) == {
        "lastHeartbeatTime", "message", "numOfRecords", "forecastDateTime", "minForecast", "maxForecast",
    }  # fmt: skip
    assert all(isinstance(value, str) for value in answer["data"].values())
    assert "marginal" in answer["data"]["message"]
    records = json.loads(base64.b64decode(answer["binaryData"]["data"]))
    assert len(records) == int(answer["data"]["numOfRecords"]) == 12
    assert all(set(row) == {"location", "timestamp", "duration", "value"} for row in records)
    assert {row["location"] for row in records} == {"texas"}
    values = [row["value"] for row in records]
    assert float(answer["data"]["minForecast"]) == pytest.approx(min(values), abs=1e-6)
    assert float(answer["data"]["maxForecast"]) == pytest.approx(max(values), abs=1e-6)
    times = [datetime.fromisoformat(row["timestamp"]) for row in records]
    assert all(b - a == timedelta(minutes=60) for a, b in pairwise(times))


def test_the_export_takes_the_average_when_asked_and_refuses_what_it_cannot_read(tmp_path):
    """Named in the message; a zone that is not known ends with 2."""
    asked_for = (
        "export",
        "keda",
        "DE",
        "--factor",
        "average",
        "--source",
        "reference",
        "--data-dir",
        tmp_path,
    )
    assert "average factor of DE" in run(*asked_for).out
    assert run("export", "keda", "XX", "--source", "reference", "--data-dir", tmp_path).code == 2
    with pytest.raises(InputError, match="reads forecasts"):
        config_map(signal([1.0]), "x", NOW)
