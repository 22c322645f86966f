"""The one polite HTTP client: every byte from a publisher comes through here.

It asks one host no faster than a gap apart, waits as long as the host says (`Retry-After`), tries again a few times on
what may pass (429, 5xx, a broken connection, a cut body), and gives up in time. What comes back whole and of the right
kind is given as it came; anything else is a `PublisherError` that names the publisher and the address without its keys.
"""

from __future__ import annotations

import logging
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gridmargin.vocab import PublisherError

if TYPE_CHECKING:  # an answer from a record need not wait for the client to load
    import httpx2

USER_AGENT = f"gridmargin/{version('gridmargin')} (open-source grid emission factors)"
MAX_REDIRECTS = 3
"""How often an address may send us on."""

_HTML = re.compile(
    rb"^(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|script)\b",
    re.IGNORECASE | re.DOTALL,
)
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})

for _name in ("httpx2", "httpcore2"):
    # They log whole addresses and headers, keys included, and whoever turns up the root logger would read them.
    logging.getLogger(_name).setLevel(logging.CRITICAL)
logging.getLogger("stamina").addHandler(logging.NullHandler())  # who wants to hear of retries has a handler


class Body(StrEnum):
    """What kind of body is due."""

    CSV = "csv"
    HTML = "html"
    JSON = "json"
    XML = "xml"
    ZIP = "zip"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long, how often and how much.

    Attributes
    ----------
    connect_s, read_s : float
        To reach the host, and to wait for its next bytes. [s]
    total_s : float
        For one body with everything: waits, redirects, other tries. [s]
    attempts : int
        How often one body is asked for, the first time included.
    wait_initial_s, wait_max_s, wait_jitter_s : float
        Before trying again: the first wait, which doubles, its limit, and what chance adds. [s]
    gap_s : float
        Least time between two requests to one host. [s]
    max_bytes : int
        Of a body, unpacked. [B]
    """

    connect_s: float = 3.0
    read_s: float = 10.0
    total_s: float = 60.0
    attempts: int = 4
    wait_initial_s: float = 0.5
    wait_max_s: float = 20.0
    wait_jitter_s: float = 0.5
    gap_s: float = 0.25
    max_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ask:
    """One body to be asked for.

    Attributes
    ----------
    publisher : str
        Who is asked, for messages.
    url : str
        Address, without anything secret.
    body : Body
        What is due.
    query, headers : mapping
        What goes with it, nothing secret.
    secret_query, secret_headers : mapping
        Keys; sent, and never shown, logged or kept.
    etag, last_modified : str or None
        What the host said of the body we hold, so that it may answer that nothing changed.
    n_gaps : int
        How many gaps the host is left alone for after it.
    """

    publisher: str
    url: str
    body: Body
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    secret_query: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    etag: str | None = None
    last_modified: str | None = None
    n_gaps: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole body of the kind that was due, or the word that nothing changed.

    Attributes
    ----------
    body : bytes or None
        None where the host said that the body we hold still stands.
    etag, last_modified : str or None
        To ask with the next time.
    """

    body: bytes | None
    etag: str | None = None
    last_modified: str | None = None


class _MayPassError(Exception):
    """Something that may be over at the next try."""

    def __init__(self, what: str, wait_s: float | None = None) -> None:
        super().__init__(what)
        self.wait_s = wait_s


class Transport:
    """Asks publishers; one for a process, used by many threads.

    Parameters
    ----------
    clock : callable
        Seconds that only grow. [s]
    sleep : callable
        Waits so many seconds.
    now_utc : callable
        The time of day, for a `Retry-After` that names one.
    limits : Limits
        How long, how often, how much.
    trust : ssl.SSLContext or None
        Whose certificates are believed; the machine's own where None. There is no way not to check.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        now_utc: Callable[[], datetime],
        limits: Limits | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._clock = clock
        self._sleep = sleep
        self._now_utc = now_utc
        self._trust = trust
        self._free_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def get(self, ask: Ask, within_s: float | None = None) -> Answer:
        """Ask until there is a whole body of the right kind, or no more time, tries or hope.

        Parameters
        ----------
        within_s : float or None
            A shorter time than the limits' total. [s]

        Raises
        ------
        PublisherError
            Naming the publisher, the address without its keys, and what came instead.
        """
        import stamina

        deadline = self._clock() + min(self.limits.total_s, within_s or self.limits.total_s)

        def again(error: Exception) -> bool | float:
            if not isinstance(error, _MayPassError) or self._clock() >= deadline:
                return False
            if error.wait_s is None:
                return True
            return error.wait_s if self._clock() + error.wait_s < deadline else False

        limits, n = self.limits, 0
        try:
            for attempt in stamina.retry_context(
                on=again, attempts=limits.attempts, timeout=max(deadline - self._clock(), 0.001),
                wait_initial=limits.wait_initial_s, wait_max=limits.wait_max_s, wait_jitter=limits.wait_jitter_s,
            ):  # fmt: skip
                with attempt:
                    n = attempt.num
                    return self._once(ask, deadline)
        except _MayPassError as error:
            asks = f", and asks to wait {error.wait_s:.0f} s" if error.wait_s else ""
            raise _told(ask, f"{error}{asks} ({n} {'try' if n == 1 else 'tries'})") from None
        raise AssertionError("a retry ends by an answer or an error")

    def _once(self, ask: Ask, deadline: float) -> Answer:
        """Ask one time, following a few redirects."""
        import httpx2

        self._take_turn(urlsplit(ask.url).netloc, deadline, ask.n_gaps)
        left_s = deadline - self._clock()
        if left_s <= 0:
            raise _MayPassError("no answer in time")
        timeout = httpx2.Timeout(
            connect=min(self.limits.connect_s, left_s), read=min(self.limits.read_s, left_s), write=left_s, pool=left_s
        )  # fmt: skip
        with self._lock:
            if self._trust is None:
                self._trust = httpx2.create_ssl_context()  # once: it reads every certificate of the machine
        try:
            with (
                httpx2.Client(verify=self._trust, timeout=timeout, follow_redirects=False) as client,
                _closed_after(client, left_s),
            ):
                return self._followed(client, ask, deadline)
        except httpx2.InvalidURL:
            raise _told(ask, "is not an address") from None
        except httpx2.TimeoutException:
            raise _MayPassError("did not answer in time") from None
        except httpx2.RemoteProtocolError as error:
            cut = "peer closed" in str(error) or "incomplete" in str(error)
            raise _MayPassError("sent a body that is cut short" if cut else "broke the protocol") from None
        except httpx2.HTTPError as error:
            if self._clock() >= deadline:
                raise _MayPassError("did not answer in time") from None
            if _is_about_trust(error):
                raise _told(ask, "shows a certificate that is not to be trusted") from None
            raise _MayPassError(f"cannot be reached ({_reason(error)})") from None

    def _followed(self, client: httpx2.Client, ask: Ask, deadline: float) -> Answer:
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate", **ask.headers}
        if ask.etag:
            headers["If-None-Match"] = ask.etag
        if ask.last_modified:
            headers["If-Modified-Since"] = ask.last_modified
        url, query = ask.url, {**ask.query, **ask.secret_query}
        secret = dict(ask.secret_headers)
        for _ in range(MAX_REDIRECTS + 1):
            request = client.build_request("GET", url, params=query or None, headers={**headers, **secret})
            answer = client.send(request, stream=True)
            try:
                if answer.status_code not in _REDIRECTS or "location" not in answer.headers:
                    return self._read(answer, ask, deadline)
                target = request.url.join(answer.headers["location"])
            finally:
                answer.close()
            if request.url.scheme == "https" and target.scheme != "https":
                raise _told(ask, "sends us on to an address without encryption")
            if (target.host, target.port) != (request.url.host, request.url.port):
                secret = {}
            url, query = str(target), {}
        raise _told(ask, f"sends us on more than {MAX_REDIRECTS} times")

    def _read(self, answer: httpx2.Response, ask: Ask, deadline: float) -> Answer:
        status = answer.status_code
        etag, modified = answer.headers.get("etag"), answer.headers.get("last-modified")
        if status == 304 and (ask.etag or ask.last_modified):
            return Answer(None, etag or ask.etag, modified or ask.last_modified)
        if status in _MAY_PASS:
            wait_s = _retry_after_s(answer.headers.get("retry-after"), self._now_utc())
            raise _MayPassError(f"answers {status} {answer.reason_phrase}".rstrip(), wait_s)
        if status in (401, 403):
            keyed = ask.secret_query or ask.secret_headers
            why = "the key is not accepted" if keyed else "access is refused"
            raise _told(ask, f"answers {status}: {why}", status)
        if status != 200:
            raise _told(ask, f"answers {status} {answer.reason_phrase}".rstrip(), status)
        parts, n_bytes = [], 0
        for part in answer.iter_bytes():
            n_bytes += len(part)
            if n_bytes > self.limits.max_bytes:
                raise _told(ask, f"sends more than {self.limits.max_bytes:,} bytes")
            if self._clock() >= deadline:
                raise _MayPassError("sends too slowly to be done in time")
            parts.append(part)
        body = b"".join(parts)
        fault = _wrong_kind(body, ask.body)
        if fault:
            raise _told(ask, fault)
        return Answer(body, etag, modified)

    def _take_turn(self, host: str, deadline: float, n_gaps: int = 1) -> None:
        """Wait until this host may be asked again; turns are handed out in the order of asking."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._free_at.get(host, now))
            if turn >= deadline:
                raise _MayPassError("other requests to the same host come first")
            self._free_at[host] = turn + n_gaps * self.limits.gap_s
        if turn > now:
            self._sleep(turn - now)


@contextmanager
def _closed_after(client: httpx2.Client, left_s: float) -> Iterator[None]:
    # A host that drips its headers keeps every single read short of its limit: the connection is closed over it.
    timer = threading.Timer(left_s, client.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _wrong_kind(body: bytes, due: Body) -> str | None:
    """Say what came instead of what was due, or None where it looks right."""
    head = body[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head:
        return f"answers 200 with nothing where {due.upper()} was due"
    if due is Body.HTML:
        return None
    if _HTML.match(body[:4096]):
        found = _TITLE.search(body[:4096])
        title = " ".join(found[1].decode("utf-8", "replace").split())[:80] if found else ""
        return f"answers 200 with a web page{f' ({title})' if title else ''} where {due.upper()} was due"
    looks_right = {
        Body.CSV: head[:1] not in b"{<" and b"\0" not in head and head[:2] != b"PK",
        Body.JSON: head[:1] in b'{["',
        Body.XML: head[:1] == b"<"
        or body[:2] == b"PK",  # where an answer holds several documents they are packed
        Body.ZIP: body[:2] == b"PK",
    }[due]
    return None if looks_right else f"answers 200 with something that is no {due.upper()}"


def _retry_after_s(text: str | None, now_utc: datetime) -> float | None:
    """Read `Retry-After`: seconds, or a time of day."""
    if text is None:
        return None
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - now_utc).total_seconds(), 0.0)


def _told(ask: Ask, what: str, status: int | None = None) -> PublisherError:
    host = urlsplit(ask.url)
    return PublisherError(
        ask.publisher,
        f"{ask.publisher}: {host.scheme}://{host.netloc.rpartition('@')[2]}{host.path} {what}; try again later, or give"
        " another `source`",
        status,
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _is_about_trust(error: Exception) -> bool:
    return any(isinstance(one, ssl.SSLError) for one in _chain(error)) or "CERTIFICATE" in str(error).upper()


def _reason(error: Exception) -> str:
    """Give the machine's own word for it, which holds no address."""
    for one in _chain(error):
        if isinstance(one, OSError) and one.strerror:
            return str(one.strerror)
    return type(error).__name__
