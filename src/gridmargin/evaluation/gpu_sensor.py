"""Backtest `gpu-sensor`: energy from a driver's power readings, against a meter in the board's supply.

A folder holds pairs `KIND_DEVICE_nvml.csv` and `KIND_DEVICE_meter.parquet`. The last recording of a device is cut in
the middle: its first half and all of the device's other recordings are the fit part, its second half is the test.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gridmargin.evaluation.ask import Ask
from gridmargin.evaluation.scores import Row, report, score
from gridmargin.meters import (
    Metered,
    PowerTrace,
    Residuals,
    Sensor,
    SensorError,
    calibrate,
    family_error,
    family_sensor,
    fit_level,
    fit_sensor,
    level_share,
    residuals,
    trace,
    update_period_s,
    updates,
    window_energy,
)
from gridmargin.reference import range_shares, sensor_family
from gridmargin.vocab import InputError, UnknownNameError

FloatArray = NDArray[np.float64]

FOLDERS = ("", "gpu_sensor_vs_meter", "inference/gpu_sensor_vs_meter")
ANY = "any"
AVERAGE = "power.draw.average"
FIELDS = ("power.draw.instant", "power.draw", AVERAGE)
"""What the driver may report, the quickest first."""

UTILISATION = "utilization.gpu [%]"
LENGTHS_S = {"10 ms": 0.01, "100 ms": 0.1, "1000 ms": 1.0}
SLIDE_S = {0.01: 0.01, 0.1: 0.1, 1.0: 0.1}
"""Windows of 1 s slide by a tenth, since a recording of seconds holds so few of them; they share readings."""

FIT_SLIDE_S = 0.01
MOST_DELAY_S = 0.08
"""Clock offsets reach 50 ms, and the driver's own delay comes on top."""

WINDOWS_IN_UPDATES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 10.0)
LAGS_S = (0.03, 0.04, 0.06, 0.08, 0.1, 0.15)
FAMILY_WITHIN = 1.25
"""The family's shape is kept unless another explains the readings so many times better."""

LEAST_OTHERS = 3


@dataclass(frozen=True, slots=True)
class Recording:
    """One device beside the meter for some seconds.

    Attributes
    ----------
    name, device, field : str
    polled_s, polled_w : arrays, shape (n,)
        When the driver was asked, and what it said. [s], [W]
    update_at_s, reading_w, utilisation_frac : arrays, shape (k,)
        At each update of the driver. [s], [W], [1]
    update_s : float
        [s]
    metered : Metered
    """

    name: str
    device: str
    field: str
    polled_s: FloatArray
    polled_w: FloatArray
    update_at_s: FloatArray
    reading_w: FloatArray
    utilisation_frac: FloatArray | None
    update_s: float
    metered: Metered

    @property
    def overlap_s(self) -> tuple[float, float]:
        """First and last moment that both saw. [s]"""
        return (
            max(self.metered.time_s[0], self.polled_s[0]),
            min(self.metered.time_s[-1], self.polled_s[-1]),
        )

    @property
    def middle_s(self) -> float:
        """Where fit and test part. [s]"""
        return sum(self.overlap_s) / 2

    def starts_s(self, first_s: float, last_s: float, length_s: float, slide_s: float) -> FloatArray:
        """Give windows between two moments. [s]"""
        return np.arange(first_s, last_s - length_s + 1e-9, slide_s)


@dataclass(frozen=True, slots=True)
class Told:
    """What a sensor model makes of a device's test recording.

    Attributes
    ----------
    test : Recording
    fit : str
        What it was fitted on, in words.
    sensor : Sensor
    trace : PowerTrace
    error : SensorError
        Without the share by which levels are off.
    later : list of Residuals
        Of the test part.
    seconds : float
        [s]
    """

    test: Recording
    fit: str
    sensor: Sensor
    trace: PowerTrace
    error: SensorError
    later: list[Residuals]
    seconds: float


Pooled = dict[tuple[str, str], list[tuple[FloatArray, ...]]]
"""Low, mid, high, meter and raw of windows, by estimator and length; one tuple a device."""


def run(ask: Ask) -> dict[str, Any]:
    """Fit each device's sensor on its fit part and score its later windows.

    Raises
    ------
    InputError
        If the folder holds no pair of files, or one is not as it should be.
    """
    started = time.perf_counter()
    ask.refuse(
        "gpu-sensor", "tests the later half of each recording", "avert", "train_year", "test_year", "test_from",
        "test_to", "horizon_min", "train_s",
    )  # fmt: skip
    every = _recordings(ask.data)
    devices = _by_device([quickest for quickest, _ in every])
    if ask.region is not None and ask.region not in devices:
        raise UnknownNameError("device", ask.region, tuple(devices))
    fitted = {device: _fit(mine) for device, mine in devices.items()}
    rows: list[Row] = []
    pooled: Pooled = {}
    for device in devices:
        if ask.region not in (None, device):
            continue
        rows += _scored(_with_drift(device, fitted), "sensor", pooled)
        rows += _scored(_unfitted(device, fitted), "family", pooled)
    averages = _by_device([average for _, average in every if average is not None])
    for device, mine in averages.items():
        if ask.region in (None, device):
            slow = _fit(mine)
            slow = replace(slow, error=replace(slow.error, level_frac=range_shares().fitted_level_frac))
            rows += _scored(slow, "sensor on the 1 s average", {})
    if len({row["region"] for row in rows}) > 1:
        rows += _all_devices(pooled)
    return report("gpu-sensor", {"gridmargin": version("gridmargin")}, time.perf_counter() - started, rows)


def _recordings(data: Path) -> list[tuple[Recording, Recording | None]]:
    for folder in (data / name for name in FOLDERS):
        paths = sorted(folder.glob("*_nvml.csv")) if folder.is_dir() else []
        if paths:
            return [_read(path) for path in paths]
    raise InputError(
        f"no KIND_DEVICE_nvml.csv under {data}: want the driver's readings beside KIND_DEVICE_meter.parquet"
    )


def _by_device(recordings: Iterable[Recording]) -> dict[str, list[Recording]]:
    """Group by device; steps come before what is not a step, so that the test holds the richer load."""
    devices: dict[str, list[Recording]] = {}
    for each in sorted(recordings, key=lambda r: (r.device, not r.name.startswith("step"), r.name)):
        devices.setdefault(each.device, []).append(each)
    return devices


def _read(path: Path) -> tuple[Recording, Recording | None]:
    """Give a recording by the driver's quickest field, and by its average where that stands beside it."""
    name = path.name.removesuffix("_nvml.csv")
    device = name.partition("_")[2]
    if not device:
        raise InputError(f"{path.name}: want a name such as step_DEVICE_nvml.csv")
    meter_path = path.with_name(f"{name}_meter.parquet")
    if not meter_path.is_file():
        raise InputError(f"{path.name} has no {meter_path.name} beside it")
    driver, meter = _table(path), _table(meter_path)
    fields = [f for f in FIELDS if f"{f} [W]" in driver.columns and _numbers(driver, f"{f} [W]").count()]
    if not fields:
        raise InputError(
            f"{path.name}: no column {', '.join(f'{f} [W]' for f in FIELDS)} with a number in it"
        )
    time_s, power_w = _column(meter, meter_path, "t_ms") / 1000.0, _column(meter, meter_path, "total_w")
    _check(meter_path.name, time_s, power_w)
    if np.ptp(power_w) == 0:
        raise InputError(
            f"{meter_path.name}: the meter says {power_w[0]:g} W throughout: it tells nothing of the driver"
        )
    metered = Metered.of_power(time_s, power_w)
    read = {f: _recording(path, device, f, driver, metered) for f in fields}
    return read[fields[0]], read.get(AVERAGE) if fields[0] != AVERAGE else None


def _recording(path: Path, device: str, field: str, driver: pl.DataFrame, metered: Metered) -> Recording:
    polled_s = _column(driver, path, "t_ms") / 1000.0
    polled_w = _column(driver, path, f"{field} [W]")
    _check(path.name, polled_s, polled_w)
    name = path.name.removesuffix("_nvml.csv")
    if min(polled_s[-1], metered.time_s[-1]) <= max(polled_s[0], metered.time_s[0]):
        raise InputError(
            f"{name}: no overlap: the driver was read from {polled_s[0]:g} to {polled_s[-1]:g} s, the meter from"
            f" {metered.time_s[0]:g} to {metered.time_s[-1]:g} s"
        )
    update_s = update_period_s(polled_s, polled_w) or sensor_family(device, field).update_s
    at_s, reading_w = updates(polled_s, polled_w, update_s)
    utilisation = None
    if UTILISATION in driver.columns:
        share = _numbers(driver, UTILISATION).fill_null(strategy="forward").to_numpy() / 100.0
        utilisation = share[np.minimum(np.searchsorted(polled_s, at_s - 1e-9), len(share) - 1)]
    return Recording(name, device, field, polled_s, polled_w, at_s, reading_w, utilisation, update_s, metered)


def _numbers(table: pl.DataFrame, name: str) -> pl.Series:
    """Give a column as numbers; words such as [N/A] are absent."""
    return table[name].cast(pl.Float64, strict=False)


def _table(path: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(path, infer_schema_length=None) if path.suffix == ".csv" else pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        said = str(error).splitlines()[0]
        raise InputError(f"{path.name} cannot be read ({said}): cut short? fetch it again") from error


def _column(table: pl.DataFrame, path: Path, name: str) -> FloatArray:
    if name not in table.columns:
        raise InputError(f"{path.name} has no column {name}; it has {', '.join(table.columns)}")
    values = _numbers(table, name).fill_null(float("nan")).to_numpy()
    if len(values) < 2:
        raise InputError(f"{path.name}: {len(values)} rows are no recording")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(f"{path.name}, row {row + 2}: {name} is {table[name][row]!r} and no number")
    return np.asarray(values, dtype=np.float64)


def _check(name: str, at_s: FloatArray, power_w: FloatArray) -> None:
    back = np.flatnonzero(np.diff(at_s) < 0)
    if len(back):
        row = int(back[0]) + 1
        raise InputError(
            f"{name}, row {row + 2}: time goes back from {at_s[row - 1] * 1000:g} to {at_s[row] * 1000:g} ms: sort it, or"
            " cut it where the clock was set"
        )
    if at_s[-1] <= at_s[0]:
        raise InputError(f"{name}: all rows are of one moment")
    if (power_w < 0).any():
        row = int(np.flatnonzero(power_w < 0)[0])
        raise InputError(f"{name}, row {row + 2}: {power_w[row]:g} W: a board draws no negative power")


def _shapes(of: Recording) -> list[Sensor]:
    """Give the family's shape first, then what else it might be."""
    u = of.update_s
    means = [Sensor(u, u * share) for share in WINDOWS_IN_UPDATES]
    return [_family(of), *means, *(Sensor(u, u, lag_s=lag) for lag in LAGS_S)]


def _family(of: Recording) -> Sensor:
    return family_sensor(of.device, of.field, of.reading_w, of.update_s)


def _fit(mine: Sequence[Recording]) -> Told:
    """Fit shape, level and delays on the fit part; the last recording's clock is set by its first half alone."""
    started = time.perf_counter()
    test = mine[-1]
    seen = [*((each, each.metered) for each in mine[:-1]), (test, test.metered.until(test.middle_s))]
    first, metered = seen[0]
    tried = [
        fit_sensor(first.update_at_s, first.reading_w, metered, [shape], MOST_DELAY_S)
        for shape in _shapes(first)
    ]
    best = min(tried, key=lambda each: each.rmse_w)
    chosen = tried[0] if tried[0].rmse_w <= FAMILY_WITHIN * best.rmse_w else best
    shape = chosen.sensor
    delays = [shape.delay_s]
    for each, part in seen[1:]:
        there = replace(shape, update_s=each.update_s)
        found = fit_sensor(each.update_at_s, each.reading_w, part, [there], MOST_DELAY_S, level=shape)
        delays.append(found.sensor.delay_s)
    gain, offset_w = fit_level(
        [(each.update_at_s, each.reading_w, part) for each, part in seen], shape, delays
    )
    sensor = replace(shape, gain=gain, offset_w=offset_w)
    parts = []
    for (each, part), delay_s in zip(seen, delays, strict=True):
        told = _trace(each, replace(sensor, delay_s=delay_s))
        start, end = part.time_s[0], part.time_s[-1]
        parts += [
            residuals(told, part, each.starts_s(start, end, length, FIT_SLIDE_S), length)
            for length in LENGTHS_S.values()
        ]
    error = calibrate(parts, family_error(sensor))
    words = " and ".join([*(each.name for each in mine[:-1]), f"the first half of {test.name}"])
    return _told(test, words, replace(sensor, delay_s=delays[-1]), error, started)


def _told(test: Recording, fit: str, sensor: Sensor, error: SensorError, started: float) -> Told:
    told, end = _trace(test, sensor), test.overlap_s[1]
    later = [
        residuals(told, test.metered, test.starts_s(test.middle_s, end, length, SLIDE_S[length]), length)
        for length in LENGTHS_S.values()
    ]
    return Told(test, fit, sensor, told, error, later, time.perf_counter() - started)


def _unfitted(device: str, fitted: Mapping[str, Told]) -> Told:
    """Read a device as if never seen: shape from the table, level and its offset from the other devices alone."""
    started = time.perf_counter()
    test = fitted[device].test
    known = sensor_family(device, test.field)
    others = [each for name, each in fitted.items() if name != device]
    kin = [
        each
        for each in others
        if sensor_family(each.test.device, each.test.field).family == known.family != ANY
    ]
    sensor = _family(test)
    if kin:
        sensor = replace(sensor, gain=float(np.mean([_ratio(each) for each in kin])))
    elif device in known.fitted_on:
        sensor = replace(sensor, gain=1.0)
    offsets = [abs(each.sensor.offset_w) for each in others]
    level_w = max(offsets) if len(others) >= LEAST_OTHERS else range_shares().unfitted_level_w
    words = f"gain of {', '.join(each.test.device for each in kin)}" if kin else "none"
    return _told(
        test, words, sensor, family_error(sensor, range_shares().unfitted_level_frac, level_w), started
    )


def _ratio(of: Told) -> float:
    """Give the fitted power per reading, in the middle of what was read."""
    middle = (of.test.reading_w.min() + of.test.reading_w.max()) / 2
    return float(of.sensor.gain + of.sensor.offset_w / middle)


def _with_drift(device: str, fitted: Mapping[str, Told]) -> Told:
    """Widen a device's range by what the other devices drifted after their fits; by the table's share if they are few."""
    others = [each for name, each in fitted.items() if name != device]
    share = range_shares().fitted_level_frac
    if len(others) >= LEAST_OTHERS:
        share = level_share([[(part, each.error) for part in each.later] for each in others])
    return replace(fitted[device], error=replace(fitted[device].error, level_frac=share))


def _trace(of: Recording, sensor: Sensor) -> PowerTrace:
    there = replace(sensor, update_s=of.update_s)
    return trace(there, of.update_at_s, of.reading_w, of.utilisation_frac)


def _scored(of: Told, estimator: str, pooled: Pooled) -> list[Row]:
    rows = []
    test, sensor, error = of.test, of.sensor, of.error
    end = test.overlap_s[1]
    for words, length in LENGTHS_S.items():
        starts = test.starts_s(test.middle_s, end, length, SLIDE_S[length])
        found = window_energy(of.trace, error, starts, length)
        came = test.metered.between(starts, starts + length) / length
        known = np.isfinite(found.mid_j) & np.isfinite(came)
        if not known.any():
            raise InputError(f"{test.name}: no window of {words} in its later half; record for longer")
        low, mid, high = (part[known] / length for part in (found.low_j, found.mid_j, found.high_j))
        came, raw = came[known], _raw(test, starts[known], length)
        pooled.setdefault((estimator, words), []).append((low, mid, high, came, raw))
        steady, swing, hidden = error.at(length)
        rows.append(
            {
                "region": test.device,
                "estimator": estimator,
                "fit": of.fit,
                "regime": words,
                "period": f"the later half of {test.name}",
                **_figures(low, mid, high, came, raw),
                "seconds": of.seconds,
                "field": test.field,
                "update_s": sensor.update_s,
                "window_s": sensor.window_s,
                "lag_s": sensor.lag_s,
                "delay_s": sensor.delay_s,
                "gain": sensor.gain,
                "offset_w": sensor.offset_w,
                "seen_frac": sensor.seen_frac,
                "steady_frac": steady,
                "swing_frac": swing,
                "hidden_frac": hidden,
                "level_frac": error.level_frac,
                "level_w": error.level_w,
            }
        )
    return rows


def _all_devices(pooled: Pooled) -> list[Row]:
    rows = []
    for (estimator, words), parts in pooled.items():
        low, mid, high, came, raw = (np.concatenate(column) for column in zip(*parts, strict=True))
        rows.append(
            {"region": "all", "estimator": estimator, "regime": words, **_figures(low, mid, high, came, raw)}
        )
    return rows


def _figures(low: FloatArray, mid: FloatArray, high: FloatArray, came: FloatArray, raw: FloatArray) -> Row:
    return {
        "reference": "mean power by the meter",
        "unit": "W",
        **score(mid, came, low, high),
        **_relative(mid, came),
        "baselines": {"raw": {**score(raw, came), **_relative(raw, came)}},
    }


def _relative(said: FloatArray, came: FloatArray) -> Row:
    shares = np.abs(said - came)[came > 0] / came[came > 0]
    return {"median_error_frac": float(np.median(shares)), "p95_error_frac": float(np.quantile(shares, 0.95))}


def _raw(test: Recording, starts_s: FloatArray, length_s: float) -> FloatArray:
    """Give the mean of the readings as polled, each held until the next. [W]"""
    total = np.concatenate([[0.0], np.cumsum(test.polled_w[:-1] * np.diff(test.polled_s))])
    ends = np.interp(starts_s + length_s, test.polled_s, total)
    return np.asarray((ends - np.interp(starts_s, test.polled_s, total)) / length_s, dtype=np.float64)
