"""The first tables: fits, payloads, and two books of entries that never meet (C3)."""

from gridmargin.ledger.store.tables import define, make_refusal, refuse_changes

revision = "0001"
down_revision = None

ENTRIES = """
CREATE TABLE {kind}_entries (
    entry_id INTEGER PRIMARY KEY AUTOINCREMENT,
    zone TEXT NOT NULL,
    start_s INTEGER NOT NULL,
    interval_s INTEGER NOT NULL CHECK (interval_s > 0),
    estimator TEXT NOT NULL,
    estimator_version TEXT NOT NULL,
    horizon TEXT NOT NULL,
    gases TEXT NOT NULL,
    boundary TEXT NOT NULL,
    view TEXT NOT NULL,
    {kind}_low_gco2_per_kwh REAL NOT NULL,
    {kind}_mid_gco2_per_kwh REAL NOT NULL,
    {kind}_high_gco2_per_kwh REAL NOT NULL,
    sources TEXT NOT NULL,
    conditions TEXT NOT NULL,
    regime TEXT NOT NULL,
    status TEXT NOT NULL,
    fit_id TEXT NOT NULL REFERENCES fits (fit_id),
    payload_sha256s TEXT NOT NULL,
    entry_sha256 TEXT NOT NULL,
    recorded_us INTEGER NOT NULL,
    supersedes INTEGER REFERENCES {kind}_entries (entry_id),
    CHECK ({kind}_low_gco2_per_kwh <= {kind}_mid_gco2_per_kwh),
    CHECK ({kind}_mid_gco2_per_kwh <= {kind}_high_gco2_per_kwh)
)
"""


def upgrade() -> None:
    define(
        "CREATE TABLE fits (fit_id TEXT PRIMARY KEY, estimator TEXT NOT NULL, zone TEXT NOT NULL,"
        " body TEXT NOT NULL, recorded_us INTEGER NOT NULL)"
    )
    define(
        "CREATE TABLE payloads (sha256 TEXT NOT NULL, source TEXT NOT NULL, name TEXT NOT NULL,"
        " n_bytes INTEGER NOT NULL, recorded_us INTEGER NOT NULL, PRIMARY KEY (sha256, source))"
    )
    for kind in ("marginal", "average"):
        define(ENTRIES.format(kind=kind))
        define(
            f"CREATE INDEX {kind}_by_interval ON {kind}_entries (zone, estimator, start_s, recorded_us, entry_id)"
        )
    make_refusal()
    for table in ("fits", "payloads", "marginal_entries", "average_entries"):
        refuse_changes(table)
