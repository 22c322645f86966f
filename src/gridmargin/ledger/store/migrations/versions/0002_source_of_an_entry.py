"""Each entry names its source; a row cannot be replaced by inserting another with its key (C9)."""

from gridmargin.ledger.store.tables import define, refuse_replacement

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
        define(f"ALTER TABLE {kind}_entries ADD COLUMN source TEXT NOT NULL DEFAULT ''")
    for table, same_key in KEYS.items():
        refuse_replacement(table, same_key)
