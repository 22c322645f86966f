"""Storage on the margin: its answer now is another hour's plant, so it emits what that hour displaces.

A store that discharges one more kilowatt-hour now buys back 1/η later; one that charges a kilowatt-hour less has η
less to give later. docs/methods/storage.md has the rule for when a store is marginal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.grid import GridStates
from gridmargin.marginal.estimate import Estimates
from gridmargin.marginal.modifier import Change, in_turn, moving_share, state_rows
from gridmargin.vocab import Fuel, InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ROUND_TRIP_FRAC: dict[Fuel, float] = {Fuel.BATTERY: 0.82, Fuel.PUMPED: 0.79}
"""Average monthly round trip of US utility-scale batteries and pumped storage in 2019: EIA, Today in Energy of
2021-02-12, from forms EIA-860 and EIA-923."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Puts the opportunity emissions of stores beside the other sources.

    Attributes
    ----------
    round_trip_frac : mapping of Fuel to float
        Stores and their efficiency, energy out ÷ energy in. Reservoir hydro may be given with 1. [1]
    power_mw : mapping of Fuel to float
        Most that each can take or give; of those not given, the greatest flow seen so far stands for it. [MW]
    horizon_h : float
        How far the hour that is displaced may lie away. [h]
    at_limit_frac : float
        Within this share of its power a store cannot answer. [1]
    moving_frac : float
        Below this share of its power a store rests. [1]
    share_window_h : float
        Over which the store's share of all movement is taken for its share of the answer. [h]
    """

    round_trip_frac: Mapping[Fuel, float] = field(default_factory=lambda: dict(ROUND_TRIP_FRAC))
    power_mw: Mapping[Fuel, float] = field(default_factory=dict)
    horizon_h: float = 24.0
    at_limit_frac: float = 0.02
    moving_frac: float = 0.02
    share_window_h: float = 1.0

    name = "storage"
    version = "1"

    def __post_init__(self) -> None:
        for fuel, eta in self.round_trip_frac.items():
            if not 0.0 < eta <= 1.0:
                raise InputError(f"round-trip efficiency of {fuel} is {eta}, not above 0 and at most 1")
        if not self.horizon_h > 0:
            raise InputError(f"horizon of {self.horizon_h} h is not positive")

    def parameters(self) -> dict[str, Any]:
        """Give all that decides what it does."""
        return {
            "round_trip_frac": {fuel.value: eta for fuel, eta in self.round_trip_frac.items()},
            "power_mw": {fuel.value: mw for fuel, mw in self.power_mw.items()},
            "horizon_h": self.horizon_h,
            "at_limit_frac": self.at_limit_frac,
            "moving_frac": self.moving_frac,
            "share_window_h": self.share_window_h,
        }

    def changes(self, estimates: Estimates, states: GridStates) -> tuple[list[Change], str]:
        """Price each store that moves and is not at its limit by the hours it usually takes from or gives to.

        Notes
        -----
        Discharging: ``factor = F_charging ÷ η``. Charging: ``factor = F_discharging × η``. F is the mean factor of
        the estimates over the last `horizon_h`, weighted by what the store charged, or discharged, then: the next
        turn is taken to be like the last. Its range spans the ranges of all these hours, since which of them is
        displaced is not known. A store that did not turn within the horizon has no such hour and is left alone.
        """
        why = f"a store that moves and is not at its limit answers with the hour that it displaces within {self.horizon_h:g} h"
        row = state_rows(estimates, states)
        fuels = [fuel for fuel in self.round_trip_frac if fuel in states.fuels]
        turns: list[tuple[str, FloatArray, FloatArray, FloatArray, FloatArray]] = []
        for fuel in fuels:
            flow, eta = states.generation_mw(fuel), self.round_trip_frac[fuel]
            free = self._is_free(fuel, flow)[row]
            share = moving_share(states, flow, int(self.share_window_h * 3600))[row]
            out = np.nan_to_num(flow[row], nan=0.0)
            for name, now, other, scale in (
                ("discharging", out > 0, np.maximum(-out, 0.0), 1.0 / eta),
                ("charging", out < 0, np.maximum(out, 0.0), eta),
            ):
                low, mid, high = (scale * end for end in self._displaced(estimates, other))
                answers = now & free & np.isfinite(mid)
                turns.append((f"{fuel.value}:{name}", np.where(answers, share, 0.0), low, mid, high))
        found = []
        for (source, share, low, mid, high), part in zip(turns, in_turn([t[1] for t in turns]), strict=True):
            at = np.flatnonzero(share > 0).astype(np.int64)
            found.append(Change(at, source, part[at], low[at], mid[at], high[at]))
        return found, why

    def _is_free(self, fuel: Fuel, flow: FloatArray) -> BoolArray:
        """Say where a store moves and could move more; shape (n,)."""
        size = np.abs(flow)
        if fuel in self.power_mw:
            limit = np.full(len(flow), self.power_mw[fuel])
        else:
            # The greatest seen before. At a new record it counts as full, which leaves the margin as it was.
            seen = np.maximum.accumulate(np.nan_to_num(size, nan=0.0))
            limit = np.concatenate([[0.0], seen[:-1]]) if len(seen) else seen
        moves, has_room = size > self.moving_frac * limit, size < (1.0 - self.at_limit_frac) * limit
        return np.asarray(moves & has_room, dtype=np.bool_)

    def _displaced(
        self, estimates: Estimates, weight: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Give the weighted mean factor, and the ends of the ranges, over the horizon before each estimate."""
        used = weight > 0
        table = pl.DataFrame(
            {
                "start_s": estimates.start_epoch_s,
                "w": weight,
                "wf": weight * estimates.mid,
                "low": np.where(used, estimates.low, np.nan),
                "high": np.where(used, estimates.high, np.nan),
            },
            nan_to_null=True,
        )
        past = table.rolling("start_s", period=f"{int(self.horizon_h * 3600)}i", closed="left").agg(
            pl.col("w").sum(), pl.col("wf").sum(), pl.col("low").min(), pl.col("high").max()
        )
        total = past["w"].fill_null(0.0).to_numpy()
        mid = np.divide(
            past["wf"].fill_null(0.0).to_numpy(), total, out=np.full(len(total), np.nan), where=total > 0
        )
        low, high = (past[name].cast(pl.Float64).to_numpy() for name in ("low", "high"))
        return np.minimum(low, mid), mid, np.maximum(high, mid)
