"""A copied ledger is the same ledger: on the other store too, and whatever was done in it before."""

from datetime import timedelta

import pytest

from gridmargin.ledger import (
    Book,
    Declaration,
    GridChange,
    PayloadNote,
    Signer,
    audit_book,
    copy,
    restore,
    retire,
)  # fmt: skip
from gridmargin.ledger.copied import TABLES
from gridmargin.vocab import InputError, Kind, TableError
from ledger import test_migrations
from ledger.samples import FIT, T0, estimates
from ledger.test_log import pulled_apart
from ledger_store import in_files

LATER = T0 + timedelta(days=100)


@pytest.fixture
def signer(tmp_path):
    return Signer(tmp_path / "key.pem")


def filled(place, signer, tmp_path):
    """A ledger in which everything was done once."""
    with Book(place, signer) as book:
        book.append(estimates([0.1, 0.2, 0.3]), FIT, T0)
        book.append(estimates([0.1, 0.4, 0.3], T0), FIT, T0)
        book.note_payload(PayloadNote("ab" * 32, "reference", "a table", T0), 7)
        book.declare(Declaration("US-ERCO", GridChange.FLEET, T0, "a plant closed", T0))
        retire(book, tmp_path / "old.parquet", T0 + timedelta(hours=2), LATER)
        book.append(estimates([0.5], start=LATER), FIT, LATER + timedelta(days=400))
        book.correct_clock(LATER + timedelta(days=1), "the clock ran ahead")
    return place


def everything(book):
    return {
        table: [
            tuple(bytes(v) if isinstance(v, memoryview) else v for v in row)
            for row in book.connection.execute(f"SELECT {columns} FROM {table} ORDER BY {key}")
        ]
        for table, (key, columns) in TABLES.items()
    }


def places(store, tmp_path, direction):
    files = in_files(lambda: tmp_path)
    return (files.ledger(), store.empty()) if direction == "to" else (store.ledger(), files.ledger())


@pytest.mark.parametrize("direction", ["to", "from"])
def test_every_row_comes_over_and_the_ledger_goes_on(store, tmp_path, signer, direction):
    """From a file to each store and back: all tables equal, the same heads, and the next records under the next ids."""
    old_place, new_place = places(store, tmp_path, direction)
    with Book(filled(old_place, signer, tmp_path), signer) as old, Book(new_place, signer) as new:
        found = copy(old, new, signer.public())
        assert everything(new) == everything(old)
        assert found.root == new.log.root() == old.log.root()
        assert audit_book(new, signer.public()).faults == []
        n_before = len(new.log)
        # All but one entry was retired: an id that was used once is not used again.
        for book in (old, new):
            assert book.append(estimates([0.9], start=LATER + timedelta(days=3)), FIT, LATER) == 1
            book.note_payload(PayloadNote("cd" * 32, "reference", "another", LATER), 8)
        assert len(new.log) == n_before + 2
        assert new.head() == old.head()
        restore(new, tmp_path / "old.parquet", LATER)
        assert audit_book(new, signer.public()).faults == []


def test_a_forecast_from_before_issue_times_comes_over(tmp_path, store, monkeypatch):
    """Today's ledger lets no forecast in without its issue time; one that stood before that rule comes over as it is."""
    with Book(test_migrations.begun_at(tmp_path / "a.sqlite", "0001", view="forecast")) as book:
        monkeypatch.setattr(test_migrations, "HASHES", [book.hashed_again(Kind.MARGINAL, n) for n in (1, 2)])
    place = test_migrations.begun_at(tmp_path / "b.sqlite", "0001", view="forecast")
    columns = TABLES["marginal_entries"][1].removeprefix("entry_id, ")
    with Book(place) as old, Book(store.empty()) as new:
        copy(old, new)
        assert everything(new) == everything(old)
        with pytest.raises(Exception, match=r"issue time \(C3\)"):  # and the rule stands again
            new.connection.execute(
                f"INSERT INTO marginal_entries ({columns}) SELECT {columns} FROM marginal_entries"
            )


def test_nothing_is_copied_onto_a_ledger_or_from_an_altered_one(store, tmp_path, signer):
    place = filled(tmp_path / "a.sqlite", signer, tmp_path)
    with Book(place, signer) as old, Book(store.ledger(), signer) as new:
        new.append(estimates([0.1]), FIT, T0)
        before = everything(new)
        with pytest.raises(InputError, match="is not empty"):
            copy(old, new)
        assert everything(new) == before
    pulled_apart(place, "UPDATE marginal_entries SET regime = 'night'")
    with Book(place, signer) as old, Book(store.empty(), signer) as new:
        with pytest.raises(TableError, match="nothing was kept of it"):
            copy(old, new)
        assert not any(everything(new).values())
        assert len(new.log) == 0


def test_an_empty_ledger_is_not_copied(store, tmp_path):
    with Book(tmp_path / "e.sqlite") as old, Book(store.empty()) as new:
        with pytest.raises(InputError, match="nothing to copy"):
            copy(old, new)
        assert new.estimators(Kind.MARGINAL, "US-ERCO") == []
