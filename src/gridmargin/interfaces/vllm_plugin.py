"""A scheduler for vLLM that writes each step with the ids of its requests, as JSON lines that `read_steps` reads.

    vllm serve MODEL --scheduler-cls gridmargin.interfaces.vllm_plugin.AsyncStepScheduler \
        --additional-config '{"gridmargin_steps": "steps.jsonl", "gridmargin_devices": ["gpu0"]}'

It is vLLM's own scheduler (`AsyncStepScheduler` where vLLM schedules asynchronously, `StepScheduler` with
`--no-async-scheduling`), which decides as before; what it decided is written down by a thread. A stat logger could not:
`SchedulerStats` and `IterationStats` hold no request ids. Counts and ids are read, never a prompt or an answer.
"""

from __future__ import annotations

import atexit
import json
import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

BASES = {
    "AsyncStepScheduler": ("vllm.v1.core.sched.async_scheduler", "AsyncScheduler"),
    "StepScheduler": ("vllm.v1.core.sched.scheduler", "Scheduler"),
}

IN_FLIGHT = 64
"""Steps that may be scheduled and not done; an older one was given up by the engine and is forgotten. [1]"""

WAITING = 20_000
"""Steps that may wait for the disk before further ones are dropped. [1]"""

FLUSH_S = 1.0
"""How often what was written is handed to the system. [s]"""

_log = logging.getLogger(__name__)


def __getattr__(name: str) -> Any:
    """Build a scheduler class when vLLM asks for it, so that this module needs no vLLM."""
    if name not in BASES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, base = BASES[name]
    built = recording(getattr(import_module(module), base), name)
    globals()[name] = built
    return built


def recording(base: type[Any], name: str) -> type[Any]:
    """Give a scheduler class that writes down what `base` does.

    Parameters
    ----------
    base : type
        With `schedule`, `update_from_output`, `shutdown`, `requests` and `vllm_config`, as vLLM's.
    """

    class Recording(base):  # type: ignore[misc]
        """vLLM's scheduler, with a record of its steps."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            fits(name, bool(getattr(self.vllm_config.scheduler_config, "async_scheduling", False)))
            told = dict(self.vllm_config.additional_config or {})
            path, devices = place_of(told, self.vllm_config.parallel_config)
            self._gridmargin_writer = Writer(path)
            self._gridmargin_recorder = Recorder(self._gridmargin_writer.put, devices)

        def schedule(self, *args: Any, **kwargs: Any) -> Any:
            output = super().schedule(*args, **kwargs)
            self._gridmargin_recorder.scheduled(output, self.requests)
            return output

        def update_from_output(self, scheduler_output: Any, *args: Any, **kwargs: Any) -> Any:
            self._gridmargin_recorder.done(scheduler_output)
            return super().update_from_output(scheduler_output, *args, **kwargs)

        def shutdown(self, *args: Any, **kwargs: Any) -> Any:
            self._gridmargin_writer.close()
            return super().shutdown(*args, **kwargs)

    Recording.__name__ = Recording.__qualname__ = name
    return Recording


def fits(name: str, is_async: bool) -> None:
    """Refuse the scheduler of the other kind.

    Raises
    ------
    ValueError
        If vLLM schedules asynchronously and the class does not, or the other way round.
    """
    wanted = "AsyncStepScheduler" if is_async else "StepScheduler"
    if name != wanted:
        raise ValueError(
            f"vLLM schedules {'asynchronously' if is_async else 'synchronously'} here, which {name} does not; give"
            f" --scheduler-cls {__name__}.{wanted}"
        )


def place_of(told: dict[str, Any], parallel: Any) -> tuple[Path, list[str]]:
    """Give the file and the devices of one engine of a data-parallel group.

    Parameters
    ----------
    told : dict
        vLLM's `additional_config`.
    parallel : object
        Its `parallel_config`.

    Raises
    ------
    ValueError
        If no file is named, or the devices are not as many as the engines need.
    """
    if not isinstance(told.get("gridmargin_steps"), str):
        raise ValueError(
            'gridmargin\'s scheduler needs a file to write: --additional-config \'{"gridmargin_steps": "steps.jsonl"}\''
        )
    size = int(parallel.tensor_parallel_size) * int(parallel.pipeline_parallel_size)
    engines = int(getattr(parallel, "data_parallel_size", 1))
    rank = int(
        getattr(parallel, "data_parallel_index", None) or getattr(parallel, "data_parallel_rank", 0) or 0
    )
    devices = [
        str(name) for name in told.get("gridmargin_devices") or (f"gpu{i}" for i in range(size * engines))
    ]
    if len(devices) != size * engines:
        raise ValueError(
            f"gridmargin_devices names {len(devices)} devices, and {engines} engines of {size} have {size * engines}; name"
            " each, by engine"
        )
    path = Path(told["gridmargin_steps"])
    if engines > 1:
        path = path.with_name(f"{path.stem}-{rank}{path.suffix}")
    return path, devices[rank * size : (rank + 1) * size]


@dataclass(slots=True)
class _Flying:
    output: Any
    scheduled_us: int
    requests: list[dict[str, Any]]
    context_tokens: int


class Recorder:
    """Turns what a scheduler decided into records of steps, none of which begins before the one before it ended.

    Parameters
    ----------
    put : callable
        Takes a record.
    devices : list of str
    wall_ns, steady_ns : callable
        The time of day, and a clock that nobody sets.

    Notes
    -----
    A step begins when it was scheduled or, where it waited for the one before, when that ended; it ends when its output
    came back. Times run by the steady clock; the time of day is taken anew whenever nothing is in flight.
    """

    def __init__(
        self,
        put: Callable[[dict[str, Any]], None],
        devices: list[str],
        wall_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._put = put
        self._devices = devices
        self._wall_ns = wall_ns
        self._steady_ns = steady_ns
        self._flying: OrderedDict[int, _Flying] = OrderedDict()
        self._ended_us = 0
        self._ahead_ns = 0
        self._works = True

    def scheduled(self, output: Any, requests: Any) -> None:
        """Note who takes part in a step; the requests' own figures move on once it is scheduled."""
        if not self._works or not output.total_num_scheduled_tokens:
            return
        try:
            if not self._flying:
                self._ahead_ns = self._wall_ns() - self._steady_ns()
            members, context = _members(output, requests)
        except (AttributeError, KeyError, TypeError, ValueError):
            # Serving goes on where a later vLLM's records are of another shape.
            self._works = False
            _log.exception(
                "gridmargin: this vLLM's scheduler is not as expected; no further steps are written"
            )
            return
        self._flying[id(output)] = _Flying(output, self._now_us(), members, context)
        while len(self._flying) > IN_FLIGHT:
            self._flying.popitem(last=False)

    def done(self, output: Any) -> None:
        """Write a step whose output came back."""
        step = self._flying.pop(id(output), None)
        if step is None:
            return
        start_us = max(step.scheduled_us, self._ended_us)
        self._ended_us = max(self._now_us(), start_us)
        self._put(
            {
                "start_us": start_us,
                "end_us": self._ended_us,
                "devices": self._devices,
                "requests": step.requests,
                "context_tokens": step.context_tokens,
            }
        )

    def _now_us(self) -> int:
        return (self._steady_ns() + self._ahead_ns) // 1000


def _members(output: Any, requests: Any) -> tuple[list[dict[str, Any]], int]:
    """Give each request's tokens in a step, and what those that decode attend to, summed."""
    new = {data.req_id: data.num_computed_tokens for data in output.scheduled_new_reqs}
    computed = new | dict(_computed(output.scheduled_cached_reqs))
    drafts = output.scheduled_spec_decode_tokens
    members, context = [], 0
    for request_id, n in output.num_scheduled_tokens.items():
        before = computed[request_id]
        # What lies behind the prompt, and is no more than a token and its drafts, is decoding.
        decodes = before >= requests[request_id].num_prompt_tokens and n <= 1 + len(
            drafts.get(request_id, ())
        )
        member = {"request_id": request_id, "decode_tokens" if decodes else "prefill_tokens": int(n)}
        if new.get(request_id):
            member["cached_tokens"] = int(before)
        members.append(member)
        context += int(before + n) if decodes else 0
    return members, context


def _computed(cached: Any) -> Iterator[tuple[str, int]]:
    """Give how far each request was computed before the step; a list of records in vLLM up to 0.9."""
    if hasattr(cached, "req_ids"):
        yield from zip(cached.req_ids, cached.num_computed_tokens, strict=True)
    else:
        for data in cached:
            yield data.req_id, data.num_computed_tokens


class Writer:
    """Appends records to a file from a thread of its own; where the disk cannot keep up they are dropped and counted."""

    def __init__(self, path: Path) -> None:
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(WAITING)
        self._file = path.open("a", encoding="utf-8")
        self._dropped = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="gridmargin-steps", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def put(self, record: dict[str, Any]) -> None:
        """Hand a record over; never waits."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1
            if self._dropped == 1:
                _log.warning("gridmargin: the disk does not keep up; steps are dropped")

    def close(self) -> None:
        """Write what waits, and end."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._queue.put(None)
        self._thread.join()
        if self._dropped:
            _log.warning("gridmargin: %d steps were dropped, the disk did not keep up", self._dropped)

    def _run(self) -> None:
        with self._file as file:
            flushed = time.monotonic()
            while True:
                try:
                    record = self._queue.get(timeout=FLUSH_S)
                except queue.Empty:
                    file.flush()
                    continue
                if record is None:
                    return
                file.write(json.dumps(record, separators=(",", ":")) + "\n")
                if time.monotonic() - flushed > FLUSH_S:
                    file.flush()
                    flushed = time.monotonic()
