"""WattTime, for comparison: its marginal operating emission rate (MOER), by the user's own account.

User and password give a token for half an hour at `/login`; it is asked for once a round and kept nowhere. The rate is
somebody else's estimate, in pounds of CO2 per megawatt-hour: it has a quantity of its own, is never a truth, and never
enters a factor of ours. `point_time` is UTC and starts the five minutes.
https://docs.watttime.org
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from gridmargin.reference import known_zones
from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.json_rows import inside, lists_nothing, read_json, read_records, record_cell
from gridmargin.sources.live.live_source import Access, LiveRequest
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import nothing, starts_utc, stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import G_PER_LB, Cell, Interval, TableError

RECORDS = ("data",)
INTERVAL_S = 300
DAYS_AT_ONCE = 8
"""An answer holds 32 days at most."""

QUANTITY = "watttime_moer_gco2_per_kwh"
"""The quantity, which no grid state holds."""

META = {"signal_type": "co2_moer", "units": "lbs_co2_per_mwh", "data_point_period_seconds": str(INTERVAL_S)}
"""What an answer must say of itself."""

REGIONS = {
    "AT": "AT",
    "AU-NSW": "NEM_NSW",
    "AU-VIC": "NEM_VIC",
    "BE": "BE",
    "CH": "CH",
    "DE": "DE",
    "ES": "ES",
    "FI": "FI",
    "FR": "FR",
    "GB": "UK",
    "GR": "GR",
    "NL": "NL",
    "PL": "PL",
    "US-AZPS": "AZPS",
    "US-BPAT": "BPA",
    "US-CISO": "CAISO_NORTH",
    "US-DUK": "DUK",
    "US-FPL": "FPL",
    "US-NEVP": "NEVP",
    "US-PACE": "PACE",
    "US-PACW": "PACW",
    "US-PSCO": "PSCO",
    "US-SOCO": "SOCO",
    "US-TVA": "TVA",
}
"""Our zones and their regions. `CAISO_NORTH` is a part of ours; operators that they cut into many regions are left out."""


class WattTime:
    """Asks for `v3/historical` of the signal `co2_moer`, some days at a time."""

    name = "watttime"
    publisher = "WattTime"
    base_url = "https://api.watttime.org"
    access: Access | None = Access(
        ("user", "password"), "https://docs.watttime.org (an account; the plan says for which regions)", basic=True,
        login="login",
    )  # fmt: skip
    states_margin = True
    cadence_s = 300
    delay_s = 1800

    def zones(self) -> list[str]:
        """List the zones of ours that are a region of theirs."""
        return [zone for zone in known_zones() if zone in REGIONS]

    def interval_s(self, zone: str) -> int:
        """Give five minutes. [s]"""
        del zone
        return INTERVAL_S

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List stretches that begin on fixed days."""
        found = []
        stretch = Interval.containing(interval.start_utc, DAYS_AT_ONCE * 86_400)
        while stretch.start_utc < interval.end_utc:
            query = {
                "region": REGIONS[zone],
                "signal_type": META["signal_type"],
                "start": f"{stretch.start_utc:%Y-%m-%dT%H:%M:%S+00:00}",
                "end": f"{stretch.end_utc:%Y-%m-%dT%H:%M:%S+00:00}",
            }
            name = f"co2_moer-{zone}-{stretch.start_utc:%Y%m%d}.json"
            found.append(LiveRequest(name, "v3/historical", Body.JSON, stretch, query))
            stretch = Interval(stretch.end_utc, stretch.end_utc + timedelta(days=DAYS_AT_ONCE))
        return found

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one answer into observations of one zone."""
        if lists_nothing(payload, RECORDS):
            return nothing()
        zone = payload.name.removesuffix(".json").partition("-")[2].rpartition("-")[0]
        meta = inside(payload, read_json(payload), ("meta",))
        for field, due in (META | {"region": REGIONS.get(zone, "")}).items():
            told = str(inside(payload, meta, (field,)))
            if told != due:
                raise TableError(
                    f"{payload.name}, meta, field {field}: {told!r} was not asked for; {due!r} was"
                )
        table = starts_utc(read_records(payload, RECORDS, ("point_time", "value")), payload, "point_time")
        rate = to_numbers(
            table.rename({"value": "text"}).with_columns(pl.lit("value").alias("column")), payload
        )
        rate = rate.with_columns(
            pl.col("value") * (G_PER_LB / 1000),
            pl.lit(zone).alias("zone"),
            pl.lit(QUANTITY).alias("quantity"),
        )
        return stated(rate, payload, interval, INTERVAL_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give the value of a record."""
        return record_cell(payload, RECORDS, cell)
