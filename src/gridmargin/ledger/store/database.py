"""Open the database, brought up to the newest schema."""

from __future__ import annotations

import fcntl
import sqlite3
from importlib.resources import as_file, files
from pathlib import Path

from gridmargin.vocab import InputError

NEWEST_SCHEMA = "0005"
"""Name of the last migration; a test holds it against the folder."""


def open_database(path: Path) -> sqlite3.Connection:
    """Open or make the ledger at `path`.

    Raises
    ------
    InputError
        If the file is not a ledger, or a newer gridmargin wrote it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        found = _schema(connection)
        if found != NEWEST_SCHEMA:
            if found is not None and found > NEWEST_SCHEMA:
                raise InputError(
                    f"ledger {path} has schema {found}, newer than the {NEWEST_SCHEMA} known here; update gridmargin"
                )
            with path.with_name(path.name + ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # two processes may open a new ledger at once
                if _schema(connection) != NEWEST_SCHEMA:
                    _migrate(path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise InputError(
            f"{path} is not a gridmargin ledger ({error}); move it away or give another --data-dir"
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _schema(connection: sqlite3.Connection) -> str | None:
    tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    if tables is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _migrate(path: Path) -> None:
    # Imported here: only a new or old ledger pays for it.
    from alembic import command
    from alembic.config import Config

    with as_file(files("gridmargin.ledger.store") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["path"] = path
        command.upgrade(config, "head")
