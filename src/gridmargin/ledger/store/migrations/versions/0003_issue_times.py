"""Forecasts keep the time they were issued at; what is no forecast has none.

A forecast that version 1 wrote down has no issue time: it is not known, and nothing is made up for it (C2).
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for kind in ("marginal", "average"):
        op.execute(f"ALTER TABLE {kind}_entries ADD COLUMN issued_us INTEGER")
        op.execute(
            f"CREATE INDEX {kind}_by_issue ON {kind}_entries (zone, issued_us, start_s) WHERE issued_us IS NOT NULL"
        )
        op.execute(
            f"CREATE TRIGGER {kind}_entries_issue BEFORE INSERT ON {kind}_entries"
            " WHEN (NEW.view = 'forecast') <> (NEW.issued_us IS NOT NULL) BEGIN"
            " SELECT RAISE(ABORT, 'a forecast, and nothing else, has an issue time (C3)'); END"
        )
