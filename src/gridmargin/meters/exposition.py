"""Pages of metrics as instruments serve them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridmargin.vocab import MetricLine, NoMeterError, TableError, metric_lines

WAY_OUT = "pip install 'gridmargin[prometheus]'"


def lines_of(page: str, names: Sequence[str], parser: Any, instrument: str) -> list[MetricLine]:
    """Give the samples of these names; see `metric_lines`.

    Parameters
    ----------
    instrument : str
        For messages.

    Raises
    ------
    NoMeterError
        If a line of these names cannot be read.
    """
    try:
        return metric_lines(page, names, parser)
    except TableError as error:
        raise NoMeterError(
            instrument,
            f"the page of metrics cannot be read: {str(error).partition(';')[0]}",
            "check that it is in Prometheus' text format",
        ) from None
