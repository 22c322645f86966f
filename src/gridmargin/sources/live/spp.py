"""Southwest Power Pool, live: the generation mix of the last two hours, and of a year for what is further back.

Anybody is answered. `GMT MKT Interval` is UTC and names the **end** of its five minutes: the file of 2023 runs from
2023-01-01T06:05Z to 2024-01-01T06:00Z, which is the year in CST. The tables of the market's eastern area are read (`SPP`);
the western one (`SWPW`), run since 2026, is another zone. A fuel is one column, or two for what the market dispatched and
what its owner did.
https://portal.spp.org/pages/generation-mix-historical
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from gridmargin.sources.delimited import delimited_cell, read_strings
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone
from gridmargin.sources.mix_tables import long_of_wide, sum_of_cells
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, TableError, generation_column

ZONE = "US-SWPP"
INTERVAL_S = 300
LABEL = "GMT MKT Interval"
DOWNLOAD = "file-browser-api/download/generation-mix-historical"

SHORT = timedelta(hours=3)
"""Stretches up to this take the small table alone: a round asks for two hours and what is late, and the year's table
has 16 MB."""

FUELS: dict[str, tuple[tuple[str, ...], ...]] = {
    generation_column(Fuel.COAL): (("Coal",), ("Coal Market", "Coal Self")),
    generation_column(Fuel.OIL): (
        ("Diesel Fuel Oil",),
        ("Diesel Fuel Oil Market", "Diesel Fuel Oil Self"),
    ),
    generation_column(Fuel.HYDRO): (("Hydro",), ("Hydro Market", "Hydro Self")),
    generation_column(Fuel.GAS): (("Natural Gas",), ("Natural Gas Market", "Gas Self")),
    generation_column(Fuel.NUCLEAR): (("Nuclear",), ("Nuclear Market", "Nuclear Self")),
    generation_column(Fuel.SOLAR): (("Solar",), ("Solar Market", "Solar Self")),
    generation_column(Fuel.WASTE): (
        ("Waste Disposal Services",),
        ("Waste Disposal Services Market", "Waste Disposal Services Self"),
    ),
    generation_column(Fuel.WIND): (("Wind",), ("Wind Market", "Wind Self")),
    generation_column(Fuel.OTHER): (
        ("Waste Heat", "Other"),
        ("Waste Heat Market", "Waste Heat Self", "Other Market", "Other Self"),
    ),
}
"""Our quantities and their columns, in either form. Waste heat burns nothing of its own and is `other`."""

MAY_LACK = {
    generation_column(Fuel.BATTERY): (("Energy Storage",), ("Energy Storage Market", "Energy Storage Self"))
}
"""Newer tables have it; negative while stores charge."""

LOAD = "Load"


class SppLive(OneZone):
    """Asks for `GenMix2Hour_SPP.csv`, and `GenMix365_SPP.csv` for longer stretches."""

    name = "spp"
    publisher = "Southwest Power Pool"
    base_url = "https://portal.spp.org"
    access: Access | None = None
    zone = ZONE
    every_s = INTERVAL_S
    states_margin = False
    cadence_s = 300
    delay_s = 600

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List the tables, whose address has no date: the small one is named after the last hour that is wanted."""
        del zone
        last = interval.end_utc - timedelta(microseconds=1)
        small = LiveRequest(
            f"GenMix2Hour_SPP-{last:%Y%m%d%H}.csv", DOWNLOAD, Body.CSV, interval, {"path": "/SPP/GenMix2Hour_SPP.csv"}
        )  # fmt: skip
        if interval.end_utc - interval.start_utc <= SHORT:
            return [small]
        year = LiveRequest(
            f"GenMix365_SPP-{last:%Y%m}.csv", DOWNLOAD, Body.CSV, interval, {"path": "/SPP/GenMix365_SPP.csv"}
        )
        return [year, small]

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn a table into observations."""
        frame = read_strings(payload, ",", (LABEL,))
        frame = frame.rename({name: name.strip() for name in frame.columns})
        columns_of = _columns(payload, frame.columns)
        table = _timed(frame, payload)
        return stated(
            long_of_wide(table, payload, columns_of).with_columns(pl.lit(ZONE).alias("zone")),
            payload,
            interval,
            INTERVAL_S,
        )

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell; of a fuel in two columns, their sum."""
        header = (
            payload.body.partition(b"\n")[0].decode("utf-8", "replace").strip().lstrip("\ufeff").split(",")
        )
        written = {name.strip(): name for name in header}

        def text_of(one: Cell) -> str:
            return delimited_cell(
                payload, Cell(one.payload_sha256, one.row, written.get(one.column, one.column)), ","
            )

        return sum_of_cells(cell, text_of)


def _columns(payload: Payload, header: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for quantity, forms in {**FUELS, **MAY_LACK}.items():
        there = [form for form in forms if set(form) <= set(header)]
        if there:
            found[quantity] = there[0]
        elif quantity in FUELS:
            raise TableError(
                f"{payload.name}, row 1: no column {forms[0][0]!r}; found {', '.join(header[1:14])}"
            )
    if LOAD in header:
        found["demand_mw"] = (LOAD,)
    return found


def _timed(frame: pl.DataFrame, payload: Payload) -> pl.DataFrame:
    text = pl.col(LABEL).str.strip_chars()
    label = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%#z", time_unit="us", time_zone="UTC", strict=False)
    table = frame.with_columns(label.alias("label_utc"))
    bad = table.filter(pl.col("label_utc").is_null())
    if bad.height:
        raise TableError(
            f"{payload.name}, row {bad['row'][0]}, column {LABEL}: {bad[LABEL][0]!r} is not a time such as"
            " 2026-09-24T14:05:00Z"
        )
    start = (pl.col("label_utc") - pl.duration(microseconds=1)).dt.truncate(f"{INTERVAL_S}s")
    # Of several labels in one interval the last stands for it.
    return (
        table.with_columns(start.alias("start_utc"))
        .sort("label_utc", maintain_order=True)
        .unique("start_utc", keep="last", maintain_order=True)
    )
