"""What the tests of cached responses share: an application over each arrangement of tiers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

from labkit.cache import AsyncCache, Cache, MemoryTier
from labkit.cache.web import cached_response
from labkit.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cache.conftest import Bed


class Web:
    """An application whose routes are cached, called without a network.

    Attributes:
        app: The application.
        cache: The cache; an awaited one behaves as if it were blocking.
        clock: The time of the cache.
        ran: The paths of the requests for which a route ran.
    """

    def __init__(self, cache: Any, clock: FakeClock, run: Callable[[Any], Any]) -> None:
        self.app = FastAPI()
        self.cache = cache
        self.real = getattr(cache, "target", cache)
        self.clock = clock
        self.ran: list[str] = []
        self.run = run
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://example.org")

    def cached(self, **how: Any) -> Any:
        return cached_response(self.real, clock=self.clock, x_cache=True, **how)

    def route(self, path: str, function: Callable[..., Any], /, **how: Any) -> None:
        """A route with GET and HEAD."""
        self.app.api_route(path, methods=["GET", "HEAD", "POST"])(self.cached(**how)(function))

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer: httpx.Response = self.run(self._http.request(method, path, **options))
        return answer

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def head(self, path: str, **headers: str) -> httpx.Response:
        return self("HEAD", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def together(self, paths: list[str], **options: Any) -> list[httpx.Response]:
        """The responses to requests that are under way at the same time."""

        async def all_of_them() -> list[httpx.Response]:
            return await asyncio.gather(*(self._http.get(path, **options) for path in paths))

        answers: list[httpx.Response] = self.run(all_of_them())
        return answers

    def settle(self) -> None:
        """Wait for what is loaded in the background."""

        async def wait() -> None:
            while tasks := set(self.real._engine.background._tasks):
                await asyncio.gather(*tasks)

        self.run(wait())


@pytest.fixture
def web() -> Iterator[Web]:
    """An application over a cache in memory."""
    clock = FakeClock(1_000)
    with asyncio.Runner() as runner, Cache([MemoryTier(clock=clock)], ttl=600) as cache:
        yield Web(cache, clock, runner.run)


@pytest.fixture
def awaited_web() -> Iterator[Web]:
    """An application over an asynchronous cache in memory."""
    clock = FakeClock(1_000)
    with asyncio.Runner() as runner:
        cache = AsyncCache([MemoryTier(clock=clock)], ttl=600)
        yield Web(cache, clock, runner.run)
        runner.run(cache.close())


@pytest.fixture
def everywhere(bed: Bed) -> Callable[..., Web]:
    """Makes applications over each arrangement of tiers, and both kinds of cache."""
    return lambda **how: Web(bed.cache(**{"ttl": 600} | how), bed.clock, bed.run)
