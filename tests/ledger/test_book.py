"""The ledger says what it said, for ever."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.ledger import Book
from gridmargin.marginal import AverageEstimate, Estimates, Fit, MarginalEstimate
from gridmargin.vocab import Basis, InputError, Interval, Kind, MixedKindsError, NotFoundError, TableError

T0 = datetime(2020, 7, 15, 18, tzinfo=UTC)
HOUR = Interval.starting(T0, 3600)
FIT = Fit(
    "regression",
    "1",
    "US-ERCO",
    datetime(2019, 7, 1, tzinfo=UTC),
    datetime(2020, 7, 1, tzinfo=UTC),
    35_000,
    {"half_life_days": 30.5},
)


def estimates(shares, *, kind=Kind.MARGINAL, fit=FIT, width=0.2):
    p = np.array([[s, 1 - s] for s in shares])
    f = np.tile([1000.1, 450.7], (len(shares), 1))
    mid = np.einsum("nk,nk->n", p, f)
    n = len(shares)
    return Estimates(
        zone="US-ERCO",
        interval_s=900,
        start_epoch_s=np.arange(n) * 900 + int(T0.timestamp()),
        low=mid * (1 - width),
        mid=mid,
        high=mid * (1 + width),
        source_names=("coal", "gas"),
        source_probability=p,
        source_factor=f,
        regime=np.array(["day"] * n),
        status=np.array(["reported"] * n),
        basis=Basis(kind),
        estimator=fit.estimator,
        estimator_version="1",
        fit_id=fit.fit_id,
    )


@pytest.fixture
def book(store):
    with Book(store.ledger()) as opened:
        yield opened


def said(book, as_of=None):
    return book.covering(Kind.MARGINAL, "US-ERCO", HOUR, "regression", as_of_utc=as_of).mid.tolist()


def test_what_was_known_then_can_be_asked_for_after_a_revision(book):
    """Before the revision the first factors stand, after it the new ones; the old answer never changes."""
    first, second = estimates([0.1, 0.2, 0.3, 0.4]), estimates([0.1, 0.25, 0.3, 0.4])
    book.append(first, FIT, T0 + timedelta(hours=1))
    before = said(book)
    book.append(second, FIT, T0 + timedelta(days=40))
    assert said(book) == second.mid.tolist()
    assert said(book, T0 + timedelta(days=39)) == before == first.mid.tolist()
    assert said(book, T0) == []


def test_a_revision_supersedes_only_what_changed(book):
    """One interval of four changed: one new entry, which names the entry it supersedes."""
    book.append(estimates([0.1, 0.2, 0.3, 0.4]), FIT, T0)
    assert book.append(estimates([0.1, 0.2, 0.3, 0.5]), FIT, T0 + timedelta(days=1)) == 1
    newest = book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression")[-1]
    older = book.history(Kind.MARGINAL, newest.entry_id)[1]
    assert newest.supersedes == older.entry_id == 4
    assert older.supersedes is None


def test_saying_the_same_twice_is_saying_it_once(book):
    """Appending is idempotent: the same words are not written again."""
    assert book.append(estimates([0.1, 0.2]), FIT, T0) == 2
    assert book.append(estimates([0.1, 0.2]), FIT, T0 + timedelta(days=1)) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE marginal_entries SET status = 'x'",
        "DELETE FROM marginal_entries",
        "DELETE FROM fits",
        "INSERT INTO fits SELECT * FROM fits WHERE true ON CONFLICT (fit_id) DO UPDATE SET zone = 'x'",
    ],
)
def test_the_database_itself_refuses_to_rewrite(book, statement):
    """Not even SQL past our own code can change or remove a row."""
    book.append(estimates([0.1]), FIT, T0)
    with pytest.raises(Exception, match=r"append-only \(C9\)"):
        book._connection.execute(statement)
    assert len(said(book)) == 1


def test_marginal_and_average_live_in_tables_that_never_meet(book):
    """An average entry is found under its own kind, in its own type and column, and cannot be added to a marginal one."""
    average_fit = replace(FIT, estimator="average")
    book.append(estimates([0.1]), FIT, T0)
    book.append(estimates([0.3], kind=Kind.AVERAGE, fit=average_fit), average_fit, T0)
    marginal = book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression")[0].estimate
    average = book.entries(Kind.AVERAGE, "US-ERCO", HOUR, "average")[0].estimate
    assert type(marginal) is MarginalEstimate
    assert type(average) is AverageEstimate
    for combine in (lambda a, b: a + b, lambda a, b: a < b, lambda a, b: a - b, lambda a, b: sum([a, b])):
        with pytest.raises(MixedKindsError, match="C3"):
            combine(marginal, average)
    columns = {c[0] for c in book._connection.execute("SELECT * FROM marginal_entries").description}
    assert "marginal_mid_gco2_per_kwh" in columns
    assert not any("average" in column for column in columns)


@given(shares=st.lists(st.floats(0, 1), min_size=1, max_size=6), width=st.floats(0, 0.9))
def test_an_entry_gives_back_every_digit(store, shares, width):
    """Factors, probabilities and ranges come back bit for bit."""
    given_in = estimates(shares, width=width)
    with Book(store.ledger()) as book:
        book.append(given_in, FIT, T0)
        entries = book.entries(
            Kind.MARGINAL, "US-ERCO", Interval.starting(T0, 900 * len(shares)), "regression"
        )
        assert book.fit(FIT.fit_id) == FIT
    assert [e.estimate.factor_gco2_per_kwh.mid for e in entries] == given_in.mid.tolist()
    assert [e.estimate.factor_gco2_per_kwh.low for e in entries] == given_in.low.tolist()
    assert [
        [s.probability for s in e.estimate.sources] for e in entries
    ] == given_in.source_probability.tolist()


def test_only_intervals_that_touch_are_given(book):
    """Half-open: an interval that ends where the question begins is not part of the answer (C1)."""
    book.append(estimates([0.1, 0.2, 0.3, 0.4]), FIT, T0)
    asked = Interval.starting(T0 + timedelta(minutes=15), 900)
    assert book.covering(Kind.MARGINAL, "US-ERCO", asked, "regression").entry_id.tolist() == [2]


def test_a_failed_append_leaves_nothing_behind(book):
    """A write that fails half-way is rolled back whole."""
    bad = estimates([0.1, 0.2])
    with pytest.raises(Exception, match=r"(?i)not.null"):
        book.append(bad, FIT, T0, payload_sha256s=["[]", None])
    assert said(book) == []
    assert book.append(bad, FIT, T0) == 2


def test_estimates_must_come_with_their_own_fit(book):
    """An entry whose fit is another could not be explained."""
    with pytest.raises(TableError, match="come from fit"):
        book.append(estimates([0.1]), replace(FIT, n_train=1), T0)


def test_unknown_entries_and_fits_are_named(book):
    """The message says what was looked for and where."""
    with pytest.raises(NotFoundError, match="no marginal entry 7"):
        book.entry(Kind.MARGINAL, 7)
    with pytest.raises(NotFoundError, match="no fit abc"):
        book.fit("abc")


def test_a_file_that_is_no_ledger_is_left_alone(tmp_path):
    """One message, and the file keeps its bytes."""
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database at all, but long enough to look at")
    with pytest.raises(InputError, match="not a gridmargin ledger"):
        Book(path)
    assert path.read_bytes().startswith(b"not a database")


def test_a_ledger_from_a_newer_version_is_refused(store):
    """We do not write into a schema we do not know."""
    path = store.ledger()
    with Book(path) as book:
        book._connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(InputError, match="newer than"):
        Book(path)


def test_a_clock_set_back_changes_no_earlier_answer(book):
    """What is written after another thing is known after it, whatever the clock says."""
    book.append(estimates([0.1]), FIT, T0 + timedelta(hours=5))
    then = T0 + timedelta(hours=4)
    assert said(book, then) == []
    book.append(estimates([0.2]), FIT, T0 + timedelta(hours=3))
    assert said(book, then) == []
    assert said(book) == estimates([0.2]).mid.tolist()
    assert book.append(estimates([0.2]), FIT, T0 + timedelta(hours=3)) == 0


def test_entries_of_two_sources_stand_side_by_side(book):
    """One never supersedes the other, each is counted and given by its own name, and unnamed they are not mixed."""
    book.append(estimates([0.1]), FIT, T0, source="reference")
    book.append(estimates([0.2]), FIT, T0, source="eia930")
    for source, share in (("reference", 0.1), ("eia930", 0.2)):
        found = book.covering(Kind.MARGINAL, "US-ERCO", HOUR, "regression", source=source)
        assert found.mid.tolist() == estimates([share]).mid.tolist()
        assert (
            book.count(Kind.MARGINAL, "US-ERCO", HOUR, "regression", FIT.estimator_version, 900, source) == 1
        )
    assert sorted(e.source for e in book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression")) == [
        "eia930",
        "reference",
    ]
    with pytest.raises(TableError, match="eia930, reference"):
        said(book)
    assert book.count(Kind.MARGINAL, "US-ERCO", HOUR, "regression", "another version", 900, "eia930") == 0
