"""What a live adapter brought, read from the archive like any recorded source; and the proof that it can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from gridmargin.sources.archive import Archive
from gridmargin.sources.collect import EVER
from gridmargin.sources.fetched import FetchIndex, payload_of
from gridmargin.sources.live.live_source import LiveSource
from gridmargin.sources.observation import Observations
from gridmargin.sources.registered import cell_text, parse
from gridmargin.sources.source import Payload
from gridmargin.vocab import Cell, GridmarginError, InputError, Interval


class KeptSource:
    """The `Source` of a live adapter: the newest archived answer of each name.

    Parameters
    ----------
    live : LiveSource
        Whose answers.
    archive, index
        Where they are.
    """

    def __init__(self, live: LiveSource, archive: Archive, index: FetchIndex) -> None:
        self.live = live
        self.name = live.name
        self.states_margin = live.states_margin
        self.margin_delay_s: int = getattr(live, "margin_delay_s", 0)
        self._archive = archive
        self._index = index

    def zones(self) -> list[str]:
        """List the zones that something was fetched for."""
        return self._index.zones(self.name)

    def interval_s(self, zone: str) -> int:
        """Give the native interval. [s]"""
        return self.live.interval_s(zone)

    def span(self, zone: str) -> Interval:
        """Give the stretch from the first value fetched to the last."""
        found = self._index.span(self.name, zone)
        if found is None:
            raise InputError(
                f"nothing fetched from {self.live.publisher} for {zone} yet; give `source=live` to ask for it"
            )
        return found

    def retrieved_utc(self, zone: str) -> datetime | None:
        """Say when the newest answer came."""
        return self._index.retrieved_utc(self.name, zone)

    def fetch(self, zone: str, interval: Interval) -> Iterator[Payload]:
        """Give the newest answer of each name that covers any of `interval`, in the order they came."""
        for fetch in self._index.covering(self.name, zone, interval):
            yield payload_of(fetch, self._archive.get(fetch.sha256))

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one payload into observations, as the adapter it names does."""
        return parse(payload, interval)

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell."""
        return cell_text(payload, cell)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One archived answer, read again.

    Attributes
    ----------
    source, zone, name, sha256 : str
        Which.
    n_observations : int
        How many values it states.
    fault : str or None
        Why it does not close, None where it does.
    """

    source: str
    zone: str
    name: str
    sha256: str
    n_observations: int
    fault: str | None


def replay(live: LiveSource, archive: Archive, index: FetchIndex) -> Iterator[Replayed]:
    """Read every archived answer of a live adapter again: hash, parse, and the stretch that was noted when it came."""
    for fetch in index.every(live.name):
        n, fault = 0, None
        try:
            found = live.parse(payload_of(fetch, archive.get(fetch.sha256)), EVER)
            n = len(found)
            starts = found.frame["start_utc"]
            if fetch.interval is None or starts.min() != fetch.interval.start_utc:
                fault = "covers another stretch than when it came"
        except GridmarginError as error:
            fault = str(error)
        yield Replayed(fetch.source, fetch.zone, fetch.name, fetch.sha256, n, fault)
