"""Requests in, receipts out: replay, look the factors up, price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gridmargin.attribution import (
    CHARGES,
    DEFAULT_CHARGE,
    GIVEN,
    Completed,
    Measured,
    ProvisionedIdle,
    Replay,
)
from gridmargin.ledger import Factors
from gridmargin.receipts import (
    CAUSES,
    RECEIPT_SCHEMA,
    FactorLookup,
    Overheads,
    Priced,
    look_up,
    neighbour_factors,
    price_slices,
    receipt_table,
)
from gridmargin.reference import Profile, WorkProfile
from gridmargin.requests import RequestBatch
from gridmargin.vocab import J_PER_KWH, Status

FactorsOf = Callable[[int, int], tuple[Factors, Factors]]
"""`(first slot, end) -> (marginal, average)` that cover both; seconds since 1970 UTC."""


@dataclass
class Accountant:
    """Prices one zone's requests as they complete.

    Parameters
    ----------
    run_id : str
        Stamped on every receipt; may change between pushes.
    zone : str
        Where the devices stand.
    profile : Profile or WorkProfile
        Device × model energy profile.
    replay : Replay or Measured
        Continuous batching, or what an engine and a meter say, on the zone's interval grid.
    factors_of : callable
        Gives the factors for a stretch of slots.
    overheads : Overheads
        From the device to the busbar.
    fill : bool
        Let a neighbouring interval stand in for one without a factor (C8).
    alignment : str or None
        How the log's times were moved; stamped on every receipt.
    charged : tuple of str
        Parts of the energy that are charged.
    idle : ProvisionedIdle or None
        What the devices drew with nobody active, all of the run; None where that is not known yet, and receipts leave
        their part of it open (C2).
    """

    run_id: str
    zone: str
    profile: Profile | WorkProfile
    replay: Replay | Measured
    factors_of: FactorsOf
    overheads: Overheads
    fill: bool = False
    alignment: str | None = None
    charged: tuple[str, ...] = CHARGES[DEFAULT_CHARGE]
    idle: ProvisionedIdle | None = None
    n_filled: int = 0
    """Requests so far with an interval in which a neighbour's factor stood in."""
    allotted_j: float = 0.0
    """Provisioned idle on the receipts so far. [J]"""

    def push(self, batch: RequestBatch, known_until_us: int | None = None) -> pa.Table:
        """Take requests in order of arrival; give the receipts of those that completed."""
        return self._receipts(self.replay.push(batch, known_until_us))

    def finish(self) -> pa.Table:
        """Run to the end; give the receipts still owed."""
        return self._receipts(self.replay.finish())

    def _receipts(self, done: Completed) -> pa.Table:
        n = len(done)
        if not n:
            return RECEIPT_SCHEMA.empty_table()
        step_s = self.replay.interval_s
        slots = done.slot_start_s
        marginal, average = self.factors_of(int(slots.min()), int(slots.max()) + step_s)
        parts = self._parts(done)
        charged_j = np.sum([parts[name] for name in self.charged], axis=0)
        found = look_up(marginal, slots, fill=self.fill)
        priced = self._price(done, charged_j, marginal, found)
        self.n_filled += int(np.maximum.reduceat(found.filled, done.first_slice).sum())
        beside = look_up(average, slots, fill=self.fill) if len(average) else None
        priced_average = self._price(done, charged_j, average, beside) if beside is not None else None
        per_request = {
            name: np.add.reduceat(values, done.first_slice)
            for name, values in (
                *((f"{name}_j", values) for name, values in parts.items()),
                ("charged_energy_j", charged_j),
                ("work_units", done.work_units),
            )
        }
        own_j = per_request["prefill_j"] + per_request["decode_j"] + per_request["work_j"]
        if self.idle is not None:
            self.allotted_j += float(per_request["provisioned_idle_j"].sum())
        else:
            per_request["provisioned_idle_j"] = pa.nulls(n, pa.float64())
        plug_j = per_request["charged_energy_j"] * self.overheads.plug_per_device.mid
        price = self.overheads.price_usd_per_kwh
        rows = pa.array(done.batch.row).cast(pa.string())
        words = done.batch.words
        columns: dict[str, Any] = {
            "receipt_id": pc.binary_join_element_wise(self.run_id, rows, "-"),
            "request_id": words.get("request_id", rows),
            "run_id": _same(self.run_id, n),
            "log_row": done.batch.row,
            **{
                name: words.get(name, pa.nulls(n, pa.string()))
                for name in ("tenant", "endpoint", "service", "retry_of")
            },
            "outcome": words.get("outcome", pa.nulls(n, pa.string())).dictionary_encode(),
            "model": _same(self.profile.model, n),
            "device": _same(self.profile.device, n),
            "zone": _same(self.zone, n),
            "arrival_utc": done.batch.arrival_us,
            "start_utc": _us(done.start_s),
            "first_token_utc": _us(done.first_token_s),
            "end_utc": _us(done.end_s),
            "latency_s": done.end_s - done.batch.arrival_us / 1e6,
            "prompt_tokens": done.batch.prompt_tokens,
            "generated_tokens": done.batch.generated_tokens,
            **per_request,
            "marginal_energy_j": own_j + done.alone_j,
            "plug_energy_j": plug_j,
            "energy_cost_usd": plug_j / J_PER_KWH * price if price is not None else pa.nulls(n, pa.float64()),
            "marginal_gco2": priced.gco2,
            "average_gco2": priced_average.gco2 if priced_average else pa.nulls(n, pa.float64()),
            "status": _worst_status(found.status, done, self.replay.status),
            "factor_status": _worst_status(found.status, done),
            "alignment": _same(self.alignment, n),
        }
        for kind, sums in (("marginal", priced), ("average", priced_average)):
            for cause in CAUSES:
                for side in ("low", "high"):
                    columns[f"{kind}_{cause}_{side}_gco2"] = (
                        sums.halves_gco2[f"{cause}_{side}"] if sums else pa.nulls(n, pa.float64())
                    )
        slices = {
            "start_s": slots,
            "energy_j": charged_j,
            "plug_energy_j": charged_j * self.overheads.plug_per_device.mid,
            "marginal_entry_id": found.entry_id,
            "average_entry_id": beside.entry_id if beside is not None else pa.nulls(len(slots), pa.int64()),
            "marginal_gco2": priced.slice_gco2,
            "average_gco2": priced_average.slice_gco2
            if priced_average
            else pa.nulls(len(slots), pa.float64()),
        }
        return receipt_table(columns, slices, done.first_slice, len(slots))

    def _parts(self, done: Completed) -> dict[str, NDArray[np.float64]]:
        """Give the parts of each slice. [J]"""
        parts: dict[str, NDArray[np.float64]] = {name: getattr(done, f"{name}_j") for name in GIVEN}
        if self.idle is not None:
            parts["provisioned_idle"] = self.idle.allot(
                done.slot_start_s, np.sum(list(parts.values()), axis=0)
            )
        return parts

    def _price(self, done: Completed, charged_j: Any, factors: Factors, found: FactorLookup) -> Priced:
        return price_slices(
            first_slice=done.first_slice,
            slice_request=done.slice_request,
            slot_start_s=done.slot_start_s,
            interval_s=self.replay.interval_s,
            charged_j=charged_j,
            start_s=done.start_s,
            end_s=done.end_s,
            factor=found,
            neighbours=neighbour_factors(factors, done.slot_start_s, found.mid),
            overheads=self.overheads,
            energy_relative=self.replay.energy_relative,
            timing_s=(done.end_s - done.start_s) * self.replay.timing_frac,
        )


def _same(word: str | None, n: int) -> pa.DictionaryArray:
    if word is None:
        return pa.nulls(n, pa.dictionary(pa.int32(), pa.string()))
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([word]))


def _us(seconds: Any) -> pa.Array:
    """Whole microseconds; null where a time is not known (C2)."""
    unknown = np.isnan(seconds)
    whole = np.round(np.where(unknown, 0.0, seconds) * 1e6).astype(np.int64)
    return pa.array(whole, pa.timestamp("us", "UTC"), mask=unknown)


def _worst_status(
    factor_status: NDArray[np.str_], done: Completed, energy_status: Status = Status.REPORTED
) -> pa.DictionaryArray:
    """Give the least known status of each request's slices, or that of its energy where that is less known."""
    order = [status.value for status in Status]
    names, inverse = np.unique(factor_status, return_inverse=True)
    code = np.array([order.index(name) for name in names], np.int32)[inverse]
    worst = np.maximum(np.maximum.reduceat(code, done.first_slice), np.int32(order.index(energy_status)))
    return pa.DictionaryArray.from_arrays(pa.array(worst), pa.array(order))
