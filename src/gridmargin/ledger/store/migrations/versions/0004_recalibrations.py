"""What was recalibrated and why, and the changes of the grid that somebody declared."""

from gridmargin.ledger.store.tables import define, is_postgres, refuse_changes, refuse_replacement

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    define(
        "CREATE TABLE recalibrations (recalibration_id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
        " zone TEXT NOT NULL, estimator TEXT NOT NULL, reference TEXT NOT NULL, event TEXT NOT NULL,"
        " cause TEXT NOT NULL, reason TEXT NOT NULL CHECK (length(trim(reason)) > 0),"
        " start_s INTEGER NOT NULL, end_s INTEGER NOT NULL CHECK (end_s > start_s),"
        " old_fit_id TEXT NOT NULL REFERENCES fits (fit_id), new_fit_id TEXT NOT NULL REFERENCES fits (fit_id),"
        " changes TEXT NOT NULL, recorded_us INTEGER NOT NULL)"
    )
    define("CREATE INDEX recalibrations_by_zone ON recalibrations (zone, estimator, end_s)")
    define(
        "CREATE TABLE declarations (declaration_id INTEGER PRIMARY KEY AUTOINCREMENT, zone TEXT NOT NULL,"
        " what TEXT NOT NULL CHECK (what IN ('fleet', 'fuel-price', 'market-rule')), from_us INTEGER NOT NULL,"
        " note TEXT NOT NULL CHECK (length(trim(note)) > 0), recorded_us INTEGER NOT NULL"
        + (")" if is_postgres() else ", UNIQUE (zone, what, from_us, note))")
    )
    if is_postgres():  # its index has no room for a long note
        define("CREATE UNIQUE INDEX declarations_said ON declarations (zone, what, from_us, md5(note))")
    for kind in ("marginal", "average"):
        define(
            f"ALTER TABLE {kind}_entries ADD COLUMN recalibration_id INTEGER"
            " REFERENCES recalibrations (recalibration_id)"
        )
    for table in ("recalibrations", "declarations"):
        refuse_changes(table)
    for table, key in (("recalibrations", "recalibration_id"), ("declarations", "declaration_id")):
        refuse_replacement(table, f"{key} = NEW.{key}")
