"""Load, flows, prices and curtailment beside the fuel mix: sums, signs, clocks and units against numbers worked by hand."""

from __future__ import annotations

import io
import time
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from gridmargin.grid import assemble, balance_residual_mw
from gridmargin.marginal import PriceImplied
from gridmargin.sources import (
    LIVE_SOURCES,
    Archive,
    FetchIndex,
    Limits,
    Observations,
    Payload,
    Reach,
    Transport,
    collect,
)
from gridmargin.sources.asking import Asking
from gridmargin.sources.live.live_source import Access, LiveRequest
from gridmargin.sources.packed import pack
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, Status, TableError
from marginal.fuel_mix import FACTS
from marginal.test_merit_order import fleet
from sources.live_samples import LIVE_SAMPLES
from sources.publisher_server import Reply, publisher

DAY = Interval(datetime(2026, 9, 24, 4, tzinfo=UTC), datetime(2026, 9, 25, 4, tzinfo=UTC))
FALL = Interval(datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 2, 5, tzinfo=UTC))
AREAS = (
    "CAPITL",
    "CENTRL",
    "DUNWOD",
    "GENESE",
    "HUD VL",
    "LONGIL",
    "MHK VL",
    "MILLWD",
    "N.Y.C.",
    "NORTH",
    "WEST",
)
FLOWS_HEAD = "Timestamp,Interface Name,Point ID,Flow (MWH),Positive Limit (MWH),Negative Limit (MWH)"
PRICES_HEAD = '"Time Stamp","Name","PTID","LBMP ($/MWHr)","Marginal Cost Losses ($/MWHr)","Marginal Cost Congestion ($/MWHr)"'


def values(payload: Payload, interval: Interval) -> dict[tuple[datetime, str], float]:
    """Give what a payload states in a stretch; each number can be read again from its cell, but for its sign."""
    live = LIVE_SOURCES.get(payload.source)
    observations = live.parse(payload, interval)
    for one in (observations.record(at) for at in range(0, len(observations), 97)):
        assert abs(float(live.cell_text(payload, one.cell))) == pytest.approx(abs(one.value))
    return {(row["start_utc"], row["quantity"]): row["value"] for row in observations.frame.to_dicts()}


def built(name: str, table: str, interval: Interval, skip=()) -> Payload:
    """Give the sample's payload of one table of a stretch."""
    sample = LIVE_SAMPLES[name]
    requests = LIVE_SOURCES.get(name)().requests(sample.zone, interval)
    [request] = [request for request in requests if table in request.name]
    return Payload(name, request.name, sample.build(request, set(skip), {}))


# -- New York --------------------------------------------------------------------------------------------------------


def test_new_yorks_load_is_the_sum_of_its_eleven_zones():
    """1000, 1010, … 1100 MW are 11,550 MW; five minutes on each has one more."""
    found = values(built("nyiso", "pal", DAY), DAY)
    assert found[DAY.start_utc, "demand_mw"] == 11_550
    assert found[DAY.start_utc + timedelta(minutes=5), "demand_mw"] == 11_561
    assert len(found) == 288


def test_a_zone_without_its_load_leaves_no_sum_and_a_table_without_a_zone_is_refused():
    """A sum of ten of eleven looks whole and is not (C2)."""
    whole = built("nyiso", "pal", DAY)
    silent = whole.body.replace(
        b'"09/24/2026 00:00:00","EDT","WEST",61762,1100', b'"09/24/2026 00:00:00","EDT","WEST",61762,'
    )
    assert silent != whole.body
    found = values(Payload("nyiso", whole.name, silent), DAY)
    assert (DAY.start_utc, "demand_mw") not in found
    assert len(found) == 287
    with pytest.raises(TableError, match="no row of load zone 'WEST'"):
        values(
            Payload(
                "nyiso", whole.name, b"\n".join(li for li in whole.body.split(b"\n") if b"WEST" not in li)
            ),
            DAY,
        )
    with pytest.raises(TableError, match="'EAST' is no load zone that is known"):
        values(Payload("nyiso", whole.name, whole.body.replace(b'"WEST"', b'"EAST"')), DAY)


def test_of_several_stamps_of_a_load_in_five_minutes_the_one_on_the_mark_stands():
    """A dispatch that ran late has a stamp of its own, 04:04:18."""
    rows = [
        f'"09/24/2026 {clock}","EDT","{area}",1,{mw}'
        for clock, mw in (("04:00:00", 100), ("04:04:18", 900), ("04:07:10", 50))
        for area in AREAS
    ]
    body = "\n".join(['"Time Stamp","Time Zone","Name","PTID","Load"', *rows]).encode()
    found = values(Payload("nyiso", "20260924pal.csv", body), DAY)
    eight = DAY.start_utc + timedelta(hours=4)
    assert found == {(eight, "demand_mw"): 1100, (eight + timedelta(minutes=5), "demand_mw"): 550}


def test_new_yorks_borders_are_sums_of_interfaces_that_count_what_comes_in():
    """Quebec's market total is not counted beside the line that it holds, nor is an interface inside the state."""
    found = values(built("nyiso", "ExternalLimitsFlows", DAY), DAY)
    at = DAY.start_utc
    assert found[at, "imports_from_CA-QC_mw"] == 940
    assert found[at, "imports_from_US-ISNE_mw"] == pytest.approx(-66.48 + 100 - 330)
    assert found[at, "imports_from_CA-ON_mw"] == 1011.6
    assert found[at, "imports_from_US-PJM_mw"] == pytest.approx(-163.13 + 0 + 660 + 315)
    assert found[at, "net_imports_mw"] == pytest.approx(2466.99)


def flows(*rows: str) -> Payload:
    """Give a table of flows with these rows."""
    lines = [f"{row},1,-1" for row in rows]
    return Payload("nyiso", "20261101ExternalLimitsFlows.csv", "\n".join([FLOWS_HEAD, *lines]).encode())


def test_a_new_cable_counts_once_it_is_listed_and_one_that_is_silent_leaves_no_sum():
    """The line under Lake Champlain is Quebec's too; an interface that nobody placed is refused."""
    found = values(
        flows(
            "11/01/2026 00:00,SCH - HQ - NY,23324,100",
            "11/01/2026 00:00,SCH - HQ_CHPE,625211,1250",
            "11/01/2026 00:05,SCH - HQ - NY,23324,100",
            "11/01/2026 00:10,SCH - HQ - NY,23324,90",
            "11/01/2026 00:10,SCH - HQ_CHPE,625211,-40",
        ),
        FALL,
    )
    assert {at.minute: mw for (at, name), mw in found.items() if "CA-QC" in name} == {0: 1350, 10: 50}
    with pytest.raises(TableError, match="'SCH - NEW' is no border's interface that is known"):
        values(flows("11/01/2026 00:00,SCH - NEW,1,5"), FALL)
    with pytest.raises(TableError, match="no row states a border's flow"):
        values(flows("11/01/2026 00:00,WEST CENTRAL,1,5"), FALL)


def test_a_clock_without_its_name_is_told_by_its_order():
    """Of two 01:30 the first is summer time; an extra stamp of the second pass is of the second pass (C1)."""
    found = values(
        flows(
            *(
                f"11/01/2026 {clock},SCH - OH - NY,23317,{mw}"
                for clock, mw in (
                    ("00:55", 1),
                    ("01:30", 2),
                    ("01:55", 3),
                    ("01:17", 4),
                    ("01:30", 5),
                    ("02:00", 6),
                )
            )
        ),
        FALL,
    )
    times = {f"{at:%H:%M}": mw for (at, name), mw in found.items() if name == "net_imports_mw"}
    assert times == {"04:55": 1, "05:30": 2, "05:55": 3, "06:15": 4, "06:30": 5, "07:00": 6}


PUBLISHED = {"CAPITL": (65.28, 0.38, -51.98), "CENTRL": (18.02, -0.37, -5.46), "DUNWOD": (60.43, 1.21, -46.30),
             "GENESE": (17.88, -0.38, -5.34)}  # fmt: skip
"""Price, losses and congestion of the hour from 08:00 on 2000-06-30, as the operator published them."""


def prices(*, turned: str = "") -> Payload:
    """Give a table in which the other zones repeat the published four; of one the congestion may have its sign turned."""
    rows = []
    for at, area in enumerate(AREAS):
        usd, losses, congestion = PUBLISHED[list(PUBLISHED)[at % 4]]
        sign = -1 if area == turned else 1
        rows.append(f'"09/24/2026 00:05:00","{area}",61757,{usd},{losses},{sign * congestion}')
    rows.append('"09/24/2026 00:05:00","H Q",61844,99,0,0')
    return Payload("nyiso", "20260924realtime_zone.csv", "\n".join([PRICES_HEAD, *rows]).encode())


def test_the_price_of_energy_is_the_same_from_every_zone():
    """65.28 − 0.38 − 51.98 and 60.43 − 1.21 − 46.30 are 12.92 dollars: what congestion says has the sign turned."""
    energy = {
        area: round(usd - losses + congestion, 2) for area, (usd, losses, congestion) in PUBLISHED.items()
    }
    assert energy == {"CAPITL": 12.92, "CENTRL": 12.93, "DUNWOD": 12.92, "GENESE": 12.92}
    found = values(prices(), DAY)
    assert found == {
        (DAY.start_utc, "price_usd_per_mwh"): pytest.approx(12.92)
    }  # 00:05 ends the day's first interval


def test_zones_that_do_not_agree_on_the_price_of_energy_give_none():
    """Were the sign of one turned, no number would stand for the state (C2)."""
    assert values(prices(turned="WEST"), DAY) == {}


def test_a_months_zip_is_read_as_its_days_are():
    """Every value of two days is there, and its cell is found through both tables."""
    days = [
        (built("nyiso", "realtime", Interval(day, day + timedelta(days=1))))
        for day in (DAY.start_utc, DAY.end_utc)
    ]
    zipped = Payload("nyiso", "20260901realtime_zone_csv.zip", pack([(day.name, day.body) for day in days]))
    both = Interval(DAY.start_utc, DAY.end_utc + timedelta(days=1))
    expected = {k: v for day in days for k, v in values(day, both).items()}
    assert len(expected) == 576
    assert values(zipped, both) == expected


# -- New England -----------------------------------------------------------------------------------------------------


def test_new_englands_flows_are_what_leaves_and_its_price_is_the_energy_part():
    """−370.829 MW at New Brunswick's node come in; the hub's price is 40 dollars, its congestion and losses left off."""
    at = DAY.start_utc
    found = values(built("isone", "externalflow", DAY), DAY)
    assert found[at, "imports_from_CA-NB_mw"] == 370.829
    assert found[at, "imports_from_CA-QC_mw"] == pytest.approx(1372.922 + 217)
    assert found[at, "imports_from_US-NYIS_mw"] == pytest.approx(-(250.5 + 330 - 12.5))
    assert found[at, "net_imports_mw"] == pytest.approx(1392.751)
    assert values(built("isone", "fiveminutelmp", DAY), DAY)[at, "price_usd_per_mwh"] == 40
    assert values(built("isone", "systemload", DAY), DAY)[at, "demand_mw"] == 11_000.5
    assert len(values(built("isone", "fiveminutelmp", FALL), FALL)) == 300


def test_an_external_node_that_nobody_placed_is_refused():
    """A border's sum without it would look whole."""
    payload = built("isone", "externalflow", DAY)
    new = Payload("isone", payload.name, payload.body.replace(b".I.SALBRYNB345 1", b".I.NEWLINE345 1"))
    with pytest.raises(TableError, match=r"'.I.NEWLINE345 1' is no external node that is known"):
        values(new, DAY)


# -- California ------------------------------------------------------------------------------------------------------

HERE = Interval(datetime(2026, 9, 24, 7, tzinfo=UTC), datetime(2026, 9, 25, 7, tzinfo=UTC))


@pytest.mark.parametrize("column", ["VALUE", "MW"])
def test_californias_price_is_the_energy_part_of_a_hub(column):
    """Of 50.49 dollars at the hub 48.9464 are the area's; years differ in what the column is called."""
    payload = built("caiso", "PRC_INTVL_LMP", HERE)
    renamed = Payload("caiso", payload.name, payload.body.replace(b"VALUE", column.encode()))
    if column == "MW":  # a zip with another length inside is another zip
        with zipfile.ZipFile(io.BytesIO(payload.body)) as packed:
            renamed = replace(
                payload, body=pack((n, packed.read(n).replace(b"VALUE", b"MW")) for n in packed.namelist())
            )
    found = values(renamed, HERE)
    assert found[HERE.start_utc, "price_usd_per_mwh"] == 48.9464
    assert len(found) == 288


def oasis_says(code: int, why: str) -> Payload:
    """Give a zip with OASIS's own word that there is no table."""
    text = f"<m:ERROR><m:ERR_CODE>{code}</m:ERR_CODE><m:ERR_DESC>{why}</m:ERR_DESC></m:ERROR>"
    return Payload("caiso", "PRC_INTVL_LMP-20260924.zip", pack([("INVALID_REQUEST.xml", text.encode())]))


def test_no_prices_yet_is_a_gap_and_a_refusal_is_told():
    """1000 says that there is nothing; anything else is a fault with the publisher's words."""
    assert values(oasis_says(1000, "No data returned for the specified selection"), HERE) == {}
    with pytest.raises(TableError, match="31 days only"):
        values(oasis_says(1004, "Data can be requested for period of 31 days only"), HERE)


def test_oasis_is_another_host_and_gives_no_more_than_a_month_at_once():
    """45 days are at most three months' and three days' answers, each within the 31 days that one query may span."""
    long = Interval(HERE.end_utc - timedelta(days=45), HERE.end_utc)
    asked = [r for r in LIVE_SOURCES.get("caiso")().requests("US-CISO", long) if r.supplement == "prices"]
    assert {r.host for r in asked} == {"https://oasis.caiso.com"}
    labels = [r.name.removeprefix("PRC_INTVL_LMP-").removesuffix(".zip") for r in asked]
    assert labels == ["202608", "202609", "20260922", "20260923", "20260924"]
    assert all(r.interval.duration_s <= 31 * 86_400 for r in asked)
    assert asked[-1].query["startdatetime"] == "20260924T07:00-0000"
    assert asked[-1].query["enddatetime"] == "20260925T07:00-0000"


def report(day: str, hours: int) -> Payload:
    """Give a report whose every array is 0, 1, 2, … MWh."""
    names = [
        f"curt_hr_tot_{fuel}_{why}_{scope}_mwh"
        for fuel in ("solar", "wind") for why in ("econ", "ss", "oi") for scope in ("local", "system")
    ]  # fmt: skip
    script = "\n".join(f"{name} = {list(range(hours))};" for name in names)
    return Payload(
        "caiso", f"daily-renewable-report-{day}.html", f"<html><script>{script}</script></html>".encode()
    )


def test_an_hours_curtailment_is_a_mean_power_on_each_of_its_five_minutes():
    """Twelve arrays that say 3 MWh are 36 MW all hour, adjusted, since the publisher gives no five minutes."""
    payload = report("sep-24-2026", 24)
    found = values(payload, HERE)
    assert {mw for (at, _), mw in found.items() if at.hour == 10} == {36}
    assert len(found) == 288
    statuses = LIVE_SOURCES.get("caiso").parse(payload, HERE).frame["status"].unique().to_list()
    assert statuses == [Status.ADJUSTED.value]


@pytest.mark.parametrize(
    ("day", "hours", "n", "third"),
    [
        ("mar-08-2026", 23, 23, 24.0), ("mar-08-2026", 24, 23, 36.0),
        ("nov-01-2026", 25, 25, 24.0), ("nov-01-2026", 24, 23, None),
    ],
)  # fmt: skip
def test_a_report_of_a_day_on_which_the_clock_changes(day, hours, n, third):
    """Values for each hour that was are taken in turn; values by the clock leave out the hour that is not, or is twice."""
    start = (
        datetime(2026, 3, 8, 8, tzinfo=UTC) if day.startswith("mar") else datetime(2026, 11, 1, 7, tzinfo=UTC)
    )
    found = values(report(day, hours), Interval.starting(start, 3600 * 26))
    assert len(found) == n * 12
    assert found.get((start + timedelta(hours=2), "curtailment_mw")) == third


def test_a_report_without_one_of_its_arrays_is_refused():
    """A sum of eleven of twelve looks whole and is not."""
    payload = report("sep-24-2026", 24)
    with pytest.raises(TableError, match="curt_hr_tot_wind_oi_local_mwh"):
        values(replace(payload, body=payload.body.replace(b"wind_oi_local", b"wind_oi_far")), HERE)
    with pytest.raises(TableError, match="22 hours for a day of 24"):
        values(report("sep-24-2026", 22), HERE)


# -- Texas -----------------------------------------------------------------------------------------------------------


def test_a_quarters_price_holds_for_each_of_its_five_minutes():
    """The stamp 10:15 ends the quarter that begins at 10:00 in Texas, 15:00 UTC."""
    sample = LIVE_SAMPLES["ercot_dashboards"]
    found = values(built("ercot_dashboards", "prices", sample.interval), sample.interval)
    at = sample.interval.start_utc
    assert [found[at + timedelta(minutes=m), "price_usd_per_mwh"] for m in (0, 5, 10, 15)] == [
        46.7,
        46.7,
        46.7,
        47.7,
    ]


def test_ties_count_what_leaves_and_the_last_moment_stands_for_five_minutes():
    """−420 + 35 MW east and north are 385 MW from the neighbour; 100 − 28 MW south leave for Mexico."""
    sample = LIVE_SAMPLES["ercot_dashboards"]
    payload = built("ercot_dashboards", "dc-tie", sample.interval)
    found = values(payload, sample.interval)
    at = sample.interval.start_utc
    assert found[at, "imports_from_US-SWPP_mw"] == 385
    assert found[at, "imports_from_MX_mw"] == -72
    assert found[at, "net_imports_mw"] == 313
    first = LIVE_SOURCES.get("ercot_dashboards").parse(payload, sample.interval).frame["row"][0]
    assert first == 3  # of two moments in five minutes the second


# -- what they make together -----------------------------------------------------------------------------------------


def new_york(n_days: int = 1):
    """Give New York's states of some days from all four tables."""
    live, sample = LIVE_SOURCES.get("nyiso"), LIVE_SAMPLES["nyiso"]
    days = Interval(DAY.end_utc - timedelta(days=n_days), DAY.end_utc)
    parts = [
        live.parse(Payload("nyiso", r.name, sample.build(r, set(), {})), days)
        for r in live().requests("US-NYIS", days)
    ]
    return assemble(Observations.concat(parts), "US-NYIS", 300)


def test_the_balance_of_a_state_is_struck_with_its_load_and_its_flows():
    """3000 + 2500 + 3300 MW made and 2466.99 MW brought in are 283.01 MW short of 11,550 MW."""
    residual = balance_residual_mw(new_york())
    assert residual[0] == pytest.approx(-283.01)
    assert np.isfinite(residual).all()


def test_the_price_says_who_is_on_the_margin_once_units_are_given():
    """Every interval that has a price has an answer, by units whose costs are dollars."""
    states = new_york(8)
    facts = replace(FACTS, units=fleet(fuels=(Fuel.GAS,) * 20, places=("US-NYIS",) * 20))
    assert PriceImplied().can_fit(states, facts) is None
    found = PriceImplied().estimate(states, PriceImplied().fit(states, facts))
    assert len(found) == np.isfinite(states.values("price_usd_per_mwh")).sum() == 8 * 288


# -- how they are asked for ------------------------------------------------------------------------------------------


def transport(attempts: int = 1) -> Transport:
    limits = Limits(attempts=attempts, wait_initial_s=0.0, wait_max_s=0.0, wait_jitter_s=0.0, gap_s=0.0)
    return Transport(clock=time.monotonic, sleep=time.sleep, now_utc=lambda: DAY.end_utc, limits=limits)


def test_what_fails_beside_is_asked_for_once_in_a_round_and_after_all_else(tmp_path):
    """A table that is down costs one request, not one a day, and none of the mix waits for it."""
    live, sample = LIVE_SOURCES.get("nyiso")(), LIVE_SAMPLES["nyiso"]
    days = Interval(DAY.start_utc - timedelta(days=2), DAY.end_utc)
    requests = {f"/{r.path}": r for r in live.requests("US-NYIS", days)}

    def answer(seen):
        request = requests[seen.path]
        return Reply(status=500) if "realtime" in seen.path else Reply(sample.build(request, set(), {}))

    with publisher(answer) as server:
        found = collect(
            live, "US-NYIS", days, transport=transport(), archive=Archive(tmp_path), index=FetchIndex(tmp_path),
            now_utc=lambda: DAY.end_utc, reach=Reach(server.url),
        )  # fmt: skip
    asked = [seen.path.split("/")[3] for seen in server.seen]
    assert asked == ["rtfuelmix"] * 3 + ["pal"] * 3 + ["ExternalLimitsFlows"] * 3 + ["realtime"]
    assert found.n_new == 9
    assert [fault.partition(":")[0] for fault in found.faults] == ["prices"]


def test_what_stands_once_it_is_there_is_not_asked_for_again(tmp_path):
    """A day's report and an hour of the ties are fetched once; the tables that grow, every round."""
    live, sample = LIVE_SOURCES.get("ercot_dashboards")(), LIVE_SAMPLES["ercot_dashboards"]
    requests = {f"/{r.path}": r for r in live.requests("US-ERCO", sample.interval)}
    with publisher(lambda seen: Reply(sample.build(requests[seen.path], set(), {}))) as server:
        for _ in range(2):
            collect(
                live, "US-ERCO", sample.interval, transport=transport(), archive=Archive(tmp_path),
                index=FetchIndex(tmp_path), now_utc=lambda: DAY.end_utc, reach=Reach(server.url),
            )  # fmt: skip
    paths = [seen.path for seen in server.seen]
    assert (paths.count("/dc-tie-flows.json"), paths.count("/fuel-mix.json")) == (1, 2)


def test_another_host_of_a_publisher_is_shown_no_keys():
    """Keys are the first host's; where the user names a mirror, the mirror gets everything."""

    class Keyed:
        name, publisher, base_url = "keyed", "Somebody", ""
        access = Access(("key",), "nowhere", header="X-Key")

    here = LiveRequest("a.json", "a.json", Body.JSON, DAY)
    with publisher(lambda seen: Reply(b"{}")) as first, publisher(lambda seen: Reply(b"{}")) as second:
        there = replace(here, host=second.url)
        source = Keyed()
        source.base_url = first.url
        for reach in (Reach("", {"key": "secret"}), Reach(first.url, {"key": "secret"})):
            asking = Asking(source, reach, transport(), lambda: None)
            for request in (here, there):
                asking.answer(request, None)
    assert [seen.headers.get("x-key") for seen in second.seen] == [None]
    assert [seen.headers.get("x-key") for seen in first.seen] == ["secret"] * 3


def test_a_cell_that_is_not_there_is_told():
    """A row beyond a table, or beyond all of a zip's, names the payload."""
    for payload in (built("nyiso", "pal", DAY), built("isone", "externalflow", DAY)):
        with pytest.raises(TableError, match="has no row 999999"):
            LIVE_SOURCES.get(payload.source).cell_text(payload, Cell("0" * 64, 999_999, "Load of WEST"))
