"""The answers that the command line and REST share, as plain JSON types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gridmargin.interfaces.stand_in import stand_in_answer, stand_in_shift
from gridmargin.ledger import (
    Book,
    Entry,
    Factors,
    Restated,
    Retirement,
    TreeHead,
    cosigned,
    n_new_since,
    restated,
)
from gridmargin.pipeline import (
    STALE_WIDENING,
    STAND_IN,
    Factory,
    Feeds,
    Freshness,
    facts_from,
    installed_mw,
    is_stale,
    moment_for,
    outside,
    quality_of,
    recipe,
)
from gridmargin.reference import known_zones, zone_named
from gridmargin.vocab import InputError, Interval, Kind, NoFactorError, Status, format_utc
from gridmargin.wiring import (
    SourceChoice,
    Workplace,
    live_adapters,
    look_for_meters,
    recorded_sources,
    said_of,
    source_for,
)

if TYPE_CHECKING:  # receipts load the query engine, which `now` has no need of
    from gridmargin.receipts import Receipt

PRIMARY = "regression"
"""The estimator that prices energy unless another is asked for."""


EVIDENCE = (
    "calibrated_against", "range_basis", "denominator", "modifiers", "names", "weights", "member_mae", "blend_mae",
    "against", "n_scored",
)  # fmt: skip
"""Parameters of a fit that are shown beside an estimate, where it has them."""


def ledger_answer(
    book: Book, zone: str, interval: Interval, estimator: str, as_of_utc: datetime | None
) -> dict[str, Any]:
    """Give the entries that cover a stretch, and the retirements that took entries of it out of the book."""
    return {
        "zone": zone,
        "interval": interval_answer(interval),
        "estimator": estimator,
        "entries": [
            entry_answer(e) for kind in Kind for e in book.entries(kind, zone, interval, estimator, as_of_utc)
        ],
        "retired": [retirement_answer(one) for one in book.retired(zone, interval)],
    }


def retirement_answer(one: Retirement) -> dict[str, Any]:
    """Give one retirement."""
    return {
        "retirement_id": one.retirement_id,
        "file": one.file,
        "sha256": one.sha256,
        "n_rows": one.n_rows,
        "before_utc": format_utc(one.before_utc),
        "zone": one.zone,
        "zones": {
            zone: interval_answer(held.interval) | {"n_entries": held.n_entries}
            for zone, held in one.holds.items()
        },
        "recorded_utc": format_utc(one.recorded_utc),
    }


def entry_answer(entry: Entry) -> dict[str, Any]:
    """Give one ledger entry."""
    estimate = entry.estimate
    basis = estimate.basis
    return {
        "entry_id": entry.entry_id,
        "kind": basis.kind.value,
        "zone": estimate.zone,
        "interval": interval_answer(estimate.interval),
        "estimator": estimate.estimator,
        "estimator_version": estimate.estimator_version,
        "factor_gco2_per_kwh": estimate.factor_gco2_per_kwh.as_dict(),
        "sources": [
            {"name": s.name, "probability": s.probability, "factor_gco2_per_kwh": s.factor_gco2_per_kwh}
            for s in estimate.sources
        ],
        "basis": {
            "kind": basis.kind.value,
            "horizon": basis.horizon.value,
            "gases": basis.gases.value,
            "boundary": basis.boundary.value,
            "view": basis.view.value,
        },
        "regime": estimate.regime,
        "status": estimate.status.value,
        "conditions": dict(entry.conditions),
        "fit_id": entry.fit_id,
        "payload_sha256s": list(entry.payload_sha256s),
        "recorded_utc": format_utc(entry.recorded_utc),
        "supersedes": entry.supersedes,
        "source": entry.source or None,
        "entry_sha256": entry.entry_sha256,
        "issued_utc": format_utc(entry.issued_utc) if entry.issued_utc else None,
        "recalibration_id": entry.recalibration_id,
    }


def head_answer(book: Book) -> dict[str, Any]:
    """Give the signed head of the log."""
    note = book.head()
    head = TreeHead.read(note)
    return {
        "origin": head.origin,
        "tree_size": head.tree_size,
        "root_sha256": head.root.hex(),
        "note": note,
        "cosigned": cosigned(book.connection, head.tree_size),
    }


def proof_answer(book: Book, kind: str, record_id: int) -> dict[str, Any]:
    """Give the proof that a record stands in the log, under a signed head."""
    note = book.head()
    proof = book.log.inclusion(kind, record_id, TreeHead.read(note).tree_size)
    return {
        "kind": kind,
        "record_id": record_id,
        "leaf_index": proof.leaf_index,
        "tree_size": proof.tree_size,
        "leaf_sha256": proof.leaf.hex(),
        "path": [step.hex() for step in proof.path],
        "head": note,
    }


def consistency_answer(book: Book, old: int) -> dict[str, Any]:
    """Give the proof that the log begins with its first `old` leaves, under a signed head."""
    note = book.head()
    size = TreeHead.read(note).tree_size
    return {
        "old_tree_size": old,
        "old_root_sha256": book.log.root(min(old, size)).hex(),
        "tree_size": size,
        "path": [step.hex() for step in book.log.consistency(old, size)],
        "head": note,
    }


MOST_RESTATED = 1_000
"""Entries that one page of `ledger diff` follows back, unless told otherwise."""


def diff_answer(
    book: Book, since_utc: datetime, zone: str | None, limit: int = MOST_RESTATED, cursor: str | None = None
) -> dict[str, Any]:
    """Give what the book says differently now from what it said at a moment, kind by kind, a page at a time.

    Raises
    ------
    InputError
        If the cursor is not one that a page gave.
    """
    kinds, after_id = list(Kind), 0
    if cursor is not None:
        name, _, number = cursor.partition("-")
        if (
            name not in [kind.value for kind in Kind]
            or not (number.isascii() and number.isdigit())
            or len(number) > 18
        ):
            raise InputError(f"cursor {cursor[:60]!r} is not one of ours; use next_cursor of the page before")
        kinds, after_id = kinds[kinds.index(Kind(name)) :], int(number)
    found: list[Restated] = []
    next_cursor = None
    for kind in kinds:
        page = restated(book, kind, since_utc, zone, after_id=after_id, limit=limit)
        found.append(page)
        if page.next_id is not None:
            next_cursor = f"{kind.value}-{page.next_id}"
            break
        limit, after_id = limit - page.frame.height, 0
        if limit <= 0 and kind is not kinds[-1]:
            next_cursor = f"{kinds[kinds.index(kind) + 1].value}-0"
            break
    return {
        "since_utc": format_utc(since_utc),
        "zone": zone,
        "n_new": sum(n_new_since(book, kind, since_utc, zone) for kind in Kind),
        "more": next_cursor is not None,
        "next_cursor": next_cursor,
        "restated": [
            {
                "kind": one.kind.value,
                "zone": row["zone"],
                "interval": interval_answer(
                    Interval.starting(datetime.fromtimestamp(row["start_s"], UTC), row["interval_s"])
                ),
                "estimator": row["estimator"],
                "source": row["source"] or None,
                **{
                    when: {
                        "entry_id": row[f"{when}_id"],
                        **{end: row[f"{when}_{end}"] for end in ("low", "mid", "high")},
                    }
                    for when in ("old", "new")
                },
                "change_mid_gco2_per_kwh": row["change_mid"],
                "why": row["why"],
            }
            for one in found
            for row in one.frame.iter_rows(named=True)
        ],
        "retired": [retirement_answer(one) for one in book.retired(zone) if one.recorded_utc > since_utc],
    }


def interval_answer(interval: Interval) -> dict[str, str]:
    """Give both ends of an interval."""
    return {"start_utc": format_utc(interval.start_utc), "end_utc": format_utc(interval.end_utc)}


def meters_answer() -> dict[str, Any]:
    """Say which instruments this machine has, and what is missing and why."""
    return {"meters": [finding.as_dict() for finding in look_for_meters()]}


def zones_answer(choice: SourceChoice) -> list[dict[str, Any]]:
    """List every known zone and what the chosen source has for it."""
    have: dict[str, Any] = {}
    if choice.kind == "reference":
        reference = source_for(choice, "US-ERCO")
        have = dict.fromkeys(reference.zones(), reference)
    elif choice.kind == "live":
        have = live_adapters()
    elif choice.folder is not None:
        have = {zone: sources[0] for zone, sources in recorded_sources(choice.folder).items()}
    rows = []
    for zone in known_zones().values():
        source = have.get(zone.id)
        span = source.span(zone.id) if source and choice.kind == "recorded" else None
        rows.append(
            {
                "id": zone.id,
                "name": zone.name,
                "kind": zone.kind,
                "country": zone.country,
                "timezone": zone.timezone,
                "parent": zone.parent,
                "latitude_deg": zone.latitude_deg,
                "longitude_deg": zone.longitude_deg,
                "source": source.name if source else None,
                "interval_s": source.interval_s(zone.id) if source else None,
                "status": ("modelled" if choice.kind == "reference" else "reported") if source else None,
                "first_utc": format_utc(span.start_utc) if span else None,
                "last_utc": format_utc(span.end_utc) if span else None,
            }
        )
    return rows


def freshness_answer(told: Freshness) -> dict[str, Any]:
    """Give how fresh one zone of one live adapter is."""
    health = told.health
    return {
        "source": told.source,
        "publisher": told.publisher,
        "zone": told.zone,
        "off": told.off,
        "cadence_s": told.cadence_s,
        "delay_s": told.delay_s,
        "newest_end_utc": _time(told.newest_end_utc),
        "age_s": told.age_s,
        "stale": told.stale,
        "tried_utc": _time(health.tried_utc),
        "succeeded_utc": _time(health.succeeded_utc),
        "failed_utc": _time(health.failed_utc),
        "error": health.fault,
        "n_failed": health.n_failed,
    }


def sources_answer(feeds: Feeds) -> list[dict[str, Any]]:
    """Give how fresh every zone of every live adapter is; one that is off says how it is turned on."""
    return [
        freshness_answer(feeds.freshness(adapter, zone))
        for adapter, _ in feeds.adapters
        for zone in adapter.zones()
    ]


def _time(moment: datetime | None) -> str | None:
    return format_utc(moment) if moment else None


def quality_answer(
    workplace: Workplace, choice: SourceChoice, zone: str, interval: Interval
) -> dict[str, Any]:
    """Say how good the data of a zone are over a stretch of time: of the source that answers at its start."""
    settled = workplace.settle(choice, zone, interval.start_utc)
    source = workplace.source(settled, zone, interval.start_utc)
    facts = facts_from(choice.folder)(zone, interval.start_utc.year - 1)
    return quality_of(source, zone, interval, installed_mw(facts.units, zone))


def now_answer(
    workplace: Workplace,
    choice: SourceChoice,
    zone: str,
    asked_utc: datetime,
    *,
    stands_in: bool,
    estimators: Sequence[str] = (),
) -> dict[str, Any]:
    """Say what is on the margin, every estimator beside the others and the average apart.

    Parameters
    ----------
    stands_in : bool
        Whether another moment of the record may answer, as for a present that no record holds.
    estimators : sequence of str
        Asked for beside the usual ones, such as `regression+storage` or `blend`.

    Raises
    ------
    NoFactorError
        If the source holds nothing for the moment and no other may stand in.
    """
    for name in estimators:
        recipe(name)
    choice = workplace.settle(choice, zone, asked_utc)
    factory = workplace.factory(choice, zone, asked_utc, estimators)
    moment, note = moment_for(factory.source, zone, asked_utc)
    if note and not stands_in:
        raise outside(factory.source, zone, asked_utc)
    interval = Interval.containing(moment, factory.source.interval_s(zone))
    answer = margin_answer(workplace, factory, choice, zone, interval)
    return asked(answer, asked_utc, note, factory, choice)


def asked(
    answer: dict[str, Any], asked_utc: datetime, note: str, factory: Factory, choice: SourceChoice
) -> dict[str, Any]:
    """Say for which moment an interval answers, by whom, and whether it only stands in.

    A live source's newest interval stands for the present as it is while its publisher is on time; a stale one is
    imputed, and its ranges are wider than what the ledger holds.
    """
    notes = [text for text in (note, answer["note"]) if text]
    kind, detail = said_of(choice, factory.source)
    stale = is_stale(factory.source, answer["zone"], asked_utc)
    on_time = kind in ("live", "archive") and not stale
    stands_in = bool(note and answer["status"] and not on_time)
    told = _widened if stale else _standing_in if stands_in else dict
    return answer | {
        "asked_utc": format_utc(asked_utc),
        "note": "; ".join(notes) or None,
        "status": Status.IMPUTED.value if stands_in else answer["status"],
        "source": {"name": factory.source.name, "kind": kind, "detail": detail},
        "stale": stale,
        "marginal": [told(estimate) for estimate in answer["marginal"]],
        "average": answer["average"] and told(answer["average"]),
    }


def _standing_in(estimate: dict[str, Any]) -> dict[str, Any]:
    """Say of an estimate that it is of another moment than the one asked for; the ledger's entry stays as it is."""
    return estimate | {"status": Status.IMPUTED.value}


def one_factor_answer(answer: dict[str, Any], estimator: str | None, kind: Kind) -> dict[str, Any]:
    """Give one factor of what is on the margin: the primary one, an estimator's, or the average.

    Raises
    ------
    NoFactorError
        If there is none of that kind and estimator.
    """
    if kind is Kind.AVERAGE:
        found = answer["average"]
    else:
        wanted = estimator or answer["primary"]
        found = next((e for e in answer["marginal"] if e["estimator"] == wanted), None)
    if found is None:
        by = f" by {estimator}" if estimator else ""
        raise NoFactorError(
            f"no {kind.value} factor{by} for {answer['zone']} from {answer['interval']['start_utc']}; ask for another"
            " estimator or moment, or see what there is under /now"
        )
    return {
        **{
            name: found[name]
            for name in ("zone", "kind", "interval", "estimator", "entry_id", "basis", "regime")
        },
        "factor_gco2_per_kwh": found["factor_gco2_per_kwh"],
        "status": answer["status"] or found["status"],
        "source": answer["source"],
        "stale": answer["stale"],
        "note": answer["note"],
    }


def _widened(estimate: dict[str, Any]) -> dict[str, Any]:
    factor = estimate["factor_gco2_per_kwh"]
    low, mid, high = factor["low"], factor["mid"], factor["high"]
    wide = {
        "low": min(mid, max(mid - STALE_WIDENING * (mid - low), min(0.0, low))),
        "mid": mid,
        "high": mid + STALE_WIDENING * (high - mid),
    }
    return estimate | {"factor_gco2_per_kwh": wide, "status": Status.IMPUTED.value}


def margin_answer(
    workplace: Workplace, factory: Factory, choice: SourceChoice, zone: str, interval: Interval
) -> dict[str, Any]:
    """Say what is on the margin in one interval, whoever asks for it."""
    outcome = factory.ensure(zone, interval)
    marginal, average = _entries_by_kind(workplace, factory, zone, interval)
    state, faults = factory.state(zone, interval)
    if not marginal and not (state and "published_marginal_rate_gco2_per_kwh" in state.values):
        raise NoFactorError(
            f"no marginal factor for {zone} at {interval}: {'; '.join(outcome.notes) or 'no data in that interval'}"
        )
    return {
        "zone": zone,
        "name": zone_named(zone).name,
        "timezone": zone_named(zone).timezone,
        "interval": interval_answer(interval),
        "source": dict(
            zip(
                ("name", "kind", "detail"),
                (factory.source.name, *said_of(choice, factory.source)),
                strict=True,
            )
        ),
        "note": "; ".join(outcome.notes) or None,
        "status": state.status.value if state else None,
        "faults": faults,
        "primary": PRIMARY
        if any(e["estimator"] == PRIMARY for e in marginal)
        else (marginal[0]["estimator"] if marginal else None),
        "marginal": marginal,
        "average": average,
        "published": {
            "factor_gco2_per_kwh": state.values["published_marginal_rate_gco2_per_kwh"],
            "by": factory.source.name,
        }
        if state and "published_marginal_rate_gco2_per_kwh" in state.values
        else None,
        "state": {
            "generation_mw": {fuel.value: value for fuel, value in state.generation_mw.items()},
            **state.values,
            "completeness_frac": state.completeness_frac,
            "status": state.status.value,
        }
        if state
        else None,
    }


def _entries_by_kind(
    workplace: Workplace, factory: Factory, zone: str, interval: Interval
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    marginal: list[dict[str, Any]] = []
    average: dict[str, Any] | None = None
    for name in dict.fromkeys((*factory.names, STAND_IN)):
        if name == STAND_IN and name not in factory.names and marginal:
            continue  # it spoke when nothing else did, and something does now
        for kind in Kind:
            for entry in workplace.book.entries(kind, zone, interval, name, source=factory.source.name):
                answer = entry_answer(entry) | {"evidence": _evidence(workplace, entry)}
                if kind is Kind.MARGINAL:
                    marginal.append(answer)
                else:
                    average = answer
    return marginal, average


def _evidence(workplace: Workplace, entry: Entry) -> dict[str, Any]:
    fit = workplace.book.fit(entry.fit_id)
    parameters: Mapping[str, Any] = fit.parameters
    return {
        "fit_id": entry.fit_id,
        "train_start_utc": format_utc(fit.train_start_utc),
        "train_end_utc": format_utc(fit.train_end_utc),
        "n_train": fit.n_train,
        "grid_changes": parameters.get("grid_changes", []),
        "recalibration": _recalibration(workplace, entry),
        **{key: parameters[key] for key in EVIDENCE if key in parameters},
    }


def _recalibration(workplace: Workplace, entry: Entry) -> dict[str, Any] | None:
    """Give the recalibration that an entry's fit came from, where it came from one."""
    estimate = entry.estimate
    for record in reversed(workplace.book.recalibrations(estimate.zone, estimate.estimator)):
        if entry.fit_id.startswith(record.new_fit_id):  # 16 digits in old records
            return {
                "recalibration_id": record.recalibration_id,
                "cause": record.cause,
                "reason": record.reason,
                "reference": record.reference,
                "recorded_utc": format_utc(record.recorded_utc),
            }
    return None


def factors_answer(
    workplace: Workplace, choice: SourceChoice, zone: str, interval: Interval, estimator: str = PRIMARY
) -> dict[str, Any]:
    """Give a stretch of factors as columns: the marginal with its range, the average apart."""
    recipe(estimator)
    factory = workplace.factory(choice, zone, interval.start_utc, (estimator,))
    shift = stand_in_shift(factory, zone, interval)
    shifted = Interval(interval.start_utc + shift, interval.end_utc + shift)
    factory.ensure(zone, shifted)
    step_s = factory.source.interval_s(zone)
    marginal = workplace.book.covering(
        Kind.MARGINAL, zone, shifted, estimator, step_s, source=factory.source.name
    )
    average = workplace.book.covering(
        Kind.AVERAGE, zone, shifted, "average", step_s, source=factory.source.name
    )
    shift_s = int(shift.total_seconds())
    return {
        "zone": zone,
        "interval_s": step_s,
        "shifted_s": shift_s,
        "marginal": _columns(marginal, shift_s) | {"estimator": estimator},
        "average": _columns(average, shift_s) | {"estimator": "average"},
        "note": f"the record of {format_utc(shifted.start_utc)} stands in" if shift_s else None,
        "stands_in": stand_in_answer(shifted, shift_s, marginal),
    }


def _columns(factors: Factors, shift_s: int) -> dict[str, Any]:
    return {
        "start_epoch_s": (factors.start_epoch_s - shift_s).tolist(),
        "low": factors.low.tolist(),
        "mid": factors.mid.tolist(),
        "high": factors.high.tolist(),
        "status": [Status.IMPUTED.value] * len(factors) if shift_s else factors.status.tolist(),
        "entry_id": factors.entry_id.tolist(),
    }


def receipt_answer(receipt: Receipt) -> dict[str, Any]:
    """Give one receipt."""
    average = receipt.average_gco2
    return {
        "receipt_id": receipt.receipt_id,
        "request_id": receipt.request_id,
        "run_id": receipt.run_id,
        "zone": receipt.zone,
        "device": receipt.device,
        "model": receipt.model,
        "tenant": receipt.tenant,
        "endpoint": receipt.endpoint,
        "service": receipt.service,
        "outcome": receipt.outcome,
        "retry_of": receipt.retry_of,
        "arrival_utc": format_utc(receipt.arrival_utc),
        "start_utc": format_utc(receipt.start_utc),
        "first_token_utc": format_utc(receipt.first_token_utc) if receipt.first_token_utc else None,
        "end_utc": format_utc(receipt.end_utc),
        "latency_s": receipt.latency_s,
        "prompt_tokens": receipt.prompt_tokens,
        "generated_tokens": receipt.generated_tokens,
        "work_units": receipt.work_units,
        "energy_j": dict(receipt.energy_j),
        "charged_energy_j": receipt.charged_energy_j,
        "marginal_energy_j": receipt.marginal_energy_j,
        "plug_energy_j": receipt.plug_energy_j,
        "energy_cost_usd": receipt.energy_cost_usd,
        "marginal_gco2": receipt.marginal_gco2.as_dict(),
        "average_gco2": average.as_dict() if average else None,
        "variance_frac": dict(receipt.variance_frac),
        "entry_ids": sorted({part.marginal_entry_id for part in receipt.slices}),
        "slices": [
            {
                "start_utc": format_utc(part.start_utc),
                "energy_j": part.energy_j,
                "plug_energy_j": part.plug_energy_j,
                "entry_id": part.marginal_entry_id,
                "average_entry_id": part.average_entry_id,
                "marginal_gco2": part.marginal_gco2,
                "average_gco2": part.average_gco2,
            }
            for part in receipt.slices
        ],
        "status": receipt.status.value,
        "factor_status": receipt.factor_status.value,
        "synthetic": receipt.run_id.startswith("s"),
        "alignment": receipt.alignment,
    }


def _idle_pays(manifest: Mapping[str, Any]) -> str:
    if "provisioned_idle" in manifest["charged"]:
        return "idle with nobody active is charged by what each was given of the steps in the same interval"
    return "idle with nobody active is told on each receipt and charged to nobody"


def assumptions_answer(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """List what the numbers rest on, each with where it stands."""
    overheads, profile = manifest["overheads"], manifest["profile"]
    plug, busbar = overheads["plug_per_device"], overheads["busbar_per_plug"]
    return [
        {"name": "zone", "value": f"{manifest['zone']}, {zone_named(manifest['zone']).name}", "source": "zones.csv"},
        {"name": "factor", "value": f"short-run marginal, direct CO2, at the busbar, by {manifest['estimator']}",
         "source": f"grid data: {manifest['source']}"},
        {"name": "energy", "value": f"modelled: {profile['device']} × {profile['model']}, {profile['stack']}, use by {profile['use_by']}",
         "source": profile["source"]},
        {"name": "shares", "value": f"{manifest['rule']}: equal share of each step's fixed and idle energy, own tokens in full",
         "source": "docs/methods/shapley.md"},
        {"name": "charged", "value": ", ".join(manifest["charged"]).replace("_", " ") + "; " + _idle_pays(manifest),
         "source": f"policy of this run: {manifest.get('charge', 'loaded')}; docs/methods/charging.md"},
        {"name": "overheads", "value": f"plug per device {plug['mid']:.3g} ({plug['low']:.3g} to {plug['high']:.3g}), busbar per plug"
         f" {busbar['mid']:.3g} ({busbar['low']:.3g} to {busbar['high']:.3g})", "source": overheads["note"]},
        {"name": "ranges", "value": "90 %; shared errors add up, causes combine in quadrature", "source": "docs/conventions.md, C6"},
    ]  # fmt: skip
