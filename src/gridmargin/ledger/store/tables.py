"""Words for the migrations: tables and the triggers that guard them, said once and made in either database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from alembic import op

if TYPE_CHECKING:
    from gridmargin.ledger.store.connection import Connection

APPEND_ONLY = "the ledger is append-only (C9)"

# Text is compared byte by byte in both, whatever language the server speaks.
_TYPES = (
    (r"\bINTEGER PRIMARY KEY AUTOINCREMENT\b", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    (r"\bINTEGER\b", "BIGINT"),
    (r"\bREAL\b", "DOUBLE PRECISION"),
    (r"\bTEXT\b", 'TEXT COLLATE "C"'),
    (r"\bBLOB\b", "BYTEA"),
    (r" WITHOUT ROWID\b", ""),
)


def is_postgres() -> bool:
    """Say whether a migration runs on PostgreSQL."""
    return op.get_context().dialect.name == "postgresql"


def within_migration() -> Connection:
    """Give the database that is being migrated, for what is filled in as the book would."""
    raw: Any = op.get_bind().connection.driver_connection
    if not is_postgres():
        return raw  # type: ignore[no-any-return]
    from gridmargin.ledger.store.postgres import PostgresConnection

    return PostgresConnection.within(raw)


def define(statement: str) -> None:
    """Run a statement whose types are written as SQLite's: INTEGER, REAL, TEXT, BLOB."""
    for written, meant in _TYPES if is_postgres() else ():
        statement = re.sub(written, meant, statement)
    op.execute(statement)


def make_refusal() -> None:
    """Give PostgreSQL, once, the function that its triggers call; SQLite's triggers refuse by themselves."""
    if is_postgres():
        op.execute(
            "CREATE FUNCTION ledger_refuses() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RAISE EXCEPTION USING MESSAGE = TG_ARGV[0]; END'"
        )


def refuse_changes(table: str) -> None:
    """Let no row of a table be changed or removed (C9)."""
    if is_postgres():
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses('{APPEND_ONLY}')"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN"
            f" SELECT RAISE(ABORT, '{APPEND_ONLY}'); END"
        )


def refuse_rows(name: str, table: str, condition: str, message: str) -> None:
    """Let no row in for which a condition on `NEW` holds."""
    if is_postgres():
        op.execute(
            f"CREATE TRIGGER {name} BEFORE INSERT ON {table} FOR EACH ROW WHEN ({condition})"
            f" EXECUTE FUNCTION ledger_refuses('{message}')"
        )
        return
    op.execute(
        f"CREATE TRIGGER {name} BEFORE INSERT ON {table} WHEN {condition} BEGIN"
        f" SELECT RAISE(ABORT, '{message}'); END"
    )


def refuse_replacement(table: str, same_key: str) -> None:
    """Let no row be replaced by inserting another with its key.

    SQLite fires no delete trigger for INSERT OR REPLACE, so this one stands in front of it; in PostgreSQL the
    statement that would, INSERT ... ON CONFLICT DO UPDATE, fires the trigger for updates.
    """
    if not is_postgres():
        key_is_there = f"EXISTS (SELECT 1 FROM {table} WHERE {same_key})"
        refuse_rows(f"{table}_no_replace", table, key_is_there, APPEND_ONLY)


def refuse_each(name: str, table: str, verb: str, condition: str, message: str) -> None:
    """Refuse an INSERT or DELETE of each row for which a condition holds that may ask other tables."""
    if is_postgres():
        row = "OLD" if verb == "DELETE" else "NEW"
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN"
            f" RAISE EXCEPTION USING MESSAGE = '{message}'; END IF; RETURN {row}; END $$"
        )
        op.execute(f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
        return
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {verb} ON {table} WHEN {condition} BEGIN"
        f" SELECT RAISE(ABORT, '{message}'); END"
    )


def drop_each(name: str, table: str) -> None:
    """Take back what `refuse_each` made."""
    op.execute(f"DROP TRIGGER {name} ON {table}" if is_postgres() else f"DROP TRIGGER {name}")
    if is_postgres():
        op.execute(f"DROP FUNCTION {name}()")


def keep_but(table: str, condition: str) -> None:
    """Let rows of a table that `refuse_changes` guards be removed where a condition on `OLD` holds; changed, still never."""
    if is_postgres():
        op.execute(f"DROP TRIGGER {table}_no_change ON {table}")
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuses('{APPEND_ONLY}')"
        )
    else:
        op.execute(f"DROP TRIGGER {table}_no_delete")
    refuse_each(f"{table}_no_delete", table, "DELETE", f"NOT {condition}", APPEND_ONLY)
