"""`account` and `explain`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from gridmargin.attribution import DEFAULT_CHARGE, charged_parts
from gridmargin.interfaces.account import alignment_text
from gridmargin.interfaces.cli.terminal import people_console, progress_bar
from gridmargin.interfaces.placing import conflict_lines, place_answer, place_line, placed_throughout
from gridmargin.interfaces.recent import recent_folders, remember
from gridmargin.interfaces.units import energy_text, grams_text
from gridmargin.pipeline import Job, account_log, evidence, facts_from, profile_named, recipe
from gridmargin.pipeline import explain as explain_receipt
from gridmargin.places import Placed, overheads_of
from gridmargin.receipts import find_receipt, read_run, write_json
from gridmargin.reference import pue
from gridmargin.requests import read_log
from gridmargin.vocab import InputError, NotFoundError, parse_utc
from gridmargin.wiring import (
    choose_source,
    has_ledger,
    home_folder,
    now_utc,
    open_places,
    open_workplace,
    read_settings,
    recent_file,
)

DEFAULT_SITE = "hyperscale"
"""Kind of site where neither the command nor a declared data centre says one."""

OVERLOADED = 1.02
"""Busy time over the span of a log above which its devices could not keep up. [1]"""


def account(
    *,
    requests: Path,
    zone: str,
    device: str,
    model: str,
    out: Path,
    align_to: str | None,
    estimator: str,
    n_devices: int,
    max_batch: int,
    site: str | None,
    fill_gaps: bool,
    source: str,
    data_dir: Path | None,
    ledger: str | None,
    quiet: bool,
    workload: str | None = None,
    places: Path | None = None,
    geojson: Path | None = None,
    steps: Path | None = None,
    meter: Path | None = None,
    meter_every_s: float | None = None,
    meter_modulus_j: float | None = None,
    meter_most_w: float | None = None,
    rule: str | None = None,
    meter_field: str | None = None,
    charge: str = DEFAULT_CHARGE,
    instances: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Answer `gridmargin account`."""
    measured = evidence(
        steps, meter, meter_every_s, meter_modulus_j, meter_most_w, rule, meter_field, instances
    )
    charged_parts(charge)
    settings = read_settings(ledger)
    registry = open_places(settings, places, geojson)
    registry.where(zone, now_utc(), workload)
    profile = profile_named(device, model, measured)
    pue(site or DEFAULT_SITE)
    recipe(estimator)
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; give a folder")
    align_utc = parse_utc(align_to, "--align-to") if align_to else None
    choice = choose_source(source, settings)
    log = read_log(requests, align_utc)
    found = placed_throughout(registry, zone, log.first_utc, log.last_utc, workload)
    zone, stated = found.zone, _stated(found, site)
    job = Job(
        zone, estimator, profile, site or DEFAULT_SITE, max_batch, n_devices, fill_gaps, alignment_text(align_to),
        cooling=stated.get("cooling"), loss=stated.get("loss"), place=place_answer(found), evidence=measured,
        charge=charge,
    )  # fmt: skip
    fresh = not out.exists()
    work = data_dir or out / "work"
    try:
        with (
            open_workplace(work, settings) as place,
            progress_bar("pricing requests", log.n_requests, quiet=quiet) as advance,
        ):
            choice = place.settle(choice, zone, log.first_utc)
            summary = account_log(
                log, job, place.factory(choice, zone, log.first_utc, (estimator,)), out, advance
            )
    except BaseException:
        # The folder was not there before: nothing of a run that failed is left behind.
        if fresh and data_dir is None:
            shutil.rmtree(out, ignore_errors=True)
        raise
    summary["out"] = str(out)
    summary["source_detail"] = choice.detail
    write_json(out / "summary.json", summary)
    remember(recent_file(), out)
    return summary


def _stated(found: Placed, site: str | None) -> Mapping[str, Any]:
    """Give the overheads that a declared data centre states; a kind of site beside its PUE would hide one of the two."""
    stated = overheads_of(found.centre)
    if site is not None and "cooling" in stated and found.centre is not None:
        raise InputError(
            f"--site {site} and {found.centre.where} both state a PUE; leave --site out, or the PUE of the data centre"
        )
    return stated


def show_account(summary: dict[str, Any]) -> None:
    """Print the totals for people, marginal and average side by side."""
    totals, console = summary["totals"], people_console()
    manifest = summary["manifest"]
    console.print(
        f"{totals['requests']:,} requests in {summary['zone']}, {summary['first_utc']} to {summary['last_utc']}\n"
        f"grid: {summary['source_detail']}; energy: {_energy_source(manifest)}"
    )
    if manifest["place"]:
        for line in (place_line(manifest["place"]), *conflict_lines(manifest["place"])):
            console.print(line)
    if summary["alignment"]:
        console.print(f"alignment: {summary['alignment']}")
    for note in summary["notes"]:
        console.print(f"note: {note}")
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("CO2", justify="right")
    table.add_column("90 % range", justify="right")
    for label, key, style in (
        ("marginal (caused)", "marginal_gco2", ""),
        ("average (not marginal)", "average_gco2", "dim"),
    ):
        grams = totals[key]
        if grams:
            table.add_row(
                label,
                grams_text(grams["mid"]),
                f"{grams_text(grams['low'])} to {grams_text(grams['high'])}",
                style=style,
            )
    people_console().print(table)
    per = summary["per_request_gco2"]
    per_1k, per_work = summary["per_1k_tokens_gco2"], summary["per_work_unit_gco2"]
    console.print(
        f"per request: p50 {grams_text(per['p50'])}, p95 {grams_text(per['p95'])}"
        + (
            f"; per 1,000 tokens: {grams_text(per_1k['mid'])} ({grams_text(per_1k['low'])} to {grams_text(per_1k['high'])})"
            if per_1k
            else ""
        )
        + (f"; per work unit: {grams_text(per_work['mid'])}" if per_work else "")
    )
    console.print(_energy_line(summary))
    for row in summary["outcomes"]:
        console.print(
            f"{row['outcome'] or 'outcome not known'}: {row['requests']:,} requests, {energy_text(row['charged_energy_j'])},"
            f" {grams_text(row['marginal_gco2']['mid'])}"
        )
    cost = totals["energy_cost_usd"]
    console.print(
        f"energy at the plug: {energy_text(totals['plug_energy_j'])}"
        + (f", {cost:.3g} USD" if cost is not None else "")
    )
    shares = ", ".join(f"{cause} {share:.0%}" for cause, share in summary["variance_frac"].items())
    console.print(f"what the range comes from: {shares}")
    if summary["busy_frac"] > OVERLOADED and not manifest["evidence"]:
        n_devices = manifest["replay"]["devices"]
        console.print(
            f"note: {n_devices} device(s) would need {summary['busy_frac']:.1f} times the span of this log to serve it, so"
            " requests wait; give more --devices if there were more"
        )
    console.print(
        f"receipts: {summary['out']}; trace one with: gridmargin explain {summary['example_receipts'][0]} --out {summary['out']}"
    )


def _energy_line(summary: Mapping[str, Any]) -> str:
    """Say what was charged, part by part, and what was charged to nobody."""
    totals, parts = summary["totals"], dict(summary["energy_parts_j"])
    if not parts["work"]:
        del parts["work"]
    charged = ", ".join(
        f"{name.replace('_', ' ')} {energy_text(parts[name])}" for name in summary["charged"] if name in parts
    )
    if "provisioned_idle" not in summary["charged"]:
        parts["provisioned_idle"] = totals["provisioned_idle_j"]
    others = "".join(
        f"; {name.replace('_', ' ')}, charged to nobody: {energy_text(value)}"
        for name, value in parts.items()
        if name not in summary["charged"]
    )
    return (
        f"energy at the device: {energy_text(totals['energy_j'])} ({charged}){others}; unattributed:"
        f" {energy_text(max(totals['unattributed_j'], 0.0))}; conservation error {totals['conservation_error']:.1e}"
    )


def _energy_source(manifest: Mapping[str, Any]) -> str:
    profile, evidence_ = manifest["profile"], manifest["evidence"]
    said = f"profile {profile['device']} × {profile['model']}, {profile['source']}"
    if not evidence_:
        return said
    steps = f"steps {Path(evidence_['steps']['path']).name}, shared by {evidence_['rule']}"
    return (
        f"meter {Path(evidence_['meter']['path']).name}, {steps}"
        if "meter" in evidence_
        else f"{steps}, {said}"
    )


def explain(
    receipt_id: str,
    out: Path | None,
    data_dir: Path | None,
    ledger: str | None,
    refit_source: str | None = None,
) -> dict[str, Any]:
    """Answer `gridmargin explain`; with a source for fleets and fuel rates each fit is learned again."""
    settings = read_settings(ledger)
    facts_of = facts_from(choose_source(refit_source, settings).folder) if refit_source else None
    folders = [f for f in (out, data_dir) if f is not None] or [
        home_folder(None, settings), *recent_folders(recent_file())
    ]  # fmt: skip
    for folder in folders:
        try:
            receipt = find_receipt(folder, receipt_id)
        except NotFoundError:
            continue
        work = _work_folder(folder, receipt.run_id, data_dir, ledger)
        with open_workplace(work, settings) as place:
            return explain_receipt(receipt, folder, place.book, place.archive, facts_of=facts_of)
    raise NotFoundError(
        f"no receipt {receipt_id} in {', '.join(str(f) for f in folders)}; check the id, or say where it is with --out or --data-dir"
    )


def _work_folder(receipts: Path, run_id: str, data_dir: Path | None, ledger: str | None) -> Path:
    """Where the entries of a run are: as the user says, else as the run says, seen from its receipts."""
    said = receipts / read_run(receipts, run_id).get("work", ".")
    for folder in (data_dir, said):
        if folder is not None and has_ledger(folder, read_settings(ledger)):
            return folder
    raise NotFoundError(
        f"no ledger in {said}, where run {run_id} had it; say where it is now with --data-dir"
    )


def show_explain(answer: dict[str, Any]) -> None:
    """Print the trail, from the request down to the cells."""
    console = people_console()
    console.print(f"receipt {answer['receipt_id']}")
    for step in answer["steps"]:
        mark = "≠" if step["closes"] is False else "=" if step["closes"] else "?"
        value = "" if step["value"] is None else f"  {step['value']:.6g} {step['unit']}"
        console.print(f"\n{step['title']}{value}", style="bold")
        console.print(f"  {step['detail']}")
        if step["equation"]:
            console.print(f"  {mark} {step['equation']}")
        if step["again"] is not None and not step["equation"]:
            console.print(f"  {mark} {step['again']:.6g} {step['unit']} worked out again")
        for cell in step["cells"]:
            shown = "" if cell.get("value") is None else f" → {cell['quantity']} {cell['value']:g}"
            console.print(
                f"    {cell.get('payload', 'request log')} {cell['payload_sha256'][:12]} row {cell['row']}, column"
                f" {cell['column']}: {cell['text']!r}{shown}"
            )
    console.print(f"\n{_verdict(answer)}", style="bold")


def _verdict(answer: dict[str, Any]) -> str:
    if not answer["closes"]:
        return "SOME STEPS DO NOT CLOSE"
    if answer["unverified"]:
        return f"every step that could be checked closes; not checked: {', '.join(answer['unverified'])}"
    return "every step closes"
