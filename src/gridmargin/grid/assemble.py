"""Observations to GridStates, and back to the observations behind one state."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.grid.state import (
    OPTIONAL_COLUMNS,
    REQUIRED_COLUMNS,
    GridStates,
    border_columns,
    imports_column,
    is_quantity,
)
from gridmargin.sources import Observation, Observations
from gridmargin.vocab import GENERATION_COLUMNS, Interval, Status, TableError

_STATUSES = [status.value for status in Status]
_USUAL_FRAC = 0.5


def assemble(observations: Observations, zone: str, interval_s: int) -> GridStates:
    """Build the states of one zone from what was observed.

    A value stated again by a later payload replaces the earlier one. An interval without any observation has no
    state, and a quantity without one is null: nothing is filled in (C2). Net generation below zero stays as it was
    published; `negative_generation` lists it.

    Parameters
    ----------
    observations : Observations
        Of any zones and quantities; later rows are newer.
    zone : str
        Zone id.
    interval_s : int
        Length of the intervals. [s]

    Where a border's inflow and outflow are both there, `imports_from_…` is the one less the other.

    Returns
    -------
    GridStates
        Completeness is the share of the usual quantities that are there: those which at least half of these
        intervals have.

    Raises
    ------
    TableError
        If one payload states a cell twice, a quantity is not known, or the zone has another interval.
    """
    frame = observations.frame
    if not (frame["zone"] == zone).all():  # a copy of half a million rows is worth sparing
        frame = frame.filter(pl.col("zone") == zone)
    lengths = frame["interval_s"]
    if not (lengths == interval_s).all():
        other = lengths.filter(lengths != interval_s)
        raise TableError(f"observations of {zone} cover {other[0]} s, want {interval_s} s")
    known = frame["quantity"].unique().sort().to_list()
    unknown = [quantity for quantity in known if not is_quantity(quantity)]
    if unknown:
        raise TableError(f"observations of {zone}: unknown quantities {', '.join(unknown)}")
    usual = [quantity for quantity in OPTIONAL_COLUMNS if quantity in set(known)]
    quantities = [*usual, *(quantity for quantity in known if quantity not in OPTIONAL_COLUMNS)]

    starts = frame["start_utc"].unique().sort()
    at = np.searchsorted(starts.to_physical().to_numpy(), frame["start_utc"].to_physical().to_numpy())
    codes = dict(zip(quantities, range(len(quantities)), strict=True))
    code = frame["quantity"].replace_strict(codes, return_dtype=pl.Int64).to_numpy()
    slot = (at * len(quantities) + code).astype(np.int64)
    n_slots = len(starts) * len(quantities)
    if n_slots and int(np.bincount(slot, minlength=n_slots).max()) > 1:
        _refuse_twice_in_one_payload(frame, zone)

    # NumPy keeps the last value assigned to a repeated index: the newest row wins.
    shape = (len(starts), len(quantities))
    values: NDArray[np.float64] = np.full(shape, np.nan)
    values.reshape(-1)[slot] = frame["value"].to_numpy()
    order = dict(zip(_STATUSES, range(len(_STATUSES)), strict=True))
    ranks: NDArray[np.int8] = np.full(shape, -1, dtype=np.int8)
    ranks.reshape(-1)[slot] = frame["status"].replace_strict(order, return_dtype=pl.Int8).to_numpy()
    frame = pl.DataFrame(
        {
            "start_utc": starts,
            "status": _worst(ranks),
            "completeness_frac": _completeness(values),
            **{quantity: pl.Series(values[:, n], nan_to_null=True) for n, quantity in enumerate(quantities)},
        },
        schema_overrides=REQUIRED_COLUMNS,
    )
    return GridStates(zone, interval_s, frame.with_columns(_net_of_borders(quantities)))


def negative_generation(states: GridStates) -> pl.DataFrame:
    """List net generation below zero: plants that drew more than they made, or a publisher's balancing item.

    Returns
    -------
    polars.DataFrame
        `start_utc`, `quantity`, `value` [MW].
    """
    columns = [column for column in states.frame.columns if column in GENERATION_COLUMNS]
    long = states.frame.unpivot(columns, index="start_utc", variable_name="quantity", value_name="value")
    return long.filter(pl.col("value") < 0)


def cells_behind(observations: Observations, zone: str, interval: Interval) -> list[Observation]:
    """Give the observations that make up the state of one interval, each with its cell; one a quantity."""
    frame = observations.frame.filter(
        (pl.col("zone") == zone) & (pl.col("start_utc") == interval.start_utc)
    ).unique("quantity", keep="last", maintain_order=True)
    found = Observations(frame)
    return [found.record(index) for index in range(len(found))]


def _net_of_borders(quantities: list[str]) -> list[pl.Expr]:
    """Give net imports over borders that are stated one direction at a time; absent where either is (C2)."""
    neighbours = [name[len("inflow_from_") : -len("_mw")] for name in quantities if name.startswith("inflow")]
    found = []
    for neighbour in neighbours:
        inflow, outflow = border_columns(neighbour)
        net = imports_column(neighbour)
        if outflow in quantities and net not in quantities:
            found.append((pl.col(inflow) - pl.col(outflow)).alias(net))
    return found


def _refuse_twice_in_one_payload(frame: pl.DataFrame, zone: str) -> None:
    # The same cell read twice, from two stretches that overlap, is one statement.
    cells = frame.unique(["start_utc", "quantity", "payload_sha256", "row", "column"], maintain_order=True)
    twice = cells.filter(pl.struct("start_utc", "quantity", "payload_sha256").is_duplicated())
    if twice.height:
        first = twice.row(0, named=True)
        same = twice.filter(
            (pl.col("start_utc") == first["start_utc"])
            & (pl.col("quantity") == first["quantity"])
            & (pl.col("payload_sha256") == first["payload_sha256"])
        )
        places = " and ".join(f"row {cell['row']} column {cell['column']}" for cell in same.to_dicts()[:2])
        raise TableError(
            f"payload {first['payload_sha256'][:12]} states {first['quantity']} of {zone} at "
            f"{first['start_utc'].isoformat()} twice ({places}): remove one"
        )


def _worst(ranks: NDArray[np.int8]) -> pl.Series:
    if not ranks.size:
        return pl.Series([], dtype=pl.String)
    return pl.Series(np.array(_STATUSES, dtype=object)[ranks.max(axis=1)].tolist(), dtype=pl.String)


def _completeness(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if not values.size:
        return np.zeros(len(values))
    there = ~np.isnan(values)
    usual = there.mean(axis=0) >= _USUAL_FRAC
    usual = usual if usual.any() else np.ones_like(usual)
    shares: NDArray[np.float64] = there[:, usual].mean(axis=1)
    return shares
