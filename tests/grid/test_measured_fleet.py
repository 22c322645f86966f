"""A fleet response from measured hours: against a fleet whose answer is known, and against what the agency's rows mean."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from gridmargin.grid import campd_fleet, measured_response
from gridmargin.marginal.fleet_response import fuel_shares, response_slope
from gridmargin.pipeline import facts_from
from gridmargin.sources import CampdHours, campd_hours, campd_years
from gridmargin.vocab import G_PER_SHORT_TON, Fuel, TableError
from sources.campd_samples import COAL, GAS, STRANGER, TURBINE, hours_of, unit_rows, write_campd

YEAR = hours_of(date(2025, 1, 1), date(2025, 12, 31))
NET = 0.97
"""Of gross, for steam and combined cycle."""


def year_of_load() -> np.ndarray:
    """A load that wanders between 600 and 3000 MW over days and seasons."""
    hour = np.arange(len(YEAR))
    wave = 0.5 + 0.3 * np.sin(2 * np.pi * hour / 24) + 0.2 * np.sin(2 * np.pi * hour / (24 * 91.25))
    return 600.0 + 2400.0 * wave


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Coal takes 0.4 of the load up to 900 MW, gas the rest; coal 1.1 and gas 0.45 short tons a gross MWh."""
    place = tmp_path_factory.mktemp("campd")
    load = year_of_load()
    coal = np.minimum(0.4 * load, 900.0)
    rows = [
        *unit_rows(COAL, YEAR, coal, 1.1),
        *unit_rows(GAS, YEAR, load - coal, 0.45),
        *unit_rows(STRANGER, YEAR, load, 2.0),
    ]
    write_campd(place, rows)
    return place


def test_the_slope_is_that_of_the_fleet_that_made_the_hours(folder):
    """Below 2250 MW four tenths of coal answer, above it gas alone; in grams per net kilowatt-hour."""
    fleet = campd_fleet(folder, "US-SWPP", 2025)
    slope = response_slope(fleet)
    gram = G_PER_SHORT_TON / 1000 / NET
    load = np.array([1200.0, 1600.0, 2700.0]) * NET
    expected = np.array([(0.4 * 1.1 + 0.6 * 0.45) * gram] * 2 + [0.45 * gram])
    for is_ozone in (True, False):
        rates = slope.rate(load, np.full(3, is_ozone))
        np.testing.assert_allclose(rates, expected, rtol=0.04)


def test_who_answers_is_that_of_the_fleet_too(folder):
    """Coal's part of the answer is 0.4 where it still has room, and none at the top."""
    fuels, shares, _ = fuel_shares(campd_fleet(folder, "US-SWPP", 2025))
    coal = shares[:, fuels.index(Fuel.COAL)]
    assert coal[len(coal) // 4] == pytest.approx(0.4, abs=0.05)
    assert coal[-4] == pytest.approx(0.0, abs=0.05)


def test_the_load_is_that_of_the_authoritys_own_plants(folder):
    """A plant of the same state in another authority's area is no part of it."""
    hours = campd_hours(folder, "SWPP", 2025)
    np.testing.assert_allclose(hours.generation_mw.sum(axis=0), NET * year_of_load(), rtol=1e-6)
    assert hours.unit_names == ("Sooner 1", "Redbud CT-1")
    assert hours.fuels == (Fuel.COAL, Fuel.GAS)


def test_hours_are_standard_time_all_year(folder):
    """Hour 0 of 1 January and of 1 July are 06:00 UTC in Oklahoma."""
    hours = campd_hours(folder, "SWPP", 2025)
    winter, summer = (datetime(2025, month, 1, 6, tzinfo=UTC).timestamp() for month in (1, 7))
    assert hours.start_epoch_s[0] == winter
    at = int(np.flatnonzero(hours.start_epoch_s == summer)[0])
    assert at == 181 * 24
    assert hours.generation_mw.sum(axis=0)[at] == pytest.approx(NET * year_of_load()[181 * 24])


def test_measured_hours_newer_than_epas_curves_take_their_place(folder):
    """The zone's own fleet stands in the facts from its year on, without a border; before it, the region's."""
    facts_of = facts_from(folder)
    assert (facts_of("US-SWPP", 2025).fleet.region, facts_of("US-SWPP", 2025).fleet.year) == ("US-SWPP", 2025)
    assert facts_of("US-SWPP", 2025).border is None
    assert facts_of("US-SWPP", 2024).fleet.region == "Central"
    assert facts_of("US-PJM", 2025).fleet.region == "Mid-Atlantic"


def short(**changes):
    """Two weeks of rows are enough where a whole year is not asked about: the file's last day is December's."""
    return {"hours": hours_of(date(2025, 12, 18), date(2025, 12, 31)), **changes}


def test_load_is_power_while_it_ran(tmp_path):
    """Forty megawatts for a quarter of an hour are ten megawatt-hours gross, and a turbine keeps 0.98 of them."""
    hours = short()["hours"]
    write_campd(tmp_path, unit_rows(TURBINE, hours, np.full(len(hours), 40.0), 0.6, time=0.25))
    found = campd_hours(tmp_path, "SWPP", 2025)
    last = found.generation_mw[0, -1]
    assert last == pytest.approx(40 * 0.25 * 0.98)
    assert found.co2_g_per_h[0, -1] == pytest.approx(40 * 0.25 * 0.6 * G_PER_SHORT_TON)


def test_a_unit_without_measured_co2_is_left_out_and_told(tmp_path):
    """Its generation is the part left out; a unit with a short gap takes its own mean rate there."""
    hours = short()["hours"]
    n = len(hours)
    gap = np.arange(n) >= 10
    write_campd(
        tmp_path,
        [
            *unit_rows(COAL, hours, np.full(n, 300.0), 1.0, measured=gap),
            *unit_rows(GAS, hours, np.full(n, 100.0), 0.5, measured=np.zeros(n, dtype=bool)),
        ],
    )
    found = campd_hours(tmp_path, "SWPP", 2025)
    assert found.unit_names == ("Sooner 1",)
    assert found.left_out_frac == pytest.approx(0.25)
    running = found.generation_mw[0] > 0
    np.testing.assert_allclose(found.co2_g_per_h[0, running], 300.0 * G_PER_SHORT_TON)


def test_a_year_that_lacks_a_state_is_not_used(tmp_path):
    """With a plant in Kansas and no file of Kansas the load would be that of some plants."""
    hours = short()["hours"]
    plants = "PSTATABB,ORISPL,BACODE\nOK,102,SWPP\nKS,104,SWPP\n"
    write_campd(tmp_path, unit_rows(COAL, hours, np.full(len(hours), 300.0), 1.0), plants=plants)
    assert campd_years(tmp_path, "SWPP") == []
    assert campd_fleet(tmp_path, "US-SWPP", 2026) is None


def test_four_quarters_are_a_year_and_three_are_none(tmp_path):
    """Quarters hold every state; each ends on its last day."""
    ends = {
        "q1": date(2025, 3, 31),
        "q2": date(2025, 6, 30),
        "q3": date(2025, 9, 30),
        "q4": date(2025, 12, 31),
    }
    for quarter, end in ends.items():
        assert campd_years(tmp_path, "SWPP") == []
        hours = hours_of(end, end)
        rows = unit_rows(COAL, hours, np.full(24, 300.0), 1.0)
        write_campd(tmp_path, rows, f"emissions-hourly-2025-{quarter}.csv.gz")
    assert campd_years(tmp_path, "SWPP") == [2025]
    assert (campd_hours(tmp_path, "SWPP", 2025).generation_mw > 0).sum() == 4 * 24


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: [row.replace(",300.000000,", ",much,") for row in rows],
            "Gross Load .MW.: 'much' is not a number",
        ),
        (lambda rows: [*rows, rows[-1]], "states this hour twice"),
        (lambda rows: [row.replace("2025-12-20,", "2025-12-99,") for row in rows], "column Hour"),
        (lambda rows: [row.replace("OK,", "ZZ,", 1) for row in rows], "no state whose clock is known"),
    ],
)
def test_a_broken_file_is_named(tmp_path, change, message):
    """File, row and column are told."""
    hours = short()["hours"]
    write_campd(tmp_path, change(unit_rows(COAL, hours, np.full(len(hours), 300.0), 1.0)))
    with pytest.raises(TableError, match=message):
        campd_hours(tmp_path, "SWPP", 2025)


def test_a_file_that_ends_early_is_no_year(tmp_path):
    """Without the last day of December the year is not used, and the region's curve stays."""
    hours = short()["hours"][:-24]
    write_campd(tmp_path, unit_rows(COAL, hours, np.full(len(hours), 300.0), 1.0))
    assert campd_hours(tmp_path, "SWPP", 2025) is None
    assert facts_from(tmp_path)("US-SWPP", 2025).fleet.region == "Central"


def test_without_the_plants_table_the_way_out_is_told(tmp_path):
    """Hours name plants and no authorities."""
    hours = short()["hours"]
    write_campd(tmp_path, unit_rows(COAL, hours, np.full(len(hours), 300.0), 1.0), plants="")
    with pytest.raises(TableError, match="put EPA eGRID's table of plants beside them"):
        campd_years(tmp_path, "SWPP")


def test_states_and_quarters_of_one_year_are_refused(tmp_path):
    """They would count every hour twice."""
    hours = short()["hours"]
    for name in ("emissions-hourly-2025-ok.csv", "emissions-hourly-2025-q4.csv"):
        write_campd(tmp_path, unit_rows(COAL, hours, np.full(len(hours), 300.0), 1.0), name)
    with pytest.raises(TableError, match="by states and by quarters"):
        campd_years(tmp_path, "SWPP")


def test_units_add_up_to_the_load_in_every_bin(folder):
    """Energy is conserved: units, fuels and the load of a bin are one number, and so is CO2."""
    fleet = campd_fleet(folder, "US-SWPP", 2025)
    np.testing.assert_allclose(fleet.unit_generation_mw.sum(axis=0), fleet.load_mw, rtol=1e-12)
    np.testing.assert_allclose(sum(fleet.fuel_generation_mw.values()), fleet.load_mw, rtol=1e-12)
    np.testing.assert_allclose(fleet.unit_co2_g_per_h_ozone.sum(axis=0), fleet.co2_g_per_h_ozone, rtol=1e-12)


def test_hours_at_one_load_are_no_curve():
    """A fleet that never moves says nothing of one more megawatt."""
    n = 200
    hours = CampdHours(
        "SWPP", 2025, ("a",), (Fuel.GAS,), np.arange(n) * 3600, np.ones(n, dtype=np.int64), -6.0,
        np.full((1, n), 100.0), np.full((1, n), 4e7), 0.0, (),
    )  # fmt: skip
    with pytest.raises(TableError, match="fill 1 bins of load"):
        measured_response("US-SWPP", hours)
