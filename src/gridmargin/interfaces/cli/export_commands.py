"""`export`: signals in the format of another system."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import typer

from gridmargin.interfaces.faces.keda import config_map
from gridmargin.interfaces.faces.regions import AZURE, region
from gridmargin.interfaces.faces.signals import Signals
from gridmargin.vocab import Kind
from gridmargin.wiring import choose_source, home_folder, now_utc, open_places, open_workplace, read_settings


def keda(
    zone: str,
    *,
    hours: int,
    kind: str,
    location: str | None,
    name: str,
    namespace: str,
    source: str,
    data_dir: Path | None,
    ledger: str | None,
) -> dict[str, Any]:
    """Answer `gridmargin export keda`."""
    settings = read_settings(ledger)
    places = open_places(settings)
    place = region(places, zone, AZURE, now_utc())
    opened = partial(open_workplace, home_folder(data_dir, settings), settings)
    signals = Signals(opened, choose_source(source, settings), now_utc, places)
    found = signals.ahead(place.zone.id, Kind(kind), hours)
    return config_map(found, location or zone, signals.now_utc(), name, namespace)


def show(answer: dict[str, Any]) -> None:
    """Print it over several lines: JSON is YAML, and `kubectl` reads both."""
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
