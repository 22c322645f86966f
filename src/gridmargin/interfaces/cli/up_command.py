"""`up`: everything on one port."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import typer
import uvicorn

from gridmargin.interfaces.answers import PRIMARY
from gridmargin.interfaces.rest import Desk, Rounds, build_app, is_loopback
from gridmargin.pipeline import Factory, Job, Stream, moment_for
from gridmargin.reference import profile_for
from gridmargin.vocab import InputError, Interval, Kind, PublisherError, format_utc
from gridmargin.wiring import (
    PATIENT,
    Asks,
    SourceChoice,
    Workplace,
    choose_source,
    home_folder,
    now_utc,
    open_places,
    open_workplace,
    read_settings,
    source_for,
)

ZONES_TO_OPEN_ON = ("US-ERCO", "US-CISO", "US-PJM", "US-NYIS", "US-MISO", "DE", "AU-NSW")


def up(
    *,
    host: str,
    port: int,
    zone: str | None,
    source: str,
    data_dir: Path | None,
    ledger: str | None,
    stream: bool,
) -> None:
    """Serve until stopped."""
    settings = read_settings(ledger)
    key = settings.api_key.get_secret_value() if settings.api_key else None
    if not is_loopback(host) and key is None:
        raise InputError(
            f"--host {host} is reachable from other machines; set GRIDMARGIN_API_KEY (16 characters or more) so that only"
            " its holders are answered, or stay on 127.0.0.1"
        )
    choice = choose_source(source, settings)
    places = open_places(settings)
    asked = places.where(zone, now_utc()).zone if zone else None
    if choice.kind != "live":
        source_for(choice, asked or _first_zone(choice))
    with ExitStack() as stack:
        listener = stack.enter_context(_listen(host, port))
        place = stack.enter_context(open_workplace(home_folder(data_dir, settings), settings))
        opened = asked or (_first_live_zone(place) if choice.kind == "live" else _first_zone(choice))
        running = _stream(place, choice, opened) if stream else None
        rounds = None
        if choice.asks is not Asks.NEVER:
            rounds = Rounds(place.open_feeds(PATIENT), opened)
        address = f"http://{'127.0.0.1' if is_loopback(host) else host}:{listener.getsockname()[1]}"
        typer.echo(f"gridmargin: {address}  (zone {opened}; source: {choice.detail})")
        typer.echo("stop with Ctrl-C")
        config = uvicorn.Config(
            build_app(Desk(place, choice, opened, running, places, rounds), key),
            log_level="warning", access_log=False, timeout_graceful_shutdown=2,
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[listener])


def _first_zone(choice: SourceChoice) -> str:
    for zone in ZONES_TO_OPEN_ON:
        try:
            source_for(choice, zone)
        except InputError:
            continue
        return zone
    raise InputError(
        f"{choice.detail}: no zone with generation by fuel there; give --zone, or --source reference"
    )


def _first_live_zone(place: Workplace) -> str:
    zones = dict.fromkeys([*ZONES_TO_OPEN_ON, *(z for a, _ in place.feeds.adapters for z in a.zones())])
    for zone in zones:
        if place.feeds.of_zone(zone):
            return zone
    raise InputError(
        "no live source is on; `gridmargin sources` says how each is turned on, or give --source auto"
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, the event loop sends small answers at once; without it each waits 40 ms for the client.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)  # whoever reads the address below is answered as soon as the server is up
    except OSError as error:
        listener.close()
        raise InputError(
            f"cannot listen on {host}:{port} ({error.strerror}); give another --host or --port"
        ) from error
    return listener


def _stream(place: Workplace, choice: SourceChoice, zone: str) -> Stream:
    start = now_utc()
    # Nobody waits for a publisher before the page is there: the first round asks, and what was fetched before serves.
    job, factory = _priced_on(place, choice, zone, start, ask=choice.asks is Asks.MUST)

    def settle(moment: datetime) -> tuple[Job, Factory] | None:
        try:
            return _priced_on(place, choice, zone, moment, ask=False)
        except (
            PublisherError
        ):  # only publishers may answer and none does: the newest of what was fetched stands
            return None

    return Stream(job, factory, place.folder, start, settle=None if choice.asks is Asks.NEVER else settle)


def _priced_on(
    place: Workplace, choice: SourceChoice, zone: str, moment_asked: datetime, *, ask: bool
) -> tuple[Job, Factory]:
    """Give what the stream is priced on at a moment."""
    settled = place.settle(choice, zone, moment_asked, ask=ask)
    factory = place.factory(settled, zone, moment_asked)
    short = settled.adapter is not None and choice.asks is not Asks.MUST
    if short and not _can_price(factory, zone, moment_asked):
        # Just begun, a live record is too short for the fit that prices energy: what was recorded does it until then.
        settled, factory = choice, place.factory(choice, zone, moment_asked)
    moment, note = moment_for(factory.source, zone, moment_asked)
    alignment = (
        f"priced on the grid of {format_utc(moment)}, standing for {format_utc(moment_asked)}"
        if note and settled.adapter is None
        else None
    )
    job = Job(zone, PRIMARY, profile_for("H100", "llama-3.1-8b"), fill=True, alignment=alignment)
    return job, factory


def _can_price(factory: Factory, zone: str, start_utc: datetime) -> bool:
    moment, _ = moment_for(factory.source, zone, start_utc)
    step_s = factory.source.interval_s(zone)
    interval = Interval.containing(moment, step_s)
    factory.ensure(zone, interval)
    found = factory.book.covering(Kind.MARGINAL, zone, interval, PRIMARY, step_s, source=factory.source.name)
    return len(found) > 0
