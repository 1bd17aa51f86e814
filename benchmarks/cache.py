"""The cache beside its peers and beside the redis-py calls that one would write for it.

A ratio is the time of a call over that of the first one in its row: below 1 is faster than that.
Peers are used as their guides show, with the serializers that they come with. They do less: none of
them refuses a value that was invalidated while it was loaded.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import itertools
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

import aiocache
import aiocache.serializers
import cachebox
import cachetools
import cashews
import django.conf
import dogpile.cache
import msgspec
import redis.asyncio

from benchmarks._pinning import pinned_server
from labkit import LocalServer
from labkit.cache import (
    AsyncCache,
    Cache,
    FunctionSource,
    MemoryTier,
    ReadThrough,
    RedisTier,
)
from labkit.cache.eviction import POLICIES
from labkit.latency import format_time, measure, percentile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    Run: TypeAlias = tuple[Callable[[], Any], int]  # what to time, and how many calls that is

TTL = 600
SIZE = 1000
BATCH = 100


def rows() -> Iterator[str]:
    """Yield one line a figure."""
    with pinned_server() as server, asyncio.Runner() as loop:
        yield from _in_memory(loop)
        yield from _coherent(server, loop)
        yield from _in_redis(server)
        yield from _in_redis_async(server, loop)
        yield from _many(server)
        yield from _missed(server)
        yield from _dead(loop)
        yield from _dropped_tags(server)
    yield from _evicting()


# --- Hits


def _in_memory(loop: asyncio.Runner) -> Iterator[str]:
    numbers = list(range(SIZE))
    cache, later = Cache(ttl=TTL), AsyncCache(ttl=TTL)
    ttl_cache = cachetools.TTLCache[Any, Any](10_000, TTL)
    yield _row(
        "hit in memory, decorated",
        {
            "lru_cache": _each(functools.lru_cache(10_000)(_text), numbers),
            "cachetools TTL + lock": _each(
                cachetools.cached(ttl_cache, lock=threading.RLock(), info=True)(_text), numbers
            ),
            "cachebox TTL": _each(cachebox.cached(cachebox.TTLCache(10_000, TTL))(_text), numbers),
            "labkit": _each(cache.cached(_text), numbers),
            "labkit async": _each_async(loop, later.cached(_text_async), numbers),
            "labkit, early, stale times": _each(
                cache.cached(name="aging", early=1.0, stale_while_revalidate=60)(_text), numbers
            ),
            "labkit, hot keys counted": _each(Cache(ttl=TTL, hot_keys=100).cached(_text), numbers),
            "labkit ReadThrough.get": _each(
                ReadThrough(cache, FunctionSource(_text), name="through").get, numbers
            ),
        },
        rounds=100,
    )
    yield _row(
        "hit in memory, decorated, a dict that holds others",
        {
            "lru_cache, one for all": _each(functools.lru_cache(10_000)(_article), numbers),
            "cachebox, its top copied": _each(
                cachebox.cached(cachebox.TTLCache(10_000, TTL))(_article), numbers
            ),
            "lru_cache + deepcopy": _each(_copying(functools.lru_cache(10_000)(_article)), numbers),
            "labkit, all of it copied": _each(cache.cached(_article), numbers),
        },
        rounds=50,
    )


def _coherent(server: LocalServer, loop: asyncio.Runner) -> Iterator[str]:
    """Hits in memory where what other processes change is heard of."""
    numbers = list(range(SIZE))
    cashes = cashews.Cache()
    cashes.setup(server.url, client_side=True)
    with (
        server.client() as client,
        Cache([MemoryTier(), RedisTier(client)], namespace="coherent", ttl=TTL) as cache,
    ):
        yield _row(
            "hit in memory with Redis behind, coherent, decorated",
            {
                "lru_cache": _each(functools.lru_cache(10_000)(_text), numbers),
                "cashews": _each_async(loop, cashes(ttl=TTL)(_text_async), numbers[:100]),
                "labkit": _each(cache.cached(_text), numbers),
                "labkit, a dict": _each(cache.cached(_article), numbers),
            },
            rounds=50,
        )
    loop.run(cashes.close())


def _in_redis(server: LocalServer) -> Iterator[str]:
    keys = [f"article:{number}" for number in range(BATCH)]
    django_cache = _django(server)
    region = _dogpile(server)
    with (
        server.client(decode_responses=False) as client,
        Cache([RedisTier(client)], ttl=TTL) as cache,
    ):
        for number, key in enumerate(keys):
            client.set(key, msgspec.msgpack.encode(_article(number)), ex=TTL)
            django_cache.set(key, _article(number))
            region.set(key, _article(number))
            cache.set(key, _article(number))
        fetch: Callable[[str], Any] = client.get
        decode = msgspec.msgpack.decode
        numbers = list(range(BATCH))
        yield _row(
            "hit in Redis",
            {
                "GET + decode": _each(lambda key: decode(fetch(key)), keys),
                "django-redis": _each(django_cache.get, keys),
                "dogpile get": _each(region.get, keys),
                "dogpile decorated": _each(
                    region.cache_on_arguments(expiration_time=TTL)(_article), numbers
                ),
                "labkit get": _each(cache.get, keys),
                "labkit decorated": _each(cache.cached(_article), numbers),
                "labkit decorated, stale times": _each(
                    cache.cached(name="aging", stale_while_revalidate=60)(_article), numbers
                ),
                "labkit decorated, with a key and a tag": _each(
                    cache.cached(key="a:{number}", tags=["all"])(_article), numbers
                ),
            },
            rounds=60,
        )


def _in_redis_async(server: LocalServer, loop: asyncio.Runner) -> Iterator[str]:
    keys = [f"later:{number}" for number in range(BATCH)]
    numbers = list(range(BATCH))
    client = redis.asyncio.from_url(server.url)
    where = client.connection_pool.connection_kwargs
    aio = aiocache.RedisCache(
        endpoint=where["host"],
        port=where["port"],
        password=where["password"],
        serializer=aiocache.serializers.PickleSerializer(),
        namespace="aiocache",
    )
    cashes = cashews.Cache()
    cashes.setup(server.url)
    cache = AsyncCache([RedisTier(client)], namespace="later", ttl=TTL)
    fetch: Callable[[str], Awaitable[Any]] = client.get
    decode = msgspec.msgpack.decode

    async def fill() -> None:
        for number, key in enumerate(keys):
            await client.set(key, msgspec.msgpack.encode(_article(number)), ex=TTL)
            await aio.set(key, _article(number))
            await cashes.set(f"cashews:{key}", _article(number))
            await cache.set(key, _article(number))

    async def plain(key: str) -> Any:
        return decode(await fetch(key))

    async def close() -> None:
        await cache.close()
        await aio.close()
        await cashes.close()
        await client.aclose()

    loop.run(fill())
    yield _row(
        "hit in Redis, async",
        {
            "GET": _each_async(loop, fetch, keys),
            "GET + decode": _each_async(loop, plain, keys),
            "aiocache": _each_async(loop, aio.get, keys),
            "cashews get": _each_async(loop, lambda key: cashes.get(f"cashews:{key}"), keys),
            "cashews decorated": _each_async(
                loop, cashes(ttl=TTL, key="cashews:d:{number}")(_article_async), numbers
            ),
            "labkit get": _each_async(loop, cache.get, keys),
            "labkit decorated": _each_async(loop, cache.cached(_article_async), numbers),
        },
        rounds=40,
    )
    loop.run(close())


def _many(server: LocalServer) -> Iterator[str]:
    keys = [f"many:{number}" for number in range(BATCH)]
    django_cache = _django(server)
    region = _dogpile(server)
    with (
        server.client(decode_responses=False) as client,
        Cache([RedisTier(client)], namespace="many", ttl=TTL) as cache,
    ):
        values = {key: _article(number) for number, key in enumerate(keys)}
        client.mset({key: msgspec.msgpack.encode(value) for key, value in values.items()})
        django_cache.set_many(values)
        region.set_multi(values)
        cache.set_many(values)
        decode = msgspec.msgpack.decode
        yield _row(
            f"get_many of {BATCH} in Redis, per key",
            {
                "MGET": (lambda: client.mget(keys), BATCH),
                "MGET + decode": (lambda: [decode(found) for found in client.mget(keys)], BATCH),
                "django-redis": (lambda: django_cache.get_many(keys), BATCH),
                "dogpile": (lambda: region.get_multi(keys), BATCH),
                "labkit": (lambda: cache.get_many(keys), BATCH),
            },
            rounds=200,
        )


# --- Misses


def _missed(server: LocalServer) -> Iterator[str]:
    count = itertools.count()
    django_cache, region = _django(server), _dogpile(server)
    with (
        server.client(decode_responses=False) as client,
        Cache([RedisTier(client)], namespace="missed", ttl=TTL) as cache,
    ):

        def plain(number: int) -> Any:
            if (found := client.get(f"new:{number}")) is None:
                value = _article(number)
                client.set(f"new:{number}", msgspec.msgpack.encode(value), ex=TTL)
                return value
            return found

        article = cache.cached(_article)
        yield _row(
            "miss + load + fill in Redis",
            {
                "GET + SET": _each(plain, count, 50),
                "django-redis get_or_set": _each(
                    lambda n: django_cache.get_or_set(f"new:{n}", lambda: _article(n)), count, 50
                ),
                "dogpile decorated": _each(
                    region.cache_on_arguments(expiration_time=TTL)(_article), count, 50
                ),
                "labkit decorated": _each(article, count, 50),
            },
            rounds=30,
        )


def _dead(loop: asyncio.Runner) -> Iterator[str]:
    """What a call costs beside its loader when the server is gone and left alone."""
    gone = LocalServer()
    count = itertools.count()
    client = gone.client()
    later_client = redis.asyncio.from_url(gone.url)
    cache = Cache([RedisTier(client)], pause="1h", ttl=TTL)
    both = Cache([MemoryTier(), RedisTier(client)], pause="1h", ttl=TTL)
    later = AsyncCache([RedisTier(later_client)], pause="1h", ttl=TTL)
    gone.close()
    yield _row(
        "Redis is dead, a call",
        {
            "the loader": _each(_text, count, 500),
            "labkit": _each(cache.cached(_text), count, 500),
            "labkit with a full memory": _each(both.cached(_text), count, 500),
            "the loader async": _each_async(loop, _text_async, count, 500),
            "labkit async": _each_async(loop, later.cached(_text_async), count, 500),
        },
        rounds=50,
    )
    loop.run(later.close())
    both.close()
    cache.close()


# --- Invalidation and eviction


def _dropped_tags(server: LocalServer) -> Iterator[str]:
    """Each value carries as many tags as are dropped, so that every drop finds all of them."""
    tags = [f"tag {number}" for number in range(10)]
    with (
        server.client() as client,
        Cache([RedisTier(client, budget="1m")], namespace="tags", ttl=TTL) as cache,
    ):
        ping = statistics.median(_timed(client.ping) for _ in range(200))
        figures = [f"PING {format_time(ping)}"]
        for size in (1, 100_000):
            for start in range(0, size, 1000):
                names = range(start, min(size, start + 1000))
                cache.set_many({f"{name}": 0 for name in names}, tags=tags)
            seconds = [_timed(functools.partial(cache.invalidate, tag=tag)) for tag in tags]
            figures.append(f"of {size:,} values {format_time(statistics.median(seconds))}")
        yield f"drop a tag in Redis: {'; '.join(figures)}"


def _evicting() -> Iterator[str]:
    count = itertools.count()
    runs: dict[str, Run] = {}
    lock = threading.RLock()
    bounded = cachetools.TTLCache[str, int](SIZE, TTL)
    boxed = cachebox.TTLCache[str, int](SIZE, TTL)

    def locked(key: str) -> None:
        with lock:
            bounded[key] = 0

    def boxed_put(key: str) -> None:
        boxed[key] = 0

    runs["cachetools TTL + lock"] = _each(locked, map(str, count), 1000)
    runs["cachebox TTL"] = _each(boxed_put, map(str, count), 1000)
    for policy in POLICIES:
        put = functools.partial(_put, MemoryTier(SIZE, policy=policy))
        runs[f"labkit {policy}"] = _each(put, map(str, count), 1000)
    yield _row("put into a full memory, one goes", runs, rounds=30)


def _put(tier: MemoryTier, key: str) -> None:
    tier.put(key, 0, ttl=TTL)


# --- What is cached, and how


def _copying(function: Callable[[int], Any]) -> Callable[[int], Any]:
    return lambda number: copy.deepcopy(function(number))


def _text(number: int) -> str:
    return f"article {number}"


async def _text_async(number: int) -> str:
    return f"article {number}"


def _article(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "title": f"article {number}",
        "author": {"id": number % 7, "name": "Ada"},
        "tags": ["redis", "cache"],
        "body": "word " * 40,
    }


async def _article_async(number: int) -> dict[str, Any]:
    return _article(number)


# --- Peers


@functools.cache
def _django_settings() -> None:
    django.conf.settings.configure()


def _django(server: LocalServer) -> Any:
    from django_redis.cache import RedisCache

    _django_settings()
    return RedisCache(server.url, {"TIMEOUT": TTL, "KEY_PREFIX": "django"})


def _dogpile(server: LocalServer) -> Any:
    region = dogpile.cache.make_region(key_mangler=lambda key: f"dogpile:{key}")
    return region.configure(
        "dogpile.cache.redis", arguments={"url": server.url, "redis_expiration_time": TTL}
    )


# --- Measuring


def _each(
    function: Callable[[Any], Any], arguments: Sequence[Any] | Iterator[Any], calls: int = 0
) -> Run:
    """Call a function with each argument; with `calls`, with as many of an endless number."""
    calls, some = _portions(arguments, calls)

    def run() -> None:
        for argument in some():
            function(argument)

    return run, calls


def _each_async(
    loop: asyncio.Runner,
    function: Callable[[Any], Awaitable[Any]],
    arguments: Sequence[Any] | Iterator[Any],
    calls: int = 0,
) -> Run:
    calls, some = _portions(arguments, calls)

    async def run() -> None:
        for argument in some():
            await function(argument)

    return lambda: loop.run(run()), calls


def _portions(
    arguments: Sequence[Any] | Iterator[Any], calls: int
) -> tuple[int, Callable[[], Any]]:
    if calls:
        return calls, lambda: list(itertools.islice(arguments, calls))
    return len(arguments), lambda: arguments  # type: ignore[arg-type]


def _row(title: str, runs: Mapping[str, Run], *, rounds: int) -> str:
    found = measure({name: run for name, (run, _) in runs.items()}, rounds=rounds, warmup=3)
    first, *_ = runs
    seconds = {
        name: [each / runs[name][1] for each in samples] for name, samples in found.samples.items()
    }
    figures = []
    for name, samples in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(samples, seconds[first], strict=True))
        of_first = "" if name == first else f" {ratio:.2f} x"
        figures.append(f"{name}{of_first} ({format_time(percentile(samples, 50))})")
    return f"{title}: {'; '.join(figures)}"


def _timed(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
