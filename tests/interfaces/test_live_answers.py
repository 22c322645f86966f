"""`--source auto` and `live`: who answers, why, how old it is; rounds in the background; freshness over REST."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gridmargin.interfaces.cli import grid_commands, source_commands
from gridmargin.interfaces.cli.up_command import _stream
from gridmargin.interfaces.rest import Desk, Rounds, build_app
from gridmargin.interfaces.rest.rounds import pause_after_s
from gridmargin.pipeline import STALE_WIDENING
from gridmargin.receipts import FILL_WIDENING, find_receipt
from gridmargin.settings import Settings
from gridmargin.vocab import InputError, Interval, Kind, PublisherError, Status, format_utc
from gridmargin.wiring import QUICK, Asks, choose_source, open_workplace
from gridmargin.wiring.settling import source_for
from sources.live_publisher import ZONE, Clock, new_york, point_at
from sources.publisher_server import Reply, closed_port

NOW = datetime(2026, 9, 24, 16, 3, tzinfo=UTC)
FINE = {"fleet_curve", "average"}


@pytest.fixture
def publisher(monkeypatch):
    # Rounds are timed by the machine's clock, which their watch would take for this one set back, and ask again.
    monkeypatch.setattr("gridmargin.interfaces.rest.rounds.CLOCK_CHECK_S", 3600.0)
    with new_york(Clock(NOW)) as state:
        point_at(monkeypatch, state)
        yield state


def now(folder, source="auto"):
    return grid_commands.now(ZONE, None, source, folder, None)


def span(estimate):
    factor = estimate["factor_gco2_per_kwh"]
    return factor["high"] - factor["mid"]


def test_auto_is_live_where_the_publisher_answers(publisher, tmp_path):
    """The newest interval answers as reported, and the answer says who gave it and when it was asked."""
    answer = now(tmp_path)
    assert answer["source"]["kind"] == "live"
    assert answer["source"]["name"] == "nyiso"
    assert "New York ISO (nyiso), asked 2026-09-24T16:03Z" in answer["source"]["detail"]
    assert answer["interval"]["end_utc"] == "2026-09-24T16:00Z"
    assert answer["status"] == Status.REPORTED.value
    assert answer["stale"] is False
    assert "ended 3 min before" in answer["note"]
    assert {e["estimator"] for e in answer["marginal"]} >= {"fleet_curve"}


def test_the_publisher_is_not_asked_again_before_it_can_have_more(publisher, tmp_path):
    """Two questions within its cadence are one request; five minutes on it is asked again."""
    now(tmp_path)
    n = len(publisher.server.seen)
    now(tmp_path)
    assert len(publisher.server.seen) == n
    publisher.clock.move(minutes=5)
    assert now(tmp_path)["interval"]["end_utc"] == "2026-09-24T16:05Z"
    assert len(publisher.server.seen) > n


def test_where_it_does_not_answer_the_archive_does_and_says_its_age(publisher, tmp_path):
    """Stale: the last interval stands in, imputed, its ranges twice as wide, with both ages and the reason."""
    fresh = now(tmp_path)
    publisher.is_down = True
    publisher.clock.move(minutes=30)
    answer = now(tmp_path)
    assert answer["source"]["kind"] == "archive"
    detail = answer["source"]["detail"]
    assert "of 2026-09-24T16:03Z, its newest interval ended 33 min ago" in detail
    assert "live: New York ISO" in detail
    assert "503" in detail
    assert answer["stale"] is True
    assert answer["status"] == Status.IMPUTED.value
    assert answer["note"].startswith("stale: ")
    assert answer["interval"] == fresh["interval"]
    for before, after in zip(fresh["marginal"], answer["marginal"], strict=True):
        assert span(after) == pytest.approx(STALE_WIDENING * span(before))
        assert after["factor_gco2_per_kwh"]["mid"] == before["factor_gco2_per_kwh"]["mid"]
        assert after["status"] == Status.IMPUTED.value


def test_a_stale_interval_is_widened_like_a_gap():
    """One rule for what stands in for what is not known (C8)."""
    assert STALE_WIDENING == FILL_WIDENING


def test_after_some_hours_something_modelled_answers_instead(publisher, tmp_path):
    """An archive of this morning does not stand for the night: the typical day does, and says why."""
    now(tmp_path)
    publisher.is_down = True
    publisher.clock.move(hours=9)
    answer = now(tmp_path)
    assert answer["source"]["kind"] == "reference"
    assert "live: New York ISO" in answer["source"]["detail"]


def test_a_publisher_that_did_not_answer_is_left_alone_for_some_minutes(publisher, tmp_path):
    """The second question asks nobody and says so; later ones ask again."""
    publisher.is_down = True
    assert now(tmp_path)["source"]["kind"] == "reference"
    n = len(publisher.server.seen)
    assert "asked less than 5 min ago" in now(tmp_path)["source"]["detail"]
    assert len(publisher.server.seen) == n
    publisher.is_down = False
    publisher.clock.move(minutes=6)
    assert now(tmp_path)["source"]["kind"] == "live"


def test_a_publisher_that_hangs_holds_nobody_up(publisher, tmp_path, monkeypatch):
    """Headers that never end cost the time that is set aside for an answer, and no more."""
    monkeypatch.setattr("gridmargin.pipeline.live.ANSWER_WITHIN_S", 0.5)
    publisher.server.answer = lambda seen: Reply(drip_headers=True, drip_s=0.05)
    started = time.monotonic()
    with open_workplace(tmp_path, Settings()) as place:
        settled = place.settle(choose_source("auto", Settings(offline=False)), ZONE, None)
        assert time.monotonic() - started < QUICK.total_s
    assert settled.kind == "reference"
    assert "New York ISO" in settled.detail


def test_live_alone_fails_where_nobody_answers(publisher, tmp_path, monkeypatch):
    """`--source live` has no stand-in: the publisher, the address and the way out are named."""
    monkeypatch.setenv("GRIDMARGIN_NYISO_URL", closed_port())
    with pytest.raises(PublisherError, match=r"New York ISO: http.* cannot be reached"):
        now(tmp_path, "live")


def test_live_alone_says_which_key_turns_a_zone_on(publisher, tmp_path):
    """Texas is answered for by the agency's API only, which wants a key."""
    with pytest.raises(InputError, match="GRIDMARGIN_EIA930_API_KEY"):
        grid_commands.now("US-ERCO", None, "live", tmp_path, None)


def test_a_zone_without_typical_days_says_why_no_publisher_answers():
    """What its publisher said stands before what the package lacks."""
    choice = replace(choose_source("reference", Settings()), silent=("live: Elexon: cannot be reached",))
    with pytest.raises(InputError, match="live: Elexon: cannot be reached; no typical days for GB; "):
        source_for(choice, "GB")


def test_a_round_that_the_end_of_the_server_cuts_off_ends_without_a_word(publisher, tmp_path, caplog):
    """Ctrl-C while a publisher is being asked leaves no traceback."""

    async def whole():
        with open_workplace(tmp_path, Settings()) as place:
            rounds, asked, answered = Rounds(place.feeds, ZONE), asyncio.Event(), asyncio.Event()

            async def once(name, zone, after):
                asked.set()
                await answered.wait()

            rounds.once = once
            rounds.start(lambda *_: None)
            await asyncio.wait_for(asked.wait(), 10)
            rounds.stop()
            await asyncio.sleep(0.1)

    asyncio.run(whole())
    assert caplog.text == ""


def test_a_failed_round_is_logged_with_what_went_wrong(publisher, tmp_path, caplog):
    """Whoever watches the server reads the publisher and the reason, as in every other answer."""
    publisher.is_down = True

    async def nothing(*_):
        pass

    with open_workplace(tmp_path, Settings()) as place:
        asyncio.run(Rounds(place.feeds, ZONE).once("nyiso", ZONE, nothing))
    assert f"round_failed source=nyiso zone={ZONE} code=PublisherError message=New York ISO: " in caplog.text
    assert "503" in caplog.text


def test_offline_nobody_is_asked(publisher, tmp_path, monkeypatch):
    """`GRIDMARGIN_OFFLINE=1`: auto is what it was without a network, and live is refused."""
    monkeypatch.setenv("GRIDMARGIN_OFFLINE", "1")
    assert now(tmp_path)["source"]["kind"] == "reference"
    assert choose_source("auto", Settings()).asks is Asks.NEVER
    with pytest.raises(InputError, match="GRIDMARGIN_OFFLINE"):
        now(tmp_path, "live")
    assert publisher.server.seen == []


def test_sources_say_when_nobody_is_asked_and_who_wants_a_key(publisher, tmp_path, monkeypatch, capsys):
    """One line each, above the table, and in the JSON."""
    told = source_commands.sources(tmp_path, check=False)
    assert told["offline"] is False
    assert {"eia930_api", "isone"} <= set(told["want_keys"])
    assert "nyiso" not in told["want_keys"]
    source_commands.show_sources(told)
    shown = capsys.readouterr().out
    assert "offline" not in shown
    assert "off for want of a key of yours: eia930_api, isone" in shown
    monkeypatch.setenv("GRIDMARGIN_OFFLINE", "1")
    told = source_commands.sources(tmp_path, check=False)
    source_commands.show_sources(told)
    shown = capsys.readouterr().out
    assert told["offline"] is True
    assert shown.startswith("offline: GRIDMARGIN_OFFLINE is set")
    assert "not asked (offline)" in shown


def test_a_past_moment_asks_nobody(publisher, tmp_path):
    """A question about last year is answered from what is recorded or typical."""
    answer = grid_commands.now(ZONE, "2025-07-15T18:15Z", "auto", tmp_path, None)
    assert answer["source"]["kind"] == "reference"
    assert publisher.server.seen == []


def test_a_fetch_of_the_past_lets_the_regression_speak(publisher, tmp_path):
    """Thirty days back, the estimator that prices energy has what it needs; the archive reads back whole."""
    brought = source_commands.fetch(ZONE, 30, tmp_path)["fetched"][0]
    assert brought["n_new"] >= 4
    assert brought["faults"] == []
    assert "regression" in {e["estimator"] for e in now(tmp_path)["marginal"]}
    told = source_commands.sources(tmp_path, check=True)
    assert told["n_checked"] >= brought["n_new"]
    assert told["n_faults"] == 0
    off = {row["source"]: row["off"] for row in told["sources"]}
    assert off["nyiso"] is None
    assert "GRIDMARGIN_ISONE_USER" in off["isone"]


def test_a_revision_that_is_fetched_supersedes_in_the_ledger(publisher, tmp_path):
    """The entry of an interval that was revised later names the one it supersedes; the rest of the day stays."""
    now(tmp_path)
    start = datetime(2026, 9, 24, 15, 55, tzinfo=UTC)
    publisher.bump[start] = 900.0
    publisher.clock.move(minutes=5)
    brought = source_commands.fetch(ZONE, 0, tmp_path)["fetched"][0]
    assert (brought["n_revised"], brought["n_new"]) == (1, 4)  # all four tables grew
    assert brought["n_new_entries"] >= 2
    with open_workplace(tmp_path, Settings()) as place:
        one = Interval.starting(start, 300)
        [entry] = place.book.entries(Kind.AVERAGE, ZONE, one, "average")
        assert entry.supersedes is not None
        assert len(entry.payload_sha256s) == 4  # the mix, the load, the flows, the prices


# -- in the server ---------------------------------------------------------------------------------------------------


def serve(folder, work, *, stream=False):
    async def whole():
        choice = choose_source("auto", Settings(offline=False))
        with open_workplace(folder, Settings()) as place:
            rounds = Rounds(place.feeds, ZONE)
            running = _stream(place, choice, ZONE) if stream else None
            desk = Desk(place, choice, ZONE, running, rounds=rounds)
            app = build_app(desk)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                with desk.listener() as queue:
                    async with desk.running():
                        return await work(client, desk, queue)

    return asyncio.run(whole())


async def told(queue, name, n=1):
    found = []
    while len(found) < n:
        kind, data = await asyncio.wait_for(queue.get(), timeout=20)
        if kind == name:
            found.append(data)
    return found[-1]


def test_a_round_at_the_start_makes_the_page_live(publisher, tmp_path):
    """Without anybody asking, the zone is fetched, listeners hear how fresh it is, and `now` is live."""

    async def work(client, desk, queue):
        event = await told(queue, "source")
        assert (event["source"], event["zone"], event["stale"], event["error"]) == (
            "nyiso",
            ZONE,
            False,
            None,
        )
        answer = (await client.get(f"/v1/zones/{ZONE}/now")).json()
        listed = (await client.get("/v1/sources")).json()["sources"]
        return answer, listed

    answer, listed = serve(tmp_path, work)
    assert answer["source"]["kind"] == "live"
    [row] = [row for row in listed if row["source"] == "nyiso"]
    assert row["newest_end_utc"] == "2026-09-24T16:00Z"
    assert row["age_s"] == 180
    assert row["succeeded_utc"] == format_utc(NOW)
    assert row["cadence_s"] == 300
    [off] = [row for row in listed if row["source"] == "isone"]
    assert "GRIDMARGIN_ISONE_USER" in off["off"]
    assert json.dumps(listed)


def test_the_ledger_goes_on_by_itself(publisher, tmp_path):
    """After a round the newest intervals stand in the ledger, though nobody asked for them; a later round adds its own."""

    async def written(desk, end):
        for _ in range(200):
            found = desk.place.book.extent(Kind.AVERAGE, ZONE, "average", "nyiso")
            if found is not None and found.end_utc >= end:
                return found
            await asyncio.sleep(0.1)
        raise AssertionError(f"nothing was written down by itself: {found}")

    async def work(client, desk, queue):
        await told(queue, "source")
        first = await written(desk, NOW - timedelta(minutes=3))
        publisher.clock.move(minutes=10)
        await desk.rounds.once("nyiso", ZONE, desk._after_round)
        return first, await written(desk, NOW + timedelta(minutes=5))

    first, later = serve(tmp_path, work)
    assert first.end_utc - first.start_utc >= timedelta(hours=2)
    assert later.end_utc > first.end_utc


def test_a_question_in_the_server_waits_for_no_publisher(publisher, tmp_path):
    """While its publisher is down the page shows the archive as stale, with the error, and asks nobody itself."""

    async def work(client, desk, queue):
        await told(queue, "source")
        # The last that is asked for of the past is the oldest month of prices.
        while desk.rounds.feeds.index.newest("nyiso", ZONE, "20260801realtime_zone_csv.zip") is None:
            await asyncio.sleep(0.05)
        await told(queue, "source")
        publisher.is_down = True
        publisher.clock.move(minutes=40)
        await desk.rounds.once("nyiso", ZONE, desk._after_round)
        event = await told(queue, "source")
        n = len(publisher.server.seen)
        answer = (await client.get(f"/v1/zones/{ZONE}/now")).json()
        assert len(publisher.server.seen) == n
        return event, answer

    event, answer = serve(tmp_path, work)
    assert "regression" in {e["estimator"] for e in answer["marginal"]}
    assert event["stale"] is True
    assert "503" in event["error"]
    assert answer["source"]["kind"] == "archive"
    assert answer["stale"] is True
    assert answer["status"] == "imputed"


def test_a_failing_publisher_is_asked_ever_less_often(publisher, tmp_path):
    """After two failures in a row it is left alone for twice its cadence, then four times, up to an hour."""
    publisher.is_down = True

    async def work(client, desk, queue):
        await told(queue, "source")
        publisher.clock.move(minutes=5)
        await desk.rounds.once("nyiso", ZONE, desk._after_round)
        n = len(publisher.server.seen)
        publisher.clock.move(minutes=5)
        await desk.rounds.once("nyiso", ZONE, desk._after_round)
        assert len(publisher.server.seen) == n
        publisher.clock.move(minutes=6)
        publisher.is_down = False
        await desk.rounds.once("nyiso", ZONE, desk._after_round)
        assert len(publisher.server.seen) > n
        return desk.rounds.feeds.index.health("nyiso", ZONE)

    assert serve(tmp_path, work).n_failed == 0
    assert [pause_after_s(n, 300) for n in (0, 1, 2, 3, 4, 5, 20)] == [0, 0, 600, 1200, 2400, 3600, 3600]
    assert pause_after_s(9, 86_400) == 86_400


def test_what_is_priced_on_a_live_grid_is_imputed_until_its_own_interval_is_out(publisher, tmp_path):
    """Receipts of the last minutes stand on the newest interval, widened, and say so (C8)."""
    source_commands.fetch(ZONE, 30, tmp_path)

    async def work(client, desk, queue):
        factors, _ = desk.stream._accountant.factors_of(int(NOW.timestamp()) - 900, int(NOW.timestamp()) + 60)
        return dict(
            zip(
                factors.start_epoch_s.tolist(),
                zip(factors.status, factors.high - factors.mid, strict=True),
                strict=True,
            )
        )

    found = serve(tmp_path, work, stream=True)
    at = int((NOW - timedelta(minutes=8)).timestamp())
    assert found[at][0] == "reported"
    assert found[at + 300][0] == "imputed"
    assert found[at + 300][1] == pytest.approx(2 * found[at][1])


def test_the_stream_moves_on_to_the_newest_source(publisher, tmp_path):
    """Begun before the first round, it is on the typical day; once the zone has a live factor, on that; and back after."""
    with open_workplace(tmp_path, Settings()) as place:
        stream = _stream(place, choose_source("auto", Settings(offline=False)), ZONE)
        sources, ids = [], []

        def tick(**by):
            publisher.clock.move(**by)
            found = stream.tick(publisher.clock())
            ids.extend(r.receipt_id for r in found)
            sources.append(stream.current_manifest()["source"])
            return found

        tick(seconds=40)
        source_commands.fetch(ZONE, 30, tmp_path)
        tick(seconds=40)
        moved = tick(minutes=5)
        publisher.is_down = True
        tick(hours=9)
        stream.close()
        assert sources == ["reference", "reference", "nyiso", "reference"]
        assert len(set(ids)) == len(ids)
        assert stream.totals()["requests"] >= len(ids) > 500
        runs = {r.run_id for r in moved}
        assert len(runs) == 2
        first, second = sorted(runs)
        assert {r.factor_status for r in moved if r.run_id == first} == {"modelled"}
        assert {r.factor_status for r in moved if r.run_id == second} == {"imputed"}
        assert max(r.arrival_utc for r in moved if r.run_id == first) <= min(
            r.arrival_utc for r in moved if r.run_id == second
        )
        kept = [find_receipt(tmp_path, one) for one in (ids[0], moved[-1].receipt_id)]
        assert [r.run_id[:9] for r in kept] == [ids[0][:9]] * 2
