"""What was recalibrated and why, and the changes of the grid that somebody declared."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(
        "CREATE TABLE recalibrations (recalibration_id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
        " zone TEXT NOT NULL, estimator TEXT NOT NULL, reference TEXT NOT NULL, event TEXT NOT NULL,"
        " cause TEXT NOT NULL, reason TEXT NOT NULL CHECK (length(trim(reason)) > 0),"
        " start_s INTEGER NOT NULL, end_s INTEGER NOT NULL CHECK (end_s > start_s),"
        " old_fit_id TEXT NOT NULL REFERENCES fits (fit_id), new_fit_id TEXT NOT NULL REFERENCES fits (fit_id),"
        " changes TEXT NOT NULL, recorded_us INTEGER NOT NULL)"
    )
    op.execute("CREATE INDEX recalibrations_by_zone ON recalibrations (zone, estimator, end_s)")
    op.execute(
        "CREATE TABLE declarations (declaration_id INTEGER PRIMARY KEY AUTOINCREMENT, zone TEXT NOT NULL,"
        " what TEXT NOT NULL CHECK (what IN ('fleet', 'fuel-price', 'market-rule')), from_us INTEGER NOT NULL,"
        " note TEXT NOT NULL CHECK (length(trim(note)) > 0), recorded_us INTEGER NOT NULL,"
        " UNIQUE (zone, what, from_us, note))"
    )
    for kind in ("marginal", "average"):
        op.execute(
            f"ALTER TABLE {kind}_entries ADD COLUMN recalibration_id INTEGER"
            " REFERENCES recalibrations (recalibration_id)"
        )
    for table in ("recalibrations", "declarations"):
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN"
                f" SELECT RAISE(ABORT, 'the ledger is append-only (C9)'); END"
            )
    for table, key in (("recalibrations", "recalibration_id"), ("declarations", "declaration_id")):
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}"
            f" WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) BEGIN"
            f" SELECT RAISE(ABORT, 'the ledger is append-only (C9)'); END"
        )
