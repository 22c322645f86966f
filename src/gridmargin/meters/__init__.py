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
    "ModelledMeter",
    "Quantity",
    "Reach",
    "Reading",
    "RecordedMeter",
    "Sample",
    "Sampler",
    "Surroundings",
    "look_for_all",
]
