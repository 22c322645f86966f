"""Request-step memberships shared and added up a second, per rule, against one grouped sum of the same rows.

    python benchmarks/bench_rules.py

Measured, on invented steps of 40 requests each (4 million memberships): a rule over the steps, with the sums by request
and interval of every part (`Tally`), on one thread. The limit is 5 million memberships a second on one core, because
the goal is. The memory limit is for an endless stream: an hour of steps pushed minute by minute must not take more than
ten minutes of them.

Where the recorded data are: an hour of the Azure conversation trace (19,366 requests, 4.1 million chunks), its chunks
laid 40 ms apart with up to 3 ms of delay since the trace tells none, put together to steps and shared; within 2 s.

Yardstick: one `numpy.bincount` of the memberships by request, the least that any split needs.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from time import perf_counter

import numpy as np
import pyarrow as pa
from yardstick import DATA, Report

from gridmargin.attribution import RULES, StepEnergy, Tally, profiled
from gridmargin.engines import Steps, Streams, steps_of, steps_of_streams
from gridmargin.reference import profile_for
from gridmargin.requests import read_log

BATCH, STEPS, STEP_US, LIFE = 40, 100_000, 30_000, 250
AT_LEAST_PER_S = 5e6
AT_MOST_GROWTH = 1.5
CHUNK_US, DELAY_US, WITHIN_S = 40_000, 3_000, 2.0
TRACE = DATA / "inference" / "azure_llm_2023" / "AzureLLMInferenceTrace_conv.csv"


def made(first: int, n_steps: int) -> tuple[Steps, StepEnergy]:
    """Give steps from `first` on, each with `BATCH` requests that live for `LIFE` steps."""
    at = np.arange(first, first + n_steps)
    member = (np.arange(BATCH)[None, :] + (at // LIFE * BATCH)[:, None]).ravel()
    ids, member = np.unique(member, return_inverse=True)
    steps = steps_of(
        {"start_us": at * STEP_US, "end_us": (at + 1) * STEP_US - 1},
        groups=[("gpu0",)], origin="made", member_row=np.repeat(np.arange(n_steps), BATCH),
        members={"member": member, "member_decode": np.ones(len(member))}, request_ids=pa.array([f"q{i}" for i in ids]),
    )  # fmt: skip
    one = np.ones(n_steps)
    return steps, StepEnergy(1.9 * one, 0 * one, 0.04 * BATCH * one, 0 * one, 3.7 * one)


def streamed() -> Streams:
    """Give the trace's requests as a gateway would have seen them."""
    batches = list(read_log(TRACE, datetime(2026, 7, 15, 18, tzinfo=UTC)).batches())
    sent_us, prompt, generated = (
        np.concatenate([getattr(batch, name) for batch in batches])
        for name in ("arrival_us", "prompt_tokens", "generated_tokens")
    )
    request = np.repeat(np.arange(len(sent_us)), generated)
    nth = np.arange(len(request)) - np.repeat(np.cumsum(generated) - generated, generated)
    first_us = (sent_us // CHUNK_US + 2) * CHUNK_US
    delay_us = np.random.default_rng(0).integers(0, DELAY_US, len(request))
    return Streams(
        [f"q{i}" for i in range(len(sent_us))], sent_us, prompt.astype(np.float64), np.zeros(len(prompt)), request,
        first_us[request] + nth * CHUNK_US + delay_us, np.ones(len(request)),
    )  # fmt: skip


def main() -> int:
    """Print the figures."""
    report = Report("numpy", "polars", "pyarrow")
    steps, energy = made(0, STEPS)
    m = len(steps.member)
    begin = perf_counter()
    np.bincount(steps.member, np.ones(m))
    least_s = perf_counter() - begin
    for name in RULES:
        best_s = float("inf")
        for _ in range(3):
            tally = Tally(RULES.get(name), 300)
            begin = perf_counter()
            tally.push(steps, energy)
            tally.finish()
            best_s = min(best_s, perf_counter() - begin)
        report.ratio(f"{name}, {m:,} memberships", best_s, least_s, "s")
        report.check(f"{name}, memberships a second", m / best_s, "", at_least=AT_LEAST_PER_S)
    tally, held = Tally(RULES.get("shapley"), 300), []
    per_minute = 60_000_000 // STEP_US
    for minute in range(60):
        tally.push(*made(minute * per_minute, per_minute))
        held.append(tally.held.height)
    report.ratio(
        "requests held after an hour against after ten minutes",
        max(held[10:]),
        max(held[:10]),
        "",
        AT_MOST_GROWTH,
    )
    if not TRACE.is_file():
        print(f"left out: the hour of conversations, since {TRACE} is not there")
        return report.exit_code()
    streams, profile, whole_s = streamed(), profile_for("H100", "llama-3.1-8b"), float("inf")
    for _ in range(3):
        begin = perf_counter()
        steps = steps_of_streams(streams, ["gpu0"])
        tally = Tally(RULES.get("shapley"), 300)
        tally.push(steps, profiled(steps, profile))
        tally.finish()
        whole_s = min(whole_s, perf_counter() - begin)
    report.check(
        f"an hour of conversations, {len(streams.chunk_us):,} chunks to {len(steps):,} steps to shares", whole_s, "s",
        at_most=WITHIN_S,
    )  # fmt: skip
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
