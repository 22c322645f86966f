"""Build objects from settings; the only reader of settings, secrets and the clock."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from platformdirs import user_data_path, user_state_path

from gridmargin.ledger import Book
from gridmargin.pipeline import Factory, facts_from, payloads_from
from gridmargin.reference import zone_named
from gridmargin.settings import Settings, of_adapter
from gridmargin.sources import SOURCES, Archive, FetchIndex, Limits, Reach, Source, Transport
from gridmargin.vocab import InputError


def now_utc() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


def read_settings() -> Settings:
    """Read the environment.

    Raises
    ------
    InputError
        If a setting cannot be used.
    """
    try:
        return Settings()
    except ValueError as error:
        first = error.errors()[0] if hasattr(error, "errors") else {"loc": ("?",), "msg": str(error)}
        name = "GRIDMARGIN_" + str(first["loc"][0]).upper()
        raise InputError(f"{name}: {first['msg']}; correct the environment variable") from None


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


def reach_of(adapter: str) -> Reach:
    """Give where a live adapter's publisher is and the keys for it, from the environment."""
    url, secrets = of_adapter(adapter, os.environ)
    return Reach(url, {name: secret.get_secret_value() for name, secret in secrets.items()})


def open_transport(limits: Limits | None = None) -> Transport:
    """Give the client that asks publishers."""
    return Transport(clock=time.monotonic, sleep=time.sleep, now_utc=now_utc, limits=limits)


def home_folder(data_dir: Path | None, settings: Settings) -> Path:
    """Give the folder for ledger, archive and receipts."""
    return (data_dir or settings.home or user_data_path("gridmargin")).expanduser()


def recent_file() -> Path:
    """Name the file that remembers where receipts were written lately."""
    return user_state_path("gridmargin") / "recent.json"


@dataclass(frozen=True, slots=True)
class Workplace:
    """A data folder, opened: ledger, archive, and what was fetched into it."""

    folder: Path
    book: Book
    archive: Archive
    index: FetchIndex

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
        )


@contextmanager
def open_workplace(folder: Path) -> Iterator[Workplace]:
    """Open the ledger and archive of a data folder; made where absent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot use {folder} as a data folder: {error.strerror}; give another --data-dir or --out"
        ) from error
    with Book(folder / "ledger.sqlite") as book:
        index = FetchIndex(folder / "archive")
        try:
            yield Workplace(folder, book, Archive(folder / "archive"), index)
        finally:
            index.close()
