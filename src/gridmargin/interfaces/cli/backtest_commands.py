"""`backtest`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from gridmargin.evaluation import TASKS
from gridmargin.vocab import InputError, parse_utc


def backtest(
    task: str,
    data: Path,
    *,
    avert: Path | None,
    train_year: int | None,
    test_year: int | None,
    test_from: str | None,
    test_to: str | None,
    region: str | None,
    out: Path | None,
) -> dict[str, Any]:
    """Answer `gridmargin backtest`."""
    run = TASKS.get(task)
    for name, folder in (("--data", data), ("--avert", avert)):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{name} {folder}: no such folder")
    if out is not None and not out.parent.is_dir():
        raise InputError(f"--out {out}: the folder {out.parent} does not exist; make it first")
    result = run(
        data,
        avert=avert,
        train_year=train_year,
        test_year=test_year,
        test_from=parse_utc(test_from, "--test-from") if test_from else None,
        test_to=parse_utc(test_to, "--test-to") if test_to else None,
        region=region,
    )
    if out is not None:
        part = out.with_name(out.name + ".part")
        part.write_text(
            json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )
        part.replace(out)
    return result


def show_backtest(result: dict[str, Any]) -> None:
    """Print the scores as a table, the baselines beside them."""
    rows = result["rows"]
    baselines = list(dict.fromkeys(name for row in rows for name in row.get("baselines", {})))
    words = [
        name
        for name in ("region", "estimator", "period", "reference", "unit")
        if any(name in row for row in rows)
    ]
    table = Table(box=None, pad_edge=False)
    for heading in words:
        table.add_column(heading, no_wrap=True)
    for heading in (
        "n",
        "MAE",
        "bias",
        "r",
        "coverage",
        "width",
        *(f"{b} {f}" for b in baselines for f in ("MAE", "r")),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        scores = [
            f"{row['n']:,}", _figure(row, "mae", ".1f"), _figure(row, "bias", "+.1f"), _figure(row, "r", ".3f"),
            _figure(row, "coverage90", ".1%"), _figure(row, "width90", ".0f"),
        ]  # fmt: skip
        for name in baselines:
            baseline = row.get("baselines", {}).get(name, {})
            scores += [_figure(baseline, "mae", ".1f"), _figure(baseline, "r", ".3f")]
        table.add_row(*(str(row.get(name, "")) for name in words), *scores)
    Console(width=400).print(table)
    typer.echo(
        f"{result['task']}: MAE, bias and width of the 90 % range in the row's unit; {result['seconds']:.1f} s"
    )


def _figure(row: dict[str, Any], name: str, spec: str) -> str:
    return format(row[name], spec) if name in row else ""
