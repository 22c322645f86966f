"""Grid data adapters: bytes in, observations out.

Comes in: a folder or an address. Goes out: `Payload`s and `Observations`. Touches files and the archive folder.
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
from gridmargin.sources.archive import Archive
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
from gridmargin.sources.observation import OBSERVATION_SCHEMA, Observation, Observations
from gridmargin.sources.pglib_uc import UcInstance, UcUnit, parse_uc, uc_files
from gridmargin.sources.rate_table import RateTable, rate_tables, read_rate_table
from gridmargin.sources.rts_gmlc import ReferenceRun, RtsTables
from gridmargin.sources.source import Payload, Source
from gridmargin.vocab import Cell, Registry

SOURCES: Registry[type[Source]] = Registry(
    "source",
    "gridmargin.sources",
    {
        "aemo": "gridmargin.sources.aemo:Aemo",
        "caiso_moer": "gridmargin.sources.caiso_moer:CaisoMoer",
        "eia930": "gridmargin.sources.eia930:Eia930",
        "entsoe": "gridmargin.sources.entsoe:Entsoe",
        "ercot": "gridmargin.sources.ercot:Ercot",
        "fuel_on_margin": "gridmargin.sources.fuel_on_margin:FuelOnMargin",
        "isone": "gridmargin.sources.isone:IsoNe",
        "nyiso": "gridmargin.sources.nyiso:NyIso",
        "reference": "gridmargin.sources.reference:ReferenceDays",
    },
)


def cell_text(payload: Payload, cell: Cell) -> str:
    """Give what stands in a cell of a payload, as its publisher wrote it."""
    return SOURCES.get(payload.source).cell_text(payload, cell)


__all__ = [
    "CARBON",
    "CARBON_KNOWN_AFTER_S",
    "OBSERVATION_SCHEMA",
    "OZONE_MONTHS",
    "PLANTS",
    "PRICE",
    "REGIONS",
    "SOURCES",
    "Archive",
    "AvertCurve",
    "AvertLoad",
    "AvertTables",
    "AvertUnits",
    "BuiltFleet",
    "LongRunRate",
    "Observation",
    "Observations",
    "Payload",
    "PlantTable",
    "RateTable",
    "ReferenceRun",
    "Registrations",
    "RtsTables",
    "Series",
    "Source",
    "UcInstance",
    "UcUnit",
    "UnitDispatch",
    "UnitInventory",
    "caiso_mix_at",
    "carbon_price",
    "cell_text",
    "day_ahead_price",
    "find_avert_folder",
    "find_german",
    "find_units",
    "fuels_of",
    "need",
    "of_country",
    "open_avert",
    "parse_uc",
    "power_plants",
    "rate_tables",
    "read_built_fleet",
    "read_long_run_rates",
    "read_rate_table",
    "registration_table",
    "registrations",
    "smard_generation",
    "smard_years",
    "uc_files",
    "unit_dispatch",
    "unit_inventory",
    "unit_table",
]
