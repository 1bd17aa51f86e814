"""The application, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from labkit.cache.admin.problems import Problem, respond
from labkit.cache.admin.routes import router

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from labkit.apikeys import ApiKey

_DESCRIPTION = """What a cache holds and does, and what shall go or come.

A key is shown as `Authorization: Bearer SECRET` or `X-API-Key: SECRET`. The scope `read` sees
numbers and names, `write` drops and warms, and `admin` may clear everything and see how a value
begins. Errors are problem details (RFC 9457).
"""


def create_app(
    cache: Any, *, keys: Iterable[ApiKey | str] | None = None, title: str = "Cache"
) -> FastAPI:
    """A service for those who run a cache.

    Args:
        cache: A `Cache`, `AsyncCache`, `SmartCache` or `AsyncSmartCache`; it stays the caller's.
        keys: API keys, as `ApiKey` or `"name:scope:secret"`; None takes those of the environment
            variable LABKIT_API_KEYS. Without any key the service answers clients of this machine
            alone: not those that a proxy speaks for, nor pages of another origin.
        title: What the description calls it.

    Raises:
        TypeError: It is no cache.
        ValueError: A key cannot be read, or two have one name.
    """
    app = FastAPI(title=title, version="1", description=_DESCRIPTION)
    app.include_router(router(cache, keys))
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _broken)
    return app


async def _http_error(request: Request, error: Any) -> Response:
    return respond(request.url.path, error)


async def _broken(request: Request, error: Exception) -> Response:
    return respond(request.url.path, Problem(500, "", "The service failed; its log says more."))
