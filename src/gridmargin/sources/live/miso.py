"""Midcontinent ISO, live: the public API's fuel mix of yesterday and today, every five minutes.

Anybody is answered, once a minute for each address. Labels are EST (UTC-5) all year; a day's table begins with 00:00, so
a label names the start. `Other` holds hydro, pumped storage, diesel, refuse and demand response and says not how much of
each. Only these two days are there: what is further back is in the market reports and in EIA-930.
https://public-api.misoenergy.org/
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.json_rows import read_records, record_cell
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone
from gridmargin.sources.mix_tables import quantities_of
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, TableError, generation_column

ZONE = "US-MISO"
INTERVAL_S = 300
EST = timedelta(hours=-5)
RECORDS = ("Fuel", "Type")

FUELS = {
    "Battery Storage": Fuel.BATTERY,
    "Coal": Fuel.COAL,
    "Hydro": Fuel.HYDRO,
    "Natural Gas": Fuel.GAS,
    "Nuclear": Fuel.NUCLEAR,
    "Other": Fuel.OTHER,
    "Solar": Fuel.SOLAR,
    "Wind": Fuel.WIND,
}
LEFT = ("Imports",)
"""Whether it falls below zero while power leaves is not said, so it is no net import, and stays in the payload."""

_DAYS = ("Yesterday", "Today")


class MisoLive(OneZone):
    """Asks for `FuelMix/Yesterday` and `FuelMix/Today`."""

    name = "miso"
    publisher = "Midcontinent ISO"
    base_url = "https://public-api.misoenergy.org/api"
    access: Access | None = None
    zone = ZONE
    every_s = INTERVAL_S
    states_margin = False
    cadence_s = 300
    delay_s = 300

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List the two tables, which have no date in their address: named after the last day that is wanted.

        Yesterday's is asked for only where the stretch begins before that day.
        """
        del zone
        last = interval.end_utc - timedelta(microseconds=1) + EST
        is_today = (interval.start_utc + EST).date() == last.date()
        return [
            LiveRequest(f"FuelMix-{day}-{last:%Y%m%d}.json", f"FuelMix/{day}", Body.JSON, interval)
            for day in (_DAYS[1:] if is_today else _DAYS)
        ]

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one table into observations."""
        table = read_records(payload, RECORDS, ("INTERVALEST", "CATEGORY", "ACT"))
        label = pl.col("INTERVALEST").str.to_datetime("%Y-%m-%d %I:%M:%S %p", time_unit="us", strict=False)
        table = table.with_columns(
            (label - EST).dt.replace_time_zone("UTC").alias("start_utc"),
            pl.lit("ACT").alias("column"),
            pl.col("ACT").alias("text"),
        )
        bad = table.filter(pl.col("start_utc").is_null())
        if bad.height:
            raise TableError(
                f"{payload.name}, row {bad['row'][0]}, column INTERVALEST: {bad['INTERVALEST'][0]!r} is not a time such"
                " as 2026-09-24 2:05:00 PM"
            )
        names = {name: generation_column(fuel) for name, fuel in FUELS.items()}
        table = to_numbers(quantities_of(table, payload, "CATEGORY", names, LEFT), payload)
        return stated(table.with_columns(pl.lit(ZONE).alias("zone")), payload, interval, INTERVAL_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give the value of a record."""
        return record_cell(payload, RECORDS, cell)
