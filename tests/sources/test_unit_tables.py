"""Unit and market tables of Australia and Germany, read as their publishers write them."""

import csv
import gzip
from datetime import UTC, datetime

import numpy as np
import pytest

from gridmargin.grid import assemble, german_fleet, nem_fleet
from gridmargin.sources import SOURCES, Payload
from gridmargin.sources.aemo_units import unit_dispatch, unit_inventory, unit_table
from gridmargin.sources.german_tables import (
    carbon_price,
    day_ahead_price,
    find_german,
    power_plants,
    smard_generation,
)
from gridmargin.vocab import Fuel, Interval, TableError
from sources.payload_samples import SAMPLES, aemo_table, entsoe_table

PRICES = {Fuel.COAL: 10.0, Fuel.GAS: 20.0, Fuel.LIGNITE: 4.0, Fuel.OIL: 30.0}
INVENTORY = (
    "DUID,NEM_REGION,FUEL_TYPE,EMISSIONS,REG_CAP,MIN_GEN,RR_UP,MIN_ON_TIME,MIN_OFF_TIME,SU_COST_WARM,SRMC_2016-17\n"
    "B1,NSW1,Black coal,0.9,500.0,200.0,180.0,8.0,8.0,40000.0,20.0\n"
    "W1,VIC1,Wind,0.0,100.0,0.0,500.0,1.0,1.0,300.0,0.0\n"
)
PLANT_ROWS = (
    "id,fuel,technology,status,capacity_net_bnetza,efficiency_data,efficiency_estimate,commissioned,shutdown,retrofit\n"
    "A,Lignite,Steam turbine,operating,500.0,,0.36,1980.0,,\n"
    "B,Natural gas,Combined cycle,operating,400.0,0.58,0.5,2012.0,,\n"
    "C,Natural gas,Gas turbine,operating,50.0,,,1990.0,,\n"
    "D,Natural gas,Steam turbine,operating,50.0,,0.40,1990.0,,\n"
    "E,Hard coal,Steam turbine,shutdown,300.0,,0.38,1970.0,2016.0,\n"
    "F,Nuclear,Steam turbine,operating,1300.0,,0.33,1988.0,,\n"
)


def payload(text: str, name: str) -> Payload:
    return Payload("entsoe", name, text.encode())


def test_what_goes_out_is_an_import_below_zero():
    """AEMO counts what leaves a region; ours counts what comes in."""
    interval = SAMPLES["aemo"][1]
    states = assemble(SOURCES.get("aemo").parse(aemo_table(net_interchange=250.0), interval), "AU-NSW", 1800)
    assert states.values("net_imports_mw").tolist() == [-250.0] * 6
    assert states.frame["start_utc"][0] == datetime(2017, 5, 31, 14, tzinfo=UTC)


def test_a_market_table_without_its_last_line_is_cut_short():
    """The last line counts the lines; without it, or with another count, the file is refused."""
    whole = aemo_table()
    lines = whole.body.splitlines(keepends=True)
    for body in (b"".join(lines[:-1]), b"".join(lines[:5] + lines[6:])):
        with pytest.raises(TableError, match="cut short"):
            SOURCES.get("aemo").parse(Payload("aemo", whole.name, body), SAMPLES["aemo"][1])


def test_parts_of_a_fuel_are_summed_and_an_empty_part_makes_the_sum_absent():
    """Wind is onshore and offshore; one of them unknown is not zero (C2)."""
    n = 4
    columns = {"Wind Offshore": [1.0, None, 1.0, 1.0], "Wind Onshore": [10.0] * n, "Solar": [0.0] * n}
    table = entsoe_table(n=n, columns=columns)
    interval = Interval(datetime(2017, 12, 31, 23, tzinfo=UTC), datetime(2018, 1, 1, tzinfo=UTC))
    states = assemble(SOURCES.get("entsoe").parse(table, interval), "DE", 900)
    np.testing.assert_array_equal(states.generation_mw(Fuel.WIND), [11.0, np.nan, 11.0, 11.0])


def test_an_unknown_production_type_is_refused():
    """A new column is not left out in silence."""
    table = entsoe_table(n=2, columns={"Solar": [1.0, 2.0], "Fusion": [1.0, 2.0]})
    with pytest.raises(TableError, match="Fusion"):
        SOURCES.get("entsoe").parse(table, SAMPLES["entsoe"][1])


def test_an_inventory_becomes_a_fleet_in_our_units():
    """t/MWh becomes g/kWh, regions become zones, and one region can be had alone."""
    inventory = unit_inventory(Payload("aemo", "generators.csv", INVENTORY.encode()))
    fleet = nem_fleet(inventory)
    assert fleet.places == ("AU-NSW", "AU-VIC")
    assert fleet.factor_gco2_per_kwh.tolist() == [900.0, 0.0]
    assert fleet.fuels == (Fuel.COAL, Fuel.WIND)
    assert nem_fleet(inventory, "AU-VIC").unit_names == ("W1",)
    with pytest.raises(TableError, match="no capacity"):
        nem_fleet(inventory, "AU-TAS")


@pytest.mark.data
def test_every_unit_lies_in_the_region_that_the_operator_states(data_dir):
    """The inventory and the operator's own public list agree on all units once two are read as the operator counts them."""
    folder = data_dir / "grid" / "aemo_nem_2017_06"
    [listed] = folder.glob("CO2EII_AVAILABLE_GENERATORS_*.CSV.gz")
    with gzip.open(listed, "rt") as lines:
        stated = {row[5]: row[7] for row in csv.reader(lines) if row[0] == "D"}
    inventory = unit_inventory(unit_table(folder))
    assert len(inventory.names) == 203
    differ = {
        name: (region, stated[name])
        for name, region in zip(inventory.names, inventory.regions, strict=True)
        if stated[name] != region
    }
    assert differ == {}
    assert stated["MURRAY"] == "VIC1"


def test_a_unit_that_stands_twice_and_a_fuel_nobody_knows_are_named():
    """The message names the unit, or the fuel."""
    twice = INVENTORY + INVENTORY.splitlines()[1] + "\n"
    with pytest.raises(TableError, match="B1 stands twice"):
        unit_inventory(Payload("aemo", "generators.csv", twice.encode()))
    with pytest.raises(TableError, match="Fusion"):
        nem_fleet(
            unit_inventory(Payload("aemo", "generators.csv", INVENTORY.replace("Wind", "Fusion").encode()))
        )


def test_dispatch_is_read_in_order_and_gaps_stay_gaps():
    """Shuffled half hours are sorted, a doubled one is refused, an empty cell is NaN."""
    text = "SETTLEMENTDATE,A,B\n2017-06-01 01:00:00,2.0,\n2017-06-01 00:30:00,1.0,-0.5\n"
    table = unit_dispatch(Payload("aemo", "signals_dispatch.csv", text.encode()))
    assert table.start_epoch_s[0] == datetime(2017, 5, 31, 14, tzinfo=UTC).timestamp()
    np.testing.assert_array_equal(table.output_mw, [[1.0, -0.5], [2.0, np.nan]])
    with pytest.raises(TableError, match="row 4"):
        unit_dispatch(Payload("aemo", "d.csv", (text + "2017-06-01 01:00:00,3.0,\n").encode()))


def test_plants_become_a_fossil_fleet_whose_cost_follows_its_efficiency():
    """Closed and nuclear blocks are left out; a block without efficiency takes the mean of its fuel."""
    fleet = german_fleet(power_plants(payload(PLANT_ROWS, "OPSD.csv")), 2018, PRICES)
    assert fleet.unit_names == ("A", "B", "C", "D")
    assert fleet.fuels == (Fuel.LIGNITE, Fuel.GAS_CC, Fuel.GAS_SIMPLE, Fuel.GAS_SIMPLE)
    assert fleet.heat_rate_mwh_per_mwh is not None
    np.testing.assert_allclose(fleet.heat_rate_mwh_per_mwh, [1 / 0.36, 1 / 0.58, 1 / 0.40, 1 / 0.40])
    np.testing.assert_allclose(fleet.marginal_cost_per_mwh[1], 20.0 / 0.58 + 1.5)


@pytest.mark.parametrize("efficiency", ["-0.40", "40", "0"])
def test_an_efficiency_that_is_no_share_is_refused_by_block_and_column(efficiency):
    """Negative, in percent, or zero: never replaced in silence by the mean of its fuel."""
    wrong = PLANT_ROWS.replace(",0.40,", f",{efficiency},")
    with pytest.raises(TableError, match=r"efficiency_estimate: D has"):
        power_plants(payload(wrong, "OPSD.csv"))


def test_a_block_that_stands_twice_is_refused():
    """The message names it."""
    with pytest.raises(TableError, match="A stands twice"):
        power_plants(payload(PLANT_ROWS + PLANT_ROWS.splitlines()[1] + "\n", "OPSD.csv"))


def test_a_price_of_another_country_stands_in_its_own_column():
    """The same layout, another code."""
    text = "local_datetime,NL_price\n2018-01-01 00:00:00+0100,40.5\n"
    assert day_ahead_price(payload(text, "p.csv"), "NL").value.tolist() == [40.5]


def test_prices_are_read_with_their_offset_and_an_empty_one_is_absent():
    """A repeated row is one row; two rows that differ are refused; a time without offset is refused (C1)."""
    head = "local_datetime,DE_price\n"
    rows = ["2018-01-01 00:00:00+01:00,-5.27\n", "2018-01-01 01:00:00+01:00,\n"]
    price = day_ahead_price(payload(head + rows[0] + rows[0] + rows[1], "p.csv"))
    np.testing.assert_array_equal(price.value, [-5.27, np.nan])
    assert price.start_epoch_s[0] == datetime(2017, 12, 31, 23, tzinfo=UTC).timestamp()
    with pytest.raises(TableError, match="twice"):
        day_ahead_price(payload(head + rows[0] + rows[0].replace("-5.27", "5.27"), "p.csv"))
    with pytest.raises(TableError, match="offset"):
        day_ahead_price(payload(head + "2018-01-01 00:00:00,1.0\n", "p.csv"))


def test_an_unquoted_decimal_comma_is_a_decimal_comma():
    """`25,3525` is twenty-five euros, and nothing is known before the first week."""
    text = '\ufeff# Downloaded\n\n"Date","Price"\n"2018-01-01 00:00:00",7,5\n"2018-01-08 00:00:00",8,25\n'
    series = carbon_price(payload(text, "eua-price.csv"))
    at = [int(datetime(2018, 1, day, tzinfo=UTC).timestamp()) for day in (1, 7, 8)]
    assert series.known_at(np.array(at)).tolist() == [7.5, 7.5, 8.25]
    assert np.isnan(series.known_at(np.array([at[0] - 1]))[0])


def test_mixed_separators_are_german_and_the_autumn_hour_comes_twice():
    """`1.194,75` MWh a quarter of an hour is 4,779 MW; 02:00 stands twice in October."""
    head = "\ufeffDatum;Uhrzeit;Biomasse[MWh];Pumpspeicher[MWh]\n"
    rows = "28.10.2018;02:00;1.194,75;-\n28.10.2018;02:00;1.586;602\n"
    start, values = smard_generation(payload(head + rows, "smard.csv"))
    assert np.diff(start).tolist() == [3600]
    assert values["Biomasse"].tolist() == [4779.0, 6344.0]
    assert np.isnan(values["Pumpspeicher"][0])


@pytest.mark.data
def test_two_publishers_agree_on_germany(data_dir):
    """SMARD's lignite and ENTSO-E's of the same quarters of an hour of 2018 are the same within 1 % on average."""
    table = find_german(data_dir, r"smard_production_2018\.csv(\.gz)?")
    source = SOURCES.get("entsoe")(data_dir)
    assert table is not None, "the data pack holds no smard_production_2018.csv"
    start, values = smard_generation(table)
    interval = Interval(datetime(2018, 6, 1, tzinfo=UTC), datetime(2018, 7, 1, tzinfo=UTC))
    parts = [source.parse(found, interval) for found in source.fetch("DE", interval)]
    states = assemble(parts[0], "DE", 900)
    at = np.isin(start, states.start_epoch_s())
    ours, theirs = states.generation_mw(Fuel.LIGNITE), values["Braunkohle"][at]
    assert len(ours) == len(theirs)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.01)
