"""Append-only book: what we said about each interval's factor, and when we said it.

Comes in: `Estimates` and the fits that gave them. Goes out: `Entry` records and `Factors` arrays, now or as known
at any earlier moment; exports and proofs. Touches its own database, in SQLite or PostgreSQL, its key, the files of an
export, and a shelf of fits that may be deleted.
"""

from gridmargin.ledger.audit import Audit, audit_book, audit_export, clock_notes
from gridmargin.ledger.book import Book
from gridmargin.ledger.changes import Declaration, GridChange, Recalibration
from gridmargin.ledger.copied import Copied, copy
from gridmargin.ledger.corrections import TOLERANCE, Correction
from gridmargin.ledger.disagreement import (
    COUNTS,
    Band,
    Pair,
    Ranking,
    Signal,
    Table,
    bands,
    pairs,
    rankings,
    side_by_side,
)
from gridmargin.ledger.entry import Entry, PayloadNote
from gridmargin.ledger.export import Asked, export, manifest_of
from gridmargin.ledger.lookup import Lookup, Point
from gridmargin.ledger.notes import PublicKey, SignatureError, Signer, TreeHead
from gridmargin.ledger.questions import Factors
from gridmargin.ledger.restated import Restated, n_new_since, restated
from gridmargin.ledger.restore import restore
from gridmargin.ledger.retire import KEEP_DAYS, retire
from gridmargin.ledger.retirements import Held, Retirement
from gridmargin.ledger.shelf import Shelf
from gridmargin.ledger.store import Place, is_url
from gridmargin.ledger.witness import Witness, WitnessKey, cosigned, keep_cosignature, refusal

__all__ = [
    "COUNTS",
    "KEEP_DAYS",
    "TOLERANCE",
    "Asked",
    "Audit",
    "Band",
    "Book",
    "Copied",
    "Correction",
    "Declaration",
    "Entry",
    "Factors",
    "GridChange",
    "Held",
    "Lookup",
    "Pair",
    "PayloadNote",
    "Place",
    "Point",
    "PublicKey",
    "Ranking",
    "Recalibration",
    "Restated",
    "Retirement",
    "Shelf",
    "Signal",
    "SignatureError",
    "Signer",
    "Table",
    "TreeHead",
    "Witness",
    "WitnessKey",
    "audit_book",
    "audit_export",
    "bands",
    "clock_notes",
    "copy",
    "cosigned",
    "export",
    "is_url",
    "keep_cosignature",
    "manifest_of",
    "n_new_since",
    "pairs",
    "rankings",
    "refusal",
    "restated",
    "restore",
    "retire",
    "side_by_side",
]
