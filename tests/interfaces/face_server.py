"""Servers with faces: in this process over typical days or a made-up record, and a real uvicorn on loopback."""

import asyncio
import socket
import threading
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime

import httpx
import uvicorn

from gridmargin.interfaces.rest import Desk, build_app
from gridmargin.settings import Settings
from gridmargin.wiring import SourceChoice, choose_source, open_workplace
from pipeline.tied_grid import FACTS, HOME, NEIGHBOUR, TiedGrid

NOW = datetime(2021, 6, 15, 9, 20, tzinfo=UTC)
USER, PASSWORD = "ann", "correct horse battery"
ACCOUNT = {"username": USER, "password": PASSWORD, "email": "ann@example.org", "org": "us"}


def clock_at(patch, moment):
    """Let the faces see another time."""
    patch.setattr("gridmargin.interfaces.rest.app.now_utc", lambda: moment)


def record(patch, folder, moment=NOW):
    """Let a made-up Australian record answer, at a moment inside it or after it."""
    sources = {HOME: [TiedGrid()], NEIGHBOUR: [TiedGrid()]}
    for module in ("gridmargin.wiring.settling", "gridmargin.interfaces.faces.signals"):
        patch.setattr(f"{module}.recorded_sources", lambda _folder: sources)
    patch.setattr("gridmargin.wiring.workplace.facts_from", lambda _folder: lambda *_: FACTS)
    clock_at(patch, moment)
    return SourceChoice("recorded", folder, "made up")


@contextmanager
def application(folder, choice=None, key=None):
    """The whole server as an ASGI application."""
    chosen = choice or choose_source("reference", Settings())
    with open_workplace(folder, Settings()) as place:
        yield build_app(Desk(place, chosen, "US-ERCO", None), key)


def asked(folder, work, choice=None, key=None):
    """Run `work(client)` against a server in this process."""

    @asynccontextmanager
    async def client():
        with application(folder, choice, key) as app:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
                yield opened

    async def whole():
        async with client() as opened:
            return await work(opened)

    return asyncio.run(whole())


def got(folder, path, choice=None, key=None, **more):
    """Ask one thing."""
    return asked(folder, lambda client: client.get(path, **more), choice, key)


async def logged_in(client):
    """Register, log in, and give the header that WattTime's paths want."""
    await client.post("/register", json=ACCOUNT)  # a folder that was used before has the account already
    answer = await client.get("/login", auth=(USER, PASSWORD))
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def watttime(folder, path, choice=None):
    """Ask WattTime's face one thing, as somebody who logged in."""

    async def work(client):
        return await client.get(path, headers=await logged_in(client))

    return asked(folder, work, choice)


@contextmanager
def uvicorn_on_loopback(folder, choice=None, key=None):
    """A real server; gives its address."""
    with application(folder, choice, key) as app, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)


def every_route(app):
    """Method and path of everything the server answers, routers that it includes too."""
    found = []
    for route in app.routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            found += every_route(inner)
        elif getattr(route, "methods", None) and not getattr(route, "name", "").startswith("answer"):
            found += [(method, route.path) for method in sorted(route.methods & {"GET", "POST"})]
    return found
