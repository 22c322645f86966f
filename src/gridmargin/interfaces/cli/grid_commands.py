"""`zones`, `zones where`, `now` and `ledger`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.table import Table

from gridmargin.interfaces.answers import interval_answer, ledger_answer, now_answer, zones_answer
from gridmargin.interfaces.cli.terminal import people_console
from gridmargin.interfaces.placing import (
    conflict_lines,
    data_line,
    names_lines,
    place_answer,
    place_line,
    placed,
    where_answer,
    zone_of,
)
from gridmargin.vocab import Interval, parse_utc
from gridmargin.wiring import (
    choose_source,
    home_folder,
    now_utc,
    open_workplace,
    read_settings,
    require_ledger,
)

MOST_NAMED = 9
"""Sources named in a table; `--json` has them all."""


def zones(source: str) -> dict[str, Any]:
    """Answer `gridmargin zones`."""
    return {"zones": zones_answer(choose_source(source, read_settings()))}


def show_zones(answer: dict[str, Any], *, every: bool = True) -> None:
    """Print the zones as a table; those without data too where `every` is asked for."""
    without = sum(zone["source"] is None for zone in answer["zones"])
    table = Table(box=None, pad_edge=False)
    for heading in ("zone", "name", "source", "every", "from", "to"):
        table.add_column(heading, no_wrap=True)
    for zone in answer["zones"]:
        if zone["source"] is None and not every:
            continue
        step = f"{zone['interval_s'] // 60} min" if zone["interval_s"] else ""
        table.add_row(
            zone["id"],
            zone["name"],
            _source_words(zone),
            step,
            zone["first_utc"] or "",
            zone["last_utc"] or "",
        )
    console = people_console()
    console.print(table)
    if without and not every:
        console.print(
            f"{without} more zones are known by name and have no data here; `gridmargin zones --all` lists them"
        )


def where(
    place: str, at: str | None, workload: str | None, source: str, places: Path | None, geojson: Path | None
) -> dict[str, Any]:
    """Answer `gridmargin zones where`."""
    moment = parse_utc(at, "--at") if at else now_utc()
    found = placed(place, moment, workload, places, geojson)
    return where_answer(found, choose_source(source, read_settings()))


def show_where(answer: dict[str, Any]) -> None:
    """Print where a place is, and who says so."""
    console = people_console()
    console.print(f"{answer['asked']}: {answer['zone']}, {answer['name']}", style="bold")
    rule = f"{answer['rule']}, confidence {answer['confidence']}"
    console.print(f"rule: {rule}" + (f"; {answer['place']}" if answer["place"] else ""))
    as_of = f" (as of {answer['as_of']})" if answer["as_of"] else ""
    console.print(f"source: {answer['source']}{as_of}")
    if answer["note"]:
        console.print(f"note: {answer['note']}")
    if answer["alternatives"]:
        console.print(f"may lie instead in: {', '.join(answer['alternatives'])}")
    for line in conflict_lines(answer):
        console.print(line)
    for line in _centre_lines(answer["data_centre"]):
        console.print(line)
    console.print(data_line(answer))
    for line in names_lines(answer):
        console.print(f"  {line}", style="dim")


def _centre_lines(centre: dict[str, Any] | None) -> list[str]:
    """Say what a data centre declares of itself."""
    if centre is None:
        return []
    lines = []
    for key, label in (("pue", "PUE"), ("losses_frac", "line losses")):
        if centre[key]:
            lines.append(
                f"{label}: {centre[key]['mid']:g} ({centre[key]['low']:g} to {centre[key]['high']:g}), declared"
            )
    bought = ", ".join(f"{p['share_frac']:.0%} {p['kind']}" for p in centre["procurement"])
    if bought:
        lines.append(f"procurement: {bought}; no part of a marginal or location-based figure")
    return lines


def _source_words(zone: dict[str, Any]) -> str:
    if zone["source"] is None:
        return "no data"
    return "typical days (modelled)" if zone["source"] == "reference" else str(zone["source"])


def now(
    zone: str,
    at: str | None,
    source: str,
    data_dir: Path | None,
    ledger: str | None,
    estimators: Sequence[str] = (),
    workload: str | None = None,
) -> dict[str, Any]:
    """Answer `gridmargin now`."""
    asked = parse_utc(at, "--at") if at else now_utc()
    found = placed(zone, asked, workload)
    settings = read_settings(ledger)
    choice = choose_source(source, settings)
    with open_workplace(home_folder(data_dir, settings), settings) as place:
        answer = now_answer(place, choice, found.zone, asked, stands_in=at is None, estimators=estimators)
    return answer | {"place": place_answer(found)}


def show_now(answer: dict[str, Any]) -> None:
    """Print the margin for people."""
    console = people_console()
    interval = answer["interval"]
    if answer["place"]:
        for line in (place_line(answer["place"]), *conflict_lines(answer["place"])):
            console.print(line)
    console.print(f"{answer['name']} ({answer['zone']})  {interval['start_utc']} to {interval['end_utc']}")
    console.print(f"source: {answer['source']['detail']}; status: {answer['status']}")
    if answer["note"]:
        console.print(f"note: {answer['note']}")
    for fault in answer["faults"]:
        console.print(f"flag: {fault}")
    table = Table(box=None, pad_edge=False)
    for heading in ("estimate", "g CO2/kWh", "90 % range", "on the margin", "regime"):
        table.add_column(heading, justify="right" if heading == "g CO2/kWh" else "left", no_wrap=True)
    for estimate in answer["marginal"]:
        table.add_row(*_estimate_row(estimate, f"marginal, {estimate['estimator']}"))
    if answer["published"]:
        table.add_row(
            "published rate",
            f"{answer['published']['factor_gco2_per_kwh']:.0f}",
            "",
            "",
            answer["published"]["by"],
        )
    if answer["average"]:
        table.add_row(*_estimate_row(answer["average"], "average (not marginal)"), style="dim")
    people_console().print(table)
    for line in dict.fromkeys(line for estimate in answer["marginal"] for line in _changes(estimate)):
        console.print(line)


def _changes(estimate: dict[str, Any]) -> list[str]:
    """Say which changes of the grid and which recalibration an estimate's fit knows of."""
    evidence, name = estimate["evidence"], estimate["estimator"]
    lines = [
        f"{name}: history before {change['from_utc']} ({change['what']}: {change['note']}): {change['effect']}"
        for change in evidence["grid_changes"]
    ]
    if "weights" in evidence:
        shares = ", ".join(
            f"{n} {w:.0%}" for n, w in zip(evidence["names"], evidence["weights"], strict=True)
        )
        lines.append(
            f"{name}: {shares}, by {evidence['n_scored']} intervals before, against: {evidence['against']}"
        )
    record = evidence["recalibration"]
    if record:
        lines.append(f"{name}: recalibration {record['recalibration_id']}, {record['reason']}")
    return lines


def _estimate_row(estimate: dict[str, Any], label: str) -> tuple[str, ...]:
    factor = estimate["factor_gco2_per_kwh"]
    likely = sorted(estimate["sources"], key=lambda s: -s["probability"])
    named = [f"{s['name']} {s['probability']:.0%}" for s in likely if s["probability"] >= 0.005]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    sources = ", ".join(named[:MOST_NAMED]) + more
    return (
        label,
        f"{factor['mid']:.0f}",
        f"{factor['low']:.0f} to {factor['high']:.0f}",
        sources,
        estimate["regime"],
    )


def ledger(
    zone: str,
    start: str,
    end: str | None,
    estimator: str,
    known_utc: datetime | None,
    data_dir: Path | None,
    place: str | None,
) -> dict[str, Any]:
    """Answer `gridmargin ledger show` and `as-of`."""
    zone = zone_of(zone)
    interval = _stretch(start, end)
    settings = read_settings(place)
    folder = home_folder(data_dir, settings)
    require_ledger(folder, settings, f"`gridmargin now {zone}` or `account` starts one, or give --data-dir")
    with open_workplace(folder, settings) as workplace:
        return ledger_answer(workplace.book, zone, interval, estimator, known_utc)


def _stretch(start: str, end: str | None) -> Interval:
    start_utc = parse_utc(start, "--start")
    return Interval(start_utc, parse_utc(end, "--end") if end else start_utc + timedelta(hours=1))


def refresh(
    zone: str, start: str, end: str | None, source: str, data_dir: Path | None, ledger: str | None
) -> dict[str, Any]:
    """Answer `gridmargin ledger refresh`."""
    zone = zone_of(zone)
    interval = _stretch(start, end)
    settings = read_settings(ledger)
    choice = choose_source(source, settings)
    with open_workplace(home_folder(data_dir, settings), settings) as place:
        choice = place.settle(choice, zone, interval.start_utc)
        outcome = place.factory(choice, zone, interval.start_utc).ensure(zone, interval, renew=True)
    return {
        "zone": zone,
        "interval": interval_answer(interval),
        "source": {"kind": choice.kind, "detail": choice.detail},
        "n_new": outcome.n_new,
        "notes": list(outcome.notes),
    }


def show_refresh(answer: dict[str, Any]) -> None:
    """Print what a refresh found."""
    console = people_console()
    interval = answer["interval"]
    console.print(
        f"{answer['zone']}, {interval['start_utc']} to {interval['end_utc']}: {answer['n_new']} new entries from"
        f" {answer['source']['detail']}"
    )
    for note in answer["notes"]:
        console.print(f"note: {note}")


def show_ledger(answer: dict[str, Any]) -> None:
    """Print ledger entries as a table."""
    table = Table(box=None, pad_edge=False)
    for heading in (
        "entry",
        "interval",
        "kind",
        "g CO2/kWh",
        "90 % range",
        "status",
        "source",
        "recorded",
        "supersedes",
    ):
        table.add_column(heading, no_wrap=True)
    for entry in answer["entries"]:
        factor = entry["factor_gco2_per_kwh"]
        table.add_row(
            str(entry["entry_id"]), entry["interval"]["start_utc"], entry["kind"], f"{factor['mid']:.1f}",
            f"{factor['low']:.1f} to {factor['high']:.1f}", entry["status"], entry["source"] or "", entry["recorded_utc"],
            str(entry["supersedes"] or ""),
        )  # fmt: skip
    console = people_console()
    stretch = f"{answer['interval']['start_utc']} to {answer['interval']['end_utc']}"
    console.print(
        table if answer["entries"] else f"no entries of {answer['estimator']} for {answer['zone']}, {stretch}"
    )
    for one in answer["retired"]:
        console.print(retired_words(one, answer["zone"]))


def retired_words(one: dict[str, Any], zone: str | None) -> str:
    """Say where retired entries are."""
    parts = one["zones"] if zone is None else {zone: one["zones"][zone]}
    n_entries = sum(part["n_entries"] for part in parts.values())
    start = min(part["start_utc"] for part in parts.values())
    end = max(part["end_utc"] for part in parts.values())
    return (
        f"retired at {one['recorded_utc']}: {n_entries} entries from {start} to {end}, into {one['file']}"
        f" (SHA-256 {one['sha256']})"
    )
