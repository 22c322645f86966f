"""EPA AVERT: how each region's fossil fleet answered its fossil load, one set of curves per region and year.

An input table set, not a `Source` of observations. A folder holds

    region_curves.parquet        year, region, load_bin_mw, gen_mw, co2_ton_ozone, co2_ton_nonozone, gen_<fuel>
    hourly_fossil_load.parquet   region, year, month, day, hour, fossil_load_mw
    units.parquet                year, region, fuel, name, …; in the unit order of the unit curves
    unit_curves/REGION_YEAR.npz  load_bins (b), gen, co2_oz, co2_not (units × b)

CO2 comes in short tons and leaves in grams; local standard time, hour-beginning, becomes UTC here and nowhere else.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.reference import load_table
from gridmargin.sources.source import Payload
from gridmargin.vocab import G_PER_SHORT_TON, Fuel, NotFoundError, TableError, UnknownNameError, sha256_hex

FloatArray = NDArray[np.float64]

CURVES, LOADS, UNITS, UNIT_CURVES = (
    "region_curves.parquet",
    "hourly_fossil_load.parquet",
    "units.parquet",
    "unit_curves",
)
OZONE_MONTHS = (5, 6, 7, 8, 9)
"""AVERT's ozone season, May to September (EPA AVERT User Manual, appendix on the Statistical Module)."""

_FUELS = {"coal": Fuel.COAL, "gas": Fuel.GAS, "oil": Fuel.OIL, "other": Fuel.OTHER}
_CURVE_COLUMNS = ("year", "region", "load_bin_mw", "gen_mw", "co2_ton_ozone", "co2_ton_nonozone")
_LOAD_COLUMNS = ("region", "year", "month", "day", "hour", "fossil_load_mw")
_UNIT_COLUMNS = ("year", "region", "fuel", "name", "max_gen_mw")
_MIN_BINS = 5
# The standard offset of a meridian in the contiguous states, for a region that the table does not name. [° east]
_MERIDIANS_DEG = (-115.0, -102.0, -85.5)


@dataclass(frozen=True, slots=True)
class AvertCurve:
    """One region's fossil fleet in one year, against its fossil load.

    Attributes
    ----------
    load_mw, generation_mw : arrays, shape (b,)
        Fossil load of each bin, increasing, and the generation EPA's statistics give for it. [MW]
    co2_g_per_h_ozone, co2_g_per_h_other : arrays, shape (b,)
        CO2 in May–September and in the other months. [g h⁻¹]
    fuel_generation_mw : mapping of Fuel to array, shape (b,)
        Generation by fuel; a fuel that the region lacks is absent. [MW]
    payload_sha256s : tuple of str
        Files it was read from.
    """

    region: str
    year: int
    load_mw: FloatArray
    generation_mw: FloatArray
    co2_g_per_h_ozone: FloatArray
    co2_g_per_h_other: FloatArray
    fuel_generation_mw: Mapping[Fuel, FloatArray]
    payload_sha256s: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AvertLoad:
    """One region's fossil load, hour by hour, in order of time.

    Attributes
    ----------
    start_epoch_s : array of int64, shape (n,)
        Hour starts. [s since 1970 UTC]
    load_mw : array, shape (n,)
        Mean fossil load of the hour. [MW]
    month, hour : arrays of int64, shape (n,)
        Of the local standard clock, 1–12 and 0–23.
    standard_utc_offset_h : float
        What was taken off the local standard clock. [h]
    payload_sha256s : tuple of str
        Files it was read from.
    """

    region: str
    year: int
    start_epoch_s: NDArray[np.int64]
    load_mw: FloatArray
    month: NDArray[np.int64]
    hour: NDArray[np.int64]
    standard_utc_offset_h: float
    payload_sha256s: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AvertUnits:
    """The units of one region and year: names, fuels and response, shape (u,) and (u, b)."""

    names: tuple[str, ...]
    fuels: tuple[Fuel, ...]
    load_mw: FloatArray
    generation_mw: FloatArray
    co2_g_per_h_ozone: FloatArray
    co2_g_per_h_other: FloatArray
    payload_sha256s: tuple[str, ...]


def find_avert_folder(data_dir: Path) -> Path:
    """Give the AVERT folder in `data_dir`: itself, or one below it, or one below its `grid`.

    Raises
    ------
    NotFoundError
        If there is none.
    TableError
        If there are several.
    """
    if (data_dir / CURVES).is_file():
        return data_dir
    found = sorted(path.parent for sub in ("", "grid") for path in (data_dir / sub).glob(f"*/{CURVES}"))
    if not found:
        raise NotFoundError(
            f"no AVERT folder in {data_dir}: looked for {CURVES} there, one folder below and in grid/"
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise TableError(f"{data_dir} holds several AVERT folders ({names}): name the one to read")
    return found[0]


def open_avert(data_dir: Path) -> AvertTables:
    """Give the tables of a folder, shared by all who ask while no file in it changes."""
    folder = find_avert_folder(data_dir)
    paths = [folder / CURVES, folder / LOADS, folder / UNITS, *(folder / UNIT_CURVES).glob("*.npz")]
    stats = [(path.name, path.stat()) for path in paths if path.is_file()]
    return _open_avert(folder, frozenset((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats))


@cache
def avert_region_offsets() -> dict[str, float]:
    """Give each known AVERT region's standard-time offset from UTC. [h]"""
    return {row["avert_region"]: float(row["standard_utc_offset_h"]) for row in load_table("avert_regions")}


class AvertTables:
    """The AVERT tables of one folder; each file is read and hashed when first needed.

    Parameters
    ----------
    folder : Path
        The AVERT folder, or one that `find_avert_folder` finds it in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = find_avert_folder(folder)
        self._hashes: dict[str, str] = {}

    def regions(self, year: int | None = None) -> list[str]:
        """List the regions that have curves, in that year where one is given."""
        return sorted({r for r, y in self._curve_frames if year is None or y == year})

    def years(self, region: str) -> list[int]:
        """List the years that have curves for a region."""
        return sorted(y for r, y in self._curve_frames if r == region)

    def payload_sha256(self, name: str) -> str:
        """Give the hash of a file of the folder by its path in it; the file is read if it was not yet."""
        if name not in self._hashes:
            self._body(name)
        return self._hashes[name]

    def payload(self, sha256: str) -> Payload | None:
        """Give a file that was read, by its hash; None where none of them has it."""
        for name, digest in self._hashes.items():
            if digest == sha256:
                return Payload("avert", name, self._body(name))
        return None

    def curve(self, region: str, year: int) -> AvertCurve:
        """Give one region's curve.

        Raises
        ------
        UnknownNameError
            If the folder has no such region, or not that year.
        TableError
            If the curve has fewer than 5 bins, loads that do not increase, or a value missing.
        """
        frame = self._pick(self._curve_frames, region, year)
        where = f"{CURVES}, {region} {year}"
        load = _numbers(frame, "load_bin_mw", where)
        if len(load) < _MIN_BINS:
            raise TableError(f"{where}: {len(load)} load bins, want at least {_MIN_BINS}")
        order = np.flatnonzero(np.diff(load) <= 0)
        if len(order):
            raise TableError(
                f"{where}: load_bin_mw does not increase after bin {order[0] + 1} ({load[order[0]]} MW)"
            )
        fuels = {fuel: f"gen_{name}" for name, fuel in _FUELS.items() if f"gen_{name}" in frame.columns}
        return AvertCurve(
            region=region,
            year=year,
            load_mw=load,
            generation_mw=_numbers(frame, "gen_mw", where),
            co2_g_per_h_ozone=_numbers(frame, "co2_ton_ozone", where) * G_PER_SHORT_TON,
            co2_g_per_h_other=_numbers(frame, "co2_ton_nonozone", where) * G_PER_SHORT_TON,
            fuel_generation_mw={
                fuel: _numbers(frame, column, where)
                for fuel, column in fuels.items()
                if frame[column].null_count() < frame.height
            },
            payload_sha256s=(self.payload_sha256(CURVES),),
        )

    def fossil_load(self, region: str, year: int) -> AvertLoad:
        """Give one region's hourly fossil load in UTC.

        Raises
        ------
        UnknownNameError
            If the folder has no such region, or not that year.
        TableError
            If an hour is no date or has no load.
        """
        frame = self._pick(self._load_frames, region, year)
        where = f"{LOADS}, {region} {year}"
        load = _numbers(frame, "fossil_load_mw", where)
        start = frame["start_local"]
        if start.null_count():
            row = int(start.is_null().arg_max() or 0) + 1
            raise TableError(f"{where}: row {row} is no date and hour")
        if not start.is_sorted():
            frame = frame.sort("start_local")
            start, load = frame["start_local"], _numbers(frame, "fossil_load_mw", where)
        if start.n_unique() < len(start):
            raise TableError(f"{where}: {len(start) - start.n_unique()} hours are there more than once")
        offset_h = self.standard_utc_offset_h(region)
        return AvertLoad(
            region=region,
            year=year,
            start_epoch_s=start.to_physical().to_numpy() // 1_000_000 - round(offset_h * 3600),
            load_mw=load,
            month=frame["month"].to_numpy().astype(np.int64),
            hour=frame["hour"].to_numpy().astype(np.int64),
            standard_utc_offset_h=offset_h,
            payload_sha256s=(self.payload_sha256(LOADS),),
        )

    def units(self, region: str, year: int) -> AvertUnits | None:
        """Give the units of one region, or None where the folder has no unit curves for it.

        Raises
        ------
        TableError
            If the unit curves cannot be read or do not match the unit table.
        """
        name = f"{UNIT_CURVES}/{re.sub(r'[^A-Za-z0-9]', '_', region)}_{year}.npz"
        if not (self.folder / name).is_file() or not (self.folder / UNITS).is_file():
            return None
        frame = self._unit_frames.get((region, year))
        if frame is None:
            return None
        try:
            with np.load(io.BytesIO(self._body(name)), allow_pickle=False) as arrays:
                load, generation, ozone, other = (
                    arrays[key].astype(np.float64) for key in ("load_bins", "gen", "co2_oz", "co2_not")
                )
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise TableError(f"{name} cannot be read ({error}); fetch it again") from error
        want = (frame.height, len(load))
        if not generation.shape == ozone.shape == other.shape == want:
            raise TableError(f"{name}: arrays of shape {generation.shape}, want {want} as in {UNITS}")
        return AvertUnits(
            names=tuple(frame["name"].fill_null("").to_list()),
            fuels=tuple(_FUELS.get(str(fuel).casefold(), Fuel.OTHER) for fuel in frame["fuel"]),
            load_mw=load,
            generation_mw=generation,
            co2_g_per_h_ozone=ozone * G_PER_SHORT_TON,
            co2_g_per_h_other=other * G_PER_SHORT_TON,
            payload_sha256s=(self.payload_sha256(UNITS), self.payload_sha256(name)),
        )

    def standard_utc_offset_h(self, region: str) -> float:
        """Give a region's standard-time offset, from the table or else from where its units stand. [h]"""
        known = avert_region_offsets().get(region)
        if known is not None:
            return known
        frames = [f for (r, _), f in self._unit_frames.items() if r == region and "lon" in f.columns]
        if not frames:
            raise UnknownNameError(
                "AVERT region (its standard time is not known)", region, avert_region_offsets()
            )
        place = pl.concat(frames).select("lon", "max_gen_mw").drop_nulls()
        longitude = float(np.average(place["lon"].to_numpy(), weights=place["max_gen_mw"].to_numpy()))
        return float(np.searchsorted(_MERIDIANS_DEG, longitude) - 8)

    @cached_property
    def _curve_frames(self) -> dict[tuple[str, int], pl.DataFrame]:
        return _by_region_year(self._table(CURVES, _CURVE_COLUMNS))

    @cached_property
    def _load_frames(self) -> dict[tuple[str, int], pl.DataFrame]:
        frame = self._table(LOADS, _LOAD_COLUMNS)
        clock = (pl.col(name).cast(pl.Int32, strict=False) for name in ("year", "month", "day", "hour"))
        try:
            frame = frame.with_columns(start_local=pl.datetime(*clock, time_unit="us"))
        except pl.exceptions.PolarsError as error:
            raise TableError(f"{self.folder / LOADS}: a row is no date and hour ({error})") from error
        return _by_region_year(frame)

    @cached_property
    def _unit_frames(self) -> dict[tuple[str, int], pl.DataFrame]:
        return _by_region_year(self._table(UNITS, _UNIT_COLUMNS)) if (self.folder / UNITS).is_file() else {}

    def _body(self, name: str) -> bytes:
        path = self.folder / name
        if not path.is_file():
            raise NotFoundError(f"{self.folder} lacks {name}")
        body = path.read_bytes()
        self._hashes[name] = sha256_hex(body)
        return body

    def _table(self, name: str, columns: tuple[str, ...]) -> pl.DataFrame:
        body = self._body(name)
        try:
            frame = pl.read_parquet(body)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise TableError(f"{self.folder / name} is truncated or no Parquet table ({error})") from error
        missing = [column for column in columns if column not in frame.columns]
        if missing:
            raise TableError(
                f"{self.folder / name} lacks the column {', '.join(missing)}; it has {', '.join(frame.columns)}"
            )
        return frame

    def _pick(self, frames: dict[tuple[str, int], pl.DataFrame], region: str, year: int) -> pl.DataFrame:
        if (region, year) in frames:
            return frames[region, year]
        years = sorted(y for r, y in frames if r == region)
        if not years:
            raise UnknownNameError("AVERT region", region, {r for r, _ in frames})
        raise UnknownNameError(f"year of AVERT region {region}", str(year), map(str, years))


def _by_region_year(frame: pl.DataFrame) -> dict[tuple[str, int], pl.DataFrame]:
    parts = frame.partition_by(["region", "year"], maintain_order=True, as_dict=True)
    return {(str(region), int(year)): part for (region, year), part in parts.items()}


def _numbers(frame: pl.DataFrame, column: str, where: str) -> FloatArray:
    try:
        values = frame[column].cast(pl.Float64).to_numpy()
    except pl.exceptions.PolarsError as error:
        raise TableError(f"{where}: column {column} is not numbers ({error})") from error
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise TableError(f"{where}: column {column}, row {bad[0] + 1} has no number")
    return values


@lru_cache(maxsize=4)
def _open_avert(folder: Path, stamps: frozenset[tuple[str, int, int]]) -> AvertTables:  # noqa: ARG001
    return AvertTables(folder)
