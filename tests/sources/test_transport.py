"""The one HTTP client: what it waits for, what it refuses, and what it never tells."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import stamina.instrumentation
from hypothesis import given
from hypothesis import strategies as st

from gridmargin.sources.transport import Ask, Body, Limits, Transport, _retry_after_s, _wrong_kind
from gridmargin.vocab import PublisherError
from sources.publisher_server import Reply, publisher

TABLE = b"a,b\n1,2\n"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def client(sleep=time.sleep, **limits):
    usual = {
        "total_s": 3.0,
        "attempts": 3,
        "wait_initial_s": 0.01,
        "wait_max_s": 0.02,
        "wait_jitter_s": 0.0,
        "gap_s": 0.0,
    }
    return Transport(
        clock=time.monotonic, sleep=sleep, now_utc=lambda: NOW, limits=Limits(**(usual | limits))
    )


def ask(url, **more):
    return Ask("Publisher", url + "/table.csv", more.pop("body", Body.CSV), **more)


@pytest.fixture
def server():
    with publisher(lambda seen: Reply(TABLE)) as found:
        yield found


def test_it_waits_as_long_as_the_publisher_asks(server):
    """`Retry-After: 1` is one second, not the usual back-off."""
    waits = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: waits.append(details.wait_for)])
    try:
        server.replies = [Reply(status=429, headers=(("Retry-After", "1"),))]
        started = time.monotonic()
        assert client().get(ask(server.url)).body == TABLE
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)
    assert waits == [1.0]
    assert time.monotonic() - started >= 1.0


def test_a_wait_that_is_longer_than_the_time_left_is_not_begun(server):
    """Asked to wait an hour, it gives up at once and says what was asked."""
    server.replies = [Reply(status=503, headers=(("Retry-After", "3600"),))]
    started = time.monotonic()
    with pytest.raises(PublisherError, match=r"503.*asks to wait 3600 s \(1 try\)"):
        client().get(ask(server.url))
    assert time.monotonic() - started < 1


def test_what_will_not_pass_is_not_asked_again(server):
    """A 404 is told after one request, with its status as an attribute."""
    server.replies = [Reply(status=404)]
    with pytest.raises(PublisherError, match="answers 404") as caught:
        client().get(ask(server.url))
    assert caught.value.status == 404
    assert len(server.seen) == 1


def test_nothing_is_sent_again_that_did_not_change(server):
    """With what the host said of the body before, it may answer 304, which is no body and no error."""
    server.replies = [
        Reply(TABLE, headers=(("ETag", '"v1"'), ("Last-Modified", "Fri, 20 Nov 2026 11:00:00 GMT")))
    ]
    first = client().get(ask(server.url))
    assert (first.body, first.etag) == (TABLE, '"v1"')
    server.replies = [Reply(status=304)]
    again = client().get(ask(server.url, etag=first.etag, last_modified=first.last_modified))
    assert again.body is None
    assert server.seen[-1].headers["if-none-match"] == '"v1"'
    assert server.seen[-1].headers["if-modified-since"] == "Fri, 20 Nov 2026 11:00:00 GMT"


def test_a_redirect_is_followed_a_few_times(server):
    """One hop is an answer; a ring of them is told."""
    there = (("Location", server.url + "/elsewhere.csv"),)
    server.replies = [Reply(status=302, headers=there)]
    assert client().get(ask(server.url)).body == TABLE
    server.answer = lambda seen: Reply(status=302, headers=there)
    server.seen.clear()
    with pytest.raises(PublisherError, match="sends us on more than 3 times"):
        client().get(ask(server.url))
    assert len(server.seen) == 4


def test_keys_do_not_follow_to_another_host(server):
    """A redirect to another host takes neither the secret header nor the secret query along."""
    with publisher(lambda seen: Reply(TABLE)) as other:
        server.replies = [Reply(status=302, headers=(("Location", other.url + "/x.csv"),))]
        secret = {"secret_query": {"key": "s3cret"}, "secret_headers": {"X-Key": "s3cret"}}
        assert client().get(ask(server.url, **secret)).body == TABLE
        assert server.seen[0].query == {"key": "s3cret"}
        assert "s3cret" not in repr(other.seen)
    assert "s3cret" not in repr(ask(server.url, **secret))


def test_a_huge_body_is_refused_packed_or_not(server):
    """The limit holds for what is unpacked: a small body that grows is as huge."""
    server.replies = [Reply(b"1,2\n" * 1000)]
    with pytest.raises(PublisherError, match="more than 1,000 bytes"):
        client(max_bytes=1000).get(ask(server.url))
    server.replies = [Reply(gzip.compress(b"1,2\n" * 1000), headers=(("Content-Encoding", "gzip"),))]
    with pytest.raises(PublisherError, match="more than 1,000 bytes"):
        client(max_bytes=1000).get(ask(server.url))


def test_dripped_headers_end_too(server):
    """Bytes that keep coming are no answer: the connection is closed when the time is over."""
    server.answer = lambda seen: Reply(TABLE, drip_headers=True, drip_s=0.02)
    started = time.monotonic()
    with pytest.raises(PublisherError, match="in time"):
        client(total_s=0.4, read_s=1.0).get(ask(server.url))
    assert time.monotonic() - started < 3


def test_one_host_is_asked_no_faster_than_its_gap(server):
    """The second and third request wait their turn, by the sleep that was passed in."""
    slept: list[float] = []
    transport = client(slept.append, gap_s=0.5, total_s=30.0)
    for _ in range(3):
        transport.get(ask(server.url))
    assert len(slept) == 2
    assert 0.3 < slept[0] <= 0.5
    assert 0.8 < slept[1] <= 1.0


def test_a_host_may_want_to_be_left_alone_for_several_gaps(server):
    """After a request that says so, the next one waits for as many."""
    slept: list[float] = []
    transport = client(slept.append, gap_s=0.5, total_s=30.0)
    transport.get(ask(server.url, n_gaps=20))
    transport.get(ask(server.url))
    assert len(slept) == 1
    assert 9.8 < slept[0] <= 10.0


@given(st.integers(0, 10**6))
def test_retry_after_reads_seconds_and_dates_alike(seconds):
    """Both forms of the header are the same wait; one in the past is none."""
    assert _retry_after_s(str(seconds), NOW) == seconds
    assert _retry_after_s(format_datetime(NOW + timedelta(seconds=seconds), usegmt=True), NOW) == seconds
    assert _retry_after_s(format_datetime(NOW - timedelta(seconds=1 + seconds), usegmt=True), NOW) == 0
    assert _retry_after_s("soon", NOW) is None


@pytest.mark.parametrize(
    ("body", "due", "fine"),
    [
        (TABLE, Body.CSV, True), (b"\xef\xbb\xbfa,b\n", Body.CSV, True), (b'"a","b"\n', Body.CSV, True),
        (b"<HTML><body>", Body.CSV, False), (b'{"error": 1}', Body.CSV, False), (b"PK\x03\x04", Body.CSV, False),
        (b"", Body.CSV, False), (b'{"a": 1}', Body.JSON, True), (b" [1]", Body.JSON, True), (b"a,b\n", Body.JSON, False),
        (b"<!-- x --><html>", Body.XML, False), (b"<?xml version='1.0'?><a/>", Body.XML, True), (b"{}", Body.XML, False),
        (b"PK\x03\x04", Body.ZIP, True), (b"<?xml version='1.0'?>", Body.ZIP, False),
    ],
)  # fmt: skip
def test_a_body_is_of_the_kind_that_was_due(body, due, fine):
    """A web page, an empty body or another format is told; what fits passes."""
    assert (_wrong_kind(body, due) is None) == fine


def test_no_test_reaches_another_machine():
    """An address of the outside is refused before anything is sent: the suite proves nothing by luck of a network."""
    with pytest.raises(PublisherError, match="cannot be reached"):
        client(attempts=1).get(ask("http://192.0.2.1"))
