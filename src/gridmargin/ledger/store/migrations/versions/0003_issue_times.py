"""Forecasts keep the time they were issued at; what is no forecast has none.

A forecast that version 1 wrote down has no issue time: it is not known, and nothing is made up for it (C2).
"""

from gridmargin.ledger.store.tables import define, refuse_rows

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for kind in ("marginal", "average"):
        table = f"{kind}_entries"
        define(f"ALTER TABLE {table} ADD COLUMN issued_us INTEGER")
        define(
            f"CREATE INDEX {kind}_by_issue ON {table} (zone, issued_us, start_s) WHERE issued_us IS NOT NULL"
        )
        refuse_rows(
            f"{table}_issue", table, "(NEW.view = 'forecast') <> (NEW.issued_us IS NOT NULL)",
            "a forecast, and nothing else, has an issue time (C3)",
        )  # fmt: skip
