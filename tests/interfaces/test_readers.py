"""A long question holds up neither short ones nor what is written; two long ones are the most at once."""

import asyncio
import threading
import time

import httpx
import pytest

from gridmargin.interfaces.rest import Desk, build_app, desk
from gridmargin.interfaces.rest.readers import MOST_LONG, Readers
from gridmargin.settings import Settings
from gridmargin.wiring import choose_source, open_workplace
from interfaces.command_line import run

AT = "2024-07-15T18:00Z"


@pytest.fixture
def home(tmp_path):
    said = run("now", "US-ERCO", "--at", AT, "--source", "reference", "--data-dir", tmp_path)
    assert said.code == 0, said.err
    return tmp_path


def served(folder, work):
    async def whole():
        with open_workplace(folder, Settings()) as place:
            kept = Desk(place, choose_source("reference", Settings()), "US-ERCO", None)
            transport = httpx.ASGITransport(build_app(kept), raise_app_exceptions=False)
            async with (
                httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
                kept.running(),
            ):
                return await work(client)

    return asyncio.run(whole())


def test_nobody_waits_for_a_long_diff(home, monkeypatch):
    """While a diff cannot end, the head, entries and a factor are answered; with one lock for all they would not be."""
    let_go, begun = threading.Event(), threading.Event()

    def slow(*arguments):
        begun.set()
        assert let_go.wait(60)
        return diff_answer(*arguments)

    diff_answer = desk.diff_answer
    monkeypatch.setattr(desk, "diff_answer", slow)

    async def work(client):
        asking = asyncio.create_task(client.get("/v1/ledger/diff", params={"since": "2020-01-01T00:00Z"}))
        try:
            assert await asyncio.to_thread(begun.wait, 60)
            for path in (
                "/v1/ledger/head",
                f"/v1/zones/US-ERCO/ledger?start={AT}",
                f"/v1/zones/US-ERCO/factor?at={AT}",
            ):
                answer = await asyncio.wait_for(client.get(path), 60)
                assert answer.status_code == 200, answer.text
            assert not asking.done()
        finally:
            let_go.set()
        return (await asking).json()

    assert served(home, work)["more"] is False


def test_a_page_of_a_diff_says_that_there_is_more(home):
    for moment in ("2024-07-15T18:05Z", "2024-07-15T19:05Z"):
        assert run("now", "US-ERCO", "--at", moment, "--source", "reference", "--data-dir", home).code == 0

    async def work(client):
        params = {"since": "2020-01-01T00:00Z"}
        refused = await client.get("/v1/ledger/diff", params=params | {"cursor": "average-x"})
        too_many = await client.get("/v1/ledger/diff", params=params | {"limit": 10_001})
        return refused, too_many

    refused, too_many = served(home, work)
    assert "use next_cursor of the page before" in refused.json()["error"]["message"]
    assert (refused.status_code // 100, too_many.status_code // 100) == (4, 4)


def test_at_most_two_long_questions_are_answered_at_once_and_a_fault_is_told(home):
    running, most, lock = 0, 0, threading.Lock()

    def work(place):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return len(place.book.log)

    async def whole(place):
        readers = Readers(place.apart)
        try:
            found = await asyncio.gather(*(readers.ask(work, is_long=True) for _ in range(8)))
            with pytest.raises(ZeroDivisionError):
                await readers.ask(lambda _: 1 // 0, is_long=True)
            assert await readers.ask(work, is_long=True) == found[0]
            return found
        finally:
            readers.close()

    with open_workplace(home, Settings()) as place:
        assert set(asyncio.run(whole(place))) == {len(place.book.log)}
    assert most == MOST_LONG
