"""A step cost that learns from the meter as it goes: what it keeps is as large after a year as after a minute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import stdtrit

from gridmargin.attribution.step_cost import (
    CONTEXT,
    FIXED,
    IDLE,
    IDLE_SPREAD_FRAC,
    TERMS,
    CostKey,
    CostPrior,
    StepCost,
)
from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HALF_LIFE_S = 1800.0
"""What a window counts for falls to half in this time: leakage follows the temperature of a rack over tens of minutes."""

USE_BY_S = 30 * 86_400
"""How long after its last reading a cost may be used."""

NOISE_FRAC = 0.02
"""Power of one second around the line that is assumed until it is known: weighs the prior against the meter. [1]"""

NEAR_IDLE_FRAC = 0.5
"""A window with less than this share of the usual pace tells idle from fixed. [1]"""

ASSUMED_BLOCKS = 2.0
"""Blocks that the assumed noise counts for."""

MISS_FRAC, TOLERANCE_FRAC = 0.10, 0.02
"""Share that a 90 % range may miss, and what more is let pass."""

ALARM_BLOCKS = 50_000.0
"""Mean number of blocks to a false alarm, at least: more than a day of blocks of two seconds."""

BURN_IN_BLOCKS = 20
"""Blocks that set the range before it is held against the meter."""

_BETS = np.array([1.0, 2.5, 5.0, 7.5])  # below 1 ÷ 0.12, so that no e-value is negative
_DATING = 2


@dataclass(slots=True)
class _Watch:
    """A sum that grows while a range misses more often than allowed (Shiryaev and Roberts, by e-values)."""

    total: FloatArray
    lasts_us: float
    growth: float = 0.0
    since_us: int | None = None
    alarm_since_us: int | None = None
    alarm_us: int = 0

    def see(self, missed: bool, start_us: int, end_us: int) -> None:
        bets = 1.0 + _BETS * (float(missed) - MISS_FRAC - TOLERANCE_FRAC)
        self.total = (self.total + 1.0) * bets
        if self.growth <= 0.0:
            self.since_us = start_us  # the likeliest beginning: where the sum of the logarithms was least
        self.growth = max(self.growth + float(np.log(bets[_DATING])), 0.0)
        if self.total.mean() >= ALARM_BLOCKS:
            if self.drifted_since_us(end_us) is None:
                self.alarm_since_us = self.since_us
            self.alarm_us = end_us
            self.growth, self.total = 0.0, np.zeros(len(_BETS))

    def drifted_since_us(self, now_us: int) -> int | None:
        """Give since when; nothing once a half-life has passed without another alarm, as the fit has followed."""
        return None if now_us - self.alarm_us > self.lasts_us else self.alarm_since_us


class CostFit:
    """Recursive least squares with forgetting, none of the coefficients negative, drawn towards a prior.

    Parameters
    ----------
    key : CostKey
    prior : CostPrior
    half_life_s : float
        [s]

    Notes
    -----
    Of the readings it keeps ``A = Σ w x xᵀ`` and ``b = Σ w x p``, with p a window's mean power, x its `window_terms`
    per second, and w the seconds that it adds to what was read before, halved every `half_life_s`; to these come sums
    for the level and the noise. The coefficients are ``argmin (c−m)ᵀΛ(c−m) + cᵀAc − 2bᵀc`` over c ≥ 0, by
    non-negative least squares on the Cholesky factor of A + Λ (Lawson and Hanson 1974, chapter 23).
    The attention-length term is used while it lowers the error of what is predicted before it is read.
    """

    def __init__(self, key: CostKey, prior: CostPrior, *, half_life_s: float = HALF_LIFE_S) -> None:
        if not half_life_s > 0:
            raise InputError(f"half-life of {half_life_s:g} s: give a length above 0")
        self.key = key
        self.prior = prior
        self.half_life_s = half_life_s
        k = len(TERMS)
        self._a, self._b = np.zeros((k, k)), np.zeros(k)
        self._seconds = self._watts = 0.0
        self._last_us: int | None = None
        self._near_idle_s = 0.0
        self._noise = np.zeros(2)
        self._loss = np.zeros(2)
        self._attention_known = True
        self._n_blocks = 0
        self._watch = _Watch(np.zeros(len(_BETS)), half_life_s * 1e6)

    def update(self, terms: FloatArray, energy_j: FloatArray, start_us: IntArray, end_us: IntArray) -> None:
        """Read windows: predict them as one block, then learn from them.

        Parameters
        ----------
        terms : array, shape (n, 6)
            Of `window_terms`; a context that is not known turns the attention-length term off.
        energy_j : array, shape (n,)
            What the meter said; NaN where it was silent. [J]
        start_us, end_us : arrays of int64, shape (n,)
            By end, which grows; windows may overlap. [µs since 1970 UTC]

        Raises
        ------
        InputError
            If ends do not grow, also against what was read before, or energy is negative: names the window.
        """
        last = self._last_us if self._last_us is not None else int(start_us[0]) if len(start_us) else 0
        back = np.flatnonzero(np.diff(end_us, prepend=last) <= 0)
        if len(back):
            raise InputError(
                f"meter window {back[0]} ends no later than the one before; give windows in order of their ends"
            )
        negative = np.flatnonzero(energy_j < 0)
        if len(negative):
            raise InputError(
                f"meter window {negative[0]}: {energy_j[negative[0]]:g} J is no energy; a counter that fell was reset"
            )
        fresh_s = np.minimum(np.diff(end_us, prepend=last), end_us - start_us) / 1e6
        if np.isnan(terms[:, CONTEXT]).any():
            self._attention_known = False
            terms = terms.copy()
            terms[:, CONTEXT] = 0.0
        known = np.isfinite(energy_j)
        if not known.any():
            return
        seconds = terms[known, IDLE]
        x, power_w = terms[known] / seconds[:, None], energy_j[known] / seconds
        weight, ends = fresh_s[known], end_us[known]
        self._forget(int(ends[-1]))
        weight = weight * 0.5 ** ((ends[-1] - ends) / 1e6 / self.half_life_s)
        self._judge(x, power_w, weight, int(start_us[known][0]))
        weighted = x * weight[:, None]
        self._a += weighted.T @ x
        self._b += weighted.T @ power_w
        self._seconds += float(weight.sum())
        self._watts += float(weight @ power_w)
        self._near_idle_s += float(weight[x[:, FIXED] < NEAR_IDLE_FRAC * self._pace_per_s()].sum())

    def cost(self) -> StepCost:
        """Give the cost as the readings so far have it.

        Raises
        ------
        InputError
            If nothing was read and the prior knows no level.
        """
        if self._last_us is None and not self.prior.has_level:
            raise InputError(f"{self.key}: no reading yet, and no profile to start from; wait for the meter")
        mean, precision = self._believed()
        with_attention = self._attends()
        coefficients, inverse = self._solve(mean, precision, with_attention)
        return StepCost(
            key=self.key,
            coefficients=coefficients,
            covariance=inverse,
            noise_w2s=self._noise_w2s(),
            n_windows=float(self._noise[0]),
            pace_per_s=self._pace_per_s(),
            idle_unseen_w=IDLE_SPREAD_FRAC * float(coefficients[IDLE]) / (1.0 + self._near_idle_s),
            fitted_to_us=self._last_us or 0,
            use_by_us=(self._last_us or 0) + USE_BY_S * 1_000_000,
            drifted_since_us=self._watch.drifted_since_us(self._last_us or 0),
        )

    def _pace_per_s(self) -> float:
        return float(self._a[IDLE, FIXED] / self._seconds) if self._seconds else 0.0

    def _attends(self) -> bool:
        # Before anything was predicted there is no sign against it, and the prior keeps it small.
        return self._attention_known and bool(self._loss[1] <= self._loss[0])

    def _forget(self, now_us: int) -> None:
        if self._last_us is not None:
            kept = 0.5 ** ((now_us - self._last_us) / 1e6 / self.half_life_s)
            self._a *= kept
            self._b *= kept
            self._seconds *= kept
            self._watts *= kept
            self._near_idle_s *= kept
            self._noise *= kept
            self._loss *= kept
        self._last_us = now_us

    def _judge(self, x: FloatArray, power_w: FloatArray, weight: FloatArray, start_us: int) -> None:
        """Hold the prediction of the block's mean power against what came."""
        if self._seconds == 0.0 and not self.prior.has_level:
            return
        seconds = float(weight.sum())
        mean_x, mean_w = weight @ x / seconds, float(weight @ power_w / seconds)
        believed, precision = self._believed()
        loss, squared = np.zeros(2), np.zeros(2)
        for attention in (False, True):
            coefficients, inverse = self._solve(believed, precision, attention)
            loss[int(attention)] = weight @ (power_w - x @ coefficients) ** 2
            spread = 1.0 / seconds + float(mean_x @ inverse @ mean_x)
            squared[int(attention)] = (mean_w - mean_x @ coefficients) ** 2 / spread
        own = float(squared[int(self._attends())])
        if self._n_blocks >= BURN_IN_BLOCKS:
            quantile = float(stdtrit(max(float(self._noise[0]), 1.0), 0.95))
            self._watch.see(own > quantile**2 * self._noise_w2s(), start_us, self._last_us or start_us)
        self._noise += np.array([1.0, own])
        self._loss += loss
        self._n_blocks += 1

    def _believed(self) -> tuple[FloatArray, FloatArray]:
        """Give the prior's mean and precision, brought to the device's level where it knows none."""
        mean, sd = self.prior.mean, self.prior.sd
        if not self.prior.has_level:
            level = self._watts / max(float(self._a[IDLE] @ mean), 1e-12)
            mean, sd = mean * level, sd * level
        return mean, self._assumed_noise() / np.maximum(sd, 1e-12) ** 2

    def _assumed_noise(self) -> float:
        watts = self._watts / self._seconds if self._seconds else float(self.prior.mean[IDLE])
        return max((NOISE_FRAC * watts) ** 2, 1e-12)

    def _noise_w2s(self) -> float:
        """Give the noise seen so far, with what was assumed standing for a few blocks more."""
        n, total = self._noise
        return float((total + ASSUMED_BLOCKS * self._assumed_noise()) / (n + ASSUMED_BLOCKS))

    def _solve(
        self, mean: FloatArray, precision: FloatArray, attention: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Give the coefficients and the inverse of A + Λ; zeros where the attention-length term is left out."""
        use = np.array([term != CONTEXT or attention for term in range(len(TERMS))])
        normal = (self._a + np.diag(precision))[np.ix_(use, use)]
        scale = 1.0 / np.sqrt(np.diag(normal))
        even = normal * np.outer(scale, scale)
        factor, even_inverse = np.linalg.cholesky(even), np.linalg.inv(even)
        target = factor.T @ (even_inverse @ ((self._b + precision * mean)[use] * scale))
        coefficients, inverse = np.zeros(len(TERMS)), np.zeros(self._a.shape)
        coefficients[use] = nnls(factor.T, target)[0] * scale
        inverse[np.ix_(use, use)] = even_inverse * np.outer(scale, scale)
        return coefficients, inverse
