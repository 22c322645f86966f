"""Market documents of IEC 62325, as ENTSO-E writes them: time series of periods of numbered points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import polars as pl

from gridmargin.sources.packed import unpack
from gridmargin.sources.source import Payload
from gridmargin.vocab import TableError

GRID_S = 900
STEPS_S = {"PT15M": 900, "PT30M": 1800, "PT60M": 3600, "PT1H": 3600}
"""Resolutions that are laid on quarters of an hour."""

CONSUMED = " consumption"
REPEATS = "A03"
"""Curve type in which a point that is left out has the value of the one before."""

NO_DATA = "no matching data"


@dataclass(frozen=True, slots=True)
class Series:
    """One time series of a document, periods of the same name joined.

    Attributes
    ----------
    name : str
        Production type, with ` consumption` where it draws; or the name of the field that holds the value.
    code, currency : str
        Production type and currency; empty where there is none.
    is_consumed : bool
        Whether it is what plants of the type drew.
    frame : polars.DataFrame
        `start_utc`, `value`, and `whole`: whether the value is the publisher's own for this quarter of an hour, and not
        that of a longer one.
    """

    name: str
    code: str
    currency: str
    is_consumed: bool
    frame: pl.DataFrame


def market_series(payload: Payload, field: str) -> list[Series]:
    """Read the time series of a document, or of all documents of a zip; none where the publisher has no matching data.

    Parameters
    ----------
    field : str
        Of a point: `quantity` or `price.amount`.

    Raises
    ------
    TableError
        If it is cut short, says that it cannot answer, or lacks an element; names the series, period and element.
    """
    found: dict[tuple[str, str, str, bool], dict[datetime, tuple[float, bool]]] = {}
    for root in _documents(payload):
        if _tag(root) == "Acknowledgement_MarketDocument":
            _refuse_unless_empty(payload, root)
            continue
        for number, series in enumerate(root.iterfind("{*}TimeSeries"), start=1):
            code = series.findtext("{*}MktPSRType/{*}psrType", "")
            currency = series.findtext("{*}currency_Unit.name", "")
            # Of generation the draw of a plant is told by the domain that it goes out of.
            drawn = bool(code) and series.find("{*}outBiddingZone_Domain.mRID") is not None
            name = (code or field) + (CONSUMED if drawn else "")
            values = found.setdefault((name, code, currency, drawn), {})
            repeats = series.findtext("{*}curveType", "A01") == REPEATS
            periods = series.findall("{*}Period")
            if not periods:
                raise TableError(f"{payload.name}, row {number}: no element 'Period' in TimeSeries {name}")
            for period in periods:
                for start, value, whole in _points(payload, number, period, field, repeats):
                    values.setdefault(start, (value, whole))
    return [
        Series(
            name,
            code,
            currency,
            drawn,
            pl.DataFrame(
                {
                    "start_utc": list(values),
                    "value": [value for value, _ in values.values()],
                    "whole": [whole for _, whole in values.values()],
                },
                schema={"start_utc": pl.Datetime("us", "UTC"), "value": pl.Float64, "whole": pl.Boolean},
            ),
        )
        for (name, code, currency, drawn), values in found.items()
        if values
    ]


def _points(
    payload: Payload, number: int, period: ET.Element, field: str, repeats: bool
) -> Iterator[tuple[datetime, float, bool]]:
    """Give a period's values on quarters of an hour."""
    where = f"{payload.name}, row {number}"
    resolution = _text(where, period, "resolution")
    step_s = STEPS_S.get(resolution)
    if step_s is None:
        raise TableError(f"{where}, column resolution: {resolution!r} is none of {', '.join(STEPS_S)}")
    start = _moment(where, period, "start")
    n = int((_moment(where, period, "end") - start).total_seconds()) // step_s
    given: dict[int, float] = {}
    for point in period.iterfind("{*}Point"):
        position, text = _text(where, point, "position"), _text(where, point, field)
        if not position.isdigit() or not 1 <= int(position) <= n:
            raise TableError(f"{where}, column position: {position!r} is not between 1 and {n}")
        try:
            given[int(position)] = float(text)
        except ValueError:
            raise TableError(f"{where}, column {field}: {text!r} is not a number") from None
    value: float | None = None
    for at in range(1, n + 1):
        value = given.get(at, value if repeats else None)
        if value is None:
            continue
        first = start + timedelta(seconds=(at - 1) * step_s)
        for quarter in range(step_s // GRID_S):
            yield first + timedelta(seconds=quarter * GRID_S), value, step_s == GRID_S


def _text(where: str, element: ET.Element, name: str) -> str:
    text = element.findtext(f"{{*}}{name}")
    if text is None:
        raise TableError(f"{where}: no element {name!r} in {_tag(element)}")
    return text.strip()


def _moment(where: str, period: ET.Element, name: str) -> datetime:
    span = period.find("{*}timeInterval")
    if span is None:
        raise TableError(f"{where}: no element 'timeInterval' in {_tag(period)}")
    text = _text(where, span, name)
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
    except ValueError:
        raise TableError(
            f"{where}, column {name}: {text!r} is not a time in UTC such as 2026-09-24T12:00Z"
        ) from None


def _documents(payload: Payload) -> list[ET.Element]:
    bodies = list(unpack(payload).values()) if payload.body[:2] == b"PK" else [payload.body]
    roots = []
    for body in bodies:
        if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
            raise TableError(f"{payload.name} declares entities, as no market document does; fetch it again")
        try:
            roots.append(ET.fromstring(body))  # noqa: S314 - without declarations nothing can be expanded
        except ET.ParseError as error:
            raise TableError(f"{payload.name} is no XML or cut short ({error}); fetch it again") from None
    for root in roots:
        if not _tag(root).endswith("MarketDocument"):
            raise TableError(f"{payload.name} is no market document but {_tag(root)!r}; fetch it again")
    return roots


def _refuse_unless_empty(payload: Payload, root: ET.Element) -> None:
    reasons = [text.strip() for text in (e.text or "" for e in root.iterfind("{*}Reason/{*}text"))]
    if not any(NO_DATA in reason.lower() for reason in reasons):
        raise TableError(f"{payload.name}: the publisher answers {'; '.join(reasons) or 'without a reason'}")


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
