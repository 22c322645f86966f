"""The first live adapters against the publishers' own recorded bytes, and what is theirs alone."""

from __future__ import annotations

import gzip
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from gridmargin.grid import assemble
from gridmargin.sources import LIVE_SOURCES, SOURCES, Payload
from gridmargin.vocab import Interval, TableError
from sources.live_samples import LIVE_SAMPLES

Eia, IsoNe, NyIso = (LIVE_SOURCES.get(name) for name in ("eia930_api", "isone", "nyiso"))
DAY = Interval(datetime(2025, 2, 3, 5, tzinfo=UTC), datetime(2025, 2, 4, 5, tzinfo=UTC))


def test_new_york_is_asked_by_day_and_further_back_by_month():
    """Three days are three tables; ten weeks are their months' zips and the last three days."""
    asked = [r.path for r in NyIso().requests("US-NYIS", DAY)]
    assert asked == [
        f"public/csv/{table}.csv"
        for table in (
            "realtime/20250203realtime_zone", "ExternalLimitsFlows/20250203ExternalLimitsFlows", "pal/20250203pal",
            "rtfuelmix/20250203rtfuelmix",
        )
    ]  # fmt: skip
    long = Interval(DAY.start_utc - timedelta(days=70), DAY.end_utc)
    names = [r.name for r in NyIso().requests("US-NYIS", long) if not r.supplement]
    assert names == [
        "20241101rtfuelmix_csv.zip", "20241201rtfuelmix_csv.zip", "20250101rtfuelmix_csv.zip",
        "20250201rtfuelmix.csv", "20250202rtfuelmix.csv", "20250203rtfuelmix.csv",
    ]  # fmt: skip


def test_the_agency_is_asked_with_the_query_that_its_documentation_gives():
    """Three tables of the authority, hourly, sorted, no more rows than an answer may hold."""
    asked = Eia().requests("US-PJM", Interval.starting(datetime(2026, 9, 24, 12, tzinfo=UTC), 3600))
    assert [r.path for r in asked] == [
        f"electricity/rto/{route}/data/" for route in ("interchange-data", "region-data", "fuel-type-data")
    ]
    assert asked[2].query["facets[respondent][]"] == "PJM"
    assert asked[0].query["facets[fromba][]"] == "PJM"
    assert all(r.query["length"] == "5000" and r.query["frequency"] == "hourly" for r in asked)


def test_what_leaves_is_minus_what_comes_in():
    """Interchange of +1000 out of Texas is -1000 of imports, from each neighbour and in all."""
    sample = LIVE_SAMPLES["eia930_api"]
    interval = Interval.starting(sample.interval.start_utc, 3600)
    parts = {}
    for request in Eia().requests(sample.zone, interval):
        payload = Payload("eia930_api", request.name, sample.build(request, set(), {}))
        frame = Eia.parse(payload, interval).frame
        parts |= dict(zip(frame["quantity"], frame["value"], strict=True))
    n = (interval.start_utc.hour) + 24 * ((interval.start_utc - request.interval.start_utc).days)
    assert parts["imports_from_US-PJM_mw"] == -(1000 + n)
    assert parts["net_imports_mw"] == -(2000 + n)
    assert parts["demand_mw"] == 1000 + n


def hours_of_fuels(*rows: tuple[str, str, str | None]) -> Payload:
    """Give an answer of `(label, code, value)` for Texas, whose labels name the end."""
    data = [
        {"period": label, "respondent": "ERCO", "fueltype": code, "value": value}
        for label, code, value in rows
    ]
    body = {"response": {"total": str(len(data)), "frequency": "hourly", "data": data}}
    return Payload("eia930_api", "fuel-type-data-ERCO-20260921.json", json.dumps(body).encode())


def test_a_plant_with_a_store_of_its_own_counts_with_the_sun_or_the_wind():
    """At noon 900 and 100 MW are 1,000 MW of sun; at night a store that takes 5 from the grid leaves -5 of it."""
    payload = hours_of_fuels(
        ("2026-09-24T13", "SUN", "900"), ("2026-09-24T13", "SNB", "100"), ("2026-09-24T13", "WND", "300"),
        ("2026-09-24T14", "SUN", "0"), ("2026-09-24T14", "SNB", "-5"), ("2026-09-24T14", "WND", "310"),
        ("2026-09-24T14", "OES", "77"), ("2026-09-24T14", "UNK", "88"),
    )  # fmt: skip
    noon = datetime(2026, 9, 24, 12, tzinfo=UTC)
    found = Eia.parse(payload, Interval.starting(noon, 7200))
    assert sorted(found.frame.select("start_utc", "quantity", "value").rows()) == [
        (noon, "generation_solar_mw", 1000),
        (noon, "generation_wind_mw", 300),
        (noon + timedelta(hours=1), "generation_solar_mw", -5),
        (noon + timedelta(hours=1), "generation_wind_mw", 310),
    ]
    cells = {one.value: one.cell for one in (found.record(at) for at in range(len(found)))}
    assert cells[1000].column == "value of SNB + SUN"
    assert [float(Eia.cell_text(payload, cells[value])) for value in (1000, -5, 310)] == [1000, -5, 310]


def test_where_one_part_of_the_sun_is_silent_there_is_no_sum_whichever_hour_is_asked_for():
    """Neither a missing row nor an empty value is zero (C2); an authority without hybrids has its sun as it stands."""
    payload = hours_of_fuels(
        ("2026-09-24T13", "SUN", "900"), ("2026-09-24T13", "SNB", "100"),
        ("2026-09-24T14", "SUN", "800"), ("2026-09-24T15", "SUN", "700"), ("2026-09-24T15", "SNB", None),
    )  # fmt: skip
    noon = datetime(2026, 9, 24, 12, tzinfo=UTC)
    for after_h, value in ((0, [1000]), (1, []), (2, [])):
        frame = Eia.parse(payload, Interval.starting(noon + timedelta(hours=after_h), 3600)).frame
        assert frame["value"].to_list() == value
    alone = hours_of_fuels(("2026-09-24T13", "SUN", "900"), ("2026-09-24T14", "SUN", "800"))
    assert Eia.parse(alone, Interval.starting(noon, 7200)).frame["value"].to_list() == [900, 800]


def test_an_answer_of_the_agency_that_lists_nothing_is_a_gap():
    """In the first hours of a stretch nothing of it is out yet, and that is no fault (C2)."""
    body = json.dumps({"response": {"total": "0", "frequency": "hourly", "data": []}}).encode()
    sample = LIVE_SAMPLES["eia930_api"]
    assert not len(
        Eia.parse(Payload("eia930_api", "fuel-type-data-ERCO-20260924.json", body), sample.interval)
    )


def test_an_answer_that_holds_fewer_rows_than_there_are_is_refused():
    """A full page of more is not the whole."""
    sample = LIVE_SAMPLES["eia930_api"]
    request = Eia().requests(sample.zone, sample.interval)[0]
    body = json.loads(sample.build(request, set(), {}))
    body["response"]["total"] = "5001"
    with pytest.raises(TableError, match="of 5001 rows"):
        Eia.parse(Payload("eia930_api", request.name, json.dumps(body).encode()), sample.interval)


def test_a_single_snapshot_may_come_without_a_list():
    """One record that is not in a list is read as one."""
    record = {"BeginDate": "2026-09-24T11:01:34.000-04:00", "GenMw": 6000, "FuelCategoryRollup": "Oil",
              "FuelCategory": "Oil", "MarginalFlag": "N"}  # fmt: skip
    body = json.dumps({"GenFuelMixes": {"GenFuelMix": record}}).encode()
    assert (
        len(IsoNe.parse(Payload("isone", "genfuelmix-20260924.json", body), LIVE_SAMPLES["isone"].interval))
        == 2
    )


@pytest.mark.data
def test_new_yorks_own_bytes_are_read_live_as_they_are_recorded(data_dir):
    """A day's table out of the operator's zip, served as the day's answer, gives that day as the zip does."""
    recorded = SOURCES.get("nyiso")(data_dir)
    [zipped] = recorded.fetch("US-NYIS", DAY)
    [path] = (data_dir / "grid").rglob("*rtfuelmix_csv.zip")
    with zipfile.ZipFile(path) as packed:
        body = packed.read("20250203rtfuelmix.csv")
    states = assemble(NyIso.parse(Payload("nyiso", "20250203rtfuelmix.csv", body), DAY), "US-NYIS", 300)
    whole = assemble(recorded.parse(zipped, DAY), "US-NYIS", 300)
    assert len(states) > 250
    assert states.frame.equals(whole.frame)


@pytest.mark.data
def test_new_englands_own_records_are_the_same_as_json_and_as_a_table(data_dir):
    """The recorded table, written as the web service writes its records, gives the same values and flags."""
    recorded = SOURCES.get("isone")(data_dir)
    span = recorded.span("US-ISNE")
    [table] = recorded.fetch("US-ISNE", span)
    header, *lines = (
        gzip.decompress(table.body).decode().split()[:1]
        + gzip.decompress(table.body).decode().splitlines()[1:]
    )
    names = header.split(",")
    records = [dict(zip(names, line.split(","), strict=True)) for line in lines]
    body = json.dumps(
        {"GenFuelMixes": {"GenFuelMix": [r | {"GenMw": float(r["GenMw"])} for r in records]}}
    ).encode()
    columns = ["start_utc", "quantity", "value"]
    live = IsoNe.parse(Payload("isone", "genfuelmix-20240309.json", body), span).frame.select(columns)
    assert live.sort(columns).equals(recorded.parse(table, span).frame.select(columns).sort(columns))
