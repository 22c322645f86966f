"""`ledger diff`, `export`, `verify`, `head`, `key` and `prove`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table

from gridmargin.interfaces.answers import diff_answer, head_answer, proof_answer
from gridmargin.interfaces.cli.terminal import people_console, progress_bar
from gridmargin.interfaces.placing import zone_of
from gridmargin.ledger import Asked, Audit, PublicKey, TreeHead, audit_book, audit_export, export, manifest_of
from gridmargin.vocab import InputError, Interval, parse_utc
from gridmargin.wiring import (
    Workplace,
    home_folder,
    now_utc,
    open_workplace,
    read_settings,
    require_ledger,
    seen_file,
)

MOST_SHOWN = 40
"""Rows of a comparison shown; `--json` has them all."""


@contextmanager
def _opened(data_dir: Path | None, ledger: str | None) -> Iterator[Workplace]:
    settings = read_settings(ledger)
    folder = home_folder(data_dir, settings)
    require_ledger(folder, settings, "`gridmargin now ZONE` starts one, or give --data-dir")
    with open_workplace(folder, settings) as place:
        yield place


def diff(since: str, zone: str | None, data_dir: Path | None, ledger: str | None) -> dict[str, Any]:
    """Answer `gridmargin ledger diff`."""
    since_utc = parse_utc(since, "--since")
    if zone is not None:
        zone = zone_of(zone)
    with _opened(data_dir, ledger) as place:
        return diff_answer(place.book, since_utc, zone)


def show_diff(answer: dict[str, Any]) -> None:
    """Print restatements as a table."""
    console = people_console()
    changed = answer["restated"]
    console.print(f"since {answer['since_utc']}: {answer['n_new']} new entries, {len(changed)} restated")
    table = Table(box=None, pad_edge=False)
    for heading in ("zone", "interval", "kind", "estimator", "was", "is", "change", "why"):
        table.add_column(heading, no_wrap=True)
    for row in changed[:MOST_SHOWN]:
        table.add_row(
            row["zone"], row["interval"]["start_utc"], row["kind"], row["estimator"], f"{row['old']['mid']:.1f}",
            f"{row['new']['mid']:.1f}", f"{row['change_mid_gco2_per_kwh']:+.1f}", row["why"],
        )  # fmt: skip
    if changed:
        console.print(table)
    if len(changed) > MOST_SHOWN:
        console.print(f"… and {len(changed) - MOST_SHOWN} more; --json has them all")


def export_to(
    out: Path,
    zone: str | None,
    start: str | None,
    end: str | None,
    data_dir: Path | None,
    ledger: str | None,
    *,
    salvage: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Answer `gridmargin ledger export`."""
    if (start is None) != (end is None):
        raise InputError("--start and --end go together; give both, or neither for every interval")
    if zone is not None:
        zone = zone_of(zone)
    interval = Interval(parse_utc(start, "--start"), parse_utc(end, "--end")) if start and end else None
    with (
        _opened(data_dir, ledger) as place,
        progress_bar("leaves", len(place.book.log), quiet=quiet) as moved,
    ):
        manifest = export(place.book, out, Asked(zone, interval), now_utc(), salvage=salvage, progress=moved)
        public = str(place.signer.public())
    return {
        "file": str(out),
        "manifest": str(manifest_of(out)),
        "n_rows": manifest["n_rows"],
        "n_lost": sum(hi - lo for lo, hi in manifest["lost"]),
        "tree_size": TreeHead.read(manifest["head"]).tree_size,
        "public_key": public,
    }


def show_export(answer: dict[str, Any]) -> None:
    """Say what was written and how to check it."""
    console = people_console()
    console.print(f"{answer['n_rows']} rows of a log of {answer['tree_size']} leaves: {answer['file']}")
    if answer["n_lost"]:
        console.print(f"lost: {answer['n_lost']} leaves could not be read; the manifest names them")
    console.print(f"manifest: {answer['manifest']}")
    console.print(
        f"check with: gridmargin ledger verify --export {answer['file']} --public-key {answer['public_key']}"
    )


def verify(
    export_path: Path | None,
    public_key: str | None,
    seen: Path | None,
    data_dir: Path | None,
    ledger: str | None,
) -> dict[str, Any]:
    """Answer `gridmargin ledger verify`; a head that holds is remembered, so that a later one can be held against it."""
    if export_path is None:
        with _opened(data_dir, ledger) as place:
            public = _read_key(public_key) if public_key else place.signer.public()
            found = audit_book(place.book, public)
            return _audit_answer(found, place.book.name, public)
    if public_key is None:
        raise InputError("--export needs --public-key; `gridmargin ledger key` prints it where the ledger is")
    public = _read_key(public_key)
    memory = seen or seen_file(public.key_id.hex())
    found = audit_export(export_path, public, _remembered(memory))
    if found.holds:
        memory.parent.mkdir(parents=True, exist_ok=True)
        part = memory.with_name(memory.name + ".part")
        try:
            part.write_text(found.head.text(), "utf-8")
            part.replace(memory)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return _audit_answer(found, export_path, public)


def _read_key(text: str) -> PublicKey:
    path = Path(text)
    if "+" not in text and not path.is_file():
        raise InputError(
            f"--public-key {text}: no such file; give the file or the key that `gridmargin ledger key` prints"
        )
    return PublicKey.read(path.read_text("utf-8") if path.is_file() else text)


def _remembered(memory: Path) -> TreeHead | None:
    if not memory.exists():
        return None
    try:
        return TreeHead.read(memory.read_text("utf-8"))
    except (InputError, UnicodeDecodeError):
        raise InputError(
            f"{memory} does not hold a head that was seen; remove it, or name another file with --seen"
        ) from None


def _audit_answer(found: Audit, what: Path | str, public: PublicKey) -> dict[str, Any]:
    return {
        "checked": str(what),
        "holds": found.holds,
        "public_key": str(public),
        "tree_size": found.head.tree_size,
        "n_rows": found.n_rows,
        "held": found.checked,
        "faults": found.faults,
    }


def show_verify(answer: dict[str, Any]) -> None:
    """Print what held and what did not."""
    console = people_console()
    for line in answer["held"]:
        console.print(f"holds: {line}")
    for line in answer["faults"]:
        console.print(f"WRONG: {line}")
    console.print(
        f"{answer['checked']}: {answer['n_rows']} rows, "
        + ("as they were signed" if answer["holds"] else "NOT what was signed")
    )


def head(data_dir: Path | None, ledger: str | None) -> dict[str, Any]:
    """Answer `gridmargin ledger head`."""
    with _opened(data_dir, ledger) as place:
        return head_answer(place.book)


def show_head(answer: dict[str, Any]) -> None:
    """Print the note as it was signed."""
    people_console().print(answer["note"], end="")


def key(data_dir: Path | None, ledger: str | None) -> dict[str, Any]:
    """Answer `gridmargin ledger key`."""
    with _opened(data_dir, ledger) as place:
        return {"public_key": str(place.signer.public())}


def prove(kind: str, record_id: int, data_dir: Path | None, ledger: str | None) -> dict[str, Any]:
    """Answer `gridmargin ledger prove`."""
    with _opened(data_dir, ledger) as place:
        return proof_answer(place.book, kind, record_id)


def show_proof(answer: dict[str, Any]) -> None:
    """Print a proof."""
    console = people_console()
    console.print(
        f"{answer['kind']} record {answer['record_id']} is leaf {answer['leaf_index']} of {answer['tree_size']}"
    )
    console.print(f"leaf: {answer['leaf_sha256']}")
    for step in answer["path"]:
        console.print(f"path: {step}")
    console.print(answer["head"], end="")
