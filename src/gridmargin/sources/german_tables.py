"""German tables beside ENTSO-E's: power plants (OPSD), day-ahead price, carbon price, and SMARD's own generation.

Pure parsers: a payload in, arrays out. What is local time becomes UTC here. Numbers in the carbon and SMARD tables are
German (`1.194,75` is one thousand one hundred and ninety-four and three quarters), some without quotes around the
comma, so they are read as text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.sources.delimited import numbers, read_strings, text_of
from gridmargin.sources.folders import files_matching, refuse_repeats
from gridmargin.sources.source import Payload
from gridmargin.vocab import InputError, TableError, sha256_hex

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BERLIN = ZoneInfo("Europe/Berlin")
PLANTS, PRICE, CARBON = (
    r"OPSD_conventional_power_plants_DE\.csv(\.gz)?",
    r"ENTSOE_DE_price\.csv(\.gz)?",
    r"eua-price\.csv(\.gz)?",
)
"""Names of the files; another country's have its code for DE, see `of_country`."""

PRICE_COLUMN = "DE_price"

CARBON_COLUMN = "Price"

CARBON_KNOWN_AFTER_S = 2 * 86_400
"""The auction of delivery day D closes on D − 1 at noon: it knows the weekly price of the day before that. [s]"""

_GONE = frozenset({"shutdown", "shutdown_temporary", "reserve"})


@dataclass(frozen=True, slots=True)
class PlantTable:
    """Thermal blocks one by one, as OPSD lists them.

    Attributes
    ----------
    names, fuels, technologies, statuses : tuple of str, length u
        As published; an empty status is `operating`.
    capacity_mw : array, shape (u,)
        Net; NaN where not known. [MW]
    efficiency : array, shape (u,)
        From a document where there is one, else OPSD's estimate, else NaN. [1]
    efficiency_is_documented : array of bool, shape (u,)
    commissioned, shutdown : arrays, shape (u,)
        Years; NaN where not known.
    payload_sha256 : str
    """

    names: tuple[str, ...]
    fuels: tuple[str, ...]
    technologies: tuple[str, ...]
    statuses: tuple[str, ...]
    capacity_mw: FloatArray
    efficiency: FloatArray
    efficiency_is_documented: NDArray[np.bool_]
    commissioned: FloatArray
    shutdown: FloatArray
    payload_sha256: str

    def in_market(self, year: int) -> NDArray[np.bool_]:
        """Say of each block whether it could sell power in all of a year, as far as the table knows."""
        built = ~(self.commissioned > year)
        closed = self.shutdown <= year
        gone = np.array([status in _GONE for status in self.statuses])
        still_there = ~gone | (self.shutdown > year)
        return np.asarray(built & ~closed & still_there & (self.capacity_mw > 0))


@dataclass(frozen=True, slots=True)
class Series:
    """One number from each moment on until the next.

    Attributes
    ----------
    start_epoch_s : array of int64, shape (n,)
        Strictly increasing. [s since 1970 UTC]
    value : array, shape (n,)
        In the unit that the reader states.
    row : array of int64, shape (n,)
        Where each stands in its table; the header is row 1.
    """

    start_epoch_s: IntArray
    value: FloatArray
    row: IntArray

    def known_at(self, epoch_s: IntArray) -> FloatArray:
        """Give the newest value at or before each moment, NaN before the first."""
        at = self.place_at(epoch_s)
        return np.where(at >= 0, self.value[np.maximum(at, 0)], np.nan)

    def place_at(self, epoch_s: IntArray) -> IntArray:
        """Give the place of the newest value at or before each moment, −1 before the first."""
        return np.searchsorted(self.start_epoch_s, epoch_s, side="right") - 1


def of_country(name: str, country: str) -> str:
    """Give the name of a file or column of Germany's as a country with the same layout has it."""
    return name.replace("_DE", f"_{country}").replace("DE_", f"{country}_")


def find_german(folder: Path, pattern: str) -> Payload | None:
    """Read the file of that name that a folder holds, or give None."""
    paths = files_matching(folder, pattern)
    refuse_repeats(paths, lambda path: path.name)
    return Payload("entsoe", paths[0].name, paths[0].read_bytes()) if paths else None


def power_plants(payload: Payload) -> PlantTable:
    """Read OPSD's list of conventional power plants.

    Raises
    ------
    TableError
        If a column is missing, an id stands twice, a cell is no number, or an efficiency is not in (0, 1].
    """
    texts = ("id", "fuel", "technology", "status")
    figures = (
        "capacity_net_bnetza",
        "efficiency_data",
        "efficiency_estimate",
        "commissioned",
        "shutdown",
        "retrofit",
    )
    table = read_strings(payload, ",", [*texts, *figures])
    ids = table["id"].to_list()
    if len(set(ids)) != len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise TableError(f"{payload.name}, column id: {twice} stands twice; remove one")
    capacity, documented, estimate, commissioned, shutdown, _ = numbers(table, payload, list(figures)).T
    for column, share in (("efficiency_data", documented), ("efficiency_estimate", estimate)):
        wrong = (share <= 0) | (share > 1)  # NaN is neither
        if wrong.any():
            at = int(wrong.argmax())
            raise TableError(
                f"{payload.name}, column {column}: {ids[at]} has {share[at]}, not a share of the fuel's energy; "
                "correct it or leave it empty"
            )
    return PlantTable(
        tuple(ids),
        tuple(table["fuel"].fill_null("").to_list()),
        tuple(table["technology"].fill_null("").to_list()),
        tuple(table["status"].fill_null("operating").to_list()),
        capacity,
        np.where(documented > 0, documented, estimate),
        documented > 0,
        commissioned,
        shutdown,
        sha256_hex(payload.body),
    )


@lru_cache(maxsize=4)
def day_ahead_price(payload: Payload, country: str = "DE") -> Series:
    """Read hourly prices of a country labelled by the start of the hour in local time with its offset. [EUR MWh⁻¹]

    Raises
    ------
    TableError
        If a label has no offset, or an hour stands twice with different prices (rows that repeat one are read
        once). An empty price is NaN.
    """
    column = of_country(PRICE_COLUMN, country)
    table = read_strings(payload, ",", ["local_datetime", column])
    starts = table["local_datetime"].str.to_datetime("%Y-%m-%d %H:%M:%S%z", strict=False, time_zone="UTC")
    if starts.null_count():
        at = int(starts.is_null().arg_true()[0])
        raise TableError(
            f"{payload.name}, row {at + 2}, column local_datetime: {table['local_datetime'][at]!r} is not a time with an offset (C1)"
        )
    return _series(
        payload,
        starts.dt.epoch("s").to_numpy().astype(np.int64),
        numbers(table, payload, [column])[:, 0],
        table["row"].to_numpy().astype(np.int64),
    )


@lru_cache(maxsize=4)
def carbon_price(payload: Payload) -> Series:
    """Read the weekly price of an emission allowance, whose decimal comma stands unquoted. [EUR t⁻¹]

    Raises
    ------
    TableError
        If it has no such rows or one cannot be read.
    """
    days, prices, rows = [], [], []
    for number, record in enumerate(
        csv.reader(io.StringIO(text_of(payload).decode("utf-8-sig", "replace"))), start=1
    ):
        if not record or record[0].startswith("#") or record[0] == "Date":
            continue
        try:
            days.append(
                int(datetime.strptime(record[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp())
            )
            prices.append(float(".".join(record[1:])))
            rows.append(number)
        except ValueError:
            raise TableError(
                f"{payload.name}, row {number}: {','.join(record)!r} is not a date and a price"
            ) from None
    if not days:
        raise TableError(f"{payload.name} has no rows with a date and a price")
    return _series(payload, np.array(days, dtype=np.int64), np.array(prices), np.array(rows))


def smard_generation(payload: Payload) -> tuple[IntArray, Mapping[str, FloatArray]]:
    """Read SMARD's quarter-hourly generation as a cross-check: starts, and mean power by column. [MW]

    An hour that the autumn clock shows twice is told apart by its order; an empty cell or a dash is NaN.

    Raises
    ------
    TableError
        If a column is missing or a label cannot be read.
    """
    body = text_of(payload).lstrip(b"\xef\xbb\xbf")
    table = read_strings(Payload(payload.source, payload.name, body), ";", ["Datum", "Uhrzeit"])
    columns = [name for name in table.columns if name.endswith("[MWh]")]
    local = (table["Datum"] + " " + table["Uhrzeit"]).str.to_datetime("%d.%m.%Y %H:%M", strict=False)
    if local.null_count() or not columns:
        raise TableError(f"{payload.name}: no columns in MWh, or a row without date and time")
    again = local.is_first_distinct().not_()
    first, second = (
        local.dt.replace_time_zone(BERLIN.key, ambiguous=which, non_existent="null").dt.epoch("s")
        for which in ("earliest", "latest")
    )
    starts = pl.select(pl.when(again).then(second).otherwise(first)).to_series()
    known = starts.is_not_null().to_numpy()
    values = {}
    for name in columns:
        text = table[name].str.strip_chars().replace(["-", ""], [None, None])
        plain = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        number = plain.cast(pl.Float64, strict=False)
        wrong = text.is_not_null() & number.is_null()
        if wrong.any():
            at = int(wrong.arg_true()[0])
            raise TableError(f"{payload.name}, row {at + 2}, column {name}: {text[at]!r} is not a number")
        values[name.removesuffix("[MWh]")] = number.to_numpy()[known] * 4.0
    return starts.to_numpy()[known].astype(np.int64), values


def smard_years(folder: Path, what: str) -> tuple[IntArray, dict[str, FloatArray]]:
    """Read every year of SMARD's `production` or `consumption` that a folder holds, as `smard_generation`; in order.

    Raises
    ------
    InputError
        If there is none.
    TableError
        As `smard_generation`, or if two files hold the same quarter hour.
    """
    paths = files_matching(folder, rf"smard_{what}_\d{{4}}\.csv(\.gz)?")
    if not paths:
        raise InputError(f"no files named smard_{what}_YYYY.csv under {folder}")
    parts = [smard_generation(Payload("smard", path.name, path.read_bytes())) for path in paths]
    start_s = np.concatenate([starts for starts, _ in parts])
    order = np.argsort(start_s, kind="stable")
    if (np.diff(start_s[order]) == 0).any():
        raise TableError(f"{', '.join(path.name for path in paths)} hold a quarter hour twice; remove one")
    names = [name for name in parts[0][1] if all(name in values for _, values in parts)]
    return start_s[order], {
        name: np.concatenate([values[name] for _, values in parts])[order] for name in names
    }


def need(payload: Payload | None, folder: Path, name: str) -> Payload:
    """Give the payload, or refuse a folder that lacks it.

    Raises
    ------
    InputError
        Naming file and folder.
    """
    if payload is None:
        raise InputError(f"no file named {name} under {folder}")
    return payload


def _series(payload: Payload, start_s: IntArray, value: FloatArray, row: IntArray) -> Series:
    order = np.argsort(start_s, kind="stable")
    start_s, value, row = start_s[order], value[order], row[order]
    again = np.flatnonzero(np.diff(start_s) == 0)
    agree = (value[again] == value[again + 1]) | (np.isnan(value[again]) & np.isnan(value[again + 1]))
    if not agree.all():
        moment = datetime.fromtimestamp(int(start_s[again[~agree][0]]), UTC)
        raise TableError(f"{payload.name}: {moment} stands twice with different values; remove one row")
    return Series(np.delete(start_s, again), np.delete(value, again), np.delete(row, again))
