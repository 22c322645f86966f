"""What sharing costs beside a running fleet: 500 requests a second on eight devices, steps and readings as they come.

    python benchmarks/bench_agent.py

Measured: `LiveShares` over two minutes of invented steps (each request 100 tokens, so 50,000 memberships a second) and
one reading a second and device, pushed every ten seconds: processor time over the time that passed, on one thread, and
how much memory came on top of the imports. The limits are 1 % of a core and 100 MB, because the goals are. Making the
steps, and reading an engine's own words, are left out.

Yardstick: one `numpy.bincount` of the same memberships by request.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from time import process_time

import numpy as np
import pyarrow as pa
from yardstick import Report, peak_rss_mb

from gridmargin.attribution import RULES, LiveShares
from gridmargin.engines import Steps, steps_of
from gridmargin.meters import Reading
from gridmargin.reference import profile_for
from gridmargin.vocab import Interval, Status

DEVICES, PER_S, TOKENS, STEP_US, PUSH_S, PUSHES = 8, 500, 100, 40_000, 10, 12
AT_MOST_FRAC, AT_MOST_MB = 0.01, 100.0
START = datetime(2026, 7, 15, tzinfo=UTC)


def made(push: int) -> Steps:
    """Give ten seconds of steps of every device; each request takes part in `TOKENS` steps in a row."""
    n = PUSH_S * 1_000_000 // STEP_US
    active = PER_S * TOKENS * STEP_US // 1_000_000 // DEVICES
    at = push * n + np.arange(n)
    # Place k of a device's batch is taken by a new request every TOKENS steps, each place at a step of its own.
    place = np.arange(active)
    turn = (at[:, None] + place[None, :] * TOKENS // active) // TOKENS
    fresh = (at[:, None] + place[None, :] * TOKENS // active) % TOKENS == 0
    name = (turn * active + place[None, :])[None, :, :] * DEVICES + np.arange(DEVICES)[:, None, None]
    ids, member = np.unique(name.ravel(), return_inverse=True)
    start_us = round(START.timestamp() * 1e6) + at * STEP_US
    decodes = np.broadcast_to(~fresh, name.shape).ravel()
    return steps_of(
        {
            "start_us": np.tile(start_us, DEVICES), "end_us": np.tile(start_us + STEP_US, DEVICES),
            "group": np.repeat(np.arange(DEVICES), n),
        },
        groups=[(f"gpu{i}",) for i in range(DEVICES)], origin="made",
        member_row=np.repeat(np.arange(DEVICES * n), active),
        members={"member": member, "member_prefill": np.where(decodes, 0, 300), "member_decode": decodes},
        request_ids=pa.array([f"q{i}" for i in ids]),
    )  # fmt: skip


def readings(push: int) -> list[Reading]:
    """Give a reading a second of every device."""
    first = START + timedelta(seconds=push * PUSH_S)
    return [
        Reading(
            f"gpu{i}", Interval.starting(first + timedelta(seconds=s), 1), 400.0, 1.0, "made", Status.REPORTED
        )
        for i in range(DEVICES)
        for s in range(PUSH_S)
    ]


def main() -> int:
    """Print the figures."""
    report = Report("numpy", "polars", "pyarrow")
    live = LiveShares(profile_for("H100", "llama-3.1-8b"), RULES.get("shapley"), 300, patience_s=30.0)
    pushes = [(made(push), readings(push)) for push in range(PUSHES)]
    live.push(*pushes[0])
    before_mb, spent_s, least_s, n_done = peak_rss_mb(), 0.0, 0.0, 0
    for steps, told in pushes[1:]:
        begin = process_time()
        n_done += live.push(steps, told)["request_id"].n_unique()
        spent_s += process_time() - begin
        begin = process_time()
        np.bincount(steps.member, steps.member_decode)
        least_s += process_time() - begin
    passed_s = PUSH_S * (PUSHES - 1)
    print(
        f"{n_done:,} requests handed over in {passed_s} s; conservation error {live.conservation_error():.1e}"
    )
    report.ratio("sharing", spent_s, least_s, "s of processor time")
    report.check("of one core", spent_s / passed_s, "", at_most=AT_MOST_FRAC)
    report.check("memory on top", peak_rss_mb() - before_mb, "MB", at_most=AT_MOST_MB)
    return report.exit_code()


if __name__ == "__main__":
    sys.exit(main())
