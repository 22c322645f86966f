"""WattTime's API, version 3: `co2_moer` is our short-run marginal factor, `co2_aoer` our average, in lb CO2/MWh."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from gridmargin.interfaces.faces.accounts import Accounts
from gridmargin.interfaces.faces.regions import (
    WATTTIME,
    Place,
    own_name,
    own_names,
    place_of,
    region_at,
)
from gridmargin.interfaces.faces.regions import region as region_named
from gridmargin.interfaces.faces.shapes import (
    FaceError,
    json_response,
    offset_text,
    router_with,
    stretch,
)
from gridmargin.interfaces.faces.signals import LONGEST_H, Notice, Point, Reach, Signal, Signals
from gridmargin.reference import Zone, zone_named
from gridmargin.vocab import G_PER_LB, InputError, Interval, Kind, parse_utc

MODEL_DATE = "2026-11-24"
"""From when on this face's signals mean what they mean; the estimator and its version stand beside it."""

UNITS = "lbs_co2_per_mwh"
LB_PER_MWH = 1000.0 / G_PER_LB
"""One g/kWh is 1000 g/MWh; exact (international pound). [lb MWh⁻¹ per g kWh⁻¹]"""

MOER, AOER, FUEL_MIX = "co2_moer", "co2_aoer", "marginal_fuel_mix"
KINDS = {MOER: Kind.MARGINAL, AOER: Kind.AVERAGE}

LONGEST_HISTORY_DAYS = 32
LONGEST_ISSUES_DAYS = 1

ENDPOINTS = {
    MOER: ("v3/forecast", "v3/forecast/historical", "v3/historical", "v3/signal-index"),
    AOER: ("v3/forecast", "v3/forecast/historical", "v3/historical"),
    FUEL_MIX: ("v3/fuel-mix",),
}


class Registration(BaseModel):
    """Who registers."""

    username: str
    password: str
    email: str
    org: str | None = None


def refusal(status: int, code: str, message: str) -> JSONResponse:
    """Build a refusal; what follows the last semicolon of the message is the way out."""
    response = json_response({"error": code, "message": message}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="gridmargin"'
    return response


def router(signals: Signals, accounts: Accounts, holds_key: bool) -> APIRouter:
    """Build the routes.

    Parameters
    ----------
    holds_key : bool
        Whether the guard in front wants the server's key: then nobody registers, and whoever comes through has shown it.
    """
    routes = router_with(refusal)

    def holder(authorization: Annotated[str, Header()] = "") -> None:
        scheme, _, token = authorization.partition(" ")
        if not holds_key and not (scheme.lower() == "bearer" and accounts.holds(token.strip())):
            raise FaceError(
                401,
                "Unauthorized",
                "the token is missing, wrong or older than 30 minutes; GET /login gives one",
            )

    account = [Depends(holder)]

    @routes.post("/register")
    async def register(body: Registration) -> dict[str, str]:
        if holds_key:
            raise FaceError(
                403, "Forbidden", "this server takes no accounts; log in with its key as the password"
            )
        await asyncio.to_thread(accounts.register, body.username, body.password, body.email, body.org)
        return {"user": body.username, "ok": "User created"}

    @routes.get("/login")
    async def login(request: Request) -> dict[str, str]:
        username, password = _basic(request.headers.get("authorization", ""))
        if not holds_key and not await asyncio.to_thread(accounts.knows, username, password):
            raise FaceError(
                401, "Unauthorized", "username or password is wrong; POST /register makes an account"
            )
        return {"token": await asyncio.to_thread(accounts.token, username)}

    @routes.get("/v3/region-from-loc", dependencies=account)
    async def region_from_loc(latitude: float, longitude: float, signal_type: str = MOER) -> dict[str, Any]:
        return await asyncio.to_thread(_region_at, signals, latitude, longitude, signal_type)

    @routes.get("/v3/signal-index", dependencies=account)
    async def signal_index(region: str, signal_type: str = MOER, model: str | None = None) -> dict[str, Any]:
        if signal_type != MOER:
            raise InputError(f"signal_type {signal_type!r} has no index; use {MOER}")
        place, kind = await asyncio.to_thread(_asked, signals, region, signal_type, model)
        now = await asyncio.to_thread(signals.recent, place.zone.id, kind, 1)
        ahead = await asyncio.to_thread(signals.ahead, place.zone.id, kind, 24)
        point = now.points[-1]
        value = percentile(point.mid, [p.mid for p in ahead.points])
        meta = _meta(place, signal_type, now, ahead.notices) | {"units": "percentile"}
        return {"data": [{"point_time": offset_text(point.start_utc), "value": value}], "meta": meta}

    @routes.get("/v3/forecast", dependencies=account)
    async def forecast(
        region: str,
        signal_type: str = MOER,
        model: str | None = None,
        horizon_hours: Annotated[int, Query(ge=0, le=LONGEST_H)] = 24,
    ) -> dict[str, Any]:
        place, kind = await asyncio.to_thread(_asked, signals, region, signal_type, model)
        found = await asyncio.to_thread(signals.ahead, place.zone.id, kind, horizon_hours)
        assert found.generated_utc is not None
        meta = _meta(place, signal_type, found) | {
            "generated_at_period_seconds": found.interval_s,
            "generated_at": offset_text(found.generated_utc),
        }
        return {"data": [_value(p) for p in found.points], "meta": meta}

    @routes.get("/v3/forecast/historical", dependencies=account)
    async def forecast_historical(
        region: str,
        start: str,
        end: str,
        signal_type: str = MOER,
        model: str | None = None,
        horizon_hours: Annotated[int, Query(ge=0, le=LONGEST_H)] = 24,
    ) -> dict[str, Any]:
        place, kind = await asyncio.to_thread(_asked, signals, region, signal_type, model)
        asked = _closed(start, end, LONGEST_ISSUES_DAYS)
        found = await asyncio.to_thread(signals.issues, place.zone.id, kind, asked, horizon_hours)
        meta = _meta(place, signal_type, found[-1]) | {"generated_at_period_seconds": found[-1].interval_s}
        return {
            "data": [
                {"generated_at": offset_text(s.generated_utc), "forecast": [_value(p) for p in s.points]}
                for s in found
                if s.generated_utc is not None
            ],
            "meta": meta,
        }

    @routes.get("/v3/historical", dependencies=account)
    async def historical(
        region: str,
        start: str,
        end: str,
        signal_type: str = MOER,
        model: str | None = None,
        include_imputed_marker: bool = False,
    ) -> dict[str, Any]:
        place, kind = await asyncio.to_thread(_asked, signals, region, signal_type, model)
        asked = _closed(start, end, LONGEST_HISTORY_DAYS)
        found = await asyncio.to_thread(signals.observed, place.zone.id, kind, asked)
        marker = include_imputed_marker
        data = [_value(p) | ({"imputed_data_used": p.is_supposed} if marker else {}) for p in found.points]
        return {"data": data, "meta": _meta(place, signal_type, found)}

    @routes.get("/v3/fuel-mix", dependencies=account)
    async def fuel_mix(
        region: str, start: str, end: str, signal_type: str = FUEL_MIX, model: str | None = None
    ) -> dict[str, Any]:
        if signal_type != FUEL_MIX:
            raise InputError(f"signal_type {signal_type!r} is no fuel mix; use {FUEL_MIX}")
        _known_model(model)
        place = await asyncio.to_thread(region_named, signals.places, region, WATTTIME, signals.now_utc())
        asked = _closed(start, end, LONGEST_HISTORY_DAYS)
        found = await asyncio.to_thread(signals.observed, place.zone.id, Kind.MARGINAL, asked)
        data = [
            {
                "point_time": offset_text(p.start_utc),
                "values": [{"fuel_type": name, "value": share} for name, share in p.sources],
            }
            for p in found.points
        ]
        return {"data": data, "meta": _meta(place, signal_type, found) | {"units": "fraction"}}

    @routes.get("/v3/my-access", dependencies=account)
    async def my_access() -> dict[str, Any]:
        return await asyncio.to_thread(_access, signals)

    @routes.get("/v3/maps", dependencies=account)
    async def maps(signal_type: str = MOER) -> dict[str, Any]:
        return await asyncio.to_thread(_maps, signals, signal_type)

    return routes


def lb_per_mwh(factor_gco2_per_kwh: float) -> float:
    """Convert. [lb MWh⁻¹]"""
    return factor_gco2_per_kwh * LB_PER_MWH


def percentile(value: float, among: Iterable[float]) -> int:
    """Give the share of values below one, and half of those that equal it, in whole percent: 0 is cleanest, 100 dirtiest."""
    values = list(among)
    below, equal = sum(v < value for v in values), sum(v == value for v in values)
    return round(100 * (below + equal / 2) / len(values))


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, rest = authorization.partition(" ")
    try:
        text = base64.b64decode(rest.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    username, colon, password = text.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise FaceError(401, "Unauthorized", "no username and password; send them as HTTP Basic")
    return username, password


def _kind(signal_type: str) -> Kind:
    if signal_type not in KINDS:
        raise InputError(f"signal_type {signal_type!r} is not given here; use {MOER} or {AOER}")
    return KINDS[signal_type]


def _known_model(model: str | None) -> None:
    if model is not None and model != MODEL_DATE:
        raise InputError(f"model {model!r} is not known; use {MODEL_DATE}, or leave it out")


def _asked(signals: Signals, region: str, signal_type: str, model: str | None) -> tuple[Place, Kind]:
    kind = _kind(signal_type)
    _known_model(model)
    return region_named(signals.places, region, WATTTIME, signals.now_utc()), kind


def _closed(start: str, end: str, longest_days: int) -> Interval:
    """Read a stretch with both its ends inside, as theirs are."""
    first, last = parse_utc(start, "start"), parse_utc(end, "end")
    if first != last:
        return Interval(first, stretch(start, end, longest_days).end_utc + timedelta(microseconds=1))
    return Interval(first, last + timedelta(microseconds=1))


def _value(point: Point) -> dict[str, Any]:
    return {"point_time": offset_text(point.start_utc), "value": lb_per_mwh(point.mid)}


def _meta(place: Place, signal_type: str, signal: Signal, more: tuple[Notice, ...] = ()) -> dict[str, Any]:
    signal.of_kind(KINDS.get(signal_type, Kind.MARGINAL))
    notices = list(dict.fromkeys((*signal.notices, *more)))
    if place.note:
        notices.insert(0, Notice("COARSER_REGION", place.note))
    supposed = sum(p.is_supposed for p in signal.points)
    if supposed and not notices and signal.generated_utc is None:
        notices.append(
            Notice("IMPUTED", f"{supposed} of {len(signal.points)} values are not from observations")
        )
    return {
        "data_point_period_seconds": signal.interval_s,
        "region": place.asked,
        "warnings": [notice.as_dict() for notice in notices],
        "signal_type": signal_type,
        "model": {"date": MODEL_DATE, "type": signal.estimator, "version": signal.version},
        "units": UNITS,
    }


def _region(zone: str) -> dict[str, str]:
    return {"region": own_name(WATTTIME, zone), "region_full_name": zone_named(zone).name}


def _region_at(
    signals: Signals, latitude_deg: float, longitude_deg: float, signal_type: str
) -> dict[str, Any]:
    have = signals.zones(_kind(signal_type))
    place = region_at(signals.places, latitude_deg, longitude_deg, signals.now_utc())
    told = [Notice("BY_OUTLINE", place.note or "")]
    if place.zone.id not in have:
        told.append(Notice("NO_DATA", f"there is no {signal_type} of {place.zone.id} here"))
    warnings = [notice.as_dict() for notice in told]
    return _region(place.zone.id) | {"signal_type": signal_type, "meta": {"warnings": warnings}}


def _maps(signals: Signals, signal_type: str) -> dict[str, Any]:
    """Draw every zone with data: its outline, or its point where there is none."""
    zones, lines = signals.zones(_kind(signal_type)), signals.places.lines()
    drawn = {zone: lines.shape(zone) for zone in zones}
    without = [zone for zone in zones if drawn[zone] is None]
    told = []
    if lines.margin_km:
        told.append(
            Notice(
                "COARSE_BOUNDARIES",
                f"lines are coarse: within {lines.margin_km:g} km of one they do not tell zones apart, and region-from-loc"
                " refuses",
            )
        )
    if without:
        told.append(Notice("NO_BOUNDARIES", f"drawn as a point, having no outline: {', '.join(without)}"))
    features = [
        {"type": "Feature", "properties": _region(zone), "geometry": drawn[zone] or _point(zone_named(zone))}
        for zone in zones
    ]
    meta = {
        "last_updated": f"{MODEL_DATE}T00:00:00+00:00",
        "signal_type": signal_type,
        "boundaries": lines.origin,
        "warnings": [notice.as_dict() for notice in told],
    }
    return {"type": "FeatureCollection", "meta": meta, "features": features}


def _point(zone: Zone) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [zone.longitude_deg, zone.latitude_deg]}


def _access(signals: Signals) -> dict[str, Any]:
    reach = signals.reach()
    types = []
    for signal_type, endpoints in ENDPOINTS.items():
        names = own_names(WATTTIME, signals.zones(KINDS.get(signal_type, Kind.MARGINAL)))
        regions = [_region_access(name, zone, reach[zone], endpoints) for name, zone in names.items()]
        types.append({"signal_type": signal_type, "regions": regions})
    return {"signal_types": types}


def _region_access(name: str, zone: str, reach: Reach, endpoints: tuple[str, ...]) -> dict[str, Any]:
    span, whole = reach.span, own_name(WATTTIME, zone)
    parent = zone_named(zone).parent if name == whole else zone
    model = {
        "model": MODEL_DATE,
        "data_start": span.start_utc.date().isoformat() if span else None,
        "train_start": None,  # every month has a fit of its own
        "train_end": None,
        "type": "typical_days" if span is None else "fit_per_month",
    }
    return {
        "region": name,
        "region_full_name": place_of(WATTTIME, name) or zone_named(zone).name,
        "parent": own_name(WATTTIME, parent) if parent else None,
        "data_point_period_seconds": reach.interval_s,
        "endpoints": [{"endpoint": endpoint, "models": [model]} for endpoint in endpoints],
    }
