"""Grid data adapters: bytes in, observations out.

Comes in: a folder or an address. Goes out: `Payload`s and `Observations`. Touches files, the archive folder, and
publishers over the network, through `transport` alone.
"""

from gridmargin.sources.aemo import REGIONS
from gridmargin.sources.aemo_registrations import Registrations, registration_table, registrations
from gridmargin.sources.aemo_units import (
    UnitDispatch,
    UnitInventory,
    find_units,
    fuels_of,
    unit_dispatch,
    unit_inventory,
    unit_table,
)
from gridmargin.sources.archive import Archive, Kept
from gridmargin.sources.asking import Reach
from gridmargin.sources.avert import (
    OZONE_MONTHS,
    AvertCurve,
    AvertLoad,
    AvertTables,
    AvertUnits,
    find_avert_folder,
    open_avert,
)
from gridmargin.sources.caiso_mix import caiso_mix_at
from gridmargin.sources.campd import CampdHours, campd_hours, campd_payload, campd_years
from gridmargin.sources.collect import Collected, collect, off_reason
from gridmargin.sources.fetched import Fetch, FetchIndex, Health
from gridmargin.sources.german_tables import (
    CARBON,
    CARBON_KNOWN_AFTER_S,
    PLANTS,
    PRICE,
    PlantTable,
    Series,
    carbon_price,
    day_ahead_price,
    find_german,
    need,
    of_country,
    power_plants,
    smard_generation,
    smard_years,
)
from gridmargin.sources.investment import BuiltFleet, LongRunRate, read_built_fleet, read_long_run_rates
from gridmargin.sources.kept import KeptSource, Replayed, replay
from gridmargin.sources.live.live_source import Access, LiveRequest, LiveSource
from gridmargin.sources.observation import OBSERVATION_SCHEMA, Observation, Observations
from gridmargin.sources.pglib_uc import UcInstance, UcUnit, parse_uc, uc_files
from gridmargin.sources.rate_table import RateTable, rate_tables, read_rate_table
from gridmargin.sources.registered import COMPARISONS, LIVE_SOURCES, SOURCES, cell_text, parse, reader_of
from gridmargin.sources.rts_gmlc import ReferenceRun, RtsTables
from gridmargin.sources.source import Payload, Source
from gridmargin.sources.transport import Body, Limits, Transport

__all__ = [
    "CARBON",
    "CARBON_KNOWN_AFTER_S",
    "COMPARISONS",
    "LIVE_SOURCES",
    "OBSERVATION_SCHEMA",
    "OZONE_MONTHS",
    "PLANTS",
    "PRICE",
    "REGIONS",
    "SOURCES",
    "Access",
    "Archive",
    "AvertCurve",
    "AvertLoad",
    "AvertTables",
    "AvertUnits",
    "Body",
    "BuiltFleet",
    "CampdHours",
    "Collected",
    "Fetch",
    "FetchIndex",
    "Health",
    "Kept",
    "KeptSource",
    "Limits",
    "LiveRequest",
    "LiveSource",
    "LongRunRate",
    "Observation",
    "Observations",
    "Payload",
    "PlantTable",
    "RateTable",
    "Reach",
    "ReferenceRun",
    "Registrations",
    "Replayed",
    "RtsTables",
    "Series",
    "Source",
    "Transport",
    "UcInstance",
    "UcUnit",
    "UnitDispatch",
    "UnitInventory",
    "caiso_mix_at",
    "campd_hours",
    "campd_payload",
    "campd_years",
    "carbon_price",
    "cell_text",
    "collect",
    "day_ahead_price",
    "find_avert_folder",
    "find_german",
    "find_units",
    "fuels_of",
    "need",
    "of_country",
    "off_reason",
    "open_avert",
    "parse",
    "parse_uc",
    "power_plants",
    "rate_tables",
    "read_built_fleet",
    "read_long_run_rates",
    "read_rate_table",
    "reader_of",
    "registration_table",
    "registrations",
    "replay",
    "smard_generation",
    "smard_years",
    "uc_files",
    "unit_dispatch",
    "unit_inventory",
    "unit_table",
]
