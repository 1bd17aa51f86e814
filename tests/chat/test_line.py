"""Many listeners of one process share a connection, and miss nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError

from labkit import LocalServer, connect_async
from labkit.chat import AsyncListener, AsyncRooms, line
from labkit.server import find_server
from tests.scale import SEED, times

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from labkit.course.bench import Bench

PATIENCE = 30.0

real = pytest.mark.skipif(find_server() is None, reason="fakeredis has no connections to cut")


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(persistence="aof", config={"appendfsync": "no"}) as server:
        yield server


def play(url: str, act: Callable[[Any], Awaitable[None]], **options: Any) -> None:
    """Run it with a client, and see to it that nothing is left behind."""

    async def main() -> None:
        client: Any = await connect_async(url, **options)
        before = await listened_to(client)  # fakeredis lists what others have left long ago
        try:
            await act(client)
            assert await listened_to(client) == before
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert not client.connection_pool._in_use_connections
        finally:
            await client.aclose()

    async def within() -> None:
        async with asyncio.timeout(3 * PATIENCE):
            await main()

    asyncio.run(within())


async def listened_to(client: Any) -> tuple[set[Any], int]:
    return {*await client.pubsub_channels()}, await client.pubsub_numpat()


async def heard(listener: AsyncListener, count: int) -> list[str]:
    """The texts of what comes next."""
    events: list[Any] = [await listener.take(PATIENCE) for _ in range(count)]
    return [event.text for event in events]


async def reconnected(listener: AsyncListener, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while listener.reconnects < count:
            await asyncio.sleep(0.002)


async def cut(client: Any) -> None:
    await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


def test_more_listen_than_a_pool_has_connections(bench: Bench) -> None:
    async def act(client: Any) -> None:
        rooms = AsyncRooms(client)
        async with contextlib.AsyncExitStack() as stack:
            opening = [rooms.room("lobby").listen() for _ in range(150)]
            listeners = await asyncio.gather(*map(stack.enter_async_context, opening))
            await rooms.room("lobby").say("ada", "hello")
            assert (
                await asyncio.gather(*(heard(each, 1) for each in listeners)) == [["hello"]] * 150
            )
            assert {each.reconnects for each in listeners} == {0}

    bench.reset()
    play(bench.url, act)


@pytest.mark.parametrize("decode", [True, False])
def test_rooms_and_patterns_share_one_connection(bench: Bench, decode: bool) -> None:
    async def act(client: Any) -> None:
        rooms = AsyncRooms(client)
        news, lobby = rooms.room("news.sport"), rooms.room("lobby")
        async with rooms.listen("news.*") as some, rooms.listen("*") as all_of_them:
            async with news.listen() as one, await lobby.join("ada") as ada, ada.listen() as other:
                await news.say("bob", "goal")
                await ada.say("hello")
                assert [await heard(each, 1) for each in (some, one)] == [["goal"]] * 2
                assert await heard(other, 1) == ["hello"]
                told = [await all_of_them.take(PATIENCE) for _ in range(3)]
                assert {event.room for event in told if event} == {"news.sport", "lobby"}
                assert len(client.connection_pool._in_use_connections) == 1
            await news.say("bob", "the others listen on")
            assert await heard(some, 1) == ["the others listen on"]

    bench.reset()
    play(bench.url, act, decode_responses=decode)


@real
def test_a_connection_that_is_cut_is_made_up_for(server: LocalServer) -> None:
    async def act(client: Any) -> None:
        rooms = AsyncRooms(client)
        lobby = rooms.room("lobby")
        async with lobby.listen() as one, lobby.listen() as other, rooms.listen("l*") as third:
            for number in range(100):
                if number % 20 == 10:
                    await cut(client)
                await lobby.say("ada", str(number))
            for listener in (one, other, third):
                assert await heard(listener, 100) == [str(number) for number in range(100)]
                await reconnected(listener, 1)

    play(server.url, act)


@real
def test_a_server_that_dies_and_returns_is_made_up_for(server: LocalServer) -> None:
    async def act(client: Any) -> None:
        room = AsyncRooms(client).room("lobby")
        async with room.listen() as one, room.listen() as other:
            for number in range(3):
                await room.say("ada", str(number))
                await asyncio.to_thread(server.kill)
                with pytest.raises(redis.ConnectionError):
                    await AsyncRooms(client).room("lobby").listen().start()
                await asyncio.to_thread(server.start)
                # Idle connections died with it, which a busy machine may say too late to `say`.
                await client.connection_pool.disconnect(inuse_connections=False)
                for listener in (one, other):
                    assert await heard(listener, 1) == [str(number)]
                for listener in (one, other):
                    await reconnected(listener, number + 1)

    play(server.url, act, retry=Retry(NoBackoff(), 0))


@real
def test_where_the_server_is_away_the_first_is_told(server: LocalServer) -> None:
    async def act(client: Any) -> None:
        rooms = AsyncRooms(client)
        await asyncio.to_thread(server.kill)
        starts = (rooms.room(name).listen().start() for name in ("one", "two", "two"))
        for error in await asyncio.gather(*starts, return_exceptions=True):
            assert isinstance(error, redis.ConnectionError)
        await asyncio.to_thread(server.start)
        async with rooms.room("one").listen() as listener:
            await rooms.room("one").say("ada", "hello")
            assert await heard(listener, 1) == ["hello"]

    play(server.url, act, retry=Retry(NoBackoff(), 0))


@real
def test_what_the_server_refuses_concerns_nobody_else(server: LocalServer) -> None:
    async def act(client: Any) -> None:
        rooms = AsyncRooms(client)
        async with rooms.room("open").listen() as listener:
            with pytest.raises(NoPermissionError):
                await rooms.room("closed").listen().start()
            await rooms.room("open").say("ada", "hello")
            assert await heard(listener, 1) == ["hello"]

    with server.client() as client:
        client.execute_command(
            *("ACL", "SETUSER", "guest", "on", ">guest", "+@all", "~*", "&chat:{open}*")
        )
    play(server.url, act, username="guest", password="guest")


def test_who_blocks_holds_nobody_up_and_costs_a_bounded_queue(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "WAITING", 10)

    async def act(client: Any) -> None:
        room = AsyncRooms(client).room("lobby")
        async with room.listen(buffer=1, policy="block") as slow, room.listen() as quick:
            texts = [str(number) for number in range(300)]
            for text in texts:
                await room.say("ada", text)
            assert await heard(quick, 300) == texts
            assert slow.waiting == 1
            assert await heard(slow, 300) == texts
            assert (slow.reconnects, slow.dropped) == (0, 0)

    bench.reset()
    play(bench.url, act)


@pytest.mark.soak
def test_who_comes_and_goes_misses_nothing(bench: Bench) -> None:
    """Listeners of three rooms begin, end and are cancelled at any moment while one speaks."""
    draw = random.Random(SEED)

    async def act(client: Any) -> None:
        rooms = AsyncRooms(client)
        names = ("one", "two", "three")
        speaking = True

        async def speak(name: str) -> None:
            number = 0
            while speaking:
                await rooms.room(name).say("ada", str(number := number + 1))
                await asyncio.sleep(0.001)

        async def visit(name: str) -> None:
            for _ in range(times(20)):
                task = asyncio.create_task(listen(name))
                if draw.random() < 0.5:
                    await asyncio.sleep(draw.random() / 50)
                    task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    task.result()

        async def listen(name: str) -> None:
            async with rooms.room(name).listen() as listener:
                numbers = [int(text) for text in await heard(listener, draw.randrange(1, 10))]
                assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]

        async with asyncio.TaskGroup() as speakers:
            for name in names:
                speakers.create_task(speak(name))
            await asyncio.gather(*(visit(name) for name in names for _ in range(2)))
            speaking = False

    bench.reset()
    play(bench.url, act)


@real
def test_a_cluster_has_a_connection_for_each(cluster_url: str) -> None:
    async def main() -> None:
        client: Any = await connect_async(cluster_url)
        rooms = AsyncRooms(client)
        await client.flushall()
        async with rooms.room("lobby").listen() as one, rooms.room("lobby").listen() as other:
            await rooms.room("lobby").say("ada", "hello")
            assert [await heard(each, 1) for each in (one, other)] == [["hello"]] * 2
        await client.aclose()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
