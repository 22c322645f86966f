"""A book outlives the version that began it: every row of it, and a migration is whole or not at all."""

import json
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from gridmargin.ledger import Book
from gridmargin.ledger.store import database
from gridmargin.vocab import Interval, Kind, canonical_json
from ledger.samples import FIT, T0, estimates

# What version 1 wrote for the shares 0.1 and 0.2: the hash was computed by that version, not by this one.
HASHES = (
    "986d840be16d273ceeddcf94d675efebff6b3b53c7be34e5fec7e77671f3a7e8",
    "6d6a0773f7ab08be2ecb6c9dc91a7fab0f2e03af5a4de3cd3a4ea12c772bdad4",
)
HOUR = Interval.starting(T0, 3600)


def version_1(path, view="observed"):
    """Make a ledger as version 1 did, with two entries, the second superseding nothing."""
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["place"] = path
    command.upgrade(config, "0001")
    body = {
        "estimator": "regression", "estimator_version": "1", "zone": "US-ERCO",
        "train_start_utc": FIT.train_start_utc.isoformat(), "train_end_utc": FIT.train_end_utc.isoformat(),
        "n_train": 35_000, "parameters": {"half_life_days": 30.5}, "payload_sha256s": [],
    }  # fmt: skip
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO fits VALUES (?, 'regression', 'US-ERCO', ?, 1)", (FIT.fit_id, canonical_json(body))
        )
        for number, (share, digest) in enumerate(zip((0.1, 0.2), HASHES, strict=True)):
            mid = estimates([share]).mid[0]
            connection.execute(
                "INSERT INTO marginal_entries (zone, start_s, interval_s, estimator, estimator_version, horizon, gases,"
                " boundary, view, marginal_low_gco2_per_kwh, marginal_mid_gco2_per_kwh, marginal_high_gco2_per_kwh,"
                " sources, conditions, regime, status, fit_id, payload_sha256s, entry_sha256, recorded_us)"
                " VALUES ('US-ERCO', ?, 900, 'regression', '1', 'short_run', 'direct_co2', 'busbar', ?, ?, ?, ?, ?, '{}',"
                " 'day', 'reported', ?, '[]', ?, 1594836000000000)",
                (int(T0.timestamp()) + 900 * number, view, mid * 0.8, mid, mid * 1.2,
                 f'[["coal",{share},1000.1],["gas",{1 - share},450.7]]', FIT.fit_id, digest),
            )  # fmt: skip
    connection.close()


def schema(path):
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return rows


def test_a_ledger_of_version_1_moves_up_with_every_row(tmp_path):
    """Its entries are answered as before, their hashes still hold, and nothing is said twice."""
    path = tmp_path / "ledger.sqlite"
    version_1(path)
    with Book(path) as book:
        assert book.fit(FIT.fit_id) == FIT
        found = book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression")
        assert [e.entry_sha256 for e in found] == list(HASHES)
        assert [e.issued_utc for e in found] == [e.recalibration_id for e in found] == [None, None]
        assert [book.hashed_again(Kind.MARGINAL, e.entry_id) for e in found] == list(HASHES)
        assert book.append(estimates([0.1, 0.2]), FIT, T0) == 0
        assert book.append(estimates([0.1, 0.2], T0), FIT, T0) == 2
        assert book.append(estimates([0.1, 0.3]), FIT, T0) == 1
        assert book._connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert book._connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with pytest.raises(Exception, match=r"append-only \(C9\)"):
            book._connection.execute("UPDATE marginal_entries SET issued_us = 1")


def test_a_forecast_of_version_1_gets_no_issue_time_made_up(tmp_path):
    """It is not known when it was issued: it stands among forecasts, in no list of issues (C2)."""
    path = tmp_path / "ledger.sqlite"
    version_1(path, view="forecast")
    with Book(path) as book:
        assert len(book.covering(Kind.MARGINAL, "US-ERCO", HOUR, "regression")) == 0
        found = book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression", forecast=True)
        assert [e.issued_utc for e in found] == [None, None]
        assert book.forecasts("US-ERCO") == []


def test_a_moved_ledger_and_a_new_one_have_the_same_tables(tmp_path):
    """Whoever began the book, it ends the same."""
    version_1(tmp_path / "old.sqlite")
    Book(tmp_path / "old.sqlite").close()
    Book(tmp_path / "new.sqlite").close()
    assert schema(tmp_path / "old.sqlite") == schema(tmp_path / "new.sqlite")
    assert "issued_us" in json.dumps(schema(tmp_path / "new.sqlite"))


def test_a_migration_that_fails_half_way_leaves_the_ledger_as_it_was(tmp_path):
    """The tables made before the failure are taken back with it, and the next start tries again."""
    path = tmp_path / "ledger.sqlite"
    version_1(path)
    with sqlite3.connect(path) as connection:  # in the way of the second step of 0003
        connection.execute("CREATE TABLE average_by_issue (x)")
    connection.close()
    with pytest.raises(Exception, match="average_by_issue"):
        Book(path)
    assert "issued_us" not in json.dumps(schema(path))  # 0002 stands, of 0003 nothing
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE average_by_issue")
    connection.close()
    with Book(path) as book:
        assert len(book.entries(Kind.MARGINAL, "US-ERCO", HOUR, "regression")) == 2
    assert database.NEWEST_SCHEMA in {
        row[0] for row in sqlite3.connect(path).execute("SELECT * FROM alembic_version")
    }
