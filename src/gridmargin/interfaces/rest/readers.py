"""Readers: connections that only ask the ledger, so that no question waits for a long one or for what is being written."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from threading import Lock
from typing import TypeVar

from gridmargin.wiring import Workplace

T = TypeVar("T")

MOST = 4
"""Questions answered at once; each has a thread and a connection, made when first needed and kept."""

MOST_LONG = 2
"""Of these, at most so many may be ones that can take long."""


class Readers:
    """Threads with a workplace each.

    Parameters
    ----------
    apart : callable
        Opens the same workplace once more, with a connection of its own.
    """

    def __init__(self, apart: Callable[[], AbstractContextManager[Workplace]]) -> None:
        self._apart = apart
        self._threads = ThreadPoolExecutor(MOST, thread_name_prefix="reader")
        self._long = asyncio.Semaphore(MOST_LONG)
        self._idle: list[Workplace] = []
        self._opened = ExitStack()
        self._lock = Lock()

    async def ask(self, work: Callable[[Workplace], T], *, is_long: bool = False) -> T:
        """Answer a question; a long one leaves room for short ones.

        Whoever asked may go; the thread goes on until it is done, and takes its place up for so long.
        """
        if not is_long:
            return await self._answered(work)
        await self._long.acquire()
        running = asyncio.ensure_future(self._answered(work))
        running.add_done_callback(self._done)
        return await asyncio.shield(running)

    def _done(self, running: asyncio.Task[T]) -> None:
        self._long.release()
        if not running.cancelled():
            running.exception()  # whoever asked may have gone

    async def _answered(self, work: Callable[[Workplace], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._with_place, work)

    def _with_place(self, work: Callable[[Workplace], T]) -> T:
        with self._lock:
            place = self._idle.pop() if self._idle else None
        if place is None:
            place = self._open()
        try:
            return work(place)
        finally:
            with self._lock:
                self._idle.append(place)

    def _open(self) -> Workplace:
        opened = ExitStack()
        place = opened.enter_context(self._apart())
        with self._lock:
            self._opened.push(opened)
        return place

    def close(self) -> None:
        """Wait for what is being answered, and let go of the connections."""
        self._threads.shutdown()
        with self._lock, contextlib.closing(self._opened):
            self._idle.clear()
