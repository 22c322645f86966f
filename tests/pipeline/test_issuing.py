"""Forecasts are issued from what was known, kept with their moment, and name the sources that they expect."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

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
