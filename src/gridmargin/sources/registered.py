"""The registries of adapters, from folders and live, and who reads a payload."""

from __future__ import annotations

from gridmargin.sources.live.live_source import LiveSource
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload, Source
from gridmargin.vocab import Cell, Interval, Registry

SOURCES: Registry[type[Source]] = Registry(
    "source",
    "gridmargin.sources",
    {
        "aemo": "gridmargin.sources.aemo:Aemo",
        "aemo_setters": "gridmargin.sources.aemo_setters:AemoSetters",
        "caiso_moer": "gridmargin.sources.caiso_moer:CaisoMoer",
        "eia930": "gridmargin.sources.eia930:Eia930",
        "entsoe": "gridmargin.sources.entsoe:Entsoe",
        "ercot": "gridmargin.sources.ercot:Ercot",
        "fuel_on_margin": "gridmargin.sources.fuel_on_margin:FuelOnMargin",
        "isone": "gridmargin.sources.isone:IsoNe",
        "miso_margin": "gridmargin.sources.miso_margin:MisoMargin",
        "nyiso": "gridmargin.sources.nyiso:NyIso",
        "reference": "gridmargin.sources.reference:ReferenceDays",
    },
)


LIVE_SOURCES: Registry[type[LiveSource]] = Registry(
    "live source",
    "gridmargin.live_sources",
    {
        "aemo_5min": "gridmargin.sources.live.aemo:AemoLive",
        "aeso": "gridmargin.sources.live.aeso:AesoLive",
        "caiso": "gridmargin.sources.live.caiso:CaisoLive",
        "eia930_api": "gridmargin.sources.live.eia930:Eia930Live",
        "elexon": "gridmargin.sources.live.elexon:ElexonLive",
        "elexon_5min": "gridmargin.sources.live.elexon:ElexonInstantLive",
        "entsoe_api": "gridmargin.sources.live.entsoe:EntsoeLive",
        "ercot_dashboards": "gridmargin.sources.live.ercot:ErcotLive",
        "ieso": "gridmargin.sources.live.ieso:IesoLive",
        "isone": "gridmargin.sources.live.isone:IsoNeLive",
        "miso": "gridmargin.sources.live.miso:MisoLive",
        "nyiso": "gridmargin.sources.live.nyiso:NyIsoLive",
        "pjm": "gridmargin.sources.live.pjm:PjmLive",
        "pjm_5min": "gridmargin.sources.live.pjm:PjmFiveMinuteLive",
        "spp": "gridmargin.sources.live.spp:SppLive",
    },
)


COMPARISONS: Registry[type[LiveSource]] = Registry(
    "comparison signal",
    "gridmargin.comparisons",
    {
        "electricity_maps": "gridmargin.sources.live.electricity_maps:ElectricityMaps",
        "watttime": "gridmargin.sources.live.watttime:WattTime",
    },
)
"""What others say of a zone, to be held beside ours: asked and archived like any live adapter, and never a base of our
factors, which is why they are not in `LIVE_SOURCES`; no grid state holds their quantities."""


def reader_of(payload: Payload) -> type[Source] | type[LiveSource]:
    """Give the adapter that reads a payload; a live one reads what no folder holds."""
    for registry in (LIVE_SOURCES, COMPARISONS):
        if payload.source in registry.names() and payload.source not in SOURCES.names():
            return registry.get(payload.source)
    return SOURCES.get(payload.source)


def parse(payload: Payload, interval: Interval) -> Observations:
    """Turn one payload into the observations whose start lies in `interval`, by the adapter it names."""
    return reader_of(payload).parse(payload, interval)


def cell_text(payload: Payload, cell: Cell) -> str:
    """Give what stands in a cell of a payload, as its publisher wrote it."""
    return reader_of(payload).cell_text(payload, cell)
