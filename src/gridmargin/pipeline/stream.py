"""A stream of synthetic requests, priced as it goes; marked as synthetic wherever it shows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gridmargin.attribution import DEFAULT_CHARGE, IDLE_KEY, ProvisionedIdle, Replay, provisioned_idle
from gridmargin.ledger import Factors
from gridmargin.pipeline.account import Job, factors_for, manifest_of, overheads_for
from gridmargin.pipeline.accountant import Accountant
from gridmargin.pipeline.factors import Factory
from gridmargin.pipeline.moment import moment_for
from gridmargin.pipeline.synthetic import arrivals_between
from gridmargin.receipts import CAUSES, FILL_REACH_S, FILL_WIDENING, Receipt, ReceiptWriter, range_of, records
from gridmargin.reference import Profile
from gridmargin.requests import RequestBatch
from gridmargin.sources import KeptSource
from gridmargin.vocab import InputError, Status, format_utc, sha256_hex

Settle = Callable[[datetime], tuple[Job, Factory] | None]
"""What prices at a moment; None where it is what did until then."""

SETTLE_EVERY_S = 300
"""How often it is asked: once in the shortest interval that grids are published by. [s]"""

RATE_PER_S = 2.0
"""Mean arrivals a second. [s⁻¹]"""

WRITE_EVERY = timedelta(minutes=10)
"""How often receipts are put on disk: a file and a manifest each time. A crash loses what was drawn since."""

SHOWN = 500
"""How many receipts are held in memory for the page."""

NOTE = "synthetic: drawn at random with the token lengths of a public trace, not anybody's requests"

_HALVES = tuple(f"{cause}_{side}" for cause in CAUSES for side in ("low", "high"))
_SUMS = ("charged_energy_j", "plug_energy_j", "energy_cost_usd", "marginal_gco2", "average_gco2")


class Stream:
    """Draws arrivals up to the moment of each tick and prices what has completed.

    Parameters
    ----------
    job : Job
        Zone, profile and policy.
    factory : Factory
        Makes the factors.
    folder : Path
        Where receipts are written.
    start_utc : datetime
        When the stream begins.
    seed : int
        For the draws.
    settle : callable, optional
        Asked once an interval, so that a source which came up later takes over. Without it the stream stays on what it began with.

    Notes
    -----
    What the devices draw with nobody active is allotted when receipts are written: all of it since those before,
    among those that are. Until then a receipt says nothing of it, so a policy that charges it is refused.
    """

    def __init__(
        self,
        job: Job,
        factory: Factory,
        folder: Path,
        start_utc: datetime,
        seed: int = 0,
        settle: Settle | None = None,
    ) -> None:
        if job.charge != DEFAULT_CHARGE:
            raise InputError(
                f"a stream charges by {DEFAULT_CHARGE}, not {job.charge}: its receipts are shown before its idle is known"
            )
        self.folder = folder
        self.since_utc = start_utc
        self._settle = settle
        self._seed = seed
        self._clock_us = _us(start_utc)
        self._row = 0
        self._part = 0
        self._base = "s" + sha256_hex(f"{format_utc(start_utc)}|{job.zone}|{seed}".encode())[:8]
        self._begin_on(job, factory, start_utc)
        self._unwritten: list[pa.Table] = []
        self._recent: deque[Receipt] = deque(maxlen=SHOWN)
        self._written_utc = start_utc
        self._n = 0
        self._totals = dict.fromkeys(
            (*_SUMS, *(f"{kind}_{half}_gco2" for kind in ("marginal", "average") for half in _HALVES)), 0.0
        )

    def tick(self, now_utc: datetime) -> list[Receipt]:
        """Move on to `now_utc`; give the receipts of the requests that completed since the last tick."""
        until_us = _us(now_utc)
        if until_us <= self._clock_us:
            return []
        ended = self._settle_anew(now_utc)
        # Asked for first: where there is no factor nothing has moved yet, and the next tick catches up.
        self._accountant.factors_of(self._clock_us // 1_000_000, until_us // 1_000_000 + 1)
        drawn = arrivals_between(self._clock_us, until_us, RATE_PER_S, self._seed)
        rows = np.arange(self._row, self._row + len(drawn.arrival_us), dtype=np.int64)
        batch = RequestBatch(
            row=rows,
            arrival_us=drawn.arrival_us,
            prompt_tokens=drawn.prompt_tokens,
            generated_tokens=drawn.generated_tokens,
            words={"tenant": pa.array(drawn.tenant), "endpoint": pa.array(drawn.endpoint)},
        )
        self._row += len(rows)
        self._clock_us = until_us
        table = self._accountant.push(batch, until_us)
        found = records(table)
        self._hold(table, found)
        return [*ended, *found]

    def save(self, now_utc: datetime) -> None:
        """Put receipts on disk when it is time; what cannot be written stays in memory for the next try."""
        # A clock that was set back makes the last time lie ahead: write.
        if not timedelta(0) <= now_utc - self._written_utc < WRITE_EVERY:
            self._write()
            self._written_utc = now_utc

    def close(self) -> None:
        """Price what is still running, and write what is still held."""
        table = self._accountant.finish()
        self._hold(table, records(table))
        self._write()

    def unwritten(self) -> list[Receipt]:
        """Receipts that are not on disk yet."""
        ids = set(pa.concat_tables(self._unwritten)["receipt_id"].to_pylist()) if self._unwritten else set()
        return [receipt for receipt in self._recent if receipt.receipt_id in ids]

    def manifest(self, run_id: str) -> dict[str, Any] | None:
        """Give a run's manifest, if it is one of this stream's."""
        return self._manifests.get(run_id)

    def current_manifest(self) -> dict[str, Any]:
        """Give the manifest of the run being filled."""
        return self._manifests[self._run_id()]

    def totals(self) -> dict[str, Any]:
        """Give the sums since the stream began, ranges with shared errors kept shared (C6)."""
        sums = self._totals
        out: dict[str, Any] = {"requests": self._n, "since_utc": format_utc(self.since_utc)}
        out |= {"energy_j": sums["charged_energy_j"], "plug_energy_j": sums["plug_energy_j"]}
        out["energy_cost_usd"] = (
            sums["energy_cost_usd"] if self._accountant.overheads.price_usd_per_kwh else None
        )
        for kind in ("marginal", "average"):
            halves = {half: sums[f"{kind}_{half}_gco2"] for half in _HALVES}
            out[f"{kind}_gco2"] = range_of(sums[f"{kind}_gco2"], halves).as_dict()
        return out

    def describe(self) -> dict[str, Any]:
        """Say what this stream is."""
        return {"kind": "synthetic", "note": NOTE, "rate_per_s": RATE_PER_S, "zone": self.job.zone}

    def _begin_on(self, job: Job, factory: Factory, moment_utc: datetime) -> None:
        """Begin a run on a source."""
        self.job, self._factory = job, factory
        self._allotted_j: dict[int, float] = {}
        self._settled_slot = _seconds(moment_utc) // SETTLE_EVERY_S
        assert isinstance(job.profile, Profile)
        overheads, _ = overheads_for(job)
        replay = Replay(job.profile, factory.source.interval_s(job.zone), job.max_batch, job.n_devices)
        self._accountant = Accountant(
            self._run_id(),
            job.zone,
            job.profile,
            replay,
            self._factors_of(factors_for(factory, job)),
            overheads,
            fill=True,
            alignment=job.alignment,
        )
        self._manifests = {self._run_id(): self._manifest()}

    def _settle_anew(self, now_utc: datetime) -> list[Receipt]:
        """Move on to another source where an interval has begun and another one answers by now.

        What runs is priced to its end on the source it began on, and a run of its own begins: no run rests on two.
        """
        slot = _seconds(now_utc) // SETTLE_EVERY_S
        if self._settle is None or slot == self._settled_slot:
            return []
        settled = self._settle(now_utc)
        self._settled_slot = slot
        if settled is None or settled[1].source.name == self._factory.source.name:
            return []
        table = self._accountant.finish()
        ended = records(table)
        self._hold(table, ended)
        self._write()
        self._part += 1
        self._begin_on(*settled, now_utc)
        return ended

    def _hold(self, table: pa.Table, found: list[Receipt]) -> None:
        if found:
            self._unwritten.append(table)
            self._add(table)
            self._recent.extend(found)

    def _add(self, table: pa.Table) -> None:
        self._n += table.num_rows
        for name in self._totals:
            self._totals[name] += pc.sum(table[name]).as_py() or 0.0

    def _write(self) -> None:
        if not self._unwritten:
            return
        run_id = self._run_id()
        whole = provisioned_idle(self._accountant.replay.readings())
        idle = self._since_last(whole)
        manifest = self._manifests[run_id] | {
            "idle": {
                "key": IDLE_KEY, "provisioned_idle_j": idle.total_j, "over_run_j": idle.over_run_j,
                "allotted_j": idle.total_j,
            }
        }  # fmt: skip
        with ReceiptWriter(self.folder, run_id) as writer:
            for table in self._unwritten:
                writer.write(_with_idle(table, idle), self.job.zone)
            writer.commit(manifest)
        self._allotted_j = dict(zip(whole.slot_start_s.tolist(), whole.idle_j.tolist(), strict=True))
        self._unwritten.clear()
        self._part += 1
        self._accountant.run_id = self._run_id()
        self._manifests = {self._run_id(): self._manifest()}  # what is written is read from disk

    def _since_last(self, whole: ProvisionedIdle) -> ProvisionedIdle:
        """Give the idle since the last writing, beside what the receipts at hand were given."""
        given = [_slices(table) for table in self._unwritten]
        slot_s = np.concatenate([start_s for start_s, _ in given])
        slots = np.union1d(whole.slot_start_s, slot_s)
        steps_j = np.bincount(
            np.searchsorted(slots, slot_s), np.concatenate([j for _, j in given]), len(slots)
        )
        idle_j = np.zeros(len(slots))
        before_j = np.array([self._allotted_j.get(at, 0.0) for at in whole.slot_start_s.tolist()])
        idle_j[np.searchsorted(slots, whole.slot_start_s)] = whole.idle_j - before_j
        return ProvisionedIdle(slots, idle_j, steps_j.astype(np.float64))

    def _run_id(self) -> str:
        return f"{self._base}{self._part:05d}"

    def _manifest(self) -> dict[str, Any]:
        log = {"kind": "synthetic", "note": NOTE, "seed": self._seed, "shift_s": 0}
        manifest = manifest_of(
            self.job,
            log,
            self._run_id(),
            self.since_utc,
            self._factory.source.name,
            self._factory.source.interval_s(self.job.zone),
        )
        return manifest | {"synthetic": True}

    def _factors_of(
        self, factors_of: Callable[[int, int], tuple[Factors, Factors]]
    ) -> Callable[[int, int], tuple[Factors, Factors]]:
        """Give factors by the stream's own clock: each interval by that of the moment whose record answers for it."""
        source, zone = self._factory.source, self.job.zone
        step_s, grows = source.interval_s(zone), isinstance(source, KeptSource)

        def of(first_s: int, end_s: int) -> tuple[Factors, Factors]:
            parts: list[tuple[Factors, Factors]] = []
            # One interval more on either side: timing looks at neighbours.
            for slot_s in range((first_s // step_s - 1) * step_s, end_s + step_s, step_s):
                moment, _ = moment_for(source, zone, datetime.fromtimestamp(slot_s, UTC))
                at_s = _seconds(moment)
                found = factors_of(at_s, at_s + step_s)
                marginal, average = (_at(factors, at_s, slot_s) for factors in found)
                if grows and (at_s != slot_s or at_s not in found[0].start_epoch_s):
                    marginal, average = _standing_in(marginal), _standing_in(average)
                parts.append((marginal, average))
            return _joined([part[0] for part in parts]), _joined([part[1] for part in parts])

        return of


def _slices(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Give interval and energy of every slice of a table, receipt by receipt."""
    flat = pc.list_flatten(table["slices"]).combine_chunks()
    return flat.field("start_s").to_numpy(), flat.field("energy_j").to_numpy()


def _with_idle(table: pa.Table, idle: ProvisionedIdle) -> pa.Table:
    owner = pc.list_parent_indices(table["slices"].combine_chunks()).to_numpy()
    idle_j = np.bincount(owner, idle.allot(*_slices(table)), table.num_rows)
    at = table.schema.get_field_index("provisioned_idle_j")
    return table.set_column(at, table.schema.field(at), pa.array(idle_j))


_ARRAYS = ("start_epoch_s", "low", "mid", "high", "entry_id", "status", "view")


def _at(factors: Factors, at_s: int, slot_s: int) -> Factors:
    """Give the factor of one interval, or of its nearest, moved to where the stream is."""
    offset = slot_s - at_s
    near = np.abs(factors.start_epoch_s - at_s) <= FILL_REACH_S
    keep = near & (
        np.abs(factors.start_epoch_s - at_s) == np.abs(factors.start_epoch_s[near] - at_s).min(initial=2**62)
    )
    arrays: dict[str, Any] = {name: getattr(factors, name)[keep] for name in _ARRAYS}
    return replace(factors, **(arrays | {"start_epoch_s": arrays["start_epoch_s"] + offset}))


def _standing_in(factors: Factors) -> Factors:
    """Give the factor of an interval that stands for another, as for a gap: imputed, its range wider (C8)."""
    low, mid, high = factors.low, factors.mid, factors.high
    floor = np.minimum(0.0, low)
    return replace(
        factors,
        low=np.minimum(mid, np.maximum(mid - FILL_WIDENING * (mid - low), floor)),
        high=mid + FILL_WIDENING * (high - mid),
        status=np.full(len(factors), Status.IMPUTED.value, dtype=factors.status.dtype),
    )


def _joined(parts: list[Factors]) -> Factors:
    starts = np.concatenate([part.start_epoch_s for part in parts])
    _, first = np.unique(starts, return_index=True)
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])[first] for name in _ARRAYS
    }
    return replace(parts[0], **arrays)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)
