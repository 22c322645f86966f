"""How far a meter's clock is from the engine's, and over how long its reading is an average."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gridmargin.attribution.cost_fit import CostFit
from gridmargin.attribution.step_cost import CostKey, CostPrior, window_terms
from gridmargin.engines import Steps
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

AVERAGES_S = (0.1, 1.0)
"""What a driver's power is a mean over: a second on Ampere (but for GA100) and later, as nvidia-smi's manual says of
`power.draw`; the refresh period elsewhere. [s]"""

NEAREST_S, FARTHEST_S, OF_STRETCH = 0.5, 5.0, 0.1
"""Offsets are sought up to a tenth of the stretch, but at least and at most so far. [s]"""

USUAL_OFFSET_S = 0.25
"""Clocks of one machine are apart by the polling of either side: the scale believed before, with heavy tails. [s]"""

_COARSE_S, _FINE_S, _AROUND_S = 0.05, 0.01, 0.3
_FEWEST = 12


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a meter's readings lie on the engine's clock.

    Attributes
    ----------
    offset_s : float
        Meter's clock less the engine's. [s]
    average_s : float
        Length over which a reading is the mean; it ends at the reading's time. [s]
    residual_w : float
        Root mean square of what the steps leave unexplained so. [W]
    n : int
        Readings compared.
    """

    offset_s: float
    average_s: float
    residual_w: float
    n: int

    def windows(self, reading_us: IntArray) -> tuple[IntArray, IntArray]:
        """Give start and end of what readings are means over, on the engine's clock. [µs since 1970 UTC]"""
        end_us = reading_us - round(self.offset_s * 1e6)
        return end_us - round(self.average_s * 1e6), end_us


def align(
    steps: Steps,
    reading_us: IntArray,
    power_w: FloatArray,
    prior: CostPrior,
    *,
    averages_s: tuple[float, ...] = AVERAGES_S,
) -> Alignment:
    """Find the offset and the average with which the steps explain the readings best.

    Parameters
    ----------
    steps : Steps
        Of one group.
    reading_us : array of int64, shape (n,)
        On the meter's clock. [µs since 1970 UTC]
    power_w : array, shape (n,)
        NaN where the meter was silent. [W]
    prior : CostPrior
        Keeps a short stretch from explaining a wrong offset by a cost that no device has.

    Raises
    ------
    InputError
        If fewer than a dozen readings lie inside the steps at every offset.

    Notes
    -----
    At each offset a `CostFit` reads all readings at once, and the offset is the one with the least
    ``n ln(mean squared residual) + 2 ln(1 + (offset ÷ 0.25 s)²)``, n counting readings whose averages do not overlap.
    First in steps of 0.05 s over all offsets, then of 0.01 s near the best; in either search every offset is held
    against the same readings.
    """
    if not len(steps):
        raise InputError(
            f"no {steps.origin} step to align the meter with; give a stretch in which the engine ran"
        )
    stretch_s = (int(steps.end_us[-1]) - int(steps.start_us[0])) / 1e6
    most_s = float(np.clip(OF_STRETCH * stretch_s, NEAREST_S, FARTHEST_S))
    n_coarse = int(most_s / _COARSE_S)
    coarse: FloatArray = np.arange(-n_coarse, n_coarse + 1, dtype=np.float64) * _COARSE_S
    found = _least(steps, reading_us, power_w, prior, coarse, averages_s)
    n_fine = round(_AROUND_S / _FINE_S)
    fine: FloatArray = found.offset_s + np.arange(-n_fine, n_fine + 1, dtype=np.float64) * _FINE_S
    return _least(steps, reading_us, power_w, prior, fine, (found.average_s,))


def _least(
    steps: Steps,
    reading_us: IntArray,
    power_w: FloatArray,
    prior: CostPrior,
    offsets_s: FloatArray,
    averages_s: tuple[float, ...],
) -> Alignment:
    inside = np.isfinite(power_w)
    for offset_s in (float(offsets_s[0]), float(offsets_s[-1])):
        start_us, end_us = Alignment(offset_s, max(averages_s), 0.0, 0).windows(reading_us)
        inside &= (start_us >= int(steps.start_us[0])) & (end_us <= int(steps.end_us[-1]))
    if inside.sum() < _FEWEST:
        raise InputError(
            f"{int(inside.sum())} meter readings lie well inside the {steps.origin} steps, and {_FEWEST} are needed to"
            " find how far their clocks are apart; give a longer stretch of the same time"
        )
    times, watts = reading_us[inside], power_w[inside]
    # As many as do not overlap; the same for every average, so that losses compare.
    n_apart = len(watts) * min(1.0, float(np.median(np.diff(times))) / 1e6 / max(averages_s))
    best: tuple[float, Alignment] | None = None
    for average_s in averages_s:
        for offset_s in offsets_s.tolist():
            tried = Alignment(round(offset_s, 6), average_s, 0.0, len(watts))
            start_us, end_us = tried.windows(times)
            terms = window_terms(steps, start_us, end_us)
            fit = CostFit(_ANY, prior)
            fit.update(terms, watts * average_s, start_us, end_us)
            rates = np.nan_to_num(terms) / average_s
            squared = float(np.mean((watts - rates @ fit.cost().coefficients) ** 2))
            loss = n_apart * float(np.log(squared + 1e-12)) + 2.0 * float(
                np.log1p((offset_s / USUAL_OFFSET_S) ** 2)
            )
            if best is None or loss < best[0]:
                best = (loss, replace(tried, residual_w=squared**0.5))
    if best is None:
        raise InputError("no average to try; give at least one")
    return best[1]


_ANY = CostKey("any device", "any model", "any stack")
