"""Print how much wider a range must be where the state behind an estimate was not reported.

    python tools/range_widening.py DIR       # DIR: the pack, with ERCOT's tables and AVERT's

Fits the regression on ERCOT's 2019, then feeds it 2020 as reported, as the same time a week before (what a simple
imputation or forecast would say) and as the typical day of the month (what a modelled day says), and prints the 90 %
quantile of the distance to EPA's rate of the hour (15 % displacement, the less jagged one) for each.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from gridmargin.evaluation.against_epa import epa_reference, facts_before, hourly, states_of
from gridmargin.grid import GridStates
from gridmargin.marginal.regression import Regression
from gridmargin.reference import zone_named
from gridmargin.sources import SOURCES
from gridmargin.vocab import Interval


def main() -> None:
    """Print the three quantiles and their ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    states = states_of(SOURCES.get("ercot")(folder), "US-ERCO")
    turn, end = datetime(2020, 1, 1, 6, tzinfo=UTC), datetime(2021, 1, 1, 6, tzinfo=UTC)
    history = GridStates(states.zone, states.interval_s, states.frame.filter(pl.col("start_utc") < turn))
    test = states.between(Interval(turn, end))
    epa = epa_reference(folder, "Texas")
    estimator = Regression()
    fit = estimator.fit(history, facts_before(zone_named("US-ERCO"), folder, 2020))
    generation = pl.selectors.starts_with("generation_")
    clock = [pl.col("start_utc").dt.month().alias("month"), pl.col("start_utc").dt.time().alias("clock")]
    week = states.frame.with_columns(pl.col("start_utc").dt.offset_by("7d"))
    kinds = {
        "reported": test.frame,
        "week before": week.filter(pl.col("start_utc").is_between(turn, end, closed="left")),
        "typical day": test.frame.with_columns(generation.mean().over(clock)),
    }
    reported = None
    for name, frame in kinds.items():
        start_s, _, mid, _ = hourly(estimator.estimate(GridStates(test.zone, test.interval_s, frame), fit))
        row, there = epa.at(start_s)
        rate = epa.rate_gco2_per_kwh["epa-displacement-15pct"][row[there]]
        half_width = float(np.quantile(np.abs(mid[there] - rate), 0.9))
        reported = reported or half_width
        sys.stdout.write(f"{name}: {half_width:.1f} g/kWh, {half_width / reported:.2f} of reported\n")


if __name__ == "__main__":
    main()
