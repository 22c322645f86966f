"""`ledger copy`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gridmargin.interfaces.cli.terminal import people_console, progress_bar
from gridmargin.ledger import Book, copy, is_url
from gridmargin.vocab import InputError, NotFoundError


def copy_to(old: str, new: str, *, quiet: bool) -> dict[str, Any]:
    """Answer `gridmargin ledger copy`."""
    if not is_url(old) and not Path(old).expanduser().is_file():
        raise NotFoundError(f"no ledger at {old}; give its file, such as books/ledger.sqlite, or its URL")
    if old == new:
        raise InputError(f"{old} is both places; give another TO")
    with (
        Book(old) as source,
        Book(new) as target,
        progress_bar("leaves", len(source.log), quiet=quiet) as moved,
    ):
        found = copy(source, target, progress=moved)
        return {
            "from": source.name,
            "to": target.name,
            "n_rows": dict(found.n_rows),
            "tree_size": found.tree_size,
            "root_sha256": found.root.hex(),
            "n_heads": found.n_heads,
        }


def show_copy(answer: dict[str, Any]) -> None:
    """Say what was copied, and what a copy of the tables lacks."""
    console = people_console()
    n_entries = answer["n_rows"]["marginal_entries"] + answer["n_rows"]["average_entries"]
    console.print(
        f"{n_entries} entries and {answer['tree_size']} leaves of {answer['from']} are in {answer['to']}"
    )
    console.print(
        f"same root {answer['root_sha256']}, same {answer['n_heads']} signed heads, every hash checked"
    )
    console.print(
        "the key and the archive are not in it: copy ledger-key.pem and the folder archive/ as well"
    )
