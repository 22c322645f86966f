"""A fit that was kept gives the same answer as one learned anew, and is never taken for other data than it saw."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.grid import GridStates
from gridmargin.ledger import Declaration, GridChange, Shelf
from gridmargin.marginal import ESTIMATORS, FuelRate
from gridmargin.pipeline.kept_fits import fit_as_json, fit_from, hash_of
from gridmargin.settings import Settings
from gridmargin.sources import SOURCES
from gridmargin.vocab import Fuel, Interval, Kind
from pipeline import changing_grid, tied_grid
from pipeline.changing_grid import ZONE, ChangingGrid
from pipeline.tied_grid import HOME

HOUR = Interval(datetime(2021, 5, 11, 4, tzinfo=UTC), datetime(2021, 5, 11, 5, tzinfo=UTC))
NEXT = Interval(HOUR.end_utc, HOUR.end_utc + timedelta(hours=1))
Regression = type(ESTIMATORS.get("regression")())


def shelved(factory, folder, made_by="code 1"):
    """The same factory with a shelf, as another process would open it."""
    return replace(factory, shelf=Shelf(folder / "fits", lambda: made_by))


@pytest.fixture
def fitted(monkeypatch):
    """Note every fit of `regression` that is learned."""
    learned = []
    learn = Regression.fit

    def noting(self, history, facts):
        learned.append(len(history))
        return learn(self, history, facts)

    monkeypatch.setattr(Regression, "fit", noting)
    return learned


def said(factory, zone, interval):
    """What stands in the book, hashes and all."""
    return [
        (e.entry_sha256, e.fit_id, e.estimate)
        for kind in Kind
        for name in factory.names
        for e in factory.book.entries(kind, zone, interval, name)
    ]


def test_another_process_learns_nothing_again_and_says_the_same(tmp_path, fitted):
    """Fits, entries and their hashes are those of a process that learned everything; the blend's members too."""
    asked = ("regression+curtailment+storage+imports", "blend")
    names = ("regression", "worse", "average")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ESTIMATORS._targets, "worse", "pipeline.tied_grid:Worse")
        first = shelved(tied_grid.factory_of(tmp_path / "a", asked, estimators=names), tmp_path)
        first.ensure(HOME, HOUR)
        n_learned = len(fitted)
        second = shelved(tied_grid.factory_of(tmp_path / "b", asked, estimators=names), tmp_path)
        second.ensure(HOME, HOUR)
        second.ensure(HOME, NEXT)
        assert len(fitted) == n_learned > 0
        without = tied_grid.factory_of(tmp_path / "c", asked, estimators=names)
        without.ensure(HOME, HOUR)
        without.ensure(HOME, NEXT)
    assert len(fitted) > n_learned
    assert said(second, HOME, HOUR) == said(without, HOME, HOUR) == said(first, HOME, HOUR)
    assert said(second, HOME, NEXT) == said(without, HOME, NEXT) != []


def revised(folder):
    return changing_grid.factory_of(folder, ChangingGrid(coal=(0.55, 0.1)))


def other_rates(folder):
    rate = FuelRate(901.0, "made up", 0.05)
    facts = replace(changing_grid.FACTS, fuel_rates={**changing_grid.FACTS.fuel_rates, Fuel.COAL: rate})
    return replace(changing_grid.factory_of(folder), facts_of=lambda *_: facts)


def declared(folder):
    factory = changing_grid.factory_of(folder)
    factory.book.declare(
        Declaration(
            ZONE, GridChange.FLEET, changing_grid.CHANGE, "a unit closed", datetime(2021, 5, 4, tzinfo=UTC)
        )
    )
    return factory


@pytest.mark.parametrize("other", [revised, other_rates, declared])
def test_a_fit_of_other_data_is_not_taken(tmp_path, fitted, other):
    """A revised payload, another fuel rate, a declared change: learned anew, and what is said is what it says."""
    shelved(changing_grid.factory_of(tmp_path / "a"), tmp_path).ensure(ZONE, HOUR)
    n_learned = len(fitted)
    assert n_learned > 0
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    after = shelved(other(tmp_path / "b"), tmp_path)
    after.ensure(ZONE, HOUR)
    assert len(fitted) == 2 * n_learned
    without = other(tmp_path / "c")
    without.ensure(ZONE, HOUR)
    assert said(after, ZONE, HOUR) == said(without, ZONE, HOUR)


@pytest.mark.parametrize("what", ["version", "code"])
def test_a_fit_of_another_version_is_not_taken(tmp_path, fitted, monkeypatch, what):
    """Neither one of the estimator's other version nor one that other code or other libraries learned."""
    shelved(changing_grid.factory_of(tmp_path / "a"), tmp_path).ensure(ZONE, HOUR)
    n_learned = len(fitted)
    if what == "version":
        monkeypatch.setattr(Regression, "version", "next")
    shelved(
        changing_grid.factory_of(tmp_path / "b"), tmp_path, "code 2" if what == "code" else "code 1"
    ).ensure(ZONE, HOUR)
    assert len(fitted) == 2 * n_learned


def test_payloads_that_state_the_same_give_the_same_fit_with_their_own_hashes(tmp_path, fitted):
    """A table that grew has another hash and the same past: nothing is learned, and the fit names the new payload."""

    class Grown(ChangingGrid):
        def fetch(self, zone, interval):
            for payload in super().fetch(zone, interval):
                yield replace(payload, body=payload.body + b"\n")

    shelved(changing_grid.factory_of(tmp_path / "a"), tmp_path).ensure(ZONE, HOUR)
    n_learned = len(fitted)
    after = shelved(changing_grid.factory_of(tmp_path / "b", Grown()), tmp_path)
    after.ensure(ZONE, HOUR)
    assert len(fitted) == n_learned
    without = changing_grid.factory_of(tmp_path / "c", Grown())
    without.ensure(ZONE, HOUR)
    assert said(after, ZONE, HOUR) == said(without, ZONE, HOUR)


def test_a_damaged_fit_is_said_and_learned_anew(tmp_path, fitted):
    """The answer is the same, the note names the file, and the next process finds a sound one."""
    shelved(changing_grid.factory_of(tmp_path / "a"), tmp_path).ensure(ZONE, HOUR)
    n_learned = len(fitted)
    [path] = (tmp_path / "fits").iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    after = shelved(changing_grid.factory_of(tmp_path / "b"), tmp_path)
    [note] = after.ensure(ZONE, HOUR).notes
    assert path.name in note
    assert "learned anew" in note
    assert len(fitted) == 2 * n_learned
    without = changing_grid.factory_of(tmp_path / "c")
    without.ensure(ZONE, HOUR)
    assert said(after, ZONE, HOUR) == said(without, ZONE, HOUR)
    assert shelved(changing_grid.factory_of(tmp_path / "d"), tmp_path).ensure(ZONE, HOUR).notes == ()


def test_a_refresh_trusts_nothing_that_was_kept(tmp_path, fitted):
    """It learns anew, and finds nothing new where the kept fit was right."""
    factory = shelved(changing_grid.factory_of(tmp_path / "a"), tmp_path)
    factory.ensure(ZONE, HOUR)
    n_learned = len(fitted)
    assert factory.ensure(ZONE, HOUR, renew=True).n_new == 0
    assert len(fitted) == 2 * n_learned


def test_an_estimator_that_cannot_be_fitted_says_why_again(tmp_path):
    """The reason is kept as well, and told in the same words."""
    notes = [
        shelved(
            tied_grid.factory_of(tmp_path / name, ("merit_order", "published"), estimators=("regression", "published")),
            tmp_path,
        ).ensure(HOME, HOUR).notes
        for name in "ab"
    ]  # fmt: skip
    assert notes[0] == notes[1] != ()


def table(values, status):
    starts = [datetime(2021, 1, 1, tzinfo=UTC) + timedelta(hours=k) for k in range(len(values))]
    frame = pl.DataFrame(
        {
            "start_utc": starts,
            "status": status,
            "completeness_frac": [1.0] * len(values),
            "generation_gas_mw": values,
        },
        schema_overrides={
            "start_utc": pl.Datetime("us", "UTC"),
            "generation_gas_mw": pl.Float64,
            "completeness_frac": pl.Float64,
        },
    )
    return GridStates("DE", 3600, frame)


VALUES = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(values=VALUES, data=st.data())
def test_any_other_value_is_another_question(values, data):
    """One value of one interval, known or not, its status, its place: the hash of the states differs."""
    status = ["reported"] * len(values)
    one = table(values, status)
    assert hash_of(one) == hash_of(table(list(values), list(status)))
    at = data.draw(st.integers(0, len(values) - 1))
    other = data.draw(st.none() | st.floats(-1e6, 1e6))
    if other != values[at] or str(other) != str(values[at]):
        assert hash_of(one) != hash_of(table([*values[:at], other, *values[at + 1 :]], status))
    assert hash_of(one) != hash_of(table(values, [*status[:at], "imputed", *status[at + 1 :]]))
    assert hash_of(one) != hash_of(replace(one, zone="AT"))
    assert hash_of(one) != hash_of(table([*values, 0.0], [*status, "reported"]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (1, 1.0),
        ("1", 1),
        (None, "None"),
        ([["a"], "b"], [["a", "b"]]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (np.zeros(4), np.zeros((2, 2))),
        (np.zeros(2), np.zeros(2, dtype=np.float32)),
        (datetime(2021, 1, 1, tzinfo=UTC), "2021-01-01T00:00:00+00:00"),
        (Fuel.GAS, "gas"),
        (changing_grid.FACTS, replace(changing_grid.FACTS, timezone="UTC")),
    ],
)
def test_what_is_alike_is_not_the_same(one, other):
    """Types, shapes, order and signs count."""
    assert hash_of(one) != hash_of(other)
    assert hash_of(one) == hash_of(one)


def test_what_has_no_content_to_hash_is_refused():
    """An object's address would differ between processes, or worse, not differ."""
    with pytest.raises(TypeError, match="no hash by content"):
        hash_of(object())


def test_a_fit_survives_being_written_down(tmp_path):
    """Its id is a hash over all of it, and stays."""
    factory = changing_grid.factory_of(tmp_path)
    factory.ensure(ZONE, HOUR)
    [entry] = factory.book.entries(Kind.MARGINAL, ZONE, HOUR, "regression")
    fit = factory.book.fit(entry.fit_id)
    assert fit_from(fit_as_json(fit)) == fit
    assert fit_from(fit_as_json(fit)).fit_id == entry.fit_id


@pytest.mark.data
@pytest.mark.parametrize("zone", ["DE", "US-ERCO"])
def test_real_zones_say_the_same_with_and_without(tmp_path, data_dir, zone):
    """Every usual estimator, stacks and prices among them, in two intervals of a month."""
    from gridmargin.wiring import choose_source, open_workplace, read_settings, source_for

    choice = choose_source(f"recorded:{data_dir}", read_settings())
    step_s = source_for(choice, zone).interval_s(zone)
    end = source_for(choice, zone).span(zone).end_utc
    asked = [Interval.containing(end - timedelta(days=days), step_s) for days in (9, 5)]
    found = []
    for folder, keeps in ((tmp_path / "kept", True), (tmp_path / "not", False)):
        with open_workplace(folder, Settings()) as place:
            for interval in asked:
                factory = place.factory(choice, zone, interval.start_utc)
                factory = factory if keeps else replace(factory, shelf=None)
                factory.ensure(zone, interval)
            found.append([said(factory, zone, interval) for interval in asked])
    assert found[0] == found[1]
    assert all(len(each) >= 3 for each in found[0])


@pytest.fixture
def known_source(monkeypatch):
    """Let the book's payloads find the made-up publisher by its name."""
    monkeypatch.setitem(SOURCES._targets, ChangingGrid.name, "pipeline.changing_grid:ChangingGrid")


def test_a_fit_is_learned_again_from_the_archive(tmp_path, known_source):
    """Without the shelf, from the payloads that it names: the same to the last digit; another one is told."""
    from gridmargin.pipeline.learned_again import learned_again

    factory = shelved(changing_grid.factory_of(tmp_path), tmp_path)
    factory.ensure(ZONE, HOUR)
    [entry] = factory.book.entries(Kind.MARGINAL, ZONE, HOUR, "regression")
    facts_of = factory.facts_of
    assert learned_again(entry, factory.book, factory.archive, facts_of)[0] is True
    other = replace(changing_grid.FACTS, timezone="UTC")
    closes, detail = learned_again(entry, factory.book, factory.archive, lambda *_: other)
    assert closes is False
    assert "another one" in detail


def test_a_fit_swapped_on_the_shelf_is_found_by_learning_again(tmp_path, known_source):
    """Somebody who writes a wrong fit with a right hash is believed by `now`, and not by `explain --refit`."""
    from gridmargin.pipeline.learned_again import learned_again

    honest = shelved(changing_grid.factory_of(tmp_path / "a"), tmp_path)
    honest.ensure(ZONE, HOUR)

    class Liar(Shelf):
        def get(self, question):
            kept = super().get(question)
            if kept is not None and "parameters" in kept:
                numbers = kept["parameters"]
                numbers[next(k for k, v in numbers.items() if isinstance(v, float))] = 0.5
            return kept

    fooled = replace(
        changing_grid.factory_of(tmp_path / "b"), shelf=Liar(tmp_path / "fits", lambda: "code 1")
    )
    fooled.ensure(ZONE, HOUR)
    [entry] = fooled.book.entries(Kind.MARGINAL, ZONE, HOUR, "regression")
    assert learned_again(entry, fooled.book, fooled.archive, fooled.facts_of)[0] is False


def test_a_fit_after_a_declared_change_is_learned_again_too(tmp_path, known_source):
    """The change that the fit knows of weighs its history again."""
    from gridmargin.pipeline.learned_again import learned_again

    factory = shelved(declared(tmp_path), tmp_path)
    late = Interval(datetime(2021, 6, 20, tzinfo=UTC), datetime(2021, 6, 20, 1, tzinfo=UTC))
    for hour in (HOUR, late):
        factory.ensure(ZONE, hour)
        [entry] = factory.book.entries(Kind.MARGINAL, ZONE, hour, "regression")
        assert learned_again(entry, factory.book, factory.archive, factory.facts_of) == (
            True,
            f"fit {entry.fit_id} learned again from 1 payloads: the same to the last digit",
        )
