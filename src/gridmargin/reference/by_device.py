"""Profiles of a table, found by device and by any name of a model."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from gridmargin.reference.tables import load_table
from gridmargin.vocab import UnknownNameError


class OfDevice(Protocol):
    """A profile of one model on one device: a dataclass of text and numbers."""

    @property
    def device(self) -> str:
        """Accelerator."""
        ...

    @property
    def model(self) -> str:
        """Model, by the name that the table has first."""
        ...


P = TypeVar("P", bound=OfDevice)


class ByDevice(Generic[P]):
    """The profiles of one table.

    Parameters
    ----------
    table : str
        Name of the table; its column `aliases` holds other names of the model.
    kind : type
        What a row becomes; columns that it has no field for are left.
    what : str
        For people: what is looked for, such as `model`.
    """

    def __init__(self, table: str, kind: type[P], what: str) -> None:
        self._table = table
        self._kind: Any = kind
        self._what = what

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], P]:
        found: dict[tuple[str, str], P] = {}
        for row in load_table(self._table):
            values = {
                f.name: row[f.name] if f.type == "str" else float(row[f.name]) for f in fields(self._kind)
            }
            profile = self._kind(**values)
            for name in (row["model"], *row["aliases"].split()):
                found[profile.device.casefold(), name.casefold()] = profile
        return found

    def devices(self) -> list[str]:
        """List devices with a profile."""
        return sorted({profile.device for profile in self._by_name.values()})

    def models(self, device: str) -> list[str]:
        """List models with a profile on a device."""
        return sorted({p.model for p in self._by_name.values() if p.device.casefold() == device.casefold()})

    def get(self, device: str, model: str) -> P | None:
        """Give a profile, or None where there is none."""
        return self._by_name.get((device.casefold(), model.casefold()))

    def find(self, device: str, model: str) -> P:
        """Give a profile.

        Raises
        ------
        UnknownNameError
            With near names.
        """
        if not self.models(device):
            raise UnknownNameError("device", device, self.devices())
        found = self.get(device, model)
        if found is None:
            raise UnknownNameError(f"{self._what} on {device}", model, self.models(device))
        return found
