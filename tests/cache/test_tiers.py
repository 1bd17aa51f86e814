"""Tiers that change what others do: a time of their own, or nothing kept at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from labkit.cache import Cache, CappedTier, FunctionSource, MemoryTier, NullTier, ReadThrough
from labkit.clock import FakeClock
from tests.cache.crowd import PATIENCE, in_threads
from tests.cache.dict_store import DictTier

if TYPE_CHECKING:
    import threading

    from tests.cache.conftest import Bed


def test_each_tier_keeps_a_value_for_its_own_time() -> None:
    clock = FakeClock(1_000)
    near, far = CappedTier(DictTier(clock), 100), DictTier(clock)
    loads: list[str] = []
    cache = Cache([MemoryTier(ttl=10, clock=clock), near, far], ttl=1000, staleness=1000)

    def tiers() -> list[str]:
        before = cache.stats().total.hits
        cache.get_or_load("a", lambda: loads.append("a") or 1)  # type: ignore[func-returns-value]
        after = cache.stats().total.hits
        return [name for name in after if after[name] > before[name]]

    assert tiers() == []
    memory, nearer, last = [state.name for state in cache.stats().tiers]
    for seconds, found in [
        (9, [memory]),
        (2, [nearer]),
        (9, [memory]),
        (2, [nearer]),
        (9, [memory]),
        (90, [last]),
        (900, []),
    ]:
        clock.advance(seconds)
        assert tiers() == found
    assert loads == ["a", "a"]


def test_every_way_in_is_capped(bed: Bed) -> None:
    if not bed.has_store or bed.awaited:
        pytest.skip("needs a store; one face will do")
    cache = Cache([CappedTier(bed.tier, 10)], namespace=bed.namespace, ttl=100)
    source: FunctionSource[int, int] = FunctionSource(lambda key: key)
    values = ReadThrough(cache, source, name="n", type=int)

    def there() -> dict[str, Any]:
        keys = ["a", "b", "c", "n:1", "n:2", "n:3"]
        return cache.get_many(keys)

    def put() -> None:
        cache.set("a", 1)
        cache.set_many({"b": 1, "c": None}, ttl=None)
        values.get(1)
        values.get_many([2, 3])

    put()
    assert len(there()) == 6
    bed.advance(11)
    assert there() == {}
    cache.close()


def test_a_cap_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="ttl is None, which caps nothing"):
        CappedTier(DictTier(), None)  # type: ignore[arg-type]
    for make in (lambda: CappedTier(DictTier(), 0), lambda: MemoryTier(ttl="0s")):
        with pytest.raises(ValueError, match="expected a time above 0"):
            make()
    assert MemoryTier(7, ttl="1m").another().ttl == 60


def test_without_a_cache_each_call_loads_and_those_at_once_share_it() -> None:
    loads: list[int] = []

    def load(key: int) -> int:
        loads.append(key)
        return key * key

    with Cache([NullTier()], ttl="10m") as cache:
        squares = ReadThrough(cache, FunctionSource(load), name="square", type=int)
        assert [squares.get(3), squares.get(3)] == [9, 9]
        assert squares.get_many([2, 3]) == {2: 4, 3: 9}
        assert loads == [3, 3, 2, 3]
        cache.set("a", 1)
        assert cache.get("a", None) is None
        cache.invalidate(prefix="a")
        cache.invalidate(tag="t")
        assert not cache.delete("a")
        cache.clear()


def test_without_a_cache_those_who_ask_at_once_still_share_a_load(
    waiting: threading.Semaphore,
) -> None:
    loads: list[int] = []

    def load(key: int) -> int:
        loads.append(key)
        for _ in range(3):
            assert waiting.acquire(timeout=PATIENCE)
        return key

    with Cache([NullTier()]) as cache:
        values = ReadThrough(cache, FunctionSource(load), name="n", type=int)
        assert in_threads(4, lambda _: values.get(7)) == [7] * 4
    assert loads == [7]
    assert repr(NullTier()) == "NullTier()"
