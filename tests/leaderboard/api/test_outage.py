"""Redis goes away and comes back: bounded waits, and nothing to restart."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from labkit import CannotConnect, LocalServer, connect, connect_async
from labkit.leaderboard import Leaderboard
from labkit.leaderboard.api import Limits, create_app, serve
from tests.leaderboard.api.driver import DEADLINE, Client, scores
from tests.leaderboard.api.test_live import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """A server that remembers everything that it has acknowledged."""
    with LocalServer(persistence="aof") as server:
        yield server


@pytest.fixture
def service(server: LocalServer) -> Iterator[str]:
    limits = Limits(answer=0.5, heartbeat=3 * DEADLINE)
    with serve(create_app(server.url, limits=limits)) as service:
        board = f"{service.url}/boards/b"
        httpx.put(board, json={"policy": "last"}).raise_for_status()
        yield service.url


def until(found: Callable[[], bool]) -> None:
    """Wait for something that has to come."""
    pause = threading.Event()
    for _ in range(int(DEADLINE / 0.02)):
        if found():
            return
        pause.wait(0.02)
    raise AssertionError("it has not come")


def test_requests_fail_while_redis_is_gone_and_work_when_it_is_back(
    server: LocalServer, service: str
) -> None:
    board = f"{service}/boards/b"
    with httpx.Client(timeout=DEADLINE) as http:
        http.post(f"{board}/scores", json={"member": "ada", "score": 1}).raise_for_status()
        server.kill()
        for answer in (
            http.get(f"{board}/entries"),
            http.post(f"{board}/scores", json={"member": "ada", "score": 2}),
            http.put(board, json={}),
            http.get(f"{board}/events"),
            http.get(f"{service}/readyz"),
        ):
            assert answer.status_code == 503
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["type"].endswith(":redis-unavailable")
            assert answer.headers["Retry-After"]
        assert http.get(f"{service}/healthz").status_code == 200
        failed = http.get(f"{service}/metrics").text
        assert "leaderboard_redis_errors_total 5.0" in failed
        server.start()
        assert http.get(f"{service}/readyz").status_code == 200
        assert http.get(f"{board}/members/ada").json()["score"] == 1
        answer = http.post(f"{board}/scores", json={"member": "ada", "score": 3})
        assert answer.json()["score"] == 3


def test_a_frozen_redis_is_given_up_in_time(server: LocalServer, service: str) -> None:
    # The client waits a little longer than the service may; Redis never answers.
    with httpx.Client(timeout=10) as http:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert http.get(f"{service}/boards/b/count").status_code == 503
            assert http.get(f"{service}/readyz").status_code == 503
        finally:
            os.kill(server.pid, signal.SIGCONT)
        until(lambda: http.get(f"{service}/readyz").status_code == 200)
        assert http.get(f"{service}/boards/b/count").json() == {"count": 0}


@pytest.mark.parametrize("kind", ["sse", "websocket"])
def test_streams_outlive_redis(server: LocalServer, service: str, kind: str) -> None:
    board = f"{service}/boards/b"
    with opened(kind, board) as stream:
        stream.next()
        httpx.post(f"{board}/scores", json={"member": "ada", "score": 1}).raise_for_status()
        told = stream.take(1)
        server.kill()
        assert httpx.get(f"{service}/readyz").status_code == 503
        server.start()
        with connect(server.url) as client:
            Leaderboard.open(client, "b").submit_many([("ada", 2), ("ada", 3)])
        told += stream.take(2)
    assert scores(told) == [1, 2, 3]
    with opened(kind, board, told[0]["id"]) as stream:
        stream.next()
        assert scores(stream.take(2)) == [2, 3]


def test_a_service_does_not_start_without_redis(server: LocalServer) -> None:
    server.stop()
    before = threading.active_count()
    with pytest.raises(CannotConnect), serve(create_app(server.url)):
        pass
    assert threading.active_count() == before


def test_a_client_that_was_given(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays open at the end, and is not waited for longer than the service may."""

    async def use() -> list[int]:
        own = await connect_async(server.url, socket_timeout=None)
        app = create_app(own)
        closed: list[str] = []

        async def close() -> None:
            closed.append("closed")

        with monkeypatch.context() as patch:
            patch.setattr(own, "aclose", close)
            async with app.router.lifespan_context(app):
                transport = httpx.ASGITransport(app)
                async with httpx.AsyncClient(transport=transport, base_url="http://b") as http:
                    statuses = [(await http.put("/boards/b")).status_code]
                    os.kill(server.pid, signal.SIGSTOP)
                    try:
                        async with asyncio.timeout(DEADLINE):
                            statuses.append((await http.get("/readyz")).status_code)
                            statuses.append((await http.get("/boards/b")).status_code)
                    finally:
                        os.kill(server.pid, signal.SIGCONT)
        await own.aclose()
        assert not closed
        return statuses

    assert asyncio.run(use()) == [201, 503, 503]


def test_the_rate_limit_needs_redis_too(server: LocalServer) -> None:
    with Client(create_app(server.url, rate_limit="5/1m")) as api:
        api.put("/boards/b")
        server.kill()
        answer = api.get("/boards/b")
        assert answer.status_code == 503
        assert answer.json()["type"].endswith(":redis-unavailable")
