"""Ontario's IESO, live: the hourly output of every generator of a day, and the year's output by fuel for what is past.

Anybody is answered; the copyright notice must go with what is published. Hours are 1 to 24 in EST (UTC-5) all year, and
hour 1 is the first of the day. A day's report comes each hour, some fifteen minutes after it, and lists generators: a
fuel's output is their sum, and where one of those that state any hour of the day is silent for another, that hour's sum
is absent (C2). The year's report is the operator's own sum, a day late. Both leave out what is connected to distribution
networks. Rows are hours in the order of the report, columns are fuels.
https://www.ieso.ca/Power-Data/Data-Directory
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

import polars as pl

from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone, local_days
from gridmargin.sources.mix_tables import quantities_of
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import stated
from gridmargin.sources.transport import Body
from gridmargin.sources.xml_tree import child_text, read_xml
from gridmargin.vocab import Cell, Fuel, Interval, TableError, generation_column

ZONE = "CA-ON"
HOUR_S = 3600
EST = "Etc/GMT+5"
DAYS_ONE_BY_ONE = 3
"""Longer stretches take the years' reports for the days before the last ones."""

FUELS = {
    "BIOFUEL": Fuel.BIOMASS,
    "GAS": Fuel.GAS,
    "HYDRO": Fuel.HYDRO,
    "NUCLEAR": Fuel.NUCLEAR,
    "OTHER": Fuel.OTHER,
    "SOLAR": Fuel.SOLAR,
    "WIND": Fuel.WIND,
}

_DAY, _YEAR = "GenOutputCapability", "GenOutputbyFuelHourly"


class IesoLive(OneZone):
    """Asks for `PUB_GenOutputCapability_YYYYMMDD.xml` and `PUB_GenOutputbyFuelHourly_YYYY.xml`."""

    name = "ieso"
    publisher = "Independent Electricity System Operator (Ontario)"
    base_url = "https://reports-public.ieso.ca/public"
    access: Access | None = None
    zone = ZONE
    every_s = HOUR_S
    states_margin = False
    cadence_s = 3600
    delay_s = 1200

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List the years' reports for the days before the last ones, and those days' own."""
        del zone
        days = list(local_days(interval, EST))
        years: dict[int, Interval] = {}
        for day, stretch in days[:-DAYS_ONE_BY_ONE]:
            before = years.get(day.year)
            years[day.year] = Interval(before.start_utc if before else stretch.start_utc, stretch.end_utc)
        asked = [(f"PUB_{_YEAR}_{year}.xml", _YEAR, stretch) for year, stretch in years.items()]
        asked += [(f"PUB_{_DAY}_{day:%Y%m%d}.xml", _DAY, stretch) for day, stretch in days[-DAYS_ONE_BY_ONE:]]
        return [LiveRequest(name, f"{folder}/{name}", Body.XML, stretch) for name, folder, stretch in asked]

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one report into observations."""
        table = _table(payload)
        names = {name: generation_column(fuel) for name, fuel in FUELS.items()}
        table = to_numbers(quantities_of(table, payload, "column", names), payload)
        sums = table.group_by("row", "start_utc", "column", "quantity", maintain_order=True).agg(
            pl.when(pl.col("value").null_count() == 0).then(pl.col("value").sum()).alias("value")
        )
        return stated(sums.with_columns(pl.lit(ZONE).alias("zone")), payload, interval, HOUR_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what a report states for an hour and a fuel; of several generators, their sum."""
        table = _table(payload).filter((pl.col("row") == cell.row) & (pl.col("column") == cell.column))
        texts = [text for text in table["text"] if text is not None]
        if not texts:
            raise TableError(f"{payload.name} has no hour {cell.row - 1} of {cell.column}")
        return texts[0] if len(texts) == 1 else repr(sum(float(text) for text in texts))


def _table(payload: Payload) -> pl.DataFrame:
    """Give `row, start_utc, column, text`, one a generator or fuel and hour."""
    root = read_xml(payload)
    rows = list(_of_day(payload, root) if _DAY in payload.name else _of_year(payload, root))
    if not rows:
        raise TableError(f"{payload.name}: lists no output; fetch it again")
    schema = {"row": pl.Int32, "day": pl.String, "hour": pl.String, "column": pl.String, "text": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    midnight = pl.col("day").str.to_datetime("%Y-%m-%d", time_unit="us", strict=False)
    hour = pl.col("hour").cast(pl.Int32, strict=False)
    start = midnight + pl.duration(hours=hour - 1 + 5)
    table = table.with_columns(
        pl.when(hour.is_between(1, 24)).then(start).dt.replace_time_zone("UTC").alias("start_utc")
    )
    bad = table.filter(pl.col("start_utc").is_null())
    if bad.height:
        day, hour_text = bad.select("day", "hour").row(0)
        raise TableError(
            f"{payload.name}: {day!r} with hour {hour_text!r} is not a day and an hour from 1 to 24"
        )
    return table


def _of_day(payload: Payload, root: ET.Element) -> Iterator[tuple[int, str, str, str, str | None]]:
    body = root.find(".//{*}IMODocBody")
    day = child_text(payload, root if body is None else body, "Date")
    for generator in root.iterfind(".//{*}Generator"):
        fuel = child_text(payload, generator, "FuelType")
        outputs = [
            (child_text(payload, output, "Hour"), output.findtext("{*}EnergyMW"))
            for output in generator.iterfind("{*}Outputs/{*}Output")
        ]
        if all(text is None for _, text in outputs):
            continue  # a generator that is silent all day is not running, or not there yet
        for hour, text in outputs:
            yield int(hour) + 1 if hour.isdecimal() else 0, day, hour, fuel, text


def _of_year(payload: Payload, root: ET.Element) -> Iterator[tuple[int, str, str, str, str | None]]:
    row = 1
    for daily in root.iterfind(".//{*}DailyData"):
        day = child_text(payload, daily, "Day")
        for hourly in daily.iterfind("{*}HourlyData"):
            row += 1
            hour = child_text(payload, hourly, "Hour")
            for total in hourly.iterfind("{*}FuelTotal"):
                fuel = child_text(payload, total, "Fuel")
                yield row, day, hour, fuel, total.findtext("{*}EnergyValue/{*}Output")
