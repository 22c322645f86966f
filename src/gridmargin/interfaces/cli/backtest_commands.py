"""`backtest`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from gridmargin.evaluation import TASKS, Ask
from gridmargin.interfaces.cli.terminal import people_console
from gridmargin.vocab import InputError, parse_utc
from gridmargin.wiring import read_settings

FIGURES = (
    ("MAE", "mae", ".4g"),
    ("RMSE", "rmse", ".4g"),
    ("bias", "bias", "+.4g"),
    ("r", "r", ".3f"),
    ("slope", "slope", ".2f"),
    ("MAE/constant", "mae_over_constant", ".2f"),
    ("MAE/plain", "mae_over_plain", ".2f"),
    ("CRPS", "crps", ".4g"),
    ("Brier", "brier", ".4f"),
    ("F1", "f1", ".3f"),
    ("flagged", "flagged_frac", ".3%"),
    ("precision", "precision", ".1%"),
    ("recall", "recall", ".1%"),
    ("median", "median", ".4g"),
    ("MAPE", "mape", ".2%"),
    ("median error", "median_error_frac", ".2%"),
    ("p95 error", "p95_error_frac", ".2%"),
    ("within 3 %", "within_frac", ".1%"),
    ("change", "change_frac", "+.0%"),
    ("largest fall", "largest_fall_frac", "+.0%"),
    ("smallest fall", "smallest_fall_frac", "+.0%"),
    ("one doubling", "one_doubling_frac", "+.0%"),
    ("coverage", "coverage90", ".1%"),
    ("coverage in profile", "in_profile_coverage90", ".1%"),
    ("width", "width90", ".4g"),
    ("gap", "gap_frac", ".3%"),
    ("seconds", "seconds", ".1f"),
)
"""Heading, name in the row and format of each score, in the order they are printed."""


def backtest(
    task: str,
    data: Path | None,
    *,
    avert: Path | None,
    train_year: int | None,
    test_year: int | None,
    test_from: str | None,
    test_to: str | None,
    horizon_min: int | None,
    region: str | None,
    train_s: float | None = None,
    out: Path | None,
) -> dict[str, Any]:
    """Answer `gridmargin backtest`."""
    run = TASKS.get(task)
    if train_s is not None and task != "engine-steps":
        raise InputError(f"backtest {task} does not fit the first seconds of a run: leave out `train_s`")
    data = data or read_settings().data
    if data is None:
        raise InputError(
            f"backtest {task} needs recorded tables: give `data=DIR`, or set GRIDMARGIN_DATA to the folder that holds them"
        )
    for name, folder in (("--data", data), ("--avert", avert)):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{name} {folder}: no such folder")
    if out is not None and out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file in it")
    if out is not None and not out.parent.is_dir():
        raise InputError(f"--out {out}: the folder {out.parent} does not exist; make it first")
    result = run(
        Ask(
            data,
            avert=avert,
            train_year=train_year,
            test_year=test_year,
            test_from=parse_utc(test_from, "--test-from") if test_from else None,
            test_to=parse_utc(test_to, "--test-to") if test_to else None,
            horizon_min=horizon_min,
            region=region,
            train_s=train_s,
        )
    )
    if out is not None:
        part = out.with_name(out.name + ".part")
        text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(out)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return result


def show_backtest(result: dict[str, Any]) -> None:
    """Print the scores as a table, the baselines beside them."""
    rows = result["rows"]
    baselines = list(dict.fromkeys(name for row in rows for name in row.get("baselines", {})))
    words = [
        name
        for name in ("region", "estimator", "fit", "regime", "period", "reference", "unit")
        if any(name in row for row in rows)
    ]
    table = Table(box=None, pad_edge=False)
    for heading in words:
        table.add_column(heading, no_wrap=True)
    figures = [(heading, name, spec) for heading, name, spec in FIGURES if any(name in row for row in rows)]
    beside = [
        (b, *figure)
        for b in baselines
        for figure in FIGURES
        if any(figure[1] in row.get("baselines", {}).get(b, {}) for row in rows)
    ]
    shown = [
        "n",
        *(heading for heading, _, _ in figures),
        *(f"{b} {heading}" for b, heading, _, _ in beside),
    ]
    for heading in shown:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        scores = [f"{row['n']:,}", *(_figure(row, name, spec) for _, name, spec in figures)]
        scores += [_figure(row.get("baselines", {}).get(b, {}), name, spec) for b, _, name, spec in beside]
        table.add_row(*(str(row.get(name, "")) for name in words), *scores)
    people_console(width=4000).print(table)
    typer.echo(
        f"{result['task']}: MAE, RMSE, bias, CRPS and width of the 90 % range in the row's unit;"
        f" {result['seconds']:.1f} s"
    )
    for note in result.get("notes", ()):
        typer.echo(note)


def _figure(row: dict[str, Any], name: str, spec: str) -> str:
    return format(row[name], spec) if name in row else ""
