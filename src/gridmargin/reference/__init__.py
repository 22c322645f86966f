"""Numbers that come from a document, never from a feed.

Comes in: nothing. Goes out: sourced tables of figures. Touches its own CSV files only.
"""

from gridmargin.reference.fuel_rates import FuelRateRow, fuel_rates_for
from gridmargin.reference.tables import load_table
from gridmargin.reference.zones import Zone, known_zones, zone_named

__all__ = ["FuelRateRow", "Zone", "fuel_rates_for", "known_zones", "load_table", "zone_named"]
