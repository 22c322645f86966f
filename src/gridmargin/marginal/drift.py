"""Drift: does a range still hold what it promised, and has the error moved? Estimates and a reference in, events out.

Four tests watch each regime, block by block: misses above and below what the range allows, and block means of the
residual that moved up or down. All four are Shiryaev-Roberts sums of e-values, so that the rate of false alarms is
stated before a single figure is seen. docs/methods/drift.md gives the equations, the assumptions and the figures.

Notes
-----
With e-values `L_t ≥ 0`, `E[L_t | past] ≤ 1` while nothing has changed, the sum `R_t = (R_{t−1} + 1) L_t` has
`E[R_t] ≤ t`. So `P(max_{t ≤ n} R_t ≥ A) ≤ n ÷ A`, and the mean time to a false alarm is at least A blocks.

References
----------
Shin, Ramdas, Rinaldo, E-detectors: a nonparametric framework for sequential change detection, New England Journal of
Statistics in Data Science 2 (2024), doi:10.51387/23-NEJSDS51; Waudby-Smith, Ramdas, Estimating means of bounded random
variables by betting, J. R. Stat. Soc. B 86 (2024), doi:10.1093/jrsssb/qkad009; Page, Continuous inspection schemes,
Biometrika 41 (1954), doi:10.1093/biomet/41.1-2.100.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from gridmargin.marginal.drift_blocks import Blocks, block_length_s, cut_into_blocks
from gridmargin.vocab import InputError, TableError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ALL = "all"
"""The stream of every regime together."""

NOMINAL_FRAC = 0.9
"""What every range here promises to hold (C6)."""

TOLERANCE_FRAC = 0.02
"""Coverage inside 90 ± 2 % is no drift: it is what the backtests ask of a 90 % range."""

FALSE_ALARM_BLOCKS = 3650.0
"""Mean number of blocks between two false alarms, at least, over all tests of one zone and estimator: ten years of
days. A convention: one needless re-fit in ten years costs less than a week of a wrong range."""

ROLLING_BLOCKS = 30
"""How many blocks the coverage that is shown looks back on: a month of days."""

_BETS_LOW = np.array([0.25, 0.5, 1.0, 2.0, 4.0, 7.5])  # below 1 ÷ 0.12, so that no e-value is negative
_BETS_HIGH = np.array([0.125, 0.25, 0.5, 1.0])  # below 1 ÷ 0.92
_TILTS = np.array([0.5, 1.0, 1.5, 2.0, 3.0])

CAUSES = ("coverage_low", "coverage_high", "residual_up", "residual_down")
"""More misses than allowed; fewer; the reference rose against the estimate; it fell."""


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """One alarm.

    Attributes
    ----------
    regime : str
        Stream that raised it; `all` is every regime together.
    cause : str
        One of `CAUSES`.
    time_epoch_s : int
        End of the block that raised it: when it could have been known. [s since 1970 UTC]
    since_epoch_s : int
        Start of the block from which the evidence grew: the estimate of when it began. [s since 1970 UTC]
    statistic, threshold : float
        The sum `R` and what it had to reach.
    n_blocks : int
        Blocks since the watch began or began again.
    block_s : int
        Length of a block. [s]
    coverage_frac : float
        Share held by the range since `since_epoch_s`. [1]
    bias_before, bias : float
        Mean of reference − estimate before and since, NaN-free: None where there is nothing before. [g kWh⁻¹]
    """

    regime: str
    cause: str
    time_epoch_s: int
    since_epoch_s: int
    statistic: float
    threshold: float
    n_blocks: int
    block_s: int
    coverage_frac: float
    bias_before: float | None
    bias: float

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Watch:
    """What watching one estimator in one zone gave.

    Attributes
    ----------
    events : tuple of DriftEvent
        By time.
    n : int
        Intervals compared.
    n_blocks, block_s : int
        Blocks and their length. [s]
    correlation_s : float
        Integrated autocorrelation time of the residuals at the beginning, which the block length follows. [s]
    coverage_frac, recent_coverage_frac : float
        Share of the reference that the range held, in all and over the last `ROLLING_BLOCKS` blocks. [1]
    bias : float
        Mean of reference − estimate. [g kWh⁻¹]
    """

    events: tuple[DriftEvent, ...]
    n: int
    n_blocks: int
    block_s: int
    correlation_s: float
    coverage_frac: float
    recent_coverage_frac: float
    bias: float


def watch(
    start_epoch_s: IntArray,
    low: FloatArray,
    mid: FloatArray,
    high: FloatArray,
    reference: FloatArray,
    regime: NDArray[np.str_],
    *,
    false_alarm_blocks: float = FALSE_ALARM_BLOCKS,
    nominal_frac: float = NOMINAL_FRAC,
) -> Watch:
    """Hold estimates against what was later known and say where they drifted.

    Parameters
    ----------
    start_epoch_s : array of int, shape (n,)
        Interval starts, strictly increasing. [s since 1970 UTC]
    low, mid, high, reference : arrays, shape (n,)
        In one unit; rows that are not finite are left out.
    regime : array of str, shape (n,)
        Labels; what stands before the first `/` names the stream.
    false_alarm_blocks : float
        Mean number of blocks to a false alarm, at least, shared by all streams and tests; above 1.

    Raises
    ------
    InputError
        If nothing can be compared, or `false_alarm_blocks` is not above 1.
    TableError
        If the arrays differ in length or the starts do not increase.
    """
    if not false_alarm_blocks > 1:
        raise InputError(f"{false_alarm_blocks:g} blocks between false alarms is too few; give more than 1")
    shapes = {a.shape for a in (start_epoch_s, low, mid, high, reference, regime)}
    if len(shapes) != 1 or start_epoch_s.ndim != 1 or not bool((np.diff(start_epoch_s) > 0).all()):
        raise TableError("a watch needs arrays of one length, ordered by start, without doubles")
    known = np.isfinite(low) & np.isfinite(mid) & np.isfinite(high) & np.isfinite(reference)
    if not known.any():
        raise InputError("no interval has both an estimate and a reference; there is nothing to watch")
    start = start_epoch_s[known]
    residual = (reference - mid)[known]
    missed = ((reference < low) | (reference > high))[known]
    block_s, correlation_s = block_length_s(start, residual)
    stream_of = np.array([name.partition("/")[0] for name in regime[known].tolist()])
    names = sorted(set(stream_of.tolist()))
    streams = [(ALL, np.ones(len(start), dtype=np.bool_))]
    if len(names) > 1:
        streams += [(name, stream_of == name) for name in names]
    threshold = false_alarm_blocks * len(streams) * len(CAUSES)
    events: list[DriftEvent] = []
    for name, mine in streams:
        blocks = cut_into_blocks(start[mine], missed[mine], residual[mine], block_s)
        events += _events(name, blocks, 1.0 - nominal_frac, threshold)
    whole = cut_into_blocks(start, missed, residual, block_s)
    return Watch(
        events=tuple(sorted(events, key=lambda e: (e.time_epoch_s, e.regime != ALL, e.regime, e.cause))),
        n=len(start),
        n_blocks=len(whole),
        block_s=block_s,
        correlation_s=correlation_s,
        coverage_frac=1.0 - float(missed.mean()),
        recent_coverage_frac=whole.last(ROLLING_BLOCKS).coverage_frac,
        bias=float(residual.mean()),
    )


def rank_e_values(values: FloatArray, tilts: FloatArray) -> FloatArray:
    """Give the e-value of each value's rank among those so far, for each tilt; shape (n, m).

    Notes
    -----
    While the values are exchangeable, the rank r of the t-th among the first t is uniform on 1…t and independent of
    the ranks before. With the normal score z(r) = Φ⁻¹((r − ½) ÷ t), `L = exp(θ z(r)) ÷ mean_j exp(θ z(j))` has mean 1
    whatever the values' distribution is. Equal values share the mean of the e-values of their ranks.
    """
    n = len(values)
    out = np.ones((n, len(tilts)))
    ordered: FloatArray = np.empty(0)
    for t, value in enumerate(values, start=1):
        first = int(np.searchsorted(ordered, value, side="left"))
        last = int(np.searchsorted(ordered, value, side="right"))
        bets = np.exp(tilts[:, None] * ndtri((np.arange(t) + 0.5) / t))
        out[t - 1] = bets[:, first : last + 1].mean(axis=1) / bets.mean(axis=1)
        ordered = np.insert(ordered, first, value)
    return out


def _events(name: str, blocks: Blocks, miss_frac: float, threshold: float) -> Iterator[DriftEvent]:
    """Watch one stream; after an alarm the watch begins again with the next block."""
    begin = 0
    while begin < len(blocks):
        part = blocks.after(begin)
        alarm = _first_alarm(part, miss_frac, threshold)
        if alarm is None:
            return
        at, since, cause, statistic = alarm
        before, after = part.residual[:since], part.residual[since : at + 1]
        n = part.n[since : at + 1]
        yield DriftEvent(
            regime=name,
            cause=cause,
            time_epoch_s=int(part.start_epoch_s[at]) + blocks.block_s,
            since_epoch_s=int(part.start_epoch_s[since]),
            statistic=statistic,
            threshold=threshold,
            n_blocks=at + 1,
            block_s=blocks.block_s,
            coverage_frac=1.0 - float(np.average(part.miss_frac[since : at + 1], weights=n)),
            bias_before=float(np.average(before, weights=part.n[:since])) if len(before) else None,
            bias=float(np.average(after, weights=n)),
        )
        begin += at + 1


def _first_alarm(blocks: Blocks, miss_frac: float, threshold: float) -> tuple[int, int, str, float] | None:
    """Give the block of the first alarm, the one since which its evidence grew, its cause and its statistic."""
    over = blocks.miss_frac[:, None] - (miss_frac + TOLERANCE_FRAC)
    under = (miss_frac - TOLERANCE_FRAC) - blocks.miss_frac[:, None]
    e_values = dict(
        zip(
            CAUSES,
            (
                1.0 + _BETS_LOW * over,
                1.0 + _BETS_HIGH * under,
                rank_e_values(blocks.residual, _TILTS),
                rank_e_values(-blocks.residual, _TILTS),
            ),
            strict=True,
        )
    )
    first: tuple[int, int, str, float] | None = None
    for cause, values in e_values.items():
        stop = len(blocks) if first is None else first[0]
        total = np.zeros(values.shape[1])
        for t in range(stop):
            total = (total + 1.0) * values[t]
            if total.mean() >= threshold:
                growth = np.log(np.maximum(values[: t + 1, int(total.argmax())], 1e-300))
                first = (t, _beginning(growth), cause, float(total.mean()))
                break
    return first


def _beginning(growth: FloatArray) -> int:
    """Give the step from which the sum to the end is greatest: the likeliest change."""
    to_the_end = np.cumsum(growth[::-1])[::-1]
    return int(to_the_end.argmax())
