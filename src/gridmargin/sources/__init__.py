"""Grid data adapters: bytes in, observations out.

Comes in: a folder or an address. Goes out: `Payload`s and `Observations`. Touches files and the archive folder.
"""

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
from gridmargin.sources.observation import OBSERVATION_SCHEMA, Observation, Observations
from gridmargin.sources.pglib_uc import UcInstance, UcUnit, parse_uc, uc_files
from gridmargin.sources.source import Payload, Source
from gridmargin.vocab import Cell, Registry

SOURCES: Registry[type[Source]] = Registry(
    "source",
    "gridmargin.sources",
    {
        "caiso_moer": "gridmargin.sources.caiso_moer:CaisoMoer",
        "eia930": "gridmargin.sources.eia930:Eia930",
        "ercot": "gridmargin.sources.ercot:Ercot",
        "reference": "gridmargin.sources.reference:ReferenceDays",
    },
)


def cell_text(payload: Payload, cell: Cell) -> str:
    """Give what stands in a cell of a payload, as its publisher wrote it."""
    return SOURCES.get(payload.source).cell_text(payload, cell)


__all__ = [
    "OBSERVATION_SCHEMA",
    "OZONE_MONTHS",
    "SOURCES",
    "Archive",
    "AvertCurve",
    "AvertLoad",
    "AvertTables",
    "AvertUnits",
    "Observation",
    "Observations",
    "Payload",
    "Source",
    "UcInstance",
    "UcUnit",
    "cell_text",
    "find_avert_folder",
    "open_avert",
    "parse_uc",
    "uc_files",
]
