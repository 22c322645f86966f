"""Raw payloads that nothing rests on any more leave the archive; the index of fetches says when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gridmargin.ledger import KEEP_DAYS, Book
from gridmargin.sources import Archive, FetchIndex
from gridmargin.vocab import InputError, format_utc


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
        Told how many payloads were looked at more.

    Raises
    ------
    InputError
        If the moment is too new, or the ledger is empty.
    """
    newest = now_utc - timedelta(days=keep_days)
    if before_utc > newest:
        raise InputError(
            f"payloads of the newest {keep_days} days are not removed; give --before {format_utc(newest)} or earlier"
        )
    if not len(book.log):
        raise InputError(
            f"the ledger {book.name} is empty, so nothing tells what is needed; name the ledger that rests on this archive"
        )
    in_ledger, needed = book.payloads_in_use(), index.needed_from(before_utc)
    sizes = {True: [0, 0], False: [0, 0]}
    n_in_ledger = 0
    for kept in archive.kept():
        named = kept.sha256 in in_ledger
        n_in_ledger += named
        goes = not named and kept.sha256 not in needed and kept.kept_utc < before_utc
        if goes and remove:
            # Noted first: whoever is stopped in between has a note too many, and no payload missing unsaid.
            index.note_removed(kept.sha256, now_utc)
            goes = archive.remove(kept.sha256, before_utc)
        sizes[goes][0] += 1
        sizes[goes][1] += kept.n_bytes
        if progress is not None:
            progress(1)
    gone, stays = sizes[True], sizes[False]
    return Pruned(gone[0], gone[1], stays[0], stays[1], n_in_ledger, remove)
