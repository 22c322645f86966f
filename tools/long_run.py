"""Print build, operating and combined margin of a list of power plants.

python tools/long_run.py TABLE [--zone DE] [--year 2018]
    TABLE: a built_fleet CSV, or the German list of power plants of Open Power System Data
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gridmargin.marginal import FuelRate, build_margin, combined_margin, operating_margin
from gridmargin.reference import fuel_rates_for
from gridmargin.sources import Payload, read_built_fleet


def main() -> None:
    """Print the three margins and the cuts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("--zone", default="DE")
    parser.add_argument("--year", type=int, default=2018)
    asked = parser.parse_args()
    fleet = read_built_fleet(Payload("built_fleet", asked.table.name, asked.table.read_bytes()))
    rates = {
        fuel: FuelRate(row.factor_gco2_per_kwh, row.source, row.spread90_frac)
        for fuel, row in fuel_rates_for(asked.zone, asked.year).items()
    }
    for margin in (operating_margin, build_margin, combined_margin):
        found = margin(fleet, asked.year, rates)
        factor = found.factor_gco2_per_kwh
        print(
            f"{found.method}: {factor.mid:.0f} ({factor.low:.0f} to {factor.high:.0f}) g/kWh; {found.horizon}"
        )
        print("  " + ", ".join(f"{s.name} {s.probability:.0%}" for s in found.sources))
    for cut, mid in build_margin(fleet, asked.year, rates).evidence["by_cut_gco2_per_kwh"].items():
        print(f"  newest {float(cut):.0%}: {mid:.0f} g/kWh")


if __name__ == "__main__":
    main()
