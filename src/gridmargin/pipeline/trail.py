"""From a receipt down to the raw table cells, and up again: every step is worked out anew and compared.

The log is replayed again for the energy, grams and half-widths are multiplied again from energy, factor and overheads,
the factor is estimated again from the archived payload with the stored fit, and each cell is read again from the payload's
bytes. The fit itself is taken as it stands in the ledger, with the hashes of what it was fitted on, unless it is to be
learned again: then from the archived payloads, and never from what was kept on the shelf. A step that cannot be checked, as
when the log is gone or an entry was retired, says so and counts neither for nor against.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gridmargin.grid import assemble, cells_behind
from gridmargin.ledger import Book, Entry
from gridmargin.marginal import ESTIMATORS
from gridmargin.pipeline.again import Replayed, replayed_again
from gridmargin.pipeline.derived import made_again
from gridmargin.pipeline.facts import FactsOf
from gridmargin.pipeline.learned_again import learned_again
from gridmargin.receipts import CAUSES, FILL_WIDENING, Overheads, Receipt, Slice, read_run
from gridmargin.requests import log_cells
from gridmargin.sources import Archive, Observations, Payload, cell_text, parse
from gridmargin.vocab import (
    J_PER_KWH,
    GridmarginError,
    InputError,
    Interval,
    Kind,
    Range,
    RetiredError,
    Status,
    format_utc,
)

TOLERANCE = 1e-9
"""How far a number worked out again may be from the one on the receipt, relative."""


@dataclass(slots=True)
class _Trail:
    steps: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        title: str,
        detail: str,
        *,
        equation: str = "",
        value: float | None = None,
        again: float | None = None,
        unit: str = "",
        cells: list[dict[str, Any]] | None = None,
        closes: bool | None = None,
        unchecked: bool = False,
    ) -> None:
        if closes is None and not unchecked:
            closes = (
                value is None or again is None or math.isclose(value, again, rel_tol=TOLERANCE, abs_tol=1e-15)
            )
        self.steps.append(
            {
                "title": title,
                "detail": detail,
                "equation": equation,
                "value": value,
                "again": again,
                "unit": unit,
                "closes": closes,
                "cells": cells or [],
            }
        )


def explain(
    receipt: Receipt,
    folder: Path,
    book: Book,
    archive: Archive,
    manifest: Mapping[str, Any] | None = None,
    facts_of: FactsOf | None = None,
) -> dict[str, Any]:
    """Trace a receipt.

    Parameters
    ----------
    receipt : Receipt
        What to trace.
    folder : Path
        Where the run's manifest is, unless given.
    book, archive
        Where its entries and payloads are.
    manifest : mapping, optional
        The run's manifest, where it is not written yet.
    facts_of : callable, optional
        Gives fleets and fuel rates: with it each fit is learned again too, which takes seconds.

    Returns
    -------
    dict
        `receipt_id`, `closes` (no step that was checked is off), `unverified` (titles of steps that could not be
        checked), and `steps` from the request to the cells; a step says what was stored (`value`), what came out now
        (`again`), whether the two agree (`closes`, None where not checked) and the cells it was read from.
    """
    run = manifest if manifest is not None else read_run(folder, receipt.run_id)
    trail = _Trail()
    _request(trail, receipt, run)
    _energy(trail, receipt, run)
    entries = _grams(trail, receipt, run, book)
    _halves(trail, receipt, run, book)
    _range(trail, receipt)
    for entry in entries:
        _entry(trail, entry, book, archive)
        if facts_of is not None:
            closes, detail = learned_again(entry, book, archive, facts_of)
            trail.add(
                f"learned again, entry {entry.entry_id}", detail, closes=closes, unchecked=closes is None
            )
    return {
        "receipt_id": receipt.receipt_id,
        "run_id": receipt.run_id,
        "closes": all(step["closes"] is not False for step in trail.steps),
        "unverified": [step["title"] for step in trail.steps if step["closes"] is None],
        "steps": trail.steps,
    }


def _request(trail: _Trail, receipt: Receipt, run: Mapping[str, Any]) -> None:
    log = run["log"]
    what = f"{receipt.prompt_tokens} prompt and {receipt.generated_tokens} generated tokens, arrived {format_utc(receipt.arrival_utc)}"
    if log["kind"] != "file":
        trail.add("request", f"{what}; {log['note']}")
        return
    shift = (
        f"; the whole log was shifted by {log['shift_s']:.6f} s ({run['alignment']})"
        if log["shift_s"]
        else ""
    )
    path = Path(log["path"])
    cells = [
        {
            "payload_sha256": log["sha256"],
            "row": receipt.log_row,
            "column": column,
            "text": text,
            "value": None,
        }
        for column, text in log_cells(path, log["sha256"], receipt.log_row, log["columns"]).items()
    ]
    texts = {cell["column"]: cell["text"] for cell in cells}
    columns = log["columns"]
    counts = {
        columns["prompt_tokens"]: receipt.prompt_tokens,
        columns["generated_tokens"]: receipt.generated_tokens,
    }
    same = all(int(float(texts[column])) == count for column, count in counts.items()) if cells else None
    if same and not _arrives(texts[columns["arrival"]], receipt, log["shift_s"]):
        same = False
    missing = (
        ""
        if cells
        else f"; the log {path.name} is no longer there or has changed, so its cells cannot be shown"
    )
    trail.add(
        "request",
        f"{what}, row {receipt.log_row} of {path.name}{shift}{missing}",
        cells=cells,
        closes=same,
        unchecked=same is None,
    )


def _arrives(text: str, receipt: Receipt, shift_s: float) -> bool:
    """Say whether the log's own arrival, moved as the run says, is the receipt's; to the microsecond."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return abs((moment - receipt.arrival_utc).total_seconds() + shift_s) < 2e-6


def _profiled_own(trail: _Trail, receipt: Receipt, run: Mapping[str, Any], found: Replayed | str) -> None:
    del found
    profile, parts = run["profile"], receipt.energy_j
    name = f"profile {profile['device']} × {profile['model']} ({profile['source']})"
    trail.add(
        "prefill", name, unit="J", value=parts["prefill"],
        again=receipt.prompt_tokens * profile["j_per_prefill_token"],
        equation=f"{receipt.prompt_tokens} tokens × {profile['j_per_prefill_token']:.6g} J",
    )  # fmt: skip
    n_decoded = max(receipt.generated_tokens - 1, 0) if receipt.generated_tokens else 0
    trail.add(
        "decode", f"{name}; the first token comes out of the prefill", unit="J", value=parts["decode"],
        again=n_decoded * profile["j_per_decode_token"],
        equation=f"{n_decoded} tokens × {profile['j_per_decode_token']:.6g} J",
    )  # fmt: skip


def _metered_own(trail: _Trail, receipt: Receipt, run: Mapping[str, Any], found: Replayed | str) -> None:
    evidence = run["evidence"]
    meter = evidence.get("meter")
    said = (
        f"steps {Path(evidence['steps']['path']).name}, sha256 {evidence['steps']['sha256'][:12]}, shared by"
        f" {evidence['rule']}; energy of "
        + (f"the meter {Path(meter['path']).name}, sha256 {meter['sha256'][:12]}" if meter else "the profile")
    )
    again = {} if isinstance(found, str) else dict(found.energy_j)
    if again and "work" not in receipt.energy_j:  # older receipts hold it under decode
        again["decode"] += again["work"]
    owns = [("prefill", "own tokens"), ("decode", "own tokens")]
    if receipt.work_units:
        owns.append(("work", f"{receipt.work_units:g} work units of its own"))
    for part, own in owns:
        trail.add(
            part, f"{own}; {said}", unit="J", value=receipt.energy_j[part], again=again.get(part),
            unchecked=not again,
        )  # fmt: skip


def _energy(trail: _Trail, receipt: Receipt, run: Mapping[str, Any]) -> None:
    parts = receipt.energy_j
    found = replayed_again(run, receipt.log_row, receipt.arrival_utc)
    own = _metered_own if run.get("evidence") else _profiled_own
    own(trail, receipt, run, found)
    checked = f"not replayed again: {found}" if isinstance(found, str) else "the whole log replayed again"
    shares = {
        "step fixed": (parts["step_fixed"], "equal share of the fixed energy of each step among the requests active in it"),
        "loaded idle": (parts["loaded_idle"], "equal share of the idle power during each step among those requests"),
        "provisioned idle": (
            parts.get("provisioned_idle"),
            "part of what the devices drew with nobody active, by what it was given of the steps in each interval, and of"
            f" intervals without any over the run; {_who_pays(run)}",
        ),
        "marginal energy": (receipt.marginal_energy_j, "own tokens, and the fixed energy of the steps it was alone in"),
        "latency": (receipt.latency_s, "from the arrival to the end of its last step"),
    }  # fmt: skip
    for title, (value, what) in shares.items():
        if value is None:  # of an older run, or a stream's that is not written yet
            continue
        again = None
        if not isinstance(found, str):
            again = {
                "step fixed": found.energy_j["step_fixed"],
                "loaded idle": found.energy_j["loaded_idle"],
                "provisioned idle": found.energy_j["provisioned_idle"],
                "marginal energy": found.marginal_energy_j,
                "latency": found.latency_s,
            }[title]
        trail.add(
            title, f"{what}; {checked}", unit="s" if title == "latency" else "J", value=value, again=again,
            unchecked=again is None,
        )  # fmt: skip
    pays = {part: parts[part] for part in run["charged"] if part in parts}
    charged = math.fsum(pays.values())
    names = ", ".join(part.replace("_", " ") for part in pays)
    trail.add(
        "charged energy", f"what the run's policy charges: {names}", unit="J", value=receipt.charged_energy_j,
        again=charged, equation=" + ".join(f"{v:.6g}" for v in pays.values()),
    )  # fmt: skip
    overheads = run["overheads"]
    trail.add(
        "plug energy", overheads["note"], unit="J", value=receipt.plug_energy_j,
        again=charged * overheads["plug_per_device"]["mid"],
        equation=f"{charged:.6g} J × {overheads['plug_per_device']['mid']:.4g}",
    )  # fmt: skip
    trail.add(
        "slices", "energy by interval adds up to the whole", unit="J", value=receipt.charged_energy_j,
        again=math.fsum(s.energy_j for s in receipt.slices),
        equation=" + ".join(f"{s.energy_j:.6g}" for s in receipt.slices),
    )  # fmt: skip


def _who_pays(run: Mapping[str, Any]) -> str:
    return "charged" if "provisioned_idle" in run["charged"] else "told, and charged to nobody"


def _grams(trail: _Trail, receipt: Receipt, run: Mapping[str, Any], book: Book) -> list[Entry]:
    overheads = run["overheads"]
    per_device = overheads["plug_per_device"]["mid"] * overheads["busbar_per_plug"]["mid"]
    entries: dict[int, Entry] = {}
    for part in receipt.slices:
        try:
            entry = book.entry(Kind.MARGINAL, part.marginal_entry_id)
        except RetiredError as gone:
            trail.add(
                f"grams, interval {format_utc(part.start_utc)}", str(gone), unit="g CO2", value=part.marginal_gco2,
                unchecked=True,
            )  # fmt: skip
            continue
        entries[entry.entry_id] = entry
        factor = entry.estimate.factor_gco2_per_kwh.mid
        trail.add(
            f"grams, interval {format_utc(part.start_utc)}",
            f"energy at the busbar × the marginal factor of {entry.estimate.zone}, entry {entry.entry_id}{_stands_in(entry, part)}",
            unit="g CO2", value=part.marginal_gco2, again=part.energy_j * per_device * factor / J_PER_KWH,
            equation=f"{part.energy_j:.6g} J × {per_device:.5g} × {factor:.6g} g/kWh / 3.6e6",
        )  # fmt: skip
    mid = receipt.marginal_gco2.mid
    trail.add(
        "grams", "the slices added up", unit="g CO2", value=mid,
        again=math.fsum(s.marginal_gco2 for s in receipt.slices),
        equation=" + ".join(f"{s.marginal_gco2:.6g}" for s in receipt.slices),
    )  # fmt: skip
    _average(trail, receipt, per_device, book)
    return list(entries.values())


def _stands_in(entry: Entry, part: Slice) -> str:
    start = entry.estimate.interval.start_utc
    if start == part.start_utc:
        return ""
    return f", of {format_utc(start)}, which stands in for that interval"


def _halves(trail: _Trail, receipt: Receipt, run: Mapping[str, Any], book: Book) -> None:
    """Work out again what each cause contributes to the range; timing looks at neighbours and is taken as stored."""
    overheads = run["overheads"]
    energy = run["meter"] if run.get("evidence") else run["profile"]
    plug, busbar = (Range(**overheads[name]) for name in ("plug_per_device", "busbar_per_plug"))
    per_device = plug.mid * busbar.mid
    size = math.fsum(abs(part.marginal_gco2) for part in receipt.slices)
    over = Overheads(plug, busbar, None).relative()
    for at, side in enumerate(("low", "high")):
        factor: float | None = 0.0
        for part in receipt.slices:
            try:
                entry = book.entry(Kind.MARGINAL, part.marginal_entry_id)
            except RetiredError:
                factor = None
                break
            rate = entry.estimate.factor_gco2_per_kwh
            moved = entry.estimate.interval.start_utc != part.start_utc
            # A stream's grid may be another year's: there the status alone tells a neighbour from the interval itself.
            filled = moved and (run["log"]["kind"] == "file" or receipt.factor_status is Status.IMPUTED)
            half = rate.mid - rate.low if side == "low" else rate.high - rate.mid
            if filled and side == "low":
                half = min(FILL_WIDENING * half, rate.mid - min(0.0, rate.low))
            elif filled:
                half *= FILL_WIDENING
            assert factor is not None
            factor += part.energy_j * per_device / J_PER_KWH * half
        again = {
            "factor": factor,
            "energy": size * energy[f"energy_{side}_frac"],
            "overhead": size * over[at],
        }
        for cause, value in again.items():
            trail.add(
                f"{cause}, {side}", _CAUSE_WORDS[cause], unit="g CO2",
                value=receipt.marginal_halves_gco2[f"{cause}_{side}"], again=value, unchecked=value is None,
            )  # fmt: skip


_CAUSE_WORDS = {
    "factor": "half-width due to the factor: energy at the busbar × the distance from the factor to the end of its range",
    "energy": "half-width due to the energy: grams × the relative error of the profile or the meter",
    "overhead": "half-width due to host, PUE and losses: grams × their relative errors in quadrature",
}


def _average(trail: _Trail, receipt: Receipt, per_device: float, book: Book) -> None:
    if receipt.average_gco2 is None:
        return
    terms = []
    for part in receipt.slices:
        if part.average_entry_id is not None:
            try:
                entry = book.entry(Kind.AVERAGE, part.average_entry_id)
            except RetiredError as gone:
                trail.add(
                    "average, beside it",
                    str(gone),
                    unit="g CO2",
                    value=receipt.average_gco2.mid,
                    unchecked=True,
                )
                return
            terms.append((part.energy_j, entry.estimate.factor_gco2_per_kwh.mid, entry.entry_id))
    trail.add(
        "average, beside it",
        f"what the mix would have said, by entries {', '.join(str(t[2]) for t in terms)} of the average's own table; not"
        " marginal, and never added to it (C3)",
        unit="g CO2", value=receipt.average_gco2.mid,
        again=math.fsum(energy * per_device * factor / J_PER_KWH for energy, factor, _ in terms),
        equation=" + ".join(f"{e:.6g} J × {per_device:.5g} × {f:.6g} g/kWh / 3.6e6" for e, f, _ in terms),
    )  # fmt: skip


def _range(trail: _Trail, receipt: Receipt) -> None:
    grams, halves = receipt.marginal_gco2, receipt.marginal_halves_gco2
    for side, value in (("low", grams.low), ("high", grams.high)):
        width = math.sqrt(math.fsum(halves[f"{cause}_{side}"] ** 2 for cause in CAUSES))
        floor = min(grams.mid, 0.0)
        again = max(floor, grams.mid - width) if side == "low" else grams.mid + width
        parts = " + ".join(f"{halves[f'{cause}_{side}']:.4g}² {cause}" for cause in CAUSES)
        trail.add(
            f"range, {side}", "90 %: the causes err independently, so their half-widths combine in quadrature (C6)",
            unit="g CO2", value=value, again=again,
            equation=f"{grams.mid:.6g} {'−' if side == 'low' else '+'} √({parts})",
        )  # fmt: skip


def _entry(trail: _Trail, entry: Entry, book: Book, archive: Archive) -> None:
    estimate = entry.estimate
    factor = estimate.factor_gco2_per_kwh
    trail.add(
        f"factor, entry {entry.entry_id}",
        f"{estimate.basis}; by {estimate.estimator} {estimate.estimator_version}, regime {estimate.regime}, status {estimate.status}, recorded"
        f" {format_utc(entry.recorded_utc)}; 90 % range {factor.low:.1f} to {factor.high:.1f}",
        unit="g/kWh", value=factor.mid,
        again=math.fsum(s.probability * s.factor_gco2_per_kwh for s in estimate.sources),
        equation=" + ".join(
            f"{s.probability:.4f} {s.name} × {s.factor_gco2_per_kwh:.1f}" for s in estimate.sources if s.probability
        ),
    )  # fmt: skip
    digest = book.hashed_again(Kind.MARGINAL, entry.entry_id)
    trail.add(
        f"hash, entry {entry.entry_id}",
        f"SHA-256 of the entry as it stands {digest[:16]}…, as written down {entry.entry_sha256[:16]}…",
        closes=digest == entry.entry_sha256,
    )
    fit = book.fit(entry.fit_id)
    span = f"{format_utc(fit.train_start_utc)} to {format_utc(fit.train_end_utc)}, {fit.n_train} intervals"
    try:
        again, cells = _estimate_again(entry, book, archive)
    except GridmarginError as error:
        trail.add(
            f"estimated again, entry {entry.entry_id}", f"fit {entry.fit_id} on {span}: {error}", closes=False,
            unit="g/kWh", value=factor.mid,
        )  # fmt: skip
        return
    trail.add(
        f"estimated again, entry {entry.entry_id}",
        f"state parsed anew from the archived payload; fit {entry.fit_id} on {span}",
        unit="g/kWh", value=factor.mid, again=again, cells=cells,
    )  # fmt: skip


def _estimate_again(entry: Entry, book: Book, archive: Archive) -> tuple[float, list[dict[str, Any]]]:
    estimate = entry.estimate
    fit = book.fit(entry.fit_id)
    payloads = []
    for digest in entry.payload_sha256s:
        note = book.payload(digest)
        payloads.append(Payload(note.source, note.name, archive.get(digest)))
    # Some estimators look at the intervals around; a day on either side is more than any of them needs.
    around = Interval(
        estimate.interval.start_utc - timedelta(days=1), estimate.interval.end_utc + timedelta(days=1)
    )
    observations = Observations.concat([parse(p, around) for p in payloads])
    step_s = int(estimate.interval.duration_s)
    states = assemble(observations, estimate.zone, step_s)
    if estimate.estimator in ESTIMATORS:
        estimator = ESTIMATORS.get(estimate.estimator)()
        if estimator.version != fit.estimator_version:
            raise InputError(
                f"it was made by {fit.estimator} {fit.estimator_version}, and this is {estimator.version}: "
                "estimate again with the gridmargin that wrote it"
            )
        found = estimator.estimate(states, fit)
    else:
        found = made_again(
            estimate.estimator,
            lambda zone: assemble(observations, zone, step_s),
            fit,
            book,
            entry.recorded_utc,
            entry.source,
        )
    at = found.start_epoch_s.tolist().index(int(estimate.interval.start_utc.timestamp()))
    by_digest = dict(zip(entry.payload_sha256s, payloads, strict=True))
    cells = [
        {
            "payload_sha256": observation.cell.payload_sha256,
            "payload": by_digest[observation.cell.payload_sha256].name,
            "row": observation.cell.row,
            "column": observation.cell.column,
            "text": cell_text(by_digest[observation.cell.payload_sha256], observation.cell),
            "quantity": observation.quantity,
            "value": observation.value,
        }
        for observation in cells_behind(observations, estimate.zone, estimate.interval)
    ]
    return float(found.mid[at]), cells
