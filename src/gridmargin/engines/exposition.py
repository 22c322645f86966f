"""Recorded pages of metrics in Prometheus' text format, each under the time at which it was scraped.

# time_utc 2026-07-15T18:14:00.250Z
vllm:generation_tokens_total{engine="0",model_name="m"} 1234.0
…
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from gridmargin.engines.reader import text_of
from gridmargin.vocab import InputError, MetricLine, TableError, metric_lines, parse_utc

STAMP = re.compile(r"^# time_utc (.*)$", re.MULTILINE)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """What one scrape said of the names asked for.

    Attributes
    ----------
    time_us : int
        When it was scraped. [µs since 1970 UTC]
    lines : list of MetricLine
        Empty where the scrape failed.
    where : str
        For people: which page of which file.
    """

    time_us: int
    lines: list[MetricLine]
    where: str


def pages_of(paths: Sequence[Path], names: Collection[str]) -> Iterator[Page]:
    """Give the recorded pages in their order, the values of these names alone.

    Raises
    ------
    InputError
        If a file is not there, holds no stamped page, or the parser is not installed.
    TableError
        If a line cannot be read: names the page, the first being 0.
    TimeError
        If a stamp is no time with an offset.
    """
    parser = _parser()
    for path in paths:
        _, *parts = STAMP.split(text_of(path))
        if not parts:
            raise InputError(
                f"{path.name}: no page begins with a line such as '# time_utc 2026-07-15T18:14:00Z'; write the time of the"
                " scrape before each page"
            )
        for number, (stamp, body) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
            where = f"{path.name}, page {number}"
            time_us = (parse_utc(stamp, f"{where}, time_utc") - EPOCH) // timedelta(microseconds=1)
            try:
                lines = metric_lines(body, names, parser)
            except TableError as error:
                raise TableError(f"{where} is {error}") from None
            yield Page(time_us, lines, where)


def _parser() -> Any:
    try:
        return import_module("prometheus_client.parser")
    except ImportError:
        raise InputError(
            "pages of metrics are read by prometheus-client, which is not installed; pip install 'gridmargin[prometheus]'"
        ) from None
