"""EIA-930, live: the agency's API, hourly demand, generation by fuel and interchange of a balancing authority.

Wants a free key. `period` is an hour in UTC, labelled as `eia930_labels.csv` says for the authority (C1). Values are
texts. Interchange counts what leaves, so imports are its negative. An answer holds 5,000 rows at most and says how many
there are; stretches are asked for that stay well below, and one that says more than it holds is refused.
https://www.eia.gov/opendata/documentation.php
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import polars as pl

from gridmargin.reference import known_zones
from gridmargin.sources.delimited import to_numbers
from gridmargin.sources.eia930 import HOUR_S, labels
from gridmargin.sources.json_rows import inside, lists_nothing, read_json, read_records, record_cell
from gridmargin.sources.live.live_source import Access, LiveRequest
from gridmargin.sources.observation import OBSERVATION_SCHEMA, Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.stated import nothing
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Fuel, Interval, Status, TableError, generation_column, sha256_hex

RECORDS = ("response", "data")
MAX_ROWS = 5000
DAYS_AT_ONCE = 8
"""Of one request: even 16 codes or neighbours × (24 h × 8 days + 1) = 3,088 rows stay below what an answer may hold."""

FUELS = {
    "COL": Fuel.COAL,
    "NG": Fuel.GAS,
    "OIL": Fuel.OIL,
    "NUC": Fuel.NUCLEAR,
    "WAT": Fuel.HYDRO,
    "WND": Fuel.WIND,
    "SUN": Fuel.SOLAR,
    "GEO": Fuel.GEOTHERMAL,
    "BAT": Fuel.BATTERY,
    "PS": Fuel.PUMPED,
    "OTH": Fuel.OTHER,
}
"""Their codes that are fuels of ours. Other stores (`OES`, `UES`) and what they call unknown (`UNK`) are left in the
payload."""

HYBRIDS = {"SNB": "SUN", "WNB": "WND"}
"""Sun and wind of plants with a store of their own, and the code of those without, whose fuel they are counted with: what
such a plant gives is the weather's, now or earlier, less what its store took from the grid, and no figure parts them."""

REGION_TYPES = {"D": ("demand_mw", 1.0), "TI": ("net_imports_mw", -1.0)}
"""Demand, and total interchange, which counts what leaves. `NG` repeats the fuels' sum and `DF` is a forecast."""

_ROUTES = {
    "interchange-data": ("fromba", "toba"),
    "region-data": ("respondent", "type"),
    "fuel-type-data": ("respondent", "fueltype"),
}
"""Per table: the field that names the authority, and the one that says what a row states."""

_OF, _AND = "value of ", " + "

_SUPPLEMENTS = {"interchange-data": "flows", "region-data": "load"}


class Eia930Live:
    """Asks for `fuel-type-data`, `region-data` and `interchange-data`, some days at a time."""

    name = "eia930_api"
    publisher = "US Energy Information Administration"
    base_url = "https://api.eia.gov/v2"
    access: Access | None = Access(
        ("key",), "https://www.eia.gov/opendata/register.php (free)", query="api_key"
    )
    states_margin = False
    cadence_s = 3600
    delay_s = 5400

    def zones(self) -> list[str]:
        """List the zones of ours whose authority has a known label."""
        return _zones()

    def interval_s(self, zone: str) -> int:
        """Give an hour. [s]"""
        del zone
        return HOUR_S

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List each table in stretches that begin on fixed days, so that a later answer revises an earlier one."""
        authority = zone.removeprefix("US-")
        step_s = DAYS_AT_ONCE * 86_400
        found = []
        first = Interval.containing(interval.start_utc, step_s)
        while first.start_utc < interval.end_utc:
            for route, (whose, _) in _ROUTES.items():
                query = {
                    "frequency": "hourly",
                    "data[0]": "value",
                    f"facets[{whose}][]": authority,
                    # An hour more on either side: a label may name the start or the end.
                    "start": f"{first.start_utc:%Y-%m-%dT%H}",
                    "end": f"{first.end_utc:%Y-%m-%dT%H}",
                    "sort[0][column]": "period",
                    "sort[0][direction]": "asc",
                    "offset": "0",
                    "length": str(MAX_ROWS),
                }
                name = f"{route}-{authority}-{first.start_utc:%Y%m%d}.json"
                found.append(
                    LiveRequest(
                        name,
                        f"electricity/rto/{route}/data/",
                        Body.JSON,
                        first,
                        query,
                        supplement=_SUPPLEMENTS.get(route, ""),
                    )
                )
            first = Interval(first.end_utc, first.end_utc + timedelta(seconds=step_s))
        return found

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one answer into observations of one authority."""
        route = next((route for route in _ROUTES if payload.name.startswith(route)), None)
        if route is None:
            raise TableError(f"{payload.name}: named after none of the tables {', '.join(_ROUTES)}")
        whose, what = _ROUTES[route]
        if lists_nothing(payload, RECORDS):
            return nothing()
        table = read_records(payload, RECORDS, ("period", whose, what, "value"))
        _refuse_half(payload, table.height)
        quantity = {code: _quantity(route, code) for code in table[what].unique().drop_nulls()}
        table = _timed(table, payload, whose)
        names, factors = (
            {code: found[at] for code, found in quantity.items() if found is not None} for at in (0, 1)
        )
        table = table.filter(pl.col(what).is_in(list(names)))
        numbers = to_numbers(
            table.rename({"value": "text"}).with_columns(pl.lit("value").alias("column")), payload
        )
        if route == "fuel-type-data":
            numbers = _with_hybrids(numbers)  # of the whole answer: what it lists says what a sum is of
        inside_it = pl.col("start_utc").is_between(interval.start_utc, interval.end_utc, closed="left")
        return Observations(
            numbers.filter(inside_it & pl.col("value").is_not_null())
            .with_columns(
                ("US-" + pl.col(whose)).alias("zone"),
                pl.lit(HOUR_S, dtype=pl.Int32).alias("interval_s"),
                pl.col(what).replace_strict(names, return_dtype=pl.String).alias("quantity"),
                pl.col("value") * pl.col(what).replace_strict(factors, return_dtype=pl.Float64),
                pl.lit(Status.REPORTED.value).alias("status"),
                pl.lit(sha256_hex(payload.body)).alias("payload_sha256"),
            )
            .select(OBSERVATION_SCHEMA.keys())
        )

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give the value of a record; of a fuel with hybrids, the sum of theirs and the others'."""
        if not cell.column.startswith(_OF):
            return record_cell(payload, RECORDS, cell)
        table = read_records(payload, RECORDS, ("period", "respondent", "fueltype", "value"))
        hour = table.filter(pl.col("row") == cell.row).select("period", "respondent")
        codes = cell.column.removeprefix(_OF).split(_AND)
        found = table.join(hour, on=["period", "respondent"], how="semi").filter(
            pl.col("fueltype").is_in(codes)
        )
        if found.height != len(codes):
            raise TableError(f"{payload.name} has no row {cell.row} of {cell.column}")
        return repr(sum(float(text) for text in found["value"]))


@cache
def _zones() -> list[str]:
    return [zone for zone in sorted(known_zones()) if zone.removeprefix("US-") in labels()]


def _quantity(route: str, code: str) -> tuple[str, float] | None:
    """Give our name for what a row states and what its value is multiplied by, or None where we have no use for it."""
    if route == "interchange-data":
        return imports_from(code), -1.0
    if route == "region-data":
        return REGION_TYPES.get(code)
    fuel = FUELS.get(HYBRIDS.get(code, code))
    return None if fuel is None else (generation_column(fuel), 1.0)


def _with_hybrids(table: pl.DataFrame) -> pl.DataFrame:
    """Add up the codes of one fuel; an authority that states hybrids states no fuel where a code is silent (C2)."""
    codes = pl.col("fueltype")
    table = table.with_columns(codes.replace(HYBRIDS).alias("whole"))
    keys = ["respondent", "whole"]
    listed = table.group_by(keys).agg(
        codes.unique().sort().alias("codes"), codes.is_in(list(HYBRIDS)).any().alias("has_hybrids")
    )
    table = table.join(listed, on=keys, how="left", maintain_order="left")
    each = table.filter(~pl.col("has_hybrids"))
    sums = (
        table.filter("has_hybrids")
        .group_by(*keys, "start_utc", maintain_order=True)
        .agg(
            codes.first(),
            pl.col("row").first(),
            (pl.lit(_OF) + pl.col("codes").first().list.join(_AND)).alias("column"),
            pl.when(
                (codes.n_unique() == pl.col("codes").first().list.len())
                & (pl.len() == codes.n_unique())
                & (pl.col("value").null_count() == 0)
            )
            .then(pl.col("value").sum())
            .alias("value"),
        )
    )
    kept = ["respondent", "start_utc", "fueltype", "row", "column", "value"]
    return pl.concat([each.select(kept), sums.select(kept)])


def imports_from(authority: str) -> str:
    """Name what came in from a neighbouring authority. [MW]"""
    return f"imports_from_US-{authority}_mw"


def _timed(table: pl.DataFrame, payload: Payload, whose: str) -> pl.DataFrame:
    hour = (pl.col("period") + ":00").str.to_datetime(
        "%Y-%m-%dT%H:%M", time_unit="us", time_zone="UTC", strict=False
    )
    back_s = {authority: HOUR_S if label == "end" else 0 for authority, label in labels().items()}
    table = table.with_columns(
        hour.alias("label_utc"),
        pl.col(whose).replace_strict(back_s, default=None, return_dtype=pl.Int64).alias("back_s"),
    )
    bad = table.filter(pl.col("label_utc").is_null())
    if bad.height:
        row = bad.row(0, named=True)
        raise TableError(
            f"{payload.name}, row {row['row']}, column period: {row['period']!r} is not an hour in UTC such as"
            " 2026-09-24T00"
        )
    unlabelled = table.filter(pl.col("back_s").is_null())
    if unlabelled.height:
        row = unlabelled.row(0, named=True)
        raise TableError(
            f"{payload.name}, row {row['row']}, column {whose}: no entry for {row[whose]!r} in eia930_labels.csv says how"
            " its hours are labelled; add one"
        )
    return table.with_columns((pl.col("label_utc") - pl.duration(seconds="back_s")).alias("start_utc"))


def _refuse_half(payload: Payload, n_rows: int) -> None:
    total = inside(payload, read_json(payload), ("response", "total"))
    if str(total) != str(n_rows):
        raise TableError(
            f"{payload.name} holds {n_rows} of {total} rows: cut short by the publisher; ask for a shorter stretch"
        )
