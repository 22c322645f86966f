"""Put retired entries back from the file that holds them: as they were, under the ids and leaves that they had."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl

from gridmargin.ledger.audit import audit_export, leaves_of, rows_in
from gridmargin.ledger.book import Book
from gridmargin.ledger.export import FACTORS, file_sha256
from gridmargin.ledger.retirements import Retirement, retirements
from gridmargin.ledger.rows import stored_name
from gridmargin.vocab import InputError, Kind, NotFoundError, TableError

_SHARED = (
    "zone", "start_s", "interval_s", "estimator", "estimator_version", "horizon", "gases", "boundary", "view",
    "sources", "conditions", "regime", "status", "fit_id", "payload_sha256s", "entry_sha256", "recorded_us",
    "supersedes", "issued_us", "recalibration_id", "source",
)  # fmt: skip


def restore(book: Book, path: Path, now_utc: datetime) -> Retirement:
    """Put the entries of a retirement's file back, and write down that they are back: all of it or nothing.

    Raises
    ------
    InputError
        If the entries stand in the ledger already, or the ledger was opened without its key.
    NotFoundError
        If no retirement names this file.
    TableError
        If the file fails its audit, or a row of it is not what its leaf says.
    """
    if book.signer is None:
        raise InputError(
            "this ledger was opened without a key; give a signer to have a restored file checked"
        )
    found = audit_export(path, book.signer.public())
    if not found.holds:
        raise TableError(f"{path.name} does not pass its audit, nothing was put back: {found.faults[0]}")
    digest = file_sha256(path)
    # The same entries retired twice make the same file: the retirement that stands is the one to undo.
    of_file = [one for one in retirements(book.connection) if one.sha256 == digest]
    standing = [one for one in retirements(book.connection, standing=True) if one.sha256 == digest]
    retirement = next(iter(standing or of_file), None)
    if retirement is None:
        raise NotFoundError(
            f"no retirement of the ledger {book.name} names {path.name} (SHA-256 {digest}); give the file that"
            " `gridmargin ledger retire` wrote"
        )
    assert retirement.retirement_id is not None
    book.restore(retirement.retirement_id, now_utc, lambda: _put_back(book, path, retirement))
    return retirement


def _put_back(book: Book, path: Path, retirement: Retirement) -> None:
    n_put = 0
    for frame in rows_in(path):
        first, last = frame["leaf_index"][0], frame["leaf_index"][-1]
        stood = {
            row[0]: bytes(row[1])
            for row in book.connection.execute(
                "SELECT leaf_index, leaf_sha256 FROM log_leaves WHERE leaf_index >= ? AND leaf_index <= ?",
                (first, last),
            )
        }
        for index, leaf in zip(frame["leaf_index"].to_list(), leaves_of(frame), strict=True):
            if stood.get(index) != leaf:
                raise TableError(
                    f"{path.name}: the row of leaf {index} is not what the log of {book.name} says; nothing was put back"
                )
        for kind in Kind:
            columns = [stored_name(name, kind) for name in FACTORS] + list(_SHARED)
            part = frame.filter(pl.col("kind") == kind.value)
            book.connection.insert_as_was(
                f"{kind.value}_entries",
                ("entry_id", *columns),
                part.select("record_id", *columns).iter_rows(),
            )
            n_put += part.height
    if n_put != retirement.n_rows:
        raise TableError(
            f"{path.name} holds {n_put} entries and the retirement {retirement.n_rows}; nothing was put back"
        )
