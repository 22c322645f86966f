"""The sensor of a device that never stood beside a meter: what its family's row in the reference says, with its range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from gridmargin.meters.reading import Reading
from gridmargin.meters.sensor import (
    FloatArray,
    Sensor,
    SensorError,
    WindowEnergy,
    longest_window_s,
    trace,
    unfitted_error,
    update_period_s,
    updates,
    window_energy,
)
from gridmargin.reference import range_shares, sensor_family
from gridmargin.vocab import InputError, Interval


def driver_energy(
    device: str,
    field: str,
    time_s: FloatArray,
    reading_w: FloatArray,
    start_s: FloatArray,
    length_s: float,
    utilisation_frac: FloatArray | None = None,
) -> WindowEnergy:
    """Give the energy of windows from a driver's readings, with the 90 % range of the device's family.

    Parameters
    ----------
    device, field : str
        As in `A100` and `power.draw.instant`; unknown ones take the row for any.
    time_s, reading_w : arrays, shape (n,)
        As polled, n ≥ 2; a row of NaN or a fall of time is refused. [s], [W]
    start_s : array, shape (m,)
        First moments of the windows. [s]
    length_s : float
        Length of each. [s]
    utilisation_frac : array, shape (n,), optional
        What the driver said beside each reading. [1]

    Raises
    ------
    InputError
        If the readings are no record of a board's power.
    """
    if len(time_s) != len(reading_w) or len(time_s) < 2:
        raise InputError(
            f"{device}: {len(time_s)} times and {len(reading_w)} readings: want as many, and two or more"
        )
    bad = ~(np.isfinite(time_s) & np.isfinite(reading_w) & (reading_w >= 0))
    bad[1:] |= np.diff(time_s) < 0
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{device}, reading {row}: {reading_w[row]} W at {time_s[row]} s: want times that do not fall and power that"
            " is not negative; leave out what is missing"
        )
    update_s = update_period_s(time_s, reading_w) or sensor_family(device, field).update_s
    at_s, shown_w = updates(time_s, reading_w, update_s)
    used = None
    if utilisation_frac is not None:
        used = utilisation_frac[np.minimum(np.searchsorted(time_s, at_s - 1e-9), len(time_s) - 1)]
    sensor = family_sensor(device, field, shown_w, update_s)
    told = trace(sensor, at_s, shown_w, used)
    shares = range_shares()
    error = family_error(sensor, shares.unfitted_level_frac, shares.unfitted_level_w)
    return window_energy(told, error, start_s, length_s)


def family_sensor(device: str, field: str, reading_w: FloatArray, update_s: float) -> Sensor:
    """Give the table's sensor at the period seen; a window that the readings rule out gives way to the period.

    Parameters
    ----------
    device, field : str
    reading_w : array, shape (n,)
        One value an update. [W]
    update_s : float
        Time between two. [s]
    """
    known = sensor_family(device, field)
    window_s = known.window_s if known.window_s != known.update_s else update_s
    if window_s > max(2 * longest_window_s(reading_w, update_s), update_s):
        window_s = update_s
    return Sensor(update_s, window_s, known.lag_s, 0.0, known.gain)


def family_error(sensor: Sensor, level_frac: float = 0.0, level_w: float = 0.0) -> SensorError:
    """Give the range of a device never fitted, with as much doubt of its level as stated. [1], [W]"""
    shares = range_shares()
    lengths, steady = np.array(shares.length_s), np.array(shares.steady_frac)
    return unfitted_error(sensor, lengths, steady, level_frac, level_w)


SENSED_S = 1.0
"""Windows to which power readings are brought: long enough for a sensor's average, short beside a drifting cost. [s]"""


def through_sensor(readings: Sequence[Reading], device: str, field: str) -> tuple[list[Reading], float]:
    """Bring readings of power to energy by the sensor of a device's family.

    Parameters
    ----------
    readings : sequence of Reading
        Each the power at its end, held since the reading before.
    device, field : str
        As for `driver_energy`.

    Returns
    -------
    tuple of list of Reading and float
        Windows of `SENSED_S` that the readings reach, and the median half-width of their 90 % range, relative. [1]

    Raises
    ------
    InputError
        As `driver_energy`; or if no window is reached.
    """
    by_device: dict[str, list[Reading]] = {}
    for reading in readings:
        by_device.setdefault(reading.device, []).append(reading)
    found, halves = [], []
    for name, held in by_device.items():
        ends = np.array([one.interval.end_utc.timestamp() for one in held])
        watts = np.array([one.energy_j / one.interval.duration_s for one in held])
        first, last = math.ceil(held[0].interval.start_utc.timestamp()), math.floor(ends[-1])
        start = np.arange(first, last, SENSED_S)
        if len(start) < 1 or len(ends) < 2:
            raise InputError(f"{name}: the readings reach over no whole second; give a longer trace")
        energy = driver_energy(device, field, ends - first, watts, start - first, SENSED_S)
        # A gap in the readings stays one: nothing is drawn over it.
        told = np.isfinite(energy.mid_j) & _covered(held, start)
        halves.append(((energy.high_j - energy.low_j) / 2 / energy.mid_j)[told & (energy.mid_j > 0)])
        found += [
            Reading(
                device=name,
                interval=Interval.starting(datetime.fromtimestamp(at, UTC), int(SENSED_S)),
                energy_j=max(float(joules), 0.0),
                resolution_s=SENSED_S,
                meter=held[0].meter,
                status=held[0].status,
            )
            for at, joules in zip(start[told], energy.mid_j[told], strict=True)
        ]
    every = np.concatenate(halves) if halves else np.empty(0)
    if not len(every):
        raise InputError("the readings reach over no whole second; give a longer trace")
    return found, float(np.median(every))


def _covered(held: Sequence[Reading], start: FloatArray) -> NDArray[np.bool_]:
    """Say which windows lie whole inside readings that follow one another."""
    edges = np.array([[one.interval.start_utc.timestamp(), one.interval.end_utc.timestamp()] for one in held])
    breaks = np.flatnonzero(edges[1:, 0] > edges[:-1, 1] + 1e-6)
    inside: NDArray[np.bool_] = (start >= edges[0, 0] - 1e-6) & (start + SENSED_S <= edges[-1, 1] + 1e-6)
    for at in breaks:
        inside &= (start + SENSED_S <= edges[at, 1] + 1e-6) | (start >= edges[at + 1, 0] - 1e-6)
    return inside
