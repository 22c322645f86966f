"""A publisher on this machine: a small server that answers, or fails, as it is told. Bound to loopback alone."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import trustme

ERROR_PAGE = (
    b"<!DOCTYPE html><html><head><title>Down for maintenance</title></head><body>Back soon</body></html>"
)


@dataclass(frozen=True)
class Reply:
    """One answer. With `drip_s` it comes a byte at a time; with `cut` its end is missing."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    drip_s: float = 0.0
    drip_headers: bool = False
    cut: int = 0


@dataclass(frozen=True)
class Seen:
    """One request as it came in."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Publisher:
    """What the server does.

    `replies` are given first, one a request and in order; then `answer` gives the body for a request. What `door` has a
    reply for, such as a login, is answered by it alone and noted in `at_door`.
    """

    answer: Callable[[Seen], Reply]
    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    door: Callable[[Seen], Reply | None] | None = None
    at_door: list[Seen] = field(default_factory=list)


@contextlib.contextmanager
def publisher(answer: Callable[[Seen], Reply], authority: trustme.CA | None = None) -> Iterator[Publisher]:
    """Run a publisher; with `authority` over TLS, with a certificate of its."""
    state = Publisher(answer)
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            seen = Seen(
                split.path, dict(parse_qsl(split.query)), {k.lower(): v for k, v in self.headers.items()}
            )
            reply = state.door(seen) if state.door else None
            if reply is not None:
                state.at_door.append(seen)
            else:
                state.seen.append(seen)
                reply = state.replies.pop(0) if state.replies else state.answer(seen)
            with contextlib.suppress(OSError):  # whoever gives up hangs up
                self._send(reply)

        def _send(self, reply: Reply) -> None:
            if reply.drip_headers:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                self._drip(b"x" * 10_000, reply.drip_s)
                return
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            body = reply.body[: len(reply.body) - reply.cut]
            if reply.drip_s:
                self._drip(body, reply.drip_s)
            else:
                self.wfile.write(body)

        def _drip(self, body: bytes, pause_s: float) -> None:
            for at in range(len(body)):
                if stopping.is_set():
                    return
                self.wfile.write(body[at : at + 1])
                self.wfile.flush()
                time.sleep(pause_s)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that refuses our certificate is no fault of the server's."""

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    state.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def closed_port() -> str:
    """Give an address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
