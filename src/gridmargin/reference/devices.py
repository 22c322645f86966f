"""Boards by name: what they may draw, what they draw idle, how much memory they have, which sensor they carry."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from gridmargin.reference.tables import load_table
from gridmargin.vocab import UnknownNameError


@dataclass(frozen=True, slots=True)
class Device:
    """One accelerator. A figure that nobody published is None (C2).

    Attributes
    ----------
    device, maker : str
    power_limit_w : float or None
        What the board may draw by its maker's sheet. [W]
    idle_w : float or None
        Board power with no model loaded. [W]
    memory_gb : float
        [GB]
    sensor : str
        Family of its power sensor, `none` where no power can be read: it is modelled only.
    assumed : tuple of str
        Which of the figures are ours, and no document's.
    """

    device: str
    maker: str
    power_limit_w: float | None
    idle_w: float | None
    memory_gb: float
    sensor: str
    assumed: tuple[str, ...]
    source: str
    as_of: str

    @property
    def is_modelled_only(self) -> bool:
        """Whether no instrument tells its power."""
        return self.sensor == "none"

    def as_dict(self) -> dict[str, Any]:
        """Give plain JSON types."""
        return asdict(self)


@cache
def _devices() -> dict[str, Device]:
    """Every device by its name and its other names."""
    found = {}
    for row in load_table("devices"):
        limit, idle = (float(row[name]) if row[name] else None for name in ("power_limit_w", "idle_w"))
        device = Device(
            row["device"], row["maker"], limit, idle, float(row["memory_gb"]), row["sensor"],
            tuple(row["assumed"].split()), row["source"], row["as_of"],
        )  # fmt: skip
        for name in (row["device"], *filter(None, row["aliases"].split(";"))):
            found[name.casefold()] = device
    return found


def known_boards() -> list[Device]:
    """List the devices, by maker and name."""
    return sorted(set(_devices().values()), key=lambda device: (device.maker, device.device))


def device_named(name: str) -> Device:
    """Give the device of a name: ours, or what a driver calls it, such as `NVIDIA H100 80GB HBM3`.

    Raises
    ------
    UnknownNameError
        With near names.
    """
    device = device_of(name)
    if device is None:
        raise UnknownNameError("device", name, [one.device for one in known_boards()])
    return device


def device_of(name: str) -> Device | None:
    """Give the device of a name, or None for one that is not in the table."""
    known, text = _devices(), name.casefold()
    if text in known:
        return known[text]
    stated_gb = re.search(r"(\d+)\s?gb\b", text)
    for one in sorted(known, key=len, reverse=True):
        # As words of its own: `L40S` is no `L4`. Cards for PCIe share a name with modules and draw half as much.
        if re.search(rf"(?<![0-9a-z]){re.escape(one)}(?![0-9a-z])", text):
            other_form = "pcie" in text or re.search(r"\bnvl", text)
            other_size = stated_gb and float(stated_gb[1]) != known[one].memory_gb
            return None if other_form or other_size else known[one]
    return None


def busy_thread_w() -> tuple[float, str]:
    """Give what a busy thread of a server's CPU draws [W], and where that stands."""
    row = load_table("cpu_power")[0]
    return float(row["busy_w_per_thread"]), row["source"]
