"""What a leaf of the log is made of, read from the book's tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gridmargin.ledger.store import Connection
from gridmargin.vocab import canonical_json, sha256_hex


@dataclass(frozen=True, slots=True)
class Written:
    """What a leaf is made of.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    record_id : int
        Its id among its kind.
    recorded_us : int
        When it was written. [µs since 1970 UTC]
    supersedes, recalibration_id : int or None
        The entry it replaced, and the recalibration it came from.
    said_sha256 : str
        Hash of what the record says: an entry's own hash, or that of a change's text.
    """

    kind: str
    record_id: int
    recorded_us: int
    supersedes: int | None
    recalibration_id: int | None
    said_sha256: str


KINDS: Mapping[str, tuple[str, str]] = {
    "marginal": ("marginal_entries", "entry_id"),
    "average": ("average_entries", "entry_id"),
    "recalibration": ("recalibrations", "recalibration_id"),
    "declaration": ("declarations", "declaration_id"),
    "retirement": ("retirements", "retirement_id"),
    "payload": ("payloads", "payload_id"),
    "correction": ("clock_corrections", "correction_id"),
    "restoration": ("restorations", "restoration_id"),
}
"""What the log has leaves for, in the order of writing within one transaction: table and key of each."""

CHANGES = {
    "recalibration": (
        "kind", "zone", "estimator", "reference", "event", "cause", "reason", "start_s", "end_s", "old_fit_id",
        "new_fit_id", "changes",
    ),
    "declaration": ("zone", "what", "from_us", "note"),
    "retirement": ("file", "sha256", "n_rows", "head", "leaves", "holds", "before_s", "zone"),
    "payload": ("sha256", "source", "name", "n_bytes"),
    "correction": ("newest_us", "marginal_id", "average_id", "declaration_id", "retirement_id", "note"),
    "restoration": ("retirement_id",),
}  # fmt: skip
"""What the text of each kind of record that is no entry holds."""


def leaf_data(record: Written) -> bytes:
    """Give the bytes of a leaf: `gridmargin-leaf-1` and the fields in order, apart by U+001F, the absent ones empty."""
    supersedes = "" if record.supersedes is None else record.supersedes
    recalibration = "" if record.recalibration_id is None else record.recalibration_id
    return (
        f"gridmargin-leaf-1\x1f{record.kind}\x1f{record.record_id}\x1f{record.recorded_us}\x1f{supersedes}"
        f"\x1f{recalibration}\x1f{record.said_sha256}"
    ).encode()


def last_ids(connection: Connection) -> dict[str, int]:
    """Give the newest id of each kind; 0 where there is none."""
    return {
        kind: connection.execute(f"SELECT max({key}) FROM {table}").fetchone()[0] or 0
        for kind, (table, key) in KINDS.items()
    }


def records_after(
    connection: Connection, ids: Mapping[str, int], kinds: Collection[str] = KINDS.keys()
) -> list[Written]:
    """Give what was written after these ids, kind by kind, each in the order of its ids."""
    found: list[Written] = []
    for kind in kinds:
        table, key = KINDS[kind]
        after = ids.get(kind, 0)
        if kind in CHANGES:
            found += [
                Written(kind, i, recorded_us, None, None, sha256_hex(text.encode()))
                for i, recorded_us, text in changes_text(connection, kind, f"{key} > ?", (after,))
            ]
        else:
            rows = connection.execute(
                f"SELECT {key}, recorded_us, supersedes, recalibration_id, entry_sha256 FROM {table} WHERE {key} > ?"
                f" ORDER BY {key}",
                (after,),
            )
            found += [Written(kind, *row) for row in rows]
    return found


def records_in_order(connection: Connection, kinds: Collection[str]) -> list[Written]:
    """Give everything of some kinds in the book by when it was written: what a log begins with."""
    return sorted(records_after(connection, {}, kinds), key=lambda record: record.recorded_us)


def changes_text(
    connection: Connection, kind: str, where: str, values: tuple[Any, ...]
) -> list[tuple[int, int, str]]:
    """Give id, recorded time [µs] and canonical JSON of the records of a kind of `CHANGES` that a condition picks."""
    table, key = KINDS[kind]
    columns = CHANGES[kind]
    rows = connection.execute(
        f"SELECT {key}, recorded_us, {', '.join(columns)} FROM {table} WHERE {where} ORDER BY {key}", values
    )
    return [(row[0], row[1], canonical_json(dict(zip(columns, row[2:], strict=True)))) for row in rows]
