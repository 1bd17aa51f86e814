"""Hundreds of tabs in one process of the service, whose connection to Redis is cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from labkit import LocalServer
from labkit.chat.api import create_app
from labkit.server import find_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fastapi import FastAPI

    from labkit.chat import AsyncRooms

pytestmark = pytest.mark.skipif(find_server() is None, reason="fakeredis has no connections to cut")

PATIENCE = 30.0
TABS, TEXTS = 300, 200


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


class Tab:
    """A WebSocket of the application itself: no threads and no sockets, so that many are cheap."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._sent = asyncio.Queue[Any]()
        self._got = asyncio.Queue[Any]()

    def send(self, **words: Any) -> None:
        self._sent.put_nowait({"type": "websocket.receive", "text": json.dumps(words)})

    async def get(self, *kinds: str) -> dict[str, Any]:
        """The next message of one of these kinds."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self._got.get()
                assert message["type"] != "websocket.close", message
                if message["type"] == "websocket.send":
                    words: dict[str, Any] = json.loads(message["text"])
                    if words["type"] in kinds:
                        return words

    @contextlib.asynccontextmanager
    async def open(self, token: str) -> AsyncIterator[Tab]:
        scope = {
            "type": "websocket",
            "path": "/rooms/lobby",
            "query_string": b"",
            "headers": [],
            "subprotocols": [],
        }
        self._sent.put_nowait({"type": "websocket.connect"})
        self.send(type="hello", token=token)
        served = asyncio.create_task(self._app(scope, self._sent.get, self._got.put))
        try:
            await self.get("welcome")
            yield self
        finally:
            self._sent.put_nowait({"type": "websocket.disconnect", "code": 1006})
            await served


def test_every_tab_gets_every_message_once_though_the_connection_is_cut(
    server: LocalServer,
) -> None:
    async def act() -> None:
        app = create_app(server.url, rate=None)
        async with app.router.lifespan_context(app), contextlib.AsyncExitStack() as stack:
            rooms: AsyncRooms = app.state.rooms
            _, token = await app.state.sessions.take("ada")
            opening = [stack.enter_async_context(Tab(app).open(token)) for _ in range(TABS)]
            tabs = await asyncio.gather(*opening)
            assert len(await app.state.client.client_list(_type="pubsub")) == 1
            for number in range(TEXTS):
                if number in (TEXTS // 3, TEXTS // 2):
                    await app.state.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                await rooms.room("lobby").say("bob", str(number))

            async def heard(tab: Tab) -> list[str]:
                return [(await tab.get("said", "gap"))["text"] for _ in range(TEXTS)]

            for texts in await asyncio.gather(*map(heard, tabs)):
                assert texts == [str(number) for number in range(TEXTS)]
            for tab in tabs:  # all at once, and by its key it is said once
                tab.send(type="say", text="and me", key="the same")
            answers = await asyncio.gather(*(tab.get("ack", "refused") for tab in tabs))
            assert len({answer["number"] for answer in answers}) == 1

    asyncio.run(asyncio.wait_for(act(), 3 * PATIENCE))
