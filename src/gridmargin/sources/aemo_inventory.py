"""AEMO's public inventory of generators: which fuel a unit burns, by the operator's own list of energy sources."""

from __future__ import annotations

import polars as pl

from gridmargin.sources.aemo_tables import market_table
from gridmargin.sources.aemo_units import NEM_FUELS
from gridmargin.sources.source import Payload
from gridmargin.vocab import Fuel

INVENTORY = "CO2EII_AVAILABLE_GENERATORS.CSV"

ENERGY_SOURCES = NEM_FUELS | {
    "Bagasse": Fuel.BIOMASS,
    "Battery Storage": Fuel.BATTERY,
    "Coal mine waste gas": Fuel.GAS,
    "Ethane": Fuel.GAS,
    "Landfill biogas methane": Fuel.BIOGAS,
    "Primary solid biomass fuels": Fuel.BIOMASS,
    "Water": Fuel.HYDRO,
}
"""What the inventory calls an energy source; what is not listed is `other`."""


def unit_fuels(inventory: Payload) -> pl.DataFrame:
    """Give `DUID`, `REGIONID` and `fuel` of every unit listed, each once, by its first generating set.

    Raises
    ------
    TableError
        If it is not the operator's inventory, or cut short.
    """
    table = market_table(inventory, "PUBLISHING", ("DUID", "REGIONID", "CO2E_ENERGY_SOURCE"))
    fuels = {name: fuel.value for name, fuel in ENERGY_SOURCES.items()}
    return (
        table.filter(pl.col("DUID") != "")
        .unique("DUID", keep="first", maintain_order=True)
        .select(
            "DUID",
            "REGIONID",
            pl.col("CO2E_ENERGY_SOURCE")
            .str.strip_chars()
            .replace_strict(fuels, default=Fuel.OTHER.value, return_dtype=pl.String)
            .alias("fuel"),
        )
    )
