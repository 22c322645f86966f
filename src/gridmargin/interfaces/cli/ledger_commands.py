"""`ledger disagree`, `diff`, `export`, `retire`, `restore`, `verify`, `clock`, `head`, `key` and `prove`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rich.table import Table

from gridmargin.interfaces.answers import diff_answer, head_answer, proof_answer, retirement_answer
from gridmargin.interfaces.cli.grid_commands import retired_words
from gridmargin.interfaces.cli.terminal import people_console, progress_bar
from gridmargin.interfaces.disagreement import disagreement_answer
from gridmargin.interfaces.placing import zone_of
from gridmargin.ledger import (
    Asked,
    Audit,
    PublicKey,
    TreeHead,
    WitnessKey,
    audit_book,
    audit_export,
    clock_notes,
    export,
    manifest_of,
    restore,
    retire,
)
from gridmargin.vocab import InputError, Interval, format_utc, parse_utc
from gridmargin.wiring import (
    Workplace,
    home_folder,
    now_utc,
    open_workplace,
    read_settings,
    require_ledger,
    seen_file,
)

K = TypeVar("K", bound=PublicKey)

MOST_SHOWN = 40
"""Rows of a comparison shown; `--json` has them all."""


@contextmanager
def opened(data_dir: Path | None, ledger: str | None) -> Iterator[Workplace]:
    """Open a ledger that is there."""
    settings = read_settings(ledger)
    folder = home_folder(data_dir, settings)
    require_ledger(folder, settings, "`gridmargin now ZONE` starts one, or give --data-dir")
    with open_workplace(folder, settings) as place:
        yield place


def diff(
    since: str, zone: str | None, limit: int, cursor: str | None, data_dir: Path | None, ledger: str | None
) -> dict[str, Any]:
    """Answer `gridmargin ledger diff`."""
    since_utc = parse_utc(since, "--since")
    if zone is not None:
        zone = zone_of(zone)
    with opened(data_dir, ledger) as place:
        return diff_answer(place.book, since_utc, zone, limit, cursor)


def show_diff(answer: dict[str, Any]) -> None:
    """Print restatements as a table."""
    console = people_console()
    changed = answer["restated"]
    more = " and more" if answer["more"] else ""
    console.print(
        f"since {answer['since_utc']}: {answer['n_new']} new entries, {len(changed)} restated{more}"
    )
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
        console.print(f"… and {len(changed) - MOST_SHOWN} more of this page; --json has them all")
    if answer["more"]:
        console.print(f"more: this page is full; go on with --cursor {answer['next_cursor']}")
    for one in answer["retired"]:
        console.print(f"not compared: {retired_words(one, answer['zone'])}")


def disagree(
    zone: str,
    start: str,
    end: str,
    other: str | None,
    given: Sequence[str],
    given_other: Sequence[str],
    data_dir: Path | None,
    ledger: str | None,
) -> dict[str, Any]:
    """Answer `gridmargin ledger disagree`."""
    interval = Interval(parse_utc(start, "--start"), parse_utc(end, "--end"))
    with opened(data_dir, ledger) as place:
        zone, other = zone_of(zone), zone_of(other) if other else None
        return disagreement_answer(place, zone, interval, other, given, given_other)


def show_disagreement(answer: dict[str, Any]) -> None:
    """Print who says what, how far apart, and who ranks the zones how."""
    console = people_console()
    for zone, part in (
        (answer["zone"], answer),
        *(((answer["with"]["zone"], answer["with"]),) if answer["with"] else ()),
    ):
        console.print(f"{zone}, intervals of {part['step_s'] // 60} min, {part['unit']}")
        table = Table(box=None, pad_edge=False)
        for heading in ("signal", "kind", "counts", "by", "intervals", "mean"):
            table.add_column(heading, no_wrap=True)
        for one in part["signals"]:
            table.add_row(
                one["name"], one["kind"], one["counts"], one["provider"], str(one["n"]), _figure(one["mean"])
            )
        console.print(table)
        for band in part["bands"]:
            console.print(
                f"{band['kind']}, {band['counts']}: {len(band['names'])} signals lie {_figure(band['mean_width'])} apart on"
                f" average, at most {_figure(band['widest'])}"
                + (f" at {band['widest_utc']}" if band["n"] else "")
            )
        for pair in part["pairs"]:
            if pair["n"]:
                correlation = (
                    "" if pair["correlation"] is None else f", correlation {pair['correlation']:.2f}"
                )
                console.print(
                    f"{pair['first']} - {pair['second']}: {pair['mean_difference']:+.1f} on average over {pair['n']}"
                    f" intervals{correlation}" + ("" if pair["same_measure"] else " (not the same kind)")
                )
    for one in answer["rankings"]:
        share = "" if one["flips_frac"] is None else f", {100 * one['flips_frac']:.1f} %"
        console.print(
            f"{one['kind']}, {one['counts']}: which zone is higher depends on who is asked in {one['flipped_h']:g} h of"
            f" {one['n_compared'] * answer['step_s'] / 3600:g} h{share}"
        )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def export_to(
    out: Path,
    zone: str | None,
    start: str | None,
    end: str | None,
    data_dir: Path | None,
    ledger: str | None,
    *,
    salvage: bool,
    seen_size: int | None,
    quiet: bool,
) -> dict[str, Any]:
    """Answer `gridmargin ledger export`."""
    if (start is None) != (end is None):
        raise InputError("--start and --end go together; give both, or neither for every interval")
    if zone is not None:
        zone = zone_of(zone)
    interval = Interval(parse_utc(start, "--start"), parse_utc(end, "--end")) if start and end else None
    with (
        opened(data_dir, ledger) as place,
        progress_bar("leaves", len(place.book.log), quiet=quiet) as moved,
    ):
        manifest = export(
            place.book,
            out,
            Asked(zone, interval),
            now_utc(),
            salvage=salvage,
            seen_size=seen_size,
            progress=moved,
        )
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


def retire_to(
    before: str,
    out: Path,
    zone: str | None,
    keep_days: int,
    data_dir: Path | None,
    ledger: str | None,
    *,
    compact: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Answer `gridmargin ledger retire`."""
    before_utc = parse_utc(before, "--before")
    if zone is not None:
        zone = zone_of(zone)
    with opened(data_dir, ledger) as place:
        with progress_bar("leaves", len(place.book.log), quiet=quiet) as moved:
            found = retire(place.book, out, before_utc, now_utc(), zone, keep_days=keep_days, progress=moved)
        if compact:
            place.book.connection.compact()
        public = str(place.signer.public())
    return retirement_answer(found) | {
        "path": str(out),
        "manifest": str(manifest_of(out)),
        "public_key": public,
    }


def show_retire(answer: dict[str, Any]) -> None:
    """Say what went where."""
    console = people_console()
    console.print(retired_words(answer, None))
    console.print(f"manifest: {answer['manifest']}; keep both, the ledger has only the hashes from now on")
    console.print(
        f"check with: gridmargin ledger verify --export {answer['path']} --public-key {answer['public_key']}"
        f" --seen {answer['file']}.seen"
    )


def restore_from(file: Path, data_dir: Path | None, ledger: str | None) -> dict[str, Any]:
    """Answer `gridmargin ledger restore`."""
    with opened(data_dir, ledger) as place:
        return retirement_answer(restore(place.book, file, now_utc())) | {"ledger": place.book.name}


def show_restore(answer: dict[str, Any]) -> None:
    """Say what came back."""
    people_console().print(
        f"{answer['n_rows']} entries of retirement {answer['retirement_id']} are back in {answer['ledger']}, each as its leaf says"
    )


def clock(note: str | None, data_dir: Path | None, ledger: str | None) -> dict[str, Any]:
    """Answer `gridmargin ledger clock`."""
    with opened(data_dir, ledger) as place:
        now = now_utc()
        if note is not None:
            place.book.correct_clock(now, note)
        newest = place.book.newest_utc()
        return {
            "now_utc": format_utc(now),
            "newest_utc": None if newest is None else format_utc(newest),
            "ahead_s": max((newest - now).total_seconds(), 0.0) if newest else 0.0,
            "corrected": note is not None,
            "notes": clock_notes(place.book, now),
        }


def show_clock(answer: dict[str, Any]) -> None:
    """Say how the recorded times stand to the clock."""
    console = people_console()
    console.print(f"this clock: {answer['now_utc']}; newest record: {answer['newest_utc'] or 'none'}")
    for line in answer["notes"]:
        console.print(f"mind: {line}")


def verify(
    export_path: Path | None,
    public_key: str | None,
    seen: Path | None,
    witnesses: Sequence[str],
    data_dir: Path | None,
    ledger: str | None,
) -> dict[str, Any]:
    """Answer `gridmargin ledger verify`; a head that holds is remembered, so that a later one can be held against it."""
    trusted = [key_from(WitnessKey, text, "--witness") for text in witnesses]
    if export_path is None:
        with opened(data_dir, ledger) as place:
            public = key_from(PublicKey, public_key) if public_key else place.signer.public()
            found = audit_book(place.book, public, remembered(seen) if seen else None, trusted, now_utc())
            if seen and found.holds:
                seen.write_text(found.head.text(), "utf-8")
            return _audit_answer(found, place.book.name, public)
    if public_key is None:
        raise InputError("--export needs --public-key; `gridmargin ledger key` prints it where the ledger is")
    public = key_from(PublicKey, public_key)
    memory = seen or seen_file(public.key_id.hex())
    found = audit_export(export_path, public, remembered(memory), trusted)
    if found.holds and found.follows:
        remember(memory, found.head)
    return _audit_answer(found, export_path, public)


def remember(memory: Path, head: TreeHead) -> None:
    """Keep the newest head seen; a power cut leaves the one before or this one."""
    memory.parent.mkdir(parents=True, exist_ok=True)
    part = memory.with_name(memory.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(head.text())
            file.flush()
            os.fsync(file.fileno())
        part.replace(memory)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def key_from(kind: type[K], text: str, option: str = "--public-key") -> K:
    """Read a key, or the file that holds it."""
    path = Path(text)
    if "+" not in text and not path.is_file():
        raise InputError(f"{option} {text}: no such file; give the file or the key, {kind.made_by}")
    return kind.read(path.read_text("utf-8") if path.is_file() else text)


def remembered(memory: Path) -> TreeHead | None:
    """Give the head that a file remembers, or None where there is no such file yet."""
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
        "notes": found.notes,
        "faults": found.faults,
    }


def show_verify(answer: dict[str, Any]) -> None:
    """Print what held and what did not."""
    console = people_console()
    for line in answer["held"]:
        console.print(line if line.startswith("not checked: ") else f"holds: {line}")
    for line in answer["notes"]:
        console.print(f"mind: {line}")
    for line in answer["faults"]:
        console.print(f"WRONG: {line}")
    console.print(
        f"{answer['checked']}: {answer['n_rows']} rows, "
        + ("as they were signed" if answer["holds"] else "NOT what was signed")
    )


def head(data_dir: Path | None, ledger: str | None) -> dict[str, Any]:
    """Answer `gridmargin ledger head`."""
    with opened(data_dir, ledger) as place:
        return head_answer(place.book)


def show_head(answer: dict[str, Any]) -> None:
    """Print the note as it was signed."""
    people_console().print(answer["note"], end="")
    for note in answer["cosigned"]:
        people_console().print(f"cosigned:\n{note}", end="")


def key(data_dir: Path | None, ledger: str | None) -> dict[str, Any]:
    """Answer `gridmargin ledger key`."""
    with opened(data_dir, ledger) as place:
        return {"public_key": str(place.signer.public())}


def prove(kind: str, record_id: int, data_dir: Path | None, ledger: str | None) -> dict[str, Any]:
    """Answer `gridmargin ledger prove`."""
    with opened(data_dir, ledger) as place:
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
