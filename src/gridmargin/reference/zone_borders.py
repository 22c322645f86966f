"""How a zone differs from the AVERT region that stands for it, as known at the end of a year.

`zone_borders.csv` holds one row a zone and year, printed by `tools/zone_borders.py`. A region is drawn around plants
that share a market, not around the authority that publishes: LG&E, AECI and others lie in EPA's Midwest, not in MISO.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from gridmargin.reference.tables import Row, load_table
from gridmargin.vocab import Fuel

_INSIDE = {Fuel.COAL: "coal_inside_frac", Fuel.GAS: "gas_inside_frac"}


@dataclass(frozen=True, slots=True)
class ZoneBorder:
    """What of a region lies within a zone.

    Attributes
    ----------
    load_line : tuple of float, or None
        Slope [1] and intercept [MW] of the region's fossil load against the zone's own in the same hours; None where
        none is known or the two do not move together.
    inside_frac : mapping of Fuel to float
        The zone's plants' part of what the region's plants of a fuel answer. [1]
    source : str
        Documents and years.
    """

    load_line: tuple[float, float] | None = None
    inside_frac: Mapping[Fuel, float] = field(default_factory=dict)
    source: str = ""


def zone_border(zone_id: str, not_after_year: int) -> ZoneBorder | None:
    """Give the newest border up to a year; None where the table has none of the zone so early.

    The line comes from the newest year that has one: it was seen in eleven days of 2021 only.
    """
    rows = [row for row in _rows().get(zone_id, ()) if int(row["year"]) <= not_after_year]
    if not rows:
        return None
    newest = rows[-1]
    lines = [row for row in rows if row["load_slope"]]
    line = (float(lines[-1]["load_slope"]), float(lines[-1]["load_intercept_mw"])) if lines else None
    inside = {fuel: float(newest[name]) for fuel, name in _INSIDE.items() if newest[name]}
    years = dict.fromkeys(row["year"] for row in (*lines[-1:], newest))
    return ZoneBorder(line, inside, f"reference/zone_borders.csv, {zone_id} {', '.join(years)}")


@cache
def _rows() -> dict[str, tuple[Row, ...]]:
    """Rows by zone, oldest first."""
    rows = sorted(load_table("zone_borders"), key=lambda row: int(row["year"]))
    return {zone: tuple(row for row in rows if row["zone"] == zone) for zone in {row["zone"] for row in rows}}
