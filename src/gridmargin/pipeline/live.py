"""From publishers to the ledger: who answers for a zone, asking in a bounded time, and what a revision supersedes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gridmargin.pipeline.factors import Factory
from gridmargin.sources import (
    Archive,
    Collected,
    FetchIndex,
    Health,
    KeptSource,
    LiveSource,
    Reach,
    Transport,
    collect,
    off_reason,
)
from gridmargin.vocab import GridmarginError, Interval, NoFactorError, PublisherError

ANSWER_WITHIN_S = 5.0
"""How long somebody who asks for the present waits for a publisher. [s]"""

ASKING_FRAC = 0.9
"""Share of a limited time in which requests are made; what came by then is taken in within the rest. [1]"""

PROBE_MEMORY = timedelta(minutes=5)
"""How long a publisher that did not answer is left alone by those who wait."""

LOOK_BACK = timedelta(hours=2)
"""How far back a round asks; where the last success is longer ago, back to it."""

ROLLED = timedelta(hours=2)
"""How far back from the newest interval the ledger is filled after every round; what is older is filled when asked for."""

FIRST_HISTORY = timedelta(days=45)
"""How much of the past is fetched for fits, once."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh what we have of one zone from one publisher is.

    Attributes
    ----------
    source, publisher, zone : str
        Whose, and of which zone.
    off : str or None
        Why it is off and how it is turned on.
    cadence_s, delay_s : int
        How often it publishes, and how late. [s]
    newest_end_utc : datetime or None
        End of the newest interval we have.
    age_s : float or None
        Time since then; 0 where a clock that was set back makes it lie ahead. [s]
    stale : bool or None
        Whether it is older than its cadence and delay explain.
    health : Health
        Last try, success and failure.
    """

    source: str
    publisher: str
    zone: str
    off: str | None
    cadence_s: int
    delay_s: int
    newest_end_utc: datetime | None
    age_s: float | None
    stale: bool | None
    health: Health


class Feeds:
    """The live adapters over one archive.

    Parameters
    ----------
    adapters : sequence of (LiveSource, Reach)
        With where each publisher is and its keys.
    transport, archive, index
        Who asks, and where answers go.
    now_utc, clock : callable
        The time of day, and seconds that only grow.
    """

    def __init__(
        self,
        adapters: Sequence[tuple[LiveSource, Reach]],
        *,
        transport: Transport,
        archive: Archive,
        index: FetchIndex,
        now_utc: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self.adapters = adapters
        self.index = index
        self._transport = transport
        self._archive = archive
        self._now_utc = now_utc
        self._clock = clock
        self._past_asked: dict[tuple[str, str], datetime] = {}

    def named(self, name: str) -> tuple[LiveSource, Reach]:
        """Give an adapter by its name, and how its publisher is reached."""
        return next(pair for pair in self.adapters if pair[0].name == name)

    def of_zone(self, zone: str) -> list[LiveSource]:
        """List the adapters that answer for a zone and are on, the finest interval first."""
        on = [a for a, reach in self.adapters if zone in a.zones() and off_reason(a, reach) is None]
        return sorted(on, key=lambda adapter: (adapter.interval_s(zone), adapter.name))

    def off_of_zone(self, zone: str) -> list[str]:
        """Say of the adapters that would answer for a zone, but are off, how each is turned on."""
        reasons = [off_reason(a, reach) for a, reach in self.adapters if zone in a.zones()]
        return [reason for reason in reasons if reason]

    def kept(self, adapter: LiveSource) -> KeptSource:
        """Give what an adapter brought so far."""
        return KeptSource(adapter, self._archive, self.index)

    def freshness(self, adapter: LiveSource, zone: str) -> Freshness:
        """Say how fresh a zone is."""
        span, moment = self.index.span(adapter.name, zone), self._now_utc()
        age_s = None if span is None else max((moment - span.end_utc).total_seconds(), 0.0)
        _, reach = self.named(adapter.name)
        return Freshness(
            adapter.name,
            adapter.publisher,
            zone,
            off_reason(adapter, reach),
            adapter.cadence_s,
            adapter.delay_s,
            span.end_utc if span else None,
            age_s,
            None if age_s is None else age_s > usual_age_s(adapter),
            self.index.health(adapter.name, zone),
        )

    def is_due(self, adapter: LiveSource, zone: str) -> bool:
        """Say whether the publisher may have something newer than we have."""
        told, moment = self.index.health(adapter.name, zone), self._now_utc()
        if told.succeeded_utc is None:
            return True
        # A clock that was set back makes the last success lie ahead: ask.
        return (
            not timedelta(0) <= moment - told.succeeded_utc < timedelta(seconds=min(adapter.cadence_s, 300))
        )

    def left_alone(self, adapter: LiveSource, zone: str) -> str | None:
        """Say what went wrong where it went wrong lately, and None where it may be asked."""
        told, moment = self.index.health(adapter.name, zone), self._now_utc()
        lately = told.failed_utc is not None and timedelta(0) <= moment - told.failed_utc < PROBE_MEMORY
        return told.fault if lately else None

    def ask(
        self,
        adapter: LiveSource,
        zone: str,
        interval: Interval | None = None,
        within_s: float | None = None,
        *,
        past: bool = False,
    ) -> Collected:
        """Ask a publisher for what is new, or for a stretch.

        Parameters
        ----------
        within_s : float, optional
            Given up after this time whatever hangs, name resolution included. [s]

        Raises
        ------
        PublisherError, TableError
            If it does not answer with what was due.
        """
        wanted = interval or self._due(adapter, zone)
        _, reach = self.named(adapter.name)

        asking_s = None if within_s is None else ASKING_FRAC * within_s

        def work() -> Collected:
            return collect(
                adapter, zone, wanted, transport=self._transport, archive=self._archive, index=self.index,
                now_utc=self._now_utc, reach=reach, within_s=asking_s, clock=self._clock,
                past=past,
            )  # fmt: skip

        if within_s is None:
            return work()
        try:
            return _within(within_s, work)
        except TimeoutError:
            fault = f"{adapter.publisher}: no answer within {within_s:g} s; try again later, or give another `source`"
            self.index.failed(adapter.name, zone, self._now_utc(), fault)
            raise PublisherError(adapter.publisher, fault) from None

    def ask_history(self, adapter: LiveSource, zone: str) -> Collected | None:
        """Ask for the days before what we have, where they are too few for a fit; None where they are not.

        A publisher that has no more of them is asked again the next day.
        """
        span, end = self.index.span(adapter.name, zone), self._now_utc()
        asked = self._past_asked.get((adapter.name, zone))
        enough = span is not None and span.start_utc <= end - FIRST_HISTORY + timedelta(days=2)
        if enough or (asked is not None and timedelta(0) <= end - asked < timedelta(days=1)):
            return None
        self._past_asked[adapter.name, zone] = end
        before = span.start_utc if span is not None and span.start_utc > end - FIRST_HISTORY else end
        return self.ask(adapter, zone, Interval(end - FIRST_HISTORY, before), past=True)

    def _due(self, adapter: LiveSource, zone: str) -> Interval:
        end = self._now_utc()
        last = self.index.span(adapter.name, zone)
        start = end - LOOK_BACK - timedelta(seconds=adapter.delay_s)
        if last is not None and end - FIRST_HISTORY < last.end_utc < start:
            start = last.end_utc
        return Interval(start, end)


def usual_age_s(adapter: LiveSource) -> float:
    """Give how long ago the newest interval may have ended without anything being wrong. [s]"""
    return 2 * adapter.cadence_s + adapter.delay_s


def take_in(factory: Factory, zone: str, revised: Sequence[datetime]) -> int:
    """Estimate revised intervals again; entries that come out different supersede those from before.

    Only intervals that the ledger already speaks of are estimated: the others are when somebody asks for them.

    Returns
    -------
    int
        How many entries are new.
    """
    step_s = factory.source.interval_s(zone)
    n_new = 0
    for start in revised:
        interval = Interval.starting(start, step_s)
        if factory.speaks_of(zone, interval):
            n_new += factory.ensure(zone, interval, renew=True).n_new
    return n_new


def roll(factory: Factory, zone: str) -> int:
    """Write down what the newest intervals cause, whether or not anybody asks: the ledger goes on by itself.

    Returns
    -------
    int
        How many entries are new; none where no estimator can speak yet.
    """
    end = factory.source.span(zone).end_utc
    try:
        return factory.ensure(zone, Interval(end - ROLLED, end)).n_new
    except NoFactorError:
        return 0


def _within(limit_s: float, work: Callable[[], Collected]) -> Collected:
    """Do some work in a thread of its own and leave it behind when it takes too long: a look-up cannot be stopped."""
    found: list[Collected] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:  # noqa: BLE001 - handed to whoever waits
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True, name="gridmargin-ask")
    thread.start()
    thread.join(limit_s)
    if found:
        return found[0]
    if failed:
        raise failed[0]
    raise TimeoutError


def ask_or_say_why(feeds: Feeds, adapter: LiveSource, zone: str, *, insist: bool = False) -> str | None:
    """Ask for the present within a few seconds; give None where that went well, and else what went wrong.

    Parameters
    ----------
    insist : bool
        Ask again even where it went wrong lately.
    """
    lately = None if insist else feeds.left_alone(adapter, zone)
    if lately:
        return f"{_without_way_out(lately)} (asked less than {PROBE_MEMORY.seconds // 60} min ago)"
    if not feeds.is_due(adapter, zone):
        return None
    try:
        feeds.ask(adapter, zone, within_s=ANSWER_WITHIN_S)
    except GridmarginError as error:
        return _without_way_out(str(error))
    return None


def _without_way_out(message: str) -> str:
    what, _, _ = message.rpartition("; ")
    return what or message
