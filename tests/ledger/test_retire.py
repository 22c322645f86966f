"""What is retired left for a file that proves itself; the log keeps every leaf, and nothing goes unless all of it is safe."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.ledger import (
    Asked,
    Book,
    Declaration,
    GridChange,
    Signer,
    TreeHead,
    audit_book,
    audit_export,
    export,
    manifest_of,
    retire,
)
from gridmargin.ledger.merkle import leaf_hash, root_from_inclusion
from gridmargin.ledger.records import Written, leaf_data
from gridmargin.vocab import InputError, Interval, Kind, NotFoundError, RetiredError, TableError
from ledger.samples import FIT, T0, estimates
from ledger_store import bare

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)
CUT = T0 + DAY


@pytest.fixture
def place(store):
    return store.ledger()


@pytest.fixture
def book(place, tmp_path):
    """Four days of eight quarter hours, the first of them said twice; a declaration between."""
    with Book(place, Signer(tmp_path / "key.pem")) as opened:
        rng = Random(5)
        for day in range(4):
            shares = [rng.random() for _ in range(8)]
            opened.append(estimates(shares, start=T0 + day * DAY), FIT, T0 + day * DAY, source="ercot")
        opened.declare(Declaration("US-ERCO", GridChange.FLEET, T0, "a plant closed", T0 + 5 * DAY))
        opened.append(estimates([0.5] * 8, start=T0), FIT, T0 + 6 * DAY, source="ercot")
        yield opened


def count(book, table="marginal_entries"):
    return book.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def count_before(book, moment):
    asked = "SELECT count(*) FROM marginal_entries WHERE start_s < ?"
    return book.connection.execute(asked, (int(moment.timestamp()),)).fetchone()[0]


def test_what_is_retired_stands_in_a_file_and_every_proof_still_holds(book, tmp_path):
    """The first day leaves with what superseded it; leaves, proofs, heads and the ledger in place are as before."""
    public, old = book.signer.public(), TreeHead.read(book.head())
    proofs = {i: book.log.inclusion("marginal", i, old.tree_size) for i in range(1, 41)}
    path = tmp_path / "old.parquet"
    done = retire(book, path, CUT, NOW)
    assert (done.n_rows, done.file, count(book)) == (16, "old.parquet", 24)
    assert sorted(pl.read_parquet(path)["record_id"]) == [*range(1, 9), *range(33, 41)]
    assert audit_export(path, public).holds
    assert {i: book.log.inclusion("marginal", i, old.tree_size) for i in range(1, 41)} == proofs
    assert book.log.root(old.tree_size) == old.root
    leaf = book.log.inclusion("retirement", 1)
    assert root_from_inclusion(leaf.leaf, leaf.leaf_index, leaf.tree_size, leaf.path) == book.log.root()
    found = audit_book(book, public)
    assert found.holds, found.faults
    assert any(f"16 leaves stand for entries {done}" == line for line in found.checked)
    assert book.retirements() == [done]


def test_the_file_alone_gives_the_leaves_that_the_log_kept(book, tmp_path):
    """A leaf made from the retired row, by the page's words and nothing else, is the one in the log."""
    retire(book, tmp_path / "old.csv", CUT, NOW)
    for row in pl.read_csv(tmp_path / "old.csv", infer_schema_length=None).iter_rows(named=True):
        said = Written(
            row["kind"], row["record_id"], row["recorded_us"], row["supersedes"], None, row["entry_sha256"]
        )
        assert book.log.inclusion(row["kind"], row["record_id"]).leaf == leaf_hash(leaf_data(said))


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".json"])
def test_a_whole_export_afterwards_holds_and_names_the_file(book, tmp_path, suffix):
    done = retire(book, tmp_path / f"old{suffix}", CUT, NOW)
    path = tmp_path / f"new{suffix}"
    manifest = export(book, path, Asked(), NOW)
    assert manifest["n_rows"] == 24 + 1 + 1
    found = audit_export(path, book.signer.public())
    assert found.holds, found.faults
    assert any(done.sha256 in line and done.file in line for line in found.checked)


def test_rows_left_out_of_a_whole_export_without_a_retirement_are_found(book, tmp_path, monkeypatch):
    """Even by whoever holds the key: the hashes of the rest hide no row of a whole ledger."""
    retire(book, tmp_path / "old.parquet", CUT, NOW)
    module = sys.modules["gridmargin.ledger.export"]
    rows = module._rows
    monkeypatch.setattr(
        module,
        "_rows",
        lambda *a: rows(*a).filter((pl.col("record_id") != 20) | (pl.col("kind") != "marginal")),
    )
    export(book, tmp_path / "new.csv", Asked(), NOW)
    faults = audit_export(tmp_path / "new.csv", book.signer.public()).faults
    assert faults == ["1 leaves of the whole ledger have no row, and no retirement says where it is: 19"]


def test_one_zone_leaves_and_the_others_stay(book, tmp_path):
    """Its stretches are many where zones alternate in the log."""
    for day in range(3):
        for zone in ("US-CISO", "US-PJM"):
            said = estimates([0.1 * day] * 2, start=T0 + 9 * DAY, fit=zone_fit(zone))
            book.append(in_zone(said, zone), zone_fit(zone), T0 + (10 + day) * DAY)
    done = retire(book, tmp_path / "ciso.parquet", T0 + 20 * DAY, NOW, "US-CISO")
    assert (done.n_rows, len(done.leaves), set(done.holds)) == (6, 3, {"US-CISO"})
    assert book.zones() == ["US-ERCO", "US-PJM"]
    assert audit_book(book, book.signer.public()).holds
    assert book.retired("US-CISO") == [done]
    assert book.retired("US-PJM") == []
    assert retire(book, tmp_path / "rest.parquet", T0 + 20 * DAY, NOW).n_rows == count(book) + 46
    assert audit_book(book, book.signer.public()).holds


def zone_fit(zone):
    return replace(FIT, zone=zone)


def in_zone(said, zone):
    return replace(said, zone=zone)


@given(cuts=st.lists(st.integers(0, 12), min_size=1, max_size=4), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=12)
def test_whatever_was_retired_when_files_and_ledger_together_are_the_log(tmp_path_factory, cuts, seed):
    """No row is lost and none is in two places, however often and wherever the cut falls."""
    folder = tmp_path_factory.mktemp("cuts")
    with Book(folder / "ledger.sqlite", Signer(folder / "key.pem")) as book:
        rng = Random(seed)
        for day in range(6):
            n, start = rng.randint(1, 12), T0 + rng.randint(0, 6) * timedelta(minutes=15)
            book.append(estimates([rng.random() for _ in range(n)], start=start), FIT, T0 + day * DAY)
        size, found = len(book.log), []
        for number, cut in enumerate(cuts):
            path = folder / f"{number}.csv"
            moment = T0 + cut * timedelta(minutes=15)
            if not count_before(book, moment):
                with pytest.raises(InputError, match="nothing to retire"):
                    retire(book, path, moment, NOW)
                continue
            retire(book, path, moment, NOW)
            found += pl.read_csv(path, infer_schema_length=None)["record_id"].to_list()
        stands = [row[0] for row in book.connection.execute("SELECT entry_id FROM marginal_entries")]
        assert sorted(found + stands) == list(range(1, size + 1))
        assert audit_book(book, book.signer.public()).holds


def test_the_newest_days_and_nothing_are_refused(book, tmp_path):
    path = tmp_path / "old.parquet"
    with pytest.raises(InputError, match=r"newest 35 days are not retired; give `before=2025-11-28T"):
        retire(book, path, NOW - 34 * DAY, NOW)
    with pytest.raises(InputError, match="newest 4000 days"):
        retire(book, path, CUT, NOW, keep_days=4000)
    with pytest.raises(InputError, match=r"nothing to retire: .* no entry before"):
        retire(book, path, T0, NOW)
    with pytest.raises(InputError, match="no entry of US-CISO before"):
        retire(book, path, CUT, NOW, "US-CISO")
    assert not path.exists()
    assert count(book) == 40


def test_a_retired_entry_says_where_it_is(book, tmp_path):
    done = retire(book, tmp_path / "old.parquet", CUT, NOW)
    for ask in (book.entry, book.history, book.hashed_again):
        with pytest.raises(RetiredError) as told:
            ask(Kind.MARGINAL, 3)
        assert "retired at 2026-01-02T00:00Z into old.parquet" in str(told.value)
        assert done.sha256 in str(told.value)
    with pytest.raises(NotFoundError) as told:
        book.entry(Kind.MARGINAL, 999)
    assert not isinstance(told.value, RetiredError)
    assert book.retired("US-ERCO", Interval.starting(T0, 900)) == [done]
    assert book.retired("US-ERCO", Interval.starting(CUT, 900)) == []


def test_an_interval_said_again_afterwards_is_a_new_entry_with_a_new_id(book, tmp_path):
    """Ids and moments of writing go on, though the newest rows are gone."""
    done = retire(book, tmp_path / "old.parquet", T0 + 9 * DAY, NOW)
    assert (done.n_rows, count(book)) == (40, 0)
    assert book.append(estimates([0.3], start=T0), FIT, T0) == 1
    (entry,) = book.entries(Kind.MARGINAL, "US-ERCO", Interval.starting(T0, 900), "regression")
    assert (entry.entry_id, entry.supersedes) == (41, None)
    assert entry.recorded_utc > done.recorded_utc
    assert audit_book(book, book.signer.public()).holds


REFUSED = [
    "DELETE FROM marginal_entries",
    "DELETE FROM marginal_entries WHERE entry_id = 30",
    "UPDATE marginal_entries SET marginal_mid_gco2_per_kwh = 1",
    "DELETE FROM retirements",
    "UPDATE retirements SET file = 'elsewhere'",
    "DELETE FROM retired_leaves",
    "UPDATE retired_leaves SET end_leaf = 40",
    "INSERT INTO retired_leaves (first_leaf, end_leaf, retirement_id) VALUES (20, 30, 1)",
    "DELETE FROM log_leaves",
    "DELETE FROM log_heads",
    "DELETE FROM fits",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_the_database_lets_nothing_else_go(book, place, tmp_path, statement):
    """After a retirement just as before one; a covered stretch cannot be widened."""
    retire(book, tmp_path / "old.parquet", CUT, NOW)
    n = count(book)
    connection = bare(place)
    with pytest.raises(Exception, match=r"\(C9\)"):
        connection.execute(statement)
    connection.close()
    assert count(book) == n


def test_a_retirement_without_a_leaf_lets_nothing_go(book, place):
    """Rows put into the two tables by hand are no retirement."""
    connection = bare(place)
    connection.execute(
        "INSERT INTO retirements (file, sha256, n_rows, head, leaves, holds, before_s, recorded_us)"
        f" VALUES ('x', '{'0' * 64}', 1, 'x', '[[0,1]]', '{{}}', 0, 0)"
    )
    connection.execute("INSERT INTO retired_leaves (first_leaf, end_leaf, retirement_id) VALUES (0, 1, 1)")
    with pytest.raises(Exception, match=r"append-only \(C9\)"):
        connection.execute("DELETE FROM marginal_entries WHERE entry_id = 1")
    connection.close()
    assert any("retirement record 1 has no leaf" in f for f in audit_book(book, None).faults)


def test_a_retired_entry_cannot_be_put_in_again_under_its_id(book, place, tmp_path):
    """Its leaf would say something else: the id is used up."""
    columns = (
        "zone, start_s, interval_s, estimator, estimator_version, horizon, gases, boundary, view,"
        " marginal_low_gco2_per_kwh, marginal_mid_gco2_per_kwh, marginal_high_gco2_per_kwh, sources, conditions, regime,"
        " status, fit_id, payload_sha256s, entry_sha256, recorded_us, source"
    )
    retire(book, tmp_path / "old.parquet", CUT, NOW)
    override = "" if isinstance(place, Path) else " OVERRIDING SYSTEM VALUE"
    connection = bare(place)
    with pytest.raises(Exception, match=r"append-only \(C9\)"):
        connection.execute(
            f"INSERT INTO marginal_entries (entry_id, {columns}){override} SELECT 3, {columns} FROM marginal_entries"
            " WHERE entry_id = 20"
        )
    connection.close()


def test_bodies_that_go_missing_without_a_retirement_are_found(tmp_path):
    """Whoever drops the trigger is found by the log, retirements or not."""
    path = tmp_path / "ledger.sqlite"
    with Book(path, Signer(tmp_path / "key.pem")) as book:
        book.append(estimates([0.1] * 4), FIT, T0)
        book.append(estimates([0.2] * 4, start=CUT), FIT, T0 + DAY)
        retire(book, tmp_path / "old.csv", CUT, NOW)
        book.connection.execute("DROP TRIGGER marginal_entries_no_delete")
        book.connection.execute("DELETE FROM marginal_entries WHERE entry_id = 6")
        assert audit_book(book, book.signer.public()).faults == [
            "marginal record 6 is gone: only its leaf is left"
        ]


def test_a_retirement_that_was_widened_past_its_triggers_is_found(tmp_path):
    with Book(tmp_path / "ledger.sqlite", Signer(tmp_path / "key.pem")) as book:
        book.append(estimates([0.1] * 4), FIT, T0)
        book.append(estimates([0.2] * 4, start=CUT), FIT, T0 + DAY)
        retire(book, tmp_path / "old.csv", CUT, NOW)
        for name in ("retirements_no_update", "retired_leaves_no_update"):
            book.connection.execute(f"DROP TRIGGER {name}")
        book.connection.execute("UPDATE retired_leaves SET end_leaf = 6")
        assert any("covers other leaves" in f for f in audit_book(book, None).faults)
        book.connection.execute("UPDATE retirements SET leaves = '[[0,6]]', n_rows = 6")
        faults = audit_book(book, None).faults
        assert "retirement record 1 says something else than its leaf" in faults


def test_a_disk_that_is_full_deletes_nothing(book, tmp_path):
    (tmp_path / "old.csv.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        retire(book, tmp_path / "old.csv", CUT, NOW)
    assert count(book) == 40
    assert book.retirements() == []
    assert not list(tmp_path.glob("old*"))


def test_a_folder_that_is_not_there_and_a_file_in_the_way_delete_nothing(book, tmp_path):
    with pytest.raises(InputError, match="no folder"):
        retire(book, tmp_path / "none" / "old.csv", CUT, NOW)
    (tmp_path / "old.csv").write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        retire(book, tmp_path / "old.csv", CUT, NOW)
    assert (tmp_path / "old.csv").read_text() == "mine"
    assert count(book) == 40


def test_a_file_that_does_not_pass_its_audit_deletes_nothing(book, tmp_path, monkeypatch):
    """A disk that gives back other bytes than it took."""
    module = sys.modules["gridmargin.ledger.retire"]
    settle = module._settle

    def spoil(path):
        settle(path)
        if path.name == "old.csv":
            path.write_text(path.read_text().replace("US-ERCO", "US-PJM", 1))

    monkeypatch.setattr(module, "_settle", spoil)
    with pytest.raises(TableError, match=r"does not pass its audit, nothing was deleted: .*differs"):
        retire(book, tmp_path / "old.csv", CUT, NOW)
    assert count(book) == 40
    assert not list(tmp_path.glob("old*"))


def test_an_entry_written_meanwhile_deletes_nothing(book, place, tmp_path):
    """A restatement of a retired interval, between the export and the deletion, is in no file."""

    def restate(_):
        with Book(place, book.signer) as other:
            other.append(estimates([0.9], start=T0), FIT, T0 + 9 * DAY, source="ercot")

    with pytest.raises(InputError, match=r"written to while old\.csv was made; nothing was deleted"):
        retire(book, tmp_path / "old.csv", CUT, NOW, progress=restate)
    assert count(book) == 41
    assert book.retirements() == []
    assert not list(tmp_path.glob("old*"))
    assert retire(book, tmp_path / "old.csv", CUT, NOW).n_rows == 17


def test_an_error_after_the_deletion_takes_it_back(book, tmp_path, monkeypatch):
    """All of it stays, and no leaf or head tells of a retirement."""
    from gridmargin.ledger import retirements

    gone = retirements.delete_retired
    before = len(book.log), book.log.heads(), count(book)

    def fail(*arguments):
        gone(*arguments)
        raise RuntimeError("power")

    monkeypatch.setattr(retirements, "delete_retired", fail)
    with pytest.raises(RuntimeError, match="power"):
        retire(book, tmp_path / "old.csv", CUT, NOW)
    made = len(book.log), book.log.heads(), count(book)
    assert made == before
    assert book.retirements() == []
    assert audit_book(book, book.signer.public()).holds
    assert audit_export(tmp_path / "old.csv", book.signer.public()).holds  # what was written may stay


KILLED = """
import os, signal, sys
from datetime import timedelta
from pathlib import Path
from gridmargin.ledger import Book, Signer, retire, retirements
from ledger.samples import T0
from ledger.test_retire import CUT, NOW

place, folder = sys.argv[1], Path(sys.argv[2])
gone = retirements.delete_retired

def die(*arguments):
    gone(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

retirements.delete_retired = die
with Book(place, Signer(folder / "key.pem")) as book:
    retire(book, folder / "old.csv", CUT, NOW)
"""


def test_a_kill_after_the_deletion_leaves_all_of_it(book, place, tmp_path):
    """Killed with everything deleted and nothing committed: the next one finds the ledger whole, and can retire."""
    where = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    book.head()
    before = len(book.log), count(book)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(place), str(tmp_path)],
        env={"PYTHONPATH": where}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (len(book.log), count(book)) == before
    assert audit_book(book, book.signer.public()).holds
    assert audit_export(tmp_path / "old.csv", book.signer.public()).holds
    assert retire(book, tmp_path / "again.csv", CUT, NOW).n_rows == 16


def test_the_room_is_given_back(book, tmp_path):
    retire(book, tmp_path / "old.parquet", CUT, NOW)
    book.connection.compact()
    assert audit_book(book, book.signer.public()).holds
    assert count(book) == 24


def test_a_salvage_counts_what_was_retired_as_retired_and_not_as_lost(book, tmp_path):
    retire(book, tmp_path / "old.parquet", CUT, NOW)
    manifest = export(book, tmp_path / "left.parquet", Asked(), NOW, salvage=True)
    assert manifest["lost"] == []
    assert audit_export(tmp_path / "left.parquet", book.signer.public()).holds


# -- consistency with what was seen ------------------------------------------------------------------------------------


@pytest.fixture
def seen(book):
    return TreeHead.read(book.head())


def partial(book, tmp_path, seen_size, name="part.csv"):
    path = tmp_path / name
    export(book, path, Asked("US-ERCO", Interval.starting(T0 + 3 * DAY, 3600)), NOW, seen_size=seen_size)
    return path


def test_an_honest_part_shows_that_it_follows_what_was_seen(book, seen, tmp_path):
    retire(book, tmp_path / "old.parquet", CUT, NOW)
    for path in (partial(book, tmp_path, seen.tree_size), tmp_path / "whole.csv"):
        if not path.exists():
            export(book, path, Asked(), NOW, seen_size=seen.tree_size)
        found = audit_export(path, book.signer.public(), seen)
        assert found.holds, found.faults
        assert found.follows
        assert f"the log begins with the {seen.tree_size} leaves that were seen last" in found.checked


def test_a_part_whose_log_was_rewritten_is_found(store, book, seen, tmp_path):
    """The same key, as many leaves and more, other words: no proof leads there from the head that was seen."""
    with Book(store.ledger(), book.signer) as other:
        for day in range(4):
            other.append(estimates([0.4] * 12, start=T0 + day * DAY), FIT, T0 + day * DAY)
        assert len(other.log) > seen.tree_size
        found = audit_export(partial(other, tmp_path, seen.tree_size), book.signer.public(), seen)
    assert [fault.partition(":")[0] for fault in found.faults] == ["rewritten"]


def test_a_log_that_was_rolled_back_cannot_make_the_proof_and_is_found(store, book, seen, tmp_path):
    with Book(store.ledger(), book.signer) as other:
        other.append(estimates([0.4] * 14, start=T0 + 3 * DAY), FIT, T0)
        with pytest.raises(NotFoundError, match="the log has 14 leaves"):
            partial(other, tmp_path, seen.tree_size)
        found = audit_export(partial(other, tmp_path, None, "short.csv"), book.signer.public(), seen)
    assert [fault.partition(":")[0] for fault in found.faults] == ["rolled back"]


def test_a_proof_from_another_size_or_none_checks_nothing_and_says_so(book, seen, tmp_path):
    book.append(estimates([0.2], start=T0 + 8 * DAY), FIT, T0 + 8 * DAY)
    for size in (None, 12):
        found = audit_export(partial(book, tmp_path, size, f"part-{size}.csv"), book.signer.public(), seen)
        assert found.holds
        assert not found.follows  # so the head seen before stays the one remembered
        assert any(
            line.startswith("not checked") and f"`seen_size={seen.tree_size}`" in line
            for line in found.checked
        )


def test_a_proof_that_was_put_in_unsigned_is_found(book, seen, tmp_path):
    book.append(estimates([0.2], start=T0 + 8 * DAY), FIT, T0 + 8 * DAY)
    path = partial(book, tmp_path, seen.tree_size)
    body = json.loads(manifest_of(path).read_text())
    body["consistency"]["path"][0] = "00" * 32
    manifest_of(path).write_text(json.dumps(body))
    faults = audit_export(path, book.signer.public(), seen).faults
    assert any("its words were changed" in fault for fault in faults)
    assert any(fault.startswith("rewritten") for fault in faults)
    body["consistency"] = {"path": []}
    manifest_of(path).write_text(json.dumps(body))
    with pytest.raises(InputError, match="cannot be read"):
        audit_export(path, book.signer.public(), seen)
