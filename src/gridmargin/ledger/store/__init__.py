"""The ledger's SQLite tables and their numbered migrations."""

from gridmargin.ledger.store.database import open_database

__all__ = ["open_database"]
