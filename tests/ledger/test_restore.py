"""Retired entries come back as they were, only from their file and only as the log says; and may be retired again."""

from datetime import timedelta

import pytest

from gridmargin.ledger import Asked, Book, Signer, audit_book, audit_export, export, restore, retire
from gridmargin.vocab import InputError, Interval, Kind, NotFoundError, TableError
from ledger.samples import FIT, T0, estimates

LATER = T0 + timedelta(days=100)
HOUR = Interval.starting(T0, 3600)
CUT = T0 + timedelta(minutes=30)


@pytest.fixture
def book(store, tmp_path):
    with Book(store.ledger(), Signer(tmp_path / "key.pem")) as opened:
        opened.append(estimates([0.1, 0.2, 0.3]), FIT, T0)
        opened.append(estimates([0.1, 0.5, 0.3]), FIT, T0 + timedelta(days=1))
        yield opened


def said(book, as_of=None):
    return book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression", as_of)


def test_what_was_retired_is_back_as_it_was(book, tmp_path):
    before, then = said(book), said(book, T0)
    retire(book, tmp_path / "old.parquet", CUT, LATER)
    assert len(said(book)) == 1
    size = len(book.log)
    restore(book, tmp_path / "old.parquet", LATER)
    assert (said(book), said(book, T0)) == (before, then)
    assert len(book.log) == size + 1  # word of it, and no second leaf for any entry
    assert book.retired() == []
    found = audit_book(book, book.signer.public())
    assert found.faults == []
    with pytest.raises(InputError, match="restored already"):
        restore(book, tmp_path / "old.parquet", LATER)
    export(book, tmp_path / "whole.parquet", Asked(), LATER)
    assert audit_export(tmp_path / "whole.parquet", book.signer.public()).holds


def test_what_goes_missing_after_that_is_missed(book, tmp_path):
    """The retirement no longer excuses a leaf without an entry."""
    retire(book, tmp_path / "old.parquet", CUT, LATER)
    restore(book, tmp_path / "old.parquet", LATER)
    book.connection.execute("DELETE FROM marginal_entries WHERE entry_id = 1")
    assert "marginal record 1 is gone: only its leaf is left" in audit_book(book, None).faults
    export(book, tmp_path / "whole.csv", Asked(), LATER)
    assert any(
        "no retirement says" in f for f in audit_export(tmp_path / "whole.csv", book.signer.public()).faults
    )


def test_entries_are_retired_again_and_restored_again(book, tmp_path):
    """Also together with ones that never were; each file holds what it says."""
    before = said(book)
    retire(book, tmp_path / "first.parquet", CUT, LATER)
    restore(book, tmp_path / "first.parquet", LATER)
    retire(book, tmp_path / "second.parquet", T0 + timedelta(hours=1), LATER)
    assert said(book) == []
    assert [one.file for one in book.retired()] == ["second.parquet"]
    assert audit_book(book, book.signer.public()).faults == []
    restore(book, tmp_path / "second.parquet", LATER)
    assert said(book) == before
    assert audit_book(book, book.signer.public()).faults == []


def test_no_other_file_is_put_back(book, tmp_path, store):
    retire(book, tmp_path / "old.csv", CUT, LATER)
    export(book, tmp_path / "other.csv", Asked(), LATER)
    with pytest.raises(NotFoundError, match=r"no retirement .* names other\.csv"):
        restore(book, tmp_path / "other.csv", LATER)
    text = (tmp_path / "old.csv").read_text()
    (tmp_path / "old.csv").write_text(text.replace("day", "night"))
    with pytest.raises(TableError, match="does not pass its audit, nothing was put back"):
        restore(book, tmp_path / "old.csv", LATER)
    (tmp_path / "old.csv").write_text(text)
    assert len(said(book)) == 1
    with Book(store.ledger(), book.signer) as stranger:
        stranger.append(estimates([0.1]), FIT, T0)
        with pytest.raises(NotFoundError):
            restore(stranger, tmp_path / "old.csv", LATER)


def test_an_entry_that_was_not_retired_cannot_be_put_in_again(book, tmp_path):
    """Nor one that was, before its restoration stands in the ledger."""
    retire(book, tmp_path / "old.parquet", CUT, LATER)
    columns = "zone, start_s, interval_s, estimator, estimator_version, horizon, gases, boundary, view, " + ", ".join(
        f"marginal_{end}_gco2_per_kwh" for end in ("low", "mid", "high")
    ) + ", sources, conditions, regime, status, fit_id, payload_sha256s, entry_sha256, recorded_us"  # fmt: skip
    row = book.connection.execute(f"SELECT {columns} FROM marginal_entries LIMIT 1").fetchone()
    with pytest.raises(Exception, match=r"append-only \(C9\)"):
        book.connection.insert_as_was("marginal_entries", ["entry_id", *columns.split(", ")], [(1, *row)])


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_the_same_entries_are_retired_again_and_restored_again(book, tmp_path, ending):
    """The second file holds the same rows as the first, down to the last byte: its retirement is the one that stands."""
    before = said(book)
    for name in ("first", "second"):
        file = tmp_path / f"{name}.{ending}"
        retire(book, file, CUT, LATER)
        assert len(said(book)) == 1
        restore(book, file, LATER)
        assert said(book) == before
    assert audit_book(book, book.signer.public()).faults == []
    with pytest.raises(InputError, match="restored already"):
        restore(book, tmp_path / f"first.{ending}", LATER)
