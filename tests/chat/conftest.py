"""What the tests of rooms share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labkit import connect, connect_async
from labkit.chat import AsyncRoom, AsyncRooms, Room, Rooms
from labkit.clock import FakeClock
from tests.chat.faces import Blocking, Loop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from labkit.course.bench import Bench


class Place:
    """Makes rooms of one face on one server, in the time of a clock.

    Attributes:
        clock: Their time.
        client: A blocking client that answers texts.
    """

    def __init__(self, url: str, loop: Loop | None, decode: bool) -> None:
        self.clock = FakeClock(1_790_000_000)
        self.client = connect(url, decode_responses=True)
        self.client.flushall()
        self._loop = loop
        options = {"decode_responses": decode}
        self._inner: Any = (
            connect(url, **options) if loop is None else loop.run(connect_async(url, **options))
        )

    def room(self, name: str = "lobby", **options: Any) -> Any:
        """A room; None as clock is the server's."""
        how = {"clock": self.clock} | options
        if self._loop is None:
            return Room(self._inner, name, **how)
        return Blocking(self._loop, AsyncRoom(self._inner, name, **how))

    def rooms(self, **options: Any) -> Any:
        """All rooms."""
        how = {"clock": self.clock} | options
        if self._loop is None:
            return Rooms(self._inner, **how)
        return Blocking(self._loop, AsyncRooms(self._inner, **how))

    def close(self) -> None:
        """Close the clients."""
        self.client.close()
        if self._loop is None:
            self._inner.close()
        else:
            self._loop.run(self._inner.aclose())


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    """An event loop in a thread."""
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(params=["sync", "sync bytes", "async", "async bytes"])
def place(bench: Bench, loop: Loop, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A server, and rooms of one face on it."""
    awaited = request.param.startswith("async")
    place = Place(bench.url, loop if awaited else None, not request.param.endswith("bytes"))
    yield place
    place.close()
