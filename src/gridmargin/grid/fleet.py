"""FleetResponse: how one region's fossil fleet answered its load in one year, and where it is read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gridmargin.reference import load_table
from gridmargin.sources import OZONE_MONTHS, AvertTables, open_avert
from gridmargin.vocab import GENERATION_COLUMNS, Fuel, TableError

FloatArray = NDArray[np.float64]

G_PER_T = 1e6
"""Grams in a tonne; exact."""

LOAD_QUANTILES = np.linspace(0.0, 1.0, 101)
"""Levels of `FleetResponse.load_quantiles_mw`."""


@dataclass(frozen=True, slots=True)
class FleetResponse:
    """EPA's picture of one region's fossil fleet for one year: output and CO2 against fossil load.

    Attributes
    ----------
    region, year
        AVERT region and data year.
    load_mw : array, shape (b,)
        Fossil load of each bin, increasing. [MW]
    co2_g_per_h_ozone, co2_g_per_h_other : arrays, shape (b,)
        CO2 in May–September and in the rest of the year. [g h⁻¹]
    fuel_generation_mw : mapping of Fuel to array, shape (b,)
        Generation by fuel in each bin. [MW]
    payload_sha256s : tuple of str
        Files it was read from.
    unit_names, unit_fuels, unit_generation_mw, unit_co2_g_per_h_ozone, unit_co2_g_per_h_other
        Per unit (u,) and unit × bin (u, b) where known, else None.
    load_quantiles_mw : array, shape (12, 101), or None
        Quantiles `LOAD_QUANTILES` of the hourly fossil load, a row for each month of the local standard clock;
        NaN for a month without hours. None where only the curve is known. [MW]
    standard_utc_offset_h : float or None
        Local standard time less UTC; the curve's seasons turn by it. [h]
    earlier : tuple of FleetResponse
        Other regions and years known by then (curves and load quantiles only): what ranges are calibrated on.
    """

    region: str
    year: int
    load_mw: FloatArray
    co2_g_per_h_ozone: FloatArray
    co2_g_per_h_other: FloatArray
    fuel_generation_mw: Mapping[Fuel, FloatArray]
    payload_sha256s: tuple[str, ...]
    unit_names: tuple[str, ...] | None = None
    unit_fuels: tuple[str, ...] | None = None
    unit_generation_mw: FloatArray | None = None
    unit_co2_g_per_h_ozone: FloatArray | None = None
    unit_co2_g_per_h_other: FloatArray | None = None
    load_quantiles_mw: FloatArray | None = None
    standard_utc_offset_h: float | None = None
    earlier: tuple[FleetResponse, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        where = f"fleet response of {self.region} {self.year}"
        if self.load_mw.ndim != 1 or len(self.load_mw) < 5:
            raise TableError(f"{where}: {self.load_mw.size} load bins, want at least 5")
        if not bool((np.diff(self.load_mw) > 0).all()):
            raise TableError(f"{where}: load_mw does not increase from bin to bin")
        for name in ("co2_g_per_h_ozone", "co2_g_per_h_other"):
            if getattr(self, name).shape != self.load_mw.shape:
                raise TableError(f"{where}: {name} has not one value a load bin")

    def loads_seen_mw(self) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Give loads of the year, each as likely as the next, and whether each falls in the ozone season. [MW]

        Without load quantiles the bins themselves stand for the year, in both seasons.
        """
        if self.load_quantiles_mw is None:
            return np.tile(self.load_mw, 2), np.repeat([True, False], len(self.load_mw))
        middles = (self.load_quantiles_mw[:, 1:] + self.load_quantiles_mw[:, :-1]) / 2
        month = np.repeat(np.arange(1, 13), middles.shape[1])
        known = np.isfinite(middles.ravel())
        return middles.ravel()[known], np.isin(month, OZONE_MONTHS)[known]

    def load_span_mw(self) -> tuple[float, float]:
        """Give the least and the greatest fossil load of the year. [MW]"""
        loads = self.load_mw if self.load_quantiles_mw is None else self.load_quantiles_mw
        return float(np.nanmin(loads)), float(np.nanmax(loads))


def avert_fleet(folder: Path, avert_region: str, not_after_year: int) -> FleetResponse | None:
    """Give a region's newest fleet response up to a year, with what else was known by then.

    Parameters
    ----------
    folder : Path
        AVERT folder, or a data folder that holds one.
    avert_region : str
        EPA's name, such as `Texas`.
    not_after_year : int
        Newest year to use.

    Returns
    -------
    FleetResponse or None
        None where the folder has no year of that region so early.

    Raises
    ------
    NotFoundError
        If there is no AVERT folder.
    TableError
        If a table is truncated, lacks a column or holds a bad value.
    """
    return _newest_response(open_avert(folder), avert_region, not_after_year)


def reference_fleet(avert_region: str, not_after_year: int) -> FleetResponse | None:
    """Give a region's newest fleet response up to a year from our own small table of EPA's figures.

    Returns
    -------
    FleetResponse or None
        None where the table has no year of that region so early.
    """
    known = {key: fleet for key, fleet in _tabled().items() if key[1] <= not_after_year}
    years = [year for region, year in known if region == avert_region]
    if not years:
        return None
    newest = (avert_region, max(years))
    return replace(known[newest], earlier=tuple(fleet for key, fleet in known.items() if key != newest))


@lru_cache(maxsize=1)
def _tabled() -> dict[tuple[str, int], FleetResponse]:
    rows: dict[tuple[str, int], list[Mapping[str, str]]] = {}
    for row in load_table("fleet_response"):
        rows.setdefault((row["region"], int(row["year"])), []).append(row)

    def column(group: list[Mapping[str, str]], name: str) -> FloatArray:
        return np.array([float(row[name]) for row in group])

    return {
        (region, year): FleetResponse(
            region=region,
            year=year,
            load_mw=column(group, "load_mw"),
            co2_g_per_h_ozone=column(group, "co2_t_per_h_ozone") * G_PER_T,
            co2_g_per_h_other=column(group, "co2_t_per_h_other") * G_PER_T,
            fuel_generation_mw={
                fuel: column(group, name) for name, fuel in GENERATION_COLUMNS.items() if name in group[0]
            },
            payload_sha256s=(),
        )
        for (region, year), group in rows.items()
    }


@lru_cache(maxsize=64)
def _newest_response(tables: AvertTables, region: str, not_after_year: int) -> FleetResponse | None:
    years = [year for year in tables.years(region) if year <= not_after_year]
    if not years:
        return None
    newest = _response(tables, region, max(years))
    earlier = tuple(
        _response(tables, other, year)
        for other in tables.regions()
        for year in tables.years(other)
        if year <= newest.year and (other, year) != (region, newest.year)
    )
    units = tables.units(region, newest.year)
    if units is None:
        return replace(newest, earlier=earlier)
    if not np.array_equal(units.load_mw, newest.load_mw):
        raise TableError(
            f"AVERT {region} {newest.year}: the unit curves have other load bins than the region's curve"
        )
    return replace(
        newest,
        payload_sha256s=(*newest.payload_sha256s, *units.payload_sha256s),
        unit_names=units.names,
        unit_fuels=tuple(fuel.value for fuel in units.fuels),
        unit_generation_mw=units.generation_mw,
        unit_co2_g_per_h_ozone=units.co2_g_per_h_ozone,
        unit_co2_g_per_h_other=units.co2_g_per_h_other,
        earlier=earlier,
    )


@lru_cache(maxsize=256)
def _response(tables: AvertTables, region: str, year: int) -> FleetResponse:
    curve, load = tables.curve(region, year), tables.fossil_load(region, year)
    return FleetResponse(
        region=region,
        year=year,
        load_mw=curve.load_mw,
        co2_g_per_h_ozone=curve.co2_g_per_h_ozone,
        co2_g_per_h_other=curve.co2_g_per_h_other,
        fuel_generation_mw=curve.fuel_generation_mw,
        payload_sha256s=(*curve.payload_sha256s, *load.payload_sha256s),
        load_quantiles_mw=monthly_quantiles(load.load_mw, load.month),
        standard_utc_offset_h=load.standard_utc_offset_h,
    )


def monthly_quantiles(load_mw: FloatArray, month: NDArray[np.int64]) -> FloatArray:
    """Give the quantiles `LOAD_QUANTILES` of each month's loads, a row a month; NaN for one without hours. [MW]"""
    quantiles = np.full((12, len(LOAD_QUANTILES)), np.nan)
    for row in range(12):
        hours = np.sort(load_mw[month == row + 1])
        if len(hours):
            quantiles[row] = np.interp(LOAD_QUANTILES * (len(hours) - 1), np.arange(len(hours)), hours)
    return quantiles
