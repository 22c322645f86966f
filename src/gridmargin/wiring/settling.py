"""Which source answers for a zone: what the user chose, whom that lets us ask, and what stands in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from gridmargin.pipeline import Feeds, ask_or_say_why
from gridmargin.reference import zone_named
from gridmargin.settings import Settings
from gridmargin.sources import LIVE_SOURCES, SOURCES, KeptSource, Limits, LiveSource, Source
from gridmargin.vocab import GridmarginError, InputError, Interval, PublisherError, format_utc

PRESENT = timedelta(days=1)
"""How long ago is still the present, for which a publisher is asked."""

ARCHIVE_REACH = timedelta(hours=6)
"""How long the newest fetched interval may stand for what came after, as a neighbour may fill a gap."""

QUICK = Limits(connect_s=2.0, read_s=4.0, total_s=5.0, attempts=2, wait_initial_s=0.1, wait_jitter_s=0.1)
"""For somebody who waits."""

PATIENT = Limits()
"""For rounds in the background."""


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
    silent : tuple of str
        Why no publisher answers for the zone that was settled.
    """

    kind: str
    folder: Path | None
    detail: str
    asks: Asks = Asks.NEVER
    adapter: str | None = None
    silent: tuple[str, ...] = ()


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
            raise InputError("`source=live`: GRIDMARGIN_OFFLINE is set; unset it, or give another `source`")
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
                f"`source=recorded:{rest}`: no such folder; give the folder that holds the data sets"
            )
        return SourceChoice("recorded", folder, f"recorded tables under {folder}")
    raise InputError(f"`source={text}` is not known; use auto, live, reference, or recorded:DIR")


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
        raise InputError(f"`source=live`: {zone} was not asked for; give `source=auto`, or recorded:DIR")
    if choice.folder is None:
        source = SOURCES.get("reference")(Path())
        have = source.zones()
        if zone in have:
            return source
        raise InputError(
            "; ".join([*choice.silent, f"no typical days for {zone}"])
            + f"; the reference source has {', '.join(have)}; give `source=recorded:DIR`"
        )
    sources = recorded_sources(choice.folder)
    if zone not in sources:
        typical = SOURCES.get("reference")(Path())
        if choice.asks is Asks.MAY and zone in typical.zones():
            return typical
        have = sorted(sources)
        raise InputError(
            "; ".join([*choice.silent, f"no recorded data for {zone} under {choice.folder}"])
            + f"; found {', '.join(have) or 'none at all'}; give another folder, or `source=reference`"
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


def settle(
    feeds: Feeds,
    choice: SourceChoice,
    zone: str,
    moment_utc: datetime,
    now_utc: datetime,
    *,
    ask: bool = True,
) -> SourceChoice:
    """Say which source answers for a zone around a moment: a publisher, the archive, or what was chosen otherwise.

    Parameters
    ----------
    feeds : Feeds
        The live adapters, and what was fetched from them.
    choice : SourceChoice
        What the user chose; a choice that asks nobody, or is settled already, is given back as it is.
    moment_utc, now_utc : datetime
        The moment asked for, and the present.
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
    must, adapters = choice.asks is Asks.MUST, feeds.of_zone(zone)
    if must and not adapters:
        raise InputError(
            "; ".join(feeds.off_of_zone(zone))
            or f"no live source for {zone}; give `source=auto`, or reference"
        )
    failures: list[GridmarginError] = []
    whys: list[str] = []
    if abs(now_utc - moment_utc) < PRESENT:
        for adapter in adapters:
            why = _why_not(feeds, adapter, zone, ask=ask, insist=must)
            if why is None and _reaches(feeds.kept(adapter), zone, moment_utc):
                return _of_adapter(choice, "live", adapter, _asked_words(feeds, adapter, zone))
            whys.append(why or f"{adapter.name} has nothing for that moment")
    elif must:
        failures = _ask_for_the_past(feeds, adapters, zone, moment_utc)
        whys = [str(error) for error in failures]
    said = [f"live: {why}" for why in whys]
    for adapter, _ in feeds.adapters:
        kept = feeds.kept(adapter)
        if zone in adapter.zones() and _reaches(kept, zone, moment_utc):
            words = f"archive: {adapter.publisher} ({adapter.name}), {_age(kept, zone, now_utc)}"
            return _of_adapter(choice, "archive", adapter, "; ".join([words, *said]))
    if failures:
        raise failures[0]
    if must:
        raise PublisherError(
            adapters[0].publisher, f"{'; '.join(whys)}; try again later, or give another `source`"
        )
    silent = tuple(said or feeds.off_of_zone(zone))
    return replace(choice, detail="; ".join([choice.detail, *said]), silent=silent)


def _why_not(feeds: Feeds, adapter: LiveSource, zone: str, *, ask: bool, insist: bool) -> str | None:
    """Say why a publisher does not answer for the present; None where it does."""
    if ask:
        return ask_or_say_why(feeds, adapter, zone, insist=insist)
    return feeds.index.health(adapter.name, zone).fault


def _ask_for_the_past(
    feeds: Feeds, adapters: Sequence[LiveSource], zone: str, moment_utc: datetime
) -> list[GridmarginError]:
    """Ask every publisher for the hours around a moment; give what went wrong."""
    around = Interval(moment_utc - timedelta(hours=1), moment_utc + timedelta(hours=1))
    failures: list[GridmarginError] = []
    for adapter in adapters:
        try:
            feeds.ask(adapter, zone, around, within_s=QUICK.total_s)
        except GridmarginError as error:
            failures.append(error)
    return failures


def _of_adapter(choice: SourceChoice, kind: str, adapter: LiveSource, detail: str) -> SourceChoice:
    return replace(choice, kind=kind, detail=detail, adapter=adapter.name)


def _reaches(kept: KeptSource, zone: str, moment_utc: datetime) -> bool:
    if zone not in kept.zones():
        return False
    span = kept.span(zone)
    return span.start_utc <= moment_utc < span.end_utc + ARCHIVE_REACH


def _asked_words(feeds: Feeds, adapter: LiveSource, zone: str) -> str:
    came = feeds.index.health(adapter.name, zone).succeeded_utc
    asked = f", asked {format_utc(came.replace(second=0, microsecond=0))}" if came else ""
    return f"live: {adapter.publisher} ({adapter.name}){asked}"


def _age(kept: KeptSource, zone: str, now: datetime) -> str:
    came, end = kept.retrieved_utc(zone), kept.span(zone).end_utc
    fetched = f"of {format_utc(came.replace(second=0, microsecond=0))}, " if came else ""
    return f"{fetched}its newest interval ended {max((now - end).total_seconds(), 0.0) / 60:.0f} min ago"
