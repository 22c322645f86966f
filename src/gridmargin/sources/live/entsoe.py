"""ENTSO-E, live: the Transparency Platform's web service, one European bidding zone at a time.

Wants a free token. A document holds time series, each with periods of numbered points in UTC; where its curve type is
A03 a point that is left out repeats the one before, and only where one period ends and another begins is a gap. Points
of 30 or 60 minutes are laid on their quarters of an hour. A document that says there is no matching data is a gap (C2).
https://documenter.getpostman.com/view/7009892/2s93JtP3F6
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from gridmargin.sources.entsoe import TYPES
from gridmargin.sources.iec62325 import Series, market_series
from gridmargin.sources.live.live_source import Access, LiveRequest
from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import nothing, stated
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Interval, Status, TableError, generation_column

INTERVAL_S = 900
DAY_S = 86_400
DAYS_AT_ONCE = 8
"""Of one request for load, price or a border; generation is asked for day by day."""

CODES = {
    "B01": "Biomass",
    "B02": "Fossil Brown coal/Lignite",
    "B03": "Fossil Coal-derived gas",
    "B04": "Fossil Gas",
    "B05": "Fossil Hard coal",
    "B06": "Fossil Oil",
    "B09": "Geothermal",
    "B10": "Hydro Pumped Storage",
    "B11": "Hydro Run-of-river and poundage",
    "B12": "Hydro Water Reservoir",
    "B14": "Nuclear",
    "B15": "Other renewable",
    "B16": "Solar",
    "B17": "Waste",
    "B18": "Wind Offshore",
    "B19": "Wind Onshore",
    "B20": "Other",
}
"""Production types by code. Oil shale (B07), peat (B08), marine (B13) and storage (B25) are left in the payload."""

AREAS = {
    "AT": "10YAT-APG------L",
    "BE": "10YBE----------2",
    "BG": "10YCA-BULGARIA-R",
    "CH": "10YCH-SWISSGRIDZ",
    "CZ": "10YCZ-CEPS-----N",
    "DE": "10Y1001A1001A82H",
    "DK-DK1": "10YDK-1--------W",
    "DK-DK2": "10YDK-2--------M",
    "EE": "10Y1001A1001A39I",
    "ES": "10YES-REE------0",
    "FI": "10YFI-1--------U",
    "FR": "10YFR-RTE------C",
    "GB": "10YGB----------A",
    "GR": "10YGR-HTSO-----Y",
    "HR": "10YHR-HEP------M",
    "HU": "10YHU-MAVIR----U",
    "IE": "10Y1001A1001A59C",
    "IT-CAL": "10Y1001C--00096J",
    "IT-CNO": "10Y1001A1001A70O",
    "IT-CSO": "10Y1001A1001A71M",
    "IT-NO": "10Y1001A1001A73I",
    "IT-SAR": "10Y1001A1001A74G",
    "IT-SIC": "10Y1001A1001A75E",
    "IT-SO": "10Y1001A1001A788",
    "LT": "10YLT-1001A0008Q",
    "LV": "10YLV-1001A00074",
    "ME": "10YCS-CG-TSO---S",
    "MK": "10YMK-MEPSO----8",
    "NL": "10YNL----------L",
    "NO-NO1": "10YNO-1--------2",
    "NO-NO2": "10YNO-2--------T",
    "NO-NO3": "10YNO-3--------J",
    "NO-NO4": "10YNO-4--------9",
    "NO-NO5": "10Y1001A1001A48H",
    "PL": "10YPL-AREA-----S",
    "PT": "10YPT-REN------W",
    "RO": "10YRO-TEL------P",
    "RS": "10YCS-SERBIATSOV",
    "SE-SE1": "10Y1001A1001A44P",
    "SE-SE2": "10Y1001A1001A45N",
    "SE-SE3": "10Y1001A1001A46L",
    "SE-SE4": "10Y1001A1001A47J",
    "SI": "10YSI-ELES-----O",
    "SK": "10YSK-SEPS-----K",
}
"""Our zones and the areas' codes (EIC)."""

ABROAD = ("GB",)
"""Areas that are neighbours only: Great Britain publishes here no longer (`elexon`)."""

BORDERS = """
AT-CH AT-CZ AT-DE AT-HU AT-IT-NO AT-SI BE-DE BE-FR BE-GB BE-NL BG-GR BG-MK BG-RO BG-RS CH-DE CH-FR CH-IT-NO CZ-DE
CZ-PL CZ-SK DE-DK-DK1 DE-DK-DK2 DE-FR DE-NL DE-NO-NO2 DE-PL DE-SE-SE4 DK-DK1-DK-DK2 DK-DK1-GB DK-DK1-NL
DK-DK1-NO-NO2 DK-DK1-SE-SE3 DK-DK2-SE-SE4 EE-FI EE-LV ES-FR ES-PT FI-NO-NO4 FI-SE-SE1 FI-SE-SE3 FR-GB FR-IT-NO
GB-IE GB-NL GB-NO-NO2 GR-IT-SO GR-MK HR-HU HR-RS HR-SI HU-RO HU-RS HU-SI HU-SK IT-CAL-IT-SIC IT-CAL-IT-SO
IT-CNO-IT-CSO IT-CNO-IT-NO IT-CSO-IT-SAR IT-CSO-IT-SO IT-CSO-ME IT-NO-SI LT-LV LT-PL LT-SE-SE4 ME-RS MK-RS
NL-NO-NO2 NO-NO1-NO-NO2 NO-NO1-NO-NO3 NO-NO1-NO-NO5 NO-NO1-SE-SE3 NO-NO2-NO-NO5 NO-NO3-NO-NO4 NO-NO3-NO-NO5
NO-NO3-SE-SE2 NO-NO4-SE-SE1 NO-NO4-SE-SE2 PL-SE-SE4 PL-SK RO-RS SE-SE1-SE-SE2 SE-SE2-SE-SE3 SE-SE3-SE-SE4
"""
"""Pairs of areas with lines between them."""

_AND, _LESS = " + ", " - "


class EntsoeLive:
    """Asks for generation by type (A75), load (A65), the day-ahead price (A44) and each border's flow each way (A11)."""

    name = "entsoe_api"
    publisher = "ENTSO-E Transparency Platform"
    base_url = "https://web-api.tp.entsoe.eu"
    access: Access | None = Access(
        ("token",),
        "https://transparencyplatform.zendesk.com, article 'How to get security token' (free account)",
        query="securityToken",
    )
    states_margin = False
    cadence_s = 900
    delay_s = 3600

    def zones(self) -> list[str]:
        """List the bidding zones that are zones of ours."""
        return [zone for zone in AREAS if zone not in ABROAD]

    def interval_s(self, zone: str) -> int:
        """Give a quarter of an hour. [s]"""
        del zone
        return INTERVAL_S

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List each document in stretches that begin on fixed days; generation stands without the others."""
        area = AREAS[zone]
        found = []
        stretch = Interval.containing(interval.start_utc, DAYS_AT_ONCE * DAY_S)
        while stretch.start_utc < interval.end_utc:
            for other in neighbours(zone):
                for way, into, out_of in (("from", area, AREAS[other]), ("to", AREAS[other], area)):
                    flow = {"documentType": "A11", "in_Domain": into, "out_Domain": out_of}
                    found.append(_request(f"flow-{zone}-{way}-{other}", flow, stretch, f"flows with {other}"))
            price = {"documentType": "A44", "in_Domain": area, "out_Domain": area}
            load = {"documentType": "A65", "processType": "A16", "outBiddingZone_Domain": area}
            found += [
                _request(f"price-{zone}", price, stretch, "price"),
                _request(f"load-{zone}", load, stretch, "load"),
            ]
            for day in stretch.split(DAY_S):
                if day.overlap(interval):
                    made = {"documentType": "A75", "processType": "A16", "in_Domain": area}
                    found.append(_request(f"generation-{zone}", made, day))
            stretch = Interval(stretch.end_utc, stretch.end_utc + timedelta(days=DAYS_AT_ONCE))
        return found

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one document into observations of its zone."""
        zone, groups = _what(payload)
        if not groups:
            return nothing()
        table = _table(groups)
        parts = [
            table.select(
                pl.lit(zone).alias("zone"),
                "start_utc",
                pl.lit(quantity).alias("quantity"),
                pl.col(quantity).alias("value"),
                # A price holds for each part of its hour; a mean power of an hour is not that of its parts.
                pl.when(pl.col(f"{quantity} whole") | pl.lit(quantity.startswith("price")))
                .then(pl.lit(Status.REPORTED.value))
                .otherwise(pl.lit(Status.ADJUSTED.value))
                .alias("status"),
                "row",
                pl.lit(_column(terms)).alias("column"),
            )
            for quantity, terms in groups.items()
        ]
        return stated(pl.concat(parts), payload, interval, INTERVAL_S)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what a series states for a quarter of an hour; of several, their sum."""
        _, groups = _what(payload)
        table = _table(groups).filter(pl.col("row") == cell.row)
        quantity = next((name for name, terms in groups.items() if _column(terms) == cell.column), None)
        if quantity is None or not table.height:
            raise TableError(f"{payload.name} has no row {cell.row} with a column {cell.column}")
        return repr(float(table[quantity][0]))


def neighbours(zone: str) -> list[str]:
    """List the areas with lines to a zone."""
    pairs = frozenset(BORDERS.split())
    return [other for other in AREAS if not pairs.isdisjoint((f"{zone}-{other}", f"{other}-{zone}"))]


def _request(name: str, query: dict[str, str], stretch: Interval, supplement: str = "") -> LiveRequest:
    times = {
        "periodStart": f"{stretch.start_utc:%Y%m%d%H%M}",
        "periodEnd": f"{stretch.end_utc:%Y%m%d%H%M}",
    }
    called = f"{name}-{stretch.start_utc:%Y%m%d}.xml"
    return LiveRequest(called, "api", Body.XML, stretch, query | times, supplement=supplement)


def _column(terms: list[tuple[int, Series]]) -> str:
    plus = _AND.join(series.name for sign, series in terms if sign > 0)
    return plus + "".join(_LESS + series.name for sign, series in terms if sign < 0)


def _what(payload: Payload) -> tuple[str, dict[str, list[tuple[int, Series]]]]:
    """Read a document: whose it is, and the series behind each quantity with their signs."""
    kind, _, rest = payload.name.removesuffix(".xml").partition("-")
    whose, _, day = rest.rpartition("-")
    zone, way, other = whose, "", ""
    for mark in ("-from-", "-to-"):
        if mark in whose:
            zone, _, other = whose.partition(mark)
            way = mark.strip("-")
    if zone not in AREAS or not day.isdigit() or kind not in ("generation", "load", "price", "flow"):
        raise TableError(f"{payload.name}: named after none of the documents that are asked for")
    found = market_series(payload, "price.amount" if kind == "price" else "quantity")
    groups: dict[str, list[tuple[int, Series]]] = {}
    for series in found:
        if kind == "generation":
            if series.code in CODES:
                fuel = TYPES[CODES[series.code]]
                groups.setdefault(generation_column(fuel), []).append(
                    (-1 if series.is_consumed else 1, series)
                )
        elif kind == "price":
            # Of other currencies, and of what an auction repeats, the first in euro stands.
            if series.currency == "EUR":
                groups.setdefault("price_eur_per_mwh", [(1, series)])
        else:
            named = {"load": "demand_mw", "from": f"inflow_from_{other}_mw", "to": f"outflow_to_{other}_mw"}
            groups.setdefault(named[way or kind], [(1, series)])
    return zone, groups


def _table(groups: dict[str, list[tuple[int, Series]]]) -> pl.DataFrame:
    """Lay every quantity on quarters of an hour; where a type is missing the sum is absent (C2)."""
    table: pl.DataFrame | None = None
    for quantity, terms in groups.items():
        mine: pl.DataFrame | None = None
        for number, (_, series) in enumerate(terms):
            one = series.frame.rename({"value": f"value{number}", "whole": f"whole{number}"})
            mine = one if mine is None else mine.join(one, on="start_utc", how="full", coalesce=True)
        assert mine is not None
        types: dict[str, list[pl.Expr]] = {}
        for number, (sign, series) in enumerate(terms):
            types.setdefault(series.code, []).append(sign * pl.col(f"value{number}"))
        # A type is stated by what it gives, by what it draws, or by both.
        nets = [
            pl.when(pl.any_horizontal(*(part.is_not_null() for part in parts))).then(
                pl.sum_horizontal(*parts)
            )
            for parts in types.values()
        ]
        total = mine.select(
            "start_utc",
            pl.sum_horizontal(*nets, ignore_nulls=False).alias(quantity),
            pl.all_horizontal(*(pl.col(f"whole{n}").fill_null(value=True) for n in range(len(terms)))).alias(
                f"{quantity} whole"
            ),
        )
        table = total if table is None else table.join(total, on="start_utc", how="full", coalesce=True)
    assert table is not None
    return table.sort("start_utc").with_row_index("row", offset=2)
