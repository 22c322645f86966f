"""Values of a page of metrics in Prometheus' text format, those asked for alone; parsed by Prometheus' own client."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gridmargin.vocab.errors import TableError


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One value of a page.

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


def metric_lines(page: str, names: Iterable[str], parser: Any) -> list[MetricLine]:
    """Give the values of these names.

    Parameters
    ----------
    page : str
        As scraped.
    names : iterable of str
        As on the page, counters with their `_total`.
    parser : module
        `prometheus_client.parser`.

    Raises
    ------
    TableError
        If a line of these names cannot be read.
    """
    # Parsing is slow and pages are long: only the lines that matter are parsed.
    asked = "|".join(map(re.escape, sorted(names)))
    kept = "\n".join(re.findall(rf"^(?:{asked})(?=[{{\s]).*$", page, re.MULTILINE)) + "\n"
    try:
        return [
            MetricLine(
                sample.name,
                sample.labels,
                float(sample.value),
                None if sample.timestamp is None else int(float(sample.timestamp) * 1e6),
            )
            for family in parser.text_string_to_metric_families(kept)
            for sample in family.samples
        ]
    except (ValueError, KeyError, IndexError) as error:
        raise TableError(
            f"not in Prometheus' text format ({error}); it may be cut short, leave it out"
        ) from None
