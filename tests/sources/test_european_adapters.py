"""ENTSO-E's documents and Elexon's records: what is theirs alone."""

from __future__ import annotations

import io
import json
import time
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from gridmargin.grid import assemble
from gridmargin.pipeline import Feeds
from gridmargin.sources import (
    LIVE_SOURCES,
    Archive,
    FetchIndex,
    Observations,
    Payload,
    Reach,
    Transport,
    collect,
    replay,
)
from gridmargin.sources.live.entsoe import AREAS, BORDERS, neighbours
from gridmargin.vocab import Interval, PublisherError, TableError
from sources.live_samples import LIVE_SAMPLES
from sources.publisher_server import Reply, Seen, publisher

Entsoe, Elexon, Instant = (LIVE_SOURCES.get(name) for name in ("entsoe_api", "elexon", "elexon_5min"))
NOON = datetime(2026, 9, 24, 12, tzinfo=UTC)
DAY = Interval.starting(NOON - timedelta(hours=12), 86_400)
ACKNOWLEDGED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Acknowledgement_MarketDocument'
    b' xmlns="urn:iec62325.351:tc57wg16:451-1:acknowledgementdocument:7:0"><mRID>1</mRID><Reason><code>999</code>'
    b"<text>No matching data found for Data item AGGREGATED_GENERATION_PER_TYPE [16.1.B&amp;C]</text></Reason>"
    b"</Acknowledgement_MarketDocument>"
)


def document(*series: str) -> bytes:
    return f'<GL_MarketDocument xmlns="urn:x">{"".join(series)}</GL_MarketDocument>'.encode()


def series(
    points: dict[int, str], hours: int = 1, step: str = "PT15M", curve: str = "A01", start=NOON, **more
) -> str:
    """One series with one period; `code` and `out` make it a production type's."""
    of_type = f"<MktPSRType><psrType>{more['code']}</psrType></MktPSRType>" if "code" in more else ""
    out = "<outBiddingZone_Domain.mRID>X</outBiddingZone_Domain.mRID>" if more.get("out") else ""
    body = "".join(
        f"<Point><position>{p}</position><quantity>{v}</quantity></Point>" for p, v in points.items()
    )
    end = start + timedelta(hours=hours)
    return (
        f"<TimeSeries>{out}<curveType>{curve}</curveType>{of_type}<Period><timeInterval><start>{start:%Y-%m-%dT%H:%MZ}"
        f"</start><end>{end:%Y-%m-%dT%H:%MZ}</end></timeInterval><resolution>{step}</resolution>{body}</Period></TimeSeries>"
    )


def values(body: bytes, name: str = "load-FR-20260924.xml") -> dict[str, list[tuple[int, float, str]]]:
    """Give minutes after noon, value and status by quantity."""
    frame = Entsoe.parse(Payload("entsoe_api", name, body), DAY).frame.sort("start_utc")
    found: dict[str, list[tuple[int, float, str]]] = {}
    for start, quantity, value, status in frame.select(
        "start_utc", "quantity", "value", "status"
    ).iter_rows():
        found.setdefault(quantity, []).append((int((start - NOON).total_seconds()) // 60, value, status))
    return found


# -- ENTSO-E ---------------------------------------------------------------------------------------------------------


def test_a_point_left_out_repeats_the_one_before_only_where_the_curve_says_so():
    """Curve A03 states four quarters with two points; curve A01 states two."""
    points = {1: "100", 3: "120"}
    repeated = [
        (0, 100.0, "reported"),
        (15, 100.0, "reported"),
        (30, 120.0, "reported"),
        (45, 120.0, "reported"),
    ]
    assert values(document(series(points, curve="A03"))) == {"demand_mw": repeated}
    assert values(document(series(points, curve="A01"))) == {"demand_mw": [repeated[0], repeated[2]]}


def test_nothing_is_repeated_across_the_end_of_a_period():
    """Two periods with an hour between them leave that hour out, whatever the curve."""
    later = series({1: "90"}, curve="A03", start=NOON + timedelta(hours=2))
    found = values(document(series({1: "100"}, curve="A03"), later))["demand_mw"]
    assert [minute for minute, _, _ in found] == [0, 15, 30, 45, 120, 135, 150, 165]


@pytest.mark.parametrize(("step", "n"), [("PT60M", 4), ("PT30M", 2)])
def test_a_longer_mean_is_laid_on_its_quarters_and_called_adjusted(step, n):
    """A mean of 60 or 30 minutes is not the publisher's word for a quarter of an hour."""
    found = values(document(series({1: "100"}, step=step)))["demand_mw"]
    assert found == [(15 * k, 100.0, "adjusted") for k in range(n)]


def test_what_a_pumped_plant_draws_is_taken_off():
    """Generation of 300 MW while 120 MW are drawn is 180 MW net; a type may be stated by either alone."""
    made = series({1: "300", 2: "310"}, code="B10")
    drawn = series({1: "120", 3: "90"}, code="B10", out=True)
    found = values(document(made, drawn), "generation-FR-20260924.xml")
    assert found["generation_pumped_mw"] == [
        (0, 180.0, "reported"), (15, 310.0, "reported"), (30, -90.0, "reported"),
    ]  # fmt: skip


def test_a_sum_lacks_where_one_of_its_types_does():
    """Wind at sea without wind on land is not wind (C2)."""
    body = document(series({1: "300", 2: "310"}, code="B18"), series({1: "20"}, code="B19"))
    assert values(body, "generation-FR-20260924.xml") == {"generation_wind_mw": [(0, 320.0, "reported")]}


def test_each_term_of_a_sum_can_be_read_again():
    """The cell names the types, and its text is their sum."""
    body = document(series({1: "300"}, code="B18"), series({1: "20"}, code="B19"))
    payload = Payload("entsoe_api", "generation-FR-20260924.xml", body)
    one = Entsoe.parse(payload, DAY).record(0)
    assert one.cell.column == "B18 + B19"
    assert float(Entsoe.cell_text(payload, one.cell)) == one.value == 320.0


def test_net_imports_over_a_border_are_its_two_directions():
    """Each document states one way; the state has the difference, and nothing where one way is silent."""
    parts = [
        Entsoe.parse(Payload("entsoe_api", name, document(series(points))), DAY)
        for name, points in (
            ("flow-FR-from-ES-20260924.xml", {1: "700", 2: "700"}),
            ("flow-FR-to-ES-20260924.xml", {1: "200"}),
        )
    ]
    states = assemble(Observations.concat(parts), "FR", 900)
    assert states.frame["imports_from_ES_mw"].to_list() == [500.0, None]


def test_price_in_euro_is_taken_and_in_another_currency_left():
    """A price holds for each quarter of its hour as it was stated; zloty are not euro."""
    body = document(series({1: "-5.5"}, step="PT60M")).replace(b"quantity>", b"price.amount>")
    in_euro = body.replace(b"<curveType>", b"<currency_Unit.name>EUR</currency_Unit.name><curveType>")
    name = "price-FR-20260924.xml"
    assert values(in_euro, name) == {"price_eur_per_mwh": [(15 * k, -5.5, "reported") for k in range(4)]}
    assert values(in_euro.replace(b"EUR", b"PLN"), name) == {}


def test_several_documents_may_come_packed():
    """The series of a zip's documents are read as one answer's."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("1.xml", document(series({1: "100"})))
        file.writestr("2.xml", document(series({1: "90"}, start=NOON + timedelta(hours=1))))
    assert [minute for minute, _, _ in values(packed.getvalue())["demand_mw"]] == [0, 60]
    with pytest.raises(TableError, match="cut short or damaged"):
        values(packed.getvalue()[:-30])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (document(series({5: "1"})), "row 1, column position: '5' is not between 1 and 4"),
        (document(series({1: "n/e"})), "row 1, column quantity: 'n/e' is not a number"),
        (document(series({1: "1"}, step="P1D")), "column resolution: 'P1D' is none of"),
        (document(series({1: "1"}))[:-30], "no XML or cut short"),
        (b"<html></html>", "no market document but 'html'"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><GL_MarketDocument/>', "declares entities"),
        (ACKNOWLEDGED.replace(b"No matching data found", b"More than 1 year requested"), "publisher answers More than"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(body, told):
    """By document, series and element, with what stood there."""
    with pytest.raises(TableError, match=told) as caught:
        values(body)
    assert "load-FR-20260924.xml" in str(caught.value)


def ask_belgium(tmp_path, answer):
    """Ask for Belgium at a publisher of this machine; give what came, the index and the archive."""
    live, sample = Entsoe(), LIVE_SAMPLES["entsoe_api"]
    index, archive = FetchIndex(tmp_path), Archive(tmp_path)
    with publisher(answer) as server:
        try:
            return collect(
                live, sample.zone, sample.interval, archive=archive, index=index, now_utc=lambda: NOON,
                transport=Transport(clock=time.monotonic, sleep=lambda s: None, now_utc=lambda: NOON),
                reach=Reach(server.url, sample.secrets),
            ), list(replay(live, archive, index)), index.health(live.name, sample.zone)  # fmt: skip
        finally:
            index.close()


def test_an_answer_without_matching_data_is_a_gap_and_no_fault(tmp_path):
    """The other documents are taken in, the publisher counts as answering, and the note says what it had nothing for."""
    live, sample = Entsoe(), LIVE_SAMPLES["entsoe_api"]

    def answer(seen: Seen) -> Reply:
        if seen.query["documentType"] == "A44":
            return Reply(ACKNOWLEDGED)
        asked = live.requests(sample.zone, sample.interval)
        return Reply(
            next(sample.build(r, (), {}) for r in asked if dict(r.query).items() <= seen.query.items())
        )

    found, replayed, health = ask_belgium(tmp_path, answer)
    assert found.n_new == len(live.requests(sample.zone, sample.interval)) - 1
    assert [fault.split(": ")[1] for fault in found.faults] == ["price-BE-20260924.xml"]
    assert health.fault is None
    assert [one.fault for one in replayed] == [None] * found.n_new


def test_where_there_is_nothing_at_all_the_publisher_is_said_to_have_nothing(tmp_path):
    """Only acknowledgements are no answer."""
    with pytest.raises(PublisherError, match="has nothing for this stretch"):
        ask_belgium(tmp_path, lambda seen: Reply(ACKNOWLEDGED))


def test_borders_join_areas_and_are_seen_from_both_sides():
    """Every pair is of two known areas, once; whoever is a neighbour has that neighbour."""
    pairs = BORDERS.split()
    assert len(set(pairs)) == len(pairs)
    assert sum(len(neighbours(zone)) for zone in AREAS) == 2 * len(pairs)
    assert neighbours("FR") == ["BE", "CH", "DE", "ES", "GB", "IT-NO"]
    assert all(zone in neighbours(other) for zone in AREAS for other in neighbours(zone))


# -- Elexon ----------------------------------------------------------------------------------------------------------


def elexon(*records: tuple[str, str, float], published: str = "2026-09-24T12:40:00Z") -> bytes:
    return json.dumps(
        {"data": [{"publishTime": published, "startTime": start, "fuelType": code, "generation": mw} for start, code, mw in records]}
    ).encode()  # fmt: skip


def test_links_to_one_country_are_summed_and_a_silent_one_leaves_it_out():
    """1,000 MW in by one cable and 300 MW out by another are 700 MW; a half hour without one of them has none."""
    first, second = "2026-09-24T12:00:00Z", "2026-09-24T12:30:00Z"
    body = elexon(
        (first, "INTFR", 1000), (first, "INTIFA2", -300), (second, "INTFR", 900), (second, "CCGT", 1)
    )
    payload = Payload("elexon", "datasets-FUELHH-20260924.json", body)
    frame = Elexon.parse(payload, DAY).frame
    rows = frame.filter(frame["quantity"] == "imports_from_FR_mw")
    assert rows["value"].to_list() == [700.0]
    assert rows["column"].to_list() == ["generation of INTFR + INTIFA2"]


def test_of_what_was_published_twice_the_later_stands():
    """A republished interval is one statement, not two."""
    early = json.loads(elexon(("2026-09-24T12:00:00Z", "CCGT", 9000)))["data"]
    late = json.loads(elexon(("2026-09-24T12:00:00Z", "CCGT", 9100), published="2026-09-24T13:00:00Z"))[
        "data"
    ]
    body = json.dumps({"data": late + early}).encode()
    [value] = Elexon.parse(Payload("elexon", "datasets-FUELHH-20260924.json", body), DAY).frame["value"]
    assert value == 9100.0


@pytest.mark.parametrize("name", ["datasets-FUELHH-20260924.json", "demand-outturn-20260924.json"])
def test_a_day_that_has_only_begun_states_nothing(name):
    """An empty list is a gap and not a broken table; a list that is not there is one."""
    assert len(Elexon.parse(Payload("elexon", name, b'{"data": []}'), DAY)) == 0
    with pytest.raises(TableError, match="no field 'data'"):
        Elexon.parse(Payload("elexon", name, b'{"error": 1}'), DAY)


def test_a_settlement_day_begins_at_londons_midnight():
    """In summer that is 23:00 UTC of the day before; each day has its demand and its generation."""
    price, *asked = Elexon().requests("GB", Interval.starting(NOON, 3600))
    assert (price.path, price.supplement) == ("balancing/pricing/market-index", "price")
    assert (price.query["from"], price.query["to"]) == ("2026-09-23T23:00Z", "2026-09-24T23:00Z")
    assert [request.path for request in asked] == ["demand/outturn", "datasets/FUELHH"]
    assert {request.interval.start_utc.hour for request in asked} == {23}
    assert {request.query["settlementDateFrom"] for request in asked} == {"2026-09-24"}
    asked = Instant().requests("GB", Interval.starting(NOON, 3600))
    assert [r.path for r in asked if not r.supplement] == ["datasets/FUELINST"]


def test_in_little_time_generation_comes_first_and_what_came_is_taken_in(tmp_path):
    """A publisher that is slow with everything after the first answer gives that answer, and the rest is noted."""
    live, sample = Entsoe(), LIVE_SAMPLES["entsoe_api"]

    def answer(seen: Seen) -> Reply:
        asked = live.requests(sample.zone, sample.interval)
        request = next(r for r in asked if dict(r.query).items() <= seen.query.items())
        drip_s = 0.0 if request.name.startswith("generation") else 0.05
        return Reply(sample.build(request, (), {}), drip_s=drip_s)

    index = FetchIndex(tmp_path)
    with publisher(answer) as server:
        feeds = Feeds(
            [(live, Reach(server.url, sample.secrets))], archive=Archive(tmp_path), index=index, clock=time.monotonic,
            now_utc=lambda: sample.interval.end_utc,
            transport=Transport(clock=time.monotonic, sleep=time.sleep, now_utc=lambda: sample.interval.end_utc),
        )  # fmt: skip
        found = feeds.ask(live, sample.zone, sample.interval, within_s=2.0)
    assert found.n_new == 1
    first, rest = (fault.partition(":")[0] for fault in found.faults)
    assert first == "load"
    assert rest == ", ".join([*(f"flows with {other}" for other in ("DE", "FR", "GB", "NL")), "price"])
    assert index.health(live.name, sample.zone).fault is None
    index.close()
