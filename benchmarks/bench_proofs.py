"""What it costs that the ledger proves itself: leaves, a refresh of many zones, and an audit of a million entries.

    python benchmarks/bench_proofs.py [--entries N]

The leaves are held against hashing the same texts once each, which any such log must do. The refresh appends one quarter
hour of 50 zones in one transaction, synced to disk, its head signed. The audit reads an export from Parquet, hashes every
row anew and follows the tree to the signed root.
"""

from __future__ import annotations

import argparse
import hashlib
import sqlite3
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
from yardstick import Report

from gridmargin.ledger import Asked, Book, Signer, audit_export, export
from gridmargin.ledger.log import Log
from gridmargin.ledger.records import Written, leaf_data
from gridmargin.ledger.store.sqlite import SQLiteConnection
from gridmargin.marginal import Estimates, Fit
from gridmargin.vocab import Basis, Kind, Status

START = datetime(2020, 1, 1, tzinfo=UTC)
LEAVES_PER_S, REFRESH_S, AUDIT_S_PER_MILLION = 50_000, 0.050, 20.0
N_ZONES, N_LEAVES, N_EXPORT = 50, 200_000, 200_000


def made_up(zone: str, n: int, at: datetime) -> tuple[Estimates, Fit]:
    """Make up estimates of a zone with three fuels."""
    fit = Fit("regression", "1", zone, START - timedelta(days=365), START, 35_040, {"made_up": True})
    draw = np.random.default_rng(7)
    probability = draw.dirichlet([4.0, 2.0, 1.0], n)
    factor = np.broadcast_to([400.0, 550.0, 950.0], probability.shape)
    mid = (probability * factor).sum(axis=1)
    return Estimates(
        zone=zone, interval_s=900, start_epoch_s=int(at.timestamp()) + 900 * np.arange(n), low=mid * 0.9, mid=mid,
        high=mid * 1.1, source_names=("gas_cc", "gas", "coal"), source_probability=probability, source_factor=factor,
        regime=np.full(n, "level1/jun-aug/12-18"), status=np.full(n, Status.REPORTED.value),
        basis=Basis(Kind.MARGINAL), estimator="regression", estimator_version="1", fit_id=fit.fit_id,
    ), fit  # fmt: skip


def leaves(report: Report) -> None:
    """Extend a log by batches, against hashing the same texts."""
    records = [
        Written("marginal", i, 1_600_000_000_000_000 + i, None, None, f"{i:064x}") for i in range(N_LEAVES)
    ]
    connection = sqlite3.connect(":memory:", factory=SQLiteConnection)
    connection.execute(
        "CREATE TABLE log_leaves (leaf_index INTEGER PRIMARY KEY, kind TEXT, record_id INTEGER, leaf_sha256 BLOB)"
    )
    connection.execute(
        "CREATE TABLE log_nodes (level INTEGER, position INTEGER, node_sha256 BLOB, PRIMARY KEY (level, position))"
    )
    log = Log(connection)
    start = perf_counter()
    for lo in range(0, N_LEAVES, 5_000):
        log.extend(records[lo : lo + 5_000])
        log.root()
    log_s = perf_counter() - start
    start = perf_counter()
    for record in records:
        hashlib.sha256(leaf_data(record)).digest()
    bare_s = perf_counter() - start
    report.ratio("extend the log / hash the same texts once", log_s, bare_s, "s")
    report.check("leaves a second", N_LEAVES / log_s, "1/s", at_least=LEAVES_PER_S)
    connection.close()


def refresh(report: Report, folder: Path) -> None:
    """Append one quarter hour of many zones in one transaction."""
    times = []
    with Book(folder / "zones.sqlite", Signer(folder / "key.pem")) as book:
        for quarter in range(12):
            found = [
                made_up(f"ZZ-{i:02d}", 1, START + timedelta(minutes=15 * quarter)) for i in range(N_ZONES)
            ]
            start = perf_counter()
            n_new = book.append_all(found, START + timedelta(days=1, minutes=15 * quarter), "made_up")
            times.append(perf_counter() - start)
            assert n_new == N_ZONES
    report.ratio(
        f"append a quarter hour of {N_ZONES} zones / limit",
        float(np.median(times)),
        REFRESH_S,
        "s",
        at_most=1.0,
    )


def audit(report: Report, folder: Path, n: int) -> None:
    """Export and check; scaled to a million entries."""
    with Book(folder / "many.sqlite", Signer(folder / "key.pem")) as book:
        for zone in range(-(-n // 35_040)):
            estimates, fit = made_up(f"ZZ-{zone:03d}", min(35_040, n - zone * 35_040), START)
            book.append(replace(estimates, zone=f"ZZ-{zone:03d}"), fit, START + timedelta(days=400))
        start = perf_counter()
        export(book, folder / "many.parquet", Asked(), START + timedelta(days=401))
        export_s = perf_counter() - start
        public = book.signer.public() if book.signer else None
    assert public is not None
    start = perf_counter()
    found = audit_export(folder / "many.parquet", public)
    audit_s = perf_counter() - start
    report.check("rows that hold", found.n_rows if found.holds else 0, "", at_least=n)
    report.ratio("audit a million entries / limit", audit_s * 1e6 / n, AUDIT_S_PER_MILLION, "s", at_most=1.0)
    report.ratio("export / audit", export_s, audit_s, "s")


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument(
        "--entries", type=int, default=N_EXPORT, metavar="N", help="in the export that is checked"
    )
    n = asked.parse_args().entries
    report = Report("polars", "numpy", "cryptography")
    leaves(report)
    with tempfile.TemporaryDirectory() as name:
        refresh(report, Path(name))
        audit(report, Path(name), n)
    return report.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
