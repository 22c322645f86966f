"""What this machine has: every instrument looked for, its devices, and what is missing and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from gridmargin.meters.live import LiveMeter
from gridmargin.meters.sample import Quantity
from gridmargin.meters.surroundings import Surroundings
from gridmargin.vocab import InputError, NoMeterError, Registry


@dataclass(frozen=True, slots=True)
class FoundDevice:
    """A device that an instrument tells something of.

    Attributes
    ----------
    device : str
    model : str or None
    quantities : tuple of str
        What it tells, telemetry included.
    status : str
        Of its readings: `reported` or `modelled`; empty where it tells neither energy nor power.
    """

    device: str
    model: str | None
    quantities: tuple[str, ...]
    status: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of looking for one instrument.

    Attributes
    ----------
    instrument : str
    sees : str
    resolution_s : float
        About how often it has something new to say. [s]
    fastest_s : float
        Shortest useful sampling period. [s]
    way : str or None
        By what it is read here; None where it is not.
    devices : tuple of FoundDevice
    missing, way_out : str or None
        Why it cannot be read, and what to do.
    """

    instrument: str
    sees: str
    resolution_s: float
    fastest_s: float
    way: str | None
    devices: tuple[FoundDevice, ...]
    missing: str | None
    way_out: str | None

    def as_dict(self) -> dict[str, Any]:
        """Give plain JSON types."""
        return asdict(self)


def look_for_all(registry: Registry[Any], around: Surroundings) -> Iterator[Finding]:
    """Look for every instrument of a registry; what stands in for instruments is no instrument."""
    for name in registry:
        kind = registry.get(name)
        if isinstance(kind, type) and issubclass(kind, LiveMeter):
            yield look(kind, around)


def look(kind: type[LiveMeter], around: Surroundings) -> Finding:
    """Open an instrument, ask it once, and say what it told or why it did not."""
    meter: LiveMeter | None = None
    try:
        meter = kind.open(around)
        samples = meter.ask()
    except NoMeterError as error:
        return _finding(kind, None, (), error.why, error.way_out)
    except InputError as error:
        return _finding(kind, None, (), str(error), "correct it")
    else:
        models = meter.labels()
        by_device: dict[str, list[Any]] = {}
        for sample in samples:
            by_device.setdefault(sample.channel.device, []).append(sample.channel)
        devices = tuple(
            FoundDevice(
                device,
                models.get(device),
                tuple(q.value for q in Quantity if any(c.quantity is q for c in channels)),
                next((c.status.value for c in channels if c.quantity in READ), ""),
            )
            for device, channels in sorted(by_device.items())
        )
        return _finding(kind, meter.way, devices, None, None)
    finally:
        if meter is not None:
            meter.close()


READ = (Quantity.ENERGY, Quantity.POWER, Quantity.MEAN_POWER)


def _finding(
    kind: type[LiveMeter],
    way: str | None,
    devices: tuple[FoundDevice, ...],
    missing: str | None,
    way_out: str | None,
) -> Finding:
    return Finding(kind.name, kind.sees, kind.resolution_s, kind.fastest_s, way, devices, missing, way_out)
