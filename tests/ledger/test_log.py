"""Whatever is written gets its leaf in the same transaction; the tree in the tables is the tree over all leaves."""

import sqlite3
from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridmargin.ledger import Book, Declaration, GridChange, PayloadNote, Signer, TreeHead, audit_book, is_url
from gridmargin.ledger.log import BLOCK, Log
from gridmargin.ledger.merkle import Levels, is_consistent, leaf_hash, root_from_inclusion
from gridmargin.ledger.records import Written, leaf_data
from gridmargin.ledger.store.sqlite import SQLiteConnection
from gridmargin.vocab import InputError, NotFoundError
from ledger.samples import FIT, T0, estimates
from ledger_store import bare

AS_GIVEN = "OVERRIDING SYSTEM VALUE"
"""What PostgreSQL wants to hear before it takes an id from outside."""


@pytest.fixture
def book(store, tmp_path):
    with Book(store.ledger(), Signer(tmp_path / "key.pem")) as opened:
        yield opened


def leaves(book):
    return [
        bytes(row[0])
        for row in book.connection.execute("SELECT leaf_sha256 FROM log_leaves ORDER BY leaf_index")
    ]


def pulled_apart(place, *statements):
    """Change a ledger as somebody would who is not us: without its triggers."""
    raw = bare(place)
    if is_url(place):
        raw.execute("SET session_replication_role = replica")
    else:
        raw.execute("PRAGMA foreign_keys = OFF")
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        if is_url(place):
            statement = statement.replace("char(10)", "chr(10)").replace(
                "_entries SELECT", f"_entries {AS_GIVEN} SELECT"
            )
        raw.execute(statement)
    raw.close()


def test_each_entry_has_one_leaf_under_a_head_signed_in_the_same_transaction(book):
    book.append(estimates([0.1, 0.2]), FIT, T0)
    book.append(estimates([0.1, 0.3]), FIT, T0 + timedelta(hours=1))
    book.declare(Declaration("US-ERCO", GridChange.FLEET, T0, "a plant closed", T0))
    assert len(book.log) == 4
    heads = [TreeHead.read(note) for note in book.log.heads()]
    assert [head.tree_size for head in heads] == [2, 3, 4]
    assert heads[-1].root == Levels(leaves(book)).root() == TreeHead.read(book.head()).root
    assert book.signer.public().open(book.head()) == heads[-1].text()


def test_a_leaf_covers_what_was_said_when_and_instead_of_what():
    record = Written("marginal", 7, 12, 3, None, "ab")
    assert leaf_data(record) == b"gridmargin-leaf-1\x1fmarginal\x1f7\x1f12\x1f3\x1f\x1fab"
    others = [
        Written("average", 7, 12, 3, None, "ab"), Written("marginal", 8, 12, 3, None, "ab"),
        Written("marginal", 7, 13, 3, None, "ab"), Written("marginal", 7, 12, None, 3, "ab"),
        Written("marginal", 7, 12, 3, None, "ac"),
    ]  # fmt: skip
    assert len({leaf_data(r) for r in [record, *others]}) == 6


def test_nothing_is_sealed_where_nothing_is_written(book):
    book.append(estimates([0.1]), FIT, T0)
    book.append(estimates([0.1]), FIT, T0 + timedelta(days=1))
    assert len(book.log) == 1
    assert len(book.log.heads()) == 1


@given(st.lists(st.integers(1, 3 * BLOCK), min_size=1, max_size=6), st.data())
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_the_kept_subtrees_are_those_of_the_whole_tree_however_it_grew(batches, data):
    """Roots, audit paths and proofs of consistency from the tables are those from memory."""
    connection = sqlite3.connect(":memory:", factory=SQLiteConnection)
    connection.execute(
        "CREATE TABLE log_leaves (leaf_index INTEGER PRIMARY KEY, kind, record_id, leaf_sha256)"
    )
    connection.execute("CREATE TABLE log_nodes (level, position, node_sha256)")
    log, n = Log(connection), 0
    for batch in batches:
        assert log.extend(Written("marginal", n + i, 0, None, None, "") for i in range(batch)) == n + batch
        n += batch
    levels = Levels([leaf_hash(leaf_data(Written("marginal", i, 0, None, None, ""))) for i in range(n)])
    size = data.draw(st.integers(1, n))
    assert log.root() == levels.root()
    assert log.root(size) == levels.root(size)
    index = data.draw(st.integers(0, size - 1))
    proof = log.inclusion("marginal", index, size)
    assert root_from_inclusion(proof.leaf, proof.leaf_index, size, proof.path) == levels.root(size)
    old = data.draw(st.integers(1, size))
    assert is_consistent(old, levels.root(old), size, levels.root(size), log.consistency(old, size))
    connection.close()


def test_proofs_of_what_is_not_there_are_refused(book):
    book.append(estimates([0.1, 0.2]), FIT, T0)
    with pytest.raises(NotFoundError, match="no marginal record 9"):
        book.log.inclusion("marginal", 9)
    with pytest.raises(NotFoundError, match="no marginal record 2 in the first 1 leaves"):
        book.log.inclusion("marginal", 2, 1)
    with pytest.raises(NotFoundError, match="cannot be shown"):
        book.log.consistency(3)


def test_the_log_cannot_be_changed_in_place(book):
    book.append(estimates([0.1]), FIT, T0)
    for statement in (
        "UPDATE log_leaves SET kind = 'average'", "DELETE FROM log_leaves", "DELETE FROM log_heads",
        "INSERT INTO log_leaves SELECT * FROM log_leaves WHERE true ON CONFLICT (leaf_index) DO UPDATE SET kind = 'x'",
    ):  # fmt: skip
        with pytest.raises(book.connection.DatabaseError, match="append-only"):
            book.connection.execute(statement)


def test_a_whole_ledger_holds(book):
    rng = Random(3)
    for day in range(4):
        book.append(estimates([rng.random() for _ in range(90)]), FIT, T0 + timedelta(days=day))
    found = audit_book(book, book.signer.public())
    assert found.holds
    assert found.n_rows == 360


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE marginal_entries SET marginal_mid_gco2_per_kwh = marginal_mid_gco2_per_kwh + 1 WHERE entry_id = 2",
         "marginal entry 2 was altered"),
        ("UPDATE marginal_entries SET recorded_us = recorded_us - 1 WHERE entry_id = 2",
         "marginal record 2 says something else than its leaf"),
        ("UPDATE marginal_entries SET supersedes = 1 WHERE entry_id = 2", "record 2 says something else"),
        ("DELETE FROM marginal_entries WHERE entry_id = 3", "marginal record 3 is gone"),
        ("DELETE FROM log_leaves WHERE leaf_index = 1", "not numbered without a hole"),
        ("INSERT INTO marginal_entries SELECT 99, zone, start_s + 9000, interval_s, estimator, estimator_version, horizon,"
         " gases, boundary, view, marginal_low_gco2_per_kwh, marginal_mid_gco2_per_kwh, marginal_high_gco2_per_kwh,"
         " sources, conditions, regime, status, fit_id, payload_sha256s, entry_sha256, recorded_us, supersedes, source,"
         " issued_us, recalibration_id FROM marginal_entries WHERE entry_id = 1", "has no leaf: it was put in"),
        ("UPDATE log_heads SET note = replace(note, char(10) || '3' || char(10), char(10) || '2' || char(10))",
         "not one over these words"),
        ("UPDATE fits SET body = replace(body, '30.5', '30.6')", "was altered: it does not have its own hash"),
        ("UPDATE fits SET body = '{}'", "was altered: it does not have its own hash"),
        ("DELETE FROM fits", "of marginal entries is gone"),
        ("DELETE FROM log_heads", "leaves 0 to 2 are under no signed head"),
    ],
)  # fmt: skip
def test_what_was_changed_behind_its_back_is_found(store, tmp_path, statement, said):
    path, signer = store.ledger(), Signer(tmp_path / "key.pem")
    with Book(path, signer) as book:
        book.append(estimates([0.1, 0.2, 0.3]), FIT, T0)
    pulled_apart(path, statement)
    with Book(path, signer) as book:
        found = audit_book(book, signer.public())
    assert not found.holds
    assert any(said in fault for fault in found.faults), found.faults


def test_a_changed_subtree_that_the_next_head_would_stand_on_is_found(store, tmp_path):
    path, signer = store.ledger(), Signer(tmp_path / "key.pem")
    rng = Random(4)
    with Book(path, signer) as book:
        book.append(estimates([rng.random() for _ in range(600)]), FIT, T0)
    wrong = "'\\x" + "00" * 32 + "'" if is_url(path) else "zeroblob(32)"
    pulled_apart(
        path, f"UPDATE log_nodes SET node_sha256 = {wrong} WHERE level = 8 AND position = 1",
        "DELETE FROM log_nodes WHERE level = 9",
    )  # fmt: skip
    with Book(path, signer) as book:
        assert audit_book(book, signer.public()).faults == [
            "the kept subtree 1 of level 8 is not that of its leaves",
            "the kept subtree 0 of level 9 is not that of its leaves",
        ]


def test_a_record_with_a_leaf_put_in_behind_the_last_head_is_found(store, tmp_path):
    path, signer = store.ledger(), Signer(tmp_path / "key.pem")
    with Book(path, signer) as book:
        book.append(estimates([0.1]), FIT, T0)
    with Book(path) as book:  # whoever can write to the database and has no key
        book.append(estimates([0.9]), FIT, T0 + timedelta(hours=1))
    with Book(path, signer) as book:
        found = audit_book(book, signer.public())
    assert any("leaves 1 to 1 are under no signed head" in fault for fault in found.faults)


def test_a_rolled_back_ledger_is_found(store, tmp_path):
    path, signer = store.ledger(), Signer(tmp_path / "key.pem")
    with Book(path, signer) as book:
        book.append(estimates([0.1, 0.2]), FIT, T0)
        book.append(estimates([0.3, 0.4]), FIT, T0 + timedelta(hours=1))
    pulled_apart(
        path, "DELETE FROM marginal_entries WHERE entry_id > 2", "DELETE FROM log_leaves WHERE leaf_index > 1"
    )
    with Book(path, signer) as book:
        assert any("rolled back" in fault for fault in audit_book(book, signer.public()).faults)


def test_an_empty_ledger_has_nothing_to_check(book):
    with pytest.raises(InputError, match="is empty"):
        audit_book(book, None)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE payloads SET n_bytes = 9", "payload record 1 says something else than its leaf"),
        ("UPDATE payloads SET name = 'another'", "payload record 1 says something else than its leaf"),
        ("DELETE FROM payloads", "payload record 1 is gone: only its leaf is left"),
        (
            "INSERT INTO payloads (payload_id, sha256, source, name, n_bytes, recorded_us) SELECT 2, 'cd', source,"
            " name, n_bytes, recorded_us FROM payloads",
            "payload record 2 has no leaf: it was put in from outside",
        ),
    ],
)
def test_what_is_said_of_an_archived_payload_is_sealed(store, tmp_path, statement, told):
    place = store.ledger()
    with Book(place, Signer(tmp_path / "key.pem")) as book:
        book.note_payload(PayloadNote("ab", "reference", "a table", T0), 7)
        book.note_payload(PayloadNote("ab", "reference", "the same again", T0), 7)  # the first word stands
        assert len(book.log) == 1
        assert audit_book(book, book.signer.public()).faults == []
    if is_url(place):
        statement = statement.replace("recorded_us) SELECT", f"recorded_us) {AS_GIVEN} SELECT")
    pulled_apart(place, statement)
    with Book(place, Signer(tmp_path / "key.pem")) as book:
        assert audit_book(book, book.signer.public()).faults == [told]


def test_a_fit_is_named_by_128_bits_and_an_altered_one_is_found_under_its_old_name_too(store):
    place = store.ledger()
    with Book(place) as book:
        book.append(estimates([0.1]), FIT, T0)
        assert (len(FIT.fit_id), book.fit_faults()) == (32, [])
    old = FIT.fit_id[:16]
    pulled_apart(place, f"UPDATE fits SET fit_id = '{old}'", f"UPDATE marginal_entries SET fit_id = '{old}'")
    with Book(place) as book:
        assert book.fit(old) == FIT
        assert book.fit_faults() == []
    pulled_apart(
        place, f"UPDATE fits SET fit_id = '{old[:8]}'", f"UPDATE marginal_entries SET fit_id = '{old[:8]}'"
    )
    with Book(place) as book:
        assert book.fit_faults() == [f"fit {old[:8]} was altered: it does not have its own hash"]
