"""ISO New England's web service beside the fuel mix: five-minute load, flows over the borders, and the price of energy.

`BeginDate` carries its offset and starts the five minutes. `ActualFlow` is negative where power comes in.
"""

from __future__ import annotations

import polars as pl

from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.json_rows import read_records, record_cell
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import starts_utc, stated
from gridmargin.sources.summed_rows import refuse_unplaced, sum_text, sums_of_rows
from gridmargin.vocab import Cell, Interval

ZONE = "US-ISNE"
INTERVAL_S = 300
HUB = "4000"
"""`.H.INTERNAL_HUB`: the operator's own point for the price of the system without congestion."""

LOAD, FLOWS, PRICES = "fiveminutesystemload", "fiveminuteexternalflow", "fiveminutelmp"
_FLOW = "ActualFlow"
_TABLES = {
    LOAD: (("FiveMinSystemLoads", "FiveMinSystemLoad"), "LoadMw", "demand_mw"),
    PRICES: (("FiveMinLmps", "FiveMinLmp"), "EnergyComponent", "price_usd_per_mwh"),
    FLOWS: (("ExternalFlows", "ExternalFlow"), _FLOW, ""),
}
"""Per table: where its records are, the field that is read, and our quantity, or '' where several rows make one.

Of a price the energy part is read: it is one number for all nodes of the system, so it is what the marginal plant bids,
without what lines and losses add at a place."""

BORDERS = {
    "imports_from_CA-NB_mw": (".I.SALBRYNB345 1",),
    "imports_from_CA-QC_mw": (".I.HQ_P1_P2345 5", ".I.HQHIGATE120 2", ".I.HQMRL_RD345 1"),
    "imports_from_US-NYIS_mw": (".I.ROSETON 345 1", ".I.SHOREHAM138 99", ".I.NRTHPORT138 5"),
}
"""The external nodes of each border: Phase II, Highgate and the line of 2026 to Maine for Quebec; the alternating-current
ties, Cross-Sound and the 1385 cable for New York."""


def kind_of(payload: Payload) -> str:
    """Say which of the tables a payload is, or '' for none of them."""
    found = payload.name.partition("-")[0]
    return found if found in _TABLES else ""


def parse_table(payload: Payload, interval: Interval) -> Observations:
    """Turn a day of one of the three tables into observations."""
    kind = kind_of(payload)
    if kind == FLOWS:
        rows = _flow_rows(payload)
        placed = [name for names in BORDERS.values() for name in names]
        refuse_unplaced(rows, payload, "Location", placed, "external node")
        table = sums_of_rows(rows, _FLOW, {**BORDERS, "net_imports_mw": placed}, -1.0)
    else:
        path, column, quantity = _TABLES[kind]
        table = _valued(payload, path, column).with_columns(pl.lit(quantity).alias("quantity"))
    return stated(table.with_columns(pl.lit(ZONE).alias("zone")), payload, interval, INTERVAL_S)


def table_text(payload: Payload, cell: Cell) -> str:
    """Give what stands in a cell; of a border, the sum of its nodes."""
    kind = kind_of(payload)
    if kind == FLOWS:
        return sum_text(_flow_rows(payload), payload, cell)
    return record_cell(payload, _TABLES[kind][0], cell)


def _flow_rows(payload: Payload) -> pl.DataFrame:
    return _valued(payload, _TABLES[FLOWS][0], _FLOW, "Location.$").rename({"Location.$": "name"})


def _valued(payload: Payload, path: tuple[str, str], column: str, *more: str) -> pl.DataFrame:
    table = starts_utc(read_records(payload, path, ("BeginDate", column, *more)), payload, "BeginDate")
    mark = pl.col("start_utc").dt.truncate(f"{INTERVAL_S}s")
    table = table.with_columns(
        mark.alias("start_utc"), pl.lit(column).alias("column"), pl.col(column).alias("text")
    )
    return to_numbers(table.unique(["start_utc", *more], keep="first", maintain_order=True), payload)
