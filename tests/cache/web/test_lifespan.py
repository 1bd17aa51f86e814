"""Caches that end with their application, and the numbers that it shows of them."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from labkit import connect, connect_async
from labkit.cache import AsyncCache, Cache, FunctionSource, MemoryTier, NullTier, RedisTier
from labkit.cache.smart import AsyncSmartCache, SmartCache
from labkit.cache.web import cached_response, install
from labkit.clock import FakeClock
from tests.leaderboard.api.driver import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from labkit.course.bench import Bench


class Closing(MemoryTier):
    """A memory that says when it is emptied, as closing a cache does."""

    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self._log = log

    def clear(self) -> int:
        self._log.append("cache")
        return super().clear()


def test_a_cache_is_closed_after_the_application() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, str]]:
        log.append("begin")
        yield {"name": "state"}
        log.append("end")

    app = FastAPI(lifespan=lifespan)
    cache = Cache([Closing(log)])
    install(app, cache)
    with Client(app):
        cache.set("a", 1)
        assert log == ["begin"]
    assert log[:3] == ["begin", "end", "cache"]
    assert cache.get("a", None) is None


def test_it_is_closed_where_the_application_fails() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        raise ValueError("no end")

    app = FastAPI(lifespan=lifespan)
    install(app, Cache([Closing(log)]))
    with pytest.raises(ValueError, match="no end"), Client(app):
        pass
    assert "cache" in log


@pytest.mark.parametrize("awaited", [False, True])
def test_what_loads_in_the_background_ends_first(bench: Bench, awaited: bool) -> None:
    """A renewal that hangs keeps no application from ending, and asks no store that is closed."""
    bench.reset()
    clock = FakeClock(1_000)
    app = FastAPI()
    ended: list[str] = []

    async def main() -> None:
        client: Any = await connect_async(bench.url) if awaited else connect(bench.url)
        kind: Any = AsyncCache if awaited else Cache
        tiers = [MemoryTier(clock=clock), RedisTier(client, budget="5s")]
        cache = kind(tiers, ttl=60, stale_while_revalidate=60)
        install(app, cache)
        hangs, began = asyncio.Event(), asyncio.Event()

        @app.get("/")
        @cached_response(cache, clock=clock)
        async def page() -> str:
            if hangs.is_set():
                began.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append("route")
            return "hello"

        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http,
        ):
            assert (await http.get("/")).json() == "hello"
            clock.advance(61)
            hangs.set()
            assert (await http.get("/")).json() == "hello"
            await began.wait()
            assert not ended
        assert ended == ["route"]
        assert not cache._engine.background._tasks
        if awaited:
            await client.aclose()
        else:
            client.close()

    asyncio.run(main())


def test_metrics_of_several_caches() -> None:
    app = FastAPI()
    one, other = Cache(namespace="one"), Cache(namespace="other")
    install(app, one, other, metrics="/metrics")

    @app.get("/")
    @cached_response(one)
    def page() -> str:
        return "hello"

    with Client(app) as client:
        client.get("/")
        client.get("/")
        other.get("nothing", None)
        answer = client.get("/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain")
        lines = answer.text.splitlines()
        assert lines.count("# TYPE labkit_cache_hits_total counter") == 1
        name = f"{page.__module__}.{page.__qualname__}"
        hits = f'labkit_cache_hits_total{{cache="one",function="{name}",tier="memory"}} 1.0'
        assert hits in lines
        assert 'labkit_cache_misses_total{cache="other",function=""} 1.0' in lines
        assert "/metrics" not in client.get("/openapi.json").json()["paths"]


def test_what_cannot_be_told_apart_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one or more"):
        install(FastAPI())
    with Cache() as one, Cache() as other:
        with pytest.raises(ValueError, match="expected each one once"):
            install(FastAPI(), one, other, metrics="/metrics")
        install(FastAPI(), one, other)


class Note(msgspec.Struct, frozen=True):
    id: int


@pytest.mark.parametrize("kind", [SmartCache, AsyncSmartCache])
def test_of_a_smart_cache_all_caches_are_shown_and_closed(kind: Any) -> None:
    """Also those that come to it with entities that are declared later."""
    app = FastAPI()
    tiers = {"near": MemoryTier(), "far": NullTier()}
    smart = kind(tiers, namespace="press", policies={"Note": {"tiers": ["near"]}})
    other = Cache(namespace="other")
    install(app, smart, other, metrics="/metrics")

    @app.get("/notes/{id}")
    @cached_response(smart, ttl="5m")
    async def note(id: int) -> dict[str, int]:  # noqa: A002 - it is one
        notes = smart.entity(Note, FunctionSource(Note))
        found = notes.get(id)
        return {"id": (await found if inspect.isawaitable(found) else found).id}

    with Client(app) as client:
        assert client.get("/notes/7").json() == client.get("/notes/7").json() == {"id": 7}
        lines = client.get("/metrics").text.splitlines()
        assert lines.count("# TYPE labkit_cache_loads_total counter") == 1
        assert 'labkit_cache_loads_total{cache="press/near",function="Note"} 1.0' in lines
        assert 'labkit_cache_loads_total{cache="other",function=""} 0.0' in lines
        near = smart["Note"].engine
        assert [tier.entries for tier in near.stats().tiers] == [1]
        assert smart.cache.stats().tiers[0].entries == 1  # the response
    assert [tier.entries for tier in near.stats().tiers] == [0]
    assert smart.cache.stats().tiers[0].entries == 0


def test_what_is_no_cache_is_refused_at_once() -> None:
    nothing: Any = "cache"
    with pytest.raises(TypeError, match="'cache' is no cache; expected a Cache, a SmartCache"):
        install(FastAPI(), nothing)
    with pytest.raises(TypeError, match="'cache' is no cache; expected a Cache, a SmartCache"):
        cached_response(nothing)


@pytest.mark.parametrize(
    ("keeping", "problem"),
    [
        ({"tll": "5m"}, "there is no option 'tll'; did you mean 'ttl'"),
        ({"sliding": True}, "there is no option 'sliding'; expected ttl, jitter, errors"),
        ({"ttl": -5}, "ttl is not a duration: -5"),
        ({"max_age": "x"}, "max_age is not a duration: 'x'"),
    ],
)
def test_an_option_of_a_response_is_named(keeping: dict[str, Any], problem: str) -> None:
    def page() -> str:
        return "hello"

    with Cache() as cache, pytest.raises((TypeError, ValueError), match=problem):
        cached_response(cache, **keeping)(page)
