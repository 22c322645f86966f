"""What binning measured hours loses: hours made from EPA's own unit curves, binned, against the curves they came from.

    python benchmarks/study_measured_fleet.py DATA_DIR

For every region and year of AVERT, each unit's output and CO2 at the fossil load of every hour is read off its curve,
and `measured_response` is given these hours as if they had been measured. Printed: mean rate over the hours of the year
of either, their difference, and r. No hour here was measured by anybody: it says what the making of the curve costs,
and nothing of how a year's hours differ from EPA's medians of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from gridmargin.grid import OZONE_MONTHS, avert_fleet, measured_response
from gridmargin.marginal.fleet_response import response_slope
from gridmargin.sources import AvertTables, CampdHours, open_avert


def as_hours(tables: AvertTables, region: str, year: int) -> CampdHours:
    """Give each unit's hours by its curve."""
    units, load = tables.units(region, year), tables.fossil_load(region, year)
    assert units is not None
    is_ozone = np.isin(load.month, OZONE_MONTHS)

    def at(curves: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(load.load_mw, units.load_mw, curve) for curve in curves])

    return CampdHours(
        authority=region,
        year=year,
        unit_names=units.names,
        fuels=units.fuels,
        start_epoch_s=load.start_epoch_s,
        month=load.month,
        standard_utc_offset_h=load.standard_utc_offset_h,
        generation_mw=at(units.generation_mw),
        co2_g_per_h=np.where(is_ozone, at(units.co2_g_per_h_ozone), at(units.co2_g_per_h_other)),
        left_out_frac=0.0,
        payload_sha256s=(),
    )


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[1])
    tables = open_avert(folder)
    sys.stdout.write(f"{'region':<16} year  EPA g/kWh  measured  bias %      r\n")
    for region in tables.regions():
        for year in tables.years(region):
            hours = as_hours(tables, region, year)
            fleet = avert_fleet(folder, region, year)
            assert fleet is not None
            load, is_ozone = tables.fossil_load(region, year).load_mw, np.isin(hours.month, OZONE_MONTHS)
            epa = response_slope(fleet).rate(load, is_ozone)
            own = response_slope(measured_response(region, hours)).rate(
                hours.generation_mw.sum(axis=0), is_ozone
            )
            r = np.corrcoef(epa, own)[0, 1]
            bias = 100 * (own.mean() / epa.mean() - 1)
            sys.stdout.write(
                f"{region:<16} {year}  {epa.mean():9.1f}  {own.mean():8.1f}  {bias:+6.2f}  {r:.3f}\n"
            )


if __name__ == "__main__":
    main()
