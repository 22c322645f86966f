"""NVIDIA boards by a scrape of `dcgm-exporter`: energy counter and power, clock and utilisation as telemetry.

    DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0",UUID="GPU-…",modelName="NVIDIA L40S",Hostname="…"} 5551899580

Lines of the same board stand once for each MIG instance, pod or container on it: the figures are the board's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from gridmargin.meters.exposition import WAY_OUT, lines_of
from gridmargin.meters.fetching import Fetcher
from gridmargin.meters.live import LiveMeter
from gridmargin.meters.sample import Channel, Quantity, Sample
from gridmargin.meters.surroundings import Surroundings
from gridmargin.vocab import NoMeterError

FIELDS = {
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": (Quantity.ENERGY, 1e-3),
    "DCGM_FI_DEV_POWER_USAGE": (Quantity.MEAN_POWER, 1.0),
    "DCGM_FI_DEV_POWER_USAGE_INSTANT": (Quantity.POWER, 1.0),
    "DCGM_FI_DEV_SM_CLOCK": (Quantity.CLOCK, 1.0),
    "DCGM_FI_DEV_GPU_UTIL": (Quantity.UTILISATION, 1e-2),
}
"""Their name, ours, and the unit: mJ, W, MHz, % (etc/default-counters.csv of dcgm-exporter)."""

BLANK = 140_737_488_355_328.0
"""DCGM_FP64_BLANK; whole numbers have 0x7ffffffffffffff0. From there on a figure means that there is none (dcgm_structs.h)."""


def decode(page: str, parser: Any) -> tuple[list[Sample], dict[str, str]]:
    """Give the samples of a page, and the model of each board."""
    found: dict[tuple[str, Quantity], Sample] = {}
    names = {}
    for line in lines_of(page, list(FIELDS), parser, "dcgm"):
        quantity, scale = FIELDS[line.name]
        device = line.labels.get("UUID") or f"{line.labels.get('Hostname', '')}/{line.labels.get('gpu', '?')}"
        names[device] = line.labels.get("modelName", "")
        if math.isfinite(line.value) and line.value < BLANK:
            sample = Sample(Channel(device, quantity), line.value * scale, line.time_us)
            found.setdefault((device, quantity), sample)
    return list(found.values()), {device: name for device, name in names.items() if name}


class DcgmMeter(LiveMeter):
    """Boards on the page of one exporter.

    Parameters
    ----------
    page : callable
        Scrapes it.
    parser : module
        `prometheus_client.parser`.
    """

    name = "dcgm"
    sees = (
        "whole boards as NVML counts them, at the pace of the exporter; neither host nor cooling of the room"
    )
    resolution_s = 30.0
    fastest_s = 1.0
    stands_s = 300.0

    def __init__(
        self, page: Callable[[], str], parser: Any, clock_us: Callable[[], int], sample_s: float | None = None
    ) -> None:
        super().__init__(clock_us, sample_s)
        self._page = page
        self._parser = parser
        self._names: Mapping[str, str] = {}

    @classmethod
    def open(cls, around: Surroundings, sample_s: float | None = None) -> Self:
        """Know the exporter's address from `GRIDMARGIN_DCGM_URL`."""
        fetcher = Fetcher.to(cls.name, around, "http://127.0.0.1:9400/metrics")
        parser = around.require("prometheus_client.parser", cls.name, WAY_OUT)
        meter = cls(fetcher.text, parser, around.clock_us, sample_s)
        meter.let_go = fetcher.close
        return meter

    def labels(self) -> Mapping[str, str]:
        """Give the model of each board."""
        return self._names

    def ask(self) -> Sequence[Sample]:
        """Scrape once."""
        samples, self._names = decode(self._page(), self._parser)
        if not samples:
            raise NoMeterError(
                self.name,
                f"the page has none of {', '.join(FIELDS)}",
                "check the address, and the exporter's list of counters",
            )
        return samples
