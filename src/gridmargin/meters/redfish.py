"""Whole servers by their BMC: Redfish's EnvironmentMetrics of each chassis, the older Power, or its supplies.

    /redfish/v1/Chassis                             its members
    /redfish/v1/Chassis/1                           EnvironmentMetrics and Power, where they are
    /redfish/v1/Chassis/1/EnvironmentMetrics        PowerWatts.Reading, EnergyJoules or EnergykWh, LifetimeReading
    /redfish/v1/Chassis/1/Power                     PowerControl[0].PowerConsumedWatts
    /redfish/v1/Chassis/1/PowerSubsystem/PowerSupplies/…/Metrics    InputPowerWatts and EnergykWh of each supply, where
                                                                    neither of the others tells anything

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
from gridmargin.meters.track import MOST
from gridmargin.vocab import J_PER_KWH, NoMeterError

CHASSIS = "/redfish/v1/Chassis"

Get = Callable[[str], Mapping[str, Any]]


def decode(device: str, resource: Mapping[str, Any]) -> list[Sample]:
    """Give the samples of one chassis or supply; a figure that is null or missing gives none."""
    found = []
    energy_j = _energy_j(resource)
    if energy_j is not None:
        found.append(Sample(Channel(device, Quantity.ENERGY), energy_j))
    controls = resource.get("PowerControl")
    control = controls[0] if isinstance(controls, list) and controls else None
    for sensor, member in (
        (resource.get("PowerWatts"), "Reading"),
        (resource.get("InputPowerWatts"), "Reading"),
        (control, "PowerConsumedWatts"),
    ):
        power_w = _reading(sensor, member)
        if power_w is not None:
            found.append(Sample(Channel(device, Quantity.POWER), power_w))
            break
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
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < MOST:
        return None
    return float(value)


def resources_of(get: Get, wanted: Sequence[str] = ()) -> dict[str, str]:
    """Find what to read of every chassis: a name to the path.

    Parameters
    ----------
    get : callable
        Asks for a path.
    wanted : sequence of str
        Names of chassis; the outermost where none is given.
    """
    found: dict[str, str] = {}
    for path, chassis in _members(get, CHASSIS):
        name = _name(path, chassis)
        inside = isinstance(chassis.get("Links"), Mapping) and chassis["Links"].get("ContainedBy")
        if (name not in wanted) if wanted else inside:
            continue
        for resource in (_path(chassis.get("EnvironmentMetrics")), _path(chassis.get("Power"))):
            if resource is not None and decode(name, get(resource)):
                found[name] = resource
                break
        else:
            found |= {f"{name}/{supply}": path for supply, path in _supplies(get, chassis)}
    return found


def _supplies(get: Get, chassis: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the metrics of each power supply, where the chassis as a whole has none."""
    subsystem = _path(chassis.get("PowerSubsystem"))
    supplies = _path(get(subsystem).get("PowerSupplies")) if subsystem else None
    for path, supply in _members(get, supplies) if supplies else ():
        metrics = _path(supply.get("Metrics"))
        if metrics is not None and decode("", get(metrics)):
            yield _name(path, supply), metrics


def _members(get: Get, collection: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    members = get(collection).get("Members")
    for member in members if isinstance(members, list) else ():
        path = _path(member)
        if path is not None:
            yield path, get(path)


def _name(path: str, resource: Mapping[str, Any]) -> str:
    return str(resource.get("Id") or path.rstrip("/").rpartition("/")[2])


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
