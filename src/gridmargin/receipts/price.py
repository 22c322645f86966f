"""Energy slices times the factor of their own place and time.

For a slice that drew `E` at the device, with `M` the joules at the busbar per joule at the device and `F` the factor:

    grams = E · M · F / 3.6e6

The causes of uncertainty are kept as half-widths in grams, each computed with the others at their central value, so
that receipts can be added up with shared errors kept shared (C6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.ledger import Factors
from gridmargin.receipts.receipt import CAUSES
from gridmargin.vocab import J_PER_KWH, NoFactorError, Range, Status

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FILL_WIDENING = 2.0
"""How much wider the range of a factor gets when a neighbouring interval's stands in for it (C8)."""

FILL_REACH_S = 6 * 3600
"""How far away that neighbour may be. [s]"""


@dataclass(frozen=True, slots=True)
class Overheads:
    """From a joule at the device to the plug and to the busbar.

    Attributes
    ----------
    plug_per_device : Range
        Host power and PUE: joules at the site's meter per joule at the device. [1]
    busbar_per_plug : Range
        Transmission and distribution: 1 / (1 − loss). [1]
    price_usd_per_kwh : float or None
        Energy price at the site's meter; None where no figure is known. [USD kWh⁻¹]
    """

    plug_per_device: Range
    busbar_per_plug: Range
    price_usd_per_kwh: float | None

    def relative(self) -> tuple[float, float]:
        """Half-widths of the product, low and high, relative to its central value. [1]"""
        pairs = (self.plug_per_device, self.busbar_per_plug)
        low = np.sqrt(sum((1 - r.low / r.mid) ** 2 for r in pairs))
        high = np.sqrt(sum((r.high / r.mid - 1) ** 2 for r in pairs))
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class FactorLookup:
    """Factors found for slots, by integer arithmetic.

    Attributes
    ----------
    low, mid, high : arrays, shape (m,)
        [g kWh⁻¹]
    entry_id : array, shape (m,)
    filled : array of bool, shape (m,)
        True where a neighbour stands in.
    status : array of str, shape (m,)
        `imputed` where filled, else the entry's own.
    """

    low: FloatArray
    mid: FloatArray
    high: FloatArray
    entry_id: IntArray
    filled: NDArray[np.bool_]
    status: NDArray[np.str_]


def look_up(factors: Factors, slot_start_s: IntArray, *, fill: bool) -> FactorLookup:
    """Find the factor of each slot.

    Parameters
    ----------
    factors : Factors
        Ordered by start.
    slot_start_s : array, shape (m,)
        Starts on the same grid. [s since 1970 UTC]
    fill : bool
        Take the nearest interval within `FILL_REACH_S` where there is none, with a range `FILL_WIDENING` as wide.

    Raises
    ------
    NoFactorError
        If a slot has none and may not, or cannot, be filled.
    """
    starts = factors.start_epoch_s
    if not len(starts):
        raise NoFactorError(
            f"no {factors.kind} factor by {factors.estimator} for {factors.zone} in the time asked for"
        )
    at = np.minimum(np.searchsorted(starts, slot_start_s), len(starts) - 1)
    before = np.maximum(at - 1, 0)
    nearest = np.where(np.abs(starts[before] - slot_start_s) < np.abs(starts[at] - slot_start_s), before, at)
    away_s = np.abs(starts[nearest] - slot_start_s)
    missing = away_s > 0
    if missing.any():
        reach_s = FILL_REACH_S if fill else 0
        beyond = away_s > reach_s
        if beyond.any():
            first = np.datetime64(int(slot_start_s[beyond].min()), "s").astype(object)
            n = len(np.unique(slot_start_s[beyond]))
            way_out = (
                f"no interval within {FILL_REACH_S // 3600} h could stand in"
                if fill
                else "`on_gap=nearest` fills from the nearest interval and marks it"
            )
            raise NoFactorError(
                f"{n} interval(s) of {factors.zone} have no {factors.kind} factor by {factors.estimator}, the first at"
                f" {first.isoformat()}Z; {way_out}"
            )
    widen = np.where(missing, FILL_WIDENING, 1.0)
    mid = factors.mid[nearest]
    return FactorLookup(
        low=np.minimum(
            mid, np.maximum(mid - widen * (mid - factors.low[nearest]), np.minimum(0.0, factors.low[nearest]))
        ),
        mid=mid,
        high=mid + widen * (factors.high[nearest] - mid),
        entry_id=factors.entry_id[nearest],
        filled=missing,
        status=np.where(missing, Status.IMPUTED.value, factors.status[nearest]),
    )


@dataclass(frozen=True, slots=True)
class Priced:
    """Grams per slice and, summed, per request.

    Attributes
    ----------
    slice_gco2 : array, shape (m,)
        Central value. [g]
    gco2 : array, shape (n,)
        Central value per request. [g]
    halves_gco2 : dict of str to array, shape (n,)
        `factor_low`, `factor_high`, `energy_low`, …: half-widths of the 90 % range per cause. [g]
    """

    slice_gco2: FloatArray
    gco2: FloatArray
    halves_gco2: dict[str, FloatArray]


def price_slices(
    *,
    first_slice: IntArray,
    slice_request: IntArray,
    slot_start_s: IntArray,
    interval_s: int,
    charged_j: FloatArray,
    start_s: FloatArray,
    end_s: FloatArray,
    factor: FactorLookup,
    neighbours: tuple[FloatArray, FloatArray],
    overheads: Overheads,
    energy_relative: tuple[float, float],
    timing_s: FloatArray,
) -> Priced:
    """Price slices and add them up by request.

    Parameters
    ----------
    first_slice : array, shape (n,)
        Index of each request's first slice; slices of a request are adjacent.
    slice_request : array, shape (m,)
        Which request each slice belongs to.
    charged_j : array, shape (m,)
        Energy at the device that is charged. [J]
    start_s, end_s : arrays, shape (n,)
        When each request ran. [s since 1970 UTC]
    neighbours : pair of arrays, shape (m,)
        Central factor of the interval before and after each slice's own. [g kWh⁻¹]
    energy_relative : pair of float
        Low and high half-width of the energy, relative. [1]
    timing_s : array, shape (n,)
        By how much each request's times may be off. [s]

    Notes
    -----
    Timing: had the request run `timing_s` earlier or later, the part of it that would have crossed into the next
    interval would have been priced there.
    """
    if not len(slot_start_s):
        empty = np.empty(0)
        return Priced(empty, empty, {f"{c}_{side}": empty for c in CAUSES for side in ("low", "high")})
    busbar_kwh = charged_j * (overheads.plug_per_device.mid * overheads.busbar_per_plug.mid / J_PER_KWH)
    grams = busbar_kwh * factor.mid

    def by_request(values: FloatArray) -> FloatArray:
        return np.asarray(np.add.reduceat(values, first_slice), dtype=np.float64)

    shift_s = timing_s[slice_request]
    part_start = np.maximum(start_s[slice_request], slot_start_s)
    part_end = np.minimum(end_s[slice_request], slot_start_s + interval_s)
    part_s = np.maximum(part_end - part_start, 1e-3)
    early_frac = np.clip((shift_s - (part_start - slot_start_s)) / part_s, 0.0, 1.0)
    late_frac = np.clip((shift_s - (slot_start_s + interval_s - part_end)) / part_s, 0.0, 1.0)
    before, after = (n - factor.mid for n in neighbours)
    early, late = busbar_kwh * early_frac * before, busbar_kwh * late_frac * after
    timing_low = np.maximum(0.0, -np.minimum(early, late))
    timing_high = np.maximum(0.0, np.maximum(early, late))

    total = by_request(grams)
    size = by_request(np.abs(grams))
    over_low, over_high = overheads.relative()
    halves = {
        "factor_low": by_request(busbar_kwh * (factor.mid - factor.low)),
        "factor_high": by_request(busbar_kwh * (factor.high - factor.mid)),
        "energy_low": size * energy_relative[0],
        "energy_high": size * energy_relative[1],
        "overhead_low": size * over_low,
        "overhead_high": size * over_high,
        "timing_low": by_request(timing_low),
        "timing_high": by_request(timing_high),
    }
    return Priced(grams, total, halves)


def neighbour_factors(
    factors: Factors, slot_start_s: IntArray, own: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Give the central factor before and after each slot; the slot's own where there is no neighbour. [g kWh⁻¹]"""
    out = []
    for step in (-factors.interval_s, factors.interval_s):
        want = slot_start_s + step
        at = np.minimum(np.searchsorted(factors.start_epoch_s, want), max(len(factors) - 1, 0))
        out.append(np.where(factors.start_epoch_s[at] == want, factors.mid[at], own))
    return out[0], out[1]


def range_of(mid: float, halves: dict[str, float]) -> Range:
    """Combine the half-widths of one sum: causes err independently, so they combine in quadrature (C6)."""
    low = float(np.sqrt(sum(halves[f"{cause}_low"] ** 2 for cause in CAUSES)))
    high = float(np.sqrt(sum(halves[f"{cause}_high"] ** 2 for cause in CAUSES)))
    floor = min(mid, 0.0)
    return Range(max(floor, mid - low), mid, mid + high)
