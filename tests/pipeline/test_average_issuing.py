"""Forecasts of the average: issued from what was known, kept apart from the marginal ones, with the moment of their issue."""

from datetime import UTC, datetime, timedelta

import pytest

from gridmargin.ledger import Book
from gridmargin.pipeline import issue
from gridmargin.vocab import InputError, Interval, Kind, NoFactorError, Status, TimeError, View
from interfaces.face_server import NOW, asked, record
from pipeline.test_issuing import AnotherFuture
from pipeline.tied_grid import HOME, START, factory_of

AT = datetime(2021, 5, 11, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def issued(tmp_path_factory):
    factory = factory_of(tmp_path_factory.mktemp("issued"), ())
    return factory, issue(factory, HOME, AT, 24, Kind.AVERAGE).entries


def test_every_hour_is_forecast_with_a_range(issued):
    """From the issue on, none missing, in order, of view and status forecast."""
    _, entries = issued
    starts = [entry.estimate.interval.start_utc for entry in entries]
    assert starts == [AT + timedelta(hours=k) for k in range(24)]
    for entry in entries:
        factor = entry.estimate.factor_gco2_per_kwh
        assert 0 <= factor.low <= factor.mid <= factor.high
        assert (entry.estimate.basis.kind, entry.estimate.basis.view) == (Kind.AVERAGE, View.FORECAST)
        assert entry.estimate.status is Status.FORECAST
        assert entry.issued_utc == AT


def test_it_stands_among_the_averages_alone(issued):
    """No marginal forecast appears with it, and what was observed is not superseded (C3, C9)."""
    factory, entries = issued
    assert factory.book.forecasts(HOME) == []
    assert len(factory.book.forecasts(HOME, kind=Kind.AVERAGE)) == len(entries)
    assert all(entry.supersedes is None for entry in entries)


def test_it_comes_close_to_what_came(issued):
    """Nearer than the mean of the month before, on a grid whose days resemble each other."""
    factory, entries = issued
    month = Interval(AT - timedelta(days=30), AT + timedelta(hours=24))
    factory.ensure(HOME, month)
    known = factory.book.covering(Kind.AVERAGE, HOME, month, "average")
    came, before = known.mid[-24:], known.mid[:-24].mean()
    mids = [entry.estimate.factor_gco2_per_kwh.mid for entry in entries]
    assert abs(came - mids).mean() < abs(came - before).mean()


def test_nothing_after_the_issue_is_seen(issued, tmp_path):
    """Another future gives the same forecasts, to the last digit (C10)."""
    _, entries = issued
    other = issue(factory_of(tmp_path, (), AnotherFuture()), HOME, AT, 24, Kind.AVERAGE).entries
    assert [e.estimate for e in other] == [e.estimate for e in entries]


@pytest.mark.parametrize(
    ("at", "hours", "error", "says"),
    [
        (AT, 0, InputError, "1 to 72 hours"),
        (datetime(2022, 1, 1, tzinfo=UTC), 6, TimeError, "has not come yet"),
        (START - timedelta(days=3), 6, TimeError, "in between"),
        (START + timedelta(days=20), 6, NoFactorError, "no average"),
    ],
)
def test_what_cannot_be_issued_is_refused(tmp_path, at, hours, error, says):
    """With the way out, and nothing is written down."""
    factory = factory_of(tmp_path, ())
    with pytest.raises(error, match=says):
        issue(factory, HOME, at, hours, Kind.AVERAGE)
    assert factory.book.forecasts(HOME, kind=Kind.AVERAGE) == []


def test_the_faces_show_it_rounded_and_whole(tmp_path, monkeypatch):
    """Electricity Maps' forecast is the kept one, and asking again within the hour issues nothing."""
    choice = record(monkeypatch, tmp_path)

    async def work(client):
        return [
            (await client.get("/v3/carbon-intensity/forecast?zone=AU-VIC")).json()["forecast"] for _ in "ab"
        ]

    first, again = asked(tmp_path, work, choice)
    with Book(tmp_path / "ledger.sqlite") as book:
        kept = book.forecasts(HOME, kind=Kind.AVERAGE)
    assert {entry.issued_utc for entry in kept} == {NOW.replace(minute=0)}
    assert [row["carbonIntensity"] for row in first] == [
        round(entry.estimate.factor_gco2_per_kwh.mid) for entry in kept
    ]
    assert first == again
