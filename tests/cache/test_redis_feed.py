"""What other programs change in Redis leaves a memory in front of it, too."""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from labkit import LocalServer
from labkit.cache import MISSING, Cache, MemoryTier, RedisTier
from labkit.cache.backends import redis_feed
from labkit.server import find_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

DEADLINE = 10.0

pytestmark = pytest.mark.skipif(find_server() is None, reason="needs a real server")


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture
def client(server: LocalServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        client.flushall()
        yield client


@pytest.fixture
def cache(server: LocalServer) -> Iterator[Cache]:
    """A cache whose copies would be believed for ever, if it heard nothing."""
    cache = Cache(
        [MemoryTier(), RedisTier(server.client(), budget="5s", buckets=2)],
        namespace="site",
        staleness="1h",
    )
    yield cache
    cache.close()


def until(condition: Callable[[], bool]) -> None:
    pause, deadline = threading.Event(), time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "nothing was heard"
        pause.wait(0.005)


def stored(client: redis.Redis, key: str) -> Any:
    """The name of a value in Redis."""
    (name,) = client.scan_iter(f"*:v:{key}")
    return name


def remembered(cache: Cache, server: LocalServer, key: str) -> None:
    """Another cache wrote the value, and this one has it in memory."""
    with Cache([RedisTier(server.client(), buckets=2)], namespace="site") as other:
        other.set(key, "old")
    until(lambda: cache.get(key) == "old")
    hits = cache.stats().total.hits["memory"]
    until(lambda: cache.get(key) == "old" and cache.stats().total.hits["memory"] > hits)


@pytest.mark.parametrize("how", ["delete", "expire", "overwrite"])
def test_a_change_by_another_program_is_heard(
    cache: Cache, server: LocalServer, client: redis.Redis, how: str
) -> None:
    remembered(cache, server, "k")
    name = stored(client, "k")
    if how == "delete":
        client.delete(name)
    elif how == "expire":
        client.pexpire(name, 1)
    else:
        client.set(name, b"what no cache wrote")
    until(lambda: cache.get("k") is MISSING)


def test_a_server_that_is_emptied_is_heard(
    cache: Cache, server: LocalServer, client: redis.Redis
) -> None:
    remembered(cache, server, "k")
    client.flushall()
    until(lambda: cache.get("k") is MISSING)


def test_the_echo_of_ones_own_write_drops_nothing(
    cache: Cache, server: LocalServer, client: redis.Redis
) -> None:
    cache.get("k")  # it listens from now on
    cache.set("k", "own")
    remembered(cache, server, "later")  # what came before it has been heard
    hits = cache.stats().total.hits["redis"]
    assert cache.get("k") == "own"
    assert cache.stats().total.hits["redis"] == hits


def test_an_echo_is_expected_for_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    echoes = redis_feed.Echoes()
    echoes.expect(["a", "b"])
    assert (echoes.hears("a"), echoes.hears("b"), echoes.hears("c")) == (True, True, False)
    now += 0.9
    echoes.expect(["b"])
    now += 0.2
    assert (echoes.hears("a"), echoes.hears("b")) == (False, True)


def test_what_is_expected_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    echoes = redis_feed.Echoes()
    for number in range(20_000):
        now += 0.01  # a hundred writes a second
        echoes.expect([str(number)])
        assert len(vars(echoes)["_written"]) <= 1026


def test_without_tracking_the_server_is_not_asked_for_it(
    server: LocalServer, client: redis.Redis
) -> None:
    def tracking() -> bool:
        return any("t" in info["flags"] for info in client.client_list())

    for wanted in (False, True):
        tier = RedisTier(server.client(), tracking=wanted)
        with Cache([MemoryTier(), tier], namespace="site") as cache:
            cache.get("k")
            assert cache.stats().listening
            assert tracking() is wanted
        until(lambda: not tracking())


def test_the_loss_of_the_tracking_connection_is_noticed(
    server: LocalServer, client: redis.Redis
) -> None:
    tier = RedisTier(server.client(), budget="5s")
    with Cache([MemoryTier(), tier], namespace="site", staleness="300ms") as cache:
        cache.set("k", "v")
        assert cache.get("k") == "v"
        (tracker,) = [info for info in client.client_list() if "t" in info["flags"]]
        client.client_kill(tracker["addr"])

        def another() -> bool:
            found = [info["id"] for info in client.client_list() if "t" in info["flags"]]
            return bool(found) and found != [tracker["id"]]

        until(another)
        until(lambda: cache.stats().listening)


def test_a_cache_that_is_dropped_takes_its_thread_along(server: LocalServer) -> None:
    cache = Cache([MemoryTier(), RedisTier(server.client())], namespace="dropped")
    cache.get("k")
    assert "feed of dropped:changes" in [thread.name for thread in threading.enumerate()]
    del cache
    gc.collect()
    until(lambda: "feed of dropped:changes" not in [t.name for t in threading.enumerate()])
