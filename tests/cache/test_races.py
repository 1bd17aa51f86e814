"""Many callers at once: a key loads once, and what was invalidated stays away."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit import connect_async
from labkit.cache import MISSING, AsyncCache, Cache, MemoryTier, RedisTier
from labkit.cache.backends.base import Claim
from labkit.cache.flights import Flight, Flights
from tests.cache.crowd import PATIENCE, Stage, StagedMemory, StagedTier, in_threads, until
from tests.cache.dict_store import DictStore
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from labkit.course.bench import Bench

MANY = 32
LAYOUTS = ("memory", "redis", "memory+redis")


class Place:
    """Caches of one arrangement of tiers, on one server."""

    def __init__(self, layout: str, bench: Bench) -> None:
        bench.reset()
        self.layout = layout
        self.bench = bench
        self._opened: list[Cache] = []

    def tiers(self, client: Any) -> list[Any]:
        memory = [MemoryTier()] if "memory" in self.layout else []
        return memory + ([RedisTier(client, budget="10s")] if "redis" in self.layout else [])

    def cache(self) -> Cache:
        self._opened.append(Cache(self.tiers(self.bench.client()), ttl="10m"))
        return self._opened[-1]

    async def async_cache(self, *, threads: bool = False) -> Any:
        """One whose Redis is asked by an asyncio client, or by a blocking one in threads."""
        client = self.bench.client() if threads else await connect_async(self.bench.url)
        return AsyncCache(self.tiers(client), ttl="10m")

    def waits_for_lease(self, key: str) -> bool:
        """Whether a cache waits for the load of another one: it leaves a sign."""
        with self.bench.client() as client:
            return int(client.strlen(f"cache:l:{key}")) > 16

    def close(self) -> None:
        for cache in self._opened:
            cache.close()


@pytest.fixture(params=LAYOUTS)
def place(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Place]:
    place = Place(request.param, bench)
    yield place
    place.close()


class Waiting:
    """Counts who waits for a flight, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._changed = threading.Condition()
        self._count = 0
        plain, plain_async = Flight.wait, Flight.wait_async

        def wait(flight: Flight, seconds: float) -> Any:
            self._add()
            return plain(flight, seconds)

        async def wait_async(flight: Flight, seconds: float) -> Any:
            self._add()
            return await plain_async(flight, seconds)

        monkeypatch.setattr(Flight, "wait", wait)
        monkeypatch.setattr(Flight, "wait_async", wait_async)

    def _add(self) -> None:
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def until(self, count: int) -> None:
        """Return when so many have begun to wait."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._count >= count, PATIENCE)

    async def until_async(self, count: int) -> None:
        await asyncio.to_thread(self.until, count)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    return Waiting(monkeypatch)


# --- A cold key loads once


def test_threads_load_a_cold_key_once(place: Place, waiting: Waiting) -> None:
    cache, loads = place.cache(), Counter[str]()

    def load() -> dict[str, int]:
        loads["k"] += 1
        waiting.until(MANY - 1)
        return {"n": loads["k"]}

    values = in_threads(MANY, lambda _: cache.get_or_load("k", load))
    assert values == [{"n": 1}] * MANY
    assert loads["k"] == 1
    assert len({id(value) for value in values}) == MANY, "a value that can change is each one's own"
    counts = cache.stats().total
    assert (counts.misses, counts.loads, counts.waits, sum(counts.hits.values())) == (1, 1, 31, 0)
    assert cache.get("k") == {"n": 1}


def test_tasks_load_a_cold_key_once(place: Place) -> None:
    async def main() -> None:
        cache, loads = await place.async_cache(), Counter[str]()

        async def load() -> int:
            loads["k"] += 1
            await asyncio.sleep(0)
            return loads["k"]

        async with cache:
            values = await asyncio.gather(*[cache.get_or_load("k", load) for _ in range(MANY)])
            assert values == [1] * MANY
            assert loads["k"] == 1
            assert await cache.get("k") == 1

    asyncio.run(main())


def test_the_loops_of_several_threads_load_a_cold_key_once(place: Place, waiting: Waiting) -> None:
    cache = asyncio.run(place.async_cache(threads=True))
    loads = Counter[str]()

    async def load() -> int:
        loads["k"] += 1
        await waiting.until_async(MANY - 1)
        return 7

    async def ask() -> Any:
        return await asyncio.gather(*[cache.get_or_load("k", load) for _ in range(MANY // 4)])

    assert in_threads(4, lambda _: asyncio.run(ask())) == [[7] * (MANY // 4)] * 4
    assert loads["k"] == 1
    asyncio.run(cache.close())


@pytest.mark.parametrize("place", ["redis", "memory+redis"], indirect=True)
def test_caches_on_one_server_load_a_cold_key_once(place: Place) -> None:
    loads, lock = Counter[str](), threading.Lock()
    several = threading.Barrier(4)

    async def ask(number: int) -> Any:
        async def load() -> int:
            with lock:
                loads["k"] += 1
            await asyncio.sleep(0)
            return 7

        async with await place.async_cache() as cache:
            await cache.get("other")
            await asyncio.to_thread(several.wait, PATIENCE)
            return await asyncio.gather(*[cache.get_or_load("k", load) for _ in range(8)])

    assert in_threads(4, lambda number: asyncio.run(ask(number))) == [[7] * 8] * 4
    assert loads["k"] == 1


@pytest.mark.parametrize("place", ["redis", "memory+redis"], indirect=True)
def test_another_cache_waits_for_the_load_and_gets_its_value(place: Place) -> None:
    first, second = place.cache(), place.cache()
    begun, go = threading.Event(), threading.Event()

    def load() -> int:
        begun.set()
        assert go.wait(PATIENCE)
        return 1

    def ask(number: int) -> int:
        if number == 0:
            return first.get_or_load("k", load)
        assert begun.wait(PATIENCE)
        if number == 1:
            return second.get_or_load("k", lambda: 2)
        until(lambda: place.waits_for_lease("k"), "the waiting")
        go.set()
        return 1

    assert in_threads(3, ask) == [1, 1, 1]
    assert second.stats().total.loads == 0


def test_batches_that_overlap_load_each_key_once(place: Place) -> None:
    keys = [f"k{i}" for i in range(6)]
    for _ in range(times(10)):
        cache, loads, lock = place.cache(), Counter[str](), threading.Lock()
        cache.clear()

        def load(missing: list[str], loads: Any = loads, lock: Any = lock) -> dict[str, str]:
            with lock:
                loads.update(missing)
            return {key: key for key in missing}

        def ask(number: int, cache: Any = cache, load: Any = load) -> dict[str, str]:
            mine = keys[number % 6 :] + keys[: number % 6]
            found: dict[str, str] = cache.get_or_load_many(mine[:: (-1) ** number], load)
            return found

        assert in_threads(6, ask) == [{key: key for key in keys}] * 6
        assert loads == dict.fromkeys(keys, 1)


def test_batches_that_begin_with_different_keys_do_not_take_each_other_for_a_deadlock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache, loads, lock = Cache(), Counter[str](), threading.Lock()
    both, here, plain = threading.Barrier(2), threading.local(), Flights.join

    def join(flights: Flights, key: str, *, anew: bool = False) -> Any:
        answer = plain(flights, key, anew=anew)
        if not hasattr(here, "joined"):  # each has its first key before one asks for its second
            here.joined = both.wait(PATIENCE)
        return answer

    def load(missing: list[str]) -> dict[str, str]:
        with lock:
            loads.update(missing)
        return {key: key for key in missing}

    monkeypatch.setattr(Flights, "join", join)
    keys = (["a", "b"], ["b", "a"])
    found = in_threads(2, lambda number: cache.get_or_load_many(keys[number], load))
    assert found == [{"a": "a", "b": "b"}] * 2
    assert loads == {"a": 1, "b": 1}


# --- Errors


def test_an_error_reaches_every_thread_once(place: Place, waiting: Waiting) -> None:
    cache, loads = place.cache(), Counter[str]()

    def fail() -> int:
        loads["k"] += 1
        waiting.until(MANY - 1)
        raise LookupError("no row", loads["k"])

    errors = in_threads(MANY, lambda _: cache.get_or_load("k", fail))
    assert [(type(error), error.args) for error in errors] == [(LookupError, ("no row", 1))] * MANY
    assert loads["k"] == 1
    assert cache.get("k") is MISSING
    assert cache.get_or_load("k", lambda: 5) == 5


def test_an_error_reaches_every_task_once(place: Place, waiting: Waiting) -> None:
    async def main() -> None:
        loads = Counter[str]()

        async def fail() -> int:
            loads["k"] += 1
            await waiting.until_async(MANY - 1)
            raise LookupError("no row", loads["k"])

        async with await place.async_cache() as cache:
            calls = [cache.get_or_load("k", fail) for _ in range(MANY)]
            errors = await asyncio.gather(*calls, return_exceptions=True)
            assert [error.args for error in errors] == [("no row", 1)] * MANY
            assert loads["k"] == 1
            assert await cache.get_or_load("k", lambda: 5) == 5

    asyncio.run(main())


@pytest.mark.parametrize("place", ["redis", "memory+redis"], indirect=True)
def test_a_load_that_fails_lets_another_cache_load_at_once(place: Place) -> None:
    first, second = place.cache(), place.cache()

    def fail() -> int:
        raise LookupError

    with pytest.raises(LookupError):
        first.get_or_load("k", fail)
    assert place.bench.client().exists("cache:l:k") == 0
    assert second.get_or_load("k", lambda: 5) == 5


# --- Cancelled tasks


def test_a_waiter_leads_when_the_leader_is_cancelled(place: Place, waiting: Waiting) -> None:
    async def main() -> None:
        loads = Counter[str]()

        async def load() -> int:
            loads["k"] += 1
            if loads["k"] == 1:
                await asyncio.Event().wait()
            return loads["k"]

        async with await place.async_cache() as cache:
            leader = asyncio.create_task(cache.get_or_load("k", load))
            while not loads["k"]:
                await asyncio.sleep(0)
            others = [asyncio.create_task(cache.get_or_load("k", load)) for _ in range(5)]
            await waiting.until_async(5)
            others.pop().cancel()  # one who waits may leave, and nobody minds
            leader.cancel()
            assert await asyncio.wait_for(asyncio.gather(*others), PATIENCE) == [2] * 4
            assert leader.cancelled()
            assert await cache.get("k") == 2

    asyncio.run(main())


class SlowToAnswer:
    """A store whose methods can be awaited, and whose claims take until they may be answered."""

    blocking = False

    def __init__(self) -> None:
        self.values = DictStore(lambda: 1.0)
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.answers: list[Any] = []

    def open(self, namespace: str) -> SlowToAnswer:
        return self

    def __getattr__(self, name: str) -> Any:
        async def method(*args: Any, **kwargs: Any) -> Any:
            return getattr(self.values, name)(*args, **kwargs)

        return method

    async def claim(self, *args: Any, **kwargs: Any) -> Any:
        self.answers.append(self.values.claim(*args, **kwargs))
        self.asked.set()
        await self.answer.wait()
        return self.answers[-1]


def test_who_is_cancelled_while_it_claims_leaves_no_claim_behind() -> None:
    async def main() -> None:
        store = SlowToAnswer()
        cache = AsyncCache([store], lease="1h")
        leader = asyncio.create_task(cache.get_or_load("k", lambda: 1))
        await store.asked.wait()
        leader.cancel()
        await asyncio.sleep(0)
        store.answer.set()
        with pytest.raises(asyncio.CancelledError):
            await leader
        assert await cache.get_or_load("k", lambda: 2) == 2
        assert [type(answer) for answer in store.answers] == [Claim, Claim]

    asyncio.run(main())


def test_a_load_that_outlives_the_loop_of_one_who_waited_disturbs_nobody(
    waiting: Waiting, caplog: pytest.LogCaptureFixture
) -> None:
    cache: Any = AsyncCache()
    begun, go = threading.Event(), threading.Event()

    async def load() -> int:
        begun.set()
        assert await asyncio.to_thread(go.wait, PATIENCE)
        return 1

    async def give_up() -> None:
        task = asyncio.create_task(cache.get_or_load("k", load))
        await waiting.until_async(1)
        task.cancel()
        await asyncio.wait([task])

    def act(number: int) -> Any:
        if number == 0:
            return asyncio.run(cache.get_or_load("k", load))
        assert begun.wait(PATIENCE)
        asyncio.run(give_up())
        go.set()
        return 1

    with caplog.at_level(logging.DEBUG, "concurrent.futures"):
        assert in_threads(2, act) == [1, 1]
    assert caplog.records == []


# --- Invalidation while a load runs

WAYS: dict[str, Callable[[Any], Any]] = {
    "key": lambda cache: cache.invalidate(key="a:1"),
    "tag": lambda cache: cache.invalidate(tag="t"),
    "prefix": lambda cache: cache.invalidate(prefix="a:"),
    "clear": lambda cache: cache.clear(),
    "delete": lambda cache: cache.delete("a:1"),
}


@pytest.mark.parametrize("by", ["this cache", "another cache"])
@pytest.mark.parametrize("way", [*WAYS, "set"])
def test_what_is_invalidated_while_it_loads_is_kept_nowhere(
    place: Place, way: str, by: str
) -> None:
    cache = place.cache()
    other = cache if by == "this cache" else place.cache()
    if place.layout == "memory" and by == "another cache":
        pytest.skip("nothing is between two memories")
    newer = 2

    def load() -> int:
        if way == "set":
            other.set("a:1", newer, tags=["t"])
        else:
            WAYS[way](other)
        return 1

    assert cache.get_or_load("a:1", load, tags=["t"]) == 1
    assert cache.get("a:1") == (newer if way == "set" else MISSING)
    assert cache.get_or_load("a:1", lambda: newer, tags=["t"]) == newer
    if place.layout != "memory":
        assert place.cache().get("a:1") == newer


@pytest.mark.parametrize("way", [*WAYS, "set"])
def test_who_asks_after_an_invalidation_does_not_wait_for_the_load_before(
    place: Place, way: str
) -> None:
    cache = place.cache()
    begun, invalidated, go = threading.Event(), threading.Event(), threading.Event()

    def slow() -> int:
        begun.set()
        assert go.wait(PATIENCE)
        return 1

    def ask(number: int) -> int:
        if number == 0:
            return cache.get_or_load("a:1", slow, tags=["t"])
        assert begun.wait(PATIENCE)
        if way == "set":
            cache.set("a:1", 2, tags=["t"])
        else:
            WAYS[way](cache)
        invalidated.set()
        value = cache.get_or_load("a:1", lambda: 2, tags=["t"])
        go.set()
        return value

    def let_go() -> None:
        # A lease outlives what is not a key's: who comes later waits for it, and loads then.
        assert invalidated.wait(PATIENCE)
        if place.layout != "memory" and way in ("tag", "prefix", "clear"):
            until(lambda: place.waits_for_lease("a:1"), "the waiting")
            go.set()

    assert in_threads(3, lambda number: let_go() if number == 2 else ask(number)) == [1, 2, None]
    assert cache.get("a:1") == 2


def test_who_asks_after_an_invalidation_does_not_get_what_another_had_just_found() -> None:
    deleting, found, done = threading.Event(), threading.Event(), threading.Event()

    class Memory(MemoryTier):
        def delete(self, key: str) -> bool:
            deleting.set()
            assert found.wait(PATIENCE)
            return super().delete(key)

        def find(self, key: str) -> Any:
            entry = super().find(key)
            if deleting.is_set() and not found.is_set():
                found.set()
                assert done.wait(PATIENCE)
            return entry

    # A hit on a sliding value is a flight of its own; others are over in one look.
    cache = Cache([Memory()], lease="1h", ttl=3600, sliding=True)
    cache.get_or_load("k", lambda: 1)

    def act(number: int) -> int:
        if number == 0:
            assert deleting.wait(PATIENCE)
            return cache.get_or_load("k", lambda: 2)
        cache.invalidate(key="k")
        value = cache.get_or_load("k", lambda: 2)
        done.set()
        return value

    assert in_threads(2, act) == [1, 2]


# --- Every order


Doing = tuple[str, str, int]
"""To read or to write, how, and by which cache."""


class World:
    """A database of one version, caches of it on a stage, and what they may answer.

    Attributes:
        version: What the database holds.
        floor: The newest version of which an invalidation, or a set, has ended.
    """

    def __init__(self, layout: str, stage: Stage) -> None:
        self.stage = stage
        self.version = self.floor = 0
        shared = StagedTier(stage)
        self.caches = []
        for _ in range(caches_of(layout)):
            tiers: dict[str, Any] = {
                "memory": StagedMemory(stage),
                "own": StagedTier(stage),
                "shared": shared,
            }
            self.caches.append(Cache([tiers[name] for name in layout.split("+")], lease="1h"))
        self.functions = [
            cache.cached(key="a:1", tags=["t"])(lambda: self.load()) for cache in self.caches
        ]

    def act(self, doings: list[Doing]) -> None:
        for doing, how, number in doings:
            (self.read if doing == "read" else self.write)(how, number)

    def load(self) -> int:
        self.stage.checkpoint()
        version = self.version
        self.stage.checkpoint()
        return version

    def load_many(self, keys: list[str]) -> dict[str, int]:
        return {key: self.load() for key in keys}

    def read(self, how: str, number: int) -> None:
        """Ask a cache; what it answers is not older than what was invalidated before."""
        cache, function = self.caches[number], self.functions[number]
        floor = self.floor
        answers: dict[str, Callable[[], Any]] = {
            "call": function,
            "load": lambda: cache.get_or_load("a:1", self.load, tags=["t"]),
            "refresh": function.refresh,
            "get": lambda: cache.get("a:1"),
            "get_many": lambda: cache.get_many(["a:1"]).get("a:1", MISSING),
            "load_many": lambda: cache.get_or_load_many(["a:1"], self.load_many, tags=["t"])["a:1"],
        }
        value = answers[how]()
        assert value is MISSING or value >= floor, f"{how} of cache {number}: {value} < {floor}"

    def write(self, how: str, number: int) -> None:
        """Change the database, and then a cache."""
        self.version += 1
        version = self.version
        self.stage.checkpoint()
        if how == "set":
            self.caches[number].set("a:1", version, tags=["t"])
        else:
            WAYS[how](self.caches[number])
        self.floor = max(self.floor, version)


READS = ("load", "load", "load", "call", "refresh", "get", "get_many", "load_many")


def caches_of(layout: str) -> int:
    """How many caches there are: several where they hear of one another's changes."""
    return 2 if "+" in layout else 1


def plot(draw: Random, caches: int) -> list[list[Doing]]:
    """What each actor does, one thing after the other."""

    def doings(doing: str, ways: Sequence[str]) -> list[Doing]:
        count = draw.choice((1, 1, 2))
        return [(doing, draw.choice(ways), draw.choice((0, 0, caches - 1))) for _ in range(count)]

    readers = [doings("read", READS) for _ in range(draw.choice((2, 3)))]
    # Two who set, or one who sets and one who invalidates, may leave the older value: nobody says
    # which is newer. So one writer may set, or two invalidate.
    if draw.random() < 0.5:
        return [*readers, doings("write", (*WAYS, "set"))]
    return [*readers, doings("write", (*WAYS,)), doings("write", (*WAYS,))]


@pytest.mark.parametrize("layout", ["memory", "shared", "memory+shared", "memory+own+shared"])
@pytest.mark.parametrize("first", ["get", "load"])
@settings(max_examples=times(200))
@given(st.integers(0, 2**64))
def test_in_every_order_nothing_older_than_an_invalidation_is_answered(
    layout: str, first: str, seed: int
) -> None:
    draw = Random(seed)
    stage = Stage(draw)
    with pytest.MonkeyPatch.context() as patch:
        stage.patch(patch)
        world = World(layout, stage)
        for number in range(len(world.caches)):
            world.read(first, number)  # from now on it hears what the others change
        acts = plot(draw, len(world.caches))
        stage.play([functools.partial(world.act, act) for act in acts])
        for number in range(len(world.caches)):
            for how in ("get", "get_many", "call", "load", "load_many", "get"):
                world.read(how, number)
        for cache in world.caches:
            cache.close()
