"""What an application does with its caches: it closes them at its end, and shows their numbers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from labkit.cache.cache import Cache
from labkit.cache.metrics import PrometheusCollector, Together
from labkit.cache.smart import caches_of
from labkit.cache.steps import run_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from labkit.cache.base import BaseCache
    from labkit.cache.smart import Hub


def install(app: FastAPI, *caches: BaseCache | Hub[Any], metrics: str | None = None) -> None:
    """Close caches when an application ends, after what it does itself at its end.

    Args:
        app: The application.
        *caches: The caches. Of a smart one all are closed and shown, also those that come to it
            with entities that are declared later.
        metrics: A path, such as `"/metrics"`, at which Prometheus finds the statistics of the
            caches, by their namespaces; None: nowhere. See `PrometheusCollector`.

    Raises:
        TypeError: One of them is no cache.
        ValueError: No cache is given, or two of one namespace are to have metrics.
    """
    if not caches:
        raise ValueError("install() got no cache; expected one or more: install(app, cache)")
    for each in caches:
        caches_of(each)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        try:
            async with inner(app) as state:
                yield state
        finally:
            for each in caches:
                for cache in caches_of(each).values():
                    await _close(cache)

    app.router.lifespan_context = lifespan
    if metrics is not None:
        _show(app, caches, metrics)


async def _close(cache: BaseCache) -> None:
    # Routes load in tasks whichever kind of cache it is; these end before its stores do.
    await run_async(cache._engine.close())
    if isinstance(cache, Cache):
        await asyncio.to_thread(cache.close)


def _show(app: FastAPI, caches: tuple[BaseCache | Hub[Any], ...], path: str) -> None:
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    names = [cache.namespace for cache in caches]
    if len(set(names)) < len(names):
        raise ValueError(
            f"the namespaces are {', '.join(names)}; expected each one once, since metrics are "
            "told apart by them"
        )
    registry = CollectorRegistry()
    registry.register(Together([PrometheusCollector(cache, cache.namespace) for cache in caches]))

    def show() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    app.add_api_route(path, show, include_in_schema=False)
