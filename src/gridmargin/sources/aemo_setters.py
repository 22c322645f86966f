"""AEMO's price setters: which units one more megawatt of a region's demand would have moved, every five minutes.

A day's zip, `NemPriceSetter_YYYYMMDD_xml.zip`, holds one XML file a dispatch: `<SolutionAnalysis>` with a
`<PriceSetting>` for each unit, and in `Increase` the megawatts that the dispatch engine would move it by if the region
wanted one more. `PeriodID` is market time with its offset and names the end of the interval; a market day begins at
04:00. Units of one fuel are summed, and a fuel's part in the sum is `published_margin_<fuel>_frac`. The inventory of
generators, which the files do not have, lies beside them as `CO2EII_AVAILABLE_GENERATORS….CSV`.

What the rows do not settle is not stated (C2): an interval in which a fuel would have made less while others made more,
whose rows do not add up to about one megawatt, or which names a kind of offer that is neither energy nor a reserve.
https://nemweb.com.au/Data_Archive/Wholesale_Electricity/NEMDE
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import polars as pl

from gridmargin.sources.aemo import REGIONS
from gridmargin.sources.aemo_inventory import INVENTORY, unit_fuels
from gridmargin.sources.aemo_tables import MARKET_TIME
from gridmargin.sources.delimited import text_of
from gridmargin.sources.folders import files_matching, refuse_repeats
from gridmargin.sources.observation import Observations
from gridmargin.sources.packed import pack, unpack
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import starts_utc, stated
from gridmargin.sources.xml_tree import read_xml
from gridmargin.vocab import Cell, Fuel, InputError, Interval, TableError, published_margin_column, sha256_hex

INTERVAL_S = 300
DAY_BEGINS = timedelta(hours=4)

RESERVES = frozenset(
    f"{way}{kind}" for way in ("R", "L") for kind in ("1SE", "6SE", "60S", "5MI", "5RE", "REG")
)
"""Markets in which a unit moves its reserve and makes no energy."""

ENERGY = "ENOF"

MOST_DOWN_FRAC = 0.05
"""Where fuels that would have made less come to more than this part of those that would have made more, shares of the
latter would not say what one more megawatt emits."""

LEAST_MW, MOST_MW = 0.5, 1.5
"""What the increases for one megawatt may come to: losses lie within, a missing row does not."""

_DAILY = r"(?i)NemPriceSetter_(\d{8})_xml\.zip"
_INVENTORY_FILE = r"(?i)CO2EII_AVAILABLE_GENERATORS.*\.CSV(\.gz)?"
_ATTRIBUTES = ("PeriodID", "RegionID", "Market", "Unit", "DispatchedMarket", "Increase")
_AND, _OF = "+", " of "


class AemoSetters:
    """Reads a folder of daily zips with the inventory beside them."""

    name = "aemo_setters"
    states_margin = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = files_matching(folder, _DAILY)
        refuse_repeats(paths, lambda path: f"AEMO's price setters of {_day_of(path.name):%Y-%m-%d}")
        self._days = {_day_of(path.name): path for path in paths}

    def zones(self) -> list[str]:
        """List the five regions where there are files."""
        return sorted(REGIONS) if self._days else []

    def interval_s(self, zone: str) -> int:
        """Give five minutes. [s]"""
        del zone
        return INTERVAL_S

    def span(self, zone: str) -> Interval:
        """Give the stretch from the first market day's start to the last one's end."""
        del zone
        if not self._days:
            raise InputError(f"no files named NemPriceSetter_YYYYMMDD_xml.zip under {self.folder}")
        return Interval(_market_day(min(self._days)).start_utc, _market_day(max(self._days)).end_utc)

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the market days that touch `interval`, each with the inventory, untouched inside."""
        del zone
        days = [day for day in sorted(self._days) if _market_day(day).overlap(interval)]
        if not days:
            return
        listed = files_matching(self.folder, _INVENTORY_FILE)
        if not listed:
            raise InputError(
                f"{self._days[days[0]].name} names units and no fuels: put AEMO's {INVENTORY}"
                f" beside it, under {self.folder}"
            )
        newest = listed[-1]
        table = text_of(Payload(self.name, newest.name, newest.read_bytes()))
        for day in days:
            path = self._days[day]
            yield Payload(self.name, path.name, pack([(path.name, path.read_bytes()), (INVENTORY, table)]))

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn a market day into the shares of every region."""
        return stated(_shares(payload), payload, interval, INTERVAL_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give a fuel's part in the increases of an interval: what its units' rows come to, over that of all."""
        found = _shares(payload).filter((pl.col("row") == cell.row) & (pl.col("column") == cell.column))
        if not found.height:
            raise TableError(f"{payload.name} has no row {cell.row} with {cell.column}")
        return repr(found["value"][0])


def _day_of(name: str) -> datetime:
    found = re.fullmatch(_DAILY, name)
    assert found is not None
    try:
        return datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=MARKET_TIME)
    except ValueError:
        raise TableError(f"{name}: {found[1]} is no date; name it as the publisher does") from None


def _market_day(day: datetime) -> Interval:
    start = (day + DAY_BEGINS).astimezone(UTC)
    return Interval(start, start + timedelta(days=1))


def _shares(payload: Payload) -> pl.DataFrame:
    return _read(payload.name, payload.body, sha256_hex(payload.body))


@lru_cache(maxsize=2)
def _read(name: str, body: bytes, digest: str) -> pl.DataFrame:
    """Give `zone, start_utc, quantity, value, row, column` of a whole payload; a day is read once for five regions."""
    del digest
    payload = Payload(AemoSetters.name, name, body)
    tables = unpack(payload)
    if INVENTORY not in tables:
        raise TableError(f"{name} holds no {INVENTORY}; read it from a folder that has one")
    fuels = unit_fuels(Payload(payload.source, INVENTORY, tables[INVENTORY]))
    rows = _rows(payload, [Payload(payload.source, n, b) for n, b in tables.items() if n != INVENTORY])
    return _by_fuel(_by_unit(payload, rows), fuels)


def _rows(payload: Payload, days: list[Payload]) -> pl.DataFrame:
    """Give every row of the energy market as text, counted through the files; a corrected run stands for the first."""
    found: list[tuple[str | int | bool | None, ...]] = []
    number = 0
    for day in days:
        for name, body in unpack(day).items():
            if not name.lower().endswith(".xml"):
                continue
            corrected = name.lower().endswith("_ocd.xml")
            for element in read_xml(Payload(payload.source, f"{payload.name}, {name}", body)).iter():
                if element.tag.rpartition("}")[2] != "PriceSetting":
                    continue
                number += 1
                found.append((*(element.get(key) for key in _ATTRIBUTES), number, corrected))
    if not found:
        raise TableError(f"{payload.name} holds no PriceSetting; fetch it again")
    schema = {**dict.fromkeys(_ATTRIBUTES, pl.String), "row": pl.Int32, "corrected": pl.Boolean}
    table = pl.DataFrame(found, schema=schema, orient="row")
    for key in _ATTRIBUTES:
        if table[key].null_count():
            row = table.filter(pl.col(key).is_null())["row"][0]
            raise TableError(f"{payload.name}, row {row}: no attribute {key!r} in PriceSetting")
    energy = table.filter((pl.col("Market") == "Energy") & ~pl.col("DispatchedMarket").is_in(list(RESERVES)))
    labelled = starts_utc(energy, payload, "PeriodID").with_columns(
        pl.col("start_utc") - pl.duration(seconds=INTERVAL_S)
    )
    return labelled.filter(pl.col("corrected") == pl.col("corrected").max().over("start_utc"))


def _by_unit(payload: Payload, rows: pl.DataFrame) -> pl.DataFrame:
    """Give one row a unit: tied offers are named together and share in equal parts; a link stands for imports."""
    increase = rows["Increase"].str.strip_chars().cast(pl.Float64, strict=False)
    wrong = increase.is_null() | ~increase.is_finite().fill_null(value=False)
    if wrong.any():
        at = int(wrong.arg_true()[0])
        raise TableError(
            f"{payload.name}, row {rows['row'][at]}, column Increase: {rows['Increase'][at]!r} is not a number"
        )
    zones = {region: zone for zone, region in REGIONS.items()}
    names = pl.col("Unit").str.split(",").list.eval(pl.element().str.strip_chars())
    parts = names.list.len()
    is_link = (parts == 2) & names.list.get(1, null_on_oob=True).is_in(list(zones))
    tied = (parts > 1) & (parts % 3 == 0)
    table = rows.with_columns(
        increase.alias("increase"),
        pl.col("RegionID").replace_strict(zones, default=None, return_dtype=pl.String).alias("zone"),
        is_link.alias("is_link"),
        pl.when(tied).then(names.list.gather_every(3)).otherwise(names.list.head(1)).alias("units"),
        pl.when(tied)
        .then(names.list.gather_every(3, 1).list.eval(pl.element() == ENERGY).list.all())
        .when(is_link)
        .then(statement=True)
        .otherwise((parts == 1) & (pl.col("DispatchedMarket") == ENERGY))
        .alias("is_known"),
    ).filter(pl.col("zone").is_not_null())
    whole = pl.col("is_known").all().over("zone", "start_utc")
    return (
        table.filter(whole)
        .with_columns(pl.col("increase") / pl.col("units").list.len())
        .explode("units")
        .select("zone", "start_utc", pl.col("units").alias("DUID"), "increase", "is_link", "row")
    )


def _by_fuel(units: pl.DataFrame, fuels: pl.DataFrame) -> pl.DataFrame:
    """Sum by fuel and give each fuel's part, where the parts say what one more megawatt would have been made from."""
    quantities = {fuel.value: published_margin_column(fuel) for fuel in Fuel}
    total = (
        units.join(fuels.select("DUID", "fuel"), on="DUID", how="left", maintain_order="left")
        .with_columns(
            pl.when("is_link")
            .then(pl.lit(Fuel.IMPORTS.value))
            .otherwise(pl.col("fuel").fill_null(Fuel.OTHER.value))
            .alias("fuel")
        )
        .group_by("zone", "start_utc", "fuel", maintain_order=True)
        .agg(
            pl.col("increase").sum(),
            pl.col("row").min(),
            (pl.lit(f"Increase{_OF}") + pl.col("DUID").unique(maintain_order=True).str.join(_AND)).alias(
                "column"
            ),
        )
        .with_columns(
            pl.col("increase").clip(lower_bound=0.0).sum().over("zone", "start_utc").alias("up"),
            pl.col("increase").sum().over("zone", "start_utc").alias("net"),
        )
    )
    settled = total.filter(
        pl.col("net").is_between(LEAST_MW, MOST_MW)
        & (pl.col("up") - pl.col("net") <= MOST_DOWN_FRAC * pl.col("up"))
        & (pl.col("increase") > 0)
    )
    return settled.sort("start_utc", "zone", "row").select(
        "zone",
        "start_utc",
        pl.col("fuel").replace_strict(quantities, return_dtype=pl.String).alias("quantity"),
        (pl.col("increase") / pl.col("up")).alias("value"),
        "row",
        "column",
    )
