"""Shares added up by request and interval over an endless stream of steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from gridmargin.attribution.rule import PARTS, Rule, Shares
from gridmargin.attribution.step_energy import StepEnergy
from gridmargin.engines import Steps
from gridmargin.vocab import InputError

IntArray = NDArray[np.int64]

KEY = ("request_id", "slot_start_s")
SUMS = (*PARTS, "alone_j", "n_steps", "prefill_tokens", "cached_tokens", "decode_tokens", "work_units")
SCHEMA = {
    "request_id": pl.String, "slot_start_s": pl.Int64, **dict.fromkeys(SUMS, pl.Float64), "start_us": pl.Int64,
    "prefilled_us": pl.Int64, "decoding_us": pl.Int64, "end_us": pl.Int64,
}  # fmt: skip
"""A row is a request's part in one interval. `alone_j` is fixed energy of steps that ran for it alone, part of its
`step_fixed_j`; `start_us` to `end_us` are its first and last step there, `prefilled_us` the end of the last that
computed prompt tokens and `decoding_us` the start of the first that only decoded, null where there was none."""

MOST_CELLS = 1 << 24
"""Requests × intervals that are added up at once."""


@dataclass
class Tally:
    """Adds up what a rule shares, and hands a request over once it is done.

    Parameters
    ----------
    rule : Rule
    interval_s : int
        Grid on which energy is split; a step belongs to the interval in which it starts (C7). [s]
    patience_s : float
        A request without a step for so long is done, whether or not anybody said so; memory holds no more than those
        that are not. [s]
    """

    rule: Rule
    interval_s: int
    patience_s: float = 120.0

    def __post_init__(self) -> None:
        if self.interval_s <= 0 or not self.patience_s > 0:
            raise InputError(f"interval {self.interval_s} s and patience {self.patience_s} s must be above 0")
        self.held = pl.DataFrame(schema=SCHEMA)
        self._fresh: list[pl.DataFrame] = []
        self.seen_until_us: int | None = None
        self.metered_j = 0.0
        self.handed_j = 0.0
        self.unattributed_j = 0.0

    def push(self, steps: Steps, energy: StepEnergy) -> pl.DataFrame:
        """Take steps, none of a group before those of that group taken earlier; give the requests that are done.

        Returns
        -------
        DataFrame
            As `SCHEMA`, by request and interval.
        """
        self.add(steps, energy)
        return self.hand_over()

    def add(self, steps: Steps, energy: StepEnergy) -> None:
        """Take steps as `push`, and hand nothing over yet."""
        if not len(steps):
            return
        shares = self.rule(steps, energy)
        self.metered_j += float(energy.total_j.sum())
        self.unattributed_j += float(shares.unattributed_j.sum())
        found = _by_request(steps, shares, self.interval_s)
        self.handed_j += float(found.select(PARTS).sum().sum_horizontal().item())
        self._fresh.append(found)
        until_us = int(steps.end_us.max())
        self.seen_until_us = max(until_us, self.seen_until_us or until_us)

    def hand_over(self) -> pl.DataFrame:
        """Give the requests that are done."""
        if not self._fresh or self.seen_until_us is None:
            return pl.DataFrame(schema=SCHEMA)
        return self._hand_over(self.seen_until_us - int(self.patience_s * 1e6))

    def finish(self) -> pl.DataFrame:
        """Give all that are still held."""
        return self._hand_over(None)

    def conservation_error(self) -> float:
        """Energy of the steps less what was handed out and what nobody took, relative to the energy. [1]"""
        off_j = self.metered_j - self.handed_j - self.unattributed_j
        return abs(off_j) / self.metered_j if self.metered_j else 0.0

    def _hand_over(self, silent_since_us: int | None) -> pl.DataFrame:
        if self._fresh:
            self.held = _merged([self.held, *self._fresh])
            self._fresh = []
        if silent_since_us is None:
            done, self.held = self.held, self.held.clear()
            return done.sort(KEY)
        is_done = pl.col("end_us").max().over("request_id") < silent_since_us
        done, self.held = self.held.filter(is_done), self.held.filter(~is_done)
        return done.sort(KEY)


def _by_request(steps: Steps, shares: Shares, interval_s: int) -> pl.DataFrame:
    """Add shares up by request and interval."""
    slots, slot_of_row = np.unique(steps.start_us // (interval_s * 1_000_000), return_inverse=True)
    n_requests, counts = len(steps.request_ids), steps.n_members
    n_cells = len(slots) * n_requests
    if not len(steps.member):
        return pl.DataFrame(schema=SCHEMA)
    if n_cells > MOST_CELLS:
        cells, cell = np.unique(
            np.repeat(slot_of_row * n_requests, counts) + steps.member, return_inverse=True
        )
    else:
        cell = np.repeat(slot_of_row * n_requests, counts) + steps.member
        cells = np.arange(n_cells)
    alone = np.repeat(steps.n_active == 1, counts)
    values = {part: getattr(shares, part) for part in PARTS} | {
        "alone_j": np.where(alone, shares.step_fixed_j, 0.0),
        "n_steps": np.repeat(steps.n_steps, counts),
        "prefill_tokens": steps.member_prefill,
        "cached_tokens": steps.member_cached,
        "decode_tokens": steps.member_decode,
        "work_units": steps.member_work,
    }
    sums = {name: np.bincount(cell, column, len(cells)) for name, column in values.items()}
    start_us, end_us = np.repeat(steps.start_us, counts), np.repeat(steps.end_us, counts)
    prefills = steps.member_prefill > 0
    decodes = (steps.member_decode > 0) & ~prefills
    times = {
        "start_us": _extreme(np.minimum, cell, start_us, len(cells)),
        "prefilled_us": _extreme(np.maximum, cell[prefills], end_us[prefills], len(cells)),
        "decoding_us": _extreme(np.minimum, cell[decodes], start_us[decodes], len(cells)),
        "end_us": _extreme(np.maximum, cell, end_us, len(cells)),
    }
    there = np.bincount(cell, minlength=len(cells)) > 0
    ids = steps.request_ids.take(pa.array(cells[there] % n_requests))
    return pl.DataFrame(
        {
            "request_id": pl.Series(ids, dtype=pl.String),
            "slot_start_s": slots[cells[there] // n_requests] * interval_s,
            **{name: column[there] for name, column in sums.items()},
            **{
                name: pl.Series(column[there]).replace(_NEVER, [None, None]) for name, column in times.items()
            },
        },
        schema=SCHEMA,
    )


_LATEST, _EARLIEST = np.iinfo(np.int64).max, np.iinfo(np.int64).min
_NEVER = [_LATEST, _EARLIEST]


def _extreme(choose: np.ufunc, cell: IntArray, moment_us: IntArray, n: int) -> IntArray:
    found = np.full(n, _LATEST if choose is np.minimum else _EARLIEST, np.int64)
    choose.at(found, cell, moment_us)
    return found


def _merged(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Add parts up, cell by cell."""
    several = [part for part in parts if part.height]
    if len(several) < 2:
        return several[0] if several else parts[0]
    return pl.concat(several).group_by(KEY).agg(
        pl.col(SUMS).sum(), pl.col("start_us").min(), pl.col("prefilled_us").max(), pl.col("decoding_us").min(),
        pl.col("end_us").max(),
    )  # fmt: skip
