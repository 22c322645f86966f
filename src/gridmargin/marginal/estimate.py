"""MarginalEstimate: what one more kilowatt-hour would have emitted, from which sources, and how sure that is.

Estimates of different kinds never combine: `+`, `-`, `<` and the like between them raise `MixedKindsError` (C3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from gridmargin.vocab import Basis, Interval, MixedKindsError, Range, Status, TableError, View, require_utc

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MarginalSource:
    """One candidate for the margin.

    Attributes
    ----------
    name : str
        Fuel code, or unit where units are known.
    probability : float
        How likely it answers the next kilowatt-hour; all sources of an estimate sum to 1. [1]
    factor_gco2_per_kwh : float
        What it emits when it does. [g kWh⁻¹]
    """

    name: str
    probability: float
    factor_gco2_per_kwh: float


@dataclass(frozen=True, slots=True)
class _Estimate:
    zone: str
    interval: Interval
    factor_gco2_per_kwh: Range
    sources: tuple[MarginalSource, ...]
    basis: Basis
    estimator: str
    estimator_version: str
    regime: str
    status: Status

    def _refuse(self, other: object) -> NoReturn:
        raise MixedKindsError(
            f"a {self.basis} factor cannot be combined with {getattr(other, 'basis', type(other).__name__)}: "
            "price energy with one of them, or show them side by side (C3)"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse


class MarginalEstimate(_Estimate):
    """Estimate of a counterfactual for one zone and interval; never called measured.

    Attributes
    ----------
    factor_gco2_per_kwh : Range
        90 % range around the central estimate. [g kWh⁻¹]
    sources : tuple of MarginalSource
        What is on the margin; `Σ probability × factor` is the central estimate.
    """

    __slots__ = ()


class AverageEstimate(_Estimate):
    """Emissions of the mix per kilowatt-hour: the baseline, not marginal."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Estimates:
    """Estimates of one estimator for many intervals of one zone, as arrays of equal length n.

    Attributes
    ----------
    zone, interval_s
        As in `GridStates`.
    start_epoch_s : array of int64, shape (n,)
        Interval starts, strictly increasing. [s since 1970 UTC]
    low, mid, high : arrays, shape (n,)
        Factor and its 90 % range. [g kWh⁻¹]
    source_names : tuple of str, length k
        Candidates for the margin (for `average`: the fuels of the mix).
    source_probability : array, shape (n, k)
        Rows sum to 1 (for `average`: share of the generation).
    source_factor : array, shape (n, k)
        [g kWh⁻¹]; `mid == Σ_k probability × factor` to 1e-9 relative.
    regime : array of str, shape (n,)
        Which regime of the estimator each interval fell in.
    status : array of str, shape (n,)
        `Status` of each estimate's inputs.
    basis : Basis
        One kind for all.
    fit_id : str
        The fit that gave them.
    issued_utc : datetime or None
        The moment of knowledge of a forecast: nothing later went into it. Needed where the view is `forecast`, refused
        elsewhere.
    """

    zone: str
    interval_s: int
    start_epoch_s: NDArray[np.int64]
    low: FloatArray
    mid: FloatArray
    high: FloatArray
    source_names: tuple[str, ...]
    source_probability: FloatArray
    source_factor: FloatArray
    regime: NDArray[np.str_]
    status: NDArray[np.str_]
    basis: Basis
    estimator: str
    estimator_version: str
    fit_id: str
    issued_utc: datetime | None = None

    def __post_init__(self) -> None:
        n, k = len(self.start_epoch_s), len(self.source_names)
        for name in ("low", "mid", "high", "regime", "status"):
            if getattr(self, name).shape != (n,):
                raise TableError(f"estimates of {self.zone} by {self.estimator}: {name} has the wrong length")
        for name in ("source_probability", "source_factor"):
            if getattr(self, name).shape != (n, k):
                raise TableError(f"estimates of {self.zone} by {self.estimator}: {name} has the wrong shape")
        if self.issued_utc is not None:
            object.__setattr__(self, "issued_utc", require_utc(self.issued_utc, "issued_utc"))
        if (self.basis.view is View.FORECAST) != (self.issued_utc is not None):
            raise TableError(
                f"estimates of {self.zone} by {self.estimator}: a forecast, and nothing else, has an issue time;"
                " give issued_utc together with the view forecast"
            )
        if n == 0:
            return
        if not np.isfinite(self.mid).all() or not ((self.low <= self.mid) & (self.mid <= self.high)).all():
            raise TableError(
                f"estimates of {self.zone} by {self.estimator}: a range is not finite or not in order"
            )
        total = np.einsum("nk,nk->n", self.source_probability, self.source_factor)
        if not np.allclose(total, self.mid, rtol=1e-9, atol=1e-9):
            raise TableError(
                f"estimates of {self.zone} by {self.estimator}: sources do not add up to the factor"
            )
        if not np.allclose(self.source_probability.sum(axis=1), 1.0, rtol=0, atol=1e-9):
            raise TableError(f"estimates of {self.zone} by {self.estimator}: probabilities do not sum to 1")

    def __len__(self) -> int:
        return len(self.start_epoch_s)

    def taken(self, rows: NDArray[np.int64]) -> Estimates:
        """Give some of the intervals, in order of time."""
        per_interval = (
            "start_epoch_s", "low", "mid", "high", "source_probability", "source_factor", "regime", "status",
        )  # fmt: skip
        return replace(self, **{name: getattr(self, name)[rows] for name in per_interval})

    def between(self, interval: Interval) -> Estimates:
        """Give the estimates whose interval starts in another."""
        first, end = (moment.timestamp() for moment in (interval.start_utc, interval.end_utc))
        return self.taken(np.flatnonzero((self.start_epoch_s >= first) & (self.start_epoch_s < end)))
