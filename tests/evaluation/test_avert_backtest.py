"""AVERT folders: read, turned into fleet responses, and backtested."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from gridmargin.evaluation import TASKS, Ask
from gridmargin.evaluation.avert import backtest_avert
from gridmargin.grid import avert_fleet
from gridmargin.sources import AvertTables, find_avert_folder, open_avert
from gridmargin.vocab import (
    G_PER_SHORT_TON,
    Fuel,
    InputError,
    NotFoundError,
    TableError,
    UnknownNameError,
    sha256_hex,
)

BINS_MW = np.linspace(500.0, 10_500.0, 21)
HOURS = 24 * 28


def write_avert(
    folder: Path, region_years=(("Texas", 2020), ("Texas", 2021), ("Texas", 2022)), tons_per_mwh=0.5
):
    """A folder in AVERT's layout: one gas unit at this rate, its loads a daily wave, two months a year."""
    curves, loads, units = [], [], []
    (folder / "unit_curves").mkdir(parents=True)
    for region, year in region_years:
        tons = BINS_MW * tons_per_mwh
        curves.append(
            pl.DataFrame(
                {
                    "year": year,
                    "region": region,
                    "load_bin_mw": BINS_MW,
                    "gen_mw": BINS_MW,
                    "co2_ton_ozone": tons,
                    "co2_ton_nonozone": tons,
                    "gen_coal": pl.Series([None] * len(BINS_MW), dtype=pl.Float64),
                    "gen_gas": BINS_MW,
                }
            )
        )
        hour = np.arange(HOURS)
        for month in (1, 7):
            loads.append(
                pl.DataFrame(
                    {
                        "region": region,
                        "year": year,
                        "month": month,
                        "day": hour // 24 + 1,
                        "hour": hour % 24,
                        "fossil_load_mw": np.round(5_000 + 3_500 * np.sin(hour / 24 * 2 * np.pi + year)),
                    }
                )
            )
        units.append(
            pl.DataFrame(
                {"year": [year], "region": [region], "fuel": ["Gas"], "name": ["A"], "max_gen_mw": [10_500.0]}
            )
        )
        np.savez(
            folder / "unit_curves" / f"{region.replace(' ', '_').replace('-', '_')}_{year}.npz",
            load_bins=BINS_MW,
            gen=BINS_MW[None].astype(np.float32),
            co2_oz=tons[None].astype(np.float32),
            co2_not=tons[None].astype(np.float32),
        )
    pl.concat(curves).write_parquet(folder / "region_curves.parquet")
    pl.concat(loads).write_parquet(folder / "hourly_fossil_load.parquet")
    pl.concat(units).write_parquet(folder / "units.parquet")
    return folder


def edit(path: Path, change) -> None:
    change(pl.read_parquet(path)).write_parquet(path)


@pytest.fixture
def avert(tmp_path: Path) -> Path:
    return write_avert(tmp_path / "grid" / "avert_2020_2022")


def test_the_folder_is_found_from_itself_from_grid_and_from_the_pack(avert):
    """All three ways to name the data lead to the same folder."""
    assert (
        find_avert_folder(avert)
        == find_avert_folder(avert.parent)
        == find_avert_folder(avert.parents[1])
        == avert
    )


def test_no_folder_and_two_folders_are_errors(avert, tmp_path):
    """Nothing to read is not found; two to choose from are named."""
    with pytest.raises(NotFoundError, match=r"region_curves\.parquet"):
        find_avert_folder(avert / "unit_curves")
    write_avert(tmp_path / "grid" / "avert_2023")
    with pytest.raises(TableError, match="avert_2023"):
        find_avert_folder(tmp_path)


def test_short_tons_become_grams_exactly(avert):
    """One short ton is 907,184.74 g."""
    curve = AvertTables(avert).curve("Texas", 2021)
    assert curve.co2_g_per_h_ozone.tolist() == (BINS_MW * 0.5 * G_PER_SHORT_TON).tolist()


def test_a_fuel_that_a_region_lacks_is_absent(avert):
    """A column of nulls is no generation at all, not zero."""
    assert set(AvertTables(avert).curve("Texas", 2021).fuel_generation_mw) == {Fuel.GAS}


def test_local_standard_hours_become_utc(avert):
    """Midnight of 1 July in Texas is 06:00 UTC: standard time, with no daylight saving."""
    load = AvertTables(avert).fossil_load("Texas", 2021)
    first_july = load.start_epoch_s[load.month == 7][0]
    assert np.datetime64(int(first_july), "s") == np.datetime64("2021-07-01T06:00:00")
    assert (np.diff(load.start_epoch_s) > 0).all()


def test_a_region_that_the_table_does_not_name_takes_its_clock_from_its_longitude(tmp_path):
    """Plants at 112° W keep Mountain time; without a place the region is refused."""
    folder = write_avert(tmp_path / "avert", (("Desert", 2030), ("Desert", 2031)))
    with pytest.raises(UnknownNameError, match="standard time"):
        AvertTables(folder).standard_utc_offset_h("Desert")
    edit(folder / "units.parquet", lambda frame: frame.with_columns(lon=pl.lit(-112.0)))
    assert AvertTables(folder).standard_utc_offset_h("Desert") == -7.0


def test_other_years_and_regions_run_unchanged(tmp_path):
    """A folder with other regions and years needs no code."""
    folder = write_avert(tmp_path / "avert_2030", (("New England", 2030), ("New England", 2031)))
    rows = backtest_avert(folder, 2030, 2031)["rows"]
    assert {row["region"] for row in rows} == {"New England", "all"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop("co2_ton_ozone"), "lacks the column co2_ton_ozone"),
        (lambda f: f.filter(pl.col("load_bin_mw") < 2_000), "want at least 5"),
        (lambda f: f.reverse(), "does not increase"),
        (lambda f: f.with_columns(load_bin_mw=pl.lit(500.0)), "does not increase"),
        (lambda f: f.with_columns(gen_mw=pl.lit(None, dtype=pl.Float64)), "gen_mw, row 1 has no number"),
        (lambda f: f.with_columns(gen_mw=pl.lit("a lot")), "gen_mw is not numbers"),
    ],
)
def test_a_bad_curve_is_refused_by_name(avert, change, message):
    """Each kind of bad curve is one error that names the file, the region and what is wrong."""
    edit(avert / "region_curves.parquet", change)
    with pytest.raises(TableError, match=message):
        AvertTables(avert).curve("Texas", 2021)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop("hour"), "lacks the column hour"),
        (lambda f: f.with_columns(day=pl.lit(31), month=pl.lit(2)), "no date"),
        (lambda f: f.with_columns(hour=pl.lit(3)), "more than once"),
        (lambda f: f.with_columns(fossil_load_mw=pl.lit(None, dtype=pl.Int64)), "no number"),
    ],
)
def test_bad_hours_are_refused(avert, change, message):
    """Hours that are no time, are doubled or hold no load are errors."""
    edit(avert / "hourly_fossil_load.parquet", change)
    with pytest.raises(TableError, match=message):
        AvertTables(avert).fossil_load("Texas", 2021)


@pytest.mark.parametrize(
    "name", ["region_curves.parquet", "hourly_fossil_load.parquet", "unit_curves/Texas_2021.npz"]
)
def test_a_truncated_file_is_refused(avert, name):
    """Half a file is an error that names it."""
    path = avert / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(TableError, match=Path(name).name):
        avert_fleet(avert, "Texas", 2021)


def test_units_that_do_not_match_their_curves_are_refused(avert):
    """A unit table with another number of units than the curves is an error."""
    edit(avert / "units.parquet", lambda frame: pl.concat([frame, frame]))
    with pytest.raises(TableError, match=r"Texas_2021\.npz"):
        avert_fleet(avert, "Texas", 2021)


def test_an_unknown_region_or_year_lists_the_known(avert):
    """A wrong name is answered with the right ones."""
    with pytest.raises(UnknownNameError, match="Texas"):
        AvertTables(avert).curve("Texass", 2021)
    with pytest.raises(UnknownNameError, match="2021"):
        AvertTables(avert).curve("Texas", 1999)
    with pytest.raises(UnknownNameError, match="Texas"):
        backtest_avert(avert, 2021, 2022, ["Texass"])
    with pytest.raises(UnknownNameError, match="2022"):
        backtest_avert(avert, 2021, 2050)


def test_the_newest_year_not_after_the_limit_is_the_fleet(avert):
    """A fleet never comes from after the limit, nor does what its range is calibrated on."""
    fleet = avert_fleet(avert, "Texas", 2021)
    assert (fleet.region, fleet.year) == ("Texas", 2021)
    assert [earlier.year for earlier in fleet.earlier] == [2020]
    assert avert_fleet(avert, "Texas", 2050).year == 2022
    assert avert_fleet(avert, "Texas", 2019) is None
    assert avert_fleet(avert, "Southwest", 2022) is None


def test_a_fleet_carries_the_hashes_of_its_files(avert):
    """Every file that the response came from is there by its hash."""
    names = [
        "region_curves.parquet",
        "hourly_fossil_load.parquet",
        "units.parquet",
        "unit_curves/Texas_2021.npz",
    ]
    want = {sha256_hex((avert / name).read_bytes()) for name in names}
    assert set(avert_fleet(avert, "Texas", 2021).payload_sha256s) == want


def test_a_file_that_changes_is_read_again(avert):
    """What is kept in memory is not used after a file on disk has changed."""
    before = open_avert(avert)
    assert open_avert(avert) is before
    edit(avert / "region_curves.parquet", lambda f: f.with_columns(co2_ton_ozone=pl.col("co2_ton_ozone") * 2))
    assert open_avert(avert).curve("Texas", 2021).co2_g_per_h_ozone[0] == 500.0 * G_PER_SHORT_TON


def test_a_fleet_that_never_changes_is_predicted_exactly(avert):
    """Where every year is the same straight line, estimate and reference are one, and nothing varies: no r."""
    report = backtest_avert(avert, 2021, 2022)
    rates = [row for row in report["rows"] if row["unit"] == "gCO2/kWh" and row["region"] != "all"]
    assert len(rates) == 3
    for row in rates:
        assert row["n"] == 2 * HOURS
        assert row["mae"] == pytest.approx(0.0, abs=1e-6)
        assert row["coverage90"] == 1.0 or row["width90"] < 1e-3
        assert "r" not in row["baselines"]["constant"]
    change = next(row for row in report["rows"] if row["reference"] == "epa-hourly-change")
    assert change["r"] == pytest.approx(1.0)


def test_a_fleet_that_got_dirtier_shows_as_a_bias(tmp_path):
    """If EPA's rate doubles after the train year, the estimate is half of it: a bias of -50 %."""
    folder = write_avert(tmp_path / "avert")
    columns = ["co2_ton_ozone", "co2_ton_nonozone"]
    double = pl.when(pl.col("year") == 2022).then(2.0).otherwise(1.0)
    edit(folder / "region_curves.parquet", lambda f: f.with_columns([pl.col(c) * double for c in columns]))
    for row in backtest_avert(folder, 2021, 2022)["rows"]:
        assert row["bias_frac"] == pytest.approx(-0.5, rel=1e-6)


def test_a_fit_does_not_see_the_test_year(tmp_path):
    """Changing the test year's curve changes the reference and leaves width and estimate as they were."""
    one, two = write_avert(tmp_path / "one"), write_avert(tmp_path / "two")
    bent = pl.col("co2_ton_ozone") + pl.when(pl.col("year") == 2022).then(
        pl.col("load_bin_mw") ** 2 / 5e4
    ).otherwise(0.0)
    for folder in (one, two):
        wavy = pl.col("co2_ton_ozone") + 20 * (pl.col("load_bin_mw") / 300).sin()
        edit(folder / "region_curves.parquet", lambda f, wavy=wavy: f.with_columns(co2_ton_ozone=wavy))
    edit(two / "region_curves.parquet", lambda f: f.with_columns(co2_ton_ozone=bent))
    first, second = (backtest_avert(folder, 2021, 2022)["rows"][0] for folder in (one, two))
    assert first["width90"] == second["width90"] > 0
    assert first["mae"] != second["mae"]


def test_years_in_the_wrong_order_are_refused(avert):
    """Training on the year to be tested, or after it, is an error."""
    for train, test in ((2022, 2022), (2022, 2021)):
        with pytest.raises(InputError, match="does not precede"):
            backtest_avert(avert, train, test)


def test_the_task_takes_the_newest_two_years_by_default(avert):
    """`gridmargin backtest avert` without years tests the newest on the one before, and is plain JSON."""
    report = TASKS.get("avert")(Ask(avert))
    assert report["task"] == "avert"
    assert [row["mae"] for row in report["rows"]] == [
        row["mae"] for row in backtest_avert(avert, 2021, 2022)["rows"]
    ]
    json.dumps(report, allow_nan=False)


@pytest.mark.data
def test_epa_regions_2021_to_2022(data_dir):
    """On EPA's own years the range covers about nine tenths over all regions, and smoothing halves the naive error."""
    rows = backtest_avert(data_dir, 2021, 2022)["rows"]
    five = [row for row in rows if row["reference"] == "epa-displacement-5pct" and row["region"] != "all"]
    assert len(five) == 12
    pooled = [row for row in rows if row["region"] == "all"]
    assert pooled[0]["n"] == 12 * 8760 == sum(row["n"] for row in pooled[1:])
    assert 0.88 <= pooled[0]["coverage90"] <= 0.92
    assert all(row["n"] == 8760 for row in five)
    assert 0.87 < np.mean([row["coverage90"] for row in five]) < 0.95
    assert min(row["coverage90"] for row in five) > 0.8
    naive = np.array([row["baselines"]["naive_slope"]["mae"] for row in five])
    constant = np.array([row["baselines"]["constant"]["mae"] for row in five])
    ours = np.array([row["mae"] for row in five])
    assert ours.mean() < 0.55 * naive.mean()
    assert ours.mean() < 0.95 * constant.mean()
    changes = [row for row in rows if row["reference"] == "epa-hourly-change"]
    assert min(row["r"] for row in changes) > 0.97


@pytest.mark.data
def test_texas_2020_from_the_fleet_of_2019(data_dir):
    """The mean marginal rate of Texas 2020, from the fleet of 2019, is within 5 % of EPA's for 2020."""
    rows = backtest_avert(data_dir, 2019, 2020, ["Texas"])["rows"]
    assert all(abs(row["bias_frac"]) < 0.05 for row in rows if row["region"] == "Texas")


@pytest.mark.data
def test_every_region_year_of_the_pack_is_read_and_physical(data_dir):
    """All 44 region-years give a fleet whose units add up to its curve."""
    tables = open_avert(data_dir)
    seen = [(region, year) for region in tables.regions() for year in tables.years(region)]
    assert len(seen) == 44
    for region, year in seen:
        curve, units = tables.curve(region, year), tables.units(region, year)
        assert units is not None
        assert units.generation_mw.sum(axis=0) == pytest.approx(curve.generation_mw, rel=1e-4)
        assert units.co2_g_per_h_other.sum(axis=0) == pytest.approx(curve.co2_g_per_h_other, rel=2e-3)
        assert len(tables.fossil_load(region, year).load_mw) == (8784 if year % 4 == 0 else 8760)
