"""The fleet response of one authority from the measured hours of its own units."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid.fleet import FleetResponse, monthly_quantiles
from gridmargin.sources import OZONE_MONTHS, CampdHours, campd_hours, campd_years
from gridmargin.vocab import TableError

FloatArray = NDArray[np.float64]

N_BINS = 50
"""Of equal width from the least to the greatest load of the year: as many as EPA's tables have."""

LEAST_HOURS = 24
"""A bin with fewer hours is joined to the next."""

_MIN_BINS = 5


def campd_fleet(folder: Path, zone_id: str, not_after_year: int) -> FleetResponse | None:
    """Give a zone's newest measured response up to a year, with its earlier ones; None where the folder has none.

    Parameters
    ----------
    folder : Path
        A data folder with EPA CAMPD's bulk files and eGRID's table of plants.
    zone_id : str
        Of a balancing authority of the United States.

    Raises
    ------
    TableError
        If a file is damaged, or a year has too few hours.
    """
    country, _, authority = zone_id.partition("-")
    if country != "US":
        return None
    years = [year for year in campd_years(folder, authority) if year <= not_after_year]
    found = [hours for year in years if (hours := campd_hours(folder, authority, year)) is not None]
    if not found:
        return None
    *earlier, newest = (measured_response(zone_id, hours) for hours in found)
    return replace(newest, earlier=tuple(earlier))


def measured_response(zone_id: str, hours: CampdHours) -> FleetResponse:
    """Say what each unit generated and emitted at each level of the load of all of them.

    Raises
    ------
    TableError
        If the hours fill fewer than 5 bins of load.

    Notes
    -----
    With L the load of an hour and b a bin of it, a unit's generation is E[G | b] over all hours of the year, and its CO2
    in a season the CO2 per megawatt-hour of load in that season's hours of the bin, times the bin's mean load: hours of
    the two seasons do not lie at the same loads within a bin. A bin that one season lacks takes the other's.
    """
    load = hours.generation_mw.sum(axis=0)
    known = load > 0
    bins, n_bins = _bins(load, known)
    if n_bins < _MIN_BINS:
        raise TableError(
            f"measured hours of {hours.authority} {hours.year} fill {n_bins} bins of load, want at least {_MIN_BINS}"
        )
    is_ozone = np.isin(hours.month, OZONE_MONTHS)

    def total(values: FloatArray, mine: NDArray[np.bool_]) -> FloatArray:
        return np.bincount(bins[mine], values[mine], minlength=n_bins).astype(np.float64)

    def totals(table: FloatArray, mine: NDArray[np.bool_]) -> FloatArray:
        return np.stack([total(row, mine) for row in table])

    n_hours = total(np.ones_like(load), known)
    mean_load = total(load, known) / n_hours
    generation = totals(hours.generation_mw, known) / n_hours
    year_co2, year_load = totals(hours.co2_g_per_h, known), total(load, known)
    seasons = []
    for season in (is_ozone, ~is_ozone):
        mine = known & season
        load_mwh = total(load, mine)
        has = load_mwh > 0
        per_mwh = np.where(
            has, totals(hours.co2_g_per_h, mine) / np.where(has, load_mwh, 1.0), year_co2 / year_load
        )
        seasons.append(per_mwh * mean_load)
    return FleetResponse(
        region=zone_id,
        year=hours.year,
        load_mw=mean_load,
        co2_g_per_h_ozone=seasons[0].sum(axis=0),
        co2_g_per_h_other=seasons[1].sum(axis=0),
        fuel_generation_mw={
            fuel: generation[[other is fuel for other in hours.fuels]].sum(axis=0)
            for fuel in dict.fromkeys(hours.fuels)
        },
        payload_sha256s=hours.payload_sha256s,
        unit_names=hours.unit_names,
        unit_fuels=tuple(fuel.value for fuel in hours.fuels),
        unit_generation_mw=generation,
        unit_co2_g_per_h_ozone=seasons[0],
        unit_co2_g_per_h_other=seasons[1],
        load_quantiles_mw=monthly_quantiles(load[known], hours.month[known]),
        standard_utc_offset_h=hours.standard_utc_offset_h,
    )


def _bins(load: FloatArray, known: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Give the bin of each hour, joined upwards until each holds enough hours; the last takes what is left over."""
    if not known.any():
        return np.zeros(len(load), dtype=np.int64), 0
    edges = np.linspace(load[known].min(), load[known].max(), N_BINS + 1)[1:-1]
    narrow = np.searchsorted(edges, load, side="right")
    counts = np.bincount(narrow[known], minlength=N_BINS)
    wide, number, held = np.zeros(N_BINS, dtype=np.int64), 0, 0
    for at, count in enumerate(counts):
        wide[at] = number
        held += int(count)
        if held >= LEAST_HOURS:
            number, held = number + 1, 0
    wide = np.minimum(wide, max(number - 1, 0))
    return wide[narrow], max(number, 1)
