"""Open the database, brought up to the newest schema."""

from __future__ import annotations

import re
import shutil
import sqlite3
from importlib.resources import as_file, files
from pathlib import Path

from gridmargin.ledger.store import sqlite
from gridmargin.ledger.store.connection import Connection
from gridmargin.ledger.store.place import Place, file_of, is_url, shown
from gridmargin.vocab import DiskFullError, InputError, is_disk_full

NEWEST_SCHEMA = "0008"
"""Name of the last migration; a test holds it against the folder."""

ROOM_BYTES = 65_536
"""Below this SQLite finds no room for the index of its log, which it calls an input or output error. [B]"""

_OURS = "marginal_entries"
"""A table that every ledger has had."""


def open_database(place: Place) -> Connection:
    """Open the ledger at a path or a URL; a file is made where absent, a database is filled where empty.

    Raises
    ------
    InputError
        If what is there is no ledger, a newer gridmargin wrote it, or a server does not let us in.
    """
    return _open_postgres(str(place)) if is_url(place) else _open_sqlite(file_of(place))


def _open_sqlite(path: Path) -> Connection:
    connection = None
    try:
        connection = sqlite.connect(path)
        if _is_behind(connection, str(path)):
            with sqlite.alone(path):  # two processes may open a new ledger at once
                if _is_behind(connection, str(path)):
                    bring_up(path)
    except BaseException as error:
        if connection is not None:
            connection.close()
        cause = getattr(error, "orig", None) or error
        failed = getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR
        if is_disk_full(error) or (failed and shutil.disk_usage(path.parent).free < ROOM_BYTES):
            raise DiskFullError(f"the ledger {path}", str(cause)) from error
        if isinstance(error, sqlite3.DatabaseError) and not failed:
            raise InputError(_no_ledger(str(path), str(error))) from error
        raise
    return connection


def _open_postgres(url: str) -> Connection:
    # Imported here: a ledger in a file does not pay for it.
    from gridmargin.ledger.store.postgres import PostgresConnection

    connection = PostgresConnection(url)
    try:
        if _is_behind(connection, shown(url)):
            with connection.alone():
                if _is_behind(connection, shown(url)):
                    bring_up(url)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_behind(connection: Connection, name: str) -> bool:
    """Say whether migrations are missing; refuse what is no ledger or a newer one."""
    tables = connection.tables()
    if "alembic_version" not in tables:
        if tables:
            raise InputError(_no_ledger(name, f"it has the table {min(tables)} and no schema number"))
        return True
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        return True
    found = str(row[0])
    if not re.fullmatch(r"\d{4}", found) or _OURS not in tables:
        raise InputError(_no_ledger(name, f"schema {found}"))
    if found > NEWEST_SCHEMA:
        raise InputError(
            f"ledger {name} has schema {found}, newer than the {NEWEST_SCHEMA} known here; update gridmargin"
        )
    return found != NEWEST_SCHEMA


def _no_ledger(name: str, reason: str) -> str:
    way_out = (
        "give an empty database, or a schema of its own"
        if "://" in name
        else "move it away or give another `data_dir`"
    )
    return f"{name} is not a gridmargin ledger ({reason}); {way_out}"


def bring_up(place: Place, revision: str = "head") -> None:
    """Run the migrations up to a revision; who calls sees to it that nobody else does.

    Raises
    ------
    InputError
        If a server refuses a step; what came of that step is taken back.
    """
    # Imported here: only a new or old ledger pays for it.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy.exc import DBAPIError

    with as_file(files("gridmargin.ledger.store") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["place"] = place
        try:
            command.upgrade(config, revision)
        except DBAPIError as error:
            if not is_url(place):
                raise
            reason = str(error.orig).partition("\n")[0]
            raise InputError(
                f"ledger {shown(place)} cannot be brought to schema {NEWEST_SCHEMA}: {reason};"
                " let its user own the database, then try again"
            ) from error
