"""AMD boards: by `amdsmi`, whose energy counter comes with ROCm, else by the driver's own files, which tell power alone.

    /sys/class/drm/card0/device/uevent              PCI_SLOT_NAME=0000:03:00.0
    /sys/class/drm/card0/device/gpu_busy_percent
    /sys/class/drm/card0/device/hwmon/hwmon3/       name (amdgpu), power1_average or power1_input [µW], freq1_input [Hz]

The listing says which of the two is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from gridmargin.meters.live import LiveMeter
from gridmargin.meters.sample import Channel, Quantity, Sample
from gridmargin.meters.surroundings import Surroundings
from gridmargin.vocab import NoMeterError

WITH_ROCM = (
    "for the energy counter, install the amdsmi that came with ROCm: pip install /opt/rocm/share/amd_smi"
)


@dataclass(frozen=True, slots=True)
class Board:
    """What was read of one board; None where there is no such figure.

    Attributes
    ----------
    device : str
    energy_uj, power_uw, mean_power_uw, clock_hz, busy_pct : float or None
        [µJ], [µW], [µW], [Hz], [%]
    """

    device: str
    energy_uj: float | None = None
    power_uw: float | None = None
    mean_power_uw: float | None = None
    clock_hz: float | None = None
    busy_pct: float | None = None


def decode(boards: Sequence[Board]) -> list[Sample]:
    """Bring what was read to our units; a figure that a board does not have gives no sample."""
    return [
        Sample(Channel(board.device, quantity), value * scale)
        for board in boards
        for quantity, value, scale in (
            (Quantity.ENERGY, board.energy_uj, 1e-6),
            (Quantity.POWER, board.power_uw, 1e-6),
            (Quantity.MEAN_POWER, board.mean_power_uw, 1e-6),
            (Quantity.CLOCK, board.clock_hz, 1e-6),
            (Quantity.UTILISATION, board.busy_pct, 1e-2),
        )
        if value is not None
    ]


class AmdMeter(LiveMeter):
    """Boards that the amdgpu driver knows.

    Parameters
    ----------
    read : callable
        Asks every board.
    way : str
        `amdsmi` or `sysfs hwmon`.
    """

    name = "amd"
    sees = "whole board or module, memory included; neither host nor cooling of the room"
    resolution_s = 0.1
    fastest_s = 0.01
    stands_s = 5.0

    def __init__(
        self,
        read: Callable[[], Sequence[Board]],
        way: str,
        clock_us: Callable[[], int],
        sample_s: float | None = None,
    ) -> None:
        super().__init__(clock_us, sample_s)
        self._read = read
        self._way = way

    @property
    def way(self) -> str:
        """`amdsmi` or `sysfs hwmon`."""
        return self._way

    @classmethod
    def open(cls, around: Surroundings, sample_s: float | None = None) -> Self:
        """Take amdsmi where it can be loaded and lists boards, else the driver's files."""
        cards = cards_of(around.root / "sys/class/drm")
        try:
            smi = around.require("amdsmi", cls.name, WITH_ROCM)
        except NoMeterError:
            smi = None
        handles = _handles(smi) if smi is not None else {}
        if handles:
            return cls(
                lambda: [by_amdsmi(smi, *item) for item in handles.items()],
                "amdsmi",
                around.clock_us,
                sample_s,
            )
        if not cards:
            raise NoMeterError(
                cls.name,
                "no AMD board: no amdgpu under /sys/class/drm",
                f"load the driver, `modprobe amdgpu`; {WITH_ROCM}",
            )
        return cls(lambda: by_sysfs(cards), "sysfs hwmon", around.clock_us, sample_s)

    def ask(self) -> Sequence[Sample]:
        """Ask every board once."""
        samples = decode(self._read())
        if not samples:
            raise NoMeterError(
                self.name, f"no board tells anything by {self._way}", "check `amd-smi metric` and `dmesg`"
            )
        return samples


def _handles(smi: Any) -> dict[str, Any]:
    """Give amdsmi's handle of each board by its PCI address."""
    try:
        smi.amdsmi_init()
        return {
            str(smi.amdsmi_get_gpu_device_bdf(handle)): handle
            for handle in smi.amdsmi_get_processor_handles()
        }
    except smi.AmdSmiException:
        return {}


def by_amdsmi(smi: Any, device: str, handle: Any) -> Board:
    """Ask one board; MI300 tells its power now, MI200 on average."""
    count = _if_had(smi, smi.amdsmi_get_energy_count, handle) or {}
    power = _if_had(smi, smi.amdsmi_get_power_info, handle) or {}
    steps = _figure(count.get("energy_accumulator", count.get("power")))  # the older name, to ROCm 6.0
    step_uj = _figure(count.get("counter_resolution"))
    now_w, mean_w = (_figure(power.get(f"{name}_socket_power")) for name in ("current", "average"))
    return Board(
        device,
        energy_uj=None if steps is None or step_uj is None else steps * step_uj,
        power_uw=None if now_w is None else now_w * 1e6,
        mean_power_uw=None if mean_w is None else mean_w * 1e6,
    )


def _if_had(smi: Any, ask: Callable[[Any], Any], handle: Any) -> Any:
    try:
        return ask(handle)
    except smi.AmdSmiException:
        return None


def _figure(value: Any) -> float | None:
    """Give a number, or None for `N/A` and for fields filled with ones."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return None if value in (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF) else float(value)


def cards_of(folder: Path) -> dict[str, Path]:
    """Find the boards of the amdgpu driver that have a sensor of power: PCI address to the card's folder."""
    found = {}
    for card in sorted(folder.glob("card[0-9]*")):
        if "-" in card.name:  # a connector of a card
            continue
        sensors = _sensors(card)
        if sensors is not None:
            found[_address(card)] = card
    return found


def _sensors(card: Path) -> Path | None:
    for folder in sorted((card / "device/hwmon").glob("hwmon*")):
        if _text(folder / "name") == "amdgpu":
            return folder
    return None


def _address(card: Path) -> str:
    for line in (_text(card / "device/uevent") or "").splitlines():
        if line.startswith("PCI_SLOT_NAME="):
            return line.partition("=")[2]
    return card.name


def by_sysfs(cards: Mapping[str, Path]) -> list[Board]:
    """Read the driver's files of every board; one that is gone is left out."""
    return list(_boards(cards))


def _boards(cards: Mapping[str, Path]) -> Iterator[Board]:
    for address, card in cards.items():
        sensors = _sensors(card)
        if sensors is not None:
            yield Board(
                address,
                power_uw=_number(sensors / "power1_input"),
                mean_power_uw=_number(sensors / "power1_average"),
                clock_hz=_number(sensors / "freq1_input"),
                busy_pct=_number(card / "device/gpu_busy_percent"),
            )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return None


def _number(path: Path) -> float | None:
    text = _text(path)
    return float(text) if text and text.isdigit() else None
