"""Appending a year of quarter-hours to the ledger and asking for it as of a moment, against bare SQLite.

    python benchmarks/bench_ledger.py [--entries N]

Both sides write the same 35,040 rows of the same columns with the same durability (WAL, synchronous FULL) and one
transaction: the ledger builds its texts and hashes and looks for what it already says; the yardstick is handed
finished rows and inserts them with `executemany` into the same table, indexes included. Then a second version of
every entry follows, and both answer what was known before it.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
from yardstick import Report

from gridmargin.ledger import Book, Factors, Lookup
from gridmargin.marginal import Estimates, Fit
from gridmargin.vocab import Basis, Interval, Kind, Status

N = 35_040
START = datetime(2020, 1, 1, tzinfo=UTC)
FIRST, SECOND = datetime(2021, 1, 1, tzinfo=UTC), datetime(2021, 2, 1, tzinfo=UTC)
APPEND_TIMES_BARE, AS_OF_TIMES_BARE = 10.0, 10.0
RUNS = 3
POINT_US, POINTS_MB, AS_OF_US = 2.0, 200.0, 200.0
"""10,000 as-of questions in 2 s."""
N_ZONES, N_POINTS, N_ASKS = 50, 200_000, 10_000

FIT = Fit("regression", "1", "US-ERCO", START - timedelta(days=365), START, N, {"made_up": True})


def year_of_estimates() -> Estimates:
    """Make up a year of estimates with three fuels."""
    draw = np.random.default_rng(7)
    probability = draw.dirichlet([4.0, 2.0, 1.0], N)
    factor = np.broadcast_to([400.0, 550.0, 950.0], probability.shape)
    mid = (probability * factor).sum(axis=1)
    return Estimates(
        zone="US-ERCO", interval_s=900, start_epoch_s=int(START.timestamp()) + 900 * np.arange(N), low=mid * 0.9,
        mid=mid, high=mid * 1.1, source_names=("gas_cc", "gas", "coal"), source_probability=probability,
        source_factor=factor, regime=np.full(N, "level1/jun-aug/12-18"), status=np.full(N, Status.REPORTED.value),
        basis=Basis(Kind.MARGINAL), estimator="regression", estimator_version="1", fit_id=FIT.fit_id,
    )  # fmt: skip


def point(report: Report) -> None:
    """Look single factors up in memory: a year of 50 zones."""
    year = year_of_estimates()
    tracemalloc.start()
    table = Lookup(
        Kind.MARGINAL,
        (
            Factors(
                zone=f"ZZ-{zone:02d}",
                kind=Kind.MARGINAL,
                estimator="regression",
                interval_s=900,
                start_epoch_s=year.start_epoch_s,
                low=year.low,
                mid=year.mid,
                high=year.high,
                entry_id=np.arange(1, N + 1),
                status=year.status,
                view=year.status,
            )
            for zone in range(N_ZONES)
        ),
    )
    size_mb = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    draw = np.random.default_rng(1)
    zones = [f"ZZ-{z:02d}" for z in draw.integers(0, N_ZONES, N_POINTS)]
    moments = (START.timestamp() + draw.uniform(0, 900 * N, N_POINTS)).tolist()
    start = perf_counter()
    for zone, moment in zip(zones, moments, strict=True):
        table.at(zone, moment)
    each_us = (perf_counter() - start) / N_POINTS * 1e6
    report.ratio("look one factor up in memory / limit", each_us, POINT_US, "us", at_most=1.0)
    report.ratio(f"memory of a year of {N_ZONES} zones / limit", size_mb, POINTS_MB, "MB", at_most=1.0)


def many_zones(path: Path, n_entries: int) -> list[str]:
    """Copy the two versions of a year under other zones' names until the ledger has so many entries; name the zones."""
    with connection_to(path) as ledger:
        columns = [row[1] for row in ledger.execute("PRAGMA table_info(marginal_entries)")]
        same = ", ".join(c for c in columns if c not in ("entry_id", "zone", "supersedes"))
        zones = [f"ZZ-{number:03d}" for number in range(max(1, round(n_entries / (2 * N)) - 1))]
        ledger.execute("BEGIN")
        for zone in zones:
            ledger.execute(
                f"INSERT INTO marginal_entries (zone, {same})"
                f" SELECT '{zone}', {same} FROM marginal_entries WHERE zone = 'US-ERCO'"
            )
        ledger.execute("COMMIT")
    ledger.close()
    return zones


def random_as_of(report: Report, path: Path, n_entries: int) -> None:
    """Ask a ledger of many entries at random zones, moments of validity and moments of knowledge."""
    zones = many_zones(path, n_entries)
    draw = np.random.default_rng(2)
    picks = (draw.integers(0, bound, N_ASKS) for bound in (len(zones), N, 2))
    asked = [
        (
            zones[zone],
            Interval.starting(START + timedelta(seconds=900 * int(slot)), 900),
            (FIRST, SECOND)[version],
        )
        for zone, slot, version in zip(*picks, strict=True)
    ]
    with Book(path) as book:
        start = perf_counter()
        for zone, interval, known in asked:
            book.covering(Kind.MARGINAL, zone, interval, "regression", as_of_utc=known)
        each_us = (perf_counter() - start) / N_ASKS * 1e6
    report.ratio(
        f"a random as-of question among {n_entries / 1e6:g} million entries / limit",
        each_us,
        AS_OF_US,
        "us",
        at_most=1.0,
    )


def connection_to(path: Path) -> sqlite3.Connection:
    """Open with the ledger's own durability."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--entries", type=int, default=1_000_000, metavar="N", help="for the as-of questions")
    n_entries = asked.parse_args().entries
    report = Report("polars", "numpy")
    point(report)
    print(f"SQLite {sqlite3.sqlite_version}")
    first = year_of_estimates()
    second = replace(first, mid=first.mid * 1.01, source_factor=first.source_factor * 1.01)
    whole = Interval(START, START + timedelta(seconds=900 * N))
    appends, bare_appends, asks, bare_asks = [], [], [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as name:
            path, bare_path = Path(name) / "ledger.sqlite", Path(name) / "bare.sqlite"
            with Book(path) as book, Book(bare_path):
                start = perf_counter()
                n_new = book.append(first, FIT, FIRST)
                appends.append(perf_counter() - start)
            with connection_to(path) as source, connection_to(bare_path) as bare:
                fits = source.execute("SELECT * FROM fits").fetchall()
                bare.executemany(f"INSERT INTO fits VALUES ({', '.join('?' * len(fits[0]))})", fits)
                rows = source.execute("SELECT * FROM marginal_entries").fetchall()
                start = perf_counter()
                bare.execute("BEGIN IMMEDIATE")
                bare.executemany(
                    f"INSERT INTO marginal_entries VALUES ({', '.join('?' * len(rows[0]))})", rows
                )
                bare.execute("COMMIT")
                bare_appends.append(perf_counter() - start)
            source.close()
            bare.close()
            with Book(path) as book:
                n_revised = book.append(second, FIT, SECOND)
                start = perf_counter()
                known = book.covering(Kind.MARGINAL, "US-ERCO", whole, "regression", as_of_utc=FIRST)
                asks.append(perf_counter() - start)
                now = book.covering(Kind.MARGINAL, "US-ERCO", whole, "regression")
            bare = connection_to(path)
            start = perf_counter()
            plain = bare.execute(
                "SELECT start_s, marginal_low_gco2_per_kwh, marginal_mid_gco2_per_kwh, marginal_high_gco2_per_kwh,"
                " entry_id, status, interval_s FROM marginal_entries WHERE recorded_us = ?",
                (int(FIRST.timestamp() * 1e6),),
            ).fetchall()
            bare_asks.append(perf_counter() - start)
            bare.close()
            if len(asks) == RUNS:
                random_as_of(report, path, n_entries)
        right = (
            np.array_equal(known.mid, first.mid) and np.array_equal(now.mid, second.mid) and len(plain) == N
        )
        report.check("as-of answers are the first version, today's the second", int(right), "", at_least=1)
    report.check("entries new, then revised", min(n_new, n_revised), "", at_least=N)
    report.ratio("append / bare executemany", min(appends), min(bare_appends), "s", at_most=APPEND_TIMES_BARE)
    report.ratio(
        "as-of of the year / bare scan of one version",
        min(asks),
        min(bare_asks),
        "s",
        at_most=AS_OF_TIMES_BARE,
    )
    return report.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
