"""A year of ERCOT, from the operator's tables to the ledger, against pandas merely reading and pivoting them.

    python benchmarks/bench_ercot_year.py [--data DIR]

Measured: the twelve tables of 2020 (35,136 intervals) through `pipeline.Factory.ensure` into an empty folder, with
regression, fleet_curve and average, thirteen UTC months refitted one by one. The fits look a year back, so the twelve
tables of 2019 are read, kept in the archive and parsed too.

Yardstick: `pandas.read_csv`, melt and `pivot_table` of the twelve tables of 2020 alone, which is the harder of the
two; the second line compares with all twenty-four that were read. Imports are left out on both sides.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import pandas as pd  # type: ignore[import-untyped,unused-ignore]
from yardstick import DATA, LeftOut, Report, peak_rss_mb

from gridmargin.ledger import Book
from gridmargin.marginal import ESTIMATORS
from gridmargin.pipeline import Factory, facts_from
from gridmargin.sources import SOURCES, Archive
from gridmargin.vocab import Interval

ZONE = "US-ERCO"
YEAR = Interval(datetime(2020, 1, 1, 6, tzinfo=UTC), datetime(2021, 1, 1, 6, tzinfo=UTC))
N_INTERVALS = 366 * 96
TIMES_PANDAS = 15.0
RSS_MB = 1000.0
RUNS = 3


def read_and_pivot(paths: list[Path]) -> pd.DataFrame:
    """Do the least that a table needs before anything can be asked of it."""
    long = []
    for path in paths:
        table = pd.read_csv(path, sep="\t", thousands=",", dtype={"Date": str})
        long.append(
            table.melt(id_vars=["Date", "Fuel", "Settlement Type", "Total"], var_name="end", value_name="mwh")
        )
    return pd.concat(long).pivot_table(index=["Date", "end"], columns="Fuel", values="mwh")


def cover_year(data: Path) -> int:
    """Take the year into a new ledger; give the number of entries."""
    with tempfile.TemporaryDirectory() as name, Book(Path(name) / "ledger.sqlite") as book:
        factory = Factory(
            SOURCES.get("ercot")(data),
            book,
            Archive(Path(name) / "archive"),
            facts_from(data),
            lambda: datetime.now(UTC),
        )
        outcome = factory.ensure(ZONE, YEAR)
    if outcome.notes:
        raise LeftOut("; ".join(outcome.notes))
    return outcome.n_new


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    data = asked.parse_args().data
    report = Report("polars", "numpy", "pandas")
    folder = data / "grid" / "ercot_fuelmix_15min_2019_2020"
    tables = {year: sorted(folder.glob(f"IntGenByFuel{year}*.tsv.gz")) for year in ("2019", "2020")}
    if any(len(paths) != 12 for paths in tables.values()):
        return report.left_out(f"no ERCOT tables of 2019 and 2020 in {folder}")
    for name in ESTIMATORS:  # imports are not what is measured
        ESTIMATORS.get(name)
    ours: list[float] = []
    of_year: list[float] = []
    of_all: list[float] = []
    for _ in range(RUNS):
        gc.collect()
        start = perf_counter()
        try:
            n_new = cover_year(data)
        except LeftOut as reason:
            return report.left_out(str(reason))
        ours.append(perf_counter() - start)
    # The high-water mark is read before the yardstick's own memory counts.
    rss_mb = peak_rss_mb()
    for _ in range(RUNS):
        for times, paths in ((of_year, tables["2020"]), (of_all, [*tables["2019"], *tables["2020"]])):
            start = perf_counter()
            wide = read_and_pivot(paths)
            times.append(perf_counter() - start)
            assert len(wide) >= N_INTERVALS - 96, len(wide)
    report.check("entries written, three estimators", n_new, "", at_least=3 * N_INTERVALS)
    report.ratio("year to ledger / pandas, its 12 tables", min(ours), min(of_year), "s", at_most=TIMES_PANDAS)
    report.ratio("year to ledger / pandas, all 24 tables read", min(ours), min(of_all), "s")
    report.check("peak memory", rss_mb, "MB", at_most=RSS_MB)
    return report.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
