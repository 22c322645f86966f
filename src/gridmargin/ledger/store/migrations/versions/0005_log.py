"""The log under the book: a leaf for each thing written down, the tree over the leaves, and signed heads.

What stood in the book before gets its leaves in the order of writing: its recorded time, then marginal before average
entries, recalibrations and declarations. From there on it is as sealed as what comes later; before that it was not.
"""

from gridmargin.ledger.log import Log
from gridmargin.ledger.records import records_in_order
from gridmargin.ledger.store.tables import define, refuse_changes, refuse_replacement, within_migration

revision = "0005"
down_revision = "0004"

SEALED = ("marginal", "average", "recalibration", "declaration")
"""What there was to seal."""


def upgrade() -> None:
    define(
        "CREATE TABLE log_leaves (leaf_index INTEGER PRIMARY KEY, kind TEXT NOT NULL, record_id INTEGER NOT NULL,"
        " leaf_sha256 BLOB NOT NULL CHECK (length(leaf_sha256) = 32), UNIQUE (kind, record_id))"
    )
    define(
        "CREATE TABLE log_nodes (level INTEGER NOT NULL, position INTEGER NOT NULL,"
        " node_sha256 BLOB NOT NULL CHECK (length(node_sha256) = 32), PRIMARY KEY (level, position)) WITHOUT ROWID"
    )
    define("CREATE TABLE log_heads (tree_size INTEGER PRIMARY KEY, note TEXT NOT NULL)")
    for kind in ("marginal", "average"):
        define(f"CREATE INDEX {kind}_by_recorded ON {kind}_entries (recorded_us)")
        define(
            f"CREATE INDEX {kind}_by_superseded ON {kind}_entries (supersedes) WHERE supersedes IS NOT NULL"
        )
    connection = within_migration()
    Log(connection).extend(records_in_order(connection, SEALED))
    keys = {
        "log_leaves": "leaf_index = NEW.leaf_index OR (kind = NEW.kind AND record_id = NEW.record_id)",
        "log_nodes": "level = NEW.level AND position = NEW.position",
        "log_heads": "tree_size = NEW.tree_size",
    }
    for table, same_key in keys.items():
        refuse_changes(table)
        refuse_replacement(table, same_key)
