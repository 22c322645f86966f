"""Drift that a published rate shows is found, mended and written down; without drift nothing is touched."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gridmargin.ledger import Declaration, GridChange
from gridmargin.pipeline import recalibrate
from gridmargin.vocab import InputError, Interval, Kind, NotFoundError, UnknownNameError, View
from pipeline.changing_grid import CHANGE, END, START, ZONE, ChangingGrid, factory_of

NEVER = datetime(2031, 1, 1, tzinfo=UTC)
CHECKED = Interval(datetime(2021, 3, 1, tzinfo=UTC), datetime(2021, 6, 1, tzinfo=UTC))


@pytest.fixture
def drifting(tmp_path):
    """March to May in the book, each month fitted on what came before it; May's grid is another one."""
    factory = factory_of(tmp_path)
    factory.ensure(ZONE, CHECKED)
    yield factory
    factory.book.close()


def rows(factory):
    return factory.book.judged(Kind.MARGINAL, ZONE, Interval(START, END), "regression")


def test_a_changed_grid_is_found_and_superseded_with_its_reason(drifting):
    """The alarm comes within two weeks, every new entry names the record, and the record says what changed and why."""
    before = rows(drifting)
    known = drifting.now_utc() - timedelta(seconds=1)
    later = replace(drifting, now_utc=lambda: NEVER)
    found = recalibrate(later, ZONE, "regression")
    event, record = found.watch.events[0], found.recalibration
    assert found.reference == "published changing_grid"
    assert CHANGE.timestamp() < event.time_epoch_s <= (CHANGE + timedelta(days=14)).timestamp()
    assert abs(event.since_epoch_s - CHANGE.timestamp()) <= 2 * 86_400
    assert record.interval == Interval(datetime.fromtimestamp(event.since_epoch_s, UTC), CHECKED.end_utc)
    assert record.cause == event.cause in record.event["events"][0].values()
    assert "published changing_grid" in record.reason
    assert {"shares", "grid_changes"} <= set(record.changes)
    after = rows(drifting)
    new = after.filter(after["start_s"] >= event.since_epoch_s)
    assert found.n_superseded == new.height > 600
    assert set(new["recalibration_id"]) == {record.recalibration_id}
    assert set(new["view"]) == {"hindcast"}
    assert set(new["fit_id"]) == {record.new_fit_id}
    for entry in drifting.book.entries(
        Kind.MARGINAL, ZONE, Interval(CHANGE + timedelta(days=5), CHANGE + timedelta(days=6)), "regression"
    ):
        older = drifting.book.entry(Kind.MARGINAL, entry.supersedes)
        assert abs(entry.estimate.factor_gco2_per_kwh.mid - 460) < 60
        assert older.estimate.factor_gco2_per_kwh.mid > 600
    untouched = after.filter(after["start_s"] < event.since_epoch_s)
    assert untouched.equals(before.filter(before["start_s"] < event.since_epoch_s))
    then = drifting.book.entries(Kind.MARGINAL, ZONE, CHECKED, "regression", known + timedelta(hours=1))
    assert [e.entry_id for e in then] == before["entry_id"].to_list()


def test_asking_again_changes_nothing(drifting):
    """What the re-fit has seen is no evidence against it, and a refresh does not bring the old fit back."""
    recalibrate(drifting, ZONE, "regression")
    settled = rows(drifting)
    again = recalibrate(drifting, ZONE, "regression")
    assert again.recalibration is None
    assert "no intervals since the last recalibration" in again.note
    assert drifting.ensure(ZONE, CHECKED, renew=True).n_new == 0
    assert rows(drifting).equals(settled)


def test_the_rest_of_the_month_is_estimated_with_the_new_fit(tmp_path):
    """Recalibrated on the 20th, the 21st is observed with that fit; the next month learns for itself."""
    factory = factory_of(tmp_path)
    factory.ensure(ZONE, Interval(CHECKED.start_utc, datetime(2021, 5, 20, tzinfo=UTC)))
    record = recalibrate(factory, ZONE, "regression").recalibration
    factory.ensure(ZONE, Interval(datetime(2021, 5, 20, tzinfo=UTC), datetime(2021, 6, 2, tzinfo=UTC)))
    after = rows(factory).filter(rows(factory)["start_s"] >= datetime(2021, 5, 20, tzinfo=UTC).timestamp())
    assert set(after["view"]) == {"observed"}
    by_fit = after.group_by("fit_id", maintain_order=True).len()
    assert by_fit["fit_id"][0] == record.new_fit_id
    assert by_fit["len"].to_list() == [12 * 24, 24]
    (june,) = factory.book.fit(by_fit["fit_id"][1]).parameters["grid_changes"]
    assert (june["what"], june["effect"]) == ("drift", "cut")  # learned from May's new grid alone
    declared = Declaration(ZONE, GridChange.FLEET, CHANGE, "a coal plant closed", factory.now_utc())
    factory.book.declare(declared)
    late = Interval(datetime(2021, 5, 21, tzinfo=UTC), datetime(2021, 5, 22, tzinfo=UTC))
    assert factory.ensure(ZONE, late).n_new == 24  # a declaration made later has its say
    assert factory.ensure(ZONE, late).n_new == 0
    factory.book.close()


def test_without_drift_nothing_is_changed_unless_forced(tmp_path):
    """It says so; forced, it needs a reason, and that is what the record holds."""
    factory = factory_of(tmp_path, ChangingGrid(change_utc=NEVER))
    factory.ensure(ZONE, CHECKED)
    before = rows(factory)
    found = recalibrate(factory, ZONE, "regression")
    assert (found.recalibration, found.n_superseded) == (None, 0)
    assert "no drift" in found.note
    assert rows(factory).equals(before)
    assert factory.book.recalibrations(ZONE) == []
    with pytest.raises(InputError, match="reason"):
        recalibrate(factory, ZONE, "regression", force_reason=" ")
    forced = recalibrate(factory, ZONE, "regression", force_reason="new meters at the plant")
    assert forced.recalibration.cause == "forced"
    assert forced.recalibration.reason == "new meters at the plant"
    assert forced.recalibration.interval == Interval(datetime(2021, 5, 1, tzinfo=UTC), CHECKED.end_utc)
    assert forced.n_superseded == 31 * 24
    factory.book.close()


def test_better_data_that_came_later_is_a_reference_too(tmp_path):
    """Where nothing is published, what the estimator says of the same intervals from revised data shows the drift."""
    factory = factory_of(tmp_path, ChangingGrid(publishes=False))
    factory.ensure(ZONE, CHECKED)
    with pytest.raises(NotFoundError, match="nothing to hold regression"):
        recalibrate(factory, ZONE, "regression")
    revised = replace(
        factory, source=ChangingGrid(publishes=False, change_utc=NEVER, coal=(0.2, 0.2)),
        now_utc=lambda: factory.now_utc() + timedelta(days=1),
    )  # fmt: skip
    revised.ensure(ZONE, CHECKED, renew=True)
    found = recalibrate(revised, ZONE, "regression")
    assert found.reference == "later"
    assert found.watch.events[0].cause in ("coverage_low", "residual_down")
    assert found.recalibration is not None
    factory.book.close()


@pytest.mark.parametrize(
    ("name", "against", "error", "says"),
    [
        ("regresion", "auto", UnknownNameError, "regression"),
        ("fleet_curve", "auto", NotFoundError, "no entries"),
        ("regression", "regression", InputError, "against itself"),
        ("regression", "fleet_curve", NotFoundError, "no marginal entries"),
        ("regression", "nobody", UnknownNameError, "nobody"),
    ],
)
def test_what_cannot_be_checked_is_named(drifting, name, against, error, says):
    """One message each, and nothing written."""
    before = rows(drifting)
    with pytest.raises(error, match=says):
        recalibrate(drifting, ZONE, name, against=against)
    assert rows(drifting).equals(before)


def test_a_declared_change_cuts_the_history_of_later_fits(tmp_path):
    """June, with four weeks of the new grid, leaves the old one out; May, with none, says that it does not know it."""
    factory = factory_of(tmp_path)
    june = Interval(datetime(2021, 6, 10, tzinfo=UTC), datetime(2021, 6, 11, tzinfo=UTC))
    may = Interval(datetime(2021, 5, 10, tzinfo=UTC), datetime(2021, 5, 11, tzinfo=UTC))
    april = Interval(datetime(2021, 4, 10, tzinfo=UTC), datetime(2021, 4, 11, tzinfo=UTC))
    for stretch in (april, may, june):
        factory.ensure(ZONE, stretch)
    (blind, *_) = factory.book.entries(Kind.MARGINAL, ZONE, june, "regression")
    said = Declaration(ZONE, GridChange.FLEET, CHANGE, "a coal plant closed", factory.now_utc())
    factory.book.declare(said)
    told = {}
    for name, stretch in (("april", april), ("may", may), ("june", june)):
        n_new = factory.ensure(ZONE, stretch).n_new
        assert n_new == (0 if name == "april" else 24)
        assert factory.ensure(ZONE, stretch).n_new == 0
        (entry, *_) = factory.book.entries(Kind.MARGINAL, ZONE, stretch, "regression")
        told[name] = (entry, factory.book.fit(entry.fit_id))
    assert "grid_changes" not in told["april"][1].parameters
    effects = {name: told[name][1].parameters["grid_changes"][0]["effect"] for name in ("may", "june")}
    assert effects == {"may": "not in the fit", "june": "cut"}
    assert told["june"][1].train_start_utc == CHANGE
    assert told["june"][0].supersedes == blind.entry_id
    after = told["june"][0].estimate.factor_gco2_per_kwh.mid
    assert abs(after - 460) < abs(blind.estimate.factor_gco2_per_kwh.mid - 460)
    assert told["june"][0].estimate.basis.view is View.OBSERVED
    factory.book.close()
