"""Recorded pages of metrics in Prometheus' text format, each under the time at which it was scraped.

# time_utc 2026-07-15T18:14:00.250Z
vllm:generation_tokens_total{engine="0",model_name="m"} 1234.0
…
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from gridmargin.engines.reader import text_of
from gridmargin.vocab import InputError, TableError, parse_utc

STAMP = re.compile(r"^# time_utc (.*)$", re.MULTILINE)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Line:
    """One value of a page."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Page:
    """What one scrape said of the names asked for.

    Attributes
    ----------
    time_us : int
        When it was scraped. [µs since 1970 UTC]
    lines : list of Line
        Empty where the scrape failed.
    where : str
        For people: which page of which file.
    """

    time_us: int
    lines: list[Line]
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
    wanted = frozenset(names)
    asked = re.compile(
        rf"^(?:{'|'.join(map(re.escape, sorted(wanted, key=len, reverse=True)))})(?=[{{\s]).*$", re.MULTILINE
    )
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
            # Parsing is slow and pages are long: only the lines that matter are parsed.
            kept = "\n".join(asked.findall(body)) + "\n"
            try:
                lines = [
                    Line(sample.name, sample.labels, float(sample.value))
                    for family in parser.text_string_to_metric_families(kept)
                    for sample in family.samples
                ]
            except (ValueError, KeyError, IndexError) as error:
                raise TableError(
                    f"{where} is not in Prometheus' text format ({error}); it may be cut short, leave it out"
                ) from None
            yield Page(time_us, lines, where)


def _parser() -> Any:
    try:
        return import_module("prometheus_client.parser")
    except ImportError:
        raise InputError(
            "pages of metrics are read by prometheus-client, which is not installed; pip install 'gridmargin[prometheus]'"
        ) from None
