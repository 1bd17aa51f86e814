"""The page's application: what it serves, live, and what it does when Redis is away."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from labkit import connect, connect_async
from labkit.cache.backends.redis_reports import RedisReports
from labkit.cache.monitor import gather
from labkit.cache.monitor.app import Monitor, create_app
from labkit.cache.monitor.demo import Demo
from labkit.cache.monitor.reports import write
from tests.cache.monitor.test_gathering import Process
from tests.cache.monitor.test_reporter import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from fastapi import FastAPI


def put(client: Any, process: Process) -> None:
    RedisReports(client, "news").put(process.recorder.id, write(process.report()), 60)


def served(app: FastAPI, act: Callable[[httpx.AsyncClient, Monitor], Awaitable[None]]) -> None:
    async def main() -> None:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
        ):
            await act(http, app.state.monitor)

    asyncio.run(main())


def events(text: bytes) -> list[tuple[str, Any]]:
    found = re.findall(rb"event: (\w+)\ndata: (.*)\n\n", text)
    return [(kind.decode(), json.loads(data)) for kind, data in found]


def test_the_page_is_one_file_that_asks_nobody_else(fake: str) -> None:
    async def act(http: httpx.AsyncClient, monitor: Monitor) -> None:
        answer = await http.get("/")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        text = answer.text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(
            r"https?://|<script src|<link rel=\"stylesheet|@import|innerHTML", text
        )
        assert (await http.get("/docs")).status_code == 404

    served(create_app(connect(fake), "news", every="1h"), act)


def test_data_are_what_was_gathered(fake: str) -> None:
    client, process = connect(fake), Process()
    process.read("a")
    put(client, process)

    async def act(http: httpx.AsyncClient, monitor: Monitor) -> None:
        state = (await http.get("/data")).json()
        assert state["name"] == "news"
        assert state["every"] == 3600
        assert state["problem"] is None
        assert state["now"]["total"]["reads"] == 1
        assert state["moments"] == []
        process.read("b")
        put(client, process)
        await monitor.gather()
        (moment,) = (await http.get("/data")).json()["moments"]
        assert moment["reads"] == 1
        assert (await http.get("/healthz")).json() == {"status": "ok"}

    served(create_app(client, "news", every="1h"), act)


def test_streams_tell_everything_once_and_then_what_is_new(fake: str) -> None:
    client, process = connect(fake), Process()
    put(client, process)

    async def act(http: httpx.AsyncClient, monitor: Monitor) -> None:
        streams = [monitor.events(), monitor.events()]
        for stream in streams:
            ((kind, state),) = events(await anext(stream))
            assert (kind, state["moments"]) == ("all", [])
        for number in range(3):
            process.read(str(number))
            put(client, process)
            waiting = [asyncio.ensure_future(_next(stream)) for stream in streams]
            await asyncio.sleep(0)
            await monitor.gather()
            for text in await asyncio.gather(*waiting):
                ((kind, state),) = events(text)
                assert kind == "new"
                (moment,) = state["moments"]
                assert moment["loads"] == 1
                assert state["now"]["total"]["loads"] == number + 1
        late = monitor.events()
        ((_, state),) = events(await anext(late))
        assert len(state["moments"]) == 3
        waiting = [asyncio.ensure_future(_next(stream)) for stream in (*streams, late)]
        await asyncio.sleep(0)
        await monitor.end()
        assert await asyncio.gather(*waiting) == [b""] * 3

    served(create_app(client, "news", every="1h"), act)


async def _next(stream: AsyncIterator[bytes]) -> bytes:
    return await anext(stream, b"")


def test_a_slow_reader_gets_what_it_has_missed(fake: str) -> None:
    client, process = connect(fake), Process()
    put(client, process)

    async def act(http: httpx.AsyncClient, monitor: Monitor) -> None:
        stream = monitor.events()
        await anext(stream)
        for number in range(4):
            process.read(str(number))
            put(client, process)
            await monitor.gather()
        ((_, state),) = events(await anext(stream))
        assert len(state["moments"]) == 4

    served(create_app(client, "news", every="1h"), act)


def test_redis_that_is_away_is_said_and_what_was_known_stays(fake: str) -> None:
    client, process = connect(fake), Process()
    process.read("a")
    put(client, process)
    server = client.connection_pool.connection_kwargs["server"]

    async def act(http: httpx.AsyncClient, monitor: Monitor) -> None:
        server.connected = False
        await monitor.gather()
        state = (await http.get("/data")).json()
        assert "Redis did not answer" in state["problem"]
        assert state["now"]["total"]["reads"] == 1
        assert (await http.get("/healthz")).status_code == 503
        server.connected = True
        await monitor.gather()
        assert (await http.get("/data")).json()["problem"] is None

    served(create_app(client, "news", every="1h"), act)


def test_a_client_of_asyncio_will_do(fake: str) -> None:
    async def main() -> None:
        client = await connect_async(fake)
        process = Process()
        await RedisReports(client, "news").put("a", write(process.report()), 60)
        app = create_app(client, "news", every="1h")
        async with app.router.lifespan_context(app):
            assert len(app.state.monitor.state()["now"]["processes"]) == 1
        await client.aclose()

    asyncio.run(main())


def test_what_makes_no_sense_is_refused(fake: str) -> None:
    with pytest.raises(ValueError, match="every is 0"):
        create_app(connect(fake), "news", every=0)
    with pytest.raises(ValueError, match="name is 'a b'"):
        create_app(connect(fake), "a b")


def test_the_demo_reads_writes_and_goes(fake: str) -> None:
    client = connect(fake)
    with Demo(client, "demo", readers=1) as demo:
        until(lambda: demo.articles.stats().loads and demo.authors.stats().loads)
        assert demo.reporter.publish()
        found = gather(client, "demo")
        (cache,) = found.caches.values()
        assert {"Article", "Author"} <= set(cache.functions)
        assert cache.curve is not None
        assert cache.hot
    assert gather(client, "demo").processes == []
    assert not any(thread.is_alive() for thread in demo._threads)
