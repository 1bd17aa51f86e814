"""Delayed double delete: which interleaving it closes, and which it leaves open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from labkit.cache import AsyncCache, Cache, CacheAside, MemoryTier, ReadThrough
from labkit.cache.strategies.doubled import DelayedDoubleDelete
from labkit.clock import FakeClock
from tests.cache.crowd import PATIENCE, until
from tests.cache.dict_store import DictTier

if TYPE_CHECKING:
    from collections.abc import Callable

DELAY, TTL = 5.0, 60.0


class Time(FakeClock):
    """A clock that calls functions when their time has come."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.due: list[tuple[float, Callable[[], object]]] = []

    def later(self, seconds: float, function: Callable[[], object]) -> None:
        self.due.append((self() + seconds, function))

    def run(self, seconds: float) -> None:
        self.advance(seconds)
        for at, function in self.due.copy():
            if at <= self():
                self.due.remove((at, function))
                function()


class Database:
    """A source of one row; `during` happens after a load has read it, and before it returns."""

    def __init__(self) -> None:
        self.value = "old"
        self.fails = False
        self.during: Callable[[], object] = lambda: None

    def load(self, key: str) -> str:
        read, during = self.value, self.during
        self.during = lambda: None
        during()
        return read

    def load_many(self, keys: Any) -> dict[str, str]:
        return {key: self.load(key) for key in keys}

    def save(self, key: str, value: str) -> None:
        if self.fails:
            raise ConnectionError("the database is down")
        self.value = value

    def delete(self, key: str) -> None:
        self.value = "deleted"

    def versions(self, keys: Any) -> dict[str, Any]:
        return {}


class Scene:
    """A strategy, its database and their time."""

    def __init__(self, kind: Any) -> None:
        self.time, self.db = Time(), Database()
        how: Any = {"name": "n", "ttl": TTL}
        if kind is DelayedDoubleDelete:
            how |= {"delay": DELAY, "later": self.time.later}
        self.cache = Cache([MemoryTier(clock=self.time), DictTier(self.time)], staleness="1d")
        self.strategy = kind(self.cache, self.db, **how)

    def race(self, slow: float) -> list[str]:
        """A reader has read the row when it is written, and puts it after so many seconds more.

        Returns:
            What others read then, when the delay is over, and when the value's time is.
        """

        def write() -> None:
            self.strategy.save("k", "new")
            self.time.run(slow)

        self.db.during = write
        assert self.strategy.get("k") == "old"
        read = [self.strategy.get("k")]
        for seconds in (DELAY, TTL):
            self.time.run(seconds)
            read.append(self.strategy.get("k"))
        return read


def test_a_reader_who_puts_within_the_delay_is_set_right_by_it() -> None:
    assert Scene(DelayedDoubleDelete).race(slow=0) == ["old", "new", "new"]
    assert Scene(CacheAside).race(slow=0) == ["old", "old", "new"]  # until its time is over


def test_a_reader_who_puts_after_the_delay_is_not() -> None:
    assert Scene(DelayedDoubleDelete).race(slow=DELAY) == ["old", "old", "new"]


@pytest.mark.parametrize("slow", [0, DELAY])
def test_with_a_fence_there_is_neither(slow: float) -> None:
    assert Scene(ReadThrough).race(slow) == ["new", "new", "new"]


def test_a_process_that_dies_within_the_delay_leaves_what_is_there() -> None:
    scene = Scene(DelayedDoubleDelete)
    scene.db.during = lambda: scene.strategy.save("k", "new")
    scene.strategy.get("k")
    scene.time.due.clear()
    scene.time.run(DELAY)
    assert scene.strategy.get("k") == "old"


def test_it_deletes_before_the_write_and_a_delay_after_it_and_never_else() -> None:
    scene = Scene(DelayedDoubleDelete)
    scene.strategy.get("k")
    scene.strategy.save("k", "new")
    deletions = scene.cache.stats().invalidations.kinds
    assert deletions["key"].calls == 1
    assert scene.strategy.get("k") == "new"
    scene.time.run(DELAY)
    assert scene.cache.stats().invalidations.kinds["key"].calls == 2
    assert scene.strategy.get("k") == "new"
    assert scene.strategy.stats().loads == 3
    scene.time.run(10 * DELAY)
    assert scene.cache.stats().invalidations.kinds["key"].calls == 2
    scene.strategy.delete("k")
    assert scene.strategy.get("k") == "deleted"


def test_a_write_that_fails_is_deleted_twice_as_well() -> None:
    scene = Scene(DelayedDoubleDelete)
    scene.db.fails = True
    with pytest.raises(ConnectionError):
        scene.strategy.save("k", "new")
    assert len(scene.time.due) == 1
    assert scene.strategy.stats().write_failures == 1


def test_the_delay_is_a_time() -> None:
    with pytest.raises(ValueError, match="delay is '0s'; expected the time"):
        DelayedDoubleDelete(Cache(), Database(), name="n", delay="0s")


def test_without_a_clock_of_the_test_the_second_deletion_comes_too() -> None:
    cache = Cache()
    strategy: Any = DelayedDoubleDelete(cache, Database(), name="n", delay="1ms")
    strategy.save("k", "new")
    until(lambda: cache.stats().invalidations.kinds["key"].calls == 2, "the second deletion")

    async def main() -> None:
        later = AsyncCache()
        strategy: Any = DelayedDoubleDelete(later, Database(), name="n", delay="1ms")
        await strategy.save("k", "new")
        async with asyncio.timeout(PATIENCE):
            while later.stats().invalidations.kinds["key"].calls < 2:
                await asyncio.sleep(0)
        assert await strategy.get("k") == "new"
        await later.close()

    asyncio.run(main())
