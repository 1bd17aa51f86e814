"""Many ask at once: the route runs once, whichever caches and routes there are."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException

from labkit.cache import Cache, MemoryTier, RedisTier
from labkit.cache.web import cached_response

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from labkit.course.bench import Bench
    from tests.cache.web.conftest import Web

MANY = 12
DEADLINE = 20.0


def wait_for_others(waiting: threading.Semaphore) -> None:
    for _ in range(MANY - 1):
        assert waiting.acquire(timeout=DEADLINE)


@pytest.mark.parametrize("coroutine", [False, True])
def test_tasks(
    everywhere: Callable[..., Web], waiting: threading.Semaphore, coroutine: bool
) -> None:
    web = everywhere()

    def page() -> str:
        web.ran.append("/")
        wait_for_others(waiting)
        return "hello"

    async def page_later() -> str:
        return await asyncio.to_thread(page)

    web.route("/", page_later if coroutine else page)
    answers = web.together(["/"] * MANY)
    assert {answer.json() for answer in answers} == {"hello"}
    assert len({answer.headers["ETag"] for answer in answers}) == 1
    marks = sorted(answer.headers["X-Cache"] for answer in answers)
    assert marks == ["hit"] * (MANY - 1) + ["miss"]
    assert len(web.ran) == 1


def get(app: FastAPI, path: str = "/") -> httpx.Response:
    """A response to a request in an event loop of its own."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://example.org") as http:
            return await http.get(path)

    return asyncio.run(asked())


@pytest.mark.parametrize("behind", [False, True])
def test_threads_with_event_loops_of_their_own(
    bench: Bench, waiting: threading.Semaphore, behind: bool
) -> None:
    """A blocking cache serves any number of event loops."""
    ran: list[int] = []
    bench.reset()
    store = [RedisTier(bench.client(), budget="5s")] if behind else []
    app = FastAPI()
    with Cache([MemoryTier(), *store], ttl=600) as cache:

        @app.get("/")
        @cached_response(cache)
        def page() -> int:
            ran.append(1)
            wait_for_others(waiting)
            return len(ran)

        with ThreadPoolExecutor(MANY) as threads:
            answers = list(threads.map(lambda _: get(app), range(MANY)))
    assert {answer.json() for answer in answers} == {1}
    assert len(ran) == 1


def test_two_processes_run_it_once(bench: Bench) -> None:
    """Two caches over one Redis claim as two processes do."""
    ran: list[str] = []
    bench.reset()
    apps = []
    caches = [
        Cache([MemoryTier(), RedisTier(bench.client(), budget="5s")], ttl=600) for _ in range(2)
    ]
    began, go = asyncio.Event(), asyncio.Event()

    def make(name: str, cache: Cache) -> FastAPI:
        app = FastAPI()

        @app.get("/")
        @cached_response(cache)
        async def page() -> str:
            ran.append(name)
            began.set()
            await go.wait()
            return name

        return app

    apps = [make(name, cache) for name, cache in zip("ab", caches, strict=True)]

    async def both() -> list[str]:
        async with asyncio.timeout(DEADLINE):
            first, second = (
                httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")
                for app in apps
            )
            one = asyncio.create_task(first.get("/"))
            await began.wait()
            other = asyncio.create_task(second.get("/"))
            # The second has to be refused a claim; until then there is nothing to see of it.
            store: Any = caches[1]._engine.stores[0].store
            wait, asked = store.wait, asyncio.Event()
            loop = asyncio.get_running_loop()

            def waits(*args: Any, **kwargs: Any) -> Any:
                loop.call_soon_threadsafe(asked.set)
                return wait(*args, **kwargs)

            store.wait = waits
            await asked.wait()
            go.set()
            answers = [(await each).json() for each in (one, other)]
            await first.aclose()
            await second.aclose()
            return answers

    try:
        assert asyncio.run(both()) == ["a", "a"]
        assert ran == ["a"]
    finally:
        for cache in caches:
            cache.close()


@pytest.mark.parametrize("raised", [ValueError("no database"), HTTPException(503, "later")])
def test_all_get_the_error_of_one_load(
    awaited_web: Web, waiting: threading.Semaphore, raised: Exception
) -> None:
    web = awaited_web

    def page() -> str:
        web.ran.append("/")
        wait_for_others(waiting)
        raise raised

    web.route("/", page)
    statuses = {answer.status_code for answer in web.together(["/"] * MANY)}
    assert statuses == {getattr(raised, "status_code", 500)}
    assert len(web.ran) == 1


def test_what_changes_meanwhile_is_not_kept(
    everywhere: Callable[..., Web], waiting: threading.Semaphore
) -> None:
    web = everywhere()
    said = "old"

    async def page() -> str:
        nonlocal said
        read = said
        if not web.ran:
            said = "new"
            answer = web.real.invalidate(tag="page")
            if answer is not None:
                await answer
        web.ran.append("/")
        return read

    web.route("/", page, tags=["page"])
    assert web.get("/").json() == "old"  # it asked before the change
    assert web.get("/").json() == "new"
    assert len(web.ran) == 2


def test_a_reader_who_leaves_takes_nobody_along(awaited_web: Web) -> None:
    web = awaited_web
    began, go = asyncio.Event(), asyncio.Event()

    async def page() -> str:
        web.ran.append("/")
        began.set()
        await go.wait()
        return "hello"

    web.route("/", page)

    async def leave() -> list[str]:
        transport = httpx.ASGITransport(web.app)
        async with (
            asyncio.timeout(DEADLINE),
            httpx.AsyncClient(transport=transport, base_url="http://example.org") as http,
        ):
            one = asyncio.create_task(http.get("/"))
            await began.wait()
            others = [asyncio.create_task(http.get("/")) for _ in range(3)]
            began.clear()
            one.cancel()
            await began.wait()  # another one leads
            go.set()
            return [(await each).json() for each in others]

    assert web.run(leave()) == ["hello"] * 3
    assert len(web.ran) == 2
