"""How what a route returns becomes a response: as FastAPI does it, and by FastAPI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

_CALL = "labkit.cache.web.call"
_RENDERING = (
    "status_code",
    "response_class",
    "response_model_include",
    "response_model_exclude",
    "response_model_by_alias",
    "response_model_exclude_unset",
    "response_model_exclude_defaults",
    "response_model_exclude_none",
)

Handler = Callable[[Request], Awaitable[Response]]


class Renderer:
    """Makes the responses of one function, which may be at several routes."""

    def __init__(self) -> None:
        self._handlers: dict[int, tuple[Any, Handler]] = {}

    async def __call__(
        self, request: Request, call: Callable[[Response], Awaitable[Any]]
    ) -> Response:
        """The response that FastAPI makes of what a function returns.

        Args:
            request: The request, as the route gets it.
            call: The function; it gets the response on which headers and a status may be set.
        """
        handler = self._handler(_route_of(request))
        return await handler(Request({**request.scope, _CALL: call}, request.receive))

    def _handler(self, route: Any) -> Handler:
        known = self._handlers.get(id(route))
        if known is None:
            how = {name: getattr(route, name) for name in _RENDERING}
            inner = APIRoute("/", _called, response_model=route.response_model, **how)
            # With the route itself, so that its id is nobody else's.
            known = self._handlers[id(route)] = route, inner.get_route_handler()
        return known[1]


def _route_of(request: Request) -> Any:
    """The route that a request has come to, with what its router adds to it."""
    route = request.scope["route"]
    included = request.scope.get("fastapi", {}).get("effective_route_context")
    return included if getattr(included, "original_route", None) is route else route


async def _called(request: Request, response: Response) -> Any:
    return await request.scope[_CALL](response)
