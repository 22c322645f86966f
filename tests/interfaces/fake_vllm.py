"""The part of vLLM that a scheduler touches, by the names and the order of vLLM V1, and two loops that drive it.

Records as in vllm/v1/core/sched/output.py; `schedule` chunks prompts, takes cached blocks as computed, drafts tokens and
preempts; counts move on after the output is made, as in `_update_after_schedule`.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

BUDGET = 64
"""Tokens a step may have."""


class Secret:
    """Stands where vLLM keeps what was asked and answered: nobody may look."""

    def __len__(self) -> int:
        raise AssertionError("a prompt was looked at")

    __iter__ = __getitem__ = __repr__ = __len__  # type: ignore[assignment]


@dataclass
class NewRequestData:
    req_id: str
    prompt_token_ids: Any
    num_computed_tokens: int


@dataclass
class CachedRequestData:
    req_ids: list[str] = field(default_factory=list)
    resumed_req_ids: set[str] = field(default_factory=set)
    num_computed_tokens: list[int] = field(default_factory=list)
    num_output_tokens: list[int] = field(default_factory=list)


@dataclass
class SchedulerOutput:
    scheduled_new_reqs: list[NewRequestData]
    scheduled_cached_reqs: Any
    num_scheduled_tokens: dict[str, int]
    total_num_scheduled_tokens: int
    scheduled_spec_decode_tokens: dict[str, list[int]]
    finished_req_ids: set[str]
    samples: set[str] = field(default_factory=set)
    """Not vLLM's: whose next token comes of the step, which vLLM knows by `is_prefill_chunk`."""


@dataclass
class Request:
    request_id: str
    num_prompt_tokens: int
    max_tokens: int
    num_cached: int = 0
    num_computed_tokens: int = 0
    num_output_tokens: int = 0
    num_output_placeholders: int = 0
    started: bool = False
    prompt_token_ids: Any = field(default_factory=Secret)

    @property
    def num_tokens(self) -> int:
        return self.num_prompt_tokens + self.num_output_tokens


class Scheduler:
    """Serves all requests at once, up to the budget."""

    ahead = False

    def __init__(self, vllm_config: Any, kv_cache_config: Any = None, log_stats: bool = False) -> None:
        self.vllm_config = vllm_config
        self.requests: dict[str, Request] = {}
        self.drafts = vllm_config.drafts
        self.is_down = False
        self.rejected: dict[str, int] = {}

    def add_request(self, request: Request) -> None:
        self.requests[request.request_id] = request

    def preempt(self, request_id: str) -> None:
        self.requests[request_id].num_computed_tokens = 0

    def schedule(self, throttle: bool = False) -> SchedulerOutput:
        new, cached, counts, spec, budget = [], CachedRequestData(), {}, {}, BUDGET
        for request in self.requests.values():
            drafts = self.drafts if request.num_computed_tokens >= request.num_prompt_tokens else 0
            if not request.started:
                request.num_computed_tokens = request.num_cached
            known = request.num_tokens + request.num_output_placeholders
            n = min(known + drafts - request.num_computed_tokens, budget)
            if n <= 0 or request.num_output_tokens + request.num_output_placeholders >= request.max_tokens:
                continue
            budget -= n
            counts[request.request_id] = n
            if drafts:
                spec[request.request_id] = [-1] * drafts
            if request.started:
                cached.req_ids.append(request.request_id)
                cached.num_computed_tokens.append(request.num_computed_tokens)
                cached.num_output_tokens.append(request.num_output_tokens)
            else:
                request.started = True
                new.append(
                    NewRequestData(request.request_id, request.prompt_token_ids, request.num_computed_tokens)
                )
        output = SchedulerOutput(new, self._cached(cached), counts, sum(counts.values()), spec, set())
        for request_id, n in counts.items():
            request = self.requests[request_id]
            request.num_computed_tokens += n
            if self.ahead and request.num_computed_tokens >= request.num_tokens:
                request.num_output_placeholders += 1
                output.samples.add(request_id)
        return output

    def _cached(self, cached: CachedRequestData) -> Any:
        return cached

    def update_from_output(
        self, scheduler_output: SchedulerOutput, model_runner_output: Any
    ) -> dict[int, Any]:
        for request_id in scheduler_output.num_scheduled_tokens:
            request = self.requests[request_id]
            drafts = len(scheduler_output.scheduled_spec_decode_tokens.get(request_id, ()))
            if self.ahead:
                if request_id in scheduler_output.samples:
                    request.num_output_placeholders -= 1
                    request.num_output_tokens += 1
            elif request.num_computed_tokens - drafts >= request.num_tokens:
                # Every draft is rejected: one token comes of the step.
                request.num_computed_tokens -= drafts
                self.rejected[request_id] = self.rejected.get(request_id, 0) + drafts
                request.num_output_tokens += 1
        done = [k for k, r in self.requests.items() if r.num_output_tokens >= r.max_tokens]
        for request_id in done:
            del self.requests[request_id]
        return {0: list(scheduler_output.num_scheduled_tokens)}

    def shutdown(self) -> None:
        self.is_down = True


class AsyncScheduler(Scheduler):
    """Schedules the next step before the last one's tokens are there."""

    ahead = True


class OldScheduler(Scheduler):
    """Up to vLLM 0.9 the cached requests were a list of records."""

    def _cached(self, cached: CachedRequestData) -> Any:
        rows = zip(cached.req_ids, cached.num_computed_tokens, strict=True)
        return [SimpleNamespace(req_id=name, num_computed_tokens=n) for name, n in rows]


def config(
    path: str | None, *, is_async: bool = False, drafts: int = 0, devices: Any = None, **parallel: int
) -> Any:
    """A `VllmConfig` as far as a scheduler reads it."""
    told = {} if path is None else {"gridmargin_steps": path}
    if devices is not None:
        told["gridmargin_devices"] = devices
    return SimpleNamespace(
        additional_config=told,
        scheduler_config=SimpleNamespace(async_scheduling=is_async),
        parallel_config=SimpleNamespace(
            **{"tensor_parallel_size": 1, "pipeline_parallel_size": 1, "data_parallel_size": 1} | parallel
        ),
        drafts=drafts,
    )


def run(scheduler: Any, limit: int = 10_000) -> int:
    """Step as `EngineCore.step`, until there is nothing to do."""
    for n in range(limit):
        output = scheduler.schedule()
        if not output.total_num_scheduled_tokens:
            return n
        scheduler.update_from_output(output, "what the model said")
    raise AssertionError("it never ends")


def run_ahead(scheduler: Any, limit: int = 10_000) -> int:
    """Step as `EngineCore.step_with_batch_queue` with two batches in flight."""
    waiting: deque[Any] = deque()
    for n in range(limit):
        output = scheduler.schedule(False)
        if output.total_num_scheduled_tokens:
            waiting.appendleft(output)
            if len(waiting) < 2:
                continue
        if not waiting:
            return n
        scheduler.update_from_output(waiting.pop(), "what the model said")
    raise AssertionError("it never ends")


def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the fakes where vLLM would be."""
    for name, classes in (
        ("vllm", {}), ("vllm.v1", {}), ("vllm.v1.core", {}), ("vllm.v1.core.sched", {}),
        ("vllm.v1.core.sched.scheduler", {"Scheduler": Scheduler}),
        ("vllm.v1.core.sched.async_scheduler", {"AsyncScheduler": AsyncScheduler}),
    ):  # fmt: skip
        module = ModuleType(name)
        for key, value in classes.items():
            setattr(module, key, value)
        monkeypatch.setitem(sys.modules, name, module)
