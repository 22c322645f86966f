"""Modifiers and the blend as the ledger keeps them: opt-in, under their own name, and made again to the last digit."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from gridmargin.marginal import ESTIMATORS, Curtailment, Imports, Storage
from gridmargin.pipeline import recipe
from gridmargin.pipeline.derived import switched
from gridmargin.pipeline.trail import _estimate_again
from gridmargin.sources import REGIONS, SOURCES
from gridmargin.vocab import Fuel, InputError, Interval, Kind, UnknownNameError
from pipeline.tied_grid import HOME, NEIGHBOUR, TiedGrid, factory_of

DAY = Interval(datetime(2021, 5, 11, tzinfo=UTC), datetime(2021, 5, 12, tzinfo=UTC))
ALL = "regression+curtailment+storage+imports"


@pytest.fixture
def known_source(monkeypatch):
    """Let the trail find the made-up publisher by its name."""
    monkeypatch.setitem(SOURCES._targets, TiedGrid.name, "pipeline.tied_grid:TiedGrid")


def entries(factory, name, zone=HOME, stretch=DAY):
    return factory.book.entries(Kind.MARGINAL, zone, stretch, name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("regresion", "did you mean: regression"),
        ("average", "unknown marginal estimator"),
        ("regression+stoage", "did you mean: storage"),
        ("regression+storage+storage", "each once"),
        ("blend+storage", "unknown marginal estimator 'blend'"),
        ("", "unknown marginal estimator"),
    ],
)
def test_a_name_that_is_no_recipe_is_refused_with_what_is_near(name, says):
    """Every part is checked, and the message names the part."""
    with pytest.raises(UnknownNameError, match=says):
        recipe(name)


def test_modifiers_have_one_order():
    """The same set of switches has one name in the ledger; another order is refused with the right one."""
    with pytest.raises(InputError, match=r"write regression\+curtailment\+storage\+imports"):
        recipe("regression+imports+storage+curtailment")


def test_every_marginal_estimator_is_a_recipe():
    """What is registered can be asked for by its name alone."""
    names = [name for name in ESTIMATORS if ESTIMATORS.get(name)().kind is Kind.MARGINAL]
    assert len(names) >= 5
    assert not any(recipe(name).is_derived for name in names)


def test_modifiers_stand_beside_what_they_modify(tmp_path):
    """The plain estimate stays as it was; the modified one has its sources, and probabilities still sum to the factor."""
    bare, switched_on = factory_of(tmp_path / "a", ()), factory_of(tmp_path / "b", (ALL,))
    bare.ensure(HOME, DAY)
    switched_on.ensure(HOME, DAY)
    plain = [e.estimate for e in entries(bare, "regression")]
    assert [e.estimate for e in entries(switched_on, "regression")] == plain
    found = [e.estimate for e in entries(switched_on, ALL)]
    assert len(found) == len(plain) == 24
    names = {source.name for estimate in found for source in estimate.sources if source.probability > 0}
    assert {"pumped:discharging", "pumped:charging", "curtailed", f"imports:{NEIGHBOUR}"} <= names
    noon = found[12]
    assert noon.factor_gco2_per_kwh.mid < plain[12].factor_gco2_per_kwh.mid
    for estimate in found:
        total = sum(s.probability * s.factor_gco2_per_kwh for s in estimate.sources)
        assert total == pytest.approx(estimate.factor_gco2_per_kwh.mid)


def test_each_modifier_can_be_switched_off(tmp_path):
    """Without curtailment the hour at noon is not free; without imports no neighbour answers."""
    factory = factory_of(tmp_path, ("regression+curtailment", "regression+imports"))
    factory.ensure(HOME, DAY)
    curtailed, imported = (
        entries(factory, name) for name in ("regression+curtailment", "regression+imports")
    )
    assert curtailed[12].estimate.factor_gco2_per_kwh.mid == 0
    assert imported[12].estimate.factor_gco2_per_kwh.mid > 100
    assert all("imports" not in s.name for e in curtailed for s in e.estimate.sources)


def test_a_neighbour_answers_with_its_own_entries(tmp_path):
    """What a neighbour's share is priced by stands in the ledger under the neighbour's name."""
    factory = factory_of(tmp_path, ("regression+imports",))
    factory.ensure(HOME, DAY)
    theirs = {e.estimate.interval.start_utc: e for e in entries(factory, "regression", NEIGHBOUR)}
    checked = 0
    for entry in entries(factory, "regression+imports"):
        for source in entry.estimate.sources:
            if source.name == f"imports:{NEIGHBOUR}" and source.probability > 0:
                own = theirs[entry.estimate.interval.start_utc].estimate.factor_gco2_per_kwh.mid
                assert source.factor_gco2_per_kwh == pytest.approx(own)
                checked += 1
    assert checked > 12


def test_asked_again_nothing_is_new(tmp_path):
    """The same question writes nothing down twice, and a later one in the same month agrees with it."""
    factory = factory_of(tmp_path, (ALL, "blend"), estimators=("regression", "average"))
    factory.ensure(HOME, DAY)
    assert factory.ensure(HOME, DAY).n_new == 0
    assert factory.ensure(HOME, DAY, renew=True).n_new == 0


def test_an_interval_does_not_depend_on_how_much_was_asked_for(tmp_path):
    """An hour alone and the same hour within a week come out the same: what is looked back at is read, not assumed."""
    alone, within = factory_of(tmp_path / "a", (ALL,)), factory_of(tmp_path / "b", (ALL,))
    hour = Interval(datetime(2021, 5, 11, 20, tzinfo=UTC), datetime(2021, 5, 11, 21, tzinfo=UTC))
    alone.ensure(HOME, hour)
    within.ensure(HOME, Interval(hour.start_utc - timedelta(days=5), hour.end_utc + timedelta(days=2)))
    assert entries(alone, ALL, stretch=hour)[0].estimate == entries(within, ALL, stretch=hour)[0].estimate


@pytest.mark.usefixtures("known_source")
def test_what_was_modified_is_estimated_again_from_its_payloads(tmp_path):
    """With the day before among the payloads, since a store displaces an hour of it."""
    factory = factory_of(tmp_path, (ALL,))
    factory.ensure(HOME, DAY)
    for entry in entries(factory, ALL)[::5]:
        assert len(entry.payload_sha256s) == 2
        again, cells = _estimate_again(entry, factory.book, factory.archive)
        assert again == pytest.approx(entry.estimate.factor_gco2_per_kwh.mid, rel=1e-12)
        assert cells


def test_switches_survive_json():
    """What stands in a fit's parameters makes the same modifiers again."""
    every = [
        Storage(power_mw={Fuel.PUMPED: 400.0}),
        Curtailment(least_mw=5.0),
        Imports({}, {NEIGHBOUR: (100.0, 50.0)}),
    ]
    written = [{"name": m.name, "parameters": m.parameters()} for m in every]
    assert [m.parameters() for m in switched(written, {})] == [m.parameters() for m in every]


# -- blend ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_opinions(monkeypatch, known_source):
    """Register a second opinion that is off by 300 g/kWh: what a blend should not listen to."""
    monkeypatch.setitem(ESTIMATORS._targets, "worse", "pipeline.tied_grid:Worse")


@pytest.mark.usefixtures("two_opinions")
def test_a_blend_listens_to_who_was_right(tmp_path):
    """Held against what the CO2 of the mix did in the month before, the one that is 300 g/kWh off has no weight."""
    factory = factory_of(tmp_path, ("blend",), estimators=("regression", "worse"))
    factory.ensure(HOME, DAY)
    found = entries(factory, "blend")
    assert len(found) == 24
    p = factory.book.fit(found[0].fit_id).parameters
    weights = dict(zip(p["names"], p["weights"], strict=True))
    assert weights["regression"] > 0.9
    assert (
        p["end_epoch_s"] <= datetime(2021, 5, 1, tzinfo=UTC).timestamp()
    )  # scored before the month it is used in
    assert p["blend_mae"] <= min(p["member_mae"]) * 1.05
    again, _ = _estimate_again(found[3], factory.book, factory.archive)
    assert again == pytest.approx(found[3].estimate.factor_gco2_per_kwh.mid, rel=1e-12)


def test_a_blend_of_one_says_what_it_lacks(tmp_path):
    """One opinion is no blend; the note says so and nothing is written."""
    factory = factory_of(tmp_path, ("blend",))
    outcome = factory.ensure(HOME, DAY)
    assert "blend needs two estimators" in " ".join(outcome.notes)
    assert entries(factory, "blend") == []


def test_what_was_not_asked_for_is_silent(tmp_path):
    """An estimator that cannot speak here is not mentioned unless somebody asked for it."""
    names = ("regression", "merit_order", "published", "average")
    assert factory_of(tmp_path / "a", (), estimators=names).ensure(HOME, DAY).notes == ()
    told = factory_of(tmp_path / "b", ("merit_order",), estimators=names).ensure(HOME, DAY).notes
    assert told == (f"merit_order: a table of units is not known for {HOME}",)


@pytest.mark.data
@pytest.mark.parametrize("name", ["merit_order", "price_implied", "regression+storage", "blend"])
def test_germany_can_be_asked_for_everything(data_dir, tmp_path, name):
    """The day-ahead price, the carbon price and the plants are read, and each estimate is made again from them."""
    from gridmargin.wiring import choose_source, open_workplace, read_settings

    hour = Interval(datetime(2019, 6, 20, 8, tzinfo=UTC), datetime(2019, 6, 20, 9, tzinfo=UTC))
    with open_workplace(tmp_path, read_settings()) as place:
        factory = place.factory(
            choose_source(f"recorded:{data_dir}", read_settings()), "DE", hour.start_utc, (name,)
        )
        factory.ensure("DE", hour)
        found = factory.book.entries(Kind.MARGINAL, "DE", hour, name)
        assert len(found) == 4
        again, _ = _estimate_again(found[0], factory.book, factory.archive)
        assert again == pytest.approx(found[0].estimate.factor_gco2_per_kwh.mid, rel=1e-9)
        assert 300 < found[0].estimate.factor_gco2_per_kwh.mid < 1200


@pytest.mark.data
def test_a_region_names_the_plants_on_its_margin(data_dir, tmp_path):
    """Victoria's sources are units, and each border's flow is the one that its neighbour sees."""
    from gridmargin.wiring import choose_source, open_workplace, read_settings

    hour = Interval(datetime(2017, 6, 20, 8, tzinfo=UTC), datetime(2017, 6, 20, 9, tzinfo=UTC))
    choice = choose_source(f"recorded:{data_dir}", read_settings())
    with open_workplace(tmp_path, read_settings()) as place:
        factory = place.factory(choice, "AU-VIC", hour.start_utc, ("merit_order+imports", "zonal"))
        factory.ensure("AU-VIC", hour)
        entry = factory.book.entries(Kind.MARGINAL, "AU-VIC", hour, "merit_order+imports")[0]
        likely = [s.name for s in entry.estimate.sources if s.probability > 0.01]
        assert any(name.startswith("imports:AU-") for name in likely)
        assert any(name[-1].isdigit() for name in likely if not name.startswith("imports"))
        zonal = factory.book.entries(Kind.MARGINAL, "AU-VIC", hour, "zonal")[0]
        assert {s.name.split(":")[0] for s in zonal.estimate.sources if s.probability > 0.01} <= set(REGIONS)
        again, _ = _estimate_again(zonal, factory.book, factory.archive)
        assert again == pytest.approx(zonal.estimate.factor_gco2_per_kwh.mid, rel=1e-9)
        week = Interval(hour.start_utc - timedelta(days=7), hour.end_utc)
        vic, _ = factory.states("AU-VIC", [week])
        nsw, _ = factory.states("AU-NSW", [week])
        assert np.allclose(vic.values("imports_from_AU-NSW_mw"), -nsw.values("imports_from_AU-VIC_mw"))
        borders = sum(vic.values(f"imports_from_{zone}_mw") for zone in ("AU-NSW", "AU-SA", "AU-TAS"))
        # The operator's net interchange counts losses on the way; the flows are metered at one end.
        assert np.corrcoef(borders, vic.values("net_imports_mw"))[0, 1] > 0.99
        assert abs(np.mean(borders - vic.values("net_imports_mw"))) < 60
