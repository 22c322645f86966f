"""Forecasts are issued from what was known, kept with their moment, and name the sources that they expect."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from gridmargin.ledger import Shelf
from gridmargin.marginal import ESTIMATORS, lead_times
from gridmargin.pipeline import entries_of, issue, score_forecasts
from gridmargin.sources import Observations
from gridmargin.vocab import InputError, Interval, Kind, NoFactorError, TimeError
from interfaces.command_line import run
from pipeline.tied_grid import HOME, START, TiedGrid, factory_of

AT = datetime(2021, 5, 11, 9, tzinfo=UTC)


class AnotherFuture(TiedGrid):
    """The same grid until the issue, and three times the gas after it."""

    @staticmethod
    def parse(payload, interval):
        later = (pl.col("start_utc") >= AT) & (pl.col("quantity") == "generation_gas_mw")
        frame = TiedGrid.parse(payload, interval).frame
        return Observations(
            frame.with_columns(
                pl.when(later).then(pl.col("value") * 3).otherwise(pl.col("value")).alias("value")
            )
        )


class Revised(TiedGrid):
    """Another March than was told before."""

    def fetch(self, zone, interval):
        for payload in super().fetch(zone, interval):
            yield replace(payload, body=payload.body + b" ") if payload.name == "part15.json" else payload

    @staticmethod
    def parse(payload, interval):
        frame = TiedGrid.parse(payload, interval).frame
        more = (
            pl.when(pl.col("quantity") == "generation_gas_mw").then(pl.col("value") * 1.2).otherwise("value")
        )
        return Observations(frame.with_columns(more.alias("value")) if payload.body.endswith(b" ") else frame)


@pytest.fixture(scope="module", autouse=True)
def fewer_trees():
    """Fewer trees with longer steps: what is asked here does not need more."""
    with pytest.MonkeyPatch.context() as patch:
        for trees in (lead_times.TREES, lead_times.TAIL_TREES):
            patch.setitem(trees, "max_iter", 8)
            patch.setitem(trees, "learning_rate", 0.4)
        yield


@pytest.fixture(scope="module")
def issued(tmp_path_factory):
    factory = factory_of(tmp_path_factory.mktemp("issued"), ())
    return factory, issue(factory, HOME, AT, 30)


def test_every_interval_of_the_horizon_is_forecast(issued):
    """The first begins at the issue, none is missing, ranges hold the middle, and the sources add up to it."""
    _, made = issued
    starts = [entry.estimate.interval.start_utc for entry in made.entries]
    assert starts == [AT + timedelta(hours=k) for k in range(30)]
    for entry in made.entries:
        factor = entry.estimate.factor_gco2_per_kwh
        assert factor.low <= factor.mid <= factor.high
        total = sum(s.probability * s.factor_gco2_per_kwh for s in entry.estimate.sources)
        assert total == pytest.approx(factor.mid, rel=1e-9)
        assert (entry.issued_utc, entry.estimate.basis.view) == (AT, "forecast")


def test_nothing_after_the_issue_is_seen(issued, tmp_path):
    """Another future gives the same forecasts, to the last digit (C10)."""
    _, made = issued
    other = issue(factory_of(tmp_path, (), AnotherFuture()), HOME, AT, 30)
    assert [e.estimate for e in other.entries] == [e.estimate for e in made.entries]


def test_issued_again_nothing_is_new(issued):
    """The same issue from the same record says the same, and the ledger keeps one of it."""
    factory, made = issued
    assert made.n_new == 30
    assert issue(factory, HOME, AT, 30).n_new == 0


def test_issues_of_a_month_share_what_was_learned(issued, tmp_path, monkeypatch):
    """With a shelf the second process learns no rung and no fit, and says what one without a shelf says."""
    _, without = issued
    first = replace(factory_of(tmp_path / "a", ()), shelf=Shelf(tmp_path / "fits", lambda: "code 1"))
    made = issue(first, HOME, AT, 30)
    assert [e.entry_sha256 for e in made.entries] == [e.entry_sha256 for e in without.entries]
    later = AT + timedelta(days=3)
    alone = issue(factory_of(tmp_path / "b", ()), HOME, later, 20)

    def never(*_):
        raise AssertionError("nothing is to be learned")

    monkeypatch.setattr(lead_times, "_rung", never)
    monkeypatch.setattr(type(ESTIMATORS.get("regression")()), "fit", never)
    second = replace(factory_of(tmp_path / "a", ()), shelf=Shelf(tmp_path / "fits", lambda: "code 1"))
    again = issue(second, HOME, later, 20)
    assert [e.entry_sha256 for e in again.entries] == [e.entry_sha256 for e in alone.entries]
    assert again.notes == ()


def test_another_past_is_another_ladder(tmp_path):
    """A revised month before is learned from anew: the same forecasts as without a shelf."""
    shelf = Shelf(tmp_path / "fits", lambda: "code 1")
    issue(replace(factory_of(tmp_path / "a", ()), shelf=shelf), HOME, AT, 3)
    made = [
        issue(replace(factory_of(tmp_path / name, (), Revised()), shelf=kept), HOME, AT, 3).entries
        for name, kept in (("b", shelf), ("c", None))
    ]
    assert [e.entry_sha256 for e in made[0]] == [e.entry_sha256 for e in made[1]]


def test_a_damaged_rung_is_said_and_learned_anew(issued, tmp_path):
    """The note names the file; the forecasts are the same."""
    _, without = issued
    shelf = Shelf(tmp_path / "fits", lambda: "code 1")
    issue(replace(factory_of(tmp_path / "a", ()), shelf=shelf), HOME, AT, 30)
    for path in (tmp_path / "fits").iterdir():
        path.write_bytes(path.read_bytes()[:-9])
    again = issue(replace(factory_of(tmp_path / "b", ()), shelf=shelf), HOME, AT, 30)
    assert [e.entry_sha256 for e in again.entries] == [e.entry_sha256 for e in without.entries]
    assert any("damaged" in note for note in again.notes)


def test_the_ladder_is_learned_before_the_month(issued):
    """It says to when, and its fit ends there; what rows are made from ends at the issue (C10)."""
    factory, made = issued
    fit = factory.book.fit(made.entries[0].fit_id)
    assert fit.parameters["learned_to_utc"] == "2021-05-01T00:00Z"


def test_it_is_scored_when_its_intervals_are_known(issued):
    """Held beside the estimator that it forecasts, with the horizon of each."""
    factory, made = issued
    day = Interval(AT, AT + timedelta(hours=30))
    factory.ensure(HOME, day)
    scored = score_forecasts(made.entries, entries_of(factory.book, Kind.MARGINAL, HOME, day, "regression"))
    assert [s.horizon_s for s in scored] == [3600.0 * k for k in range(30)]
    assert all(s.error_gco2_per_kwh is not None for s in scored)


def test_an_issue_between_two_intervals_begins_with_the_next(tmp_path):
    """The interval that had begun is left out; the newest that had ended is known."""
    made = issue(factory_of(tmp_path, ()), HOME, AT + timedelta(minutes=20), 6)
    assert made.entries[0].estimate.interval.start_utc == AT + timedelta(hours=1)


@pytest.mark.parametrize(
    ("at", "hours", "error", "says"),
    [
        (AT, 0, InputError, "1 to 72 hours"),
        (AT, 73, InputError, "1 to 72 hours"),
        (datetime(2022, 1, 1, tzinfo=UTC), 6, TimeError, "has not come yet"),
        (START - timedelta(days=3), 6, TimeError, "give a moment in between"),
        (START + timedelta(days=20), 6, NoFactorError, "issue later"),
    ],
)
def test_what_cannot_be_issued_is_refused(tmp_path, at, hours, error, says):
    """With the way out, and nothing is written down as a forecast."""
    factory = factory_of(tmp_path, ())
    with pytest.raises(error, match=says):
        issue(factory, HOME, at, hours)
    assert factory.book.forecasts(HOME) == []


def test_typical_days_are_no_past_to_forecast_from(tmp_path):
    """The reference source repeats a day; the command says what to give instead."""
    ran = run("forecast", "US-ERCO", "--source", "reference", "--data-dir", tmp_path)
    assert ran.code == 2
    assert "--source recorded:DIR" in ran.err


@pytest.mark.data
def test_the_command_prints_hours_and_the_lowest(tmp_path, data_dir):
    """As the how-to shows it."""
    asked = (
        "forecast",
        "US-ERCO",
        "--at",
        "2020-07-15T18:00Z",
        "--hours",
        "6",
        "--source",
        f"recorded:{data_dir}",
    )
    answer = run(*asked, "--data-dir", tmp_path, "--json").json()
    assert len(answer["forecasts"]) == 24
    mids = [row["factor_gco2_per_kwh"]["mid"] for row in answer["forecasts"]]
    assert answer["lowest"]["factor_gco2_per_kwh"]["mid"] == min(mids)
    assert "lowest at" in run(*asked, "--data-dir", tmp_path).out
