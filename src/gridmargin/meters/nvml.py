"""NVIDIA boards by NVML: the energy counter, power now and on average; clock and utilisation as telemetry.

Read through NVIDIA's own binding, `nvidia-ml-py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from gridmargin.meters.live import LiveMeter
from gridmargin.meters.sample import Channel, Quantity, Sample
from gridmargin.meters.surroundings import Surroundings
from gridmargin.vocab import NoMeterError

ENERGY, MEAN_POWER, POWER = 83, 185, 186
"""NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION [mJ since the driver was loaded], NVML_FI_DEV_POWER_AVERAGE and _INSTANT [mW]
(nvml.h of CUDA 12.4)."""

_MEMBER_OF_TYPE = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Member of `nvmlValue_t` by `nvmlValueType_t` (nvml.h)."""


@dataclass(frozen=True, slots=True)
class Board:
    """What NVML answered for one board; None where it has no such figure.

    Attributes
    ----------
    uuid : str
    energy_mj, power_mw, mean_power_mw, clock_mhz, utilisation_pct : float or None
        [mJ], [mW], [mW], [MHz], [%]
    """

    uuid: str
    energy_mj: float | None
    power_mw: float | None
    mean_power_mw: float | None
    clock_mhz: float | None
    utilisation_pct: float | None


def decode(boards: Sequence[Board]) -> list[Sample]:
    """Bring what NVML answered to our units; a figure that a board does not have gives no sample."""
    return [sample for board in boards for sample in _samples(board)]


def _samples(board: Board) -> Iterator[Sample]:
    for quantity, value, scale in (
        (Quantity.ENERGY, board.energy_mj, 1e-3),
        (Quantity.POWER, board.power_mw, 1e-3),
        (Quantity.MEAN_POWER, board.mean_power_mw, 1e-3),
        (Quantity.CLOCK, board.clock_mhz, 1.0),
        (Quantity.UTILISATION, board.utilisation_pct, 1e-2),
    ):
        if value is not None:
            yield Sample(Channel(board.uuid, quantity), value * scale)


class NvmlMeter(LiveMeter):
    """Boards that the NVIDIA driver knows.

    Parameters
    ----------
    nvml : module
        `pynvml`, initialised.
    handles : mapping
        NVML's handle of each board by its UUID.
    names : mapping
        Model of each board by its UUID.
    """

    name = "nvml"
    sees = "whole board, memory and its power supply included; neither host nor cooling of the room"
    resolution_s = 0.1
    fastest_s = 0.01
    stands_s = 5.0

    def __init__(
        self,
        nvml: Any,
        handles: Mapping[str, Any],
        names: Mapping[str, str],
        clock_us: Callable[[], int],
        sample_s: float | None = None,
    ) -> None:
        super().__init__(clock_us, sample_s)
        self._nvml = nvml
        self._handles = handles
        self._names = names

    @classmethod
    def open(cls, around: Surroundings, sample_s: float | None = None) -> Self:
        """Load the binding and the driver's library, and list the boards."""
        nvml = around.require("pynvml", cls.name, "pip install 'gridmargin[nvidia]'")
        try:
            nvml.nvmlInit()
            listed = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
            handles = {str(nvml.nvmlDeviceGetUUID(handle)): handle for handle in listed}
            names = {uuid: str(nvml.nvmlDeviceGetName(handle)) for uuid, handle in handles.items()}
        except nvml.NVMLError as error:
            raise NoMeterError(cls.name, *_why(nvml, error)) from None
        if not handles:
            raise NoMeterError(cls.name, "the driver lists no board", "check `nvidia-smi -L`")
        meter = cls(nvml, handles, names, around.clock_us, sample_s)
        meter.let_go = nvml.nvmlShutdown
        return meter

    def labels(self) -> Mapping[str, str]:
        """Give the model of each board."""
        return self._names

    def ask(self) -> Sequence[Sample]:
        """Ask every board; one that fell off the bus has no samples."""
        boards = []
        for uuid, handle in self._handles.items():
            try:
                boards.append(_ask(self._nvml, uuid, handle))
            except self._nvml.NVMLError as error:
                if not isinstance(error, (self._nvml.NVMLError_GpuIsLost, self._nvml.NVMLError_NotFound)):
                    raise NoMeterError(self.name, *_why(self._nvml, error)) from None
        if not boards:
            raise NoMeterError(self.name, "every board is lost", "check `dmesg` for Xid messages")
        return decode(boards)


def _ask(nvml: Any, uuid: str, handle: Any) -> Board:
    """Read one board: three fields in one call, telemetry by two more."""
    wanted = [ENERGY, POWER, MEAN_POWER]
    fields = {f.fieldId: f for f in _if_had(nvml, nvml.nvmlDeviceGetFieldValues, handle, wanted) or ()}
    energy_mj, power_mw, mean_power_mw = (_figure(fields.get(field)) for field in (ENERGY, POWER, MEAN_POWER))
    if energy_mj is None:
        energy_mj = _if_had(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, handle)
    if power_mw is None and mean_power_mw is None:
        mean_power_mw = _if_had(nvml, nvml.nvmlDeviceGetPowerUsage, handle)
    use = _if_had(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    return Board(
        uuid,
        energy_mj,
        power_mw,
        mean_power_mw,
        _if_had(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
        None if use is None else float(use.gpu),
    )


def _figure(field: Any) -> float | None:
    if field is None or field.nvmlReturn != 0:
        return None
    return float(getattr(field.value, _MEMBER_OF_TYPE[field.valueType]))


def _if_had(nvml: Any, ask: Callable[..., Any], *arguments: Any) -> Any:
    """Ask for what a board may not have."""
    try:
        return ask(*arguments)
    except (
        nvml.NVMLError_NotSupported,
        nvml.NVMLError_FunctionNotFound,
        nvml.NVMLError_NoPermission,
        nvml.NVMLError_Unknown,
    ):
        return None


def _why(nvml: Any, error: Exception) -> tuple[str, str]:
    """Say what NVML's error means, and the way out."""
    for kind, why, way_out in (
        (nvml.NVMLError_LibraryNotFound, "no NVIDIA driver: libnvidia-ml.so.1 is not there", "install the driver; a container has to be run with the GPUs in it"),
        (nvml.NVMLError_DriverNotLoaded, "the NVIDIA driver is not loaded", "modprobe nvidia, and check `nvidia-smi`"),
        (nvml.NVMLError_NoPermission, "NVML may not be read by this user", "let the user open /dev/nvidiactl and /dev/nvidia*, such as by the group that owns them"),
    ):  # fmt: skip
        if isinstance(error, kind):
            return why, way_out
    return f"NVML says: {error}", "check `nvidia-smi`"
