"""Several processes on one server: a key loads once among them, whatever becomes of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from labkit import connect
from labkit.cache import MISSING, Cache, MemoryTier, RedisTier
from labkit.clock import fast_forward
from labkit.server import LocalServer, find_server
from tests.cache.crowd import PATIENCE, in_threads, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

pytestmark = pytest.mark.skipif(find_server() is None, reason="fakeredis lives in one process")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

PROCESSES, THREADS = 4, 8
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture
def client(server: LocalServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        client.flushall()
        yield client


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(PROCESSES, SPAWN) as pool:
        yield pool


def opened(url: str, *, memory: bool = True, **options: Any) -> Cache:
    """A cache that does not take a busy machine for a dead server."""
    tier = RedisTier(connect(url), budget="10s")
    return Cache([MemoryTier(), tier] if memory else [tier], staleness="1h", **options)


def together(client: redis.Redis, count: int) -> None:
    """Return when so many processes have come here."""
    client.incr("here")
    until(lambda: int(client.get("here") or 0) >= count, "the coming of the others")


def ask(url: str, memory: bool, fails: int) -> list[Any]:
    """In a process: many threads ask for a key; the first loads fail."""
    with connect(url) as client, opened(url, memory=memory) as cache:
        cache.get("other")
        together(client, PROCESSES)

        def load() -> int:
            if (number := int(client.incr("loads"))) <= fails:
                raise LookupError(number)
            return number

        found = in_threads(THREADS, lambda _: cache.get_or_load("k", load))
        return [repr(each) for each in found]


@pytest.mark.parametrize("memory", [True, False])
def test_processes_load_a_cold_key_once(
    server: LocalServer, client: redis.Redis, pool: ProcessPoolExecutor, memory: bool
) -> None:
    asked = [pool.submit(ask, server.url, memory, 0) for _ in range(PROCESSES)]
    assert [each.result(PATIENCE) for each in asked] == [["1"] * THREADS] * PROCESSES
    assert client.get("loads") == "1"


def test_a_load_that_fails_lets_another_caller_load(
    server: LocalServer, client: redis.Redis, pool: ProcessPoolExecutor
) -> None:
    asked = [pool.submit(ask, server.url, True, 2) for _ in range(PROCESSES)]
    found = [value for each in asked for value in each.result(PATIENCE)]
    assert set(found) <= {"LookupError(1)", "LookupError(2)", "3"}
    assert {"LookupError(1)", "LookupError(2)", "3"} == set(found)
    assert client.get("loads") == "3"


OLD = {"ttl": 100, "stale_if_error": 1000}
STALE = {"ttl": 100, "stale_while_revalidate": 1000}


def ask_for_old(url: str, memory: bool, options: dict[str, int]) -> list[Any]:
    """In a process: many threads ask for a key whose time is over."""
    with connect(url) as client, opened(url, memory=memory, **options) as cache:
        cache.get("other")
        together(client, PROCESSES)

        def load() -> int:
            return int(client.incr("loads"))

        # The cache's end waits for what it loads in the background.
        return in_threads(THREADS, lambda _: cache.get_or_load("k", load))


@pytest.mark.parametrize("memory", [True, False])
@pytest.mark.parametrize(("options", "answers"), [(OLD, {1}), (STALE, {0, 1})])
def test_processes_load_a_key_once_when_its_time_is_over(
    server: LocalServer,
    client: redis.Redis,
    pool: ProcessPoolExecutor,
    memory: bool,
    options: dict[str, int],
    answers: set[int],
) -> None:
    with opened(server.url, memory=False, **options) as cache:
        cache.set("k", 0)
    fast_forward(client, 150)
    asked = [pool.submit(ask_for_old, server.url, memory, options) for _ in range(PROCESSES)]
    found = [value for each in asked for value in each.result(PATIENCE)]
    assert len(found) == PROCESSES * THREADS
    assert set(found) <= answers
    assert client.get("loads") == "1"


# --- Processes that end


def hold(url: str) -> None:
    """In a process: load a key, and never come to an end."""
    with connect(url) as client:

        def load() -> int:
            client.set("holder", os.getpid())
            threading.Event().wait()
            return 1

        opened(url, memory=False, lease="1h").get_or_load("k", load)


def test_the_lease_of_a_process_that_was_killed_runs_out(
    server: LocalServer, client: redis.Redis
) -> None:
    process = SPAWN.Process(target=hold, args=(server.url,))
    process.start()
    pid = until(lambda: client.get("holder"), "the load")
    assert int(pid) == process.pid
    os.kill(int(pid), signal.SIGKILL)
    process.join(PATIENCE)
    cache = opened(server.url, memory=False, lease="1h")

    def act(number: int) -> Any:
        if number == 0:
            return cache.get_or_load("k", lambda: 2)
        until(lambda: client.strlen("cache:l:k") > 16, "the waiting")
        assert client.get("cache:v:k") is None
        fast_forward(client, "1h", match="cache:l:k")
        return 2

    assert in_threads(2, act) == [2, 2]
    assert cache.stats().total.loads == 1
    cache.close()


# --- What others change


def change(url: str, how: str) -> None:
    """In a process: change what a cache of another one has."""
    with opened(url) as cache:
        {
            "set": lambda: cache.set("a:1", "new"),
            "key": lambda: cache.invalidate(key="a:1"),
            "tag": lambda: cache.invalidate(tag="t"),
            "prefix": lambda: cache.invalidate(prefix="a:"),
            "clear": lambda: cache.clear(),
        }[how]()


@pytest.mark.parametrize("how", ["set", "key", "tag", "prefix", "clear"])
def test_what_another_process_changes_leaves_the_memory(
    server: LocalServer, client: redis.Redis, pool: ProcessPoolExecutor, how: str
) -> None:
    with opened(server.url) as cache:
        cache.set("a:1", "old", tags=["t"])
        assert cache.get("a:1") == "old"
        pool.submit(change, server.url, how).result(PATIENCE)
        new = "new" if how == "set" else MISSING
        until(lambda: cache.get("a:1") == new, "hearing of it")


# --- Forked children


def in_child(act: Callable[[], None]) -> Callable[[], None]:
    """Run an act in a forked child; answers a function that waits for its good end."""
    pid = os.fork()
    if not pid:
        try:
            act()
        except BaseException:
            os._exit(1)
        os._exit(0)

    def end() -> None:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "an assertion in the child"

    return end


@needs_fork
def test_a_forked_child_hears_changes_and_tells_its_own(
    server: LocalServer, client: redis.Redis
) -> None:
    with opened(server.url) as cache:
        cache.set("mine", "old")
        cache.set("its", "old")
        assert (cache.get("mine"), cache.get("its")) == ("old", "old")

        def act() -> None:
            with connect(server.url) as own:
                assert (cache.get("mine"), cache.get("its")) == ("old", "old")
                assert cache.stats().listening
                own.set("read", 1)
                until(lambda: cache.get("mine") == "new")
                cache.set("its", "new")
                assert cache.get_or_load("k", lambda: 1) == 1

        end = in_child(act)
        until(lambda: client.get("read"), "the reading of the child")
        cache.set("mine", "new")
        end()
        until(lambda: cache.get("its") == "new", "hearing of the child")
        assert cache.get("mine") == "new"
        assert cache.get_or_load("k", lambda: 2) == 1
        assert cache.stats().listening


@needs_fork
def test_a_forked_child_leaves_the_connections_to_its_parent(
    server: LocalServer, client: redis.Redis
) -> None:
    with opened(server.url) as cache, opened(server.url) as other:
        cache.set("k", 0)
        before = {each["id"] for each in client.client_list()}

        def act() -> None:
            for number in range(50):
                cache.set(f"child:{number}", number)
                assert cache.get_many([f"child:{number}"]) == {f"child:{number}": number}
            cache.close()

        end = in_child(act)
        for number in range(50):
            other.set(f"k:{number}", number)
            assert cache.get(f"k:{number}") == number
        end()
        assert before <= {each["id"] for each in client.client_list()}
        assert cache.stats().tiers[1].failures == 0
        cache.get("k")
        other.set("k", 1)
        until(lambda: cache.get("k") == 1, "hearing of it")


@needs_fork
def test_a_child_that_is_forked_while_threads_load_does_not_wait_for_them(
    server: LocalServer, client: redis.Redis
) -> None:
    begun, go = threading.Event(), threading.Event()

    def load() -> int:
        begun.set()
        assert go.wait(PATIENCE)
        return 1

    with opened(server.url) as cache:
        thread = threading.Thread(target=cache.get_or_load, args=("k", load))
        thread.start()
        assert begun.wait(PATIENCE)

        def act() -> None:
            signal.alarm(int(PATIENCE))
            cache.delete("k")  # the claim of the parent is at the server
            assert cache.get_or_load("k", lambda: 2) == 2

        in_child(act)()
        go.set()
        thread.join(PATIENCE)
        assert cache.get("k") == 2
