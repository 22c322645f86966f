"""What is known of a zone beside its states: fuel rates, fleet curves, plants one by one, none newer than asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from gridmargin.grid import (
    FleetResponse,
    UnitFleet,
    avert_fleet,
    campd_fleet,
    german_fleet,
    nem_fleet,
    reference_fleet,
)
from gridmargin.marginal import Facts, known_facts
from gridmargin.reference import fuel_prices_before, zone_named
from gridmargin.sources import (
    PLANTS,
    REGIONS,
    Payload,
    campd_payload,
    find_german,
    open_avert,
    power_plants,
    unit_inventory,
    unit_table,
)
from gridmargin.vocab import NotFoundError, sha256_hex

GERMANY = "DE"

FactsOf = Callable[[str, int], Facts]


def facts_from(folder: Path | None) -> FactsOf:
    """Give the function that finds facts, reading EPA's fleet curves under `folder` where they are.

    Parameters
    ----------
    folder : Path or None
        A data folder; None uses the package's own tables only.
    """

    @cache
    def facts_of(zone_id: str, not_after_year: int) -> Facts:
        zone = zone_named(zone_id)
        fleet = _fleet(folder, zone.avert_region, not_after_year)
        units = None if folder is None else _units(folder, zone_id, not_after_year)
        measured = None if folder is None else campd_fleet(folder, zone_id, not_after_year)
        if measured is not None and (fleet is None or measured.year > fleet.year):
            others = () if fleet is None else (*fleet.earlier, fleet)
            own = replace(measured, earlier=(*measured.earlier, *others))
            # The zone's own plants: no border lies between it and this fleet.
            return replace(known_facts(zone, not_after_year, own, units), border=None)
        return known_facts(zone, not_after_year, fleet, units)

    return facts_of


def payloads_from(folder: Path | None) -> Callable[[str], Payload | None]:
    """Give the function that finds a payload behind facts by its hash, among the files that were read."""

    def payload_of(sha256: str) -> Payload | None:
        if folder is None:
            return None
        for table in _unit_tables(folder):
            if sha256_hex(table.body) == sha256:
                return table
        measured = campd_payload(folder, sha256)
        if measured is not None:
            return measured
        try:
            return open_avert(folder).payload(sha256)
        except NotFoundError:
            return None

    return payload_of


def _fleet(folder: Path | None, region: str | None, not_after_year: int) -> FleetResponse | None:
    if region is None:
        return None
    if folder is not None:
        try:
            return avert_fleet(folder, region, not_after_year)
        except NotFoundError:
            pass  # no AVERT tables under this folder: our own small table serves
    return reference_fleet(region, not_after_year)


def _units(folder: Path, zone_id: str, not_after_year: int) -> UnitFleet | None:
    """Give the plants of a zone as known when the year after `not_after_year` began, where a table lists them."""
    if zone_id in REGIONS:
        table = unit_table(folder)
        inventory = unit_inventory(table) if table else None
        if inventory is None or inventory.year > not_after_year:
            return None
        return nem_fleet(inventory, zone_id)
    plants = find_german(folder, PLANTS) if zone_id == GERMANY else None
    if plants is None:
        return None
    year = not_after_year + 1
    return german_fleet(power_plants(plants), year, fuel_prices_before(year))


def _unit_tables(folder: Path) -> list[Payload]:
    found = [find_german(folder, PLANTS), unit_table(folder)]
    return [table for table in found if table is not None]
