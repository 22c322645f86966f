"""What a driver's power readings say about energy, window by window, with a 90 % range.

Plain functions over arrays: times and readings in, joules out. A reading is a mean over a stretch that may be shorter
or longer than the time between two updates, and a gain and an offset away from the board's power.
docs/methods/sensor.md has the equations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridmargin.vocab import InputError

FloatArray = NDArray[np.float64]

DECONVOLVE_FROM = 2.0
"""Windows of at least so many updates are deconvolved. Below, each reading is laid around the middle of its window:
undoing a mean over less than two updates rings more than it sharpens (docs/methods/sensor.md)."""

MEAN_SMOOTHING, LAG_SMOOTHING = 10.0, 0.01
"""Weight of squared differences between neighbouring updates against squared misfit, in units of what one update adds
to a reading. A mean over many updates cannot see swings with a period of window ÷ 1, 2, 3…, so much of what comes out
is up to this weight; the powers of ten with the least error on the fit parts of the recordings (docs/methods/sensor.md)."""

IDLE_FRAC, BUSY_FRAC = 0.02, 0.98
"""Utilisation between these is a device that was busy for part of the driver's sample: power swung unseen."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """How a driver's reading comes from the board's power.

    Attributes
    ----------
    update_s : float
        Time between two new readings. [s]
    window_s : float
        A reading is the mean of the power over this stretch; without meaning where `lag_s` is above 0. [s]
    lag_s : float
        Time constant of a sensor that follows the power as a charging capacitor does; 0 for a mean. [s]
    delay_s : float
        From the end of the stretch to the moment the reading shows, clock offset of the recording included. [s]
    gain, offset_w : float
        Power of the board is offset + gain × reading. [1], [W]
    """

    update_s: float
    window_s: float
    lag_s: float = 0.0
    delay_s: float = 0.0
    gain: float = 1.0
    offset_w: float = 0.0

    def __post_init__(self) -> None:
        if not (self.update_s > 0 and self.window_s > 0 and self.lag_s >= 0 and self.gain > 0):
            raise InputError(
                f"sensor with an update period of {self.update_s} s, a window of {self.window_s} s, a lag of"
                f" {self.lag_s} s and a gain of {self.gain}: periods, windows and gains are above 0, lags at least 0"
            )

    @property
    def seen_frac(self) -> float:
        """Share of time that enters any reading at all. [1]"""
        return 1.0 if self.lag_s > 0 else min(1.0, self.window_s / self.update_s)


@dataclass(frozen=True, slots=True)
class SensorError:
    """Half-widths of the 90 % range, as shares; see `window_energy` for how they combine.

    Attributes
    ----------
    length_s : array, shape (m,)
        Window lengths that the shares hold for, increasing; between them the logarithm is interpolated. [s]
    steady_frac : array, shape (m,)
        Share of the power, where it hardly moves: noise, and how the meter and the sensor drift apart. [1]
    swing_frac : array, shape (m,)
        Share of the swing from one update to the next. [1]
    hidden_frac : array, shape (m,)
        Share of the swing inside updates. [1]
    level_frac, level_w : float
        Gain and offset are not known better than this, the same for every window. [1], [W]
    """

    length_s: FloatArray
    steady_frac: FloatArray
    swing_frac: FloatArray
    hidden_frac: FloatArray
    level_frac: float = 0.0
    level_w: float = 0.0

    def at(self, length_s: float) -> tuple[float, float, float]:
        """Give the shares for one window length: steady, swing, hidden."""
        x, known = np.log(length_s), np.log(self.length_s)
        steady, swing, hidden = (
            float(np.interp(x, known, shares))
            for shares in (self.steady_frac, self.swing_frac, self.hidden_frac)
        )
        return steady, swing, hidden


@dataclass(frozen=True, slots=True)
class PowerTrace:
    """Power of the board as a staircase; n steps.

    Attributes
    ----------
    edge_s : array, shape (n + 1,)
        Increasing. [s]
    power_w : array, shape (n,)
        Never negative. [W]
    swing_w : array, shape (n,)
        By how much the power differs from that of the steps beside it. [W]
    hidden_w : array, shape (n,)
        By how much it may have moved inside the step, unseen. [W]
    """

    edge_s: FloatArray
    power_w: FloatArray
    swing_w: FloatArray
    hidden_w: FloatArray


@dataclass(frozen=True, slots=True)
class WindowMeans:
    """Means of a trace over windows, shape (n,) each; NaN where it does not reach. [W]"""

    power_w: FloatArray
    swing_w: FloatArray
    hidden_w: FloatArray


@dataclass(frozen=True, slots=True)
class WindowEnergy:
    """Energy of windows with its 90 % range, shape (n,) each; NaN where the readings do not reach. [J]"""

    low_j: FloatArray
    mid_j: FloatArray
    high_j: FloatArray


def update_period_s(time_s: FloatArray, reading_w: FloatArray) -> float | None:
    """Find the time between two updates from how long readings repeat, or None where fewer than five differ.

    Notes
    -----
    Equal readings in a row may be one update or several, so long gaps say nothing; the period is the median of those
    within half again of the shortest tenth.
    """
    gaps = np.diff(time_s[_changes(reading_w)])
    if len(gaps) < 4:
        return None
    return float(np.median(gaps[gaps <= 1.5 * np.quantile(gaps, 0.1)]))


def updates(time_s: FloatArray, reading_w: FloatArray, update_s: float) -> tuple[FloatArray, FloatArray]:
    """Give when the driver updated and to what; a value that stood for several periods is as many updates.

    Parameters
    ----------
    time_s, reading_w : arrays, shape (n,)
        As polled, faster than the driver updates or slower. [s], [W]
    update_s : float
        Time between two updates. [s]
    """
    changed = _changes(reading_w)
    if not len(changed):
        at = np.arange(time_s[0], time_s[-1], update_s)
        return at, np.full(len(at), reading_w[0])
    first, last = time_s[changed[0]], time_s[changed[-1]]
    n_before = int((first - time_s[0]) / update_s + 1e-6)
    n_after = int((time_s[-1] - last) / update_s + 1e-6)
    starts = np.concatenate([[first - n_before * update_s], time_s[changed], [last + n_after * update_s]])
    values = np.concatenate([[reading_w[0]], reading_w[changed]])
    gaps = np.diff(starts)
    n_updates = np.maximum(np.rint(gaps / update_s).astype(np.int64), np.where(gaps > 0, 1, 0))
    nth = np.arange(n_updates.sum()) - np.repeat(np.cumsum(n_updates) - n_updates, n_updates)
    step = np.repeat(gaps / np.maximum(n_updates, 1), n_updates)
    return np.repeat(starts[:-1], n_updates) + nth * step, np.repeat(values, n_updates)


def longest_window_s(reading_w: FloatArray, update_s: float) -> float:
    """Bound the window from above: a mean over `w` moves by at most update ÷ w of the span from one update to the next. [s]"""
    most = float(np.abs(np.diff(reading_w)).max(initial=0.0))
    return update_s * float(np.ptp(reading_w)) / most if most > 0 else np.inf


def trace(
    sensor: Sensor,
    update_at_s: FloatArray,
    reading_w: FloatArray,
    utilisation_frac: FloatArray | None = None,
    span_w: float | None = None,
) -> PowerTrace:
    """Turn updates into the power that they tell of.

    Parameters
    ----------
    update_at_s, reading_w : arrays, shape (n,)
        As `updates` gives them, n ≥ 2. [s], [W]
    utilisation_frac : array, shape (n,), optional
        What the driver said at the same updates. Where it lies between idle and busy, or is not known for a sensor
        that sees a part of the time, power may have swung over the whole span inside an update. [1]
    span_w : float, optional
        Most that the device's readings differ; that of these readings if absent. [W]

    Raises
    ------
    InputError
        If there are fewer than two updates.
    """
    if len(reading_w) < 2:
        raise InputError(f"{len(reading_w)} update of the driver's reading: energy needs at least two")
    board_w = np.maximum(sensor.offset_w + sensor.gain * reading_w, 0.0)
    end_s = update_at_s - sensor.delay_s
    if sensor.lag_s > 0 or sensor.window_s >= DECONVOLVE_FROM * sensor.update_s:
        power_w = deconvolved(sensor, board_w)
        edge_s = np.concatenate([[end_s[0] - sensor.update_s], end_s])
    else:
        power_w = board_w
        centre = end_s - sensor.window_s / 2
        between = (centre[1:] + centre[:-1]) / 2
        half = sensor.update_s / 2
        edge_s = np.concatenate([[centre[0] - half], between, [centre[-1] + half]])
    step = np.abs(np.diff(power_w))
    swing = np.maximum(np.concatenate([[0.0], step]), np.concatenate([step, [0.0]]))
    if utilisation_frac is None:
        unseen = np.full(len(power_w), sensor.seen_frac < 1)
    else:
        unseen = (utilisation_frac > IDLE_FRAC) & (utilisation_frac < BUSY_FRAC)
    span = sensor.gain * float(np.ptp(reading_w) if span_w is None else span_w)
    return PowerTrace(edge_s, power_w, swing, np.where(unseen, span, 0.0))


def deconvolved(sensor: Sensor, board_w: FloatArray) -> FloatArray:
    """Undo a mean over several updates, or a lag: power of each update's own stretch, never negative. [W]

    Notes
    -----
    Minimises ``|A p − v|² + λ |D p|²`` with A the mean over the window (or the lag's answer to a step) and D the
    difference of neighbours; what comes out below 0 is set to 0 and the rest scaled to keep the energy.
    """
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    n = len(board_w)
    if sensor.lag_s > 0:
        kept = float(np.exp(-sensor.update_s / sensor.lag_s))
        matrix = sparse.identity(n) * (1.0 - kept)
        wanted = board_w - kept * np.concatenate([board_w[:1], board_w[:-1]])
        n_before, smooth = 0, LAG_SMOOTHING * (1.0 - kept) ** 2
    else:
        span = sensor.window_s / sensor.update_s
        n_before, smooth = int(np.ceil(span - 1e-9)) - 1, MEAN_SMOOTHING / span**2
        shares = np.full(n_before + 1, 1.0 / span)
        shares[0] = 1.0 - n_before / span  # the oldest stretch is held in part
        matrix = sparse.diags_array(list(shares), offsets=list(range(n_before + 1)), shape=(n, n + n_before))
        wanted = board_w
    unknowns = n + n_before
    ends = np.ones(unknowns - 1)
    differences = sparse.diags_array([-ends, ends], offsets=[0, 1], shape=(unknowns - 1, unknowns))
    normal = (matrix.T @ matrix + smooth * (differences.T @ differences)).tocsc()
    found = np.asarray(spsolve(normal, matrix.T @ wanted))[n_before:]
    positive = np.maximum(found, 0.0)
    total = positive.sum()
    kept_energy = max(float(found.sum()), 0.0) / total if total > 0 else 1.0
    return np.asarray(positive * kept_energy, dtype=np.float64)


def counter_trace(time_s: FloatArray, energy_j: FloatArray, gain: float = 1.0) -> PowerTrace:
    """Turn an energy counter, polled at any rate, into power between its steps.

    Raises
    ------
    InputError
        If it falls, or takes fewer than two steps.
    """
    if (np.diff(energy_j) < 0).any():
        row = int(np.flatnonzero(np.diff(energy_j) < 0)[0]) + 1
        raise InputError(
            f"energy counter falls from {energy_j[row - 1]} to {energy_j[row]} J at row {row}: undo wraps and resets first"
        )
    changed = np.concatenate([[0], _changes(energy_j)])
    if len(changed) < 3:
        raise InputError("the energy counter took fewer than two steps: read it for longer")
    edge_s = time_s[changed]
    power_w = gain * np.diff(energy_j[changed]) / np.diff(edge_s)
    step = np.abs(np.diff(power_w))
    swing = np.maximum(np.concatenate([[0.0], step]), np.concatenate([step, [0.0]]))
    return PowerTrace(edge_s, power_w, swing, np.zeros(len(power_w)))


def means_over(of: PowerTrace, start_s: FloatArray, length_s: float) -> WindowMeans:
    """Give what a trace says of windows."""
    width = np.diff(of.edge_s)
    ends = start_s + length_s
    outside = (start_s < of.edge_s[0] - 1e-9) | (ends > of.edge_s[-1] + 1e-9)
    parts = []
    for value in (of.power_w, of.swing_w, of.hidden_w):
        total = np.concatenate([[0.0], np.cumsum(value * width)])
        over = np.interp(ends, of.edge_s, total) - np.interp(start_s, of.edge_s, total)
        parts.append(np.where(outside, np.nan, over / length_s))
    return WindowMeans(*parts)


def unfitted_error(
    sensor: Sensor, length_s: FloatArray, steady_frac: FloatArray, level_frac: float, level_w: float
) -> SensorError:
    """Give the range of a device that never stood beside a meter.

    Notes
    -----
    A window cuts at most one update, so ``min(1, update ÷ length)`` of a swing; and a load in step with the sensor
    always shows it the same part, so of what swings inside updates the share of time not seen does not average out:
    ``1 − seen`` on top.
    """
    cut = np.minimum(1.0, sensor.update_s / length_s)
    hidden = np.minimum(cut + 1.0 - sensor.seen_frac, 1.0)
    return SensorError(length_s, steady_frac, cut, hidden, level_frac, level_w)


def window_energy(of: PowerTrace, error: SensorError, start_s: FloatArray, length_s: float) -> WindowEnergy:
    """Give the energy of windows with its 90 % range.

    Parameters
    ----------
    of : PowerTrace
    error : SensorError
    start_s : array, shape (n,)
        First moments of the windows. [s]
    length_s : float
        Length of each. [s]

    Notes
    -----
    The half-width is ``(hidden H + √((steady P)² + (swing S)² + (level P)² + level_w²)) · length``: P, S and H are the
    window's means of power, of its difference to the updates beside, and of what may hide inside updates. What hides
    from a sensor in step with the load hides in every window, so it adds linearly (C6). The low end never lies below 0.
    """
    if not length_s > 0:
        raise InputError(f"windows of {length_s} s: a window is longer than 0")
    means = means_over(of, start_s, length_s)
    mid_j, half_j = means.power_w * length_s, half_width_w(error, means, length_s) * length_s
    return WindowEnergy(np.maximum(mid_j - half_j, 0.0), mid_j, mid_j + half_j)


def half_width_w(error: SensorError, means: WindowMeans, length_s: float) -> FloatArray:
    """Give the half-width of the 90 % range of mean powers. [W]"""
    steady, swing, hidden = error.at(length_s)
    shares = (steady**2 + error.level_frac**2) * means.power_w**2
    seen = np.sqrt(shares + (swing * means.swing_w) ** 2 + error.level_w**2)
    return np.asarray(hidden * means.hidden_w + seen, dtype=np.float64)


def _changes(values: FloatArray) -> NDArray[np.int64]:
    return np.flatnonzero(np.diff(values) != 0) + 1
