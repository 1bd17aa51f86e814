"""Memories of several caches on one server: each is as new as the server says it is."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from labkit import CommandLog, connect, connect_async
from labkit.cache import MISSING, AsyncCache, Cache, MemoryTier, RedisTier
from labkit.clock import FakeClock
from labkit.server import LocalServer, find_server
from tests.cache.conftest import Awaited
from tests.cache.crowd import PATIENCE, until
from tests.cache.dict_store import DictTier
from tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labkit.course.bench import Bench

needs_server = pytest.mark.skipif(find_server() is None, reason="needs a real server")
STALENESS = 0.3
"""Seconds: a silent line is found out within these; what may be stale lives no longer."""


class Caches:
    """Caches on one server, each with a memory of its own, whose time is the test's."""

    def __init__(self, url: str, *, awaited: bool) -> None:
        self.url = url
        self.clock = FakeClock(1_000)
        self._awaited = awaited
        self._runner = asyncio.Runner()
        self._opened: list[Any] = []

    def cache(self, url: str = "", *, near: str = "", staleness: float | str = "1h") -> Any:
        """A cache that hears changes, and would be stale for an hour if it did not.

        Args:
            url: Where the values are; default: on the server of them all.
            near: Where there is a store before that one, if there is one.
            staleness: For how long it may be stale.
        """
        stores = [self._tier(each) for each in (near, url or self.url) if each]
        tiers = [MemoryTier(clock=self.clock), *stores]
        kind: Any = AsyncCache if self._awaited else Cache
        cache = kind(tiers, ttl="1d", staleness=staleness, pause="10ms")
        self._opened.append(Awaited(cache, self._runner) if self._awaited else cache)
        self._opened[-1].get("hello")
        return self._opened[-1]

    def _tier(self, url: str) -> RedisTier:
        client = self._runner.run(connect_async(url)) if self._awaited else connect(url)
        return RedisTier(client, budget="10s")

    def cached(self, cache: Any, function: Callable[[], Any], **how: Any) -> Any:
        """A cached function; an async cache gets a coroutine function that does the same."""
        if not self._awaited:
            return cache.cached(**how)(function)

        async def coroutine() -> Any:
            return function()

        return Awaited(cache.cached(**how)(coroutine), self._runner)

    def close(self) -> None:
        for cache in self._opened:
            cache.close()
        self._runner.close()


@pytest.fixture
def caches(bench: Bench, awaited: bool) -> Iterator[Caches]:
    bench.reset()
    caches = Caches(bench.url, awaited=awaited)
    yield caches
    caches.close()


WAYS: dict[str, Callable[[Any], Any]] = {
    "set": lambda cache: cache.set("a:1", "new", tags=["t"]),
    "set_many": lambda cache: cache.set_many({"a:1": "new"}),
    "delete": lambda cache: cache.delete("a:1"),
    "key": lambda cache: cache.invalidate(key="a:1"),
    "tag": lambda cache: cache.invalidate(tag="t"),
    "prefix": lambda cache: cache.invalidate(prefix="a:"),
    "clear": lambda cache: cache.clear(),
}


# How a value comes into a memory.
HOWS: dict[str, Callable[[Any], Any]] = {
    "set": lambda cache: None,
    "get": lambda cache: cache.get("a:1"),
    "get_or_load": lambda cache: cache.get_or_load("a:1", lambda: "?", tags=["t"]),
    "get_many": lambda cache: cache.get_many(["a:1", "b:1"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_one_changes_leaves_the_memory_of_the_other(caches: Caches, way: str) -> None:
    writer, reader = caches.cache(), caches.cache()
    for how in HOWS:
        check_a_change(writer, reader, way, how)


def check_a_change(writer: Any, reader: Any, way: str, how: str) -> None:
    (reader if how == "set" else writer).set("a:1", "old", tags=["t"])
    writer.set("b:1", "other", tags=["u"])
    HOWS[how](reader)
    # A message of before may take it out again; in the end it stays.
    before = memory_hits(reader)
    until(lambda: reader.get("a:1") == "old" and memory_hits(reader) > before)
    WAYS[way](writer)
    new = "new" if way.startswith("set") else MISSING
    until(lambda: reader.get("a:1") == new, "hearing of it")
    assert writer.get("a:1") == new
    assert reader.get("b:1") == (MISSING if way == "clear" else "other")


def memory_hits(cache: Any) -> int:
    return int(cache.stats().total.hits["memory"])


def test_a_load_is_told_to_the_others(caches: Caches) -> None:
    writer, reader = caches.cache(), caches.cache()
    answers = iter(["old", "new"])
    refresh = caches.cached(writer, lambda: next(answers), key="k").refresh
    refresh()
    assert reader.get("k") == "old"
    refresh()
    until(lambda: reader.get("k") == "new", "hearing of it")


def test_own_writes_stay_in_the_own_memory(caches: Caches) -> None:
    writer, reader = caches.cache(), caches.cache()
    writer.set("k", 1)
    writer.get_or_load("l", lambda: 1)
    until(lambda: reader.get_many(["k", "l"]) == {"k": 1, "l": 1})
    reader.set("told", 1)
    until(lambda: writer.get("told") == 1, "hearing of what came later")
    before = writer.stats().total.hits
    assert (writer.get("k"), writer.get("l")) == (1, 1)
    after = writer.stats().total.hits
    assert after["memory"] - before["memory"] == 2
    assert after["redis"] == before["redis"]


def test_a_hit_in_a_memory_that_hears_changes_asks_nobody(bench: Bench) -> None:
    bench.reset()
    tier = RedisTier(connect(bench.url), budget="10s")
    with Cache([MemoryTier(), tier]) as cache:
        cache.set("k", 1)
        assert cache.stats().listening
        with CommandLog(tier.client) as log:
            assert cache.get("k") == 1
        assert [name for name in log.names if name != "PING"] == []


def test_a_memory_with_nothing_behind_it_keeps_values_for_their_whole_time() -> None:
    clock = FakeClock()
    cache = Cache([MemoryTier(clock=clock)], staleness="1s", ttl="1h")
    cache.get_or_load("k", lambda: 1)
    cache.get_or_load_many(["l"], lambda keys: dict.fromkeys(keys, 1))
    cache.set("m", 1)
    clock.advance("59m")
    assert cache.get_many(["k", "l", "m"]) == {"k": 1, "l": 1, "m": 1}


@pytest.mark.parametrize("how", HOWS)
def test_what_a_store_that_does_not_tell_changed_is_seen_after_the_bound(how: str) -> None:
    clock, tier = FakeClock(), DictTier()
    writer = Cache([MemoryTier(clock=clock), tier], staleness="2s", ttl="1h")
    reader = Cache([MemoryTier(clock=clock), tier], staleness="2s", ttl="1h")
    (reader if how == "set" else writer).set("a:1", "old")
    HOWS[how](reader)
    writer.set("a:1", "new")
    clock.advance("1.9s")
    assert reader.get("a:1") == "old"
    clock.advance("0.2s")
    assert reader.get("a:1") == "new"


@pytest.mark.parametrize(
    "message",
    [
        *(b"", b"\xff", b"text", b"\x93\xa1a\xa3cut\x00", b"\x93\xa1a\xa8restored\xc0"),
        *(b"\x93\xa1a\xa9__class__\xc0", b"\x93\xa1a\xa7changed\x05", b"\x93\xa1a\x05\x05"),
    ],
)
def test_a_message_that_makes_no_sense_changes_nothing(caches: Caches, message: bytes) -> None:
    writer, reader = caches.cache(), caches.cache()
    writer.set("k", "old")
    assert reader.get("k") == "old"
    with connect(caches.url) as client:
        client.publish("cache:changes", message)
    writer.set("k", "new")
    until(lambda: reader.get("k") == "new", "hearing of what came later")
    assert reader.stats().listening


def test_a_server_that_was_emptied_is_coherent_from_then_on(caches: Caches) -> None:
    writer, reader = caches.cache(), caches.cache()
    writer.set("k", "old", tags=["t"])
    assert reader.get("k") == "old"

    def load() -> str:
        with connect(caches.url) as client:
            client.flushall()
        return "loaded before"

    assert writer.get_or_load("l", load) == "loaded before"
    assert caches.cache().get("l") is MISSING
    writer.invalidate(tag="t")
    until(lambda: reader.get("k") is MISSING, "hearing of it")
    writer.set("k", "new", tags=["t"])
    until(lambda: reader.get("k") == "new", "hearing of it")


def test_a_cache_that_is_closed_listens_no_more(caches: Caches) -> None:
    def listening() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t.name == "feed of cache:changes"]

    before = len(listening())
    cache = caches.cache()
    assert len(listening()) == before + 1
    cache.close()
    assert len(listening()) == before


@needs_server
def test_a_store_before_the_last_hears_what_others_change(far: Caches) -> None:
    changes: list[Callable[[Any], None]] = [
        lambda writer: writer.delete("k"),
        lambda writer: writer.invalidate(tag="t"),
        lambda writer: writer.invalidate(prefix="k"),
        lambda writer: writer.clear(),
        lambda writer: writer.set("k", "new"),
    ]
    with LocalServer() as near:
        reader, writer = far.cache(near=near.url), far.cache()
        for change in changes:
            reader.set("k", "old", tags=["t"])
            change(writer)
            until(lambda: reader.get("k") != "old", "hearing of it")
        until(lambda: reader.get("k") == "new", "hearing of it")


# --- The line is cut


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture
def far(server: LocalServer, awaited: bool) -> Iterator[Caches]:
    """Caches on a server of their own."""
    caches = Caches(server.url, awaited=awaited)
    yield caches
    caches.close()


@needs_server
def test_a_cache_whose_line_was_cut_finds_its_way_back(far: Caches, server: LocalServer) -> None:
    writer, reader = far.cache(), far.cache(staleness=STALENESS)

    def sees(number: int) -> bool:
        return bool(reader.get("k") == number)

    writer.set("k", 0)
    with server.client() as client:
        for number in range(1, 4):
            assert until(lambda: reader.stats().listening)
            assert reader.get("k") == number - 1
            client.client_kill_filter(_type="pubsub")
            writer.set("k", number)
            until(functools.partial(sees, number), "hearing of it again")


@needs_server
def test_nothing_stale_is_served_for_longer_than_its_bound_where_the_line_is_silent(
    far: Caches, proxy: Proxy
) -> None:
    writer, reader = far.cache(), far.cache(proxy.url, staleness=STALENESS)
    writer.set("k", "old")
    assert reader.get("k") == "old"
    proxy.silence()
    start = time.monotonic()
    writer.set("k", "new")
    until(lambda: not reader.stats().listening, "finding out")
    # The one look at the clock: the time-outs of the tier, 10 s, have nothing to do with it.
    assert time.monotonic() - start < 5
    far.clock.advance(STALENESS)
    proxy.speak()
    assert reader.get("k") != "old"
    until(lambda: reader.stats().listening, "the reconnection")
    until(lambda: reader.get("k") == "new")
    writer.set("k", "newer")
    until(lambda: reader.get("k") == "newer", "hearing of it")


@needs_server
def test_what_is_put_while_the_line_is_silent_lives_for_the_bound_at_most(
    far: Caches, server: LocalServer
) -> None:
    proxy = Proxy(server.url)
    reader = far.cache(proxy.url, staleness=STALENESS)
    tier_is_asked = reader.stats().total.hits["redis"]
    proxy.close()  # nobody is there any more
    until(lambda: not reader.stats().listening, "finding out")
    assert reader.get_or_load("k", lambda: 1) == 1
    assert reader.get_or_load("k", lambda: 2) == 1
    far.clock.advance(STALENESS * 0.99)
    assert reader.get("k") == 1
    far.clock.advance(STALENESS * 0.02)
    assert reader.get_or_load("k", lambda: 2) == 2
    assert reader.stats().total.hits["redis"] == tier_is_asked


@needs_server
def test_what_was_put_before_the_line_fell_silent_lives_for_the_bound_from_then(
    far: Caches, server: LocalServer
) -> None:
    reader = far.cache(staleness=STALENESS)
    reader.set("k", 1)
    server.kill()
    until(lambda: not reader.stats().listening, "finding out")
    far.clock.advance(STALENESS)
    assert reader.get("k") is MISSING


@needs_server
def test_a_server_that_comes_back_is_heard_again(far: Caches, server: LocalServer) -> None:
    writer, reader = far.cache(), far.cache(staleness=STALENESS)
    writer.set("k", "old")
    assert reader.get("k") == "old"
    server.kill()
    until(lambda: not reader.stats().listening, "finding out")
    server.start()
    until(lambda: reader.stats().listening, "the reconnection")
    assert reader.get("k") is MISSING
    until(lambda: writer.set("k", "new") or reader.get("k") == "new")
    until(lambda: writer.set("k", "newer") or reader.get("k") == "newer")


@needs_server
def test_nobody_waits_longer_than_the_bound_for_a_server_that_is_silent(
    proxy: Proxy,
) -> None:
    client = connect(proxy.url)
    proxy.silence()
    ended = threading.Event()

    def ask() -> None:
        with Cache([MemoryTier(), RedisTier(client, budget="50ms")]) as cache:
            assert cache.get_or_load("k", lambda: 1) == 1
            assert not cache.stats().listening
        ended.set()

    threading.Thread(target=ask, daemon=True).start()
    assert ended.wait(PATIENCE)
