"""Midcontinent ISO, live: the public API's fuel mix of yesterday and today, today's load, net flow and system price.

For a stretch of days the years' fuels on the margin come beside them, from the market reports (`miso_margin`).

Anybody is answered, once a minute for each address. Labels are EST (UTC-5) all year; a day's table begins with 00:00, so
a label names the start. `Other` holds hydro, pumped storage, diesel, refuse and demand response and says not how much of
each. Only these two days are there: what is further back is in the market reports and in EIA-930. Net actual interchange
counts what leaves. A node's price less its losses and its congestion is the price of energy, the same at every node.
https://public-api.misoenergy.org/
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.json_rows import inside, read_json, read_records, record_cell
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone
from gridmargin.sources.miso_margin import ENDING, EST, INTERVAL_S, ZONE, margin_text, margins, year_of
from gridmargin.sources.mix_tables import quantities_of
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, TableError, generation_column

REPORTS = "https://docs.misoenergy.org"

SHORT = timedelta(days=3)
"""Longer stretches ask for the fuels on the margin: a year's table of megabytes, which a round has no use for."""

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

HUB = "INDIANA.HUB"
"""The node whose price is taken apart."""

_PRICE = ("LMP", "MLC", "MCC")
"""A node's price, the part for losses, and the part for congestion."""

_DAYS = ("Yesterday", "Today")
_MIX, _LOAD, _FLOW, _LMP = "FuelMix", "RealTimeTotalLoad", "NetActualInterchange", "LmpConsolidatedTable"
_RECORDS = {
    _MIX: ("Fuel", "Type"),
    _LOAD: ("LoadInfo", "FiveMinTotalLoad"),
    _FLOW: (),
    _LMP: ("LMPData", "FiveMinLMP", "PricingNode"),
}
"""Per table where its records are."""

_LESS = " - "


class MisoLive(OneZone):
    """Asks for `FuelMix/Yesterday` and `FuelMix/Today`, today's load and net flow, the newest price, and years' margins."""

    name = "miso"
    publisher = "Midcontinent ISO"
    base_url = "https://public-api.misoenergy.org/api"
    access: Access | None = None
    zone = ZONE
    every_s = INTERVAL_S
    states_margin = True
    newest = "^generation_"
    margin_delay_s = 366 * 86_400
    cadence_s = 300
    delay_s = 300

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List the tables, which have no date in their address: named after the last day or interval that is wanted.

        Yesterday's mix is asked for only where the stretch begins before that day, fuels on the margin only for days.
        """
        del zone
        end = interval.end_utc - timedelta(microseconds=1)
        last, newest = end + EST, Interval.containing(end, INTERVAL_S).start_utc
        is_today = (interval.start_utc + EST).date() == last.date()
        more = (
            (f"{_LMP}-{newest:%Y%m%d%H%M}", "MarketPricing/GetLmpConsolidatedTable", "price"),
            (f"{_FLOW}-{last:%Y%m%d}", "Interchange/GetNai/FiveMinute", "flows"),
            (f"{_LOAD}-{last:%Y%m%d}", "RealTimeTotalLoad", "load"),
        )
        found = [
            LiveRequest(f"{name}.json", path, Body.JSON, interval, supplement=what)
            for name, path, what in more
        ]
        if interval.end_utc - interval.start_utc > SHORT:
            years = range((interval.start_utc + EST).year, last.year + 1)
            found = [_margin(year) for year in years] + found
        return found + [
            LiveRequest(f"{_MIX}-{day}-{last:%Y%m%d}.json", f"FuelMix/{day}", Body.JSON, interval)
            for day in (_DAYS[1:] if is_today else _DAYS)
        ]

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one table into observations."""
        if payload.name.endswith(ENDING):
            return stated(margins(payload), payload, interval, INTERVAL_S)
        table = {_MIX: _mix, _LOAD: _load, _FLOW: _flow, _LMP: _price}[_kind(payload)](payload)
        return stated(table.with_columns(pl.lit(ZONE).alias("zone")), payload, interval, INTERVAL_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give the value of a record; of a price, less its parts; a fuel's part in the units on the margin."""
        if payload.name.endswith(ENDING):
            return margin_text(payload, cell)
        kind = _kind(payload)
        if kind == _LOAD:
            found = _loads(payload).filter(pl.col("row") == cell.row)["Value"].to_list()
            if not found:
                raise TableError(f"{payload.name} has no row {cell.row}")
            return str(found[0])
        texts = [
            record_cell(payload, _RECORDS[kind], Cell(cell.payload_sha256, cell.row, name))
            for name in cell.column.split(_LESS)
        ]
        return texts[0] if len(texts) == 1 else repr(_less(*map(float, texts)))


def _margin(year: int) -> LiveRequest:
    name = f"{year}{ENDING}"
    return LiveRequest(
        name, f"marketreports/{name}", Body.ZIP, year_of(year), supplement="fuels on the margin", host=REPORTS
    )


def _kind(payload: Payload) -> str:
    kind = payload.name.partition("-")[0]
    if kind not in _RECORDS:
        raise TableError(f"{payload.name}: named after none of the tables that are asked for")
    return kind


def _mix(payload: Payload) -> pl.DataFrame:
    table = read_records(payload, _RECORDS[_MIX], ("INTERVALEST", "CATEGORY", "ACT"))
    table = _timed(table, payload, "INTERVALEST").with_columns(
        pl.lit("ACT").alias("column"), pl.col("ACT").alias("text")
    )
    names = {name: generation_column(fuel) for name, fuel in FUELS.items()}
    return to_numbers(quantities_of(table, payload, "CATEGORY", names, LEFT), payload)


def _flow(payload: Payload) -> pl.DataFrame:
    table = _timed(read_records(payload, _RECORDS[_FLOW], ("Time", "Value")), payload, "Time")
    table = table.with_columns(
        pl.lit("Value").alias("column"), pl.lit("net_imports_mw").alias("quantity")
    ).with_columns(pl.col("start_utc").dt.truncate(f"{INTERVAL_S}s"))
    table = table.unique("start_utc", keep="last", maintain_order=True)
    return to_numbers(table, payload, "Value").with_columns(-pl.col("value"))


def _load(payload: Payload) -> pl.DataFrame:
    """Read the day's load; a label later than the answer's own interval is not of its day, and is left."""
    now = _answered(payload, ("LoadInfo", "RefId"))
    table = _loads(payload)
    label = pl.lit(f"{now:%Y-%m-%d} ") + pl.col("Time")
    table = table.with_columns(
        label.str.to_datetime("%Y-%m-%d %H:%M", time_unit="us", strict=False).alias("at")
    )
    _refuse(table, payload, "at", "Time")
    table = table.filter(pl.col("at") <= now).with_columns(
        (pl.col("at") - EST).dt.replace_time_zone("UTC").alias("start_utc"),
        pl.lit("Value").alias("column"),
        pl.lit("demand_mw").alias("quantity"),
    )
    return to_numbers(table, payload, "Value")


def _loads(payload: Payload) -> pl.DataFrame:
    """Give `row, Time, Value`: each record holds one more, called `Load`."""
    records = inside(payload, read_json(payload), _RECORDS[_LOAD])
    rows = [
        (row, *(str(inside(payload, record, ("Load", name))) for name in ("Time", "Value")))
        for row, record in enumerate(records if isinstance(records, list) else [records], start=2)
    ]
    return pl.DataFrame(rows, schema={"row": pl.Int32, "Time": pl.String, "Value": pl.String}, orient="row")


def _price(payload: Payload) -> pl.DataFrame:
    """Read the newest price: what is paid at a node, less its losses and its congestion."""
    start = (_answered(payload, ("LMPData", "RefId")) - EST).replace(second=0)
    table = read_records(payload, _RECORDS[_LMP], ("name", *_PRICE)).filter(pl.col("name") == HUB)
    if table.height != 1:
        raise TableError(f"{payload.name}: lists {HUB} {table.height} times; want it once")
    parts = [
        to_numbers(table.with_columns(pl.lit(name).alias("column")), payload, name)["value"][0]
        for name in _PRICE
    ]
    if None in parts:
        raise TableError(f"{payload.name}, row {table['row'][0]}: {HUB} lacks one of {', '.join(_PRICE)}")
    return table.select("row").with_columns(
        pl.lit(start).dt.cast_time_unit("us").dt.replace_time_zone("UTC").alias("start_utc"),
        pl.lit("price_usd_per_mwh").alias("quantity"),
        pl.lit(_LESS.join(_PRICE)).alias("column"),
        pl.lit(_less(*parts)).alias("value"),
    )


def _less(price: float, losses: float, congestion: float) -> float:
    return round(price - losses - congestion, 2)  # each is published in cents


def _answered(payload: Payload, path: tuple[str, ...]) -> datetime:
    """Give the interval that an answer says it is of, in EST."""
    text = str(inside(payload, read_json(payload), path))
    try:
        return datetime.strptime(text, "%d-%b-%Y - Interval %H:%M EST")  # noqa: DTZ007 - the clock is said beside it
    except ValueError:
        raise TableError(
            f"{payload.name}: {'.'.join(path)} is {text!r}, no interval such as '24-Sep-2026 - Interval 10:25 EST'"
        ) from None


def _timed(table: pl.DataFrame, payload: Payload, column: str) -> pl.DataFrame:
    label = pl.col(column).str.to_datetime("%Y-%m-%d %I:%M:%S %p", time_unit="us", strict=False)
    table = table.with_columns((label - EST).dt.replace_time_zone("UTC").alias("start_utc"))
    _refuse(table, payload, "start_utc", column)
    return table


def _refuse(table: pl.DataFrame, payload: Payload, read: str, column: str) -> None:
    bad = table.filter(pl.col(read).is_null())
    if bad.height:
        raise TableError(
            f"{payload.name}, row {bad['row'][0]}, column {column}: {bad[column][0]!r} is not a time such as"
            f" {'14:05' if column == 'Time' and _kind(payload) == _LOAD else '2026-09-24 2:05:00 PM'}"
        )
