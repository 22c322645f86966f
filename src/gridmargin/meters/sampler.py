"""Asks a live meter at a steady pace from a thread that never keeps a program from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from gridmargin.meters.live import LiveMeter
from gridmargin.vocab import InputError


class Sampler:
    """One meter, asked every `meter.sample_s`.

    Parameters
    ----------
    meter : LiveMeter
    monotonic : callable
        Seconds that only grow. [s]

    Raises
    ------
    InputError
        If the period is shorter than the instrument has anything new for.

    Notes
    -----
    Moments are counted from the start, so that the pace does not drift. What was missed, since the instrument was slow or
    the machine busy, is left out and counted in `n_skipped`, never made up for in a burst: the gap shows in the readings.
    """

    def __init__(self, meter: LiveMeter, monotonic: Callable[[], float]) -> None:
        if meter.sample_s < meter.fastest_s:
            raise InputError(
                f"{meter.name}: sampling every {meter.sample_s:g} s, but it has nothing new for {meter.fastest_s:g} s;"
                " give a longer period"
            )
        self.meter = meter
        self.n_skipped = 0
        self.error: BaseException | None = None
        self._monotonic = monotonic
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"sampler-{meter.name}", daemon=True)

    def start(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End, and wait for the last answer.

        Raises
        ------
        Exception
            What ended the thread before, if anything did: a defect, since an instrument's silence does not.
        """
        self._ended.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._ask_until_ended()
        except Exception as error:  # noqa: BLE001 - handed to whoever stops the thread
            self.error = error

    def _ask_until_ended(self) -> None:
        period_s, due_s = self.meter.sample_s, self._monotonic()
        while not self._ended.is_set():
            self.meter.sample()
            due_s += period_s
            behind_s = self._monotonic() - due_s
            if behind_s > 0:
                missed = int(behind_s / period_s) + 1
                self.n_skipped += missed
                due_s += missed * period_s
            if self._ended.wait(max(due_s - self._monotonic(), 0.0)):
                return
