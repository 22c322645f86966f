"""Who may ask: anyone on loopback, holders of the key elsewhere; only under our own host names, and no page of others."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gridmargin.interfaces.rest.errors import error_response

MAX_BODY_BYTES = 8 * 2**20
"""Largest request body taken. [B]"""


def is_loopback(host: str) -> bool:
    """Say whether an address to listen on stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


Admits = Callable[[str, Mapping[str, str]], bool]

_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class Guard:
    """ASGI middleware: the key where one is set, the Host header on loopback, the size of bodies.

    Parameters
    ----------
    app : ASGI application
        What is behind it.
    api_key : str or None
        Required as `Authorization: Bearer KEY`, or as the password of HTTP Basic so that a browser can ask for it.
    admits : callable, optional
        `(path, headers) -> bool`: another way in, where the key is not in its usual place.
    """

    def __init__(self, app: ASGIApp, api_key: str | None, admits: Admits | None = None) -> None:
        self.app = app
        self.api_key = api_key
        self.admits = admits or (lambda _path, _headers: False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = None
        if (
            self.api_key is not None
            and not self._holds_key(headers)
            and not self.admits(scope["path"], headers)
        ):
            refusal = error_response(
                401, "Unauthorized", "this server wants its key; send Authorization: Bearer KEY",
                {"WWW-Authenticate": 'Basic realm="gridmargin", charset="UTF-8"'},
            )  # fmt: skip
        elif self.api_key is None and not is_loopback(_host_name(headers.get("host", ""))):
            # Another name for this address would let a page elsewhere read the answers (DNS rebinding).
            refusal = error_response(
                421, "WrongHost", "this server answers to localhost only; ask for it by that name"
            )
        elif scope["method"] not in _READING and _is_from_another_page(headers):
            # A browser sends a page's requests without asking us first, with the key it remembers for us.
            refusal = error_response(
                403, "OtherOrigin", "this comes from a page of another site, which may not write here; ask from our own page"
            )  # fmt: skip
        elif scope["method"] in ("POST", "PUT", "PATCH"):
            length = headers.get("content-length", "")
            if not length.isdigit():
                refusal = error_response(
                    411, "LengthRequired", "say how long the body is; send Content-Length"
                )
            elif int(length) > MAX_BODY_BYTES:
                refusal = error_response(
                    413, "TooLarge", f"the body has {length} B, more than {MAX_BODY_BYTES} B; use `gridmargin account` for large logs"
                )  # fmt: skip
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, _with_headers(scope["path"], send))

    def _holds_key(self, headers: Mapping[str, str]) -> bool:
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        given = rest.strip()
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.encode(), (self.api_key or "").encode())


_READING = ("GET", "HEAD", "OPTIONS")


def _is_from_another_page(headers: Mapping[str, str]) -> bool:
    """Say whether a browser sent this for a page that is not ours (Fetch Metadata; `Origin` where it is absent)."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host", "")


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _with_headers(path: str, send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_HEADERS]
            if not path.startswith("/assets/"):
                message["headers"].append((b"cache-control", b"no-cache"))
        await send(message)

    return wrapped
