"""Receipts added up, with shared errors kept shared (C6).

One SQL text. Within a zone the factor's error is one error, within a device × model profile the energy's is one, and
host, PUE and losses are one for the site: those half-widths add linearly. Different zones and different profiles err
independently, and so do the causes: those combine in quadrature. The sum's range therefore never shrinks with √n.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from gridmargin.attribution import ENERGY_PARTS
from gridmargin.receipts.receipt import CAUSES, LATER_COLUMNS
from gridmargin.vocab import InputError, NotFoundError, format_utc

KEYS = {
    "tenant": "tenant",
    "endpoint": "endpoint",
    "service": "service",
    "outcome": "CAST(outcome AS VARCHAR)",
    "model": "CAST(model AS VARCHAR)",
    "device": "CAST(device AS VARCHAR)",
    "zone": "CAST(zone AS VARCHAR)",
    "hour": "CAST(date_trunc('hour', start_utc) AS VARCHAR)",
    "day": "CAST(CAST(start_utc AS DATE) AS VARCHAR)",
}
"""What receipts can be grouped by."""

_SUMS = (
    "charged_energy_j", "plug_energy_j", *(f"{part}_j" for part in ENERGY_PARTS), "work_units", "energy_cost_usd",
    "prompt_tokens", "generated_tokens", "marginal_gco2", "average_gco2",
)  # fmt: skip
_HALVES = tuple(
    f"{kind}_{cause}_{side}_gco2"
    for kind in ("marginal", "average")
    for cause in CAUSES
    for side in ("low", "high")
)


RECEIPTS = (
    "(SELECT "
    + ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in LATER_COLUMNS.items())
    + " WHERE FALSE UNION ALL BY NAME"
    " SELECT * FROM read_parquet(?, hive_partitioning = false, union_by_name = true))"
)
"""Receipts of a list of files, whichever version wrote them."""


def committed_files(folder: Path, run_id: str | None = None) -> list[Path]:
    """List the receipt files of runs that were written whole: those with a manifest."""
    name = "*" if run_id is None else run_id
    runs = {path.stem for path in folder.glob(f"runs/{name}.json")}
    return sorted(path for path in folder.glob(f"receipts/*/*/{name}.parquet") if path.stem in runs)


def _files(folder: Path, run_id: str | None) -> list[str]:
    files = [str(path) for path in committed_files(folder, run_id)]
    if not files:
        raise NotFoundError(f"no receipts under {folder}; `gridmargin account … --out {folder}` writes some")
    return files


def rollup(folder: Path, by: Sequence[str] = (), run_id: str | None = None) -> list[dict[str, Any]]:
    """Sum receipts by any of `KEYS`.

    Parameters
    ----------
    folder : Path
        A data folder, or what `account --out` wrote.
    by : sequence of str
        Names from `KEYS`; none gives one row.
    run_id : str, optional
        Only this run.

    Returns
    -------
    list of dict
        Keys, `requests`, sums in the units their names carry, and `marginal_gco2` / `average_gco2` as
        `{low, mid, high}` (90 %).
    """
    unknown = [key for key in by if key not in KEYS]
    if unknown:
        raise InputError(f"cannot group receipts by {unknown[0]!r}; known: {', '.join(KEYS)}")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        cursor = connection.execute(_sql(by, run_id), [_files(folder, run_id), *([run_id] if run_id else [])])
        names = [column[0] for column in cursor.description]
        return [_shape(dict(zip(names, row, strict=True)), by) for row in cursor.fetchall()]


def quantiles(folder: Path, run_id: str | None = None) -> dict[str, float]:
    """Give the median and 95th percentile of marginal grams per request. [g]"""
    where = " WHERE run_id = ?" if run_id else ""
    with duckdb.connect() as connection:
        row = connection.execute(
            f"SELECT quantile_cont(marginal_gco2, [0.5, 0.95]) FROM {RECEIPTS}{where}",
            [_files(folder, run_id), *([run_id] if run_id else [])],
        ).fetchone()
    assert row is not None
    return {"p50": row[0][0], "p95": row[0][1]}


def _sql(by: Sequence[str], run_id: str | None) -> str:
    keys = "".join(f"{KEYS[key]} AS {key}, " for key in by)
    names = "".join(f"{key}, " for key in by)
    group = ", ".join([*by, "zone_", "profile_"])
    sums = ", ".join(f"sum({column}) AS {column}" for column in (*_SUMS, *_HALVES))
    where = " WHERE run_id = ?" if run_id else ""
    shared = {"factor": "zone_", "energy": "profile_"}
    ctes = [
        f"cells AS (SELECT {keys}CAST(zone AS VARCHAR) AS zone_,"
        f" concat(CAST(device AS VARCHAR), '|', CAST(model AS VARCHAR)) AS profile_, count(*) AS requests,"
        f" epoch_us(min(arrival_utc)) AS first_us, epoch_us(max(end_utc)) AS last_us, count(*) - count(provisioned_idle_j) AS idle_unknown, {sums}"
        f" FROM {RECEIPTS}{where} GROUP BY {group})"
    ]
    joins = []
    for cause in CAUSES:
        halves = [half for half in _HALVES if f"_{cause}_" in half]
        inner_group = ", ".join([*by, shared[cause]] if cause in shared else by)
        inner = f"SELECT {names}{', '.join(f'sum({h}) AS {h}' for h in halves)} FROM cells" + (
            f" GROUP BY {inner_group}" if inner_group else ""
        )
        outer_group = f" GROUP BY {', '.join(by)}" if by else ""
        squares = ", ".join(f"sum({h} * {h}) AS {h}" for h in halves)
        ctes.append(f"{cause}_squares AS (SELECT {names}{squares} FROM ({inner}){outer_group})")
        on = " AND ".join(f"t.{key} IS NOT DISTINCT FROM {cause}_squares.{key}" for key in by) or "TRUE"
        joins.append(f" JOIN {cause}_squares ON {on}")
    totals = ", ".join(f"sum({column}) AS {column}" for column in _SUMS)
    ctes.append(
        f"totals AS (SELECT {names}sum(requests) AS requests, min(first_us) AS first_us, max(last_us) AS last_us,"
        f" sum(idle_unknown) AS idle_unknown, {totals} FROM cells{' GROUP BY ' + ', '.join(by) if by else ''})"
    )
    widths = ", ".join(
        "sqrt("
        + " + ".join(f"{cause}_squares.{kind}_{cause}_{side}_gco2" for cause in CAUSES)
        + f") AS {kind}_{side}_width"
        for kind in ("marginal", "average")
        for side in ("low", "high")
    )
    variances = ", ".join(
        f"{cause}_squares.marginal_{cause}_low_gco2 + {cause}_squares.marginal_{cause}_high_gco2 AS {cause}_variance"
        for cause in CAUSES
    )
    order = f" ORDER BY {', '.join(f't.{key}' for key in by)}" if by else ""
    return f"WITH {', '.join(ctes)} SELECT t.*, {widths}, {variances} FROM totals t{''.join(joins)}{order}"


def _shape(row: dict[str, Any], by: Sequence[str]) -> dict[str, Any]:
    out: dict[str, Any] = {key: row[key] for key in by}
    out |= {
        "requests": int(row["requests"]),
        "first_utc": _utc(row["first_us"]),
        "last_utc": _utc(row["last_us"]),
    }
    out |= {column: row[column] for column in _SUMS if not column.endswith("_gco2")}
    out["n_provisioned_idle_unknown"] = int(row["idle_unknown"])
    for kind in ("marginal", "average"):
        mid = row[f"{kind}_gco2"]
        if mid is None:
            out[f"{kind}_gco2"] = None
            continue
        low, high = mid - row[f"{kind}_low_width"], mid + row[f"{kind}_high_width"]
        out[f"{kind}_gco2"] = {"low": max(0.0, low) if mid >= 0 else low, "mid": mid, "high": high}
    spread = sum(row[f"{cause}_variance"] for cause in CAUSES)
    out["variance_frac"] = {cause: row[f"{cause}_variance"] / spread if spread else 0.0 for cause in CAUSES}
    return out


def _utc(epoch_us: int | None) -> str | None:
    return None if epoch_us is None else format_utc(datetime.fromtimestamp(epoch_us / 1e6, UTC))
