"""`sources`, `fetch` and `archive prune`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from gridmargin.interfaces.answers import freshness_answer, sources_answer
from gridmargin.interfaces.cli.app import with_options
from gridmargin.interfaces.cli.terminal import people_console, progress_bar
from gridmargin.interfaces.placing import zone_of
from gridmargin.ledger import clock_notes
from gridmargin.pipeline import prune, take_in
from gridmargin.vocab import InputError, Interval, format_utc, parse_utc
from gridmargin.wiring import (
    PATIENT,
    choose_source,
    home_folder,
    now_utc,
    open_workplace,
    read_settings,
    replayed,
    require_ledger,
)


def sources(data_dir: Path | None, *, check: bool) -> dict[str, Any]:
    """Answer `gridmargin sources`."""
    settings = read_settings()
    with open_workplace(home_folder(data_dir, settings), settings) as place:
        rows = sources_answer(place.feeds) + sources_answer(place.open_comparisons(PATIENT))
        checked = list(replayed(place)) if check else []
        n_removed = place.index.n_removed()
        notes = clock_notes(place.book, now_utc())
    faults = [one for one in checked if one.fault]
    return {
        "sources": rows,
        "offline": settings.offline,
        "want_keys": list(dict.fromkeys(row["source"] for row in rows if row["off"])),
        "n_checked": len(checked) if check else None,
        "n_removed": n_removed,
        "notes": notes,
        "n_faults": len(faults),
        "faults": [
            {"source": f.source, "name": f.name, "sha256": f.sha256, "fault": f.fault} for f in faults
        ],
    }


def show_sources(answer: dict[str, Any]) -> None:
    """Print the live sources as a table."""
    console = people_console()
    if answer["offline"]:
        console.print(
            "offline: GRIDMARGIN_OFFLINE is set, so no publisher is asked; what was fetched before still answers"
        )
    n_sources, wanting = len({row["source"] for row in answer["sources"]}), answer["want_keys"]
    console.print(
        f"{n_sources - len(wanting)} of {n_sources} sources are on"
        + (f"; off for want of a key of yours: {', '.join(wanting)}" if wanting else "")
    )
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
        unasked = "nothing fetched; not asked (offline)" if answer["offline"] else "nothing fetched yet"
        state = unasked if row["age_s"] is None else "stale" if row["stale"] else "fresh"
        table.add_row(
            row["source"], row["zone"], f"{row['cadence_s'] // 60} min", row["newest_end_utc"] or "", age,
            with_options("; ".join(text for text in (state, row["error"]) if text)),
        )  # fmt: skip
    console.print(table)
    if answer["n_checked"] is not None:
        console.print(
            f"{answer['n_checked']} archived payloads read again, {answer['n_faults']} do not close"
        )
    for line in answer["notes"]:
        console.print(f"mind: {line}")
    if answer["n_removed"]:
        console.print(
            f"{answer['n_removed']} earlier answers were removed from the archive by `gridmargin archive prune`"
        )
    for fault in answer["faults"]:
        console.print(f"{fault['name']} {fault['sha256'][:12]}: {fault['fault']}")


def fetch(zone: str, days: int, data_dir: Path | None) -> dict[str, Any]:
    """Answer `gridmargin fetch`."""
    zone = zone_of(zone)
    settings = read_settings()
    if settings.offline:
        raise InputError("GRIDMARGIN_OFFLINE is set, so nobody is asked; unset it to fetch")
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


def prune_archive(
    before: str, keep_days: int, data_dir: Path | None, ledger: str | None, *, remove: bool, quiet: bool
) -> dict[str, Any]:
    """Answer `gridmargin archive prune`."""
    before_utc = parse_utc(before, "--before")
    settings = read_settings(ledger)
    folder = home_folder(data_dir, settings)
    # Without the ledger nothing would tell what is still needed.
    require_ledger(folder, settings, "give the --data-dir or --ledger whose entries rest on this archive")
    with open_workplace(folder, settings) as place:
        n_payloads = sum(1 for _ in place.archive.kept()) if remove else 0
        with progress_bar("payloads", n_payloads, quiet=quiet) as moved:
            found = prune(
                place.book, place.archive, place.index, before_utc, now_utc(), remove=remove, keep_days=keep_days,
                progress=moved,
            )  # fmt: skip
        return {"archive": str(place.archive.folder), "before_utc": format_utc(before_utc)} | asdict(found)


def show_prune(answer: dict[str, Any]) -> None:
    """Say what left, or would, and what stays."""
    console = people_console()
    what = "removed" if answer["removed"] else "nothing removed; --remove would remove"
    console.print(
        f"{what} {answer['n_payloads']} payloads of {answer['n_bytes']} bytes, from before {answer['before_utc']}"
    )
    console.print(
        f"kept: {answer['n_kept']} payloads of {answer['n_kept_bytes']} bytes, {answer['n_in_ledger']} of them named by"
        " entries that stand or by fits in use"
    )
