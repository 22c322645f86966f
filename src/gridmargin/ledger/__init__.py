"""Append-only book: what we said about each interval's factor, and when we said it.

Comes in: `Estimates` and the fits that gave them. Goes out: `Entry` records and `Factors` arrays, now or as known
at any earlier moment. Touches its own SQLite database, and a shelf of fits that may be deleted.
"""

from gridmargin.ledger.book import Book
from gridmargin.ledger.changes import Declaration, GridChange, Recalibration
from gridmargin.ledger.entry import Entry, PayloadNote
from gridmargin.ledger.questions import Factors
from gridmargin.ledger.shelf import Shelf

__all__ = ["Book", "Declaration", "Entry", "Factors", "GridChange", "PayloadNote", "Recalibration", "Shelf"]
