"""Long-run factors of a zone: of the plants that a data folder or the user lists, or from a published table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gridmargin.grid import BuiltFleet, avert_built, nem_built
from gridmargin.marginal import (
    COMBINED_WEIGHTS,
    FuelRate,
    LongRunFactor,
    build_margin,
    combined_margin,
    operating_margin,
    table_factor,
)
from gridmargin.pipeline.facts import GERMANY
from gridmargin.reference import fuel_rates_for, zone_named
from gridmargin.sources import (
    PLANTS,
    REGIONS,
    Payload,
    find_german,
    open_avert,
    read_built_fleet,
    read_long_run_rates,
    registration_table,
    registrations,
    unit_inventory,
    unit_table,
)
from gridmargin.vocab import InputError, NoFactorError, NotFoundError, UnknownNameError

YEARS = (1900, 2199)
"""A year of building outside of these is a slip of the pen."""

SHAPES = "docs/reference/sources.md names the columns"


def listed_fleet(folder: Path | None, zone_id: str, year: int | None) -> BuiltFleet:
    """Give the plants of a zone that a data folder lists.

    Parameters
    ----------
    year : int or None
        Of EPA's fossil units the newest year up to it; other lists are as they stand.

    Raises
    ------
    NotFoundError
        If the folder lists none.
    """
    zone = zone_named(zone_id)
    if folder is not None:
        found = _german(folder, zone_id) or _australian(folder, zone_id)
        region = zone.avert_region or (zone_named(zone.parent).avert_region if zone.parent else None)
        found = found or (_american(folder, region, year) if region else None)
        if found is not None:
            return found
    where = f"under {folder}" if folder else "without a data folder"
    raise NotFoundError(
        f"no list of plants for {zone_id} {where}; give one, or a table of long-run rates ({SHAPES}), or"
        " `source=recorded:DIR` with Germany's, Australia's or EPA's units"
    )


def given_fleet(name: str, body: bytes) -> BuiltFleet:
    """Read a list of plants that the user gave, as `built_fleet` CSV.

    Raises
    ------
    TableError
        Naming the row and the column.
    """
    return read_built_fleet(Payload("built_fleet", name, body))


def fleet_margins(
    fleet: BuiltFleet, zone_id: str, year: int | None, weights: str = "first_period"
) -> tuple[int, list[LongRunFactor], list[str]]:
    """Give operating, build and combined margin of a fleet, as far as the list tells.

    Returns
    -------
    year : int
        The one asked for, else the newest that a plant was built in.
    factors : list of LongRunFactor
        At least one.
    notes : list of str
        What the list leaves out, and what could not be given and why.

    Raises
    ------
    InputError
        If the year cannot be, or none is asked for and the list has none.
    UnknownNameError
        If the weights are not known.
    NoFactorError
        If the list tells nothing.
    """
    zone_named(zone_id)
    if weights not in COMBINED_WEIGHTS:
        raise UnknownNameError("pair of combined-margin weights", weights, COMBINED_WEIGHTS)
    built = fleet.commissioned_year[np.isfinite(fleet.commissioned_year)]
    if year is None:
        year = fleet.as_of_year if fleet.as_of_year is not None else int(built.max()) if len(built) else None
    if year is None:
        raise InputError(
            f"built fleet {fleet.name}: no plant has a commissioned_year; say which year it describes"
        )
    if not YEARS[0] <= year <= YEARS[1]:
        raise InputError(
            f"year {year} is no year in which plants are built; give one of {YEARS[0]} to {YEARS[1]}"
        )
    rates = {
        fuel: FuelRate(row.factor_gco2_per_kwh, row.source, row.spread90_frac)
        for fuel, row in fuel_rates_for(zone_id, year).items()
    }
    factors, notes = [], []
    for give in (operating_margin, build_margin):
        try:
            factors.append(give(fleet, year, rates))
        except NoFactorError as error:
            notes.append(f"no {give.__name__}: {error}")
    if not factors:
        raise NoFactorError("; ".join(notes))
    if len(factors) == 2:
        factors.append(combined_margin(fleet, year, rates, weights))
    return year, factors, [*([fleet.note] if fleet.note else []), *notes]


def published_long_run(
    name: str,
    body: bytes,
    *,
    region: str,
    start_year: int | None,
    evaluation_years: int | None,
    scenario: str | None = None,
    spread90_frac: float | None = None,
) -> LongRunFactor:
    """Give one rate of a table of published long-run rates, as `long_run_rates` CSV.

    Raises
    ------
    InputError
        If the horizon is not named, or the spread is none.
    TableError, UnknownNameError, NoFactorError
        As the reader and `table_factor`.
    """
    rates = read_long_run_rates(Payload("long_run_rates", name, body))
    if start_year is None or evaluation_years is None:
        have = sorted({f"{rate.start_year}+{rate.evaluation_years}" for rate in rates})
        raise InputError(
            f"a long-run rate holds for years that must be named; give the start year and the years, one of {', '.join(have)}"
        )
    if spread90_frac is not None and not 0 <= spread90_frac <= 1:
        raise InputError(
            f"spread {spread90_frac} is no half-width of a range; give 0 to 1 of the rate, such as 0.2"
        )
    return table_factor(rates, region, start_year, evaluation_years, scenario, spread90_frac)


def _german(folder: Path, zone_id: str) -> BuiltFleet | None:
    plants = find_german(folder, PLANTS) if zone_id == GERMANY else None
    return read_built_fleet(plants) if plants else None


def _australian(folder: Path, zone_id: str) -> BuiltFleet | None:
    if zone_id not in REGIONS:
        return None
    units, registered = unit_table(folder), registration_table(folder)
    if units is None or registered is None:
        return None
    return nem_built(unit_inventory(units), registrations(registered))


def _american(folder: Path, region: str, year: int | None) -> BuiltFleet | None:
    try:
        tables = open_avert(folder)
        known = sorted(tables.years(region))
    except NotFoundError:
        return None
    years = [one for one in known if year is None or one <= year]
    if known and not years:
        raise NotFoundError(
            f"EPA's units of {region} are known for {', '.join(map(str, known))}, none for {year} or before;"
            " give one of these as `year`, or leave it out"
        )
    units = tables.units(region, max(years)) if years else None
    return avert_built(units, tables.fossil_load(region, max(years))) if units else None
