"""The faces on one server, and who may come in by them where the server wants its key."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime

from fastapi import FastAPI

from gridmargin.interfaces.faces import carbon_aware, electricity_maps, watttime
from gridmargin.interfaces.faces.accounts import Accounts
from gridmargin.interfaces.faces.signals import Signals
from gridmargin.places import Places
from gridmargin.wiring import SourceChoice, Workplace

FILE = "faces.sqlite"
"""Accounts and tokens, in the data folder."""

_OWN_HEADER = ("/v3/", "/v4/", "/beta/")
"""Paths whose clients send a key as `auth-token`."""

_OWN_TOKENS = "/v3/"
"""Paths whose clients send a token of ours as Bearer."""


class Faces:
    """All faces of one server.

    Parameters
    ----------
    place : Workplace
        The ledger, and the folder of the accounts.
    choice : SourceChoice
        Which source answers.
    now_utc : callable
        The clock.
    api_key : str or None
        The server's key, where it has one.
    places : Places
        What says where a name lies.
    """

    def __init__(
        self,
        place: Workplace,
        choice: SourceChoice,
        now_utc: Callable[[], datetime],
        api_key: str | None,
        places: Places,
    ) -> None:
        self.signals = Signals(place.apart, choice, now_utc, places)
        self.accounts = Accounts(place.folder / FILE, now_utc)
        self.api_key = api_key

    def install(self, app: FastAPI) -> None:
        """Add the routes; they stay out of the OpenAPI description, which is ours alone."""
        app.include_router(watttime.router(self.signals, self.accounts, self.api_key is not None))
        for router in (*electricity_maps.routers(self.signals), *carbon_aware.routers(self.signals)):
            app.include_router(router)

    def admits(self, path: str, headers: Mapping[str, str]) -> bool:
        """Say whether a request without the key in its usual place may pass: by its header, or by a token of ours."""
        if self.api_key is None:
            return False
        given = headers.get("auth-token", "")
        if path.startswith(_OWN_HEADER) and hmac.compare_digest(given.encode(), self.api_key.encode()):
            return True
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return (
            path.startswith(_OWN_TOKENS) and scheme.lower() == "bearer" and self.accounts.holds(token.strip())
        )
