"""How good a zone's data are over a stretch of time: what is there, what is suspect, what would be put in its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from gridmargin.grid import (
    FLAG_SCHEMA,
    IMPUTED_SCHEMA,
    NO_TERM,
    RULES,
    GridStates,
    UnitFleet,
    assemble,
    balance_residual_mw,
    flags_of,
    impute,
    power_quantities,
)
from gridmargin.sources import Observations, Source
from gridmargin.vocab import Fuel, Interval, NoFactorError, Status, format_utc

BEFORE, AFTER = timedelta(days=28), timedelta(days=3)
"""Read beside the stretch that was asked for, to know what is usual and to close gaps at its end."""

FIRST_ROWS = 5
"""Flagged values shown of each code, and worst intervals."""

GOOD_FRAC, FAIR_FRAC = 0.001, 0.02
"""Of the values: fewer absent or suspect is good, fewer is fair."""


def installed_mw(units: UnitFleet | None, zone: str) -> dict[Fuel, float]:
    """Give the capacity of each fuel in a zone, where its plants are listed one by one. [MW]"""
    capacity: dict[Fuel, float] = {}
    if units is not None:
        for fuel, place, mw in zip(units.fuels, units.places, units.capacity_mw.tolist(), strict=True):
            if place == zone:
                capacity[fuel] = capacity.get(fuel, 0.0) + mw
    return capacity


def quality_of(
    source: Source, zone: str, interval: Interval, capacity_mw: Mapping[Fuel, float] | None = None
) -> dict[str, Any]:
    """Say how good the data of a zone are, as plain JSON types.

    Parameters
    ----------
    source : Source
        What publishes them.
    zone : str
        Zone id.
    interval : Interval
        What is reported on; four weeks before and three days after are read beside it.
    capacity_mw : mapping of Fuel to float, optional
        What is installed, where known. [MW]

    Raises
    ------
    NoFactorError
        If the source has nothing for any of it.
    """
    span = source.span(zone)
    if span.overlap(interval) is None:
        raise NoFactorError(
            f"{source.name} data for {zone} reach from {format_utc(span.start_utc)} to {format_utc(span.end_utc)}:"
            f" nothing for {interval}; give `start` and `end` inside, or `source` with another folder"
        )
    step_s = source.interval_s(zone)
    around = span.overlap(Interval(interval.start_utc - BEFORE, interval.end_utc + AFTER)) or interval
    parts = [source.parse(payload, around) for payload in source.fetch(zone, around)]
    observations = Observations.concat(parts)
    states = assemble(observations, zone, step_s)
    here = states.between(interval)
    n_slots = -(-int(interval.duration_s) // step_s)
    inside = (pl.col("start_utc") >= interval.start_utc) & (pl.col("start_utc") < interval.end_utc)
    flags = flags_of(states, capacity_mw) if len(states) else pl.DataFrame(schema=FLAG_SCHEMA)
    imputed = impute(states, flags) if len(states) else pl.DataFrame(schema=IMPUTED_SCHEMA)
    flags, imputed = flags.filter(inside), imputed.filter(inside)
    seen = observations.frame.filter(inside, pl.col("zone") == zone)
    quantities = [_quantity(here, seen, flags, imputed, name, n_slots) for name in _named(here)]
    answer = {
        "zone": zone,
        "interval": {"start_utc": format_utc(interval.start_utc), "end_utc": format_utc(interval.end_utc)},
        "source": source.name,
        "interval_s": step_s,
        "read": {"start_utc": format_utc(around.start_utc), "end_utc": format_utc(around.end_utc)},
        "intervals": _intervals(here, seen, span, interval, step_s, n_slots),
        "quantities": quantities,
        "flags": _by_code(flags, seen, imputed),
        "balance": _balance(here),
    }
    observed = seen["status"].is_in([Status.REPORTED.value, Status.ADJUSTED.value]).any()
    said = "" if observed or seen.is_empty() else "modelled, nothing here was observed; "
    return {"verdict": said + _verdict(answer, flags), **answer}


def _named(here: GridStates) -> list[str]:
    return [
        column
        for column, kind in here.frame.schema.items()
        if kind == pl.Float64 and column != "completeness_frac"
    ]


def _quantity(
    here: GridStates, seen: pl.DataFrame, flags: pl.DataFrame, imputed: pl.DataFrame, name: str, n_slots: int
) -> dict[str, Any]:
    mine = pl.col("quantity") == name
    stated = seen.filter(mine, pl.col("value").is_finite()).unique(
        "start_utc", keep="last", maintain_order=True
    )
    n_as = dict(stated.group_by("status").len().iter_rows())
    n_stated = stated.height
    filled = imputed.filter(mine)
    n_gaps = filled.filter(pl.col("reported").is_null()).height
    share = (lambda n: n / n_slots) if n_slots else (lambda _n: 0.0)
    return {
        "quantity": name,
        "checked": name in power_quantities(here),
        "stated_frac": share(n_stated),
        "by_status_frac": {s.value: share(n_as[s.value]) for s in Status if s.value in n_as},
        "gaps_imputed_frac": share(n_gaps),
        "absent_frac": share(max(n_slots - n_stated - n_gaps, 0)),
        "n_flagged": flags.filter(mine)["start_utc"].n_unique(),
        "imputed_error_mw": _maybe(filled["error_mw"].median()) if filled.height else None,
    }


def _intervals(
    here: GridStates, seen: pl.DataFrame, span: Interval, interval: Interval, step_s: int, n_slots: int
) -> dict[str, Any]:
    cells = seen.group_by("start_utc", "quantity").agg(
        pl.col("payload_sha256").n_unique().alias("payloads"), pl.col("value").n_unique().alias("values")
    )
    n_late = max(0, int((interval.end_utc - max(span.end_utc, interval.start_utc)).total_seconds()) // step_s)
    starts = here.start_epoch_s()
    return {
        "n_asked": n_slots,
        "n_stated": len(here),
        "n_missing": max(n_slots - len(here) - n_late, 0),
        "n_late": n_late,
        "n_off_grid": int((starts % step_s != 0).sum()),
        "n_stated_again": cells.filter(pl.col("payloads") > 1)["start_utc"].n_unique(),
        "n_changed_later": cells.filter(pl.col("values") > 1)["start_utc"].n_unique(),
        "last_utc": format_utc(here.frame["start_utc"][-1]) if len(here) else None,
    }


def _by_code(flags: pl.DataFrame, seen: pl.DataFrame, imputed: pl.DataFrame) -> list[dict[str, Any]]:
    on = ["start_utc", "quantity"]
    cell = seen.unique(on, keep="last", maintain_order=True).select(
        *on, pl.struct("payload_sha256", "row", "column").alias("cell")
    )
    beside = imputed.select(*on, "imputed", "error_mw", "method")
    told = []
    for rule in RULES:
        mine = flags.filter(pl.col("code") == rule.code.value)
        if not mine.height:
            continue
        first = mine.head(FIRST_ROWS).join(cell, on=on, how="left", maintain_order="left")
        first = first.join(beside, on=on, how="left", maintain_order="left")
        told.append(
            {
                "code": rule.code.value,
                "what": rule.what,
                "size_is": rule.how_far,
                "n": mine.height,
                "n_without_term": mine.filter(pl.col("quantity") == NO_TERM).height,
                "by_quantity": dict(sorted(mine.group_by("quantity").len().iter_rows())),
                "first": [_row(row) for row in first.iter_rows(named=True)],
            }
        )
    return told


def _row(row: dict[str, Any]) -> dict[str, Any]:
    keys = ("value", "usual", "size", "threshold")
    imputed = (
        None
        if row["imputed"] is None
        else {
            "value": row["imputed"],
            "error_mw": row["error_mw"],
            "method": row["method"],
            "status": Status.IMPUTED.value,
        }
    )
    return {
        "start_utc": format_utc(row["start_utc"]),
        "quantity": row["quantity"],
        **{key: _maybe(row[key]) for key in keys},
        "cell": row["cell"],
        "imputed": imputed,
    }


def _balance(here: GridStates) -> dict[str, Any] | None:
    residual = balance_residual_mw(here)
    at = np.flatnonzero(np.isfinite(residual))
    if not len(at):
        return None
    size = np.abs(residual[at])
    demand = np.abs(here.values("demand_mw")[at])
    p50, p90 = np.quantile(size, (0.5, 0.9)).tolist()
    worst = at[np.argsort(-size, kind="stable")[:FIRST_ROWS]]
    return {
        "n": len(at),
        "residual_mw": {"p50": p50, "p90": p90, "max": float(size.max()), "mean": float(residual[at].mean())},
        "of_demand_frac": float(size.sum() / demand.sum()) if demand.sum() > 0 else None,
        "worst": [
            {"start_utc": format_utc(here.frame["start_utc"][row]), "residual_mw": float(residual[row])}
            for row in worst.tolist()
        ],
    }


def _verdict(answer: dict[str, Any], flags: pl.DataFrame) -> str:
    checked = [q for q in answer["quantities"] if q["checked"]]
    times = answer["intervals"]
    if not times["n_stated"]:
        return f"no data: none of the {times['n_asked']} intervals is stated"
    if not checked:
        return "not checked: nothing that is stated here is a flow of power"
    n_cells = times["n_asked"] * len(checked)
    n_suspect = flags.filter(pl.col("quantity") != NO_TERM).select("start_utc", "quantity").unique().height
    absent = _mean(1 - q["stated_frac"] for q in checked)
    suspect = n_suspect / n_cells
    worst = max(absent, suspect)
    word = "good" if worst <= GOOD_FRAC else "fair" if worst <= FAIR_FRAC else "poor"
    text = f"{word}: {absent:.2%} of the values absent, {suspect:.2%} suspect"
    n_open = flags.filter(pl.col("quantity") == NO_TERM).height
    if answer["balance"] is None:
        return text + "; no balance, since demand or interchange is not stated"
    if n_open:
        text += f"; the balance stays open in {n_open / times['n_stated']:.1%} of the intervals with no term at fault"
    return text


def _mean(values: Iterable[float]) -> float:
    every = list(values)
    return sum(every) / len(every)


def _maybe(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
