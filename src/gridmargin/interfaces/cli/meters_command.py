"""`gridmargin meters`."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from gridmargin.interfaces.answers import meters_answer
from gridmargin.interfaces.cli.terminal import people_console

WORDS = {
    "energy_j": "energy",
    "power_w": "power",
    "mean_power_w": "mean power",
    "clock_mhz": "clock",
    "utilisation_frac": "utilisation",
}


def meters() -> dict[str, Any]:
    """Answer `gridmargin meters`."""
    return meters_answer()


def show_meters(answer: dict[str, Any]) -> None:
    """Print what can be read as a table, then what cannot and why."""
    console = people_console()
    found = [one for one in answer["meters"] if one["missing"] is None]
    table = Table(box=None, pad_edge=False)
    for heading in ("instrument", "device", "tells", "new every", "status", "by"):
        table.add_column(heading, no_wrap=heading in ("instrument", "new every", "status"))
    for one in found:
        for device in one["devices"]:
            model = f" ({device['model']})" if device["model"] else ""
            table.add_row(
                one["instrument"], device["device"] + model,
                ", ".join(WORDS[name] for name in device["quantities"]), f"{one['resolution_s']:g} s",
                device["status"] or "no energy", one["way"],
            )  # fmt: skip
    if found:
        console.print(table)
    for one in answer["meters"]:
        if one["missing"] is not None:
            console.print(f"{one['instrument']}: {one['missing']}; {one['way_out']}")
    if not any(device["status"] == "reported" for one in found for device in one["devices"]):
        console.print("no instrument can be read here: energy comes from profiles, and is marked as modelled")
