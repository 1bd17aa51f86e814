"""What could not be invalidated: in whatever way it comes about, nothing old is left in the end."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from labkit.cache import MISSING, AsyncCache, Cache, MemoryTier, RedisTier
from labkit.cache.background import Background
from labkit.cache.errors import Unavailable
from labkit.cache.guard import Guard
from labkit.cache.steps import run, run_async
from labkit.clock import FakeClock
from labkit.server import LocalServer
from tests.cache.crowd import PATIENCE, in_threads, until
from tests.cache.dict_store import DictStore, DictTier
from tests.cache.test_faults import LONG, SHORT, Fragile, needs_server, resting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from labkit.cache.backends.base import Listener


def owes(cache: Any) -> list[int]:
    return [tier.owes for tier in cache.stats().tiers]


async def until_async(happens: Callable[[], Any], what: str = "it") -> None:
    """Ask again and again until the answer is true, and let tasks go on meanwhile."""
    async with asyncio.timeout(PATIENCE):
        while not happens():
            await asyncio.sleep(0.002)


class Held(DictTier):
    """A dictionary whose awaited methods may be held up before they do their work.

    Attributes:
        name: Of the method that is held up.
        came: Set when it was called.
        go: What it waits for.
        loses: Whether its answer is lost.
    """

    def __init__(self) -> None:
        super().__init__(lambda: 1.0)
        self.name = ""
        self.came, self.go = asyncio.Event(), asyncio.Event()
        self.loses = False

    def open(self, namespace: str) -> Any:
        return HeldStore(self, super().open(namespace))

    def has(self, key: str) -> bool:
        return super().open("cache").get(key) is not None


class HeldStore:
    blocking = False

    def __init__(self, tier: Held, store: DictStore) -> None:
        self._tier = tier
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if not hasattr(self._store, name):
            raise AttributeError(name)

        async def method(*args: Any, **kwargs: Any) -> Any:
            tier, held = self._tier, name == self._tier.name
            if name == "wait":  # that of the dictionary would hold up the loop
                return await asyncio.sleep(0.002)
            if held:
                tier.came.set()
                await tier.go.wait()
            answer = getattr(self._store, name)(*args, **kwargs)
            if held and tier.loses:
                raise Unavailable("told to lose the answer")
            return answer

        return method


# --- The caller is stopped


CALLS: dict[str, tuple[str, Callable[[AsyncCache], Awaitable[Any]]]] = {
    "delete": ("delete", lambda cache: cache.delete("a:1")),
    "key": ("delete", lambda cache: cache.invalidate(key="a:1")),
    "tag": ("drop_tags", lambda cache: cache.invalidate(tag="t")),
    "prefix": ("delete_prefix", lambda cache: cache.invalidate(prefix="a:")),
    "clear": ("clear", lambda cache: cache.clear()),
    "set": ("set_many", lambda cache: cache.set("a:1", "new")),
}


@pytest.mark.parametrize("loses", [True, False])
@pytest.mark.parametrize("far", [True, False])
@pytest.mark.parametrize("call", CALLS)
def test_what_a_cancelled_caller_invalidated_is_gone_everywhere(
    call: str, far: bool, loses: bool
) -> None:
    async def main() -> None:
        held, other = Held(), Held()
        tiers: list[Any] = [MemoryTier(), other, held] if far else [MemoryTier(), held]
        cache = AsyncCache(tiers, pause=SHORT if loses else LONG)
        await cache.set("a:1", "old", tags=["t"])
        held.name, act = CALLS[call]
        held.loses = loses
        task = asyncio.ensure_future(act(cache))
        await held.came.wait()
        task.cancel()
        held.go.set()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        held.name = ""
        old = await cache.get("a:1")
        assert old is MISSING or (call == "set" and old == "new")
        await until_async(lambda: not any(owes(cache)), "the paying")
        assert held.has("a:1") is (call == "set" and not loses)
        assert not other.has("a:1")
        assert loses or not cache.stats().tiers[-1].openings
        await cache.close()

    asyncio.run(main())


def test_who_is_cancelled_between_two_invalidations_owes_the_other() -> None:
    async def main() -> None:
        held, background = Held(), Background()
        guard = Guard(held.open("test"), "held", 1.0, background)
        held.name = "delete_prefix"
        task = asyncio.create_task(run_async(guard.tell("delete_prefix", ["a:", "b:"])))
        await held.came.wait()
        task.cancel()
        held.go.set()
        await asyncio.gather(task, return_exceptions=True)
        assert (task.cancelled(), guard.owes) == (True, 2)
        await until_async(lambda: not guard.owes, "the paying")
        await background.close_tasks()

    asyncio.run(main())


def test_who_is_cancelled_while_paying_leaves_that_to_the_next() -> None:
    async def main() -> None:
        held, clock = Held(), FakeClock(1000)
        guard = Guard(held.open("test"), "held", 1.0, Background(), clock)
        guard.remember("delete", ["k"])
        clock.advance(2)
        held.name = "delete"
        reader = asyncio.create_task(run_async(guard.ask("get", "l")))
        await held.came.wait()
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        held.name = ""
        assert await run_async(guard.ask("get", "l")) is None
        assert (guard.away, guard.owes) == (False, 0)

    asyncio.run(main())


def test_what_a_cancelled_caller_may_have_claimed_keeps_nobody_waiting() -> None:
    async def main() -> None:
        held = Held()
        cache, other = (AsyncCache([held], pause=SHORT, lease="1h") for _ in range(2))
        held.name, held.loses = "claim", True
        task = asyncio.create_task(cache.get_or_load("k", lambda: 1))
        await held.came.wait()
        task.cancel()
        held.go.set()
        await asyncio.gather(task, return_exceptions=True)
        held.name = ""
        async with asyncio.timeout(PATIENCE):
            assert await other.get_or_load("k", lambda: 2) == 2
        await cache.close()
        await other.close()

    asyncio.run(main())


# --- Stores one behind the other


def shared(tier: Fragile) -> Fragile:
    """Another way to a dictionary, which fails when it is told to itself."""
    other = Fragile()
    other._stores = tier._stores
    return other


@pytest.mark.parametrize("ends", [True, False])
@pytest.mark.parametrize("memory", [True, False])
def test_a_nearer_store_that_others_fill_meanwhile_gives_out_nothing_old(
    memory: bool, ends: bool
) -> None:
    near, far = Fragile(), Fragile()
    cache = Cache([*[MemoryTier()] * memory, near, far], pause=SHORT)
    other = Cache([shared(near), shared(far)])
    cache.set("k", "old")
    far.fails = lambda _: True
    cache.delete("k")
    assert other.get_or_load("k", lambda: "new") == "old"  # the nearer store has it again
    assert cache.get("k") is MISSING
    if ends:
        other.close()
    far.fails = lambda _: False
    until(lambda: not any(owes(cache)), "the paying")
    assert cache.get("k") is MISSING
    assert Cache([shared(near), shared(far)]).get("k") is MISSING


class Telling(Fragile):
    """A dictionary that says, when nobody is to listen any more, that a key has changed."""

    def open(self, namespace: str) -> Any:
        store = super().open(namespace)
        store.listen = lambda listener, bound: LastWord(listener)
        return store


class LastWord:
    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        listener.restored()

    def close(self) -> None:
        self._listener.changed(["k"])


def test_what_is_heard_while_a_cache_closes_leaves_nobody_at_work() -> None:
    near = Fragile()
    cache = Cache([MemoryTier(), near, Telling()], pause=SHORT)
    cache.get("k")
    near.fails = lambda _: True
    cache.close()
    assert owes(cache) == [0, 1, 0]
    assert resting() == []


@needs_server
def test_two_awaited_stores_serve_a_cache_in_the_next_event_loop_as_well() -> None:
    with LocalServer() as near, LocalServer() as far:
        reader: AsyncCache
        with Cache([RedisTier(far.client())]) as writer:

            async def first() -> None:
                nonlocal reader
                from labkit import connect_async

                tiers = [RedisTier(await connect_async(each.url)) for each in (near, far)]
                reader = AsyncCache([MemoryTier(), *tiers], staleness="1h", pause=LONG)
                await reader.set("k", "old")

            async def second() -> None:
                assert await reader.get("hello") is MISSING  # the loop is another one now
                writer.set("k", "new")
                while await reader.get("k") != "new":
                    await asyncio.sleep(0.002)
                assert owes(reader) == [0, 0, 0]
                await reader.close()

            asyncio.run(first())
            asyncio.run(asyncio.wait_for(second(), PATIENCE))


# --- Who pays


def test_what_an_earlier_event_loop_left_is_paid_in_the_next() -> None:
    tier = Fragile()
    cache = AsyncCache([tier], pause="50ms")

    async def first() -> None:
        await cache.set("k", "old")
        tier.fails = lambda _: True
        await cache.delete("k")

    async def second() -> None:
        assert await cache.get("other") is MISSING  # the store is still left alone
        tier.fails = lambda _: False
        await until_async(lambda: not any(owes(cache)), "the paying")
        assert Cache([shared(tier)]).get("k") is MISSING
        await cache.close()

    asyncio.run(first())
    asyncio.run(second())


def test_a_cache_whose_event_loop_is_gone_can_be_closed() -> None:
    tier = Fragile()
    cache = AsyncCache([tier], pause=LONG)
    tier.fails = lambda _: True
    loop = asyncio.new_event_loop()
    loop.run_until_complete(as_coroutine(cache.delete("k")))
    loop.close()
    tier.fails = lambda _: False
    asyncio.run(as_coroutine(cache.close()))
    assert owes(cache) == [0]


async def as_coroutine(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def test_many_who_owe_at_once_do_not_keep_a_store_away() -> None:
    clock, tier, again = FakeClock(1000), Fragile(), iter(range(10_000))
    background = Background()
    guard = Guard(tier.open("test"), "dict", 1.0, background, clock)
    guard.remember("delete", ["k"])
    clock.advance(2)
    inside: list[str] = []

    def others_write(name: str) -> bool:
        if name == "delete" and not inside:
            inside.append(name)
            for number in (next(again), next(again)):
                run(guard.tell("delete", [f"k{number}"]))
            inside.clear()
        return False

    tier.loses = others_write
    assert run(guard.ask("get", "k")) is None
    assert (guard.away, guard.owes) == (False, 0)
    background.close()


def test_several_may_close_a_cache_at_once() -> None:
    for _ in range(20):
        tier = Fragile()
        cache = Cache([tier], pause=SHORT)
        tier.fails = lambda _: True
        cache.delete("k")
        assert in_threads(4, functools.partial(lambda cache, _: cache.close(), cache)) == [None] * 4
    assert resting() == []


def test_a_thread_that_cannot_begin_begins_with_the_next_who_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tier = Fragile()
    cache = Cache([tier], pause=SHORT)
    cache.set("k", "old")
    tier.fails = lambda _: True

    def too_many(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", too_many)
        cache.delete("k")
    assert resting() == []
    assert cache.get("other") is MISSING
    tier.fails = lambda _: False
    until(lambda: not any(owes(cache)), "the paying")
    assert cache.get("k") is MISSING


AT_THE_END = """
import sys, types
from labkit.cache import Cache
from tests.cache.test_faults import Fragile

tier = Fragile()
cache = Cache([tier], pause="20ms")
tier.fails = lambda _: True

class Holder:
    def __del__(self):
        cache.delete("k")

sys.modules["keeps_it"] = types.ModuleType("keeps_it")
sys.modules["keeps_it"].holder = Holder()
"""


def test_an_interpreter_that_ends_is_not_held_up() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", AT_THE_END], timeout=2 * PATIENCE, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
