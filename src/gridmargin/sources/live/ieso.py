"""Ontario's IESO, live: the hourly output of every generator of a day, and the year's output by fuel for what is past.

Beside it the year's demand, the price of the last hours, and the flows over the interties of the last days.

Anybody is answered; the copyright notice must go with what is published. Hours are 1 to 24 in EST (UTC-5) all year, and
hour 1 is the first of the day. A day's report comes each hour, some fifteen minutes after it, and lists generators: a
fuel's output is their sum, and where one of those that state any hour of the day is silent for another, that hour's sum
is absent (C2). The year's report is the operator's own sum, a day late. Both leave out what is connected to distribution
networks. Rows are hours in the order of the report, columns are fuels. Prices (in Canadian dollars) and flows come every
five minutes; an hour's is the mean of its twelve, and absent where one is missing. Flows count what leaves.
https://www.ieso.ca/Power-Data/Data-Directory
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from xml.etree import ElementTree as ET

import polars as pl

from gridmargin.sources.delimited import delimited_cell, read_strings, to_numbers
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone, local_days
from gridmargin.sources.mix_tables import AND, quantities_of
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import nothing, stated
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

TIES = {
    "MANITOBA": "CA-MB",
    "MANITOBA SK": "CA-MB",
    "MICHIGAN": "US-MISO",
    "MINNESOTA": "US-MISO",
    "NEW-YORK": "US-NYIS",
    "PQ.AT": "CA-QC",
    "PQ.B5D.B31L": "CA-QC",
    "PQ.D4Z": "CA-QC",
    "PQ.D5A": "CA-QC",
    "PQ.H4Z": "CA-QC",
    "PQ.H9A": "CA-QC",
    "PQ.P33C": "CA-QC",
    "PQ.Q4C": "CA-QC",
    "PQ.X2Y": "CA-QC",
}
"""Their interties and the zone at the other end."""

IN_AN_HOUR = 12
PRICE_HOURS = 6
"""A price has a report an hour: of longer stretches the last hours' are asked for."""

_DAY, _YEAR = "GenOutputCapability", "GenOutputbyFuelHourly"
_DEMAND, _FLOW, _PRICE = "Demand", "IntertieScheduleFlow", "RealtimeOntarioZonalPrice"
_ONTARIO = "Ontario Demand"


class IesoLive(OneZone):
    """Asks for `PUB_GenOutputCapability_YYYYMMDD.xml` and `PUB_GenOutputbyFuelHourly_YYYY.xml`; for demand, price, flows."""

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
        """List the years' reports for the days before the last ones, and those days' own; before them what lies beside."""
        del zone
        days = list(local_days(interval, EST))
        years: dict[int, Interval] = {}
        for day, stretch in days[:-DAYS_ONE_BY_ONE]:
            before = years.get(day.year)
            years[day.year] = Interval(before.start_utc if before else stretch.start_utc, stretch.end_utc)
        asked = [(f"PUB_{_YEAR}_{year}.xml", _YEAR, stretch) for year, stretch in years.items()]
        asked += [(f"PUB_{_DAY}_{day:%Y%m%d}.xml", _DAY, stretch) for day, stretch in days[-DAYS_ONE_BY_ONE:]]
        made = [LiveRequest(name, f"{folder}/{name}", Body.XML, stretch) for name, folder, stretch in asked]
        return [*_beside(interval), *made]

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one report into observations."""
        if _PRICE in payload.name or _FLOW in payload.name:
            means = _means(payload)
            if means is None:
                return nothing()
            return stated(means.with_columns(pl.lit(ZONE).alias("zone")), payload, interval, HOUR_S)
        if f"_{_DEMAND}_" in payload.name:
            demand = to_numbers(_demand(payload), payload, _ONTARIO)
            return stated(demand.with_columns(pl.lit(ZONE).alias("zone")), payload, interval, HOUR_S)
        table = _table(payload)
        names = {name: generation_column(fuel) for name, fuel in FUELS.items()}
        table = to_numbers(quantities_of(table, payload, "column", names), payload)
        sums = table.group_by("row", "start_utc", "column", "quantity", maintain_order=True).agg(
            pl.when(pl.col("value").null_count() == 0).then(pl.col("value").sum()).alias("value")
        )
        return stated(sums.with_columns(pl.lit(ZONE).alias("zone")), payload, interval, HOUR_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what a report states for an hour and a fuel, of several generators their sum; or the mean of an hour."""
        if f"_{_DEMAND}_" in payload.name:
            n = _n_remarks(payload)
            below = Payload(payload.source, payload.name, payload.body.split(b"\n", n)[n])
            return delimited_cell(below, Cell(cell.payload_sha256, cell.row - n, cell.column), ",")
        if _PRICE in payload.name or _FLOW in payload.name:
            means = _means(payload)
            at = (pl.col("row") == cell.row) & (pl.col("column") == cell.column)
            found = [] if means is None else means.filter(at)["stated"].to_list()
            if not found:
                raise TableError(f"{payload.name} has no hour {cell.row - 1} of {cell.column}")
            return repr(float(found[0]))
        table = _table(payload).filter((pl.col("row") == cell.row) & (pl.col("column") == cell.column))
        texts = [text for text in table["text"] if text is not None]
        if not texts:
            raise TableError(f"{payload.name} has no hour {cell.row - 1} of {cell.column}")
        return texts[0] if len(texts) == 1 else repr(sum(float(text) for text in texts))


def _beside(interval: Interval) -> list[LiveRequest]:
    """List demand by year, flows by day and prices by hour, oldest first."""
    days = list(local_days(interval, EST))
    years: dict[int, Interval] = {}
    for day, stretch in days:
        before = years.get(day.year)
        years[day.year] = Interval(before.start_utc if before else stretch.start_utc, stretch.end_utc)
    found = [(_DEMAND, f"{year}.csv", "load", stretch) for year, stretch in years.items()]
    found += [(_FLOW, f"{day:%Y%m%d}.xml", "flows", stretch) for day, stretch in days[-DAYS_ONE_BY_ONE:]]
    for hour in list(interval.split(HOUR_S))[-PRICE_HOURS:]:
        if hour.end_utc <= interval.end_utc:
            local = hour.start_utc - timedelta(hours=5)
            found.append((_PRICE, f"{local:%Y%m%d}{local.hour + 1:02}.xml", "price", hour))
    return [
        LiveRequest(
            f"PUB_{folder}_{end}",
            f"{folder}/PUB_{folder}_{end}",
            Body.CSV if end.endswith("csv") else Body.XML,
            stretch,
            supplement=what,
        )
        for folder, end, what, stretch in found
    ]


def _n_remarks(payload: Payload) -> int:
    """Count the lines above the header of a table, which begin with a backslash."""
    lines = payload.body.split(b"\n")
    return next((n for n, line in enumerate(lines) if not line.lstrip(b"\xef\xbb\xbf").startswith(b"\\")), 0)


def _demand(payload: Payload) -> pl.DataFrame:
    """Give `row, start_utc, column, quantity` and the demand as text."""
    n = _n_remarks(payload)
    below = Payload(payload.source, payload.name, payload.body.split(b"\n", n)[n])
    table = read_strings(below, ",", ("Date", "Hour", _ONTARIO)).with_columns(pl.col("row") + n)
    table = table.rename({"Date": "day", "Hour": "hour"})
    return _timed(table, payload).with_columns(
        pl.lit(_ONTARIO).alias("column"), pl.lit("demand_mw").alias("quantity")
    )


def _means(payload: Payload) -> pl.DataFrame | None:
    """Give `row, start_utc, quantity, column, stated, value` of every hour whose twelve values are there, if any is."""
    root = read_xml(payload)
    is_price = _PRICE in payload.name
    rows = list(_of_price(payload, root) if is_price else _of_ties(payload, root))
    if not rows:
        return None
    schema = {
        "day": pl.String, "hour": pl.String, "interval": pl.String, "column": pl.String, "text": pl.String,
    }  # fmt: skip
    table = pl.DataFrame(rows, schema=schema, orient="row")
    hour = pl.col("hour").cast(pl.Int32, strict=False)
    table = _timed(table.with_columns((hour + 1).fill_null(1).alias("row")), payload)
    names = (
        {"LmpCap": "price_cad_per_mwh"} if is_price else {tie: f"imports_from_{TIES[tie]}_mw" for tie in TIES}
    )
    table = to_numbers(quantities_of(table, payload, "column", names), payload)
    known = table.filter(pl.col("value").is_not_null()).unique(
        ["start_utc", "column", "interval"], keep="last", maintain_order=True
    )
    sides = known.group_by("row", "start_utc", "quantity", "column", maintain_order=True).agg(
        pl.col("value").mean(), pl.len().alias("n")
    )
    parts = [(quantity, sorted(c for c in table["column"].unique() if names[c] == quantity)) for quantity in
             sorted(set(table["quantity"]))]  # fmt: skip
    if not is_price:
        parts.append(("net_imports_mw", sorted(table["column"].unique())))
    found = []
    for quantity, columns in parts:
        mine = sides.filter(pl.col("column").is_in(columns), pl.col("n") == IN_AN_HOUR)
        total = (
            mine.group_by("row", "start_utc", maintain_order=True)
            .agg(pl.col("value").sum().alias("stated"), pl.len().alias("n"))
            .filter(pl.col("n") == len(columns))
        )
        found.append(
            total.select(
                "row",
                "start_utc",
                pl.lit(quantity).alias("quantity"),
                pl.lit(AND.join(columns)).alias("column"),
                "stated",
                (pl.col("stated") * (1.0 if is_price else -1.0)).alias("value"),
            )
        )
    return pl.concat(found)


def _of_price(payload: Payload, root: ET.Element) -> Iterator[tuple[str, str, str, str, str | None]]:
    body = root.find(".//{*}DocBody")
    body = root if body is None else body
    day, hour = (child_text(payload, body, name) for name in ("DeliveryDate", "DeliveryHour"))
    for one in body.iterfind("{*}ZonalPrice"):
        yield day, hour, child_text(payload, one, "Interval"), "LmpCap", one.findtext("{*}LmpCap")


def _of_ties(payload: Payload, root: ET.Element) -> Iterator[tuple[str, str, str, str, str | None]]:
    body = root.find(".//{*}IMODocBody")
    day = child_text(payload, root if body is None else body, "Date")
    for tie in root.iterfind(".//{*}IntertieZone"):
        name = child_text(payload, tie, "IntertieZoneName")
        for actual in tie.iterfind(".//{*}Actual"):
            hour, interval = (child_text(payload, actual, field) for field in ("Hour", "Interval"))
            yield day, hour, interval, name, actual.findtext("{*}Flow")


def _table(payload: Payload) -> pl.DataFrame:
    """Give `row, start_utc, column, text`, one a generator or fuel and hour."""
    root = read_xml(payload)
    rows = list(_of_day(payload, root) if _DAY in payload.name else _of_year(payload, root))
    if not rows:
        raise TableError(f"{payload.name}: lists no output; fetch it again")
    schema = {"row": pl.Int32, "day": pl.String, "hour": pl.String, "column": pl.String, "text": pl.String}
    return _timed(pl.DataFrame(rows, schema=schema, orient="row"), payload)


def _timed(table: pl.DataFrame, payload: Payload) -> pl.DataFrame:
    """Add `start_utc`, from a day and an hour from 1 to 24."""
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
