"""California ISO: the five-minute price of energy from OASIS, and a day's curtailment from its renewable report.

OASIS answers with a zip that holds one CSV, or an XML document that says why there is none; times are UTC and name the
start. The renewable report is a web page whose charts are drawn from arrays in its script, one value an hour of the
local day. https://oasis.caiso.com, https://www.caiso.com/library/daily-renewable-reports
"""

from __future__ import annotations

import itertools
import re
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from zoneinfo import ZoneInfo

import polars as pl

from gridmargin.sources.delimited import delimited_cell, read_strings, to_numbers
from gridmargin.sources.mix_tables import AND, sum_of_cells
from gridmargin.sources.observation import Observations
from gridmargin.sources.packed import unpack
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import nothing, starts_utc, stated
from gridmargin.vocab import Cell, Interval, Status, TableError

ZONE = "US-CISO"
INTERVAL_S = 300
HOUR_S = 3600
TIMEZONE = ZoneInfo("America/Los_Angeles")

PRICES, REPORT = "PRC_INTVL_LMP", "daily-renewable-report"
NODE = "TH_NP15_GEN-APND"
"""A trading hub that is asked for; which one does not matter, since the part that is read is the same at every node."""

ENERGY = "MCE"
"""The marginal cost of energy: one price for the whole area, without congestion and losses."""

_STARTS = "INTERVALSTARTTIME_GMT"
_VALUES = ("VALUE", "MW")
"""The price's column; copies of the files of different years have the one or the other."""

NO_DATA = "1000"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

CURTAILED = tuple(
    f"curt_hr_tot_{fuel}_{why}_{scope}_mwh"
    for fuel, why, scope in itertools.product(("solar", "wind"), ("econ", "ss", "oi"), ("local", "system"))
)
"""Wind and sun that was turned down, in MWh an hour: by price, by a cut of self-schedules, by the operator's word; for a
constraint nearby, or for the whole system. Those of the wider imbalance market have other names."""


def kind_of(payload: Payload) -> str:
    """Say which of the two a payload is, or '' for neither."""
    return next((kind for kind in (PRICES, REPORT) if payload.name.startswith(f"{kind}-")), "")


def report_name(day: date) -> str:
    """Name a day's renewable report, such as `daily-renewable-report-sep-24-2026.html`."""
    return f"{REPORT}-{_MONTHS[day.month - 1]}-{day:%d-%Y}.html"


def parse_prices(payload: Payload, interval: Interval) -> Observations:
    """Turn an answer of OASIS into prices; one that says that there are none gives none."""
    table = _csv(payload)
    if table is None:
        return nothing()
    frame = read_strings(table, ",", (_STARTS, "LMP_TYPE"))
    column = next((name for name in _VALUES if name in frame.columns), None)
    if column is None:
        raise TableError(
            f"{payload.name}, row 1: no column {_VALUES[0]!r}; found {', '.join(frame.columns[1:])}"
        )
    frame = starts_utc(frame.filter(pl.col("LMP_TYPE") == ENERGY), payload, _STARTS)
    frame = frame.with_columns(pl.lit(column).alias("column"), pl.col(column).alias("text"))
    frame = frame.unique("start_utc", keep="first", maintain_order=True)
    out = to_numbers(frame, payload).with_columns(
        pl.lit("price_usd_per_mwh").alias("quantity"), pl.lit(ZONE).alias("zone")
    )
    return stated(out, payload, interval, INTERVAL_S)


def parse_report(payload: Payload, interval: Interval) -> Observations:
    """Turn a day's report into mean curtailment, laid on each five minutes of its hours as `adjusted`.

    Raises
    ------
    TableError
        If an array is not there, or has not as many values as the day has hours.
    """
    arrays = {name: _array(payload, name) for name in CURTAILED}
    starts = _hours(payload, len(arrays[CURTAILED[0]]))
    rows = []
    for at, start in enumerate(starts):
        values = [values[at] if at < len(values) else None for values in arrays.values()]
        known = [value for value in values if value is not None]
        if start is not None and len(known) == len(values):
            rows.append((start, at + 1, sum(known)))
    hours = pl.DataFrame(
        rows, schema={"hour": pl.Datetime("us", "UTC"), "row": pl.Int32, "value": pl.Float64}, orient="row"
    )
    within_s = pl.DataFrame({"within_s": range(0, HOUR_S, INTERVAL_S)})
    table = hours.join(within_s, how="cross", maintain_order="left_right").with_columns(
        (pl.col("hour") + pl.duration(seconds="within_s")).alias("start_utc"),
        pl.lit("curtailment_mw").alias("quantity"),
        pl.lit(AND.join(CURTAILED)).alias("column"),
        pl.lit(ZONE).alias("zone"),
        pl.lit(Status.ADJUSTED.value).alias("status"),
    )
    return stated(table, payload, interval, INTERVAL_S)


def text_of_cell(payload: Payload, cell: Cell) -> str:
    """Give a price as it stands, or what an hour's twelve values come to."""
    if kind_of(payload) == REPORT:
        return sum_of_cells(cell, lambda one: str(_array(payload, one.column)[one.row - 1]))
    table = _csv(payload)
    if table is None:
        raise TableError(f"{payload.name} has no row {cell.row}")
    return delimited_cell(table, cell, ",")


def _csv(payload: Payload) -> Payload | None:
    for name, body in unpack(payload).items():
        if name.lower().endswith(".csv"):
            return Payload(payload.source, payload.name, body)
        text = body.decode("utf-8", "replace")
        code, why = (re.search(rf"<(?:\w+:)?{tag}>([^<]*)<", text) for tag in ("ERR_CODE", "ERR_DESC"))
        if code and code[1].strip() == NO_DATA:
            return None
        if code or why:
            raise TableError(
                f"{payload.name}: OASIS says {why[1].strip() if why else code!r}; try again later"
            )
    raise TableError(f"{payload.name} holds no table; fetch it again")


def _array(payload: Payload, name: str) -> list[float | None]:
    found = re.search(
        rf"\b{name}\s*=\s*(?:JSON\.parse\(\s*['\"\[]*)?\[([^\]]*)\]", payload.body.decode("utf-8", "replace")
    )
    if found is None:
        raise TableError(f"{payload.name}: no array {name!r}; the report has changed, or is another page")
    out: list[float | None] = []
    for number, text in enumerate(found[1].split(","), start=1):
        word = text.strip().strip("\"'")
        try:
            out.append(None if word in ("", "NA", "null") else float(word))
        except ValueError:
            raise TableError(
                f"{payload.name}, row {number}, column {name}: {word!r} is not a number"
            ) from None
    return out


def _hours(payload: Payload, n: int) -> list[datetime | None]:
    """Give the start of each value's hour; None for one of the wall clock that is not there, or there twice."""
    day = _day(payload)
    midnight, next_midnight = (
        datetime.combine(one, clock_time.min, TIMEZONE).astimezone(UTC)
        for one in (day, day + timedelta(days=1))
    )
    n_hours = int((next_midnight - midnight).total_seconds()) // HOUR_S
    each = [midnight + timedelta(hours=k) for k in range(n_hours)]
    if n == n_hours:
        return list(each)
    if n != 24:
        raise TableError(f"{payload.name}: {n} hours for a day of {n_hours}")
    clock = [start.astimezone(TIMEZONE).hour for start in each]
    return [each[clock.index(hour)] if clock.count(hour) == 1 else None for hour in range(24)]


def _day(payload: Payload) -> date:
    found = re.fullmatch(rf"{REPORT}-(\w{{3}})-(\d{{2}})-(\d{{4}})\.html", payload.name)
    if found is None or found[1] not in _MONTHS:
        raise TableError(f"{payload.name} is not named after its day, as {report_name(date(2026, 9, 24))}")
    return date(int(found[3]), _MONTHS.index(found[1]) + 1, int(found[2]))
