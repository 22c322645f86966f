"""Southwest Power Pool, live: the generation mix of the last two hours, and of a year for what is further back.

Beside it the newest price of energy, and of each past day the fuels on the margin and what wind and sun were held back.
Anybody is answered. `GMT MKT Interval` is UTC and names the **end** of its five minutes: the file of 2023 runs from
2023-01-01T06:05Z to 2024-01-01T06:00Z, which is the year in CST. The tables of the market's eastern area are read (`SPP`);
the western one (`SWPW`), run since 2026, is another zone. A fuel is one column, or two for what the market dispatched and
what its owner did. The fuels on the margin of a day are one table, made when the day is over; an interval has a row or
more, and a row one fuel or several. What was curtailed is six columns of MW: of wind and of sun, by redispatch, by hand and
for energy.
https://portal.spp.org/pages/generation-mix-historical
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from gridmargin.sources.delimited import delimited_cell, read_strings, to_numbers
from gridmargin.sources.live.live_source import Access, LiveRequest, OneZone, local_days
from gridmargin.sources.mix_tables import long_of_wide, quantities_of, sum_of_cells
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, TableError, generation_column, published_margin_column

ZONE = "US-SWPP"
INTERVAL_S = 300
TIMEZONE = "America/Chicago"
AREA = "SPP"
LABEL = "GMT MKT Interval"
MARKET_LABEL = "GMTIntervalEnd"
"""What the tables of the market call it, whose form is another."""
CURTAILMENT_LABEL = "GMTIntervalEnding"
"""And the tables of curtailment, in that form with fractions of a second."""

BROWSER = "file-browser-api/download"
DOWNLOAD = f"{BROWSER}/generation-mix-historical"

SHORT = timedelta(hours=3)
"""Stretches up to this take the small table alone: a round asks for two hours and what is late, and the year's table
has 16 MB."""

FUELS: dict[str, tuple[tuple[str, ...], ...]] = {
    generation_column(Fuel.COAL): (("Coal",), ("Coal Market", "Coal Self")),
    generation_column(Fuel.OIL): (
        ("Diesel Fuel Oil",),
        ("Diesel Fuel Oil Market", "Diesel Fuel Oil Self"),
    ),
    generation_column(Fuel.HYDRO): (("Hydro",), ("Hydro Market", "Hydro Self")),
    generation_column(Fuel.GAS): (("Natural Gas",), ("Natural Gas Market", "Gas Self")),
    generation_column(Fuel.NUCLEAR): (("Nuclear",), ("Nuclear Market", "Nuclear Self")),
    generation_column(Fuel.SOLAR): (("Solar",), ("Solar Market", "Solar Self")),
    generation_column(Fuel.WASTE): (
        ("Waste Disposal Services",),
        ("Waste Disposal Services Market", "Waste Disposal Services Self"),
    ),
    generation_column(Fuel.WIND): (("Wind",), ("Wind Market", "Wind Self")),
    generation_column(Fuel.OTHER): (
        ("Waste Heat", "Other"),
        ("Waste Heat Market", "Waste Heat Self", "Other Market", "Other Self"),
    ),
}
"""Our quantities and their columns, in either form. Waste heat burns nothing of its own and is `other`."""

MAY_LACK = {
    generation_column(Fuel.BATTERY): (("Energy Storage",), ("Energy Storage Market", "Energy Storage Self"))
}
"""Newer tables have it; negative while stores charge."""

LOAD = "Load"

HUB = "SPPNORTH_HUB"
"""The place whose row is read: the price of energy before losses and congestion (`MEC`) is the same at every place."""

MARGIN = "Fuel On Margin"
ON_MARGIN = {
    "coal": Fuel.COAL,
    "diesel fuel oil": Fuel.OIL,
    "energy storage": Fuel.BATTERY,
    "fuel oil": Fuel.OIL,
    "gas": Fuel.GAS,
    "hydro": Fuel.HYDRO,
    "natural gas": Fuel.GAS,
    "nuclear": Fuel.NUCLEAR,
    "oil": Fuel.OIL,
    "other": Fuel.OTHER,
    "solar": Fuel.SOLAR,
    "storage": Fuel.BATTERY,
    "waste disposal services": Fuel.WASTE,
    "waste heat": Fuel.OTHER,
    "wind": Fuel.WIND,
}
"""Their words in whatever case, and our fuels; another word is refused."""

CURTAILED = tuple(
    f"{what}{how}"
    for what in ("Wind", "Solar")
    for how in ("RedispatchCurtailments", "ManualCurtailments", "CurtailedForEnergy")
)
"""Columns whose sum is what was curtailed; they are told apart by reason."""

WHOLE = timedelta(hours=6)
"""How long a market day is over before its curtailment is asked for: whether the table grows through the day is not said,
and it is asked for once."""

_FUELS_LIST, _PRICE, _CURTAILMENT = "FUEL-ON-MARGIN", "RTBM-LMP-SL", "VER-Curtailments"
_PARTS = r"\s*[,;/|]\s*"


class SppLive(OneZone):
    """Asks for `GenMix2Hour_SPP.csv`, or `GenMix365_SPP.csv` too; for a price, fuels on the margin, and curtailment."""

    name = "spp"
    publisher = "Southwest Power Pool"
    base_url = "https://portal.spp.org"
    access: Access | None = None
    zone = ZONE
    every_s = INTERVAL_S
    states_margin = True
    newest = "^generation_"
    margin_delay_s = 2 * 86_400
    cadence_s = 300
    delay_s = 600

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List the tables, whose address has no date: the small one is named after the last hour that is wanted."""
        del zone
        last = interval.end_utc - timedelta(microseconds=1)
        small = LiveRequest(
            f"GenMix2Hour_SPP-{last:%Y%m%d%H}.csv", DOWNLOAD, Body.CSV, interval, {"path": "/SPP/GenMix2Hour_SPP.csv"}
        )  # fmt: skip
        newest = Interval.containing(last, INTERVAL_S).start_utc
        price = LiveRequest(
            f"{_PRICE}-{newest:%Y%m%d%H%M}.csv", f"{BROWSER}/rtbm-lmp-by-location", Body.CSV, interval,
            {"path": f"/{_PRICE}-latestInterval.csv"}, supplement="price",
        )  # fmt: skip
        more = [*_past_days(interval), price]
        if interval.end_utc - interval.start_utc <= SHORT:
            return [*more, small]
        year = LiveRequest(
            f"GenMix365_SPP-{last:%Y%m}.csv", DOWNLOAD, Body.CSV, interval, {"path": "/SPP/GenMix365_SPP.csv"}
        )
        return [*more, year, small]

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn a table into observations."""
        if payload.name.startswith(_FUELS_LIST):
            table = _margin(payload)
        elif payload.name.startswith(_PRICE):
            table = _price(payload)
        elif payload.name.startswith(_CURTAILMENT):
            table = _of_area(_stripped(payload, CURTAILMENT_LABEL, *CURTAILED))
            table = _last_of_each(_market_timed(table, payload, CURTAILMENT_LABEL))
            table = long_of_wide(table, payload, {"curtailment_mw": CURTAILED})
        else:
            frame = _stripped(payload, LABEL)
            columns_of = _columns(payload, frame.columns)
            table = long_of_wide(_last_of_each(_timed(frame, payload)), payload, columns_of)
        return stated(table.with_columns(pl.lit(ZONE).alias("zone")), payload, interval, INTERVAL_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell; of a fuel in two columns, their sum."""
        header = (
            payload.body.partition(b"\n")[0].decode("utf-8", "replace").strip().lstrip("\ufeff").split(",")
        )
        written = {name.strip(): name for name in header}

        def text_of(one: Cell) -> str:
            return delimited_cell(
                payload, Cell(one.payload_sha256, one.row, written.get(one.column, one.column)), ","
            )

        return sum_of_cells(cell, text_of)


def _columns(payload: Payload, header: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for quantity, forms in {**FUELS, **MAY_LACK}.items():
        there = [form for form in forms if set(form) <= set(header)]
        if there:
            found[quantity] = there[0]
        elif quantity in FUELS:
            raise TableError(
                f"{payload.name}, row 1: no column {forms[0][0]!r}; found {', '.join(header[1:14])}"
            )
    if LOAD in header:
        found["demand_mw"] = (LOAD,)
    return found


def _past_days(interval: Interval) -> list[LiveRequest]:
    """List the tables of the market days up to the one before the last: what was curtailed, and what was on the margin."""
    days = list(local_days(Interval(interval.start_utc - timedelta(days=1), interval.end_utc), TIMEZONE))[:-1]
    asked = [
        (_CURTAILMENT, "", "ver-curtailments", "curtailment", day, stretch)
        for day, stretch in days
        if stretch.end_utc + WHOLE <= interval.end_utc
    ]
    asked += [
        (_FUELS_LIST, "0005", "fuel-on-margin", "fuels on the margin", day, stretch) for day, stretch in days
    ]
    return [
        LiveRequest(
            f"{table}-{day:%Y%m%d}.csv", f"{BROWSER}/{folder}", Body.CSV, stretch,
            {"path": f"/{day:%Y/%m}/{table}-{day:%Y%m%d}{end}.csv"}, supplement=what, once=True,
        )
        for table, end, folder, what, day, stretch in asked
    ]  # fmt: skip


def _margin(payload: Payload) -> pl.DataFrame:
    """Read the fuels on the margin of each interval: those that are listed, and nothing of the others."""
    table = _market_timed(_of_area(_stripped(payload, MARKET_LABEL, MARGIN)), payload)
    table = (
        table.filter(pl.col(MARGIN).is_not_null())
        .with_columns(
            pl.col(MARGIN)
            .str.strip_chars()
            .str.to_lowercase()
            .str.replace_all(_PARTS, "|")
            .str.split("|")
            .alias("word")
        )
        .explode("word", empty_as_null=True)
        .filter(pl.col("word") != "")
    )
    names = {word: published_margin_column(fuel) for word, fuel in ON_MARGIN.items()}
    return (
        quantities_of(table, payload, "word", names)
        .unique(["start_utc", "quantity"], keep="first", maintain_order=True)
        .with_columns(pl.lit(MARGIN).alias("column"), pl.lit(1.0).alias("value"))
    )


def _price(payload: Payload) -> pl.DataFrame:
    """Read the price of energy of one interval."""
    table = _stripped(payload, MARKET_LABEL, "Settlement Location", "MEC")
    table = table.filter(pl.col("Settlement Location").str.strip_chars() == HUB)
    if not table.height:
        raise TableError(f"{payload.name}: no row of {HUB}; fetch it again")
    table = table.with_columns(pl.lit("MEC").alias("column"), pl.lit("price_usd_per_mwh").alias("quantity"))
    return to_numbers(_last_of_each(_market_timed(table, payload)), payload, "MEC")


def _stripped(payload: Payload, *needed: str) -> pl.DataFrame:
    """Read a table whose header may have blanks about its names."""
    frame = read_strings(payload, ",", ())
    frame = frame.rename({name: name.strip() for name in frame.columns})
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise TableError(
            f"{payload.name}, row 1: no column {missing[0]!r}; found {', '.join(frame.columns[1:13])}"
        )
    return frame


def _of_area(frame: pl.DataFrame) -> pl.DataFrame:
    """Leave the rows of the market's other area, where the table says which is which."""
    return frame.filter(pl.col("BAA").str.strip_chars() == AREA) if "BAA" in frame.columns else frame


def _timed(frame: pl.DataFrame, payload: Payload) -> pl.DataFrame:
    text = pl.col(LABEL).str.strip_chars()
    label = text.str.to_datetime("%Y-%m-%dT%H:%M:%S%#z", time_unit="us", time_zone="UTC", strict=False)
    return _started(frame.with_columns(label.alias("label_utc")), payload, LABEL, "2026-09-24T14:05:00Z")


def _market_timed(frame: pl.DataFrame, payload: Payload, column: str = MARKET_LABEL) -> pl.DataFrame:
    text = pl.col(column).str.strip_chars()
    forms = ("%m/%d/%Y %H:%M:%S%.f", "%m/%d/%Y %H:%M")
    label = pl.coalesce(
        text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False) for form in forms
    )
    return _started(frame.with_columns(label.alias("label_utc")), payload, column, "09/24/2026 14:05:00")


def _started(table: pl.DataFrame, payload: Payload, column: str, such: str) -> pl.DataFrame:
    """Add `start_utc`: a label names the end."""
    bad = table.filter(pl.col("label_utc").is_null())
    if bad.height:
        raise TableError(
            f"{payload.name}, row {bad['row'][0]}, column {column}: {bad[column][0]!r} is not a time such as {such}"
        )
    start = (pl.col("label_utc") - pl.duration(microseconds=1)).dt.truncate(f"{INTERVAL_S}s")
    return table.with_columns(start.alias("start_utc"))


def _last_of_each(table: pl.DataFrame) -> pl.DataFrame:
    """Of several labels in one interval the last stands for it."""
    return table.sort("label_utc", maintain_order=True).unique("start_utc", keep="last", maintain_order=True)
