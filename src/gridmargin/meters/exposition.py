"""Lines of a page of metrics in Prometheus' text format, those asked for alone; parsed by Prometheus' own client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridmargin.vocab import NoMeterError

WAY_OUT = "pip install 'gridmargin[prometheus]'"


@dataclass(frozen=True, slots=True)
class Line:
    """One sample of a page.

    Attributes
    ----------
    name : str
    labels : mapping
    value : float
    time_us : int or None
        Where the page states it. [µs since 1970 UTC]
    """

    name: str
    labels: Mapping[str, str]
    value: float
    time_us: int | None


def lines_of(page: str, names: Sequence[str], parser: Any, instrument: str) -> Iterator[Line]:
    """Give the samples of these names.

    Parameters
    ----------
    page : str
        As scraped.
    names : sequence of str
    parser : module
        `prometheus_client.parser`.
    instrument : str
        For messages.

    Raises
    ------
    NoMeterError
        If a line of these names cannot be read.
    """
    wanted = tuple(names)
    # Parsing is slow and pages are long: only the lines that matter are parsed.
    kept = "\n".join(line for line in page.splitlines() if line.startswith(wanted)) + "\n"
    try:
        for family in parser.text_string_to_metric_families(kept):
            for sample in family.samples:
                if sample.name in wanted:
                    time_us = None if sample.timestamp is None else int(float(sample.timestamp) * 1e6)
                    yield Line(sample.name, sample.labels, float(sample.value), time_us)
    except (ValueError, KeyError, IndexError) as error:
        raise NoMeterError(
            instrument,
            f"the page of metrics cannot be read ({error})",
            "check that it is in Prometheus' text format",
        ) from None
