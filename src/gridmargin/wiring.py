"""Build objects from settings; the only reader of settings, secrets and the clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_data_path, user_state_path
from pydantic import SecretStr

from gridmargin.ledger import Book, Place, Shelf, Signer, is_url
from gridmargin.pipeline import Factory, facts_from, payloads_from
from gridmargin.places import Declarations, Places, read_declarations, read_outlines
from gridmargin.reference import zone_named
from gridmargin.settings import Settings
from gridmargin.sources import SOURCES, Archive, Source
from gridmargin.vocab import InputError, NotFoundError, sha256_hex


def now_utc() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


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


@dataclass(frozen=True, slots=True)
class SourceChoice:
    """Which source answers for a zone, and in which words to say so.

    Attributes
    ----------
    kind : str
        `recorded` or `reference`.
    folder : Path or None
        Data folder of a recorded source.
    detail : str
        For people: what is behind the numbers.
    """

    kind: str
    folder: Path | None
    detail: str


def choose_source(text: str, settings: Settings) -> SourceChoice:
    """Read `--source auto|recorded:DIR|reference`.

    Raises
    ------
    InputError
        If the text is none of these or the folder is not there.
    """
    kind, _, rest = text.partition(":")
    if kind == "auto" and not rest:
        if settings.data is not None:
            if not settings.data.expanduser().is_dir():
                raise InputError(f"GRIDMARGIN_DATA={settings.data}: no such folder; correct it, or unset it")
            return choose_source(f"recorded:{settings.data}", settings)
        return SourceChoice(
            "reference", None, "modelled typical days; no recorded data given (GRIDMARGIN_DATA is not set)"
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
    raise InputError(f"--source {text!r} is not known; use auto, reference, or recorded:DIR")


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
        have = sorted(sources)
        raise InputError(
            f"no recorded data for {zone} under {choice.folder}; found {', '.join(have) or 'none at all'};"
            " give another folder, or --source reference"
        )
    covering = (s for s in sources[zone] if moment_utc is not None and moment_utc in s.span(zone))
    return next(covering, sources[zone][0])


def zones_of(choice: SourceChoice) -> list[str]:
    """List the zones that the chosen source has data for."""
    if choice.folder is None:
        return SOURCES.get("reference")(Path()).zones()
    return sorted(recorded_sources(choice.folder))


def home_folder(data_dir: Path | None, settings: Settings) -> Path:
    """Give the folder for ledger, archive and receipts."""
    return (data_dir or settings.home or user_data_path("gridmargin")).expanduser()


def recent_file() -> Path:
    """Name the file that remembers where receipts were written lately."""
    return user_state_path("gridmargin") / "recent.json"


def seen_file(key_id: str) -> Path:
    """Name the file that remembers the newest head that a ledger showed us, by the id of its key."""
    return user_state_path("gridmargin") / "heads" / key_id


@dataclass(frozen=True, slots=True)
class Workplace:
    """A data folder, opened: archive, the ledger in it or elsewhere, the key that signs it, and the fits kept."""

    folder: Path
    book: Book
    archive: Archive
    signer: Signer
    shelf: Shelf
    settings: Settings

    def apart(self) -> AbstractContextManager[Workplace]:
        """Open the same once more, with a connection of its own, for work beside other work."""
        return open_workplace(self.folder, self.settings)

    def factory(
        self,
        choice: SourceChoice,
        zone: str,
        moment_utc: datetime | None = None,
        asked: Sequence[str] = (),
    ) -> Factory:
        """Give what covers intervals of `zone` around a moment, by the usual estimators and those asked for."""
        return Factory(
            source_for(choice, zone, moment_utc),
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
        yield Workplace(
            folder, book, Archive(folder / "archive"), signer, Shelf(folder / "fits", learned_by), settings
        )


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
