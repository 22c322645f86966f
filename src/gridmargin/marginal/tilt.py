"""A distribution over sources moved, by as little as can be, to a given mean factor.

Plain functions: probabilities, factors and the wanted mean in; probabilities, factors and what was done out.

Notes
-----
Of all distributions q over the sources with Σ q f = m, the one with the least Kullback-Leibler divergence from p is

    q ∝ p · exp(λ f)

with the one λ that gives the mean (Csiszár 1975, I-divergence geometry, doi:10.1214/aop/1176996454). A source that p
rules out stays ruled out. Where m lies outside the factors of the sources that p allows, no distribution has that mean:
then p stays, and its factors are multiplied by one number instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

KEPT, TILTED, SCALED = "kept", "tilted", "scaled"
"""What was done: nothing, probabilities moved, or factors scaled (or set, where all of them were zero)."""

RIGHT_FRAC = 1e-12
"""A mean this close, relative to the largest factor, is the right one already."""


def tilt(
    probability: FloatArray, factor: FloatArray, mean: FloatArray
) -> tuple[FloatArray, FloatArray, NDArray[np.str_]]:
    """Give distributions with the wanted means.

    Parameters
    ----------
    probability : array, shape (n, k)
        Rows sum to 1. [1]
    factor : array, shape (n, k)
        [g kWh⁻¹]
    mean : array, shape (n,)
        Wanted `Σ_k probability × factor`. [g kWh⁻¹]

    Returns
    -------
    probability, factor : array, shape (n, k)
        Rows sum to 1, and `Σ_k probability × factor` is the mean.
    done : array of str, shape (n,)
        One of `KEPT`, `TILTED`, `SCALED`.
    """
    allowed = probability > 0
    most = np.where(allowed, factor, -np.inf).max(axis=1, initial=-np.inf)
    least = np.where(allowed, factor, np.inf).min(axis=1, initial=np.inf)
    have = (probability * factor).sum(axis=1)
    size = np.maximum(np.abs(factor).max(axis=1, initial=0.0), np.abs(mean))
    right = np.abs(have - mean) <= RIGHT_FRAC * size
    inside = (least <= mean) & (mean <= most)
    done = np.where(right, KEPT, np.where(inside, TILTED, SCALED)).astype(np.str_)
    q, f = probability.copy(), factor.copy()
    to_tilt, to_scale = np.flatnonzero(~right & inside), np.flatnonzero(~right & ~inside)
    q[to_tilt] = _tilted(probability[to_tilt], factor[to_tilt], mean[to_tilt])
    f[to_scale] = _scaled(factor[to_scale], have[to_scale], mean[to_scale], size[to_scale])
    return q, f, done


def _tilted(p: FloatArray, f: FloatArray, mean: FloatArray) -> FloatArray:
    """Find λ by bisection, in factors from 0 to 1."""
    if not len(p):
        return p
    allowed = p > 0
    least = np.where(allowed, f, np.inf).min(axis=1)
    most = np.where(allowed, f, -np.inf).max(axis=1)
    span = most - least
    x = np.where(allowed, (f - least[:, None]) / span[:, None], 0.0)
    wanted = (mean - least) / span
    log_p = np.where(allowed, np.log(np.where(allowed, p, 1.0)), -np.inf)

    def at(slope: FloatArray) -> FloatArray:
        weight = log_p + slope[:, None] * x
        weight = np.exp(weight - weight.max(axis=1, keepdims=True))
        return np.asarray(weight / weight.sum(axis=1, keepdims=True))

    low, high = np.full(len(p), -1.0), np.full(len(p), 1.0)
    for _ in range(
        40
    ):  # until the wanted mean lies between; 2⁴⁰ is beyond any probability that a float holds
        short, long = (at(high) * x).sum(axis=1) < wanted, (at(low) * x).sum(axis=1) > wanted
        if not (short.any() or long.any()):
            break
        high, low = np.where(short, 2 * high, high), np.where(long, 2 * low, low)
    for _ in range(100):
        middle = (low + high) / 2
        less = (at(middle) * x).sum(axis=1) < wanted
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    q = at((low + high) / 2)
    # What rounding left, and a mean at the very end, which no finite λ gives: mix with the source at that end.
    rows = np.arange(len(q))
    for _ in range(2):
        rest = mean - (q * f).sum(axis=1)
        end = np.where(
            rest > 0,
            np.where(allowed, f, -np.inf).argmax(axis=1),
            np.where(allowed, f, np.inf).argmin(axis=1),
        )
        room = f[rows, end] - (q * f).sum(axis=1)
        share = np.clip(np.divide(rest, room, out=np.zeros_like(rest), where=room != 0), 0.0, 1.0)
        q = q * (1 - share)[:, None]
        q[rows, end] += share
    return q


def _scaled(f: FloatArray, have: FloatArray, mean: FloatArray, size: FloatArray) -> FloatArray:
    small = np.abs(have) <= RIGHT_FRAC * size
    by = np.divide(mean, have, out=np.zeros_like(mean), where=~small)
    return np.where(small[:, None], mean[:, None], f * by[:, None])
