"""Nothing that an entry, a fit in use or a later stretch needs ever leaves the archive; what leaves is said."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridmargin.ledger import Book, Signer, retire
from gridmargin.pipeline import prune
from gridmargin.sources import Archive, Fetch, FetchIndex, Payload
from gridmargin.vocab import InputError, Interval
from ledger.samples import FIT, T0, estimates

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DAY = timedelta(days=1)
CUT = T0 + 10 * DAY


class Home:
    """A ledger, an archive and its index, and payloads kept when they came."""

    def __init__(self, folder):
        self.book = Book(folder / "ledger.sqlite", Signer(folder / "key.pem"))
        self.archive = Archive(folder / "archive")
        self.index = FetchIndex(folder / "archive")

    def keep(self, text, day=None, came=None, *, packed=True):
        """Keep a payload; with a day it is an answer that states that day."""
        digest = self.archive.put(Payload("nyiso", text, text.encode()), packed=packed)
        start = T0 + (day or 0) * DAY
        came_utc = came or start
        (path,) = self.archive.folder.rglob(digest + "*")
        os.utime(path, (came_utc.timestamp(),) * 2)
        if day is not None:
            self.index.add(
                Fetch("nyiso", "US-NYIS", text, digest, Interval(start, start + DAY), came_utc), len(text)
            )
        return digest

    def say(self, day, payloads, fit=FIT):
        self.book.append(
            estimates([0.4], start=T0 + day * DAY, fit=fit), fit, T0 + day * DAY, [json.dumps(payloads)]
        )

    def there(self):
        return {kept.sha256 for kept in self.archive.kept()}

    def prune(self, before=CUT, **more):
        return prune(self.book, self.archive, self.index, before, NOW, **more)


@pytest.fixture
def home(tmp_path):
    found = Home(tmp_path)
    yield found
    found.book.close()
    found.index.close()


def test_without_remove_it_only_counts_and_with_it_the_same_goes(home):
    home.say(20, [home.keep("used", 20)])
    old = {home.keep("one", 1), home.keep("two" * 50, 2, packed=False)}
    counted = home.prune()
    assert (counted.n_payloads, counted.n_kept, counted.removed) == (2, 1, False)
    assert old <= home.there()
    size = sum(kept.n_bytes for kept in home.archive.kept() if kept.sha256 in old)
    done = home.prune(remove=True)
    assert (done.n_payloads, done.n_bytes, done.removed) == (2, size, True)
    assert not old & home.there()
    assert home.prune(remove=True).n_payloads == 0


def test_what_a_standing_entry_names_goes_only_after_its_retirement(home, tmp_path):
    digest = home.keep("behind an entry", 1)
    home.say(1, [digest])
    home.say(20, [home.keep("used", 20)])
    assert (home.prune(remove=True).n_payloads, digest in home.there()) == (0, True)
    retire(home.book, tmp_path / "old.parquet", CUT, NOW)
    assert (home.prune(remove=True).n_payloads, digest in home.there()) == (1, False)


def test_what_a_fit_in_use_was_learned_from_stays(home, tmp_path):
    """Of a standing entry's fit, of the fits that it names, and of the newest fit, though its entries are retired."""
    learned = [home.keep(f"learned {i}", i) for i in range(4)]
    inner = replace(FIT, estimator="inner", payload_sha256s=(learned[0],))
    outer = replace(FIT, parameters={"made_of": [inner.fit_id]}, payload_sha256s=(learned[1],))
    gone = replace(FIT, parameters={"x": 1}, payload_sha256s=(learned[2],))
    newest = replace(FIT, zone="US-ERCO", estimator="other", payload_sha256s=(learned[3],))
    home.say(1, [], inner)
    home.say(2, [], gone)
    home.say(3, [], newest)
    home.say(20, [], outer)
    retire(home.book, tmp_path / "old.parquet", CUT, NOW)
    home.prune(remove=True)
    assert home.there() == {learned[0], learned[1], learned[3]}


def test_what_states_something_later_or_came_later_stays(home):
    home.say(20, [home.keep("used", 20)])
    across = home.archive.put(Payload("nyiso", "x", b"across"))
    home.index.add(Fetch("nyiso", "US-NYIS", "x", across, Interval(CUT - DAY, CUT + DAY), CUT - DAY), 6)
    os.utime(next(home.archive.folder.rglob(across)), (T0.timestamp(),) * 2)
    late = home.keep("an old day, fetched lately", 1, came=CUT + DAY)
    unlisted = home.keep("kept lately, not in the index", came=CUT + DAY)
    assert home.prune(remove=True).n_payloads == 0
    assert {across, late, unlisted} <= home.there()


def test_what_is_kept_again_is_new_again(home):
    """Another process that gets the same bytes now is about to name them."""
    home.say(20, [home.keep("used", 20)])
    digest = home.keep("old", 1)
    home.archive.put(Payload("nyiso", "old", b"old"))
    assert home.prune(remove=True).n_payloads == 0
    assert not home.archive.remove(digest, CUT)
    assert digest in home.there()


def test_the_index_says_what_was_removed_and_answers_without_it(home):
    home.say(20, [home.keep("used", 20)])
    home.keep("old", 1)
    both = Interval(T0, T0 + 30 * DAY)
    assert home.index.span("nyiso", "US-NYIS").start_utc == T0 + DAY
    home.prune(remove=True)
    assert [f.name for f in home.index.covering("nyiso", "US-NYIS", both)] == ["used"]
    assert [f.name for f in home.index.every()] == ["used"]
    assert home.index.newest("nyiso", "US-NYIS", "old") is None
    assert home.index.span("nyiso", "US-NYIS") == Interval(T0 + 20 * DAY, T0 + 21 * DAY)
    assert home.index.n_removed() == 1
    home.keep("old", 1, came=NOW)  # asked for again, it answers again
    assert [f.name for f in home.index.covering("nyiso", "US-NYIS", both)] == ["used", "old"]
    assert home.index.n_removed() == 1


def test_the_newest_days_and_an_empty_ledger_are_refused(home):
    with pytest.raises(InputError, match="is empty, so nothing tells what is needed"):
        home.prune()
    home.say(20, [])
    with pytest.raises(InputError, match="newest 35 days are not removed"):
        home.prune(NOW - 34 * DAY)


@given(
    payloads=st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.booleans()), max_size=12),
    cut=st.integers(0, 25),
)
@settings(deadline=None, max_examples=20)
def test_whatever_is_named_or_later_is_there_afterwards(tmp_path_factory, payloads, cut):
    """And whatever is neither is gone."""
    home = Home(tmp_path_factory.mktemp("home"))
    home.say(30, [])
    must, may_go = set(), set()
    for number, (day, named, listed) in enumerate(payloads):
        came = T0 + day * DAY
        digest = home.keep(f"payload {number}", day if listed else None, came)
        if named:
            home.say(day, [digest])  # said again, the newest words supersede and the older stand
        goes = not named and (day + listed <= cut if listed else day < cut) and day < cut
        (may_go if goes else must).add(digest)
    home.prune(T0 + cut * DAY, remove=True)
    assert home.there() == must
    home.book.close()
    home.index.close()


def test_an_older_answer_never_stands_in_for_a_newer_one_that_was_removed(home):
    """The first words are named by an entry and stay; the last ones go, and nobody is told the first for the last."""
    first = home.keep("first", 1)
    home.say(1, [first])
    home.say(20, [])
    day = Interval(T0 + DAY, T0 + 2 * DAY)
    last = home.keep("last words")
    for digest in (first, last):
        home.index.add(Fetch("nyiso", "US-NYIS", "day", digest, day, T0 + DAY), 5)
    home.prune(remove=True)
    assert home.there() == {first}
    assert home.index.newest("nyiso", "US-NYIS", "day") is None
    assert [f.name for f in home.index.covering("nyiso", "US-NYIS", day)] == ["first"]


def test_a_stop_after_the_note_leaves_a_payload_that_goes_the_next_time(home, monkeypatch):
    """Noted and not removed: no answer comes from it, and it is found again."""
    home.say(20, [home.keep("used", 20)])
    digest = home.keep("old", 1)
    with monkeypatch.context() as patch:
        patch.setattr(home.archive, "remove", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            home.prune(remove=True)
    assert digest in home.there()
    assert [f.name for f in home.index.every()] == ["used"]
    assert home.prune(remove=True).n_payloads == 1
    assert digest not in home.there()
