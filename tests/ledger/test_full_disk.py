"""A ledger whose disk is full: the append fails whole and in one word, and works when there is room again."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridmargin.ledger import Book, Signer, audit_book
from gridmargin.vocab import DiskFullError, Interval, Kind
from ledger.samples import FIT, T0, estimates

AT = T0.replace(year=2021)
MANY = np.linspace(0, 1, 400)


def everything(book):
    """Give every row and head as they are."""
    rows = book.connection.execute("SELECT * FROM marginal_entries ORDER BY entry_id").fetchall()
    return rows, book.log.heads()


def limited(book, n_pages):
    """Let the file have no more than so many pages beyond those that it has."""
    (count,) = book.connection.execute("PRAGMA page_count").fetchone()
    book.connection.execute(f"PRAGMA max_page_count = {count + n_pages}")


def test_a_full_disk_takes_nothing_and_the_same_append_works_later(tmp_path):
    """What was acknowledged stays, nothing of the rest is there, and the audit holds before and after."""
    signer = Signer(tmp_path / "key")
    with Book(tmp_path / "ledger.sqlite", signer) as book:
        book.append(estimates([0.1, 0.9]), FIT, AT)
        before = everything(book)
        limited(book, 0)
        for _ in range(2):
            with pytest.raises(DiskFullError, match=r"ledger\.sqlite.*; free some space"):
                book.append(estimates(MANY), FIT, AT)
            assert everything(book) == before
        assert audit_book(book, signer.public()).holds
        book.connection.execute("PRAGMA max_page_count = 1000000")
        assert book.append(estimates(MANY), FIT, AT) == 400
        assert audit_book(book, signer.public()).holds
    with Book(tmp_path / "ledger.sqlite", signer) as book:
        found = book.covering(Kind.MARGINAL, "US-ERCO", Interval.starting(T0, 900 * 400), "regression")
        assert len(found.mid) == 400
        assert audit_book(book, signer.public()).holds


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(n_pages=st.integers(0, 60))
def test_wherever_the_disk_ends_it_is_all_or_nothing(tmp_path_factory, n_pages):
    """However far the write came before there was no room."""
    folder = tmp_path_factory.mktemp("full")
    signer = Signer(folder / "key")
    with Book(folder / "ledger.sqlite", signer) as book:
        book.append(estimates([0.1, 0.9]), FIT, AT)
        before = everything(book)
        limited(book, n_pages)
        try:
            n = book.append(estimates(MANY), FIT, AT)
        except DiskFullError:
            assert everything(book) == before
        else:
            assert len(everything(book)[0]) == 2 + n
        assert audit_book(book, signer.public()).holds
