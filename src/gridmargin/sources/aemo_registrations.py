"""AEMO's registrations: the year in which each unit was first registered with the market."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from gridmargin.sources.aemo_tables import market_table
from gridmargin.sources.folders import files_matching
from gridmargin.sources.source import Payload
from gridmargin.vocab import TableError, sha256_hex

_FILE = r"(?i)PUBLIC_DVD_DUDETAIL_\d{12}\.csv(\.gz)?"


@dataclass(frozen=True, slots=True)
class Registrations:
    """When units were first registered.

    Attributes
    ----------
    year : mapping of str to int
        By the operator's name of the unit; in market time.
    payload_sha256 : str
    """

    year: Mapping[str, int]
    payload_sha256: str


def registration_table(folder: Path) -> Payload | None:
    """Read the newest table of registrations that a folder holds, or give None."""
    paths = files_matching(folder, _FILE)
    return Payload("aemo", paths[-1].name, paths[-1].read_bytes()) if paths else None


def registrations(payload: Payload) -> Registrations:
    """Give the year of each unit's earliest record.

    Raises
    ------
    TableError
        If the table is cut short or a date is none.
    """
    table = market_table(payload, "DUDETAIL", ("DUID", "EFFECTIVEDATE"))
    days = table["EFFECTIVEDATE"].str.slice(0, 10).str.to_date("%Y/%m/%d", strict=False)
    if days.null_count():
        at = int(days.is_null().arg_true()[0])
        raise TableError(
            f"{payload.name}, row {table['row'][at]}, column EFFECTIVEDATE: {table['EFFECTIVEDATE'][at]!r} is not a date"
            " such as 2017/06/01 00:00:00"
        )
    first = table.with_columns(days.alias("day")).group_by("DUID").agg(pl.col("day").min().dt.year())
    return Registrations(dict(first.iter_rows()), sha256_hex(payload.body))
