"""`quality`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from gridmargin.interfaces.answers import quality_answer
from gridmargin.interfaces.cli.terminal import people_console
from gridmargin.interfaces.placing import zone_of
from gridmargin.vocab import InputError, Interval, parse_utc
from gridmargin.wiring import choose_source, home_folder, open_workplace, read_settings


def quality(
    zone: str, start: str, end: str, source: str, out: Path | None, data_dir: Path | None, ledger: str | None
) -> dict[str, Any]:
    """Answer `gridmargin quality`."""
    zone = zone_of(zone)
    interval = Interval(parse_utc(start, "--start"), parse_utc(end, "--end"))
    if out is not None and out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file in it")
    if out is not None and not out.parent.is_dir():
        raise InputError(f"--out {out}: the folder {out.parent} does not exist; make it first")
    settings = read_settings(ledger)
    choice = choose_source(source, settings)
    with open_workplace(home_folder(data_dir, settings), settings) as place:
        answer = quality_answer(place, choice, zone, interval)
    if out is not None:
        part = out.with_name(out.name + ".part")
        part.write_text(
            json.dumps(answer, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )
        part.replace(out)
    return answer


def show_quality(answer: dict[str, Any]) -> None:
    """Print the report for people, the verdict first."""
    console = people_console()
    interval, times = answer["interval"], answer["intervals"]
    console.print(
        f"{answer['zone']}, {interval['start_utc']} to {interval['end_utc']}, source {answer['source']}"
    )
    console.print(f"verdict: {answer['verdict']}")
    console.print(
        f"intervals: {times['n_stated']:,} of {times['n_asked']:,} stated, {times['n_missing']:,} missing,"
        f" {times['n_late']:,} late, {times['n_stated_again']:,} stated again, {times['n_changed_later']:,} changed"
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("quantity", "stated", "gaps imputed", "absent", "flagged", "usual error of imputed MW"):
        table.add_column(heading, justify="left" if heading == "quantity" else "right", no_wrap=True)
    for row in answer["quantities"]:
        error = row["imputed_error_mw"]
        table.add_row(
            row["quantity"],
            f"{row['stated_frac']:.2%}",
            f"{row['gaps_imputed_frac']:.2%}",
            f"{row['absent_frac']:.2%}",
            f"{row['n_flagged']:,}" if row["checked"] else "not checked",
            "" if error is None else f"{error:,.0f}",
        )
    console.print(table)
    _show_balance(answer["balance"])
    for flag in answer["flags"]:
        console.print(f"{flag['code']}, {flag['n']:,}: {flag['what']}")
        for row in flag["first"]:
            console.print(f"  {_flag_line(row)}")


def _show_balance(balance: dict[str, Any] | None) -> None:
    if balance is None:
        return
    size = balance["residual_mw"]
    worst = ", ".join(f"{row['start_utc']} {row['residual_mw']:+,.0f}" for row in balance["worst"])
    people_console().print(
        f"balance residual MW: p50 {size['p50']:,.0f}, p90 {size['p90']:,.0f}, max {size['max']:,.0f}; worst: {worst}"
    )


def _flag_line(row: dict[str, Any]) -> str:
    value = "" if row["value"] is None else f" {row['value']:,.1f}"
    text = (
        f"{row['start_utc']} {row['quantity']}{value}, size {row['size']:,.1f}, limit {row['threshold']:,.1f}"
    )
    if row["imputed"] is not None:
        filled = row["imputed"]
        text += (
            f"; beside it {filled['value']:,.1f} ± {filled['error_mw']:,.1f} ({filled['method']}, imputed)"
        )
    if row["cell"] is not None:
        cell = row["cell"]
        text += f"; payload {cell['payload_sha256'][:12]} row {cell['row']} column {cell['column']}"
    return text
