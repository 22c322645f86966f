"""Runs the numbered migrations against one SQLite file."""

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

engine = create_engine(
    URL.create("sqlite", database=str(context.config.attributes["path"])),
    poolclass=NullPool,
    connect_args={"timeout": 30},
)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
