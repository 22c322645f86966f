"""Runs the numbered migrations against one database, each in a transaction of its own: whole or not at all."""

from functools import partial
from typing import Any

from alembic import context
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from gridmargin.ledger.store.place import Place, file_of, is_url
from gridmargin.ledger.store.sqlite import SQLiteConnection


def sqlite_engine(place: Place) -> Engine:
    """Reach a file; its driver begins no transaction for CREATE and ALTER, though SQLite can take them back."""
    url = URL.create("sqlite", database=str(file_of(place)))
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": 30, "factory": SQLiteConnection})

    @event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def postgres_engine(url: str) -> Engine:
    """Reach a server the way the ledger does."""
    from gridmargin.ledger.store.postgres import for_migrations

    return create_engine("postgresql+psycopg://", poolclass=NullPool, creator=partial(for_migrations, url))


place = context.config.attributes["place"]
engine = postgres_engine(place) if is_url(place) else sqlite_engine(place)
with engine.connect() as connection:
    context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
