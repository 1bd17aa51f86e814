"""What the tests of the leaderboard share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from labkit import connect, connect_async
from labkit.clock import FakeClock
from labkit.leaderboard import AsyncLeaderboard, Leaderboard
from tests.leaderboard.storage import NOON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from labkit.course.bench import Bench


class Awaited:
    """An async board, or a window of one, whose methods wait for their answer."""

    def __init__(self, target: Any, run: Callable[[Any], Any]) -> None:
        self._target = target
        self._run = run

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name == "window":
            return lambda *args, **options: Awaited(found(*args, **options), self._run)
        if name in ("watch", "watch_top"):
            return lambda *args, **options: self._run(_all(found(*args, **options)))
        if asyncio.iscoroutinefunction(found):
            return lambda *args, **options: self._run(found(*args, **options))
        return found

    def __len__(self) -> int:
        size: int = self.size()
        return size

    def __contains__(self, member: str) -> bool:
        return self.get(member) is not None


async def _all(events: Any) -> Iterator[Any]:
    return iter([event async for event in events])


class Boards:
    """Makes boards on one server, blocking ones and async ones that behave as if they were."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._runner = asyncio.Runner()
        self._clients: dict[tuple[bool, bool], Any] = {}

    def client(self, *, awaited: bool = False, decode: bool = True) -> Any:
        """The client of that kind, the same each time."""
        kind = (awaited, decode)
        if kind not in self._clients:
            options = {"decode_responses": decode}
            self._clients[kind] = (
                self._runner.run(connect_async(self.url, **options))
                if awaited
                else connect(self.url, **options)
            )
        return self._clients[kind]

    def board(
        self, name: str, *, awaited: bool = False, decode: bool = True, **options: Any
    ) -> Any:
        client = self.client(awaited=awaited, decode=decode)
        if awaited:
            return Awaited(AsyncLeaderboard(client, name, **options), self._runner.run)
        return Leaderboard(client, name, **options)

    def open(self, name: str, *, awaited: bool = False, **options: Any) -> Any:
        client = self.client(awaited=awaited)
        if awaited:
            found = self._runner.run(AsyncLeaderboard.open(client, name, **options))
            return Awaited(found, self._runner.run)
        return Leaderboard.open(client, name, **options)

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    def close(self) -> None:
        for (awaited, _), client in self._clients.items():
            if awaited:
                self._runner.run(client.aclose())
            else:
                client.close()
        self._runner.close()


@pytest.fixture(scope="session")
def boards_of_bench(bench: Bench) -> Iterator[Boards]:
    boards = Boards(bench.url)
    yield boards
    boards.close()


@pytest.fixture
def boards(bench: Bench, boards_of_bench: Boards) -> Boards:
    """A maker of boards on an empty server: each test runs on fakeredis and on a real server."""
    bench.reset()
    return boards_of_bench


@pytest.fixture
def client(boards: Boards) -> redis.Redis:
    found: redis.Redis = boards.client()
    return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture(params=["sync", "async"])
def awaited(request: pytest.FixtureRequest) -> bool:
    """Whether the test's boards are async ones: each test runs with both faces."""
    return bool(request.param == "async")
