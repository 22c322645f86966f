"""`forecast` and `ledger forecasts`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gridmargin.interfaces.answers import entry_answer
from gridmargin.interfaces.cli.terminal import people_console
from gridmargin.interfaces.forecasts import issued_answer, moment_to_issue
from gridmargin.interfaces.placing import zone_of
from gridmargin.ledger import Entry
from gridmargin.pipeline import (
    Reference,
    ScoredForecast,
    entries_of,
    published,
    score_forecasts,
)
from gridmargin.vocab import Interval, Kind, NotFoundError, format_utc, parse_utc
from gridmargin.wiring import (
    Workplace,
    choose_source,
    home_folder,
    now_utc,
    open_workplace,
    read_settings,
    require_ledger,
)

PUBLISHED = "published"


def forecast(
    zone: str, at: str | None, hours: int, source_text: str, data_dir: Path | None, ledger: str | None
) -> dict[str, Any]:
    """Answer `gridmargin forecast`."""
    zone = zone_of(zone)
    asked = parse_utc(at, "--at") if at else now_utc()
    settings = read_settings(ledger)
    choice = choose_source(source_text, settings)
    with open_workplace(home_folder(data_dir, settings), settings) as place:
        choice = place.settle(choice, zone, asked)
        factory = place.factory(choice, zone, asked)
        moment, note = (asked, None) if at else moment_to_issue(factory, zone, asked)
        return issued_answer(factory, zone, moment, hours, note, anew=True)


def show_forecast(answer: dict[str, Any]) -> None:
    """Print one line an hour, and when the factor is lowest."""
    console = people_console()
    console.print(
        f"{answer['name']} ({answer['zone']}), issued {answer['issued_utc']} from {answer['source']}"
    )
    if answer["note"]:
        console.print(f"note: {answer['note']}")
    table = Table(box=None, pad_edge=False)
    for heading in ("from", "g CO2/kWh", "90 % range", "likely on the margin"):
        table.add_column(heading, justify="right" if heading == "g CO2/kWh" else "left", no_wrap=True)
    shown, n_left_out, lowest = "", 0, answer["lowest"]
    for row in answer["forecasts"]:
        start = row["interval"]["start_utc"]
        if start[:13] == shown and start != lowest["interval"]["start_utc"]:
            n_left_out += 1
            continue
        shown = start[:13]
        factor = row["factor_gco2_per_kwh"]
        likely = sorted(row["sources"], key=lambda source: -source["probability"])[:3]
        table.add_row(
            start, f"{factor['mid']:.0f}", f"{factor['low']:.0f} to {factor['high']:.0f}",
            ", ".join(f"{s['name']} {s['probability']:.0%}" for s in likely if s["probability"] >= 0.005),
        )  # fmt: skip
    console.print(table)
    if n_left_out:
        console.print(f"the first interval of each hour, and the lowest; --json has {n_left_out} more")
    console.print(
        f"lowest at {lowest['interval']['start_utc']}: {lowest['factor_gco2_per_kwh']['mid']:.0f} g/kWh;"
        f" {answer['n_new']} forecasts are new in the ledger, `gridmargin ledger forecasts` scores them"
    )


def forecasts(
    zone: str,
    *,
    issued_from: str,
    issued_to: str | None,
    estimator: str | None,
    against: str,
    source: str,
    data_dir: Path | None,
    ledger: str | None,
) -> dict[str, Any]:
    """Answer `gridmargin ledger forecasts`."""
    zone = zone_of(zone)
    first = parse_utc(issued_from, "--issued-from")
    issued = Interval(first, parse_utc(issued_to, "--issued-to") if issued_to else first + timedelta(hours=1))
    settings = read_settings(ledger)
    folder = home_folder(data_dir, settings)
    require_ledger(folder, settings, "give the --data-dir that forecasts were written to")
    with open_workplace(folder, settings) as place:
        held = place.book.forecasts(zone, issued=issued, estimator=estimator)
        if not held:
            by = f" by {estimator}" if estimator else ""
            raise NotFoundError(
                f"the ledger has no forecasts of {zone}{by} issued in {issued}; widen --issued-from and --issued-to"
            )
        reference = _reference(place, zone, held, against, source)
        scored = score_forecasts(held, reference)
    return {
        "zone": zone,
        "issued_from_utc": format_utc(issued.start_utc),
        "issued_to_utc": format_utc(issued.end_utc),
        "reference": reference.name,
        "summary": _summary(scored),
        "forecasts": [
            entry_answer(found.entry)
            | {
                "horizon_s": found.horizon_s,
                "observed_gco2_per_kwh": found.observed_gco2_per_kwh,
                "error_gco2_per_kwh": found.error_gco2_per_kwh,
                "inside": found.inside,
            }
            for found in scored
        ],
    }


def _reference(place: Workplace, zone: str, held: list[Entry], against: str, source: str) -> Reference:
    span = Interval(
        min(entry.estimate.interval.start_utc for entry in held),
        max(entry.estimate.interval.end_utc for entry in held),
    )
    if against != PUBLISHED:
        return entries_of(place.book, Kind.MARGINAL, zone, span, against)
    factory = place.factory(choose_source(source, read_settings()), zone, span.start_utc)
    found = published(factory, zone, span)
    if found is None:
        raise NotFoundError(
            f"{factory.source.name} publishes no marginal rate for {zone} in {span}; give another --source or --against"
        )
    return found


def _summary(scored: list[ScoredForecast]) -> dict[str, Any]:
    errors = [f.error_gco2_per_kwh for f in scored if f.error_gco2_per_kwh is not None]
    n = len(errors)
    return {
        "n": len(scored),
        "n_observed": n,
        "mae_gco2_per_kwh": sum(map(abs, errors)) / n if n else None,
        "bias_gco2_per_kwh": sum(errors) / n if n else None,
        "coverage_frac": sum(bool(f.inside) for f in scored if f.inside is not None) / n if n else None,
    }


def show_forecasts(answer: dict[str, Any]) -> None:
    """Print forecasts beside what was observed."""
    table = Table(box=None, pad_edge=False)
    for heading in (
        "issued",
        "interval",
        "estimator",
        "forecast",
        "90 % range",
        "observed",
        "error",
        "inside",
    ):
        right = heading in ("forecast", "observed", "error")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    for row in answer["forecasts"]:
        factor, observed = row["factor_gco2_per_kwh"], row["observed_gco2_per_kwh"]
        table.add_row(
            row["issued_utc"], row["interval"]["start_utc"], row["estimator"], f"{factor['mid']:.1f}",
            f"{factor['low']:.1f} to {factor['high']:.1f}", "" if observed is None else f"{observed:.1f}",
            "" if observed is None else f"{row['error_gco2_per_kwh']:+.1f}",
            "" if observed is None else ("yes" if row["inside"] else "no"),
        )  # fmt: skip
    Console(width=max(140, Console().width)).print(table)
    summary = answer["summary"]
    scores = (
        f"; MAE {summary['mae_gco2_per_kwh']:.1f}, bias {summary['bias_gco2_per_kwh']:+.1f} g/kWh, inside the range"
        f" {summary['coverage_frac']:.0%}"
        if summary["n_observed"]
        else ""
    )
    people_console().print(
        f"{summary['n']} forecasts of {answer['zone']}, {summary['n_observed']} observed by {answer['reference']}{scores}"
    )
