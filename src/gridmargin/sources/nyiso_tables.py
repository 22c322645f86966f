"""New York ISO: real-time load, scheduled flows over the borders, and the price of energy, beside the fuel mix.

`pal` and `ExternalLimitsFlows` name the **start** of five minutes (a day's table begins at 00:00 and ends at 23:55),
`realtime_zone` the **end** (00:05 to the next 00:00). Only `pal` says which clock holds; in autumn's repeated hour the
others are told apart by their order, which is that of time: a stamp that is no later than one above it is of the second
pass. Of several stamps in one interval the one on the mark stands for it.
"""

from __future__ import annotations

import re

import polars as pl

from gridmargin.sources.delimited import read_strings, to_numbers
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import stated
from gridmargin.sources.summed_rows import refuse_unplaced, sum_text, sums_of_rows
from gridmargin.vocab import Cell, Interval, TableError

ZONE = "US-NYIS"
INTERVAL_S = 300
TIMEZONE = "America/New_York"
UTC_OFFSETS = {"EST": "-05:00", "EDT": "-04:00"}

LOAD, FLOWS, PRICES = "pal", "ExternalLimitsFlows", "realtime_zone"
NAME = re.compile(rf"\d{{8}}({LOAD}|{FLOWS}|{PRICES})(\.csv|_csv\.zip)")

AREAS = (
    "CAPITL", "CENTRL", "DUNWOD", "GENESE", "HUD VL", "LONGIL", "MHK VL", "MILLWD", "N.Y.C.", "NORTH", "WEST",
)  # fmt: skip
"""The eleven load zones that make up the state."""

BORDERS = {
    "imports_from_CA-ON_mw": ("SCH - OH - NY",),
    "imports_from_CA-QC_mw": ("SCH - HQ - NY", "SCH - HQ_CEDARS", "SCH - HQ_CHPE"),
    "imports_from_US-ISNE_mw": ("SCH - NE - NY", "SCH - NPX_1385", "SCH - NPX_CSC"),
    "imports_from_US-PJM_mw": ("SCH - PJ - NY", "SCH - PJM_HTP", "SCH - PJM_NEPTUNE", "SCH - PJM_VFT"),
}
"""The scheduled interfaces of each border, positive into New York."""

NESTED = "SCH - HQ_IMPORT_EXPORT"
"""Hydro-Québec's market total, which holds `SCH - HQ - NY` a second time."""

PRICE, LOSSES, CONGESTION = (
    "LBMP ($/MWHr)", "Marginal Cost Losses ($/MWHr)", "Marginal Cost Congestion ($/MWHr)",
)  # fmt: skip
ENERGY = f"{PRICE} - {LOSSES} + {CONGESTION}"
"""The system's price of energy at the reference bus, which every zone's three cells give: the operator states the
congestion part with the sign turned (tariff MST 17.1: LBMP = energy + losses + congestion)."""

REFERENCE_AREA = "MHK VL"
"""Whose cells are named; the reference bus, Marcy, lies there."""

AGREE_USD_PER_MWH = 0.05
"""The zones' energy prices are one number, each from three that are rounded to a cent; where they lie further apart,
none stands for the state."""

_FLOW = "Flow (MWH)"
"""Of power, in MW, whatever its header says: the hour's limits beside it are in megawatts."""


def parse_table(payload: Payload, tables: list[Payload], interval: Interval) -> Observations:
    """Turn one of the three tables, or all of a zip of one, into observations."""
    long = [_quantities(table, kind_of(payload)) for table in tables]
    counted, before = [], 0
    for table, part in zip(tables, long, strict=True):
        counted.append(part.with_columns(pl.col("row") + before))
        before += _n_rows(table)
    frame = pl.concat(counted).unique(["start_utc", "quantity"], keep="last", maintain_order=True)
    return stated(frame.with_columns(pl.lit(ZONE).alias("zone")), payload, interval, INTERVAL_S)


def table_text(payload: Payload, tables: list[Payload], cell: Cell) -> str:
    """Give what the rows or cells that an observation names come to."""
    before = 0
    for table in tables:
        n_rows = _n_rows(table)
        if cell.row <= before + n_rows:
            here = Cell(cell.payload_sha256, cell.row - before, cell.column)
            kind = kind_of(payload)
            if kind == PRICES:
                energy = _energy(_price_rows(table)).filter(pl.col("row") == here.row)
                return repr(float(energy["value"][0]))
            rows = _load_rows(table) if kind == LOAD else _flow_rows(table)
            return sum_text(rows, table, here)
        before += n_rows
    raise TableError(f"{payload.name} has no row {cell.row}")


def kind_of(payload: Payload) -> str:
    """Say which of the tables a payload is, or '' for none of them."""
    found = NAME.fullmatch(payload.name)
    return found[1] if found else ""


def _n_rows(table: Payload) -> int:
    return len(table.body.rstrip(b"\r\n").splitlines())


def _quantities(table: Payload, kind: str) -> pl.DataFrame:
    if kind == LOAD:
        rows = _load_rows(table)
        refuse_unplaced(rows, table, "Name", AREAS, "load zone")
        missing = sorted(set(AREAS) - set(rows["name"]))
        if missing:
            raise TableError(f"{table.name}: no row of load zone {missing[0]!r}; fetch it again")
        return sums_of_rows(rows, "Load", {"demand_mw": AREAS})
    if kind == FLOWS:
        rows = _flow_rows(table)
        placed = [name for names in BORDERS.values() for name in names]
        refuse_unplaced(rows, table, "Interface Name", placed, "border's interface")
        return sums_of_rows(rows, _FLOW, {**BORDERS, "net_imports_mw": placed})
    rows = _price_rows(table)
    apart = pl.col("energy").max().over("start_utc") - pl.col("energy").min().over("start_utc")
    rows = rows.filter((apart <= AGREE_USD_PER_MWH) & (pl.len().over("start_utc") == len(AREAS)))
    return _energy(rows).select(
        "start_utc",
        "row",
        pl.lit("price_usd_per_mwh").alias("quantity"),
        "value",
        pl.lit(ENERGY).alias("column"),
    )


def _load_rows(table: Payload) -> pl.DataFrame:
    frame = read_strings(table, ",", ("Time Stamp", "Time Zone", "Name", "Load"))
    stamp = pl.col("Time Stamp").str.strip_chars() + pl.col("Time Zone").str.strip_chars().replace_strict(
        UTC_OFFSETS, default=None
    )
    at = stamp.str.to_datetime("%m/%d/%Y %H:%M:%S%:z", time_unit="us", time_zone="UTC", strict=False)
    frame = _known_times(frame.with_columns(at.alias("at_utc")), table, "Time Stamp")
    return _valued(frame.rename({"Name": "name"}), table, "Load")


def _flow_rows(table: Payload) -> pl.DataFrame:
    frame = read_strings(table, ",", ("Timestamp", "Interface Name", _FLOW)).rename(
        {"Interface Name": "name"}
    )
    frame = frame.filter(pl.col("name").str.starts_with("SCH - ") & (pl.col("name") != NESTED))
    return _valued(_timed_by_order(frame, table, "Timestamp", "a border's flow"), table, _FLOW)


def _price_rows(table: Payload) -> pl.DataFrame:
    """Give each load zone's price of energy; the neighbours' proxies are left."""
    frame = read_strings(table, ",", ("Time Stamp", "Name", PRICE, LOSSES, CONGESTION)).rename(
        {"Name": "name"}
    )
    frame = frame.filter(pl.col("name").is_in(AREAS))
    frame = _timed_by_order(frame, table, "Time Stamp", "a load zone's price", is_end=True)
    for column in (PRICE, LOSSES, CONGESTION):
        texts = frame.with_columns(pl.lit(column).alias("column"), pl.col(column).alias("text"))
        frame = frame.with_columns(to_numbers(texts, table)["value"].alias(column))
    frame = frame.with_columns((pl.col(PRICE) - pl.col(LOSSES) + pl.col(CONGESTION)).alias("energy"))
    return frame.filter(pl.col("energy").is_not_null())


def _energy(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("name") == REFERENCE_AREA).with_columns(
        pl.col("energy").round(2).alias("value")
    )


def _valued(frame: pl.DataFrame, table: Payload, column: str) -> pl.DataFrame:
    """Read a column; of several stamps in five minutes the first, which is the mark's, stands for them."""
    frame = frame.with_columns(
        pl.lit(column).alias("column"), pl.col(column).alias("text"), _five_minutes("at_utc")
    )
    frame = frame.filter(pl.col("at_utc") == pl.col("at_utc").min().over("start_utc", "name"))
    frame = frame.unique(["start_utc", "name"], keep="last", maintain_order=True)
    return to_numbers(frame, table).select("start_utc", "row", "name", "value")


def _timed_by_order(
    frame: pl.DataFrame, table: Payload, column: str, what: str, *, is_end: bool = False
) -> pl.DataFrame:
    """Read stamps that say no clock; a stamp no later than one above it, of the same name, is of the second pass."""
    if not frame.height:
        raise TableError(f"{table.name}: no row states {what}; fetch it again")
    text = pl.col(column).str.strip_chars()
    wall = pl.coalesce(
        text.str.to_datetime(form, time_unit="us", strict=False)
        for form in ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M")
    )
    frame = _known_times(frame.with_columns(wall.alias("wall")), table, column, "wall")
    is_second = (pl.col("wall") <= pl.col("wall").cum_max().shift(1).over("name")).fill_null(False)
    which = pl.when(is_second).then(pl.lit("latest")).otherwise(pl.lit("earliest"))
    at = pl.col("wall").dt.replace_time_zone(TIMEZONE, ambiguous=which, non_existent="null")
    frame = frame.with_columns(at.dt.convert_time_zone("UTC").alias("at_utc"))
    frame = frame.filter(pl.col("at_utc").is_not_null())  # a stamp of spring's hour that is not there
    if not is_end:
        return frame
    just_before = pl.col("at_utc") - pl.duration(microseconds=1)
    frame = frame.with_columns(just_before.alias("inside"))
    frame = frame.with_columns(_five_minutes("inside"))
    frame = frame.filter(pl.col("at_utc") == pl.col("at_utc").max().over("start_utc", "name"))
    return frame.unique(["start_utc", "name"], keep="last", maintain_order=True)


def _known_times(frame: pl.DataFrame, table: Payload, column: str, at: str = "at_utc") -> pl.DataFrame:
    bad = frame.filter(pl.col(at).is_null())
    if bad.height:
        raise TableError(
            f"{table.name}, row {bad['row'][0]}, column {column}: {bad[column][0]!r} is not a time such as"
            " 02/01/2025 00:05:00"
        )
    return frame


def _five_minutes(column: str) -> pl.Expr:
    return pl.col(column).dt.truncate(f"{INTERVAL_S}s").alias("start_utc")
