"""The index by interval holds the length of each, so that a question of one moment reads no row that does not touch it."""

from gridmargin.ledger.store.tables import define

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for kind in ("marginal", "average"):
        define(
            f"CREATE INDEX {kind}_by_stretch ON {kind}_entries"
            " (zone, estimator, start_s, interval_s, recorded_us, entry_id)"
        )
        define(f"DROP INDEX {kind}_by_interval")
