"""Random histories of readers and writers, judged by what each strategy promises."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from labkit import connect
from labkit.cache import (
    AsyncCache,
    Cache,
    CacheAside,
    MemoryTier,
    ReadThrough,
    RedisTier,
    WriteAround,
    WriteBehind,
    WriteThrough,
)
from labkit.clock import FakeClock, run_in_virtual_time
from labkit.server import LocalServer, find_server
from tests.cache.crowd import PATIENCE, in_threads, until
from tests.cache.dict_store import DictTier
from tests.cache.histories import Event, linearizable, outdated
from tests.cache.ledger import Ledger
from tests.scale import SEED, times

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from labkit.cache.steps import Steps

# --- The judges themselves


def wrote(value: int, begin: float, end: float = float("inf")) -> Event:
    return Event("write", value, begin, end)


def read(value: int | None, begin: float, end: float) -> Event:
    return Event("read", value, begin, end)


@pytest.mark.parametrize(
    ("history", "order", "old"),
    [
        ([], True, False),
        ([read(None, 1, 2), wrote(1, 3, 4), read(1, 5, 6)], True, False),
        ([wrote(1, 1, 2), read(None, 3, 4)], False, True),  # a write is not seen
        ([wrote(1, 1, 5), read(1, 2, 3), read(None, 3.5, 4)], False, False),  # new, then old again
        ([wrote(1, 1, 5), read(None, 2, 3), read(1, 3.5, 4)], True, False),
        ([wrote(1, 1, 9), wrote(2, 2, 9), read(2, 3, 4), read(1, 5, 6)], True, False),
        (
            [wrote(1, 1, 9), wrote(2, 2, 9), read(2, 3, 4), read(1, 5, 6), read(2, 7, 8)],
            False,
            False,
        ),
        ([wrote(1, 1), read(1, 2, 3), read(1, 4, 5)], True, False),  # one that never returned
        ([wrote(1, 1), read(None, 2, 3)], True, False),
        ([read(1, 1, 2), wrote(1, 3, 4)], False, True),  # from the future
        ([read(7, 1, 2)], False, True),  # from nowhere
    ],
)
def test_the_judges_know_right_from_wrong(history: list[Event], order: bool, old: bool) -> None:
    assert linearizable(history) is order
    assert bool(outdated(history)) is old


# --- In virtual time: every call takes a while that is drawn


class SlowSource:
    """A source whose every call takes a while before and after it happens."""

    def __init__(self, draw: random.Random) -> None:
        self.rows: dict[int, int] = {}
        self._draw = draw

    async def load(self, key: int) -> int | None:
        await pause(self._draw)
        found = self.rows.get(key)
        await pause(self._draw)
        return found

    async def load_many(self, keys: Sequence[int]) -> dict[int, int]:
        return {key: value for key in keys if (value := await self.load(key)) is not None}

    async def save(self, key: int, value: int) -> None:
        await pause(self._draw)
        self.rows[key] = value
        await pause(self._draw)

    async def delete(self, key: int) -> None:
        await pause(self._draw)
        self.rows.pop(key, None)

    async def versions(self, keys: Sequence[int]) -> dict[int, Any]:
        return {}


async def pause(draw: random.Random) -> None:
    if draw.random() < 0.7:
        await asyncio.sleep(draw.choice([0, 0.01, 0.02, 0.05]))


class SlowTier:
    """A tier in a dictionary whose every call takes a while before and after it happens."""

    def __init__(self, clock: FakeClock, draw: random.Random) -> None:
        self._tier = DictTier(clock)
        self._draw = draw

    def open(self, namespace: str) -> SlowStore:
        return SlowStore(self._tier.open(namespace), self._draw)


class SlowStore:
    blocking = False

    def __init__(self, store: Any, draw: random.Random) -> None:
        self._store = store
        self._draw = draw

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any, **how: Any) -> Any:
            await pause(self._draw)
            answer = method(*args, **how)
            await pause(self._draw)
            return answer

        return call

    async def wait(self, key: str, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))  # which may be earlier than the end of the claim


class Clients(NamedTuple):
    """Who takes part in a history.

    Attributes:
        layout: "memory", "memory+store", "store", or "two": caches over one store.
        clients: How many act at the same time.
        most: How many operations each of them has at most.
        ttl: For how many seconds values are kept.
        past: Which share of the reads asks the source itself, past the cache.
    """

    layout: str
    clients: int = 4
    most: int = 5
    ttl: float = 1000
    past: float = 0.0


KEYS = (1, 2)


class Told(NamedTuple):
    """A history of each key, and how old what was read was, in seconds since it was overwritten."""

    events: dict[int, list[Event]]
    ages: list[float]


def history_of(kind: Any, seed: str, how: Clients) -> Told:
    """Let clients read and write in virtual time, and then read what is left in every place."""
    draw, clock, ticks = random.Random(seed), FakeClock(1000), itertools.count()
    source, store = SlowSource(draw), SlowTier(clock, draw)
    values = itertools.count(1)
    events: dict[int, list[Event]] = {key: [] for key in KEYS}
    overwritten: dict[Any, float] = {}
    ages: list[float] = []

    async def read(key: int, strategy: Any) -> None:
        begin, at = next(ticks), clock()
        past = draw.random() < how.past
        value = await (source.load(key) if past else strategy.get(key))
        events[key].append(Event("read", value, begin, next(ticks)))
        ages.append(at - overwritten.get((key, value), at))

    async def write(key: int, strategy: Any) -> None:
        begin, value = next(ticks), next(values)
        await strategy.save(key, value)
        written = Event("write", value, begin, next(ticks))
        older = [e.value for e in events[key] if e.what == "write" and e.end < begin]
        for each in [None, *older]:
            overwritten.setdefault((key, each), clock())
        events[key].append(written)

    async def act(strategies: list[Any]) -> None:
        for _ in range(draw.randrange(1, how.most + 1)):
            await pause(draw)
            do = read if draw.random() < 0.6 else write
            await do(draw.choice(KEYS), draw.choice(strategies))

    async def main() -> None:
        caches = []
        for _ in range(2 if how.layout == "two" else 1):
            tiers: list[Any] = [MemoryTier(clock=clock)] if "memory" in how.layout else []
            tiers += [] if how.layout == "memory" else [store]
            caches.append(AsyncCache(tiers, ttl=how.ttl, negative_ttl=how.ttl))
        strategies = [kind(cache, source, name="k") for cache in caches]
        await asyncio.gather(*[act(strategies) for _ in range(how.clients)])
        for key in KEYS:
            for strategy in strategies:
                await read(key, strategy)
            begin = next(ticks)
            events[key].append(Event("read", source.rows.get(key), begin, next(ticks)))
        for cache in caches:
            await cache.close()

    run_in_virtual_time(main, clock)
    return Told(events, ages)


def judged(kind: Any, how: Clients, count: int, judge: Any) -> int:
    """How many of so many histories have a key of which the judge says no."""
    found = 0
    for number in range(count):
        told = history_of(kind, f"{SEED} {how.layout} {number}", how)
        found += not all(map(judge, told.events.values()))
    return found


def one_found(kind: Any, how: Clients, judge: Any) -> bool:
    """Whether there is such a history among many; the first one will do."""
    return any(
        not all(map(judge, history_of(kind, f"{SEED} {how.layout} {number}", how).events.values()))
        for number in range(MANY)
    )


def fresh(history: list[Event]) -> bool:
    return not outdated(history)


LAYOUTS = ["memory", "memory+store", "store", "two"]
FEW = 150
MANY = 20 * FEW  # for what comes about once in a hundred


@pytest.mark.soak
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("past", [0.0, 0.3])
def test_write_through_is_linearizable(layout: str, past: float) -> None:
    """So are the reads of the source itself among them: cache and source are as one."""
    assert judged(WriteThrough, Clients(layout, past=past), times(FEW), linearizable) == 0


@pytest.mark.soak
@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_old_is_read_through_once_a_write_has_returned(layout: str) -> None:
    assert judged(ReadThrough, Clients(layout), times(FEW), fresh) == 0


@pytest.mark.parametrize("kind", [CacheAside, WriteAround])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_old_values_that_two_strategies_warn_of_are_read(kind: Any, layout: str) -> None:
    assert one_found(kind, Clients(layout), fresh)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_read_through_may_be_behind_its_source_while_it_writes(layout: str) -> None:
    """Its row says less than that of WriteThrough, and the judge can tell the two."""
    assert one_found(ReadThrough, Clients(layout, most=12, past=0.3), linearizable)


@pytest.mark.soak
@pytest.mark.parametrize("kind", [CacheAside, WriteAround])
@pytest.mark.parametrize("layout", ["memory", "store", "two"])
def test_what_is_old_is_old_for_no_longer_than_values_are_kept(kind: Any, layout: str) -> None:
    longest, oldest = 0.3, 0.0  # seconds: six pauses, in a look, a load and a put
    for number in range(times(FEW)):
        how = Clients(layout, most=30, ttl=0.3)
        oldest = max(oldest, *history_of(kind, f"{SEED} {number}", how).ages)
    assert 0 < oldest <= how.ttl + longest


# --- Planted bugs


class SetsWithoutClaim(ReadThrough[Any, Any, Any]):
    """Writes the source, and then simply puts the value into the cache."""

    def _write(self, method: str, key: Any, *value: Any) -> Steps[None]:
        yield from self._of_source(method, key, *value)
        yield from self._engine.set(self._call(key), value[0])


class DeletesBefore(ReadThrough[Any, Any, Any]):
    """Invalidates first, and then writes the source."""

    def _write(self, method: str, key: Any, *value: Any) -> Steps[None]:
        yield from self._engine.delete([self.key(key)])
        yield from self._of_source(method, key, *value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_write_that_sets_without_a_claim_is_found(layout: str) -> None:
    assert one_found(SetsWithoutClaim, Clients(layout), linearizable)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_write_that_invalidates_too_early_is_found(layout: str) -> None:
    assert one_found(DeletesBefore, Clients(layout), fresh)


# --- A load that began before a write


class HeldSource(SlowSource):
    """A source whose loads read at once, and return a second later."""

    async def load(self, key: int) -> int | None:
        found = self.rows.get(key)
        await asyncio.sleep(1)
        return found


def test_a_reader_does_not_join_a_load_from_before_a_write() -> None:
    """The load and the late reader are in one process, the writer is in another one."""
    clock, draw = FakeClock(1000), random.Random(SEED)
    source, store = HeldSource(draw), DictTier(clock)
    source.rows[1] = 1

    async def main() -> tuple[Any, Any]:
        here, there = AsyncCache([store]), AsyncCache([store])
        reading, writing = ReadThrough(here, source, name="k"), ReadThrough(there, source, name="k")
        early = asyncio.ensure_future(reading.get(1))
        await asyncio.sleep(0.1)
        await writing.save(1, 2)
        late = await reading.get(1)
        return await early, late

    assert run_in_virtual_time(main, clock) == (1, 2)


# --- In real time: threads of two processes

needs_server = pytest.mark.skipif(find_server() is None, reason="fakeredis lives in one process")
PROCESSES, STEPS = 2, 16


class Real(NamedTuple):
    """A strategy, who judges it, and how many threads of a process use it."""

    kind: Any
    judge: Any
    threads: int


REAL = {
    "read": Real(ReadThrough, fresh, 3),
    "through": Real(WriteThrough, linearizable, 3),
    "behind": Real(WriteBehind, linearizable, 3),
}


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        yield pool


def read_and_write(url: str, path: str, kind: str, who: int, seed: str) -> dict[int, list[Event]]:
    """In a process: threads read and write; the moments are those of one clock of the machine."""
    events: dict[int, list[Event]] = {key: [] for key in KEYS}
    threads = REAL[kind].threads
    with connect(url) as client, Cache([RedisTier(client, budget="10s")], ttl=1000) as cache:
        strategy: Any = REAL[kind].kind(cache, Ledger(path), name="k")
        cache.get("nothing")
        client.incr("here")
        until(lambda: int(client.get("here") or 0) >= PROCESSES, "the coming of the others")

        def act(thread: int) -> None:
            draw = random.Random(f"{seed} {who} {thread}")
            for step in range(STEPS):
                key, begin = draw.choice(KEYS), time.monotonic_ns()
                if draw.random() < 0.6:
                    value = strategy.get(key)
                    events[key].append(Event("read", value, begin, time.monotonic_ns()))
                else:
                    value = (who * threads + thread) * STEPS + step
                    strategy.save(key, value)
                    events[key].append(Event("write", value, begin, time.monotonic_ns()))
                if kind == "behind" and draw.random() < 0.2:
                    strategy.apply_some()

        assert in_threads(threads, act) == [None] * threads
    return events


@needs_server
@pytest.mark.soak
@pytest.mark.parametrize("kind", REAL)
def test_processes_keep_the_word_of_their_strategy(
    server: LocalServer, pool: ProcessPoolExecutor, tmp_path: Path, kind: str
) -> None:
    judge = REAL[kind].judge
    for number in range(times(3)):
        with server.client() as client:
            client.flushall()
        path, seed = str(tmp_path / f"ledger {number}"), f"{SEED} {number}"
        asked = [
            pool.submit(read_and_write, server.url, path, kind, who, seed)
            for who in range(PROCESSES)
        ]
        told = [each.result(2 * PATIENCE) for each in asked]
        for key in KEYS:
            history = [event for each in told for event in each[key]]
            assert judge(history), f"{kind}, round {number}: {sorted(history, key=lambda e: e[2])}"
