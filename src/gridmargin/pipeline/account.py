"""Price a whole request log into a folder of receipts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gridmargin.attribution import (
    DEFAULT_CHARGE,
    ENERGY_PARTS,
    GIVEN,
    IDLE_KEY,
    Measured,
    ProvisionedIdle,
    Replay,
    charged_parts,
    conserved,
    provisioned_idle,
)
from gridmargin.ledger import Factors
from gridmargin.pipeline.accountant import Accountant
from gridmargin.pipeline.factors import Factory
from gridmargin.pipeline.idling import replayed_idle
from gridmargin.pipeline.measuring import Evidence, measure
from gridmargin.receipts import Overheads, ReceiptWriter, quantiles, rollup
from gridmargin.reference import (
    Profile,
    WorkProfile,
    host_factor,
    is_model,
    line_loss,
    price_usd_per_kwh,
    pue,
)
from gridmargin.requests import RequestLog
from gridmargin.sources import KeptSource
from gridmargin.vocab import (
    Interval,
    Kind,
    NoFactorError,
    Range,
    View,
    canonical_json,
    format_utc,
    sha256_hex,
)

LEAD = timedelta(hours=1)
"""How far beyond the slots at hand factors are looked for, so that each batch does not ask anew."""


CLOCK_TOLD_S, SILENCE_TOLD_S = 0.05, 0.05
"""From when on a meter's clock, or its silence during steps, is told in a note; both are in the manifest always. [s]"""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be priced, and how.

    Attributes
    ----------
    zone, estimator : str
        Whose grid, and whose marginal factor.
    profile : Profile or WorkProfile
        The latter with evidence only.
    site : str
        Kind of site, for PUE.
    max_batch, n_devices : int
        As for `Replay`.
    fill : bool
        Fill intervals without a factor from the nearest (C8).
    alignment : str or None
        How the log's times were moved, in words; stamped on the run.
    cooling, loss : tuple of Range and str, or None
        PUE and line losses that a declared data centre states, and where; the reference tables' where None. [1]
    place : mapping or None
        How the zone was found, where it was asked for by another name; kept with the run.
    evidence : Evidence or None
        Engine steps, and a meter where there is one, in place of a replay.
    charge : str
        The operator's policy, one of `CHARGES`: which parts of the energy are charged.
    """

    zone: str
    estimator: str
    profile: Profile | WorkProfile
    site: str = "hyperscale"
    max_batch: int = 256
    n_devices: int = 1
    fill: bool = False
    alignment: str | None = None
    cooling: tuple[Range, str] | None = None
    loss: tuple[Range, str] | None = None
    place: Mapping[str, Any] | None = None
    evidence: Evidence | None = None
    charge: str = DEFAULT_CHARGE

    @property
    def rule(self) -> str:
        """By which rule the energy of steps is shared."""
        return self.evidence.rule if self.evidence else "shapley"

    def stated_overheads(self) -> list[Any]:
        """Give what a data centre states in place of the reference tables, as plain JSON."""
        stated = (("cooling", self.cooling), ("loss", self.loss))
        return [[name, figure[0].as_dict()] for name, figure in stated if figure is not None]


def overheads_for(job: Job) -> tuple[Overheads, str]:
    """Give the overheads of a job and a sentence on where they come from."""
    cooling, cooling_source = job.cooling or pue(job.site)
    loss, loss_source = job.loss or line_loss(job.zone)
    host, host_source = host_factor(job.profile.device) if job.site != "device" else (Range(1, 1, 1), "none")
    price = price_usd_per_kwh(job.zone)
    plug = Range(cooling.low * host.low, cooling.mid * host.mid, cooling.high * host.high)
    busbar = Range(1 / (1 - loss.low), 1 / (1 - loss.mid), 1 / (1 - loss.high))
    note = (
        f"host {host.mid:g} ({host_source}) × PUE {cooling.mid:g} ({cooling_source}); to the busbar 1 / (1 − {loss.mid:g})"
        f" ({loss_source})"
    )
    return Overheads(plug, busbar, price[0] if price else None), note


def manifest_of(
    job: Job, log: Mapping[str, Any], run_id: str, recorded_utc: datetime, source: str, interval_s: int
) -> dict[str, Any]:
    """Give everything needed to explain a run's receipts."""
    overheads, note = overheads_for(job)
    return {
        "run_id": run_id,
        "recorded_utc": format_utc(recorded_utc),
        "gridmargin": version("gridmargin"),
        "zone": job.zone,
        "source": source,
        "estimator": job.estimator,
        "rule": job.rule,
        "charge": job.charge,
        "charged": list(charged_parts(job.charge)),
        "profile": job.profile.as_dict(),
        "replay": {
            "max_batch": job.max_batch,
            "devices": job.n_devices,
            "mode": "replayed",
            "interval_s": interval_s,
        },
        "overheads": {
            "site": job.site,
            "plug_per_device": overheads.plug_per_device.as_dict(),
            "busbar_per_plug": overheads.busbar_per_plug.as_dict(),
            "price_usd_per_kwh": overheads.price_usd_per_kwh,
            "note": note,
        },
        "alignment": job.alignment,
        "place": dict(job.place) if job.place else None,
        "log": dict(log),
        "evidence": None,
    }


def run_id_of(job: Job, log: Mapping[str, Any]) -> str:
    """Name a run after its content: the same log priced in the same way is the same run."""
    text = canonical_json(
        [
            dict(log),
            job.zone,
            job.estimator,
            job.profile.as_dict(),
            job.site,
            job.max_batch,
            job.n_devices,
            job.fill,
            job.alignment,
            *job.stated_overheads(),
            *([job.charge] if job.charge != DEFAULT_CHARGE else []),
        ]
    )
    return "r" + sha256_hex(text.encode())[:10]


def factors_for(
    factory: Factory, job: Job, extent: Interval | None = None
) -> Callable[[int, int], tuple[Factors, Factors]]:
    """Give the function that finds, and where needed makes, the factors of a stretch of slots.

    Parameters
    ----------
    extent : Interval, optional
        What will be asked for in all, where that is known: it is made at once.
    """
    held: dict[str, Any] = {}
    source = factory.source
    step_s = source.interval_s(job.zone)

    def reach_utc() -> datetime | None:
        # What a folder holds stays; what is fetched grows while it is read.
        return source.span(job.zone).end_utc if isinstance(source, KeptSource) else None

    def factors_of(first_s: int, end_s: int) -> tuple[Factors, Factors]:
        if not held or first_s < held["from"] or end_s > held["to"] or held["reach_utc"] != reach_utc():
            reach = reach_utc()
            if extent is not None:
                first_s = min(first_s, int(extent.start_utc.timestamp()))
                end_s = max(end_s, int(extent.end_utc.timestamp()))
            start, end = datetime.fromtimestamp(first_s, UTC), datetime.fromtimestamp(end_s, UTC)
            stretch = Interval(start - LEAD, end + LEAD)
            outcome = factory.ensure(job.zone, stretch)
            marginal, average = (
                factory.book.covering(kind, job.zone, stretch, name, step_s, source=factory.source.name)
                for kind, name in ((Kind.MARGINAL, job.estimator), (Kind.AVERAGE, "average"))
            )
            if not len(marginal):
                why = "; ".join(outcome.notes) or "the source has no data there"
                raise NoFactorError(
                    f"no marginal factor by {job.estimator} for {job.zone} in {stretch}: {why}"
                )
            # What lies beyond the record stays missing, however often it is asked for.
            held.update(
                {"from": first_s - int(LEAD.total_seconds()), "to": end_s + int(LEAD.total_seconds())}
            )
            held["found"], held["reach_utc"] = (marginal, average), reach
        found: tuple[Factors, Factors] = held["found"]
        return found

    return factors_of


def account_log(
    log: RequestLog, job: Job, factory: Factory, folder: Path, on_progress: Callable[[int], None]
) -> dict[str, Any]:
    """Price every request of a log; the receipts appear in `folder` all at once.

    Parameters
    ----------
    on_progress : callable
        Called with the number of requests read since the last call.

    Returns
    -------
    dict
        The summary: `totals`, `per_request`, `per_1k_tokens`, `run_id` and the manifest.
    """
    described = {
        "kind": "file", "path": str(log.path.resolve()), "sha256": log.sha256, "n_requests": log.n_requests,
        "shift_s": log.shift_s, "columns": dict(log.columns), "model": log.model,
    }  # fmt: skip
    extent = Interval(log.first_utc, log.last_utc + LEAD)
    factors_of = factors_for(factory, job, extent)
    marginal, _ = factors_of(int(extent.start_utc.timestamp()), int(extent.end_utc.timestamp()))
    # Priced with other factors it is another run: the receipts from before stay (C9).
    identity = {key: described[key] for key in ("sha256", "shift_s", "columns")}
    identity |= {"factors": _factors_digest(factory, job, extent), "gridmargin": version("gridmargin")}
    evidence = job.evidence.as_dict() if job.evidence else None
    if evidence is not None:
        identity["evidence"] = _content_of(evidence)
    run_id = run_id_of(job, identity)
    overheads, _ = overheads_for(job)
    interval_s = factory.source.interval_s(job.zone)
    replay, idle = _replay_of(job, log, interval_s)
    accountant = Accountant(
        run_id,
        job.zone,
        job.profile,
        replay,
        factors_of,
        overheads,
        job.fill,
        job.alignment,
        charged_parts(job.charge),
        idle,
    )
    manifest = manifest_of(job, described, run_id, factory.now_utc(), factory.source.name, interval_s)
    manifest["evidence"] = evidence
    sample: list[str] = []
    with ReceiptWriter(folder, run_id) as writer:
        for batch in log.batches():
            table = accountant.push(batch)
            writer.write(table, job.zone)
            sample += table["receipt_id"].slice(0, 3 - len(sample)).to_pylist() if len(sample) < 3 else []
            on_progress(len(batch))
        table = accountant.finish()
        writer.write(table, job.zone)
        sample += table["receipt_id"].slice(0, 3 - len(sample)).to_pylist() if len(sample) < 3 else []
        manifest["replay"]["mode"] = replay.mode
        conservation_error = replay.conservation_error()
        windows = replay.readings()
        manifest["meter"] = {
            "name": "recorded" if replay.mode in ("metered", "board") else "modelled",
            "energy_j": sum(w.energy_j for w in windows),
            "dynamic_j": sum(w.dynamic_j for w in windows),
            "loaded_idle_j": sum(w.loaded_idle_j for w in windows),
            "provisioned_idle_j": sum(w.provisioned_idle_j for w in windows),
            "unused_j": sum(w.unused_j for w in windows),
            "n_steps": sum(w.n_steps for w in windows),
            "busy_frac": _busy_frac(sum(w.busy_s for w in windows), log, job.n_devices),
            "conservation_error": conservation_error,
        }
        if isinstance(replay, Measured):
            manifest["meter"] |= {
                "by_rule_j": replay.by_rule_j, "unlisted_j": replay.unlisted_j, "n_unlisted": replay.n_unlisted,
                "silent_s": replay.charged.silent_s, "clock_offset_s": dict(replay.charged.offsets_s), "costs": dict(replay.charged.costs),
                "energy_low_frac": replay.charged.low_frac, "energy_high_frac": replay.charged.high_frac,
            }  # fmt: skip
        if isinstance(replay, Replay):
            off_j = abs(accountant.allotted_j - idle.allottable_j)
            off = off_j / manifest["meter"]["energy_j"] if off_j else 0.0
            manifest["meter"]["conservation_error"] = conserved(max(conservation_error, off))
        manifest["idle"] = {
            "key": IDLE_KEY, "provisioned_idle_j": idle.total_j, "over_run_j": idle.over_run_j,
            "allotted_j": accountant.allotted_j,
        }  # fmt: skip
        manifest["views"] = sorted(set(marginal.view.tolist()))
        manifest["n_filled"] = accountant.n_filled
        manifest["work"] = _seen_from(folder, factory.archive.folder.parent)
        writer.commit(manifest)
    return summary_of(folder, run_id, manifest, sample)


def _replay_of(job: Job, log: RequestLog, interval_s: int) -> tuple[Replay | Measured, ProvisionedIdle]:
    """Give what an accountant shares, and its idle with nobody active."""
    if job.evidence:
        measured = measure(job.evidence, job.profile, interval_s)
        return measured, provisioned_idle(measured.readings())
    assert isinstance(job.profile, Profile)
    replays = [Replay(job.profile, interval_s, job.max_batch, job.n_devices) for _ in range(2)]
    return replays[0], replayed_idle(log, replays[1])


def _content_of(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Give what evidence says, wherever its files lie."""
    return {
        name: value["sha256"] if isinstance(value, Mapping) and "sha256" in value else value
        for name, value in evidence.items()
    }


def _factors_digest(factory: Factory, job: Job, extent: Interval) -> list[str]:
    """Hash the factors of a stretch and their neighbours, marginal and average."""
    stretch = Interval(extent.start_utc - LEAD, extent.end_utc + LEAD)
    step_s, source = factory.source.interval_s(job.zone), factory.source.name
    return [
        factory.book.digest(kind, job.zone, stretch, name, step_s, source)
        for kind, name in ((Kind.MARGINAL, job.estimator), (Kind.AVERAGE, "average"))
    ]


_VIEW_NOTES = {
    View.HINDCAST: "some factors are hindcasts: the record is too young for a fit from before (C10)",
    View.TYPICAL: "the grid is a typical day of its season, modelled; nothing of these intervals was observed",
    View.FORECAST: "some factors are forecasts",
}


def _factor_notes(manifest: Mapping[str, Any]) -> list[str]:
    notes = [_VIEW_NOTES[View(view)] for view in manifest["views"] if View(view) in _VIEW_NOTES]
    if manifest["n_filled"]:
        notes.append(
            f"{manifest['n_filled']:,} request(s) ran in an interval without a factor: the nearest stands in, marked"
            " imputed, its range doubled (C8)"
        )
    return notes


def _model_notes(manifest: Mapping[str, Any]) -> list[str]:
    """Say where the log names another model than the one it was priced as."""
    named, profile = manifest["log"].get("model"), manifest["profile"]
    if named is None or named == profile["model"] or is_model(profile["device"], named, profile["model"]):
        return []
    return [f"the log names the model {named!r}; priced as {profile['model']}, as asked"]


def _meter_notes(manifest: Mapping[str, Any]) -> list[str]:
    """Say what of the meter reached no request of the log."""
    meter, notes = manifest["meter"], []
    if meter.get("n_unlisted"):
        notes.append(
            f"{meter['n_unlisted']:,} request(s) of the engine's steps are not in the log: {meter['unlisted_j']:,.1f} J stay"
            " unattributed"
        )
    if meter["unused_j"]:
        notes.append(
            f"{meter['unused_j']:,.1f} J of the boards are of none of their instances and stay unattributed; the split among"
            " them is modelled, and the range of the energy spans the splits that could be defended"
        )
    skewed = {name: s for name, s in meter.get("clock_offset_s", {}).items() if abs(s) >= CLOCK_TOLD_S}
    if skewed:
        notes.append(
            "the meter's clock was set right by "
            + ", ".join(f"{-s:+.2f} s ({name})" for name, s in skewed.items())
            + ": so its readings fit the engine's steps best"
        )
    if meter.get("silent_s", 0.0) >= SILENCE_TOLD_S:
        notes.append(
            f"the meter was silent for {meter['silent_s']:,.3f} s of steps: no energy is stated for them"
        )
    return notes


def _seen_from(folder: Path, work: Path) -> str:
    """Name the folder of ledger and archive as `folder` sees it, so that both can be moved together."""
    here, there = folder.resolve(), work.resolve()
    return there.relative_to(here).as_posix() if there.is_relative_to(here) else str(there)


def _busy_frac(busy_s: float, log: RequestLog, n_devices: int) -> float:
    """Give the time in steps over the time in which requests arrived; above 1 where a queue outlived the log. [1]"""
    span_s = (log.last_utc - log.first_utc).total_seconds()
    return busy_s / (span_s * n_devices) if span_s > 0 else 0.0


def _outcomes(folder: Path, run_id: str) -> list[dict[str, Any]]:
    """Give what requests of each outcome were charged, where the log says how they ended."""
    rows = rollup(folder, ["outcome"], run_id)
    names = ("outcome", "requests", "charged_energy_j", "marginal_gco2")
    return [{name: row[name] for name in names} for row in rows]


def summary_of(folder: Path, run_id: str, manifest: Mapping[str, Any], sample: list[str]) -> dict[str, Any]:
    """Add a run up."""
    row = rollup(folder, run_id=run_id)[0]
    meter = manifest["meter"]
    tokens = row["prompt_tokens"] + row["generated_tokens"]
    marginal = row["marginal_gco2"]
    return {
        "run_id": run_id,
        "zone": manifest["zone"],
        "first_utc": row["first_utc"],
        "last_utc": row["last_utc"],
        "alignment": manifest["alignment"],
        "notes": [*_factor_notes(manifest), *_model_notes(manifest), *_meter_notes(manifest)],
        "source": manifest["source"],
        "estimator": manifest["estimator"],
        "totals": {
            "requests": row["requests"],
            "energy_j": row["charged_energy_j"],
            "plug_energy_j": row["plug_energy_j"],
            "energy_cost_usd": row["energy_cost_usd"],
            "prompt_tokens": row["prompt_tokens"],
            "generated_tokens": row["generated_tokens"],
            "marginal_gco2": marginal,
            "average_gco2": row["average_gco2"],
            "conservation_error": meter["conservation_error"],
            "provisioned_idle_j": meter["provisioned_idle_j"],
            "allotted_idle_j": row["provisioned_idle_j"],
            "meter_energy_j": meter["energy_j"],
            "unattributed_j": meter["energy_j"]
            - meter["provisioned_idle_j"]
            - sum(row[f"{part}_j"] for part in GIVEN),
            "work_units": row["work_units"],
        },
        "energy_parts_j": {part: row[f"{part}_j"] for part in ENERGY_PARTS},
        "charged": manifest["charged"],
        "outcomes": _outcomes(folder, run_id) if "outcome" in manifest["log"]["columns"] else [],
        "variance_frac": row["variance_frac"],
        "per_request_gco2": quantiles(folder, run_id),
        "per_work_unit_gco2": {k: v / row["work_units"] for k, v in marginal.items()}
        if row["work_units"]
        else None,
        "per_1k_tokens_gco2": {k: v / tokens * 1000 for k, v in marginal.items()} if tokens else None,
        "busy_frac": meter["busy_frac"],
        "example_receipts": sample,
        "manifest": dict(manifest),
    }
