"""What the stand-in `running_plants` is worth: EIA-930's mix of 2022 against EPA's rate of the same hours.

    python benchmarks/study_running_plants.py DATA_DIR

Its rates are those known by the end of 2021. Printed by zone: mean of EPA's rate and of the stand-in, its bias, its mean
absolute error, and that of the mean of the year before; and how many of the hours lie in its range, which is an
envelope. Not run by `make bench`: it judges a choice, not a speed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from gridmargin.grid import OZONE_MONTHS, assemble, avert_fleet
from gridmargin.marginal.fleet_response import response_slope
from gridmargin.marginal.running_plants import RunningPlants
from gridmargin.pipeline import facts_from
from gridmargin.reference import zone_named
from gridmargin.sources import SOURCES, Observations, open_avert

ZONES = ("US-ERCO", "US-CISO", "US-NYIS", "US-PJM", "US-MISO", "US-SOCO")


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1])
    source, tables = SOURCES.get("eia930")(folder), open_avert(folder)
    sys.stdout.write("zone      EPA g/kWh  stand-in  bias %  MAE  MAE of last year's mean  in range\n")
    for zone in ZONES:
        span, region = source.span(zone), zone_named(zone).avert_region
        assert region is not None
        payloads = list(source.fetch(zone, span))
        states = assemble(Observations.concat([source.parse(p, span) for p in payloads]), zone, 3600)
        stand_in = RunningPlants()
        estimates = stand_in.estimate(states, stand_in.fit(states, facts_from(folder)(zone, 2021)))
        year = {y: tables.fossil_load(region, y) for y in (2021, 2022)}
        rate = {}
        for y, load in year.items():
            fleet = avert_fleet(folder, region, y)
            assert fleet is not None
            rate[y] = response_slope(fleet).rate(load.load_mw, np.isin(load.month, OZONE_MONTHS))
        _, here, there = np.intersect1d(
            estimates.start_epoch_s, year[2022].start_epoch_s, return_indices=True
        )
        epa, own = rate[2022][there], estimates.mid[here]
        inside = np.mean((estimates.low[here] <= epa) & (epa <= estimates.high[here]))
        sys.stdout.write(
            f"{zone:<9} {epa.mean():9.0f}  {own.mean():8.0f}  {100 * (own.mean() / epa.mean() - 1):+6.1f}"
            f"  {np.abs(own - epa).mean():3.0f}  {np.abs(rate[2021].mean() - epa).mean():23.0f}  {100 * inside:7.1f}\n"
        )


if __name__ == "__main__":
    main()
