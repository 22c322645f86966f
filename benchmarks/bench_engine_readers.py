"""What it costs to have an engine tell its steps, and to read what it told.

    python benchmarks/bench_engine_readers.py

Measured, on invented records: the CPU time that the vLLM plug-in takes for a step of 256 requests, in the engine's loop and
with the writing of it, against `json.dumps` of the same record; pages of /metrics of 420 lines a second, against splitting
them into lines; memberships read a second from the plug-in's file, against polars reading its lines.
The engine's loop is held to 1 % of a step of 25 ms.
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from time import perf_counter, process_time, thread_time
from types import SimpleNamespace

import polars as pl
from yardstick import Report

from gridmargin.engines import ENGINES
from gridmargin.interfaces.vllm_plugin import Recorder, Writer

BATCH, STEPS, STEP_S, PAGES = 256, 2_000, 0.025, 600
IN_THE_LOOP = 0.01
AT_MOST_DUMPS, AT_MOST_POLARS = 4.0, 4.0
PAGES_PER_S = 300


def recorded(path: Path) -> tuple[float, float]:
    """Write `STEPS` steps; gives the CPU time a step in the engine's loop, and in all. [s]"""
    ids = [f"chatcmpl-{i:032x}-0badcafe" for i in range(BATCH)]
    requests = {name: SimpleNamespace(num_prompt_tokens=400) for name in ids}
    outputs = [
        SimpleNamespace(
            total_num_scheduled_tokens=BATCH, scheduled_new_reqs=[], scheduled_spec_decode_tokens={},
            scheduled_cached_reqs=SimpleNamespace(req_ids=ids, num_computed_tokens=[500] * BATCH),
            num_scheduled_tokens=dict.fromkeys(ids, 1),
        )
        for _ in range(STEPS)
    ]  # fmt: skip
    writer = Writer(path)
    recorder = Recorder(writer.put, ["gpu0"])
    whole, loop = process_time(), thread_time()
    for output in outputs:
        recorder.scheduled(output, requests)
        recorder.done(output)
    loop = thread_time() - loop
    writer.close()
    return loop / STEPS, (process_time() - whole) / STEPS


def page(n: int) -> str:
    """Give a page of vLLM's length, most of which is not read."""
    label = '{engine="0",model_name="m"}'
    told = [
        f"vllm:prompt_tokens_total{label} {100 * n}.0", f"vllm:generation_tokens_total{label} {90 * n}.0",
        f"vllm:iteration_tokens_total_count{label} {30 * n}.0", f"vllm:num_requests_running{label} 3.0",
    ]  # fmt: skip
    rest = [
        f'vllm:e2e_request_latency_seconds_bucket{{engine="0",le="{i}.0",model_name="m"}} {n}.0'
        for i in range(415)
    ]
    return f"# time_utc 2026-07-15T18:{n // 60:02d}:{n % 60:02d}Z\n" + "\n".join(rest + told) + "\n"


def main() -> int:
    """Print the figures."""
    report = Report("polars", "pyarrow")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "steps.jsonl"
        loop_s, whole_s = recorded(path)
        lines = path.read_bytes()
        row = json.loads(lines[: lines.index(b"\n")])
        begin = perf_counter()
        for _ in range(200):
            json.dumps(row)
        dumps_s = (perf_counter() - begin) / 200
        report.check(
            "vLLM's loop, a step of 256 requests, of 25 ms", loop_s / STEP_S, "", at_most=IN_THE_LOOP
        )
        report.ratio("and with writing it", whole_s * 1e6, dumps_s * 1e6, "µs", at_most=AT_MOST_DUMPS)
        begin = perf_counter()
        pl.read_ndjson(BytesIO(lines), infer_schema_length=None)
        polars_s = perf_counter() - begin
        begin = perf_counter()
        steps = ENGINES.get("vllm_steps").read([path], ()).steps
        read_s = perf_counter() - begin
        report.ratio(f"{len(steps.member):,} memberships read", read_s, polars_s, "s", at_most=AT_MOST_POLARS)
        report.check("memberships", len(steps.member) / read_s / 1e6, "M/s")
        if find_spec("prometheus_client") is None:
            return report.left_out("prometheus-client is not installed")
        pages = Path(folder) / "pages.txt"
        pages.write_text("".join(page(n) for n in range(PAGES)))
        begin = perf_counter()
        ENGINES.get("vllm_metrics").read([pages], ())
        report.check("pages of 420 lines", PAGES / (perf_counter() - begin), "a second", at_least=PAGES_PER_S)
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
