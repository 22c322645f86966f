"""Errors in the shape of whoever is imitated, and what every face reads from a query in the same way."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from gridmargin.interfaces.failures import told
from gridmargin.vocab import (
    DiskFullError,
    GridmarginError,
    Interval,
    NoFactorError,
    NotFoundError,
    TimeError,
    UnknownNameError,
    format_utc,
    is_disk_full,
    parse_utc,
)

Shape = Callable[[int, str, str], Response]
"""`(status, code, message)` to a response."""


class FaceError(Exception):
    """A refusal with a status of its own.

    Attributes
    ----------
    status : int
        HTTP.
    code, message : str
        As in the one error shape.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def router_with(shape: Shape, *, prefix: str = "") -> APIRouter:
    """Build a router whose refusals have a shape; its routes stay out of our own OpenAPI description."""

    class Shaped(APIRoute):
        """A route that tells what went wrong in the shape of its face."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """Wrap the handler."""
            handler = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handler(request)
                except FaceError as error:
                    return shape(error.status, error.code, error.message)
                except GridmarginError as error:
                    return shape(_status(error), type(error).__name__, str(error))
                except RequestValidationError as error:
                    first = error.errors()[0]
                    where = ".".join(str(part) for part in first["loc"])
                    return shape(400, "InvalidRequest", f"{where}: {first['msg']}")
                except HTTPException as error:
                    return shape(error.status_code, "Http", str(error.detail))
                except Exception as error:
                    if not is_disk_full(error):
                        raise
                    _, code, message = told(error)
                    return shape(507, code, message)

            return answer

    return APIRouter(prefix=prefix, route_class=Shaped, include_in_schema=False)


def json_response(body: Any, status: int = 200, media_type: str | None = None) -> JSONResponse:
    """Build a response, with another media type where one is given."""
    return JSONResponse(body, status_code=status, media_type=media_type)


def stretch(start: str, end: str, longest_days: float, names: tuple[str, str] = ("start", "end")) -> Interval:
    """Read a stretch of time.

    Raises
    ------
    TimeError
        If a time is naive, the end not after the start, or the stretch too long.
    """
    first, last = parse_utc(start, names[0]), parse_utc(end, names[1])
    if last <= first:
        raise TimeError(
            f"{names[1]} {format_utc(last)} is not after {names[0]} {format_utc(first)}; swap them"
        )
    if (last - first).total_seconds() > longest_days * 86_400:
        raise TimeError(
            f"{names[0]} to {names[1]} is longer than {longest_days:g} days; ask for less at a time"
        )
    return Interval(first, last)


def offset_text(moment: datetime) -> str:
    """Write a time as `2022-07-15T00:00:00+00:00`."""
    return moment.isoformat(timespec="seconds")


def milli_text(moment: datetime) -> str:
    """Write a time as `2022-07-15T00:00:00.000Z`."""
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _status(error: GridmarginError) -> int:
    if isinstance(error, DiskFullError):
        return 507
    return 404 if isinstance(error, UnknownNameError | NotFoundError | NoFactorError) else 400
