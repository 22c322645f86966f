"""EPA CAMPD: what every fossil unit of 25 MW and more generated and emitted, measured hour by hour.

An input table set, not a `Source` of observations. A folder holds the agency's bulk files, either one a state
(`emissions-hourly-2025-ok.csv`) or one a quarter (`emissions-hourly-2025-q1.csv`), packed or not, and EPA eGRID's table of
plants (a CSV named `…egrid…` with `ORISPL`, `BACODE` and `PSTATABB`), which says whose area a plant stands in.
`Date` and `Hour` are the local standard time of the plant's state and become UTC here and nowhere else. `Gross Load` is
the power while the unit ran, so that times `Operating Time` it is the hour's energy; what the plant itself uses is taken
off. CO2 comes in short tons and leaves in grams.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.reference import load_table
from gridmargin.sources.delimited import numbers, read_strings, text_of
from gridmargin.sources.folders import files_matching, refuse_repeats
from gridmargin.sources.source import Payload
from gridmargin.vocab import G_PER_SHORT_TON, Fuel, TableError, sha256_hex

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LAST_DAY = {"q1": "03-31", "q2": "06-30", "q3": "09-30", "q4": "12-31"}
QUARTERS = frozenset(LAST_DAY)
HOUR_S = 3600

STATE, NAME, PLANT, UNIT, DATE, HOUR = "State", "Facility Name", "Facility ID", "Unit ID", "Date", "Hour"
TIME, LOAD, CO2 = "Operating Time", "Gross Load (MW)", "CO2 Mass (short tons)"
FUEL, KIND = "Primary Fuel Type", "Unit Type"

FUELS = {
    "Coal": Fuel.COAL,
    "Coal Refuse": Fuel.COAL,
    "Diesel Oil": Fuel.OIL,
    "Natural Gas": Fuel.GAS,
    "Other Gas": Fuel.GAS,
    "Other Oil": Fuel.OIL,
    "Pipeline Natural Gas": Fuel.GAS,
    "Process Gas": Fuel.GAS,
    "Residual Oil": Fuel.OIL,
}
"""What the agency calls a primary fuel; of several the first; what is not listed is `other`."""

NET_OF_GROSS_FRAC = {"Combustion turbine": 0.98, "Internal combustion engine": 0.98}
"""Net generation over gross by type of unit, as EIA assumes where only gross is known (Electric Power Monthly, Technical
Notes, Appendix C); every other type, steam and combined cycle, has `STEAM_NET_FRAC`."""

STEAM_NET_FRAC = 0.97

UNMEASURED_FRAC = 0.1
"""A unit whose CO2 is not stated for more than this part of what it generated is left out; the rest of the gaps take
the unit's own mean rate."""

_FILE = r"(?i)emissions-hourly-(\d{4})-([a-z]{2}|q[1-4])\.csv(\.gz)?"
_PLANTS = r"(?i).*egrid.*\.csv(\.gz)?"
_PLANT_COLUMNS = ("ORISPL", "BACODE", "PSTATABB")


@dataclass(frozen=True, slots=True)
class CampdHours:
    """The fossil units of one authority in one year, hour by hour.

    Attributes
    ----------
    authority, year
        Balancing authority as EIA codes it, and year of the local standard clock.
    unit_names : tuple of str, length u
        Facility and unit.
    fuels : tuple of Fuel, length u
    start_epoch_s : array of int64, shape (n,)
        Every hour of the year, on the clock of most of the generation. [s since 1970 UTC]
    month : array of int64, shape (n,)
        On that clock, 1–12.
    standard_utc_offset_h : float
        That clock less UTC. [h]
    generation_mw : array, shape (u, n)
        Net of what the plant uses; 0 where it did not run. [MW]
    co2_g_per_h : array, shape (u, n)
        At the stack. [g h⁻¹]
    left_out_frac : float
        Part of the generation in units whose CO2 is not measured. [1]
    payload_sha256s : tuple of str
        Files it was read from.
    """

    authority: str
    year: int
    unit_names: tuple[str, ...]
    fuels: tuple[Fuel, ...]
    start_epoch_s: IntArray
    month: IntArray
    standard_utc_offset_h: float
    generation_mw: FloatArray
    co2_g_per_h: FloatArray
    left_out_frac: float
    payload_sha256s: tuple[str, ...]


def campd_years(folder: Path, authority: str) -> list[int]:
    """List the years for which a folder holds every state, or every quarter, that an authority has plants in.

    A year of which a file is missing is not listed: its load would be that of some of the plants.

    Raises
    ------
    TableError
        If a year is there by states and by quarters, or a file twice.
    """
    files = _files(folder)
    if not files:
        return []
    plants = _plants(folder)
    states = {state.lower() for code, state in plants.values() if code == authority}
    return sorted(
        year for year, parts in files.items() if states and (states <= set(parts) or set(parts) == QUARTERS)
    )


def campd_hours(folder: Path, authority: str, year: int) -> CampdHours | None:
    """Read a year of an authority's units; None where the folder does not hold all of it, or a file ends early.

    Raises
    ------
    TableError
        If a file cannot be read, states no such hour or state, or states an hour twice.
    """
    if year not in campd_years(folder, authority):
        return None
    plants = _plants(folder)
    mine = {plant for plant, (code, _) in plants.items() if code == authority}
    states = {state.lower() for code, state in plants.values() if code == authority}
    paths = [path for part, path in sorted(_files(folder)[year].items()) if part in QUARTERS | states]
    return _hours(authority, year, tuple(paths), frozenset(mine), _stamps([*paths, _plant_file(folder)]))


def campd_payload(folder: Path, sha256: str) -> Payload | None:
    """Give a file that was read, by its hash; None where none of them has it."""
    path = _HASHES.get(sha256)
    if path is None or not path.is_relative_to(folder) or not path.is_file():
        return None
    return Payload("campd", path.name, path.read_bytes())


_HASHES: dict[str, Path] = {}


@lru_cache(maxsize=4)
def _hours(
    authority: str,
    year: int,
    paths: tuple[Path, ...],
    plants: frozenset[int],
    stamps: tuple[tuple[int, int], ...],
) -> CampdHours | None:
    del stamps  # whatever changes a file changes the key
    parts, digests = [], []
    for path in paths:
        payload = Payload("campd", path.name, path.read_bytes())
        digests.append(sha256_hex(payload.body))
        _HASHES[digests[-1]] = path
        part = _read(payload, year, plants)
        if part is None:
            return None
        if part.height:
            parts.append(part)
    if not parts:
        return None
    return _laid_out(authority, year, pl.concat(parts), tuple(digests))


def _read(payload: Payload, year: int, plants: frozenset[int]) -> pl.DataFrame | None:
    """Give the rows of some plants with UTC hours and numbers; None of a file that ends before its period does."""
    needed = (STATE, NAME, PLANT, UNIT, DATE, HOUR, TIME, LOAD, CO2, FUEL, KIND)
    table = read_strings(payload, ",", needed).select("row", *needed)
    part = _part_of(Path(payload.name))[1]
    if (table[DATE].sort().to_list()[-1] or "") < f"{year}-{LAST_DAY.get(part, LAST_DAY['q4'])}":
        return None
    table = table.filter(pl.col(PLANT).cast(pl.Int64, strict=False).is_in(list(plants)))
    offsets = state_offsets_h()
    stamped = table.with_columns(
        (
            pl.col(DATE).str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.epoch("s")
            + HOUR_S * pl.col(HOUR).cast(pl.Int64, strict=False)
        ).alias("local_s"),
        pl.col(STATE)
        .str.to_uppercase()
        .replace_strict(offsets, default=None, return_dtype=pl.Float64)
        .alias("offset_h"),
    )
    for column, wrong, want in (
        (HOUR, pl.col("local_s").is_null(), "with its date no hour such as 2025-01-31, 23"),
        (STATE, pl.col("offset_h").is_null(), "no state whose clock is known"),
    ):
        bad = stamped.filter(wrong)
        if bad.height:
            raise TableError(
                f"{payload.name}, row {bad['row'][0]}, column {column}: {bad[column][0]!r} is {want}"
            )
    values = numbers(table, payload, [TIME, LOAD, CO2])
    return stamped.select(
        (pl.col(NAME) + pl.lit(" ") + pl.col(UNIT)).alias("name"),
        (pl.col(PLANT) + pl.lit("/") + pl.col(UNIT)).alias("unit"),
        pl.col(FUEL).str.split(",").list.first().str.strip_chars().alias("fuel"),
        pl.col(KIND).fill_null("").alias("kind"),
        "offset_h",
        (pl.col("local_s") - HOUR_S * pl.col("offset_h")).cast(pl.Int64).alias("start_s"),
        pl.Series("energy_mwh", values[:, 0] * values[:, 1]),
        pl.Series("co2_ton", values[:, 2]),
        "row",
        pl.lit(payload.name).alias("file"),
    )


def _laid_out(authority: str, year: int, table: pl.DataFrame, digests: tuple[str, ...]) -> CampdHours | None:
    """Lay rows on units and hours; a unit that never generated is no generator."""
    again = table.filter(pl.struct("unit", "start_s").is_duplicated())
    if again.height:
        row = again.sort("start_s").row(0, named=True)
        raise TableError(
            f"{row['file']}, row {row['row']}: unit {row['unit']} states this hour twice; remove one"
        )
    known = pl.col("energy_mwh").fill_nan(0.0)
    table = table.with_columns(
        (
            known
            * pl.col("kind")
            .str.split("(")
            .list.first()
            .str.strip_chars()
            .replace_strict(NET_OF_GROSS_FRAC, default=STEAM_NET_FRAC, return_dtype=pl.Float64)
        ).alias("net_mwh"),
        pl.col("co2_ton").is_nan().alias("unmeasured"),
    )
    units = (
        table.group_by("unit", maintain_order=True)
        .agg(
            pl.col("name").first(),
            pl.col("fuel").mode().sort().first(),
            pl.col("net_mwh").sum(),
            pl.col("net_mwh").filter(pl.col("unmeasured")).sum().alias("unmeasured_mwh"),
            pl.col("co2_ton").filter(~pl.col("unmeasured") & (pl.col("net_mwh") > 0)).sum(),
        )
        .filter(pl.col("net_mwh") > 0)
    )
    kept = units.filter(pl.col("unmeasured_mwh") <= UNMEASURED_FRAC * pl.col("net_mwh")).with_row_index("at")
    if not kept.height:
        return None
    by_clock = table.group_by("offset_h").agg(pl.col("net_mwh").sum()).sort("net_mwh", "offset_h")
    offset_h = float(by_clock["offset_h"][-1])
    first = np.datetime64(f"{year}-01-01", "s").astype(np.int64) - round(offset_h * HOUR_S)
    n = int(
        np.datetime64(f"{year + 1}-01-01", "h").astype(int) - np.datetime64(f"{year}-01-01", "h").astype(int)
    )
    starts = first + HOUR_S * np.arange(n)
    rate = pl.col("co2_ton_right") / (pl.col("net_mwh_right") - pl.col("unmeasured_mwh"))
    rows = (
        table.join(kept.select("at", "unit", "net_mwh", "unmeasured_mwh", "co2_ton"), on="unit")
        .with_columns(
            pl.when("unmeasured").then(rate * pl.col("net_mwh")).otherwise("co2_ton").alias("ton"),
            ((pl.col("start_s") - int(first)) // HOUR_S).alias("hour"),
        )
        .filter(pl.col("hour").is_between(0, n - 1))  # of another clock, an hour lies in the year beside
    )
    generation, co2 = np.zeros((kept.height, n)), np.zeros((kept.height, n))
    place = rows["at"].to_numpy(), rows["hour"].to_numpy()
    generation[place] = rows["net_mwh"].to_numpy()
    co2[place] = rows["ton"].to_numpy() * G_PER_SHORT_TON
    local = (starts + round(offset_h * HOUR_S)).astype("datetime64[s]")
    return CampdHours(
        authority=authority,
        year=year,
        unit_names=tuple(kept["name"].to_list()),
        fuels=tuple(FUELS.get(name, Fuel.OTHER) for name in kept["fuel"].to_list()),
        start_epoch_s=starts,
        month=local.astype("datetime64[M]").astype(np.int64) % 12 + 1,
        standard_utc_offset_h=offset_h,
        generation_mw=generation,
        co2_g_per_h=co2,
        left_out_frac=float(1.0 - kept["net_mwh"].to_numpy().sum() / units["net_mwh"].to_numpy().sum()),
        payload_sha256s=digests,
    )


@cache
def state_offsets_h() -> dict[str, float]:
    """Give the standard time of each state less UTC. [h]"""
    return {row["state"]: float(row["standard_utc_offset_h"]) for row in load_table("us_state_clocks")}


def _files(folder: Path) -> dict[int, dict[str, Path]]:
    """Give the bulk files by year and part."""
    paths = files_matching(folder, _FILE)
    refuse_repeats(paths, lambda path: f"CAMPD's hours {'-'.join(_part_of(path))}")
    found: dict[int, dict[str, Path]] = {}
    for path in paths:
        year, part = _part_of(path)
        found.setdefault(int(year), {})[part] = path
    for each, parts in found.items():
        if set(parts) & QUARTERS and set(parts) - QUARTERS:
            raise TableError(
                f"CAMPD's hours of {each} are there by states and by quarters under {folder}: remove either"
            )
    return found


def _part_of(path: Path) -> tuple[str, str]:
    found = re.fullmatch(_FILE, path.name)
    assert found is not None
    return found[1], found[2].lower()


def _plant_file(folder: Path) -> Path:
    def looks_right(path: Path) -> bool:
        return all(name in _header(path) for name in _PLANT_COLUMNS)

    found = files_matching(folder, _PLANTS, looks_right)
    if not found:
        raise TableError(
            f"CAMPD's hours under {folder} name plants and no authorities: put EPA eGRID's table of plants beside them, a"
            f" CSV with egrid in its name and the columns {', '.join(_PLANT_COLUMNS)}"
        )
    return found[-1]


def _header(path: Path) -> list[str]:
    body = text_of(Payload("campd", path.name, path.read_bytes()))
    return body.partition(b"\n")[0].decode("utf-8", "replace").strip().lstrip("\ufeff").split(",")


def _plants(folder: Path) -> Mapping[int, tuple[str, str]]:
    """Give each plant's authority and state."""
    path = _plant_file(folder)
    return _plant_table(path, _stamps([path]))


@lru_cache(maxsize=4)
def _plant_table(path: Path, stamps: tuple[tuple[int, int], ...]) -> Mapping[int, tuple[str, str]]:
    del stamps
    table = read_strings(Payload("campd", path.name, path.read_bytes()), ",", _PLANT_COLUMNS)
    rows = table.select(pl.col("ORISPL").cast(pl.Int64, strict=False), "BACODE", "PSTATABB").drop_nulls()
    return {plant: (code, state) for plant, code, state in rows.iter_rows()}


def _stamps(paths: list[Path]) -> tuple[tuple[int, int], ...]:
    return tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
