"""ERCOT: settlement generation by fuel every 15 minutes, one table a month.

A table has one line per date and fuel and one column per interval, in MWh. Labels are Central prevailing time and
name the **end** of the interval: `0:15` starts the day, `0:00` ends it. On the spring clock-change day `2:15` to
`3:00` are empty; on the autumn one `1:15` to `2:00` hold the first pass of the repeated hour and `01:15 (DST)` to
`02:00 (DST)` the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.sources.delimited import delimited_cell, numbers, read_strings
from gridmargin.sources.folders import files_matching, refuse_repeats
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
    sha256_hex,
)

ZONE = "US-ERCO"
INTERVAL_S = 900
CENTRAL = ZoneInfo("America/Chicago")
FUELS = {
    "Biomass": Fuel.BIOMASS,
    "Coal": Fuel.COAL,
    "Gas": Fuel.GAS_SIMPLE,
    "Gas-CC": Fuel.GAS_CC,
    "Hydro": Fuel.HYDRO,
    "Nuclear": Fuel.NUCLEAR,
    "Other": Fuel.OTHER,
    "Solar": Fuel.SOLAR,
    "Wind": Fuel.WIND,
}
"""Their names and ours; their `Gas` is every gas plant that is not combined cycle."""

# FINAL is settled; INITIAL is published first and replaced by it.
SETTLEMENTS = {"FINAL": Status.REPORTED, "INITIAL": Status.ADJUSTED}

_MONTHLY = r"IntGenByFuel(\d{4})(0[1-9]|1[0-2])\.tsv(\.gz)?"
IntArray = NDArray[np.int64]
_LABEL = re.compile(r"(\d{1,2}):(\d{2})( \(DST\))?")
_KEYS = ("Date", "Fuel", "Settlement Type", "Total")
_MW_PER_MWH = 3600 / INTERVAL_S
# Each published cell and the total are rounded to 0.1 MWh. [MWh]
_HALF_ROUNDING_MWH = 0.05


class Ercot:
    """ERCOT's monthly tables in a folder, packed or not."""

    name = "ercot"
    states_margin = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = files_matching(folder, _MONTHLY)
        refuse_repeats(paths, lambda path: f"ERCOT's {_month_of(path):%B %Y}")
        self._months = {_month_of(path): path for path in paths}

    def zones(self) -> list[str]:
        """List `US-ERCO` where there are tables."""
        return [ZONE] if self._months else []

    def interval_s(self, zone: str) -> int:
        """Give a quarter of an hour. [s]"""
        del zone
        return INTERVAL_S

    def span(self, zone: str) -> Interval:
        """Give the stretch from the first month's start to the last one's end."""
        del zone
        if not self._months:
            raise InputError(f"no files named IntGenByFuelYYYYMM.tsv.gz under {self.folder}")
        return Interval(_midnight(min(self._months)), _midnight(_next_month(max(self._months))))

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the monthly tables that touch `interval`."""
        del zone
        for month in sorted(self._months):
            if Interval(_midnight(month), _midnight(_next_month(month))).overlap(interval):
                path = self._months[month]
                yield Payload(self.name, path.name, path.read_bytes())

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one monthly table into observations of mean power."""
        table = read_strings(payload, "\t", _KEYS)
        labels = [column for column in table.columns if column not in ("row", *_KEYS)]
        ends = _ends_min(payload, labels)
        fuels = _mapped(payload, table, "Fuel", {k: generation_column(v) for k, v in FUELS.items()})
        statuses = _mapped(payload, table, "Settlement Type", {k: v.value for k, v in SETTLEMENTS.items()})
        dates = _dates(payload, table)
        totals = numbers(table, payload, ["Total"])[:, 0]
        energies_mwh = numbers(table, payload, labels)
        _refuse_cut_last_row(payload, float(totals[-1]), energies_mwh[-1])
        starts_us = _starts_us(dates, ends)
        _refuse_impossible_times(payload, dates, labels, energies_mwh, starts_us)
        row, slot = np.nonzero(~np.isnan(energies_mwh) & (starts_us >= 0))
        kept = starts_us[row, slot]
        inside = (kept >= _epoch_us(interval.start_utc)) & (kept < _epoch_us(interval.end_utc))
        row, slot, kept = row[inside], slot[inside], kept[inside]
        frame = pl.DataFrame(
            {
                "start_utc": pl.Series(kept, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
                "quantity": fuels.gather(row),
                "value": energies_mwh[row, slot] * _MW_PER_MWH,
                "status": statuses.gather(row),
                "row": pl.Series(row + 2, dtype=pl.Int32),
                "column": pl.Series(labels, dtype=pl.String).gather(slot),
            }
        ).with_columns(
            pl.lit(ZONE).alias("zone"),
            pl.lit(INTERVAL_S, pl.Int32).alias("interval_s"),
            pl.lit(sha256_hex(payload.body)).alias("payload_sha256"),
        )
        return Observations(frame.select(OBSERVATION_SCHEMA.keys()))

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell, thousands separators included."""
        return delimited_cell(payload, cell, "\t")


def _month_of(path: Path) -> date:
    found = re.fullmatch(_MONTHLY, path.name)
    assert found is not None
    return date(int(found[1]), int(found[2]), 1)


def _next_month(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _epoch_us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=CENTRAL)


def _dates(payload: Payload, table: pl.DataFrame) -> list[date]:
    dates = table["Date"].str.strip_chars().str.to_date("%m/%d/%Y", strict=False)
    if dates.null_count():
        at = int(dates.is_null().arg_true()[0])
        raise TableError(
            f"{payload.name}, row {at + 2}, column Date: {table['Date'][at]!r} is not a date such as 07/15/2020"
        )
    return dates.to_list()


def _mapped(payload: Payload, table: pl.DataFrame, column: str, ours: dict[str, str]) -> pl.Series:
    found = table[column].str.strip_chars().replace_strict(ours, default=None, return_dtype=pl.String)
    if found.null_count():
        at = int(found.is_null().arg_true()[0])
        raise TableError(
            f"{payload.name}, row {at + 2}, column {column}: {table[column][at]!r} is not one of {', '.join(ours)}"
        )
    return found


def _ends_min(payload: Payload, labels: list[str]) -> list[tuple[int, bool]]:
    """Per column: its end on the local clock [min], and whether it is the second pass of the autumn hour."""
    ends = []
    for label in labels:
        found = _LABEL.fullmatch(label.strip())
        if found is None or int(found[1]) > 23 or int(found[2]) not in (0, 15, 30, 45):
            raise TableError(
                f"{payload.name}, row 1: column {label!r} is no interval; want labels such as 0:15 or 01:15 (DST)"
            )
        ends.append(((int(found[1]) * 60 + int(found[2])) or 1440, found[3] is not None))
    n_first = sum(not second for _, second in ends)
    if n_first != 96:
        raise TableError(f"{payload.name}, row 1: {n_first} interval columns, want the 96 from 0:15 to 0:00")
    return ends


def _refuse_cut_last_row(payload: Payload, total_mwh: float, energies_mwh: NDArray[np.float64]) -> None:
    # A file cut inside its last cell has every cell it should; only the row's own total tells.
    parts = energies_mwh[~np.isnan(energies_mwh)]
    if not abs(parts.sum() - total_mwh) <= _HALF_ROUNDING_MWH * (len(parts) + 1) + 1e-6:
        raise TableError(
            f"{payload.name}, last row, column Total: {total_mwh} MWh, but its intervals sum to {parts.sum():.1f};"
            " the table looks cut short: fetch it again"
        )


def _starts_us(dates: list[date], ends: list[tuple[int, bool]]) -> IntArray:
    """Start of each row × column since 1970 UTC, -1 where the local clock never shows it. [µs]"""
    days = sorted(set(dates))
    slots = pl.DataFrame({"day": days}).join(
        pl.DataFrame(ends, schema={"end_min": pl.Int64, "second": pl.Boolean}, orient="row"),
        how="cross",
        maintain_order="left_right",
    )
    local = pl.col("day").cast(pl.Datetime("us")) + pl.duration(minutes=pl.col("end_min") - INTERVAL_S // 60)
    first = local.dt.replace_time_zone(CENTRAL.key, ambiguous="earliest", non_existent="null").dt.epoch("us")
    again = local.dt.replace_time_zone(CENTRAL.key, ambiguous="latest", non_existent="null").dt.epoch("us")
    starts = slots.select(
        pl.when("second").then(pl.when(first != again).then(again)).otherwise(first).fill_null(-1)
    ).to_series()
    grid = starts.to_numpy().reshape(len(days), len(ends))
    place = {day: number for number, day in enumerate(days)}
    by_row: IntArray = grid[[place[day] for day in dates]]
    return by_row


def _refuse_impossible_times(
    payload: Payload,
    dates: list[date],
    labels: list[str],
    energies_mwh: NDArray[np.float64],
    starts_us: IntArray,
) -> None:
    # A zero there is one way of leaving the cell empty; anything else would be energy without a time.
    impossible = (starts_us < 0) & ~np.isnan(energies_mwh) & (energies_mwh != 0)
    if impossible.any():
        row, slot = (int(at[0]) for at in np.nonzero(impossible))
        raise TableError(
            f"{payload.name}, row {row + 2}, column {labels[slot]}: {energies_mwh[row, slot]:g} MWh at a time that"
            f" {dates[row]:%m/%d/%Y} does not have in Central prevailing time; correct the cell or its date"
        )
