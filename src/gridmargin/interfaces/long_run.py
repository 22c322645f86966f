"""Long-run factors as the command line and REST answer them; no field of theirs has a short-run factor's name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridmargin.interfaces.placing import zone_of
from gridmargin.pipeline import fleet_margins, given_fleet, listed_fleet, published_long_run
from gridmargin.reference import zone_named
from gridmargin.vocab import InputError, format_utc

if TYPE_CHECKING:
    from gridmargin.pipeline import LongRunFactor

USE = "for siting and for load that stays; what moves work between hours and places is the short-run factor of `now`"


def long_run_answer(
    zone: str,
    folder: Path | None,
    *,
    year: int | None = None,
    weights: str = "first_period",
    fleet: tuple[str, bytes] | None = None,
) -> dict[str, Any]:
    """Give operating, build and combined margin.

    Parameters
    ----------
    folder : Path or None
        Data folder whose list of plants serves.
    year : int, optional
        Plants built later are not seen.
    fleet : (str, bytes), optional
        Name and body of a list of plants that serves instead.
    """
    zone = zone_of(zone)
    plants = given_fleet(*fleet) if fleet else listed_fleet(folder, zone, year)
    asked, factors, notes = fleet_margins(plants, zone, year, weights)
    return _answer(zone, factors, notes) | {"fleet": plants.name, "year": asked}


def long_run_table_answer(
    zone: str,
    table: tuple[str, bytes],
    *,
    region: str | None,
    start_year: int | None,
    evaluation_years: int | None,
    scenario: str | None,
    spread90_frac: float | None,
) -> dict[str, Any]:
    """Give a published rate of the region that stands for a zone; the zone's own name where none is given."""
    zone = zone_of(zone)
    factor = published_long_run(
        *table, region=region or zone, start_year=start_year, evaluation_years=evaluation_years, scenario=scenario,
        spread90_frac=spread90_frac,
    )  # fmt: skip
    return _answer(zone, [factor], []) | {"fleet": None, "year": start_year}


def only_one(fleet: object, rates: object) -> None:
    """Refuse a list of plants together with a table of rates: they are two answers."""
    if fleet is not None and rates is not None:
        raise InputError("a list of plants and a table of rates are two answers; give one of them")


def _answer(zone: str, factors: list[LongRunFactor], notes: list[str]) -> dict[str, Any]:
    return {
        "zone": zone,
        "name": zone_named(zone).name,
        "horizon": "long_run",
        "use": USE,
        "long_run": [
            {
                "method": factor.method,
                "holds_for": factor.horizon,
                "long_run_gco2_per_kwh": factor.factor_gco2_per_kwh.as_dict(),
                "basis": {
                    "kind": factor.basis.kind.value,
                    "horizon": factor.basis.horizon.value,
                    "gases": factor.basis.gases.value,
                    "boundary": factor.basis.boundary.value,
                    "view": factor.basis.view.value,
                },
                "sources": [
                    {
                        "name": s.name,
                        "probability": s.probability,
                        "long_run_gco2_per_kwh": s.factor_gco2_per_kwh,
                    }
                    for s in factor.sources
                ],
                "status": factor.status.value,
                "known_until_utc": format_utc(factor.known_until_utc),
                "evidence": factor.evidence,
                "payload_sha256s": list(factor.payload_sha256s),
            }
            for factor in factors
        ],
        "notes": notes,
    }
