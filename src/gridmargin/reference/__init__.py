"""Numbers that come from a document, never from a feed.

Comes in: nothing. Goes out: sourced tables of figures. Touches its own CSV files only.
"""

from gridmargin.reference.devices import Device, busy_thread_w, device_named, device_of, known_boards
from gridmargin.reference.fuel_prices import UnitDefaults, fuel_prices_before, unit_defaults
from gridmargin.reference.fuel_rates import FuelRateRow, fuel_rates_for
from gridmargin.reference.host_lines import HostLine, host_line
from gridmargin.reference.names import (
    CLOUDS,
    SCHEMES,
    Naming,
    every_name,
    named,
    names_of,
    names_version,
    namings,
    read_namings,
)
from gridmargin.reference.profiles import Profile, is_model, known_devices, known_models, profile_for
from gridmargin.reference.sensors import RangeShares, SensorFamily, range_shares, sensor_family
from gridmargin.reference.sites import host_factor, line_loss, price_usd_per_kwh, pue
from gridmargin.reference.tables import load_table
from gridmargin.reference.work_profiles import WorkProfile, known_work_models, work_profile_for
from gridmargin.reference.zone_borders import ZoneBorder, zone_border
from gridmargin.reference.zones import Zone, known_zones, zone_named

__all__ = [
    "CLOUDS",
    "SCHEMES",
    "Device",
    "FuelRateRow",
    "HostLine",
    "Naming",
    "Profile",
    "RangeShares",
    "SensorFamily",
    "UnitDefaults",
    "WorkProfile",
    "Zone",
    "ZoneBorder",
    "busy_thread_w",
    "device_named",
    "device_of",
    "every_name",
    "fuel_prices_before",
    "fuel_rates_for",
    "host_factor",
    "host_line",
    "is_model",
    "known_boards",
    "known_devices",
    "known_models",
    "known_work_models",
    "known_zones",
    "line_loss",
    "load_table",
    "named",
    "names_of",
    "names_version",
    "namings",
    "price_usd_per_kwh",
    "profile_for",
    "pue",
    "range_shares",
    "read_namings",
    "sensor_family",
    "unit_defaults",
    "work_profile_for",
    "zone_border",
    "zone_named",
]
