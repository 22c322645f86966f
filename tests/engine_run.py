"""An engine whose every step, and every joule of it, is known: its log, its steps and its meter, as files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

T0 = datetime(2026, 7, 15, 18, 14, tzinfo=UTC)
IDLE_W, FIXED_J, PREFILL_J, DECODE_J = 123.0, 1.9, 0.015, 0.04


@dataclass(frozen=True)
class Run:
    """Files, and the truth: shares by Shapley, and the whole. [J]"""

    log: Path
    steps: Path
    meter: Path
    share_j: dict[str, float]
    whole_j: float
    between_j: float


def engine_run(folder: Path, n: int = 60, seconds: float = 120.0, every_s: float = 0.5, seed: int = 1) -> Run:
    """Serve `n` requests that arrive within `seconds`, and write down what log, engine and meter say."""
    random = np.random.default_rng(seed)
    arrival = np.sort(random.uniform(0, seconds, n))
    prompt, generated = random.integers(10, 2000, n), random.integers(1, 200, n)
    clock, waiting, active, left = 0.0, list(range(n)), [], generated.copy()
    steps, counter, between = [], [(0.0, 0.0)], 0.0
    share = np.zeros(n)
    while waiting or active:
        if not active and arrival[waiting[0]] > clock:
            between += IDLE_W * (arrival[waiting[0]] - clock)
            clock = float(arrival[waiting[0]])
            counter.append((clock, counter[-1][1] + IDLE_W * (clock - counter[-1][0])))
        fresh = [r for r in waiting if arrival[r] <= clock]
        waiting, active = waiting[len(fresh) :], active + fresh
        old = len(active) - len(fresh)
        seconds_of_step = 0.01 + 3e-5 * float(prompt[fresh].sum()) + 2e-4 * old
        own = np.array([PREFILL_J * prompt[r] if r in fresh else DECODE_J for r in active])
        share[active] += own + (FIXED_J + IDLE_W * seconds_of_step) / len(active)
        counter.append(
            (clock + seconds_of_step, counter[-1][1] + FIXED_J + IDLE_W * seconds_of_step + own.sum())
        )
        steps.append(
            {
                "start_us": round((T0.timestamp() + clock) * 1e6),
                "end_us": round((T0.timestamp() + clock + seconds_of_step) * 1e6),
                "devices": ["gpu0"],
                "requests": [
                    {
                        "request_id": f"q{r}",
                        "prefill_tokens": int(prompt[r]) if r in fresh else 0,
                        "decode_tokens": 0 if r in fresh else 1,
                    }
                    for r in active
                ],
            }
        )
        clock += seconds_of_step
        for r in active:
            left[r] -= 1
        active = [r for r in active if left[r] > 0]
    at, energy = np.array(counter).T
    reads = np.append(np.arange(0, clock, every_s), clock)
    run = Run(
        folder / "log.csv", folder / "steps.jsonl", folder / "meter.csv",
        {f"q{r}": float(share[r]) for r in range(n)}, float(energy[-1]), between,
    )  # fmt: skip
    run.steps.write_text("".join(json.dumps(step) + "\n" for step in steps))
    pl.DataFrame(
        {
            "time_utc": [(T0 + timedelta(seconds=float(t))).isoformat() for t in reads],
            "energy_j": 1e5 + np.interp(reads, at, energy),
        }
    ).write_csv(run.meter)
    pl.DataFrame(
        {
            "request_id": list(run.share_j),
            "arrival": [(T0 + timedelta(seconds=float(a))).isoformat() for a in arrival],
            "prompt_tokens": prompt,
            "generated_tokens": generated,
        }
    ).write_csv(run.log)
    return run
