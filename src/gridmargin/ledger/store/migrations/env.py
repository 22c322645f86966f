"""Runs the numbered migrations against one SQLite file, each in a transaction of its own: whole or not at all."""

from typing import Any

from alembic import context
from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

engine = create_engine(
    URL.create("sqlite", database=str(context.config.attributes["path"])),
    poolclass=NullPool,
    connect_args={"timeout": 30},
)


@event.listens_for(engine, "connect")
def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
    # Python's driver begins no transaction for CREATE and ALTER, so that each would stand alone; SQLite can take them back.
    connection.isolation_level = None


@event.listens_for(engine, "begin")
def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


with engine.connect() as connection:
    context.configure(connection=connection, transactional_ddl=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
