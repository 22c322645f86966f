"""Imports on the margin: over a tie with room the neighbour answers, with its own margin; over a full one, nobody.

docs/methods/imports.md says how a full tie is told, and how large the neighbour's part is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridmargin.grid import GridStates, imports_column
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.modifier import Change, in_turn, moving_share, state_rows
from gridmargin.vocab import InputError, MixedKindsError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Imports:
    """Puts the margin of responding neighbours beside the zone's own.

    Attributes
    ----------
    neighbours : mapping of str to Estimates
        By zone, the neighbour's own estimates, of the same kind (C3), each interval within one of the neighbour's.
    limits_mw : mapping of str to (float, float)
        Most that each tie can export and import, both positive; of those not given, the extremes seen so far. [MW]
    at_limit_frac : float
        Within this share of its limit a tie is full. [1]
    warm_up_h : float
        A limit is learned from at least so much of the past; until then the tie is left alone. [h]
    share_window_h : float
        Over which the tie's share of all movement is taken for the neighbour's share of the answer. [h]
    """

    neighbours: Mapping[str, Estimates]
    limits_mw: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    at_limit_frac: float = 0.02
    warm_up_h: float = 168.0
    share_window_h: float = 1.0

    name = "imports"
    version = "1"

    def __post_init__(self) -> None:
        for zone, limits in self.limits_mw.items():
            if not min(limits) >= 0:
                raise InputError(
                    f"limits of the tie to {zone} are {limits} MW; give both as positive numbers"
                )

    def parameters(self) -> dict[str, Any]:
        """Give all that decides what it does; neighbours by the fit that gave their estimates."""
        return {
            "neighbours": {zone: found.fit_id for zone, found in sorted(self.neighbours.items())},
            "limits_mw": {zone: list(limits) for zone, limits in sorted(self.limits_mw.items())},
            "at_limit_frac": self.at_limit_frac,
            "warm_up_h": self.warm_up_h,
            "share_window_h": self.share_window_h,
        }

    def changes(self, estimates: Estimates, states: GridStates) -> tuple[list[Change], str]:
        """Give each neighbour over a tie with room its share, priced by its own estimate of that time.

        A neighbour without an estimate for an interval has no share there; what it would have answered stays inside.

        Raises
        ------
        MixedKindsError
            If a neighbour's estimates are of another kind.
        """
        row = state_rows(estimates, states)
        shares: dict[str, FloatArray] = {}
        rows: dict[str, IntArray] = {}
        for zone, neighbour in self.neighbours.items():
            if neighbour.basis != estimates.basis:
                raise MixedKindsError(
                    f"{zone} is estimated as {neighbour.basis}, {estimates.zone} as {estimates.basis}: the margin of a"
                    " neighbour is mixed in only where the kinds are the same (C3)"
                )
            flow = states.values(imports_column(zone))
            full = self._is_full(zone, flow, states)
            at, known = _rows_at(neighbour, estimates)
            share = moving_share(states, flow, int(self.share_window_h * 3600))
            answers = known & np.isfinite(flow[row]) & ~full[row]
            shares[zone], rows[zone] = np.where(answers, share[row], 0.0), at
        found = []
        for (zone, neighbour), part in zip(
            self.neighbours.items(), in_turn(list(shares.values())), strict=True
        ):
            here = np.flatnonzero(shares[zone] > 0).astype(np.int64)
            at = rows[zone][here]
            found.append(
                Change(
                    here,
                    f"imports:{zone}",
                    part[here],
                    neighbour.low[at],
                    neighbour.mid[at],
                    neighbour.high[at],
                )
            )
        return found, "a neighbour over a tie that is not full answers with its own margin"

    def _is_full(self, zone: str, flow: FloatArray, states: GridStates) -> BoolArray:
        room = 1.0 - self.at_limit_frac
        if zone in self.limits_mw:
            out, into = self.limits_mw[zone]
            return (flow >= room * into) | (flow <= -room * out)
        known = np.nan_to_num(flow, nan=0.0)
        most, least = np.maximum.accumulate(known), np.minimum.accumulate(known)
        start_s = states.start_epoch_s()
        young = start_s - start_s[0] < self.warm_up_h * 3600 if len(start_s) else np.zeros(0, dtype=np.bool_)
        at_most = (known > 0) & (known >= room * most)
        at_least = (known < 0) & (known <= room * least)
        return np.asarray(young | at_most | at_least, dtype=np.bool_)


def _rows_at(neighbour: Estimates, estimates: Estimates) -> tuple[IntArray, BoolArray]:
    """Give the neighbour's row whose interval holds each of ours, and whether there is one."""
    if not len(neighbour):
        nothing = np.zeros(len(estimates), dtype=np.int64)
        return nothing, nothing.astype(np.bool_)
    ours = estimates.start_epoch_s
    at = np.searchsorted(neighbour.start_epoch_s, ours, side="right") - 1
    inside = (at >= 0) & (
        ours + estimates.interval_s <= neighbour.start_epoch_s[np.maximum(at, 0)] + neighbour.interval_s
    )
    return np.maximum(at, 0).astype(np.int64), inside
