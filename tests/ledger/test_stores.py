"""SQLite and PostgreSQL say the same in the same words, and each refuses what would change a word."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.ledger import Book, Declaration, GridChange, PayloadNote, audit_book, restated
from gridmargin.vocab import InputError, Interval, Kind
from ledger.samples import FIT, T0, estimates
from ledger.test_changes import NEW, RECORD, renewed
from ledger_store import bare

HOUR = Interval.starting(T0, 3600)
MINUTE = timedelta(minutes=1)


def everything(book):
    """Give all that a book says, in an order and with ids of its own."""
    view = {"kind": Kind.MARGINAL, "zone": "US-ERCO", "interval": HOUR, "estimator": "regression"}
    moments = [None, *(T0 + n * MINUTE for n in (-4, -1, 1, 3, 60))]
    return {
        "root": book.log.root(),
        "restated": restated(book, Kind.MARGINAL, T0 + MINUTE).frame.rows(),
        "faults": audit_book(book, None).faults,
        "digest": book.digest(**view, interval_s=900, source=""),
        "known": [
            book.entries(**view, as_of_utc=moment, forecast=forecast)
            for moment in moments
            for forecast in (False, True)
        ],
        "issues": [book.forecasts("US-ERCO", as_of_utc=moment) for moment in moments],
        "judged": [book.judged(**view, first=first).rows() for first in (False, True)],
        "extent": book.extent(Kind.MARGINAL, "US-ERCO", "regression"),
        "recalibrations": book.recalibrations("US-ERCO"),
        "declarations": book.declarations("US-ERCO"),
        "lists": (book.zones(), book.estimators(Kind.MARGINAL, "US-ERCO"), book.has_payload("ab")),
        "count": book.count(Kind.MARGINAL, "US-ERCO", HOUR, "regression", "1", 900, ""),
    }


@pytest.mark.postgresql
def test_both_stores_say_the_same(tmp_path, postgresql):
    """Appended, superseded, forecast, recalibrated and declared: every answer, id and hash is equal."""
    said = []
    for place in (tmp_path / "ledger.sqlite", postgresql.new_ledger()):
        with Book(place) as book:
            book.append(estimates([0.1, 0.2, 0.3, 0.4]), FIT, T0)
            book.append(estimates([0.1, 0.25, 0.3, 0.4]), FIT, T0 + MINUTE)
            book.append(estimates([0.7, 0.6], T0 - 5 * MINUTE), FIT, T0 + 2 * MINUTE)
            book.append(estimates([0.6, 0.6], T0 - MINUTE), FIT, T0 + 3 * MINUTE)
            book.append_all([(estimates(list(np.linspace(0, 1, 30))), FIT)], T0 + 4 * MINUTE)
            book.recalibrate(RECORD, renewed(), NEW)
            book.declare(Declaration("US-ERCO", GridChange.FLEET, T0, "größer: 100 % more ?", T0))
            for _ in range(2):
                book.note_payload(PayloadNote("ab", "reference", "x", T0), 7)
            said.append(everything(book))
            assert len(book.recalibrations("US-ERCO")) == 1
    assert said[0] == said[1]
    assert said[0]["known"][0] != []


shares = st.lists(st.floats(0, 1), min_size=1, max_size=12)  # both the short and the long way into PostgreSQL
steps = st.lists(st.tuples(shares, st.none() | st.integers(1, 4), st.integers(-3, 3)), min_size=1, max_size=4)


@pytest.mark.postgresql
@settings(max_examples=15)
@given(steps=steps)
def test_both_stores_say_the_same_of_anything(tmp_path_factory, postgresql, steps):
    """Whatever was appended, in whatever order and by whatever clock."""
    said = []
    for place in (tmp_path_factory.mktemp("book") / "ledger.sqlite", postgresql.new_ledger()):
        with Book(place) as book:
            new = [
                book.append(
                    estimates(list(s), None if issue is None else T0 - issue * 15 * MINUTE),
                    FIT,
                    T0 + m * MINUTE,
                )
                for s, issue, m in steps
            ]
            said.append((new, everything(book)))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO marginal_entries SELECT * FROM marginal_entries",
        "INSERT OR REPLACE INTO fits SELECT * FROM fits",
        "INSERT OR REPLACE INTO declarations SELECT * FROM declarations",
        "INSERT OR REPLACE INTO log_leaves SELECT * FROM log_leaves",
        "INSERT OR REPLACE INTO log_leaves SELECT 9, kind, record_id, leaf_sha256 FROM log_leaves",
    ],
)
def test_sqlite_refuses_its_own_ways_to_rewrite(tmp_path, statement):
    """SQLite can replace a row by inserting another."""
    with Book(tmp_path / "ledger.sqlite") as book:
        refuses(book, statement)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE marginal_entries CASCADE",
        "TRUNCATE payloads",
        "TRUNCATE log_leaves, log_nodes, log_heads, log_cosignatures",
        "TRUNCATE fits, recalibrations, marginal_entries, average_entries",
        "DELETE FROM payloads WHERE sha256 = 'of no row'",
        "INSERT INTO marginal_entries OVERRIDING SYSTEM VALUE SELECT * FROM marginal_entries"
        " ON CONFLICT (entry_id) DO UPDATE SET regime = 'x'",
        "MERGE INTO fits USING payloads ON true WHEN MATCHED THEN DELETE",
    ],
)
def test_postgresql_refuses_its_own_ways_to_rewrite(postgresql, statement):
    """PostgreSQL can empty a table, merge, and update what it was to insert."""
    with Book(postgresql.new_ledger()) as book:
        refuses(book, statement)


def refuses(book, statement):
    book.append(estimates([0.1]), FIT, T0)
    book.declare(Declaration("US-ERCO", GridChange.FLEET, T0, "a plant closed", T0))
    before = everything(book)
    with pytest.raises(Exception, match=r"append-only \(C9\)"):
        book._connection.execute(statement)
    assert everything(book) == before


@pytest.mark.parametrize("n", [1, 12])
@pytest.mark.parametrize("value", [-0.0, 5e-324, 0.1 + 0.2, 1e22])
def test_a_factor_comes_back_bit_for_bit_however_many_rows_there_are(store, n, value):
    """Also the smallest number of all, and a negative zero: what was hashed is what stands there."""
    flat = np.full(n, value)
    like = estimates([1.0] * n)
    factors = np.full(like.source_factor.shape, value)
    said = replace(like, low=flat, mid=flat, high=flat, source_factor=factors)
    with Book(store.ledger()) as book:
        book.append(said, FIT, T0)
        found = book.covering(Kind.MARGINAL, "US-ERCO", Interval.starting(T0, 900 * n), "regression")
        assert found.mid.tobytes() == (flat + 0.0).tobytes()  # a negative zero is written as zero
        assert audit_book(book, None).faults == []


def test_a_note_may_be_long(store):
    """A declaration's words are compared in full, however many they are."""
    words = "".join(map(chr, np.random.default_rng(1).integers(0x4E00, 0x9000, 20_000)))
    said = Declaration("US-ERCO", GridChange.FLEET, T0, words, T0)
    with Book(store.ledger()) as book:
        number = book.declare(said)
        assert book.declare(said) == number
        assert book.declare(replace(said, note=words + "!")) > number
        assert [d.note for d in book.declarations("US-ERCO")] == [words, words + "!"]


def test_a_transaction_does_not_begin_within_another(store):
    """What the inner one committed, the outer one could not take back."""
    with Book(store.ledger()) as book:
        with pytest.raises(Exception, match="within a transaction"), book._connection.transaction():
            book.append(estimates([0.1]), FIT, T0)
        assert book.zones() == []
        assert book.append(estimates([0.1]), FIT, T0) == 1


@pytest.mark.postgresql
def test_a_statement_that_failed_unnoticed_is_not_committed_in_silence(postgresql):
    """PostgreSQL answers COMMIT with ROLLBACK then; that is an error here."""
    with Book(postgresql.new_ledger()) as book:
        with (
            pytest.raises(Exception, match="not committed"),
            book._connection.transaction(),
            pytest.raises(Exception, match="no_such_table"),
        ):
            book._connection.execute("SELECT * FROM no_such_table")
        assert book.append(estimates([0.1]), FIT, T0) == 1


@pytest.mark.postgresql
def test_who_waits_too_long_for_another_writer_is_told(postgresql, monkeypatch):
    """Nothing was written, and it can be tried again."""
    from gridmargin.ledger.store import postgres

    place = postgresql.new_ledger()
    monkeypatch.setattr(postgres, "_SETTINGS", postgres._SETTINGS.replace("30s", "100ms"))
    with Book(place) as first, Book(place) as second:
        with first._connection.transaction(), pytest.raises(InputError, match="others are writing"):
            second.append(estimates([0.1]), FIT, T0)
        assert second.append(estimates([0.1]), FIT, T0) == 1


@pytest.mark.postgresql
def test_a_book_outlives_its_connection(postgresql):
    """The server lets go of everybody, as when it is started anew: the next question and the next append go on."""
    place = postgresql.new_ledger()
    drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gridmargin'"
    with Book(place) as book:
        book.append(estimates([0.1]), FIT, T0)
        postgresql.run(drop)
        assert book.zones() == ["US-ERCO"]
        postgresql.run(drop)
        assert book.append(estimates([0.2]), FIT, T0) == 1
        book._put_fit = lambda *_: postgresql.run(drop)  # in the middle of an append
        with pytest.raises(Exception, match=r"terminat|closed"):
            book.append(estimates([0.3]), FIT, T0)
        del book._put_fit
        assert book.append(estimates([0.3]), FIT, T0) == 1


@pytest.mark.postgresql
def test_times_are_found_by_index(postgresql):
    """A bound that is a whole number of seconds reaches the index as one, so a long book is not read through."""
    with Book(postgresql.new_ledger()) as book:
        book.append(estimates(list(np.linspace(0, 1, 2000))), FIT, T0)
        connection = book._connection
        connection.execute("ANALYZE marginal_entries")
        plan = connection.execute(
            "EXPLAIN SELECT entry_id FROM marginal_entries WHERE zone = ? AND estimator = ? AND start_s < ? AND start_s > ?",
            ("US-ERCO", "regression", HOUR.end_utc.timestamp(), HOUR.start_utc.timestamp() - 86_400),
        ).fetchall()
    text = " ".join(row[0] for row in plan)
    assert "marginal_by_stretch" in text
    assert "numeric" not in text


def test_a_ledger_that_is_there_opens_without_the_migration_tool(store):
    """Neither SQLAlchemy nor Alembic is loaded, and the PostgreSQL driver for a PostgreSQL ledger alone."""
    place = store.ledger()
    Book(place).close()
    code = (
        "import sys; from gridmargin.ledger import Book; Book(sys.argv[1]).close();"
        " print({'alembic', 'sqlalchemy', 'psycopg'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(place)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == ("set()" if store.name == "sqlite" else "{'psycopg'}")


def test_rows_put_in_one_by_one_and_at_once_are_the_same(store):
    """`executemany` takes the statement and absent values as `execute` does."""
    place = store.ledger()
    Book(place).close()
    connection = bare(place)
    sql = "INSERT INTO fits (fit_id, estimator, zone, body, recorded_us) VALUES (?, 'a%', ?, ?, ?)"
    rows = [(f"fit {n}", "DE", "{}", n) for n in range(3)]
    connection.executemany(sql, rows[:2])
    connection.execute(sql, rows[2])
    assert connection.execute(
        "SELECT fit_id, estimator, recorded_us FROM fits ORDER BY fit_id"
    ).fetchall() == [(row[0], "a%", row[3]) for row in rows]
    connection.close()
