"""What operators state beside generation: their margins, prices, loads and flows, against numbers worked by hand."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from gridmargin.grid import GridStates, assemble
from gridmargin.ledger import Book
from gridmargin.marginal.average import Average
from gridmargin.marginal.estimator import Facts, FuelRate
from gridmargin.marginal.published import Published
from gridmargin.pipeline import Factory, base_of, facts_from
from gridmargin.sources import (
    LIVE_SOURCES,
    Archive,
    FetchIndex,
    KeptSource,
    Limits,
    Observations,
    Payload,
    Reach,
    Transport,
    collect,
)
from gridmargin.vocab import Fuel, Interval, Kind, TableError
from sources.live_samples import LIVE_SAMPLES
from sources.publisher_server import Reply, Seen, publisher

NOON = datetime(2026, 9, 24, 12, tzinfo=UTC)
DAY = Interval.starting(NOON - timedelta(hours=12), 2 * 86_400)


def values(name: str, called: str, body: bytes | str) -> dict[str, list[tuple[datetime, float]]]:
    """Give start and value by quantity of one payload."""
    payload = Payload(name, called, body if isinstance(body, bytes) else body.encode())
    found: dict[str, list[tuple[datetime, float]]] = {}
    frame = LIVE_SOURCES.get(name).parse(payload, DAY).frame.sort("start_utc")
    for start, quantity, value in frame.select("start_utc", "quantity", "value").iter_rows():
        found.setdefault(quantity, []).append((start, value))
    return found


def states_of(name: str, interval: Interval) -> GridStates:
    """Give the states that an adapter's sample makes."""
    live, sample = LIVE_SOURCES.get(name)(), LIVE_SAMPLES[name]
    parts = [
        live.parse(Payload(name, r.name, sample.build(r, set(), {})), interval)
        for r in live.requests(sample.zone, interval)
    ]
    return assemble(Observations.concat(parts), sample.zone, live.interval_s(sample.zone))


# -- PJM -------------------------------------------------------------------------------------------------------------


def miner(*records: dict[str, object]) -> bytes:
    """Give an answer of Data Miner."""
    return json.dumps({"items": records, "totalRows": len(records)}).encode()


def at(minute: int, second: int = 0) -> str:
    """Give a moment after noon as Data Miner writes it."""
    return f"{NOON + timedelta(minutes=minute, seconds=second):%Y-%m-%dT%H:%M:%S}"


def test_pjms_five_minute_rate_is_grams_and_its_hours_generation_is_laid_on_twelve():
    """1,000 lb/MWh are 453.59237 g/kWh; a mean of an hour is no mean of its five minutes and is marked as adjusted."""
    name = "fivemin_marginal_emissions-20260924.json"
    rate = values(
        "pjm_5min", name, miner({"datetime_beginning_utc": at(5), "pnode_id": 1, "marginal_co2_rate": 1000})
    )
    assert rate == {
        "published_marginal_rate_gco2_per_kwh": [(NOON + timedelta(minutes=5), pytest.approx(453.59237))]
    }
    mix = Payload(
        "pjm_5min",
        "gen_by_fuel-20260924.json",
        miner({"datetime_beginning_utc": at(0), "fuel_type": "Coal", "mw": 15_000}),
    )
    frame = LIVE_SOURCES.get("pjm_5min").parse(mix, DAY).frame
    assert frame["start_utc"].sort().to_list() == [NOON + timedelta(minutes=5 * k) for k in range(12)]
    assert frame["value"].unique().to_list() == [15_000]
    assert frame["status"].unique().to_list() == ["adjusted"]
    hourly = LIVE_SOURCES.get("pjm").parse(Payload("pjm", mix.name, mix.body), DAY).frame
    assert hourly.select("start_utc", "value", "status").rows() == [(NOON, 15_000, "reported")]


def test_pjms_load_is_moments_and_the_last_of_five_minutes_stands_for_them():
    """Two moments of one interval are one value, the later; the next interval's is its own."""
    body = miner(
        *(
            {"datetime_beginning_utc": at(minute, second), "area": "PJM RTO", "instantaneous_load": mw}
            for minute, second, mw in ((4, 50, 90_100), (0, 15, 90_000), (5, 10, 90_200))
        )
    )
    assert values("pjm_5min", "inst_load-20260921.json", body) == {
        "demand_mw": [(NOON, 90_100), (NOON + timedelta(minutes=5), 90_200)]
    }


def test_what_flows_into_pjm_is_above_zero_and_ties_within_a_total_are_not_read_again():
    """3,537.4 MW leave in all, 2,136 of them to MISO; a tie that has no zone of its own stays in the payload."""
    body = miner(
        *(
            {"datetime_beginning_utc": at(0), "tie_flow_name": tie, "actual_mw": mw, "scheduled_mw": 0}
            for tie, mw in (("PJM RTO", -3537.4), ("PJM MISO", -2136), ("LINDEN", -285))
        )
    )
    assert values("pjm_5min", "five_min_tie_flows-20260921.json", body) == {
        "imports_from_US-MISO_mw": [(NOON, -2136)],
        "net_imports_mw": [(NOON, -3537.4)],
    }


def test_pjms_past_needs_no_more_than_its_rates_and_its_mix():
    """45 days take six requests at most whenever they begin; a round takes load, price and flows too."""
    live = LIVE_SOURCES.get("pjm_5min")()
    for day in range(60):
        end = datetime(2026, 9, 1, 7, tzinfo=UTC) + timedelta(days=day)
        past = live.requests("US-PJM", Interval(end - timedelta(days=45), end))
        assert len(past) <= 6
        assert not any(request.supplement for request in past)
    round_of = live.requests("US-PJM", Interval.starting(NOON, 7200))
    assert {r.supplement for r in round_of} == {"", "flows", "price", "load"}


def test_a_stretch_that_has_only_begun_lists_nothing_and_is_no_fault():
    """The first hours of a stretch of days have no rows yet (C2)."""
    assert values("pjm", "gen_by_fuel-20260924.json", miner()) == {}


# -- MISO ------------------------------------------------------------------------------------------------------------


def test_misos_price_of_energy_is_the_same_at_every_node():
    """22.12 + 1.67 + 1.91 = 24.84 + 0.86 + 0.00 = 25.70: a node's price less its losses and congestion."""
    nodes = [
        {"name": "ARKANSAS.HUB", "LMP": "22.12", "MLC": "-1.67", "MCC": "-1.91"},
        {"name": "INDIANA.HUB", "LMP": "24.84", "MLC": "-0.86", "MCC": "0.00"},
    ]
    found = []
    for names in (("ARKANSAS.HUB", "INDIANA.HUB"), ("INDIANA.HUB", "ARKANSAS.HUB")):
        renamed = [{**node, "name": name} for node, name in zip(nodes, names, strict=True)]
        body = json.dumps(
            {"LMPData": {"RefId": "24-Sep-2026 - Interval 08:15 EST", "FiveMinLMP": {"PricingNode": renamed}}}
        )
        found.append(values("miso", "LmpConsolidatedTable-202609241315.json", body))
    price = {"price_usd_per_mwh": [(datetime(2026, 9, 24, 13, 15, tzinfo=UTC), 25.70)]}
    assert found == [price, price]


def test_misos_net_interchange_counts_what_leaves():
    """-5,573.87 MW of what leaves are 5,573.87 MW of imports; 8:15 AM in EST is 13:15 UTC in summer too."""
    body = json.dumps([{"Time": "2026-09-24 8:15:00 AM", "Value": "-5573.87"}])
    assert values("miso", "NetActualInterchange-20260924.json", body) == {
        "net_imports_mw": [(datetime(2026, 9, 24, 13, 15, tzinfo=UTC), 5573.87)]
    }


def test_a_load_of_miso_later_than_its_answer_is_of_another_day():
    """The table has a clock and no date: it is the answer's own, and what lies ahead of it is left."""
    loads = [{"Load": {"Time": time, "Value": mw}} for time, mw in (("00:00", "93419"), ("23:55", "90001"))]
    body = json.dumps({"LoadInfo": {"RefId": "24-Sep-2026 - Interval 00:05 EST", "FiveMinTotalLoad": loads}})
    assert values("miso", "RealTimeTotalLoad-20260924.json", body) == {
        "demand_mw": [(datetime(2026, 9, 24, 5, tzinfo=UTC), 93_419)]
    }
    with pytest.raises(TableError, match="no interval such as"):
        values("miso", "RealTimeTotalLoad-20260924.json", body.replace("EST", "CST"))


# -- SPP -------------------------------------------------------------------------------------------------------------

AUTUMN = Interval(datetime(2026, 11, 1, 5, tzinfo=UTC), datetime(2026, 11, 2, 6, tzinfo=UTC))


def margin(*rows: tuple[str, str, str]) -> bytes:
    """Give a day's table of `(end in UTC, area, fuels)`."""
    lines = [f'09/24/2026 07:05:00,{end},{area},"{fuels}"' for end, area, fuels in rows]
    return "\n".join(["Interval,GMTIntervalEnd,BAA,Fuel On Margin", *lines]).encode()


def test_spps_fuels_on_the_margin_are_flags_of_its_own_area():
    """One fuel a row or several, in whatever case; the western area is another zone, and an empty cell says nothing."""
    body = margin(
        ("09/24/2026 12:05:00", "SPP", "Coal"),
        ("09/24/2026 12:05:00", "SPP", "NATURAL GAS, Wind"),
        ("09/24/2026 12:05:00", "SWPW", "Hydro"),
        ("09/24/2026 12:10:00", "SPP", "Gas"),
        ("09/24/2026 12:15:00", "SPP", ""),
    )
    assert values("spp", "FUEL-ON-MARGIN-20260924.csv", body) == {
        "published_margin_coal_frac": [(NOON, 1.0)],
        "published_margin_gas_frac": [(NOON, 1.0), (NOON + timedelta(minutes=5), 1.0)],
        "published_margin_wind_frac": [(NOON, 1.0)],
    }
    with pytest.raises(TableError, match="'phlogiston' is not known"):
        values("spp", "FUEL-ON-MARGIN-20260924.csv", body.replace(b"Wind", b"Phlogiston"))


def test_spps_margins_are_asked_for_when_their_day_is_over_by_the_markets_midnight():
    """A round at noon UTC asks for the day before; the autumn day of 25 hours is one table."""
    live = LIVE_SOURCES.get("spp")()
    asked = [
        r for r in live.requests("US-SWPP", Interval.starting(NOON, 7200)) if r.name.startswith("FUEL-ON")
    ]
    assert [r.query["path"] for r in asked] == ["/2026/09/FUEL-ON-MARGIN-202609230005.csv"]
    later = Interval.starting(AUTUMN.end_utc, 7200)
    [autumn] = [r for r in live.requests("US-SWPP", later) if r.name.startswith("FUEL-ON")]
    assert autumn.interval == AUTUMN
    assert autumn.query["path"] == "/2026/11/FUEL-ON-MARGIN-202611010005.csv"
    sample = LIVE_SAMPLES["spp"]
    payload = Payload("spp", autumn.name, sample.build(autumn, set(), {}))
    frame = live.parse(payload, AUTUMN).frame
    assert frame.group_by("quantity").len().sort("quantity").rows() == [
        ("published_margin_coal_frac", 300),
        ("published_margin_gas_frac", 300),
    ]


WIND_AND_SUN = (
    "LocalIntervalEnding,GMTIntervalEnding,WindRedispatchCurtailments,WindManualCurtailments,WindCurtailedForEnergy,"
    "SolarRedispatchCurtailments,SolarManualCurtailments,SolarCurtailedForEnergy,BAA\n"
)


def test_what_spp_curtailed_is_wind_and_sun_for_all_reasons_in_its_own_area():
    """1,110.44 + 10 + 2.5 + 1 + 0.5 + 0.06 MW are 1,124.5 in the five minutes that end at 12:05; an empty cell is no zero."""
    first = (
        "09/24/2026 07:05:00.000000,09/24/2026 12:05:00.000000,1110.440,10.000,2.500,1.000,0.500,0.060,SPP\n"
    )
    rows = [
        first,
        "09/24/2026 07:05:00.000000,09/24/2026 12:05:00.000000,99.000,0.000,0.000,0.000,0.000,0.000,SWPW\n",
        "09/24/2026 07:10:00.000000,09/24/2026 12:10:00.000000,0.000,0.000,0.000,0.000,0.000,0.000,SPP\n",
        "09/24/2026 07:15:00.000000,09/24/2026 12:15:00.000000,5.000,,0.000,0.000,0.000,0.000,SPP\n",
    ]
    body = WIND_AND_SUN + "".join(rows)
    assert values("spp", "VER-Curtailments-20260924.csv", body) == {
        "curtailment_mw": [(NOON, pytest.approx(1124.5)), (NOON + timedelta(minutes=5), 0.0)]
    }
    older = (WIND_AND_SUN + first).replace(",BAA", "").replace(",SPP", "")
    assert values("spp", "VER-Curtailments-20260924.csv", older) == {
        "curtailment_mw": [(NOON, pytest.approx(1124.5))]
    }
    with pytest.raises(TableError, match="no column 'SolarManualCurtailments'"):
        values("spp", "VER-Curtailments-20260924.csv", body.replace("SolarManual", "SunManual"))


def test_what_spp_curtailed_is_asked_for_six_hours_after_its_day_and_once():
    """Wednesday's table at six on Thursday by the market's clock, which is 11:00 UTC in summer, and not before."""
    live = LIVE_SOURCES.get("spp")()

    def asked(end: datetime) -> list[str]:
        found = live.requests("US-SWPP", Interval(end - timedelta(hours=2), end))
        return [r.query["path"] for r in found if r.supplement == "curtailment" and r.once]

    assert asked(NOON - timedelta(hours=1)) == ["/2026/09/VER-Curtailments-20260923.csv"]
    assert asked(NOON - timedelta(hours=1, minutes=5)) == []


def test_spps_price_is_that_of_energy_before_losses_and_congestion():
    """The row of one hub is read; `GMTIntervalEnd` names the end."""
    body = (
        "Interval,GMTIntervalEnd,BAA,Settlement Location,Pnode,LMP,MLC,MCC,MEC\n"
        "09/24/2026 07:05:00,09/24/2026 12:05:00,SPP,AEC,SOUC,30.1234,-0.1,5.0234,25.2\n"
        "09/24/2026 07:05:00,09/24/2026 12:05:00,SPP,SPPNORTH_HUB,SPPNORTH_HUB,19.7,-1.3,-4.2,25.2\n"
    )
    assert values("spp", "RTBM-LMP-SL-202609241200.csv", body) == {"price_usd_per_mwh": [(NOON, 25.2)]}
    with pytest.raises(TableError, match="no row of SPPNORTH_HUB"):
        values("spp", "RTBM-LMP-SL-202609241200.csv", body.replace("SPPNORTH_HUB", "X"))


# -- Ontario ---------------------------------------------------------------------------------------------------------


def flows(**ties: list[float]) -> str:
    """Give a day's flows over some interties, all in hour 8; a tie has a value an interval."""
    zones = "".join(
        f"<IntertieZone><IntertieZoneName>{tie.replace('_', ' ')}</IntertieZoneName><Actuals>"
        + "".join(
            f"<Actual><Hour>8</Hour><Interval>{k}</Interval><Flow>{mw}</Flow></Actual>"
            for k, mw in enumerate(mws, start=1)
        )
        + "</Actuals></IntertieZone>"
        for tie, mws in ties.items()
    )
    return f'<D xmlns="http://x"><IMODocBody><Date>2026-09-24</Date>{zones}</IMODocBody></D>'


def test_an_hour_over_ontarios_border_is_the_mean_of_twelve_and_what_leaves_is_minus_what_comes_in():
    """To Michigan 806.5 MW on average (801 to 812), from Minnesota 60: imports from MISO are -746.5. Hour 8 is 12:00 UTC."""
    called = "PUB_IntertieScheduleFlow_20260924.xml"
    found = values(
        "ieso",
        called,
        flows(MICHIGAN=[800 + k for k in range(1, 13)], MINNESOTA=[-60] * 12, MANITOBA=[-9] * 12),
    )
    assert found == {
        "imports_from_CA-MB_mw": [(NOON, 9)],
        "imports_from_US-MISO_mw": [(NOON, -746.5)],
        "net_imports_mw": [(NOON, -737.5)],
    }
    part = values("ieso", called, flows(MICHIGAN=[800] * 11, MINNESOTA=[-60] * 12, MANITOBA=[-9] * 12))
    assert part == {"imports_from_CA-MB_mw": [(NOON, 9)]}
    with pytest.raises(TableError, match="'ATLANTIS' is not known"):
        values("ieso", called, flows(ATLANTIS=[1] * 12))


def test_ontarios_price_is_an_hours_when_the_hour_is_whole():
    """The mean of 41 to 52 is 46.5 Canadian dollars; eleven values make no hour."""
    [*prices] = [
        f"<ZonalPrice><Interval>{k}</Interval><LmpCap>{40 + k}</LmpCap></ZonalPrice>" for k in range(1, 13)
    ]
    head = "<Document><DocBody><DeliveryDate>2026-09-24</DeliveryDate><DeliveryHour>8</DeliveryHour>"
    tail = "<AveragePrice><LmpCap>1.00</LmpCap></AveragePrice></DocBody></Document>"
    called = "PUB_RealtimeOntarioZonalPrice_2026092408.xml"
    assert values("ieso", called, head + "".join(prices) + tail) == {"price_cad_per_mwh": [(NOON, 46.5)]}
    assert values("ieso", called, head + "".join(prices[1:]) + tail) == {}


def test_ontarios_demand_is_its_own_and_not_the_markets():
    """Remarks stand above the header, and a cell is found below them; hour 8 in EST is 12:00 UTC."""
    body = "\\\\Hourly Demand Report,,,\n\\\\For 2026,,,\nDate,Hour,Market Demand,Ontario Demand\n2026-09-24,8,18000,16123\n"
    payload = Payload("ieso", "PUB_Demand_2026.csv", body.encode())
    frame = LIVE_SOURCES.get("ieso").parse(payload, DAY).frame
    assert frame.select("start_utc", "quantity", "value", "row").rows() == [(NOON, "demand_mw", 16_123, 4)]
    cell = Observations(frame).record(0).cell
    assert LIVE_SOURCES.get("ieso").cell_text(payload, cell) == "16123"


# -- Alberta and Great Britain ---------------------------------------------------------------------------------------


def test_albertas_pool_price_holds_for_the_hours_five_minutes_and_a_forecast_is_none():
    """An hour without its price has a forecast beside it, which is left in the payload."""
    report = [
        {"begin_datetime_utc": "2026-09-24 12:00", "pool_price": "38.55", "forecast_pool_price": "40.10"},
        {"begin_datetime_utc": "2026-09-24 13:00", "pool_price": "", "forecast_pool_price": "41.20"},
    ]
    body = json.dumps({"return": {"Pool Price Report": report}})
    assert values("aeso", "poolPrice-20260924-20260924.json", body) == {
        "price_cad_per_mwh": [(NOON + timedelta(minutes=5 * k), 38.55) for k in range(12)]
    }


@pytest.mark.parametrize(("name", "n"), [("elexon", 1), ("elexon_5min", 6)])
def test_britains_market_index_is_one_exchanges_and_absent_where_nothing_was_traded(name, n):
    """0.00 without a volume is no price (C2); the other exchange's stays in the payload."""
    records = [
        {"startTime": start, "dataProvider": whose, "price": price, "volume": volume}
        for start, whose, price, volume in (
            ("2026-09-24T12:00:00Z", "APXMIDP", 71.25, 1204.9),
            ("2026-09-24T12:00:00Z", "N2EXMIDP", 5.0, 10.0),
            ("2026-09-24T12:30:00Z", "APXMIDP", 0.0, 0.0),
        )
    ]
    body = json.dumps({"data": records})
    assert values(name, "balancing-pricing-market-index-20260924.json", body) == {
        "price_gbp_per_mwh": [(NOON + timedelta(seconds=1800 / n * k), 71.25) for k in range(n)]
    }


# -- what is made of it ----------------------------------------------------------------------------------------------

RATES = {
    Fuel.COAL: FuelRate(1000.0, "by hand"),
    Fuel.GAS: FuelRate(400.0, "by hand"),
}
FACTS = Facts("UTC", RATES)


def test_published_answers_for_pjm_every_five_minutes():
    """The operator's own rate as it stands: 1,200.5 lb/MWh are 544.5 g/kWh in each of 24 intervals."""
    states = states_of("pjm_5min", LIVE_SAMPLES["pjm_5min"].interval)
    made = Published().estimate(states, Published().fit(states, FACTS))
    assert len(made) == 24
    assert made.mid == pytest.approx(np.full(24, 1200.5 * 0.45359237))


def test_published_answers_for_spp_with_the_fuels_of_a_past_day():
    """Coal and gas are flagged together all day: in equal parts, 700 g/kWh."""
    interval = LIVE_SAMPLES["spp"].interval
    day = Interval(interval.start_utc - timedelta(days=2), interval.end_utc)
    states = states_of("spp", day)
    flagged = states.frame.filter(pl.col("published_margin_coal_frac") == 1.0).height
    made = Published(split="equal").estimate(states, Published(split="equal").fit(states, FACTS))
    assert len(made) == flagged > 288
    assert made.mid == pytest.approx(np.full(flagged, 700.0))


def test_hours_that_have_a_price_alone_do_not_hide_which_fuels_a_zone_reports():
    """One state with generation among twelve with a price: the mix is still known to be reported."""
    states = states_of("aeso", LIVE_SAMPLES["aeso"].interval)
    parts = [
        pl.DataFrame({"start_utc": states.frame["start_utc"].dt.offset_by(f"{5 * k}m"), "status": ["reported"],
                      "completeness_frac": [0.1], "price_cad_per_mwh": [38.55]})
        for k in range(1, 12)
    ]  # fmt: skip
    frame = pl.concat([states.frame, *parts], how="diagonal")
    hour = GridStates(states.zone, states.interval_s, frame)
    assert hour.known_frac(Fuel.WIND) == 1.0
    assert Average().can_fit(hour, FACTS) == Average().can_fit(states, FACTS)


def test_the_present_of_pjm_is_the_newest_hour_whose_mix_is_out(tmp_path):
    """Rates of later intervals are kept and wait for it, so that average and margin speak of one interval."""
    live, sample = LIVE_SOURCES.get("pjm_5min")(), LIVE_SAMPLES["pjm_5min"]
    hour = NOON + timedelta(hours=1)

    def answer(seen: Seen) -> Reply:
        for request in live.requests(sample.zone, sample.interval):
            if seen.path == f"/{request.path}":
                body = json.loads(sample.build(request, set(), {}))
                until = hour if request.path == "gen_by_fuel" else hour + timedelta(hours=1)
                body["items"] = [
                    item
                    for item in body["items"]
                    if item["datetime_beginning_utc"] < f"{until:%Y-%m-%dT%H:%M:%S}"
                ]
                return Reply(json.dumps(body | {"totalRows": len(body["items"])}).encode())
        return Reply(status=404)

    def now() -> datetime:
        return NOON + timedelta(hours=2)

    archive, index = Archive(tmp_path), FetchIndex(tmp_path)
    with publisher(answer) as server:
        transport = Transport(clock=time.monotonic, sleep=time.sleep, now_utc=now, limits=Limits(gap_s=0.0))
        found = collect(
            live, sample.zone, sample.interval, transport=transport, archive=archive, index=index, now_utc=now,
            reach=Reach(server.url, sample.secrets),
        )  # fmt: skip
    assert found.faults == ()
    kept = KeptSource(live, archive, index)
    assert kept.span(sample.zone).end_utc == hour
    parts = [kept.parse(p, sample.interval) for p in kept.fetch(sample.zone, sample.interval)]
    rated = assemble(Observations.concat(parts), sample.zone, 300).values(
        "published_marginal_rate_gco2_per_kwh"
    )
    assert np.isfinite(rated).sum() == 24
    index.close()


@pytest.mark.parametrize(
    ("name", "base"), [("spp", "regression"), ("miso", "regression"), ("pjm_5min", "published")]
)
def test_a_margin_that_is_out_a_day_later_is_none_to_forecast_from(tmp_path, name, base):
    """SPP states its margin when the day is over, MISO's adapter not at all, PJM's with the rest."""
    kept = KeptSource(LIVE_SOURCES.get(name)(), Archive(tmp_path), FetchIndex(tmp_path))
    with Book(tmp_path / "ledger.sqlite") as book:
        factory = Factory(kept, book, Archive(tmp_path), facts_from(None), lambda: NOON)
        assert base_of(factory, Kind.MARGINAL) == base
        assert base_of(factory, Kind.AVERAGE) == "average"
