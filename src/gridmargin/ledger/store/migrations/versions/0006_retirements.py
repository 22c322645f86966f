"""Old entries may leave the database once a signed export holds them; their leaves, nodes and heads stay.

A body can be deleted only where its leaf lies in a stretch of a retirement that has a leaf itself, no stretch can be put
in once it has, and an entry that has a leaf is never put in again.
"""

from gridmargin.ledger.store.tables import (
    APPEND_ONLY,
    define,
    keep_but,
    refuse_changes,
    refuse_each,
    refuse_replacement,
)

revision = "0006"
down_revision = "0005"

SEALED = "EXISTS (SELECT 1 FROM log_leaves WHERE kind = 'retirement' AND record_id = {retirement})"
COVERED = (
    "EXISTS (SELECT 1 FROM log_leaves l JOIN retired_leaves s ON s.first_leaf = (SELECT max(first_leaf) FROM"
    " retired_leaves WHERE first_leaf <= l.leaf_index) AND s.end_leaf > l.leaf_index WHERE l.kind = '{kind}'"
    " AND l.record_id = OLD.entry_id AND " + SEALED.format(retirement="s.retirement_id") + ")"
)


def upgrade() -> None:
    define(
        "CREATE TABLE retirements (retirement_id INTEGER PRIMARY KEY AUTOINCREMENT, file TEXT NOT NULL,"
        " sha256 TEXT NOT NULL CHECK (length(sha256) = 64), n_rows INTEGER NOT NULL CHECK (n_rows > 0),"
        " head TEXT NOT NULL, leaves TEXT NOT NULL, holds TEXT NOT NULL, before_s INTEGER NOT NULL, zone TEXT,"
        " recorded_us INTEGER NOT NULL)"
    )
    define(
        "CREATE TABLE retired_leaves (first_leaf INTEGER PRIMARY KEY, end_leaf INTEGER NOT NULL"
        " CHECK (end_leaf > first_leaf), retirement_id INTEGER NOT NULL REFERENCES retirements (retirement_id))"
    )
    for table, same_key in (
        ("retirements", "retirement_id = NEW.retirement_id"),
        ("retired_leaves", "first_leaf = NEW.first_leaf"),
    ):
        refuse_changes(table)
        refuse_replacement(table, same_key)
    refuse_each(
        "retired_leaves_late", "retired_leaves", "INSERT", SEALED.format(retirement="NEW.retirement_id"),
        "a retirement that is sealed covers no more (C9)",
    )  # fmt: skip
    for kind in ("marginal", "average"):
        table = f"{kind}_entries"
        keep_but(table, COVERED.format(kind=kind))
        refuse_each(
            f"{table}_no_return", table, "INSERT",
            f"EXISTS (SELECT 1 FROM log_leaves WHERE kind = '{kind}' AND record_id = NEW.entry_id)", APPEND_ONLY,
        )  # fmt: skip
