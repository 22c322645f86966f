"""What is known of a zone beside its states: fuel rates, fleet curves, none newer than asked."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from gridmargin.grid import FleetResponse, avert_fleet, reference_fleet
from gridmargin.marginal import Facts, known_facts
from gridmargin.reference import zone_named
from gridmargin.sources import Payload, open_avert
from gridmargin.vocab import NotFoundError

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
        return known_facts(zone, not_after_year, _fleet(folder, zone.avert_region, not_after_year))

    return facts_of


def payloads_from(folder: Path | None) -> Callable[[str], Payload | None]:
    """Give the function that finds a payload behind facts by its hash, among the files that were read."""

    def payload_of(sha256: str) -> Payload | None:
        if folder is None:
            return None
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
