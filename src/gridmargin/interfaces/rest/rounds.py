"""Rounds: while the server runs, every live zone is asked for at its publisher's cadence.

A clock that is set back holds no round up: what would only be due far ahead is due at once. Rounds of one zone never overlap, a late one is done once and not made up for, and a publisher that fails is asked ever
less often, up to an hour apart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gridmargin.interfaces.failures import told
from gridmargin.pipeline import Feeds
from gridmargin.vocab import GridmarginError
from gridmargin.wiring import now_utc

LOG = logging.getLogger("gridmargin.rounds")

AT_ONCE = 3
"""How many publishers are asked at the same time."""

LONGEST_PAUSE_S = 3600.0
"""The longest back-off. [s]"""

JITTER_FRAC = 0.1
"""By how much of the cadence a round is moved at random, so that not everybody asks on the minute."""

STAGGER_S = 0.5
"""Between the first rounds of two zones. [s]"""

CLOCK_CHECK_S = 20.0
"""How often it is looked whether the clock was set back, by a clock that only grows. [s]"""

SLACK_S = 60.0
"""By how much more than its cadence a round may lie ahead. [s]"""

TakeIn = Callable[[str, str, tuple[datetime, ...]], Awaitable[None]]
"""`(adapter, zone, revised starts)`: what is done after a round."""


class Rounds:
    """Asks for every zone of every live adapter that is on.

    Parameters
    ----------
    feeds : Feeds
        Who is asked.
    first_zone : str
        Asked for before the others.
    """

    def __init__(self, feeds: Feeds, first_zone: str) -> None:
        self.feeds = feeds
        self.zones = sorted(
            (
                (adapter.name, zone)
                for adapter, _ in feeds.adapters
                for zone in adapter.zones()
                if any(known.name == adapter.name for known in feeds.of_zone(zone))
            ),
            key=lambda pair: (pair[1] != first_zone, pair),
        )
        self._adapters = {adapter.name: adapter for adapter, _ in feeds.adapters}
        self._scheduler: AsyncIOScheduler | None = None
        self._watch: asyncio.Task[None] | None = None
        self._gate = asyncio.Semaphore(AT_ONCE)

    def start(self, after: TakeIn) -> None:
        """Begin, inside a running event loop; `after` is awaited when a round is done, well or badly."""
        scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        for number, (name, zone) in enumerate(self.zones):
            cadence_s = self._adapters[name].cadence_s
            scheduler.add_job(
                self._due,
                "interval",
                args=(name, zone, after),
                id=f"{name}/{zone}",
                seconds=cadence_s,
                jitter=max(1, int(cadence_s * JITTER_FRAC)),
                next_run_time=now_utc() + timedelta(seconds=STAGGER_S * number),
            )
        scheduler.start()
        self._scheduler = scheduler
        self._watch = asyncio.create_task(self._mind_the_clock())

    def stop(self) -> None:
        """End; a round in flight is left to end by its own limits."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    async def _mind_the_clock(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_CHECK_S)
            self.bring_near()

    def bring_near(self) -> int:
        """Let rounds that lie farther ahead than their cadence begin now: a clock was set back; give how many did."""
        if self._scheduler is None:
            return 0
        moment, n_moved = now_utc(), 0
        for number, (name, zone) in enumerate(self.zones):
            job = self._scheduler.get_job(f"{name}/{zone}")
            longest_s = self._adapters[name].cadence_s * (1 + JITTER_FRAC) + STAGGER_S * number + SLACK_S
            if job is None or job.next_run_time is None:
                continue
            if (job.next_run_time - moment).total_seconds() > longest_s:
                job.modify(next_run_time=moment + timedelta(seconds=STAGGER_S * n_moved))
                n_moved += 1
        if n_moved:
            LOG.warning("clock_set_back rounds_moved=%d", n_moved)
        return n_moved

    async def _due(self, name: str, zone: str, after: TakeIn) -> None:
        """Do one round; one that the end of the server cuts off ends without a word."""
        try:
            await self.once(name, zone, after)
        except asyncio.CancelledError:
            if self._scheduler is not None:
                raise

    async def once(self, name: str, zone: str, after: TakeIn) -> None:
        """Ask for what is new of one zone, and once a day for the past where it is too short for a fit."""
        adapter = self._adapters[name]
        if self.pause_left_s(name, zone) > 0:
            return
        async with self._gate:
            try:
                found = await asyncio.to_thread(self.feeds.ask, adapter, zone)
                for fault in found.faults:
                    LOG.info("round_lacks source=%s zone=%s what=%s", name, zone, fault)
                await after(name, zone, found.revised)
                if await asyncio.to_thread(self.feeds.ask_history, adapter, zone) is None:
                    return
            except GridmarginError as error:
                LOG.warning(
                    "round_failed source=%s zone=%s code=%s message=%s",
                    name,
                    zone,
                    type(error).__name__,
                    error,
                )
            except Exception as error:
                _, code, message = told(error)
                LOG.error("round_failed source=%s zone=%s code=%s", name, zone, code, exc_info=error)
                try:
                    self.feeds.index.failed(name, zone, now_utc(), message)
                except Exception as unwritten:  # on a full disk the failure cannot be noted either
                    LOG.error("failure_not_noted source=%s zone=%s", name, zone, exc_info=unwritten)
        await after(name, zone, ())

    def pause_left_s(self, name: str, zone: str) -> float:
        """Give how much longer a publisher that failed is left alone: twice as long after every failure. [s]"""
        health = self.feeds.index.health(name, zone)
        if not health.n_failed or health.failed_utc is None:
            return 0.0
        since_s = (now_utc() - health.failed_utc).total_seconds()
        pause_s = pause_after_s(health.n_failed, self._adapters[name].cadence_s)
        # A failure that lies ahead was written by a clock that has been set back: ask.
        return max(pause_s - since_s, 0.0) if since_s >= 0 else 0.0


def pause_after_s(n_failed: int, cadence_s: int) -> float:
    """Give how long a publisher is left alone after so many failures in a row. [s]"""
    if n_failed < 2:
        return 0.0
    return min(cadence_s * 2.0 ** min(n_failed - 1, 12), max(LONGEST_PAUSE_S, float(cadence_s)))
