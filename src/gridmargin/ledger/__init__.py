"""Append-only book: what we said about each interval's factor, and when we said it.

Comes in: `Estimates` and the fits that gave them. Goes out: `Entry` records and `Factors` arrays, now or as known
at any earlier moment. Touches its own database, in SQLite or PostgreSQL.
"""

from gridmargin.ledger.book import Book
from gridmargin.ledger.changes import Declaration, GridChange, Recalibration
from gridmargin.ledger.entry import Entry, PayloadNote
from gridmargin.ledger.questions import Factors
from gridmargin.ledger.store import Place, is_url

__all__ = [
    "Book",
    "Declaration",
    "Entry",
    "Factors",
    "GridChange",
    "PayloadNote",
    "Place",
    "Recalibration",
    "is_url",
]
