"""Observation: one value a publisher stated for one zone and interval, and where it stands in the raw payload."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from gridmargin.vocab import Cell, Interval, Status, TableError

OBSERVATION_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "zone": pl.String,
    "start_utc": pl.Datetime("us", "UTC"),
    "interval_s": pl.Int32,
    "quantity": pl.String,
    "value": pl.Float64,
    "status": pl.String,
    "payload_sha256": pl.String,
    "row": pl.Int32,
    "column": pl.String,
}


@dataclass(frozen=True, slots=True)
class Observation:
    """One value, as published, in our units.

    Attributes
    ----------
    zone : str
        Zone id.
    interval : Interval
        What the value covers.
    quantity : str
        What it is, unit included: `demand_mw`, `generation_coal_mw`, `price_usd_per_mwh`,
        `published_marginal_rate_gco2_per_kwh`.
    value : float
        In the unit that `quantity` ends in.
    status : Status
        How the value came to be.
    cell : Cell
        Where in which payload it stands.
    """

    zone: str
    interval: Interval
    quantity: str
    value: float
    status: Status
    cell: Cell


@dataclass(frozen=True, slots=True)
class Observations:
    """Many observations as one table.

    Attributes
    ----------
    frame : polars.DataFrame
        Columns and types of `OBSERVATION_SCHEMA`, one row an observation.
    """

    frame: pl.DataFrame

    def __post_init__(self) -> None:
        if dict(self.frame.schema) != OBSERVATION_SCHEMA:
            raise TableError(
                f"observations have columns {dict(self.frame.schema)}, want {OBSERVATION_SCHEMA}"
            )

    def __len__(self) -> int:
        return self.frame.height

    def record(self, index: int) -> Observation:
        """Give one row as a record."""
        row = self.frame.row(index, named=True)
        start = row["start_utc"]
        return Observation(
            zone=row["zone"],
            interval=Interval(start, start + timedelta(seconds=row["interval_s"])),
            quantity=row["quantity"],
            value=row["value"],
            status=Status(row["status"]),
            cell=Cell(row["payload_sha256"], row["row"], row["column"]),
        )

    @staticmethod
    def concat(parts: list[Observations]) -> Observations:
        """Stack tables in order."""
        frames = [part.frame for part in parts]
        return Observations(pl.concat(frames) if frames else pl.DataFrame(schema=OBSERVATION_SCHEMA))
