"""AEMO: the five regions of Australia's National Electricity Market, every half hour.

Demand and net interchange come from the monthly `PUBLIC_DVD_TRADINGREGIONSUM_YYYYMMDDhhmm.CSV`, flows between regions
from `…TRADINGINTERCONNECT…`, in the operator's own format: a `C` line, an `I` line with the columns, `D` lines, and a
last `C` line that states how many lines the file has. Generation by fuel is the sum of the units in
`signals_dispatch.csv`, whose regions and fuels stand in `generators.csv`: see `aemo_units`. Labels are market time
(UTC+10 all year, no daylight saving) and name the **end** of the interval.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from gridmargin.sources.aemo_tables import (
    INTERVAL_S,
    MARKET_TIME,
    market_numbers,
    market_starts,
    market_table,
)
from gridmargin.sources.aemo_units import (
    dispatch_text,
    fuels_of,
    is_packed_units,
    packed_units,
    unpacked_units,
)
from gridmargin.sources.delimited import text_of
from gridmargin.sources.folders import files_matching, refuse_repeats
from gridmargin.sources.observation import OBSERVATION_SCHEMA, Observations
from gridmargin.sources.source import Payload
from gridmargin.vocab import (
    Cell,
    Fuel,
    InputError,
    Interval,
    Status,
    TableError,
    generation_column,
    sha256_hex,
)

REGIONS = {"AU-NSW": "NSW1", "AU-QLD": "QLD1", "AU-SA": "SA1", "AU-TAS": "TAS1", "AU-VIC": "VIC1"}
"""Our zones and the operator's regions."""

LINKS = {
    "N-Q-MNSP1": ("AU-NSW", "AU-QLD"),
    "NSW1-QLD1": ("AU-NSW", "AU-QLD"),
    "T-V-MNSP1": ("AU-TAS", "AU-VIC"),
    "V-S-MNSP1": ("AU-VIC", "AU-SA"),
    "V-SA": ("AU-VIC", "AU-SA"),
    "VIC1-NSW1": ("AU-VIC", "AU-NSW"),
}
"""Interconnectors and the zones they lie between; a flow above zero goes from the first to the second."""

_MONTHLY = r"PUBLIC_DVD_TRADINGREGIONSUM_(\d{4})(\d{2})\d{6}\.CSV(\.gz)?"
_FLOWS = r"PUBLIC_DVD_TRADINGINTERCONNECT_(\d{4})(\d{2})\d{6}\.CSV(\.gz)?"
_FLOW_COLUMN = "METEREDMWFLOW"
_AND = "+"
QUANTITIES = {"TOTALDEMAND": ("demand_mw", 1.0), "NETINTERCHANGE": ("net_imports_mw", -1.0)}
"""Their column, our quantity, and the factor between: their net interchange counts what goes out."""


class Aemo:
    """AEMO's monthly region tables in a folder, packed or not."""

    name = "aemo"
    states_margin = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._months = _by_month(folder, _MONTHLY, "regions")
        self._flows = _by_month(folder, _FLOWS, "flows between regions")

    def zones(self) -> list[str]:
        """List the five regions where there are tables."""
        return sorted(REGIONS) if self._months else []

    def interval_s(self, zone: str) -> int:
        """Give half an hour. [s]"""
        del zone
        return INTERVAL_S

    def span(self, zone: str) -> Interval:
        """Give the stretch from the first month's start to the last one's end."""
        del zone
        if not self._months:
            raise InputError(f"no files named PUBLIC_DVD_TRADINGREGIONSUM_*.CSV under {self.folder}")
        return Interval(min(self._months).astimezone(UTC), _next(max(self._months)).astimezone(UTC))

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the monthly tables that touch `interval`, and the units' where there are any."""
        del zone
        for month in sorted(self._months):
            if Interval(month.astimezone(UTC), _next(month).astimezone(UTC)).overlap(interval):
                for path in (self._months[month], self._flows.get(month)):
                    if path is not None:
                        yield Payload(self.name, path.name, path.read_bytes())
        units = packed_units(self.folder)
        if units is not None:
            yield units

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one table into observations of every region."""
        digest = sha256_hex(payload.body)
        if is_packed_units(payload):
            parts = _fuels(payload, interval)
        elif "INTERCONNECT" in payload.name:
            parts = _flows(payload, interval)
        else:
            parts = _regions(payload, interval)
        joined = pl.concat(parts).with_columns(
            pl.lit(INTERVAL_S, pl.Int32).alias("interval_s"),
            pl.lit(Status.REPORTED.value).alias("status"),
            pl.lit(digest).alias("payload_sha256"),
        )
        return Observations(joined.filter(pl.col("value").is_not_null()).select(OBSERVATION_SCHEMA.keys()))

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell; of a quantity published in parts, their sum."""
        if is_packed_units(payload):
            return dispatch_text(payload, cell.row, cell.column.split(_AND))
        if " of " in cell.column:
            return _flow_text(payload, cell)
        columns: list[str] = []
        lines = io.StringIO(text_of(payload).decode("utf-8", "replace"))
        for number, record in enumerate(csv.reader(lines), start=1):
            if record[:1] == ["I"]:
                columns = record
            if number == cell.row:
                return record[columns.index(cell.column)]
        raise TableError(f"{payload.name} has no row {cell.row}")


def _regions(payload: Payload, interval: Interval) -> list[pl.DataFrame]:
    table = market_table(payload, "REGIONSUM", ("SETTLEMENTDATE", "REGIONID", *QUANTITIES))
    zones = {region: zone for zone, region in REGIONS.items()}
    known = table.with_columns(
        market_starts(payload, table).alias("start_utc"),
        pl.col("REGIONID").replace_strict(zones, default=None, return_dtype=pl.String).alias("zone"),
    ).filter(pl.col("zone").is_not_null() & _inside(interval))
    return [
        known.select(
            "zone",
            "start_utc",
            pl.lit(quantity).alias("quantity"),
            (market_numbers(payload, known, column) * factor).alias("value"),
            "row",
            pl.lit(column).alias("column"),
        )
        for column, (quantity, factor) in QUANTITIES.items()
    ]


def _flows(payload: Payload, interval: Interval) -> list[pl.DataFrame]:
    """Give what came over each border, once as seen from either side; a border with a link that is silent is absent."""
    table = market_table(payload, "INTERCONNECTORRES", ("SETTLEMENTDATE", "INTERCONNECTORID", _FLOW_COLUMN))
    known = table.with_columns(
        market_starts(payload, table).alias("start_utc"),
        market_numbers(payload, table, _FLOW_COLUMN).alias("value"),
    ).filter(_inside(interval))
    parts = []
    for border in dict.fromkeys(LINKS.values()):
        links = [link for link, between in LINKS.items() if between == border]
        total = (
            known.filter(pl.col("INTERCONNECTORID").is_in(links))
            .group_by("start_utc", maintain_order=True)
            .agg(
                pl.col("value").sum(),
                pl.len().alias("n"),
                pl.col("value").count().alias("m"),
                pl.col("row").min(),
            )
            .filter((pl.col("n") == len(links)) & (pl.col("m") == len(links)))
        )
        for zone, neighbour, sign in ((border[0], border[1], -1.0), (border[1], border[0], 1.0)):
            parts.append(
                total.select(
                    pl.lit(zone).alias("zone"),
                    "start_utc",
                    pl.lit(f"imports_from_{neighbour}_mw").alias("quantity"),
                    pl.col("value") * sign,
                    "row",
                    pl.lit(f"{_FLOW_COLUMN} of {_AND.join(links)}").alias("column"),
                )
            )
    return parts


def _fuels(payload: Payload, interval: Interval) -> list[pl.DataFrame]:
    inventory, dispatch = unpacked_units(payload)
    starts = pl.from_epoch(pl.Series("start_utc", dispatch.start_epoch_s), time_unit="s")
    stamps = starts.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    keep = stamps.is_between(interval.start_utc, interval.end_utc, closed="left").to_numpy()
    zones = {region: zone for zone, region in REGIONS.items()}
    place = {name: at for at, name in enumerate(dispatch.names)}
    groups: dict[tuple[str, Fuel], list[str]] = {}
    for name, region, fuel in zip(inventory.names, inventory.regions, fuels_of(inventory), strict=True):
        if name in place and region in zones:
            groups.setdefault((zones[region], fuel), []).append(name)
    return [
        pl.DataFrame(
            {
                "zone": zone,
                "start_utc": stamps.filter(keep),
                "quantity": generation_column(fuel),
                "value": pl.Series(
                    dispatch.output_mw[keep][:, [place[name] for name in names]].sum(axis=1), nan_to_null=True
                ),
                "row": pl.Series(dispatch.row[keep], dtype=pl.Int32),
                "column": _AND.join(names),
            }
        )
        for (zone, fuel), names in groups.items()
    ]


def _inside(interval: Interval) -> pl.Expr:
    return pl.col("start_utc").is_between(interval.start_utc, interval.end_utc, closed="left")


def _flow_text(payload: Payload, cell: Cell) -> str:
    links = cell.column.split(" of ")[1].split(_AND)
    table = market_table(payload, "INTERCONNECTORRES", ("SETTLEMENTDATE", "INTERCONNECTORID", _FLOW_COLUMN))
    when = table.filter(pl.col("row") == cell.row)["SETTLEMENTDATE"]
    if not len(when):
        raise TableError(f"{payload.name} has no row {cell.row}")
    mine = table.filter((pl.col("SETTLEMENTDATE") == when[0]) & pl.col("INTERCONNECTORID").is_in(links))
    return repr(math.fsum(float(text) for text in mine[_FLOW_COLUMN]))


def _by_month(folder: Path, pattern: str, what: str) -> dict[datetime, Path]:
    paths = files_matching(folder, pattern)
    refuse_repeats(paths, lambda path: f"AEMO's {what} of {_month_of(path, pattern):%B %Y}")
    return {_month_of(path, pattern): path for path in paths}


def _month_of(path: Path, pattern: str) -> datetime:
    found = re.fullmatch(pattern, path.name)
    assert found is not None
    return datetime(int(found[1]), int(found[2]), 1, tzinfo=MARKET_TIME)


def _next(month: datetime) -> datetime:
    return (month + timedelta(days=31)).replace(day=1)
