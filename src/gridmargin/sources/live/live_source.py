"""The LiveSource protocol: which requests give a zone and a stretch of time, and how an answer is read.

A live adapter touches nothing. It says what to ask (`requests`) and reads what came (`parse`); `collect` asks, keeps
the bytes, and only then has them read.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from gridmargin.sources.observation import Observations
from gridmargin.sources.source import Payload
from gridmargin.sources.transport import Body
from gridmargin.vocab import Cell, Interval


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """One body to be asked for, of one publisher.

    Attributes
    ----------
    name : str
        What the payload will be called, as the publisher calls it; the same for every request for the same table, so
        that a later answer under it revises an earlier one.
    path : str
        Below the base address.
    body : Body
        What is due.
    interval : Interval
        What the answer can cover.
    query : mapping of str to str
        Nothing secret.
    listed : str
        Where a file's name ends in something that only a folder's page tells: a pattern for it, and `path` is the
        folder's. Of several the last in order is asked for, and once it is there it is not asked for again.
    beside : tuple of LiveRequest
        Tables without which the answer cannot be read: asked for once a round, and packed with it into one payload.
    supplement : str
        Where the margin can be told without it: what it gives, such as `prices`. It is asked for after all else, its
        fault is noted and takes nothing else away, and the rest of the same is left for the next round.
    once : bool
        Whether an answer stands once it is there, and is not asked for again.
    host : str
        Base address of another host of the publisher's; it is shown no keys. Where the user names a mirror, that.
    n_gaps : int
        How many of the transport's gaps the host is left alone for afterwards.
    """

    name: str
    path: str
    body: Body
    interval: Interval
    query: Mapping[str, str] = field(default_factory=dict)
    listed: str = ""
    beside: tuple[LiveRequest, ...] = ()
    supplement: str = ""
    once: bool = False
    host: str = ""
    n_gaps: int = 1


@dataclass(frozen=True, slots=True)
class Access:
    """How a publisher wants to be shown who asks.

    Attributes
    ----------
    secrets : tuple of str
        What is needed, such as `("key",)`; each is read from `GRIDMARGIN_<ADAPTER>_<SECRET>`.
    sign_up : str
        Where one gets them, for people.
    query, header : str or None
        Name of the query field or header that the first secret goes into.
    basic : bool
        Whether the two secrets are user and password of HTTP Basic.
    login : str or None
        Path below the base address that gives, to user and password as HTTP Basic, the `token` that every request then
        carries as a bearer; asked once a round, and kept nowhere.
    """

    secrets: tuple[str, ...]
    sign_up: str
    query: str | None = None
    header: str | None = None
    basic: bool = False
    login: str | None = None

    def in_query(self, secrets: Mapping[str, str]) -> dict[str, str]:
        """Give the secret part of a query."""
        return {self.query: secrets[self.secrets[0]]} if self.query else {}

    def in_headers(self, secrets: Mapping[str, str]) -> dict[str, str]:
        """Give the secret headers."""
        if self.basic:
            user, password = (secrets[name] for name in self.secrets)
            return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}
        return {self.header: secrets[self.secrets[0]]} if self.header else {}


class LiveSource(Protocol):
    """One publisher's live tables.

    Constructed without arguments; holds no state.

    Attributes
    ----------
    name : str
        As registered. An adapter of the same name in `SOURCES` reads the same tables from a folder, by the same `parse`.
    publisher : str
        For people.
    base_url : str
        Where the requests' paths begin; `GRIDMARGIN_<NAME>_URL` names another.
    access : Access or None
        What keys are needed; None where anybody is answered.
    states_margin : bool
        Whether the publisher says what is on the margin.
    cadence_s : int
        How often it publishes. [s]
    delay_s : int
        How long after an interval's end its value is usually out. [s]
    """

    name: str
    publisher: str
    base_url: str
    access: Access | None
    states_margin: bool
    cadence_s: int
    delay_s: int

    def zones(self) -> list[str]:
        """List the zones that it answers for."""
        ...

    def interval_s(self, zone: str) -> int:
        """Give the native interval. [s]"""
        ...

    def requests(self, zone: str, interval: Interval) -> list[LiveRequest]:
        """List what to ask for so that all of `interval` is covered, oldest first; the newest stands last.

        Supplements may stand anywhere; `collect` asks for them after the others, newest first as well.
        Pure: the same zone and interval give the same requests.
        """
        ...

    @staticmethod
    def parse(payload: Payload, interval: Interval) -> Observations:
        """Turn one payload into the observations whose start lies in `interval`; as `Source.parse`."""
        ...

    @staticmethod
    def cell_text(payload: Payload, cell: Cell) -> str:
        """Give what stands in a cell, as the publisher wrote it."""
        ...


class OneZone:
    """An adapter's half that is the same wherever a publisher has one zone and one interval.

    Attributes
    ----------
    zone : str
    every_s : int
        Its interval. [s]
    newest : str
        Pattern of the quantities by whose newest interval an adapter's present is told; read wherever an adapter has it,
        and generation or the margin where it has none. Generation alone, where the margin comes at another time.
    margin_delay_s : int
        How long after an interval's end what is on the margin is usually out, where that is later than the rest; read
        wherever an adapter has it. [s]
    """

    zone: str
    every_s: int
    margin_delay_s = 0

    def zones(self) -> list[str]:
        """Give the zone."""
        return [self.zone]

    def interval_s(self, zone: str) -> int:
        """Give the native interval. [s]"""
        del zone
        return self.every_s


def local_days(interval: Interval, timezone: str) -> Iterator[tuple[datetime, Interval]]:
    """Cut a stretch at a place's midnights; give each day's own midnight and the whole day in UTC."""
    zone = ZoneInfo(timezone)
    day = interval.start_utc.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    while day < interval.end_utc:
        # Wall-clock arithmetic: the next midnight, 23, 24 or 25 hours on.
        next_day = (day.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
        yield day, Interval(day, next_day)
        day = next_day
