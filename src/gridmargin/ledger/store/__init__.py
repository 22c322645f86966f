"""Where the ledger's tables lie, SQLite or PostgreSQL, and their numbered migrations."""

from gridmargin.ledger.store.connection import Connection
from gridmargin.ledger.store.database import open_database
from gridmargin.ledger.store.place import Place, is_url, shown

__all__ = ["Connection", "Place", "is_url", "open_database", "shown"]
