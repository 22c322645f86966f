"""EIA-930: hourly net generation by fuel of United States balancing authorities.

One table an authority, times in UTC. Most authorities label an hour by its end, PJM by its start
(`eia930_labels.csv`); here every interval is half-open and named by its start (C1).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
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
    generation_column,
    parse_utc,
    sha256_hex,
)

HOUR_S = 3600

FUELS = {
    "COL": Fuel.COAL,
    "NG": Fuel.GAS,
    "OIL": Fuel.OIL,
    "NUC": Fuel.NUCLEAR,
    "WAT": Fuel.HYDRO,
    "WND": Fuel.WIND,
    "SUN": Fuel.SOLAR,
    "OTH": Fuel.OTHER,
}


@cache
def labels() -> dict[str, str]:
    """Give per authority whether an hour is labelled by its `start` or its `end`."""
    text = (files("gridmargin.sources") / "eia930_labels.csv").read_text(encoding="utf-8")
    return {row["authority"]: row["label"] for row in csv.DictReader(text.splitlines())}


class Eia930:
    """Reads tables named `AUTHORITY.csv` in a folder whose name holds `eia930`."""

    name = "eia930"
    states_margin = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        found = files_matching(folder, r"[A-Z]{2,4}\.csv", looks_right=_has_fuels)
        # A table of an authority whose labels are not known would be an hour off, one way or the other: left out.
        labelled = [path for path in found if path.stem in labels()]
        self._files: dict[str, list[Path]] = {}
        for path in sorted(labelled, key=lambda path: (path.name, _span(path))):
            self._files.setdefault(f"US-{path.stem}", []).append(path)

    def zones(self) -> list[str]:
        """List the authorities that have a table and a known label."""
        return sorted(self._files)

    def interval_s(self, zone: str) -> int:
        """Give an hour. [s]"""
        del zone
        return HOUR_S

    def span(self, zone: str) -> Interval:
        """Give the stretch from the first row's hour to the last one's."""
        spans = [_span(path) for path in self._paths(zone)]
        return Interval(min(span.start_utc for span in spans), max(span.end_utc for span in spans))

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the authority's tables that touch `interval`."""
        for path in self._paths(zone):
            if _span(path).overlap(interval):
                yield Payload(self.name, path.name, path.read_bytes())

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one authority's table into observations."""
        authority = payload.name.partition(".")[0]
        wide = read_strings(payload, ",", ())
        if "timestamp" not in wide.columns:
            # One of the tables leaves the name of its first column empty.
            first = wide.columns[1]
            if first.strip():
                raise TableError(
                    f"{payload.name}, row 1: no column 'timestamp'; found {', '.join(wide.columns[1:])}"
                )
            wide = wide.rename({first: "timestamp"})
        fuels = [name for name in wide.columns if name in FUELS]
        if not fuels:
            raise TableError(f"{payload.name}, row 1: none of the fuel columns {', '.join(FUELS)}")
        wide = wide.with_columns(
            pl.col("timestamp")
            .str.to_datetime("%Y-%m-%d %H:%M:%S%#z", time_unit="us", time_zone="UTC", strict=False)
            .alias("label_utc")
        )
        bad = wide.filter(pl.col("label_utc").is_null())
        if bad.height:
            row = bad.row(0, named=True)
            raise TableError(
                f"{payload.name}, row {row['row']}, column timestamp: {row['timestamp']!r} is not a time with an offset,"
                " such as 2022-01-01 00:00:00+00:00"
            )
        start = pl.col("label_utc") + pl.duration(seconds=int(_offset(authority).total_seconds()))
        long = (
            wide.with_columns(start.alias("start_utc"))
            .filter(pl.col("start_utc").is_between(interval.start_utc, interval.end_utc, closed="left"))
            .unpivot(fuels, index=["start_utc", "row"], variable_name="column", value_name="text")
        )
        out = to_numbers(long, payload).filter(pl.col("value").is_not_null())
        return Observations(
            out.select(
                pl.lit(f"US-{authority}").alias("zone"),
                "start_utc",
                pl.lit(HOUR_S, dtype=pl.Int32).alias("interval_s"),
                pl.col("column")
                .replace_strict({k: generation_column(v) for k, v in FUELS.items()})
                .alias("quantity"),
                "value",
                pl.lit(Status.REPORTED.value).alias("status"),
                pl.lit(sha256_hex(payload.body)).alias("payload_sha256"),
                "row",
                "column",
            ).select(OBSERVATION_SCHEMA.keys())
        )

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell."""
        return delimited_cell(payload, cell, ",")

    def _paths(self, zone: str) -> list[Path]:
        if zone not in self._files:
            raise InputError(
                f"no EIA-930 table for {zone} under {self.folder}; found {', '.join(self.zones()) or 'none'}"
            )
        return self._files[zone]


def _has_fuels(path: Path) -> bool:
    with path.open("rb") as table:
        header = table.readline(4096).decode("utf-8", "replace").strip().split(",")
    return header[0] in ("timestamp", "") and not FUELS.keys().isdisjoint(header)


def _span(path: Path) -> Interval:
    with path.open("rb") as table:
        table.readline()
        first = table.readline()
        table.seek(max(0, path.stat().st_size - 4096))
        last = table.read().rstrip().rpartition(b"\n")[2]
    offset = _offset(path.stem)
    start, end = (_label(line, path) + offset for line in (first, last))
    return Interval(start, end + timedelta(hours=1))


def _offset(authority: str) -> timedelta:
    if authority not in labels():
        raise TableError(
            f"{authority}.csv: no entry for {authority} in eia930_labels.csv says how its hours are labelled; add one"
        )
    return timedelta(hours=-1 if labels()[authority] == "end" else 0)


def _label(line: bytes, path: Path) -> datetime:
    try:
        return parse_utc(line.decode().partition(",")[0], f"{path.name}, column timestamp,")
    except UnicodeDecodeError:
        raise TableError(f"{path.name} is not text; fetch it again") from None
