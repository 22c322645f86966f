"""Print reference/zone_borders.csv: how a balancing authority and the AVERT region that stands for it differ.

    python tools/zone_borders.py PACK > rows.csv       # PACK: the folder that holds grid/
    python tools/zone_borders.py PACK --oil            # oil in those eleven days: the zone's, EPA's curve's

A row a zone and AVERT year. `coal_inside_frac` and `gas_inside_frac`: what the plants of the authority answer of what
the region's plants of that fuel answer when 5 % of each hour's fossil load goes; plants that eGRID does not know are
left out, fuels below 1 % of the answer too. `load_slope` and `load_intercept_mw`: the region's fossil load against
the zone's own in the same hours, by least squares, in the year that EIA-930's eleven days of all authorities lie in;
blank where the two do not move together (r below `MIN_R`), so that they are not the same plants hour by hour.
An authority whose plants give less than half of its region has no row: it is not the region.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import polars as pl

from gridmargin.reference import known_zones
from gridmargin.sources import AvertTables, open_avert
from gridmargin.sources.eia930 import labels
from gridmargin.vocab import Fuel

DISPLACED_FRAC = 0.05
MIN_FRAC = 0.01
MIN_R = 0.99
MIN_INSIDE_FRAC = 0.5

JOINED = {"OVEC": "PJM"}
"""Authorities that eGRID 2016 lists and that another took over: Ohio Valley Electric, 1 December 2018."""

PLANTS = "US EPA AVERT unit response curves, plants by balancing authority of EPA eGRID 2016"
HOURS = "EIA-930 fossil generation of all authorities {first} to {last} against EPA AVERT's fossil load"
FIELDS = (
    "zone", "avert_region", "year", "load_slope", "load_intercept_mw", "load_r", "n_hours",
    "coal_inside_frac", "gas_inside_frac", "source", "as_of",
)  # fmt: skip


def authority_by_plant(pack: Path) -> dict[int, str]:
    """Give the balancing authority of each plant code."""
    frame = pl.read_csv(
        pack / "grid" / "emission_factors" / "egrid2016_plants_ba_nerc.csv.gz", infer_schema_length=0
    )
    rows = frame.select(pl.col("ORISPL").cast(pl.Int64, strict=False), "BACODE").drop_nulls().iter_rows()
    return {plant: JOINED.get(code, code) for plant, code in rows}


def inside_fracs(
    tables: AvertTables, region: str, year: int, authority: str, plants: dict[int, str]
) -> dict[str, float]:
    """Give the authority's part of the region's generation (`all`) and of what each fuel answers."""
    units = tables.units(region, year)
    assert units is not None
    rows = pl.read_parquet(tables.folder / "units.parquet").filter(
        (pl.col("region") == region) & (pl.col("year") == year)
    )
    code = np.array([plants.get(plant, "") for plant in rows["orispl"].cast(pl.Int64)])
    fuel = np.array([f.value for f in units.fuels])
    load = tables.fossil_load(region, year).load_mw
    weight = _bin_weights(load, units.load_mw)
    level = units.generation_mw @ weight
    answer = level - units.generation_mw @ _bin_weights(load * (1 - DISPLACED_FRAC), units.load_mw)
    known, mine = code != "", code == authority
    out = {"all": float(level[mine].sum() / level[known].sum())}
    for name in ("coal", "gas"):
        whole = answer[known & (fuel == name)].sum()
        if whole > MIN_FRAC * answer.sum():
            out[name] = float(answer[mine & (fuel == name)].sum() / whole)
    return out


def _bin_weights(load_mw: np.ndarray, bins_mw: np.ndarray) -> np.ndarray:
    """Give the weights on the bins whose sum is the mean over some loads of the straight lines between bins."""
    position = np.interp(load_mw, bins_mw, np.arange(len(bins_mw)))
    left = np.minimum(position.astype(np.int64), len(bins_mw) - 2)
    part = position - left
    weight = np.bincount(left, 1 - part, len(bins_mw)) + np.bincount(left + 1, part, len(bins_mw))
    return np.asarray(weight / len(load_mw))


def load_lines(pack: Path, tables: AvertTables) -> dict[str, dict[str, object]]:
    """Give, by zone, the line from its own fossil load to the region's, and the year that it was seen in."""
    (path,) = (pack / "grid").glob("eia930_interchange_*/E_raw_*.csv")
    frame = pl.read_csv(path, infer_schema_length=None)
    label_s = np.array([f"{p}:00" for p in frame["period"]], dtype="datetime64[s]").astype(np.int64)
    days = [p[:10] for p in frame["period"]]
    out: dict[str, dict[str, object]] = {}
    for zone in known_zones().values():
        authority = zone.id.partition("-")[2]
        columns = [f"E_{authority}_{fuel}" for fuel in ("COL", "GAS", "OIL")]
        there = [c for c in columns if c in frame.columns]
        year = int(days[0][:4])
        if authority not in labels() or not there or not zone.avert_region:
            continue
        if year not in tables.years(zone.avert_region):
            continue
        own = sum(frame[c].cast(pl.Float64).fill_null(0.0).to_numpy() for c in there)
        start_s = label_s - (3600 if labels()[authority] == "end" else 0)
        load = tables.fossil_load(zone.avert_region, year)
        _, here, also = np.intersect1d(start_s, load.start_epoch_s, return_indices=True)
        x, y = np.asarray(own)[here], load.load_mw[also]
        oil = frame[f"E_{authority}_OIL"].cast(pl.Float64)[here].mean() if columns[2] in there else None
        curve = tables.curve(zone.avert_region, year)
        by_curve = curve.fuel_generation_mw.get(Fuel.OIL, np.zeros_like(curve.load_mw))
        x, y = x[x > 0], y[x > 0]
        r = float(np.corrcoef(x, y)[0, 1])
        slope, intercept = np.polyfit(x, y, 1)
        line = {"load_r": round(r, 4), "n_hours": len(x), "year": year}
        if r >= MIN_R:
            line |= {"load_slope": round(float(slope), 3), "load_intercept_mw": round(float(intercept))}
        line |= {"oil_mw": oil, "curve_oil_mw": float(np.interp(y, curve.load_mw, by_curve).mean())}
        out[zone.id] = line | {"hours": HOURS.format(first=days[0], last=days[-1])}
    return out


def main() -> None:
    """Print the table."""
    pack = Path(sys.argv[1])
    tables, plants = open_avert(pack), authority_by_plant(pack)
    lines = load_lines(pack, tables)
    if sys.argv[2:] == ["--oil"]:
        for zone_id, line in lines.items():
            sys.stdout.write(f"{zone_id}: {line['oil_mw'] or 0:.0f} MW, EPA {line['curve_oil_mw']:.0f} MW\n")
        return
    writer = csv.DictWriter(sys.stdout, FIELDS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for zone in known_zones().values():
        region = zone.avert_region
        if not region or region not in tables.regions():
            continue
        for year in tables.years(region):
            inside = inside_fracs(tables, region, year, zone.id.partition("-")[2], plants)
            if inside["all"] < MIN_INSIDE_FRAC:
                continue
            line = lines.get(zone.id, {})
            seen = line if line.get("year") == year else {}
            writer.writerow(
                {
                    **seen,
                    "zone": zone.id,
                    "avert_region": region,
                    "year": year,
                    **{f"{fuel}_inside_frac": round(inside[fuel], 3) for fuel in inside if fuel != "all"},
                    "source": "; ".join(str(s) for s in (PLANTS, seen.get("hours")) if s)
                    + "; printed by tools/zone_borders.py",
                    "as_of": year,
                }
            )


if __name__ == "__main__":
    main()
