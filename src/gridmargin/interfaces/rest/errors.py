"""The one error shape: `{"error": {"code", "message", "way_out"}}`."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from gridmargin.interfaces.failures import error_answer, spelled, told
from gridmargin.vocab import (
    DiskFullError,
    GridmarginError,
    NoFactorError,
    NotFoundError,
    PublisherError,
    UnknownNameError,
    is_disk_full,
)

STATUS: dict[type[GridmarginError], int] = {
    UnknownNameError: 404,
    NotFoundError: 404,
    NoFactorError: 409,
    PublisherError: 502,
    DiskFullError: 507,
}


_OF_THE_SERVER = ("data_dir", "geojson", "ledger", "places", "source")
"""Parameters that no request has: they are given where the server is started."""


def _written(name: str, value: str | None) -> str | None:
    text = name if value is None else f"{name}={value}"
    return f"`{text}` where the server is started" if name in _OF_THE_SERVER else None


def error_response(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Build an error answer."""
    return JSONResponse(error_answer(code, message), status_code=status, headers=headers)


def install(app: FastAPI) -> None:
    """Give every failure of `app` the one shape."""

    @app.exception_handler(GridmarginError)
    async def _ours(_request: Request, error: GridmarginError) -> JSONResponse:
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 422)
        return error_response(status, type(error).__name__, spelled(str(error), _written))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return error_response(
            422, "InvalidRequest", f"{where}: {first['msg']}; see /openapi.json for what the route takes"
        )

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        return error_response(
            error.status_code, "Http", f"{error.detail}; see /openapi.json for the routes", headers
        )

    @app.exception_handler(Exception)
    async def _unexpected(_request: Request, error: Exception) -> JSONResponse:
        if is_disk_full(error):
            _, code, message = told(error)
            return error_response(STATUS[DiskFullError], code, message)
        return error_response(500, "Internal", "something broke on our side; the server's log says what")
