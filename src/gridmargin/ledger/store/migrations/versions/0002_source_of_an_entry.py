"""Each entry names its source; a row cannot be replaced by inserting another with its key (C9)."""

from alembic import op

revision = "0002"
down_revision = "0001"

KEYS = {
    "fits": "fit_id = NEW.fit_id",
    "payloads": "sha256 = NEW.sha256 AND source = NEW.source",
    "marginal_entries": "entry_id = NEW.entry_id",
    "average_entries": "entry_id = NEW.entry_id",
}


def upgrade() -> None:
    for kind in ("marginal", "average"):
        op.execute(f"ALTER TABLE {kind}_entries ADD COLUMN source TEXT NOT NULL DEFAULT ''")
    # SQLite fires no delete trigger for INSERT OR REPLACE; this one stands in front of it.
    for table, same_key in KEYS.items():
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}"
            f" WHEN EXISTS (SELECT 1 FROM {table} WHERE {same_key}) BEGIN"
            f" SELECT RAISE(ABORT, 'the ledger is append-only (C9)'); END"
        )
