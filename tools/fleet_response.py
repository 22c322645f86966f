"""Print `reference/fleet_response.csv`: fossil fleets of the regions behind our zones, at 24 loads a year.

Usage: python tools/fleet_response.py --data DIR > src/gridmargin/reference/fleet_response.csv

DIR is a folder with EPA's AVERT tables. For each region and year, CO2 and generation by fuel are the mean of EPA's curve
around 24 evenly spaced loads from the year's least to its greatest, to 4 significant digits: single bins are not monotone.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from gridmargin.grid import avert_fleet
from gridmargin.reference import known_zones
from gridmargin.vocab import generation_column

YEARS = (2021, 2022)
N_LOADS = 24
G_PER_T = 1e6


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=Path, required=True)
    data = arguments.parse_args().data
    regions = sorted({zone.avert_region for zone in known_zones().values() if zone.avert_region})
    fleets = [
        fleet
        for region in regions
        for year in YEARS
        if (fleet := avert_fleet(data, region, year)) and fleet.year == year
    ]
    fuels = sorted({fuel for fleet in fleets for fuel in fleet.fuel_generation_mw}, key=str)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(
        [
            "region",
            "year",
            "load_mw",
            "co2_t_per_h_ozone",
            "co2_t_per_h_other",
            *map(generation_column, fuels),
            "source",
            "as_of",
        ]
    )
    for fleet in fleets:
        loads = np.linspace(*fleet.load_span_mw(), N_LOADS)
        for load in loads:
            # A window as wide as two steps, kept symmetric at the ends, so that the load itself is its mean.
            reach = min(loads[1] - loads[0], load - fleet.load_mw[0], fleet.load_mw[-1] - load)
            around = np.linspace(load - reach, load + reach, 101)
            columns = [fleet.co2_g_per_h_ozone / G_PER_T, fleet.co2_g_per_h_other / G_PER_T]
            columns += [fleet.fuel_generation_mw.get(fuel, np.zeros_like(fleet.load_mw)) for fuel in fuels]
            values = [load, *(float(np.interp(around, fleet.load_mw, column).mean()) for column in columns)]
            writer.writerow(
                [fleet.region, fleet.year, *(f"{float(f'{v:.4g}'):g}" for v in values),
                 f"US EPA AVERT regional data file {fleet.year} (tools/fleet_response.py)", fleet.year]
            )  # fmt: skip


if __name__ == "__main__":
    main()
