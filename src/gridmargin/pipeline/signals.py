"""Everything that is said of a zone's rate: the ledger, archived comparison signals, and the user's own tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gridmargin.ledger import COUNTS, Book, Signal
from gridmargin.pipeline.live import Feeds
from gridmargin.sources import Observations, read_rate_table
from gridmargin.vocab import InputError, Interval, Kind

PUBLISHED = "published"
"""The estimator that repeats the operator's own word."""

ARCHIVED = {
    "electricity_maps_average_direct_gco2e_per_kwh": ("electricity_maps direct", Kind.AVERAGE, "direct_co2e"),
    "electricity_maps_average_lifecycle_gco2e_per_kwh": (
        "electricity_maps life cycle",
        Kind.AVERAGE,
        "life_cycle_co2e",
    ),
    "watttime_moer_gco2_per_kwh": ("watttime", Kind.MARGINAL, "direct_co2"),
}
"""What quantities of comparison signals are."""


def signals_of(book: Book, comparisons: Feeds, zone: str, interval: Interval) -> list[Signal]:
    """Give what the ledger says of a zone, one signal an estimator and source, and what was archived of others."""
    return [*_of_ledger(book, zone, interval), *_of_archive(comparisons, zone, interval)]


def _of_ledger(book: Book, zone: str, interval: Interval) -> list[Signal]:
    found = []
    for kind in Kind:
        tellers = book.tellers(kind, zone, interval)
        names = [estimator for estimator, *_ in tellers]
        for estimator, source, interval_s, counts in tellers:
            said = book.covering(kind, zone, interval, estimator, interval_s, source=source)
            several = names.count(estimator) > 1
            found.append(
                Signal(
                    zone,
                    f"{estimator} from {source or 'before sources were noted'}, {interval_s} s"
                    if several
                    else estimator,
                    "publisher" if estimator == PUBLISHED else "gridmargin",
                    kind,
                    counts,
                    interval_s,
                    said.start_epoch_s,
                    said.mid,
                )
            )
    return found


def _of_archive(comparisons: Feeds, zone: str, interval: Interval) -> list[Signal]:
    found = []
    for adapter, _ in comparisons.adapters:
        kept = comparisons.kept(adapter)
        parts = [kept.parse(payload, interval) for payload in kept.fetch(zone, interval)]
        frame = Observations.concat(parts).frame
        for quantity in frame["quantity"].unique().sort():
            if quantity not in ARCHIVED:
                continue
            name, kind, counts = ARCHIVED[quantity]
            mine = frame.filter((frame["quantity"] == quantity) & (frame["zone"] == zone))
            mine = mine.unique("start_utc", keep="last", maintain_order=True).sort("start_utc")
            found.append(
                Signal(
                    zone,
                    name,
                    "third_party",
                    kind,
                    counts,
                    adapter.interval_s(zone),
                    mine["start_utc"].dt.epoch("s").to_numpy().astype(np.int64),
                    mine["value"].to_numpy(),
                )
            )
    return found


def given_signals(given: Sequence[str], zone: str) -> list[Signal]:
    """Read the user's own tables, each given as `NAME:KIND:FILE` or `NAME:KIND:COUNTS:FILE`.

    Raises
    ------
    InputError
        If one is not written so, or the file is not there.
    TableError
        If a table cannot be read.
    """
    return [_given(text, zone) for text in given]


def _given(text: str, zone: str) -> Signal:
    name, _, rest = text.partition(":")
    kind_text, _, file = rest.partition(":")
    counts = COUNTS[0]
    if file.partition(":")[0] in COUNTS:
        counts, _, file = file.partition(":")
    if not name or not file or kind_text not in list(Kind):
        raise InputError(
            f"`signals={text}`: write NAME:KIND:FILE with KIND marginal or average, such as mine:marginal:rates.csv;"
            f" NAME:KIND:COUNTS:FILE says what is counted, one of {', '.join(COUNTS)}"
        )
    path = Path(file)
    if not path.is_file():
        raise InputError(f"`signals`, {name}: no file {file}")
    table = read_rate_table(path)
    n = len(table.rate_gco2_per_kwh)
    starts = table.start_epoch_s + table.step_s * np.arange(n, dtype=np.int64)
    return Signal(
        zone, name, "third_party", Kind(kind_text), counts, table.step_s, starts, table.rate_gco2_per_kwh
    )
