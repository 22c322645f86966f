"""What the ledger asks of a database: the same statements, whichever it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, Protocol

NOTHING: Mapping[str, int | None] = MappingProxyType({})


class Cursor(Protocol):
    """What came of one statement."""

    def fetchone(self) -> Any:
        """Give the next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Give the rows that are left."""
        ...

    def fetchmany(self, size: int) -> list[Any]:
        """Give some of the rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """An open ledger database. Outside a transaction each statement stands alone.

    Statements are written once for every database: values as `?`, `NULLS LAST` where the order of absent values
    matters, a name for each subquery, `RETURNING` for a new row's key.
    """

    @property
    def DatabaseError(self) -> type[Exception]:  # noqa: N802 (the name that DB-API gives it)
        """What the database raises where it cannot do what it was told."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Any:
        """Run one statement for each row of values."""
        ...

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        same: Mapping[str, int | None] = NOTHING,
    ) -> None:
        """Append rows, the quickest way the database has.

        Parameters
        ----------
        columns : sequence of str
            What a row holds, in order.
        same : mapping
            Further columns that hold one value in every row.
        """
        ...

    def insert_as_was(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Put rows in under the ids that they had elsewhere or before."""
        ...

    def go_on_after(self, table: str, key: str, last_id: int) -> None:
        """Give the next new row of a table an id after this one."""
        ...

    def without_trigger(self, table: str, name: str) -> AbstractContextManager[None]:
        """Set a trigger aside within a transaction: what it refuses today was allowed once."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Begin what is written whole or not at all; one process at a time is let in, readers are not kept out."""
        ...

    def tables(self) -> set[str]:
        """Name the tables that are there."""
        ...

    def damage(self) -> list[str]:
        """Say what the database itself finds wrong with its files, as far as it can tell."""
        ...

    def compact(self) -> None:
        """Give the room of what was deleted back; writers wait meanwhile."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
