"""Raw payloads that nothing rests on any more leave the archive; the index of fetches says when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gridmargin.ledger import KEEP_DAYS, Book
from gridmargin.sources import Archive, FetchIndex, Kept
from gridmargin.vocab import InputError, format_utc

BATCH = 1000
"""Payloads noted and removed at once."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What leaves the archive, or would, and what stays.

    Attributes
    ----------
    n_payloads, n_bytes : int
        What leaves, as it lies on disk. [byte]
    n_kept, n_kept_bytes : int
        What stays. [byte]
    n_in_ledger : int
        Payloads that stay since a standing entry, or a fit in use, names them (C12).
    removed : bool
        Whether it was removed, or only counted.
    """

    n_payloads: int
    n_bytes: int
    n_kept: int
    n_kept_bytes: int
    n_in_ledger: int
    removed: bool


def prune(
    book: Book,
    archive: Archive,
    index: FetchIndex,
    before_utc: datetime,
    now_utc: datetime,
    *,
    remove: bool = False,
    keep_days: int = KEEP_DAYS,
    progress: Callable[[int], None] | None = None,
) -> Pruned:
    """Remove payloads from before a moment that no standing entry, no fit in use and no later stretch needs.

    Parameters
    ----------
    before_utc : datetime
        A payload goes only if it came before this moment and every stretch that it states ends before it.
    remove : bool
        Without it nothing is removed, and what would be is counted.
    keep_days : int
        Days before `now_utc` of which nothing is removed. [d]
    progress : callable, optional
        Told how many payloads were removed more.

    Raises
    ------
    InputError
        If the moment is too new, or the ledger is empty.
    """
    newest = now_utc - timedelta(days=keep_days)
    if before_utc > newest:
        raise InputError(
            f"payloads of the newest {keep_days} days are not removed; give `before={format_utc(newest)}` or earlier"
        )
    if not len(book.log):
        raise InputError(
            f"the ledger {book.name} is empty, so nothing tells what is needed; name the ledger that rests on this archive"
        )
    in_ledger, needed = book.payloads_in_use(), index.needed_from(before_utc)
    going: list[Kept] = []
    staying: list[Kept] = []
    for kept in archive.kept():
        rests_on = kept.sha256 in in_ledger or kept.sha256 in needed or kept.kept_utc >= before_utc
        (staying if rests_on else going).append(kept)
    for lo in range(0, len(going) if remove else 0, BATCH):
        batch = going[lo : lo + BATCH]
        # Noted first: whoever is stopped in between has a note too many, and no payload missing unsaid.
        index.note_removed([kept.sha256 for kept in batch], now_utc)
        staying += [kept for kept in batch if not archive.remove(kept.sha256, before_utc)]
        if progress is not None:
            progress(len(batch))
    left = set(staying)
    gone = [kept for kept in going if kept not in left]
    return Pruned(
        n_payloads=len(gone), n_bytes=sum(kept.n_bytes for kept in gone),
        n_kept=len(staying), n_kept_bytes=sum(kept.n_bytes for kept in staying),
        n_in_ledger=sum(kept.sha256 in in_ledger for kept in staying), removed=remove,
    )  # fmt: skip
