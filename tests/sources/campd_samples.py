"""EPA CAMPD's bulk files and eGRID's table of plants, small and by hand, in the columns that the agency gives them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

HEADER = (
    "State,Facility Name,Facility ID,Unit ID,Associated Stacks,Date,Hour,Operating Time,Gross Load (MW),"
    "Steam Load (1000 lb/hr),CO2 Mass (short tons),CO2 Mass Measure Indicator,Heat Input (mmBtu),Primary Fuel Type,"
    "Secondary Fuel Type,Unit Type,Program Code"
)
PLANTS = (
    "SEQPLT16,PSTATABB,PNAME,ORISPL,BANAME,BACODE\n"
    '1,OK,Redbud,101,"Southwest Power Pool, Inc.",SWPP\n'
    '2,OK,Sooner,102,"Southwest Power Pool, Inc.",SWPP\n'
    "3,OK,Elsewhere,103,Another,AECI\n"
)

COAL = ("Sooner", 102, "1", "Coal", "Dry bottom wall-fired boiler")
GAS = ("Redbud", 101, "CT-1", "Pipeline Natural Gas, Diesel Oil", "Combined cycle (Started May 1, 2004)")
TURBINE = ("Redbud", 101, "GT-9", "Natural Gas", "Combustion turbine")
STRANGER = ("Elsewhere", 103, "1", "Coal", "Dry bottom wall-fired boiler")

Unit = tuple[str, int, str, str, str]


def hours_of(first: date, last: date) -> list[tuple[date, int]]:
    """Every hour of some days."""
    days = (last - first).days + 1
    return [(first + timedelta(days=n), hour) for n in range(days) for hour in range(24)]


def unit_rows(
    unit: Unit,
    hours: Sequence[tuple[date, int]],
    load_mw: np.ndarray,
    ton_per_mwh: float,
    *,
    state="OK",
    time: float = 1.0,
    measured: np.ndarray | None = None,
) -> list[str]:
    """One unit's hours; a load of zero is an empty cell, as the agency leaves it."""
    name, plant, number, fuel, kind = unit
    rows = []
    for at, (day, hour) in enumerate(hours):
        load = float(load_mw[at])
        runs = load > 0
        is_measured = measured is None or bool(measured[at])
        ton = f"{load * time * ton_per_mwh:.6f}" if runs and is_measured else ""
        rows.append(
            f"{state},{name},{plant},{number},,{day:%Y-%m-%d},{hour},{time if runs else 0},"
            f'{f"{load:.6f}" if runs else ""},,{ton},{"Measured" if ton else ""},,"{fuel}",,"{kind}",ARP'
        )
    return rows


def write_campd(
    folder: Path, rows: Sequence[str], name="emissions-hourly-2025-ok.csv", plants=PLANTS
) -> None:
    """One bulk file, and the plants' table."""
    text = "\n".join([HEADER, *rows]) + "\n"
    body = text.encode()
    (folder / name).write_bytes(gzip.compress(body, 1) if name.endswith(".gz") else body)
    if plants:
        (folder / "egrid2023_plants.csv").write_text(plants)
