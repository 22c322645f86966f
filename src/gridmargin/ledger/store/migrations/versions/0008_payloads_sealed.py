"""Payloads get leaves; clocks can be corrected, retired entries restored, and heads cosigned.

What was noted of payloads before is sealed from here on, in the order of noting; before that it was not.
"""

from gridmargin.ledger.log import Log
from gridmargin.ledger.records import records_in_order
from gridmargin.ledger.store.tables import (
    APPEND_ONLY,
    define,
    drop_each,
    refuse_changes,
    refuse_each,
    refuse_replacement,
    within_migration,
)

revision = "0008"
down_revision = "0007"

RESTORED = (
    "EXISTS (SELECT 1 FROM log_leaves l JOIN retired_leaves s ON s.first_leaf = (SELECT max(first_leaf) FROM"
    " retired_leaves WHERE first_leaf <= l.leaf_index) AND s.end_leaf > l.leaf_index JOIN restorations r"
    " ON r.retirement_id = s.retirement_id WHERE l.kind = '{kind}' AND l.record_id = NEW.entry_id)"
)


def upgrade() -> None:
    define(
        "CREATE TABLE noted_payloads (payload_id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 TEXT NOT NULL,"
        " source TEXT NOT NULL, name TEXT NOT NULL, n_bytes INTEGER NOT NULL, recorded_us INTEGER NOT NULL,"
        " UNIQUE (sha256, source))"
    )
    define(
        "INSERT INTO noted_payloads (sha256, source, name, n_bytes, recorded_us)"
        " SELECT sha256, source, name, n_bytes, recorded_us FROM payloads ORDER BY recorded_us, sha256, source"
    )
    define("DROP TABLE payloads")
    define("ALTER TABLE noted_payloads RENAME TO payloads")
    define(
        "CREATE TABLE clock_corrections (correction_id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " newest_us INTEGER NOT NULL, marginal_id INTEGER NOT NULL, average_id INTEGER NOT NULL,"
        " declaration_id INTEGER NOT NULL, retirement_id INTEGER NOT NULL,"
        " note TEXT NOT NULL CHECK (length(trim(note)) > 0),"
        " recorded_us INTEGER NOT NULL CHECK (recorded_us < newest_us))"
    )
    define(
        "CREATE TABLE restorations (restoration_id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " retirement_id INTEGER NOT NULL UNIQUE REFERENCES retirements (retirement_id),"
        " recorded_us INTEGER NOT NULL)"
    )
    define(
        "CREATE TABLE log_cosignatures (tree_size INTEGER NOT NULL REFERENCES log_heads (tree_size),"
        " witness TEXT NOT NULL, line TEXT NOT NULL, PRIMARY KEY (tree_size, witness))"
    )
    for table, same_key in (
        ("payloads", "payload_id = NEW.payload_id OR (sha256 = NEW.sha256 AND source = NEW.source)"),
        ("clock_corrections", "correction_id = NEW.correction_id"),
        ("restorations", "restoration_id = NEW.restoration_id OR retirement_id = NEW.retirement_id"),
        ("log_cosignatures", "tree_size = NEW.tree_size AND witness = NEW.witness"),
    ):
        refuse_changes(table)
        refuse_replacement(table, same_key)
    for kind in ("marginal", "average"):
        table = f"{kind}_entries"
        drop_each(f"{table}_no_return", table)
        refuse_each(
            f"{table}_no_return", table, "INSERT",
            f"EXISTS (SELECT 1 FROM log_leaves WHERE kind = '{kind}' AND record_id = NEW.entry_id)"
            f" AND NOT {RESTORED.format(kind=kind)}", APPEND_ONLY,
        )  # fmt: skip
    connection = within_migration()
    Log(connection).extend(records_in_order(connection, ("payload",)))
