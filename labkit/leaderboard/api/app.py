"""The application, put together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware

from labkit.leaderboard.api import (
    boards,
    documentation,
    health,
    problems,
    reads,
    scores,
    streams,
)
from labkit.leaderboard.api.limits import BodyLimit, Throttle
from labkit.leaderboard.api.metrics import Counting
from labkit.leaderboard.api.options import Limits, RateLimit
from labkit.leaderboard.api.paths import EncodedSlashes
from labkit.leaderboard.api.security import ApiKey, Keyring
from labkit.leaderboard.api.service import Service
from labkit.leaderboard.operations import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from labkit.clock import Clock

TOLD = ("ETag", "Link", "Retry-After", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed")
"""Headers that a page of another origin may read."""


def create_app(
    redis: str | Any | None = None,
    *,
    keys: Iterable[ApiKey | str] | None = None,
    limits: Limits | None = None,
    rate_limit: RateLimit | str | None = None,
    cors_origins: Sequence[str] = (),
    prefix: str = "",
    key_prefix: str = PREFIX,
    clock: Clock = time.time,
) -> FastAPI:
    """A leaderboard service: REST, Server-Sent Events and WebSocket.

    Any number of processes may serve the same Redis; they share nothing else. `serve` runs the
    application in this process, `labkit serve leaderboard` from the command line, and an ASGI
    server takes this function as a factory: `uvicorn --factory labkit.leaderboard.api:create_app
    --timeout-graceful-shutdown 5`, with its settings in the environment.

    Args:
        redis: A URL, a client of `redis.asyncio`, or None: what `labkit.connect()` finds, a private
            server if there is no other. A client that is given stays open at the end; give it
            time-outs, and only to an application that runs in the client's own event loop.
        keys: API keys, as `ApiKey` or `"name:scope:secret"`; None takes those of the environment
            variable LABKIT_API_KEYS. Without any key, everybody may do everything.
        limits: How much a client may ask for.
        rate_limit: How often; `"100/1m"` allows 100 requests a minute. None is no limit.
        cors_origins: Origins whose pages may use the service, such as `"https://example.org"`.
        prefix: Put before every path but those of health, metrics and documentation: `"/v1"`.
        key_prefix: What every key in Redis begins with.
        clock: The time source.

    Returns:
        The application. It connects to Redis when it starts, and a server that cannot be reached
        then is a `labkit.CannotConnect`; one that goes away later is answered 503 until it returns.

    Raises:
        ValueError: A key, limit or prefix that cannot be.
    """
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise ValueError(f"prefix is {prefix!r}; expected a path such as '/v1'")
    limits = limits or Limits()
    if isinstance(rate_limit, str):
        rate_limit = RateLimit.parse(rate_limit)
    service = Service(redis, limits, clock, Keyring(keys), key_prefix)
    app = FastAPI(
        title="Leaderboard",
        version="1",
        description=documentation.DESCRIPTION,
        openapi_tags=documentation.TAGS,
        lifespan=service.lifespan,
    )
    app.state.service = service
    problems.install(app)
    documentation.install(app, service)

    api = APIRouter(prefix=prefix)
    for part in (boards, scores, reads, streams):
        api.include_router(part.router)
    app.include_router(api)
    app.include_router(health.router)

    # The last one added is the first to see a request.
    app.add_middleware(BodyLimit, most=limits.body)
    if rate_limit is not None:
        app.add_middleware(Throttle, service=service, limit=rate_limit)
    app.add_middleware(EncodedSlashes)
    if cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(cors_origins),
            allow_methods=["GET", "PUT", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=list(TOLD),
        )
    app.add_middleware(Counting, metrics=service.metrics)
    return app
