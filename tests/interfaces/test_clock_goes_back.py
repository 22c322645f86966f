"""A clock that goes back an hour: no answer given changes, nothing is fresher than now, and no round waits for the hour."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime as real_datetime
from datetime import timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.interfaces.cli import source_commands
from gridmargin.interfaces.rest import Desk, Rounds, build_app, rounds
from gridmargin.ledger import Book
from gridmargin.settings import Settings
from gridmargin.vocab import Interval, Kind
from gridmargin.wiring import choose_source, open_workplace
from interfaces.test_live_answers import NOW, now, told
from ledger.samples import FIT, T0, estimates
from sources.live_publisher import ZONE, Clock, new_york, point_at

BACK = timedelta(hours=1)


@pytest.fixture
def publisher(monkeypatch):
    """A publisher whose own clock is right, and `clock`, by which this machine goes."""
    with new_york(Clock(NOW)) as right:
        here = replace(right, clock=Clock(NOW))
        point_at(monkeypatch, here)
        yield here


def served(folder, work):
    """Run `work(client, desk, queue)` against a server with rounds."""

    async def whole():
        with open_workplace(folder, Settings()) as place:
            desk = Desk(
                place,
                choose_source("auto", Settings(offline=False)),
                ZONE,
                None,
                rounds=Rounds(place.feeds, ZONE),
            )
            transport = httpx.ASGITransport(build_app(desk), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                with desk.listener() as queue:
                    async with desk.running():
                        return await work(client, desk, queue)

    return asyncio.run(whole())


def scheduler_by(monkeypatch, clock):
    """Let the scheduler see this clock too."""

    class Shown(real_datetime):
        @classmethod
        def now(cls, tz=None):
            return clock().astimezone(tz)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Shown)


@pytest.mark.parametrize("minds", [True, False])
def test_no_round_waits_for_the_hour(publisher, tmp_path, monkeypatch, minds):
    """The next round comes as soon as it is seen that the clock went back; without looking it would not come."""
    scheduler_by(monkeypatch, publisher.clock)
    monkeypatch.setattr(rounds, "CLOCK_CHECK_S", 0.05 if minds else 3600.0)

    async def work(_client, desk, queue):
        await told(queue, "source")
        while desk.rounds.feeds.index.span("nyiso", ZONE).duration_s < 86_400:
            await told(queue, "source")
        n = len(publisher.server.seen)
        publisher.clock.now_utc -= BACK
        for _ in range(100 if minds else 20):
            await asyncio.sleep(0.05)
            if len(publisher.server.seen) > n:
                break
        if minds:
            await told(queue, "source")
            job = desk.rounds._scheduler.get_job(f"nyiso/{ZONE}")
            ahead = job.next_run_time - publisher.clock.now_utc
            assert timedelta(0) < ahead <= timedelta(seconds=300 * (1 + rounds.JITTER_FRAC) + 1)
            assert desk.rounds.bring_near() == 0
        return len(publisher.server.seen) - n

    n_asked = served(tmp_path, work)
    assert n_asked >= 1 if minds else n_asked == 0


def test_no_round_is_moved_while_the_clock_goes_forward(publisher, tmp_path, monkeypatch):
    """Whatever part of its cadence has passed."""
    scheduler_by(monkeypatch, publisher.clock)

    async def work(_client, desk, queue):
        await told(queue, "source")
        moved = [desk.rounds.bring_near()]
        for _ in range(5):
            publisher.clock.move(seconds=50)
            moved.append(desk.rounds.bring_near())
        return moved

    assert served(tmp_path, work) == [0] * 6


def test_freshness_is_never_negative_and_the_publisher_is_asked(publisher, tmp_path):
    """An hour back nothing is stale, everything is due, and a failure that lies ahead keeps nobody waiting."""
    now(tmp_path)
    with open_workplace(tmp_path, Settings()) as place:
        feeds = place.feeds
        [adapter] = [a for a, _ in feeds.adapters if a.name == "nyiso"]
        feeds.index.failed("nyiso", ZONE, publisher.clock(), "down")
        feeds.index.failed("nyiso", ZONE, publisher.clock(), "down")
        known = feeds.index.span("nyiso", ZONE)
        publisher.clock.now_utc -= BACK
        fresh = feeds.freshness(adapter, ZONE)
        assert (fresh.age_s, fresh.stale) == (0.0, False)
        assert feeds.is_due(adapter, ZONE)
        assert feeds.left_alone(adapter, ZONE) is None
        assert Rounds(feeds, ZONE).pause_left_s("nyiso", ZONE) == 0.0
        assert feeds.ask(adapter, ZONE).revised == ()
        assert feeds.index.health("nyiso", ZONE).n_failed == 0
        assert feeds.index.span("nyiso", ZONE) == known
        assert feeds.freshness(adapter, ZONE).age_s == 0.0
    listed = source_commands.sources(tmp_path, check=False)["sources"]
    assert all(row["age_s"] is None or row["age_s"] >= 0 for row in listed)


def test_no_answer_as_of_a_moment_changes(publisher, tmp_path):
    """A revision that comes while the clock is an hour back is written after everything that was said before it."""
    now(tmp_path)
    start = NOW.replace(minute=55) - BACK
    one, moments = Interval.starting(start, 300), [NOW - BACK, NOW, NOW + timedelta(seconds=1)]

    def said():
        with open_workplace(tmp_path, Settings()) as place:
            return [place.book.entries(Kind.AVERAGE, ZONE, one, "average", as_of_utc=at) for at in moments]

    before = said()
    [first] = before[-1]
    publisher.clock.now_utc -= BACK
    assert now(tmp_path)["source"]["kind"] == "live"
    assert said() == before
    publisher.bump[start] = 900.0
    assert source_commands.fetch(ZONE, 0, tmp_path)["fetched"][0]["n_revised"] == 1
    with open_workplace(tmp_path, Settings()) as place:
        [entry] = place.book.entries(Kind.AVERAGE, ZONE, one, "average")
    assert entry.supersedes == first.entry_id
    assert first.recorded_utc < entry.recorded_utc
    after = said()
    assert after[:2] == before[:2]
    assert [e.entry_id for e in after[2]] == [
        entry.entry_id
    ]  # a second later by the right clock, it is known


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.integers(-7200, 7200), min_size=2, max_size=8))
def test_whatever_the_clock_does_an_as_of_answer_stays(tmp_path_factory, steps):
    """Each answer is asked again after every later append, which may come from a clock that went back."""
    one = Interval.starting(T0, 900)
    at = T0.replace(year=2021)
    kept = {}
    with Book(tmp_path_factory.mktemp("back") / "ledger.sqlite") as book:
        for k, step in enumerate(steps):
            at += timedelta(seconds=step)
            book.append(estimates([(k + 1) / 10]), FIT, at)
            [entry] = book.entries(Kind.MARGINAL, "US-ERCO", one, "regression")
            kept[entry.recorded_utc] = entry.entry_id
            for moment, expected in kept.items():
                [then] = book.entries(Kind.MARGINAL, "US-ERCO", one, "regression", as_of_utc=moment)
                assert then.entry_id == expected
        assert len(kept) == len(steps)
        assert list(kept) == sorted(kept)
