"""Connections that break, servers that die, readers that are slow: everything arrives, once."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest
import redis

from labkit import LocalServer, connect
from labkit.chat import Gap, Listener, Room, Said
from labkit.server import find_server
from tests.cache.crowd import in_threads, until
from tests.chat.faces import PATIENCE
from tests.scale import SEED, times

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(find_server() is None, reason="fakeredis has no connections to cut")

SPAWN = multiprocessing.get_context("spawn")
LOST = (redis.ConnectionError, redis.TimeoutError, OSError)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(persistence="aof", config={"appendfsync": "no"}) as server:
        yield server


def stubborn(room: Room, member: str, text: str) -> int:
    """Say it until it is said."""
    pause = threading.Event()
    while True:
        try:
            return room.say(member, text, key=text)
        except LOST:
            pause.wait(0.005)


def heard(listener: Any, last: int) -> list[Any]:
    """What it gets until the number `last`."""
    events: list[Any] = []
    while not events or events[-1].number < last:
        event = listener.take(PATIENCE)
        assert event is not None, f"{last} did not come; {events[-3:]}"
        events.append(event)
    return events


def is_whole(events: list[Any], *, gaps: bool = False) -> None:
    """Every number once, in order; or covered by a gap."""
    covered: list[int] = []
    for event in events:
        assert gaps or not isinstance(event, Gap), event
        first = event.first if isinstance(event, Gap) else event.number
        covered += range(first, event.number + 1)
    assert covered == [*range(covered[0], covered[-1] + 1)]


def cut(client: redis.Redis) -> None:
    """Cut every listener's connection."""
    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


@pytest.mark.soak
def test_all_that_was_said_is_heard_however_often_connections_break(server: LocalServer) -> None:
    """Three speak, three listen, one cuts; a slow one blocks."""
    each, draw = times(150), random.Random(SEED)
    with contextlib.ExitStack() as stack:
        rooms = [
            Room(stack.enter_context(server.client()), "lobby", history=10**6) for _ in range(6)
        ]
        listeners = [
            stack.enter_context(room.listen(buffer=most))
            for room, most in zip(rooms[:3], (1, 10, 10_000), strict=True)
        ]
        acknowledged: list[dict[int, str]] = [{} for _ in range(3)]
        spoken = threading.Semaphore(0)
        got: list[list[Any]] = [[], [], []]

        def act(who: int) -> None:
            if who < 3:
                for number in range(each):
                    text = f"{who} {number}"
                    acknowledged[who][stubborn(rooms[3 + who], f"member{who}", text)] = text
                    spoken.release()
            elif who < 6:
                got[who - 3] = heard(listeners[who - 3], 3 * each)
            else:
                with server.client() as client:
                    for _ in range(times(12)):
                        cut(client)
                        for _ in range(draw.randrange(1, 60)):  # 360 of 450 are said on average
                            assert spoken.acquire(timeout=PATIENCE)

        assert in_threads(7, act) == [None] * 7
        said = {number: text for words in acknowledged for number, text in words.items()}
        assert sorted(said) == [*range(1, 3 * each + 1)]
        for events in got:
            is_whole(events)
            assert {event.number: event.text for event in events} == said
        assert sum(listener.reconnects for listener in listeners) > 0


@pytest.mark.soak
def test_all_that_was_said_is_heard_when_the_server_dies_and_returns(server: LocalServer) -> None:
    each = times(100)
    with server.client() as one, server.client() as other, server.client() as third:
        room, there = Room(one, "lobby", history=10**6), Room(other, "lobby", history=10**6)
        with there.listen() as listener, Room(third, "lobby").listen(buffer=2) as slow:
            enough = threading.Semaphore(0)

            def act(who: int) -> Any:
                if who == 0:
                    for number in range(3 * each):
                        stubborn(room, "ada", str(number))
                        enough.release()
                    return None
                if who == 1:
                    for _ in range(2):
                        for _ in range(each):
                            assert enough.acquire(timeout=PATIENCE)
                        server.kill()
                        server.start()
                    return None
                return heard(listener if who == 2 else slow, 3 * each)

            *nothing, fast, late = in_threads(4, act)
            assert nothing == [None, None]
            for events in (fast, late):
                is_whole(events)
                assert [event.text for event in events] == [str(n) for n in range(3 * each)]
            assert listener.reconnects > 0  # once, where it slept through the first


def speak(url: str, name: str, count: int) -> None:
    """In a process: say so much."""
    with connect(url) as client:
        room = Room(client, "lobby", history=10**6)
        for number in range(count):
            stubborn(room, name, f"{name} {number}")


@pytest.mark.soak
def test_processes_speak_at_once_and_a_trimmed_stream_has_gaps(server: LocalServer) -> None:
    """`LABKIT_SOAK=100` is 100,000 messages."""
    names, each = ["p0", "p1", "p2", "p3"], times(250)
    with server.client() as client, server.client() as other:
        room = Room(client, "lobby", history=100)
        with (
            room.listen(buffer=10**6) as quick,
            Room(other, "lobby").listen(buffer=5, policy="block") as slow,
        ):
            processes = [SPAWN.Process(target=speak, args=(server.url, n, each)) for n in names]
            for process in processes:
                process.start()
            # The slow one takes nothing until much is said, and then gets what is kept.
            until(lambda: room.position().number >= 2 * each, "that much")
            cut(client)
            late = heard(slow, 4 * each)
            events = heard(quick, 4 * each)
            for process in processes:
                process.join(PATIENCE)
                assert process.exitcode == 0
        is_whole(events, gaps=True)
        is_whole(late, gaps=True)
        for name in names:  # what one of them says comes in their order
            words = [e.text for e in events if isinstance(e, Said) and e.member == name]
            assert words == sorted(words, key=lambda text: int(text.split()[1]))
            assert len(words) == len({*words})


def test_a_listener_that_cannot_begin_says_so(server: LocalServer) -> None:
    with server.client() as client:
        room = Room(client, "lobby")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            room.listen()


def test_an_error_of_the_server_ends_a_listener(server: LocalServer) -> None:
    with server.client() as client, server.client() as other:
        room = Room(client, "lobby")
        with room.listen() as listener:
            other.set("chat:{lobby}:state", "not a hash")
            cut(other)
            with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
                listener.take(PATIENCE)


def test_the_memory_of_a_slow_listener_is_bounded(server: LocalServer) -> None:
    """The server drops who reads nothing, and the stream gives it everything later."""
    with server.client() as client, server.client() as other:
        other.config_set("client-output-buffer-limit", "pubsub 64kb 64kb 1")
        room = Room(client, "lobby", history=10**6)
        with Listener(client, room._feed(None, "now"), buffer=2) as slow:
            text = "x" * 3000
            for _ in range(2000):
                Room(other, "lobby", history=10**6).say("ada", text)
            assert slow.waiting == 2
            assert other.info("memory")["mem_clients_normal"] < 10**6  # of 6 MB that were said
            is_whole(heard(slow, 2000))
            assert slow.reconnects > 0
