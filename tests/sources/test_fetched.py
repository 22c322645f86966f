"""The archive packs what comes often, and the index of fetches answers by zone and time, is only added to, and stays quick."""

from __future__ import annotations

import gzip
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.sources import Archive, Fetch, FetchIndex, Payload
from gridmargin.vocab import Interval, TableError, sha256_hex

T0 = datetime(2026, 9, 24, tzinfo=UTC)
DAY = timedelta(days=1)


def fetch(name, start=T0, end=T0 + DAY, at=T0, sha="a" * 64, **more):
    return Fetch("nyiso", "US-NYIS", name, sha, Interval(start, end), at, **more)


@pytest.fixture
def index(tmp_path):
    found = FetchIndex(tmp_path / "archive")
    yield found
    found.close()


@given(st.binary(max_size=2000))
def test_what_is_packed_comes_back_byte_for_byte(tmp_path_factory, body):
    """Packed or plain, the hash is of the bytes as they came, and `get` gives those."""
    archive = Archive(tmp_path_factory.mktemp("archive"))
    digest = archive.put(Payload("nyiso", "x", body), packed=True)
    assert digest == sha256_hex(body) == archive.put(Payload("nyiso", "x", body))
    assert archive.get(digest) == body
    assert len([path for path in archive.folder.rglob("*") if path.is_file()]) == 1


def test_a_packed_payload_that_was_altered_or_cut_is_told(tmp_path):
    """Neither damaged packing nor other bytes inside it pass for the payload."""
    archive = Archive(tmp_path)
    digest = archive.put(Payload("nyiso", "x", b"a,b\n" * 500), packed=True)
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    whole = path.read_bytes()
    for damaged in (whole[:20], b"no gzip", gzip.compress(b"other"), b""):
        path.write_bytes(damaged)
        with pytest.raises(TableError, match="altered"):
            archive.get(digest)


def test_the_newest_answer_of_each_name_covers(index):
    """A later answer under a name stands for the earlier one, even where it states less; other names stay."""
    index.add(fetch("day1", sha="1" * 64), 1)
    index.add(fetch("day2", T0 + DAY, T0 + 2 * DAY, sha="2" * 64), 1)
    index.add(fetch("day1", T0, T0 + DAY / 2, sha="3" * 64), 1)
    both = Interval(T0, T0 + 2 * DAY)
    assert [f.sha256[0] for f in index.covering("nyiso", "US-NYIS", both)] == ["2", "3"]
    evening = Interval(T0 + 0.75 * DAY, T0 + 0.8 * DAY)
    assert index.covering("nyiso", "US-NYIS", evening) == []
    assert index.covering("nyiso", "US-PJM", both) == []
    assert index.span("nyiso", "US-NYIS") == both
    assert len(index.every("nyiso")) == 3


def test_demand_that_is_out_before_generation_does_not_reach_further(index):
    """The span ends where generation does, since no margin can be told from demand alone; demand still covers."""
    index.add(fetch("fuel", T0, T0 + DAY), 1)
    index.add(fetch("demand", T0, T0 + 1.5 * DAY, states_supply=False), 1)
    assert index.span("nyiso", "US-NYIS") == Interval(T0, T0 + DAY)
    later = Interval(T0 + 1.2 * DAY, T0 + 1.3 * DAY)
    assert [f.name for f in index.covering("nyiso", "US-NYIS", later)] == ["demand"]
    assert index.every()[1].states_supply is False


def test_an_answer_that_could_not_be_read_is_noted_and_covers_nothing(index):
    """Its bytes and the reason are found again; what came before still covers."""
    index.add(fetch("day1"), 1)
    index.add(Fetch("nyiso", "US-NYIS", "day1", "b" * 64, None, T0, fault="no column"), 1)
    assert [f.sha256[0] for f in index.covering("nyiso", "US-NYIS", Interval(T0, T0 + DAY))] == ["a"]
    assert index.newest("nyiso", "US-NYIS", "day1").sha256[0] == "a"


def test_fetches_are_only_added(index):
    """Neither a row is changed nor taken away (C9)."""
    index.add(fetch("day1"), 1)
    other = sqlite3.connect(index.path)
    for statement in ("UPDATE fetched SET sha256 = 'x'", "DELETE FROM fetched"):
        with pytest.raises(sqlite3.DatabaseError, match="only added"):
            other.execute(statement)
    other.close()


def test_asking_makes_no_file_where_nothing_was_fetched(index):
    """A look at an archive that is not there leaves none behind."""
    assert index.span("nyiso", "US-NYIS") is None
    assert index.zones("nyiso") == []
    assert index.health("nyiso", "US-NYIS").tried_utc is None
    assert not index.path.parent.exists()


def test_failures_are_counted_until_a_success(index):
    """The count, the moments and the last fault are what a back-off needs."""
    for k in range(3):
        index.failed("nyiso", "US-NYIS", T0 + timedelta(minutes=k), f"fault {k}")
    found = index.health("nyiso", "US-NYIS")
    assert (found.n_failed, found.fault, found.failed_utc) == (3, "fault 2", T0 + timedelta(minutes=2))
    index.succeeded("nyiso", "US-NYIS", T0 + timedelta(minutes=9))
    found = index.health("nyiso", "US-NYIS")
    assert (found.n_failed, found.fault) == (0, None)
    assert found.failed_utc == T0 + timedelta(minutes=2)


def test_a_file_that_is_no_index_is_told(tmp_path):
    """Damage is named with the way out; the payloads are untouched by it."""
    (tmp_path / "fetched.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(TableError, match="move it away"):
        FetchIndex(tmp_path).span("nyiso", "US-NYIS")


def test_a_year_of_fetches_is_searched_in_milliseconds(index):
    """105,120 fetches of 365 names: the newest covering an hour and the whole span take less than 0.25 s together."""
    index.add(fetch("first", T0 - DAY, T0), 1)
    rows = [
        ("nyiso", "US-NYIS", f"day{k // 288}", f"{k:064d}", 1, *(int((T0 + m).timestamp() * 1e6) for m in (
            (k // 288) * DAY, (k // 288) * DAY + (k % 288 + 1) * DAY / 288)), k)
        for k in range(105_120)
    ]  # fmt: skip
    with sqlite3.connect(index.path) as bulk:
        bulk.executemany(
            "INSERT INTO fetched (source, zone, name, sha256, n_bytes, start_us, end_us, retrieved_us)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows,
        )  # fmt: skip
    bulk.close()
    hour = Interval(T0 + 364 * DAY, T0 + 364 * DAY + timedelta(hours=1))
    started = time.perf_counter()
    assert [f.name for f in index.covering("nyiso", "US-NYIS", hour)] == ["day364"]
    assert index.span("nyiso", "US-NYIS") == Interval(T0 - DAY, T0 + 365 * DAY)
    assert time.perf_counter() - started < 0.25
