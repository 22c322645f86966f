"""`steps`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from gridmargin.engines import ENGINES, Steps, ahead_of, renamed, write_steps
from gridmargin.interfaces.cli.terminal import people_console
from gridmargin.vocab import InputError, format_utc

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def steps(
    files: Sequence[Path],
    engine: str,
    out: Path,
    devices: Sequence[str],
    ahead_s: float,
    request_id: str | None,
) -> dict[str, Any]:
    """Answer `gridmargin steps`."""
    reader = ENGINES.get(engine)
    groups = [[name.strip() for name in group.split(",")] for group in devices]
    if not all(all(group) for group in groups):
        raise InputError("--devices has an empty name; write gpu0 or gpu0,gpu1")
    if out.resolve() in {path.resolve() for path in files}:
        raise InputError(f"--out {out} is one of the files read; name another")
    told = reader.read(files, groups)
    found = ahead_of(told.steps, ahead_s) if ahead_s else told.steps
    if request_id is not None:
        found = renamed(found, request_id)
    write_steps(found, out)
    return {
        "engine": engine,
        "out": str(out),
        "rows": len(found),
        "steps": float(found.n_steps.sum()),
        "requests": len(found.request_ids),
        "interval": _interval(found),
        "prefill_tokens": float(found.prefill_tokens.sum()),
        "cached_tokens": float(found.cached_tokens.sum()),
        "decode_tokens": float(found.decode_tokens.sum()),
        "devices": [list(group) for group in found.groups],
        "notes": list(told.notes),
        "tells": reader.tells,
        "lacks": reader.lacks,
    }


def show_steps(answer: dict[str, Any]) -> None:
    """Print what was found for people, what is missing below it."""
    console = people_console()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("rows", f"{answer['rows']:,} of {answer['steps']:,.0f} steps")
    if answer["interval"]:
        table.add_row("from, to", f"{answer['interval']['start_utc']} to {answer['interval']['end_utc']}")
    table.add_row("requests by id", f"{answer['requests']:,}" if answer["requests"] else "none are named")
    for name in ("prefill", "cached", "decode"):
        table.add_row(f"{name} tokens", f"{answer[f'{name}_tokens']:,.0f}")
    table.add_row("devices", "; ".join("+".join(group) for group in answer["devices"]))
    table.add_row("written to", answer["out"])
    console.print(table)
    for note in answer["notes"]:
        console.print(f"note: {note}")
    console.print(f"{answer['engine']} does not tell: {answer['lacks']}")


def _interval(found: Steps) -> dict[str, str] | None:
    if not len(found):
        return None
    ends = {"start_utc": int(found.start_us.min()), "end_utc": int(found.end_us.max())}
    return {name: format_utc(EPOCH + timedelta(microseconds=moment)) for name, moment in ends.items()}
