"""`export`: signals in the format of another system."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import typer

from gridmargin.interfaces.faces.keda import config_map
from gridmargin.interfaces.faces.regions import zone_of
from gridmargin.interfaces.faces.signals import Signals
from gridmargin.vocab import Kind
from gridmargin.wiring import choose_source, home_folder, now_utc, open_workplace, read_settings


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
    place, settings = zone_of(zone), read_settings(ledger)
    opened = partial(open_workplace, home_folder(data_dir, settings), settings)
    signals = Signals(opened, choose_source(source, settings), now_utc)
    found = signals.ahead(place.zone.id, Kind(kind), hours)
    return config_map(found, location or zone, signals.now_utc(), name, namespace)


def show(answer: dict[str, Any]) -> None:
    """Print it over several lines: JSON is YAML, and `kubectl` reads both."""
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
