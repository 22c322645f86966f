"""CPU packages and their memory by RAPL, from the kernel's powercap folder; Intel, and AMD from Zen on.

    intel-rapl:0/            name (package-0), energy_uj, max_energy_range_uj
    intel-rapl:0/intel-rapl:0:1/   name (dram)
    intel-rapl:1/            name (psys)

`core` and `uncore` lie inside the package and are not read. `intel-rapl-mmio` shows the package's counter once more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gridmargin.meters.live import LiveMeter
from gridmargin.meters.sample import Channel, Quantity, Sample
from gridmargin.meters.surroundings import Surroundings
from gridmargin.vocab import InputError, NoMeterError

DOMAINS = ("package", "dram")
"""What is read where nothing else is asked for; `psys`, the whole platform, includes both."""

KNOWN = ("package", "dram", "psys")

MOST_W = {"package": 1000.0, "dram": 400.0, "psys": 4000.0}
"""More than any such domain draws: tells a counter that wrapped from one that was reset. Ours, by a wide margin. [W]"""

GRANT = (
    "root only since Linux 5.10 (CVE-2020-8694, a side channel); let a group read it, at every boot: `groupadd -f rapl;"
    " chgrp rapl /sys/class/powercap/intel-rapl:*/energy_uj; chmod g+r /sys/class/powercap/intel-rapl:*/energy_uj`, and put"
    " this user into it; or run as root"
)


@dataclass(frozen=True, slots=True)
class Domain:
    """One counter of the powercap folder.

    Attributes
    ----------
    device : str
        `package-0`, `package-0/dram`, `psys`.
    kind : str
        One of `KNOWN`.
    counter : Path
        The file that holds it.
    range_uj : int
        What it counts to before it starts again. [µJ]
    """

    device: str
    kind: str
    counter: Path
    range_uj: int

    def channel(self) -> Channel:
        """Say what its samples cannot.

        The counter has 32 bits, of which the range is the largest figure: it starts again one step later.
        """
        modulus_j = self.range_uj * 1e-6 * (1 + 2**-32)
        return Channel(self.device, Quantity.ENERGY, modulus_j=modulus_j, most_power_w=MOST_W[self.kind])


def domains_of(folder: Path, wanted: Sequence[str] = DOMAINS) -> list[Domain]:
    """List the counters under a powercap folder, in order of their names."""
    found = []
    for zone in sorted(folder.glob("intel-rapl:*")):
        if zone.name.count(":") > 1:  # the class folder lists what lies inside a package a second time
            continue
        name = (zone / "name").read_text(encoding="ascii").strip()
        for path, device in [
            (zone, name),
            *((p, f"{name}/{_name(p)}") for p in sorted(zone.glob("intel-rapl:*:*"))),
        ]:
            kind = _name(path).partition("-")[0]
            if kind in wanted:
                range_uj = int((path / "max_energy_range_uj").read_text(encoding="ascii"))
                found.append(Domain(device, kind, path / "energy_uj", range_uj))
    return found


def _name(zone: Path) -> str:
    return (zone / "name").read_text(encoding="ascii").strip()


def decode(texts: Mapping[Channel, bytes]) -> list[Sample]:
    """Bring what the counters' files held to joules."""
    return [Sample(channel, int(text) * 1e-6) for channel, text in texts.items() if text.strip().isdigit()]


class RaplMeter(LiveMeter):
    """Counters of a powercap folder, kept open.

    Parameters
    ----------
    domains : sequence of Domain

    Raises
    ------
    NoMeterError
        If a counter may not be read.
    """

    name = "rapl"
    sees = "CPU package with its cores, caches and graphics, and memory beside it where the CPU counts that; no GPU, no fans"
    resolution_s = 0.001
    fastest_s = 0.001
    stands_s = 5.0

    def __init__(
        self, domains: Sequence[Domain], clock_us: Callable[[], int], sample_s: float | None = None
    ) -> None:
        super().__init__(clock_us, sample_s)
        self._files: dict[Channel, int] = {}
        for domain in domains:
            try:
                self._files[domain.channel()] = os.open(domain.counter, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                self._close_files()
                raise _fault(error, domain.counter) from None
        self.let_go = self._close_files

    @classmethod
    def open(cls, around: Surroundings, sample_s: float | None = None) -> Self:
        """Look into the powercap folder; `GRIDMARGIN_RAPL_DOMAINS` names other domains, such as `psys`."""
        wanted = around.reach(cls.name).words.get("domains", ",".join(DOMAINS)).replace(" ", "").split(",")
        unknown = sorted(set(wanted) - set(KNOWN))
        if unknown:
            raise InputError(
                f"GRIDMARGIN_RAPL_DOMAINS: {', '.join(unknown)} is not known; give some of {', '.join(KNOWN)}"
            )
        folder = around.root / "sys/class/powercap"
        domains = domains_of(folder, wanted)
        if not domains:
            raise NoMeterError(
                cls.name,
                f"{folder} holds no {' or '.join(wanted)} counter",
                "load the module, `modprobe intel_rapl_msr` (AMD too); a virtual machine or a container mostly has none",
            )
        return cls(domains, around.clock_us, sample_s)

    def ask(self) -> Sequence[Sample]:
        """Read every counter anew from its start; one that is gone has no sample."""
        texts = {}
        last: NoMeterError | None = None
        for channel, file in self._files.items():
            try:
                texts[channel] = os.pread(file, 32, 0)
            except OSError as error:
                last = _fault(error, Path("a counter"))
        samples = decode(texts)
        if not samples:
            raise last or NoMeterError(self.name, "the counters hold no number", "check `dmesg`")
        return samples

    def _close_files(self) -> None:
        for file in self._files.values():
            os.close(file)
        self._files = {}


def _fault(error: OSError, path: Path) -> NoMeterError:
    if isinstance(error, PermissionError):
        return NoMeterError("rapl", f"{path} may not be read by this user", GRANT)
    return NoMeterError("rapl", f"{path}: {error.strerror}", "check that the powercap module is still loaded")
