"""Build objects from settings; the only reader of settings, secrets and the clock."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_data_path, user_state_path
from pydantic import SecretStr

from gridmargin.ledger import Book, Place, Shelf, Signer, is_url
from gridmargin.meters import METERS, Finding, LiveMeter, Sampler, Surroundings, look_for_all
from gridmargin.meters import Reach as MeterReach
from gridmargin.pipeline import Factory, Feeds, ask_or_say_why, facts_from, payloads_from
from gridmargin.places import Declarations, Places, read_declarations, read_outlines
from gridmargin.reference import zone_named
from gridmargin.settings import Settings, of_adapter
from gridmargin.sources import (
    COMPARISONS,
    LIVE_SOURCES,
    SOURCES,
    Archive,
    FetchIndex,
    KeptSource,
    Limits,
    LiveSource,
    Reach,
    Replayed,
    Source,
    Transport,
    replay,
)
from gridmargin.vocab import (
    GridmarginError,
    InputError,
    Interval,
    NotFoundError,
    PublisherError,
    Registry,
    format_utc,
    sha256_hex,
)

PRESENT = timedelta(days=1)
"""How long ago is still the present, for which a publisher is asked."""

ARCHIVE_REACH = timedelta(hours=6)
"""How long the newest fetched interval may stand for what came after, as a neighbour may fill a gap."""

QUICK = Limits(connect_s=2.0, read_s=4.0, total_s=5.0, attempts=2, wait_initial_s=0.1, wait_jitter_s=0.1)
"""For somebody who waits."""

PATIENT = Limits()
"""For rounds in the background."""


def now_utc() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


def now_us() -> int:
    """Read the clock, for what is sampled many times a second. [µs since 1970 UTC]"""
    return time.time_ns() // 1000


def read_settings(ledger: str | None = None) -> Settings:
    """Read the environment.

    Parameters
    ----------
    ledger : str, optional
        Stands before what the environment says.

    Raises
    ------
    InputError
        If a setting cannot be used.
    """
    try:
        return Settings() if ledger is None else Settings(ledger=SecretStr(ledger))
    except ValueError as error:
        first = error.errors()[0] if hasattr(error, "errors") else {"loc": ("?",), "msg": str(error)}
        name = "GRIDMARGIN_" + str(first["loc"][0]).upper()
        raise InputError(f"{name}: {first['msg']}; correct the environment variable") from None


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


class Asks(StrEnum):
    """Whether publishers are asked before something recorded answers."""

    NEVER = "never"
    MAY = "may"
    MUST = "must"


@dataclass(frozen=True, slots=True)
class SourceChoice:
    """Which source answers for a zone, and in which words to say so.

    Attributes
    ----------
    kind : str
        `live`, `archive` (what was fetched before), `recorded` or `reference`.
    folder : Path or None
        Data folder of a recorded source.
    detail : str
        For people: what is behind the numbers, and why not something newer.
    asks : Asks
        Whether publishers are asked first.
    adapter : str or None
        The live adapter that answers, once that is settled for a zone.
    """

    kind: str
    folder: Path | None
    detail: str
    asks: Asks = Asks.NEVER
    adapter: str | None = None


def choose_source(text: str, settings: Settings) -> SourceChoice:
    """Read `--source auto|live|recorded:DIR|reference`.

    For `auto` it gives what answers where no publisher does; `Workplace.settle` asks them.

    Raises
    ------
    InputError
        If the text is none of these or the folder is not there.
    """
    kind, _, rest = text.partition(":")
    asks = Asks.NEVER if settings.offline else Asks.MAY
    if kind == "live" and not rest:
        if settings.offline:
            raise InputError("--source live: GRIDMARGIN_OFFLINE is set; unset it, or give another --source")
        return SourceChoice("live", settings.data, "publishers' own tables, live", Asks.MUST)
    if kind == "auto" and not rest:
        if settings.data is not None:
            if not settings.data.expanduser().is_dir():
                raise InputError(f"GRIDMARGIN_DATA={settings.data}: no such folder; correct it, or unset it")
            return replace(choose_source(f"recorded:{settings.data}", settings), asks=asks)
        return SourceChoice(
            "reference",
            None,
            "modelled typical days; no recorded data given (GRIDMARGIN_DATA is not set)",
            asks,
        )
    if kind == "reference" and not rest:
        return SourceChoice("reference", None, "modelled typical days from sourced tables")
    if kind == "recorded" and rest:
        folder = Path(rest).expanduser()
        if not folder.is_dir():
            raise InputError(
                f"--source recorded:{rest}: no such folder; give the folder that holds the data sets"
            )
        return SourceChoice("recorded", folder, f"recorded tables under {folder}")
    raise InputError(f"--source {text!r} is not known; use auto, live, reference, or recorded:DIR")


def recorded_sources(folder: Path) -> dict[str, list[Source]]:
    """Give the recorded sources for every zone that the folder has data for, the finest interval first."""
    found: dict[str, list[Source]] = {}
    for name in SOURCES:
        if name == "reference":
            continue
        source = SOURCES.get(name)(folder)
        for zone in source.zones():
            found.setdefault(zone, []).append(source)
    return {zone: sorted(sources, key=lambda s: s.interval_s(zone)) for zone, sources in found.items()}


def source_for(choice: SourceChoice, zone: str, moment_utc: datetime | None = None) -> Source:
    """Give the source that answers for `zone`: the finest that covers the moment, or the finest of all.

    Raises
    ------
    UnknownNameError
        If no such zone is known.
    InputError
        If the zone is known, but the chosen source has nothing for it.
    """
    zone_named(zone)
    if choice.kind == "live":
        raise InputError(f"--source live: {zone} was not asked for; give --source auto, or recorded:DIR")
    if choice.folder is None:
        source = SOURCES.get("reference")(Path())
        have = source.zones()
        if zone in have:
            return source
        raise InputError(
            f"no typical days for {zone}; the reference source has {', '.join(have)}; give --source recorded:DIR"
        )
    sources = recorded_sources(choice.folder)
    if zone not in sources:
        typical = SOURCES.get("reference")(Path())
        if choice.asks is Asks.MAY and zone in typical.zones():
            return typical
        have = sorted(sources)
        raise InputError(
            f"no recorded data for {zone} under {choice.folder}; found {', '.join(have) or 'none at all'};"
            " give another folder, or --source reference"
        )
    covering = (s for s in sources[zone] if moment_utc is not None and moment_utc in s.span(zone))
    return next(covering, sources[zone][0])


def zones_of(choice: SourceChoice) -> list[str]:
    """List the zones that the chosen source has data for."""
    if choice.kind == "live":
        return sorted(live_adapters())
    if choice.folder is None:
        return SOURCES.get("reference")(Path()).zones()
    return sorted(recorded_sources(choice.folder))


def live_adapters() -> dict[str, LiveSource]:
    """Give the live adapter with the finest interval for every zone that has one, on or off."""
    adapters = [LIVE_SOURCES.get(name)() for name in LIVE_SOURCES]
    pairs = [(zone, adapter) for adapter in adapters for zone in adapter.zones()]
    return dict(sorted(pairs, key=lambda pair: (-pair[1].interval_s(pair[0]), pair[0])))


def said_of(choice: SourceChoice, source: Source) -> tuple[str, str]:
    """Give the kind and the words for the source that answers in the end."""
    if source.name == "reference" and choice.folder is not None:
        return "reference", f"modelled typical days; nothing for this zone in the {choice.detail}"
    return choice.kind, choice.detail


def reach_of(adapter: str) -> Reach:
    """Give where a live adapter's publisher is and the keys for it, from the environment."""
    url, secrets = of_adapter(adapter, os.environ)
    return Reach(url, {name: secret.get_secret_value() for name, secret in secrets.items()})


def reach_of_meter(instrument: str) -> MeterReach:
    """Give where an instrument is and what opens it, from the environment."""
    url, words = of_adapter(instrument, os.environ)
    return MeterReach(url, {name: word.get_secret_value() for name, word in words.items()})


def look_for_meters() -> list[Finding]:
    """Look for every instrument on this machine, and at the addresses that the environment names."""
    return list(look_for_all(METERS, Surroundings(now_us, reach_of_meter)))


def open_meter(name: str, sample_s: float | None = None) -> LiveMeter:
    """Open an instrument by its name.

    Raises
    ------
    UnknownNameError
        If nothing has that name.
    InputError
        If it is no instrument but stands in for one, or is not here.
    """
    kind = METERS.get(name)
    if not issubclass(kind, LiveMeter):
        raise InputError(f"meter {name!r} stands in for an instrument; `gridmargin meters` lists those")
    return kind.open(Surroundings(now_us, reach_of_meter), sample_s)


def sampler_of(meter: LiveMeter) -> Sampler:
    """Give what asks an instrument at its period, from a thread."""
    return Sampler(meter, time.monotonic)


def open_transport(limits: Limits | None = None) -> Transport:
    """Give the client that asks publishers."""
    return Transport(clock=time.monotonic, sleep=time.sleep, now_utc=now_utc, limits=limits)


def home_folder(data_dir: Path | None, settings: Settings) -> Path:
    """Give the folder for ledger, archive and receipts."""
    return (data_dir or settings.home or user_data_path("gridmargin")).expanduser()


def recent_file() -> Path:
    """Name the file that remembers where receipts were written lately."""
    return user_state_path("gridmargin") / "recent.json"


def seen_file(key_id: str) -> Path:
    """Name the file that remembers the newest head that a ledger showed us, by the id of its key."""
    return user_state_path("gridmargin") / "heads" / key_id


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
        """Say which source answers for a zone around a moment: a publisher, the archive, or what was chosen otherwise.

        Parameters
        ----------
        ask : bool
            Whether publishers are asked now; else what was fetched in the background is all there is.

        Raises
        ------
        InputError
            If only publishers may answer and none is on for the zone.
        PublisherError
            If only publishers may answer and none does.
        """
        if choice.asks is Asks.NEVER or choice.adapter is not None:
            return choice
        zone_named(zone)
        now = now_utc()
        moment = moment_utc or now
        must, feeds = choice.asks is Asks.MUST, self.feeds
        adapters = feeds.of_zone(zone)
        if must and not adapters:
            raise InputError(
                "; ".join(feeds.off_of_zone(zone))
                or f"no live source for {zone}; give --source auto, or reference"
            )
        failures: list[GridmarginError] = []
        whys: list[str] = []
        if abs(now - moment) < PRESENT:
            for adapter in adapters:
                why = (
                    ask_or_say_why(feeds, adapter, zone, insist=must)
                    if ask
                    else feeds.index.health(adapter.name, zone).fault
                )
                if why is None and self._reaches(feeds.kept(adapter), zone, moment):
                    came = feeds.index.health(adapter.name, zone).succeeded_utc
                    asked = f", asked {format_utc(came.replace(second=0, microsecond=0))}" if came else ""
                    return self._settled(
                        choice, "live", adapter, f"live: {adapter.publisher} ({adapter.name}){asked}"
                    )
                whys.append(why or f"{adapter.name} has nothing for that moment")
        elif must:
            around = Interval(moment - timedelta(hours=1), moment + timedelta(hours=1))
            for adapter in adapters:
                try:
                    feeds.ask(adapter, zone, around, within_s=QUICK.total_s)
                except GridmarginError as error:
                    failures.append(error)
                    whys.append(str(error))
        for adapter, _ in feeds.adapters:
            kept = feeds.kept(adapter)
            if zone in adapter.zones() and self._reaches(kept, zone, moment):
                words = f"archive: {adapter.publisher} ({adapter.name}), {_age(kept, zone, now)}"
                return self._settled(
                    choice, "archive", adapter, "; ".join([words, *(f"live: {w}" for w in whys)])
                )
        if must:
            if failures:
                raise failures[0]
            raise PublisherError(
                adapters[0].publisher, f"{'; '.join(whys)}; try again later, or give another --source"
            )
        return replace(
            choice, detail="; ".join([choice.detail, *(f"live: {w}" for w in whys)]), asks=choice.asks
        )

    def _settled(self, choice: SourceChoice, kind: str, adapter: LiveSource, detail: str) -> SourceChoice:
        return replace(choice, kind=kind, detail=detail, adapter=adapter.name)

    @staticmethod
    def _reaches(kept: KeptSource, zone: str, moment_utc: datetime) -> bool:
        if zone not in kept.zones():
            return False
        span = kept.span(zone)
        return span.start_utc <= moment_utc < span.end_utc + ARCHIVE_REACH

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
        f"no ledger at {ledger_place(folder, settings)}; correct --ledger or GRIDMARGIN_LEDGER"
    )


def _age(kept: KeptSource, zone: str, now: datetime) -> str:
    came, end = kept.retrieved_utc(zone), kept.span(zone).end_utc
    fetched = f"of {format_utc(came.replace(second=0, microsecond=0))}, " if came else ""
    return f"{fetched}its newest interval ended {max((now - end).total_seconds(), 0.0) / 60:.0f} min ago"


@contextmanager
def open_workplace(folder: Path, settings: Settings) -> Iterator[Workplace]:
    """Open the ledger and archive of a data folder; made where absent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot use {folder} as a data folder: {error.strerror}; give another --data-dir or --out"
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
    code = sorted(path for room in LEARNS for path in (Path(__file__).parent / room).rglob("*.py"))
    hashes = [sha256_hex(path.read_bytes()) for path in code]
    versions = [f"{name} {version(name)}" for name in LEARNS_WITH]
    return f"code {sha256_hex(' '.join(hashes).encode())}, {', '.join(versions)}"


def replayed(place: Workplace) -> Iterator[Replayed]:
    """Read every archived answer of every live adapter and comparison signal again."""
    for registry in (LIVE_SOURCES, COMPARISONS):
        for name in registry:
            yield from replay(registry.get(name)(), place.archive, place.index)
