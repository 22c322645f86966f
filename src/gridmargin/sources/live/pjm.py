"""PJM, live: Data Miner 2, hourly generation by fuel and the hourly marginal emission rate of the whole area.

Wants a free key; redistribution wants a membership. `datetime_beginning_utc` is UTC and names the start of the hour. The
rate is the publisher's, in pounds of CO2 per MWh, for aggregates of nodes; the area's own (`PJM-RTO`) is taken. An answer
holds 50,000 rows at most and says how many there are; those who are no members may ask six times a minute, so stretches
are long. The five-minute rates have no generation beside them and are not read: a zone has one interval.
https://dataminer2.pjm.com/feed/gen_by_fuel/definition
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.json_rows import inside, read_json, read_records, record_cell
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone
from gridmargin.sources.mix_tables import quantities_of
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, TableError, generation_column

ZONE = "US-PJM"
HOUR_S = 3600
RECORDS = ("items",)
MAX_ROWS = 50_000
DAYS_AT_ONCE = 24
"""Of one request: 24 hours × 24 days × 11 fuels = 6,336 rows, and 45 days of the past take six requests at most."""

RTO = "1"
"""Their node number of the whole area, `PJM-RTO`."""

G_PER_KWH_OF_LB_PER_MWH = 0.45359237
"""The international pound is 453.59237 g."""

FUELS = {
    "Coal": Fuel.COAL,
    "Gas": Fuel.GAS,
    "Hydro": Fuel.HYDRO,
    "Multiple Fuels": Fuel.GAS_OIL,
    "Nuclear": Fuel.NUCLEAR,
    "Oil": Fuel.OIL,
    "Other": Fuel.OTHER,
    "Other Renewables": Fuel.BIOMASS,
    "Solar": Fuel.SOLAR,
    "Storage": Fuel.BATTERY,
    "Wind": Fuel.WIND,
}
"""Their types and ours. `Multiple Fuels` burn gas or oil and do not say which; `Other Renewables` are wood, landfill gas
and refuse; `Hydro` holds pumped storage."""

_MIX, _RATE = "gen_by_fuel", "hourly_marginal_emissions"


class PjmLive(OneZone):
    """Asks for `hourly_marginal_emissions` and `gen_by_fuel`, some days at a time."""

    name = "pjm"
    publisher = "PJM Interconnection"
    base_url = "https://api.pjm.com/api/v1"
    access: Access | None = Access(
        ("key",), "https://apiportal.pjm.com/ (free account)", header="Ocp-Apim-Subscription-Key"
    )
    zone = ZONE
    every_s = HOUR_S
    states_margin = True
    cadence_s = 3600
    delay_s = 7200

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List both feeds in stretches that begin on fixed days, so that a later answer revises an earlier one."""
        del zone
        step_s = DAYS_AT_ONCE * 86_400
        found = []
        part = Interval.containing(interval.start_utc, step_s)
        while part.start_utc < interval.end_utc:
            last = part.end_utc - timedelta(hours=1)
            common = {
                "rowCount": str(MAX_ROWS),
                "startRow": "1",
                "datetime_beginning_utc": f"{part.start_utc:%m/%d/%Y %H:%M} to {last:%m/%d/%Y %H:%M}",
            }
            for feed, query in (
                (
                    _RATE,
                    {
                        "fields": "datetime_beginning_utc,pnode_id,pnode_name,marginal_co2_rate",
                        "pnode_id": RTO,
                    },
                ),
                (_MIX, {"fields": "datetime_beginning_utc,fuel_type,mw"}),
            ):
                name = f"{feed}-{part.start_utc:%Y%m%d}.json"
                found.append(LiveRequest(name, feed, Body.JSON, part, common | query))
            part = Interval(part.end_utc, part.end_utc + timedelta(seconds=step_s))
        return found

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one answer into observations."""
        is_mix = payload.name.startswith(_MIX)
        what, column = ("fuel_type", "mw") if is_mix else ("pnode_id", "marginal_co2_rate")
        names = (
            {name: generation_column(fuel) for name, fuel in FUELS.items()}
            if is_mix
            else {RTO: "published_marginal_rate_gco2_per_kwh"}
        )
        table = read_records(payload, RECORDS, ("datetime_beginning_utc", what, column))
        total = inside(payload, read_json(payload), ("totalRows",))
        if str(total) != str(table.height):
            raise TableError(
                f"{payload.name} holds {table.height} of {total} rows: cut short by the publisher; ask for a shorter"
                " stretch"
            )
        start = pl.col("datetime_beginning_utc").str.to_datetime(
            "%Y-%m-%dT%H:%M:%S", time_unit="us", time_zone="UTC", strict=False
        )
        table = table.with_columns(
            start.alias("start_utc"), pl.lit(column).alias("column"), pl.col(column).alias("text")
        )
        bad = table.filter(pl.col("start_utc").is_null())
        if bad.height:
            raise TableError(
                f"{payload.name}, row {bad['row'][0]}, column datetime_beginning_utc:"
                f" {bad['datetime_beginning_utc'][0]!r} is not a time such as 2026-09-24T14:00:00"
            )
        table = to_numbers(quantities_of(table, payload, what, names), payload)
        if not is_mix:
            table = table.with_columns(pl.col("value") * G_PER_KWH_OF_LB_PER_MWH)
        return stated(table.with_columns(pl.lit(ZONE).alias("zone")), payload, interval, HOUR_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give the value of a record."""
        return record_cell(payload, RECORDS, cell)
