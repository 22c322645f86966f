"""A recalibration is written whole or not at all, and a declared change stays declared."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gridmargin.interfaces.cli.app import GridChange as Choices
from gridmargin.ledger import Book, Declaration, GridChange, Recalibration
from gridmargin.vocab import InputError, Interval, Kind, View
from ledger.samples import FIT, T0, estimates, other_fit

HOUR = Interval.starting(T0, 3600)
NEW = other_fit(9)
RECORD = Recalibration(
    kind=Kind.MARGINAL, zone="US-ERCO", estimator="regression", reference="published x", event={"events": []},
    cause="coverage_low", reason="the range held 60 %", interval=HOUR, old_fit_id=FIT.fit_id, new_fit_id=NEW.fit_id,
    changes={"shares": {"old": 1, "new": 2}}, recorded_utc=T0 + timedelta(days=2),
)  # fmt: skip


@pytest.fixture
def book(store):
    with Book(store.ledger()) as opened:
        opened.append(estimates([0.1, 0.2, 0.3, 0.4]), FIT, T0)
        yield opened


def renewed():
    return estimates([0.2, 0.3, 0.4, 0.5], fit=NEW, view=View.HINDCAST)


def tables(book):
    names = ("fits", "recalibrations", "marginal_entries")
    return [book._connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names]


def test_every_superseding_entry_names_its_recalibration(book):
    """The record comes back as it was given, each entry links to it, and the old answer stands as known then."""
    number, n_new = book.recalibrate(RECORD, renewed(), NEW)
    assert n_new == 4
    assert book.recalibrations("US-ERCO") == [replace(RECORD, recalibration_id=number)]
    entries = book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression")
    assert [e.recalibration_id for e in entries] == [number] * 4
    assert [e.supersedes for e in entries] == [1, 2, 3, 4]
    old = book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression", T0 + timedelta(days=1))
    assert [e.recalibration_id for e in old] == [None] * 4
    assert book.recalibrations("US-ERCO", "fleet_curve") == book.recalibrations("DE") == []


def test_a_failed_recalibration_leaves_nothing_behind(book):
    """Neither the fit nor the record nor one of the entries."""
    before = tables(book)
    with pytest.raises(Exception, match=r"(?i)not.null"):
        book.recalibrate(RECORD, renewed(), NEW, payload_sha256s=["[]", "[]", "[]", None])
    assert tables(book) == before


def test_a_kill_in_the_middle_leaves_nothing_behind(store):
    """The process dies between the record and its entries; the next one finds the book as it was."""
    place = store.ledger()
    book = Book(place)
    book.append(estimates([0.1, 0.2, 0.3, 0.4]), FIT, T0)
    before = tables(book)
    code = """
import os, sys
from gridmargin.ledger import Book
from ledger.test_changes import NEW, RECORD, renewed
book = Book(sys.argv[1])
book._connection.insert = lambda *_: os._exit(9)
book.recalibrate(RECORD, renewed(), NEW)
"""
    where = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", code, str(place)],
        env={"PYTHONPATH": where},
        check=False,
        capture_output=True,
    )
    assert done.returncode == 9, done.stderr
    assert tables(book) == before
    book.close()
    with Book(place) as again:
        assert tables(again) == before
        assert again.recalibrate(RECORD, renewed(), NEW)[1] == 4


@pytest.mark.parametrize("table", ["recalibrations", "declarations"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET zone = 'x'", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_rewrite(book, table, statement):
    """Why something changed is as permanent as that it did."""
    book.recalibrate(RECORD, renewed(), NEW)
    book.declare(Declaration("US-ERCO", GridChange.FLEET, T0, "a plant closed", T0))
    with pytest.raises(Exception, match=r"append-only \(C9\)"):
        book._connection.execute(statement.format(table))


def test_a_declaration_said_twice_is_one_and_comes_in_order_of_time(book):
    """Two changes of one zone are told apart, and another zone knows of neither."""
    late = Declaration("US-ERCO", GridChange.FLEET, T0, "a plant closed", T0)
    early = Declaration("US-ERCO", GridChange.FUEL_PRICE, T0 - timedelta(days=9), "gas doubled", T0)
    assert book.declare(late) == book.declare(replace(late, recorded_utc=T0 + timedelta(days=1)))
    book.declare(early)
    assert [d.what for d in book.declarations("US-ERCO")] == [GridChange.FUEL_PRICE, GridChange.FLEET]
    assert book.declarations("US-ERCO")[1].recorded_utc == T0 + timedelta(microseconds=1)  # after the entries
    assert book.declarations("DE") == []


def test_neither_goes_without_words():
    """An empty note or reason is refused before anything is written."""
    with pytest.raises(InputError, match="note"):
        Declaration("US-ERCO", GridChange.FLEET, T0, "  ", T0)
    with pytest.raises(InputError, match="reason"):
        replace(RECORD, reason="")


def test_the_command_line_offers_what_the_ledger_knows():
    """The list that help shows is the ledger's own."""
    assert [c.value for c in Choices] == [c.value for c in GridChange]
