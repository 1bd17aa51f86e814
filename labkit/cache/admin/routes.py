"""The addresses, for an application of one's own."""

from collections.abc import Callable, Coroutine, Iterable
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.responses import Response

from labkit.apikeys import ApiKey, Scope
from labkit.cache.admin import exports
from labkit.cache.admin.access import Access
from labkit.cache.admin.desk import Desk, Missing, Refused, SourceFailed
from labkit.cache.admin.models import (
    Detail,
    Entry,
    HotKey,
    Invalidated,
    Invalidation,
    ProblemDetails,
    Summary,
    Warming,
    Warmth,
)
from labkit.cache.admin.problems import MEDIA_TYPE, Problem, invalid, respond
from labkit.cache.errors import Unavailable

MOST_BYTES = 1024 * 1024
"""Of what a request may say."""

_STALENESS = "How long after a change a reader may still see what was before."
_FAILURES = {
    401: "There are keys, and the request shows none that is known.",
    403: "The key's scope is too small; or there are no keys, and the request is from elsewhere.",
    404: "There are no such entities.",
    411: "The request does not say how long it is.",
    413: "The request is too large.",
    422: "The request makes no sense here.",
    502: "The source raised.",
}
_PROBLEM = {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}}


def router(cache: Any, keys: Iterable[ApiKey | str] | None = None) -> APIRouter:
    """The routes of a cache, to be included in an application.

    Args:
        cache: A `Cache`, `AsyncCache`, `SmartCache` or `AsyncSmartCache`; it stays the caller's.
            An asynchronous one has to be of the application's event loop.
        keys: API keys, as `ApiKey` or `"name:scope:secret"`; None takes those of the environment
            variable LABKIT_API_KEYS. Without any key it answers clients of this machine alone.

    Raises:
        TypeError: It is no cache.
        ValueError: A key cannot be read, or two have one name.
    """
    desk, access = Desk(cache), Access(keys)
    made = APIRouter(tags=["cache"], route_class=_route_class(access), dependencies=_shown(access))

    def needs(scope: Scope, *others: int) -> dict[str, Any]:
        """What a route needs, and how it may fail."""
        return {
            "openapi_extra": {"x-scope": scope},
            "responses": {
                status: {"description": _FAILURES[status], "content": _PROBLEM}
                for status in (401, 403, 422, *others)
            },
        }

    @made.get("/stats", summary="What was counted", **needs("read"))
    async def stats() -> dict[str, Any]:
        """The statistics of each cache: all calls, each function, the tiers and invalidations."""
        return {"caches": desk.stats()}

    @made.get("/entities", summary="All entities in short", **needs("read"))
    async def entities() -> list[Summary]:
        """What entities there are, how they are cached, and how that goes."""
        return [Summary(**each) for each in desk.summaries()]

    @made.get("/entities/{name}", summary="Entities of one kind", **needs("read", 404))
    async def entity(
        name: str,
        staleness: Annotated[str, Query(max_length=40, description=_STALENESS)] = "0s",
        patience: Annotated[
            str, Query(max_length=40, description="How long a reader may wait for a load.")
        ] = "100ms",
        may_queue: Annotated[
            bool, Query(description="Whether a write may reach the source later.")
        ] = False,
    ) -> Detail:
        """Their policy, their counts, and the policy that these speak for, with its reasons."""
        return Detail(**desk.detail(name, staleness, patience, may_queue))

    @made.get("/entries", summary="What is there under a key", **needs("read"))
    async def entries(
        request: Request,
        key: Annotated[
            str, Query(min_length=1, max_length=10_000, description="As `key()` answers it.")
        ],
        preview: Annotated[
            bool, Query(description="Show how the value begins; needs the scope admin.")
        ] = False,
    ) -> Entry:
        """Every tier, nearest first. A look counts for nobody, and changes nothing."""
        if preview:
            access.check(request, "admin")
        found = await desk.look(key, preview=preview)
        tiers = msgspec.to_builtins(found.places)
        return Entry(key=found.key, loading=found.loading, tiers=tiers)

    @made.get("/hot", summary="The keys that are asked for most", **needs("read"))
    async def hot(most: Annotated[int, Query(ge=1, le=1_000)] = 20) -> list[HotKey]:
        """Empty where they are not counted: a cache counts them with `hot_keys=100`."""
        return [HotKey(**each) for each in desk.hot(most)]

    @made.get("/curves", summary="What more memory would bring", **needs("read"))
    async def curves() -> dict[str, Any]:
        """The share of reads that miss by size, where it is sampled: with `curves=Sampler()`."""
        return {"caches": desk.curves()}

    @made.get(
        "/export",
        summary="The statistics for other programs",
        response_class=Response,
        **needs("read"),
    )
    async def export(
        format: Annotated[  # noqa: A002 - so it is called in the address
            Literal["json", "csv", "prometheus"], Query(description="How they are written.")
        ] = "json",
    ) -> Response:
        """As JSON, as CSV with one row a function, or as the text that Prometheus reads."""
        if format == "csv":
            return exports.as_csv(desk)
        if format == "prometheus":
            return exports.as_prometheus(desk)
        text = msgspec.json.encode({"caches": desk.stats()})
        return Response(text, media_type="application/json")

    @made.post("/invalidations", summary="Drop something", **needs("write", 404, 411, 413))
    async def invalidate(request: Request, what: Invalidation) -> Invalidated:
        """Drop a key, what carries a tag, keys that begin so, an entity, or everything.

        An entity takes along what its relations make old. Loads that are under way are not kept.
        """
        if what.all:
            access.check(request, "admin")
        return Invalidated(**await desk.invalidate(what))

    @made.post(
        "/warmings", summary="Load before readers come", **needs("write", 404, 411, 413, 502)
    )
    async def warm(what: Warming) -> Warmth:
        """Load entities that are not there yet; the answer comes when that has ended.

        Whether ids are left says `complete`: send those again that were not reached. What is there
        already takes next to no time.
        """
        return Warmth(**await desk.warm(what))

    return made


def _shown(access: Access) -> list[Any]:
    """How keys are shown, for the description: `Access` reads them."""
    if not access.keyring:
        return []
    header = APIKeyHeader(name="X-API-Key", auto_error=False)
    return [Depends(HTTPBearer(auto_error=False)), Depends(header)]


def _route_class(access: Access) -> type[APIRoute]:
    """Routes that let nobody in before anything is read, and whose errors are problems."""

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()
            scope: Scope = (self.openapi_extra or {}).get("x-scope", "admin")

            async def handled(request: Request) -> Response:
                path = request.url.path
                try:
                    access.check(request, scope)
                    _check_size(request)
                    answer = await handle(request)
                except RequestValidationError as error:
                    return invalid(path, error)
                except HTTPException as error:
                    return respond(path, error)
                except Missing as error:
                    return respond(path, Problem(404, "no-such-entities", str(error)))
                except SourceFailed as error:
                    return respond(path, Problem(502, "source-failed", str(error)))
                except Refused as error:
                    return respond(path, Problem(422, "invalid-argument", str(error)))
                except Unavailable as error:
                    return respond(path, Problem(503, "unavailable", str(error)))
                answer.headers["Cache-Control"] = "no-store"
                return answer

            return handled

    return Route


def _check_size(request: Request) -> None:
    length = request.headers.get("content-length")
    if length is None and "transfer-encoding" in request.headers:
        raise Problem(411, "length-required", "Send the length of what you say.")
    if length is not None and (not length.isdecimal() or int(length) > MOST_BYTES):
        raise Problem(413, "too-large", f"The request is larger than {MOST_BYTES:,} bytes.")
