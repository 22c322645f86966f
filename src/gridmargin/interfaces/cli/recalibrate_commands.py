"""`recalibrate` and `declare`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gridmargin.interfaces.answers import interval_answer
from gridmargin.interfaces.cli.terminal import people_console
from gridmargin.interfaces.placing import zone_of
from gridmargin.ledger import Declaration, GridChange
from gridmargin.pipeline import Checked, checkable, recalibrate
from gridmargin.vocab import GridmarginError, InputError, Interval, NotFoundError, format_utc, parse_utc
from gridmargin.wiring import (
    Workplace,
    choose_source,
    home_folder,
    now_utc,
    open_workplace,
    read_settings,
    require_ledger,
    zones_of,
)


def recalibrated(
    zone: str | None,
    *,
    estimator: str | None,
    against: str,
    start: str | None,
    end: str | None,
    force: bool,
    reason: str | None,
    source: str,
    data_dir: Path | None,
    ledger: str | None,
) -> dict[str, Any]:
    """Answer `gridmargin recalibrate`."""
    if zone is not None:
        zone = zone_of(zone)
    if force and not (reason or "").strip():
        raise InputError("--force needs --reason; say why the estimator is to be fitted again without drift")
    if reason is not None and not force:
        raise InputError("--reason goes with --force; without it the drift that was found is the reason")
    if (start is None) != (end is None):
        raise InputError("--from and --to go together; give both, or neither for everything in the ledger")
    stretch = Interval(parse_utc(start, "--from"), parse_utc(end, "--to")) if start and end else None
    settings = read_settings(ledger)
    choice = choose_source(source, settings)
    folder = home_folder(data_dir, settings)
    require_ledger(folder, settings, "`gridmargin now ZONE` starts one, or give --data-dir")
    checked: list[Checked] = []
    notes: list[str] = []
    with open_workplace(folder, settings) as place:
        zones = [zone] if zone else [z for z in place.book.zones() if z in zones_of(choice)]
        for each in zones:
            factory = place.factory(choice, each, stretch.start_utc if stretch else None)
            for name in _estimators(place, each, estimator, notes if not (zone and estimator) else None):
                try:
                    checked.append(
                        recalibrate(factory, each, name, stretch, against, reason if force else None)
                    )
                except GridmarginError as error:
                    if zone and estimator:
                        raise
                    notes.append(f"{each}, {name}: {error}")
    if not checked:
        raise NotFoundError(
            "; ".join(notes) or f"the ledger {folder} has no zone that the source has data for; give ZONE"
        )
    return {"checked": [_checked_answer(found) for found in checked], "notes": notes}


def _estimators(place: Workplace, zone: str, asked: str | None, notes: list[str] | None) -> list[str]:
    if asked is not None:
        return [asked]
    found = checkable(place.book, zone)
    if not found and notes is not None:
        notes.append(f"{zone}: the ledger has no marginal entries; `gridmargin now {zone}` makes some")
    return found


def _checked_answer(checked: Checked) -> dict[str, Any]:
    watch, record = checked.watch, checked.recalibration
    return {
        "zone": checked.zone,
        "estimator": checked.estimator,
        "reference": checked.reference,
        "drift": bool(watch and watch.events),
        "watch": None if watch is None else {
            "n": watch.n, "n_blocks": watch.n_blocks, "block_s": watch.block_s,
            "correlation_s": watch.correlation_s, "coverage_frac": watch.coverage_frac,
            "recent_coverage_frac": watch.recent_coverage_frac, "bias_gco2_per_kwh": watch.bias,
        },
        "events": [] if watch is None else [
            {**event.as_dict(), "time_utc": _utc(event.time_epoch_s), "since_utc": _utc(event.since_epoch_s)}
            for event in watch.events
        ],
        "recalibration": None if record is None else {
            "recalibration_id": record.recalibration_id, "cause": record.cause, "reason": record.reason,
            "interval": interval_answer(record.interval), "old_fit_id": record.old_fit_id,
            "new_fit_id": record.new_fit_id, "changes": dict(record.changes),
            "recorded_utc": format_utc(record.recorded_utc),
        },
        "n_superseded": checked.n_superseded,
        "note": checked.note,
    }  # fmt: skip


def _utc(epoch_s: int) -> str:
    return format_utc(datetime.fromtimestamp(epoch_s, UTC))


def show_recalibrated(answer: dict[str, Any]) -> None:
    """Print what was found and what was changed."""
    console = people_console()
    for found in answer["checked"]:
        watch = found["watch"]
        seen = (
            f", {watch['n']} intervals in {watch['n_blocks']} blocks of {watch['block_s'] // 86_400} d: coverage"
            f" {watch['coverage_frac']:.1%}, lately {watch['recent_coverage_frac']:.1%}, reference lies"
            f" {watch['bias_gco2_per_kwh']:+.1f} g/kWh from the estimate"
            if watch
            else ""
        )
        console.print(f"{found['zone']}, {found['estimator']} against {found['reference']}{seen}")
        console.print(f"  {found['note']}")
        for event in found["events"]:
            console.print(
                f"  drift: {event['cause']} in regime {event['regime']} since {event['since_utc']}, known at"
                f" {event['time_utc']}, R = {event['statistic']:.3g} ≥ {event['threshold']:.3g}"
            )
        record = found["recalibration"]
        if record:
            console.print(
                f"  recalibration {record['recalibration_id']}: fit {record['old_fit_id']} → {record['new_fit_id']},"
                f" {record['interval']['start_utc']} to {record['interval']['end_utc']},"
                f" {len(record['changes'])} parameters changed"
            )
    for note in answer["notes"]:
        console.print(f"note: {note}")


def declare(
    zone: str, what: str, from_text: str, note: str, data_dir: Path | None, ledger: str | None
) -> dict[str, Any]:
    """Answer `gridmargin declare`."""
    zone = zone_of(zone)
    from_utc = parse_utc(from_text, "--from")
    said = Declaration(zone, GridChange(what), from_utc, note.strip(), now_utc())
    settings = read_settings(ledger)
    with open_workplace(home_folder(data_dir, settings), settings) as place:
        number = place.book.declare(said)
        held = next(d for d in place.book.declarations(zone) if d.declaration_id == number)
    return {
        "declaration_id": number,
        "zone": zone,
        "what": held.what.value,
        "from_utc": format_utc(held.from_utc),
        "note": held.note,
        "recorded_utc": format_utc(held.recorded_utc),
    }


def show_declared(answer: dict[str, Any]) -> None:
    """Print the declaration as it stands in the ledger."""
    people_console().print(
        f"declaration {answer['declaration_id']}: {answer['what']} of {answer['zone']} from {answer['from_utc']}:"
        f" {answer['note']} (recorded {answer['recorded_utc']})"
    )
