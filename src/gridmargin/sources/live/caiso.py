"""California ISO, live: Today's Outlook's supply by fuel and demand, OASIS's price of energy, and a day's curtailment.

Anybody is answered. A table's rows have the clock of the day and no date; the day is in the address, so a day's own
folder is asked for and never `current/`, whose day nothing in it tells. A label names the start of its five minutes.
In spring the hour that is not there stands in the table, empty. In autumn a label of the repeated hour is placed where
it stands twice, the first for summer time; where it stands once nothing says which it is, and it is left out (C2).
Capitals in the columns' names differ between years.
https://www.caiso.com/todays-outlook
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import polars as pl

from gridmargin.sources.caiso_oasis import (
    INTERVAL_S,
    NODE,
    PRICES,
    ZONE,
    kind_of,
    parse_prices,
    parse_report,
    report_name,
    text_of_cell,
)
from gridmargin.sources.delimited import delimited_cell, read_strings
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone, local_days
from gridmargin.sources.mix_tables import long_of_wide, sum_of_cells
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, TableError, generation_column

TIMEZONE = "America/Los_Angeles"
OASIS = "https://oasis.caiso.com"
OASIS_GAPS = 20
"""Of a quarter of a second: OASIS answers 429 to whoever asks twice in five seconds."""

DAYS_ONE_BY_ONE = 3

SUPPLY: dict[str, tuple[str, ...]] = {
    generation_column(Fuel.SOLAR): ("Solar",),
    generation_column(Fuel.WIND): ("Wind",),
    generation_column(Fuel.GEOTHERMAL): ("Geothermal",),
    generation_column(Fuel.BIOMASS): ("Biomass",),
    generation_column(Fuel.BIOGAS): ("Biogas",),
    generation_column(Fuel.HYDRO): ("Small hydro", "Large Hydro"),
    generation_column(Fuel.COAL): ("Coal",),
    generation_column(Fuel.NUCLEAR): ("Nuclear",),
    generation_column(Fuel.GAS): ("Natural Gas",),
    generation_column(Fuel.BATTERY): ("Batteries",),
    generation_column(Fuel.OTHER): ("Other",),
    "net_imports_mw": ("Imports",),
}
"""Our quantities and their columns. Batteries are negative while they charge, imports while power leaves."""

DEMAND: dict[str, tuple[str, ...]] = {"demand_mw": ("Current demand",)}
_TABLES: dict[str, dict[str, tuple[str, ...]]] = {"demand": DEMAND, "fuelsource": SUPPLY}


class CaisoLive(OneZone):
    """Asks for `outlook/history/YYYYMMDD/demand.csv` and `fuelsource.csv`, OASIS, and the renewable report."""

    name = "caiso"
    publisher = "California ISO"
    base_url = "https://www.caiso.com"
    access: Access | None = None
    zone = ZONE
    every_s = INTERVAL_S
    states_margin = False
    cadence_s = 300
    delay_s = 300

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List both tables of each day, its price, and the report of the day before.

        Before the last days the price comes a month at a time, as much as OASIS gives at once.
        """
        del zone
        days = list(local_days(interval, TIMEZONE))
        months = {f"{day:%Y%m}": day.replace(day=1) for day, _ in days[:-DAYS_ONE_BY_ONE]}
        prices = [
            _prices(label, first, (first + timedelta(days=32)).replace(day=1))
            for label, first in months.items()
        ]
        prices += [
            _prices(f"{day:%Y%m%d}", day, day + timedelta(days=1)) for day, _ in days[-DAYS_ONE_BY_ONE:]
        ]
        reports = [_report(day - timedelta(days=1), day) for day, _ in days]
        return [
            *reports,
            *prices,
            *(
                LiveRequest(
                    f"{table}-{day:%Y%m%d}.csv",
                    f"outlook/history/{day:%Y%m%d}/{table}.csv",
                    Body.CSV,
                    stretch,
                    supplement=supplement,
                )
                for table, supplement in (("demand", "load"), ("fuelsource", ""))
                for day, stretch in days
            ),
        ]

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn a day's table, its price or its report into observations."""
        kind = kind_of(payload)
        if kind:
            return (parse_prices if kind == PRICES else parse_report)(payload, interval)
        found = re.fullmatch(r"(demand|fuelsource)-(\d{8})\.csv", payload.name)
        if found is None:
            raise TableError(f"{payload.name} is not named after a table and its day, as demand-20260924.csv")
        frame = read_strings(payload, ",", ("Time",))
        columns_of = _as_written(payload, frame.columns, _TABLES[found[1]])
        table = _timed(frame, payload, found[2])
        return stated(
            long_of_wide(table, payload, columns_of).with_columns(pl.lit(ZONE).alias("zone")),
            payload,
            interval,
            INTERVAL_S,
        )

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell; of hydro, the sum of its two."""
        if kind_of(payload):
            return text_of_cell(payload, cell)
        return sum_of_cells(cell, lambda one: delimited_cell(payload, one, ","))


def _prices(label: str, first: datetime, end: datetime) -> LiveRequest:
    """Ask OASIS for a hub's prices from one local midnight to another."""
    query = {
        "queryname": PRICES,
        "version": "3",
        "resultformat": "6",
        "market_run_id": "RTM",
        "node": NODE,
        "startdatetime": f"{first.astimezone(UTC):%Y%m%dT%H:%M}-0000",
        "enddatetime": f"{end.astimezone(UTC):%Y%m%dT%H:%M}-0000",
    }
    return LiveRequest(
        f"{PRICES}-{label}.zip",
        "oasisapi/SingleZip",
        Body.ZIP,
        Interval(first, end),
        query,
        supplement="prices",
        host=OASIS,
        n_gaps=OASIS_GAPS,
    )


def _report(day: datetime, next_day: datetime) -> LiveRequest:
    """Ask for a day's renewable report, which is out the morning after."""
    name = report_name(day)
    stretch = Interval(day, next_day)
    return LiveRequest(name, f"documents/{name}", Body.HTML, stretch, supplement="curtailment", once=True)


def _as_written(
    payload: Payload, header: list[str], wanted: dict[str, tuple[str, ...]]
) -> dict[str, list[str]]:
    there = {name.strip().lower(): name for name in header}
    for names in wanted.values():
        for name in names:
            if name.lower() not in there:
                raise TableError(
                    f"{payload.name}, row 1: no column {name!r}; found {', '.join(header[1:15])}"
                )
    return {quantity: [there[name.lower()] for name in names] for quantity, names in wanted.items()}


def _timed(frame: pl.DataFrame, payload: Payload, day: str) -> pl.DataFrame:
    wall = (pl.lit(day) + pl.col("Time").str.strip_chars()).str.to_datetime(
        "%Y%m%d%H:%M", time_unit="us", strict=False
    )
    table = frame.filter(pl.col("Time").is_not_null()).with_columns(wall.alias("wall"))
    bad = table.filter(pl.col("wall").is_null())
    if bad.height:
        raise TableError(
            f"{payload.name}, row {bad['row'][0]}, column Time: {bad['Time'][0]!r} is not a time such as 14:05"
        )
    nth = pl.int_range(pl.len()).over("wall")
    twice = pl.len().over("wall") == 2
    pass_of = pl.when(~twice).then(pl.lit("null")).when(nth == 0).then(pl.lit("earliest"))
    table = table.with_columns(pass_of.otherwise(pl.lit("latest")).alias("which"))
    start = pl.col("wall").dt.replace_time_zone(TIMEZONE, ambiguous=pl.col("which"), non_existent="null")
    # A table may end with the 00:00 of the next day, under the label that its own first row has.
    return (
        table.with_columns(start.dt.convert_time_zone("UTC").alias("start_utc"))
        .filter(pl.col("start_utc").is_not_null())
        .unique("start_utc", keep="first", maintain_order=True)
    )
