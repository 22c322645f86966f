"""AEMO's live files: folders' pages, zips in zips, and units that an inventory beside them gives fuels."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from gridmargin.sources import LIVE_SOURCES, Archive, FetchIndex, Payload, Reach, Transport, collect
from gridmargin.sources.packed import pack, unpack
from gridmargin.vocab import Interval, PublisherError, TableError
from sources.live_samples import INVENTORY, LIVE_SAMPLES
from sources.publisher_server import ERROR_PAGE, Reply, Seen, publisher

Aemo, SAMPLE = LIVE_SOURCES.get("aemo_5min"), LIVE_SAMPLES["aemo_5min"]
NOON = datetime(2026, 9, 24, 12, tzinfo=UTC)
FIVE = Interval.starting(NOON, 300)


def payload(request, skip=(), bump=None):
    body = SAMPLE.build(request, skip, bump or {})
    return Payload("aemo_5min", request.name, SAMPLE.keep(request, body))


def values(one, interval=FIVE):
    frame = Aemo.parse(one, interval).frame
    return {q: (v, c) for q, v, c in frame.select("quantity", "value", "column").iter_rows()}


def test_units_are_summed_by_the_inventorys_fuel():
    """Two coal units are one sum; a unit of another region, one that is not listed and a second genset add nothing."""
    _, scada = Aemo().requests("AU-NSW", FIVE)
    found = values(payload(scada))
    number = int(NOON.timestamp()) // 300 % 1000
    assert found == {
        "generation_coal_mw": (400 + number + 350.5, "SCADAVALUE of BW01+BW02"),
        "generation_gas_mw": (200.0, "SCADAVALUE of TALWA1"),
        "generation_solar_mw": (90.0, "SCADAVALUE of SUN1"),
    }


def test_an_empty_cell_leaves_the_fuel_out():
    """A coal unit that says nothing is not a coal unit at rest (C2)."""
    _, scada = Aemo().requests("AU-NSW", FIVE)
    whole = unpack(payload(scada))
    inner = unpack(Payload("aemo_5min", "x", whole[scada.name]))
    less = {name: body.replace(b"BW02,350.5", b"BW02,") for name, body in inner.items()}
    body = pack([(scada.name, pack(less.items())), ("CO2EII_AVAILABLE_GENERATORS.CSV", INVENTORY)])
    assert set(values(Payload("aemo_5min", scada.name, body))) == {"generation_gas_mw", "generation_solar_mw"}


def test_a_label_names_the_end_in_market_time():
    """22:05 of UTC+10 is the five minutes from 12:00 UTC, in every season."""
    dispatch, scada = Aemo().requests("AU-NSW", FIVE)
    assert dispatch.listed == r"PUBLIC_DISPATCHIS_202609242205_\d+\.zip"
    assert Aemo.parse(payload(scada), FIVE).frame["start_utc"].unique().to_list() == [NOON]


def test_where_the_operator_intervened_plants_followed_one_run_and_prices_the_other():
    """Demand of run 1, price of run 0."""
    dispatch, _ = Aemo().requests("AU-NSW", FIVE)
    [(name, body)] = unpack(payload(dispatch)).items()
    lines = body.decode().splitlines()
    more = []
    for line in lines[:-1]:
        more.append(line)
        if line.startswith("D,DISPATCH,PRICE") and "NSW1" in line:
            more.append(line.replace("NSW1,1,0,", "NSW1,1,1,9"))
        if line.startswith("D,DISPATCH,REGIONSUM") and "NSW1" in line:
            more.append(line.replace("NSW1,1,0,7", "NSW1,1,1,8"))
    text = "\n".join([*more, f'C,"END OF REPORT",{len(more) + 1}']) + "\n"
    before, after = (
        values(payload(dispatch)),
        values(Payload("aemo_5min", dispatch.name, pack([(name, text.encode())]))),
    )
    assert after["price_aud_per_mwh"] == before["price_aud_per_mwh"]
    assert after["demand_mw"][0] == before["demand_mw"][0] + 1000


def test_a_days_zip_of_zips_says_what_its_five_minutes_say():
    """Long stretches are asked for by market day, and each interval is the same either way."""
    long = Interval(NOON - timedelta(hours=12), NOON + timedelta(hours=1))
    asked = {request.name: request for request in Aemo().requests("AU-NSW", long)}
    assert list(asked) == [
        f"{kind}-AU-NSW-{day}.zip" for day in ("20260924",) for kind in ("DISPATCHIS", "DISPATCHSCADA")
    ]
    assert asked["DISPATCHSCADA-AU-NSW-20260924.zip"].path == (
        "Reports/Archive/Dispatch_SCADA/PUBLIC_DISPATCHSCADA_20260924.zip"
    )
    for short, day in zip(Aemo().requests("AU-NSW", FIVE), asked.values(), strict=True):
        assert values(payload(day)) == values(payload(short))
    day = payload(asked["DISPATCHSCADA-AU-NSW-20260924.zip"])
    found = Aemo.parse(day, long)
    assert found.frame["start_utc"].n_unique() == 13 * 12
    for at in (0, len(found) // 2, len(found) - 1):
        one = found.record(at)
        assert float(Aemo.cell_text(day, one.cell)) == pytest.approx(one.value)


def ask(tmp_path, door, times=1):
    """Collect the sample's hours from a publisher of this machine; give the rounds, what was asked and the index."""
    live, index = Aemo(), FetchIndex(tmp_path)
    requests = live.requests(SAMPLE.zone, SAMPLE.interval)

    def answer(seen: Seen) -> Reply:
        label = seen.path.partition("_2026")[2][:8]
        kind = "DISPATCHSCADA" if "SCADA" in seen.path else "DISPATCHIS"
        return Reply(
            SAMPLE.build(next(r for r in requests if r.name.startswith(kind) and label in r.name), (), {})
        )

    try:
        with publisher(answer) as server:
            server.door = door
            rounds = [
                collect(
                    live, SAMPLE.zone, SAMPLE.interval, archive=Archive(tmp_path), index=index, now_utc=lambda: NOON,
                    transport=Transport(clock=time.monotonic, sleep=lambda s: None, now_utc=lambda: NOON),
                    reach=Reach(server.url),
                )
                for _ in range(times)
            ]  # fmt: skip
        return rounds, server
    finally:
        index.close()


def at_door(seen: Seen) -> Reply | None:
    body = SAMPLE.beside(seen.path, (), {})
    return None if body is None else Reply(body)


def test_a_file_that_is_there_is_not_asked_for_again(tmp_path):
    """Each round asks for two pages and the inventory; files that are listed under the same number stay."""
    (first, second), server = ask(tmp_path, at_door, times=2)
    assert (first.n_new, second.n_new, second.n_unchanged) == (48, 0, 48)
    assert len(server.seen) == 48
    paths = [seen.path for seen in server.at_door]
    assert len(paths) == len(set(paths)) + 2 == 5


def test_a_page_that_lists_nothing_is_told(tmp_path):
    """No file for any of the intervals: the publisher has nothing."""
    page = b"<html><body><pre>[To Parent Directory]</pre></body></html>"
    with pytest.raises(PublisherError, match=r"lists no file for DISPATCHSCADA-AU-NSW-202609250000\.zip"):
        ask(tmp_path, lambda seen: Reply(page) if "/Current/" in seen.path else None)


def test_an_error_page_for_the_inventory_is_no_inventory(tmp_path):
    """Without it no unit has a fuel, so nothing is made of the answer."""

    def door(seen: Seen) -> Reply | None:
        return Reply(ERROR_PAGE) if seen.path.endswith(".CSV") else at_door(seen)

    with pytest.raises(PublisherError, match="web page"):
        ask(tmp_path, door)


def test_a_payload_without_its_inventory_is_refused():
    """What names no fuel states nothing."""
    _, scada = Aemo().requests("AU-NSW", FIVE)
    bare = Payload("aemo_5min", scada.name, SAMPLE.build(scada, (), {}))
    with pytest.raises(TableError, match="holds no CO2EII_AVAILABLE_GENERATORS"):
        Aemo.parse(bare, FIVE)
