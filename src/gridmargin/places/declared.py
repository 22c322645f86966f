"""Data centres and moves that a user declares, in one TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gridmargin.reference import SCHEMES, known_zones
from gridmargin.vocab import InputError, Range, TableError, UnknownNameError

PROCUREMENT = ("ppa", "certificates", "tariff", "on_site")

WORST_PUE = 10.0
"""Above this a figure is a mistake, such as a percentage. [1]"""

_CENTRE_KEYS = (
    "id", "name", "zone", "place", "latitude_deg", "longitude_deg", "names", "pue", "losses_frac", "procurement",
    "source", "as_of",
)  # fmt: skip
_OVERRIDE_KEYS = ("workload", "place", "from", "to", "reason")


@dataclass(frozen=True, slots=True)
class Procurement:
    """How part of the electricity is bought: recorded and shown, never part of a marginal or location-based figure."""

    kind: str
    share_frac: float
    note: str


@dataclass(frozen=True, slots=True)
class DataCentre:
    """One site as its operator describes it.

    Attributes
    ----------
    id : str
        The operator's own name for it.
    place : str or None
        Zone of ours, or a name such as `eia:ERCO`, that it lies in; None where only coordinates are given.
    point : tuple of float or None
        Latitude and longitude. [°]
    names : tuple of str
        Other names that mean this site, such as `aws:us-west-2`: the declaration wins over the registry for them.
    pue, losses_frac : Range or None
        Where stated, used in place of the reference tables. [1]
    where : str
        File and entry, for messages.
    """

    id: str
    name: str
    place: str | None
    point: tuple[float, float] | None
    names: tuple[str, ...]
    pue: Range | None
    losses_frac: Range | None
    procurement: tuple[Procurement, ...]
    source: str
    as_of: str
    where: str


@dataclass(frozen=True, slots=True)
class Override:
    """From a moment on, a workload runs somewhere else."""

    workload: str
    place: str
    from_utc: datetime
    to_utc: datetime | None
    reason: str
    where: str

    def holds_at(self, moment_utc: datetime) -> bool:
        """Say whether it decides at a moment."""
        return self.from_utc <= moment_utc and (self.to_utc is None or moment_utc < self.to_utc)


@dataclass(frozen=True, slots=True)
class Declarations:
    """What a user declared."""

    origin: str = ""
    centres: tuple[DataCentre, ...] = ()
    overrides: tuple[Override, ...] = ()
    by_name: Mapping[str, DataCentre] = field(default_factory=dict)

    def centre(self, text: str) -> DataCentre | None:
        """Give the data centre that a name means, or None."""
        return self.by_name.get(text.casefold())

    def workloads(self) -> list[str]:
        """List the workloads that have an override."""
        return sorted({override.workload for override in self.overrides})

    def override(self, workload: str, moment_utc: datetime) -> Override | None:
        """Give the override that decides at a moment: the one that began last."""
        holding = [o for o in self.overrides if o.workload == workload and o.holds_at(moment_utc)]
        return max(holding, key=lambda o: o.from_utc, default=None)


def read_declarations(path: Path) -> Declarations:
    """Read a TOML file of data centres and overrides.

    Raises
    ------
    TableError
        With the file and the entry, where one cannot be used.
    """
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError:
        raise InputError(f"`places={path}`: no such file; see docs/howto/declare-a-data-centre.md") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: not TOML ({error}); see docs/howto/declare-a-data-centre.md") from None
    _only(document, ("data_centre", "override"), str(path))
    centres = tuple(_centre(entry, where) for entry, where in _entries(document, "data_centre", "id", path))
    overrides = tuple(
        _override(entry, where) for entry, where in _entries(document, "override", "workload", path)
    )
    declared = Declarations(str(path), centres, overrides, _by_name(centres))
    _refuse_same_moment(overrides)
    return declared


def _entries(document: Mapping[str, Any], kind: str, title: str, path: Path) -> list[tuple[Any, str]]:
    entries = document.get(kind, [])
    if not isinstance(entries, list):
        raise TableError(f"{path}: {kind} is one table; write [[{kind}]], so that there can be several")
    return [
        (entry, f"{path}, {kind} {n} ({entry.get(title, 'no ' + title)!r})")
        for n, entry in enumerate(entries, 1)
    ]


def _only(entry: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    for key in entry:
        if key not in allowed:
            raise TableError(f"{where}: {UnknownNameError('key', key, allowed)}")


def _text(entry: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise TableError(f'{where}, {key}: {value!r} is no text; write {key} = "…"')
    return value


def _centre(entry: Mapping[str, Any], where: str) -> DataCentre:
    _only(entry, _CENTRE_KEYS, where)
    named = _text(entry, "id", where)
    if named in known_zones() or ":" in named or "," in named:
        raise TableError(
            f"{where}: the id {named!r} reads as a zone, a name with a scheme or coordinates; choose another, and list"
            " such names under names"
        )
    given = [key for key in ("zone", "place") if key in entry]
    point = _point(entry, where)
    if len(given) == 2 or (not given and point is None):
        raise TableError(
            f"{where}: say once where it is; give zone, or place (such as eia:ERCO), or latitude_deg and longitude_deg"
        )
    place = _text(entry, given[0], where) if given else None
    if given == ["zone"] and place not in known_zones():
        raise TableError(f"{where}: {UnknownNameError('zone', str(place), known_zones())}")
    names = entry.get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TableError(f'{where}, names: {names!r} is no list of texts; write names = ["aws:us-west-2"]')
    return DataCentre(
        id=named, name=_text(entry, "name", where, named), place=place, point=point, names=tuple(names),
        pue=_range(entry, "pue", where, 1.0, WORST_PUE), losses_frac=_range(entry, "losses_frac", where, 0.0, 0.5),
        procurement=_procurement(entry, where), source=_text(entry, "source", where, ""),
        as_of=str(entry.get("as_of", "")), where=where,
    )  # fmt: skip


def _point(entry: Mapping[str, Any], where: str) -> tuple[float, float] | None:
    keys = [key for key in ("latitude_deg", "longitude_deg") if key in entry]
    if not keys:
        return None
    if len(keys) == 1:
        raise TableError(f"{where}: {keys[0]} alone is no point; give latitude_deg and longitude_deg")
    latitude_deg, longitude_deg = (
        _number(entry[key], f"{where}, {key}", -limit, limit)
        for key, limit in (("latitude_deg", 90.0), ("longitude_deg", 180.0))
    )
    return latitude_deg, longitude_deg


def _number(value: object, where: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise TableError(f"{where}: {value!r} is not a number from {low:g} to {high:g}; correct it")
    return float(value)


def _range(entry: Mapping[str, Any], key: str, where: str, low: float, high: float) -> Range | None:
    if key not in entry:
        return None
    value, where = entry[key], f"{where}, {key}"
    if not isinstance(value, Mapping):
        number = _number(value, where, low, high)
        return Range(number, number, number)
    _only(value, ("low", "mid", "high"), where)
    if set(value) != {"low", "mid", "high"}:
        raise TableError(f"{where}: a range has low, mid and high; give all three, or one number")
    ends = [_number(value[part], f"{where}.{part}", low, high) for part in ("low", "mid", "high")]
    if ends != sorted(ends):
        raise TableError(
            f"{where}: low {ends[0]:g}, mid {ends[1]:g}, high {ends[2]:g} are not in order; sort them"
        )
    return Range(*ends)


def _procurement(entry: Mapping[str, Any], where: str) -> tuple[Procurement, ...]:
    parts = entry.get("procurement", [])
    where = f"{where}, procurement"
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        raise TableError(f"{where}: write [[data_centre.procurement]] tables")
    found = []
    for part in parts:
        _only(part, ("kind", "share_frac", "note"), where)
        kind = _text(part, "kind", where)
        if kind not in PROCUREMENT:
            raise TableError(f"{where}: {UnknownNameError('kind of procurement', kind, PROCUREMENT)}")
        share_frac = _number(part.get("share_frac"), f"{where}, share_frac", 0.0, 1.0)
        found.append(Procurement(kind, share_frac, _text(part, "note", where, "")))
    total = sum(part.share_frac for part in found)
    if total > 1 + 1e-9:
        raise TableError(f"{where}: the shares add up to {total:g}, more than all; correct them")
    return tuple(found)


def _override(entry: Mapping[str, Any], where: str) -> Override:
    _only(entry, _OVERRIDE_KEYS, where)
    moments = [entry.get(key) for key in ("from", "to")]
    for key, moment in zip(("from", "to"), moments, strict=True):
        if moment is None and key == "to":
            continue
        if not isinstance(moment, datetime) or moment.tzinfo is None:
            raise TableError(
                f"{where}, {key}: {moment!s} is no moment with an offset; write {key} = 2026-03-01T00:00:00Z (C1)"
            )
    from_utc, to_utc = (m.astimezone(UTC) if isinstance(m, datetime) else None for m in moments)
    assert from_utc is not None
    if to_utc is not None and to_utc <= from_utc:
        raise TableError(f"{where}: it ends before it begins; correct from or to")
    return Override(
        _text(entry, "workload", where), _text(entry, "place", where), from_utc, to_utc,
        _text(entry, "reason", where, ""), where,
    )  # fmt: skip


def _by_name(centres: Sequence[DataCentre]) -> dict[str, DataCentre]:
    found: dict[str, DataCentre] = {}
    for centre in centres:
        for name in (centre.id, *centre.names):
            scheme, colon, _ = name.partition(":")
            if name != centre.id and (not colon or scheme.casefold() not in SCHEMES):
                raise TableError(
                    f"{centre.where}, names: {name!r} has no scheme of the registry; write it with one, such as"
                    " aws:us-west-2"
                )
            first = found.setdefault(name.casefold(), centre)
            if first is not centre:
                raise TableError(f"{centre.where}: {name!r} already means {first.where}; keep one")
    return found


def _refuse_same_moment(overrides: Sequence[Override]) -> None:
    seen: dict[tuple[str, datetime], Override] = {}
    for override in overrides:
        first = seen.setdefault((override.workload, override.from_utc), override)
        if first is not override:
            raise TableError(f"{override.where} begins at the same moment as {first.where}; keep one")
