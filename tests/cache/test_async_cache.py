"""What only async callers see: coroutines, cancelled tasks, event loops, stores that block.

What both kinds of cache answer is in `test_cache`.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest

import labkit
from labkit.cache import MISSING, AsyncCache, Cache, MemoryTier, RedisTier
from tests.cache.dict_store import DictTier

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.cache.conftest import Bed, Benches

PATIENCE = 30.0

pytestmark = pytest.mark.parametrize("awaited", ["async"], indirect=True)


def run(bed: Bed, test: Callable[[AsyncCache], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run a test in the event loop of the bed, with a cache of its tiers."""
    cache = bed.cache(**options).target
    bed.run(asyncio.wait_for(test(cache), PATIENCE))


def test_a_loader_may_be_a_coroutine_function(bed: Bed) -> None:
    loads = itertools.count()

    async def load() -> list[int]:
        await asyncio.sleep(0)
        next(loads)
        return [1]

    async def load_many(keys: list[str]) -> dict[str, int]:
        await asyncio.sleep(0)
        next(loads)
        return dict.fromkeys(keys, 2)

    async def test(cache: AsyncCache) -> None:
        for _ in range(2):
            assert await cache.get_or_load("k", load) == [1]
            assert await cache.get_or_load_many(["a", "b"], load_many) == {"a": 2, "b": 2}
        assert next(loads) == 2

    run(bed, test)


def test_an_error_of_a_coroutine_reaches_the_caller(bed: Bed) -> None:
    async def fail(*keys: Any) -> Any:
        raise LookupError("no")

    async def test(cache: AsyncCache) -> None:
        for _ in range(2):
            with pytest.raises(LookupError, match="no"):
                await cache.get_or_load("k", fail)
            with pytest.raises(LookupError, match="no"):
                await cache.get_or_load_many(["k"], fail)
        assert await cache.get("k") is MISSING

    run(bed, test)


def test_tasks_that_ask_for_a_key_load_it_once_and_have_values_of_their_own(
    bed: Bed, waiting: threading.Semaphore
) -> None:
    loads, callers = itertools.count(), 8

    async def load() -> dict[str, list[int]]:
        next(loads)
        await arrived(waiting, callers - 1)
        return {"list": [1]}

    async def call(cache: AsyncCache) -> None:
        value = await cache.get_or_load("k", load)
        assert value == {"list": [1]}
        value["list"].append(2)

    async def test(cache: AsyncCache) -> None:
        await asyncio.gather(*(call(cache) for _ in range(callers)))
        assert next(loads) == 1
        assert await cache.get("k") == {"list": [1]}

    run(bed, test)


def test_an_error_reaches_every_task_that_waited(bed: Bed, waiting: threading.Semaphore) -> None:
    loads, callers = itertools.count(), 5

    async def fail() -> None:
        next(loads)
        await arrived(waiting, callers - 1)
        raise LookupError("no", 1)

    async def test(cache: AsyncCache) -> None:
        calls = (cache.get_or_load("k", fail) for _ in range(callers))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [(type(answer), answer.args) for answer in answers] == [
            (LookupError, ("no", 1))
        ] * callers
        assert next(loads) == 1
        assert await cache.get_or_load("k", lambda: 2) == 2

    run(bed, test)


def test_when_the_task_that_loads_is_cancelled_one_that_waits_takes_over(
    bed: Bed, waiting: threading.Semaphore
) -> None:
    begun = asyncio.Event()

    async def hang() -> str:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def test(cache: AsyncCache) -> None:
        first = asyncio.create_task(cache.get_or_load("k", hang))
        await begun.wait()
        others = [asyncio.create_task(cache.get_or_load("k", lambda: "second")) for _ in range(3)]
        await arrived(waiting, 3)
        first.cancel()
        assert await asyncio.gather(*others) == ["second"] * 3
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await cache.get("k") == "second"

    run(bed, test, lease="1h")


def test_a_task_that_gives_up_waiting_harms_nobody(bed: Bed, waiting: threading.Semaphore) -> None:
    go = asyncio.Event()

    async def load() -> str:
        await go.wait()
        return "v"

    async def test(cache: AsyncCache) -> None:
        tasks = [asyncio.create_task(cache.get_or_load("k", load)) for _ in range(3)]
        await arrived(waiting, 2)
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        go.set()
        assert [await tasks[0], await tasks[2]] == ["v", "v"]

    run(bed, test)


def test_a_cancelled_loader_of_many_leaves_nothing_claimed(bed: Bed) -> None:
    begun = asyncio.Event()

    async def hang(keys: list[str]) -> dict[str, int]:
        begun.set()
        await asyncio.Event().wait()
        return {}

    async def test(cache: AsyncCache) -> None:
        task = asyncio.create_task(cache.get_or_load_many(["a", "b"], hang))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await cache.get_or_load("a", lambda: 1) == 1
        assert await cache.get("b") is MISSING

    run(bed, test, lease="1h")


async def arrived(waiting: threading.Semaphore, number: int) -> None:
    """Return when so many callers wait for a load."""
    for _ in range(number):
        while not waiting.acquire(blocking=False):
            await asyncio.sleep(0)


class Slow:
    """A store that waits for something outside, and notes in which thread."""

    blocking = True

    def __init__(self, store: Any, threads: set[int]) -> None:
        self._store = store
        self._threads = threads

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self.__getattr__("get")(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)

        def method(*args: Any, **kwargs: Any) -> Any:
            self._threads.add(threading.get_ident())
            return found(*args, **kwargs)

        return method


class SlowTier(DictTier):
    def __init__(self, threads: set[int]) -> None:
        super().__init__()
        self._threads = threads

    def open(self, namespace: str) -> Any:
        return Slow(super().open(namespace), self._threads)


def test_a_store_that_blocks_is_asked_in_other_threads(benches: Benches, awaited: bool) -> None:
    threads: set[int] = set()

    async def test() -> None:
        async with AsyncCache([SlowTier(threads)]) as cache:
            assert await cache.get_or_load("k", lambda: 1) == 1
            assert await cache.get("k") == 1
            await cache.set("k", 2)
            await cache.invalidate(tag="t")
            assert await cache.delete("k")

    asyncio.run(test())
    assert threads
    assert threading.get_ident() not in threads


class Coroutines:
    """A store whose methods are coroutine functions."""

    blocking = False

    def __init__(self, store: Any) -> None:
        self._store = store

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return self._store.get(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)

        async def method(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            return found(*args, **kwargs)

        return method


class CoroutinesTier(DictTier):
    def open(self, namespace: str) -> Any:
        return Coroutines(super().open(namespace))


@pytest.mark.filterwarnings("error")
def test_a_store_of_coroutine_functions_serves_async_caches_only(awaited: bool) -> None:
    with pytest.raises(TypeError, match="is asynchronous; use an AsyncCache"):
        Cache([CoroutinesTier()])

    async def test() -> None:
        async with AsyncCache([MemoryTier(), CoroutinesTier()]) as cache:
            await cache.set("k", [1], tags=["t"])
            assert await cache.get("k") == [1]
            assert await cache.get_or_load_many(["a", "k"], one_each) == {"a": 1, "k": [1]}
            await cache.invalidate(tag="t")
            assert await cache.get_many(["a", "k"]) == {"a": 1}

    asyncio.run(test())


async def one_each(keys: list[str]) -> dict[str, int]:
    return dict.fromkeys(keys, 1)


@pytest.mark.parametrize("kind", ["blocking", "async"])
@pytest.mark.parametrize("server", ["fake", "server"])
def test_a_cache_outlives_an_event_loop(
    benches: Benches, awaited: bool, server: str, kind: str
) -> None:
    bench = benches.get(server)
    client = bench.client() if kind == "blocking" else asyncio.run(labkit.connect_async(bench.url))
    cache = AsyncCache([RedisTier(client, budget="5s")], namespace="loops")

    async def use(number: int) -> None:
        assert await cache.get_or_load(f"k{number}", lambda: number) == number
        assert await cache.get("k0") == 0

    for number in range(3):
        asyncio.run(use(number))
    asyncio.run(cache.close())


def test_several_event_loops_share_a_cache_in_memory(
    awaited: bool, waiting: threading.Semaphore
) -> None:
    cache, loads, callers = AsyncCache(), itertools.count(), 4

    async def load() -> list[int]:
        next(loads)
        await asyncio.to_thread(wait_for, waiting, callers - 1)
        return [1]

    answers: list[Any] = []

    def call() -> None:
        answers.append(asyncio.run(cache.get_or_load("k", load)))

    threads = [threading.Thread(target=call, daemon=True) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == [[1]] * callers
    assert len({id(answer) for answer in answers}) == callers
    assert next(loads) == 1


def wait_for(waiting: threading.Semaphore, number: int) -> None:
    for _ in range(number):
        assert waiting.acquire(timeout=PATIENCE)
