"""AEMO, live: NEMWEB's telemetry of units, and each dispatch's demand, price and flows, every five minutes.

Anybody is answered. Files of the last two days end in a number that their folder's page tells, one interval a zip; days
before lie in one zip of such zips, out a day later. Output by unit names no fuel, so the operator's inventory of
generators is packed beside it. Labels are market time (UTC+10 all year) and name the end of the interval.
https://nemweb.com.au/Reports/Current
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta

import polars as pl

from gridmargin.sources.aemo import LINKS, QUANTITIES, REGIONS
from gridmargin.sources.aemo_inventory import INVENTORY, unit_fuels
from gridmargin.sources.aemo_tables import MARKET_TIME, market_numbers, market_starts, market_table
from gridmargin.sources.live.live_source import Access, LiveRequest
from gridmargin.sources.observation import Observations
from gridmargin.sources.packed import unpack
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, TableError, generation_column

INTERVAL_S = 300
ONE_BY_ONE = timedelta(hours=6)
"""Longer stretches are asked for by day."""

UNITS = "SCADAVALUE"
FLOW, PRICE = "METEREDMWFLOW", "RRP"
_AND, _OF = "+", " of "


class AemoLive:
    """Asks for `Dispatch_SCADA` with the inventory, and for `DispatchIS`."""

    name = "aemo_5min"
    publisher = "Australian Energy Market Operator"
    base_url = "https://nemweb.com.au"
    access: Access | None = None
    states_margin = False
    cadence_s = 300
    delay_s = 120

    def zones(self) -> list[str]:
        """List the five regions."""
        return sorted(REGIONS)

    def interval_s(self, zone: str) -> int:
        """Give five minutes. [s]"""
        del zone
        return INTERVAL_S

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List the files of some hours one by one; of a longer stretch those of its market days."""
        if interval.end_utc - interval.start_utc > ONE_BY_ONE:
            return [
                _request(kind, zone, f"{day:%Y%m%d}", stretch)
                for day, stretch in _market_days(interval)
                for kind in ("DISPATCHIS", "DISPATCHSCADA")
            ]
        first = Interval.containing(interval.start_utc, INTERVAL_S)
        return [
            _request(kind, zone, f"{slot.end_utc.astimezone(MARKET_TIME):%Y%m%d%H%M}", slot)
            for slot in Interval(first.start_utc, interval.end_utc).split(INTERVAL_S)
            for kind in ("DISPATCHIS", "DISPATCHSCADA")
        ]

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one interval's or day's file into observations of its region."""
        kind, zone = _what(payload)
        parts = [_fuels(payload, zone)] if kind == "DISPATCHSCADA" else _dispatch(payload, zone)
        return stated(
            pl.concat(parts).with_columns(pl.lit(zone).alias("zone")), payload, interval, INTERVAL_S
        )

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell; of a fuel's units or a border's links, their sum."""
        column, _, names = cell.column.partition(_OF)
        kind, _ = _what(payload)
        if kind == "DISPATCHSCADA":
            table, who = _units(payload), "DUID"
        elif column == FLOW:
            table, who = _table(payload, "INTERCONNECTORRES", ("INTERCONNECTORID", FLOW)), "INTERCONNECTORID"
        else:
            name = "PRICE" if column == PRICE else "REGIONSUM"
            return str(_row(payload, _table(payload, name, ("REGIONID", column)), cell.row)[column])
        start = _row(payload, table, cell.row)["start_utc"]
        mine = table.filter((pl.col("start_utc") == start) & pl.col(who).is_in(names.split(_AND)))
        return repr(math.fsum(float(text) for text in mine[column]))


def _request(kind: str, zone: str, label: str, stretch: Interval) -> LiveRequest:
    folder = "Dispatch_SCADA" if kind == "DISPATCHSCADA" else "DispatchIS_Reports"
    inventory = LiveRequest(INVENTORY, f"Reports/Current/CDEII/{INVENTORY}", Body.CSV, stretch)
    beside = (inventory,) if kind == "DISPATCHSCADA" else ()
    supplement = "" if kind == "DISPATCHSCADA" else "load, flows and price"
    name = f"{kind}-{zone}-{label}.zip"
    if len(label) == len("YYYYMMDD"):
        path = f"Reports/Archive/{folder}/PUBLIC_{kind}_{label}.zip"
        return LiveRequest(name, path, Body.ZIP, stretch, beside=beside, supplement=supplement)
    listed = rf"PUBLIC_{kind}_{label}_\d+\.zip"
    current = f"Reports/Current/{folder}/"
    return LiveRequest(name, current, Body.ZIP, stretch, listed=listed, beside=beside, supplement=supplement)


def _market_days(interval: Interval) -> Iterator[tuple[datetime, Interval]]:
    day = interval.start_utc.astimezone(MARKET_TIME).replace(hour=0, minute=0, second=0, microsecond=0)
    while day < interval.end_utc:
        yield day, Interval(day, day + timedelta(days=1))
        day += timedelta(days=1)


def _what(payload: Payload) -> tuple[str, str]:
    kind, _, rest = payload.name.partition("-")
    zone = rest.rpartition("-")[0]
    if kind not in ("DISPATCHIS", "DISPATCHSCADA") or zone not in REGIONS:
        raise TableError(f"{payload.name}: named after none of the files that are asked for")
    return kind, zone


def _row(payload: Payload, table: pl.DataFrame, row: int) -> dict[str, object]:
    found = table.filter(pl.col("row") == row)
    if not found.height:
        raise TableError(f"{payload.name} has no row {row}")
    return found.row(0, named=True)


def _tables(payload: Payload, above: str = "") -> Iterator[Payload]:
    """Give the tables in a zip, and in the zips in it; each is called by the payload's name and its own."""
    above = above or payload.name
    for name, body in unpack(payload).items():
        inner = Payload(payload.source, f"{above}, {name}", body)
        if body[:2] == b"PK":
            yield from _tables(inner, above)
        elif name != INVENTORY:
            yield inner


def _table(payload: Payload, name: str, needed: tuple[str, ...]) -> pl.DataFrame:
    """Read one table of every interval with its start; rows are counted through the files.

    Where the operator intervened, the run that the plants followed stands (the higher of the two); prices are those of
    the run without.
    """
    parts, before = [], 0
    intervenes = () if name == "UNIT_SCADA" else ("INTERVENTION",)
    for one in _tables(payload):
        table = market_table(one, name, ("SETTLEMENTDATE", *needed, *intervenes))
        starts = market_starts(one, table, interval_s=INTERVAL_S)
        parts.append(table.with_columns(starts.alias("start_utc"), pl.col("row") + before))
        before += one.body.count(b"\n") + 1
    if not parts:
        raise TableError(f"{payload.name} holds no table; fetch it again")
    table = pl.concat(parts)
    if not intervenes:
        return table
    run = pl.col("INTERVENTION").str.strip_chars()
    if name == "PRICE":
        return table.filter(run == "0")
    return table.filter(run == run.max().over("start_utc", needed[0]))


def _units(payload: Payload) -> pl.DataFrame:
    return _table(payload, "UNIT_SCADA", ("DUID", UNITS))


def _fuels(payload: Payload, zone: str) -> pl.DataFrame:
    """Sum a region's units by fuel; a unit that the inventory does not list is left out."""
    tables = unpack(payload)
    if INVENTORY not in tables:
        raise TableError(f"{payload.name} holds no {INVENTORY}; fetch it again")
    listed = unit_fuels(Payload(payload.source, INVENTORY, tables[INVENTORY]))
    columns = {fuel.value: generation_column(fuel) for fuel in Fuel}
    known = listed.filter(pl.col("REGIONID") == REGIONS[zone]).select(
        "DUID", pl.col("fuel").replace_strict(columns, return_dtype=pl.String).alias("quantity")
    )
    units = _units(payload)
    units = units.with_columns(market_numbers(payload, units, UNITS).alias("value"))
    found = units.join(known, on="DUID", how="inner", maintain_order="left")
    total = found.group_by("start_utc", "quantity", maintain_order=True).agg(
        pl.col("value").sum(),
        (pl.col("value").count() == pl.len()).alias("whole"),
        pl.col("row").min(),
        (pl.lit(f"{UNITS}{_OF}") + pl.col("DUID").str.join(_AND)).alias("column"),
    )
    return total.filter("whole").select("start_utc", "quantity", "value", "row", "column")


def _dispatch(payload: Payload, zone: str) -> list[pl.DataFrame]:
    """Give a region's demand, net imports, price, and what came over each border."""
    region, keys = REGIONS[zone], ["start_utc", "quantity", "value", "row", "column"]
    parts = []
    for name, columns in (("REGIONSUM", QUANTITIES), ("PRICE", {PRICE: ("price_aud_per_mwh", 1.0)})):
        table = _table(payload, name, ("REGIONID", *columns)).filter(pl.col("REGIONID") == region)
        for column, (quantity, factor) in columns.items():
            value = (market_numbers(payload, table, column) * factor).alias("value")
            named = (pl.lit(quantity).alias("quantity"), pl.lit(column).alias("column"))
            parts.append(table.with_columns(value, *named).select(keys))
    flows = _table(payload, "INTERCONNECTORRES", ("INTERCONNECTORID", FLOW))
    flows = flows.with_columns(market_numbers(payload, flows, FLOW).alias("value"))
    for border in dict.fromkeys(LINKS.values()):
        if zone not in border:
            continue
        links = [link for link, between in LINKS.items() if between == border]
        neighbour, sign = (border[1], -1.0) if border[0] == zone else (border[0], 1.0)
        total = (
            flows.filter(pl.col("INTERCONNECTORID").is_in(links))
            .group_by("start_utc", maintain_order=True)
            .agg(pl.col("value").sum() * sign, pl.col("value").count().alias("n"), pl.col("row").min())
            .filter(pl.col("n") == len(links))
        )
        named = (
            pl.lit(f"imports_from_{neighbour}_mw").alias("quantity"),
            pl.lit(f"{FLOW}{_OF}{_AND.join(links)}").alias("column"),
        )
        parts.append(total.with_columns(*named).select(keys))
    return parts
