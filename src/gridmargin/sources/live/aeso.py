"""Alberta's AESO, live: the current supply and demand summary, a snapshot, and the hourly pool price.

Wants a free key. The answer states one moment, in UTC, and is laid on the five minutes that hold it; what lies between
two questions is not there, and the past cannot be asked for (C2). Flows count what leaves. Internal load and generation
hold what industry makes and uses on its own sites, so the two balance with the flows. The pool price, in Canadian dollars,
is an hour's, in UTC by its start, and holds for each of its five minutes.
https://developer-apim.aeso.ca/ (current supply and demand)
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.json_rows import Json, inside, lists_nothing, read_json, read_records, record_cell
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone, local_days
from gridmargin.sources.mix_tables import quantities_of
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import nothing, stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, TableError, generation_column

ZONE = "CA-AB"
TIMEZONE = "America/Edmonton"
INTERVAL_S = 300
HOUR_S = 3600
ROOT = "return"
MOMENTS = ("effective_datetime_utc", "last_updated_datetime_utc")
"""What the moment is called, now and in version 1."""

FUELS = {
    "COAL": Fuel.COAL,
    "COGENERATION": Fuel.GAS,
    "COMBINED CYCLE": Fuel.GAS_CC,
    "DUAL FUEL": Fuel.GAS_OIL,
    "ENERGY STORAGE": Fuel.BATTERY,
    "GAS": Fuel.GAS,
    "GAS FIRED STEAM": Fuel.GAS_SIMPLE,
    "HYDRO": Fuel.HYDRO,
    "OTHER": Fuel.OTHER,
    "SIMPLE CYCLE": Fuel.GAS_SIMPLE,
    "SOLAR": Fuel.SOLAR,
    "WIND": Fuel.WIND,
}
"""Their types and ours; `OTHER` is wood, and heat that is left over."""

PATHS = {"British Columbia": "CA-BC", "Montana": "US-NWMT", "Saskatchewan": "CA-SK"}
TOTALS = {"alberta_internal_load": "demand_mw", "net_actual_interchange": "net_imports_mw"}

_LISTS = {
    "generation_data_list": ("fuel_type", "aggregated_net_generation"),
    "interchange_list": ("path", "actual_flow"),
}
"""Per list: the field that names a record, and the one with its value."""

_PRICE, _PRICES = "poolPrice", (ROOT, "Pool Price Report")


class AesoLive(OneZone):
    """Asks for the current summary, and for the pool price of the stretch's days."""

    name = "aeso"
    publisher = "Alberta Electric System Operator"
    base_url = "https://apimgw.aeso.ca/public"
    access: Access | None = Access(
        ("key",), "https://developer-apim.aeso.ca/ (free account)", header="API-KEY"
    )
    zone = ZONE
    every_s = INTERVAL_S
    states_margin = False
    cadence_s = 300
    delay_s = 300

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List the price of the days, and the one snapshot, named after the last five minutes that are wanted."""
        del zone
        last = Interval.containing(interval.end_utc - timedelta(microseconds=1), INTERVAL_S).start_utc
        days = [day for day, _ in local_days(interval, TIMEZONE)]
        price = LiveRequest(
            f"{_PRICE}-{days[0]:%Y%m%d}-{days[-1]:%Y%m%d}.json",
            "poolprice-api/v1.1/price/poolPrice",
            Body.JSON,
            interval,
            {"startDate": f"{days[0]:%Y-%m-%d}", "endDate": f"{days[-1]:%Y-%m-%d}"},
            supplement="price",
        )
        summary = "currentsupplydemand-api/v2/csd/summary/current"
        return [price, LiveRequest(f"csd-{last:%Y%m%d%H%M}.json", summary, Body.JSON, interval)]

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn a snapshot into observations of one interval, or hours' prices into those of their five minutes."""
        if payload.name.startswith(_PRICE):
            return _price(payload, interval)
        found = inside(payload, read_json(payload), (ROOT,))
        start = Interval.containing(_moment(payload, found), INTERVAL_S).start_utc
        names = {
            "generation_data_list": {name: generation_column(fuel) for name, fuel in FUELS.items()},
            "interchange_list": {name: f"imports_from_{zone}_mw" for name, zone in PATHS.items()},
        }
        parts = []
        for place, (what, value) in _LISTS.items():
            table = read_records(payload, (ROOT, place), (what, value))
            table = quantities_of(table, payload, what, names[place])
            parts.append(
                table.select("row", "quantity", pl.col(what).alias("column"), pl.col(value).alias("text"))
            )
        for place, quantity in TOTALS.items():
            value = inside(payload, found, (place,))
            text = None if value is None else str(value)
            parts.append(
                pl.DataFrame({"row": [1], "quantity": [quantity], "column": [place], "text": [text]})
            )
        table = to_numbers(pl.concat(parts, how="vertical_relaxed"), payload)
        leaves = pl.col("quantity").str.contains("imports")
        table = (
            table.with_columns(
                pl.when(leaves).then(-pl.col("value")).otherwise(pl.col("value")).alias("value")
            )
            .group_by("quantity", maintain_order=True)
            .agg(
                pl.col("row").first(),
                pl.col("column").str.join(" + "),
                pl.when(pl.col("value").null_count() == 0).then(pl.col("value").sum()).alias("value"),
            )
            .with_columns(
                pl.lit(ZONE).alias("zone"), pl.lit(start).dt.cast_time_unit("us").alias("start_utc")
            )
        )
        return stated(table, payload, interval, INTERVAL_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give the value beside a fuel's or a path's name, or of a total; of several, their sum; or a price."""
        if payload.name.startswith(_PRICE):
            return record_cell(payload, _PRICES, cell)
        found = inside(payload, read_json(payload), (ROOT,))
        texts = {name: str(found[name]) for name in TOTALS if name in found}
        for place, (what, value) in _LISTS.items():
            texts |= {str(record.get(what)): str(record.get(value)) for record in found.get(place, [])}
        names = cell.column.split(" + ")
        missing = [name for name in names if name not in texts]
        if missing:
            raise TableError(f"{payload.name} has nothing called {missing[0]!r}")
        return texts[names[0]] if len(names) == 1 else repr(sum(float(texts[name]) for name in names))


def _price(payload: Payload, interval: Interval) -> Observations:
    """Read the price of each hour that has one; what is forecast of the others is left."""
    if lists_nothing(payload, _PRICES):
        return nothing()
    table = read_records(payload, _PRICES, ("begin_datetime_utc", "pool_price"))
    start = pl.col("begin_datetime_utc").str.to_datetime(
        "%Y-%m-%d %H:%M", time_unit="us", time_zone="UTC", strict=False
    )
    table = table.with_columns(start.alias("start_utc"))
    bad = table.filter(pl.col("start_utc").is_null())
    if bad.height:
        raise TableError(
            f"{payload.name}, row {bad['row'][0]}, column begin_datetime_utc: {bad['begin_datetime_utc'][0]!r} is not a"
            " time such as 2026-09-24 14:00"
        )
    table = to_numbers(table.with_columns(pl.lit("pool_price").alias("column")), payload, "pool_price")
    hours = table.with_columns(pl.lit("price_cad_per_mwh").alias("quantity"), pl.lit(ZONE).alias("zone"))
    parts = [
        hours.with_columns(pl.col("start_utc") + pl.duration(seconds=after_s))
        for after_s in range(0, HOUR_S, INTERVAL_S)
    ]
    return stated(pl.concat(parts), payload, interval, INTERVAL_S)


def _moment(payload: Payload, found: Json) -> datetime:
    name = next((name for name in MOMENTS if name in found), MOMENTS[0])
    text = str(inside(payload, found, (name,)))
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise TableError(
            f"{payload.name}, row 1, column {name}: {text!r} is not a time such as 2026-09-24 14:05"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
