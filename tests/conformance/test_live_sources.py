"""What every registered live adapter must keep, whoever wrote it: asked over HTTP, with everything that goes wrong."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import re
import sqlite3
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import trustme

from gridmargin.grid import assemble, is_quantity
from gridmargin.ledger import Book
from gridmargin.pipeline import Factory, facts_from, take_in
from gridmargin.sources import (
    COMPARISONS,
    LIVE_SOURCES,
    SOURCES,
    Archive,
    FetchIndex,
    KeptSource,
    Limits,
    Observations,
    Payload,
    Reach,
    Transport,
    collect,
    off_reason,
    replay,
)
from gridmargin.sources.collect import SUPPLY
from gridmargin.vocab import InputError, Interval, Kind, PublisherError, TableError, sha256_hex
from sources.live_samples import LIVE_SAMPLES
from sources.publisher_server import ERROR_PAGE, Publisher, Reply, Seen, closed_port, publisher

QUICK = Limits(
    connect_s=1.0,
    read_s=1.0,
    total_s=5.0,
    attempts=3,
    wait_initial_s=0.01,
    wait_max_s=0.02,
    wait_jitter_s=0.0,
    gap_s=0.0,
)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = sorted(LIVE_SAMPLES)
BASES = [name for name in NAMES if name in LIVE_SOURCES.names()]
"""Those that states, and so factors, are made from; the others are comparison signals."""


SUPPLEMENTED = [
    name
    for name in BASES
    if any(
        request.supplement
        for request in LIVE_SOURCES.get(name)().requests(LIVE_SAMPLES[name].zone, LIVE_SAMPLES[name].interval)
    )
]
"""Those that ask for tables which the margin can be told without."""


def kind_of(name: str):
    """Give an adapter's class, whichever registry it is in."""
    return (LIVE_SOURCES if name in LIVE_SOURCES.names() else COMPARISONS).get(name)


def adapter_of(name: str):
    """Give an adapter."""
    return kind_of(name)()


def test_there_are_live_adapters_and_each_has_a_sample():
    """The suite runs over something, and an adapter without a sample is named."""
    assert len(LIVE_SOURCES) > 0
    assert len(COMPARISONS) > 0
    assert [
        name for registry in (LIVE_SOURCES, COMPARISONS) for name in registry if name not in LIVE_SAMPLES
    ] == []


@dataclass
class Bench:
    """One adapter, its sample, its publisher on this machine, and a folder of its own."""

    name: str
    server: Publisher
    folder: Path
    skip: set[datetime]
    bump: dict[datetime, float]
    limits: Limits = QUICK

    def __post_init__(self) -> None:
        self.live = adapter_of(self.name)
        self.sample = LIVE_SAMPLES[self.name]
        self.archive = Archive(self.folder / "archive")
        self.index = FetchIndex(self.folder / "archive")
        self.kept = KeptSource(self.live, self.archive, self.index)

    def transport(self, trust=None) -> Transport:
        return Transport(
            clock=time.monotonic, sleep=time.sleep, now_utc=lambda: NOW, limits=self.limits, trust=trust
        )

    def collect(self, interval: Interval | None = None, url: str | None = None, trust=None):
        return collect(
            self.live, self.sample.zone, interval or self.sample.interval, transport=self.transport(trust),
            archive=self.archive, index=self.index, now_utc=lambda: NOW,
            reach=Reach(url or self.server.url, self.sample.secrets),
        )  # fmt: skip

    def starts(self, interval: Interval) -> list[datetime]:
        """Give the starts of the intervals that there is a state of; of a comparison, a value of."""
        parts = [self.kept.parse(p, interval) for p in self.kept.fetch(self.sample.zone, interval)]
        found = Observations.concat(parts)
        if self.name not in BASES:
            return found.frame["start_utc"].unique().sort().to_list()
        step_s = self.live.interval_s(self.sample.zone)
        return assemble(found, self.sample.zone, step_s).frame["start_utc"].to_list()

    def kept_files(self) -> list[Path]:
        return [path for path in (self.folder / "archive").rglob("*") if len(path.stem) == 64]


def answers_of(name: str, skip: set[datetime], bump: dict[datetime, float], intervals: list[Interval]):
    """Give what answers a request: the body of the adapter's own request for that path and query."""
    live, sample = adapter_of(name), LIVE_SAMPLES[name]

    def answer(seen: Seen) -> Reply:
        for interval in intervals:
            for request in live.requests(sample.zone, interval):
                path = "/" + request.path.lstrip("/")
                same_path = bool(re.fullmatch(path + request.listed, seen.path))
                if same_path and dict(request.query).items() <= seen.query.items():
                    return Reply(sample.build(request, skip, bump))
        return Reply(b"no such table", status=404)

    return answer


def clock_changes(name: str) -> list[Interval]:
    """Give the local days of 2026 on which the clock is changed where the publisher is."""
    zone = ZoneInfo(LIVE_SAMPLES[name].timezone or "UTC")
    midnights = [
        datetime(2026, 1, 1, tzinfo=zone).replace(tzinfo=None) + timedelta(days=k) for k in range(360)
    ]
    days = [
        Interval(a.replace(tzinfo=zone), b.replace(tzinfo=zone)) for a, b in itertools.pairwise(midnights)
    ]
    return [day for day in days if day.duration_s != 86_400]


@contextlib.contextmanager
def bench_of(name: str, folder: Path, authority: trustme.CA | None = None) -> Iterator[Bench]:
    skip: set[datetime] = set()
    bump: dict[datetime, float] = {}
    intervals = [LIVE_SAMPLES[name].interval, *clock_changes(name)]
    with publisher(answers_of(name, skip, bump, intervals), authority) as server:
        token, login = LIVE_SAMPLES[name].token, getattr(adapter_of(name).access, "login", None)

        def at_door(seen: Seen) -> Reply | None:
            if login and seen.path == f"/{login}":
                return Reply(json.dumps({"token": token}).encode())
            body = LIVE_SAMPLES[name].beside(seen.path, skip, bump)
            return None if body is None else Reply(body)

        server.door = at_door
        bench = Bench(name, server, folder, skip, bump)
        yield bench
        bench.index.close()


@pytest.fixture(params=NAMES)
def bench(request, tmp_path):
    with bench_of(request.param, tmp_path) as found:
        yield found


# -- what it says of itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_it_says_where_how_often_and_for_whom(name):
    """The registered name, an encrypted address, a cadence, and zones that are known."""
    live = adapter_of(name)
    assert live.name == name
    assert live.base_url.startswith("https://")
    assert 60 <= live.cadence_s <= 86_400
    assert 0 <= live.delay_s <= 7 * 86_400
    assert LIVE_SAMPLES[name].zone in live.zones()
    assert live.publisher


@pytest.mark.parametrize("name", [name for name in NAMES if name in SOURCES])
def test_what_a_folder_may_hold_too_is_read_by_the_same_parser(name):
    """One format, one parser: live and recorded cannot drift apart."""
    assert kind_of(name).parse is SOURCES.get(name).parse
    assert kind_of(name).cell_text is SOURCES.get(name).cell_text


@pytest.mark.parametrize("name", NAMES)
def test_requests_are_pure_cover_the_stretch_and_hold_no_secret(name):
    """The same question gives the same requests, their stretches leave nothing out, and each name is asked once."""
    live, sample = adapter_of(name), LIVE_SAMPLES[name]
    for interval in (
        sample.interval,
        Interval(sample.interval.start_utc - timedelta(days=75), sample.interval.end_utc),
    ):
        asked = live.requests(sample.zone, interval)
        assert asked == live.requests(sample.zone, interval)
        assert len({request.name for request in asked}) == len(asked)
        for slot in interval.split(21_600):
            assert any(slot.start_utc in request.interval for request in asked)
        text = repr(asked)
        assert not any(secret in text for secret in sample.secrets.values())


@pytest.mark.parametrize("name", [name for name in NAMES if LIVE_SAMPLES[name].secrets])
def test_without_its_key_it_is_off_and_says_how_to_turn_it_on(name, tmp_path):
    """Each missing key is named as the variable that holds it, with where one gets it; nobody is asked."""
    live, index = adapter_of(name), FetchIndex(tmp_path)
    told = off_reason(live, Reach())
    assert told is not None
    assert live.access is not None
    for secret in live.access.secrets:
        assert f"GRIDMARGIN_{name.upper()}_{secret.upper()}" in told
    assert live.access.sign_up in told
    with pytest.raises(InputError, match="is off"):
        collect(
            live, LIVE_SAMPLES[name].zone, LIVE_SAMPLES[name].interval, archive=Archive(tmp_path), index=index,
            transport=Transport(clock=time.monotonic, sleep=time.sleep, now_utc=lambda: NOW), now_utc=lambda: NOW,
        )  # fmt: skip


# -- what comes in ---------------------------------------------------------------------------------------------------


def test_what_came_is_archived_as_it_came_and_read_again_from_there(bench):
    """Every payload lies in the archive byte for byte, covers the stretch, and replays to the same observations."""
    found = bench.collect()
    assert found.n_new >= 1
    assert found.faults == ()
    requests = {r.name: r for r in bench.live.requests(bench.sample.zone, bench.sample.interval)}
    for fetch in bench.index.every(bench.name):
        body = bench.archive.get(fetch.sha256)
        request = requests[fetch.name]
        assert body == bench.sample.keep(request, bench.sample.build(request, set(), {}))
    starts = bench.starts(bench.sample.interval)
    assert len(starts) == bench.sample.interval.duration_s / bench.live.interval_s(bench.sample.zone)
    replayed = list(replay(bench.live, bench.archive, bench.index))
    assert len(replayed) == found.n_new
    assert [one.fault for one in replayed] == [None] * len(replayed)
    assert all(one.n_observations for one in replayed)


@pytest.mark.parametrize("bench", BASES, indirect=True)
def test_what_has_not_come_yet_is_refused(bench):
    """An answer that states what will have been generated is kept, named, and not believed: nothing is fresh by it."""
    early = bench.sample.interval.start_utc - timedelta(days=2)
    with pytest.raises(TableError, match="ahead of the clock"):
        collect(
            bench.live, bench.sample.zone, bench.sample.interval, transport=bench.transport(), archive=bench.archive,
            index=bench.index, now_utc=lambda: early, reach=Reach(bench.server.url, bench.sample.secrets),
        )  # fmt: skip
    assert bench.index.span(bench.name, bench.sample.zone) is None
    assert bench.kept_files()
    assert bench.index.health(bench.name, bench.sample.zone).fault


def test_every_cell_can_be_read_again(bench):
    """The row and column of an observation lead back to its number, up to one factor for a quantity."""
    bench.collect()
    ratios: dict[str, float] = {}
    n = 0
    for payload in bench.kept.fetch(bench.sample.zone, bench.sample.interval):
        observations = bench.kept.parse(payload, bench.sample.interval)
        for index in range(0, len(observations), 5):
            one = observations.record(index)
            text = bench.kept.cell_text(payload, one.cell)
            number = float(bench.sample.words.get(text, text).replace(",", ""))
            if number:
                n += 1
                ratio = ratios.setdefault(one.quantity, one.value / number)
                assert one.value / number == pytest.approx(ratio)
    assert n > 0


def test_it_says_who_asks(bench):
    """Every request names gridmargin and its version."""
    bench.collect()
    assert bench.server.seen
    assert all(seen.headers["user-agent"].startswith("gridmargin/") for seen in bench.server.seen)


def test_the_same_answer_twice_is_kept_once(bench):
    """Asking again brings nothing new where nothing is."""
    first = bench.collect()
    again = bench.collect()
    assert (again.n_new, again.revised) == (0, ())
    assert again.n_unchanged == first.n_new
    assert len(bench.kept_files()) == len({f.sha256 for f in bench.index.every(bench.name)})


@pytest.mark.parametrize("name", [name for name in NAMES if LIVE_SAMPLES[name].timezone])
def test_a_day_on_which_the_clock_is_changed_has_all_its_intervals_once(name, tmp_path):
    """Spring's day has 23 hours and autumn's 25; each interval has one state, none is missing or doubled (C1)."""
    days = clock_changes(name)
    assert sorted(day.duration_s / 3600 for day in days) == [23, 25]
    with bench_of(name, tmp_path) as bench:
        for day in days:
            bench.collect(day)
            starts = bench.starts(day)
            assert len(starts) == day.duration_s / bench.live.interval_s(bench.sample.zone)
            assert len(set(starts)) == len(starts)


@pytest.mark.parametrize("bench", [name for name in NAMES if name not in BASES], indirect=True)
def test_a_late_revision_of_a_comparison_is_another_payload(bench):
    """Both payloads stay, and the interval is named; no factor rests on it."""
    start = bench.sample.interval.start_utc
    bench.collect()
    n = len(bench.index.every(bench.name))
    bench.bump[start] = 70
    found = bench.collect()
    assert found.revised == (start,)
    assert len(bench.index.every(bench.name)) == n + found.n_new


@pytest.mark.parametrize("bench", [name for name in NAMES if name not in BASES], indirect=True)
def test_a_comparison_can_be_no_state(bench):
    """Its quantities bear its own name, and no grid state may hold them: no factor can be made from them (C3)."""
    bench.collect()
    parts = [
        bench.kept.parse(p, bench.sample.interval)
        for p in bench.kept.fetch(bench.sample.zone, bench.sample.interval)
    ]
    found = Observations.concat(parts)
    assert found.frame["quantity"].str.starts_with(f"{bench.name}_").all()
    assert not any(is_quantity(quantity) for quantity in found.frame["quantity"].unique())
    with pytest.raises(TableError, match="unknown quantities"):
        assemble(found, bench.sample.zone, bench.live.interval_s(bench.sample.zone))


@pytest.mark.parametrize("bench", BASES, indirect=True)
def test_a_late_revision_is_another_payload_and_another_entry(bench, tmp_path):
    """Both payloads stay, the interval is named, and a new ledger entry supersedes the old one, which stays (C9)."""
    start = bench.sample.interval.start_utc
    step_s = bench.live.interval_s(bench.sample.zone)
    one = Interval.starting(start, step_s)
    with Book(tmp_path / "ledger.sqlite") as book:
        factory = Factory(
            bench.kept, book, bench.archive, facts_from(None), lambda: NOW, estimators=("average",)
        )
        bench.collect()
        factory.ensure(bench.sample.zone, one)
        [before] = book.entries(Kind.AVERAGE, bench.sample.zone, one, "average")
        bench.bump[start] = 700
        found = bench.collect()
        n_moved = (bench.sample.moves_s or step_s) // step_s
        assert found.revised == tuple(start + timedelta(seconds=step_s * k) for k in range(n_moved))
        assert take_in(factory, bench.sample.zone, found.revised) == 1
        [after] = book.entries(Kind.AVERAGE, bench.sample.zone, one, "average")
        assert after.supersedes == before.entry_id
        assert after.estimate.factor_gco2_per_kwh.mid != before.estimate.factor_gco2_per_kwh.mid
        assert [e.entry_id for e in book.history(Kind.AVERAGE, after.entry_id)] == [
            after.entry_id,
            before.entry_id,
        ]
        assert before.payload_sha256s != after.payload_sha256s
        for digest in (*before.payload_sha256s, *after.payload_sha256s):
            assert sha256_hex(bench.archive.get(digest)) == digest


def test_a_gap_stays_a_gap(bench):
    """An interval that the publisher leaves out has no state, and its neighbours have (C2)."""
    if bench.sample.is_snapshot:
        requests = bench.live.requests(bench.sample.zone, bench.sample.interval)
        assert len([request for request in requests if not request.supplement]) == 1
        return
    step_s = bench.live.interval_s(bench.sample.zone)
    gone = bench.sample.interval.start_utc + timedelta(seconds=step_s)
    bench.skip.add(gone)
    bench.collect()
    starts = bench.starts(bench.sample.interval)
    assert gone not in starts
    assert {gone - timedelta(seconds=step_s), gone + timedelta(seconds=step_s)} <= set(starts)


@pytest.mark.parametrize("name", BASES)
def test_what_states_no_generation_and_no_margin_is_a_supplement(name):
    """A table of load, prices, flows or curtailment alone is none that a round stands or falls with."""
    sample, live = LIVE_SAMPLES[name], adapter_of(name)
    asked = [r for r in live.requests(sample.zone, sample.interval) if not r.supplement]
    assert asked
    for request in asked:
        body = sample.keep(request, sample.build(request, set(), {}))
        frame = live.parse(Payload(name, request.name, body), sample.interval).frame
        assert frame["quantity"].str.contains(SUPPLY).any(), request.name


@pytest.mark.parametrize("name", SUPPLEMENTED)
def test_a_fault_beside_takes_nothing_away_from_generation(name, tmp_path):
    """Whatever stands where load, prices or flows were due, generation is there, and the fault is told by its name."""
    sample, live = LIVE_SAMPLES[name], adapter_of(name)
    beside = [r for r in live.requests(sample.zone, sample.interval) if r.supplement]
    for what in (
        Reply(b"nothing of the kind"), Reply(ERROR_PAGE, headers=(("Content-Type", "text/html"),)),
        Reply(status=500), Reply(status=404),
    ):  # fmt: skip
        with bench_of(name, tmp_path / str(time.monotonic_ns())) as bench:
            whole = bench.server.door

            def door(seen: Seen, what=what, whole=whole) -> Reply | None:
                is_beside = any(
                    seen.path.lstrip("/") == r.path and dict(r.query).items() <= seen.query.items()
                    for r in beside
                )
                return what if is_beside else whole(seen)

            bench.server.door = door
            found = bench.collect()
            assert {fault.partition(":")[0] for fault in found.faults} == {r.supplement for r in beside}
            starts = bench.starts(sample.interval)
            assert len(starts) == sample.interval.duration_s / live.interval_s(sample.zone)
            assert bench.index.health(name, sample.zone).fault is None
            bench.server.door = whole
            assert bench.collect().faults == ()


# -- what goes wrong -------------------------------------------------------------------------------------------------


def refused(bench: Bench, what: str, **kwargs) -> str:
    """Collect, expect a PublisherError that names the publisher and what came, and that nothing was kept."""
    with pytest.raises(PublisherError, match=what) as caught:
        bench.collect(**kwargs)
    message = str(caught.value)
    assert bench.live.publisher in message
    assert "; " in message
    assert not any(secret in message for secret in bench.sample.secrets.values())
    health = bench.index.health(bench.name, bench.sample.zone)
    assert health.n_failed == 1
    assert health.fault == message
    assert bench.kept_files() == []
    return message


def test_an_error_page_with_status_200_is_no_data(bench):
    """A web page where a table was due is told as such, with its title, and is not kept."""
    bench.server.replies = [Reply(ERROR_PAGE, headers=(("Content-Type", "text/html"),))]
    assert "Down for maintenance" in refused(bench, "web page")


def test_too_many_requests_are_waited_for_as_long_as_it_says(bench):
    """A 429 with Retry-After is asked again, and then answered."""
    bench.server.replies = [Reply(status=429, headers=(("Retry-After", "0"),))]
    assert bench.collect().n_new >= 1


def test_a_burst_of_server_errors_is_outlasted(bench):
    """Two failures and an answer are an answer; as many failures as tries are told."""
    bench.server.replies = [Reply(status=503), Reply(status=502)]
    assert bench.collect().n_new >= 1


def test_server_errors_without_end_are_told(bench):
    """The message has the last status and the number of tries."""
    bench.server.replies = [Reply(status=500)] * 3
    assert "3 tries" in refused(bench, "answers 500")
    assert len(bench.server.seen) == 3


def test_a_body_cut_short_is_no_body(bench):
    """Fewer bytes than announced are asked for again, and told where they stay fewer."""
    [*_, last] = bench.live.requests(bench.sample.zone, bench.sample.interval)
    body = bench.sample.build(last, set(), {})
    bench.server.replies = [Reply(body, cut=20)]
    assert bench.collect().n_new >= 1


def test_a_body_that_stays_cut_short_is_told(bench):
    """No part of a table stands for the table."""
    bench.server.replies = [Reply(b"a,b\n" * 50, cut=20)] * 3
    refused(bench, "cut short")


def test_a_renamed_column_is_named(bench):
    """A schema change is a TableError with the column's name; the bytes are kept, and no value is made up from them."""
    [*_, last] = bench.live.requests(bench.sample.zone, bench.sample.interval)
    body = bench.sample.build(last, set(), {})
    changed = bench.sample.rename(body, bench.sample.column.encode())
    assert changed != body
    bench.server.replies = [Reply(changed)]
    with pytest.raises(TableError, match=bench.sample.column) as caught:
        bench.collect()
    assert last.name in str(caught.value)
    kept = bench.sample.keep(last, changed)
    assert bench.archive.get(sha256_hex(kept)) == kept
    assert bench.index.every(bench.name) == []
    assert bench.index.health(bench.name, bench.sample.zone).fault == str(caught.value)


def test_a_slow_drip_is_ended(bench):
    """A body that comes a byte at a time is given up when its time is over, whatever each read took."""
    [*_, last] = bench.live.requests(bench.sample.zone, bench.sample.interval)
    bench.server.replies = [Reply(bench.sample.build(last, set(), {}), drip_s=0.02)]
    bench.limits = Limits(total_s=0.4, attempts=3, gap_s=0.0)
    started = time.monotonic()
    refused(bench, "too slowly|in time")
    assert time.monotonic() - started < 3


def test_a_publisher_that_is_not_there_is_named(bench):
    """A refused connection is told with the address, without its keys."""
    address = closed_port()
    assert address in refused(bench, "cannot be reached", url=address)


@pytest.mark.parametrize("name", NAMES)
def test_a_certificate_that_nobody_vouches_for_is_refused(name, tmp_path):
    """TLS is checked: a self-signed publisher gets no request, one whose authority is trusted is read."""
    authority = trustme.CA()
    with bench_of(name, tmp_path, authority) as bench:
        refused(bench, "certificate")
        assert bench.server.seen == []
        trust = ssl.create_default_context()
        authority.configure_trust(trust)
        assert bench.collect(trust=trust).n_new >= 1


@pytest.mark.parametrize("name", [name for name in NAMES if LIVE_SAMPLES[name].secrets])
def test_keys_are_sent_and_nowhere_else(name, tmp_path, caplog):
    """The publisher gets the key; the log at its most talkative, the index, the archive's names and messages do not."""
    with bench_of(name, tmp_path) as bench, caplog.at_level(logging.DEBUG):
        bench.collect()
        access = bench.live.access
        assert access is not None
        shown = {k.lower(): v for k, v in access.in_headers(bench.sample.secrets).items()}
        bearer = {"authorization": f"Bearer {bench.sample.token}"} if access.login else shown
        assert len(bench.server.at_door) == bool(access.login)
        for seen, sent in (
            *((seen, shown) for seen in bench.server.at_door), *((seen, bearer) for seen in bench.server.seen)
        ):  # fmt: skip
            assert access.in_query(bench.sample.secrets).items() <= seen.query.items()
            assert sent.items() <= seen.headers.items()
        hidden = [*bench.sample.secrets.values(), *shown.values(), *bearer.values()]
        hidden += [bench.sample.token] if bench.sample.token else []
        bench.server.replies = [Reply(status=403)]
        with pytest.raises(PublisherError) as caught:
            bench.collect()
    rows = sqlite3.connect(tmp_path / "archive" / "fetched.sqlite")
    kept = "\n".join(rows.iterdump())
    rows.close()
    names = "\n".join(str(path) for path in tmp_path.rglob("*"))
    for secret in hidden:
        assert secret not in caplog.text
        assert secret not in kept
        assert secret not in names
        assert secret not in str(caught.value)


def test_only_the_zone_asked_for_is_stated(bench):
    """What was collected for a zone is of that zone, in quantities that its states may hold."""
    bench.collect()
    payloads = list(bench.kept.fetch(bench.sample.zone, bench.sample.interval))
    frames = [bench.kept.parse(payload, bench.sample.interval).frame for payload in payloads]
    assert pl.concat(frames)["zone"].unique().to_list() == [bench.sample.zone]
