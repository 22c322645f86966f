"""PJM, live: Data Miner 2, hour by hour and every five minutes.

Wants a free key; redistribution wants a membership. `datetime_beginning_utc` is UTC and names the start. An answer holds
50,000 rows at most and says how many there are; those who are no members may ask six times a minute, so stretches are
long. Marginal rates are the publisher's, in pounds of CO2 per MWh, for aggregates of nodes; the area's own (`PJM-RTO`) is
taken, and so is its price. Generation is published by the hour: in the five-minute states each hour's mean is laid on its
twelve intervals and is `adjusted`. Load is moments, and the last in five minutes stands for them. Flows count what comes in.
https://dataminer2.pjm.com/feed/gen_by_fuel/definition
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.json_rows import inside, lists_nothing, read_json, read_records, record_cell
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone
from gridmargin.sources.mix_tables import quantities_of
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import nothing, stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, Status, TableError, generation_column

ZONE = "US-PJM"
HOUR_S = 3600
RECORDS = ("items",)
MAX_ROWS = 50_000
DAYS_AT_ONCE = 24
"""Of one request: 24 hours × 24 days × 11 fuels = 6,336 rows, and 45 days of the past take six requests at most."""

SHORT = timedelta(days=3)
"""Longer stretches go without load, prices and flows, which a fit does not need and six requests a minute do not allow."""

FEW_DAYS = 4
"""Of one request for those: 12 × 24 × 4 rows a tie, and there are some twenty ties."""

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


@dataclass(frozen=True, slots=True)
class Feed:
    """How one feed's records become quantities.

    Attributes
    ----------
    what, column : str
        The field that names a record, and the one with its value.
    names : mapping of str to str
        Their words and our quantities.
    query : mapping of str to str
        What narrows the answer down.
    scale : float
        From their unit to ours.
    others : bool
        Whether records of other names belong there, and stay in the payload.
    every_s : int
        Length of what a value is the mean of, or at which it comes. [s]
    """

    what: str
    column: str
    names: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    scale: float = 1.0
    others: bool = False
    every_s: int = 300


_NODE = {"pnode_id": RTO}
_RATE = Feed(
    "pnode_id",
    "marginal_co2_rate",
    {RTO: "published_marginal_rate_gco2_per_kwh"},
    _NODE,
    scale=G_PER_KWH_OF_LB_PER_MWH,
)
_PRICE = {RTO: "price_usd_per_mwh"}

FEEDS = {
    "gen_by_fuel": Feed(
        "fuel_type", "mw", {name: generation_column(fuel) for name, fuel in FUELS.items()}, every_s=HOUR_S
    ),
    "hourly_marginal_emissions": _RATE,
    "fivemin_marginal_emissions": _RATE,
    "hrl_load_metered": Feed("load_area", "mw", {"RTO": "demand_mw"}, {"load_area": "RTO"}),
    "inst_load": Feed("area", "instantaneous_load", {"PJM RTO": "demand_mw"}, {"area": "PJM RTO"}),
    "rt_hrl_lmps": Feed("pnode_id", "total_lmp_rt", _PRICE, {**_NODE, "row_is_current": "TRUE"}),
    "rt_unverified_fivemin_lmps": Feed("pnode_id", "total_lmp_rt", _PRICE, _NODE),
    "five_min_tie_flows": Feed(
        "tie_flow_name",
        "actual_mw",
        {"PJM RTO": "net_imports_mw", "PJM MISO": "imports_from_US-MISO_mw"},
        others=True,
    ),
}
"""Per feed. `PJM RTO` of the ties is the net of all, `PJM MISO` that of all ties with MISO."""


class PjmLive(OneZone):
    """Asks for the mix and the marginal rate of each hour, some days at a time, and for load and price of the last days."""

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
    feeds: tuple[str, ...] = ("hourly_marginal_emissions", "gen_by_fuel")
    more: Mapping[str, str] = {"rt_hrl_lmps": "price", "hrl_load_metered": "load"}
    more_days = DAYS_AT_ONCE

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List the feeds in stretches that begin on fixed days, so that a later answer revises an earlier one."""
        del zone
        is_short = interval.end_utc - interval.start_utc <= SHORT
        found = [
            self._request(feed, part, what)
            for feed, what in self.more.items()
            if is_short
            for part in _stretches(interval, self.more_days)
        ]
        for part in _stretches(interval, DAYS_AT_ONCE):
            found += [self._request(feed, part) for feed in self.feeds]
        return found

    def _request(self, feed: str, part: Interval, what: str = "") -> LiveRequest:
        last = part.end_utc - timedelta(seconds=self.every_s)
        kind = FEEDS[feed]
        query = {
            "rowCount": str(MAX_ROWS),
            "startRow": "1",
            "datetime_beginning_utc": f"{part.start_utc:%m/%d/%Y %H:%M} to {last:%m/%d/%Y %H:%M}",
            "fields": f"datetime_beginning_utc,{kind.what},{kind.column}",
            **kind.query,
        }
        name = f"{feed}-{part.start_utc:%Y%m%d}.json"
        return LiveRequest(name, feed, Body.JSON, part, query, supplement=what)

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one answer into observations of hours; one that lists nothing yet states nothing."""
        return _read(payload, interval, HOUR_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give the value of a record."""
        return record_cell(payload, RECORDS, cell)


class PjmFiveMinuteLive(PjmLive):
    """Asks for the marginal rate of every five minutes and the hours' mix, and for load, price and flows of the last days."""

    name = "pjm_5min"
    every_s = 300
    cadence_s = 300
    delay_s = 10_800
    newest = "^generation_"
    feeds = ("gen_by_fuel", "fivemin_marginal_emissions")
    more: Mapping[str, str] = {
        "five_min_tie_flows": "flows",
        "rt_unverified_fivemin_lmps": "price",
        "inst_load": "load",
    }
    more_days = FEW_DAYS

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one answer into observations of five minutes; one that lists nothing yet states nothing."""
        return _read(payload, interval, 300)


def _stretches(interval: Interval, days: int) -> Iterator[Interval]:
    part = Interval.containing(interval.start_utc, days * 86_400)
    while part.start_utc < interval.end_utc:
        yield part
        part = Interval(part.end_utc, part.end_utc + timedelta(days=days))


def _read(payload: Payload, interval: Interval, every_s: int) -> Observations:
    feed = FEEDS.get(payload.name.rpartition("-")[0])
    if feed is None:
        raise TableError(f"{payload.name}: named after no feed that is read; known: {', '.join(FEEDS)}")
    if lists_nothing(payload, RECORDS):
        return nothing()
    table = read_records(payload, RECORDS, ("datetime_beginning_utc", feed.what, feed.column))
    total = inside(payload, read_json(payload), ("totalRows",))
    if str(total) != str(table.height):
        raise TableError(
            f"{payload.name} holds {table.height} of {total} rows: cut short by the publisher; ask for a shorter"
            " stretch"
        )
    table = _timed(table, payload).with_columns(
        pl.lit(feed.column).alias("column"), pl.col(feed.column).alias("text")
    )
    if feed.others:
        table = table.filter(pl.col(feed.what).is_in(list(feed.names)))
    table = to_numbers(quantities_of(table, payload, feed.what, feed.names), payload)
    table = table.with_columns(
        pl.col("value") * feed.scale,
        pl.lit(ZONE).alias("zone"),
        pl.lit(Status.REPORTED.value).alias("status"),
    )
    if every_s < HOUR_S == feed.every_s:
        table = _laid(table, every_s)
    elif every_s < HOUR_S:
        # Moments: of several in one interval the last stands for it.
        table = (
            table.sort("start_utc", "row")
            .with_columns(pl.col("start_utc").dt.truncate(f"{every_s}s"))
            .unique(["start_utc", "quantity"], keep="last", maintain_order=True)
        )
    return stated(table, payload, interval, every_s)


def _laid(table: pl.DataFrame, every_s: int) -> pl.DataFrame:
    """Lay each hour's mean on its parts, of which it is not the mean."""
    return pl.concat(
        table.with_columns(
            pl.col("start_utc") + pl.duration(seconds=after_s), pl.lit(Status.ADJUSTED.value).alias("status")
        )
        for after_s in range(0, HOUR_S, every_s)
    )


def _timed(table: pl.DataFrame, payload: Payload) -> pl.DataFrame:
    start = pl.col("datetime_beginning_utc").str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f", time_unit="us", time_zone="UTC", strict=False
    )
    table = table.with_columns(start.alias("start_utc"))
    bad = table.filter(pl.col("start_utc").is_null())
    if bad.height:
        raise TableError(
            f"{payload.name}, row {bad['row'][0]}, column datetime_beginning_utc:"
            f" {bad['datetime_beginning_utc'][0]!r} is not a time such as 2026-09-24T14:00:00"
        )
    return table
