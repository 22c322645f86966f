"""A data folder, opened, and what is built over it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path

from gridmargin.ledger import Book, Place, Shelf, Signer, is_url
from gridmargin.pipeline import Factory, Feeds, facts_from, payloads_from
from gridmargin.places import Declarations, Places, read_declarations, read_outlines
from gridmargin.settings import Settings
from gridmargin.sources import (
    COMPARISONS,
    LIVE_SOURCES,
    Archive,
    FetchIndex,
    Limits,
    LiveSource,
    Reach,
    Replayed,
    Source,
    Transport,
    replay,
)
from gridmargin.vocab import InputError, NotFoundError, Registry, sha256_hex
from gridmargin.wiring.outside import home_folder, now_utc, reach_of
from gridmargin.wiring.settling import QUICK, Asks, SourceChoice, settle, source_for


def open_places(settings: Settings, places: Path | None = None, geojson: Path | None = None) -> Places:
    """Give what says where things are: the registry, and the user's files where named.

    Parameters
    ----------
    places, geojson : Path, optional
        In place of `GRIDMARGIN_PLACES` and `GRIDMARGIN_GEOJSON`.
    """
    declared, outlines = places or settings.places, geojson or settings.geojson
    return Places(
        read_declarations(declared.expanduser()) if declared else Declarations(),
        read_outlines(outlines.expanduser()) if outlines else None,
    )


def open_transport(limits: Limits | None = None) -> Transport:
    """Give the client that asks publishers."""
    return Transport(clock=time.monotonic, sleep=time.sleep, now_utc=now_utc, limits=limits)


@dataclass(frozen=True)
class Workplace:
    """A data folder, opened: archive and what was fetched into it, ledger, its key, and the fits kept."""

    folder: Path
    book: Book
    archive: Archive
    signer: Signer
    shelf: Shelf
    settings: Settings
    index: FetchIndex

    def apart(self) -> AbstractContextManager[Workplace]:
        """Open the same once more, with a connection of its own, for work beside other work."""
        return open_workplace(self.folder, self.settings)

    @cached_property
    def feeds(self) -> Feeds:
        """The live adapters, for somebody who waits."""
        return self.open_feeds(QUICK)

    def open_feeds(self, limits: Limits) -> Feeds:
        """Give the live adapters over this archive, with their keys from the environment."""
        return self._open(LIVE_SOURCES, limits)

    def open_comparisons(self, limits: Limits) -> Feeds:
        """Give the comparison signals over this archive, with the user's keys from the environment."""
        return self._open(COMPARISONS, limits)

    def _open(self, registry: Registry[type[LiveSource]], limits: Limits) -> Feeds:
        adapters: list[tuple[LiveSource, Reach]] = [
            (registry.get(name)(), reach_of(name)) for name in registry
        ]
        return Feeds(
            adapters, transport=open_transport(limits), archive=self.archive, index=self.index, now_utc=now_utc,
            clock=time.monotonic,
        )  # fmt: skip

    def settle(
        self, choice: SourceChoice, zone: str, moment_utc: datetime | None, *, ask: bool = True
    ) -> SourceChoice:
        """Say which source answers for a zone around a moment, or now; see `settling.settle`."""
        if choice.asks is Asks.NEVER:  # without a client for publishers
            return choice
        now = now_utc()
        return settle(self.feeds, choice, zone, moment_utc or now, now, ask=ask)

    def source(self, choice: SourceChoice, zone: str, moment_utc: datetime | None = None) -> Source:
        """Give the source that a choice names for a zone; publishers are asked where it says so."""
        settled = self.settle(choice, zone, moment_utc) if choice.kind == "live" else choice
        if settled.adapter is not None:
            return self.feeds.kept(LIVE_SOURCES.get(settled.adapter)())
        return source_for(settled, zone, moment_utc)

    def factory(
        self,
        choice: SourceChoice,
        zone: str,
        moment_utc: datetime | None = None,
        asked: Sequence[str] = (),
    ) -> Factory:
        """Give what covers intervals of `zone` around a moment, by the usual estimators and those asked for."""
        return self.factory_of(self.source(choice, zone, moment_utc), choice, asked)

    def factory_of(self, source: Source, choice: SourceChoice, asked: Sequence[str] = ()) -> Factory:
        """Give what covers intervals from a source that is at hand, with the facts under the choice's folder."""
        return Factory(
            source,
            self.book,
            self.archive,
            facts_from(choice.folder),
            now_utc,
            asked=tuple(asked),
            payload_of=payloads_from(choice.folder),
            shelf=self.shelf,
        )


def ledger_place(folder: Path, settings: Settings) -> Place:
    """Say where the ledger of a data folder is: in it, unless settings name another place."""
    return settings.ledger.get_secret_value() if settings.ledger else folder / "ledger.sqlite"


def _key_folder(folder: Path, settings: Settings) -> Path:
    """Say where a ledger's key is: beside a file, and in the home folder where the ledger is on a server."""
    place = ledger_place(folder, settings)
    if not is_url(place):
        return Path(place).expanduser().parent
    home = home_folder(None, settings)
    home.mkdir(parents=True, exist_ok=True)
    return home


def has_ledger(folder: Path, settings: Settings) -> bool:
    """Say whether the ledger is there; a server is asked when it is opened."""
    place = ledger_place(folder, settings)
    return is_url(place) or Path(place).expanduser().exists()


def require_ledger(folder: Path, settings: Settings, way_out: str) -> None:
    """Refuse to begin an empty ledger for a question to one.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    if has_ledger(folder, settings):
        return
    if settings.ledger is None:
        raise NotFoundError(f"no ledger in {folder}; {way_out}")
    raise NotFoundError(
        f"no ledger at {ledger_place(folder, settings)}; correct `ledger` or GRIDMARGIN_LEDGER"
    )


@contextmanager
def open_workplace(folder: Path, settings: Settings) -> Iterator[Workplace]:
    """Open the ledger and archive of a data folder; made where absent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot use {folder} as a data folder: {error.strerror}; give another `data_dir` or `out`"
        ) from error
    signer = Signer(_key_folder(folder, settings) / "ledger-key.pem")
    with Book(ledger_place(folder, settings), signer) as book:
        archive, index = Archive(folder / "archive"), FetchIndex(folder / "archive")
        try:
            yield Workplace(
                folder, book, archive, signer, Shelf(folder / "fits", learned_by), settings, index
            )
        finally:
            index.close()


LEARNS = ("grid", "marginal", "pipeline", "vocab")
"""Packages whose code a fit comes from."""

LEARNS_WITH = ("numpy", "polars", "scikit-learn", "scipy")


@cache
def learned_by() -> str:
    """Name the code and the libraries that fits come from: what another code learned is not taken for what this would."""
    code = sorted(path for room in LEARNS for path in (Path(__file__).parents[1] / room).rglob("*.py"))
    hashes = [sha256_hex(path.read_bytes()) for path in code]
    versions = [f"{name} {version(name)}" for name in LEARNS_WITH]
    return f"code {sha256_hex(' '.join(hashes).encode())}, {', '.join(versions)}"


def replayed(place: Workplace) -> Iterator[Replayed]:
    """Read every archived answer of every live adapter and comparison signal again."""
    for registry in (LIVE_SOURCES, COMPARISONS):
        for name in registry:
            yield from replay(registry.get(name)(), place.archive, place.index)
