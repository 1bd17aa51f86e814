"""What it costs to drop a tag that 1 value carries, and 1,000,000: by generation, and by index.

A generation is one key that stands for the tag, and every value names the one that it was stored
under: to drop the tag is to delete that key. The index is what many libraries keep instead, a set
with the keys of the tag's values: to drop it is to read the set and to delete its members.
"""

from __future__ import annotations

import statistics
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks._pinning import pinned_server
from labkit.cache import Cache, RedisTier
from labkit.latency import format_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

SIZES = (1, 1_000_000)
BATCH = 1000
ROUNDS = 5
PAYLOAD = b"x" * 100


def rows(sizes: tuple[int, ...] = SIZES) -> Iterator[str]:
    """Yield one line a figure."""
    with pinned_server() as server, server.client() as client:
        ping = statistics.median(_timed(client.ping) for _ in range(200))
        yield f"PING: {format_time(ping)}"
        for name, drops in {"generation": _by_generation, "index set": _by_index}.items():
            times = {size: drops(client, size) for size in sizes}
            client.flushall()
            figures = [f"of {size:,} {format_time(time)}" for size, time in times.items()]
            ratio = times[sizes[-1]] / times[sizes[0]]
            yield f"drop a tag by {name}: {'; '.join(figures)}; {ratio:,.1f} times"


def _by_generation(client: redis.Redis, size: int) -> float:
    """The median of several drops, each of a tag that all of the values carry."""
    tags = [f"tag {number}" for number in range(ROUNDS)]
    with Cache([RedisTier(client, budget="1m")], namespace="generation", ttl="1h") as cache:
        for names in _batches(size):
            cache.set_many(dict.fromkeys(names, PAYLOAD), tags=tags)
        if client.dbsize() < size:
            raise RuntimeError(f"{client.dbsize():,} keys are stored; expected {size:,} or more")
        for _ in range(200):  # both sides are warm from now on
            cache.invalidate(tag="none")
        return statistics.median(_timed(lambda: cache.invalidate(tag=tag)) for tag in tags)  # noqa: B023 - done at once


def _by_index(client: redis.Redis, size: int) -> float:
    """The median of several drops of a small index, or the only one of a large index."""

    def store() -> None:
        for names in _batches(size):
            with client.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.set(name, PAYLOAD, ex=3600)
                pipeline.sadd("index:tag", *names)
                pipeline.execute()

    def drop() -> None:
        members: Any = list(client.smembers("index:tag"))
        with client.pipeline(transaction=False) as pipeline:
            for start in range(0, len(members), BATCH):
                pipeline.unlink(*members[start : start + BATCH])
            pipeline.unlink("index:tag")
            pipeline.execute()

    def once() -> float:
        store()
        return _timed(drop)

    return statistics.median(once() for _ in range(ROUNDS if size <= BATCH else 1))


def _batches(size: int) -> Iterator[list[str]]:
    for start in range(0, size, BATCH):
        yield [f"value:{number}" for number in range(start, min(size, start + BATCH))]


def _timed(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start
