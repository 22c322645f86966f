"""What any operator said was on the margin, in one small CSV: `time_utc, zone, fuel, share`.

The shape that SPP's and MISO's fuel-on-margin tables reduce to, so that they plug in without an adapter of their own. `time_utc` is the start of the interval, with its offset; `zone` a zone id; `fuel` a code of
`gridmargin.vocab.Fuel`; `share` the part of the interval, or of the operator's areas, in which that fuel was marginal,
0 to 1. A further column `interval_s` states the length; without it the shortest step between a zone's times does.
A fuel that is not listed at a time is not known there (C2): write 0 where the operator said that it was not marginal.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import polars as pl

from gridmargin.sources.delimited import delimited_cell, read_strings, to_numbers
from gridmargin.sources.folders import files_matching
from gridmargin.sources.observation import OBSERVATION_SCHEMA, Observations
from gridmargin.sources.source import Payload
from gridmargin.vocab import (
    Cell,
    Fuel,
    InputError,
    Interval,
    Status,
    TableError,
    published_margin_column,
    sha256_hex,
)

_COLUMNS = ("time_utc", "zone", "fuel", "share")
_HOUR_S = 3600
_FORMS = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M%#z")


class FuelOnMargin:
    """Reads tables whose name holds `fuel_on_margin`, packed or not."""

    name = "fuel_on_margin"
    states_margin = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths = files_matching(folder, r"(?i).*fuel_on_margin.*\.csv(\.gz)?")

    def zones(self) -> list[str]:
        """List the zones that the tables name; they are no part of the file names, so the tables are read."""
        return sorted({zone for path in self._paths for zone in self._table(path)["zone"].unique()})

    def interval_s(self, zone: str) -> int:
        """Give what the first table of the zone states. [s]"""
        return int(self._of(zone)[0]["interval_s"][0])

    def span(self, zone: str) -> Interval:
        """Give the stretch from the zone's first interval to its last one's end."""
        parts = self._of(zone)
        starts = pl.concat([part["start_utc"] for part in parts])
        first, last = starts.min(), starts.max()
        assert isinstance(first, datetime)
        assert isinstance(last, datetime)
        return Interval(first, last + timedelta(seconds=self.interval_s(zone)))

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the tables that state anything of the zone in `interval`."""
        for path in self._paths:
            table = self._table(path).filter(pl.col("zone") == zone)
            inside = pl.col("start_utc").is_between(interval.start_utc, interval.end_utc, closed="left")
            if table.filter(inside).height:
                yield Payload(self.name, path.name, path.read_bytes())

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one table into observations."""
        table = _read(payload)
        inside = pl.col("start_utc").is_between(interval.start_utc, interval.end_utc, closed="left")
        return Observations(
            table.filter(inside)
            .select(
                "zone",
                "start_utc",
                "interval_s",
                pl.col("fuel")
                .replace_strict({fuel.value: published_margin_column(fuel) for fuel in Fuel})
                .alias("quantity"),
                "value",
                pl.lit(Status.REPORTED.value).alias("status"),
                pl.lit(sha256_hex(payload.body)).alias("payload_sha256"),
                "row",
                pl.lit("share").alias("column"),
            )
            .select(OBSERVATION_SCHEMA.keys())
        )

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell."""
        return delimited_cell(payload, cell, ",")

    def _table(self, path: Path) -> pl.DataFrame:
        return _read_file(path, path.stat().st_mtime_ns)

    def _of(self, zone: str) -> list[pl.DataFrame]:
        parts = [self._table(path).filter(pl.col("zone") == zone) for path in self._paths]
        parts = [part for part in parts if part.height]
        if not parts:
            raise InputError(
                f"no table named fuel_on_margin.csv states {zone} under {self.folder}; it has"
                f" {', '.join(self.zones()) or 'none'}"
            )
        return parts


@lru_cache(maxsize=64)
def _read_file(path: Path, changed_ns: int) -> pl.DataFrame:
    del changed_ns
    return _read(Payload(FuelOnMargin.name, path.name, path.read_bytes()))


def _read(payload: Payload) -> pl.DataFrame:
    """Give `zone, start_utc, interval_s, fuel, value, row` of the whole table."""
    table = read_strings(payload, ",", _COLUMNS).with_columns(
        pl.coalesce(
            pl.col("time_utc")
            .str.strip_chars()
            .str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
            for form in _FORMS
        ).alias("start_utc"),
        pl.col("zone", "fuel").str.strip_chars(),
        pl.lit("share").alias("column"),
    )
    table = to_numbers(table, payload, "share")
    for column, wrong, want in (
        ("time_utc", pl.col("start_utc").is_null(), "a time with an offset, such as 2024-01-01T00:05:00Z"),
        ("fuel", ~pl.col("fuel").is_in([fuel.value for fuel in Fuel]), f"one of {', '.join(Fuel)}"),
        ("zone", pl.col("zone").is_null() | (pl.col("zone") == ""), "a zone id"),
        ("share", ~pl.col("value").is_between(0.0, 1.0).fill_null(value=False), "a share from 0 to 1"),
    ):
        bad = table.filter(wrong)
        if bad.height:
            raise TableError(
                f"{payload.name}, row {bad['row'][0]}, column {column}: {bad[column][0]!r} is not {want}"
            )
    if "interval_s" in table.columns:
        stated = table["interval_s"].str.strip_chars().cast(pl.Int32, strict=False)
        if stated.is_null().any() or bool((stated <= 0).any()):
            at = int((stated.is_null() | (stated <= 0)).fill_null(value=True).arg_true()[0])
            raise TableError(
                f"{payload.name}, row {table['row'][at]}, column interval_s: {table['interval_s'][at]!r} is not a length in"
                " seconds"
            )
        return table.with_columns(stated.alias("interval_s"))
    steps = (
        table.select("zone", "start_utc")
        .unique()
        .sort("zone", "start_utc")
        .group_by("zone")
        .agg(pl.col("start_utc").diff().dt.total_seconds().min().fill_null(_HOUR_S).alias("interval_s"))
    )
    return table.join(steps, on="zone", maintain_order="left").with_columns(
        pl.col("interval_s").cast(pl.Int32)
    )
