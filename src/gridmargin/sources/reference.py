"""Typical days: what a zone usually does, by season and UTC hour, from our own table of figures.

Needs no file and no network. Every observation is `modelled`; it says what is typical, not what happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import polars as pl

from gridmargin.sources.delimited import delimited_cell, read_strings, to_numbers
from gridmargin.sources.observation import OBSERVATION_SCHEMA, Observations
from gridmargin.sources.source import Payload
from gridmargin.vocab import GENERATION_COLUMNS, Cell, Interval, Status, UnknownNameError, sha256_hex

HOUR_S = 3600
TABLE = "typical_days.csv"

SEASONS = {
    1: "djf", 2: "djf", 3: "mam", 4: "mam", 5: "mam", 6: "jja", 7: "jja", 8: "jja", 9: "son", 10: "son", 11: "son", 12: "djf",
}  # fmt: skip
"""Meteorological quarters of the calendar, the same months on both hemispheres."""


class ReferenceDays:
    """Answers any interval with the typical day of its season; where only one season is known, with that one."""

    name = "reference"
    states_margin = False

    def __init__(self, folder: Path) -> None:
        del folder  # the table is in the package

    def zones(self) -> list[str]:
        """List the zones in the table."""
        return sorted({line.partition(",")[0] for line in _table().decode().splitlines()[1:]})

    def interval_s(self, zone: str) -> int:
        """Give an hour. [s]"""
        del zone
        return HOUR_S

    def span(self, zone: str) -> Interval:
        """Give a stretch wide enough for any question."""
        self._refuse_unknown(zone)
        return Interval(datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the rows of the zone, with the table's header."""
        del interval
        self._refuse_unknown(zone)
        lines = _table().splitlines(keepends=True)
        body = lines[0] + b"".join(line for line in lines[1:] if line.startswith(zone.encode() + b","))
        yield Payload(self.name, f"{zone} of {TABLE}", body)

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Lay the typical day over every hour of `interval`."""
        wide = read_strings(payload, ",", ("zone", "season", "hour_utc", "source", "as_of"))
        fuels = [name for name in wide.columns if name in GENERATION_COLUMNS]
        long = to_numbers(
            wide.unpivot(
                fuels, index=["zone", "season", "hour_utc", "row"], variable_name="column", value_name="text"
            ),
            payload,
        ).filter(pl.col("value").is_not_null())
        known = long["season"].unique().to_list()
        only = known[0] if len(known) == 1 else None
        first = Interval.containing(interval.start_utc, HOUR_S).start_utc
        hours = (
            pl.DataFrame(
                {
                    "start_utc": pl.datetime_range(
                        first, interval.end_utc, "1h", closed="left", time_unit="us", eager=True
                    )
                }
            )
            .filter(pl.col("start_utc") >= interval.start_utc)
            .with_columns(
                pl.lit(only).alias("season")
                if only
                else pl.col("start_utc")
                .dt.month()
                .replace_strict(SEASONS, return_dtype=pl.String)
                .alias("season"),
                pl.col("start_utc").dt.hour().cast(pl.String).alias("hour_utc"),
            )
        )
        return Observations(
            hours.join(long, on=["season", "hour_utc"], maintain_order="left")
            .with_columns(
                pl.lit(HOUR_S, dtype=pl.Int32).alias("interval_s"),
                pl.col("column").alias("quantity"),
                pl.lit(Status.MODELLED.value).alias("status"),
                pl.lit(sha256_hex(payload.body)).alias("payload_sha256"),
            )
            .select(OBSERVATION_SCHEMA.keys())
        )

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell of the table."""
        return delimited_cell(payload, cell, ",")

    def _refuse_unknown(self, zone: str) -> None:
        if zone not in self.zones():
            raise UnknownNameError("zone with typical days", zone, self.zones())


def _table() -> bytes:
    return (files("gridmargin.reference") / TABLE).read_bytes()
