"""The application, put together."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from redis.backoff import NoBackoff
from redis.retry import Retry
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from labkit import newsroom
from labkit.cache import Cache, MemoryTier, RedisTier
from labkit.cache.backends.redis_known import RedisIds
from labkit.cache.metrics import PrometheusCollector
from labkit.connection import connect
from labkit.newsroom import DatabaseDown, Newsroom
from labkit.site import answers, commenting, editing, moderating, pages, reading, watching
from labkit.site.comments.service import Comments
from labkit.site.comments.views import CommentViews
from labkit.site.frame import LOOK
from labkit.site.numbers import Numbers
from labkit.site.site import Site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fastapi import Request, Response

    from labkit.clock import Clock

NAMESPACE = "news"
"""What the keys in Redis begin with, unless an application is told otherwise."""

_IN_MEMORY = 2_000  # values
_RETRY_AFTER = 5  # seconds
_PATIENCE = 0.5  # seconds that Redis has to say whether an article exists
_TITLES = {403: "Not allowed", 404: "Not found", 409: "Changed meanwhile", 503: "Out of order"}


def create_app(
    db: Newsroom | str | None = None,
    redis: str | Any | None = None,
    *,
    editable: bool = False,
    editor_key: str | None = None,
    comments: bool = False,
    ttl: float | str = "10m",
    stale_if_error: float | str = "1h",
    namespace: str = NAMESPACE,
    clock: Clock = time.monotonic,
) -> FastAPI:
    """A news site: articles in fragments, from memory, Redis and the database, in this order.

    Any number of processes may serve the same database and Redis. Blocking work is done in
    threads.

    Args:
        db: The newsroom or its URL; None: what `newsroom.open()` opens. One that is given stays
            open at the end; with comments it should have an outbox.
        redis: A URL, a client of redis-py, or None: what `labkit.connect()` finds. A client that is
            given stays open at the end; give it short time-outs, and few retries.
        editable: Whether articles may be edited.
        editor_key: See `labkit.site.editing.Editors`.
        comments: Whether readers may comment, reply and vote. The views of comments are made when
            the application starts, if Redis has none.
        ttl: For how long versions count without being read anew; only what is written past the site
            takes so long to be seen.
        stale_if_error: For how long after that they count while the database is down.
        namespace: What the keys in Redis begin with. It belongs to one database: in another one,
            or one that was made anew, the same version stands for another text.
        clock: The time of the memory tier.

    Returns:
        The application. It connects when it starts.

    Raises:
        ValueError: The key is too short.
    """
    editors = editing.Editors(editor_key) if editable else None

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        how = {"namespace": namespace, "ttl": ttl, "stale_if_error": stale_if_error}
        opening = _opened(db, redis, how, clock, commented=comments)
        site, app.state.comments = await run_in_threadpool(opening.__enter__)
        try:
            app.state.site = site
            app.state.metrics = CollectorRegistry()
            app.state.metrics.register(PrometheusCollector(site.cache, name=namespace))
            yield
        finally:
            await run_in_threadpool(opening.__exit__, None, None, None)

    app = FastAPI(title="News", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.editors = editors
    app.include_router(reading.router)
    app.include_router(watching.router)
    if editable:
        app.include_router(editing.router)
    if comments:
        app.include_router(commenting.router)
    if comments and editable:
        app.include_router(moderating.router)
    app.add_exception_handler(DatabaseDown, _out_of_order)
    app.add_exception_handler(HTTPException, _refused)
    return app


@contextlib.contextmanager
def _opened(
    db: Newsroom | str | None, redis: Any, how: dict[str, Any], clock: Clock, *, commented: bool
) -> Iterator[tuple[Site, Comments | None]]:
    """The site and its comments, for as long as the block lasts."""
    with contextlib.ExitStack() as stack:
        if not isinstance(db, Newsroom):
            db = stack.enter_context(newsroom.open(db, outbox=commented))
        client = redis
        if redis is None or isinstance(redis, str):
            client = stack.enter_context(
                connect(
                    redis,
                    socket_timeout=_PATIENCE,
                    socket_connect_timeout=_PATIENCE,
                    retry=Retry(NoBackoff(), 0),
                )
            )
        cache = Cache(
            [MemoryTier(_IN_MEMORY, clock=clock), RedisTier(client)],
            version=LOOK,
            jitter=0.1,
            negative_ttl="30s",
            **how,
        )
        stack.enter_context(cache)
        numbers = Numbers(RedisIds(client, how["namespace"]))
        numbers.fill(_numbers(db))
        site = Site(db, cache, numbers, commented=commented)
        if not commented:
            yield site, None
            return
        comments = Comments(db, CommentViews(client, how["namespace"]), site)
        with _kept_up(comments):
            yield site, comments


@contextlib.contextmanager
def _kept_up(comments: Comments) -> Iterator[None]:
    """Keep the views up in a thread, for as long as the block lasts."""
    stop = threading.Event()
    keeper = threading.Thread(target=comments.keep_up, args=(stop,), name="labkit-comments")
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()


def _numbers(db: Newsroom) -> Iterator[str]:
    yield from map(str, db.ids())


def _out_of_order(request: Request, error: Exception) -> Response:
    text = "The database does not answer, and there is no copy of this page. Try again in a moment."
    headers = {"Retry-After": str(_RETRY_AFTER)}
    return answers.html(pages.message(_TITLES[503], text), 503, headers)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if answers.is_json(request):
        return answers.json({"detail": error.detail}, error.status_code, error.headers)
    if error.status_code == 404:
        return reading.nothing_there()
    title = _TITLES.get(error.status_code, "That did not work")
    return answers.html(pages.message(title, str(error.detail)), error.status_code, error.headers)
