"""The ledger in a PostgreSQL database; psycopg is imported here and nowhere else on the way of an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from gridmargin.ledger.store.connection import NOTHING
from gridmargin.ledger.store.place import FORM, shown
from gridmargin.vocab import InputError

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
except ImportError as error:
    raise InputError(
        "a ledger in PostgreSQL needs psycopg, which is not installed; pip install 'gridmargin[postgres]'"
    ) from error

WAIT_S = 30
"""How long a writer waits for the one before it. [s]"""

CONNECT_S = 10
"""How long to wait for a server that does not answer. [s]"""

OLDEST = 15
"""The oldest major version that the tests have met."""

_SETTINGS = (
    f"SET lock_timeout = '{WAIT_S}s'; SET client_min_messages = warning;"
    " SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') IN ('off', 'local')"
)
"""What was acknowledged survives a power cut, whatever the server was told to save time."""

_LEDGER = 0x6C6467
"""First key of the lock that writers queue at; the second is the schema's number."""

_BY_VALUES = 8
"""Up to so many rows one INSERT is quicker than COPY, which asks the server twice more."""


class PostgresConnection:
    """A connection that takes the ledger's statements; made again when the server was started anew.

    Values are put into the statement on this side, since the ledger's statements have values without a type
    (`? IS NULL`), and PostgreSQL would refuse those.

    Parameters
    ----------
    url : str
        Of the database.
    """

    DatabaseError = psycopg.DatabaseError

    def __init__(self, url: str) -> None:
        self._url = url
        self._within = False
        self._connection, self._lock = self._connect()

    @classmethod
    def within(cls, connection: psycopg.Connection[Any]) -> PostgresConnection:
        """Take the ledger's statements into a transaction that a migration has begun."""
        taken = cls.__new__(cls)
        taken._url, taken._lock, taken._within, taken._connection = "", "", True, connection
        return taken

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> psycopg.Cursor[Any]:
        """Run one statement; a question to a server that went away is asked once more."""
        try:
            return self._execute(sql, parameters)
        except psycopg.OperationalError:
            if self._within or not self._connection.broken or not sql.startswith(("SELECT", "BEGIN")):
                raise  # what was written so far is gone, so the rest must not go on alone
        self._connection, self._lock = self._connect()
        return self._execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> psycopg.Cursor[Any]:
        """Run one statement for each row of values, without waiting for each answer."""
        cursor = psycopg.Cursor(self._connection)
        cursor.executemany(_placed(sql), parameters)
        return cursor

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        same: Mapping[str, int | None] = NOTHING,
    ) -> None:
        """Append rows: few in one statement, many by COPY."""
        constants = tuple(same.values())
        held = [(*row, *constants) for row in rows]
        names = ", ".join([*columns, *same])
        if not held:
            return
        if len(held) <= _BY_VALUES:
            row = f"({', '.join(['%s'] * len(held[0]))})"
            psycopg.ClientCursor(self._connection).execute(
                f"INSERT INTO {table} ({names}) VALUES {', '.join([row] * len(held))}",
                [value for row in held for value in row],
            )
            return
        with self._connection.cursor().copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for line in held:
                copy.write_row(line)

    def insert_as_was(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Put rows in under the ids that they had elsewhere or before."""
        with self._connection.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def go_on_after(self, table: str, key: str, last_id: int) -> None:
        """Give the next new row of a table an id after this one."""
        self.execute("SELECT setval(pg_get_serial_sequence(?, ?), ?)", (table, key, last_id))

    @contextmanager
    def without_trigger(self, table: str, name: str) -> Iterator[None]:
        """Set a trigger aside within a transaction."""
        self.execute(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
        yield
        self.execute(f"ALTER TABLE {table} ENABLE TRIGGER {name}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Begin what is written whole or not at all."""
        if self._within:
            raise psycopg.InternalError("cannot start a transaction within a transaction")
        try:
            self.execute(f"BEGIN; SELECT pg_advisory_xact_lock({self._lock})")
            self._within = True
            yield
        except BaseException as error:
            self._within = False
            if not self._connection.broken:
                self._connection.execute("ROLLBACK")
            if isinstance(error, psycopg.errors.LockNotAvailable):
                raise InputError(
                    f"others are writing to the ledger {shown(self._url)} and let nobody in for {WAIT_S} s; try again later"
                ) from error
            raise
        self._within = False
        if (said := self._connection.execute("COMMIT").statusmessage) != "COMMIT":
            raise psycopg.InternalError(f"the transaction was not committed ({said})")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from bringing the same ledger up, and from writing, meanwhile."""
        self.execute(f"SELECT pg_advisory_lock({self._lock})")
        try:
            yield
        finally:
            self.execute(f"SELECT pg_advisory_unlock({self._lock})")

    def tables(self) -> set[str]:
        """Name the tables that are there."""
        found = self.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        return {row[0] for row in found}

    def compact(self) -> None:
        """Write the tables of entries anew without the room of what was deleted."""
        self.execute("VACUUM FULL marginal_entries")
        self.execute("VACUUM FULL average_entries")

    def damage(self) -> list[str]:
        """Say nothing: a server with data checksums tells damage when it reads it, and `pg_amcheck` looks for it."""
        return []

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def _execute(self, sql: str, parameters: Sequence[Any]) -> psycopg.Cursor[Any]:
        cursor = psycopg.ClientCursor(self._connection)
        if not parameters:
            return cursor.execute(sql)
        return cursor.execute(_placed(sql), [_whole(value) for value in parameters])

    def _connect(self) -> tuple[psycopg.Connection[Any], str]:
        connection, schema = connect(self._url)
        return connection, f"{_LEDGER}, {schema}"


def connect(url: str) -> tuple[psycopg.Connection[Any], int]:
    """Connect to the server, and give the number of the schema that unnamed tables are in too.

    Raises
    ------
    InputError
        If the URL cannot be read, the server is not reached, or it refuses; also if it is too old.
    """
    name = shown(url)
    try:
        said = conninfo_to_dict(url)
    except psycopg.Error:
        raise InputError(
            f"the ledger's URL {name} cannot be read; write {FORM}, with @ : / % # in a password percent-encoded"
        ) from None
    said.setdefault("connect_timeout", CONNECT_S)
    said.setdefault("application_name", "gridmargin")
    connection = None
    try:
        connection = psycopg.Connection.connect(make_conninfo("", **said), autocommit=True)
        connection.execute(_SETTINGS)
        return connection, _schema_number(connection, name)
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, psycopg.Error):
            raise InputError(_refusal(name, str(error), str(said.get("password") or ""))) from None
        raise


def for_migrations(url: str) -> psycopg.Connection[Any]:
    """Connect as SQLAlchemy wants it: values bound by the server, transactions begun by the driver."""
    connection, _ = connect(url)
    connection.autocommit = False
    return connection


def _refusal(name: str, said: str, password: str) -> str:
    """Say in one line why there is no connection, and what to do."""
    reason = re.sub(r"\s+", " ", said).strip()
    reason = re.sub(rf"(?<!\w){re.escape(password)}(?!\w)", "…", reason) if password else reason
    reason = re.sub(r"^connection failed: ", "", reason)[:300]
    if "password" in said or "authentication" in said:
        way_out = "correct the user or the password in the URL, or put it into PGPASSWORD or ~/.pgpass"
    elif "does not exist" in said and "FATAL" in said:
        way_out = "make it first, with createdb or createuser, or correct the URL"
    elif "FATAL" in said or "SSL" in said:
        way_out = "correct the URL, or let the server accept it"
    else:
        way_out = "start the server, or correct host and port in the URL"
    return f"no ledger at {name}: {reason}; {way_out}"


def _schema_number(connection: psycopg.Connection[Any], name: str) -> int:
    version = connection.info.server_version // 10_000
    if version < OLDEST:
        raise InputError(f"{name} is PostgreSQL {version}; a ledger needs {OLDEST} or newer")
    row = connection.execute(
        "SELECT current_setting('server_encoding'),"
        " (SELECT oid::bigint FROM pg_namespace WHERE nspname = current_schema())"
    ).fetchone()
    encoding, number = row or ("", None)
    if encoding != "UTF8":
        raise InputError(f"{name} is encoded in {encoding}; make a database with ENCODING 'UTF8'")
    if number is None:
        raise InputError(f"{name}: the search path names no schema that is there; correct it in the URL")
    return int(number) - (2**32 if number >= 2**31 else 0)


@lru_cache(maxsize=256)
def _placed(sql: str) -> str:
    """Write the places of values as psycopg does."""
    return sql.replace("%", "%%").replace("?", "%s")


def _whole(value: Any) -> Any:
    """Give whole seconds as integers: compared with another type, a column's index stands idle."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
