"""The plug-in writes what vLLM's scheduler decided, step by step, and never stands in its way."""

from __future__ import annotations

import itertools
import json
import logging
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from gridmargin.engines import ENGINES, Steps
from gridmargin.interfaces import vllm_plugin
from interfaces.fake_vllm import OldScheduler, Request, Scheduler, config, installed, run, run_ahead


@pytest.fixture(autouse=True)
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    for name in vllm_plugin.BASES:
        vllm_plugin.__dict__.pop(name, None)


def scheduler(name: str, *args: Any, **kwargs: Any) -> Any:
    """As vLLM finds the class: a module's name and an attribute."""
    return getattr(import_module("gridmargin.interfaces.vllm_plugin"), name)(
        vllm_config=config(*args, **kwargs)
    )


def served(path: Path) -> Steps:
    return ENGINES.get("vllm_steps").read([path], ()).steps


def totals(steps: Steps, name: str) -> tuple[float, float, float]:
    mine = steps.member == steps.request_ids.to_pylist().index(name)
    columns = (steps.member_prefill, steps.member_cached, steps.member_decode)
    return tuple(float(column[mine].sum()) for column in columns)


ASKED = (("a", 150, 7, 48), ("b", 10, 12, 0), ("c", 70, 1, 64))
"""Id, prompt, answer, of the prompt in the cache."""


@pytest.mark.parametrize("kind", ["sync", "async", "old"])
def test_each_requests_tokens_are_those_of_its_prompt_and_answer(
    kind: str, tmp_path: Path, monkeypatch: Any
) -> None:
    """In chunks or not, ahead of the model or not, with some of the prompt in a cache; the first token is the prefill's."""
    if kind == "old":
        monkeypatch.setattr(sys.modules["vllm.v1.core.sched.scheduler"], "Scheduler", OldScheduler)
    path = tmp_path / "steps.jsonl"
    one = scheduler(
        "AsyncStepScheduler" if kind == "async" else "StepScheduler", str(path), is_async=kind == "async"
    )
    for name, prompt, answer, cached in ASKED:
        one.add_request(Request(name, prompt, answer, cached))
    (run_ahead if kind == "async" else run)(one)
    one.shutdown()
    assert one.is_down
    steps = served(path)
    for name, prompt, answer, cached in ASKED:
        assert totals(steps, name) == (prompt - cached, cached, answer - 1)
    assert steps.groups == (("gpu0",),)
    assert (steps.end_us >= steps.start_us).all()
    assert (steps.start_us[1:] >= steps.end_us[:-1]).all()


def test_rejected_drafts_are_decoded_tokens(tmp_path: Path) -> None:
    """They were computed."""
    path = tmp_path / "steps.jsonl"
    one = scheduler("StepScheduler", str(path), drafts=3)
    one.add_request(Request("a", 20, 6))
    run(one)
    one.shutdown()
    assert one.rejected == {"a": 15}
    assert totals(served(path), "a") == (20, 0, 5 + 15)


def test_what_a_preemption_computes_again_counts_as_prompt(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    one = scheduler("StepScheduler", str(path))
    one.add_request(Request("a", 20, 10))
    for _ in range(4):
        one.update_from_output(one.schedule(), None)
    one.preempt("a")
    run(one)
    one.shutdown()
    assert totals(served(path), "a") == (20 + 24, 0, 9 - 1)


def test_those_who_decode_say_what_they_attend_to(tmp_path: Path) -> None:
    """Their prompt and answer so far, the token itself among them."""
    path = tmp_path / "steps.jsonl"
    one = scheduler("StepScheduler", str(path))
    one.add_request(Request("a", 20, 3))
    run(one)
    one.shutdown()
    assert served(path).context_tokens.tolist() == [0, 21, 22]


def test_every_engine_of_a_data_parallel_group_has_its_file_and_devices(tmp_path: Path) -> None:
    """Eight devices, two engines of two times two."""
    names = [f"h{i}" for i in range(8)]
    sizes = {
        "tensor_parallel_size": 2,
        "pipeline_parallel_size": 2,
        "data_parallel_size": 2,
        "data_parallel_rank": 1,
    }
    one = scheduler("StepScheduler", str(tmp_path / "s.jsonl"), devices=names, **sizes)
    one.add_request(Request("a", 20, 2))
    run(one)
    one.shutdown()
    assert served(tmp_path / "s-1.jsonl").groups == (("h4", "h5", "h6", "h7"),)
    with pytest.raises(ValueError, match="names 8 devices, and 1 engines of 1 have 1"):
        scheduler("StepScheduler", str(tmp_path / "s.jsonl"), devices=names)


def test_it_says_what_it_needs(tmp_path: Path) -> None:
    """A file to write, and the class that fits how vLLM schedules."""
    with pytest.raises(ValueError, match="needs a file to write: --additional-config"):
        scheduler("StepScheduler", None)
    with pytest.raises(
        ValueError, match=r"give --scheduler-cls gridmargin\.interfaces\.vllm_plugin\.AsyncStepScheduler"
    ):
        scheduler("StepScheduler", str(tmp_path / "s.jsonl"), is_async=True)
    with pytest.raises(AttributeError, match="no attribute 'Scheduler'"):
        vllm_plugin.Scheduler  # noqa: B018


def test_a_vllm_of_another_shape_goes_on_serving(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The record ends, the log says so once, the answers do not change."""
    path = tmp_path / "steps.jsonl"
    one = scheduler("StepScheduler", str(path))
    one.add_request(Request("a", 20, 4))
    one.update_from_output(one.schedule(), None)
    one._cached = lambda cached: SimpleCached()
    with caplog.at_level(logging.ERROR):
        assert run(one) == 3
    one.shutdown()
    assert [r.message for r in caplog.records] == [
        "gridmargin: this vLLM's scheduler is not as expected; no further steps are written"
    ]
    assert len(served(path)) == 1


class SimpleCached:
    """Neither a list of records nor a record of lists."""


def test_steps_that_never_come_back_are_forgotten(tmp_path: Path) -> None:
    """However many an engine gives up."""
    put: list[dict] = []
    recorder = vllm_plugin.Recorder(put.append, ["gpu0"])
    plain = Scheduler(config(None))
    plain.add_request(Request("endless", 10, 100_000))
    for _ in range(1000):
        output = plain.schedule()
        recorder.scheduled(output, plain.requests)
        plain.update_from_output(output, None)
    assert len(recorder._flying) == vllm_plugin.IN_FLIGHT
    assert put == []
    recorder.done(output)
    assert len(put) == 1


def test_a_clock_that_is_set_does_not_stretch_or_turn_a_step(tmp_path: Path) -> None:
    """Lengths are the steady clock's; a step never begins before the one before it ended."""
    wall, steady, put = [10_000_000_000], [0], []
    recorder = vllm_plugin.Recorder(put.append, ["gpu0"], lambda: wall[0], lambda: steady[0])
    plain = Scheduler(config(None))
    plain.add_request(Request("a", 10, 100))

    def step(set_by_ns: int = 0) -> None:
        output = plain.schedule()
        recorder.scheduled(output, plain.requests)
        steady[0] += 20_000_000
        wall[0] += 20_000_000 + set_by_ns
        recorder.done(output)
        plain.update_from_output(output, None)

    step()
    step(set_by_ns=-5_000_000_000)
    step()
    step()
    lengths = [record["end_us"] - record["start_us"] for record in put]
    assert lengths[:2] == [20_000, 20_000]
    assert all(b["start_us"] >= a["end_us"] for a, b in itertools.pairwise(put))
    wall[0] += 60_000_000_000
    step()
    assert put[-1]["start_us"] == wall[0] // 1000 - 20_000
    assert put[-1]["end_us"] - put[-1]["start_us"] == 20_000


def test_a_line_cut_by_a_kill_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    one = scheduler("StepScheduler", str(path))
    one.add_request(Request("a", 20, 4))
    run(one)
    one.shutdown()
    path.write_text(path.read_text()[:-9])
    told = ENGINES.get("vllm_steps").read([path], ())
    assert len(told.steps) == 3
    assert told.notes == ("steps.jsonl: its last line is cut short; left out",)


def test_nothing_of_a_prompt_is_in_the_file(tmp_path: Path) -> None:
    """Ids, counts, times and devices; the fakes refuse whoever looks at a prompt."""
    path = tmp_path / "steps.jsonl"
    one = scheduler("StepScheduler", str(path))
    one.add_request(Request("a", 100, 4, 16))
    run(one)
    one.shutdown()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert {key for row in rows for key in row} == {
        "start_us",
        "end_us",
        "devices",
        "requests",
        "context_tokens",
    }
    members = {key for row in rows for member in row["requests"] for key in member}
    assert members == {"request_id", "prefill_tokens", "cached_tokens", "decode_tokens"}


def test_a_disk_that_does_not_keep_up_costs_steps_and_no_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are dropped, counted and said."""
    monkeypatch.setattr(vllm_plugin, "WAITING", 3)
    monkeypatch.setattr(vllm_plugin.Writer, "_run", lambda self: self._wait())
    monkeypatch.setattr(vllm_plugin.Writer, "_wait", lambda self: None, raising=False)
    writer = vllm_plugin.Writer(tmp_path / "s.jsonl")
    for _ in range(10):
        writer.put({})
    writer._queue.get_nowait()
    writer.close()
    writer._file.close()
    assert [r.message for r in caplog.records] == [
        "gridmargin: the disk does not keep up; steps are dropped",
        "gridmargin: 7 steps were dropped, the disk did not keep up",
    ]


def test_the_module_needs_neither_vllm_nor_anything_heavy() -> None:
    """vLLM's process loads what it has; the plug-in adds the standard library alone."""
    code = "import sys, gridmargin.interfaces.vllm_plugin\nprint(sorted({'numpy','polars','pyarrow','vllm'} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
