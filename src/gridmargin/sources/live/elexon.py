"""Elexon, live: Great Britain's transmission-metered generation by fuel, its links abroad, demand, and the market's price.

Anybody is answered. `startTime` is UTC and names the start of the interval; tables are asked for by settlement day,
which begins at London's midnight. A code that begins with `INT` is a link abroad, above zero when it brings power in. The
market index is in pounds, a half hour's, and holds for each of its five minutes; one exchange's is taken.
https://bmrs.elexon.co.uk/api-documentation
"""

from __future__ import annotations

import math
from datetime import datetime

import polars as pl

from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.json_rows import lists_nothing, read_records, record_cell
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone, local_days
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import nothing, starts_utc, stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, TableError, generation_column

ZONE = "GB"
TIMEZONE = "Europe/London"
RECORDS = ("data",)

FUELS = {
    "BIOMASS": Fuel.BIOMASS,
    "CCGT": Fuel.GAS_CC,
    "COAL": Fuel.COAL,
    "NPSHYD": Fuel.HYDRO,
    "NUCLEAR": Fuel.NUCLEAR,
    "OCGT": Fuel.GAS_SIMPLE,
    "OIL": Fuel.OIL,
    "OTHER": Fuel.OTHER,
    "PS": Fuel.PUMPED,
    "WIND": Fuel.WIND,
}
"""Their codes and our fuels, one to one."""

LINKS = {
    "INTELEC": "FR",
    "INTEW": "IE",
    "INTFR": "FR",
    "INTGRNL": "IE",
    "INTIFA2": "FR",
    "INTIRL": "IE",
    "INTNED": "NL",
    "INTNEM": "BE",
    "INTNSL": "NO-NO2",
    "INTVKL": "DK-DK1",
}
"""Their links and the zone at the other end. A link that is not listed is left in the payload."""

DEMAND = "initialDemandOutturn"
OUTTURN = "demand/outturn"
PRICE = "balancing/pricing/market-index"
PROVIDER = "APXMIDP"
"""The exchange whose index is read; the other's (`N2EXMIDP`) has no trades in most half hours, and then 0.00."""
_FUEL_FIELDS = ("publishTime", "startTime", "fuelType", "generation")
_AND = " + "
_SUPPLEMENTS = {PRICE: "price", OUTTURN: "load"}
_PRICE_NAME = PRICE.replace("/", "-")


class ElexonLive(OneZone):
    """Asks for `datasets/FUELHH` and `demand/outturn`, a settlement day at a time: means of half hours."""

    name = "elexon"
    publisher = "Elexon"
    base_url = "https://data.elexon.co.uk/bmrs/api/v1"
    access: Access | None = None
    zone = ZONE
    every_s = 1800
    states_margin = False
    cadence_s = 1800
    delay_s = 900
    tables: tuple[str, ...] = (PRICE, OUTTURN, "datasets/FUELHH")

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List each settlement day's tables."""
        del zone
        return [
            LiveRequest(
                f"{table.replace('/', '-')}-{day:%Y%m%d}.json",
                table,
                Body.JSON,
                stretch,
                _query(table, day, stretch),
                supplement=_SUPPLEMENTS.get(table, ""),
            )
            for day, stretch in local_days(interval, TIMEZONE)
            for table in self.tables
        ]

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one day's table into observations; a day that has only begun may have none."""
        if lists_nothing(payload, RECORDS):
            return nothing()
        if payload.name.startswith(_PRICE_NAME):
            return _price(payload, interval, 300 if payload.source == ElexonInstantLive.name else 1800)
        if payload.name.startswith("demand"):
            table = read_records(payload, RECORDS, ("startTime", DEMAND))
            table = table.with_columns(pl.lit(DEMAND).alias("column"), pl.lit("demand_mw").alias("quantity"))
            demand = to_numbers(starts_utc(table, payload, "startTime"), payload, DEMAND)
            return stated(demand.with_columns(pl.lit(ZONE).alias("zone")), payload, interval, 1800)
        interval_s = 300 if "FUELINST" in payload.name else 1800
        table = _generation(payload, interval_s)
        fuels = {code: generation_column(fuel) for code, fuel in FUELS.items()}
        own = table.filter(pl.col("fuelType").is_in(list(fuels))).with_columns(
            pl.col("fuelType").replace_strict(fuels, return_dtype=pl.String).alias("quantity")
        )
        keys = ["zone", "start_utc", "quantity", "value", "row", "column"]
        parts = [own.select(keys), *(part.select(keys) for part in _borders(table))]
        return stated(pl.concat(parts), payload, interval, interval_s)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a record; of a border with several links, their sum."""
        field, _, links = cell.column.partition(" of ")
        if not links:
            return record_cell(payload, RECORDS, cell)
        interval_s = 300 if "FUELINST" in payload.name else 1800
        table = _generation(payload, interval_s)
        start = table.filter(pl.col("row") == cell.row)["start_utc"]
        if not len(start):
            raise TableError(f"{payload.name} has no row {cell.row}")
        mine = table.filter((pl.col("start_utc") == start[0]) & pl.col("fuelType").is_in(links.split(_AND)))
        return repr(math.fsum(float(text) for text in mine[field]))


class ElexonInstantLive(ElexonLive):
    """Asks for `datasets/FUELINST`, a settlement day at a time: every five minutes, without demand."""

    name = "elexon_5min"
    cadence_s = 300
    delay_s = 300
    tables = (PRICE, "datasets/FUELINST")

    def interval_s(self, zone: str) -> int:
        """Give five minutes. [s]"""
        del zone
        return 300


def _query(table: str, day: datetime, stretch: Interval) -> dict[str, str]:
    if table == PRICE:
        times = {"from": f"{stretch.start_utc:%Y-%m-%dT%H:%MZ}", "to": f"{stretch.end_utc:%Y-%m-%dT%H:%MZ}"}
    else:
        times = {"settlementDateFrom": f"{day:%Y-%m-%d}", "settlementDateTo": f"{day:%Y-%m-%d}"}
    return {**times, "format": "json"}


def _price(payload: Payload, interval: Interval, interval_s: int) -> Observations:
    """Read one exchange's index; without trades there is none, whatever stands there (C2)."""
    table = starts_utc(
        read_records(payload, RECORDS, ("startTime", "dataProvider", "price", "volume")), payload, "startTime"
    )
    table = table.filter(pl.col("dataProvider") == PROVIDER)
    traded = to_numbers(table.with_columns(pl.lit("volume").alias("column")), payload, "volume")
    table = to_numbers(
        traded.filter(pl.col("value") > 0).with_columns(pl.lit("price").alias("column")), payload, "price"
    )
    halves = table.with_columns(pl.lit("price_gbp_per_mwh").alias("quantity"), pl.lit(ZONE).alias("zone"))
    parts = [
        halves.with_columns(pl.col("start_utc") + pl.duration(seconds=after_s))
        for after_s in range(0, 1800, interval_s)
    ]
    return stated(pl.concat(parts), payload, interval, interval_s)


def _generation(payload: Payload, interval_s: int) -> pl.DataFrame:
    """Read what each code gave; of what was published twice for an interval, the last stands."""
    table = starts_utc(read_records(payload, RECORDS, _FUEL_FIELDS), payload, "startTime")
    table = table.with_columns(
        pl.col("start_utc").dt.truncate(f"{interval_s}s"),
        pl.lit(ZONE).alias("zone"),
        pl.lit("generation").alias("column"),
    )
    table = table.sort("publishTime", "row").unique(
        ["start_utc", "fuelType"], keep="last", maintain_order=True
    )
    return to_numbers(table.sort("row"), payload, "generation")


def _borders(table: pl.DataFrame) -> list[pl.DataFrame]:
    """Sum the links to each neighbour; a border on which a link of this table is silent is absent (C2)."""
    there = [code for code in table["fuelType"].unique().sort() if code in LINKS]
    parts = []
    for neighbour in sorted({LINKS[code] for code in there}):
        links = [code for code in there if LINKS[code] == neighbour]
        total = (
            table.filter(pl.col("fuelType").is_in(links))
            .group_by("zone", "start_utc", maintain_order=True)
            .agg(pl.col("value").sum(), pl.col("value").count().alias("n"), pl.col("row").min())
            .filter(pl.col("n") == len(links))
        )
        parts.append(
            total.with_columns(
                pl.lit(f"imports_from_{neighbour}_mw").alias("quantity"),
                pl.lit(f"generation of {_AND.join(links)}").alias("column"),
            )
        )
    return parts
