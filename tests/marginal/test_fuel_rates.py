"""reference/fuel_rates.csv as estimators read it."""

from __future__ import annotations

import pytest

from gridmargin.reference import fuel_rates_for, known_zones, load_table
from gridmargin.vocab import FOSSIL, Fuel, UnknownNameError


def test_every_zone_has_a_rate_for_every_fossil_fuel_at_any_year() -> None:
    """From 2018 on, for both uses; none is outside what physics allows."""
    for zone in known_zones():
        for year in (2018, 2020, 2022, 2030):
            for use in ("marginal", "average"):
                rates = fuel_rates_for(zone, year, use)
                assert set(rates) >= FOSSIL
                assert all(300 < rates[fuel].factor_gco2_per_kwh < 1200 for fuel in FOSSIL)
                assert all(row.year <= year for row in rates.values())


def test_what_is_not_known_has_no_rate() -> None:
    """Other, imports and stores are absent, not zero; wind is zero."""
    rates = fuel_rates_for("US-ERCO", 2021)
    assert not {Fuel.OTHER, Fuel.IMPORTS, Fuel.BATTERY, Fuel.PUMPED} & set(rates)
    assert rates[Fuel.WIND].factor_gco2_per_kwh == 0.0


def test_a_later_year_is_never_used() -> None:
    """A test of 2020 sees Texas as of 2019, named in the source."""
    row = fuel_rates_for("US-ERCO", 2019)[Fuel.COAL]
    assert row.year == 2019
    assert row.source.startswith("Texas 2019: US EPA AVERT")
    assert fuel_rates_for("US-ERCO", 2018)[Fuel.COAL].source.startswith("any 2018")


def test_the_nearest_place_comes_first_and_a_load_area_asks_its_parent() -> None:
    """Germany has its own row, Arizona the median region's, a load area its parent's."""
    assert fuel_rates_for("DE", 2022)[Fuel.GAS].source.startswith("DE ")
    assert fuel_rates_for("US-AZPS", 2021)[Fuel.GAS].source.startswith("US 2021")
    assert fuel_rates_for("US-CISO-PGE", 2021)[Fuel.GAS] == fuel_rates_for("US-CISO", 2021)[Fuel.GAS]


def test_gas_stands_in_where_the_technology_is_not_known_and_says_so() -> None:
    """With a wider spread."""
    rates = fuel_rates_for("AU-NSW", 2021)
    assert rates[Fuel.GAS_CC].factor_gco2_per_kwh == rates[Fuel.GAS].factor_gco2_per_kwh
    assert rates[Fuel.GAS_CC].spread90_frac > rates[Fuel.GAS].spread90_frac
    assert "stands in for gas_cc" in rates[Fuel.GAS_CC].source


def test_rates_by_load_come_in_fifths_and_only_for_the_margin() -> None:
    """New York's gas emits more where load is high; an average has no load."""
    gas = fuel_rates_for("US-NYIS", 2021)[Fuel.GAS].by_load_gco2_per_kwh
    assert gas is not None
    assert len(gas) == 5
    assert gas[-1] > gas[0]
    assert fuel_rates_for("US-NYIS", 2021, "average")[Fuel.GAS].by_load_gco2_per_kwh is None


def test_an_unknown_zone_is_refused() -> None:
    """As everywhere, with near names."""
    with pytest.raises(UnknownNameError, match="US-ERCO"):
        fuel_rates_for("US-ERCOT", 2021)


def test_no_place_states_a_fuel_twice_for_one_year() -> None:
    """One row, one figure."""
    keys = [(row["zone_or_region"], row["fuel"], row["year"]) for row in load_table("fuel_rates")]
    assert len(keys) == len(set(keys))
