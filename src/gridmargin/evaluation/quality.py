"""Backtest `quality`: how much of recorded data is flagged, and flags and imputed values against a reconciled table.

The reference is the reconciliation of EIA-930 by de Chalendar and Benson (gridemissions): every term of every
balancing authority moved together until all of it adds up. It was made from the same raw table by other rules, and
knows all neighbours at once. It is no truth, and the only independent word on which raw values were wrong.
"""

from __future__ import annotations

import re
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.evaluation.against_epa import states_of
from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.scores import Row, report
from gridmargin.grid import (
    FLAG_SCHEMA,
    NO_TERM,
    GridStates,
    flags_of,
    imports_column,
    impute,
    power_quantities,
)
from gridmargin.sources import SOURCES
from gridmargin.vocab import Fuel, InputError, TableError, format_utc, generation_column

FloatArray = NDArray[np.float64]

FUELS = {
    "COL": Fuel.COAL,
    "GAS": Fuel.GAS,
    "OIL": Fuel.OIL,
    "NUC": Fuel.NUCLEAR,
    "WAT": Fuel.HYDRO,
    "WND": Fuel.WIND,
    "SUN": Fuel.SOLAR,
    "OTH": Fuel.OTHER,
}

HIDDEN_H = (1.0, 6.0, 24.0)
GAPS_A_QUANTITY = 60
"""How long the gaps are that known values are hidden in, and how many at most. [h], [1]"""

PLANTED: dict[str, tuple[float | None, float]] = {
    "x10": (10.0, 0),
    "x10 for 6 h": (10.0, 6),
    "x2": (2.0, 0),
    "x0.5": (0.5, 0),
    "sign": (-1.0, 0),
    "zero": (0.0, 0),
    "zero for 6 h": (0.0, 6),
    "stuck for 6 h": (None, 6),
}
"""By what a value is multiplied (None: it stays at the first), and for how long; 0 is one to three intervals. [1], [h]"""

PLANTED_EVERY_H, PLANTED_FROM_S, LARGE_MW = 71, 60 * 86_400, 500.0
"""How far apart errors are planted in one quantity [h], the shortest record [s], and the least mean [MW]."""

REFERENCE = "gridemissions, reconciled"

WRONG_FRAC, WRONG_MW, WRONG_TIMES = 0.2, 50.0, 5.0
"""A raw value counts as wrong where the reconciled one is off by more than 20 % of the quantity's usual size (95th
percentile), by more than 50 MW, and by more than 5 times what it is usually off: small moves close the balance."""


def run(ask: Ask) -> dict[str, Any]:
    """Give the flag rate of every zone that the folder holds, and the scores against the reconciled table if it is there.

    Raises
    ------
    InputError
        If the folder has neither.
    """
    started = time.perf_counter()
    ask.refuse(
        "quality", "looks at whole records", "train_year", "test_year", "horizon_min", "test_from", "test_to"
    )
    rows = [*_recorded(ask), *_reconciled(ask)]
    if not rows:
        raise InputError(f"no recorded zone and no reconciled table under {ask.data}; give another `data`")
    return report("quality", {"gridmargin": version("gridmargin")}, time.perf_counter() - started, rows)


def _recorded(ask: Ask) -> list[Row]:
    rows = []
    for name in SOURCES:
        if name == "reference":
            continue
        source = SOURCES.get(name)(ask.data)
        for zone in source.zones():
            if ask.region in (None, zone):
                states = states_of(source, zone)
                if power_quantities(states):
                    rows.append(_rate(states, name))
                    rows += _planted(states, name)
                    rows += _hidden([states], zone, name)
    return rows


def _rate(states: GridStates, source: str) -> Row:
    flags = flags_of(states).filter(pl.col("quantity") != NO_TERM)
    n = sum(int(states.frame[quantity].count()) for quantity in power_quantities(states))
    cells = flags.select("start_utc", "quantity").unique().height
    starts = states.frame["start_utc"]
    return {
        "region": states.zone,
        "estimator": f"flags, {source}",
        "period": f"{format_utc(starts[0])}/{format_utc(starts[-1])}",
        "n": n,
        "flagged_frac": cells / n,
        "by_code": dict(sorted(flags.group_by("code").len().iter_rows())),
    }


def _planted(states: GridStates, source: str) -> list[Row]:
    """Plant errors of each kind into the large quantities, and give the share of the wrong values that is flagged."""
    slots_h = 3600 / states.interval_s
    columns, wrong = {}, []
    for place, quantity in enumerate(power_quantities(states)):
        values = states.frame[quantity].to_numpy().astype(np.float64)
        if len(values) * states.interval_s < PLANTED_FROM_S or not np.nanmean(values) > LARGE_MW:
            continue
        level = 0.2 * np.nanquantile(np.abs(values), 0.95)
        spoilt = values.copy()
        spacing = round(PLANTED_EVERY_H * slots_h)
        for number, first in enumerate(range(spacing + 5 * place, len(values) - 2 * spacing, spacing)):
            kind = list(PLANTED)[number % len(PLANTED)]
            factor, hours = PLANTED[kind]
            length = round(hours * slots_h) if hours else 1 + number % 3
            at = slice(first, first + length)
            if np.nanmin(np.abs(values[at]), initial=np.inf) <= level or not np.isfinite(values[at]).all():
                continue
            spoilt[at] = values[first] if factor is None else values[at] * factor
            wrong.append(
                pl.DataFrame({"start_utc": states.frame["start_utc"][at], "quantity": quantity, "kind": kind})
            )
        columns[quantity] = spoilt
    if not wrong:
        return []
    spoilt_states = GridStates(
        states.zone,
        states.interval_s,
        states.frame.with_columns(pl.Series(q, v, nan_to_null=True) for q, v in columns.items()),
    )
    on = ["start_utc", "quantity"]
    flagged = flags_of(spoilt_states).select(*on, pl.lit(value=True).alias("hit")).unique()
    cells = (
        pl.concat(wrong).join(flagged, on=on, how="left").with_columns(pl.col("hit").fill_null(value=False))
    )
    rows: list[Row] = []
    for kind in PLANTED:
        mine = cells.filter(pl.col("kind") == kind)
        if mine.height:
            recall = float(mine["hit"].sum()) / mine.height
            labels = {
                "region": states.zone,
                "estimator": f"planted {kind}, {source}",
                "reference": "planted errors",
            }
            rows.append({**labels, "n": mine.height, "recall": recall})
    return rows


def _hidden(every: list[GridStates], region: str, source: str) -> list[Row]:
    """Hide known values, one quantity at a time, and score what is imputed for them."""
    rows: list[Row] = []
    for hours in HIDDEN_H:
        parts = [cells for states in every if (cells := _hide(states, hours)).height]
        if not parts:
            continue
        cells = pl.concat(parts)
        for value, how in (("imputed", ""), ("plain", ", balance not used")):
            if value == "plain" and cells["method"].eq("balance").sum() == 0:
                continue
            labels = {"region": region, "unit": "MW", "reference": "hidden values"}
            rows += _error(
                cells, value, "carried", {**labels, "estimator": f"imputed for {hours:g} h, {source}{how}"}
            )
    return rows


def _hide(states: GridStates, hours: float) -> pl.DataFrame:
    length = max(1, round(hours * 3600 / states.interval_s))
    n = len(states)
    spacing = max(length * 8, n // GAPS_A_QUANTITY)
    parts = []
    for place, quantity in enumerate(power_quantities(states)):
        values = states.frame[quantity]
        at = np.arange(n)
        # Apart from quantity to quantity, so that the balance has one term to find.
        gap = (at - length - place) % spacing < length
        frame = states.frame.with_columns(
            pl.when(pl.Series(gap)).then(None).otherwise(pl.col(quantity)).alias(quantity)
        )
        thinner = GridStates(states.zone, states.interval_s, frame)
        truth = pl.DataFrame(
            {
                "start_utc": states.frame["start_utc"],
                "opt": values,
                "carried": frame[quantity].forward_fill(),
                "hidden": gap,
            }
        ).filter("hidden", pl.col("opt").is_not_null())
        mine = pl.col("quantity") == quantity
        no_flags = pl.DataFrame(schema=FLAG_SCHEMA)
        filled = impute(thinner, no_flags).filter(mine)
        plain = impute(thinner, no_flags, balanced=False).filter(mine)
        parts.append(
            truth.join(filled.select("start_utc", "imputed", "error_mw", "method"), on="start_utc").join(
                plain.select("start_utc", pl.col("imputed").alias("plain")), on="start_utc"
            )
        )
    return pl.concat(parts)


def _reconciled(ask: Ask) -> list[Row]:
    tables = [
        path
        for depth in ("*", "*/*", "grid/*/*")
        for path in ask.data.glob(depth)
        if re.fullmatch(r"E_raw_.*\.csv", path.name)
    ]
    rows: list[Row] = []
    for raw_path in sorted(tables):
        opt_path = raw_path.with_name(raw_path.name.replace("raw", "opt", 1))
        if not opt_path.is_file():
            raise InputError(f"{opt_path} is not there: {raw_path.name} has no reconciled table beside it")
        raw, opt = _read(raw_path), _read(opt_path)
        zones = [zone for zone in _authorities(raw) if ask.region in (None, f"US-{zone}")]
        pairs = [pair for zone in zones if (pair := _compared(raw, opt, zone)) is not None]
        if pairs:
            together = pl.concat(pairs)
            rows += _scores(together, raw_path.stem.removeprefix("E_raw_"))
            rows += _hidden([_states(raw, zone) for zone in zones], "US, all authorities", "eia930 raw")
    return rows


def _read(path: Path) -> pl.DataFrame:
    frame = pl.read_csv(path, infer_schema_length=None)
    hours = frame["period"].str.slice(0, 13).str.replace("T", " ") + ":00"
    starts = hours.str.to_datetime("%Y-%m-%d %H:%M", time_unit="us", time_zone="UTC", strict=False)
    if starts.null_count():
        raise TableError(f"{path.name}, column period: not a time such as 2021-07-10T00")
    return frame.with_columns(starts.alias("start_utc")).sort("start_utc")


def _authorities(raw: pl.DataFrame) -> list[str]:
    return sorted(
        {
            match.group(1)
            for name in raw.columns
            if (match := re.fullmatch(r"E_([A-Z]+)_NG", name)) is not None
        }
    )


def _columns(frame: pl.DataFrame, authority: str) -> dict[str, pl.Expr]:
    """Give our quantities of one authority; EIA counts exports as positive, we count imports (C2)."""
    found = {"demand_mw": pl.col(f"E_{authority}_D"), "net_imports_mw": -pl.col(f"E_{authority}_TI")}
    found |= {generation_column(fuel): pl.col(f"E_{authority}_{code}") for code, fuel in FUELS.items()}
    for name in frame.columns:
        tie = re.fullmatch(rf"E_{authority}-([A-Z]+)_ID", name)
        if tie is not None:
            found[imports_column(f"US-{tie.group(1)}")] = -pl.col(name)
    return {quantity: e for quantity, e in found.items() if e.meta.root_names()[0] in frame.columns}


def _states(frame: pl.DataFrame, authority: str) -> GridStates:
    columns = _columns(frame, authority)
    return GridStates(
        f"US-{authority}",
        3600,
        frame.select(
            "start_utc",
            pl.lit("reported").alias("status"),
            pl.lit(1.0).alias("completeness_frac"),
            *(e.cast(pl.Float64).fill_nan(None).alias(quantity) for quantity, e in columns.items()),
        ),
    )


def _compared(raw: pl.DataFrame, opt: pl.DataFrame, authority: str) -> pl.DataFrame | None:
    """Give one authority's cells: raw, reconciled, flagged, imputed, and what stood an interval before."""
    states = _states(raw, authority)
    reference = _states(opt, authority)
    quantities = [q for q in power_quantities(states) if q in reference.frame.columns]
    if not quantities:
        return None
    flags = flags_of(states)
    imputed = impute(states, flags)
    plain = impute(states, flags, balanced=False)
    codes = flags.group_by("start_utc", "quantity").agg(pl.col("code").sort())

    def long(part: GridStates, name: str) -> pl.DataFrame:
        return part.frame.unpivot(quantities, index="start_utc", variable_name="quantity", value_name=name)

    carried = states.frame.with_columns(pl.col(quantities).forward_fill().shift(1))
    before = carried.unpivot(quantities, index="start_utc", variable_name="quantity", value_name="carried")
    on = ["start_utc", "quantity"]
    return (
        long(states, "raw")
        .join(long(reference, "opt"), on=on, how="inner")
        .join(codes, on=on, how="left")
        .join(imputed.select(*on, "imputed", "error_mw", "method"), on=on, how="left")
        .join(plain.select(*on, pl.col("imputed").alias("plain")), on=on, how="left")
        .join(before, on=on, how="left")
        .with_columns(zone=pl.lit(authority))
        .filter(pl.col("opt").is_not_null())
    )


def _scores(cells: pl.DataFrame, period: str) -> list[Row]:
    off = (pl.col("raw") - pl.col("opt")).abs()
    by = ["zone", "quantity"]
    judged = cells.with_columns(off=off).with_columns(
        wrong=(pl.col("off") > WRONG_MW)
        & (pl.col("off") > WRONG_FRAC * pl.col("opt").abs().quantile(0.95).over(by))
        & (pl.col("off") > WRONG_TIMES * pl.col("off").median().over(by)),
        flagged=pl.col("code").is_not_null(),
    )
    stated = judged.filter(pl.col("raw").is_not_null())
    labels = {"region": "US, all authorities", "period": period, "reference": REFERENCE, "unit": "MW"}
    is_tie = pl.col("quantity").str.contains("imports")
    rows = [
        _found(stated, "flags", labels),
        _found(stated.filter(~is_tie), "flags on generation and demand", labels),
        _found(stated.filter(is_tie), "flags on interchange", labels),
    ]
    for code in sorted({c for codes in stated["code"].drop_nulls().to_list() for c in codes}):
        mine = stated.with_columns(flagged=pl.col("code").list.contains(code).fill_null(value=False))
        rows.append(_found(mine, f"flags, {code} alone", labels))
    wrong = stated.filter("wrong", "flagged", pl.col("imputed").is_not_null())
    absent = judged.filter(pl.col("raw").is_null(), pl.col("imputed").is_not_null())
    for part, name, other in (
        (wrong, "imputed where wrong and flagged", "raw"),
        (absent, "imputed where absent", "carried"),
    ):
        for value, how in (("imputed", ""), ("plain", ", balance not used")):
            rows += _error(part, value, other, {**labels, "estimator": name + how})
    missing = judged.filter(pl.col("raw").is_null())
    if not missing.height:
        return rows
    rows.append(
        {**labels, "estimator": "absent and left absent", "n": missing.height}
        | {"gap_frac": missing["imputed"].null_count() / missing.height}
    )
    return rows


def _found(stated: pl.DataFrame, name: str, labels: Row) -> Row:
    hit = stated.filter("wrong", "flagged").height
    flagged, wrong = int(stated["flagged"].sum()), int(stated["wrong"].sum())
    row: Row = {**labels, "estimator": name, "n": stated.height, "n_flagged": flagged, "n_wrong": wrong}
    row["flagged_frac"] = flagged / max(stated.height, 1)
    if flagged:
        row["precision"] = hit / flagged
    if wrong:
        row["recall"] = hit / wrong
    return row


def _error(part: pl.DataFrame, value: str, other: str, labels: Row) -> list[Row]:
    part = part.filter(pl.col(other).is_not_null())
    if not part.height:
        return []
    off = (part[value] - part["opt"]).abs()
    row: Row = {**labels, "n": part.height, "mae": _number(off.mean()), "median": _number(off.median())}
    if value == "imputed":
        row["coverage90"] = _number((off <= part["error_mw"]).mean())
    beside = (part[other] - part["opt"]).abs()
    row["baselines"] = {other: {"mae": _number(beside.mean()), "median": _number(beside.median())}}
    return [row]


def _number(value: Any) -> float:
    return float(value)
