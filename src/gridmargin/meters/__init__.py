"""Instruments: what was read, nothing inferred.

Comes in: recorded traces, profiles with the windows of a replay. Goes out: `Reading`s. Touches recorded files and, one
day, device libraries.
"""

from gridmargin.meters.meter import Meter
from gridmargin.meters.modelled import MeterWindow, ModelledMeter
from gridmargin.meters.reading import Reading
from gridmargin.meters.recorded import Instrument, RecordedMeter
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

__all__ = ["METERS", "Instrument", "Meter", "MeterWindow", "ModelledMeter", "Reading", "RecordedMeter"]
