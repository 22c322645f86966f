"""The ledger in PostgreSQL against the ledger in a SQLite file: the same appends and the same questions.

    python benchmarks/bench_postgresql.py

A server is started for the measurement, reached by its socket, and waits for the disk with every commit as SQLite does.
The refresh appends one quarter hour of 50 zones in one transaction with its head signed; the bulk is a month of quarter
hours of one zone. Left out where PostgreSQL is not installed.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

from bench_proofs import N_ZONES, START, made_up
from yardstick import Report

from gridmargin.ledger import Book, Place, Signer
from gridmargin.vocab import Interval, Kind

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from postgresql_server import running_server

N_REFRESHES, N_BULK, N_ASKS = 30, 2_976, 200
TIMES_SQLITE = 10.0


def timed(work: Callable[[], object]) -> float:
    """Give how long something takes. [s]"""
    start = perf_counter()
    work()
    return perf_counter() - start


def seconds(place: Place, key: Path) -> dict[str, float]:
    """Measure each kind of work on a new ledger. [s]"""
    with Book(place, Signer(key)) as book:
        refreshes = []
        for number in range(N_REFRESHES):
            at = START + timedelta(minutes=15 * number)
            found = [made_up(f"ZZ-{zone:02d}", 1, at) for zone in range(N_ZONES)]
            refreshes.append(timed(lambda found=found, at=at: book.append_all(found, at)))
        month, fit = made_up("US-ERCO", N_BULK, START)
        bulk = timed(lambda: book.append(month, fit, START + timedelta(days=40)))
        whole = Interval.starting(START, 900 * N_BULK)
        read = timed(lambda: book.covering(Kind.MARGINAL, "US-ERCO", whole, "regression"))
        quarter = Interval.starting(START + timedelta(days=9), 900)
        asks = timed(
            lambda: [
                book.covering(
                    Kind.MARGINAL, "US-ERCO", quarter, "regression", as_of_utc=START + timedelta(days=50)
                )
                for _ in range(N_ASKS)
            ]
        )
    opened = timed(lambda: Book(place).close())
    return {
        f"append one quarter hour of {N_ZONES} zones": median(refreshes[5:]),
        f"append {N_BULK} entries of a zone": bulk,
        "read them": read,
        "ask for one interval as of a moment": asks / N_ASKS,
        "open": opened,
    }


def main() -> int:
    report = Report("polars", "psycopg")
    programs = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    programs += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not programs:
        print("LEFT OUT: PostgreSQL is not installed")
        return 0
    with tempfile.TemporaryDirectory() as name, running_server(programs[0], durable=True) as server:
        folder = Path(name)
        file_s = seconds(folder / "ledger.sqlite", folder / "key.pem")
        server_s = seconds(server.new_database(), folder / "key.pem")
    for what, value in server_s.items():
        limit = TIMES_SQLITE if what.startswith("append one") else None
        report.ratio(f"{what}, PostgreSQL / SQLite", value * 1e3, file_s[what] * 1e3, "ms", at_most=limit)
    return report.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
