"""A New York ISO on this machine that knows the time: its tables end where a publisher's would, and can be revised."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gridmargin.sources import LIVE_SOURCES
from gridmargin.vocab import Interval, Registry
from sources.live_samples import LIVE_SAMPLES, starts_of
from sources.publisher_server import Publisher, Reply, Seen, publisher

ZONE = "US-NYIS"
REGISTERED = {
    "eia930_api": "gridmargin.sources.live.eia930:Eia930Live",
    "isone": "gridmargin.sources.live.isone:IsoNeLive",
    "nyiso": "gridmargin.sources.live.nyiso:NyIsoLive",
}
"""New York, and two that are off without their keys: nobody else is asked, on whatever network the tests run."""

DELAY = timedelta(minutes=2)


@dataclass
class Clock:
    """A clock that stands where it is put."""

    now_utc: datetime

    def __call__(self) -> datetime:
        return self.now_utc

    def move(self, **by: float) -> None:
        self.now_utc += timedelta(**by)


@dataclass
class NewYork:
    """The publisher, the clock it goes by, and what it says otherwise than before."""

    server: Publisher
    clock: Clock
    bump: dict[datetime, float] = field(default_factory=dict)
    is_down: bool = False


@contextlib.contextmanager
def new_york(clock: Clock) -> Iterator[NewYork]:
    """Run it; while it is down every request gets a 503."""
    live = LIVE_SOURCES.get("nyiso")()
    told: list[NewYork] = []

    def answer(seen: Seen) -> Reply:
        if told[0].is_down:
            return Reply(status=503)
        for days in (0, 60):
            back = Interval(clock.now_utc - timedelta(hours=2, days=days), clock.now_utc)
            for request in live.requests(ZONE, back):
                if seen.path.endswith(request.name):
                    # Load and flows are stamped with the start of five minutes, the others with their end.
                    ahead = timedelta(minutes=5 if "pal" in request.name or "Flows" in request.name else 0)
                    last = clock.now_utc - timedelta(minutes=5) - DELAY + ahead
                    later = {start for start in starts_of(request.interval, 300, ()) if start > last}
                    return Reply(LIVE_SAMPLES["nyiso"].build(request, later, told[0].bump))
        return Reply(status=404)

    with publisher(answer) as server:
        told.append(NewYork(server, clock))
        yield told[0]


def point_at(monkeypatch, state: NewYork) -> None:
    """Let this process ask the publisher on this machine, and no other, by its clock."""
    registry = Registry("live source", "gridmargin.no_other_live_sources", REGISTERED)
    for module in ("settling", "workplace"):
        monkeypatch.setattr(f"gridmargin.wiring.{module}.LIVE_SOURCES", registry)
    monkeypatch.delenv("GRIDMARGIN_OFFLINE", raising=False)
    monkeypatch.delenv("GRIDMARGIN_DATA", raising=False)
    monkeypatch.setenv("GRIDMARGIN_NYISO_URL", state.server.url)
    for module in ("wiring.workplace", "interfaces.cli.grid_commands", "interfaces.cli.source_commands", "interfaces.rest.desk",
                   "interfaces.rest.rounds", "interfaces.cli.up_command"):  # fmt: skip
        monkeypatch.setattr(f"gridmargin.{module}.now_utc", state.clock)
