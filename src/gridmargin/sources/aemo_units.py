"""AEMO unit by unit: the inventory of generators and their half-hourly output, as tables of text in, arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.sources.aemo import market_starts
from gridmargin.sources.delimited import numbers, read_strings
from gridmargin.sources.folders import files_matching, refuse_repeats
from gridmargin.sources.source import Payload
from gridmargin.vocab import InputError, TableError, sha256_hex

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

_COST = "SRMC_"
_INVENTORY_FILE = r"generators\.csv(\.gz)?"
_DISPATCH_FILE = r"signals_dispatch\.csv(\.gz)?"


@dataclass(frozen=True, slots=True)
class UnitInventory:
    """Generators one by one.

    Attributes
    ----------
    names, regions, fuels : tuple of str, length u
        As their publisher writes them.
    figures : mapping of str to array, shape (u,)
        By the names in `FIGURES`; NaN where the cell is empty.
    payload_sha256 : str
    """

    names: tuple[str, ...]
    regions: tuple[str, ...]
    fuels: tuple[str, ...]
    figures: Mapping[str, FloatArray]
    payload_sha256: str


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
    payload_sha256 : str
    """

    start_epoch_s: NDArray[np.int64]
    names: tuple[str, ...]
    output_mw: FloatArray
    payload_sha256: str


def find_units(folder: Path) -> tuple[Payload, Payload]:
    """Read the inventory and the dispatch table that a folder holds.

    Raises
    ------
    InputError
        If either is not there.
    """
    found = []
    for pattern, what in ((_INVENTORY_FILE, "generators.csv"), (_DISPATCH_FILE, "signals_dispatch.csv")):
        paths = files_matching(folder, pattern)
        refuse_repeats(paths, lambda path: path.name)
        if not paths:
            raise InputError(f"no file named {what} under {folder}")
        found.append(Payload("aemo", paths[0].name, paths[0].read_bytes()))
    return found[0], found[1]


def unit_inventory(payload: Payload) -> UnitInventory:
    """Read the inventory.

    Raises
    ------
    TableError
        If a column is missing, a cell is no number, or a unit stands twice.
    """
    needed = [column for column in FIGURES if not column.startswith(_COST)]
    table = read_strings(payload, ",", ["DUID", "NEM_REGION", "FUEL_TYPE", *needed])
    costs = sorted(column for column in table.columns if column.startswith(_COST))
    if not costs:
        raise TableError(f"{payload.name}, row 1: no column that begins with {_COST!r}")
    names = table["DUID"].to_list()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TableError(f"{payload.name}, column DUID: unit {twice[0]} stands twice; remove one")
    columns = [costs[-1] if column.startswith(_COST) else column for column in FIGURES]
    values = numbers(table, payload, columns)
    return UnitInventory(
        tuple(names),
        tuple(table["NEM_REGION"].to_list()),
        tuple(table["FUEL_TYPE"].to_list()),
        {ours: values[:, at] for at, ours in enumerate(FIGURES.values())},
        sha256_hex(payload.body),
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
    return UnitDispatch(starts[order].astype(np.int64), tuple(units), values[order], sha256_hex(payload.body))
