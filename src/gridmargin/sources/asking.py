"""One round's requests to one publisher: where it is, what it is shown, and how an answer is put together."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from gridmargin.sources.fetched import Fetch
from gridmargin.sources.live.live_source import LiveRequest, LiveSource
from gridmargin.sources.packed import pack
from gridmargin.sources.transport import Answer, Ask, Body, Transport
from gridmargin.vocab import PublisherError

NOT_THERE = 404


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a live adapter's publisher is, and what it wants to be shown.

    Attributes
    ----------
    base_url : str or None
        Instead of the adapter's own.
    secrets : mapping of str to str
        By the names that the adapter's `access` lists.
    """

    base_url: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class Asking:
    """Asks for one round; logs in first where the publisher wants it, and keeps the token no longer than the round.

    Parameters
    ----------
    left_s : callable
        Gives how much time is left, None where there is no limit. [s]
    """

    def __init__(
        self, source: LiveSource, reach: Reach, transport: Transport, left_s: Callable[[], float | None]
    ) -> None:
        self._source = source
        self._reach = reach
        self._transport = transport
        self._left_s = left_s
        self._base = (reach.base_url or source.base_url).rstrip("/")
        self._once: dict[tuple[str, str], bytes] = {}
        access = source.access
        self._query = access.in_query(reach.secrets) if access else {}
        self._headers = access.in_headers(reach.secrets) if access else {}
        if access is not None and access.login is not None:
            self._headers = {"Authorization": f"Bearer {self._log_in(access.login)}"}

    def answer(self, request: LiveRequest, last: Fetch | None) -> Answer:
        """Ask for one request's body; None where what we hold still stands.

        Raises
        ------
        PublisherError
            As the transport; with status 404 where a folder's page lists no such file.
        """
        if request.listed:
            name = self._newest(request)
            if last is not None and last.etag == name:  # another statement would have another name
                return Answer(None, name)
            found = replace(self._get(f"{request.path.rstrip('/')}/{name}", request.body), etag=name)
        else:
            found = self._get(request.path, request.body, request.query, last, request.host, request.n_gaps)
        if found.body is None or not request.beside:
            return found
        tables = [(one.name, self._shared(one.path, one.body)) for one in request.beside]
        return replace(found, body=pack([(request.name, found.body), *tables]))

    def _newest(self, request: LiveRequest) -> str:
        page = self._shared(request.path, Body.HTML).decode("utf-8", "replace")
        names = re.findall(request.listed, page)
        if not names:
            told = f"{self._source.publisher}: {self._base}/{request.path} lists no file for {request.name}"
            raise PublisherError(self._source.publisher, f"{told}; try again later", NOT_THERE)
        return str(max(names))

    def _shared(self, path: str, body: Body) -> bytes:
        """Give what several requests of a round need, asked for once."""
        if (path, body) not in self._once:
            self._once[path, body] = self._get(path, body).body or b""
        return self._once[path, body]

    def _get(
        self,
        path: str,
        body: Body,
        query: Mapping[str, str] | None = None,
        last: Fetch | None = None,
        host: str = "",
        n_gaps: int = 1,
    ) -> Answer:
        base = self._base if self._reach.base_url else host.rstrip("/") or self._base
        is_ours = base == self._base
        ask = Ask(
            publisher=self._source.publisher,
            url=f"{base}/{path.lstrip('/')}",
            body=body,
            query=query or {},
            secret_query=self._query if is_ours else {},
            secret_headers=self._headers if is_ours else {},
            etag=last.etag if last else None,
            last_modified=last.last_modified if last else None,
            n_gaps=n_gaps,
        )
        return self._transport.get(ask, self._left_s())

    def _log_in(self, path: str) -> str:
        told = json.loads(self._get(path, Body.JSON).body or b"{}")
        token = told.get("token") if isinstance(told, dict) else None
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            publisher, url = self._source.publisher, f"{self._base}/{path.lstrip('/')}"
            raise PublisherError(
                publisher, f"{publisher}: {url} gives no token; try again later, or give another `source`"
            )
        return token
