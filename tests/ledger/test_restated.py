"""What the book says differently now is what a comparison of both answers, as known then and now, gives."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.ledger import Book, n_new_since, restated
from gridmargin.vocab import Interval, Kind
from ledger.samples import FIT, T0, estimates, other_fit

DAY = Interval.starting(T0, 86_400)


@pytest.fixture
def book(store):
    with Book(store.ledger()) as opened:
        yield opened


def test_only_what_changed_since_then_is_a_restatement(book):
    book.append(estimates([0.1, 0.2, 0.3]), FIT, T0)
    book.append(estimates([0.1, 0.4, 0.3, 0.5]), FIT, T0 + timedelta(days=1))
    found = restated(book, Kind.MARGINAL, T0 + timedelta(hours=1))
    assert n_new_since(book, Kind.MARGINAL, T0 + timedelta(hours=1)) == 1
    assert found.frame.select("old_id", "new_id").rows() == [(2, 4)]
    assert found.frame["change_mid"][0] == pytest.approx(0.2 * (1000.1 - 450.7))
    assert restated(book, Kind.MARGINAL, T0 + timedelta(days=1)).frame.height == 0
    assert restated(book, Kind.AVERAGE, T0).frame.height == 0
    assert n_new_since(book, Kind.MARGINAL, T0, "US-CISO") == 0


def test_each_change_says_why(book):
    refit = other_fit(36_000)
    book.append(estimates([0.1, 0.2]), FIT, T0, payload_sha256s=['["a"]', '["a"]'])
    book.append(estimates([0.3, 0.2]), FIT, T0 + timedelta(days=1), payload_sha256s=['["b"]', '["a"]'])
    book.append(
        estimates([0.3, 0.4], fit=refit), refit, T0 + timedelta(days=2), payload_sha256s=['["b"]', '["a"]']
    )
    assert restated(book, Kind.MARGINAL, T0).frame["why"].to_list() == [
        "the publisher's tables were revised", "fitted anew",
    ]  # fmt: skip


@given(
    versions=st.lists(
        st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=5, max_size=5), min_size=1, max_size=5
    ),
    data=st.data(),
)
@settings(deadline=None, max_examples=40)
def test_it_is_the_difference_of_two_answers(store, versions, data):
    moment = T0 + timedelta(days=data.draw(st.integers(0, len(versions) - 1)), hours=1)
    with Book(store.ledger()) as book:
        for day, shares in enumerate(versions):
            book.append(estimates(shares), FIT, T0 + timedelta(days=day))
        then = book.covering(Kind.MARGINAL, "US-ERCO", DAY, "regression", as_of_utc=moment)
        now = book.covering(Kind.MARGINAL, "US-ERCO", DAY, "regression")
        rows = restated(book, Kind.MARGINAL, moment).frame
    pairs = [(int(a), int(b)) for a, b in zip(then.entry_id, now.entry_id, strict=True) if a != b]
    assert rows.select("old_id", "new_id").rows() == pairs


def test_pages_hold_together_what_one_answer_holds(book):
    """Each page follows so many entries and says where to go on; an entry that is new since then takes room and is not told."""
    book.append(estimates([0.1] * 6), FIT, T0)
    book.append(estimates([0.2] * 9), FIT, T0 + timedelta(days=1))
    book.append(estimates([0.3] * 9), FIT, T0 + timedelta(days=2))
    whole = restated(book, Kind.MARGINAL, T0).frame
    assert whole.height == 6
    for limit in (1, 2, 4, 9):
        pages, after = [], 0
        while True:
            page = restated(book, Kind.MARGINAL, T0, after_id=after, limit=limit)
            assert page.frame.height <= limit
            pages += page.frame.rows()
            if page.next_id is None:
                break
            after = page.next_id
        assert pages == whole.rows()
