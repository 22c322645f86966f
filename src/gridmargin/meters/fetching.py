"""One body over HTTP from an exporter or a BMC: short waits, no retry (a gap is a gap), no secrets in any message."""

from __future__ import annotations

import json
import logging
import ssl
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gridmargin.meters.surroundings import Surroundings
from gridmargin.vocab import NoMeterError

if TYPE_CHECKING:  # whoever reads no instrument over HTTP need not wait for the client to load
    import httpx2

WAIT_S = 3.0
"""To connect, and for the next bytes. [s]"""

TOTAL_S = 8.0
"""For one body with everything. [s]"""

MOST_BYTES = 16 * 1024 * 1024

for _name in ("httpx2", "httpcore2"):
    # They log whole addresses and headers.
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class Fetcher:
    """Asks one host, over one connection that stays open.

    Parameters
    ----------
    instrument : str
        For messages.
    url : str
        Where paths begin; nothing secret in it.
    user, password : str, optional
        For HTTP Basic.
    token : str, optional
        For `Authorization: Bearer`.
    ca : str, optional
        File of a certificate to believe besides the machine's own, such as a BMC's. There is no way not to check.

    Raises
    ------
    NoMeterError
        If the address or the certificate file cannot be used.
    """

    def __init__(
        self,
        instrument: str,
        url: str,
        *,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        ca: str | None = None,
    ) -> None:
        self.instrument = instrument
        self._variable = f"GRIDMARGIN_{instrument.upper()}"
        parts = _parts(url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise NoMeterError(
                instrument, f"{self._variable}_URL is no address", "give one such as https://host:port"
            )
        if parts.username or parts.password:
            raise NoMeterError(
                instrument,
                f"{self._variable}_URL holds a user or a password, and addresses are shown",
                f"put them into {self._variable}_USER and {self._variable}_PASSWORD",
            )
        if (
            (password or token)
            and parts.scheme == "http"
            and parts.hostname not in ("127.0.0.1", "::1", "localhost")
        ):
            raise NoMeterError(
                instrument,
                f"{self._variable}_URL would send a secret unencrypted",
                "give its https:// address",
            )
        self._url = url.rstrip("/")
        self._auth = (user or "", password) if password is not None else None
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._ca = ca
        self._client: httpx2.Client | None = None

    @classmethod
    def to(cls, instrument: str, around: Surroundings, example: str) -> Fetcher:
        """Build one from what the surroundings know of an instrument."""
        url = around.require_url(instrument, example)
        words = around.reach(instrument).words
        return cls(
            instrument, url, user=words.get("user"), password=words.get("password"), token=words.get("token"),
            ca=words.get("ca"),
        )  # fmt: skip

    def text(self, path: str = "", query: Mapping[str, str] | None = None) -> str:
        """Give a body as text.

        Raises
        ------
        NoMeterError
            Naming the address, without secrets, and what came instead.
        """
        import httpx2

        client = self._client = self._client or self._opened()
        shown = self._url + path
        parts: list[bytes] = []
        n_bytes = 0
        # A host that drips keeps every single read short of its limit: the connection is closed over it.
        over = threading.Event()

        def give_up() -> None:
            over.set()
            self.close()

        timer = threading.Timer(TOTAL_S, give_up)
        timer.daemon = True
        timer.start()
        try:
            with client.stream("GET", shown, params=dict(query) if query else None) as answer:
                if answer.status_code != 200:
                    raise self._refusal(shown, answer.status_code)
                for part in answer.iter_bytes():
                    n_bytes += len(part)
                    if n_bytes > MOST_BYTES:
                        raise self._told(
                            shown, f"sends more than {MOST_BYTES:,} bytes", "is this the address?"
                        )
                    parts.append(part)
        except httpx2.TimeoutException:
            raise self._told(shown, f"did not answer within {WAIT_S:.0f} s", "check that it is up") from None
        except (httpx2.HTTPError, httpx2.StreamError, RuntimeError, OSError) as error:
            if over.is_set():
                raise self._told(
                    shown, f"was not done within {TOTAL_S:.0f} s", "check that it is up"
                ) from None
            if not isinstance(error, httpx2.HTTPError):
                raise
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise self._told(
                    shown,
                    "shows a certificate that is not to be trusted",
                    f"name its certificate's file in {self._variable}_CA",
                ) from None
            raise self._told(shown, "cannot be reached", "check the address and that it is up") from None
        finally:
            timer.cancel()
        return b"".join(parts).decode("utf-8", errors="replace")

    def record(self, path: str = "", query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Give a body that is one JSON object.

        Raises
        ------
        NoMeterError
            Likewise.
        """
        text = self.text(path, query)
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._told(
                self._url + path, "answers with something else than a JSON object", "is this the address?"
            )
        return found

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _opened(self) -> httpx2.Client:
        import httpx2

        trust = httpx2.create_ssl_context()
        if self._ca:
            try:
                trust.load_verify_locations(cafile=self._ca)
            except (OSError, ssl.SSLError):
                raise NoMeterError(
                    self.instrument, f"{self._variable}_CA names no readable certificate", "correct the path"
                ) from None
        # An instrument stands in the own network: no proxy of the environment is asked.
        return httpx2.Client(
            verify=trust,
            timeout=WAIT_S,
            follow_redirects=False,
            auth=self._auth,
            headers=self._headers,
            trust_env=False,
        )

    def _refusal(self, shown: str, status: int) -> NoMeterError:
        if status in (401, 403):
            return self._told(
                shown,
                f"answers {status}",
                f"give {self._variable}_USER and _PASSWORD, or _TOKEN, that may read it",
            )
        return self._told(shown, f"answers {status}", "check the address")

    def _told(self, shown: str, what: str, way_out: str) -> NoMeterError:
        return NoMeterError(self.instrument, f"{shown} {what}", way_out)


def _parts(url: str) -> Any:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
