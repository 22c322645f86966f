"""Read `rate.csv` and `state.csv` onto an even grid, every fault named by file and row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.sources.delimited import numbers, read_strings
from gridmargin.sources.folders import files_matching
from gridmargin.sources.source import Payload
from gridmargin.vocab import InputError, TableError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TIME, RATE = "time_utc", "rate_kg_per_kwh"
G_PER_KG = 1000.0

STEPS_S = (60, 300, 600, 900, 1200, 1800, 3600)
"""Lengths that an interval may have: those of the markets, all of which divide the hour."""

HIGHEST_KG_PER_KWH = 10.0
"""No plant emits this much a kilowatt-hour; a larger figure is in another unit."""

LONGEST_N = 5_000_000
"""More intervals than this, nine years of minutes, come from a wrong date and not from a series."""


@dataclass(frozen=True, slots=True)
class RateTable:
    """A published rate on an even grid, with the states beside it.

    Attributes
    ----------
    start_epoch_s : int
        Start of the first interval. [s since 1970 UTC]
    step_s : int
        Length of every interval. [s]
    rate_gco2_per_kwh : array, shape (n,)
        NaN where no row stands. [g kWh⁻¹]
    states : dict of str to array, shape (n,)
        By column, as known when the interval ended: those of coarser intervals from their own end on, those of finer
        ones by their last; NaN where not known.
    """

    start_epoch_s: int
    step_s: int
    rate_gco2_per_kwh: FloatArray
    states: dict[str, FloatArray]


def rate_tables(folder: Path) -> dict[str, Path]:
    """Find every `rate.csv` under a folder, by the name of the folder it lies in.

    Raises
    ------
    InputError
        If there is none, or two in folders of one name.
    """
    found = sorted({*([folder / "rate.csv"] if (folder / "rate.csv").is_file() else []),
                    *files_matching(folder, r"rate\.csv")})  # fmt: skip
    if not found:
        raise InputError(f"no file named rate.csv under {folder}; it needs columns {TIME} and {RATE}")
    tables = {path.resolve().parent.name: path for path in found}
    if len(tables) < len(found):
        raise InputError(f"two folders of one name under {folder} hold a rate.csv; name the folder to read")
    return tables


def read_rate_table(path: Path) -> RateTable:
    """Read a rate, and the `state.csv` beside it where there is one.

    Raises
    ------
    TableError
        If a cell cannot be read, a time stands twice or off the grid, or the rate is in another unit.
    """
    payload = Payload("rate.csv", path.name, path.read_bytes())
    frame = read_strings(payload, ",", (TIME, RATE))
    start = read_epochs(frame, path.name)
    rate = numbers(frame, payload, [RATE])[:, 0]
    row = frame["row"].to_numpy()
    beyond = np.abs(rate) > HIGHEST_KG_PER_KWH
    if beyond.any():
        at = int(beyond.argmax())
        raise TableError(
            f"{path.name}, row {row[at]}, column {RATE}: {rate[at]:g} is no rate in kg/kWh; convert it (1 g/kWh is 0.001)"
        )
    order = _in_order(start, row, path.name)
    start, rate, row = start[order], rate[order], row[order]
    step = _step(start, row, path.name)
    n = int((start[-1] - start[0]) // step) + 1
    if n > LONGEST_N:
        raise TableError(f"{path.name}: {n:,} intervals from first to last row; a date must be wrong")
    values = np.full(n, np.nan)
    values[(start - start[0]) // step] = rate * G_PER_KG
    states: dict[str, FloatArray] = {}
    beside = path.with_name("state.csv")
    if beside.is_file():
        states = _states(beside, int(start[0]), step, n)
    return RateTable(int(start[0]), step, values, states)


def _states(path: Path, first: int, step: int, n: int) -> dict[str, FloatArray]:
    payload = Payload("state.csv", path.name, path.read_bytes())
    frame = read_strings(payload, ",", (TIME,))
    start, row = read_epochs(frame, path.name), frame["row"].to_numpy()
    columns = [name for name in frame.columns if name not in (TIME, "row")]
    values = numbers(frame, payload, columns) if columns else np.empty((len(start), 0))
    order = _in_order(start, row, path.name)
    start, values = start[order], values[order]
    own_step = _step(start, row[order], path.name)
    return as_known(start, own_step, values, columns, first + step * np.arange(1, n + 1, dtype=np.int64))


def as_known(
    start: IntArray, step_s: int, values: FloatArray, names: list[str], at: IntArray
) -> dict[str, FloatArray]:
    """Give each column as known at moments: the newest interval that had ended, NaN where that is long past.

    Parameters
    ----------
    start : array of int64, shape (m,)
        Interval starts, increasing. [s since 1970 UTC]
    step_s : int
        Their length. [s]
    values : array, shape (m, k)
        One column a name.
    at : array of int64, shape (n,)
        Moments. [s since 1970 UTC]
    """
    newest = np.searchsorted(start + step_s, at, side="right") - 1
    age = at - (start[np.maximum(newest, 0)] + step_s)
    known = (newest >= 0) & (age < max(2 * step_s, 3600))
    return {name: np.where(known, values[np.maximum(newest, 0), k], np.nan) for k, name in enumerate(names)}


def read_epochs(frame: pl.DataFrame, name: str) -> IntArray:
    """Read the column `time_utc`, naming the row of a cell that is not a time. [s since 1970 UTC]"""
    out = np.empty(frame.height, dtype=np.int64)
    rows = frame["row"].to_list()
    for number, text in enumerate(frame[TIME].to_list()):
        try:
            moment = datetime.fromisoformat((text or "").strip())
        except ValueError:
            raise TableError(
                f"{name}, row {rows[number]}, column {TIME}: {text!r} is not an ISO 8601 time such as 2020-07-15T18:15Z"
            ) from None
        # The column's own name says UTC, so a time without an offset is in it.
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        out[number] = int(aware.timestamp())
    return out


def _in_order(start: IntArray, row: NDArray[np.int32], name: str) -> NDArray[np.intp]:
    order = np.argsort(start, kind="stable")
    twice = np.flatnonzero(np.diff(start[order]) == 0)
    if len(twice):
        first, second = sorted((int(row[order[twice[0]]]), int(row[order[twice[0] + 1]])))
        raise TableError(
            f"{name}, rows {first} and {second}: {_spelled(start[order[twice[0]]])} stands twice; remove one"
        )
    return order


def _step(start: IntArray, row: NDArray[np.int32], name: str) -> int:
    if len(start) < 2:
        raise TableError(f"{name} has one row; a series needs more")
    gaps, count = np.unique(np.diff(start), return_counts=True)
    step = int(gaps[count.argmax()])
    if step not in STEPS_S:
        raise TableError(f"{name}: most rows are {step} s apart; give intervals of 5, 15 or 60 minutes")
    off = (start - start[0]) % step != 0
    if off.any():
        at = int(off.argmax())
        raise TableError(
            f"{name}, row {row[at]}: {_spelled(start[at])} is off the grid of {step // 60} min that the other rows are on"
        )
    return step


def _spelled(epoch_s: np.int64) -> str:
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
