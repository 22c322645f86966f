"""Routes that take no query parameter they do not know: a misspelt one would be a question nobody asked."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from gridmargin.interfaces.rest.errors import error_response
from gridmargin.vocab import UnknownNameError


class NamedRoute(APIRoute):
    """A route of ours; what its description does not list is refused with the nearest name that it does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the handler, behind a look at the names."""
        handle = super().get_route_handler()
        if not self.include_in_schema:
            return handle
        known = frozenset(parameter.alias for parameter in self.dependant.query_params)

        async def answer(request: Request) -> Response:
            for name in request.query_params:
                if name not in known:
                    return error_response(422, "InvalidRequest", _unknown(name, known))
            return await handle(request)

        return answer


def _unknown(name: str, known: frozenset[str]) -> str:
    if not known:
        return f"unknown query parameter {name!r}; this route takes none"
    return str(UnknownNameError("query parameter", name, known))
