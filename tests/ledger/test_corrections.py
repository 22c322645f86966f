"""A clock that ran ahead: what it wrote is told, true times go on after a correction, and no order is broken."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridmargin.ledger import Book, Signer, audit_book, n_new_since, restated
from gridmargin.ledger.rows import moment_of
from gridmargin.vocab import InputError, Interval, Kind
from ledger.samples import FIT, T0, estimates
from ledger_store import in_files

HOUR = Interval.starting(T0, 3600)
YEAR = timedelta(days=365)


@pytest.fixture
def book(store, tmp_path):
    with Book(store.ledger(), Signer(tmp_path / "key.pem")) as opened:
        yield opened


def mid(book, as_of=None):
    return book.covering(Kind.MARGINAL, "US-ERCO", HOUR, "regression", as_of_utc=as_of).mid.tolist()


def shares(*values):
    return estimates(values).mid.tolist()


def test_times_go_on_from_the_correction_and_every_earlier_answer_stands(book):
    """Right at day 0, a year ahead at day 1, corrected at day 3, right again at day 4."""
    day = [T0 + timedelta(days=n) for n in range(6)]
    book.append(estimates([0.1]), FIT, day[0])
    book.append(estimates([0.2]), FIT, day[1] + YEAR)
    assert audit_book(book, None, now_utc=day[1]).notes[0].startswith("the newest record bears 2021-07-16")
    assert audit_book(book, None, now_utc=day[1] + YEAR).notes == []
    as_of_day_2 = mid(book, day[2])
    book.append(estimates([0.3]), FIT, day[2])  # still behind the newest record: only an order, no moment
    assert book.correct_clock(day[3], "the board's battery was empty") == 1
    book.append(estimates([0.4]), FIT, day[4])
    entry = book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression")[0]
    assert entry.recorded_utc == day[4]
    assert mid(book, day[0]) == shares(0.1)
    assert mid(book, day[2]) == as_of_day_2 == shares(0.1)
    assert mid(book, day[3]) == shares(0.3)  # known by then, whatever times they bear
    assert mid(book, day[4]) == mid(book, day[1] + YEAR) == mid(book) == shares(0.4)
    found = restated(book, Kind.MARGINAL, day[3]).frame
    assert found.select("old_mid", "new_mid").rows() == [(shares(0.3)[0], shares(0.4)[0])]
    assert n_new_since(book, Kind.MARGINAL, day[3]) == 0
    told = audit_book(book, book.signer.public(), now_utc=day[5])
    assert told.faults == []
    assert told.notes == [str(book.corrections()[0])]
    assert "battery" in told.notes[0]


def test_forecasts_follow_the_same_order(book):
    book.append(estimates([0.1], T0), FIT, T0 + YEAR)
    book.correct_clock(T0 + timedelta(days=1), "ahead")
    book.append(estimates([0.2], T0), FIT, T0 + timedelta(days=2))
    assert [e.estimate.factor_gco2_per_kwh.mid for e in book.newest_issue("US-ERCO")] == shares(0.2)
    then = book.forecasts("US-ERCO", as_of_utc=T0 + timedelta(days=1))
    assert [e.estimate.factor_gco2_per_kwh.mid for e in then] == shares(0.1)
    assert book.forecasts("US-ERCO", as_of_utc=T0) == []


def test_there_must_be_something_to_correct_and_a_word_why(book):
    book.append(estimates([0.1]), FIT, T0)
    with pytest.raises(InputError, match="no record lies ahead"):
        book.correct_clock(T0, "nothing happened")
    with pytest.raises(InputError, match="needs a note"):
        book.correct_clock(T0 - YEAR, " ")
    assert book.corrections() == []


def test_a_correction_is_sealed_and_cannot_be_changed(book):
    book.append(estimates([0.1]), FIT, T0 + YEAR)
    book.correct_clock(T0, "ahead")
    assert book.log.inclusion("correction", 1).leaf_index == 1
    with pytest.raises(Exception, match=r"append-only \(C9\)"):
        book.connection.execute("UPDATE clock_corrections SET marginal_id = 0")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(steps=st.lists(st.sampled_from(["write", "ahead", "correct"]), min_size=1, max_size=12))
def test_as_of_a_true_moment_is_what_stood_at_that_moment_or_what_was_dated_by_then(tmp_path_factory, steps):
    """Whatever the clock did, an answer as of the last correction or later is the newest entry written by then, and an
    answer once given for a moment of the past never changes."""
    with Book(in_files(lambda: tmp_path_factory.mktemp("c")).ledger()) as book:
        true, given = T0, {}
        for n, step in enumerate(steps):
            true += timedelta(days=1)
            if step == "correct":
                newest = book.newest_utc()
                if newest is not None and newest > true:
                    book.correct_clock(true, "ahead")
                    assert mid(book, true) == mid(book)
            else:
                book.append(
                    estimates([(n + 1) / 20]), FIT, true + (YEAR if step == "ahead" else timedelta(0))
                )
                assert mid(book) == shares((n + 1) / 20)
            for moment, answer in given.items():
                assert mid(book, moment) == answer
            given[true - timedelta(hours=1)] = mid(book, true - timedelta(hours=1))
        rows = book.connection.execute(
            "SELECT recorded_us FROM marginal_entries ORDER BY entry_id"
        ).fetchall()
        cuts = [c.recorded_utc for c in book.corrections()]
        backwards = sum(a > b for (a,), (b,) in pairwise(rows))
        assert backwards <= len(cuts)
        assert all(moment_of(row[0]) >= T0 for row in rows)
