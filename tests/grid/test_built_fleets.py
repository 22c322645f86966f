"""Built fleets from publishers' unit tables: years from registrations, output from EPA's response curves."""

import numpy as np
import pytest

from gridmargin.grid import avert_built, nem_built
from gridmargin.sources import AvertLoad, AvertUnits, Payload, UnitInventory, registrations
from gridmargin.sources.aemo_units import FIGURES
from gridmargin.vocab import Fuel, TableError
from sources.payload_samples import market_table


def registered(*rows):
    return registrations(Payload("aemo", "PUBLIC_DVD_DUDETAIL_201706010000.CSV", market_table("DUDETAIL", "EFFECTIVEDATE,DUID,VERSIONNO", list(rows))))  # fmt: skip


def test_a_units_year_is_that_of_its_first_registration():
    """Later versions of a record do not make it younger; an unregistered unit has no year."""
    found = registered("2009/03/01 00:00:00,G1,2", "1999/05/01 00:00:00,G1,1", "2015/01/01 00:00:00,W1,1")
    assert dict(found.year) == {"G1": 1999, "W1": 2015}
    figures = {name: np.array([100.0, 50.0, 10.0]) for name in FIGURES.values()}
    figures["factor_t_per_mwh"] = np.array([0.5, 0.0, 0.9])
    inventory = UnitInventory(
        ("G1", "W1", "X1"), ("NSW1", "VIC1", "SA1"), ("Natural Gas (Pipeline)", "Wind", "Black coal"), figures,
        "a" * 64, 2016,
    )  # fmt: skip
    fleet = nem_built(inventory, found)
    assert fleet.fuels == (Fuel.GAS, Fuel.WIND, Fuel.COAL)
    np.testing.assert_array_equal(fleet.commissioned_year, [1999, 2015, np.nan])
    np.testing.assert_allclose(fleet.factor_gco2_per_kwh, [500, 0, 900])


def test_a_date_that_is_none_is_named_by_its_row():
    """The row of the file, not of the unit."""
    with pytest.raises(TableError, match="row 3, column EFFECTIVEDATE: 'soon'"):
        registered("soon,G1,1")


def test_a_units_output_is_its_response_summed_over_the_hours_of_the_year():
    """Against a loop of interpolation, hour by hour and unit by unit, season by season."""
    draw = np.random.default_rng(0)
    bins = np.array([100.0, 200.0, 400.0, 800.0])
    generation = np.sort(draw.uniform(0, 300, (3, 4)), axis=1)
    ozone, other = generation * 4e5, generation * 5e5
    units = AvertUnits(
        ("A", "A", "B"), (Fuel.GAS, Fuel.GAS, Fuel.COAL), bins, generation, ozone, other, ("u" * 64,)
    )
    load = draw.uniform(50, 900, 48)
    month = np.repeat([6, 12], 24)
    hours = AvertLoad("Texas", 2022, np.arange(48) * 3600, load, month, np.arange(48) % 24, -6.0, ("l" * 64,))
    fleet = avert_built(units, hours)
    for u in range(3):
        made = sum(np.interp(x, bins, generation[u]) for x in load)
        co2 = sum(
            np.interp(x, bins, (ozone if m == 6 else other)[u]) for x, m in zip(load, month, strict=True)
        )
        assert fleet.annual_generation_mwh[u] == pytest.approx(made)
        assert fleet.factor_gco2_per_kwh[u] == pytest.approx(co2 / made / 1000)
    assert fleet.as_of_year == 2022
    assert len(set(fleet.unit_names)) == 3
    assert np.isnan(fleet.commissioned_year).all()
