"""How far a meter's clock is from the engine's, and over how long its reading is an average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from gridmargin.attribution.step_cost import CONTEXT, window_terms
from gridmargin.engines import Steps
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

AVERAGES_S = (0.1, 1.0)
"""What a driver's power is a mean over: a second on Ampere (but for GA100) and later, as nvidia-smi's manual says of
`power.draw`; the refresh period elsewhere. [s]"""

MOST_OFFSET_S = 1.0
_COARSE_S, _FINE_S = 0.05, 0.01
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
    *,
    averages_s: tuple[float, ...] = AVERAGES_S,
    most_offset_s: float = MOST_OFFSET_S,
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

    Raises
    ------
    InputError
        If fewer than a dozen readings lie inside the steps at every offset.

    Notes
    -----
    At each offset, to 0.05 s and then to 0.01 s around the best, the readings are fitted by non-negative least squares
    on what the steps did in their windows. Every offset is held against the same readings.
    """
    if not len(steps):
        raise InputError(
            f"no {steps.origin} step to align the meter with; give a stretch in which the engine ran"
        )
    margin_us = round((most_offset_s + max(averages_s)) * 1e6)
    inside = (
        np.isfinite(power_w)
        & (reading_us - margin_us >= int(steps.start_us[0]))
        & (reading_us + round(most_offset_s * 1e6) <= int(steps.end_us[-1]))
    )
    if inside.sum() < _FEWEST:
        raise InputError(
            f"{int(inside.sum())} meter readings lie well inside the {steps.origin} steps, and {_FEWEST} are needed to"
            " find how far their clocks are apart; give a longer stretch of the same time"
        )
    times, watts = reading_us[inside], power_w[inside]

    def left(offset_s: float, average_s: float) -> float:
        start_us, end_us = Alignment(offset_s, average_s, 0.0, 0).windows(times)
        terms = window_terms(steps, start_us, end_us)
        terms[:, CONTEXT] = np.nan_to_num(terms[:, CONTEXT])
        rates = terms / average_s
        scale = np.maximum(np.sqrt((rates**2).mean(axis=0)), 1e-12)
        return float(nnls(rates / scale, watts)[1]) / np.sqrt(len(watts))

    coarse = np.arange(-round(most_offset_s / _COARSE_S), round(most_offset_s / _COARSE_S) + 1) * _COARSE_S
    tried = [(left(float(o), a), abs(float(o)), float(o), a) for a in averages_s for o in coarse]
    _, _, middle, average_s = min(tried)
    fine = np.clip(middle + np.arange(-4, 5) * _FINE_S, -most_offset_s, most_offset_s)
    residual, _, offset_s, _ = min(
        (left(float(o), average_s), abs(float(o)), float(o), average_s) for o in fine
    )
    return Alignment(round(offset_s, 6), average_s, residual, len(watts))
