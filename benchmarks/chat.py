"""What it costs to say something, and to hear it, beside raw PUBLISH and XADD in one run.

A room appends, publishes, numbers and looks after presence in one script. Raw redis-py would send
PUBLISH alone (nothing is kept), XADD alone (nobody is told), or both in one transaction; and many
of them in a pipeline, where a room has `say_many`. Somebody is subscribed, who reads between the
rounds.
"""

from __future__ import annotations

import statistics
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from benchmarks._pinning import pinned_server
from labkit.chat import Room
from labkit.latency import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

MESSAGES = 1000
ROUNDS = 11
BATCHES = (1, 10, 100, 500)
TEXT = "The ferry is back, and nobody knows for how long. " * 2


def rows(messages: int = MESSAGES) -> Iterator[str]:
    """Yield one line a figure."""
    with pinned_server() as server, server.client() as client, server.client() as other:
        room, listening = Room(client, "lobby", history=1000), cast("Any", other).pubsub()
        with room.join("ada") as ada, listening as hub:
            hub.subscribe("raw", "chat:{lobby}:live")
            ways: dict[str, Callable[[], object]] = {
                "PUBLISH": lambda: client.publish("raw", TEXT),
                "XADD": lambda: client.xadd("raw:stream", {"text": TEXT}, maxlen=1000),
                "MULTI, XADD, PUBLISH, EXEC": lambda: _both(client),
                "Room.say": lambda: room.say("ada", TEXT),
                "Visit.say, a beat in it": lambda: ada.say(TEXT),
                "Room.say with a key": lambda: room.say("ada", TEXT, key=str(perf_counter())),
            }
            times = _interleaved(ways, messages, hub)
            raw = times["PUBLISH"]
            for name, seconds in times.items():
                rate = f"{1 / seconds:,.0f}/s, {raw / seconds:.2f} x PUBLISH"
                yield f"{name}: {format_time(seconds)}, {rate}"
            for size in BATCHES:
                yield _together(client, room, hub, size, messages)
    with pinned_server() as server, server.client() as client, server.client() as other:
        latencies = {"raw pub/sub": _raw(client, other, messages), "Room": _room(client, messages)}
        for name, found in latencies.items():
            p50, p99 = statistics.median(found), statistics.quantiles(found, n=100)[98]
            yield f"from saying to hearing, {name}: p50 {format_time(p50)}, p99 {format_time(p99)}"


def _both(client: redis.Redis) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.xadd("raw:stream", {"text": TEXT}, maxlen=1000)
        pipe.publish("raw", TEXT)
        pipe.execute()


def _together(client: redis.Redis, room: Room, hub: Any, size: int, messages: int) -> str:
    """Messages a second in batches of a size: three pipelines, and `say_many` beside them."""

    def sent(*adds: Callable[[Any], object]) -> None:
        with client.pipeline(transaction=False) as pipe:
            for _ in range(size):
                for add in adds:
                    add(pipe)
            pipe.execute()

    def publish(pipe: Any) -> None:
        pipe.publish("raw", TEXT)

    def xadd(pipe: Any) -> None:
        pipe.xadd("raw:stream", {"text": TEXT}, maxlen=1000)

    ways: dict[str, Callable[[], object]] = {
        "PUBLISH": lambda: sent(publish),
        "XADD": lambda: sent(xadd),
        "XADD and PUBLISH": lambda: sent(xadd, publish),
        "Room.say_many": lambda: room.say_many("ada", [TEXT] * size),
    }
    times = _interleaved(ways, max(1, messages // size), hub)
    ours = times.pop("Room.say_many")
    beside = (f"{raw / ours:.2f} x {name} ({size / raw:,.0f}/s)" for name, raw in times.items())
    return f"Room.say_many of {size}: {size / ours:,.0f}/s, {', '.join(beside)}"


def _interleaved(ways: dict[str, Callable[[], object]], count: int, hub: Any) -> dict[str, float]:
    """The median of several rounds, in seconds a call; each round has every way."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(ROUNDS + 1):
        for name, way in ways.items():
            start = perf_counter()
            for _ in range(count):
                way()
            if round_:  # the first one warms
                found[name].append((perf_counter() - start) / count)
            while hub.get_message(timeout=0.01):  # so that no buffer is ever full
                pass
    return {name: statistics.median(times) for name, times in found.items()}


def _raw(client: redis.Redis, other: redis.Redis, count: int) -> list[float]:
    with cast("Any", other).pubsub() as hub:
        hub.subscribe("raw")
        hub.get_message(timeout=5)
        return [_timed(lambda: client.publish("raw", TEXT), hub) for _ in range(count)]


def _timed(publish: Callable[[], object], hub: Any) -> float:
    start = perf_counter()
    publish()
    while hub.get_message(timeout=5) is None:
        pass
    return perf_counter() - start


def _room(client: redis.Redis, count: int) -> list[float]:
    room = Room(client, "lobby")
    found = []
    with room.listen() as listener:
        for _ in range(count):
            start = perf_counter()
            room.say("ada", TEXT)
            if listener.take(5) is None:
                raise RuntimeError("nothing was heard within 5 s")
            found.append(perf_counter() - start)
    return found
