"""Fit a sensor to a reference meter, and its range to what the fit left over.

Plain functions: a driver's updates and the meter's cumulated energy in, `Sensor` and `SensorError` out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gridmargin.meters.sensor import (
    FloatArray,
    PowerTrace,
    Sensor,
    SensorError,
    WindowMeans,
    half_width_w,
    means_over,
)
from gridmargin.vocab import InputError

DELAY_STEP_S = 0.002
LEAST_UPDATES = 10
LEAST_WINDOWS = 20
STEADY_BELOW = 0.05
"""A window whose swing is below this share of its power counts as steady."""

COVERAGE = 0.9
STEADY, SWINGING, HIDDEN = 0, 1, 2
"""Kinds of window: power holds still, moves from update to update, may move inside them."""


@dataclass(frozen=True, slots=True)
class Metered:
    """A reference meter's cumulated energy; interpolated between its samples.

    Attributes
    ----------
    time_s, energy_j : arrays, shape (n,)
        Increasing times; energy since the first. [s], [J]
    """

    time_s: FloatArray
    energy_j: FloatArray

    @classmethod
    def of_power(cls, time_s: FloatArray, power_w: FloatArray) -> Metered:
        """Cumulate power by the trapezoidal rule."""
        steps = np.diff(time_s) * (power_w[1:] + power_w[:-1]) / 2
        return cls(time_s, np.concatenate([[0.0], np.cumsum(steps)]))

    def between(self, start_s: FloatArray, end_s: FloatArray) -> FloatArray:
        """Give the energy between moments; NaN where the meter does not reach. [J]"""
        found = np.interp(end_s, self.time_s, self.energy_j) - np.interp(start_s, self.time_s, self.energy_j)
        outside = (start_s < self.time_s[0] - 1e-9) | (end_s > self.time_s[-1] + 1e-9)
        return np.where(outside, np.nan, found)

    def until(self, end_s: float) -> Metered:
        """Give the part before a moment."""
        n = int(np.searchsorted(self.time_s, end_s, side="right"))
        return Metered(self.time_s[:n], self.energy_j[:n])


@dataclass(frozen=True, slots=True)
class SensorFit:
    """A fitted sensor and its root mean square misfit over the readings. [W]"""

    sensor: Sensor
    rmse_w: float
    n: int


def fit_sensor(
    update_at_s: FloatArray,
    reading_w: FloatArray,
    metered: Metered,
    shapes: Sequence[Sensor],
    most_delay_s: float,
    level: Sensor | None = None,
) -> SensorFit:
    """Choose the shape and the delay, and solve for gain and offset, by which the meter explains the readings best.

    Parameters
    ----------
    update_at_s, reading_w : arrays, shape (n,)
        [s], [W]
    metered : Metered
        Only what the fit may see.
    shapes : sequence of Sensor
        Windows or lags to choose among.
    most_delay_s : float
        Delays from minus this to this are tried. [s]
    level : Sensor, optional
        Keep this one's gain and offset; only the delay is fitted then.

    Raises
    ------
    InputError
        If too few readings lie within the meter's time, or nothing moved while it watched.
    """
    best: SensorFit | None = None
    calm = _calm(reading_w)
    delays = np.arange(-most_delay_s, most_delay_s + DELAY_STEP_S / 2, DELAY_STEP_S)
    for shape in shapes:
        seen = _as_seen(metered, shape)
        for delay in delays:
            mean_w = seen(update_at_s - delay)
            known = np.isfinite(mean_w)
            n = int(known.sum())
            if n < LEAST_UPDATES:
                continue
            x, y = reading_w[known], mean_w[known]
            gain, offset = (level.gain, level.offset_w) if level else _line(x, y, calm[known])
            rmse = float(np.sqrt(np.mean((y - offset - gain * x) ** 2)))
            if gain > 0 and (best is None or rmse < best.rmse_w):
                best = SensorFit(replace(shape, delay_s=float(delay), gain=gain, offset_w=offset), rmse, n)
    if best is None:
        raise InputError(
            f"fewer than {LEAST_UPDATES} updates of the driver lie within the meter's time: do the two overlap?"
        )
    return best


def _line(x: FloatArray, y: FloatArray, calm: NDArray[np.bool_]) -> tuple[float, float]:
    """Give gain and offset by least squares of relative misfits, from updates where the reading held still.

    A reading on an edge says more about timing than about the level, so edges count only where nothing else moved.
    """
    chosen = (
        calm if calm.sum() >= 2 and np.ptp(x[calm]) > STEADY_BELOW * x.mean() else np.ones(len(x), dtype=bool)
    )
    x, y = x[chosen], y[chosen]
    if np.ptp(x) <= STEADY_BELOW * x.mean():
        return float(y.mean() / x.mean()), 0.0  # one level tells no slope
    gain, offset = np.polyfit(x, y, 1, w=1.0 / np.maximum(y, 1.0))
    return float(gain), float(offset)


def fit_level(
    parts: Sequence[tuple[FloatArray, FloatArray, Metered]], shape: Sensor, delays_s: Sequence[float]
) -> tuple[float, float]:
    """Solve for gain [1] and offset [W] over several recordings of one device, each with its own delay.

    Parameters
    ----------
    parts : sequence of (update_at_s, reading_w, Metered)
    shape : Sensor
        Gives window or lag.
    delays_s : sequence of float
        One a recording. [s]
    """
    found = []
    for (at_s, reading_w, metered), delay_s in zip(parts, delays_s, strict=True):
        mean_w = _as_seen(metered, shape)(at_s - delay_s)
        known = np.isfinite(mean_w)
        found.append((reading_w[known], mean_w[known], _calm(reading_w)[known]))
    readings, means, calm = (np.concatenate(column) for column in zip(*found, strict=True))
    return _line(readings, means, calm)


def _calm(reading_w: FloatArray) -> NDArray[np.bool_]:
    """Say which updates hardly differ from both neighbours."""
    step = np.abs(np.diff(reading_w, prepend=reading_w[:1], append=reading_w[-1:]))
    return np.asarray(np.maximum(step[1:], step[:-1]) < STEADY_BELOW * np.abs(reading_w))


def _as_seen(metered: Metered, shape: Sensor) -> Callable[[FloatArray], FloatArray]:
    """Give the function that says what a sensor of this shape would have read at a moment. [W]"""
    if shape.lag_s == 0:
        return lambda at_s: metered.between(at_s - shape.window_s, at_s) / shape.window_s
    from scipy.signal import lfilter

    grid_s = np.arange(metered.time_s[0], metered.time_s[-1], 0.001)
    power_w = np.diff(np.interp(grid_s, metered.time_s, metered.energy_j)) / 0.001
    kept = np.exp(-0.001 / shape.lag_s)
    lagged, _ = lfilter([1 - kept], [1, -kept], power_w, zi=[kept * power_w[:50].mean()])
    return lambda at_s: np.interp(at_s, grid_s[1:], lagged, left=np.nan, right=np.nan)


@dataclass(frozen=True, slots=True)
class Residuals:
    """What a fit left over in windows of one length: meter less estimate, and what the range is made of.

    Attributes
    ----------
    length_s : float
        [s]
    means : WindowMeans
    error_w : array, shape (n,)
        [W]
    """

    length_s: float
    means: WindowMeans
    error_w: FloatArray

    def where(self, chosen: NDArray[np.bool_]) -> Residuals:
        """Give some of the windows."""
        m = self.means
        means = WindowMeans(m.power_w[chosen], m.swing_w[chosen], m.hidden_w[chosen])
        return Residuals(self.length_s, means, self.error_w[chosen])


def residuals(of: PowerTrace, metered: Metered, start_s: FloatArray, length_s: float) -> Residuals:
    """Compare windows with the meter; those that either does not reach are left out."""
    means = means_over(of, start_s, length_s)
    error_w = metered.between(start_s, start_s + length_s) / length_s - means.power_w
    every = Residuals(length_s, means, error_w)
    return every.where(np.isfinite(error_w))


def calibrate(parts: Sequence[Residuals], family: SensorError) -> SensorError:
    """Turn residuals of the fit part into a range; what they are too few for stays the family's.

    Parameters
    ----------
    parts : sequence of Residuals
        Of one device; any number of each window length.
    family : SensorError
        Range of a device never fitted. Its level terms are kept: what drifts after a fit does not show in it.

    Notes
    -----
    Split conformal on shares, in three kinds of window: the rank ⌈0.9 (n + 1)⌉ of |error| ÷ power where power holds
    still; of what that leaves of the error ÷ swing where it moves; and ÷ hidden swing where it may move unseen.
    """
    lengths = sorted({each.length_s for each in parts})
    shares = np.zeros((3, len(lengths)))
    for column, length in enumerate(lengths):
        mine = [each for each in parts if each.length_s == length]
        for kind, otherwise in enumerate(family.at(length)):
            only = replace(
                family, length_s=np.array([length]), steady_frac=shares[0, column : column + 1],
                swing_frac=np.zeros(1), hidden_frac=np.zeros(1), level_frac=0.0, level_w=0.0,
            )  # fmt: skip
            needed = [_share_needed(each.where(_kind(each.means) == kind), only, kind) for each in mine]
            shares[kind, column] = _rank(np.concatenate(needed), otherwise)
    return replace(
        family, length_s=np.array(lengths), steady_frac=shares[0], swing_frac=shares[1], hidden_frac=shares[2]
    )


def level_share(devices: Sequence[Sequence[tuple[Residuals, SensorError]]]) -> float:
    """Give the share of power that, in quadrature with their ranges, holds 90 % of windows in 90 % of devices.

    Parameters
    ----------
    devices : sequence of sequences of (Residuals, SensorError)
        For each device its windows, later than its fit, beside the range they would have had with no such share.

    Notes
    -----
    Conformal twice: a device needs the rank ⌈0.9 (n + 1)⌉ of its windows, and the next device the same rank of those,
    which with fewer than nine devices is the neediest.
    """
    each_needs = []
    for parts in devices:
        needed = [_share_needed(part, replace(error, level_frac=0.0), STEADY) for part, error in parts]
        each_needs.append(max(_rank(shares, 0.0) for shares in needed))
    return _rank(np.array(each_needs), 0.0, least=1)


def _kind(means: WindowMeans) -> NDArray[np.int64]:
    moving = np.where(means.swing_w >= STEADY_BELOW * means.power_w, SWINGING, STEADY)
    return np.where(means.hidden_w > means.swing_w, HIDDEN, moving)


def _share_needed(of: Residuals, error: SensorError, kind: int) -> FloatArray:
    """Give the share of power, swing or hidden swing that would have to be added to the range to hold each window."""
    half = half_width_w(error, of.means, of.length_s)
    scale = (of.means.power_w, of.means.swing_w, of.means.hidden_w)[kind]
    off = np.abs(of.error_w)
    rest = off - half if kind == HIDDEN else np.sqrt(np.maximum(off**2 - half**2, 0.0))
    return np.asarray(np.maximum(rest, 0.0) / np.maximum(scale, 1e-9), dtype=np.float64)


def _rank(shares: FloatArray, otherwise: float, least: int = LEAST_WINDOWS) -> float:
    n = len(shares)
    if n < least:
        return otherwise
    rank = min(int(np.ceil((n + 1) * COVERAGE - 1e-9)), n)
    return float(np.sort(shares)[rank - 1])
