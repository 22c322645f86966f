"""The ledger in one SQLite file."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gridmargin.ledger.store.connection import NOTHING
from gridmargin.vocab import DiskFullError, is_disk_full

WAIT_S = 30
"""How long a writer waits for the one before it. [s]"""


class SQLiteConnection(sqlite3.Connection):
    """A connection of Python's own driver, with what the ledger asks beyond it."""

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        same: Mapping[str, int | None] = NOTHING,
    ) -> None:
        """Append rows."""
        constants = ("NULL" if value is None else str(value) for value in same.values())
        self.executemany(
            f"INSERT INTO {table} ({', '.join([*columns, *same])})"
            f" VALUES ({', '.join([*'?' * len(columns), *constants])})",
            rows,
        )

    def insert_as_was(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Put rows in under the ids that they had elsewhere or before."""
        self.insert(table, columns, rows)

    def go_on_after(self, table: str, key: str, last_id: int) -> None:  # noqa: ARG002
        """Give the next new row of a table an id after this one."""
        if not self.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (last_id, table)).rowcount:
            self.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last_id))

    @contextmanager
    def without_trigger(self, table: str, name: str) -> Iterator[None]:  # noqa: ARG002
        """Set a trigger aside within a transaction."""
        row = self.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", (name,)
        ).fetchone()
        self.execute(f"DROP TRIGGER {name}")
        yield
        self.execute(row[0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Begin what is written whole or not at all."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException as error:
            if self.in_transaction:  # a full disk makes SQLite take it back by itself
                self.execute("ROLLBACK")
            if is_disk_full(error) and not isinstance(error, DiskFullError):
                raise DiskFullError(f"the ledger {self.file()}", str(error)) from error
            raise

    def file(self) -> str:
        """Name the file."""
        return str(self.execute("PRAGMA database_list").fetchone()[2])

    def tables(self) -> set[str]:
        """Name the tables that are there."""
        return {row[0] for row in self.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def compact(self) -> None:
        """Write the file anew without the room of what was deleted."""
        self.execute("VACUUM")
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def damage(self) -> list[str]:
        """Let SQLite check its file."""
        try:
            rows = self.execute("PRAGMA integrity_check(20)").fetchall()
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [row[0] for row in rows if row[0] != "ok"]


def connect(path: Path) -> SQLiteConnection:
    """Open or make the file; what was committed survives a power cut.

    Raises
    ------
    sqlite3.DatabaseError
        If it is no SQLite file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        path, timeout=WAIT_S, isolation_level=None, check_same_thread=False, factory=SQLiteConnection
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes from bringing the same ledger up meanwhile."""
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
