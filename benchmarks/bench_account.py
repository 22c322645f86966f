"""Accounting a request log, step by step, against DuckDB merely scanning, sorting and adding up the same Parquet file.

    python benchmarks/bench_account.py [--requests 10000000] [--data DIR]

The log is made up here: token counts drawn from one hour of a public conversation service where it is at hand (Azure
LLM inference trace 2023), else from the package's synthetic stream; Poisson arrivals at that hour's rate, one H100.
Start-up is left out: imports, compiling the replay, making the factors of the stretch. What counts runs from opening
the log to the receipts on disk, checks and roll-up included.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from yardstick import DATA, Report, peak_rss_mb

from gridmargin.ledger import Book
from gridmargin.pipeline import Factory, Job, account_log, facts_from
from gridmargin.pipeline.synthetic import arrivals_between
from gridmargin.reference import profile_for
from gridmargin.requests import read_log
from gridmargin.sources import SOURCES, Archive
from gridmargin.vocab import Interval

ZONE = "US-ERCO"
START = datetime(2020, 7, 1, 6, tzinfo=UTC)
RATE_PER_S = 19_366 / 3600
REQUESTS_PER_S, RSS_MB = 100_000.0, 2000.0
PART = 500_000


def public_lengths(data: Path) -> tuple[NDArray[np.int32], NDArray[np.int32], str]:
    """Give token counts to draw from, and where they come from."""
    path = data / "inference" / "azure_llm_2023" / "AzureLLMInferenceTrace_conv.csv"
    if path.is_file():
        found = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(1, 2), dtype=np.int32)
        return found[:, 0], found[:, 1], f"drawn from the {len(found):,} requests of {path.name}"
    made = arrivals_between(0, 3_600_000_000, RATE_PER_S, seed=1)
    return made.prompt_tokens, made.generated_tokens, "drawn from the package's synthetic stream"


def write_log(path: Path, n: int, data: Path) -> tuple[datetime, str]:
    """Write a log of n requests a part at a time; give its last arrival and where its token counts come from."""
    prompt, generated, words = public_lengths(data)
    draw = np.random.default_rng(11)
    clock_us = int(START.timestamp() * 1e6)
    schema = pa.schema(
        {"arrival": pa.timestamp("us", "UTC"), "prompt_tokens": pa.int32(), "generated_tokens": pa.int32()}
    )
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, n, PART):
            size = min(PART, n - first)
            arrival = clock_us + np.cumsum(draw.exponential(1e6 / RATE_PER_S, size)).astype(np.int64)
            clock_us = int(arrival[-1])
            which = draw.integers(0, len(prompt), size)
            writer.write_table(
                pa.table(
                    [pa.array(arrival).cast(schema[0].type), prompt[which], generated[which]], schema=schema
                )
            )
    return datetime.fromtimestamp(clock_us / 1e6, UTC), words


def bare_scan_s(path: Path) -> float:
    """Time what no accounting can do without: read the file, order it, add it up. [s]"""
    start = perf_counter()
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(
            "SELECT sum(tokens), max(gap) FROM (SELECT prompt_tokens + generated_tokens AS tokens,"
            f" arrival - lag(arrival) OVER (ORDER BY arrival) AS gap FROM read_parquet('{path}'))"
        ).fetchall()
    return perf_counter() - start


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--requests", type=int, default=1_000_000, metavar="N")
    asked.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    options = asked.parse_args()
    report = Report("duckdb", "numba", "pyarrow", "numpy")
    recorded = (options.data / "grid" / "ercot_fuelmix_15min_2019_2020").is_dir()
    source = SOURCES.get("ercot")(options.data) if recorded else SOURCES.get("reference")(Path())
    job = Job(ZONE, "regression", profile_for("H100", "llama-3.1-8b"))
    with tempfile.TemporaryDirectory() as name, Book(Path(name) / "ledger.sqlite") as book:
        folder = Path(name)
        _, words = write_log(folder / "small.parquet", 10_000, options.data)
        last, _ = write_log(folder / "log.parquet", options.requests, options.data)
        print(f"{options.requests:,} requests, {words}; factors from {source.name}")
        facts = facts_from(options.data if recorded else None)
        factory = Factory(source, book, Archive(folder / "archive"), facts, lambda: datetime.now(UTC))
        start = perf_counter()
        account_log(read_log(folder / "small.parquet"), job, factory, folder / "small", lambda _n: None)
        # Requests still running at the end may reach a later interval.
        factory.ensure(ZONE, Interval(START - timedelta(hours=1), last + timedelta(hours=12)))
        print(f"start-up, not counted: {perf_counter() - start:.1f} s")
        start = perf_counter()
        log = read_log(folder / "log.parquet")
        checked = perf_counter()
        summary = account_log(log, job, factory, folder / "receipts", lambda _n: None)
        end = perf_counter()
        rss_mb = peak_rss_mb()
        totals = summary["totals"]
        bare_s = min(bare_scan_s(folder / "log.parquet") for _ in range(3))
    report.check("requests priced", totals["requests"], "", at_least=options.requests)
    report.check("conservation error", totals["conservation_error"], "", at_most=1e-9)
    report.check("checking the log", checked - start, "s")
    report.ratio("accounting / bare DuckDB scan, sort, sum", end - start, bare_s, "s")
    per_s = options.requests / (end - start)
    report.ratio("rate / limit", per_s, REQUESTS_PER_S, "requests/s", at_least=1.0)
    report.check("peak memory", rss_mb, "MB", at_most=RSS_MB)
    return report.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
