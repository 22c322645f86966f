"""Every error gridmargin raises on purpose.

    GridmarginError
    ├── InputError            what the user gave cannot be used (exit code 2, HTTP 4xx)
    │   ├── UnknownNameError  a zone, device, model, estimator… that is not known; lists near names
    │   ├── TimeError         naive, reversed, misaligned or out-of-range time
    │   ├── TableError        a file or table that is truncated, lacks a column or holds a bad cell
    │   ├── PublisherError    a publisher that cannot be reached, or answers with something else than what was due
    │   ├── NoMeterError      an instrument that is not here, may not be read or does not answer
    │   └── NotFoundError     a receipt, entry or payload that is not there
    │       └── RetiredError  an entry that left the ledger for a signed file
    ├── NoFactorError         an interval without a marginal factor, and no permission to fill it (C8)
    ├── DiskFullError         what was to be written has no room (exit code 2, HTTP 507)
    ├── MixedKindsError       marginal with average, short-run with long-run, busbar with plug (C3)
    └── ConservationError     energy in is not energy out (C4)

A message names the thing, the row where there is one, and the way out.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class GridmarginError(Exception):
    """Root of the tree: catch this to catch everything gridmargin raises on purpose."""


class InputError(GridmarginError):
    """What the user gave cannot be used."""


class UnknownNameError(InputError):
    """A name that is not in its list.

    Attributes
    ----------
    kind : str
        What was looked up ("zone", "device", …).
    name : str
        What was asked for.
    near : tuple of str
        The closest known names, best first; all of them where none is close and the list is short.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        by_fold = {n.casefold(): n for n in names}
        close = difflib.get_close_matches(name.casefold(), by_fold, n=5, cutoff=0.5)
        close += [f for f in by_fold if name and name.casefold() in f and f not in close][:5]
        self.kind = kind
        self.name = name
        self.near = tuple(by_fold[f] for f in close) or tuple(names[:12])
        more = "" if close or len(names) <= 12 else f" … ({len(names)} in all)"
        lead = "did you mean" if close else "known"
        super().__init__(f"unknown {kind} {name!r}; {lead}: {', '.join(self.near)}{more}")


class TimeError(InputError):
    """A time that is naive, reversed, misaligned or out of range."""


class TableError(InputError):
    """A file or table that is truncated, lacks a column or holds a bad cell."""


class PublisherError(InputError):
    """A publisher that cannot be reached, or answers with something else than what was due.

    Attributes
    ----------
    publisher : str
        Who was asked.
    status : int or None
        What it answered over HTTP, where it did.
    """

    def __init__(self, publisher: str, message: str, status: int | None = None) -> None:
        self.publisher = publisher
        self.status = status
        super().__init__(message)


class NoMeterError(InputError):
    """An instrument that is not here, may not be read, or does not answer.

    Attributes
    ----------
    instrument : str
        Name of the meter.
    why : str
        What is missing.
    way_out : str
        What to do about it.
    """

    def __init__(self, instrument: str, why: str, way_out: str) -> None:
        self.instrument = instrument
        self.why = why
        self.way_out = way_out
        super().__init__(f"{instrument}: {why}; {way_out}")


class NotFoundError(InputError):
    """A receipt, entry or payload that is not there."""


class RetiredError(NotFoundError):
    """An entry that left the ledger for a signed file, which the message names."""


class NoFactorError(GridmarginError):
    """An interval has no marginal factor and nothing allowed filling it (C8)."""


class DiskFullError(GridmarginError):
    """What was to be written has no room; nothing of it was kept half-written.

    Attributes
    ----------
    where : str
        The file, folder or server that has no room.
    """

    def __init__(self, where: str, detail: str) -> None:
        self.where = where
        super().__init__(
            f"no space is left for {where} ({detail}), and nothing was written in part; free some space, or name a folder on"
            " another disk, then do the same again"
        )


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space left; quota exceeded; file above the size that the process may write."""

_SQLITE_FULL, _POSTGRESQL_FULL = 13, "53100"
_FULL_WORDS = ("no space left on device", "disk quota exceeded", "file too large", "database or disk is full")
"""How libraries say it that keep no code; compared in lower case."""


def is_disk_full(error: BaseException) -> bool:
    """Say whether an error of any library means that a disk has no room, whatever it is wrapped in."""
    found: BaseException | None = error
    for _ in range(8):
        if found is None:
            return False
        if isinstance(found, DiskFullError) or (isinstance(found, OSError) and found.errno in _FULL):
            return True
        if getattr(found, "sqlite_errorcode", 0) & 0xFF == _SQLITE_FULL:
            return True
        if getattr(found, "sqlstate", None) == _POSTGRESQL_FULL:
            return True
        if any(words in str(found).lower() for words in _FULL_WORDS):
            return True
        found = getattr(found, "orig", None) or found.__cause__
    return False


class MixedKindsError(GridmarginError, TypeError):
    """Two quantities of different kinds were combined (C3)."""


class ConservationError(GridmarginError):
    """Energy handed out differs from energy metered (C4)."""
