"""Electricity Maps, for comparison: the average carbon intensity of what a zone uses, by the user's own key.

An average of consumption with imports traced, in CO2 equivalents, by life-cycle factors and by those of operation: no
marginal rate, and other gases and another boundary than ours, so that it has quantities of its own and is never mixed
with what we state (C3). `datetime` is UTC and starts the hour.
https://portal.electricitymaps.com/docs/api
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from gridmargin.reference import known_zones
from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.json_rows import lists_nothing, read_records, record_cell
from gridmargin.sources.live.live_source import Access, LiveRequest
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import nothing, starts_utc, stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Interval, Status, TableError

RECORDS = ("data",)
HOUR_S = 3600
DAYS_AT_ONCE = 8
"""An answer holds ten days of hours at most."""

QUANTITIES = {
    "lifecycle": "electricity_maps_average_lifecycle_gco2e_per_kwh",
    "direct": "electricity_maps_average_direct_gco2e_per_kwh",
}
"""Their emission factor types and the quantities, which no grid state holds."""

THEIRS = {
    "US-AZPS": "US-SW-AZPS",
    "US-BPAT": "US-NW-BPAT",
    "US-CISO": "US-CAL-CISO",
    "US-DUK": "US-CAR-DUK",
    "US-ERCO": "US-TEX-ERCO",
    "US-FPL": "US-FLA-FPL",
    "US-ISNE": "US-NE-ISNE",
    "US-MISO": "US-MIDW-MISO",
    "US-NEVP": "US-NW-NEVP",
    "US-NYIS": "US-NY-NYIS",
    "US-PACE": "US-NW-PACE",
    "US-PACW": "US-NW-PACW",
    "US-PJM": "US-MIDA-PJM",
    "US-PSCO": "US-NW-PSCO",
    "US-SOCO": "US-SE-SOCO",
    "US-SWPP": "US-CENT-SWPP",
    "US-TVA": "US-TEN-TVA",
}
"""Our zones that they call otherwise."""

SAME = (
    "AT BE BG CH CZ DE DK-DK1 DK-DK2 EE ES FI FR GB GR HR HU IE IT-CNO IT-CSO IT-NO IT-SAR IT-SIC LT LV NL NO-NO1 NO-NO2"
    " NO-NO3 NO-NO4 NO-NO5 PL PT RO RS SE-SE1 SE-SE2 SE-SE3 SE-SE4 SI SK AU-NSW AU-QLD AU-SA AU-TAS AU-VIC"
)
"""Zones that they call as we do. Their `IE` is the republic alone, and their `DE` is without Luxembourg."""


class ElectricityMaps:
    """Asks for `carbon-intensity/past-range`, some days at a time, by either kind of emission factor."""

    name = "electricity_maps"
    publisher = "Electricity Maps"
    base_url = "https://api.electricitymaps.com/v3"
    access: Access | None = Access(
        ("token",),
        "https://portal.electricitymaps.com (the plan must allow past ranges)",
        header="auth-token",
    )
    states_margin = False
    cadence_s = 3600
    delay_s = 3600

    def zones(self) -> list[str]:
        """List the zones of ours that are zones of theirs."""
        return [zone for zone in known_zones() if zone in THEIRS or zone in SAME.split()]

    def interval_s(self, zone: str) -> int:
        """Give an hour. [s]"""
        del zone
        return HOUR_S

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List stretches that begin on fixed days, each by both kinds of factor."""
        found = []
        stretch = Interval.containing(interval.start_utc, DAYS_AT_ONCE * 86_400)
        while stretch.start_utc < interval.end_utc:
            for kind in QUANTITIES:
                query = {
                    "zone": THEIRS.get(zone, zone),
                    "start": f"{stretch.start_utc:%Y-%m-%dT%H:%M:%SZ}",
                    "end": f"{stretch.end_utc:%Y-%m-%dT%H:%M:%SZ}",
                    "emissionFactorType": kind,
                    "temporalGranularity": "hourly",
                }
                name = f"{kind}-{zone}-{stretch.start_utc:%Y%m%d}.json"
                found.append(LiveRequest(name, "carbon-intensity/past-range", Body.JSON, stretch, query))
            stretch = Interval(stretch.end_utc, stretch.end_utc + timedelta(days=DAYS_AT_ONCE))
        return found

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one answer into observations; what they estimated is imputed."""
        kind, _, rest = payload.name.removesuffix(".json").partition("-")
        zone = rest.rpartition("-")[0]
        if kind not in QUANTITIES:
            raise TableError(f"{payload.name}: named after none of {', '.join(QUANTITIES)}")
        if lists_nothing(payload, RECORDS):
            return nothing()
        fields = ("datetime", "carbonIntensity", "emissionFactorType", "isEstimated", "zone")
        table = starts_utc(read_records(payload, RECORDS, fields), payload, "datetime")
        for field, due in (("emissionFactorType", kind), ("zone", THEIRS.get(zone, zone))):
            other = table.filter(pl.col(field) != due)
            if other.height:
                raise TableError(
                    f"{payload.name}, row {other['row'][0]}, column {field}: {other[field][0]!r} was not asked for; {due!r} was"
                )
        table = to_numbers(
            table.with_columns(
                pl.lit("carbonIntensity").alias("column"),
                pl.lit(zone).alias("our"),
                pl.lit(QUANTITIES[kind]).alias("quantity"),
                pl.when(pl.col("isEstimated") == "True")
                .then(pl.lit(Status.IMPUTED.value))
                .otherwise(pl.lit(Status.REPORTED.value))
                .alias("status"),
            ),
            payload,
            "carbonIntensity",
        )
        return stated(table.drop("zone").rename({"our": "zone"}), payload, interval, HOUR_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give the value of a record."""
        return record_cell(payload, RECORDS, cell)
