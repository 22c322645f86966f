"""The Carbon Aware SDK's web API, once over the marginal and once over the average factor; each answer names its kind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from gridmargin.interfaces.faces.regions import AZURE, region
from gridmargin.interfaces.faces.shapes import FaceError, json_response, offset_text, router_with, stretch
from gridmargin.interfaces.faces.signals import Point, Signal, Signals
from gridmargin.interfaces.faces.windows import Window, least, mean_over, sliding
from gridmargin.reference import CLOUDS, namings, zone_named
from gridmargin.vocab import InputError, Kind, TimeError, parse_utc

LONGEST_DAYS = 32
MOST_LOCATIONS = 50
MOST_BATCH = 50
HOURS = 24
"""How far a forecast reaches unless a later `dataEndAt` is asked for. [h]"""

PREFIXES = {"": Kind.MARGINAL, "/average": Kind.AVERAGE}
"""Base path to the kind of factor behind it. The SDK speaks of marginal intensity, so that is at the root."""


class BatchForecast(BaseModel):
    """One forecast of a batch."""

    requestedAt: str  # noqa: N815
    location: str
    dataStartAt: str | None = None  # noqa: N815
    dataEndAt: str | None = None  # noqa: N815
    windowSize: int | None = None  # noqa: N815


class BatchAverage(BaseModel):
    """One stretch of a batch."""

    location: str
    startTime: str  # noqa: N815
    endTime: str  # noqa: N815


def refusal(status: int, code: str, message: str) -> JSONResponse:
    """Build problem details (RFC 9457), as the SDK does."""
    body = {"type": "about:blank", "title": code, "status": status, "detail": message, "errors": {}}
    return json_response(body, status, "application/problem+json")


def routers(signals: Signals) -> list[APIRouter]:
    """Build the routes, once for each kind."""
    return [_routes(signals, prefix, kind) for prefix, kind in PREFIXES.items()]


def _routes(signals: Signals, prefix: str, kind: Kind) -> APIRouter:
    routes = router_with(refusal, prefix=prefix)

    @routes.get("/emissions/bylocation")
    async def by_location(
        location: str,
        time: str | None = None,
        to_time: Annotated[str | None, Query(alias="toTime")] = None,
        start_time: Annotated[str | None, Query(alias="startTime")] = None,
        end_time: Annotated[str | None, Query(alias="endTime")] = None,
    ) -> list[dict[str, Any]]:
        return await asyncio.to_thread(
            _emissions, signals, kind, [location], time or start_time, to_time or end_time
        )

    @routes.get("/emissions/bylocations")
    async def by_locations(
        location: Annotated[list[str], Query(min_length=1, max_length=MOST_LOCATIONS)],
        time: str | None = None,
        to_time: Annotated[str | None, Query(alias="toTime")] = None,
    ) -> list[dict[str, Any]]:
        return await asyncio.to_thread(_emissions, signals, kind, location, time, to_time)

    @routes.get("/emissions/bylocations/best")
    async def best(
        location: Annotated[list[str], Query(min_length=1, max_length=MOST_LOCATIONS)],
        time: str | None = None,
        to_time: Annotated[str | None, Query(alias="toTime")] = None,
    ) -> list[dict[str, Any]]:
        found = await asyncio.to_thread(_emissions, signals, kind, location, time, to_time)
        lowest = min(row["rating"] for row in found)
        return [row for row in found if row["rating"] == lowest]

    @routes.get("/emissions/forecasts/current")
    async def current(
        location: Annotated[list[str], Query(min_length=1, max_length=MOST_LOCATIONS)],
        start: Annotated[str | None, Query(alias="dataStartAt")] = None,
        end: Annotated[str | None, Query(alias="dataEndAt")] = None,
        window: Annotated[int | None, Query(alias="windowSize", ge=1, le=4320)] = None,
    ) -> list[dict[str, Any]]:
        now = signals.now_utc()
        return [
            await asyncio.to_thread(_forecast, signals, kind, name, now, start, end, window, None)
            for name in location
        ]

    @routes.post("/emissions/forecasts/batch")
    async def batch(body: list[BatchForecast]) -> list[dict[str, Any]]:
        _refuse_many(body)
        found = []
        for one in body:
            at = parse_utc(one.requestedAt, "requestedAt")
            found.append(
                await asyncio.to_thread(
                    _forecast,
                    signals,
                    kind,
                    one.location,
                    at,
                    one.dataStartAt,
                    one.dataEndAt,
                    one.windowSize,
                    at,
                )
            )
        return found

    @routes.get("/emissions/average-carbon-intensity")
    async def average(
        location: str,
        start: Annotated[str, Query(alias="startTime")],
        end: Annotated[str, Query(alias="endTime")],
    ) -> dict[str, Any]:
        return await asyncio.to_thread(_average, signals, location, start, end)

    @routes.post("/emissions/average-carbon-intensity/batch")
    async def average_batch(body: list[BatchAverage]) -> list[dict[str, Any]]:
        _refuse_many(body)
        return [
            await asyncio.to_thread(_average, signals, one.location, one.startTime, one.endTime)
            for one in body
        ]

    @routes.get("/locations")
    async def locations() -> dict[str, Any]:
        return await asyncio.to_thread(_locations, signals, kind)

    return routes


def _locations(signals: Signals, kind: Kind) -> dict[str, Any]:
    """Give the zones with data and the cloud regions in them; of a region the middle of its metropolis, where known."""
    have = [zone_named(zone) for zone in signals.zones(kind)]
    places = {zone.id: (zone.latitude_deg, zone.longitude_deg) for zone in have}
    zones = set(places)
    for row in (row for scheme in CLOUDS for row in namings(scheme)):
        if row.zone in zones and row.latitude_deg is not None and row.longitude_deg is not None:
            places[row.full_name] = (row.latitude_deg, row.longitude_deg)
    return {
        name: {"name": name, "latitude": latitude, "longitude": longitude}
        for name, (latitude, longitude) in places.items()
    }


def _refuse_many(body: Sequence[BaseModel]) -> None:
    if not 1 <= len(body) <= MOST_BATCH:
        raise InputError(f"the batch has {len(body)} items; give 1 to {MOST_BATCH}")


def _emissions(
    signals: Signals, kind: Kind, names: Sequence[str], start: str | None, end: str | None
) -> list[dict[str, Any]]:
    """Give what is known of some places: a stretch, the interval that holds a moment, or the present one."""
    if end is not None and start is None:
        raise TimeError("toTime is given without time; give both")
    asked = stretch(start, end, LONGEST_DAYS, ("time", "toTime")) if start and end else None
    found = []
    for name in names:
        zone = region(signals.places, name, AZURE, signals.now_utc()).zone.id
        if asked is not None:
            signal = signals.observed(zone, kind, asked)
        elif start is not None:
            signal = signals.covering(zone, kind, parse_utc(start, "time"))
        else:
            signal = signals.recent(zone, kind, 0)
        found += [_rated(name, point, signal.of_kind(kind)) for point in signal.points]
    return found


def _rated(name: str, point: Point, signal: Signal) -> dict[str, Any]:
    return {
        "location": name,
        "time": offset_text(point.start_utc),
        "rating": point.mid,
        "duration": str(timedelta(seconds=signal.interval_s)).rjust(8, "0"),
        "factorKind": signal.kind.value,
        "status": point.status.value,
    }


def _forecast(
    signals: Signals,
    kind: Kind,
    name: str,
    requested_utc: datetime,
    start: str | None,
    end: str | None,
    window: int | None,
    at_utc: datetime | None,
) -> dict[str, Any]:
    zone = region(signals.places, name, AZURE, signals.now_utc()).zone.id
    first = parse_utc(start, "dataStartAt") if start else None
    last = parse_utc(end, "dataEndAt") if end else None
    if first and last and last <= first:
        raise TimeError("dataEndAt is not after dataStartAt; swap them")
    hours = HOURS
    if last is not None:
        hours = max(HOURS, min(72, -int(-(last - requested_utc) / timedelta(hours=1) // 1)))
    signal = signals.ahead(zone, kind, hours, at_utc).of_kind(kind)
    minutes = window or signal.interval_s // 60
    windows = [
        w
        for w in sliding(signal, timedelta(minutes=minutes))
        if (first is None or w.start_utc >= first)
        and (last is None or w.start_utc + timedelta(minutes=minutes) <= last)
    ]
    if not windows:
        span = f"{offset_text(signal.points[0].start_utc)} to {offset_text(signal.points[-1].start_utc)}"
        raise FaceError(
            400,
            "ArgumentException",
            f"no window of {minutes} minutes lies between dataStartAt and dataEndAt and within the forecast, {span};"
            " widen them or shorten the window",
        )
    best = [_windowed(name, w) for w in least(windows)]
    assert signal.generated_utc is not None
    return {
        "generatedAt": offset_text(signal.generated_utc),
        "requestedAt": offset_text(requested_utc),
        "location": name,
        "dataStartAt": offset_text(first or windows[0].start_utc),
        "dataEndAt": offset_text(last or windows[-1].start_utc + timedelta(minutes=minutes)),
        "windowSize": minutes,
        "optimalDataPoint": best[0],
        "optimalDataPoints": best,
        "forecastData": [_windowed(name, w) for w in windows],
        "factorKind": signal.kind.value,
        "warnings": [notice.as_dict() for notice in signal.notices],
    }


def _windowed(name: str, window: Window) -> dict[str, Any]:
    return {
        "location": name,
        "timestamp": offset_text(window.start_utc),
        "duration": window.minutes,
        "value": window.mean,
    }


def _average(signals: Signals, name: str, start: str, end: str) -> dict[str, Any]:
    """Give the mean over time of the average factor: nothing else is called `carbonIntensity`, whatever the base path."""
    asked = stretch(start, end, LONGEST_DAYS, ("startTime", "endTime"))
    zone = region(signals.places, name, AZURE, signals.now_utc()).zone.id
    signal = signals.observed(zone, Kind.AVERAGE, signals.whole(zone, asked)).of_kind(Kind.AVERAGE)
    return {
        "location": name,
        "startTime": offset_text(asked.start_utc),
        "endTime": offset_text(asked.end_utc),
        "carbonIntensity": mean_over(signal, asked),
        "factorKind": signal.kind.value,
        "warnings": [notice.as_dict() for notice in signal.notices],
    }
