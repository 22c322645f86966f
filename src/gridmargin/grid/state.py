"""GridState: what one zone's grid was doing in one interval."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.vocab import (
    GENERATION_COLUMNS,
    PUBLISHED_MARGIN_COLUMNS,
    Fuel,
    Interval,
    Status,
    TableError,
    generation_column,
)

REQUIRED_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "start_utc": pl.Datetime("us", "UTC"),
    "status": pl.String,
    "completeness_frac": pl.Float64,
}
OPTIONAL_COLUMNS = (
    "demand_mw",
    "net_imports_mw",
    "curtailment_mw",
    "price_usd_per_mwh",
    "price_eur_per_mwh",
    "price_aud_per_mwh",
    "price_cad_per_mwh",
    "price_gbp_per_mwh",
    "published_marginal_rate_gco2_per_kwh",
    *GENERATION_COLUMNS,
    *PUBLISHED_MARGIN_COLUMNS,
)
_FROM_NEIGHBOUR = re.compile(r"(imports_from|inflow_from|outflow_to)_[A-Za-z0-9-]+_mw")
_INPUT_PRICE = re.compile(r"carbon_price_[a-z]{3}_per_t|fuel_price_[a-z_]+_[a-z]{3}_per_mwh")


def imports_column(neighbour: str) -> str:
    """Name the quantity that holds what came in from one neighbouring zone; negative where power went out. [MW]"""
    return f"imports_from_{neighbour}_mw"


def border_columns(neighbour: str) -> tuple[str, str]:
    """Name the quantities of a border that is stated one direction at a time: what came in, what went out. [MW]"""
    return f"inflow_from_{neighbour}_mw", f"outflow_to_{neighbour}_mw"


def carbon_price_column(currency: str) -> str:
    """Name the quantity that holds the price of emitting a tonne of CO2, such as `carbon_price_eur_per_t`."""
    return f"carbon_price_{currency.lower()}_per_t"


def fuel_price_column(fuel: Fuel, currency: str) -> str:
    """Name the quantity that holds a fuel's price per megawatt-hour of its heat (lower heating value).

    Such as `fuel_price_gas_eur_per_mwh`.
    """
    return f"fuel_price_{fuel.value}_{currency.lower()}_per_mwh"


def price_column(currency: str) -> str:
    """Name the quantity that holds the price of electricity, such as `price_eur_per_mwh`."""
    return f"price_{currency.lower()}_per_mwh"


def is_quantity(column: str) -> bool:
    """Say whether states may hold a column of this name."""
    pattern = _FROM_NEIGHBOUR.fullmatch(column) or _INPUT_PRICE.fullmatch(column)
    return column in OPTIONAL_COLUMNS or pattern is not None


@dataclass(frozen=True, slots=True)
class GridState:
    """One zone, one interval. A quantity that is not known is absent, never zero (C2).

    Attributes
    ----------
    zone : str
        Zone id.
    interval : Interval
        What the state covers.
    generation_mw : mapping of Fuel to float
        Mean net generation by fuel. [MW]
    values : mapping of str to float
        Other quantities by name, unit in the name.
    status : Status
        The status of the least known part.
    completeness_frac : float
        Share of the quantities this zone usually has that are there. [1]
    """

    zone: str
    interval: Interval
    generation_mw: Mapping[Fuel, float]
    values: Mapping[str, float]
    status: Status
    completeness_frac: float


@dataclass(frozen=True, slots=True)
class GridStates:
    """Many states of one zone as one table, ordered by start, without duplicates.

    Attributes
    ----------
    zone : str
        Zone id.
    interval_s : int
        Length of every interval. [s]
    frame : polars.DataFrame
        `REQUIRED_COLUMNS` plus any of `OPTIONAL_COLUMNS` and `imports_column`s (Float64, null where not known).
    """

    zone: str
    interval_s: int
    frame: pl.DataFrame

    def __post_init__(self) -> None:
        schema = self.frame.schema
        for column, kind in REQUIRED_COLUMNS.items():
            if schema.get(column) != kind:
                raise TableError(
                    f"states of {self.zone}: column {column} is {schema.get(column)}, want {kind}"
                )
        unknown = sorted(c for c in schema if c not in REQUIRED_COLUMNS and not is_quantity(c))
        if unknown:
            raise TableError(f"states of {self.zone}: unknown columns {unknown}")
        if not bool((np.diff(self.start_epoch_s()) > 0).all()):
            raise TableError(f"states of {self.zone}: starts are not strictly increasing")

    def __len__(self) -> int:
        return self.frame.height

    @property
    def fuels(self) -> tuple[Fuel, ...]:
        """Fuels with a generation column, in the column order."""
        return tuple(GENERATION_COLUMNS[c] for c in self.frame.columns if c in GENERATION_COLUMNS)

    def start_epoch_s(self) -> NDArray[np.int64]:
        """Interval starts, seconds since 1970-01-01 UTC; shape (n,). [s]"""
        return self.frame["start_utc"].to_physical().to_numpy() // 1_000_000

    def generation_mw(self, fuel: Fuel) -> NDArray[np.float64]:
        """Net generation from one fuel, NaN where not known; shape (n,). [MW]"""
        return self.values(generation_column(fuel))

    def known_frac(self, fuel: Fuel) -> float:
        """Give how often one fuel's generation is known where any is; what has a price alone does not count. [1]"""
        columns = [column for column in self.frame.columns if column in GENERATION_COLUMNS]
        stated = (
            self.frame.filter(pl.any_horizontal(pl.col(columns).is_not_null())) if columns else self.frame
        )
        column = generation_column(fuel)
        if column not in stated.columns or not stated.height:
            return 0.0
        return 1.0 - stated[column].null_count() / stated.height

    def values(self, column: str) -> NDArray[np.float64]:
        """Give one quantity, NaN where not known; shape (n,), in the unit of its name."""
        if column not in self.frame.columns:
            return np.full(len(self), np.nan)
        return self.frame[column].to_numpy()  # nulls come out as NaN

    def between(self, interval: Interval) -> GridStates:
        """Give the states whose start lies in `interval`."""
        keep = (pl.col("start_utc") >= interval.start_utc) & (pl.col("start_utc") < interval.end_utc)
        return GridStates(self.zone, self.interval_s, self.frame.filter(keep))

    def record(self, index: int) -> GridState:
        """Give one row as a record."""
        row = self.frame.row(index, named=True)
        start = row["start_utc"]
        return GridState(
            zone=self.zone,
            interval=Interval(start, start + timedelta(seconds=self.interval_s)),
            generation_mw={
                GENERATION_COLUMNS[c]: row[c] for c in row if c in GENERATION_COLUMNS and row[c] is not None
            },
            values={
                c: v
                for c, v in row.items()
                if c not in GENERATION_COLUMNS and c not in REQUIRED_COLUMNS and v is not None
            },
            status=Status(row["status"]),
            completeness_frac=row["completeness_frac"],
        )
