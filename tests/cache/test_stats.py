"""Statistics: every call is counted once, under its function, and numbers mean what they say."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from labkit.cache import Cache, Counts, MemoryTier
from labkit.cache.stats import Counters
from tests.cache.conftest import LAYOUTS, Bed
from tests.scale import times

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cache.conftest import Benches

PATIENCE = 30.0
blocking = pytest.mark.parametrize("awaited", ["sync"], indirect=True)


def counted(counts: Counts) -> tuple[int, int, int]:
    """Hits of all tiers, misses, and waits."""
    return sum(counts.hits.values()), counts.misses, counts.waits


def test_hits_are_counted_by_the_tier_they_came_from(bed: Bed) -> None:
    cache, second = bed.cache(), bed.cache()
    names = [tier.name for tier in cache.stats().tiers]
    store = names[-1]
    cache.get("k")
    cache.get_or_load("k", lambda: 1)
    cache.get_or_load("k", lambda: 1)
    cache.get("k")
    nearest = "memory" if bed.has_memory else store
    total = cache.stats().total
    assert total.hits == {"memory": 0} | dict.fromkeys(names, 0) | {nearest: 2}
    assert (total.misses, total.loads, total.errors, total.waits) == (2, 1, 0, 0)
    assert total.hit_ratio == 0.5
    if bed.has_store:
        second.get("k")
        assert second.stats().total.hits[store] == 1
        second.get("k")
        assert second.stats().total.hits[nearest] == (1 if bed.has_memory else 2)


def test_each_key_of_many_is_counted_once(bed: Bed) -> None:
    cache = bed.cache()
    cache.set("a", 1)
    cache.get_many(["a", "b", "b", "c"])
    assert counted(cache.stats().total) == (1, 2, 0)
    cache.get_or_load_many(["a", "b", "c", "c"], lambda keys: dict.fromkeys(keys[:1], 2))
    assert counted(cache.stats().total) == (2, 4, 0)
    assert cache.stats().total.loads == 1
    cache.get_or_load_many(["a", "b"], lambda keys: {})
    assert counted(cache.stats().total) == (4, 4, 0)
    cache.get_many([])
    assert counted(cache.stats().total) == (4, 4, 0)


def test_functions_are_counted_apart_and_together(bed: Bed) -> None:
    def f(x: int) -> int:
        return x

    def g(x: int) -> int:
        if x < 0:
            raise ValueError("below 0")
        return x

    cache = bed.cache()
    one, other = bed.cached(cache, f, name="one"), bed.cached(cache, g, name="other")
    one(1), one(1), one(2)
    other(1)
    with pytest.raises(ValueError, match="below 0"):
        other(-1)
    cache.get("x")
    stats = cache.stats()
    assert list(stats.functions) == ["", "one", "other"]
    assert stats.functions["one"] == one.stats()
    assert counted(one.stats()) == (1, 2, 0)
    assert counted(other.stats()) == (0, 2, 0)
    assert (other.stats().loads, other.stats().errors) == (2, 1)
    assert counted(stats.functions[""]) == (0, 1, 0)
    assert counted(stats.total) == (1, 5, 0)
    assert stats.total.loads == 4
    assert stats.total.name == "total"
    assert stats.total.time_saved == pytest.approx(
        sum(counts.time_saved for counts in stats.functions.values())
    )


def test_a_function_is_named_by_its_module_and_name(bed: Bed) -> None:
    cache = bed.cache()
    cached = bed.cached(cache, named)
    assert cached.stats().name == "tests.cache.test_stats.named"


def named() -> None: ...


def test_what_is_no_call_is_not_counted_as_one(bed: Bed) -> None:
    def f(x: int) -> int:
        return x

    cache = bed.cache()
    cached = bed.cached(cache, f)
    cached.refresh(1)
    cached.set(3, 2)
    cached.bypass(4)
    cached.key(4)
    cached.invalidate(1)
    cache.set("k", 1)
    cache.delete("k")
    assert counted(cache.stats().total) == (0, 0, 0)
    assert cache.stats().total.loads == 1  # the refresh
    assert cache.stats().total.hit_ratio == 0.0


@blocking
@pytest.mark.parametrize("many", [False, True])
def test_those_who_wait_for_a_load_are_counted_as_waits(
    bed: Bed, waiting: threading.Semaphore, many: bool
) -> None:
    cache, callers = bed.cache(), 5

    def load(keys: Any = None) -> Any:
        for _ in range(callers - 1):
            assert waiting.acquire(timeout=PATIENCE)
        return {"k": 1} if many else 1

    def call() -> None:
        if many:
            cache.get_or_load_many(["k"], load)
        else:
            cache.get_or_load("k", load)

    in_threads([call] * callers)
    total = cache.stats().total
    assert counted(total) == (0, 1, callers - 1)
    assert total.loads == 1
    assert total.hit_ratio == 0.0
    assert total.time_saved == pytest.approx((callers - 1) * total.load_seconds[0])
    cache.get("k")
    assert cache.stats().total.hit_ratio == pytest.approx(1 / (callers + 1))


@blocking
def test_calls_that_need_themselves_are_counted(bed: Bed) -> None:
    calls = []

    def f(x: int) -> int:
        calls.append(x)
        return x if len(calls) > 1 else cached(x)

    cached = bed.cached(bed.cache(), f)
    cached(1)
    assert counted(cached.stats()) == (0, 2, 0)
    assert cached.stats().loads == 2


def in_threads(calls: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)


keys = st.sampled_from(["a", "b", "c"])
calls = st.one_of(
    st.tuples(st.just("get"), st.tuples(keys)),
    st.tuples(st.just("get_many"), st.lists(keys, max_size=4)),
    st.tuples(st.just("get_or_load"), st.tuples(keys)),
    st.tuples(st.just("get_or_load_many"), st.lists(keys, max_size=4)),
    st.tuples(st.just("cached"), st.tuples(keys)),
    st.tuples(st.just("peek"), st.tuples(keys)),
    st.tuples(st.just("clear"), st.tuples()),
    st.tuples(st.just("garbage"), st.tuples(keys)),
)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=times(25))
@given(walk=st.lists(calls, max_size=30))
def test_every_call_is_one_hit_one_miss_or_one_wait(
    benches: Benches, layout: str, walk: list[tuple[str, list[str]]]
) -> None:
    bed = Bed(layout, benches)
    cache = bed.cache()
    cached = bed.cached(cache, lambda key: key, key="{key}")
    expected = {"": 0, cached.stats().name: 0}
    for name, arguments in walk:
        if name == "clear":
            cache.clear()
        elif name == "garbage":
            if bed.has_store:
                bed.store().set(arguments[0], b"garbage")
        elif name in ("cached", "peek"):
            (cached if name == "cached" else cached.peek)(arguments[0])
            expected[cached.stats().name] += 1
        elif name in ("get", "get_or_load"):
            load = [lambda: 1] if name == "get_or_load" else []
            getattr(cache, name)(arguments[0], *load)
            expected[""] += 1
        else:
            load_many: Any = [lambda keys: dict.fromkeys(keys[1:], 1)] if "load" in name else []
            getattr(cache, name)(arguments, *load_many)
            expected[""] += len(set(arguments))
    found = {name: sum(counted(counts)) for name, counts in cache.stats().functions.items()}
    assert found == expected
    assert sum(counted(cache.stats().total)) == sum(expected.values())
    benches.close_caches()


# --- Times


@given(loads=st.lists(st.floats(0, 1e6), max_size=50), hits=st.integers(0, 100))
def test_percentiles_are_loads_that_were_measured_in_order(loads: list[float], hits: int) -> None:
    counters = Counters("f", ["redis"])
    for seconds in loads:
        counters.loaded(seconds, failed=False)
    counters.memory_hits = hits
    counts = counters.read()
    if not loads:
        assert counts.load_seconds is None
        assert counts.time_saved == 0
        return
    assert counts.load_seconds is not None
    p50, p95, p99 = counts.load_seconds
    assert p50 <= p95 <= p99
    assert {p50, p95, p99} <= set(loads)
    assert sum(seconds <= p50 for seconds in loads) * 2 >= len(loads)
    assert sum(seconds >= p50 for seconds in loads) * 2 >= len(loads)
    assert counts.time_saved == pytest.approx(hits * sum(loads) / len(loads))


def test_percentiles_are_of_the_last_thousand_loads() -> None:
    counters = Counters("f", [])
    for seconds in range(2000):
        counters.loaded(float(seconds), failed=False)
    assert counters.read().load_seconds == (1500.0, 1949.0, 1989.0)


def test_writes_are_counted_and_timed(bed: Bed) -> None:
    counters = Counters("f", [])
    assert (counters.read().writes, counters.read().write_seconds) == (0, None)
    for seconds in range(1, 2001):
        counters.wrote(float(seconds), failed=seconds % 4 == 0)
    counts = counters.read()
    assert (counts.writes, counts.write_failures) == (2000, 500)
    assert counts.write_seconds == (1501.0, 1950.0, 1990.0)
    assert counts.loads == 0
    cache = bed.cache()
    for name in ("one", "other"):
        bed.cached(cache, named, name=name)
        cache._engine.counters_for(name).wrote(2.0, failed=True)
    total = cache.stats().total
    assert (total.writes, total.write_failures) == (2, 2)
    assert total.write_seconds == (2.0, 2.0, 2.0)


def test_time_saved_grows_with_every_hit(bed: Bed) -> None:
    cache = bed.cache()

    def load() -> int:
        bed.clock.advance(2)  # the time of a cache with memory is that of its memory
        return sum(range(10_000))

    saved = [cache.stats().total.time_saved]
    for _ in range(4):
        cache.get_or_load("k", load)
        saved.append(cache.stats().total.time_saved)
    assert saved[:2] == [0, 0]
    assert saved[1] < saved[2] < saved[3] < saved[4]
    if bed.has_memory:
        assert saved == [0, 0, 2, 4, 6]


def test_reads_of_a_store_are_timed(bed: Bed) -> None:
    cache = bed.cache()
    if not bed.has_store:
        assert cache.stats().total.store_seconds == {}
        return
    bed.cache().set("k", 1)
    ((store, before),) = cache.stats().total.store_seconds.items()
    assert before is None
    cache.get("k")
    p50, p95, p99 = cache.stats().total.store_seconds[store]
    assert 0 < p50 <= p95 <= p99


# --- Tiers


def test_the_state_of_tiers_is_told(bed: Bed) -> None:
    cache = bed.cache()
    for number in range(3):
        cache.set(f"k{number}", number)
    nearest, *_ = tiers = cache.stats().tiers
    if bed.has_memory:
        assert (nearest.name, nearest.entries, nearest.evictions) == ("memory", 3, 0)
        tiers = tiers[1:]
    assert len(tiers) == bed.has_store
    for tier in tiers:
        assert (tier.entries, tier.bytes, tier.evictions) == (None, None, None)
        assert (tier.away, tier.failures, tier.openings, tier.owes) == (False, 0, 0, 0)
    assert cache.stats().listening is (bed.has_memory and bed.tells)


def test_evictions_are_counted() -> None:
    cache = Cache([MemoryTier(2)])
    for number in range(5):
        cache.set(f"k{number}", number)
    (memory,) = cache.stats().tiers
    assert (memory.entries, memory.evictions) == (2, 3)


def test_bytes_are_told_where_they_are_measured() -> None:
    measured = Cache([MemoryTier(max_bytes=1_000, sizeof=len)])
    measured.set("k", "word")
    assert measured.stats().tiers[0].bytes == 4


# --- As a frame


def test_a_frame_has_a_row_for_each_function_and_a_column_for_each_number(bed: Bed) -> None:
    def f(x: int) -> int:
        return x

    cache = bed.cache()
    cached = bed.cached(cache, f, name="one")
    cached(1), cached(1), cache.get("x")
    frame = cache.stats().frame()
    assert list(frame.index) == ["(direct)", "one", "total"]
    stores = [f"{tier.name}_hits" for tier in cache.stats().tiers if tier.name != "memory"]
    assert list(frame.columns) == [
        "memory_hits",
        *stores,
        *("misses", "loads", "errors", "waits", "refused", "renewals", "stale", "hit_ratio"),
        "time_saved",
        *("load_p50", "load_p95", "load_p99"),
        *("writes", "write_failures", "write_p50", "write_p95", "write_p99"),
    ]
    assert list(frame["misses"]) == [1, 1, 2]
    assert list(frame["loads"]) == [0, 1, 1]
    assert list(frame["hit_ratio"]) == [0, 0.5, pytest.approx(1 / 3)]
    assert frame["load_p50"].isna().tolist() == [True, False, False]
    row = frame.loc["total"]
    assert row["load_p50"] <= row["load_p95"] <= row["load_p99"]
    assert sum(row[f"{tier.name}_hits"] for tier in cache.stats().tiers) == 1


@blocking
@pytest.mark.parametrize("many", [False, True])
def test_a_load_that_was_invalidated_meanwhile_is_counted_as_refused(bed: Bed, many: bool) -> None:
    cache = bed.cache()

    def load(keys: Any = None) -> Any:
        cache.delete("k")
        return {"k": 1} if many else 1

    if many:
        assert cache.get_or_load_many(["k"], load) == {"k": 1}
    else:
        assert cache.get_or_load("k", load) == 1
    total = cache.stats().total
    assert (total.misses, total.loads, total.refused) == (1, 1, 1)
    assert cache.get("k", None) is None
