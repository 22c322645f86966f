"""`sources` and `fetch`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from gridmargin.interfaces.answers import freshness_answer, sources_answer
from gridmargin.interfaces.cli.terminal import people_console
from gridmargin.interfaces.placing import zone_of
from gridmargin.pipeline import take_in
from gridmargin.vocab import InputError, Interval
from gridmargin.wiring import (
    PATIENT,
    choose_source,
    home_folder,
    now_utc,
    open_workplace,
    read_settings,
    replayed,
)


def sources(data_dir: Path | None, *, check: bool) -> dict[str, Any]:
    """Answer `gridmargin sources`."""
    settings = read_settings()
    with open_workplace(home_folder(data_dir, settings), settings) as place:
        rows = sources_answer(place.feeds) + sources_answer(place.open_comparisons(PATIENT))
        checked = list(replayed(place)) if check else []
    faults = [one for one in checked if one.fault]
    return {
        "sources": rows,
        "n_checked": len(checked),
        "n_faults": len(faults),
        "faults": [
            {"source": f.source, "name": f.name, "sha256": f.sha256, "fault": f.fault} for f in faults
        ],
    }


def show_sources(answer: dict[str, Any]) -> None:
    """Print the live sources as a table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("source", "zone", "every", "newest until", "age", "state"):
        table.add_column(heading, no_wrap=heading != "state")
    said: set[str] = set()
    for row in answer["sources"]:
        if row["off"] and row["newest_end_utc"] is None:
            if row["source"] not in said:
                said.add(row["source"])
                table.add_row(row["source"], "", "", "", "", row["off"])
            continue
        age = "" if row["age_s"] is None else f"{row['age_s'] / 60:.0f} min"
        state = "nothing fetched yet" if row["age_s"] is None else "stale" if row["stale"] else "fresh"
        table.add_row(
            row["source"], row["zone"], f"{row['cadence_s'] // 60} min", row["newest_end_utc"] or "", age,
            "; ".join(text for text in (state, row["error"]) if text),
        )  # fmt: skip
    console = people_console()
    console.print(table)
    if answer["n_checked"]:
        console.print(
            f"{answer['n_checked']} archived payloads read again, {answer['n_faults']} do not close"
        )
    for fault in answer["faults"]:
        console.print(f"{fault['name']} {fault['sha256'][:12]}: {fault['fault']}")


def fetch(zone: str, days: int, data_dir: Path | None) -> dict[str, Any]:
    """Answer `gridmargin fetch`."""
    zone = zone_of(zone)
    settings = read_settings()
    choice = choose_source("live", settings)
    found = []
    with open_workplace(home_folder(data_dir, settings), settings) as place:
        feeds = place.open_feeds(PATIENT)
        comparisons = place.open_comparisons(PATIENT)
        adapters, compared = feeds.of_zone(zone), comparisons.of_zone(zone)
        if not adapters and not compared:
            raise InputError(
                "; ".join(feeds.off_of_zone(zone))
                or f"no live source for {zone}; `gridmargin sources` lists them"
            )
        for asked, adapter in [
            *((feeds, one) for one in adapters),
            *((comparisons, one) for one in compared),
        ]:
            stretch = Interval(now_utc() - timedelta(days=days), now_utc()) if days else None
            brought = asked.ask(adapter, zone, stretch)
            # No factor of ours rests on a comparison, so nothing follows from a revision of one.
            n_new = (
                take_in(place.factory_of(feeds.kept(adapter), choice), zone, brought.revised)
                if asked is feeds
                else 0
            )
            found.append(
                freshness_answer(asked.freshness(adapter, zone))
                | {
                    "n_new": brought.n_new,
                    "n_unchanged": brought.n_unchanged,
                    "n_revised": len(brought.revised),
                    "n_new_entries": n_new,
                    "faults": list(brought.faults),
                }
            )
    return {"zone": zone, "fetched": found}


def show_fetch(answer: dict[str, Any]) -> None:
    """Print what came."""
    console = people_console()
    for one in answer["fetched"]:
        console.print(
            f"{one['publisher']} ({one['source']}), {answer['zone']}: {one['n_new']} new payloads, {one['n_unchanged']}"
            f" unchanged, {one['n_revised']} intervals revised, {one['n_new_entries']} new ledger entries;"
            f" newest until {one['newest_end_utc']}"
        )
        for fault in one["faults"]:
            console.print(f"note: {fault}")
