"""Rooms on a cluster, published to all nodes or in shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labkit import LocalServer, connect, connect_async
from labkit.chat import AsyncRoom, Room, Rooms
from labkit.server import find_server
from tests.chat.faces import PATIENCE, Blocking

if TYPE_CHECKING:
    import redis

    from tests.chat.faces import Loop

pytestmark = pytest.mark.skipif(find_server() is None, reason="needs a real server")


def say_and_hear(room: Any) -> None:
    room.say("ada", "before")
    position = room.position()
    with room.listen() as listener:
        with room.join("bob") as bob:
            bob.say("hello", key="1")
            bob.say("hello", key="1")
            assert bob.say_many(["one", "two"], key="2") == [4, 5]
            assert bob.say_many(["one", "two"], key="2") == [4, 5]
        kinds = [type(listener.take(PATIENCE)).__name__ for _ in range(5)]
        assert kinds == ["Joined", "Said", "Said", "Said", "Left"]
    with room.listen(after=position) as listener:
        assert [listener.take(PATIENCE).number for _ in range(5)] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("sharded", [False, True])
def test_rooms_on_a_cluster(cluster_url: str, sharded: bool) -> None:
    with connect(cluster_url) as client:
        client.flushall()
        for name in ("lobby", "news.sport", "news.culture"):  # on different nodes
            say_and_hear(Room(client, name, sharded=sharded))
        if not sharded:
            with Rooms(client).listen("news.*", begin="oldest") as listener:
                events = [listener.take(PATIENCE) for _ in range(12)]
            assert None not in events


def test_async_rooms_on_a_cluster(cluster_url: str, loop: Loop) -> None:
    client: Any = loop.run(connect_async(cluster_url))
    try:
        loop.run(client.flushall())
        say_and_hear(Blocking(loop, AsyncRoom(client, "lobby")))
    finally:
        loop.run(client.aclose())


def test_shards_without_a_cluster(loop: Loop) -> None:
    with LocalServer() as server, server.client() as client:
        if not _has_shards(client):
            pytest.skip("this server has no sharded pub/sub")
        say_and_hear(Room(client, "lobby", sharded=True))
        other: Any = loop.run(connect_async(server.url))
        try:
            say_and_hear(Blocking(loop, AsyncRoom(other, "there", sharded=True)))
        finally:
            loop.run(other.aclose())
        with pytest.raises(ValueError, match="rooms that are sharded have no patterns"):
            Rooms(client, sharded=True).listen("*")


def _has_shards(client: redis.Redis) -> bool:
    found: Any = client.execute_command("COMMAND", "INFO", "SPUBLISH")
    return bool(found and next(iter(found.values() if isinstance(found, dict) else found)))
