"""ERCOT, live: the dashboards' JSON, generation by fuel of yesterday and today, and today's demand, prices and DC ties.

Anybody in the United States is answered; public reports have the host refuse others with 403. Stamps carry their
offset. Generation is "point in time" by the publisher's own word, some seconds off a five-minute mark: a stamp is taken
to the nearest minute, and laid on the five minutes that begin there or hold it.
The price of a quarter of an hour, whose stamp names its end, holds for each of its five minutes. The ties' table has a
moment every ten seconds since midnight and is asked for once an hour.
Not the settlement's quarter-hours that `ercot` reads from a folder, hence another name.
https://www.ercot.com/gridmktinfo/dashboards/fuelmix
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import polars as pl

from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.json_rows import Json, inside, read_json, read_records, record_cell
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone
from gridmargin.sources.mix_tables import long_of_wide, quantities_of, sum_of_cells
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, TableError, generation_column

ZONE = "US-ERCO"
INTERVAL_S = 300
TIMEZONE = ZoneInfo("America/Chicago")

FUELS = {
    "Coal and Lignite": Fuel.COAL,
    "Hydro": Fuel.HYDRO,
    "Natural Gas": Fuel.GAS,
    "Nuclear": Fuel.NUCLEAR,
    "Other": Fuel.OTHER,
    "Power Storage": Fuel.BATTERY,
    "Solar": Fuel.SOLAR,
    "Wind": Fuel.WIND,
}
LEFT = ("Power Storage Charging", "Power Storage Discharging")
"""Parts of `Power Storage`, which is their sum, negative while stores charge."""

_MIX, _DEMAND, _PRICES, _TIES = "fuel-mix", "supply-demand", "system-wide-prices", "dc-tie-flows"

PRICE = "hbHubAvg"
"""The average of the four trading hubs: no part of a price is the same everywhere in these tables, and the hubs' mean
leans on no one place. Load zones and single hubs stay in the payload."""

PRICE_S = 900
_RECORDS = "rtSppData"

BORDERS = {
    "imports_from_MX_mw": ("dcL", "dcR"),
    "imports_from_US-SWPP_mw": ("dcE", "dcN"),
    "net_imports_mw": ("dcE", "dcN", "dcL", "dcR"),
}
"""The direct-current ties of each border: East and North to the Southwest Power Pool, Laredo and Railroad to Mexico. They
count what leaves, and are all that joins this zone to others."""


class ErcotLive(OneZone):
    """Asks for `fuel-mix.json`, `supply-demand.json`, `system-wide-prices.json` and `dc-tie-flows.json`."""

    name = "ercot_dashboards"
    publisher = "ERCOT"
    base_url = "https://www.ercot.com/api/1/services/read/dashboards"
    access: Access | None = None
    zone = ZONE
    every_s = INTERVAL_S
    states_margin = False
    cadence_s = 300
    delay_s = 300

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List the tables, which have no date in their address: named after the last day, or hour, that is wanted."""
        del zone
        day = (interval.end_utc - timedelta(microseconds=1)).astimezone(TIMEZONE)
        hour = f"{interval.end_utc:%Y%m%dT%HZ}"
        return [
            LiveRequest(
                f"{_TIES}-{hour}.json", f"{_TIES}.json", Body.JSON, interval, supplement="flows", once=True
            ),
            *(
                LiveRequest(
                    f"{table}-{day:%Y%m%d}.json", f"{table}.json", Body.JSON, interval, supplement=supplement
                )
                for table, supplement in ((_PRICES, "prices"), (_DEMAND, "load"), (_MIX, ""))
            ),
        ]

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one table into observations."""
        if payload.name.startswith(_MIX):
            table = quantities_of(
                _mix(payload), payload, "column",
                {name: generation_column(fuel) for name, fuel in FUELS.items()}, LEFT,
            )  # fmt: skip
        elif payload.name.startswith(_PRICES):
            table = _prices(payload)
        elif payload.name.startswith(_TIES):
            return _ties(payload, interval)
        else:
            table = (
                read_records(payload, ("data",), ("timestamp", "demand", "forecast"))
                .filter(pl.col("forecast") == "0")
                .rename({"timestamp": "stamp", "demand": "text"})
                .with_columns(pl.lit("demand").alias("column"), pl.lit("demand_mw").alias("quantity"))
            )
        table = to_numbers(_timed(table, payload), payload)
        return stated(table.with_columns(pl.lit(ZONE).alias("zone")), payload, interval, INTERVAL_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give a value; rows of the mix are its stamps, counted through its days."""
        if payload.name.startswith(_TIES):
            return sum_of_cells(cell, lambda one: record_cell(payload, ("data",), one))
        if not payload.name.startswith(_MIX):
            return record_cell(payload, (_RECORDS if payload.name.startswith(_PRICES) else "data",), cell)
        for row, _, record in _stamps(payload):
            if row == cell.row:
                return str(inside(payload, record, (cell.column, "gen")))
        raise TableError(f"{payload.name} has no row {cell.row}")


def _prices(payload: Payload) -> pl.DataFrame:
    """Give each quarter's price thrice, as of the stamps of its five minutes."""
    table = _at_utc(
        read_records(payload, (_RECORDS,), ("timestamp", PRICE)).rename(
            {"timestamp": "stamp", PRICE: "text"}
        ),
        payload,
    )
    back_s = pl.DataFrame({"back_s": range(PRICE_S, 0, -INTERVAL_S)})
    return table.join(back_s, how="cross", maintain_order="left_right").with_columns(
        pl.col("at_utc") - pl.duration(seconds="back_s"),
        pl.lit(PRICE).alias("column"),
        pl.lit("price_usd_per_mwh").alias("quantity"),
    )


def _ties(payload: Payload, interval: Interval) -> Observations:
    """Give the last moment of each five minutes."""
    ties = BORDERS["net_imports_mw"]
    table = _at_utc(
        read_records(payload, ("data",), ("timestamp", *ties)).rename({"timestamp": "stamp"}), payload
    )
    start = pl.col("at_utc").dt.truncate(f"{INTERVAL_S}s")
    table = table.with_columns(start.alias("start_utc")).sort("at_utc", maintain_order=True)
    table = table.unique("start_utc", keep="last", maintain_order=True)
    long = long_of_wide(table, payload, BORDERS).with_columns(-pl.col("value"), pl.lit(ZONE).alias("zone"))
    return stated(long, payload, interval, INTERVAL_S)


def _stamps(payload: Payload) -> Iterator[tuple[int, str, Json]]:
    """Give number, stamp and fuels of each moment, as they stand in their days."""
    days = inside(payload, read_json(payload), ("data",))
    records = [(stamp, record) for day in days for stamp, record in inside(payload, days, (day,)).items()]
    for row, (stamp, record) in enumerate(records, start=2):
        yield row, stamp, record


def _mix(payload: Payload) -> pl.DataFrame:
    rows = []
    for row, stamp, record in _stamps(payload):
        for fuel in record:
            if not isinstance(record[fuel], dict) or "gen" not in record[fuel]:
                raise TableError(f"{payload.name}, row {row}, column {fuel}: no field 'gen'")
            value = record[fuel]["gen"]
            rows.append((row, stamp, fuel, None if value is None else str(value)))
    if not rows:
        raise TableError(f"{payload.name}: data lists no moment; fetch it again")
    schema = {"row": pl.Int32, "stamp": pl.String, "column": pl.String, "text": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _timed(table: pl.DataFrame, payload: Payload) -> pl.DataFrame:
    """Lay each stamp on its five minutes; of several in one the last that has the fuel stands for it."""
    if "at_utc" not in table.columns:
        table = _at_utc(table, payload)
    # A few seconds before the mark is the mark; fuels of one moment may stand under two such stamps.
    near = pl.col("at_utc").dt.round("1m").dt.truncate(f"{INTERVAL_S}s")
    table = table.with_columns(near.alias("start_utc"))
    return table.sort("at_utc", maintain_order=True).unique(
        ["start_utc", "quantity"], keep="last", maintain_order=True
    )


def _at_utc(table: pl.DataFrame, payload: Payload) -> pl.DataFrame:
    stamp = pl.col("stamp").str.to_datetime(
        "%Y-%m-%d %H:%M:%S%z", time_unit="us", time_zone="UTC", strict=False
    )
    table = table.with_columns(stamp.alias("at_utc"))
    bad = table.filter(pl.col("at_utc").is_null())
    if bad.height:
        raise TableError(
            f"{payload.name}, row {bad['row'][0]}: {bad['stamp'][0]!r} is not a time with an offset, such as"
            " 2026-09-24 14:05:00-0500"
        )
    return table
