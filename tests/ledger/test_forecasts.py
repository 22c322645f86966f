"""Forecasts are kept as they were issued, the newest issue is what is known, and they never meet what was observed."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.ledger import Book
from gridmargin.vocab import Basis, Interval, Kind, TableError, TimeError, View
from ledger.samples import FIT, T0, estimates

HOUR = Interval.starting(T0, 3600)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def book(store):
    with Book(store.ledger()) as opened:
        yield opened


def said(book, as_of=None, *, forecast=False):
    found = book.covering(Kind.MARGINAL, "US-ERCO", HOUR, "regression", as_of_utc=as_of, forecast=forecast)
    return dict(zip(found.start_epoch_s.tolist(), found.mid.tolist(), strict=True))


def test_every_issue_is_kept_and_can_be_asked_for(book):
    """Three issues for the same intervals: all are given, by issue time, and a question for one gives that one."""
    issues = [T0 - 60 * MINUTE, T0 - 30 * MINUTE, T0 - 5 * MINUTE]
    for number, issued in enumerate(issues):
        assert book.append(estimates([0.1 * number, 0.5], issued), FIT, issued + MINUTE) == 2
    found = book.forecasts("US-ERCO", HOUR)
    assert [e.issued_utc for e in found] == [issued for issued in issues for _ in range(2)]
    one = book.forecasts("US-ERCO", HOUR, issued=Interval(issues[1], issues[2]))
    assert [e.issued_utc for e in one] == [issues[1]] * 2
    assert book.forecasts("US-ERCO", Interval.starting(T0 + timedelta(hours=1), 900)) == []
    assert book.forecasts("US-ERCO", HOUR, estimator="fleet_curve") == []
    assert len(book.forecasts("US-ERCO", HOUR, as_of_utc=issues[1])) == 2


def test_the_newest_issue_is_what_was_known_then(book):
    """Asked as of a moment, the forecast is the newest issue written down by then, however late an older one came."""
    first, second = T0 - 60 * MINUTE, T0 - 30 * MINUTE
    book.append(estimates([0.1], first), FIT, first)
    book.append(estimates([0.4], second), FIT, second)
    book.append(estimates([0.9], T0 - 90 * MINUTE), FIT, T0)
    newest, early = (estimates([share], T0 - 90 * MINUTE).mid[0] for share in (0.4, 0.1))
    assert list(said(book, forecast=True).values()) == [newest]
    assert list(said(book, first, forecast=True).values()) == [early]
    by_issue = {e.issued_utc: e for e in book.forecasts("US-ERCO")}
    assert by_issue[second].supersedes == by_issue[first].entry_id
    assert by_issue[T0 - 90 * MINUTE].supersedes is None


def test_the_same_issue_is_said_once_and_the_same_numbers_issued_later_are_another_issue(book):
    """The issue time is part of what was said, and of the hash over it."""
    book.append(estimates([0.1], T0 - 60 * MINUTE), FIT, T0)
    assert book.append(estimates([0.1], T0 - 60 * MINUTE), FIT, T0 + MINUTE) == 0
    assert book.append(estimates([0.1], T0 - 30 * MINUTE), FIT, T0 + MINUTE) == 1
    first, second = book.forecasts("US-ERCO")
    assert first.entry_sha256 != second.entry_sha256
    for entry in (first, second):
        assert book.hashed_again(Kind.MARGINAL, entry.entry_id) == entry.entry_sha256


def test_an_observed_estimate_supersedes_no_forecast(book):
    """Both stand, each in its own answer; a count of what is covered leaves the forecast out."""
    book.append(estimates([0.1], T0 - 60 * MINUTE), FIT, T0 - 60 * MINUTE)
    assert book.count(Kind.MARGINAL, "US-ERCO", HOUR, "regression", FIT.estimator_version, 900, "") == 0
    assert book.extent(Kind.MARGINAL, "US-ERCO", "regression") is None
    book.append(estimates([0.3]), FIT, T0 + 60 * MINUTE)
    (observed,) = book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression")
    assert observed.supersedes is None
    assert observed.issued_utc is None
    assert list(said(book).values()) == [estimates([0.3]).mid[0]]
    assert list(said(book, forecast=True).values()) == [estimates([0.1]).mid[0]]
    assert book.judged(Kind.MARGINAL, "US-ERCO", HOUR, "regression")["view"].to_list() == ["observed"]


def test_an_issue_time_and_the_view_forecast_come_together():
    """Neither stands without the other, and the issue time has an offset (C1, C3)."""
    with pytest.raises(TableError, match="issue time"):
        replace(estimates([0.1]), issued_utc=T0)
    with pytest.raises(TableError, match="issue time"):
        replace(estimates([0.1]), basis=Basis(Kind.MARGINAL, view=View.FORECAST))
    with pytest.raises(TimeError, match="UTC offset"):
        estimates([0.1], datetime(2020, 7, 15, 12))  # noqa: DTZ001


@pytest.mark.parametrize("view", ["forecast", "observed"])
def test_the_database_itself_holds_issue_time_and_view_together(book, view):
    """Not even SQL past our own code can write a forecast without an issue time, or the other way round."""
    book.append(estimates([0.1]), FIT, T0)
    columns = [c[0] for c in book._connection.execute("SELECT * FROM marginal_entries").description]
    kept = [c for c in columns if c not in ("entry_id", "view", "issued_us")]
    with pytest.raises(Exception, match="issue time"):
        book._connection.execute(
            f"INSERT INTO marginal_entries ({', '.join(kept)}, view, issued_us)"
            f" SELECT {', '.join(kept)}, ?, ? FROM marginal_entries",
            (view, None if view == "forecast" else 1),
        )


appends = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), min_size=1, max_size=3),
        st.none() | st.integers(1, 4),
        st.integers(-3, 3),
    ),
    min_size=2,
    max_size=8,
)


@given(appends)
def test_an_as_of_answer_is_never_changed_by_later_appends(store, steps):
    """Whatever is appended later, forecast or not, and however the clock jumps: what was answered stays the answer."""
    with Book(store.ledger()) as book:
        answered = []
        for shares, issue, minutes in steps:
            issued = None if issue is None else T0 - issue * 15 * MINUTE
            book.append(estimates(shares, issued), FIT, T0 + minutes * MINUTE)
            newest = max(
                row[0] for row in book._connection.execute("SELECT max(recorded_us) FROM marginal_entries")
            )
            known = datetime.fromtimestamp(0, T0.tzinfo) + timedelta(microseconds=newest)
            answers = (said(book, known), said(book, known, forecast=True),
                       book.forecasts("US-ERCO", as_of_utc=known))  # fmt: skip
            answered.append((known, answers))
            assert (said(book), said(book, forecast=True), book.forecasts("US-ERCO")) == answers
        for known, answers in answered:
            assert (said(book, known), said(book, known, forecast=True),
                    book.forecasts("US-ERCO", as_of_utc=known)) == answers  # fmt: skip


@given(appends)
def test_forecast_and_observed_never_mix(store, steps):
    """Every answer is of one view, and every chain of what superseded what is too."""
    with Book(store.ledger()) as book:
        for shares, issue, minutes in steps:
            issued = None if issue is None else T0 - issue * 15 * MINUTE
            book.append(estimates(shares, issued), FIT, T0 + minutes * MINUTE)
        for forecast in (False, True):
            for entry in book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression", forecast=forecast):
                views = {e.estimate.basis.view for e in book.history(Kind.MARGINAL, entry.entry_id)}
                assert views == {View.FORECAST if forecast else View.OBSERVED}
                assert (entry.issued_utc is not None) == forecast
        observed = [(s, m) for s, issue, m in steps if issue is None]
        assert set(said(book).values()) <= {m for s, _ in observed for m in estimates(s).mid.tolist()}
