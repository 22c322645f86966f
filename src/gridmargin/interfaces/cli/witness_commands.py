"""`ledger witness`, which somebody else runs, and `ledger cosigned`, which takes in what came of it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gridmargin.interfaces.cli.ledger_commands import key_from, opened, remember, remembered
from gridmargin.interfaces.cli.terminal import people_console
from gridmargin.ledger import (
    PublicKey,
    SignatureError,
    TreeHead,
    Witness,
    WitnessKey,
    audit_export,
    keep_cosignature,
    manifest_of,
    refusal,
)
from gridmargin.vocab import InputError, format_utc
from gridmargin.wiring import now_utc, witnessed_file

WAIT_S = 20.0
"""How long a server may take to answer. [s]"""


def witness(
    origin: str, key: Path, public_key: str, out: Path, name: str | None, seen: Path | None
) -> dict[str, Any]:
    """Answer `gridmargin ledger witness`; the head is remembered before its cosignature is handed out."""
    public = key_from(PublicKey, public_key)
    signer = Witness(key, name)
    if signer.raw_public() == public.raw:
        raise InputError(
            f"{key} is the ledger's own key; a witness signs with another one, which nobody else has"
        )
    if not out.parent.is_dir():
        raise InputError(f"no folder {out.parent} to write {out.name} into; make it, or give another --out")
    memory = seen or witnessed_file(public.key_id.hex(), signer.public().key_id.hex())
    with _alone(memory):
        last = remembered(memory)
        if last is not None and last.origin != public.name:
            raise InputError(
                f"the head in {memory} is of {last.origin}, not of {public.name}; name another --seen"
            )
        over_http = origin.startswith(("http://", "https://"))
        note, faults = (_from_server if over_http else _from_export)(origin, public, last)
        head, moment = TreeHead.read(note), now_utc()
        answer = {
            "witness": str(signer.public()),
            "origin": public.name,
            "seen_tree_size": last.tree_size if last else 0,
            "tree_size": head.tree_size,
            "signed_utc": None,
            "file": None,
            "faults": faults,
        }
        if faults:
            return answer
        remember(memory, head)
        out.write_text(note + signer.cosign(head, moment), "utf-8")
        return answer | {"signed_utc": format_utc(moment.replace(microsecond=0)), "file": str(out)}


def _from_server(url: str, public: PublicKey, last: TreeHead | None) -> tuple[str, list[str]]:
    """Ask a server for its head and the proof that it follows the last one; give its note and why not to sign it."""
    head = _asked(url, "/v1/ledger/head")
    note = str(head.get("note"))
    faults, new = _signed(note, public)
    if new is None:
        return note, faults
    path: list[bytes] = []
    if last is not None and 0 < last.tree_size < new.tree_size:
        proof = _asked(url, f"/v1/ledger/consistency?tree_size={last.tree_size}")
        note = str(proof.get("head"))  # the log may have grown meanwhile
        faults, new = _signed(note, public)
        if new is None:
            return note, faults
        try:
            path = [bytes.fromhex(step) for step in proof["path"]]
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{url} gives no proof of consistency; is it a gridmargin server?") from None
    why = refusal(last, new, path)
    return note, [why] if why else []


def _signed(note: str, public: PublicKey) -> tuple[list[str], TreeHead | None]:
    head = TreeHead.read(note)
    if head.origin != public.name:
        return [f"the head is of {head.origin}, not of {public.name}"], None
    try:
        return [], TreeHead.read(public.open(note))
    except SignatureError as fault:
        return [f"forged head: {fault}"], None


def _asked(url: str, path: str) -> dict[str, Any]:
    import httpx2

    try:
        answer = httpx2.get(url.rstrip("/") + path, timeout=WAIT_S)
        body = answer.json()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise InputError(
            f"{url} gave no answer to {path} ({error}); correct the address, or try again later"
        ) from None
    if answer.status_code != 200 or not isinstance(body, dict):
        raise InputError(
            f"{url} answered {path} with status {answer.status_code}; ask its keeper, or for an export"
        )
    return body


def _from_export(path: str, public: PublicKey, last: TreeHead | None) -> tuple[str, list[str]]:
    """Audit an export, rows and all; give the note of its head and why not to sign it."""
    import json

    found = audit_export(Path(path), public, last)
    note = str(json.loads(manifest_of(Path(path)).read_text("utf-8"))["head"])
    if found.holds and TreeHead.read(note) != found.head:  # the file was replaced after it was audited
        raise InputError(f"the manifest of {path} changed while it was read; copy both files, and try again")
    if found.holds and not found.follows:
        assert last is not None
        return note, [f"not proved: ask for an export with --seen-size {last.tree_size}"]
    return note, found.faults


@contextmanager
def _alone(memory: Path) -> Iterator[None]:
    """Let one process at a time compare with the last head and replace it."""
    memory.parent.mkdir(parents=True, exist_ok=True)
    with memory.with_name(memory.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def show_witness(answer: dict[str, Any]) -> None:
    """Say what was signed, or why nothing was."""
    console = people_console()
    for line in answer["faults"]:
        console.print(f"REFUSED: {line}")
    if answer["faults"]:
        return
    since = answer["seen_tree_size"]
    console.print(
        f"{answer['origin']}: {answer['tree_size']} leaves"
        + (f", which begin with the {since} seen before" if since else ", the first that this witness sees")
    )
    console.print(f"cosigned at {answer['signed_utc']}: {answer['file']}")
    console.print(f"witness key: {answer['witness']}")


def keep(file: Path, witness_key: str, data_dir: Path | None, ledger: str | None) -> dict[str, Any]:
    """Answer `gridmargin ledger cosigned`."""
    key = key_from(WitnessKey, witness_key, "--witness")
    try:
        note = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"{file} cannot be read; give the file that `gridmargin ledger witness` wrote"
        ) from None
    with opened(data_dir, ledger) as place:
        head = keep_cosignature(place.book.connection, note, place.signer.public(), key)
    return {"tree_size": head.tree_size, "witness": str(key)}


def show_kept(answer: dict[str, Any]) -> None:
    """Say what was kept."""
    people_console().print(f"kept: the head of {answer['tree_size']} leaves, cosigned by {answer['witness']}")
