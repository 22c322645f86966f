"""`up`: everything on one port."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import typer
import uvicorn

from gridmargin.interfaces.answers import PRIMARY
from gridmargin.interfaces.rest import Desk, build_app, is_loopback
from gridmargin.pipeline import Job, Stream, moment_for
from gridmargin.reference import profile_for
from gridmargin.vocab import InputError, format_utc
from gridmargin.wiring import (
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
    opened = places.where(zone, now_utc()).zone if zone else _first_zone(choice)
    source_for(choice, opened)
    with ExitStack() as stack:
        listener = stack.enter_context(_listen(host, port))
        place = stack.enter_context(open_workplace(home_folder(data_dir, settings), settings))
        running = _stream(place, choice, opened) if stream else None
        address = f"http://{'127.0.0.1' if is_loopback(host) else host}:{listener.getsockname()[1]}"
        typer.echo(f"gridmargin: {address}  (zone {opened}; source: {choice.detail})")
        typer.echo("stop with Ctrl-C")
        config = uvicorn.Config(
            build_app(Desk(place, choice, opened, running, places), key),
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


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
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
    factory = place.factory(choice, zone, start)
    moment, _ = moment_for(factory.source, zone, start)
    alignment = (
        f"priced on the grid of {format_utc(moment)}, standing for {format_utc(start)}"
        if moment != start
        else None
    )
    job = Job(zone, PRIMARY, profile_for("H100", "llama-3.1-8b"), fill=True, alignment=alignment)
    return Stream(job, factory, place.folder, start)
