"""`long-run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from gridmargin.interfaces.cli.terminal import people_console
from gridmargin.interfaces.long_run import long_run_answer, long_run_table_answer, only_one
from gridmargin.interfaces.placing import zone_of
from gridmargin.vocab import InputError
from gridmargin.wiring import choose_source, read_settings


def long_run(
    zone: str,
    *,
    year: int | None,
    weights: str,
    fleet: Path | None,
    rates: Path | None,
    region: str | None,
    start_year: int | None,
    years: int | None,
    scenario: str | None,
    spread: float | None,
    source: str,
) -> dict[str, Any]:
    """Answer `gridmargin long-run`."""
    zone = zone_of(zone)
    only_one(fleet, rates)
    of_table = {"--region": region, "--start-year": start_year, "--years": years, "--scenario": scenario, "--spread": spread}  # fmt: skip
    if rates is not None:
        if year is not None:
            raise InputError("--year is for a list of plants; a table of rates has --start-year and --years")
        return long_run_table_answer(
            zone, (rates.name, _read(rates)), region=region, start_year=start_year, evaluation_years=years,
            scenario=scenario, spread90_frac=spread,
        )  # fmt: skip
    given = [name for name, value in of_table.items() if value is not None]
    if given:
        raise InputError(f"{given[0]} asks a table of rates; give --rates FILE, or leave it out")
    folder = choose_source(source, read_settings()).folder
    plants = None if fleet is None else (fleet.name, _read(fleet))
    return long_run_answer(zone, folder, year=year, weights=weights, fleet=plants)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise InputError(f"{path}: no such file; correct the path")
    return path.read_bytes()


def show_long_run(answer: dict[str, Any]) -> None:
    """Print one line a method, with the years that it holds for."""
    console = people_console()
    about = f"; {answer['fleet']}" if answer["fleet"] else ""
    console.print(f"{answer['name']} ({answer['zone']}), long-run{about}")
    table = Table(box=None, pad_edge=False)
    for heading in ("method", "g CO2/kWh", "range", "holds for", "made of"):
        table.add_column(heading, justify="right" if heading == "g CO2/kWh" else "left")
    for row in answer["long_run"]:
        factor = row["long_run_gco2_per_kwh"]
        likely = sorted(row["sources"], key=lambda s: -s["probability"])[:4]
        table.add_row(
            row["method"], f"{factor['mid']:.0f}", f"{factor['low']:.0f} to {factor['high']:.0f}", row["holds_for"],
            ", ".join(f"{s['name']} {s['probability']:.0%}" for s in likely if s["probability"] >= 0.005),
        )  # fmt: skip
    console.print(table)
    for note in answer["notes"]:
        console.print(f"note: {note}")
    console.print(answer["use"])
