"""Whole servers by their BMC: Redfish's EnvironmentMetrics, or the older Power resource of each chassis.

    /redfish/v1/Chassis                             its members
    /redfish/v1/Chassis/1                           EnvironmentMetrics and Power, where they are
    /redfish/v1/Chassis/1/EnvironmentMetrics        PowerWatts.Reading, EnergyJoules or EnergykWh, LifetimeReading
    /redfish/v1/Chassis/1/Power                     PowerControl[0].PowerConsumedWatts

A chassis inside another one (`Links.ContainedBy`), such as the tray of accelerators, draws what the outer one counts
already, and is left out; `GRIDMARGIN_REDFISH_CHASSIS` names which to read instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

from gridmargin.meters.fetching import Fetcher
from gridmargin.meters.live import LiveMeter
from gridmargin.meters.sample import Channel, Quantity, Sample
from gridmargin.meters.surroundings import Surroundings
from gridmargin.vocab import J_PER_KWH, NoMeterError

CHASSIS = "/redfish/v1/Chassis"

Get = Callable[[str], Mapping[str, Any]]


def decode(chassis: str, resource: Mapping[str, Any]) -> list[Sample]:
    """Give the samples of one chassis; a figure that is null or missing gives none."""
    found = []
    energy_j = _energy_j(resource)
    if energy_j is not None:
        found.append(Sample(Channel(chassis, Quantity.ENERGY), energy_j))
    power_w = _reading(resource.get("PowerWatts"), "Reading")
    if power_w is None:
        controls = resource.get("PowerControl")
        power_w = (
            _reading(controls[0], "PowerConsumedWatts") if isinstance(controls, list) and controls else None
        )
    if power_w is not None:
        found.append(Sample(Channel(chassis, Quantity.POWER), power_w))
    return found


def _energy_j(resource: Mapping[str, Any]) -> float | None:
    """Give the energy counted, the finest first; over the lifetime before that since the last reset."""
    for name, scale in (("EnergyJoules", 1.0), ("EnergykWh", J_PER_KWH)):
        for member in ("LifetimeReading", "Reading"):
            value = _reading(resource.get(name), member)
            if value is not None:
                return value * scale
    return None


def _reading(sensor: Any, member: str) -> float | None:
    value = sensor.get(member) if isinstance(sensor, Mapping) else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def resources_of(get: Get, wanted: Sequence[str] = ()) -> dict[str, str]:
    """Find what to read of every chassis: its name to the path.

    Parameters
    ----------
    get : callable
        Asks for a path.
    wanted : sequence of str
        Names of chassis; the outermost where none is given.
    """
    found = {}
    for path, chassis in _members(get):
        name = str(chassis.get("Id") or path.rsplit("/", 1)[-1])
        inside = isinstance(chassis.get("Links"), Mapping) and chassis["Links"].get("ContainedBy")
        if (name not in wanted) if wanted else inside:
            continue
        resource = _path(chassis.get("EnvironmentMetrics"))
        if resource is None or not decode(name, get(resource)):
            resource = _path(chassis.get("Power")) or resource
        if resource is not None:
            found[name] = resource
    return found


def _members(get: Get) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for member in get(CHASSIS).get("Members", ()):
        path = _path(member)
        if path is not None:
            yield path, get(path)


def _path(link: Any) -> str | None:
    path = link.get("@odata.id") if isinstance(link, Mapping) else None
    return path if isinstance(path, str) and path.startswith("/") else None


class RedfishMeter(LiveMeter):
    """Chassis of one BMC.

    Parameters
    ----------
    get : callable
        Asks for a path.
    resources : mapping
        Path to read by the chassis' name.
    """

    name = "redfish"
    sees = "whole server at its power supplies' input, fans and host included; nothing outside its case"
    resolution_s = 10.0
    fastest_s = 1.0
    stands_s = 7200.0  # kilowatt-hours move slowly

    def __init__(
        self,
        get: Get,
        resources: Mapping[str, str],
        clock_us: Callable[[], int],
        sample_s: float | None = None,
    ) -> None:
        super().__init__(clock_us, sample_s)
        self._get = get
        self._resources = resources

    @classmethod
    def open(cls, around: Surroundings, sample_s: float | None = None) -> Self:
        """Ask the BMC which chassis it has; user and password stand in the environment alone."""
        fetcher = Fetcher.to(cls.name, around, "https://bmc.example")
        wanted = around.reach(cls.name).words.get("chassis", "")
        names = [name.strip() for name in wanted.split(",") if name.strip()]
        try:
            resources = resources_of(fetcher.record, names)
            if not resources:
                raise NoMeterError(
                    cls.name,
                    "no chassis tells power or energy",
                    "update the BMC's firmware, or name others in GRIDMARGIN_REDFISH_CHASSIS",
                )
        except NoMeterError:
            fetcher.close()
            raise
        meter = cls(fetcher.record, resources, around.clock_us, sample_s)
        meter.let_go = fetcher.close
        return meter

    def ask(self) -> Sequence[Sample]:
        """Ask for every chassis once; one that does not answer has no sample."""
        found: list[Sample] = []
        fault: NoMeterError | None = None
        for chassis, path in self._resources.items():
            try:
                found += decode(chassis, self._get(path))
            except NoMeterError as error:
                fault = error
        if not found:
            raise fault or NoMeterError(self.name, "no chassis tells power or energy now", "check the BMC")
        return found
