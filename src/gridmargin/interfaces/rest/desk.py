"""The desk behind the routes: one workplace, one stream, answers from either."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any, TypeVar

from gridmargin.interfaces.account import price_requests
from gridmargin.interfaces.answers import (
    asked,
    assumptions_answer,
    consistency_answer,
    diff_answer,
    factors_answer,
    freshness_answer,
    head_answer,
    ledger_answer,
    margin_answer,
    meters_answer,
    one_factor_answer,
    proof_answer,
    quality_answer,
    receipt_answer,
    sources_answer,
    zones_answer,
)
from gridmargin.interfaces.disagreement import disagreement_answer
from gridmargin.interfaces.failures import error_answer, told
from gridmargin.interfaces.forecasts import held_answer, issued_answer, moment_to_issue
from gridmargin.interfaces.long_run import long_run_answer, long_run_table_answer, only_one
from gridmargin.interfaces.placing import place_answer, where_answer
from gridmargin.interfaces.rest.readers import Readers
from gridmargin.interfaces.rest.rounds import Rounds
from gridmargin.interfaces.rest.schemas import AccountModel, LongRunTableModel
from gridmargin.pipeline import Stream, explain, facts_from, moment_for, outside, recipe, roll, take_in
from gridmargin.places import Places
from gridmargin.receipts import Receipt, find_receipt, latest_receipts
from gridmargin.vocab import (
    GridmarginError,
    InputError,
    Interval,
    Kind,
    NotFoundError,
    TimeError,
    format_utc,
    parse_utc,
)
from gridmargin.wiring import SourceChoice, Workplace, now_utc

T = TypeVar("T")

LOG = logging.getLogger("gridmargin.stream")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TICK_S = 1.0
"""How often the stream moves on. [s]"""

GOOD_FOR_S = 1.0
"""How long one factor is given again without asking the ledger. [s]"""

LOOK_GOOD_FOR_S = 5.0
"""How long what was found of instruments is given again. [s]"""

MOST_FACTORS = 4096

LONGEST = timedelta(days=32)
"""The longest stretch of factors given at once."""


class Desk:
    """Answers for one workplace.

    What may write goes one at a time; what only asks the ledger has connections of its own and waits for nobody.

    Parameters
    ----------
    place : Workplace
        Ledger and archive, open.
    choice : SourceChoice
        Which source answers.
    zone : str
        Zone that the page opens on.
    stream : Stream or None
        Requests being priced as they come.
    places : Places or None
        What says where things are; the registry alone where None.
    rounds : Rounds or None
        Who asks publishers in the background; without it they are asked when somebody asks us.
    """

    def __init__(
        self,
        place: Workplace,
        choice: SourceChoice,
        zone: str,
        stream: Stream | None,
        places: Places | None = None,
        rounds: Rounds | None = None,
    ) -> None:
        self.places = places or Places()
        self.place = place
        self.choice = choice
        self.zone = zone
        self.stream = stream
        self.rounds = rounds
        self._lock = asyncio.Lock()
        self._readers = Readers(place.apart)
        self._queues: set[asyncio.Queue[tuple[str, Any]]] = set()
        self._now: dict[tuple[str, str, datetime, tuple[str, ...]], dict[str, Any]] = {}
        self._factors: dict[tuple[str, str | None, str | None, Kind], tuple[float, bytes]] = {}
        self._one_roll = asyncio.Lock()
        self._roll_again: set[tuple[str, str]] = set()
        self._rolling: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._zones: list[dict[str, Any]] | None = None
        self._shown: str | None = None
        self._trouble: dict[str, dict[str, Any]] = {}
        self._logged: set[tuple[str, str]] = set()
        self._issuing: dict[tuple[str, datetime, int], asyncio.Task[dict[str, Any]]] = {}
        self._one_issue = asyncio.Semaphore(1)
        self._one_look = asyncio.Lock()
        self._meters: tuple[float, dict[str, Any]] | None = None

    # -- life ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Move the stream on while the server runs; what it still holds is written at the end."""
        task = asyncio.create_task(self._tick_forever()) if self.stream else None
        if self.rounds is not None:
            self.rounds.start(self._after_round)
        try:
            yield
        finally:
            if self.rounds is not None:
                self.rounds.stop()
            for rolling in tuple(self._rolling.values()):
                rolling.cancel()
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            if self.stream is not None:
                await self._apart(self.stream.close)
            self._readers.close()

    @contextmanager
    def listener(self) -> Iterator[asyncio.Queue[tuple[str, Any]]]:
        """Give a queue of events for one listener; a slow one misses events, it does not hold up the others."""
        queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue(maxsize=64)
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    async def _tick_forever(self) -> None:
        while True:
            for step in (self._move, self._save, self._tell_margin):
                await self._tried(step)
            await asyncio.sleep(TICK_S)

    async def _tried(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do one step of the stream; what goes wrong is logged once per kind, shown in the status, and tried again."""
        name = step.__name__.strip("_")
        try:
            await step()
        except Exception as error:
            _, code, message = told(error)
            if (name, code) not in self._logged:
                self._logged.add((name, code))
                LOG.error("stream_step_failed step=%s code=%s", name, code, exc_info=error)
            since = self._trouble.get(name, {}).get("since_utc", format_utc(now_utc()))
            self._trouble[name] = {"step": name, **error_answer(code, message)["error"], "since_utc": since}
        else:
            self._trouble.pop(name, None)

    async def _move(self) -> None:
        assert self.stream is not None
        receipts = await self._apart(self.stream.tick, now_utc())
        if receipts:
            answers = [receipt_answer(receipt) for receipt in receipts]
            self._tell("receipts", {"receipts": answers, "totals": self.totals()})

    async def _save(self) -> None:
        assert self.stream is not None
        await self._apart(self.stream.save, now_utc())

    async def _tell_margin(self) -> None:
        margin = await self.now(self.zone, None)
        if margin["interval"]["start_utc"] != self._shown:
            self._shown = margin["interval"]["start_utc"]
            self._tell("now", margin)

    async def _after_round(self, adapter: str, zone: str, revised: tuple[datetime, ...]) -> None:
        """Take in what a round brought, and tell the listeners how fresh the zone is."""

        def work() -> dict[str, Any]:
            feeds = self.place.feeds
            live, _ = feeds.named(adapter)
            if revised:
                take_in(self.place.factory_of(feeds.kept(live), self.choice), zone, revised)
            self._now.clear()  # more history lets more estimators speak, of intervals answered for before too
            return freshness_answer(feeds.freshness(live, zone))

        self._tell("source", await self._apart(work))
        self._roll_soon(adapter, zone)

    def _roll_soon(self, adapter: str, zone: str) -> None:
        """Go on with the ledger when its turn comes; the next round does not wait for it."""
        key = (adapter, zone)
        if key in self._rolling:
            self._roll_again.add(key)
            return

        async def in_turn() -> None:
            async with self._one_roll:
                await asyncio.to_thread(self._roll, adapter, zone)

        def done(task: asyncio.Task[None]) -> None:
            del self._rolling[key]
            if task.cancelled():
                return
            if isinstance(error := task.exception(), Exception):
                LOG.error(
                    "roll_failed source=%s zone=%s code=%s", adapter, zone, told(error)[1], exc_info=error
                )
            if key in self._roll_again:
                self._roll_again.discard(key)
                self._roll_soon(adapter, zone)

        task = self._rolling[key] = asyncio.create_task(in_turn())
        task.add_done_callback(done)

    def _roll(self, adapter: str, zone: str) -> None:
        """Go on with the ledger by a connection of its own, so that nobody who asks waits for it."""
        with self.place.apart() as place:
            kept = place.feeds.kept(place.feeds.named(adapter)[0])
            if zone in kept.zones():
                roll(place.factory_of(kept, self.choice), zone)

    def _tell(self, name: str, data: Any) -> None:
        for queue in self._queues:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait((name, data))

    async def _apart(self, work: Callable[..., T], *arguments: Any) -> T:
        async with self._lock:
            running = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                # A thread cannot be stopped: whoever comes next waits until it is done.
                await asyncio.wait([running])
                raise

    # -- grid ------------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Say what this server is, and what its stream stumbles over."""
        stream = self.stream.describe() if self.stream else {"kind": "none", "note": "no request stream"}
        choice = self.choice
        with contextlib.suppress(GridmarginError):  # where only publishers may answer and none has yet
            choice = self.place.settle(choice, self.zone, None, ask=False)
        return {
            "version": version("gridmargin"),
            "now_utc": format_utc(now_utc()),
            "zone": self.zone,
            "source": {"name": choice.kind, "detail": choice.detail},
            "stream": stream | {"error": next(iter(self._trouble.values()), None)},
            "assumptions": assumptions_answer(self.stream.current_manifest()) if self.stream else [],
        }

    async def sources(self) -> list[dict[str, Any]]:
        """Say of every live adapter and zone how fresh it is, or why it is off."""
        return await self._apart(sources_answer, self.place.feeds)

    async def meters(self) -> dict[str, Any]:
        """Say which instruments this machine has; they are looked for once for all who ask within a few seconds."""
        clock = asyncio.get_running_loop().time
        async with self._one_look:
            if self._meters is None or clock() - self._meters[0] > LOOK_GOOD_FOR_S:
                answer = await asyncio.to_thread(meters_answer)
                self._meters = clock(), answer
            return self._meters[1]

    async def zones(self) -> list[dict[str, Any]]:
        """List zones."""
        if self._zones is None:
            self._zones = await self._apart(zones_answer, self.choice)
        return self._zones

    async def where(self, text: str, at_utc: datetime | None, workload: str | None) -> dict[str, Any]:
        """Say which zone a place lies in, and which rule decided."""
        found = self.places.where(text, at_utc or now_utc(), workload)
        return await self._apart(where_answer, found, self.choice)

    async def now(
        self, zone: str, at_utc: datetime | None, estimators: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Say what is on the margin; one interval is worked out once."""
        found = self.places.where(zone, at_utc or now_utc())
        zone = found.zone
        for name in estimators:
            recipe(name)
        moment_asked = at_utc or now_utc()

        def work() -> dict[str, Any]:
            choice = self.place.settle(self.choice, zone, moment_asked, ask=self.rounds is None)
            factory = self.place.factory(choice, zone, moment_asked, estimators)
            moment, note = moment_for(factory.source, zone, moment_asked)
            if note and at_utc is not None:
                raise outside(factory.source, zone, moment_asked)
            interval = Interval.containing(moment, factory.source.interval_s(zone))
            key = (zone, factory.source.name, interval.start_utc, estimators)
            if key not in self._now:
                if len(self._now) > 256:
                    self._now.clear()
                self._now[key] = margin_answer(self.place, factory, choice, zone, interval)
            return asked(self._now[key], moment_asked, note, factory, choice) | {"place": place_answer(found)}

        return await self._apart(work)

    async def factor(self, zone: str, at: str | None, estimator: str | None, kind: Kind) -> bytes:
        """Give one factor as JSON; what was said within the last second is said again as it stands.

        Raises
        ------
        NoFactorError
            If there is none of that kind and estimator.
        """
        key = (zone, at, estimator, kind)
        now_s = asyncio.get_running_loop().time()
        kept = self._factors.get(key)
        if kept is not None and now_s < kept[0]:
            return kept[1]
        if len(self._factors) > MOST_FACTORS:
            self._factors.clear()
        names = () if estimator is None or kind is Kind.AVERAGE else (estimator,)
        answer = await self.now(zone, parse_utc(at, "at") if at else None, names)
        body = json.dumps(one_factor_answer(answer, estimator, kind), ensure_ascii=False).encode()
        self._factors[key] = (now_s + GOOD_FOR_S, body)
        return body

    async def forecast(
        self,
        zone: str,
        at_utc: datetime | None,
        issued_by_utc: datetime | None,
        as_of_utc: datetime | None,
        estimator: str | None,
    ) -> dict[str, Any]:
        """Give an issue that the ledger holds."""
        zone = self.places.where(zone, now_utc()).zone

        def work(place: Workplace) -> dict[str, Any]:
            return held_answer(
                place.book, zone, at_utc=at_utc, issued_by_utc=issued_by_utc, as_of_utc=as_of_utc,
                estimator=estimator,
            )  # fmt: skip

        return await self._readers.ask(work)

    async def issue(self, zone: str, at_utc: datetime | None, hours: int) -> dict[str, Any]:
        """Issue a forecast beside everything else, by a connection of its own; whoever asks for the same one shares it.

        Without a moment it is issued as the present interval begins, so that all who ask within it mean one issue.
        """
        zone = self.places.where(zone, now_utc()).zone
        asked_utc = at_utc or now_utc()

        def moment() -> tuple[datetime, str | None]:
            factory = self.place.factory(self.choice, zone, asked_utc)
            if at_utc is not None:
                return at_utc, None
            chosen, note = moment_to_issue(factory, zone, asked_utc)
            return Interval.containing(chosen, factory.source.interval_s(zone)).start_utc, note

        issued_utc, note = await self._apart(moment)

        def work() -> dict[str, Any]:
            with self.place.apart() as place:
                factory = place.factory(self.choice, zone, issued_utc)
                return issued_answer(factory, zone, issued_utc, hours, note, anew=False)

        async def in_turn() -> dict[str, Any]:
            async with self._one_issue:
                return await asyncio.to_thread(work)

        key = (zone, issued_utc, hours)
        if key not in self._issuing:
            task = self._issuing[key] = asyncio.create_task(in_turn())

            def done(task: asyncio.Task[dict[str, Any]]) -> None:
                del self._issuing[key]
                if not task.cancelled():
                    task.exception()  # whoever asked may have gone

            task.add_done_callback(done)
        return await asyncio.shield(self._issuing[key])

    async def long_run(self, zone: str, year: int | None, weights: str) -> dict[str, Any]:
        """Give long-run factors of the plants that the source lists; the ledger is not asked."""
        zone = self.places.where(zone, now_utc()).zone
        return await asyncio.to_thread(long_run_answer, zone, self.choice.folder, year=year, weights=weights)

    async def long_run_of(self, zone: str, body: LongRunTableModel) -> dict[str, Any]:
        """Give long-run factors of what was sent."""
        zone = self.places.where(zone, now_utc()).zone
        only_one(body.fleet_csv, body.rates_csv)
        if body.rates_csv is not None:
            return await asyncio.to_thread(
                long_run_table_answer, zone, ("rates_csv", body.rates_csv.encode()), region=body.region,
                start_year=body.start_year, evaluation_years=body.evaluation_years, scenario=body.scenario,
                spread90_frac=body.spread90_frac,
            )  # fmt: skip
        if body.fleet_csv is None:
            raise InputError("neither fleet_csv nor rates_csv is there; send one, or GET the same path")
        return await asyncio.to_thread(
            long_run_answer, zone, None, year=body.year, weights=body.weights,
            fleet=("fleet_csv", body.fleet_csv.encode()),
        )  # fmt: skip

    async def factors(self, zone: str, interval: Interval, estimator: str) -> dict[str, Any]:
        """Give factors as columns."""
        zone = self.places.where(zone, now_utc()).zone
        if interval.end_utc - interval.start_utc > LONGEST:
            raise TimeError(f"{interval} is longer than {LONGEST.days} days; ask for less at a time")

        def work() -> dict[str, Any]:
            newest = min(now_utc(), interval.end_utc - timedelta(microseconds=1))
            choice = self.place.settle(self.choice, zone, newest, ask=self.rounds is None)
            return factors_answer(self.place, choice, zone, interval, estimator)

        return await self._apart(work)

    async def disagreement(self, zone: str, interval: Interval, other: str | None) -> dict[str, Any]:
        """Hold what is said of a zone side by side."""
        zone = self.places.where(zone, now_utc()).zone
        other = self.places.where(other, now_utc()).zone if other else None
        if interval.end_utc - interval.start_utc > LONGEST:
            raise TimeError(f"{interval} is longer than {LONGEST.days} days; ask for less at a time")
        return await self._readers.ask(
            lambda place: disagreement_answer(place, zone, interval, other), is_long=True
        )

    async def quality(self, zone: str, interval: Interval) -> dict[str, Any]:
        """Say how good a zone's data are."""
        zone = self.places.where(zone, now_utc()).zone
        if interval.end_utc - interval.start_utc > LONGEST:
            raise TimeError(f"{interval} is longer than {LONGEST.days} days; ask for less at a time")
        return await self._apart(quality_answer, self.place, self.choice, zone, interval)

    async def ledger(
        self, zone: str, interval: Interval, estimator: str, as_of_utc: datetime | None
    ) -> dict[str, Any]:
        """Give ledger entries."""
        zone = self.places.where(zone, now_utc()).zone
        if interval.end_utc - interval.start_utc > LONGEST:
            raise TimeError(f"{interval} is longer than {LONGEST.days} days; ask for less at a time")
        return await self._readers.ask(
            lambda place: ledger_answer(place.book, zone, interval, estimator, as_of_utc)
        )

    async def head(self) -> dict[str, Any]:
        """Give the signed head of the log."""
        return await self._readers.ask(lambda place: head_answer(place.book))

    async def proof(self, kind: str, record_id: int) -> dict[str, Any]:
        """Prove that a record stands in the log."""
        return await self._readers.ask(lambda place: proof_answer(place.book, kind, record_id))

    async def consistency(self, old: int) -> dict[str, Any]:
        """Prove that the log begins with what it was."""
        return await self._readers.ask(lambda place: consistency_answer(place.book, old))

    async def diff(
        self, since_utc: datetime, zone: str | None, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """Say what the ledger says differently now, a page at a time."""
        if zone is not None:
            zone = self.places.where(zone, now_utc()).zone
        return await self._readers.ask(
            lambda place: diff_answer(place.book, since_utc, zone, limit, cursor), is_long=True
        )

    # -- receipts --------------------------------------------------------------------------------------------------

    async def receipts(self, limit: int, cursor: str | None) -> dict[str, Any]:
        """Give a page of receipts."""
        before = _read_cursor(cursor) if cursor else None

        def work() -> list[Receipt]:
            fresh = (
                [r for r in self.stream.unwritten() if before is None or _key(r) < before]
                if self.stream
                else []
            )
            kept = latest_receipts(self.place.folder, limit, before)
            return sorted([*fresh, *kept], key=_key, reverse=True)[:limit]

        found = await self._apart(work)
        return {
            "receipts": [receipt_answer(r) for r in found],
            "next_cursor": _write_cursor(found[-1]) if len(found) == limit else None,
        }

    def _find(self, receipt_id: str) -> Receipt:
        for receipt in self.stream.unwritten() if self.stream else ():
            if receipt.receipt_id == receipt_id:
                return receipt
        return find_receipt(self.place.folder, receipt_id)

    async def receipt(self, receipt_id: str) -> dict[str, Any]:
        """Give one receipt."""
        return receipt_answer(await self._apart(self._find, receipt_id))

    async def explain(self, receipt_id: str, *, refit: bool = False) -> dict[str, Any]:
        """Trace one receipt."""

        def work() -> dict[str, Any]:
            receipt = self._find(receipt_id)
            manifest = self.stream.manifest(receipt.run_id) if self.stream else None
            facts_of = facts_from(self.choice.folder) if refit else None
            return explain(
                receipt, self.place.folder, self.place.book, self.place.archive, manifest, facts_of
            )

        return await self._apart(work)

    def totals(self) -> dict[str, Any]:
        """Give the sums since the server started."""
        return self.stream.totals() if self.stream else {"requests": 0}

    async def account(self, body: AccountModel) -> dict[str, Any]:
        """Price a small log."""
        if not body.requests:
            raise InputError("the request list is empty; give at least one request")
        return await self._apart(price_requests, self.place, self.choice, body.model_dump(), self.places)


def _key(receipt: Receipt) -> tuple[datetime, str]:
    return (receipt.end_utc, receipt.receipt_id)


def _write_cursor(receipt: Receipt) -> str:
    epoch_us = (receipt.end_utc - _EPOCH) // timedelta(microseconds=1)
    text = f"{epoch_us}|{receipt.receipt_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        epoch_us, _, receipt_id = text.partition("|")
        moment = _EPOCH + timedelta(microseconds=int(epoch_us))
    except (binascii.Error, UnicodeDecodeError, ValueError, OverflowError):
        raise InputError(
            f"cursor {cursor!r} is not one of ours; use next_cursor from the page before"
        ) from None
    if not receipt_id:
        raise NotFoundError(f"cursor {cursor!r} names no receipt; use next_cursor from the page before")
    return moment, receipt_id
