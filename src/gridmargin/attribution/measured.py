"""Requests of a log with the energy of the steps in which an engine says that they took part."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gridmargin.attribution.charged import Charged
from gridmargin.attribution.charging import conserved
from gridmargin.attribution.completed import Completed, no_requests
from gridmargin.attribution.rule import PARTS, Rule
from gridmargin.attribution.tally import Tally
from gridmargin.meters import MeterWindow
from gridmargin.requests import RequestBatch
from gridmargin.vocab import InputError, Status

FloatArray = NDArray[np.float64]


class Measured:
    """Shares by request, for an accountant that passes the log through in batches; takes the place of a `Replay`.

    Parameters
    ----------
    charged : Charged
    rule : Rule
    interval_s : int
        Grid on which energy is split. [s]
    """

    def __init__(self, charged: Charged, rule: Rule, interval_s: int) -> None:
        self.charged = charged
        self.interval_s = interval_s
        tally = Tally(rule, interval_s)
        parts = [tally.push(charged.steps, charged.energy), tally.finish()]
        self._held = pl.concat(parts).sort("request_id", "slot_start_s")
        self._error = tally.conservation_error()
        self.by_rule_j = tally.unattributed_j
        """What the rule left with nobody. [J]"""
        self._ids = self._held["request_id"].unique(maintain_order=True)
        self._first = np.searchsorted(
            self._held["request_id"].rle_id().to_numpy(), np.arange(len(self._ids) + 1)
        )
        self._listed = np.zeros(len(self._ids), bool)

    @property
    def mode(self) -> str:
        """`metered`, `board` where the meter saw several instances together, or `profile` where no meter spoke."""
        return self.charged.how

    @property
    def energy_relative(self) -> tuple[float, float]:
        """90 % half-widths of the energy, low and high, relative. [1]"""
        return self.charged.low_frac, self.charged.high_frac

    @property
    def timing_frac(self) -> float:
        """How far a request's times may be off, relative to their length: an engine's own are what they are. [1]"""
        return 0.0

    @property
    def status(self) -> Status:
        """What is known of the energy."""
        return self.charged.status

    @property
    def unlisted_j(self) -> float:
        """Energy of requests that the steps name and the log, so far, does not. [J]"""
        rows = np.repeat(~self._listed, np.diff(self._first))
        return float(self._held.filter(pl.Series(rows)).select(PARTS).sum().sum_horizontal().item())

    @property
    def n_unlisted(self) -> int:
        """How many of them. [1]"""
        return int((~self._listed).sum())

    def push(self, batch: RequestBatch, known_until_us: int | None = None) -> Completed:
        """Give the requests of a batch with what the steps say of them; one that no step names drew nothing.

        Raises
        ------
        InputError
            If the log has no `request_id`, without which steps and requests cannot be brought together.
        """
        del known_until_us
        if "request_id" not in batch.words:
            raise InputError(
                "the log has no column request_id; engine steps name requests by id, so give each request its id"
            )
        n = len(batch)
        at = pc.index_in(
            batch.words["request_id"].cast(pa.string()), value_set=pa.array(self._ids.to_list(), pa.string())
        )
        place = at.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        named = place >= 0
        self._listed[place[named]] = True
        counts = np.where(named, np.diff(self._first)[np.maximum(place, 0)] if len(self._ids) else 0, 1)
        first = np.cumsum(counts) - counts
        owner = np.repeat(np.arange(n), counts)
        row = np.repeat(np.where(named, self._first[np.maximum(place, 0)], 0) - first, counts) + np.arange(
            len(owner)
        )
        has = np.repeat(named, counts)
        arrival_s = batch.arrival_us / 1e6
        arrival_slot = batch.arrival_us // (self.interval_s * 1_000_000) * self.interval_s

        def column(name: str, otherwise: FloatArray | float = 0.0) -> FloatArray:
            values = self._held[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
            taken = values[np.where(has, row, 0)] if len(values) else np.zeros(len(owner))
            return np.where(has, taken, np.broadcast_to(otherwise, n)[owner])

        def each(name: str, choose: np.ufunc) -> FloatArray:
            return np.asarray(choose.reduceat(column(name, np.nan), first)) if n else np.empty(0)

        decoding, prefilled = each("decoding_us", np.fmin), each("prefilled_us", np.fmax)
        ended = arrival_s if batch.end_us is None else batch.end_us / 1e6
        return Completed(
            batch=batch,
            start_s=np.where(named, each("start_us", np.fmin) / 1e6, arrival_s),
            first_token_s=np.where(np.isnan(decoding), prefilled, decoding) / 1e6,
            end_s=np.where(named, each("end_us", np.fmax) / 1e6, ended),
            alone_j=np.add.reduceat(column("alone_j"), first) if n else np.empty(0),
            first_slice=first,
            slice_request=owner,
            slot_start_s=column("slot_start_s", arrival_slot.astype(np.float64)).astype(np.int64),
            prefill_j=column("prefill_j"),
            decode_j=column("decode_j"),
            work_j=column("work_j"),
            step_fixed_j=column("step_fixed_j"),
            loaded_idle_j=column("loaded_idle_j"),
            work_units=column("work_units"),
        )

    def finish(self) -> Completed:
        """Give nothing: every request was handed over with its batch."""
        none, no_index = np.empty(0), np.empty(0, np.int64)
        return Completed(
            no_requests(),
            none,
            none,
            none,
            none,
            no_index,
            no_index,
            no_index,
            none,
            none,
            none,
            none,
            none,
            none,
        )

    def readings(self) -> list[MeterWindow]:
        """Give what the meter said by group and interval."""
        steps, energy, length_us = self.charged.steps, self.charged.energy, self.interval_s * 1_000_000
        dynamic_j = energy.total_j - energy.loaded_idle_j
        between = self.charged.between_us // length_us
        found = []
        for number in range(len(steps.groups)):
            mine = steps.group == number
            slots, slot = np.unique(steps.start_us[mine] // length_us, return_inverse=True)
            sums = [
                np.bincount(slot, column[mine], len(slots))
                for column in (dynamic_j, energy.loaded_idle_j, steps.duration_s, steps.n_steps)
            ]
            found += [
                MeterWindow(
                    number, int(at) * self.interval_s, float(d), float(i), 0.0, float(b), round(float(k))
                )
                for at, d, i, b, k in zip(slots, *sums, strict=True)
            ]
        slots, slot = np.unique(between, return_inverse=True)
        idle = np.bincount(slot, self.charged.between_j, len(slots))
        found += [
            MeterWindow(0, int(at) * self.interval_s, 0.0, 0.0, float(j), 0.0, 0)
            for at, j in zip(slots, idle, strict=True)
        ]
        slots, slot = np.unique(self.charged.unused_us // length_us, return_inverse=True)
        unused = np.bincount(slot, self.charged.unused_j, len(slots))
        return found + [
            MeterWindow(0, int(at) * self.interval_s, 0.0, 0.0, 0.0, 0.0, 0, unused_j=float(j))
            for at, j in zip(slots, unused, strict=True)
        ]

    def conservation_error(self) -> float:
        """Energy of the steps less what was handed out and what nobody took, relative to it. [1]

        Raises
        ------
        ConservationError
            If it is more than 1e-9.
        """
        return conserved(self._error)
