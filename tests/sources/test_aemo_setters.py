"""AEMO's price setters: shares of fuels from increases of units, and what they leave unsaid."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.grid import assemble
from gridmargin.marginal import ESTIMATORS, Facts, FuelRate
from gridmargin.sources import SOURCES
from gridmargin.sources.packed import unpack
from gridmargin.vocab import Fuel, InputError, Interval, TableError
from sources.payload_samples import SETTER_INVENTORY, setter_file, setter_payload, setting

Setters = SOURCES.get("aemo_setters")
END = datetime(2021, 12, 31, 18, 5, tzinfo=UTC)
START = datetime(2021, 12, 31, 18, tzinfo=UTC)
FIRST = Interval.starting(START, 300)
FILE = "NEMPriceSetter_2022010100100.xml"


def shares(*rows, files=None):
    payload = setter_payload(files or {FILE: setter_file(END, list(rows))})
    frame = Setters.parse(payload, FIRST).frame
    return {
        (zone, quantity): value
        for zone, quantity, value in frame.select("zone", "quantity", "value").iter_rows()
    }


def coal(zone="AU-NSW"):
    return (zone, "published_margin_coal_frac")


def test_units_are_summed_by_fuel_and_weighed_by_their_increase():
    """Two coal units that would make 0.6 MW and a gas unit that would make 0.45 are 4/7 and 3/7 of the answer."""
    found = shares(
        setting("NSW1", "BW01", 0.4), setting("NSW1", "BW02", 0.2), setting("NSW1", "TALWA1", 0.45)
    )
    assert found == {
        coal(): pytest.approx(4 / 7),
        ("AU-NSW", "published_margin_gas_frac"): pytest.approx(3 / 7),
    }


def test_a_period_names_the_end_in_market_time():
    """04:05 of UTC+10 is the five minutes from 18:00 UTC of the day before: the first of the market day."""
    payload = setter_payload({FILE: setter_file(END, [setting("NSW1", "BW01", 1)])})
    assert Setters.parse(payload, FIRST).frame["start_utc"].to_list() == [START]


def test_reserves_are_no_energy():
    """A unit that only trades reserve, and the settings of the reserve markets themselves, move no share."""
    rows = [
        setting("NSW1", "BW01", 1),
        setting("NSW1", "TALWA1", 1, "R5RE"),
        setting("NSW1", "TALWA1", 1, "R6SE", "FCAS"),
    ]
    assert shares(*rows) == {coal(): 1.0}


def test_a_unit_of_another_region_sets_the_price_here():
    """Water at Murray, listed in New South Wales, answers for Victoria by its own fuel."""
    assert shares(setting("VIC1", "MURRAY", 1.02)) == {("AU-VIC", "published_margin_hydro_frac"): 1.0}


def test_tied_offers_share_in_equal_parts():
    """One row that names two units is half of each."""
    found = shares(setting("NSW1", "BW01,ENOF,2,TALWA1,ENOF,3", 0.8), setting("NSW1", "MURRAY", 0.2))
    assert found == {
        coal(): pytest.approx(0.4),
        ("AU-NSW", "published_margin_gas_frac"): pytest.approx(0.4),
        ("AU-NSW", "published_margin_hydro_frac"): pytest.approx(0.2),
    }


def test_a_link_is_imports_and_an_unlisted_unit_is_other():
    """Neither has a rate, so that nothing is priced by a guess of what stands behind it."""
    assert shares(setting("VIC1", "T-V-MNSP1,TAS1", 1)) == {("AU-VIC", "published_margin_imports_frac"): 1.0}
    assert shares(setting("VIC1", "NEW1", 1)) == {("AU-VIC", "published_margin_other_frac"): 1.0}


@pytest.mark.parametrize(
    "rows",
    [
        [setting("NSW1", "BW01", 2), setting("NSW1", "TALWA1", -1)],
        [setting("NSW1", "BW01", 0.2)],
        [setting("NSW1", "BW01", 1.7)],
        [setting("NSW1", "BW01", 0.5), setting("NSW1", "TALWA1", 0.5, "LDOF")],
        [setting("NSW1", "BW01", 0.5), setting("NSW1", "BW02,ENOF,1,TALWA1,LDOF,1", 0.5)],
    ],
    ids=["a fuel makes less", "too little", "too much", "an offer that is not documented", "one of a tie"],
)
def test_what_the_rows_do_not_settle_is_not_stated(rows):
    """No share is given for that region, and the other one's stands (C2)."""
    assert shares(*rows, setting("SA1", "TALWA1", 1)) == {("AU-SA", "published_margin_gas_frac"): 1.0}


def test_a_sliver_of_less_is_left_out():
    """The thousandth that a constraint takes from one unit does not hide the rest."""
    assert shares(setting("NSW1", "BW01", 1), setting("NSW1", "TALWA1", -0.0009)) == {coal(): 1.0}


def test_a_corrected_run_stands_for_the_first():
    """Of a dispatch that was solved again, the file marked OCD is read."""
    files = {
        FILE: setter_file(END, [setting("NSW1", "BW01", 1)]),
        FILE.replace(".xml", "_OCD.xml"): setter_file(END, [setting("NSW1", "TALWA1", 1)]),
    }
    assert shares(files=files) == {("AU-NSW", "published_margin_gas_frac"): 1.0}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["BW01", "BW02", "TALWA1", "MURRAY", "NEW1"]), st.floats(-1, 1.5, width=32)
        ),
        min_size=1,
        max_size=8,
    )
)
def test_shares_are_a_distribution_or_nothing(rows):
    """Whatever the rows say, shares lie above 0 and add up to 1, or there are none."""
    found = shares(*(setting("QLD1", unit, increase) for unit, increase in rows))
    assert all(value > 0 for value in found.values())
    assert not found or sum(found.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'Increase="1"', b'Increase="much"', "row 1, column Increase: 'much' is not a number"),
        (b'Increase="1"', b'Rise="1"', "row 1: no attribute 'Increase'"),
        (b"+10:00", b"", "row 1, column PeriodID"),
        (b"PriceSetting ", b"Something ", "holds no PriceSetting"),
        (b"</SolutionAnalysis>", b"", "is no XML or cut short"),
    ],
)
def test_a_broken_file_is_named(old, new, message):
    """Row and column are told, and nothing is read past them."""
    body = setter_file(END, [setting("NSW1", "BW01", 1)]).replace(old, new)
    with pytest.raises(TableError, match=message):
        Setters.parse(setter_payload({FILE: body}), FIRST)


def write_day(folder, inventory=True):
    files = {FILE: setter_file(END, [setting("NSW1", "BW01", 0.6), setting("NSW1", "TALWA1", 0.4)])}
    day = setter_payload(files)
    (folder / day.name).write_bytes(unpack(day)[day.name])
    if inventory:
        name = "CO2EII_AVAILABLE_GENERATORS_2022_01.CSV.gz"
        (folder / name).write_bytes(gzip.compress(SETTER_INVENTORY.encode()))


def test_a_folder_gives_market_days_with_the_inventory(tmp_path):
    """A day reaches from 04:00 to 04:00 of market time, and its payload can be read by itself."""
    write_day(tmp_path)
    source = Setters(tmp_path)
    assert source.span("AU-NSW") == Interval(START, datetime(2022, 1, 1, 18, tzinfo=UTC))
    [payload] = source.fetch("AU-NSW", FIRST)
    assert Setters.parse(payload, FIRST).frame["value"].to_list() == pytest.approx([0.6, 0.4])


def test_a_day_without_the_inventory_says_what_is_missing(tmp_path):
    """Units without fuels answer nothing."""
    write_day(tmp_path, inventory=False)
    with pytest.raises(InputError, match="CO2EII_AVAILABLE_GENERATORS"):
        next(Setters(tmp_path).fetch("AU-NSW", FIRST))


def test_published_prices_the_setters(tmp_path):
    """Six tenths of coal at 900 g and four of gas at 450 are 720 g per kWh; an interval set by a link has no factor."""
    files = {
        f"NEMPriceSetter_20220101{k + 1:03d}00.xml": setter_file(
            datetime(2021, 12, 31, 18, 5 * (k + 1), tzinfo=UTC),
            [setting("NSW1", "T-V-MNSP1,TAS1", 1)]
            if k == 5
            else [setting("NSW1", "BW01", 0.6), setting("NSW1", "TALWA1", 0.4)],
        )
        for k in range(10)
    }
    hour = Interval(START, datetime(2021, 12, 31, 19, tzinfo=UTC))
    states = assemble(Setters.parse(setter_payload(files), hour), "AU-NSW", 300)
    facts = Facts(
        "Australia/Sydney", {Fuel.COAL: FuelRate(900.0, "by hand"), Fuel.GAS: FuelRate(450.0, "by hand")}
    )
    published = ESTIMATORS.get("published")()
    estimates = published.estimate(states, published.fit(states, facts))
    assert estimates.mid == pytest.approx([720.0] * 9)
