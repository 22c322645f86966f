"""One small table from a name to what it stands for; imports only what is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Generic, TypeVar, cast

from gridmargin.vocab.errors import UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Names and the `module:object` each stands for, plus what other distributions add.

    Parameters
    ----------
    kind : str
        What is registered, in the singular ("source", "estimator"); used in messages.
    group : str
        Entry-point group by which another distribution adds to the table.
    builtin : mapping of str to str
        Name to `module:object`.
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.group = group
        self._targets = dict(builtin)
        self._scanned = False

    def names(self) -> list[str]:
        """List every registered name, sorted."""
        if not self._scanned:
            for point in entry_points(group=self.group):
                self._targets.setdefault(point.name, point.value)
            self._scanned = True
        return sorted(self._targets)

    def get(self, name: str) -> T:
        """Import and give what `name` stands for.

        Raises
        ------
        UnknownNameError
            If nothing has that name.
        """
        if name not in self._targets and name not in self.names():
            raise UnknownNameError(self.kind, name, self.names())
        module, _, attribute = self._targets[name].partition(":")
        return cast(T, getattr(import_module(module), attribute))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())
