"""Copy a ledger to another place, row for row, so that it is the same ledger there: same ids, leaves, heads and proofs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gridmargin.ledger.audit import audit_book
from gridmargin.ledger.book import Book
from gridmargin.ledger.notes import PublicKey
from gridmargin.ledger.records import KINDS
from gridmargin.ledger.store import Connection
from gridmargin.vocab import InputError, TableError

CHUNK = 20_000
"""Rows moved at once."""

_ENTRIES = (
    "entry_id, zone, start_s, interval_s, estimator, estimator_version, horizon, gases, boundary, view,"
    " {kind}_low_gco2_per_kwh, {kind}_mid_gco2_per_kwh, {kind}_high_gco2_per_kwh, sources, conditions, regime, status,"
    " fit_id, payload_sha256s, entry_sha256, recorded_us, supersedes, source, issued_us, recalibration_id"
)
TABLES: Mapping[str, tuple[str, str]] = {
    "fits": ("fit_id", "fit_id, estimator, zone, body, recorded_us"),
    "payloads": ("payload_id", "payload_id, sha256, source, name, n_bytes, recorded_us"),
    "recalibrations": (
        "recalibration_id",
        "recalibration_id, kind, zone, estimator, reference, event, cause, reason, start_s, end_s, old_fit_id,"
        " new_fit_id, changes, recorded_us",
    ),
    "marginal_entries": ("entry_id", _ENTRIES.replace("{kind}", "marginal")),
    "average_entries": ("entry_id", _ENTRIES.replace("{kind}", "average")),
    "declarations": ("declaration_id", "declaration_id, zone, what, from_us, note, recorded_us"),
    "retirements": (
        "retirement_id",
        "retirement_id, file, sha256, n_rows, head, leaves, holds, before_s, zone, recorded_us",
    ),
    "retired_leaves": ("first_leaf", "first_leaf, end_leaf, retirement_id"),
    "clock_corrections": (
        "correction_id",
        "correction_id, newest_us, marginal_id, average_id, declaration_id, retirement_id, note, recorded_us",
    ),
    "restorations": ("restoration_id", "restoration_id, retirement_id, recorded_us"),
    "log_leaves": ("leaf_index", "leaf_index, kind, record_id, leaf_sha256"),
    "log_nodes": ("level, position", "level, position, node_sha256"),
    "log_heads": ("tree_size", "tree_size, note"),
    "log_cosignatures": ("tree_size, witness", "tree_size, witness, line"),
}
"""Every table of a ledger in the order in which the next one allows it: its key, and its columns with the key first."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied.

    Attributes
    ----------
    n_rows : mapping
        By table.
    tree_size : int
        Leaves of the log.
    root : bytes
        Its root, in both places.
    n_heads : int
        Signed heads, the same in both.
    """

    n_rows: Mapping[str, int]
    tree_size: int
    root: bytes
    n_heads: int


def copy(
    old: Book, new: Book, public: PublicKey | None = None, *, progress: Callable[[int], None] | None = None
) -> Copied:
    """Copy every row of a ledger into an empty one and check the copy like any ledger, all of it or nothing.

    Nobody writes to either meanwhile.

    Parameters
    ----------
    public : PublicKey, optional
        Checks the heads' signatures.
    progress : callable, optional
        Told how many leaves were copied more.

    Raises
    ------
    InputError
        If there is nothing to copy, or something is where it should go.
    TableError
        If the copy does not hold, or has another root or other heads.
    """
    if not len(old.log):
        raise InputError(f"the ledger {old.name} is empty; there is nothing to copy")
    with old.connection.transaction(), new.connection.transaction():
        for table in TABLES:
            if new.connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None:
                raise InputError(
                    f"the ledger {new.name} is not empty ({table} has rows); copy to a place with no ledger yet"
                )
        with new.connection.without_trigger("marginal_entries", "marginal_entries_issue"), new.connection.without_trigger("average_entries", "average_entries_issue"):  # fmt: skip
            n_rows = {
                table: _copy_table(
                    old.connection,
                    new.connection,
                    table,
                    key,
                    columns,
                    progress if table == "log_leaves" else None,
                )
                for table, (key, columns) in TABLES.items()
            }
        for kind, (table, key) in KINDS.items():
            last = old.connection.execute(
                "SELECT max(record_id) FROM log_leaves WHERE kind = ?", (kind,)
            ).fetchone()[0]
            if last is not None:
                new.connection.go_on_after(table, key, int(last))
        size, root = len(old.log), old.log.root()
        if len(new.log) != size or new.log.root() != root or new.log.heads() != old.log.heads():
            raise TableError(
                f"the copy in {new.name} has another root or other heads; nothing was kept of it"
            )
        found = audit_book(new, public)
        if not found.holds:
            raise TableError(
                f"the copy does not hold, nothing was kept of it: {found.faults[0]}; `gridmargin ledger verify` says"
                f" whether {old.name} does"
            )
        return Copied(n_rows, size, root, len(old.log.heads()))


def _copy_table(
    old: Connection,
    new: Connection,
    table: str,
    key: str,
    columns: str,
    progress: Callable[[int], None] | None,
) -> int:
    """Copy one table some rows at a time, in the order of its key."""
    names = columns.split(", ")
    n_keys = key.count(",") + 1
    places = ", ".join("?" * n_keys)
    n_rows, last, where = 0, (), ""
    while rows := old.execute(
        f"SELECT {columns} FROM {table} {where} ORDER BY {key} LIMIT {CHUNK}", last
    ).fetchall():
        new.insert_as_was(table, names, rows)
        n_rows += len(rows)
        last, where = tuple(rows[-1][:n_keys]), f"WHERE ({key}) > ({places})"
        if progress is not None:
            progress(len(rows))
    return n_rows
