"""Whatever a Prometheus server has scraped: one query, one unit.

`GRIDMARGIN_PROMETHEUS_QUERY` gives a counter of energy or a gauge of power as an instant vector, such as
`node_rapl_package_joules_total` or `pdu_active_power_watts{rack="7"}`; `GRIDMARGIN_PROMETHEUS_UNIT` says J, kJ, MJ, mJ, uJ,
Wh, kWh, W, kW or mW. A function such as `rate()` makes a counter a gauge that nobody read, and is the asker's choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self

from gridmargin.meters.fetching import Fetcher
from gridmargin.meters.live import LiveMeter
from gridmargin.meters.sample import Channel, Quantity, Sample
from gridmargin.meters.surroundings import Surroundings
from gridmargin.vocab import J_PER_KWH, NoMeterError

UNITS = {
    "J": (Quantity.ENERGY, 1.0),
    "kJ": (Quantity.ENERGY, 1e3),
    "MJ": (Quantity.ENERGY, 1e6),
    "mJ": (Quantity.ENERGY, 1e-3),
    "uJ": (Quantity.ENERGY, 1e-6),
    "Wh": (Quantity.ENERGY, J_PER_KWH / 1e3),
    "kWh": (Quantity.ENERGY, J_PER_KWH),
    "W": (Quantity.POWER, 1.0),
    "kW": (Quantity.POWER, 1e3),
    "mW": (Quantity.POWER, 1e-3),
}


def decode(answer: Mapping[str, Any], unit: str) -> list[Sample]:
    """Give the samples of an answer to an instant query; NaN and infinities are none.

    Raises
    ------
    NoMeterError
        If it is an error, or no vector.
    """
    if answer.get("status") != "success":
        raise NoMeterError(
            "prometheus",
            f"the query fails: {answer.get('error', 'no reason is given')}",
            "correct GRIDMARGIN_PROMETHEUS_QUERY",
        )
    data = answer.get("data")
    if not isinstance(data, dict) or data.get("resultType") != "vector":
        raise NoMeterError(
            "prometheus",
            "the query gives no instant vector",
            "name a counter or a gauge in GRIDMARGIN_PROMETHEUS_QUERY",
        )
    quantity, scale = UNITS[unit]
    found = []
    try:
        for row in data["result"]:
            time_s, text = row["value"]
            value, labels = float(text), row["metric"]
            if math.isfinite(value):
                device = ",".join(f"{key}={labels[key]}" for key in sorted(labels) if key != "__name__")
                channel = Channel(device or "all", quantity)
                found.append(Sample(channel, value * scale, int(float(time_s) * 1e6)))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise NoMeterError(
            "prometheus",
            "the answer is not shaped as a vector is",
            "check that GRIDMARGIN_PROMETHEUS_URL is a Prometheus",
        ) from None
    return found


class PrometheusMeter(LiveMeter):
    """The series that a query gives.

    Parameters
    ----------
    query : callable
        Asks it.
    unit : str
        One of `UNITS`.
    """

    name = "prometheus"
    sees = "what the exporter behind the query counts; at the pace of its scrapes"
    resolution_s = 15.0
    fastest_s = 1.0
    stands_s = 600.0

    def __init__(
        self,
        query: Callable[[], Mapping[str, Any]],
        unit: str,
        clock_us: Callable[[], int],
        sample_s: float | None = None,
    ) -> None:
        super().__init__(clock_us, sample_s)
        if unit not in UNITS:
            raise NoMeterError(
                self.name,
                "GRIDMARGIN_PROMETHEUS_UNIT is missing or not known",
                f"give the unit of what the query counts: {', '.join(UNITS)}",
            )
        self._query = query
        self._unit = unit

    @classmethod
    def open(cls, around: Surroundings, sample_s: float | None = None) -> Self:
        """Know address, query and unit from the environment."""
        fetcher = Fetcher.to(cls.name, around, "http://127.0.0.1:9090")
        words = around.reach(cls.name).words
        query = words.get("query")
        if not query:
            raise NoMeterError(
                cls.name,
                "no query is given",
                "set GRIDMARGIN_PROMETHEUS_QUERY, such as node_rapl_package_joules_total",
            )
        ask = partial(fetcher.record, "/api/v1/query", {"query": query})
        meter = cls(ask, words.get("unit", ""), around.clock_us, sample_s)
        meter.let_go = fetcher.close
        return meter

    def ask(self) -> Sequence[Sample]:
        """Ask the query once."""
        samples = decode(self._query(), self._unit)
        if not samples:
            raise NoMeterError(
                self.name, "the query gives no series", "check the name, and that its exporter is scraped"
            )
        return samples
