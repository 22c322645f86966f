"""AEMO unit by unit: the inventory of generators and their half-hourly output, as tables of text in, arrays out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.sources.aemo_tables import market_starts
from gridmargin.sources.delimited import numbers, read_strings
from gridmargin.sources.folders import files_matching, refuse_repeats
from gridmargin.sources.packed import pack, unpack
from gridmargin.sources.source import Payload
from gridmargin.vocab import Fuel, InputError, TableError, sha256_hex

FloatArray = NDArray[np.float64]

FIGURES = {
    "REG_CAP": "capacity_mw",
    "MIN_GEN": "minimum_mw",
    "EMISSIONS": "factor_t_per_mwh",
    "SRMC_2016-17": "marginal_cost_aud_per_mwh",
    "RR_UP": "ramp_mw_per_h",
    "MIN_ON_TIME": "minimum_up_h",
    "MIN_OFF_TIME": "minimum_down_h",
    "SU_COST_WARM": "start_cost_aud",
}
"""Columns of the inventory and what we call them; the cost column ends in its financial year."""

NEM_FUELS = {
    "Black coal": Fuel.COAL,
    "Brown coal": Fuel.LIGNITE,
    "Coal seam methane": Fuel.GAS,
    "Natural Gas (Pipeline)": Fuel.GAS,
    "Diesel oil": Fuel.OIL,
    "Kerosene - non aviation": Fuel.OIL,
    "Hydro": Fuel.HYDRO,
    "Solar": Fuel.SOLAR,
    "Wind": Fuel.WIND,
}
"""What the inventory calls a fuel, and our code."""

STATED_REGIONS = {"HUMEV": "VIC1", "MURRAY": "VIC1"}
"""Where the operator counts the units that the inventory places in New South Wales.

AEMO, CO2EII_AVAILABLE_GENERATORS of 2017-11-03, column REGIONID; of the inventory's 203 units no other differs.
"""

PACKED = "nem_units.zip"
"""Name of the payload that holds both unit tables, as published, so that they are parsed and kept together."""

_COST = "SRMC_"
_INVENTORY_FILE = r"generators\.csv(\.gz)?"
_DISPATCH_FILE = r"signals_dispatch\.csv(\.gz)?"


@dataclass(frozen=True, slots=True)
class UnitInventory:
    """Generators one by one.

    Attributes
    ----------
    names, fuels : tuple of str, length u
        As their publisher writes them.
    regions : tuple of str, length u
        The same, save for the units of `STATED_REGIONS`.
    figures : mapping of str to array, shape (u,)
        By the names in `FIGURES`; NaN where the cell is empty.
    payload_sha256 : str
    year : int
        In which the financial year of the costs begins.
    """

    names: tuple[str, ...]
    regions: tuple[str, ...]
    fuels: tuple[str, ...]
    figures: Mapping[str, FloatArray]
    payload_sha256: str
    year: int


@dataclass(frozen=True, slots=True)
class UnitDispatch:
    """Output of units by half hour.

    Attributes
    ----------
    start_epoch_s : array of int64, shape (n,)
        Strictly increasing. [s since 1970 UTC]
    names : tuple of str, length u
    output_mw : array, shape (n, u)
        Mean output; NaN where not known; below zero where a unit draws more than it makes. [MW]
    row : array of int32, shape (n,)
        Where each half hour stands in the table.
    payload_sha256 : str
    """

    start_epoch_s: NDArray[np.int64]
    names: tuple[str, ...]
    output_mw: FloatArray
    row: NDArray[np.int32]
    payload_sha256: str


def find_units(folder: Path) -> tuple[Payload, Payload]:
    """Read the inventory and the dispatch table that a folder holds.

    Raises
    ------
    InputError
        If either is not there.
    """
    inventory, dispatch = unit_table(folder), _file(folder, _DISPATCH_FILE)
    if inventory is None or dispatch is None:
        name = "generators.csv" if inventory is None else "signals_dispatch.csv"
        raise InputError(f"no file named {name} under {folder}")
    return inventory, dispatch


def unit_table(folder: Path) -> Payload | None:
    """Read the inventory that a folder holds, or give None."""
    return _file(folder, _INVENTORY_FILE)


def _file(folder: Path, pattern: str) -> Payload | None:
    paths = files_matching(folder, pattern)
    refuse_repeats(paths, lambda path: path.name)
    return Payload("aemo", paths[0].name, paths[0].read_bytes()) if paths else None


def unit_inventory(payload: Payload) -> UnitInventory:
    """Read the inventory.

    Raises
    ------
    TableError
        If a column is missing, a cell is no number, or a unit stands twice.
    """
    needed = [column for column in FIGURES if not column.startswith(_COST)]
    table = read_strings(payload, ",", ["DUID", "NEM_REGION", "FUEL_TYPE", *needed])
    costs = sorted(column for column in table.columns if re.fullmatch(_COST + r"\d{4}-\d{2}", column))
    if not costs:
        raise TableError(f"{payload.name}, row 1: no column such as {_COST}2016-17")
    names = table["DUID"].to_list()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(f"{payload.name}, column DUID: unit {twice[0]} stands twice; remove one")
    columns = [costs[-1] if column.startswith(_COST) else column for column in FIGURES]
    values = numbers(table, payload, columns)
    regions = [
        STATED_REGIONS.get(name, region) for name, region in zip(names, table["NEM_REGION"], strict=True)
    ]
    return UnitInventory(
        tuple(names),
        tuple(regions),
        tuple(table["FUEL_TYPE"].to_list()),
        {ours: values[:, at] for at, ours in enumerate(FIGURES.values())},
        sha256_hex(payload.body),
        int(costs[-1].removeprefix(_COST)[:4]),
    )


def unit_dispatch(payload: Payload) -> UnitDispatch:
    """Read the wide table of unit output: one column a unit, one row a half hour, named by its end.

    Raises
    ------
    TableError
        If a label or cell cannot be read, or a half hour stands twice.
    """
    table = read_strings(payload, ",", ["SETTLEMENTDATE"])
    starts = market_starts(payload, table).to_physical().to_numpy() // 1_000_000
    units = [column for column in table.columns if column not in ("row", "SETTLEMENTDATE")]
    if not units:
        raise TableError(f"{payload.name}, row 1: no unit beside SETTLEMENTDATE")
    cleaned = table.with_columns(
        pl.col(units).str.strip_chars().replace(["nan", "NaN", "NA"], [None, None, None])
    )
    values = numbers(cleaned, payload, units)
    order = np.argsort(starts, kind="stable")
    again = np.flatnonzero(np.diff(starts[order]) == 0)
    if len(again):
        row = table["row"][int(order[again[0] + 1])]
        raise TableError(f"{payload.name}, row {row}: this half hour stands twice; remove one")
    rows = table["row"].to_numpy()[order]
    return UnitDispatch(
        starts[order].astype(np.int64), tuple(units), values[order], rows, sha256_hex(payload.body)
    )


def fuels_of(inventory: UnitInventory) -> tuple[Fuel, ...]:
    """Give each unit's fuel.

    Raises
    ------
    TableError
        If a fuel is not known.
    """
    unknown = sorted(set(inventory.fuels) - set(NEM_FUELS))
    if unknown:
        raise TableError(f"unit inventory: fuel {unknown[0]!r} is not one of {', '.join(NEM_FUELS)}")
    return tuple(NEM_FUELS[name] for name in inventory.fuels)


def packed_units(folder: Path) -> Payload | None:
    """Give both unit tables of a folder in one ZIP, untouched inside, or None where either is missing.

    The same two tables give the same bytes.
    """
    try:
        found = find_units(folder)
    except InputError:
        return None
    return Payload("aemo", PACKED, pack((table.name, table.body) for table in found))


def is_packed_units(payload: Payload) -> bool:
    """Say whether a payload is what `packed_units` gives."""
    return payload.name == PACKED


def unpacked_units(payload: Payload) -> tuple[UnitInventory, UnitDispatch]:
    """Read both tables of a ZIP from `packed_units`.

    Raises
    ------
    TableError
        If it is damaged, or a table cannot be read.
    """
    inventory, dispatch = _members(payload)
    return unit_inventory(inventory), unit_dispatch(dispatch)


def dispatch_text(payload: Payload, row: int, names: Sequence[str]) -> str:
    """Give the sum of some units' cells in one row of the dispatch table."""
    table = read_strings(_members(payload)[1], ",", list(names)).filter(pl.col("row") == row)
    if not table.height:
        raise TableError(f"{payload.name} has no row {row}")
    return repr(math.fsum(float(table[name][0]) for name in names))


def _members(payload: Payload) -> tuple[Payload, Payload]:
    found = unpack(payload)
    if len(found) != 2:
        raise TableError(f"{payload.name} holds {len(found)} tables, want the inventory and the dispatch")
    inventory, dispatch = (Payload(payload.source, name, found[name]) for name in sorted(found))
    return inventory, dispatch
