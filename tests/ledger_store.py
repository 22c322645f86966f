"""Where a test's ledger lies, so that one test speaks for every store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gridmargin.ledger import is_url
from gridmargin.ledger.store import Connection
from gridmargin.ledger.store.sqlite import connect

if TYPE_CHECKING:
    from postgresql_server import Server


@dataclass(frozen=True)
class Store:
    """One of the stores that a ledger can lie in.

    Attributes
    ----------
    empty, ledger : function
        Give the place of one more ledger, a path or a URL: with nothing there yet, or with the newest schema.
    """

    name: str
    empty: Callable[[], Path | str]
    ledger: Callable[[], Path | str]


def in_files(new_folder: Callable[[], Path]) -> Store:
    """Keep each ledger in a file of its own."""

    def place() -> Path:
        return new_folder() / "ledger.sqlite"

    return Store("sqlite", place, place)


def on_server(server: Server) -> Store:
    """Keep each ledger in a database of its own."""
    return Store("postgresql", server.new_database, server.new_ledger)


def bare(place: Path | str) -> Connection:
    """Connect past the ledger: no look at the schema, no migration."""
    if not is_url(place):
        return connect(Path(place))
    from gridmargin.ledger.store.postgres import PostgresConnection

    return PostgresConnection(str(place))


def made_of(place: Path | str) -> list[tuple[object, ...]]:
    """List tables, columns, constraints, indexes and triggers, in words that two equal ledgers share."""
    connection = bare(place)
    try:
        if not is_url(place):
            return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        return [
            row
            for question in (
                "SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name, is_identity"
                " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
                "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
                "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
                "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
            )
            for row in connection.execute(question)
        ]
    finally:
        connection.close()
