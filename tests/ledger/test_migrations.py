"""A book outlives the version that began it: every row of it, and a migration is whole or not at all."""

import json
import re
from pathlib import Path

import pytest

from gridmargin.ledger import Book, audit_book, restated
from gridmargin.ledger.rows import moment_of
from gridmargin.ledger.store import database
from gridmargin.vocab import Interval, Kind, canonical_json
from ledger.samples import FIT, T0, estimates
from ledger_store import bare, made_of

FOLDER = Path(database.__file__).parent / "migrations" / "versions"
VERSIONS = sorted(path.name[:4] for path in FOLDER.glob("[0-9]*.py"))

# What version 1 wrote for the shares 0.1 and 0.2: the hash was computed by that version, not by this one.
HASHES = (
    "986d840be16d273ceeddcf94d675efebff6b3b53c7be34e5fec7e77671f3a7e8",
    "6d6a0773f7ab08be2ecb6c9dc91a7fab0f2e03af5a4de3cd3a4ea12c772bdad4",
)
OLD_FIT_ID = FIT.fit_id[:16]
HOUR = Interval.starting(T0, 3600)
RECORDED_US = 1_594_836_000_000_000
ENTRY = {
    "zone": "US-ERCO", "interval_s": 900, "estimator": "regression", "estimator_version": "1", "horizon": "short_run",
    "gases": "direct_co2", "boundary": "busbar", "conditions": "{}", "regime": "day", "status": "reported",
    "fit_id": OLD_FIT_ID, "payload_sha256s": "[]", "recorded_us": RECORDED_US,
}  # fmt: skip


def put(connection, table, row):
    connection.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())
    )


def begun_at(place, version="0001", view="observed"):
    """Make a ledger as an earlier version did, with two entries, neither superseding anything."""
    if isinstance(place, Path):
        place.parent.mkdir(exist_ok=True)
    database.bring_up(place, version)
    body = {
        "estimator": "regression", "estimator_version": "1", "zone": "US-ERCO",
        "train_start_utc": FIT.train_start_utc.isoformat(), "train_end_utc": FIT.train_end_utc.isoformat(),
        "n_train": 35_000, "parameters": {"half_life_days": 30.5}, "payload_sha256s": [],
    }  # fmt: skip
    connection = bare(place)
    fit = {"fit_id": OLD_FIT_ID, "estimator": "regression", "zone": "US-ERCO", "body": canonical_json(body)}
    put(connection, "fits", fit | {"recorded_us": RECORDED_US})
    for number, (share, digest) in enumerate(zip((0.1, 0.2), HASHES, strict=True)):
        mid = float(estimates([share]).mid[0])
        factors = {
            f"marginal_{end}_gco2_per_kwh": mid * by
            for end, by in (("low", 0.8), ("mid", 1.0), ("high", 1.2))
        }
        row = ENTRY | factors | {
            "start_s": int(T0.timestamp()) + 900 * number, "view": view, "entry_sha256": digest,
            "sources": f'[["coal",{share},1000.1],["gas",{1 - share},450.7]]',
        }  # fmt: skip
        if version >= "0003" and view == "forecast":
            row["issued_us"] = RECORDED_US
        put(connection, "marginal_entries", row)
    noted = {
        "sha256": "ab" * 32,
        "source": "reference",
        "name": "a table",
        "n_bytes": 7,
        "recorded_us": RECORDED_US,
    }
    put(connection, "payloads", noted)
    if version >= "0004":
        said = {"zone": "US-ERCO", "what": "fleet", "from_us": RECORDED_US, "note": "a plant closed"}
        put(connection, "declarations", said | {"recorded_us": RECORDED_US})
    connection.close()
    return place


def test_the_versions_are_numbered_without_gaps_and_the_last_one_is_the_newest():
    """The constant that lets a warm start skip the migration tool names the last file, and each names the one before."""
    assert [f"{n:04}" for n in range(1, len(VERSIONS) + 1)] == VERSIONS
    assert VERSIONS[-1] == database.NEWEST_SCHEMA
    for path in sorted(FOLDER.glob("[0-9]*.py")):
        before = re.search(r'^down_revision = "?(\w+)', path.read_text(), re.MULTILINE)[1]
        assert before == (f"{int(path.name[:4]) - 1:04}" if path.name[:4] > "0001" else "None")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ledger_of_every_earlier_version_moves_up_with_every_row(store, version):
    """Its entries are answered as before, their hashes still hold, nothing is said twice, and it stays append-only."""
    with Book(begun_at(store.empty(), version)) as book:
        assert book.fit(OLD_FIT_ID) == FIT
        assert book.fit_faults() == []
        found = book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression")
        assert [e.entry_sha256 for e in found] == list(HASHES)
        assert [e.estimate.factor_gco2_per_kwh.mid for e in found] == estimates([0.1, 0.2]).mid.tolist()
        assert [e.issued_utc for e in found] == [e.recalibration_id for e in found] == [None, None]
        assert [e.source for e in found] == ["", ""]
        assert [book.hashed_again(Kind.MARGINAL, e.entry_id) for e in found] == list(HASHES)
        assert len(book.declarations("US-ERCO")) == (version >= "0004")
        assert book.payload("ab" * 32).name == "a table"
        # Sealed by the migrations: entries and declarations by 0005, payloads by 0008.
        assert len(book.log) == (version < "0008") + (0 if version >= "0005" else 2 + (version == "0004"))
        if version < "0005":  # sealed by the migration; rows put in past the book afterwards have no leaf
            assert audit_book(book, None).faults == []
        # Said again under the fit's longer id once, and then no more.
        assert [book.append(estimates([0.1]), FIT, T0) for _ in range(2)] == [1, 0]
        assert book.append(estimates([0.1, 0.2], T0), FIT, T0) == 2
        assert book.append(estimates([0.1, 0.3]), FIT, T0) == 1
        whys = restated(book, Kind.MARGINAL, moment_of(RECORDED_US)).frame["why"].to_list()
        assert whys == ["the same fit under its longer id"] * 2
        newest = book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression")[1]
        assert newest.supersedes == found[1].entry_id
        for change in ("UPDATE marginal_entries SET issued_us = 1", "DELETE FROM declarations"):
            if version >= "0004" or "entries" in change:
                with pytest.raises(Exception, match=r"append-only \(C9\)"):
                    book._connection.execute(change)
        if store.name == "sqlite":
            assert book._connection.execute("PRAGMA foreign_key_check").fetchall() == []
            assert book._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("version", ["0001", "0002"])
def test_a_forecast_from_before_issue_times_gets_none_made_up(store, version):
    """It is not known when it was issued: it stands among forecasts, behind any that says when, in no list of issues (C2)."""
    with Book(begun_at(store.empty(), version, view="forecast")) as book:
        assert len(book.covering(Kind.MARGINAL, "US-ERCO", HOUR, "regression")) == 0
        found = book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression", forecast=True)
        assert [e.issued_utc for e in found] == [None, None]
        assert book.forecasts("US-ERCO") == []
        assert book.append(estimates([0.4], T0), FIT, T0) == 1
        found = book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression", forecast=True)
        assert [e.issued_utc for e in found] == [T0, None]


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_a_moved_ledger_and_a_new_one_have_the_same_tables(store, version):
    """Whoever began the book, it ends the same."""
    old, new = store.empty(), store.empty()
    begun_at(old, version)
    for place in (old, new):
        Book(place).close()
    assert made_of(old) == made_of(new)
    assert "issued_us" in json.dumps(made_of(new))


def test_a_migration_that_fails_half_way_leaves_the_ledger_as_it_was(store):
    """The tables made before the failure are taken back with it, and the next start tries again."""
    place = begun_at(store.empty())
    connection = bare(place)
    connection.execute("CREATE TABLE average_by_issue (x INTEGER)")  # in the way of the second step of 0003
    with pytest.raises(Exception, match="average_by_issue"):
        Book(place)
    assert "issued_us" not in json.dumps(made_of(place))  # 0002 stands, of 0003 nothing
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0002",)]
    connection.execute("DROP TABLE average_by_issue")
    connection.close()
    with Book(place) as book:
        assert len(book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression")) == 2
        newest = book._connection.execute("SELECT version_num FROM alembic_version").fetchall()
    assert newest == [(database.NEWEST_SCHEMA,)]
