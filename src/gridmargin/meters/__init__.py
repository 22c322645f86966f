"""Instruments: what was read, nothing inferred.

Comes in: recorded traces, profiles with the windows of a replay, and what a `Surroundings` hands over. Goes out:
`Reading`s. Touches recorded files, device libraries, the kernel's folders, and BMCs, PDUs and exporters over the network.
"""

from gridmargin.meters.counting import Instrument
from gridmargin.meters.finding import Finding, look_for_all
from gridmargin.meters.live import LiveMeter
from gridmargin.meters.meter import Meter
from gridmargin.meters.modelled import MeterWindow, ModelledMeter
from gridmargin.meters.reading import Reading
from gridmargin.meters.recorded import RecordedMeter
from gridmargin.meters.sample import Channel, Quantity, Sample
from gridmargin.meters.sampler import Sampler
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
from gridmargin.meters.sensor_family import driver_energy, family_error, family_sensor, through_sensor
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
from gridmargin.meters.surroundings import Reach, Surroundings
from gridmargin.vocab import Registry

METERS: Registry[type[Meter]] = Registry(
    "meter",
    "gridmargin.meters",
    {
        "amd": "gridmargin.meters.amd:AmdMeter",
        "cpu_time": "gridmargin.meters.cpu_time:CpuTimeMeter",
        "dcgm": "gridmargin.meters.dcgm:DcgmMeter",
        "kepler": "gridmargin.meters.kepler:KeplerMeter",
        "modelled": "gridmargin.meters.modelled:ModelledMeter",
        "nvml": "gridmargin.meters.nvml:NvmlMeter",
        "prometheus": "gridmargin.meters.prometheus:PrometheusMeter",
        "rapl": "gridmargin.meters.rapl:RaplMeter",
        "recorded": "gridmargin.meters.recorded:RecordedMeter",
        "redfish": "gridmargin.meters.redfish:RedfishMeter",
        "snmp": "gridmargin.meters.snmp:SnmpMeter",
    },
)
"""Every meter by name."""

__all__ = [
    "METERS",
    "Channel",
    "Finding",
    "Instrument",
    "LiveMeter",
    "Meter",
    "MeterWindow",
    "Metered",
    "ModelledMeter",
    "PowerTrace",
    "Quantity",
    "Reach",
    "Reading",
    "RecordedMeter",
    "Residuals",
    "Sample",
    "Sampler",
    "Sensor",
    "SensorError",
    "SensorFit",
    "Surroundings",
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
    "look_for_all",
    "residuals",
    "through_sensor",
    "trace",
    "unfitted_error",
    "update_period_s",
    "updates",
    "window_energy",
]
