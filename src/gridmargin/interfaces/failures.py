"""The one error shape of every door, and what a person is told when something went wrong."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import Any

from gridmargin.vocab import DiskFullError, GridmarginError, is_disk_full

MENDABLE = 2
"""Exit code for what the user can mend: bad input, a full disk, a damaged file."""

DEFECT = 70
"""Exit code for what only we can mend (EX_SOFTWARE of sysexits.h)."""

_FILE_ENGINES = ("polars", "duckdb", "_duckdb", "pyarrow", "sqlite3", "sqlalchemy")
"""Whose errors, if they come this far, are about a file that cannot be read or written."""

_WAYS_OUT = {
    errno.EACCES: "change the permissions, or name another folder",
    errno.EPERM: "change the permissions, or name another folder",
    errno.EROFS: "name a folder that can be written",
}


_SQLITE = {
    5: "another process writes to it, try again when that is done",
    6: "another process writes to it, try again when that is done",
    8: "change the permissions, or name another folder",
    10: "see that its disk has room and is sound, then do the same again",
    11: "it is damaged: `gridmargin ledger export --salvage` takes out of a ledger what can still be read",
}
"""Ways out by SQLite's result code: busy, locked, read-only, input or output failed, corrupt."""


_PARAMETER = re.compile(r"`([a-z][a-z_]*)(?:=([^`]+))?`")

Spelling = Callable[[str, str | None], str | None]
"""`(name, value) -> text`: how a door writes a parameter; None where it has none of that name."""


def spelled(message: str, write: Spelling) -> str:
    """Let a door write each parameter that a message names as `name` or `name=value` in its own spelling."""
    return _PARAMETER.sub(lambda found: write(found[1], found[2]) or found[0], message)


def error_answer(code: str, message: str) -> dict[str, Any]:
    """Give `{"error": {"code", "message", "way_out"}}`; what follows the last semicolon is the way out."""
    what, _, way_out = message.rpartition("; ")
    return {"error": {"code": code, "message": message, "way_out": way_out if what else None}}


def told(error: Exception) -> tuple[int, str, str]:
    """Give the exit code, the error's code and the message for people.

    Notes
    -----
    Heavy libraries are told apart by name, so that a failure does not import them.
    """
    kind = type(error).__name__
    if isinstance(error, GridmarginError):
        return MENDABLE, kind, str(error)
    if isinstance(error, OSError) and error.errno is not None and not is_disk_full(error):
        named = f"{error.filename}: " if error.filename else ""
        way_out = _WAYS_OUT.get(error.errno, "check the path and try again")
        return MENDABLE, "OSError", f"{named}{error.strerror}; {way_out}"
    if is_disk_full(error):
        full = _full(error)
        return MENDABLE, type(full).__name__, str(full)
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), kind)
    if type(error).__module__.partition(".")[0] == "psycopg":
        return (
            MENDABLE,
            kind,
            f"the ledger's server did not do it: {first[:300]}; see that it runs and has room, then try again",
        )
    if type(error).__module__ == "sqlite3" and (said := _SQLITE.get(_sqlite_code(error))):
        return MENDABLE, kind, f"a database cannot be read or written: {first[:300]}; {said}"
    if type(error).__module__.partition(".")[0] in _FILE_ENGINES or isinstance(error, EOFError):
        return (
            MENDABLE,
            kind,
            f"a file cannot be read or written: {first[:300]}; it may be cut short, fetch it again",
        )
    return (
        DEFECT,
        "Internal",
        f"unexpected {kind}: {str(error)[:300] or 'no message'}; this is a defect of gridmargin, please report it with"
        " what the same command prints under GRIDMARGIN_DEBUG=1",
    )


def _full(error: Exception) -> DiskFullError:
    if isinstance(error, DiskFullError):
        return error
    if type(error).__module__.partition(".")[0] == "psycopg":
        first = next(iter(str(error).splitlines()), "disk full")
        return DiskFullError("the ledger's server", first[:300])
    named = getattr(error, "filename", None)
    said = getattr(error, "strerror", None) or next(iter(str(error).splitlines()), "disk full")
    return DiskFullError(str(named) if named else "what was to be written", str(said)[:300])


def _sqlite_code(error: Exception) -> int:
    """Give SQLite's result code without what it was doing; 0 where there is none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
