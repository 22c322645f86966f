"""Pods or nodes of Kubernetes by a scrape of Kepler; both generations of its names.

    kepler_pod_cpu_joules_total{pod_id="…",pod_name="web-0",pod_namespace="shop",state="running",zone="package"} 67.9
    kepler_container_joules_total{container_name="web",pod_name="web-0",container_namespace="shop",mode="dynamic"} 67.9

The first are those of 0.10 and later, the second those before. Kepler reads RAPL for the node and shares it by CPU time:
what it says of pods is modelled. Zones nest: of `package`, `core`, `uncore`, `dram` and `psys` the first and `dram` are
read. Nothing is added up here, since a part that is missing once would come back as energy never drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Self

from gridmargin.meters.exposition import WAY_OUT, lines_of
from gridmargin.meters.fetching import Fetcher
from gridmargin.meters.live import LiveMeter
from gridmargin.meters.sample import Channel, Quantity, Sample
from gridmargin.meters.surroundings import Surroundings
from gridmargin.vocab import InputError, MetricLine, NoMeterError, Status

ZONES = ("package", "dram")

POD_NAMES = ("kepler_pod_cpu_joules_total", "kepler_container_joules_total")
NODE_NAMES = (
    "kepler_node_cpu_joules_total",
    "kepler_node_package_joules_total",
    "kepler_node_dram_joules_total",
)
LEVELS = {"pod": (POD_NAMES, Status.MODELLED), "node": (NODE_NAMES, Status.REPORTED)}
"""What may be read; the two hold the same energy, so never both."""


def decode(page: str, level: str, parser: Any) -> list[Sample]:
    """Give the counters of a level; of a pod that is running and terminated at once, the larger."""
    names, status = LEVELS[level]
    found: dict[str, Sample] = {}
    for line in lines_of(page, names, parser, "kepler"):
        device = _device(line)
        if device is None or not math.isfinite(line.value):
            continue
        if device not in found or found[device].value < line.value:
            found[device] = Sample(Channel(device, Quantity.ENERGY, status), line.value, line.time_us)
    return list(found.values())


def _device(line: MetricLine) -> str | None:
    """Name what a line is of, or None for a zone that another one includes."""
    has = line.labels.get
    if line.name == "kepler_pod_cpu_joules_total":
        pod = f"{has('pod_namespace', '')}/{has('pod_name', '')}"
        pod += f"#{has('pod_id')}" if has("pod_id") else ""
        zone = has("zone", "package")
        return f"{pod}/{zone}" if zone in ZONES else None
    if line.name == "kepler_container_joules_total":
        pod = f"{has('container_namespace', '')}/{has('pod_name', '')}/{has('container_name', '')}"
        return f"{pod}/{has('mode', 'all')}"
    node = has("node_name") or has("instance") or has("exporter") or "node"
    if line.name == "kepler_node_cpu_joules_total":
        zone = has("zone", "package")
        return "/".join([node, zone, *filter(None, [has("path")])]) if zone in ZONES else None
    zone = line.name.removeprefix("kepler_node_").removesuffix("_joules_total")
    return "/".join([node, zone, *filter(None, [has("package"), has("mode")])])


class KeplerMeter(LiveMeter):
    """Pods, or nodes, on the page of one Kepler.

    Parameters
    ----------
    page : callable
        Scrapes it.
    level : str
        `pod` or `node`.
    parser : module
        `prometheus_client.parser`.
    """

    name = "kepler"
    sees = "CPU packages and memory, shared among pods by Kepler's model; GPUs, fans and the rest of the host are not in it"
    resolution_s = 5.0
    fastest_s = 5.0
    stands_s = None  # a pod that does nothing draws nothing by Kepler's model

    def __init__(
        self,
        page: Callable[[], str],
        level: str,
        parser: Any,
        clock_us: Callable[[], int],
        sample_s: float | None = None,
    ) -> None:
        super().__init__(clock_us, sample_s)
        if level not in LEVELS:
            raise InputError(f"GRIDMARGIN_KEPLER_LEVEL={level} is not known; give {' or '.join(LEVELS)}")
        self._page = page
        self._level = level
        self._parser = parser

    @classmethod
    def open(cls, around: Surroundings, sample_s: float | None = None) -> Self:
        """Know the address from `GRIDMARGIN_KEPLER_URL`, and what to read from `GRIDMARGIN_KEPLER_LEVEL`."""
        fetcher = Fetcher.to(cls.name, around, "http://127.0.0.1:28282/metrics")
        parser = around.require("prometheus_client.parser", cls.name, WAY_OUT)
        level = around.reach(cls.name).words.get("level", "pod")
        meter = cls(fetcher.text, level, parser, around.clock_us, sample_s)
        meter.let_go = fetcher.close
        return meter

    def ask(self) -> Sequence[Sample]:
        """Scrape once."""
        samples = decode(self._page(), self._level, self._parser)
        if not samples:
            names = " or ".join(LEVELS[self._level][0])
            raise NoMeterError(
                self.name, f"the page has no {names}", "check the address, and Kepler's metrics level"
            )
        return samples
