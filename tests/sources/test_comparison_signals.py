"""Electricity Maps and WattTime: what is theirs alone, and that no factor is ever made from them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from gridmargin.sources import (
    COMPARISONS,
    LIVE_SOURCES,
    SOURCES,
    Archive,
    FetchIndex,
    Payload,
    Reach,
    Transport,
    collect,
)
from gridmargin.vocab import G_PER_LB, PublisherError, TableError
from sources.live_samples import LIVE_SAMPLES
from sources.publisher_server import ERROR_PAGE, Reply, publisher

Maps, Watt = COMPARISONS.get("electricity_maps"), COMPARISONS.get("watttime")
NOW = datetime(2026, 9, 24, 18, tzinfo=UTC)


def answer_of(name, change=None):
    """Give a sample's first payload, its body changed as JSON."""
    live, sample = COMPARISONS.get(name)(), LIVE_SAMPLES[name]
    request = live.requests(sample.zone, sample.interval)[0]
    body = json.loads(sample.build(request, (), {}))
    if change:
        change(body)
    return Payload(name, request.name, json.dumps(body).encode()), sample.interval


def test_none_of_them_is_a_source():
    """What answers for a zone is chosen among others."""
    assert not set(COMPARISONS.names()) & {*LIVE_SOURCES.names(), *SOURCES.names()}


def test_pounds_a_megawatt_hour_become_grams_a_kilowatt_hour():
    """One pound of 453.59237 g over 1,000 kWh."""
    payload, interval = answer_of("watttime")
    found = Watt.parse(payload, interval).frame
    first = json.loads(payload.body)["data"][int(found["row"][0]) - 2]
    assert found["value"][0] == pytest.approx(first["value"] * G_PER_LB / 1000)
    assert found["quantity"].unique().to_list() == ["watttime_moer_gco2_per_kwh"]


def test_both_kinds_of_average_have_names_of_their_own():
    """Life-cycle and direct equivalents are two quantities, and what was estimated is imputed."""
    live, sample = Maps(), LIVE_SAMPLES["electricity_maps"]
    asked = live.requests(sample.zone, sample.interval)
    names = set()
    for request in asked:
        frame = Maps.parse(
            Payload("electricity_maps", request.name, sample.build(request, (), {})), request.interval
        ).frame
        names |= set(frame["quantity"])
        assert set(frame["status"]) == {"reported", "imputed"}
    assert names == {
        "electricity_maps_average_lifecycle_gco2e_per_kwh",
        "electricity_maps_average_direct_gco2e_per_kwh",
    }


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("watttime", lambda b: b["meta"].update(units="kg_co2_per_mwh"), "meta, field units: 'kg_co2_per_mwh'"),
        ("watttime", lambda b: b["meta"].update(signal_type="co2_aoer"), "meta, field signal_type: 'co2_aoer'"),
        ("watttime", lambda b: b["meta"].update(region="PJM_DC"), "meta, field region: 'PJM_DC'"),
        ("watttime", lambda b: b["meta"].update(data_point_period_seconds=3600), "data_point_period_seconds: '3600'"),
        ("watttime", lambda b: b["data"][3].update(value="high"), "row 5, column value: 'high' is not a number"),
        ("electricity_maps", lambda b: b["data"][1].update(zone="FR"), "row 3, column zone: 'FR' was not asked"),
        ("electricity_maps", lambda b: b["data"][0].update(emissionFactorType="direct"), "emissionFactorType: 'direct'"),
        ("electricity_maps", lambda b: b["data"][0].update(datetime="noon"), "column datetime: 'noon' is not a time"),
    ],
)  # fmt: skip
def test_what_was_not_asked_for_is_refused(name, change, told):
    """Another unit, signal, region or zone is named, and no value is made up from it."""
    payload, interval = answer_of(name, change)
    with pytest.raises(TableError, match=told):
        COMPARISONS.get(name).parse(payload, interval)


def test_a_null_is_a_gap():
    """An hour without a value has none (C2)."""
    payload, _ = answer_of("electricity_maps", lambda b: b["data"][5].update(carbonIntensity=None))
    live, sample = Maps(), LIVE_SAMPLES["electricity_maps"]
    request = live.requests(sample.zone, sample.interval)[0]
    whole, _ = answer_of("electricity_maps")
    assert len(Maps.parse(payload, request.interval)) == len(Maps.parse(whole, request.interval)) - 1


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Reply(status=401), "login answers 401: the key is not accepted"),
        (Reply(b'{"detail": "no"}'), "login gives no token"),
        (Reply(b'{"token": ""}'), "login gives no token"),
        (Reply(b'{"token": "a\\nb"}'), "login gives no token"),
        (Reply(ERROR_PAGE), "login answers 200 with a web page"),
    ],
)
def test_a_login_that_fails_is_told_and_nothing_is_asked(tmp_path, reply, told):
    """Without a token no table is asked for, and neither user nor password is in the message."""
    sample = LIVE_SAMPLES["watttime"]
    index = FetchIndex(tmp_path)
    with publisher(lambda seen: Reply(status=500)) as server:
        server.door = lambda seen: reply if seen.path == "/login" else None
        with pytest.raises(PublisherError, match=told) as caught:
            collect(
                Watt(), sample.zone, sample.interval, archive=Archive(tmp_path), index=index, now_utc=lambda: NOW,
                transport=Transport(clock=time.monotonic, sleep=lambda s: None, now_utc=lambda: NOW),
                reach=Reach(server.url, sample.secrets),
            )  # fmt: skip
        assert server.seen == []
    assert not any(secret in str(caught.value) for secret in sample.secrets.values())
    assert index.health("watttime", sample.zone).fault == str(caught.value)
    index.close()
