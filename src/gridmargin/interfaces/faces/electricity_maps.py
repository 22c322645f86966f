"""Electricity Maps' API, versions 3 and 4: `carbonIntensity` is the average, direct CO2, and nothing else is called so."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from gridmargin.interfaces.faces.regions import (
    ELECTRICITY_MAPS,
    Place,
    own_name,
    own_names,
    region,
    region_at,
    region_in_country,
)
from gridmargin.interfaces.faces.shapes import json_response, milli_text, router_with, stretch
from gridmargin.interfaces.faces.signals import LONGEST_H, Point, Signal, Signals
from gridmargin.interfaces.faces.windows import Window, least, per_period, sliding
from gridmargin.reference import CLOUDS, zone_named
from gridmargin.vocab import InputError, Interval, Kind, NoFactorError, parse_utc

PERIODS_S = {"5_minutes": 300, "15_minutes": 900, "hourly": 3600, "daily": 86_400}
LONGEST_DAYS = {"5_minutes": 10, "15_minutes": 10, "hourly": 10, "daily": 100}
"""The longest stretch a query may ask for. [d]"""

METRIC = "flow-traced_carbon_intensity"
MOST_UPDATES = 1000
ACCESS = (
    "carbon-intensity/latest", "carbon-intensity/history", "carbon-intensity/past", "carbon-intensity/past-range",
    "carbon-intensity/forecast", "updated-since",
)  # fmt: skip

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?")


class Location(BaseModel):
    """Where a job could run: a zone, or the region of a cloud."""

    zone: str | None = None
    dataCenterProvider: str | None = None  # noqa: N815
    dataCenterRegion: str | None = None  # noqa: N815


class Job(BaseModel):
    """What the optimizer is asked."""

    duration: str
    startWindow: str  # noqa: N815
    endWindow: str  # noqa: N815
    locations: list[tuple[float, float] | Location]
    optimizationMetric: str = METRIC  # noqa: N815


@dataclass(frozen=True, slots=True)
class Where:
    """A place as a query gives it."""

    zone: str | None = None
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    country: str | None = None
    provider: str | None = None
    data_center: str | None = None


def _where(
    zone: str | None = None,
    lat: float | None = None,
    lon: float | None = None,
    country: Annotated[str | None, Query(alias="countryCode")] = None,
    provider: Annotated[str | None, Query(alias="dataCenterProvider")] = None,
    data_center: Annotated[str | None, Query(alias="dataCenterRegion")] = None,
) -> Where:
    return Where(zone, lat, lon, country, provider, data_center)


@dataclass(frozen=True, slots=True)
class How:
    """How an answer is wanted.

    Attributes
    ----------
    period_s : int
        Length of a period. [s]
    measured_only : bool
        Whether estimated values are left out.
    """

    granularity: str
    period_s: int
    measured_only: bool


def _how(
    granularity: Annotated[str, Query(alias="temporalGranularity")] = "hourly",
    factors: Annotated[str, Query(alias="emissionFactorType")] = "direct",
    measured_only: Annotated[bool, Query(alias="disableEstimations")] = False,
) -> How:
    return How(granularity, _period_s(granularity, factors), measured_only)


def refusal(status: int, code: str, message: str) -> JSONResponse:
    """Build a refusal."""
    return json_response({"status": "error", "code": code, "error": message, "message": message}, status)


def routers(signals: Signals) -> list[APIRouter]:
    """Build the routes of both versions, and the optimizer's."""
    beta = router_with(refusal, prefix="/beta")
    _optimizer(beta, signals)
    return [*(_version(signals, prefix) for prefix in ("/v3", "/v4")), beta]


def _version(signals: Signals, prefix: str) -> APIRouter:
    routes = router_with(refusal, prefix=prefix)
    _optimizer(routes, signals)

    @routes.get("/zones")
    async def zones() -> dict[str, Any]:
        return await asyncio.to_thread(_zones, signals)

    @routes.get("/zone")
    async def zone(where: Annotated[Where, Depends(_where)]) -> dict[str, Any]:
        place = await _asked(signals, where)
        return {"zoneKey": _key(place), **_zone(place.zone.id)}

    @routes.get("/carbon-intensity/latest")
    async def latest(
        where: Annotated[Where, Depends(_where)],
        how: Annotated[How, Depends(_how)],
    ) -> dict[str, Any]:
        place = await _asked(signals, where)
        found = await asyncio.to_thread(signals.recent, place.zone.id, Kind.AVERAGE, 2 * how.period_s / 3600)
        points = _shown(found, how)
        return {"zone": _key(place), **_intensity(points[-1]), **_about(place, found, how.granularity)}

    @routes.get("/carbon-intensity/history")
    async def history(
        where: Annotated[Where, Depends(_where)],
        how: Annotated[How, Depends(_how)],
    ) -> dict[str, Any]:
        place = await _asked(signals, where)
        n = max(1, 86_400 // how.period_s)
        found = await asyncio.to_thread(
            signals.recent, place.zone.id, Kind.AVERAGE, (n + 1) * how.period_s / 3600
        )
        points = _shown(found, how)[-n:]
        return {
            "zone": _key(place),
            "history": [{"zone": _key(place), **_intensity(p)} for p in points],
            **_about(place, found, how.granularity),
        }

    @routes.get("/carbon-intensity/past")
    async def past(
        datetime: str,
        where: Annotated[Where, Depends(_where)],
        how: Annotated[How, Depends(_how)],
    ) -> dict[str, Any]:
        place = await _asked(signals, where)
        asked = Interval.containing(parse_utc(datetime, "datetime"), how.period_s)
        found = await asyncio.to_thread(signals.observed, place.zone.id, Kind.AVERAGE, asked)
        points = _shown(found, how)
        return {"zone": _key(place), **_intensity(points[0]), **_about(place, found, how.granularity)}

    @routes.get("/carbon-intensity/past-range")
    async def past_range(
        start: str,
        end: str,
        where: Annotated[Where, Depends(_where)],
        how: Annotated[How, Depends(_how)],
    ) -> dict[str, Any]:
        place = await _asked(signals, where)
        asked = stretch(start, end, LONGEST_DAYS[how.granularity])
        found = await asyncio.to_thread(signals.observed, place.zone.id, Kind.AVERAGE, asked)
        points = _shown(found, how)
        return {
            "zone": _key(place),
            "data": [{"zone": _key(place), **_intensity(p)} for p in points],
            **_about(place, found, how.granularity),
        }

    @routes.get("/carbon-intensity/forecast")
    async def forecast(
        where: Annotated[Where, Depends(_where)],
        how: Annotated[How, Depends(_how)],
        hours: Annotated[int, Query(alias="horizonHours", ge=1, le=LONGEST_H)] = 24,
    ) -> dict[str, Any]:
        place = await _asked(signals, where)
        found = await asyncio.to_thread(signals.ahead, place.zone.id, Kind.AVERAGE, hours)
        points = per_period(found.of_kind(Kind.AVERAGE), how.period_s, whole=True)
        assert found.generated_utc is not None
        return {
            "zone": _key(place),
            "forecast": [
                {"carbonIntensity": round(p.mid), "datetime": milli_text(p.start_utc)} for p in points
            ],
            "updatedAt": milli_text(found.generated_utc),
            "emissionFactorType": "direct",
            **_about(place, found, how.granularity),
        }

    @routes.get("/updated-since")
    async def updated_since(
        since: str,
        where: Annotated[Where, Depends(_where)],
        start: str | None = None,
        end: str | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_UPDATES)] = 100,
        threshold: str = "PT0H",
    ) -> dict[str, Any]:
        place, apart = await _asked(signals, where), _duration(threshold)
        since_utc, now = parse_utc(since, "since"), signals.now_utc()
        asked = stretch(start or (since_utc - timedelta(days=10)).isoformat(), end or now.isoformat(), 100)
        found = await asyncio.to_thread(signals.updated, place.zone.id, Kind.AVERAGE, since_utc, asked)
        hours: dict[Any, Point] = {}
        for point in found:
            if point.recorded_utc - point.start_utc >= apart:
                hour = Interval.containing(point.start_utc, 3600).start_utc
                kept = hours.get(hour)
                hours[hour] = max(kept or point, point, key=lambda p: p.recorded_utc)
        updates = [
            {"updatedAt": milli_text(p.recorded_utc), "datetime": milli_text(hour)}
            for hour, p in sorted(hours.items())
        ]
        return {
            "zone": _key(place),
            "updates": updates[:limit],
            "threshold": threshold,
            "limit": limit,
            "limitReached": len(updates) > limit,
        }

    return routes


def _optimizer(routes: APIRouter, signals: Signals) -> None:
    @routes.post("/carbon-aware-optimizer")
    async def optimize(job: Job) -> dict[str, Any]:
        return await asyncio.to_thread(_optimum, signals, job)


def _optimum(signals: Signals, job: Job) -> dict[str, Any]:
    """Find where and when a job would meet the lowest average, within 72 hours from now."""
    if job.optimizationMetric != METRIC:
        raise InputError(f"optimizationMetric {job.optimizationMetric!r} is not given here; use {METRIC}")
    if not 1 <= len(job.locations) <= 20:
        raise InputError(f"{len(job.locations)} locations are given; give 1 to 20")
    length = _duration(job.duration)
    asked = stretch(job.startWindow, job.endWindow, 31, ("startWindow", "endWindow"))
    now = signals.now_utc()
    hours = min(LONGEST_H, -int(-(asked.end_utc - now) / timedelta(hours=1) // 1))
    if hours < 1:
        raise InputError("endWindow has passed; give one within 72 hours from now")
    best: tuple[Window, Any, Place] | None = None
    stay: list[Window] = []
    for location in job.locations:
        place = _job_place(signals, location)
        found = signals.ahead(place.zone.id, Kind.AVERAGE, hours).of_kind(Kind.AVERAGE)
        windows = sliding(found, length)
        inside = [
            w for w in windows if w.start_utc >= asked.start_utc and w.start_utc + length <= asked.end_utc
        ]
        stay = stay or windows
        for window in least(inside)[:1]:
            if best is None or window.mean < best[0].mean:
                best = (window, location, place)
    if best is None:
        raise NoFactorError(
            f"no stretch of {job.duration} lies between startWindow and endWindow and within {LONGEST_H} hours from now;"
            " widen the window or shorten the job"
        )
    window, location, place = best
    at_start = next((w for w in stay if w.start_utc >= asked.start_utc), stay[0])
    return {
        "optimalStartTime": milli_text(window.start_utc),
        "optimalLocation": location.model_dump(exclude_none=True)
        if isinstance(location, Location)
        else list(location),
        "optimizationOutput": {
            "metricValueImmediateExecution": stay[0].mean,
            "metricValueOptimalExecution": window.mean,
            "metricValueStartWindowExecution": at_start.mean,
            "metricUnit": "gCO2/kWh",
            "optimizationMetric": job.optimizationMetric,
            "zoneKey": _key(place),
        },
    }


def _job_place(signals: Signals, location: tuple[float, float] | Location) -> Place:
    if isinstance(location, Location):
        where = Where(
            location.zone, provider=location.dataCenterProvider, data_center=location.dataCenterRegion
        )
    else:
        where = Where(longitude_deg=location[0], latitude_deg=location[1])
    return _place(signals, where)


async def _asked(signals: Signals, where: Where) -> Place:
    return await asyncio.to_thread(_place, signals, where)


def _place(signals: Signals, where: Where) -> Place:
    """Give the zone; a name of one goes before coordinates, those before a country and a data centre region."""
    now = signals.now_utc()
    if where.zone:
        return region(signals.places, where.zone, ELECTRICITY_MAPS, now)
    if where.latitude_deg is not None and where.longitude_deg is not None:
        return region_at(signals.places, where.latitude_deg, where.longitude_deg, now)
    if where.country:
        return region_in_country(where.country, ELECTRICITY_MAPS, signals.zones(Kind.AVERAGE))
    if where.data_center:
        prefix = f"{where.provider}:" if where.provider else ""
        return region(signals.places, f"{prefix}{where.data_center}", ELECTRICITY_MAPS, now, CLOUDS)
    raise InputError("no place is given; give zone, or lat and lon")


def _period_s(granularity: str, factors: str) -> int:
    if granularity not in PERIODS_S:
        raise InputError(
            f"temporalGranularity {granularity!r} is not given here; use one of {', '.join(PERIODS_S)}"
        )
    if factors != "direct":
        raise InputError(
            f"emissionFactorType {factors!r} is not given here: factors are direct CO2; use direct, or leave it out"
        )
    return PERIODS_S[granularity]


def _duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise InputError(f"{text!r} is no duration such as PT3H or P1D; correct it")
    days, hours, minutes = (int(part or 0) for part in found.groups())
    if days > 31 or hours > 744 or minutes > 44_640:
        raise InputError(f"{text!r} is longer than 31 days; shorten it")
    return timedelta(days=days, hours=hours, minutes=minutes)


def _key(place: Place) -> str:
    return own_name(ELECTRICITY_MAPS, place.zone.id)


def _shown(signal: Signal, how: How) -> list[Point]:
    """Give the means of an average; the only way to a `carbonIntensity`."""
    points = per_period(signal.of_kind(Kind.AVERAGE), how.period_s)
    kept = [point for point in points if not (how.measured_only and point.is_supposed)]
    if not kept:
        raise NoFactorError(
            f"every value of {signal.zone} there is estimated; leave disableEstimations out to see them"
        )
    return kept


def _intensity(point: Point) -> dict[str, Any]:
    return {
        "carbonIntensity": round(point.mid),
        "datetime": milli_text(point.start_utc),
        "updatedAt": milli_text(point.recorded_utc),
        "createdAt": milli_text(point.recorded_utc),
        "emissionFactorType": "direct",
        "isEstimated": point.is_supposed,
        "estimationMethod": point.status.value.upper() if point.is_supposed else None,
        "flowTraced": False,
    }


def _about(place: Place, signal: Signal, granularity: str) -> dict[str, Any]:
    warnings = [notice.as_dict() for notice in signal.notices]
    if place.note:
        warnings.insert(0, {"type": "PLACE", "message": place.note})
    return {"temporalGranularity": granularity, "warnings": warnings}


def _zone(zone: str) -> dict[str, Any]:
    known = zone_named(zone)
    return {"zoneName": known.name, "countryCode": known.country, "access": list(ACCESS)}


def _zones(signals: Signals) -> dict[str, Any]:
    names = own_names(ELECTRICITY_MAPS, signals.zones(Kind.AVERAGE))
    return {name: _zone(zone) for name, zone in names.items()}
