"""What is each North American operator's own: labels, clocks, units, parts, and what they leave out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from gridmargin.sources import LIVE_SOURCES, Payload
from gridmargin.vocab import Cell, Interval, TableError
from sources.live_samples import LIVE_SAMPLES

LB_KG = 0.45359237
"""The international pound."""


def asked(name: str, interval: Interval):
    """Give an adapter's requests with the payload that its sample builds for each."""
    sample = LIVE_SAMPLES[name]
    requests = LIVE_SOURCES.get(name)().requests(sample.zone, interval)
    return [(r, Payload(name, r.name, sample.build(r, set(), {}))) for r in requests]


def values(name: str, payload: Payload, interval: Interval) -> dict[tuple[datetime, str], float]:
    """Give what a payload states in a stretch."""
    frame = LIVE_SOURCES.get(name).parse(payload, interval).frame
    return {(row["start_utc"], row["quantity"]): row["value"] for row in frame.to_dicts()}


def hour(*moment: int, n: int = 1) -> Interval:
    """Give some hours from a moment in UTC."""
    return Interval.starting(datetime(*moment, tzinfo=UTC), 3600 * n)


# -- California ------------------------------------------------------------------------------------------------------

SUPPLY = "Time,Solar,Wind,Geothermal,Biomass,Biogas,Small hydro,Coal,Nuclear,Natural Gas,Large Hydro,Batteries,Imports,Other"
ROW = "{},40,3657,904,315,210,157,3,2244,10272,1816,-84,6645,0"
AUTUMN = Interval(datetime(2026, 11, 1, 7, tzinfo=UTC), datetime(2026, 11, 2, 8, tzinfo=UTC))


def supply(*times: str, day: str = "20261101", header: str = SUPPLY) -> Payload:
    """Give a table of supply with these labels."""
    return Payload("caiso", f"fuelsource-{day}.csv", "\n".join([header, *map(ROW.format, times)]).encode())


def test_california_is_asked_by_the_day_in_the_address_and_never_for_a_current_table():
    """Nothing in `current/` says which day it is, and at midnight it is the wrong one."""
    paths = [request.path for request, _ in asked("caiso", AUTUMN) if "outlook" in request.path]
    assert paths == [f"outlook/history/20261101/{table}.csv" for table in ("demand", "fuelsource")]


def test_a_repeated_hour_stated_once_is_left_out_and_stated_twice_is_both_passes():
    """Nothing tells which 01:30 a single one is; of two, the first is summer time (C1, C2)."""
    once = values("caiso", supply("00:55", "01:30", "02:00"), AUTUMN)
    assert sorted({start for start, _ in once}) == [
        datetime(2026, 11, 1, 7, 55, tzinfo=UTC), datetime(2026, 11, 1, 10, tzinfo=UTC),
    ]  # fmt: skip
    twice = values("caiso", supply("00:55", "01:30", "01:30", "02:00"), AUTUMN)
    assert sorted({start for start, _ in twice})[1:3] == [
        datetime(2026, 11, 1, 8, 30, tzinfo=UTC), datetime(2026, 11, 1, 9, 30, tzinfo=UTC),
    ]  # fmt: skip


def test_the_midnight_that_ends_a_day_is_not_the_one_that_begins_it():
    """A second 00:00 at the foot of a table belongs to the next day's own table."""
    found = values("caiso", supply("00:00", "23:55", "00:00"), AUTUMN)
    assert {start.hour for start, _ in found} == {7}  # 00:00 in summer time and 23:55 in winter time
    assert len({start for start, _ in found}) == 2


def test_californias_hydro_is_two_columns_and_absent_where_one_is_empty():
    """The sum's cell names both and reads as their sum; a part without a value leaves no sum (C2)."""
    payload = supply("12:00", header=SUPPLY.replace("Natural Gas", "Natural gas"))
    frame = LIVE_SOURCES.get("caiso").parse(payload, AUTUMN).frame
    [hydro] = [row for row in frame.to_dicts() if row["quantity"] == "generation_hydro_mw"]
    assert hydro["value"] == 157 + 1816
    cell = Cell(hydro["payload_sha256"], hydro["row"], hydro["column"])
    assert float(LIVE_SOURCES.get("caiso").cell_text(payload, cell)) == hydro["value"]
    empty = Payload("caiso", payload.name, payload.body.replace(b",157,", b",,"))
    names = {quantity for _, quantity in values("caiso", empty, AUTUMN)}
    assert "generation_hydro_mw" not in names
    assert "generation_gas_mw" in names


# -- Texas -----------------------------------------------------------------------------------------------------------


def mix(**stamps: float) -> Payload:
    """Give a fuel mix of gas under stamps, all of one day."""
    day = {stamp: {"Natural Gas": {"gen": mw}} for stamp, mw in stamps.items()}
    return Payload(
        "ercot_dashboards", "fuel-mix-20261101.json", json.dumps({"data": {"2026-11-01": day}}).encode()
    )


def test_texas_states_moments_and_the_last_in_five_minutes_stands_for_them():
    """Four seconds before a mark are the mark, and an offset tells the two passes of an hour apart (C1)."""
    payload = mix(
        **{
            "2026-11-01 00:59:56-0500": 1.0,
            "2026-11-01 01:02:30-0500": 2.0,
            "2026-11-01 01:05:05-0500": 3.0,
            "2026-11-01 01:00:02-0600": 4.0,
        }
    )
    found = values("ercot_dashboards", payload, hour(2026, 11, 1, 5, n=3))
    assert {f"{start:%H:%M}": mw for (start, _), mw in found.items()} == {
        "06:00": 2.0,
        "06:05": 3.0,
        "07:00": 4.0,
    }


def test_fuels_of_one_moment_under_two_stamps_are_one_state():
    """Texas now and then splits a mark between two stamps; no fuel of it is lost."""
    day = {
        "2026-09-24 13:59:58-0500": {"Wind": {"gen": 5.0}},
        "2026-09-24 14:00:03-0500": {"Natural Gas": {"gen": 7.0}},
    }
    body = json.dumps({"data": {"2026-09-24": day}}).encode()
    found = values(
        "ercot_dashboards", Payload("ercot_dashboards", "fuel-mix-20260924.json", body), hour(2026, 9, 24, 19)
    )
    start = datetime(2026, 9, 24, 19, tzinfo=UTC)
    assert found == {(start, "generation_wind_mw"): 5.0, (start, "generation_gas_mw"): 7.0}


def test_a_stamp_without_its_offset_and_a_fuel_nobody_placed_are_named():
    """Neither is guessed at."""
    with pytest.raises(TableError, match="not a time with an offset"):
        values("ercot_dashboards", mix(**{"2026-11-01 01:00:00": 1.0}), AUTUMN)
    payload = Payload(
        "ercot_dashboards", "fuel-mix-20261101.json", mix(**{"2026-11-01 01:00:00-0500": 1.0}).body
    )
    new = Payload(payload.source, payload.name, payload.body.replace(b"Natural Gas", b"Hydrogen"))
    with pytest.raises(TableError, match="'Hydrogen' is not known"):
        values("ercot_dashboards", new, AUTUMN)


def test_a_forecast_of_demand_is_no_demand():
    """Rows marked as forecast are left in the payload."""
    found = asked("ercot_dashboards", LIVE_SAMPLES["ercot_dashboards"].interval)
    [demand] = [payload for request, payload in found if request.supplement == "load"]
    found = values("ercot_dashboards", demand, hour(2026, 9, 24, 0, n=48))
    assert max(start for start, _ in found) < LIVE_SAMPLES["ercot_dashboards"].interval.end_utc
    assert {quantity for _, quantity in found} == {"demand_mw"}


# -- PJM -------------------------------------------------------------------------------------------------------------


def test_pjms_rate_is_its_own_in_our_unit():
    """1,200.5 lb of CO2 per MWh are 544.5 g per kWh."""
    [*_, (rates, payload), (generation, _)] = asked("pjm", hour(2026, 9, 24, 12))
    assert rates.query["pnode_id"] == "1"
    assert "pnode_id" not in generation.query
    found = values("pjm", payload, hour(2026, 9, 24, 12))
    assert list(found.values()) == pytest.approx([1200.5 * LB_KG])
    assert [quantity for _, quantity in found] == ["published_marginal_rate_gco2_per_kwh"]


def test_pjms_past_takes_no_more_requests_than_it_allows_in_a_minute():
    """Those who are no members may ask six times a minute: 45 days are six requests at most, whenever they begin."""
    for day in range(60):
        end = datetime(2026, 9, 1, 7, tzinfo=UTC) + timedelta(days=day)
        assert len(LIVE_SOURCES.get("pjm")().requests("US-PJM", Interval(end - timedelta(days=45), end))) <= 6


def test_an_answer_of_pjm_that_is_not_the_whole_or_of_another_place_is_refused():
    """Fewer rows than there are, and a node that is not the whole area."""
    [*_, (_, rates), (_, generation)] = asked("pjm", hour(2026, 9, 24, 12))
    body = json.loads(generation.body)
    body["totalRows"] += 1
    with pytest.raises(TableError, match="cut short by the publisher"):
        values("pjm", Payload("pjm", generation.name, json.dumps(body).encode()), hour(2026, 9, 24, 12))
    other = rates.body.replace(b'"pnode_id": 1', b'"pnode_id": 51291')
    with pytest.raises(TableError, match="'51291' is not known"):
        values("pjm", Payload("pjm", rates.name, other), hour(2026, 9, 24, 12))


# -- MISO ------------------------------------------------------------------------------------------------------------


def test_misos_clock_is_est_in_summer_too():
    """Midnight in EST is 05:00 UTC in July, and noon is 12 PM."""
    records = [
        {"INTERVALEST": label, "CATEGORY": "Coal", "ACT": "31393", "FUEL_CATEGORY": ""}
        for label in ("2026-07-07 12:00:00 AM", "2026-07-07 12:00:00 PM", "2026-07-07 4:40:00 PM")
    ]
    body = json.dumps({"RefId": "", "TotalMW": "", "Fuel": {"Type": records}}).encode()
    found = values("miso", Payload("miso", "FuelMix-Today-20260707.json", body), hour(2026, 7, 7, 0, n=48))
    assert [(start.hour, start.minute) for start, _ in found] == [(5, 0), (17, 0), (21, 40)]


def test_miso_is_asked_for_yesterday_only_where_the_stretch_reaches_it():
    """Two tables across midnight in EST, one within a day."""
    within = LIVE_SOURCES.get("miso")().requests("US-MISO", hour(2026, 9, 24, 5, n=2))
    across = LIVE_SOURCES.get("miso")().requests("US-MISO", hour(2026, 9, 24, 4, n=2))
    assert [r.path for r in within if not r.supplement] == ["FuelMix/Today"]
    assert [r.path for r in across if not r.supplement] == ["FuelMix/Yesterday", "FuelMix/Today"]


# -- SPP -------------------------------------------------------------------------------------------------------------


def test_spps_two_forms_state_the_same():
    """A label names the end; what the market and the owner dispatched are one fuel's two parts."""
    interval = hour(2026, 9, 24, 15, n=6)
    [*_, (_, year), (_, small)] = asked("spp", interval)
    found, again = values("spp", small, interval), values("spp", year, interval)
    assert min(start for start, _ in found) == interval.start_utc
    both = found.keys() & again.keys()
    assert {quantity for _, quantity in both} == {
        f"generation_{fuel}_mw"
        for fuel in ("coal", "oil", "hydro", "gas", "nuclear", "solar", "waste", "wind", "other")
    } | {"demand_mw"}
    assert {key: found[key] for key in both} == pytest.approx({key: again[key] for key in both})
    cell = Cell("", 2, "Natural Gas Market + Gas Self")
    assert float(LIVE_SOURCES.get("spp").cell_text(year, cell)) == pytest.approx(9519.4)


def test_spps_large_table_is_asked_for_only_where_the_small_one_is_too_short():
    """A round of two hours and the usual delay takes the small one."""
    live = LIVE_SOURCES.get("spp")()
    round_of = Interval.starting(datetime(2026, 9, 24, 12, 5, tzinfo=UTC), 7200 + live.delay_s)
    asked_for = [r.query["path"] for r in live.requests("US-SWPP", round_of) if not r.supplement]
    assert asked_for == ["/SPP/GenMix2Hour_SPP.csv"]


# -- Ontario ---------------------------------------------------------------------------------------------------------


def report(*generators: tuple[str, str]) -> Payload:
    """Give a day's report of `(fuel, outputs)`; an output is a number, or `-` where the generator is silent."""
    parts = []
    for fuel, outputs in generators:
        hours = "".join(
            f"<Output><Hour>{n}</Hour>{'' if text == '-' else f'<EnergyMW>{text}</EnergyMW>'}</Output>"
            for n, text in enumerate(outputs.split(), start=1)
        )
        parts.append(f"<Generator><FuelType>{fuel}</FuelType><Outputs>{hours}</Outputs></Generator>")
    body = f"<Date>2026-07-07</Date><Generators>{''.join(parts)}</Generators>"
    text = f'<IMODocument xmlns="http://www.theIMO.com/schema"><IMODocBody>{body}</IMODocBody></IMODocument>'
    return Payload("ieso", "PUB_GenOutputCapability_20260707.xml", text.encode())


def test_ontarios_first_hour_begins_at_five_utc_all_year_and_generators_are_summed():
    """Hour 1 is 00:00 to 01:00 EST."""
    found = values(
        "ieso", report(("GAS", "10 20"), ("GAS", "1 2"), ("NUCLEAR", "5 5")), hour(2026, 7, 7, 0, n=24)
    )
    assert found[datetime(2026, 7, 7, 5, tzinfo=UTC), "generation_gas_mw"] == 11
    assert found[datetime(2026, 7, 7, 6, tzinfo=UTC), "generation_gas_mw"] == 22


def test_a_generator_that_is_silent_for_an_hour_leaves_no_sum_and_one_silent_all_day_is_none():
    """No part stands for the whole (C2)."""
    found = values(
        "ieso", report(("GAS", "10 20"), ("GAS", "1 -"), ("GAS", "- -")), hour(2026, 7, 7, 0, n=24)
    )
    assert found == {(datetime(2026, 7, 7, 5, tzinfo=UTC), "generation_gas_mw"): 11}


def test_ontarios_year_is_the_operators_own_sum():
    """Further back than three days the year's report answers, in the same quantities."""
    interval = hour(2026, 9, 20, 5, n=24 * 5)
    found = [(r, payload) for r, payload in asked("ieso", interval) if not r.supplement]
    assert [r.path.partition("/")[0] for r, _ in found] == [
        "GenOutputbyFuelHourly",
        *["GenOutputCapability"] * 3,
    ]
    year = values("ieso", found[0][1], interval)
    assert {quantity for _, quantity in year} == {"generation_nuclear_mw", "generation_gas_mw"}
    assert year[interval.start_utc, "generation_gas_mw"] == 320


def test_entities_are_not_expanded():
    """A document that declares any is refused unread."""
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>'
    with pytest.raises(TableError, match="declares entities"):
        values("ieso", Payload("ieso", "PUB_GenOutputCapability_20260707.xml", bomb), hour(2026, 7, 7, 0))


# -- Alberta ---------------------------------------------------------------------------------------------------------


def test_albertas_generation_and_imports_make_its_load():
    """Gas plants of several kinds are summed by ours, what leaves is minus what comes in, and all of it balances."""
    [*_, (_, payload)] = asked("aeso", LIVE_SAMPLES["aeso"].interval)
    found = {q: v for (_, q), v in values("aeso", payload, hour(2026, 9, 24, 15)).items()}
    assert found["generation_gas_simple_mw"] == 800 + 736
    assert found["net_imports_mw"] == 276 == sum(v for q, v in found.items() if q.startswith("imports_from_"))
    generation = sum(v for q, v in found.items() if q.startswith("generation_"))
    told = json.loads(payload.body)["return"]["total_net_generation"]
    assert generation == told
