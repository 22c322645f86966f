"""Build margin, combined margin, published long-run rates; and that they never mix with the short run."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.grid import BuiltFleet, LongRunRate, imports_column
from gridmargin.ledger import Book
from gridmargin.marginal import (
    Estimates,
    Fit,
    FuelRate,
    Imports,
    LongRunFactor,
    MarginalEstimate,
    build_margin,
    combined_margin,
    modify,
    operating_margin,
    table_factor,
)
from gridmargin.reference import fuel_rates_for
from gridmargin.sources import Payload, read_built_fleet, read_long_run_rates
from gridmargin.vocab import (
    Basis,
    Boundary,
    Fuel,
    Gases,
    Horizon,
    InputError,
    Interval,
    Kind,
    MixedKindsError,
    NoFactorError,
    TableError,
    UnknownNameError,
    View,
)
from marginal.fuel_mix import states_of

RATES = {
    fuel: FuelRate(rate, "made up", 0.05)
    for fuel, rate in {Fuel.COAL: 1000.0, Fuel.GAS: 400.0, Fuel.WIND: 0.0, Fuel.NUCLEAR: 0.0}.items()
}
NAN = float("nan")


def fleet(units: list[tuple[Fuel, float, float]], **columns: list[float]) -> BuiltFleet:
    """Units of (fuel, year, yearly generation in MWh)."""
    n = len(units)
    given = {name: np.array(values) for name, values in columns.items()}
    return BuiltFleet(
        "made up",
        tuple(f"unit {k}" for k in range(n)),
        tuple(fuel for fuel, _, _ in units),
        np.array([year for _, year, _ in units], dtype=float),
        given.get("capacity_mw", np.full(n, 100.0)),
        np.array([mwh for _, _, mwh in units], dtype=float),
        given.get("factor_gco2_per_kwh", np.full(n, NAN)),
    )


OLD = [(Fuel.COAL, 1980.0 + k, 100.0) for k in range(8)]


def test_the_build_margin_is_the_newest_fifth_by_generation() -> None:
    """Two gas plants and one wind farm make the newest 20 % of 1,000: 100 gas, 100 wind."""
    found = build_margin(fleet([*OLD, (Fuel.GAS, 2015.0, 100.0), (Fuel.WIND, 2016.0, 100.0)]), 2018, RATES)
    # Five newest units would take in coal of 1985 to 1987 and make more than a fifth, so that the tool takes those.
    assert found.evidence["n_units"] == 5
    assert found.factor_gco2_per_kwh.mid == pytest.approx((100 * 400 + 300 * 1000) / 500)
    many = fleet(
        [*((Fuel.COAL, 1980.0, 100.0) for _ in range(20)), *((Fuel.GAS, 2015.0, 100.0) for _ in range(5))]
    )
    found = build_margin(many, 2018, RATES)
    assert found.evidence["commissioned_year_from_to"] == [2015, 2015]
    assert found.factor_gco2_per_kwh.mid == 400.0
    assert found.horizon == "plants built 2015–2015"


def test_a_plant_of_a_later_year_is_not_seen() -> None:
    """What is built after the year of the question does not answer it (C10)."""
    units = [
        *((Fuel.COAL, 1990.0, 100.0) for _ in range(20)),
        *((Fuel.WIND, 2019.0, 100.0) for _ in range(20)),
    ]
    assert build_margin(fleet(units), 2018, RATES).factor_gco2_per_kwh.mid == 1000.0
    assert build_margin(fleet(units), 2019, RATES).factor_gco2_per_kwh.mid == 0.0


def test_a_unit_without_a_rate_widens_the_range_and_is_no_zero() -> None:
    """A tenth of the sample unknown: the middle is the rest's, the ends are nothing and coal's for that tenth."""
    units = [
        *((Fuel.COAL, 1990.0, 1000.0) for _ in range(20)),
        *((Fuel.GAS, 2015.0, 900.0) for _ in range(9)),
        (Fuel.OTHER, 2015.0, 900.0),
    ]
    found = build_margin(fleet(units), 2018, RATES)
    assert found.factor_gco2_per_kwh.mid == 400.0
    assert found.evidence["unrated_share"] == pytest.approx(0.1)
    assert found.factor_gco2_per_kwh.low <= 400 - 0.1 * 400
    assert found.factor_gco2_per_kwh.high >= 400 + 0.1 * 600


def test_a_units_own_factor_comes_before_its_fuels() -> None:
    """A gas plant measured at 350 is 350."""
    units = [(Fuel.GAS, 2010.0, 100.0)] * 6
    own = fleet(units, factor_gco2_per_kwh=[350.0] * 6)
    assert build_margin(own, 2018, RATES).factor_gco2_per_kwh.mid == pytest.approx(350.0)


def test_capacity_weighs_where_generation_is_not_known_of_all() -> None:
    """One unit without generation: all are weighed by capacity, and the status says modelled."""
    found = build_margin(
        fleet([(Fuel.GAS, 2010.0, 1.0), (Fuel.COAL, 2010.0, NAN)], capacity_mw=[300.0, 100.0]), 2018, RATES
    )
    assert found.evidence["weighed_by"] == "capacity"
    assert found.status.value == "modelled"
    assert found.factor_gco2_per_kwh.mid == pytest.approx(0.75 * 400 + 0.25 * 1000)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Fuel.COAL, Fuel.GAS, Fuel.WIND, Fuel.OTHER]),
            st.integers(1960, 2018),
            st.floats(1.0, 1e6),
        ),
        min_size=2,
        max_size=40,
    ).filter(lambda units: any(fuel in (Fuel.COAL, Fuel.GAS) for fuel, _, _ in units))
)
def test_every_margin_is_a_distribution_whose_mean_lies_in_its_range(units) -> None:
    """Probabilities sum to 1, the middle is their mean, ends are in order; the combined lies between its two parts."""
    built = fleet([(fuel, float(year), mwh) for fuel, year, mwh in units])
    operating = operating_margin(built, 2018, RATES)
    try:
        build = build_margin(built, 2018, RATES)
    except NoFactorError:
        return  # none of the newest has a rate
    combined = combined_margin(built, 2018, RATES)
    for found in (operating, build, combined):
        assert sum(source.probability for source in found.sources) == pytest.approx(1.0)
        mean = sum(source.probability * source.factor_gco2_per_kwh for source in found.sources)
        assert mean == pytest.approx(found.factor_gco2_per_kwh.mid)
        assert found.basis == Basis(Kind.MARGINAL, horizon=Horizon.LONG_RUN)
    mids = sorted(found.factor_gco2_per_kwh.mid for found in (operating, build))
    assert mids[0] - 1e-9 <= combined.factor_gco2_per_kwh.mid <= mids[1] + 1e-9


def test_the_weights_are_named_and_in_the_evidence() -> None:
    """0.5/0.5, 0.25/0.75 and 0.75/0.25 by name; another name lists them."""
    built = fleet(
        [*((Fuel.COAL, 1990.0, 100.0) for _ in range(20)), *((Fuel.GAS, 2015.0, 100.0) for _ in range(5))]
    )
    mids = {w: combined_margin(built, 2018, RATES, w) for w in ("first_period", "later_period", "wind_solar")}
    operating = (20 * 1000 + 5 * 400) / 25
    assert mids["first_period"].factor_gco2_per_kwh.mid == pytest.approx((operating + 400) / 2)
    assert mids["later_period"].factor_gco2_per_kwh.mid == pytest.approx(0.25 * operating + 0.75 * 400)
    assert mids["wind_solar"].factor_gco2_per_kwh.mid == pytest.approx(0.75 * operating + 0.25 * 400)
    assert mids["wind_solar"].evidence["operating_weight"] == 0.75
    assert "wind_solar" in mids["wind_solar"].horizon
    with pytest.raises(UnknownNameError, match="first_period"):
        combined_margin(built, 2018, RATES, "mine")


def test_a_fleet_without_years_has_no_build_margin() -> None:
    """What is missing is named."""
    with pytest.raises(NoFactorError, match="commissioned_year"):
        build_margin(fleet([(Fuel.GAS, NAN, 100.0)]), 2018, RATES)
    with pytest.raises(NoFactorError, match="no emission rate for any of the newest"):
        build_margin(fleet([(Fuel.OTHER, 2010.0, 100.0)]), 2018, RATES)


# -- published tables ----------------------------------------------------------------------------------------------

HEADER = "region,start_year,evaluation_years,discount_rate_frac,scenario,rate_kg_per_mwh,low_kg_per_mwh,high_kg_per_mwh,gases,boundary,source,as_of"


def table(*rows: str, header: str = HEADER) -> tuple[LongRunRate, ...]:
    text = "\n".join([header, *rows]) + "\n"
    return read_long_run_rates(Payload("long_run_rates", "rates.csv", gzip.compress(text.encode())))


ERCOT = "ERCOT,2025,20,0.03,mid,180.5,,,direct_co2,busbar,a report of 2024,2024-02-16"


def test_a_published_rate_keeps_its_horizon_its_kind_and_its_document() -> None:
    """kg per MWh is g per kWh; years, discounting, gases and boundary stand in words."""
    factor = table_factor(
        table(ERCOT, ERCOT.replace("mid,180.5", "high,240")), "ERCOT", 2025, 20, scenario="mid"
    )
    assert factor.factor_gco2_per_kwh.as_dict() == {"low": 180.5, "mid": 180.5, "high": 240.0}
    assert factor.horizon == "2025–2044, levelised at 3% a year"
    assert factor.basis == Basis(Kind.MARGINAL, horizon=Horizon.LONG_RUN, view=View.FORECAST)
    assert factor.evidence["source"] == "a report of 2024"
    assert factor.evidence["row"] == 2
    plug = ERCOT.replace("direct_co2,busbar", "life_cycle_co2e,plug").replace("180.5,,", "180.5,150,200")
    factor = table_factor(table(plug), "ERCOT", 2025, 20)
    assert (factor.basis.gases, factor.basis.boundary) == (Gases.LIFE_CYCLE_CO2E, Boundary.PLUG)
    assert factor.factor_gco2_per_kwh.as_dict() == {"low": 150.0, "mid": 180.5, "high": 200.0}


def test_a_rate_without_any_range_is_refused_unless_one_is_given() -> None:
    """A bare number has no range to show."""
    with pytest.raises(NoFactorError, match="has no range"):
        table_factor(table(ERCOT), "ERCOT", 2025, 20)
    factor = table_factor(table(ERCOT), "ERCOT", 2025, 20, spread90_frac=0.2)
    assert factor.factor_gco2_per_kwh.high == pytest.approx(216.6)


def test_what_the_table_lacks_is_refused_with_what_it_has() -> None:
    """Region, horizon and scenario each name the known ones."""
    rates = table(ERCOT, ERCOT.replace("mid,180.5", "high,240"))
    with pytest.raises(UnknownNameError, match="ERCOT"):
        table_factor(rates, "ERCO", 2025, 20)
    with pytest.raises(NoFactorError, match=r"2025\+20"):
        table_factor(rates, "ERCOT", 2030, 20)
    with pytest.raises(NoFactorError, match=r"high \(direct_co2, busbar\), mid"):
        table_factor(rates, "ERCOT", 2025, 20)


@pytest.mark.parametrize(
    ("was", "now", "column"),
    [
        ("direct_co2", "co2", "gases"),
        ("busbar", "fence", "boundary"),
        ("2024-02-16", "2024", "as_of"),
        ("2025,20", "2025,0", "evaluation_years"),
        ("2025,20", "2025.5,20", "start_year"),
        ("a report of 2024", "", "source"),
        ("180.5", "", "rate_kg_per_mwh"),
        ("180.5,,", "180.5,190,", "not in order"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column(was: str, now: str, column: str) -> None:
    """Row 3 is wrong, and row 3 is named."""
    with pytest.raises(TableError, match=rf"rates\.csv, row 3.*{column}"):
        table(ERCOT, ERCOT.replace(was, now))


def test_a_built_fleet_is_read_from_its_csv() -> None:
    """Optional columns may be absent; a fuel that is none is named."""
    text = "unit,fuel,commissioned_year,capacity_mw\nA,gas,2012,400\nB,wind,,100\n"
    found = read_built_fleet(Payload("built_fleet", "fleet.csv", text.encode()))
    assert found.fuels == (Fuel.GAS, Fuel.WIND)
    assert np.isnan(found.commissioned_year[1])
    assert np.isnan(found.annual_generation_mwh).all()
    with pytest.raises(TableError, match=r"row 2, column fuel: 'gass'"):
        read_built_fleet(Payload("built_fleet", "fleet.csv", text.replace("gas,", "gass,").encode()))
    with pytest.raises(TableError, match="stands twice"):
        read_built_fleet(Payload("built_fleet", "fleet.csv", text.replace("B,", "A,").encode()))


# -- kinds never mix (C3) ------------------------------------------------------------------------------------------

T0 = datetime(2024, 5, 1, tzinfo=UTC)
STARTS = int(T0.timestamp()) + np.arange(3) * 3600


def long_run() -> LongRunFactor:
    return build_margin(fleet([(Fuel.GAS, 2010.0, 100.0)] * 6), 2018, RATES)


def short_run(fit: Fit) -> Estimates:
    """The same zone and hours under the same estimator name: only the kind differs."""
    n = len(STARTS)
    return Estimates(
        "US-ERCO", 3600, STARTS, np.full(n, 500.0), np.full(n, 600.0), np.full(n, 700.0), ("gas",), np.ones((n, 1)),
        np.full((n, 1), 600.0), np.full(n, "day"), np.full(n, "reported"), Basis(Kind.MARGINAL), fit.estimator, "1",
        fit.fit_id,
    )  # fmt: skip


def record(estimates: Estimates) -> MarginalEstimate:
    start = datetime.fromtimestamp(int(estimates.start_epoch_s[0]), UTC)
    return MarginalEstimate(
        estimates.zone, Interval(start, start + timedelta(hours=1)), long_run().factor_gco2_per_kwh, (), estimates.basis,
        estimates.estimator, "1", "", long_run().status,
    )  # fmt: skip


@pytest.mark.parametrize("operation", ["__add__", "__sub__", "__lt__", "__ge__", "__mul__"])
def test_short_and_long_run_are_never_added_or_compared(operation: str) -> None:
    """Both directions raise, and the message names both kinds."""
    fit = long_run().fit("US-ERCO")
    short, long = record(short_run(fit)), record(long_run().estimates("US-ERCO", 3600, STARTS))
    for one, other in ((short, long), (long, short)):
        with pytest.raises(MixedKindsError, match=r"short_run.*long_run|long_run.*short_run"):
            getattr(one, operation)(other)


def test_a_long_run_neighbour_does_not_answer_a_short_run_zone() -> None:
    """Not by way of a modifier either."""
    fit = long_run().fit("US-ERCO")
    ours = short_run(fit)
    grid = states_of({Fuel.GAS: np.array([1.0, 2.0, 3.0])}, start=T0)
    grid = replace(grid, frame=grid.frame.with_columns(pl.Series(imports_column("US-SPP"), [1.0, 2.0, 3.0])))
    with pytest.raises(MixedKindsError):
        modify(ours, grid, fit, [Imports({"US-SPP": long_run().estimates("US-SPP", 3600, STARTS)})])


def test_a_long_run_factor_cannot_claim_to_be_short_run() -> None:
    """The record itself refuses."""
    with pytest.raises(InputError, match="C3"):
        replace(long_run(), basis=Basis(Kind.MARGINAL))


def test_the_ledger_keeps_both_and_answers_with_one(tmp_path: Path) -> None:
    """Same zone, hours and estimator name: neither supersedes the other, and a question gets the kind it asks for."""
    hours = Interval(T0, T0 + timedelta(hours=3))
    fit = long_run().fit("US-ERCO")
    with Book(tmp_path / "ledger.sqlite") as book:
        book.append(short_run(fit), fit, T0)
        book.append(long_run().estimates("US-ERCO", 3600, STARTS), fit, T0 + timedelta(days=1))
        short = book.covering(Kind.MARGINAL, "US-ERCO", hours, "long_run")
        long = book.covering(Kind.MARGINAL, "US-ERCO", hours, "long_run", horizon=Horizon.LONG_RUN)
        assert short.mid.tolist() == [600.0] * 3
        assert long.mid.tolist() == [400.0] * 3
        entries = [
            *book.entries(Kind.MARGINAL, "US-ERCO", hours, "long_run"),
            *book.entries(Kind.MARGINAL, "US-ERCO", hours, "long_run", horizon=Horizon.LONG_RUN),
        ]
        assert [entry.supersedes for entry in entries] == [None] * 6
        assert [entry.estimate.basis.horizon for entry in entries] == [Horizon.SHORT_RUN] * 3 + [
            Horizon.LONG_RUN
        ] * 3
        assert (
            book.count(
                Kind.MARGINAL,
                "US-ERCO",
                hours,
                "long_run",
                fit.estimator_version,
                3600,
                "",
                horizon=Horizon.LONG_RUN,
            )
            == 3
        )
        assert book.fit(fit.fit_id) == fit


def test_another_horizon_is_another_fit() -> None:
    """The horizon is in the fit's parameters, so that it is in its id."""
    rates = table(ERCOT, ERCOT.replace("2025,20", "2030,20"))
    fits = [table_factor(rates, "ERCOT", year, 20, spread90_frac=0.1).fit("US-ERCO") for year in (2025, 2030)]
    assert fits[0].fit_id != fits[1].fit_id
    assert fits[0].parameters["horizon"].startswith("2025–2044")


@pytest.mark.data
def test_germanys_newest_conventional_plants_are_cleaner_than_its_fleet(data_dir: Path) -> None:
    """2007 to 2018 brought gas and efficient coal: the build margin lies below the operating margin."""
    path = next((data_dir / "grid").glob("de_fuelmix*/OPSD_conventional_power_plants_DE.csv"))
    built = read_built_fleet(Payload("opsd", path.name, path.read_bytes()))
    rates = {
        fuel: FuelRate(row.factor_gco2_per_kwh, row.source, row.spread90_frac)
        for fuel, row in fuel_rates_for("DE", 2018).items()
    }
    build, operating = build_margin(built, 2018, rates), operating_margin(built, 2018, rates)
    assert build.evidence["weighed_by"] == "capacity"
    assert build.evidence["share_of_weight"] == pytest.approx(0.2, abs=0.02)
    assert 400 < build.factor_gco2_per_kwh.mid < operating.factor_gco2_per_kwh.mid < 900
