"""Routes. Work that touches disk runs in threads, so that the event loop stays free."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Response
from fastapi import Path as InPath
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import ASGIApp

from gridmargin.interfaces.answers import PRIMARY
from gridmargin.interfaces.dashboard import assets
from gridmargin.interfaces.faces.doors import Faces
from gridmargin.interfaces.rest import errors, schemas
from gridmargin.interfaces.rest.desk import Desk
from gridmargin.interfaces.rest.guard import Guard
from gridmargin.interfaces.rest.named import NamedRoute
from gridmargin.vocab import Interval, Kind, parse_utc
from gridmargin.wiring import now_utc

_ERRORS: dict[int | str, dict[str, Any]] = {code: {"model": schemas.ErrorModel} for code in (404, 409, 422)}


def build_app(desk: Desk, api_key: str | None = None) -> ASGIApp:
    """Build the server.

    Parameters
    ----------
    desk : Desk
        What answers; opened and closed with the server.
    api_key : str or None
        Required of every request where given; only loopback names are answered where not.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with desk.running():
            yield

    app = FastAPI(
        title="gridmargin",
        version=version("gridmargin"),
        summary="What each AI inference did to the power grid.",
        lifespan=lifespan,
        responses=_ERRORS,
        docs_url=None,
        redoc_url=None,
    )
    errors.install(app)
    app.router.route_class = NamedRoute
    _grid_routes(app, desk)
    _ledger_routes(app, desk)
    _receipt_routes(app, desk)
    faces = Faces(desk.place, desk.choice, now_utc, api_key, desk.places)
    faces.install(app)
    _page_routes(app)

    return Guard(app, api_key, faces.admits)


def _page_routes(app: FastAPI) -> None:
    """Serve the built files by name, so that an unknown path or method is answered as such."""
    folder = assets()
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        name = "/" if file.name == "index.html" else f"/{file.name}"
        app.add_api_route(name, _file(file), methods=["GET", "HEAD"], include_in_schema=False)
    app.mount("/assets", StaticFiles(directory=folder / "assets"), name="assets")


def _file(path: Path) -> Callable[[], Awaitable[FileResponse]]:
    async def answer() -> FileResponse:
        return FileResponse(path)

    return answer


def _grid_routes(app: FastAPI, desk: Desk) -> None:
    @app.get("/v1/status", tags=["server"])
    async def status() -> dict[str, Any]:
        """Say what this server is, what source answers, and which assumptions hold."""
        return desk.status()

    @app.get("/v1/zones", tags=["grid"], response_model=schemas.ZonesModel)
    async def zones() -> Any:
        """List the zones we know and what the source has for each."""
        return {"zones": await desk.zones()}

    @app.get("/v1/zones/where", tags=["grid"], response_model=schemas.WhereModel)
    async def where(place: str, at: str | None = None, workload: str | None = None) -> Any:
        """Say which zone `place` lies in, by which rule and source, how sure that is, and what else it may be."""
        return await desk.where(place, parse_utc(at, "at") if at else None, workload)

    @app.get("/v1/sources", tags=["grid"])
    async def sources() -> dict[str, Any]:
        """Say how fresh every zone of every live source is: newest interval, its age, last success, last error."""
        return {"sources": await desk.sources(), "offline": desk.place.settings.offline}

    @app.get("/v1/meters", tags=["server"], response_model=schemas.MetersModel)
    async def meters() -> Any:
        """Say which instruments this machine has, what each tells, and what is missing and why."""
        return await desk.meters()

    @app.get("/v1/zones/{zone}/now", tags=["grid"], response_model=schemas.NowModel)
    async def now(
        zone: str, at: str | None = None, estimator: Annotated[list[str] | None, Query(max_length=8)] = None
    ) -> Any:
        """Say what is on the margin now, or at a moment; `estimator` asks one more, such as `blend`, and may repeat."""
        return await desk.now(zone, parse_utc(at, "at") if at else None, tuple(estimator or ()))

    @app.get("/v1/zones/{zone}/factor", tags=["grid"], response_model=schemas.FactorModel)
    async def factor(
        zone: str, at: str | None = None, estimator: str | None = None, kind: Kind = Kind.MARGINAL
    ) -> Response:
        """Give one factor, now or at a moment: short, and quick to ask for every request."""
        return Response(await desk.factor(zone, at, estimator, kind), media_type="application/json")

    @app.get("/v1/zones/{zone}/forecast", tags=["grid"], response_model=schemas.ForecastModel)
    async def forecast(
        zone: str,
        at: str | None = None,
        issued_by: str | None = None,
        as_of: str | None = None,
        estimator: str | None = None,
    ) -> Any:
        """Give the newest issue in the ledger, the newest up to `issued_by`, or the one issued `at` a moment."""
        at_utc, issued_by_utc, as_of_utc = (
            parse_utc(text, name) if text else None
            for name, text in (("at", at), ("issued_by", issued_by), ("as_of", as_of))
        )
        return await desk.forecast(zone, at_utc, issued_by_utc, as_of_utc, estimator)

    @app.post("/v1/zones/{zone}/forecast", tags=["grid"], response_model=schemas.IssuedModel)
    async def issue(zone: str, body: schemas.IssueModel | None = None) -> Any:
        """Issue a forecast and keep it; what the ledger holds already is given from there."""
        wanted = body or schemas.IssueModel()
        return await desk.issue(zone, parse_utc(wanted.at, "at") if wanted.at else None, wanted.hours)

    @app.get("/v1/zones/{zone}/long-run", tags=["grid"], response_model=schemas.LongRunModel)
    async def long_run(zone: str, year: int | None = None, weights: str = "first_period") -> Any:
        """Give operating, build and combined margin of the plants that the source lists; long-run, not for hours."""
        return await desk.long_run(zone, year, weights)

    @app.post("/v1/zones/{zone}/long-run", tags=["grid"], response_model=schemas.LongRunModel)
    async def long_run_of(zone: str, body: schemas.LongRunTableModel) -> Any:
        """Give the same of a list of plants that is sent, or one rate of a table of long-run rates; nothing is kept."""
        return await desk.long_run_of(zone, body)

    @app.get("/v1/zones/{zone}/factors", tags=["grid"])
    async def factors(zone: str, start: str, end: str, estimator: str = PRIMARY) -> dict[str, Any]:
        """Give up to 32 days of factors as columns, the average apart."""
        return await desk.factors(zone, Interval(parse_utc(start, "start"), parse_utc(end, "end")), estimator)

    @app.get("/v1/zones/{zone}/disagreement", tags=["ledger"])
    async def disagreement(
        zone: str, start: str, end: str, other: Annotated[str | None, Query(alias="with")] = None
    ) -> dict[str, Any]:
        """Hold our estimators, the published rate and archived comparison signals side by side, up to 32 days."""
        return await desk.disagreement(
            zone, Interval(parse_utc(start, "start"), parse_utc(end, "end")), other
        )

    @app.get("/v1/zones/{zone}/quality", tags=["grid"])
    async def quality(zone: str, start: str, end: str) -> dict[str, Any]:
        """Say how good up to 32 days of data are: what is absent, what is suspect and why, and whether it adds up."""
        return await desk.quality(zone, Interval(parse_utc(start, "start"), parse_utc(end, "end")))

    @app.get("/v1/zones/{zone}/ledger", tags=["ledger"], response_model=schemas.LedgerModel)
    async def ledger(
        zone: str, start: str, end: str | None = None, estimator: str = PRIMARY, as_of: str | None = None
    ) -> Any:
        """Give the entries that cover a stretch of time, as known now or at `as_of`."""
        start_utc = parse_utc(start, "start")
        interval = Interval(start_utc, parse_utc(end, "end") if end else start_utc + timedelta(hours=1))
        return await desk.ledger(zone, interval, estimator, parse_utc(as_of, "as_of") if as_of else None)


def _ledger_routes(app: FastAPI, desk: Desk) -> None:
    @app.get("/v1/ledger/head", tags=["ledger"])
    async def head() -> dict[str, Any]:
        """Give the signed head of the log: its name, size and root."""
        return await desk.head()

    @app.get("/v1/ledger/proof/{kind}/{record_id}", tags=["ledger"])
    async def proof(kind: str, record_id: Annotated[int, InPath(ge=1, lt=2**63)]) -> dict[str, Any]:
        """Prove that a record stands in the log: leaf, audit path and signed head (RFC 6962)."""
        return await desk.proof(kind, record_id)

    @app.get("/v1/ledger/consistency", tags=["ledger"])
    async def consistency(tree_size: Annotated[int, Query(ge=1, lt=2**63)]) -> dict[str, Any]:
        """Prove that the log of today begins with the first `tree_size` leaves (RFC 6962)."""
        return await desk.consistency(tree_size)

    @app.get("/v1/ledger/diff", tags=["ledger"])
    async def diff(
        since: str,
        zone: str | None = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Say what the ledger says differently now from what it said at `since`, and why; `more` says that there is more."""
        return await desk.diff(parse_utc(since, "since"), zone, limit, cursor)


def _receipt_routes(app: FastAPI, desk: Desk) -> None:
    @app.get("/v1/receipts", tags=["receipts"], response_model=schemas.ReceiptsModel)
    async def receipts(limit: Annotated[int, Query(ge=1, le=500)] = 50, cursor: str | None = None) -> Any:
        """Give receipts, newest first."""
        return await desk.receipts(limit, cursor)

    @app.get("/v1/receipts/{receipt_id}", tags=["receipts"], response_model=schemas.ReceiptModel)
    async def receipt(receipt_id: str) -> Any:
        """Give one receipt."""
        return await desk.receipt(receipt_id)

    @app.get("/v1/receipts/{receipt_id}/explain", tags=["receipts"])
    async def explain(receipt_id: str, refit: bool = False) -> dict[str, Any]:
        """Trace a receipt to the raw table cells and back; `refit` learns each fit again, too."""
        return await desk.explain(receipt_id, refit=refit)

    @app.get("/v1/totals", tags=["receipts"])
    async def totals() -> dict[str, Any]:
        """Give the sums over the receipts since the server started."""
        return desk.totals()

    @app.post("/v1/account", tags=["receipts"])
    async def account(body: schemas.AccountModel) -> dict[str, Any]:
        """Price a small request log; receipts are kept."""
        return await desk.account(body)

    @app.get("/v1/events", tags=["receipts"], response_class=EventSourceResponse)
    async def events() -> EventSourceResponse:
        """Stream receipts, and the margin when its interval changes, as they come."""

        async def stream() -> AsyncIterator[ServerSentEvent]:
            with desk.listener() as queue:
                while True:
                    name, data = await queue.get()
                    yield ServerSentEvent(data=json.dumps(data), event=name)

        return EventSourceResponse(stream(), ping=15)
