"""Instruments: what was read, nothing inferred.

Comes in: recorded traces, profiles with the windows of a replay. Goes out: `Reading`s. Touches recorded files and, one
day, device libraries.
"""

from gridmargin.meters.meter import Meter
from gridmargin.meters.modelled import MeterWindow, ModelledMeter
from gridmargin.meters.reading import Reading
from gridmargin.meters.recorded import Instrument, RecordedMeter
from gridmargin.meters.sensor import (
    PowerTrace,
    Sensor,
    SensorError,
    WindowEnergy,
    counter_trace,
    longest_window_s,
    trace,
    unfitted_error,
    update_period_s,
    updates,
    window_energy,
)
from gridmargin.meters.sensor_family import driver_energy, family_error, family_sensor
from gridmargin.meters.sensor_fit import (
    Metered,
    Residuals,
    SensorFit,
    calibrate,
    fit_level,
    fit_sensor,
    level_share,
    residuals,
)
from gridmargin.vocab import Registry

METERS: Registry[type[Meter]] = Registry(
    "meter",
    "gridmargin.meters",
    {
        "modelled": "gridmargin.meters.modelled:ModelledMeter",
        "recorded": "gridmargin.meters.recorded:RecordedMeter",
    },
)
"""Every meter by name."""

__all__ = [
    "METERS",
    "Instrument",
    "Meter",
    "MeterWindow",
    "Metered",
    "ModelledMeter",
    "PowerTrace",
    "Reading",
    "RecordedMeter",
    "Residuals",
    "Sensor",
    "SensorError",
    "SensorFit",
    "WindowEnergy",
    "calibrate",
    "counter_trace",
    "driver_energy",
    "family_error",
    "family_sensor",
    "fit_level",
    "fit_sensor",
    "level_share",
    "longest_window_s",
    "residuals",
    "trace",
    "unfitted_error",
    "update_period_s",
    "updates",
    "window_energy",
]
