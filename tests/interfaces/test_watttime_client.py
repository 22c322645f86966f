"""The official WattTime client, unmodified, against a real server on loopback: only its URL is another one."""

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest

from interfaces.face_server import NOW, PASSWORD, USER, record, uvicorn_on_loopback

CLIENT = """
import json, sys
from watttime import WattTimeForecast, WattTimeHistorical, WattTimeMaps, WattTimeMarginalFuelMix, WattTimeMyAccess

region, start, end, latitude, longitude = sys.argv[1:]
user = {"username": USER, "password": PASSWORD}
access = WattTimeMyAccess(**user)
access.register("ann@example.org", "us")
historical, forecast = WattTimeHistorical(**user), WattTimeForecast(**user)
table = historical.get_historical_pandas(start, end, region, include_imputed_marker=True, include_meta=True)
average = historical.get_historical_pandas(start, end, region, signal_type="co2_aoer")
historical.get_historical_csv(start, end, region)
issues = forecast.get_historical_forecast_pandas(start, start[:10] + " 12:00Z", region)
ahead = forecast.get_forecast_json(region)
print(json.dumps({
    "access": access.get_access_pandas().astype(str).to_dict("records"),
    "historical": table[["point_time", "value", "imputed_data_used"]].astype(str).to_dict("records"),
    "meta": table["meta"].iloc[0],
    "average": average["value"].tolist(),
    "forecast": ahead,
    "nowcast": forecast.get_forecast_json(region, horizon_hours=0),
    "forecast_table": forecast.get_forecast_pandas(region).to_dict("records"),
    "issues": issues.astype(str).to_dict("records"),
    "place": forecast.region_from_loc(latitude, longitude),
    "maps": WattTimeMaps(**user).get_maps_json(),
    "mix": WattTimeMarginalFuelMix(**user).get_fuel_mix_pandas(start, end, region).to_dict("list"),
    "warnings": [w.to_dict() for w in historical.raised_warnings],
}, default=str))
"""


def client_against(address, home, *arguments):
    """Run the client in a process of its own, where the environment names the server."""
    script = CLIENT.replace("USER", repr(USER)).replace("PASSWORD", repr(PASSWORD))
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "WATTTIME_API_URL": address, "HOME": str(home)},
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What the client got from a record that holds the present."""
    folder, home = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        choice = record(patch, folder)
        with uvicorn_on_loopback(folder, choice) as address:
            got = client_against(
                address, home, "NEM_VIC", "2021-06-01 00:00Z", "2021-06-03 00:00Z", -37.8, 144.9
            )
    return got, home


def test_history_comes_whole_from_first_to_last(recorded):
    """Both ends inside, every hour once, none imputed, and nothing to warn of."""
    got, _ = recorded
    times = [row["point_time"] for row in got["historical"]]
    assert len(times) == len(set(times)) == 49
    assert (times[0], times[-1]) == ("2021-06-01 00:00:00+00:00", "2021-06-03 00:00:00+00:00")
    assert {row["imputed_data_used"] for row in got["historical"]} == {"False"}
    assert got["meta"]["units"] == "lbs_co2_per_mwh"
    assert got["meta"]["region"] == "NEM_VIC"
    assert got["warnings"] == []


def test_the_average_is_another_signal(recorded):
    """`co2_aoer` and `co2_moer` are not the same numbers."""
    got, _ = recorded
    marginal = [float(row["value"]) for row in got["historical"]]
    assert len(got["average"]) == len(marginal)
    assert all(a != m for a, m in zip(got["average"], marginal, strict=True))


def test_a_forecast_begins_with_the_present_hour(recorded):
    """24 hours, issued as the hour began; none ahead is that hour alone."""
    got, _ = recorded
    ahead = got["forecast"]
    assert len(ahead["data"]) == len(got["forecast_table"]) == 24
    start = NOW.replace(minute=0).isoformat()
    assert ahead["data"][0]["point_time"] == ahead["meta"]["generated_at"] == start
    assert [p["point_time"] for p in got["nowcast"]["data"]] == [start]


def test_a_past_forecast_is_given_as_it_would_have_been_issued(recorded):
    """One issue, as of the start of the stretch, 24 hours long."""
    got, _ = recorded
    assert {row["generated_at"] for row in got["issues"]} == {"2021-06-01 00:00:00+00:00"}
    assert len(got["issues"]) == 24


def test_access_place_maps_and_mix_fit_together(recorded):
    """The region of a place is one that the account has; shares on the margin add up to 1."""
    got, _ = recorded
    regions = {row["region"] for row in got["access"] if row["signal_type"] == "co2_moer"}
    assert regions == {"NEM_VIC", "NEM_NSW"} == {f["properties"]["region"] for f in got["maps"]["features"]}
    assert got["place"]["region"] == "NEM_VIC"
    totals = [sum(row) for row in zip(*got["mix"].values(), strict=True)]
    assert totals == pytest.approx([1.0] * len(totals))


def test_the_csv_lies_where_the_client_puts_it(recorded):
    """With a line an hour and its header."""
    _, home = recorded
    [file] = (home / "watttime_historical_csvs").iterdir()
    assert file.name == "NEM_VIC_co2_moer_2021-06-01_2021-06-03.csv"
    assert len(file.read_text().splitlines()) == 50


def test_without_data_typical_days_answer_and_the_client_is_warned(tmp_path):
    """Every call works on a fresh install, and each answer says what stands in."""
    with uvicorn_on_loopback(tmp_path) as address:
        got = client_against(
            address, tmp_path, "CAISO_NORTH", "2026-01-01 00:00Z", "2026-01-02 00:00Z", 37.8, -122.4
        )
    assert {row["imputed_data_used"] for row in got["historical"]} == {"True"}
    assert {w["warning_message"]["type"] for w in got["warnings"]} == {"TYPICAL_DAYS", "COARSER_REGION"}
    assert "NO_FORECAST" in {w["type"] for w in got["forecast"]["meta"]["warnings"]}
    assert got["place"]["region"] == "US-CISO"  # which part of it the outlines do not say
    assert "CAISO_NORTH" in {row["region"] for row in got["access"]}


def test_two_months_are_one_table_of_one_model(tmp_path):
    """The client cuts long stretches and keeps the chunks of one model only: none of ours is lost."""
    script = (
        "from watttime import WattTimeHistorical as H\n"
        f"h = H({USER!r}, {PASSWORD!r}); h.register('ann@example.org')\n"
        "t = h.get_historical_pandas('2026-01-01', '2026-03-01', 'ERCOT')\n"
        "print(len(t), t['point_time'].is_unique)"
    )
    with uvicorn_on_loopback(tmp_path) as address:
        done = subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "WATTTIME_API_URL": address, "HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
    assert done.stdout.split() == [str(timedelta(days=59) // timedelta(hours=1) + 1), "True"]
