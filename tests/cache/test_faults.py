"""Servers that are dead, frozen, full or hold garbage: callers get their values, and soon."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from labkit import CommandLog, connect, connect_async
from labkit.cache import MISSING, AsyncCache, Cache, MemoryTier, RedisTier, Unavailable
from labkit.server import LocalServer, find_server
from tests.cache.conftest import Awaited
from tests.cache.crowd import PATIENCE, in_threads, until
from tests.cache.dict_store import DictStore, DictTier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from labkit.course.bench import Bench
    from tests.proxy import Proxy

needs_server = pytest.mark.skipif(find_server() is None, reason="fakeredis neither dies nor fills")
BUDGET = 0.1
LONG, SHORT = "1h", "1ms"  # pauses: one that no test sees the end of, and one that is over at once


class Caches:
    """Caches on one server, blocking ones and async ones that behave as if they were."""

    def __init__(self, url: str, *, awaited: bool) -> None:
        self.url = url
        self._awaited = awaited
        self._runner = asyncio.Runner()
        self._opened: list[Any] = []

    def tier(self, budget: float | str = "10s", url: str = "") -> RedisTier:
        url = url or self.url
        client = self._runner.run(connect_async(url)) if self._awaited else connect(url)
        return RedisTier(client, budget=budget)

    def cache(self, *tiers: Any, **options: Any) -> Any:
        kind: Any = AsyncCache if self._awaited else Cache
        cache = kind(list(tiers) or [self.tier()], **options)
        self._opened.append(Awaited(cache, self._runner) if self._awaited else cache)
        return self._opened[-1]

    def owes(self, cache: Any) -> int:
        """How many invalidations a store has not heard of, once tasks have gone on."""
        self._runner.run(asyncio.sleep(0))
        return store_of(cache).owes  # type: ignore[no-any-return]

    def close(self) -> None:
        for cache in self._opened:
            cache.close()
        self._runner.close()


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture
def caches(server: LocalServer, awaited: bool) -> Iterator[Caches]:
    """Caches on a server of their own, which may be killed."""
    caches = Caches(server.url, awaited=awaited)
    yield caches
    caches.close()


@pytest.fixture
def safe(bench: Bench, awaited: bool) -> Iterator[Caches]:
    """Caches on a server that outlives the test."""
    bench.reset()
    caches = Caches(bench.url, awaited=awaited)
    yield caches
    caches.close()


def store_of(cache: Any) -> Any:
    """How the store is, as the statistics say."""
    return cache.stats().tiers[-1]


@contextlib.contextmanager
def frozen(server: LocalServer) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


WAYS: dict[str, Callable[[Any], Any]] = {
    "key": lambda cache: cache.invalidate(key="a:1"),
    "tag": lambda cache: cache.invalidate(tag="t"),
    "prefix": lambda cache: cache.invalidate(prefix="a:"),
    "clear": lambda cache: cache.clear(),
    "delete": lambda cache: cache.delete("a:1"),
}


# --- Dead


@needs_server
def test_a_dead_server_costs_one_try_and_no_value(caches: Caches, server: LocalServer) -> None:
    cache = caches.cache(caches.tier(), pause=LONG)
    assert cache.get_or_load("k", lambda: 1) == 1
    server.kill()
    with socket.create_server(("127.0.0.1", server.port)) as grave:  # hangs up on all who come
        grave.settimeout(PATIENCE)
        came: list[int] = []

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = grave.accept()
                    came.append(1)
                    near.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        for number in range(20):
            assert cache.get_or_load("k", lambda number=number: number) == number
            assert cache.get("k") is MISSING
            assert cache.get_many(["k"]) == {}
            assert cache.get_or_load_many(["k"], lambda keys: dict.fromkeys(keys, 5)) == {"k": 5}
            cache.set("k", 1)
            cache.delete("k")
            cache.invalidate(tag="t")
        assert (store_of(cache).away, store_of(cache).openings) == (True, 1)
        assert store_of(cache).failures == 1
        assert len(came) == 1
        grave.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


@needs_server
@pytest.mark.parametrize("memory", [True, False])
def test_a_server_that_comes_back_is_used_again(
    caches: Caches, server: LocalServer, memory: bool
) -> None:
    tiers = [*[MemoryTier()] * memory, caches.tier()]
    cache = caches.cache(*tiers, pause=SHORT, staleness="20ms")
    cache.set("k", "old")
    server.kill()
    assert cache.get_or_load("l", lambda: 1) == 1
    assert store_of(cache).away
    server.start()
    until(lambda: cache.get_or_load("l", lambda: 2) and not store_of(cache).away, "the recovery")
    cache.set("l", 3)
    assert caches.cache().get("l") == 3


@needs_server
def test_a_server_that_speaks_another_language_is_taken_for_away(
    caches: Caches, server: LocalServer
) -> None:
    cache = caches.cache(pause=LONG)
    cache.set("k", 1)
    server.kill()
    with socket.create_server(("127.0.0.1", server.port)) as other:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = other.accept()
                    near.recv(1000)
                    near.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
                    near.close()

        threading.Thread(target=answer, daemon=True).start()
        assert cache.get_or_load("k", lambda: 2) == 2
        assert store_of(cache).away
        other.shutdown(socket.SHUT_RDWR)


# --- Frozen


@needs_server
@pytest.mark.parametrize("memory", [True, False])
def test_a_frozen_server_costs_its_budget_once(
    caches: Caches, server: LocalServer, memory: bool
) -> None:
    tiers = [*[MemoryTier()] * memory, caches.tier(BUDGET)]
    cache = caches.cache(*tiers, pause=LONG)
    cache.get("hello")
    with frozen(server):
        start = time.monotonic()
        for number in range(100):
            assert cache.get_or_load(f"k{number}", lambda number=number: number) == number
        # The one look at the clock: without the breaker it would be 100 times the budget.
        assert time.monotonic() - start < 20 * BUDGET
        assert store_of(cache).failures == 1


@needs_server
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("memory", [True, False])
def test_what_is_invalidated_while_the_server_is_frozen_is_gone_when_it_thaws(
    caches: Caches, server: LocalServer, way: str, memory: bool
) -> None:
    tiers = [*[MemoryTier()] * memory, caches.tier(BUDGET)]
    cache = caches.cache(*tiers, pause=SHORT)
    cache.set("a:1", "old", tags=["t"])
    assert cache.get("a:1") == "old"
    with frozen(server):
        WAYS[way](cache)
        assert store_of(cache).owes == 1
        assert cache.get("a:1") is MISSING
    until(lambda: cache.get("a:1") is MISSING and not store_of(cache).away, "the recovery")
    assert cache.get("a:1") is MISSING
    assert store_of(cache).owes == 0
    assert caches.cache(caches.tier()).get("a:1") is MISSING
    cache.set("a:1", "new", tags=["t"])
    assert caches.cache(caches.tier()).get("a:1") == "new"


@needs_server
def test_what_could_not_be_set_does_not_leave_the_old_value_behind(
    caches: Caches, server: LocalServer
) -> None:
    cache = caches.cache(caches.tier(BUDGET), pause=SHORT)
    cache.set("k", "old")
    with frozen(server):
        cache.set("k", "new")
    until(lambda: cache.get("k") != "old" and not store_of(cache).away, "the recovery")
    assert cache.get("k") in ("new", MISSING)


# --- What a process owes is paid, though it asks for nothing more


@needs_server
@pytest.mark.parametrize("what", WAYS)
def test_what_is_owed_is_paid_though_nobody_asks(
    caches: Caches, proxy: Proxy, awaited: bool, what: str
) -> None:
    reader = caches.cache()
    tier = caches.tier(BUDGET, proxy.url)
    writer = caches.cache(tier, pause=SHORT)
    reader.set("a:1", "old", tags=["t"])
    proxy.cut()
    WAYS[what](writer)
    assert store_of(writer).owes == 1
    assert reader.get("a:1") == "old"
    proxy.mend()
    until(lambda: reader.get("a:1") is MISSING, "that others read nothing old")
    until(lambda: not caches.owes(writer), "that the debt is forgotten")
    assert not store_of(writer).away
    reader.set("a:1", "new")
    assert writer.get("a:1") == "new"


@needs_server
def test_a_cache_that_is_closed_tries_once_more(caches: Caches, proxy: Proxy) -> None:
    reader = caches.cache()
    writer = caches.cache(caches.tier(BUDGET, proxy.url), pause=LONG)
    reader.set("k", "old")
    proxy.cut()
    writer.delete("k")
    proxy.mend()
    writer.close()
    assert reader.get("k") is MISSING


@needs_server
def test_what_cannot_be_paid_does_not_keep_a_cache_from_closing(
    caches: Caches, server: LocalServer
) -> None:
    writer = caches.cache(pause=LONG)
    server.kill()
    writer.delete("k")
    writer.close()
    assert resting() == []


@needs_server
def test_who_pays_ends_when_nothing_is_owed_and_begins_anew(caches: Caches, proxy: Proxy) -> None:
    writer = caches.cache(caches.tier(BUDGET, proxy.url), pause=SHORT)
    for _ in range(3):
        proxy.cut()
        writer.delete("k")
        assert store_of(writer).owes == 1
        proxy.mend()
        until(lambda: not caches.owes(writer), "the paying")
        until(lambda: not resting(), "the end of the thread")


def resting() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "labkit-cache-rests"]


def test_a_cache_that_is_gone_takes_along_who_pays() -> None:
    tier = Fragile()
    cache = Cache([tier], pause=LONG)
    tier.fails = lambda _: True
    cache.delete("k")
    assert len(resting()) == 1
    del cache
    until(lambda: gc.collect() and not resting(), "the end of the thread")


def test_debts_are_paid_where_loads_in_the_background_run_at_once() -> None:
    tier = Fragile()
    cache = Cache([tier], pause=SHORT, background=lambda work: work())
    cache.set("k", "old")
    tier.fails = lambda _: True
    cache.delete("k")
    tier.fails = lambda _: False
    until(lambda: not store_of(cache).owes, "the paying")
    assert cache.get("k") is MISSING
    cache.close()


@needs_server
def test_what_the_store_cannot_be_told_keeps_nothing_else_from_being_told(
    caches: Caches, proxy: Proxy
) -> None:
    reader = caches.cache()
    writer = caches.cache(caches.tier(BUDGET, proxy.url), pause=SHORT)
    reader.set("k", "old")
    proxy.cut()
    writer.delete("k")
    writer.delete("\ud800")
    proxy.mend()
    until(lambda: not caches.owes(writer), "the paying")
    assert reader.get("k") is MISSING
    assert writer.get("k") is MISSING


# --- Between failing and working: a dictionary that can be told to fail


class Fragile(DictTier):
    """A dictionary whose methods fail when they are told to.

    Attributes:
        fails: Answers whether a method fails now, from its name; before it has done its work.
        loses: The same, after it has done its work: only the answer is lost.
    """

    def __init__(self) -> None:
        super().__init__(lambda: 1.0)
        self.fails: Callable[[str], bool] = lambda _: False
        self.loses: Callable[[str], bool] = lambda _: False

    def open(self, namespace: str) -> Any:
        return FragileStore(self, super().open(namespace))


class FragileStore:
    blocking = False

    def __init__(self, tier: Fragile, store: DictStore) -> None:
        self._tier = tier
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if not hasattr(self._store, name):
            raise AttributeError(name)

        def method(*args: Any, **kwargs: Any) -> Any:
            if self._tier.fails(name):
                raise Unavailable("told to fail")
            answer = getattr(self._store, name)(*args, **kwargs)
            if self._tier.loses(name):
                raise Unavailable("told to lose the answer")
            return answer

        return method


def test_nobody_is_served_while_another_pays_what_is_owed() -> None:
    tier = Fragile()
    cache = Cache([tier], pause=SHORT)
    cache.set("a:1", "old", tags=["t"])
    tier.fails = lambda _: True
    cache.invalidate(key="a:1")
    paying, go = threading.Event(), threading.Event()

    def slow(name: str) -> bool:
        if name == "delete" and not paying.is_set():
            paying.set()
            assert go.wait(PATIENCE)
        return False

    tier.fails = slow

    def act(number: int) -> Any:
        if number == 0:
            return until(lambda: paying.is_set() or cache.get("x"))
        assert paying.wait(PATIENCE)
        pause = threading.Event()
        for _ in range(20):  # longer than the pause, in which one caller at a time tries again
            pause.wait(0.002)
            assert cache.get("a:1") is MISSING
        go.set()
        return None

    assert in_threads(2, act)[1] is None
    assert cache.get("a:1") is MISSING


def test_what_is_owed_again_while_it_is_paid_stays_owed() -> None:
    tier = Fragile()
    cache = Cache([tier], pause=SHORT)
    tier.fails = lambda _: True
    cache.invalidate(key="a:1")
    again: list[int] = []

    def pay(name: str) -> bool:
        # The debt has just been paid; before anyone writes that down, it is made anew.
        if name == "delete" and not again:
            again.append(1)
            tier.fails = lambda _: True
            cache.invalidate(key="a:1")
        return False

    tier.fails = lambda _: False
    tier.loses = pay
    until(lambda: cache.get("x") is MISSING and again, "the paying")
    assert store_of(cache).owes == 1
    tier.fails = lambda _: False
    until(lambda: cache.get("x") is MISSING and not store_of(cache).away, "the recovery")
    assert store_of(cache).owes == 0


@pytest.mark.parametrize("many", [False, True])
def test_a_claim_whose_answer_is_lost_keeps_nobody_waiting(many: bool) -> None:
    tier = Fragile()
    cache = Cache([tier], pause=SHORT, lease="1h")
    tier.loses = lambda name: name.startswith("claim")

    def load() -> Any:
        if many:
            return cache.get_or_load_many(["k"], lambda keys: dict.fromkeys(keys, 1))["k"]
        return cache.get_or_load("k", lambda: 1)

    assert load() == 1
    tier.loses = lambda _: False
    waited: list[str] = []

    def fails(name: str) -> bool:
        waited.extend([name] * (name == "wait"))
        return name == "wait"

    tier.fails = fails
    until(lambda: load() == 1 and cache.get("k") == 1, "the recovery")
    assert waited == []


def test_many_debts_become_one() -> None:
    tier = Fragile()
    cache = Cache([tier], pause=SHORT)
    cache.set_many({f"k{i}": i for i in range(10)})
    tier.fails = lambda _: True
    for number in range(10_001):
        cache.delete(f"k{number}")
    assert store_of(cache).owes == 1
    tier.fails = lambda _: False
    until(lambda: cache.get("k0") is MISSING and not store_of(cache).away, "the recovery")
    assert cache.get_many([f"k{i}" for i in range(10)]) == {}


# --- Full, or no master


@needs_server
@pytest.mark.parametrize("way", WAYS)
def test_a_full_server_refuses_values_and_obeys_invalidations(
    caches: Caches, server: LocalServer, way: str
) -> None:
    cache = caches.cache(MemoryTier(), caches.tier(), pause=LONG)
    other = caches.cache(MemoryTier(), caches.tier(), pause=LONG)
    cache.set("a:1", "old", tags=["t"])
    assert other.get("a:1") == "old"
    with server.client() as client:
        client.config_set("maxmemory", 1)
        assert cache.get_or_load("b:1", lambda: "loaded", tags=["t"]) == "loaded"
        assert not store_of(cache).away
        WAYS[way](cache)
        assert (store_of(cache).away, store_of(cache).owes) == (False, 0)
        assert cache.get("a:1") is MISSING
        until(lambda: other.get("a:1") is MISSING, "hearing of it")
        client.config_set("maxmemory", 0)
    assert cache.get("a:1") is MISSING
    cache.set("a:1", "new")
    until(lambda: other.get("a:1") == "new")


@needs_server
def test_a_full_server_does_not_keep_the_old_value_when_a_new_one_is_set(
    caches: Caches, server: LocalServer
) -> None:
    cache = caches.cache(caches.tier(), pause=SHORT)
    cache.set("k", "old")
    with server.client() as client:
        client.config_set("maxmemory", 1)
        cache.set("k", "new")
        until(lambda: cache.get("k") is MISSING and not store_of(cache).away)
        client.config_set("maxmemory", 0)
    assert caches.cache().get("k") is MISSING


@needs_server
def test_a_load_that_a_full_server_does_not_keep_wakes_who_waits(
    caches: Caches, server: LocalServer
) -> None:
    cache = caches.cache(caches.tier(), lease="1h")
    with server.client() as client:

        def load() -> int:
            client.append("cache:l:k", "w")  # the sign of one who waits
            client.config_set("maxmemory", 1)
            return 1

        assert cache.get_or_load("k", load) == 1
        client.config_set("maxmemory", 0)
        assert client.exists("cache:l:k") == 0


@needs_server
def test_a_replica_serves_what_it_has_and_refuses_to_be_written(
    caches: Caches, server: LocalServer
) -> None:
    cache = caches.cache(caches.tier(), pause=SHORT)
    cache.set("a:1", "old")
    with server.client() as client:
        client.replicaof("127.0.0.1", "1")
        assert cache.get("a:1") == "old"
        assert cache.get_or_load("b:1", lambda: 1) == 1
        cache.set("b:1", 2)
        cache.invalidate(key="a:1")
        assert cache.get("a:1") is MISSING
        client.replicaof("NO", "ONE")
    until(lambda: cache.get("a:1") is MISSING and not store_of(cache).away, "the recovery")
    assert cache.get("a:1") is MISSING
    assert cache.get_or_load("b:1", lambda: 3) == 3
    assert caches.cache().get("b:1") == 3


# --- Garbage


def test_scripts_that_a_server_forgot_are_sent_again(safe: Caches) -> None:
    tier = safe.tier()
    cache = safe.cache(tier)
    with connect(safe.url) as client:
        for number in range(3):
            cache.set("k", number)
            cache.set_many({"l": number, "m": number})
            assert cache.get_or_load(f"n{number}", lambda: 1) == 1
            assert cache.get_or_load_many(["x", "y"], lambda keys: dict.fromkeys(keys, 1))
            assert cache.delete("x")
            client.script_flush()
            assert cache.get_many(["k", "l", "m"]) == dict.fromkeys("klm", number)
    assert store_of(cache).failures == 0


GARBAGE: dict[str, Callable[[Any, str], Any]] = {
    "empty": lambda client, name: client.set(name, b""),
    "short": lambda client, name: client.set(name, b"xyz"),
    "eight": lambda client, name: client.set(name, os.urandom(8)),
    "long": lambda client, name: client.set(name, b"\xc1\x01\x02" * 100),
    "head": lambda client, name: client.set(name, b"\xc1\x01\x01"),
    "list": lambda client, name: client.lpush(name, b"x"),
    "hash": lambda client, name: client.hset(name, "x", b"y"),
}


@pytest.mark.parametrize("what", ["v:a:1", "l:a:1", "n:a:1", "t:t", "g", "e"])
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_in_any_key_is_a_miss_and_heals(safe: Caches, what: str, garbage: str) -> None:
    cache = safe.cache()
    with connect(safe.url) as client:

        def spoil() -> None:
            client.delete(f"cache:{what}")
            GARBAGE[garbage](client, f"cache:{what}")

        for way in WAYS:
            for prepare in (
                lambda: cache.clear(),
                lambda: cache.set("a:1", "old", tags=["t"]),
            ):
                prepare()
                spoil()
                assert cache.get("a:1") in ("old", MISSING)
                before = cache.stats().total.loads
                for _ in range(2):
                    value = cache.get_or_load("a:1", lambda: "new", tags=["t"])
                    assert value in ("old", "new")
                loads = cache.stats().total.loads - before
                assert loads == (value == "new")
                spoil()
                WAYS[way](cache)
                assert cache.get("a:1") is MISSING
                spoil()
                cache.set("a:1", "newer", tags=["t"])
                assert cache.get("a:1") == "newer"
    assert store_of(cache).failures == 0


def test_garbage_under_the_right_generation_is_a_miss_and_is_replaced(safe: Caches) -> None:
    tier = safe.tier()
    cache = safe.cache(tier, lease="1h")
    cache.set("k", 1)
    cache.set("l", 1)
    with connect(safe.url, decode_responses=False) as client:
        for key in ("k", "l"):
            head = client.get(f"cache:v:{key}")[:11]
            client.set(f"cache:v:{key}", head + b"garbage")
    with CommandLog(tier.client) as log:
        assert cache.get("k") is MISSING
        assert cache.get_or_load("k", lambda: 2) == 2
        assert cache.get_or_load_many(["k", "l"], lambda keys: dict.fromkeys(keys, 3)) == {
            "k": 2,
            "l": 3,
        }
    assert log.round_trips < 10
    assert cache.get_many(["k", "l"]) == {"k": 2, "l": 3}


def test_a_lease_without_an_end_is_no_lease(safe: Caches) -> None:
    cache = safe.cache(safe.tier(), lease="1h")
    with connect(safe.url) as client:
        client.set("cache:l:k", "x" * 16)
    assert cache.get_or_load("k", lambda: 1) == 1
    assert cache.get("k") == 1


@needs_server
def test_a_full_server_from_which_is_only_read_is_not_left_alone(
    caches: Caches, server: LocalServer
) -> None:
    cache = caches.cache(pause=LONG)
    cache.set("k", "old")
    cache.set("l", "stays")
    with server.client() as client:
        client.config_set("maxmemory", 1)
        cache.set("k", "new")
        assert cache.stats().tiers[-1].failures == 1
        assert caches.owes(cache) == 0
        assert (cache.get("k"), cache.get("l")) == (MISSING, "stays")
